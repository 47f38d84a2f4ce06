//! Against Node's http2 (nghttp2 below): `tests/peers/http2_server.js`.

use std::path::Path;
use std::process::Command;

use dunlin::http2::{Config, ConnectionError, ErrorCode, Malformed, Processed, StreamId};
use dunlin_test_support::peers::{self, Server};

use crate::cases;
use crate::driver::{Answer, Ask, Driver, End, config};
use crate::tally;

/// The server with these options, or `None` where there is no Node.
fn peer(options: &str) -> Option<Server> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/http2_server.js");
    let mut command = Command::new(peers::require("node")?);
    command.arg(script).arg(options);
    Some(Server::that_prints_its_port(command))
}

fn peer_of(limit: u32) -> Option<Server> {
    peer(&format!(
        r#"{{"settings":{{"maxConcurrentStreams":{limit}}}}}"#
    ))
}

/// Requests that hold until the last one makes the session do something.
fn hold(driver: &mut Driver, others: usize, last: &str) -> Vec<StreamId> {
    let mut asks = vec![Ask::new("/hold"); others];
    asks.push(Ask::new(last));
    asks.iter().map(|ask| driver.send(ask)).collect()
}

fn assert_ended(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.end), (status, Some(End::Answered)));
}

#[test]
fn a_thousand_requests_of_all_sizes() {
    let Some(peer) = peer_of(100) else { return };
    cases::a_thousand(peer.address, 100);
}

#[test]
fn one_stream_at_a_time() {
    let Some(peer) = peer_of(1) else { return };
    cases::a_thousand(peer.address, 1);
}

#[test]
fn small_windows_both_ways() {
    let Some(peer) = peer(r#"{"settings":{"initialWindowSize":1000}}"#) else {
        return;
    };
    cases::small_windows(peer.address, 1_000);
}

#[test]
fn refused_requests_pass_when_sent_again() {
    let Some(peer) = peer_of(10) else { return };
    cases::refused_and_sent_again(peer.address, 10);
}

