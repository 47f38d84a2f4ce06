//! Against hyperium's h2, in this process.

use dunlin::http2::{Config, ErrorCode, Malformed, Processed, StreamId};
use h2::{Reason, server};

use crate::cases;
use crate::driver::{Ask, Driver, End, config};
use crate::h2_peer::{Command, H2Peer};
use crate::tally;

fn peer(limit: u32) -> H2Peer {
    H2Peer::start(server::Builder::new().max_concurrent_streams(limit))
}

#[test]
fn a_thousand_requests_of_all_sizes() {
    cases::a_thousand(peer(100).address, 100);
}

#[test]
fn one_stream_at_a_time() {
    cases::a_thousand(peer(1).address, 1);
}

#[test]
fn small_windows_both_ways() {
    let peer = H2Peer::start(server::Builder::new().initial_window_size(1_000));
    cases::small_windows(peer.address, 1_000);
}

#[test]
fn refused_requests_pass_when_sent_again() {
    cases::refused_and_sent_again(peer(1).address, 1);
    cases::refused_and_sent_again(peer(10).address, 10);
}

#[test]
fn pings_of_ours() {
    cases::pinged(peer(100).address);
}

#[test]
fn pings_of_the_peer() {
    let peer = peer(100);
    let mut driver = Driver::ready(peer.address, config());
    driver.ask(Ask::new("/echo"));
    peer.command(Command::Ping);
    driver.wait("PINGs", |driver| driver.seen.count(tally::PING) == 3);
    driver.ask(Ask::new("/echo"));
    assert_eq!(
        (driver.sent.with(tally::PING, tally::ACK), peer.pongs()),
        (3, 3)
    );
    driver.finish();
}

#[test]
fn streams_we_give_up() {
    cases::given_up(peer(100).address);
}

#[test]
fn header_tables_of_all_sizes() {
    cases::table_sizes(peer(100).address, None);
    for theirs in [0, 64, 65_536] {
        let peer = H2Peer::start(server::Builder::new().header_table_size(theirs));
        cases::table_sizes(peer.address, Some(theirs));
    }
}

/// Fields that fill and overflow the dynamic table arrive as they were sent.
#[test]
fn fields_survive_the_dynamic_table() {
    for table in [0, 64, 200, 4_096] {
        let peer = H2Peer::start(server::Builder::new().header_table_size(table));
        let mut driver = Driver::ready(peer.address, config());
        for round in 0..200_usize {
            let value = "v".repeat(1 + round * 37 % 300);
            let ask = Ask::new("/fields")
                .field("x-one", "always", true)
                .field("x-two", &value, true)
                .field("x-three", format!("{round}"), round % 2 == 0);
            let expected = format!("x-one: always\nx-two: {value}\nx-three: {round}\n");
            let mut got: Vec<_> = driver.ask(ask).body;
            got.retain(|octet| *octet != b'\r');
            let mut got: Vec<_> = got.split_inclusive(|octet| *octet == b'\n').collect();
            let mut expected: Vec<_> = expected
                .as_bytes()
                .split_inclusive(|o| *o == b'\n')
                .collect();
            got.sort_unstable();
            expected.sort_unstable();
            assert_eq!(got, expected);
        }
        driver.finish();
    }
}

#[test]
fn request_headers_longer_than_a_frame() {
    let peer = H2Peer::start(server::Builder::new().max_header_list_size(200_000));
    let mut driver = Driver::ready(peer.address, config());
    let long = "~".repeat(100_000);
    let answer = driver.ask(Ask::new("/fields").field("x-long", &long, false));
    assert_eq!(answer.body.len(), "x-long: \n".len() + long.len());
    assert!(driver.sent.count(tally::CONTINUATION) >= 5);
    driver.finish();
}

