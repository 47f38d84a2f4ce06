//! Windows in both directions, and bodies that wait for them.

use super::support::*;
use crate::http2::{Config, ConnectionError, Event, Malformed, SendError, StreamId};

/// A server with an initial window of `window`.
fn with_window(window: u32) -> Peer {
    Peer::settled(Config::default(), &[(4, window)])
}

fn data_frames(peer: &mut Peer) -> Vec<(u32, usize, bool)> {
    let frames = peer.frames();
    let data = frames.iter().filter(|f| f.kind == DATA);
    data.map(|f| (f.stream, f.payload.len(), f.flags & END_STREAM != 0))
        .collect()
}

#[test]
fn a_body_is_cut_to_the_frame_size() {
    let mut peer = Peer::new();
    let id = peer.request(&[0; 40_000]);
    assert_eq!(
        data_frames(&mut peer),
        [(id, 16_384, false), (id, 16_384, false), (id, 7_232, true)]
    );
    peer.ok(&settings(&[(5, 20_000), (4, 200_000)]));
    let id = peer.request(&[0; 25_535]);
    assert_eq!(
        data_frames(&mut peer),
        [(id, 20_000, false), (id, 5_535, true)]
    );
}

#[test]
fn a_small_stream_window_holds_the_rest_back() {
    let mut peer = with_window(10);
    let id = peer.request(&[7; 25]);
    assert_eq!(data_frames(&mut peer), [(id, 10, false)]);
    assert_eq!(peer.connection.pending_body_bytes(), 15);
    peer.ok(&window_update(id, 1));
    assert_eq!(data_frames(&mut peer), [(id, 1, false)]);
    peer.ok(&window_update(0, 1_000));
    assert_eq!(data_frames(&mut peer), []);
    peer.ok(&window_update(id, 14));
    assert_eq!(data_frames(&mut peer), [(id, 14, true)]);
    assert_eq!(peer.connection.pending_body_bytes(), 0);
    peer.ok(&ok(id));
    assert_eq!(ended(&peer.events()), [id]);
}

#[test]
fn a_window_of_zero_sends_only_headers() {
    let mut peer = with_window(0);
    let id = peer.request(b"{}");
    assert_eq!(summary(&peer.frames())[0].0, HEADERS);
    let empty = peer.request(b"");
    assert_eq!(peer.frames()[0].flags, END_HEADERS | END_STREAM);
    peer.ok(&window_update(id, 2));
    assert_eq!(data_frames(&mut peer), [(id, 2, true)]);
    peer.ok(&ok(empty));
}

#[test]
fn the_connection_window_is_shared_first_come_first() {
    let mut peer = with_window(100_000);
    let first = peer.request(&[1; 60_000]);
    let second = peer.request(&[2; 10_000]);
    let third = peer.request(&[3; 10]);
    let sent: usize = data_frames(&mut peer).iter().map(|&(_, len, _)| len).sum();
    assert_eq!(sent, 65_535);
    assert_eq!(
        peer.connection.pending_body_bytes(),
        60_000 + 10_010 - 65_535
    );
    peer.ok(&window_update(0, 4_000));
    assert_eq!(data_frames(&mut peer), [(second, 4_000, false)]);
    peer.ok(&window_update(0, 470));
    assert_eq!(
        data_frames(&mut peer),
        [(second, 465, true), (third, 5, false)]
    );
    peer.ok(&window_update(0, 100));
    assert_eq!(data_frames(&mut peer), [(third, 5, true)]);
    for id in [first, second, third] {
        peer.ok(&ok(id));
    }
    assert_eq!(ended(&peer.events()), [first, second, third]);
}

#[test]
fn a_stream_blocked_by_itself_does_not_hold_others_up() {
    let mut peer = with_window(10);
    let slow = peer.request(&[0; 30]);
    let quick = peer.request(&[0; 10]);
    assert_eq!(
        data_frames(&mut peer),
        [(slow, 10, false), (quick, 10, true)]
    );
}

#[test]
fn the_initial_window_changes_under_open_streams() {
    let mut peer = with_window(10);
    let id = peer.request(&[0; 100]);
    assert_eq!(data_frames(&mut peer), [(id, 10, false)]);
    // 10 were sent, so a window of 4 leaves -6; 6 more only bring it to 0.
    peer.ok(&settings(&[(4, 4)]));
    peer.ok(&window_update(id, 6));
    assert_eq!(data_frames(&mut peer), []);
    peer.ok(&window_update(id, 3));
    assert_eq!(data_frames(&mut peer), [(id, 3, false)]);
    peer.ok(&settings(&[(4, 14)]));
    assert_eq!(data_frames(&mut peer), [(id, 10, false)]);
    // Within one frame only the last value counts.
    peer.ok(&settings(&[(4, 0), (4, 91)]));
    assert_eq!(data_frames(&mut peer), [(id, 77, true)]);
}

