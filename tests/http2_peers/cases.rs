//! What every peer has to agree with us on. Each peer answers `/echo` with the request's body.

use std::net::SocketAddr;

use dunlin::http2::{Config, ErrorCode, Processed};

use crate::driver::{Answer, Ask, Driver, End, config};
use crate::tally::{self, Tally};

/// Bodies of no octet, one, a few, more than a frame, and more than the initial window of 65,535.
const SIZES: [usize; 5] = [0, 1, 100, 16_384 + 1, 70_000];

/// `SETTINGS_HEADER_TABLE_SIZE` and `SETTINGS_INITIAL_WINDOW_SIZE`. RFC 9113, 6.5.2.
pub const HEADER_TABLE_SIZE: u16 = 0x1;
pub const INITIAL_WINDOW_SIZE: u16 = 0x4;

/// Octets that tell where they came from.
pub fn body(seed: usize, len: usize) -> Vec<u8> {
    (0..len)
        .map(|place| (seed.wrapping_mul(31) + place * 7 + place / 251) as u8)
        .collect()
}

/// Requests to `/echo`, each with fields of its own and shared ones.
pub fn echoes(count: usize, sizes: &[usize]) -> Vec<Ask> {
    (0..count)
        .map(|index| {
            Ask::new(format!("/echo?{index}"))
                .body(body(index, sizes[index % sizes.len()]))
                .field("x-shared", "the same every time", true)
                .field("x-index", index.to_string(), index % 3 == 0)
        })
        .collect()
}

/// Every answer is a 200 with the body that was sent.
pub fn assert_echoed(asks: &[Ask], answers: &[Answer]) {
    assert_eq!(asks.len(), answers.len());
    for (ask, answer) in asks.iter().zip(answers) {
        assert_eq!(
            (answer.status, answer.end),
            (200, Some(End::Answered)),
            "{}",
            ask.path
        );
        assert_eq!(answer.body.len(), ask.body.len(), "{}", ask.path);
        assert!(answer.body == ask.body, "{}: other octets", ask.path);
    }
}

/// 1,000 requests, in flight up to the peer's limit and never above it.
pub fn a_thousand(address: SocketAddr, limit: usize) {
    let mut driver = Driver::ready(address, config());
    let asks = echoes(1_000, &SIZES);
    let answers = driver.exchange(&asks);
    assert_echoed(&asks, &answers);
    assert_eq!(driver.http2.max_concurrent_streams() as usize, limit);
    assert!(driver.most_open <= limit);
    // Bodies that wait for flow control hold new requests back, so 1,000 of all sizes may stay
    // below the limit; small ones reach it.
    let asks = echoes(3 * limit, &[0, 1, 100]);
    let answers = driver.exchange(&asks);
    assert_echoed(&asks, &answers);
    assert_eq!(driver.most_open, limit);
    assert!(driver.sent.dynamic_references > 0);
    driver.finish();
}

/// Windows far below the protocol's, ours and the peer's.
pub fn small_windows(address: SocketAddr, peers_window: u32) {
    let small = Config {
        initial_window: 1_000,
        connection_window: 65_535,
        ..config()
    };
    let mut driver = Driver::ready(address, small);
    assert_eq!(
        setting(&driver.seen, INITIAL_WINDOW_SIZE),
        Some(peers_window)
    );
    let asks = echoes(60, &[0, 999, 1_000, 1_001, 20_000]);
    let answers = driver.exchange(&asks);
    assert_echoed(&asks, &answers);
    assert!(driver.seen.largest <= 1_000, "{}", driver.seen.largest);
    assert!(driver.seen.count(tally::WINDOW_UPDATE) > 100);
    assert!(driver.sent.count(tally::WINDOW_UPDATE) > 100);
    driver.finish();
}

/// More requests than the peer takes, sent before its SETTINGS could say so: some are refused,
/// which means not processed, and pass when they are sent again.
pub fn refused_and_sent_again(address: SocketAddr, limit: usize) {
    let mut driver = Driver::connect(
        address,
        Config {
            assumed_max_concurrent_streams: 50,
            ..config()
        },
    );
    let asks = echoes(50, &[0, 1, 100]);
    let answers = driver.exchange(&asks);
    assert_eq!(driver.most_open, 50);
    let (done, again): (Vec<_>, Vec<_>) = asks
        .iter()
        .zip(&answers)
        .partition(|(_, answer)| answer.end == Some(End::Answered));
    for (_, answer) in &again {
        let refused = End::Reset(ErrorCode::REFUSED_STREAM, Processed::No);
        assert_eq!((answer.status, answer.end), (0, Some(refused)));
    }
    assert!(
        done.len() >= limit && !again.is_empty(),
        "{} done",
        done.len()
    );
    let again: Vec<Ask> = again.into_iter().map(|(ask, _)| ask.clone()).collect();
    driver.most_open = 0;
    let answers = driver.exchange(&again);
    assert_echoed(&again, &answers);
    assert!(driver.most_open <= limit);
    driver.finish();
}

/// A PING of ours is answered, and the connection goes on.
pub fn pinged(address: SocketAddr) {
    let mut driver = Driver::ready(address, config());
    driver.ping(*b"01234567");
    driver.ping([0xff; 8]);
    driver.wait("PONG", |driver| driver.pongs.len() == 2);
    assert_eq!(driver.pongs, [*b"01234567", [0xff; 8]]);
    let asks = echoes(3, &[1]);
    let answers = driver.exchange(&asks);
    assert_echoed(&asks, &answers);
    driver.finish();
}

/// Streams given up before their answer: what comes for them later harms nobody.
pub fn given_up(address: SocketAddr) {
    let mut driver = Driver::ready(address, config());
    for round in 0..10 {
        let asks = echoes(5, &[0, 1, 30_000]);
        let ids: Vec<_> = asks.iter().map(|ask| driver.send(ask)).collect();
        if round % 2 == 0 {
            driver.write();
        }
        driver.reset(ids[1]);
        driver.reset(ids[2]);
        driver.wait("answers", |driver| {
            [0, 3, 4].iter().all(|kept| driver.has_ended(ids[*kept]))
        });
    }
    let asks = echoes(20, &[100]);
    let answers = driver.exchange(&asks);
    assert_echoed(&asks, &answers);
    driver.finish();
}

/// Decoder tables of ours that are none, and as large as they may be; the peer's is `theirs`.
pub fn table_sizes(address: SocketAddr, theirs: Option<u32>) {
    for ours in [0, 100, 4_096, 65_536] {
        let mut driver = Driver::ready(
            address,
            Config {
                header_table_size: ours,
                ..config()
            },
        );
        assert_eq!(setting(&driver.seen, HEADER_TABLE_SIZE), theirs);
        let asks = echoes(100, &[0, 100]);
        let answers = driver.exchange(&asks);
        assert_echoed(&asks, &answers);
        if ours < 4_096 {
            // RFC 7541, 4.2: the peer confirms that it uses a smaller table.
            assert!(driver.seen.table_updates > 0, "table of {ours}");
        }
        let is_used = driver.sent.dynamic_references > 0;
        match theirs {
            Some(0) => assert!(!is_used),
            Some(1..4_096) => {} // Too small for the fields at the beginning of a block.
            _ => assert!(is_used),
        }
        driver.finish();
    }
}

/// The last value of a parameter.
pub fn setting(tally: &Tally, id: u16) -> Option<u32> {
    tally
        .settings
        .iter()
        .rev()
        .find(|(known, _)| *known == id)
        .map(|(_, value)| *value)
}
