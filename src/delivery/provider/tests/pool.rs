//! How many connections there are, and which one gets what.

use core::time::Duration;

use super::apple::with_token;
use super::support::{LONG, Rig, config, secs};
use super::wire;
use crate::delivery::ids::ConnectionId;
use crate::provider::Why;

const GROWS: Duration = Duration::from_millis(100);
const HELD_UP: Duration = Duration::from_secs(2);

/// With one connection that takes two streams and has answered one request, and work for long.
fn busy(connections: usize) -> (Rig, ConnectionId) {
    let mut rig = Rig::configured(config(connections));
    rig.submit_all(100, LONG);
    let connection = rig.open(2);
    let stream = rig.open_streams(connection)[0];
    rig.accept(connection, stream);
    (rig, connection)
}

/// Answers the oldest request on a connection.
fn answer_one(rig: &mut Rig, connection: ConnectionId) {
    let stream = rig.open_streams(connection)[0];
    rig.accept(connection, stream);
}

/// Answers everything there is, and what comes then.
fn answer_all(rig: &mut Rig) {
    for connection in rig.connections() {
        while rig.peers.contains_key(&connection) && !rig.open_streams(connection).is_empty() {
            answer_one(rig, connection);
        }
    }
}

#[test]
fn it_grows_one_at_a_time_while_all_are_full_up_to_the_maximum() {
    let (mut rig, _) = busy(3);
    assert_eq!(rig.connects.len(), 1);
    for count in 2..=3 {
        rig.advance(GROWS - Duration::from_millis(1));
        assert_eq!(rig.connects.len(), count - 1, "not yet");
        rig.advance(Duration::from_millis(1));
        assert_eq!(rig.connects.len(), count);
        let connection = rig.open(2);
        rig.advance(secs(1));
        assert_eq!(
            rig.connects.len(),
            count,
            "the last one has answered nothing"
        );
        answer_one(&mut rig, connection);
    }
    rig.advance(secs(1));
    assert_eq!(rig.connects.len(), 3);
    answer_all(&mut rig);
    assert!(rig.jobs.iter().all(|job| rig.is_accepted(*job)));
}

#[test]
fn it_does_not_grow_while_nothing_waits() {
    let mut rig = Rig::configured(config(3));
    rig.submit_all(3, LONG);
    let connection = rig.open(2);
    answer_one(&mut rig, connection);
    assert_eq!(
        rig.open_streams(connection).len(),
        2,
        "there is no more room"
    );
    rig.advance(secs(10));
    assert_eq!(rig.connects.len(), 1);
}

#[test]
fn a_first_request_that_hangs_does_not_hold_up_the_others() {
    let mut rig = with_token();
    let hanging = rig.submit(LONG);
    let others = rig.submit_all(5, LONG);
    let first = rig.open(1_000);
    assert_eq!(rig.open_streams(first).len(), 1, "until the first answer");
    rig.advance(HELD_UP - Duration::from_millis(1));
    assert_eq!(rig.connects.len(), 1, "not yet");
    rig.advance(Duration::from_millis(1));
    assert_eq!(rig.connects.len(), 2);
    let second = rig.open(1_000);
    while !rig.open_streams(second).is_empty() {
        answer_one(&mut rig, second);
    }
    assert!(others.iter().all(|job| rig.is_accepted(*job)));
    assert!(rig.outcome(hanging).is_none());
    answer_one(&mut rig, first);
    assert!(rig.is_accepted(hanging));
}

#[test]
fn what_hung_gets_nothing_more_beside_one_that_answers() {
    let mut rig = with_token();
    let hanging = rig.submit(secs(10));
    rig.submit(LONG);
    let first = rig.open(1_000);
    rig.advance(HELD_UP);
    let second = rig.open(1_000);
    answer_one(&mut rig, second);
    rig.advance(secs(10));
    rig.assert_unanswered(hanging, Why::TimedOut);
    assert_eq!(rig.connections(), [second], "not {first:?}");
    let next = rig.submit(LONG);
    answer_one(&mut rig, second);
    assert!(rig.is_accepted(next));
}

#[test]
fn a_peer_that_says_nothing_at_all_is_no_reason_to_grow() {
    let mut rig = with_token();
    rig.submit_all(6, LONG);
    rig.open_silently();
    rig.advance(secs(4));
    assert_eq!(rig.connects.len(), 1, "it is in doubt only after a PING");
}

#[test]
fn a_moment_of_being_full_is_no_reason_to_grow() {
    let (mut rig, connection) = busy(3);
    for _ in 0..20 {
        rig.advance(Duration::from_millis(50));
        rig.send(connection, &wire::streams(1_000));
        rig.send(connection, &wire::streams(2));
        rig.submit(LONG);
    }
    assert_eq!(rig.connects.len(), 1);
}

