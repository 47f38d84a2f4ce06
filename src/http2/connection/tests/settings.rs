//! SETTINGS of both sides, and everything that has to happen in time.

use core::time::Duration;

use super::support::*;
use crate::http2::{Config, ConnectionError, Event, Fault, Indexing, Request, SendError};
use crate::time::Now;

#[test]
fn settings_are_acknowledged_each_time() {
    let mut peer = Peer::silent(Config::default());
    for _ in 0..3 {
        peer.ok(&settings(&[(3, 100), (0xfff0, 1)]));
        assert_eq!(summary(&peer.frames()), [(SETTINGS, ACK, 0, 0)]);
    }
    assert_eq!(peer.events(), [Event::MaxConcurrentStreams(100)]);
}

#[test]
fn settings_out_of_range_end_the_connection() {
    for (id, value, code) in [
        (2, 1, 1),
        (4, 0x8000_0000, 3),
        (5, 16_383, 1),
        (5, 0x0100_0000, 1),
    ] {
        let mut peer = Peer::new();
        let (error, got) = peer.fatal(&settings(&[(id, value)]));
        assert!(matches!(error, ConnectionError::Setting { got, .. } if got == value));
        assert_eq!(got, code);
    }
    Peer::new().ok(&settings(&[(2, 0), (4, 0x7fff_ffff), (5, 0x00ff_ffff)]));
}

#[test]
fn a_smaller_table_is_announced_in_the_next_block() {
    let mut peer = Peer::new();
    let headers = [header("a", "b", Indexing::Incremental)];
    let request = Request {
        headers: &headers,
        ..request(b"")
    };
    peer.try_request(&request).unwrap();
    let first = peer.frames().remove(0).payload;
    peer.decode(&first);
    peer.ok(&settings(&[(1, 0)]));
    peer.frames();
    peer.try_request(&request).unwrap();
    let second = peer.frames().remove(0).payload;
    assert_eq!(second[0], 0x20);
    let expected = peer.decode(&second);
    // Nothing was indexed, so the same block comes again, without the announcement.
    peer.try_request(&request).unwrap();
    let third = peer.frames().remove(0).payload;
    assert_eq!(third, second[1..]);
    assert_eq!(peer.decode(&third), expected);
    // Growing again is announced, and used.
    peer.ok(&settings(&[(1, 1_000)]));
    peer.frames();
    peer.try_request(&request).unwrap();
    let fourth = peer.frames().remove(0).payload;
    assert_eq!(fourth[..3], [0x3f, 0xc9, 0x07]);
    assert_eq!(peer.decode(&fourth), expected);
    peer.try_request(&request).unwrap();
    let fifth = peer.frames().remove(0).payload;
    assert!(fifth.len() < third.len());
    assert_eq!(peer.decode(&fifth), expected);
}

#[test]
fn our_smaller_table_has_to_be_confirmed_after_the_acknowledgement() {
    let config = Config {
        header_table_size: 0,
        ..Config::default()
    };
    let mut peer = Peer::silent(config.clone());
    peer.ok(&settings(&[]));
    let ids = peer.open(2);
    peer.ok(&headers(
        ids[0],
        END_STREAM,
        &[0x88, 0x40, 1, b'a', 1, b'b'],
    ));
    peer.ok(&frame(SETTINGS, ACK, 0, &[]));
    peer.ok(&headers(ids[1], END_STREAM, &[0x20, 0x88]));
    assert_eq!(ended(&peer.events()), ids);

    let mut peer = Peer::settled(config, &[]);
    let id = peer.open(1)[0];
    assert_eq!(peer.fatal(&ok(id)).1, 9);
}

#[test]
fn an_acknowledgement_nobody_asked_for_is_ignored() {
    let mut peer = Peer::new();
    peer.ok(&frame(SETTINGS, ACK, 0, &[]));
    assert!(peer.frames().is_empty());
}

#[test]
fn settings_have_to_be_acknowledged_in_time() {
    let mut peer = Peer::silent(Config::default());
    let due = Now::ZERO + Duration::from_secs(10);
    assert_eq!(peer.connection.poll_timeout(), Some(due));
    peer.ok(&settings(&[]));
    let id = peer.open(1)[0];
    peer.now = Now::from_nanos(due.as_nanos() - 1);
    assert_eq!(peer.timeout(), Ok(()));
    peer.now = due;
    let error = peer.timeout().unwrap_err();
    assert_eq!(
        (error, error.fault()),
        (ConnectionError::SettingsTimeout, Fault::Silence)
    );
    assert_eq!(peer.frames()[0].payload, [0, 0, 0, 0, 0, 0, 0, 4]);
    assert_eq!(ended(&peer.events()), [id]);
    assert_eq!(
        (peer.connection.poll_timeout(), peer.timeout()),
        (None, Ok(()))
    );
}

#[test]
fn the_acknowledgement_stops_the_clock() {
    let mut peer = Peer::new();
    assert_eq!(peer.connection.poll_timeout(), None);
    peer.now = Now::from_nanos(u64::MAX);
    assert_eq!(peer.timeout(), Ok(()));
}

#[test]
fn pings_of_the_peer_are_answered() {
    let mut peer = Peer::new();
    peer.ok(&frame(PING, 0, 0, b"12345678"));
    let expected = [Sent {
        kind: PING,
        flags: ACK,
        stream: 0,
        payload: b"12345678".to_vec(),
    }];
    assert_eq!(peer.frames(), expected);
    assert!(peer.events().is_empty());
}

#[test]
fn pings_of_ours_have_to_be_answered_in_time() {
    let mut peer = Peer::new();
    peer.ping(b"ping   1").unwrap();
    peer.now = Now::ZERO + Duration::from_secs(5);
    peer.ping(b"ping   2").unwrap();
    assert_eq!(summary(&peer.frames()), [(PING, 0, 0, 8), (PING, 0, 0, 8)]);
    assert_eq!(
        peer.connection.poll_timeout(),
        Some(Now::ZERO + Duration::from_secs(20))
    );
    peer.ok(&frame(PING, ACK, 0, b"ping   1"));
    peer.ok(&frame(PING, ACK, 0, b"whatever"));
    assert_eq!(
        peer.events(),
        [Event::Pong {
            payload: *b"ping   1"
        }]
    );
    peer.now = Now::ZERO + Duration::from_secs(25);
    assert_eq!(peer.connection.poll_timeout(), Some(peer.now));
    assert_eq!(peer.timeout(), Err(ConnectionError::PingTimeout));
    assert_eq!(peer.ping(b"ping   3"), Err(SendError::Closed));
}

#[test]
fn only_so_many_pings_wait() {
    let mut peer = Peer::new();
    for _ in 0..8 {
        peer.ping(b"same one").unwrap();
    }
    assert_eq!(
        peer.ping(b"same one"),
        Err(SendError::TooManyPings { limit: 8 })
    );
    for _ in 0..8 {
        peer.ok(&frame(PING, ACK, 0, b"same one"));
    }
    assert_eq!(
        (peer.events().len(), peer.connection.poll_timeout()),
        (8, None)
    );
}