#[test]
fn padding_of_both_strategies() {
    for strategy in ["MAX", "ALIGNED"] {
        let options =
            format!(r#"{{"padding":"{strategy}","settings":{{"maxConcurrentStreams":100}}}}"#);
        let Some(peer) = peer(&options) else { return };
        cases::a_thousand(peer.address, 100);
        let narrow = Config {
            connection_window: 65_535,
            initial_window: 20_000,
            ..config()
        };
        let mut driver = Driver::ready(peer.address, narrow);
        let asks: Vec<_> = (0..20)
            .map(|n| Ask::new(format!("/large/{}", 100_000 + n)))
            .collect();
        for (n, answer) in driver.exchange(&asks).iter().enumerate() {
            assert_eq!(answer.body.len(), 100_000 + n);
        }
        assert!(
            driver.seen.with(tally::DATA, tally::PADDED) > 0,
            "{strategy}"
        );
        assert!(
            driver.seen.with(tally::HEADERS, tally::PADDED) > 0,
            "{strategy}"
        );
        driver.finish();
    }
}

#[test]
fn pings_both_ways() {
    let Some(peer) = peer_of(100) else { return };
    cases::pinged(peer.address);
    let mut driver = Driver::ready(peer.address, config());
    let answer = driver.ask(Ask::new("/ping"));
    assert_eq!((answer.status, &answer.body[..]), (200, &b"of node!"[..]));
    assert_eq!(driver.seen.with(tally::PING, 0), 1);
    driver.finish();
}

#[test]
fn streams_we_give_up() {
    let Some(peer) = peer_of(100) else { return };
    cases::given_up(peer.address);
}

#[test]
fn header_tables_of_all_sizes() {
    for theirs in [0, 64, 65_536] {
        let options = format!(r#"{{"settings":{{"headerTableSize":{theirs}}}}}"#);
        let Some(peer) = peer(&options) else { return };
        cases::table_sizes(peer.address, Some(theirs));
    }
}

/// The peer's table and limit of streams change while requests are in flight.
#[test]
fn settings_that_change_under_way() {
    let Some(peer) = peer_of(100) else { return };
    let mut driver = Driver::ready(peer.address, config());
    for change in [
        "headerTableSize/0",
        "maxConcurrentStreams/1",
        "initialWindowSize/100",
        "headerTableSize/65536",
        "initialWindowSize/100000",
        "maxConcurrentStreams/50",
        "headerTableSize/64",
        "initialWindowSize/65535",
    ] {
        let mut asks = cases::echoes(30, &[0, 100, 5_000]);
        asks[10] = Ask::new(format!("/settings/{change}"));
        let answers = driver.exchange(&asks);
        assert_ended(&answers[10], 200);
        driver.most_open = 0;
        let asks = cases::echoes(200, &[0, 1, 100]);
        let answers = driver.exchange(&asks);
        cases::assert_echoed(&asks, &answers);
        assert!(driver.most_open <= driver.http2.max_concurrent_streams() as usize);
    }
    assert_eq!(driver.limits, [100, 1, 50]);
    assert!(driver.go_aways.is_empty() && driver.sent.table_updates >= 3);
    driver.finish();
}

#[test]
fn bodies_while_the_request_is_not_over() {
    let Some(peer) = peer_of(100) else { return };
    let mut driver = Driver::ready(peer.address, config());
    let asks: Vec<_> = (0..20)
        .map(|n| Ask::new("/pipe").body(cases::body(n, n * 20_000)))
        .collect();
    let answers = driver.exchange(&asks);
    cases::assert_echoed(&asks, &answers);
    let asks = vec![Ask::new("/early").body(vec![1; 900_000]); 10];
    for answer in driver.exchange(&asks) {
        assert_ended(&answer, 403);
        assert_eq!(answer.body, b"no need to read");
    }
    let asks = cases::echoes(20, &[70_000]);
    let answers = driver.exchange(&asks);
    cases::assert_echoed(&asks, &answers);
    driver.finish();
}

#[test]
fn large_response_bodies() {
    let Some(peer) = peer_of(100) else { return };
    let mut driver = Driver::ready(peer.address, config());
    let asks: Vec<_> = (0..8)
        .map(|n| Ask::new(format!("/large/{}", 3_000_000 + n)))
        .collect();
    for (n, answer) in driver.exchange(&asks).iter().enumerate() {
        assert_eq!(
            (answer.body.len(), answer.end),
            (3_000_000 + n, Some(End::Answered))
        );
    }
    driver.finish();
}

#[test]
fn large_response_headers() {
    let Some(peer) = peer_of(100) else { return };
    let mut driver = Driver::ready(peer.address, config());
    let answer = driver.ask(Ask::new("/field/16000"));
    assert_eq!(answer.headers.get("x-long").unwrap().len(), 16_000);
    let answer = driver.ask(Ask::new("/many/250"));
    assert_eq!(answer.headers.get_str("x-field-249"), Some("value 249"));
    let answer = driver.ask(Ask::new("/field/20000"));
    let is_too_large =
        |reason| matches!(reason, Malformed::HeaderListTooLarge { got: 20_000.., .. });
    assert!(matches!(answer.end, Some(End::Malformed(reason)) if is_too_large(reason)));
    assert!(driver.seen.count(tally::CONTINUATION) > 0);
    assert_ended(&driver.ask(Ask::new("/many/250")), 200);
    driver.finish();
}

/// A header block beyond twice the limit costs the connection, and each stream still ends once.
#[test]
fn a_huge_response_header_ends_the_connection() {
    let Some(peer) = peer_of(100) else { return };
    let mut driver = Driver::ready(peer.address, config());
    let ids: Vec<_> = [Ask::new("/hold"), Ask::new("/field/60000")]
        .iter()
        .map(|ask| driver.send(ask))
        .collect();
    driver.wait("failure", |driver| driver.failure.is_some());
    assert!(matches!(
        driver.failure,
        Some(ConnectionError::BlockTooLarge { limit: 32_768, .. })
    ));
    for id in ids {
        assert_eq!(
            driver.end_of(id),
            Some(End::Lost {
                request_complete: true
            })
        );
    }
    assert_eq!(driver.sent.count(tally::GOAWAY), 1);
    driver.wait_for_eof();
}

#[test]
fn trailers_and_interim_responses() {
    let Some(peer) = peer_of(100) else { return };
    let mut driver = Driver::ready(peer.address, config());
    let answer = driver.ask(Ask::new("/trailers"));
    assert_eq!((answer.status, &answer.body[..]), (200, &b"before"[..]));
    assert_eq!(
        answer.trailers.unwrap().get_str("x-after"),
        Some("the body")
    );
    let before = driver.seen.count(tally::HEADERS);
    assert_ended(&driver.ask(Ask::new("/informational")), 204);
    assert_eq!(driver.seen.count(tally::HEADERS) - before, 4);
    driver.finish();
}

#[test]
fn resets_are_told_apart() {
    let Some(peer) = peer_of(100) else { return };
    let mut driver = Driver::ready(peer.address, config());
    let mut ask = |path: &str| driver.ask(Ask::new(path));
    let reset = |code, processed| Some(End::Reset(ErrorCode::new(code), processed));
    assert_eq!(ask("/reset/7").end, reset(7, Processed::No));
    assert_eq!(ask("/reset/8").end, reset(8, Processed::Maybe));
    assert_eq!(ask("/reset/11").end, reset(11, Processed::Maybe));
    let answer = ask("/failafterhead");
    assert_eq!(
        (answer.status, answer.end),
        (200, reset(2, Processed::Maybe))
    );
    driver.finish();
}

/// `session.goaway(0, lastStreamID, data)`: those above are unprocessed, the others answered.
#[test]
fn a_goaway_names_the_last_stream() {
    let Some(peer) = peer_of(100) else { return };
    for (debug, kept) in [(21, 21), (10_000, 4_096)] {
        let mut driver = Driver::ready(peer.address, config());
        let ids = hold(&mut driver, 9, &format!("/goaway/10/9/{debug}"));
        driver.wait("ends", |driver| ids.iter().all(|id| driver.has_ended(*id)));
        let last = StreamId::new(9);
        assert_eq!(
            driver.go_aways,
            [(last, ErrorCode::NO_ERROR, vec![b'd'; kept])]
        );
        for id in ids {
            let expected = if id <= last {
                End::Answered
            } else {
                End::Unprocessed
            };
            assert_eq!(driver.end_of(id), Some(expected), "{id}");
        }
        driver.finish();
    }
}

/// `session.close()`: everything that is open is answered, and the transport ends.
#[test]
fn a_graceful_close_answers_everything() {
    let Some(peer) = peer_of(100) else { return };
    let mut driver = Driver::ready(peer.address, config());
    let ids = hold(&mut driver, 9, "/close/10");
    driver.wait_for_eof();
    assert!(
        driver
            .go_aways
            .iter()
            .all(|(_, code, _)| *code == ErrorCode::NO_ERROR)
    );
    assert!(!driver.go_aways.is_empty());
    for id in ids {
        assert_ended(&driver.streams[&id], 200);
    }
    driver.check_ends();
}

/// `session.destroy()`: what is open ends, with a code or lost, and is never called unprocessed.
#[test]
fn a_destroyed_session_loses_what_was_open() {
    let Some(peer) = peer_of(100) else { return };
    let mut driver = Driver::ready(peer.address, config());
    let done = driver.ask(Ask::new("/echo"));
    assert_ended(&done, 200);
    let ids = hold(&mut driver, 9, "/destroy/10/11");
    driver.wait_for_eof();
    for id in ids {
        assert!(matches!(
            driver.end_of(id),
            Some(
                End::Lost {
                    request_complete: true
                } | End::Reset(_, Processed::Maybe)
            )
        ));
    }
    driver.check_ends();
}