#[test]
fn a_limit_of_one_and_back_to_500_makes_more_and_then_fewer() {
    let mut rig = Rig::configured(config(3));
    rig.submit_all(1_500, LONG);
    let first = rig.open(1_000);
    answer_one(&mut rig, first);
    rig.send(first, &wire::streams(1));
    rig.advance(GROWS);
    let second = rig.open(500);
    answer_one(&mut rig, second);
    rig.send(first, &wire::streams(500));
    assert!(rig.open_streams(second).len() <= 500);
    answer_all(&mut rig);
    assert!(rig.jobs.iter().all(|job| rig.is_accepted(*job)));
    rig.advance(secs(600));
    assert_eq!(rig.closed, [second]);
}

#[test]
fn it_does_not_grow_while_connecting_fails() {
    let (mut rig, _) = busy(3);
    rig.advance(GROWS);
    rig.refuse();
    rig.advance(secs(3));
    assert_eq!(rig.connects.len(), 2, "no more until something is answered");
}

#[test]
fn idle_ones_are_closed_after_ten_minutes_but_the_last_stays() {
    let (mut rig, first) = busy(3);
    for _ in 0..2 {
        rig.advance(GROWS);
        let connection = rig.open(2);
        answer_one(&mut rig, connection);
    }
    let connections = rig.connections();
    answer_all(&mut rig);
    rig.advance(Duration::from_millis(599_999));
    assert!(rig.closed.is_empty());
    rig.advance(Duration::from_millis(1));
    assert_eq!(rig.closed, [connections[2]]);
    assert_eq!(rig.gone[&connections[2]].farewell, Some(0), "with a GOAWAY");
    rig.advance(secs(600));
    assert_eq!(rig.closed, [connections[2], connections[1]]);
    rig.advance(secs(1_800));
    assert_eq!((rig.connections(), rig.connects.len()), (vec![first], 3));
}

#[test]
fn one_too_many_finishes_what_it_has_before_it_is_closed() {
    let (mut rig, first) = busy(2);
    rig.advance(GROWS);
    let second = rig.open(2);
    answer_one(&mut rig, second);
    rig.send(first, &wire::streams(1_000));
    let last = rig.open_streams(second);
    while let Some(stream) = rig.open_streams(first).first().copied() {
        rig.accept(first, stream);
    }
    for _ in 0..300 {
        rig.advance(secs(2));
        rig.send(second, &wire::window_update(0, 1));
    }
    rig.submit(LONG);
    assert_eq!(rig.open_streams(second), last, "nothing new");
    assert!(rig.closed.is_empty());
    for stream in last {
        rig.accept(second, stream);
    }
    assert_eq!(rig.closed, [second]);
}

#[test]
fn go_away_moves_to_the_others_what_was_not_processed() {
    let (mut rig, first) = busy(2);
    rig.advance(GROWS);
    let second = rig.open(1_000);
    answer_one(&mut rig, second);
    let moved = rig.devices(first);
    rig.send(first, &wire::go_away(0, 0, b""));
    assert_eq!(
        (rig.closed.as_slice(), rig.connects.len()),
        (&[first][..], 2)
    );
    assert!(
        moved
            .iter()
            .all(|device| rig.devices(second).contains(device))
    );
    answer_all(&mut rig);
    assert!(rig.jobs.iter().all(|job| rig.is_accepted(*job)));
}

#[test]
fn a_connection_in_doubt_gets_nothing_new_until_it_is_heard() {
    let (mut rig, old) = Rig::flying(1_000, 2);
    rig.accept(old, 1);
    rig.advance(secs(4));
    assert_eq!(rig.peer(old).pings.len(), 1);
    rig.advance(secs(1));
    let elsewhere = rig.submit(LONG);
    assert_eq!(
        rig.open_streams(old),
        [3],
        "the PING was not answered for a second"
    );
    let new = rig.open(1_000);
    rig.accept(new, 1);
    assert!(rig.is_accepted(elsewhere));
    let pings = std::mem::take(&mut rig.peers.get_mut(&old).unwrap().pings);
    rig.send(old, &wire::pong(&pings[0]));
    rig.submit(LONG);
    assert_eq!(rig.open_streams(old), [3, 5]);
}

#[test]
fn a_dead_connection_costs_what_was_on_it_and_nothing_else() {
    let (mut rig, old) = Rig::flying(1_000, 1);
    rig.accept(old, 1);
    let lost = rig.submit(secs(10));
    let mut later = Vec::new();
    for _ in 0..10 {
        rig.advance(secs(1));
        if !rig.pending.is_empty() {
            rig.open(1_000);
        }
        let job = rig.submit(secs(10));
        if let Some(connection) = rig
            .connections()
            .into_iter()
            .find(|connection| *connection != old)
        {
            while !rig.open_streams(connection).is_empty() {
                answer_one(&mut rig, connection);
            }
            later.push(job);
        }
    }
    rig.assert_unanswered(lost, Why::TimedOut);
    assert!(later.len() >= 5 && later.iter().all(|job| rig.is_accepted(*job)));
}