#[test]
fn a_larger_initial_window_lets_streams_go_on_in_order() {
    let mut peer = with_window(0);
    let ids: Vec<_> = (0..5).map(|_| peer.request(&[0; 4])).collect();
    peer.frames();
    peer.ok(&settings(&[(4, 4)]));
    let expected: Vec<_> = ids.iter().map(|&id| (id, 4, true)).collect();
    assert_eq!(data_frames(&mut peer), expected);
}

#[test]
fn a_window_that_shrank_while_queued_sends_nothing() {
    let mut peer = with_window(100_000);
    let first = peer.request(&[0; 65_535]);
    let second = peer.request(&[0; 10]);
    peer.frames();
    peer.ok(&settings(&[(4, 0)]));
    peer.ok(&window_update(0, 100));
    assert_eq!(data_frames(&mut peer), []);
    peer.ok(&window_update(second, 10));
    assert_eq!(data_frames(&mut peer), [(second, 10, true)]);
    peer.ok(&ok(first));
}

#[test]
fn window_overflow_on_a_stream_resets_it() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    peer.ok(&window_update(id, 0x7fff_ffff));
    assert_eq!(peer.frames()[0].payload, [0, 0, 0, 3]);
    let (stream, reason) = (StreamId::new(id), Malformed::WindowOverflow);
    assert_eq!(peer.events(), [Event::Malformed { stream, reason }]);
    assert!(!peer.connection.is_closed());
}

#[test]
fn window_overflow_on_the_connection_ends_it() {
    let mut peer = Peer::new();
    assert_eq!(peer.fatal(&window_update(0, 0x7fff_ffff)).1, 3);
}

#[test]
fn window_overflow_by_settings_ends_the_connection() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    peer.ok(&window_update(id, 0x7fff_ffff - 65_535));
    assert_eq!(peer.fatal(&settings(&[(4, 70_000)])).1, 3);
    assert_eq!(ended(&peer.events()), [id]);
}

#[test]
fn increments_of_zero() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    peer.ok(&window_update(id, 0));
    assert_eq!(peer.frames()[0].payload, [0, 0, 0, 1]);
    assert_eq!(ended(&peer.events()), [id]);
    // The stream has ended: nothing to be zero.
    peer.ok(&window_update(id, 0));
    assert_eq!(
        peer.fatal(&window_update(0, 0)),
        (ConnectionError::ZeroIncrement, 1)
    );
}

#[test]
fn what_is_received_is_given_back_at_half_the_window() {
    let config = Config {
        initial_window: 1_000,
        ..Config::default()
    };
    let mut peer = Peer::settled(config, &[]);
    let id = peer.open(1)[0];
    peer.ok(&headers(id, 0, STATUS_200));
    peer.ok(&data(id, 0, &[0; 499]));
    assert!(peer.frames().is_empty());
    peer.ok(&data(id, 0, &[0; 1]));
    let expected = [Sent {
        kind: WINDOW_UPDATE,
        flags: 0,
        stream: id,
        payload: vec![0, 0, 1, 0xf4],
    }];
    assert_eq!(peer.frames(), expected);
    // Half of the connection's window of 1 MiB, in whole stream windows.
    for _ in 0..1_047 {
        peer.ok(&data(id, 0, &[0; 500]));
        peer.events();
    }
    assert!(peer.frames().iter().all(|f| f.stream == id));
    for _ in 0..2 {
        peer.ok(&data(id, 0, &[0; 500]));
    }
    assert!(
        peer.frames()
            .iter()
            .any(|f| f.stream == 0 && f.kind == WINDOW_UPDATE)
    );
}

#[test]
fn padding_counts_and_is_given_back() {
    let config = Config {
        initial_window: 100,
        ..Config::default()
    };
    let mut peer = Peer::settled(config, &[]);
    let id = peer.open(1)[0];
    peer.ok(&headers(id, 0, STATUS_200));
    let mut padded = vec![45, b'x'];
    padded.extend_from_slice(&[0; 45]);
    peer.ok(&data(id, PADDED, &padded));
    assert!(peer.frames().is_empty());
    peer.ok(&data(id, PADDED, &[2, b'y', 0, 0]));
    assert_eq!(peer.frames()[0].payload, [0, 0, 0, 51]);
    let bodies: Vec<_> = peer
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Data { bytes, .. } => Some(bytes),
            _ => None,
        })
        .collect();
    assert_eq!(bodies, [b"x", b"y"]);
}

