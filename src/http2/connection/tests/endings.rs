//! RST_STREAM in both directions, GOAWAY, and the end of the transport: what became of each stream.

use super::support::*;
use crate::http2::{Config, ConnectionError, ErrorCode, Event, Processed, SendError, StreamId};

fn lost(stream: u32) -> Event {
    Event::Lost {
        stream: StreamId::new(stream),
        request_complete: true,
    }
}

fn unprocessed(stream: u32) -> Event {
    Event::Unprocessed {
        stream: StreamId::new(stream),
    }
}

fn announced(last: u32, code: ErrorCode, debug: &[u8]) -> Event {
    Event::GoAway {
        last_stream: StreamId::new(last),
        code,
        debug: debug.to_vec(),
    }
}

#[test]
fn a_refused_stream_was_not_processed() {
    let mut peer = Peer::new();
    let ids = peer.open(2);
    peer.ok(&reset(ids[0], 7));
    peer.ok(&reset(ids[1], 0xabcd));
    let event = |id, code, processed| {
        let (stream, code) = (StreamId::new(id), ErrorCode::new(code));
        Event::Reset {
            stream,
            code,
            processed,
        }
    };
    assert_eq!(
        peer.events(),
        [
            event(ids[0], 7, Processed::No),
            event(ids[1], 0xabcd, Processed::Maybe)
        ]
    );
    assert_eq!(peer.connection.open_streams(), 0);
    assert!(peer.frames().is_empty());
}

#[test]
fn a_stream_refused_after_its_answer_began_may_have_been_processed() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    peer.ok(&headers(id, 0, STATUS_200));
    peer.ok(&reset(id, 7));
    assert!(matches!(
        peer.events()[1],
        Event::Reset {
            processed: Processed::Maybe,
            ..
        }
    ));
}

/// RFC 9113, 8.1 and 8.7: an interim head is part of an answer, too.
#[test]
fn a_stream_whose_answer_has_begun_is_never_unprocessed() {
    for head in [STATUS_200.to_vec(), block(&[(":status", "103")])] {
        let mut peer = Peer::new();
        let ids = peer.open(4);
        for id in &ids[..3] {
            peer.ok(&headers(*id, 0, &head));
        }
        peer.events();
        peer.ok(&reset(ids[0], 7));
        let refused = Event::Reset {
            stream: StreamId::new(ids[0]),
            code: ErrorCode::REFUSED_STREAM,
            processed: Processed::Maybe,
        };
        assert_eq!(peer.events(), [refused]);
        peer.ok(&go_away(0, 0, b""));
        let events = peer.events();
        assert_eq!(
            events[1..],
            [lost(ids[1]), lost(ids[2]), unprocessed(ids[3])]
        );
    }
}

#[test]
fn after_our_reset_whatever_comes_is_ignored() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    peer.reset(id);
    let sent = peer.frames();
    assert_eq!(summary(&sent), [(RST_STREAM, 0, id, 4)]);
    assert_eq!(sent[0].payload, [0, 0, 0, 8]);
    peer.ok(&headers(id, 0, STATUS_200));
    peer.ok(&data(id, 0, b"late"));
    peer.ok(&window_update(id, 5));
    peer.ok(&headers(id, END_STREAM, &block(&[("a", "b")])));
    peer.ok(&reset(id, 0));
    assert!(peer.events().is_empty() && peer.frames().is_empty());
    // Twice is once, and so is a stream that never was.
    peer.reset(id);
    peer.reset(99);
    peer.reset(0);
    assert!(peer.frames().is_empty());
}

#[test]
fn reset_inside_a_header_block() {
    let mut peer = Peer::new();
    let ids = peer.open(2);
    peer.ok(&frame(HEADERS, 0, ids[0], &[0x88, 0x40, 1, b'a']));
    peer.reset(ids[0]);
    peer.ok(&frame(CONTINUATION, END_HEADERS, ids[0], &[1, b'b']));
    peer.ok(&headers(ids[1], END_STREAM, &[0x88, 0xbe]));
    assert_eq!(ended(&peer.events()), [ids[1]]);
}

#[test]
fn go_away_sorts_the_streams() {
    let mut peer = Peer::new();
    let ids = peer.open(4);
    let debug = br#"{"reason":"BadCertificateEnvironment"}"#;
    peer.ok(&go_away(ids[1], 0, debug));
    assert_eq!(
        peer.events(),
        [
            announced(ids[1], ErrorCode::NO_ERROR, debug),
            unprocessed(ids[2]),
            unprocessed(ids[3])
        ]
    );
    assert!(peer.connection.is_going_away() && !peer.connection.is_closed());
    assert_eq!(
        (
            peer.connection.available_streams(),
            peer.connection.open_streams()
        ),
        (0, 2)
    );
    assert_eq!(peer.try_request(&request(b"")), Err(SendError::GoingAway));
    // Streams below may still be answered, those above are gone.
    peer.ok(&ok(ids[0]));
    peer.ok(&ok(ids[3]));
    assert_eq!(ended(&peer.events()), [ids[0]]);
    peer.connection.handle_eof();
    assert_eq!(peer.events(), [lost(ids[1])]);
}

