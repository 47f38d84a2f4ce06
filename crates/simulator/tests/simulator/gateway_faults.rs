//! What a script makes of the binary gateway.

use std::time::{Duration, Instant};

use dunlin_simulator::{Action, Fault, GatewayAction, Simulator};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::legacy::{
    BAD_TOKEN, End, TLS12, answer, gateway, notification, packet, rest, send, simple, token,
    try_connect, until,
};
use crate::support::{PAYLOAD, TOPIC, control_json, start};

fn fault(action: GatewayAction) -> Fault {
    Fault::new(Action::Gateway(action))
}

async fn scripted(fault: Fault) -> Simulator {
    let (simulator, _key) = start().await;
    simulator.add_fault(fault).unwrap();
    simulator
}

/// Good notifications with the identifiers 1 to `count`.
fn batch(count: u8) -> Vec<u8> {
    (1..=count)
        .flat_map(|number| notification(number.into(), &token(number)))
        .collect()
}

/// The identifiers of what was taken, in order.
fn taken(simulator: &Simulator) -> Vec<u32> {
    let journal = simulator.journal();
    let taken = journal.iter().filter(|record| record.is_accepted());
    taken
        .map(|record| record.binary().unwrap().identifier.unwrap())
        .collect()
}

#[tokio::test]
async fn a_shutdown_names_the_last_one_taken() {
    for (accept, last) in [(true, 3), (false, 2)] {
        let simulator = scripted(fault(GatewayAction::Shutdown { accept }).every(3)).await;
        let answered = answer(&simulator, &batch(5)).await;
        assert_eq!(answered, (packet(10, last), End::Closed));
        assert_eq!(taken(&simulator), (1..=last).collect::<Vec<_>>());
        let third = simulator.journal().pop().unwrap();
        assert_eq!(third.fault.as_deref(), Some("gateway_shutdown"));
        assert_eq!(third.status, accept.then_some(0));
    }
}

#[tokio::test]
async fn a_shutdown_at_a_bad_notification_or_the_first_names_what_was_taken() {
    let simulator = scripted(fault(GatewayAction::Shutdown { accept: true }).every(2)).await;
    let sent = [notification(1, &token(1)), notification(2, BAD_TOKEN)].concat();
    assert_eq!(
        answer(&simulator, &sent).await,
        (packet(10, 1), End::Closed)
    );

    let simulator = scripted(fault(GatewayAction::Shutdown { accept: false })).await;
    assert_eq!(
        answer(&simulator, &batch(2)).await,
        (packet(10, 0), End::Closed)
    );
    assert!(taken(&simulator).is_empty());
    assert_eq!(simulator.stats().notifications_unanswered, 1);
    assert_eq!(
        answer(&simulator, &[3]).await,
        (packet(128, 0), End::Closed)
    );
}

