//! Response heads, bodies and trailers, and what makes them malformed.

use super::support::*;
use crate::http2::{Config, Event, HeaderList, Malformed, Request, StreamId};

fn malformed(peer: &mut Peer, id: u32, frames: &[u8]) -> Malformed {
    peer.frames();
    peer.ok(frames);
    let events = peer.events();
    let Some(Event::Malformed { stream, reason }) = events.last() else {
        panic!("not malformed: {events:?}");
    };
    assert_eq!(stream.value(), id);
    assert_eq!(ended(&events), [id]);
    let sent = peer.frames();
    let last = sent.last().unwrap();
    assert_eq!((last.kind, last.stream), (RST_STREAM, id));
    assert_eq!(last.payload, reason.code().value().to_be_bytes());
    *reason
}

/// What the first of these frames on a new stream, and the others after it, are refused for.
fn refused(frames: &dyn Fn(u32) -> Vec<u8>) -> Malformed {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    let reason = malformed(&mut peer, id, &frames(id));
    // The connection goes on.
    let next = peer.request(b"");
    peer.ok(&ok(next));
    assert_eq!(ended(&peer.events()), [next]);
    reason
}

#[test]
fn a_head_alone() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    let block = block(&[(":status", "200"), ("apns-id", "abc")]);
    peer.ok(&headers(id, END_STREAM, &block));
    let events = peer.events();
    let [
        Event::Response {
            stream,
            status: 200,
            headers,
            end_stream: true,
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(stream.value(), id);
    assert_eq!(headers.get_str("apns-id"), Some("abc"));
    assert_eq!(headers.len(), 1);
    assert_eq!(peer.connection.open_streams(), 0);
    assert!(peer.frames().is_empty());
}

#[test]
fn head_body_and_trailers() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    let stream = StreamId::new(id);
    peer.ok(&headers(
        id,
        0,
        &block(&[(":status", "400"), ("content-length", "5")]),
    ));
    peer.ok(&data(id, 0, b"abc"));
    peer.ok(&data(id, 0, b"de"));
    peer.ok(&headers(id, END_STREAM, &block(&[("x", "y")])));
    let events = peer.events();
    assert!(matches!(
        events[0],
        Event::Response {
            status: 400,
            end_stream: false,
            ..
        }
    ));
    assert_eq!(
        events[1],
        Event::Data {
            stream,
            bytes: b"abc".to_vec(),
            end_stream: false
        }
    );
    assert_eq!(
        events[2],
        Event::Data {
            stream,
            bytes: b"de".to_vec(),
            end_stream: false
        }
    );
    let Event::Trailers { headers, .. } = &events[3] else {
        panic!("{events:?}")
    };
    assert_eq!(headers.get_str("x"), Some("y"));
    assert_eq!(ended(&events), [id]);
}

#[test]
fn an_empty_last_data_frame_ends_the_stream() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    peer.ok(&headers(id, 0, STATUS_200));
    peer.ok(&data(id, 0, b""));
    peer.ok(&data(id, END_STREAM, b""));
    let stream = StreamId::new(id);
    let (headers, status) = (HeaderList::new(), 200);
    assert_eq!(
        peer.events(),
        [
            Event::Response {
                stream,
                status,
                headers,
                end_stream: false
            },
            Event::Data {
                stream,
                bytes: Vec::new(),
                end_stream: true
            }
        ]
    );
}

#[test]
fn interim_heads_are_swallowed() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    peer.ok(&headers(id, 0, &block(&[(":status", "100")])));
    peer.ok(&headers(
        id,
        0,
        &block(&[(":status", "103"), ("link", "x")]),
    ));
    assert!(peer.events().is_empty());
    peer.ok(&ok(id));
    assert_eq!(ended(&peer.events()), [id]);
}