#[test]
fn large_response_bodies() {
    let peer = peer(100);
    let narrow = Config {
        connection_window: 65_535,
        ..config()
    };
    let wide = Config {
        initial_window: 1 << 20,
        connection_window: 8 << 20,
        ..config()
    };
    let frames = Config {
        max_frame_size: 1 << 18,
        ..wide.clone()
    };
    for (config, largest) in [(narrow, 1 << 14), (wide, 1 << 14), (frames, 1 << 18)] {
        let mut driver = Driver::ready(peer.address, config);
        let asks: Vec<_> = (0..8)
            .map(|n| Ask::new(format!("/large/{}", 3_000_000 + n)))
            .collect();
        for (n, answer) in driver.exchange(&asks).iter().enumerate() {
            assert_eq!(
                (answer.body.len(), answer.end),
                (3_000_000 + n, Some(End::Answered))
            );
        }
        assert!(driver.seen.largest <= largest && driver.seen.largest > 10_000);
        driver.finish();
    }
}

#[test]
fn large_response_headers() {
    let peer = peer(100);
    let mut driver = Driver::ready(peer.address, config());
    let answer = driver.ask(Ask::new("/field/16000"));
    assert_eq!(answer.headers.get("x-long").unwrap().len(), 16_000);
    // Too large for us, but not so large that it costs the connection.
    let answer = driver.ask(Ask::new("/field/18000"));
    let got = 18_000 + "x-long".len() + 32 + ":status200".len() + 32;
    assert!(matches!(
        answer.end,
        Some(End::Malformed(Malformed::HeaderListTooLarge { limit: 16_384, got: size }))
            if size >= got
    ));
    assert!(driver.seen.count(tally::CONTINUATION) > 0);
    assert_eq!(driver.ask(Ask::new("/field/10")).end, Some(End::Answered));
    driver.finish();
}

#[test]
fn trailers() {
    let peer = peer(100);
    let mut driver = Driver::ready(peer.address, config());
    let answer = driver.ask(Ask::new("/trailers"));
    assert_eq!((answer.status, &answer.body[..]), (200, &b"before"[..]));
    assert_eq!(
        answer.trailers.unwrap().get_str("x-after"),
        Some("the body")
    );
    driver.finish();
}

#[test]
fn interim_responses_are_passed_over() {
    let peer = peer(100);
    let mut driver = Driver::ready(peer.address, config());
    let answer = driver.ask(Ask::new("/informational"));
    assert_eq!((answer.status, answer.end), (204, Some(End::Answered)));
    assert_eq!(driver.seen.count(tally::HEADERS), 4);
    driver.finish();
}

#[test]
fn resets_are_told_apart() {
    let peer = peer(100);
    let mut driver = Driver::ready(peer.address, config());
    let mut end = |path: &str| driver.ask(Ask::new(path)).end;
    let reset = |code, processed| Some(End::Reset(ErrorCode::new(code), processed));
    assert_eq!(end("/reset/7"), reset(7, Processed::No));
    assert_eq!(end("/reset/8"), reset(8, Processed::Maybe));
    assert_eq!(end("/reset/57005"), reset(0xdead, Processed::Maybe));
    let answer = driver.ask(Ask::new("/reset-after-head/7"));
    // h2 may drop the head that the reset overtakes.
    let processed = if answer.status == 0 {
        Processed::No
    } else {
        Processed::Maybe
    };
    assert_eq!(
        answer.end,
        Some(End::Reset(ErrorCode::REFUSED_STREAM, processed))
    );
    driver.finish();
}