#[tokio::test]
async fn a_close_says_nothing() {
    for (accept, last) in [(true, 2), (false, 1)] {
        let simulator = scripted(fault(GatewayAction::Close { accept }).every(2)).await;
        assert_eq!(
            answer(&simulator, &batch(4)).await,
            (Vec::new(), End::Closed)
        );
        assert_eq!(taken(&simulator), (1..=last).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_reset_resets_tcp() {
    for (accept, last) in [(true, 2), (false, 1)] {
        let simulator = scripted(fault(GatewayAction::Reset { accept }).every(2)).await;
        assert_eq!(
            answer(&simulator, &batch(4)).await,
            (Vec::new(), End::Reset)
        );
        assert_eq!(taken(&simulator), (1..=last).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_cut_takes_what_is_whole_in_its_bytes_wherever_it_is() {
    let sent = batch(2);
    let one = sent.len() / 2;
    for after_bytes in [0, 1, one - 1, one, one + 1, sent.len() - 1] {
        let cut = u64::try_from(after_bytes).unwrap();
        let simulator = scripted(fault(GatewayAction::Cut { after_bytes: cut })).await;
        let mut stream = gateway(&simulator).await;
        // The connection may be gone before everything is written.
        let _ = stream.write_all(&sent).await;
        let _ = stream.flush().await;
        let (bytes, end) = rest(&mut stream).await;
        assert!(bytes.is_empty() && end != End::Closed, "{cut}: {end:?}");
        let expected: &[u32] = if after_bytes < one { &[] } else { &[1] };
        assert_eq!(taken(&simulator), expected, "{cut}");
    }
}

#[tokio::test]
async fn any_status_can_be_answered_to_the_nth_or_to_a_token() {
    for status in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 128, 255] {
        let action = GatewayAction::Status {
            status,
            identifier: None,
            split: false,
        };
        let simulator = scripted(fault(action.clone()).every(2)).await;
        let answered = answer(&simulator, &batch(3)).await;
        assert_eq!(answered, (packet(status, 2), End::Closed));
        assert_eq!(taken(&simulator), [1]);

        let simulator = scripted(fault(action).for_tokens("0303").always()).await;
        for _ in 0..2 {
            let answered = answer(&simulator, &batch(4)).await;
            assert_eq!(answered, (packet(status, 3), End::Closed));
        }
        assert_eq!(taken(&simulator), [1, 2, 1, 2]);
    }
}

#[tokio::test]
async fn a_packet_can_name_another_identifier() {
    let response = GatewayAction::Response {
        identifier: Some(0),
        split: false,
    };
    let simulator = scripted(fault(response)).await;
    let sent = [batch(2), notification(9, BAD_TOKEN)].concat();
    assert_eq!(answer(&simulator, &sent).await, (packet(5, 0), End::Closed));
    assert_eq!(taken(&simulator), [1, 2]);
    assert_eq!(answer(&simulator, &sent).await, (packet(5, 9), End::Closed));
}

#[tokio::test]
async fn a_packet_can_come_byte_by_byte() {
    let identity = |simulator: &Simulator| simulator.authority().issue_client(TOPIC).unwrap();
    for (split, records) in [(false, 1), (true, 6)] {
        let response = GatewayAction::Response {
            identifier: None,
            split,
        };
        let simulator = scripted(fault(response)).await;
        let address = simulator.gateway_addr();
        // In TLS 1.2 records of application data have a type of their own.
        let connected = try_connect(&simulator, address, Some(&identity(&simulator)), TLS12).await;
        let mut stream = connected.unwrap();
        send(&mut stream, &notification(1, BAD_TOKEN)).await;
        assert_eq!(rest(&mut stream).await, (packet(5, 1), End::Closed));
        let seen = stream.get_ref().0.seen.lock().unwrap().clone();
        assert_eq!(application_records(&seen), records);
    }
}

/// How many TLS records of application data there are (RFC 5246 6.2.1).
fn application_records(mut bytes: &[u8]) -> usize {
    let mut found = 0;
    while let Some((header, rest)) = bytes.split_at_checked(5) {
        found += usize::from(header[0] == 23);
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        bytes = &rest[length..];
    }
    found
}

#[tokio::test]
async fn a_packet_can_be_late_and_what_comes_in_between_is_thrown_away() {
    let response = GatewayAction::Response {
        identifier: None,
        split: true,
    };
    let simulator = scripted(fault(response).after_ms(50)).await;
    let mut stream = gateway(&simulator).await;
    let began = Instant::now();
    send(&mut stream, &notification(1, BAD_TOKEN)).await;
    until(|| simulator.journal().len() == 1).await;
    send(&mut stream, &batch(3)).await;
    assert_eq!(rest(&mut stream).await, (packet(5, 1), End::Closed));
    assert!(began.elapsed() >= Duration::from_millis(50));
    assert!(taken(&simulator).is_empty());
}

#[tokio::test]
async fn silence_answers_nothing_takes_nothing_and_does_not_close() {
    let simulator = scripted(fault(GatewayAction::Silence)).await;
    let mut stream = gateway(&simulator).await;
    let sent = [batch(1), notification(2, BAD_TOKEN), batch(3)].concat();
    send(&mut stream, &sent).await;
    until(|| simulator.journal().len() == 2).await;
    send(&mut stream, &batch(4)).await;
    // Nothing but the client's own close ends it.
    stream.shutdown().await.unwrap();
    let (bytes, end) = rest(&mut stream).await;
    assert_eq!((bytes, end), (Vec::new(), End::Cut));
    assert_eq!(taken(&simulator), [1]);
    let journal = simulator.journal();
    assert_eq!((journal.len(), journal[1].status), (2, None));
}

#[tokio::test]
async fn a_connection_can_be_read_slowly() {
    let one = u64::try_from(batch(1).len()).unwrap();
    let slow = GatewayAction::Slow { after_bytes: one };
    let simulator = scripted(fault(slow).after_ms(50)).await;
    let mut stream = gateway(&simulator).await;
    let began = Instant::now();
    send(&mut stream, &batch(3)).await;
    until(|| !simulator.journal().is_empty()).await;
    assert_eq!(taken(&simulator), [1]);
    until(|| simulator.journal().len() == 3).await;
    assert!(began.elapsed() >= Duration::from_millis(50));
    send(&mut stream, &notification(4, BAD_TOKEN)).await;
    assert_eq!(rest(&mut stream).await, (packet(5, 4), End::Closed));
}

#[tokio::test]
async fn command_0_gets_no_packet_whatever_the_script_says() {
    for action in [
        GatewayAction::Shutdown { accept: true },
        GatewayAction::Status {
            status: 8,
            identifier: Some(1),
            split: true,
        },
    ] {
        let simulator = scripted(fault(action)).await;
        let answered = answer(&simulator, &simple(&token(1), PAYLOAD)).await;
        assert_eq!(answered, (Vec::new(), End::Closed));
    }
}

#[tokio::test]
async fn connections_can_be_refused_at_the_gateway_alone() {
    let simulator = scripted(fault(GatewayAction::Refuse).times(2)).await;
    let identity = simulator.authority().issue_client(TOPIC).unwrap();
    for _ in 0..2 {
        let address = simulator.gateway_addr();
        let refused = try_connect(&simulator, address, Some(&identity), TLS12).await;
        assert!(refused.is_err());
    }
    assert!(TcpStream::connect(simulator.feedback_addr()).await.is_ok());
    let answered = answer(&simulator, &notification(1, BAD_TOKEN)).await;
    assert_eq!(answered, (packet(5, 1), End::Closed));
    let stats = simulator.stats();
    assert_eq!((stats.gateway.refused, stats.gateway.accepted), (2, 1));
}

#[tokio::test]
async fn the_script_can_come_over_the_control_api() {
    let (simulator, _key) = start().await;
    let body = r#"[{"fault":"gateway_shutdown","every":2,"times":1},
                   {"fault":"gateway_response","identifier":77}]"#;
    assert_eq!(
        control_json(&simulator, "POST", "/faults", body).await.0,
        204
    );
    assert_eq!(
        answer(&simulator, &batch(3)).await,
        (packet(10, 2), End::Closed)
    );
    let sent = notification(3, BAD_TOKEN);
    assert_eq!(
        answer(&simulator, &sent).await,
        (packet(5, 77), End::Closed)
    );
    let (_, listed) = control_json(&simulator, "GET", "/faults", "").await;
    assert_eq!(listed["faults"].as_array().unwrap().len(), 0);
}
