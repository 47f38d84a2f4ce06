//! Against nghttp2's own server, `nghttpd`.

use std::path::Path;
use std::process::Command;

use dunlin_test_support::peers::{self, Server};

use crate::cases;
use crate::driver::{Ask, Driver, End, config};
use crate::tally;

/// The server with these options, or `None` where it is not installed.
fn peer(dir: &Path, options: &[&str]) -> Option<Server> {
    let program = peers::require("nghttpd")?;
    Some(Server::on_free_port(|port| {
        let mut command = Command::new(&program);
        command
            .args(["--no-tls", "--address=127.0.0.1", "-d"])
            .arg(dir);
        command.args(options).arg(port.to_string());
        command
    }))
}

/// One that sends back what it gets.
fn echo(options: &[&str]) -> Option<Server> {
    peer(Path::new("/"), &[&["--echo-upload"], options].concat())
}

/// A directory with one file of so many octets.
fn files(name: &str, len: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), cases::body(1, len)).unwrap();
    dir
}

#[test]
fn a_thousand_requests_of_all_sizes() {
    let Some(peer) = echo(&[]) else { return };
    cases::a_thousand(peer.address, 100);
}

#[test]
fn one_stream_at_a_time() {
    let Some(peer) = echo(&["-m1"]) else { return };
    cases::a_thousand(peer.address, 1);
}

#[test]
fn small_windows_both_ways() {
    let Some(peer) = echo(&["-w10"]) else { return };
    cases::small_windows(peer.address, 1_023);
}

#[test]
fn refused_requests_pass_when_sent_again() {
    let Some(peer) = echo(&["-m10"]) else { return };
    cases::refused_and_sent_again(peer.address, 10);
}

#[test]
fn padding() {
    let Some(peer) = echo(&["--padding=255"]) else {
        return;
    };
    cases::a_thousand(peer.address, 100);
    let mut driver = Driver::ready(peer.address, config());
    let asks = cases::echoes(40, &[0, 1, 20_000]);
    let answers = driver.exchange(&asks);
    cases::assert_echoed(&asks, &answers);
    assert!(driver.seen.with(tally::DATA, tally::PADDED) > 0);
    assert!(driver.seen.with(tally::HEADERS, tally::PADDED) > 0);
    driver.finish();
}

#[test]
fn pings_of_ours() {
    let Some(peer) = echo(&[]) else { return };
    cases::pinged(peer.address);
}

#[test]
fn streams_we_give_up() {
    let Some(peer) = echo(&[]) else { return };
    cases::given_up(peer.address);
}

#[test]
fn header_tables_of_all_sizes() {
    let Some(peer) = echo(&["--encoder-header-table-size=64K"]) else {
        return;
    };
    cases::table_sizes(peer.address, None);
    for (option, theirs) in [("-c0", 0), ("-c64", 64), ("-c64K", 65_536)] {
        let Some(peer) = echo(&[option]) else { return };
        cases::table_sizes(peer.address, Some(theirs));
    }
}

#[test]
fn large_response_bodies() {
    let dir = files("large", 5_000_000);
    let Some(peer) = peer(dir.path(), &[]) else {
        return;
    };
    let mut driver = Driver::ready(peer.address, config());
    for answer in driver.exchange(&vec![Ask::new("/large"); 6]) {
        assert_eq!((answer.status, answer.end), (200, Some(End::Answered)));
        assert!(answer.body == cases::body(1, 5_000_000));
    }
    assert_eq!(driver.ask(Ask::new("/missing")).status, 404);
    driver.finish();
}

#[test]
fn trailers_short_and_longer_than_a_frame() {
    let dir = files("file", 10);
    for len in [1, 16_000] {
        let trailer = format!("--trailer=x-after: {}", "~".repeat(len));
        let Some(peer) = peer(dir.path(), &[&trailer]) else {
            return;
        };
        let mut driver = Driver::ready(peer.address, config());
        let answer = driver.ask(Ask::new("/file"));
        assert_eq!((answer.body.len(), answer.end), (10, Some(End::Answered)));
        assert_eq!(answer.trailers.unwrap().get("x-after").unwrap().len(), len);
        driver.finish();
    }
}

/// The answer ends before the request has: the rest of the request is dropped, nothing else is.
#[test]
fn answers_that_come_early() {
    let dir = files("file", 10);
    let Some(peer) = peer(dir.path(), &["--early-response", "-w10"]) else {
        return;
    };
    let mut driver = Driver::ready(peer.address, config());
    for answer in driver.exchange(&vec![Ask::new("/file").body(vec![1; 50_000]); 30]) {
        assert_eq!((answer.body.len(), answer.end), (10, Some(End::Answered)));
    }
    assert_eq!(driver.http2.pending_body_bytes(), 0);
    driver.finish();
}

#[test]
fn interim_responses_are_passed_over() {
    let Some(peer) = echo(&[]) else { return };
    let mut driver = Driver::ready(peer.address, config());
    let asks: Vec<_> = cases::echoes(20, &[1, 20_000])
        .into_iter()
        .map(|ask| ask.field("expect", "100-continue", true))
        .collect();
    let answers = driver.exchange(&asks);
    cases::assert_echoed(&asks, &answers);
    assert_eq!(driver.seen.count(tally::HEADERS), 40);
    driver.finish();
}

/// The server would push, but our SETTINGS forbid it.
#[test]
fn nothing_is_pushed() {
    let dir = files("file", 10);
    let Some(peer) = peer(dir.path(), &["--push=/file=/file"]) else {
        return;
    };
    let mut driver = Driver::ready(peer.address, config());
    assert_eq!(driver.ask(Ask::new("/file")).body.len(), 10);
    driver.finish();
}

/// The process is killed while everything is under way.
#[test]
fn a_killed_server_loses_what_was_open() {
    let dir = files("large", 5_000_000);
    let Some(peer) = peer(dir.path(), &[]) else {
        return;
    };
    let mut driver = Driver::ready(peer.address, config());
    let ids: Vec<_> = (0..100)
        .map(|_| driver.send(&Ask::new("/large").body(vec![1; 99])))
        .collect();
    driver.wait("an answer", |driver| {
        driver.streams.values().any(|answer| answer.status == 200)
    });
    drop(peer);
    driver.wait_for_eof();
    let lost = Some(End::Lost {
        request_complete: true,
    });
    assert!(ids.iter().any(|id| driver.end_of(*id) == lost));
    assert!(
        ids.iter()
            .all(|id| [lost, Some(End::Answered)].contains(&driver.end_of(*id)))
    );
    driver.check_ends();
}
