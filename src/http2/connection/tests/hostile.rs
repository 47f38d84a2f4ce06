//! Broken frames, frames where they do not belong, and floods.

use core::time::Duration;

use super::support::*;
use crate::http2::{Config, ConnectionError, Event, Fault, FrameType, HpackError};
use crate::time::Now;

/// The code that ends a connection with stream 1 open.
fn code(frames: &[u8]) -> u32 {
    let mut peer = Peer::new();
    peer.open(1);
    let (_, code) = peer.fatal(frames);
    assert_eq!(ended(&peer.events()), [1], "the open stream ends once");
    code
}

const PROTOCOL_ERROR: u32 = 1;
const FRAME_SIZE_ERROR: u32 = 6;
const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

#[test]
fn the_first_frame_has_to_be_settings() {
    for first in [
        ok(1),
        frame(SETTINGS, ACK, 0, &[]),
        frame(0xf0, 0, 0, &[]),
        go_away(0, 0, b""),
    ] {
        let mut peer = Peer::silent(Config::default());
        let (error, code) = peer.fatal(&first);
        assert!(matches!(error, ConnectionError::NotHttp2 { .. }));
        assert_eq!(code, PROTOCOL_ERROR);
    }
    let mut peer = Peer::silent(Config::default());
    let (error, _) = peer.fatal(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(
        error,
        ConnectionError::NotHttp2 {
            head: *b"HTTP/1.1 "
        }
    );
}

#[test]
fn frames_above_our_size_are_refused_by_their_head() {
    let head = &frame(DATA, 0, 1, &[0; 16_385])[..9];
    assert_eq!(code(head), FRAME_SIZE_ERROR);
    let mut peer = Peer::new();
    let (error, _) = peer.fatal(head);
    let kind = FrameType::DATA;
    assert_eq!(
        error,
        ConnectionError::FrameTooLarge {
            kind,
            limit: 16_384,
            got: 16_385
        }
    );
    // Unknown types are no exception.
    assert_eq!(
        code(&frame(0xf0, 0, 0, &[0; 16_385])[..9]),
        FRAME_SIZE_ERROR
    );
}

#[test]
fn lengths_that_cannot_be() {
    for frame in [
        frame(RST_STREAM, 0, 1, &[0; 3]),
        frame(PING, 0, 0, &[0; 7]),
        frame(SETTINGS, 0, 0, &[0; 5]),
        frame(SETTINGS, ACK, 0, &[0; 6]),
        frame(WINDOW_UPDATE, 0, 0, &[0; 5]),
        frame(GOAWAY, 0, 0, &[0; 7]),
        frame(PRIORITY, 0, 1, &[0; 4]),
        frame(DATA, PADDED, 1, &[]),
    ] {
        assert_eq!(code(&frame), FRAME_SIZE_ERROR);
    }
}

#[test]
fn padding_longer_than_the_frame() {
    assert_eq!(code(&frame(DATA, PADDED, 1, &[3, 0, 0])), PROTOCOL_ERROR);
    assert_eq!(
        code(&frame(HEADERS, PADDED | END_HEADERS, 1, &[9, 0x88])),
        PROTOCOL_ERROR
    );
}

#[test]
fn frames_on_the_wrong_stream() {
    for frame in [
        frame(DATA, 0, 0, b"x"),
        frame(HEADERS, END_HEADERS, 0, STATUS_200),
        frame(RST_STREAM, 0, 0, &[0; 4]),
        frame(PRIORITY, 0, 0, &[0; 5]),
        frame(SETTINGS, 0, 1, &[]),
        frame(PING, 0, 1, &[0; 8]),
        frame(GOAWAY, 0, 1, &[0; 8]),
    ] {
        assert_eq!(code(&frame), PROTOCOL_ERROR);
    }
}

#[test]
fn streams_that_nobody_opened() {
    for stream in [2, 3, 0x7fff_fffe, 0x7fff_ffff] {
        for frame in [
            ok(stream),
            data(stream, 0, b"x"),
            reset(stream, 0),
            window_update(stream, 1),
        ] {
            assert_eq!(code(&frame), PROTOCOL_ERROR, "{stream}");
        }
        // PRIORITY may come for any stream (5.1).
        Peer::new().ok(&frame(PRIORITY, 0, stream, &[0; 5]));
    }
}

#[test]
fn push_is_refused() {
    let promise = frame(
        PUSH_PROMISE,
        END_HEADERS,
        1,
        &[0, 0, 0, 2, 0x82, 0x87, 0x84],
    );
    assert_eq!(code(&promise), PROTOCOL_ERROR);
}

#[test]
fn nothing_may_come_inside_a_header_block() {
    let begin = frame(HEADERS, 0, 1, STATUS_200);
    for inside in [
        ok(1),
        data(1, 0, b"x"),
        frame(PING, 0, 0, &[0; 8]),
        settings(&[]),
        window_update(0, 1),
        reset(1, 8),
        frame(0xf0, 0, 0, &[]),
        frame(CONTINUATION, END_HEADERS, 3, &[]),
        frame(CONTINUATION, END_HEADERS, 0, &[]),
    ] {
        assert_eq!(code(&[begin.clone(), inside].concat()), PROTOCOL_ERROR);
    }
    assert_eq!(
        code(&frame(CONTINUATION, END_HEADERS, 1, &[])),
        PROTOCOL_ERROR
    );
    let after = [
        frame(HEADERS, END_HEADERS, 1, STATUS_200),
        frame(CONTINUATION, 0, 1, &[]),
    ];
    assert_eq!(code(&after.concat()), PROTOCOL_ERROR);
}

#[test]
fn blocks_that_do_not_decompress() {
    for block in [
        &[0xff][..],
        &[0xbe],
        &[0x40],
        &[0x88, 0x20],
        &[0x00, 0x81, 0x00, 0x00],
    ] {
        assert_eq!(code(&headers(1, END_STREAM, block)), COMPRESSION_ERROR);
    }
    // Also when nobody waits for the response.
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    peer.reset(id);
    let (error, _) = peer.fatal(&headers(id, 0, &[0x80]));
    let expected = HpackError::Index { limit: 61, got: 0 };
    assert_eq!(error, ConnectionError::Compression(expected));
}

#[test]
fn unknown_frames_and_priority_are_ignored() {
    let mut peer = Peer::new();
    peer.open(1);
    peer.ok(&frame(0xf0, 0xff, 1, b"whatever"));
    peer.ok(&frame(0x0a, 0, 0, &[]));
    peer.ok(&frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 0]));
    assert!(peer.frames().is_empty() && peer.events().is_empty());
    // The reserved bit of the stream number is not looked at.
    peer.ok(&headers(0x8000_0001, END_STREAM, STATUS_200));
    assert_eq!(ended(&peer.events()), [1]);
}

