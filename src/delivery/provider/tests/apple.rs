//! What Apple asks of connections, rule by rule, where no other file here has it.
//!
//! Source: `docs/protocols.md`, section 3.1; Apple, *Sending notification requests to APNs* (SEND)
//! and *Establishing a token-based connection to APNs* (TOKEN).

use core::time::Duration;
use std::sync::Arc;

use super::support::{LONG, Rig, config, secs, token, token_of_team};
use super::wire;
use crate::delivery::ids::ConnectionId;
use crate::notification::{
    ApnsId, CollapseId, DeviceToken, Draft, Expiration, Payload, PushType, Topic,
};
use crate::provider::Why;
use crate::time::UnixTime;

/// What the wall clock shows when the tests begin, and when their token was issued.
const NOON: u64 = 784_111_777;

pub(super) fn with_token() -> Rig {
    let mut rig = Rig::configured(config(3));
    rig.lane.set_clock(rig.now, UnixTime::from_secs(NOON));
    rig.set_token(token(NOON));
    rig
}

/// Three connections that have answered something, each with a request on it.
fn three_proven() -> (Rig, [ConnectionId; 3]) {
    let mut rig = with_token();
    rig.submit_all(40, LONG);
    let connections = [0; 3].map(|_| {
        let connection = rig.open(2);
        let first = rig.only_stream(connection);
        rig.accept(connection, first);
        rig.advance(Duration::from_millis(100));
        connection
    });
    (rig, connections)
}

/// SEND: "APNs ignores PRIORITY frames, so don't send them." The reader of the tests takes no
/// priority in HEADERS, and no frame that it does not know.
#[test]
fn no_priority_is_sent() {
    let (mut rig, connection) = Rig::flying(1_000, 5);
    rig.submit(secs(1));
    rig.advance(secs(3_700));
    let kinds: Vec<u8> = rig.gone[&connection].kinds.iter().copied().collect();
    let expected = [
        wire::DATA,
        wire::HEADERS,
        wire::RST_STREAM,
        wire::SETTINGS,
        wire::PING,
        wire::GOAWAY,
        wire::WINDOW_UPDATE,
    ];
    assert_eq!(kinds, expected);
}

