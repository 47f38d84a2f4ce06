//! What goes out: connects, requests, batches, limits.

use super::super::lane::TRANSMIT_BYTES;
use super::support::{LONG, MAX_CONNECTIONS, QUEUE, Rig, secs, token};
use super::wire;
use crate::delivery::submission::QueueFull;
use crate::http2;
use crate::provider::Why;

#[test]
fn nothing_is_opened_without_a_notification() {
    let mut rig = Rig::new();
    assert_eq!(rig.lane.poll_timeout(), None);
    rig.advance(secs(3_600));
    assert!(rig.connects.is_empty() && rig.lane.is_idle());
}

#[test]
fn one_submit_asks_for_one_connection() {
    let mut rig = Rig::new();
    rig.submit(LONG);
    assert_eq!(rig.connects.len(), 1);
    let connection = rig.open(1_000);
    assert_eq!(rig.devices(connection), [0]);
    rig.accept(connection, 1);
    assert_eq!((rig.connects.len(), rig.outcomes.len()), (1, 1));
    assert!(rig.lane.is_idle());
}

#[test]
fn several_submits_while_opening_ask_for_one_connection() {
    let mut rig = Rig::new();
    rig.submit_all(50, LONG);
    rig.advance(secs(60));
    rig.submit_all(50, LONG);
    assert_eq!(rig.connects.len(), 1);
    let connection = rig.open(1_000);
    assert_eq!(rig.devices(connection), (0..100).collect::<Vec<_>>());
    assert_eq!(rig.connects.len(), 1);
}

#[test]
fn a_second_connection_is_not_opened_beside_a_full_one() {
    let (mut rig, connection) = Rig::flying(2, 10);
    assert_eq!(rig.open_streams(connection), [1, 3]);
    rig.submit_all(10, LONG);
    assert_eq!(rig.connects.len(), 1);
}

#[test]
fn one_stream_until_settings_raise_the_limit_then_down_and_up_again() {
    let mut rig = Rig::new();
    let jobs = rig.submit_all(1_600, LONG);
    let connection = rig.open_silently();
    assert_eq!(rig.open_streams(connection), [1]);
    rig.send(
        connection,
        &[wire::streams(1_000), wire::settings_ack()].concat(),
    );
    assert_eq!(rig.open_streams(connection).len(), 1_000);
    rig.send(connection, &wire::streams(1));
    for stream in rig.open_streams(connection) {
        rig.accept(connection, stream);
        assert!(
            rig.peer(connection).order.len() == 1_000 || rig.open_streams(connection).len() == 1
        );
    }
    assert_eq!(
        rig.open_streams(connection).len(),
        1,
        "below the limit again"
    );
    rig.send(connection, &wire::streams(500));
    assert_eq!(rig.open_streams(connection).len(), 500);
    while let Some(stream) = rig.open_streams(connection).first().copied() {
        rig.accept(connection, stream);
        assert!(rig.open_streams(connection).len() <= 500);
    }
    assert!(jobs.iter().all(|job| rig.is_accepted(*job)));
    assert_eq!(rig.connects.len(), 1);
}