#[test]
fn header_blocks_are_bounded_in_octets() {
    let config = Config {
        max_header_list_size: 1_000,
        ..Config::default()
    };
    let mut peer = Peer::settled(config, &[]);
    peer.open(1);
    peer.ok(&frame(HEADERS, 0, 1, &[0; 1_500]));
    let (error, code) = peer.fatal(&frame(CONTINUATION, 0, 1, &[0; 501]));
    assert_eq!(
        error,
        ConnectionError::BlockTooLarge {
            limit: 2_000,
            got: 2_001
        }
    );
    assert_eq!(code, ENHANCE_YOUR_CALM);
}

#[test]
fn header_blocks_are_bounded_in_frames() {
    let mut peer = Peer::new();
    peer.open(1);
    peer.ok(&frame(HEADERS, 0, 1, STATUS_200));
    for _ in 0..32 {
        peer.ok(&frame(CONTINUATION, 0, 1, &[]));
    }
    let (error, code) = peer.fatal(&frame(CONTINUATION, END_HEADERS, 1, &[]));
    assert_eq!(error, ConnectionError::TooManyContinuations { limit: 32 });
    assert_eq!(code, ENHANCE_YOUR_CALM);
}

/// How often `flood` can be sent before it is too much.
fn endured(peer: &mut Peer, flood: &[u8]) -> u32 {
    for count in 0..10_000 {
        if let Err(error) = peer.send(flood) {
            assert!(matches!(error, ConnectionError::Flood { .. }), "{error}");
            let sent = peer.frames();
            assert_eq!(
                sent.last().unwrap().payload[4..],
                ENHANCE_YOUR_CALM.to_be_bytes()
            );
            return count;
        }
    }
    panic!("endless");
}

