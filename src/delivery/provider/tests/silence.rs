//! Peers that say nothing, and connections that have nothing to say.

use core::time::Duration;

use super::support::{LONG, Rig, config, secs};
use super::wire;
use crate::provider::Why;

#[test]
fn a_silent_peer_is_asked_after_four_seconds_and_then_replaced() {
    let (mut rig, old) = Rig::flying(2, 4);
    rig.accept(old, 1);
    let waiting = rig.jobs[3];
    rig.advance(Duration::from_millis(3_999));
    assert!(rig.peer(old).pings.is_empty());
    rig.advance(Duration::from_millis(1));
    assert_eq!(rig.peer(old).pings.len(), 1);
    rig.advance(Duration::from_millis(19_999));
    assert_eq!((rig.closed.len(), rig.peer(old).pings.len()), (0, 1));
    rig.advance(Duration::from_millis(1));
    assert_eq!(rig.closed, [old]);
    assert!(
        rig.lane.trouble().is_some_and(|text| text.contains("PING")),
        "{:?}",
        rig.lane.trouble()
    );
    rig.assert_unanswered(rig.jobs[1], Why::ConnectionLost);
    rig.assert_unanswered(rig.jobs[2], Why::ConnectionLost);
    let new = rig.open(1_000);
    assert_eq!(rig.devices(new), [3]);
    rig.accept(new, 1);
    assert!(rig.is_accepted(waiting));
}

#[test]
fn a_slow_peer_that_answers_pings_stays() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    for _ in 0..100 {
        rig.advance(secs(4));
        let pings = std::mem::take(&mut rig.peers.get_mut(&connection).unwrap().pings);
        assert_eq!(pings.len(), 1);
        rig.advance(secs(1));
        rig.send(connection, &wire::pong(&pings[0]));
    }
    rig.accept(connection, 1);
    assert!(rig.is_accepted(rig.jobs[0]) && rig.closed.is_empty());
}

#[test]
fn a_peer_that_answers_pings_but_no_requests_is_replaced() {
    let (mut rig, stuck) = Rig::flying(1_000, 1);
    rig.accept(stuck, 1);
    for n in 0..3 {
        assert!(rig.closed.is_empty(), "after {n}");
        let job = rig.submit(secs(2));
        rig.send(stuck, &wire::window_update(0, 1));
        rig.advance(secs(2));
        rig.assert_unanswered(job, Why::TimedOut);
    }
    assert_eq!(rig.closed, [stuck]);
    let job = rig.submit(secs(2));
    let fresh = rig.open(1_000);
    rig.accept(fresh, 1);
    assert!(rig.is_accepted(job));
}

#[test]
fn one_answer_in_between_keeps_a_peer() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.accept(connection, 1);
    for n in 0..20 {
        rig.submit(secs(2));
        rig.advance(secs(1));
        if n % 2 == 0 {
            rig.accept(connection, 3 + 2 * n);
        }
        rig.advance(secs(1));
    }
    assert!(rig.closed.is_empty() && rig.connects.len() == 1);
}

#[test]
fn a_silent_peer_is_found_out_with_deadlines_shorter_than_patience() {
    let (mut rig, old) = Rig::flying(1_000, 1);
    rig.accept(old, 1);
    for _ in 0..60 {
        rig.submit(secs(1));
        rig.advance(secs(1));
        if !rig.closed.is_empty() {
            break;
        }
    }
    assert_eq!(rig.closed, [old]);
    assert!(rig.now.since(crate::time::Now::ZERO) <= secs(25));
}

#[test]
fn an_hour_of_nothing_is_ended_by_a_ping() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.accept(connection, 1);
    for hour in 1..=48 {
        rig.advance(secs(3_600));
        let pings = std::mem::take(&mut rig.peers.get_mut(&connection).unwrap().pings);
        assert_eq!(pings.len(), 1, "hour {hour}");
        rig.send(connection, &wire::pong(&pings[0]));
    }
    assert!(rig.closed.is_empty() && rig.connects.len() == 1);
    let job = rig.submit(LONG);
    rig.accept(connection, 3);
    assert!(rig.is_accepted(job));
}