#[test]
fn a_graceful_end_in_two_steps() {
    let mut peer = Peer::new();
    let ids = peer.open(3);
    peer.ok(&go_away(0x7fff_ffff, 0, b""));
    assert_eq!(
        peer.events(),
        [announced(0x7fff_ffff, ErrorCode::NO_ERROR, b"")]
    );
    assert_eq!(peer.connection.open_streams(), 3);
    peer.ok(&go_away(ids[1], 0, b""));
    let events = peer.events();
    assert_eq!(
        events,
        [
            announced(ids[1], ErrorCode::NO_ERROR, b""),
            unprocessed(ids[2])
        ]
    );
    // The same once more changes nothing, a lower one ends more.
    peer.ok(&go_away(ids[1], 0, b""));
    assert_eq!(peer.events().len(), 1);
    peer.ok(&go_away(0, 2, b""));
    let events = peer.events();
    assert_eq!(events[0], announced(0, ErrorCode::INTERNAL_ERROR, b""));
    assert_eq!(ended(&events), [ids[0], ids[1]]);
}

#[test]
fn the_last_stream_may_not_rise() {
    let mut peer = Peer::new();
    let ids = peer.open(2);
    peer.ok(&go_away(ids[0], 0, b""));
    peer.events();
    let (error, code) = peer.fatal(&go_away(ids[1], 0, b""));
    let (limit, got) = (StreamId::new(ids[0]), StreamId::new(ids[1]));
    assert_eq!(
        (error, code),
        (ConnectionError::GoAwayRaised { limit, got }, 1)
    );
    assert_eq!(peer.events(), [lost(ids[0])]);
}

#[test]
fn debug_data_is_bounded() {
    let mut peer = Peer::new();
    peer.ok(&go_away(0, 11, &[b'x'; 10_000]));
    assert_eq!(
        peer.events(),
        [announced(0, ErrorCode::ENHANCE_YOUR_CALM, &[b'x'; 4_096])]
    );
}

#[test]
fn the_end_of_the_transport_loses_what_is_open() {
    let mut peer = Peer::settled(Config::default(), &[(4, 1)]);
    let (whole, half) = (peer.request(b"x"), peer.request(b"xy"));
    peer.ok(&ok(whole)[..5]);
    peer.connection.handle_eof();
    assert!(peer.connection.is_closed());
    let partly = Event::Lost {
        stream: StreamId::new(half),
        request_complete: false,
    };
    assert_eq!(peer.events(), [lost(whole), partly]);
    assert_eq!(peer.connection.available_streams(), 0);
    assert_eq!(peer.try_request(&request(b"")), Err(SendError::Closed));
    assert_eq!(
        (
            peer.connection.pending_body_bytes(),
            peer.connection.buffered_bytes()
        ),
        (0, 0)
    );
    // Nothing wakes it again.
    peer.connection.handle_eof();
    peer.close();
    peer.ok(&ok(whole));
    peer.reset(whole);
    assert!(peer.events().is_empty());
}

#[test]
fn close_says_goodbye_and_loses_what_is_open() {
    let mut peer = Peer::new();
    let ids = peer.open(2);
    peer.close();
    assert_eq!(summary(&peer.frames()), [(GOAWAY, 0, 0, 8)]);
    assert_eq!(peer.events(), [lost(ids[0]), lost(ids[1])]);
    peer.close();
    peer.ok(&ok(ids[0]));
    assert!(peer.frames().is_empty() && peer.events().is_empty());
}

#[test]
fn an_error_loses_what_is_open_after_what_was_answered() {
    let mut peer = Peer::new();
    let ids = peer.open(3);
    let mut bytes = ok(ids[1]);
    bytes.extend_from_slice(&frame(
        PUSH_PROMISE,
        END_HEADERS,
        ids[0],
        &[0, 0, 0, 2, 0x82],
    ));
    bytes.extend_from_slice(&ok(ids[2]));
    assert_eq!(peer.fatal(&bytes), (ConnectionError::PushPromise, 1));
    let events = peer.events();
    assert_eq!(ended(&events), [ids[1], ids[0], ids[2]]);
    assert_eq!(events[1..], [lost(ids[0]), lost(ids[2])]);
}
