//! What a request writes, how many may be open, and which are refused.

use super::support::*;
use crate::http2::{Config, Connection, Event, Indexing, Request, SendError, StreamId};
use crate::time::Now;

#[test]
fn the_connection_begins_with_preface_settings_and_window() {
    let mut out = Vec::new();
    let _ = Connection::new(Config::default(), Now::ZERO, &mut out);
    let rest = out
        .strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    let mut expected = settings(&[(1, 4_096), (2, 0), (4, 65_535), (5, 16_384), (6, 16_384)]);
    expected.extend_from_slice(&window_update(0, (1 << 20) - 65_535));
    assert_eq!(rest, expected);
}

#[test]
fn a_request_octet_by_octet() {
    let mut out = Vec::new();
    let mut connection = Connection::new(Config::default(), Now::ZERO, &mut out);
    out.clear();
    let headers = [
        header("apns-topic", "a", Indexing::Incremental),
        header("authorization", "b", Indexing::Without),
        header("x", "c", Indexing::Never),
    ];
    let request = Request {
        method: "POST",
        scheme: "https",
        authority: "h",
        path: "/3",
        headers: &headers,
        body: b"{}",
    };
    let stream = connection
        .send_request(Now::ZERO, &request, &mut out)
        .unwrap();
    assert_eq!(stream, StreamId::FIRST);
    let mut block = vec![0x83, 0x87];
    block.extend_from_slice(&[0x41, 0x01, b'h']);
    block.extend_from_slice(&[0x04, 0x02, b'/', b'3']);
    // "apns-topic" in Huffman code, which is shorter by three octets.
    block.extend_from_slice(&[0x40, 0x87, 0x1d, 0x75, 0x21, 0x64, 0x9e, 0xb3, 0x13]);
    block.extend_from_slice(&[0x01, b'a']);
    block.extend_from_slice(&[0x0f, 0x08, 0x01, b'b']);
    block.extend_from_slice(&[0x10, 0x01, b'x', 0x01, b'c']);
    let mut expected = frame(HEADERS, END_HEADERS, 1, &block);
    expected.extend_from_slice(&data(1, END_STREAM, b"{}"));
    assert_eq!(out, expected);

    // The second time, everything that may be indexed is one octet each.
    out.clear();
    connection
        .handle_input(Now::ZERO, &settings(&[]), &mut out)
        .unwrap();
    out.clear();
    connection
        .send_request(Now::ZERO, &request, &mut out)
        .unwrap();
    let block = [
        &[0x83, 0x87, 0xbf][..],
        &[0x04, 0x02, b'/', b'3'],
        &[0xbe, 0x0f, 0x08, 0x01, b'b', 0x10, 0x01, b'x', 0x01, b'c'],
    ];
    let mut expected = frame(HEADERS, END_HEADERS, 3, &block.concat());
    expected.extend_from_slice(&data(3, END_STREAM, b"{}"));
    assert_eq!(out, expected);
}

#[test]
fn a_request_without_body_is_one_frame() {
    let mut peer = Peer::new();
    peer.request(b"");
    let frames = peer.frames();
    assert_eq!(frames.len(), 1);
    assert_eq!(
        (frames[0].kind, frames[0].flags),
        (HEADERS, END_HEADERS | END_STREAM)
    );
}

#[test]
fn a_long_header_block_is_continued() {
    let mut peer = Peer::new();
    let value = "x".repeat(40_000);
    let headers = [header("a", &value, Indexing::Without)];
    let stream = peer
        .try_request(&Request {
            headers: &headers,
            ..request(b"")
        })
        .unwrap();
    let frames = peer.frames();
    let kinds: Vec<_> = frames.iter().map(|f| (f.kind, f.flags, f.stream)).collect();
    assert_eq!(
        kinds,
        [
            (HEADERS, END_STREAM, stream),
            (CONTINUATION, 0, stream),
            (CONTINUATION, END_HEADERS, stream)
        ]
    );
    assert!(frames.iter().all(|f| f.payload.len() <= 16_384));
    let block: Vec<u8> = frames.into_iter().flat_map(|f| f.payload).collect();
    let fields = peer.decode(&block);
    assert_eq!(fields.last().unwrap(), &("a".to_string(), value));
}