#[test]
fn one_write_carries_many_requests_and_is_bounded() {
    let mut rig = Rig::new();
    for _ in 0..200 {
        let payload = format!(r#"{{"aps":{{"alert":"{}"}}}}"#, "x".repeat(1_000));
        rig.try_submit(LONG, payload.as_bytes()).unwrap();
    }
    let connection = rig.pending.pop_front().unwrap();
    rig.lane.handle_connected(rig.now, connection);
    let mut hello = Vec::new();
    rig.lane.poll_transmit(rig.now, connection, &mut hello);
    let start = [
        wire::streams(1_000),
        wire::settings_ack(),
        wire::window_update(0, 1 << 20),
    ];
    rig.lane.handle_input(rig.now, connection, &start.concat());
    let mut writes = Vec::new();
    let mut reader = wire::Reader::default();
    reader.read(&hello);
    while rig.lane.wants_transmit(connection) {
        let mut bytes = Vec::new();
        rig.lane.poll_transmit(rig.now, connection, &mut bytes);
        assert!(!bytes.is_empty(), "it was said that there is something");
        reader.read(&bytes);
        writes.push(bytes.len());
    }
    assert_eq!(reader.order.len(), 200);
    assert!(writes.len() <= 5, "{writes:?}");
    let most = TRANSMIT_BYTES + 4_096 + 1_024;
    assert!(writes.iter().all(|len| *len <= most), "{writes:?}");
    assert!(writes[0] >= TRANSMIT_BYTES, "{writes:?}");
}

#[test]
fn bodies_wait_for_windows_and_go_on() {
    let mut rig = Rig::new();
    let payload = format!(r#"{{"aps":{{"alert":"{}"}}}}"#, "x".repeat(4_000));
    for _ in 0..40 {
        rig.try_submit(LONG, payload.as_bytes()).unwrap();
    }
    let connection = rig.open(1_000);
    assert_eq!(
        rig.open_streams(connection).len(),
        40,
        "heads are not subject to flow control"
    );
    let complete = |rig: &Rig| {
        rig.peer(connection)
            .open
            .values()
            .filter(|asked| asked.complete)
            .count()
    };
    assert_eq!(complete(&rig), 65_535 / payload.len());
    rig.send(connection, &wire::window_update(0, 1 << 20));
    assert_eq!(complete(&rig), 40);
    assert!(
        rig.peer(connection)
            .open
            .values()
            .all(|asked| asked.body == payload.as_bytes())
    );
}

#[test]
fn a_full_queue_refuses_and_loses_nothing() {
    let mut rig = Rig::new();
    let jobs = rig.submit_all(QUEUE, LONG);
    for _ in 0..3 {
        assert_eq!(rig.try_submit(LONG, br#"{"aps":{}}"#), Err(QueueFull));
    }
    let connection = rig.open(1_000);
    let more = rig.submit_all(1_000, LONG);
    assert_eq!(rig.try_submit(LONG, br#"{"aps":{}}"#), Err(QueueFull));
    while let Some(stream) = rig.open_streams(connection).first().copied() {
        rig.accept(connection, stream);
    }
    assert!(jobs.iter().chain(&more).all(|job| rig.is_accepted(*job)));
}

#[test]
fn what_comes_back_from_a_connection_does_not_count_as_new() {
    let mut rig = Rig::with(10, http2::Config::default());
    let first = rig.submit_all(10, LONG);
    let connection = rig.open(1_000);
    let second = rig.submit_all(1, LONG);
    rig.send(connection, &wire::streams(1));
    let rest = rig.submit_all(10, LONG);
    rig.send(connection, &wire::go_away(0, 0, b""));
    assert_eq!(rig.try_submit(LONG, br#"{"aps":{}}"#), Err(QueueFull));
    // It has answered nothing, so the next one waits.
    rig.advance(secs(1));
    let connection = rig.open(1_000);
    assert_eq!(rig.devices(connection), (0..21).collect::<Vec<_>>());
    rig.open_streams(connection)
        .into_iter()
        .for_each(|stream| rig.accept(connection, stream));
    assert!(
        [first, second, rest]
            .concat()
            .iter()
            .all(|job| rig.is_accepted(*job))
    );
}

#[test]
fn connections_are_bounded() {
    let mut rig = Rig::new();
    for _ in 0..MAX_CONNECTIONS {
        rig.submit(LONG);
        let connection = rig.open(1);
        // The one in flight keeps the connection, which takes nothing more.
        rig.send(connection, &wire::go_away(1, 0, b""));
    }
    let last = rig.submit(LONG);
    rig.advance(secs(3));
    assert_eq!(
        (rig.connects.len(), rig.peers.len()),
        (MAX_CONNECTIONS, MAX_CONNECTIONS)
    );
    let oldest = *rig.peers.keys().next().unwrap();
    rig.accept(oldest, 1);
    let connection = rig.open(1);
    rig.accept(connection, 1);
    assert!(rig.is_accepted(last));
}

#[test]
fn the_token_that_was_set_is_in_the_next_request() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.accept(connection, 1);
    let (first, second) = (token(1), token(2));
    rig.lane.set_token(rig.now, first.clone());
    rig.submit(LONG);
    rig.lane.set_token(rig.now, second.clone());
    rig.submit(LONG);
    let open = &rig.peer(connection).open;
    let sent: Vec<_> = open
        .values()
        .map(|asked| asked.header("authorization"))
        .collect();
    assert_eq!(
        sent,
        [Some(first.authorization()), Some(second.authorization())]
    );
}

#[test]
fn a_request_says_what_apns_asks_for() {
    let (rig, connection) = Rig::flying(1_000, 2);
    for (device, asked) in rig.peer(connection).open.values().enumerate() {
        let names: Vec<_> = asked
            .headers
            .iter()
            .map(|(name, _)| !name.contains("huffman"))
            .collect();
        assert_eq!(names.len(), 7, "{asked:?}");
        assert_eq!(
            (asked.header(":method"), asked.header(":scheme")),
            (Some("POST"), Some("https"))
        );
        assert_eq!(asked.device(), device as u64);
        assert!(asked.complete && asked.body == br#"{"aps":{}}"#);
    }
}

#[test]
fn requests_that_the_peer_has_no_room_for_end_all_at_once() {
    let mut rig = Rig::new();
    let jobs = rig.submit_all(5, LONG);
    let connection = rig.open_silently();
    let small = wire::settings(&[(wire::MAX_HEADER_LIST_SIZE, 50)]);
    rig.send(connection, &[small, wire::settings_ack()].concat());
    assert_eq!(
        rig.open_streams(connection),
        [1],
        "sent before the limit was known"
    );
    jobs[1..]
        .iter()
        .for_each(|job| rig.assert_unanswered(*job, Why::NotSent));
}