#[test]
fn floods_are_stopped() {
    for (name, flood, expected) in [
        ("ping", frame(PING, 0, 0, &[0; 8]), 4_000),
        ("ping answers", frame(PING, ACK, 0, &[0; 8]), 4_000),
        ("unknown", frame(0xf0, 0, 0, &[]), 4_000),
        ("priority", frame(PRIORITY, 0, 1, &[0; 5]), 4_000),
        ("settings", settings(&[]), 500),
        ("settings answers", frame(SETTINGS, ACK, 0, &[]), 500),
        ("window", window_update(0, 1), 4_000),
        ("window of a stream", window_update(1, 1), 4_000),
        ("empty data", data(1, 0, b""), 4_000),
        ("padding", data(1, PADDED, &[1, 0]), 4_000),
        ("go away", go_away(0x7fff_ffff, 0, b""), 4_000),
        (
            "interim",
            headers(1, 0, &block(&[(":status", "103")])),
            1_000,
        ),
        ("late heads", ok(3), 4_000),
        ("late data", data(3, 0, b"x"), 4_000),
        ("late resets", reset(3, 8), 4_000),
    ] {
        // Stream 1 is open, with its head seen where that matters; stream 3 has ended.
        let mut peer = Peer::new();
        peer.open(2);
        peer.ok(&ok(3));
        if name == "empty data" || name == "padding" {
            peer.ok(&headers(1, 0, STATUS_200));
        }
        peer.events();
        // Answers are read, and events polled, as a caller would.
        let mut count = 0;
        while count < 10_000 && peer.send(&flood).is_ok() {
            peer.events();
            count += 1;
        }
        assert_eq!(count, expected, "{name}");
        assert!(peer.connection.is_closed());
        assert_eq!(ended(&peer.events()), [1], "{name}");
    }
}

#[test]
fn time_and_use_pay_for_overhead() {
    let mut peer = Peer::new();
    let ping = frame(PING, 0, 0, &[0; 8]);
    for second in 1..200_u64 {
        peer.now = Now::ZERO + Duration::from_secs(second);
        for _ in 0..100 {
            peer.ok(&ping);
        }
    }
    // At a standstill, eight for each request and eight for each response, but never above the
    // burst; the last response pays for eight of the last fifteen.
    for _ in 0..1_000 {
        let id = peer.request(b"{}");
        for _ in 0..15 {
            peer.ok(&ping);
        }
        peer.ok(&ok(id));
        peer.events();
    }
    assert_eq!(endured(&mut peer, &ping), 4_000 - 15 + 8);
}

#[test]
fn tiny_windows_do_not_pay_for_themselves() {
    let mut peer = Peer::settled(Config::default(), &[(4, 0)]);
    let id = peer.request(&[0; 100_000]);
    assert_eq!(endured(&mut peer, &window_update(id, 1)), 4_000);
}

#[test]
fn large_bodies_pay_for_their_window_updates() {
    let mut peer = Peer::new();
    for _ in 0..40 {
        let id = peer.request(&[0; 1 << 20]);
        while peer.connection.pending_body_bytes() > 0 {
            peer.ok(&window_update(0, 16_384));
            peer.ok(&window_update(id, 16_384));
        }
        peer.frames();
        peer.ok(&window_update(0, 65_535));
        peer.ok(&ok(id));
        peer.events();
    }
}

#[test]
fn events_that_are_not_polled_end_the_connection() {
    let config = Config {
        max_event_bytes: 10_000,
        ..Config::default()
    };
    let mut peer = Peer::settled(config, &[]);
    peer.open(1);
    peer.ok(&headers(1, 0, STATUS_200));
    peer.ok(&data(1, 0, &[0; 9_000]));
    let (error, code) = peer.fatal(&data(1, 0, &[0; 1_000]));
    assert_eq!(error, ConnectionError::EventsNotPolled { limit: 10_000 });
    assert_eq!((error.fault(), code), (Fault::Caller, ENHANCE_YOUR_CALM));
    let events = peer.events();
    assert_eq!((ended(&events), events.len()), (vec![1], 4));
    assert!(matches!(events[3], Event::Lost { .. }));
}