/// Windows grow while bodies wait for them, and shrink between requests: h2 0.4.20 owes a body
/// under way its WINDOW_UPDATE for ever when the window shrinks below what it holds back.
#[test]
fn a_window_that_changes_under_way() {
    let peer = H2Peer::start(server::Builder::new().initial_window_size(100_000));
    let mut driver = Driver::ready(peer.address, config());
    for (small, large) in [(0, 20_000), (500, 200_000), (5, 70_000)] {
        change_window(&mut driver, &peer, small);
        let asks = cases::echoes(8, &[0, 100, 90_000]);
        let ids: Vec<_> = asks.iter().map(|ask| driver.send(ask)).collect();
        if small == 0 {
            // Nothing of a body may be sent until there is a window.
            round_trip(&mut driver);
            assert_eq!(driver.http2.pending_body_bytes(), 3 * 100 + 2 * 90_000);
        }
        change_window(&mut driver, &peer, large);
        driver.wait("answers", |driver| {
            ids.iter().all(|id| driver.has_ended(*id))
        });
        let answers: Vec<_> = ids.iter().map(|id| driver.streams[id].clone()).collect();
        cases::assert_echoed(&asks, &answers);
    }
    driver.finish();
}

/// Returns once the peer knows that we know.
fn change_window(driver: &mut Driver, peer: &H2Peer, size: u32) {
    // h2 refuses to send SETTINGS before the last ones are acknowledged.
    round_trip(driver);
    let seen = driver.seen.settings.len();
    peer.command(Command::InitialWindow(size));
    driver.wait("SETTINGS", |driver| driver.seen.settings.len() > seen);
    round_trip(driver);
}

fn round_trip(driver: &mut Driver) {
    let pongs = driver.pongs.len();
    driver.ping(*b"arrived?");
    driver.wait("PONG", |driver| driver.pongs.len() > pongs);
}

#[test]
fn a_graceful_shutdown_answers_everything() {
    let peer = peer(100);
    let mut driver = Driver::ready(peer.address, config());
    let asks: Vec<_> = (0..30)
        .map(|n| Ask::new("/hold").body(cases::body(n, n * 1_000)))
        .collect();
    let ids: Vec<_> = asks.iter().map(|ask| driver.send(ask)).collect();
    driver.ping(*b"arrived?");
    driver.wait("PONG", |driver| !driver.pongs.is_empty());
    peer.command(Command::GracefulShutdown);
    driver.wait("both GOAWAYs", |driver| driver.go_aways.len() == 2);
    assert!(driver.http2.is_going_away() && driver.http2.available_streams() == 0);
    assert_eq!(
        driver.go_aways[0],
        (StreamId::MAX, ErrorCode::NO_ERROR, Vec::new())
    );
    assert_eq!(
        driver.go_aways[1],
        (ids[29], ErrorCode::NO_ERROR, Vec::new())
    );
    assert_eq!(driver.http2.open_streams(), 30);
    peer.command(Command::Release);
    driver.wait_for_eof();
    let answers: Vec<_> = ids.iter().map(|id| driver.streams[id].clone()).collect();
    cases::assert_echoed(&asks, &answers);
    assert_eq!(driver.failure, None);
    driver.check_ends();
}

#[test]
fn an_abrupt_shutdown_loses_what_was_open() {
    let peer = peer(100);
    let mut driver = Driver::ready(peer.address, config());
    let done = driver.send(&Ask::new("/echo"));
    driver.wait("an answer", |driver| driver.has_ended(done));
    let ids: Vec<_> = (0..10)
        .map(|_| driver.send(&Ask::new("/hold").body(vec![1])))
        .collect();
    let large = driver.send(&Ask::new("/hold").body(vec![1; 500_000]));
    driver.ping(*b"arrived?");
    driver.wait("PONG", |driver| !driver.pongs.is_empty());
    peer.command(Command::AbruptShutdown(Reason::ENHANCE_YOUR_CALM));
    driver.wait_for_eof();
    let (last, code, _) = driver.go_aways[0].clone();
    assert_eq!((last, code), (large, ErrorCode::ENHANCE_YOUR_CALM));
    assert_eq!(driver.end_of(done), Some(End::Answered));
    for id in ids {
        assert_eq!(
            driver.end_of(id),
            Some(End::Lost {
                request_complete: true
            })
        );
    }
    assert_eq!(
        driver.end_of(large),
        Some(End::Lost {
            request_complete: false
        })
    );
    driver.check_ends();
}
