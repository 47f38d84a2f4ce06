//! Where input is split changes nothing: need more, then the same events and the same answers.

use super::support::*;
use crate::http2::{Config, ConnectionError, Event};

/// One of everything a server may send to streams 1 to 15.
fn conversation() -> Vec<u8> {
    [
        settings(&[(3, 100), (4, 20), (1, 100), (0xf0f0, 1)]),
        frame(SETTINGS, ACK, 0, &[]),
        headers(1, END_STREAM, STATUS_200),
        frame(PING, 0, 0, b"12345678"),
        frame(HEADERS, 0, 3, &[0x88, 0x40, 1, b'a']),
        frame(CONTINUATION, 0, 3, &[]),
        frame(CONTINUATION, END_HEADERS, 3, &[1, b'b']),
        data(3, PADDED, &[2, b'x', b'y', 0, 0]),
        data(3, END_STREAM, b"z"),
        headers(5, 0, &block(&[(":status", "103")])),
        headers(5, 0, &[0x48, 3, b'4', b'1', b'0', 0xbe]),
        data(5, 0, &[7; 300]),
        headers(5, END_STREAM, &block(&[("x", "y")])),
        reset(7, 7),
        window_update(9, 30),
        window_update(0, 30),
        frame(0xf0, 0xff, 0x7fff_ffff, b"unknown"),
        frame(PRIORITY, 0, 9, &[0; 5]),
        headers(9, END_STREAM, &block(&[("a", "no status")])),
        settings(&[(3, 1)]),
        go_away(11, 0, br#"{"reason":"Shutdown"}"#),
        headers(11, END_STREAM, STATUS_200),
        go_away(0, 0, b""),
    ]
    .concat()
}

/// Everything observable after the pieces, in their order.
fn observe<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Result<(), ConnectionError>, Vec<Event>, Vec<Sent>) {
    let mut peer = Peer::silent(Config {
        assumed_max_concurrent_streams: 8,
        ..Config::default()
    });
    for _ in 0..8 {
        peer.request(&[b'q'; 40]);
    }
    let mut result = Ok(());
    for piece in pieces {
        result = result.and(peer.send(piece));
    }
    (result, peer.events(), peer.frames())
}

#[test]
fn the_conversation_is_what_it_says() {
    let (result, events, _) = observe([&conversation()[..]]);
    assert_eq!(result, Ok(()));
    assert_eq!(ended(&events), [1, 3, 5, 7, 9, 13, 15, 11]);
    assert_eq!(
        events
            .iter()
            .filter(|e| matches!(e, Event::GoAway { .. }))
            .count(),
        2
    );
}

#[test]
fn any_split_in_two() {
    let bytes = conversation();
    let whole = observe([&bytes[..]]);
    for cut in 0..=bytes.len() {
        assert_eq!(
            observe([&bytes[..cut], &bytes[cut..]]),
            whole,
            "cut at {cut}"
        );
    }
}

#[test]
fn one_octet_at_a_time() {
    let bytes = conversation();
    for size in [1, 2, 3, 8, 9, 10, 17] {
        assert_eq!(
            observe(bytes.chunks(size)),
            observe([&bytes[..]]),
            "pieces of {size}"
        );
    }
}

#[test]
fn errors_too() {
    for broken in [
        frame(PUSH_PROMISE, 0, 1, &[0; 4]),
        frame(DATA, 0, 1, &[0; 16_385]),
        headers(13, END_STREAM, &[0xff, 0xff]),
        ok(2),
    ] {
        let bytes = [conversation(), broken, ok(13)].concat();
        let whole = observe([&bytes[..]]);
        assert!(whole.0.is_err());
        for cut in 0..=bytes.len() {
            assert_eq!(
                observe([&bytes[..cut], &bytes[cut..]]),
                whole,
                "cut at {cut}"
            );
        }
        assert_eq!(observe(bytes.chunks(1)), whole);
    }
}

#[test]
fn every_prefix_of_every_frame_needs_more() {
    let (frames, rest) = parse_frames(&conversation());
    assert_eq!(rest, 0);
    for sent in frames {
        let bytes = frame(sent.kind, sent.flags, sent.stream, &sent.payload);
        for len in 0..bytes.len() {
            let config = Config {
                assumed_max_concurrent_streams: 8,
                ..Config::default()
            };
            let mut peer = Peer::settled(config, &[]);
            peer.open(8);
            if sent.kind == CONTINUATION {
                peer.ok(&frame(HEADERS, 0, sent.stream, &[]));
            }
            peer.ok(&bytes[..len]);
            assert!(
                peer.events().is_empty() && peer.frames().is_empty(),
                "{len} of {sent:?}"
            );
            assert_eq!(peer.connection.buffered_bytes(), len);
        }
    }
}
