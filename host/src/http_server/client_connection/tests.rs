//! How long each part of a connection may take, and how many without a key may wait.

use super::*;
use crate::http_server::Limits;

fn client() -> Arc<ClientConnection> {
    let connections = Connections::new(Limits::default());
    connections.add(SocketAddr::from(([127, 0, 0, 1], 1)))
}

fn after(client: &ClientConnection, time: Duration) -> Option<Instruction> {
    let now = client.connections.now() + millis(time);
    client.due(now).map(|(instruction, _)| instruction)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_piece_has_its_time_to_be_taken_and_others_do_not_lend_it_theirs() {
    for (is_keyed, time) in [(true, 20), (false, 5)] {
        let client = client();
        client.head(http::Version::HTTP_2);
        let lease = Arc::new(client.begin(is_keyed).unwrap());
        let stuck = Piece::bytes("stuck".into(), &lease);
        drop(Piece::bytes("taken".into(), &lease));
        assert_eq!(after(&client, SECOND * (time - 1)), None);
        assert_eq!(after(&client, SECOND * (time + 5)), Some(Instruction::Cut));
        drop(stuck);
        assert_eq!(after(&client, SECOND * (time + 5)), None);
    }
}

#[test]
fn an_answer_that_is_worked_on_is_not_idle() {
    let client = client();
    client.head(http::Version::HTTP_2);
    let lease = client.begin(true);
    assert_eq!(after(&client, SECOND * 1_000), None);
    drop(lease);
    assert_eq!(after(&client, SECOND * 59), None);
    assert_eq!(after(&client, SECOND * 61), Some(Instruction::Finish));
    client.tell(Instruction::Finish);
    assert_eq!(after(&client, SECOND), None);
    assert_eq!(
        after(&client, SECOND * 3),
        Some(Instruction::Cut),
        "it did not go"
    );
}

#[test]
fn a_head_has_its_time_and_a_socket_too() {
    let client = client();
    assert_eq!(after(&client, SECOND * 9), None);
    assert_eq!(
        after(&client, SECOND * 11),
        Some(Instruction::Cut),
        "no request"
    );
    client.has_read();
    client.head(http::Version::HTTP_11);
    assert_eq!(after(&client, SECOND * 11), None);
    client.has_read();
    assert_eq!(
        after(&client, SECOND * 11),
        Some(Instruction::Cut),
        "half a head"
    );
    client.head(http::Version::HTTP_11);
    client.has_written(true);
    assert_eq!(after(&client, SECOND * 4), None);
    assert_eq!(
        after(&client, SECOND * 6),
        Some(Instruction::Cut),
        "it takes nothing"
    );
    client.has_written(false);
    assert_eq!(after(&client, SECOND * 6), None);
}

#[test]
fn those_without_a_key_that_take_nothing_are_few() {
    let limits = Limits {
        blocked_keyless: 2,
        ..Limits::default()
    };
    let connections = Connections::new(limits);
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let clients: Vec<_> = (0..4).map(|_| connections.add(peer)).collect();
    let keyed = connections.add(peer);
    drop(keyed.begin(true));
    for client in clients.iter().chain([&keyed]) {
        client.has_written(true);
    }
    let instructions: Vec<_> = clients.iter().map(|client| client.instruction()).collect();
    let [none, cut] = [Instruction::None, Instruction::Cut];
    assert_eq!(instructions, [none, none, cut, cut]);
    assert_eq!(keyed.instruction(), none);
}