/// SEND: what is the same in many requests is sent with incremental indexing. What is not would
/// push it out of the table, and is not there: device, provider token, and, against SEND, not for
/// the first time either, identifier, expiration and collapse identifier.
#[test]
fn what_differs_from_request_to_request_enters_no_table() {
    let mut rig = with_token();
    for number in 0..20 {
        let token = DeviceToken::from_bytes(&[number; 8]).unwrap();
        let topic = Topic::parse("com.example.app").unwrap();
        let payload = Payload::parse(br#"{"aps":{"alert":"a"}}"#).unwrap();
        let collapse_id = CollapseId::parse(&format!("game {number}")).unwrap();
        let draft = Draft::new(token, topic, payload)
            .push_type(PushType::Alert)
            .id(ApnsId::from_random([number; 16]))
            .expiration(Expiration::from_unix_secs(NOON + u64::from(number)).unwrap())
            .collapse_id(collapse_id);
        rig.push(LONG, Arc::new(draft.build().unwrap()));
    }
    let connection = rig.open(1_000);
    rig.accept(connection, 1);
    let asked = &rig.peer(connection).open[&39];
    assert_eq!(asked.header("apns-collapse-id"), Some("game 19"));
    // Authority, topic, push type and priority, each once.
    assert_eq!(rig.peer(connection).table.len(), 4);
    assert_eq!(rig.peer(connection).order.len(), 20);
}

/// TOKEN: "Never multiple teams over one connection." SEND: the first push binds it.
#[test]
fn another_team_never_goes_on_the_same_connection() {
    let mut rig = with_token();
    let first = rig.submit(LONG);
    let old = rig.open(1_000);
    rig.accept(old, 1);
    let second = rig.submit(LONG);
    // The same key identifier: nobody but Apple knows whose it is.
    rig.set_token(token_of_team("4Z24IP123A", "1QBCDJ9RST", NOON));
    let third = rig.submit(LONG);
    let new = rig.open(1_000);
    assert_eq!((rig.devices(old), rig.devices(new)), (vec![1], vec![2]));
    rig.accept(old, 3);
    rig.accept(new, 1);
    for job in [first, second, third] {
        assert!(rig.is_accepted(job));
    }
}

#[test]
fn an_idle_connection_is_closed_when_another_key_comes() {
    let mut rig = with_token();
    rig.submit(LONG);
    let old = rig.open(1_000);
    rig.accept(old, 1);
    rig.set_token(token_of_team("4Z24IP123A", "1QBCDJ9RST", NOON));
    assert_eq!(rig.closed, [old], "it would carry nothing any more");
    assert_eq!(rig.gone[&old].farewell, Some(0));
}

/// SEND and TOKEN, on a key or certificate that was revoked: close all connections, open new ones.
#[test]
fn a_credential_that_is_refused_on_one_connection_closes_all() {
    for reason in ["InvalidProviderToken", "BadCertificateEnvironment"] {
        let (mut rig, connections) = three_proven();
        assert_eq!(rig.connections(), connections);
        rig.submit_all(20, LONG);
        let opened: Vec<_> = connections
            .map(|connection| rig.peer(connection).order.len())
            .into();
        let stream = rig.open_streams(connections[1])[0];
        rig.reject(connections[1], stream, 403, reason);
        assert!(rig.closed.is_empty(), "what is on them has its answer yet");
        for connection in connections {
            while rig.peers.contains_key(&connection) {
                let stream = rig.open_streams(connection)[0];
                rig.accept(connection, stream);
            }
        }
        assert_eq!(rig.closed.len(), 3, "{reason}");
        let then: Vec<_> = connections
            .map(|connection| rig.gone[&connection].order.len())
            .into();
        assert_eq!(then, opened, "nothing new went out on them");
        rig.advance(secs(1));
        let connection = rig.open(1_000);
        assert_eq!(
            rig.open_streams(connection),
            [1],
            "and carefully on the next"
        );
    }
}

/// The same where APNs says so in a GOAWAY, while the others have nothing to do.
#[test]
fn a_credential_that_is_refused_in_a_goaway_closes_those_that_are_idle() {
    let (mut rig, connections) = three_proven();
    for connection in connections {
        while !rig.open_streams(connection).is_empty() {
            let stream = rig.open_streams(connection)[0];
            rig.accept(connection, stream);
        }
    }
    assert!(rig.lane.is_idle());
    let debug = br#"{"reason":"BadCertificate"}"#;
    rig.send(connections[0], &wire::go_away(0, 0, debug));
    rig.closed.sort_unstable();
    assert_eq!(rig.closed, connections);
    rig.advance(secs(7_200));
    assert_eq!(rig.connects.len(), 3, "nobody needs another");
}

/// A platform may stop an instance between two requests, and go on with it hours later: neither
/// timers nor the peer's close were seen meanwhile.
#[test]
fn an_instance_that_was_frozen_for_hours_loses_nothing() {
    let (mut rig, old) = Rig::flying(1_000, 1);
    rig.accept(old, 1);
    rig.now = rig.now + secs(3 * 3_600);
    let jobs = rig.submit_all(3, secs(60));
    assert_eq!(
        rig.open_streams(old),
        [0; 0],
        "it has to show first that it is there"
    );
    rig.advance(secs(1));
    let new = rig.open(1_000);
    for stream in rig.open_streams(new) {
        rig.accept(new, stream);
    }
    assert!(jobs.iter().all(|job| rig.is_accepted(*job)));
    rig.advance(secs(60));
    assert_eq!(
        (rig.closed.clone(), rig.connections()),
        (vec![old], vec![new])
    );
}

/// The same with a request on the way when it was stopped: it ends at once, and is not sent again.
#[test]
fn what_was_on_its_way_when_an_instance_was_frozen_ends_when_it_goes_on() {
    let (mut rig, old) = Rig::flying(1_000, 1);
    rig.accept(old, 1);
    let lost = rig.submit(secs(60));
    rig.now = rig.now + secs(3 * 3_600);
    rig.advance(Duration::ZERO);
    rig.assert_unanswered(lost, Why::TimedOut);
    rig.advance(secs(60));
    assert_eq!((rig.closed.clone(), rig.connects.len()), (vec![old], 1));
}

/// `docs/protocols.md` 3.5: "410 is not an error condition", and a 4xx is the caller's.
#[test]
fn refusals_of_devices_stop_nothing() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.accept(connection, 1);
    for number in 0..200 {
        let job = rig.submit(LONG);
        let (status, reason) = [
            (410, "Unregistered"),
            (410, "ExpiredToken"),
            (400, "BadDeviceToken"),
            (400, "DeviceTokenNotForTopic"),
        ][number % 4];
        let stream = rig.only_stream(connection);
        rig.reject(connection, stream, status, reason);
        assert_eq!(rig.reason(job), Some(reason));
    }
    assert!(!rig.lane.status().breaker_open && rig.lane.trouble().is_none());
    assert_eq!((rig.closed.len(), rig.connects.len()), (0, 1));
}

/// `docs/protocols.md` 3.5: too many errors, and APNs disconnects; sooner for `BadDeviceToken`.
#[test]
fn an_apns_that_disconnects_after_bad_tokens_loses_nothing_else() {
    let (mut rig, old) = Rig::flying(1_000, 10);
    for stream in [1, 3, 5] {
        rig.reject(old, stream, 400, "BadDeviceToken");
    }
    // What it had taken is answered, the rest is named as not processed.
    rig.send(old, &wire::go_away(9, 11, b""));
    for stream in [7, 9] {
        rig.accept(old, stream);
    }
    assert_eq!(rig.closed, [old]);
    let new = rig.open(1_000);
    assert_eq!(rig.devices(new), [5, 6, 7, 8, 9]);
    for stream in rig.open_streams(new) {
        rig.accept(new, stream);
    }
    for (number, job) in rig.jobs.iter().enumerate() {
        let is_bad = rig.reason(*job) == Some("BadDeviceToken");
        assert!(is_bad != rig.is_accepted(*job) && is_bad == (number < 3));
    }
}