#[test]
fn blocks_in_pieces() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    let block = block(&[(":status", "200"), ("a", "b")]);
    peer.ok(&frame(HEADERS, END_STREAM, id, &block[..3]));
    peer.ok(&frame(CONTINUATION, 0, id, &block[3..9]));
    peer.ok(&frame(CONTINUATION, 0, id, &[]));
    assert_eq!(peer.connection.buffered_bytes(), 9);
    peer.ok(&frame(CONTINUATION, END_HEADERS, id, &block[9..]));
    assert_eq!(ended(&peer.events()), [id]);
    assert_eq!(peer.connection.buffered_bytes(), 0);
}

#[test]
fn padding_and_priority_are_read_over() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    let payload = [2, 0x80, 0, 0, 0, 15, 0x88, 0, 0];
    peer.ok(&frame(
        HEADERS,
        0x20 | PADDED | END_HEADERS | END_STREAM,
        id,
        &payload,
    ));
    assert_eq!(ended(&peer.events()), [id]);
}

#[test]
fn malformed_heads() {
    for (fields, reason) in [
        (&[][..], Malformed::Status),
        (&[("a", "b")], Malformed::Status),
        (&[(":status", "200"), (":status", "200")], Malformed::Status),
        (&[(":status", "20x")], Malformed::Status),
        (&[(":status", "101")], Malformed::Status),
        (
            &[(":status", "200"), ("a", "b"), (":x", "")],
            Malformed::PseudoHeader,
        ),
        (
            &[(":status", "200"), ("Apns-Id", "x")],
            Malformed::FieldName,
        ),
        (&[(":status", "200"), ("a", "b\r\n")], Malformed::FieldValue),
        (
            &[(":status", "200"), ("connection", "close")],
            Malformed::ConnectionSpecific,
        ),
        (
            &[(":status", "200"), ("content-length", "x")],
            Malformed::ContentLength,
        ),
    ] {
        assert_eq!(
            refused(&|id| headers(id, 0, &block(fields))),
            reason,
            "{fields:?}"
        );
        assert_eq!(
            refused(&|id| headers(id, END_STREAM, &block(fields))),
            reason,
            "{fields:?}"
        );
    }
}

#[test]
fn interim_heads_must_not_end_the_stream() {
    let frames = |id| headers(id, END_STREAM, &block(&[(":status", "103")]));
    assert_eq!(refused(&frames), Malformed::InterimEnds);
}

#[test]
fn data_needs_a_head() {
    assert_eq!(refused(&|id| data(id, 0, b"x")), Malformed::DataBeforeHead);
    assert_eq!(
        refused(&|id| data(id, END_STREAM, b"")),
        Malformed::DataBeforeHead
    );
}

#[test]
fn trailers_end_the_stream_and_have_no_pseudo_headers() {
    let two = |flags, fields: &[(&str, &str)]| {
        let second = block(fields);
        refused(&|id| [headers(id, 0, STATUS_200), headers(id, flags, &second)].concat())
    };
    assert_eq!(two(0, &[("a", "b")]), Malformed::SecondHead);
    assert_eq!(two(0, &[(":status", "200")]), Malformed::SecondHead);
    assert_eq!(
        two(END_STREAM, &[(":status", "200")]),
        Malformed::PseudoHeader
    );
}

#[test]
fn content_length_has_to_be_kept() {
    let five = block(&[(":status", "200"), ("content-length", "5")]);
    let with =
        |rest: &dyn Fn(u32) -> Vec<u8>| refused(&|id| [headers(id, 0, &five), rest(id)].concat());
    let error = Malformed::ContentLength;
    assert_eq!(refused(&|id| headers(id, END_STREAM, &five)), error);
    assert_eq!(with(&|id| data(id, END_STREAM, b"abcd")), error);
    assert_eq!(with(&|id| data(id, 0, b"abcdef")), error);
    assert_eq!(
        with(&|id| headers(id, END_STREAM, &block(&[("a", "b")]))),
        error
    );
}