#[test]
fn an_idle_connection_that_is_dead_is_closed_and_not_reopened() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.accept(connection, 1);
    rig.advance(secs(3_619));
    assert!(rig.closed.is_empty());
    rig.advance(secs(1));
    assert_eq!(
        (rig.closed.as_slice(), rig.connects.len()),
        ([connection].as_slice(), 1)
    );
    assert_eq!(rig.lane.poll_timeout(), None);
}

#[test]
fn a_request_after_a_long_silence_waits_for_a_pong_and_starts_the_clock_anew() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.accept(connection, 1);
    rig.advance(secs(3_000));
    rig.submit(LONG);
    rig.submit(LONG);
    assert_eq!(
        rig.peer(connection).order.len(),
        1,
        "not before it has answered"
    );
    rig.pong(connection, 1);
    assert_eq!(rig.open_streams(connection), [3, 5]);
    rig.advance(Duration::from_millis(3_999));
    assert!(rig.peer(connection).pings.is_empty());
    rig.accept(connection, 3);
    rig.accept(connection, 5);
    rig.advance(secs(3_599));
    assert!(rig.peer(connection).pings.is_empty() && rig.connects.len() == 1);
}

#[test]
fn a_request_after_less_than_a_minute_waits_for_nothing() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.accept(connection, 1);
    rig.advance(Duration::from_millis(59_999));
    rig.submit(LONG);
    assert_eq!(rig.open_streams(connection), [3]);
    assert!(rig.peer(connection).pings.is_empty());
}

/// What users of other libraries complain of most: the first push after a while is lost.
#[test]
fn a_connection_that_died_while_idle_takes_no_push_with_it() {
    let (mut rig, old) = Rig::flying(1_000, 1);
    rig.accept(old, 1);
    rig.advance(secs(900));
    let jobs = rig.submit_all(3, secs(10));
    rig.advance(Duration::from_millis(999));
    assert_eq!(rig.connects.len(), 1, "it may still answer");
    rig.advance(Duration::from_millis(1));
    let new = rig.open(1_000);
    for stream in rig.open_streams(new) {
        rig.accept(new, stream);
    }
    assert!(jobs.iter().all(|job| rig.is_accepted(*job)));
    assert_eq!(rig.peer(old).order.len(), 1);
    rig.advance(secs(20));
    assert_eq!(
        (rig.closed.clone(), rig.connections()),
        (vec![old], vec![new])
    );
}

/// One that was reset meanwhile is found out by the PING, and a new one opened at once.
#[test]
fn a_connection_that_is_reset_when_it_is_asked_takes_no_push_with_it() {
    let (mut rig, old) = Rig::flying(1_000, 1);
    rig.accept(old, 1);
    rig.advance(secs(900));
    let job = rig.submit(secs(10));
    rig.cut(old);
    let new = rig.open(1_000);
    rig.accept(new, 1);
    assert!(rig.is_accepted(job));
}

#[test]
fn idle_connections_are_asked_once_and_others_are_not_held_up() {
    let mut rig = Rig::configured(config(2));
    rig.submit_all(10, LONG);
    let first = rig.open(2);
    rig.accept(first, 1);
    rig.advance(Duration::from_millis(100));
    let second = rig.open(1_000);
    for connection in [second, first] {
        while let Some(stream) = rig.open_streams(connection).first().copied() {
            rig.accept(connection, stream);
        }
    }
    rig.advance(secs(90));
    rig.send(second, &wire::window_update(0, 1));
    let jobs = rig.submit_all(5, LONG);
    assert_eq!(rig.peer(first).pings.len(), 1);
    assert!(rig.peer(second).pings.is_empty());
    assert_eq!(rig.open_streams(second).len(), 5);
    for stream in rig.open_streams(second) {
        rig.accept(second, stream);
    }
    assert!(jobs.iter().all(|job| rig.is_accepted(*job)));
}

#[test]
fn a_peer_that_never_says_hello_is_replaced() {
    let mut rig = Rig::new();
    rig.submit_all(2, LONG);
    let old = rig.open_silently();
    assert_eq!(rig.open_streams(old), [1]);
    rig.advance(secs(30));
    assert_eq!(rig.closed, [old]);
    rig.assert_unanswered(rig.jobs[0], Why::ConnectionLost);
    let new = rig.open(1_000);
    assert_eq!(rig.devices(new), [1]);
}