#[test]
fn one_stream_until_the_settings_arrive() {
    let mut peer = Peer::silent(Config::default());
    assert_eq!(
        (
            peer.connection.available_streams(),
            peer.connection.open_streams()
        ),
        (1, 0)
    );
    assert!(!peer.connection.is_settings_received());
    peer.request(b"{}");
    assert_eq!(peer.connection.available_streams(), 0);
    let error = SendError::TooManyStreams { limit: 1, open: 1 };
    assert_eq!(peer.try_request(&request(b"{}")), Err(error));
    peer.ok(&settings(&[(3, 1_000)]));
    assert!(peer.connection.is_settings_received());
    assert_eq!(peer.events(), [Event::MaxConcurrentStreams(1_000)]);
    assert_eq!(peer.connection.available_streams(), 999);
}

#[test]
fn settings_without_a_limit_mean_none() {
    let mut peer = Peer::silent(Config::default());
    peer.ok(&settings(&[]));
    assert_eq!(peer.events(), [Event::MaxConcurrentStreams(u32::MAX)]);
    assert_eq!(peer.connection.available_streams(), 4_096);
    // Later frames that do not mention it change nothing.
    peer.ok(&settings(&[(3, 7)]));
    peer.ok(&settings(&[]));
    assert_eq!(peer.events(), [Event::MaxConcurrentStreams(7)]);
}

#[test]
fn the_limit_moves_1000_1_500() {
    let mut peer = Peer::settled(Config::default(), &[(3, 1_000)]);
    let ids = peer.open(10);
    peer.ok(&settings(&[(3, 1)]));
    assert_eq!(peer.events(), [Event::MaxConcurrentStreams(1)]);
    assert_eq!(
        (
            peer.connection.available_streams(),
            peer.connection.open_streams()
        ),
        (0, 10)
    );
    assert!(matches!(
        peer.try_request(&request(b"")),
        Err(SendError::TooManyStreams { limit: 1, open: 10 })
    ));
    // Open streams are not harmed; one may be opened when all have ended.
    for &id in &ids[..9] {
        peer.ok(&ok(id));
        assert_eq!(peer.connection.available_streams(), 0);
    }
    peer.ok(&ok(ids[9]));
    assert_eq!(peer.connection.available_streams(), 1);
    assert_eq!(ended(&peer.events()), ids);
    peer.ok(&settings(&[(3, 500)]));
    assert_eq!(peer.connection.available_streams(), 500);
    peer.open(500);
    assert_eq!(peer.connection.available_streams(), 0);
    peer.ok(&settings(&[(3, 0)]));
    assert_eq!(peer.connection.max_concurrent_streams(), 0);
}

#[test]
fn our_own_limit_on_streams() {
    let config = Config {
        max_open_streams: 2,
        ..Config::default()
    };
    let mut peer = Peer::settled(config, &[]);
    peer.open(2);
    let error = SendError::TooManyStreams { limit: 2, open: 2 };
    assert_eq!(peer.try_request(&request(b"")), Err(error));
}

#[test]
fn identifiers_run_out() {
    let mut peer = Peer::new();
    peer.connection.next_stream = Some(StreamId::new(0x7fff_fffd));
    assert_eq!(peer.connection.available_streams(), 2);
    assert_eq!(peer.request(b""), 0x7fff_fffd);
    assert_eq!(peer.connection.available_streams(), 1);
    assert_eq!(peer.request(b""), 0x7fff_ffff);
    assert_eq!(peer.connection.available_streams(), 0);
    assert_eq!(
        peer.try_request(&request(b"")),
        Err(SendError::StreamIdsExhausted)
    );
    peer.ok(&ok(0x7fff_ffff));
    assert_eq!(ended(&peer.events()), [0x7fff_ffff]);
}

#[test]
fn refused_requests_leave_no_trace() {
    let config = Config {
        max_body: 10,
        ..Config::default()
    };
    let mut peer = Peer::settled(config, &[(6, 200)]);
    let big = "x".repeat(100);
    let cases = [
        (
            request(&[0; 11]),
            SendError::BodyTooLarge { limit: 10, got: 11 },
        ),
        (
            Request {
                path: "a",
                ..request(b"")
            },
            SendError::InvalidPseudoHeader(":path"),
        ),
        (
            Request {
                headers: &[header("A", "", Indexing::Incremental)],
                ..request(b"")
            },
            SendError::InvalidHeader { index: 0 },
        ),
        (
            Request {
                headers: &[header("a", &big, Indexing::Incremental)],
                ..request(b"")
            },
            SendError::HeaderListTooLarge {
                limit: 200,
                got: 4 * 32 + 11 + 12 + 21 + 7 + 133,
            },
        ),
    ];
    for (request, error) in cases {
        assert_eq!(peer.try_request(&request), Err(error));
        assert_eq!(
            (peer.frames().len(), peer.connection.open_streams()),
            (0, 0)
        );
    }
    assert_eq!(peer.request(b""), 1);
}