#[test]
fn content_length_without_a_body_is_legal_where_none_may_be() {
    let mut peer = Peer::new();
    let head = peer
        .try_request(&Request {
            method: "HEAD",
            ..request(b"")
        })
        .unwrap();
    let not_modified = peer.request(b"");
    let fields = |status| block(&[(":status", status), ("content-length", "5")]);
    peer.ok(&headers(head, END_STREAM, &fields("200")));
    peer.ok(&headers(not_modified, END_STREAM, &fields("304")));
    let events = peer.events();
    assert!(
        events
            .iter()
            .all(|event| matches!(event, Event::Response { .. }))
    );
    assert_eq!(ended(&events), [head, not_modified]);
}

#[test]
fn a_header_list_above_our_limit_is_refused_and_the_table_follows() {
    let config = Config {
        max_header_list_size: 200,
        ..Config::default()
    };
    let mut peer = Peer::settled(config, &[]);
    let ids = peer.open(2);
    // a: b enters the table; then it is repeated by its index until 42 + 5 * 34 are 212.
    let large = [0x88, 0x40, 1, b'a', 1, b'b', 0xbe, 0xbe, 0xbe, 0xbe];
    let reason = malformed(&mut peer, ids[0], &headers(ids[0], END_STREAM, &large));
    assert_eq!(
        reason,
        Malformed::HeaderListTooLarge {
            limit: 200,
            got: 212
        }
    );
    peer.ok(&headers(ids[1], END_STREAM, &[0x88, 0xbe]));
    let events = peer.events();
    let Event::Response { headers, .. } = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(headers.get_str("a"), Some("b"));
}

#[test]
fn an_answer_before_the_body_is_sent_stops_the_body() {
    let mut peer = Peer::settled(Config::default(), &[(4, 10)]);
    let id = peer.request(&[0; 100]);
    peer.frames();
    peer.ok(&headers(id, END_STREAM, &block(&[(":status", "413")])));
    assert_eq!(ended(&peer.events()), [id]);
    let sent = peer.frames();
    assert_eq!(summary(&sent), [(RST_STREAM, 0, id, 4)]);
    assert_eq!(sent[0].payload, [0, 0, 0, 8]);
    assert_eq!(
        (
            peer.connection.pending_body_bytes(),
            peer.connection.open_streams()
        ),
        (0, 0)
    );
    // The server asks for the same (8.1), and updates a window: both too late to matter.
    peer.ok(&reset(id, 0));
    peer.ok(&window_update(id, 100));
    assert!(peer.events().is_empty() && peer.frames().is_empty());
}

#[test]
fn the_body_goes_on_while_the_answer_is_incomplete() {
    let mut peer = Peer::settled(Config::default(), &[(4, 10)]);
    let id = peer.request(&[0; 15]);
    peer.frames();
    peer.ok(&headers(id, 0, STATUS_200));
    peer.ok(&window_update(id, 100));
    assert_eq!(summary(&peer.frames()), [(DATA, END_STREAM, id, 5)]);
    peer.ok(&data(id, END_STREAM, b"x"));
    assert_eq!(ended(&peer.events()), [id]);
    assert!(peer.frames().is_empty());
}

#[test]
fn late_header_blocks_still_reach_the_table() {
    let mut peer = Peer::new();
    let ids = peer.open(3);
    peer.reset(ids[0]);
    // On a stream that was reset, in two pieces.
    peer.ok(&frame(HEADERS, 0, ids[0], &[0x88, 0x40, 1, b'a']));
    peer.ok(&frame(CONTINUATION, END_HEADERS, ids[0], &[1, b'b']));
    // On a stream that the peer itself had ended.
    peer.ok(&ok(ids[1]));
    peer.ok(&headers(ids[1], 0, &[0x40, 1, b'c', 1, b'd']));
    peer.events();
    peer.ok(&headers(ids[2], END_STREAM, &[0x88, 0xbf, 0xbe]));
    let events = peer.events();
    let Event::Response { headers, .. } = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (headers.get_str("a"), headers.get_str("c")),
        (Some("b"), Some("d"))
    );
}