#[test]
fn more_than_the_stream_window_resets_the_stream() {
    let config = Config {
        initial_window: 100,
        ..Config::default()
    };
    let mut peer = Peer::settled(config, &[]);
    let id = peer.open(1)[0];
    peer.ok(&headers(id, 0, STATUS_200));
    peer.events();
    peer.ok(&data(id, 0, &[0; 101]));
    assert_eq!(peer.frames()[0].payload, [0, 0, 0, 3]);
    let reason = Malformed::WindowExceeded {
        window: 100,
        got: 101,
    };
    assert_eq!(
        peer.events(),
        [Event::Malformed {
            stream: StreamId::new(id),
            reason
        }]
    );
}

#[test]
fn more_than_the_connection_window_ends_it() {
    let config = Config {
        initial_window: 0x7fff_ffff,
        connection_window: 0,
        max_frame_size: 0x00ff_ffff,
        ..Config::default()
    };
    let mut peer = Peer::settled(config, &[]);
    let id = peer.open(1)[0];
    peer.ok(&headers(id, 0, STATUS_200));
    let (error, code) = peer.fatal(&data(id, 0, &[0; 65_536]));
    assert_eq!(
        error,
        ConnectionError::WindowExceeded {
            window: 65_535,
            got: 65_536
        }
    );
    assert_eq!(code, 3);
}

#[test]
fn a_small_window_of_ours_holds_only_once_it_is_acknowledged() {
    let config = Config {
        initial_window: 10,
        ..Config::default()
    };
    let mut peer = Peer::silent(config);
    peer.ok(&settings(&[]));
    let (first, second) = (peer.request(b""), peer.request(b""));
    peer.ok(&headers(first, 0, STATUS_200));
    for _ in 0..4 {
        peer.ok(&data(first, 0, &[0; 15_000]));
    }
    peer.ok(&headers(second, 0, STATUS_200));
    peer.ok(&frame(SETTINGS, ACK, 0, &[]));
    peer.events();
    peer.ok(&data(second, 0, &[0; 11]));
    let reason = Malformed::WindowExceeded {
        window: 10,
        got: 11,
    };
    assert_eq!(
        peer.events(),
        [Event::Malformed {
            stream: StreamId::new(second),
            reason
        }]
    );
}

#[test]
fn data_on_ended_streams_still_counts() {
    let mut peer = Peer::new();
    let id = peer.open(1)[0];
    peer.reset(id);
    peer.frames();
    for _ in 0..33 {
        peer.ok(&data(id, 0, &[0; 16_000]));
    }
    let frames = peer.frames();
    assert_eq!(summary(&frames), [(WINDOW_UPDATE, 0, 0, 4)]);
    assert!(peer.events().is_empty());
}

#[test]
fn a_full_backlog_of_bodies_stops_requests() {
    let config = Config {
        max_pending_body: 100,
        ..Config::default()
    };
    let mut peer = Peer::settled(config, &[(4, 0), (3, 10)]);
    let first = peer.request(&[0; 99]);
    assert_eq!(peer.connection.available_streams(), 9);
    peer.request(&[0; 50]);
    assert_eq!(
        (
            peer.connection.pending_body_bytes(),
            peer.connection.available_streams()
        ),
        (149, 0)
    );
    let error = SendError::BodyBacklog {
        limit: 100,
        pending: 149,
    };
    assert_eq!(peer.try_request(&request(b"")), Err(error));
    peer.ok(&window_update(first, 50));
    assert_eq!(peer.connection.available_streams(), 8);
    peer.reset(first);
    assert_eq!(
        (
            peer.connection.pending_body_bytes(),
            peer.connection.available_streams()
        ),
        (50, 9)
    );
}

#[test]
fn streams_that_ended_while_waiting_do_not_pile_up() {
    let mut peer = with_window(100_000);
    peer.request(&[0; 65_535]);
    for _ in 0..1_000 {
        let id = peer.request(b"waits");
        peer.reset(id);
        assert!(peer.connection.ready.len() <= 36);
    }
    peer.frames();
    let id = peer.request(b"waits");
    peer.ok(&window_update(0, 100));
    assert_eq!(data_frames(&mut peer).last(), Some(&(id, 5, true)));
}
