//! Connections that end or never begin, deadlines, and how often is connected.

use super::super::GatewayConfig;
use super::peer::answer;
use super::support::{CONFIG, LONG, Rig, World, ms, secs};
use crate::delivery::action::{Action, News};
use crate::provider::{Outcome, Why};

#[test]
fn a_close_without_a_word_loses_what_was_written_and_nothing_else() {
    let mut rig = Rig::proven(GatewayConfig {
        window: 3,
        ..CONFIG
    });
    rig.submit_all(5);
    let connection = rig.open();
    rig.cut(connection);
    rig.assert_unanswered(&rig.jobs[..3], Why::ConnectionLost);
    let outcome = rig.outcome(rig.jobs[0]);
    let unsafe_ = matches!(
        outcome,
        Some(Outcome::Unanswered {
            may_resend: false,
            ..
        })
    );
    assert!(unsafe_ && rig.lane.trouble().unwrap().contains("without a word"));
    let next = rig.open();
    rig.advance(ms(100));
    assert_eq!(rig.peer(next).devices(), [3, 4]);
    assert!((0..3).all(|device| rig.times_written(device) == 1));
}

#[test]
fn only_a_lane_that_has_not_been_proven_waits_before_it_writes() {
    let mut rig = Rig::new();
    rig.submit_all(2);
    let connection = rig.open();
    rig.advance(ms(99));
    assert!(rig.peer(connection).raw.is_empty());
    rig.advance(ms(1));
    assert_eq!(rig.peer(connection).devices(), [0, 1]);
    rig.advance(ms(50));
    rig.confirm(connection);
    rig.submit(LONG);
    let connection = rig.open();
    assert_eq!(
        rig.peer(connection).devices(),
        [2],
        "the healthy path has no delay"
    );
    rig.cut(connection);
    rig.submit(LONG);
    rig.advance(secs(1));
    let connection = rig.open();
    assert!(
        rig.peer(connection).raw.is_empty(),
        "after a failure it waits again"
    );
    rig.advance(ms(100));
    assert_eq!(rig.peer(connection).devices(), [3]);
}

#[test]
fn a_close_before_anything_was_written_is_a_failed_connect() {
    let mut rig = Rig::new();
    let job = rig.submit(secs(600));
    let connection = rig.open();
    rig.advance(ms(80));
    rig.cut(connection);
    assert_eq!((rig.outcome(job), rig.pending.len()), (None, 0));
    let trouble = rig.lane.trouble().unwrap();
    assert!(trouble.contains("certificate"), "{trouble}");
    rig.world = World::HangsUp;
    rig.advance(secs(600));
    rig.assert_unanswered(&[job], Why::NotSent);
    assert!(rig.connects.len() < 40, "{}", rig.connects.len());
    rig.world = World::Serves;
    rig.submit(LONG);
    rig.advance(secs(60));
    rig.assert_accepted(&rig.jobs[1..]);
    assert_eq!(rig.lane.trouble(), None);
}

#[test]
fn an_answer_before_anything_was_written_is_a_failed_connect() {
    let mut rig = Rig::new();
    rig.submit(LONG);
    let connection = rig.open();
    rig.lane.handle_input(rig.now, connection, &answer(10, 0));
    let action = rig.lane.poll_action();
    assert_eq!(action, Some(Action::Close(connection)));
    assert_eq!(rig.lane.poll_action(), None, "before it is gone");
    rig.cut(connection);
    assert_eq!((rig.outcomes.len(), rig.pending.len()), (0, 0));
    rig.world = World::Serves;
    rig.advance(secs(1));
    rig.assert_accepted(&rig.jobs);
    assert_eq!(rig.connects.len(), 2);
}

#[test]
fn what_refuses_or_drops_is_tried_less_and_less_often() {
    for world in [World::Refuses, World::HangsUp, World::Drops] {
        let mut rig = Rig::proven(CONFIG);
        rig.world = world;
        for _ in 0..600 {
            rig.submit(secs(30));
            rig.advance(secs(1));
        }
        let connects = rig.connects.len();
        // 0.1 s to 0.2 s first, 15 s to 30 s in the end.
        assert!((20..60).contains(&connects), "{world:?}: {connects}");
        rig.advance(secs(60));
        assert_eq!(rig.outcomes.len(), 600);
    }
}

#[test]
fn what_has_worked_again_is_tried_soon_after_its_next_failure() {
    let mut rig = Rig::new();
    rig.world = World::Refuses;
    rig.submit(LONG);
    rig.advance(secs(600));
    rig.world = World::Serves;
    rig.advance(secs(60));
    rig.assert_accepted(&rig.jobs);
    rig.world = World::Undecided;
    rig.submit(LONG);
    rig.refuse();
    rig.advance(ms(200));
    assert_eq!(rig.pending.len(), 1);
}

#[test]
fn a_refused_connect_says_why_and_is_tried_again() {
    let mut rig = Rig::proven(CONFIG);
    let job = rig.submit(LONG);
    rig.refuse();
    assert_eq!(
        (rig.lane.trouble(), rig.pending.len()),
        (Some("refused"), 0)
    );
    rig.world = World::Serves;
    rig.advance(secs(1));
    rig.assert_accepted(&[job]);
}

#[test]
fn deadlines_are_kept_wherever_a_notification_is() {
    let mut rig = Rig::proven(CONFIG);
    let queued = rig.submit(ms(500));
    rig.advance(ms(499));
    assert_eq!(rig.outcome(queued), None);
    rig.advance(ms(1));
    rig.assert_unanswered(&[queued], Why::NotSent);
    let connection = rig.open();
    let sent = rig.submit(ms(700));
    let behind = rig.submit(LONG);
    rig.advance(ms(700));
    rig.assert_unanswered(&[sent], Why::TimedOut);
    assert_eq!(rig.outcomes.len(), 2);
    // Its place still counts.
    rig.answer(connection, 8, rig.peer(connection).identifier_of(1));
    let again = rig.submit(secs(1));
    assert_eq!(rig.outcomes.len(), 2);
    rig.advance(secs(1));
    rig.assert_unanswered(&[again], Why::NotSent);
    assert_eq!(rig.outcome(behind), None);
    let next = rig.open();
    assert_eq!(rig.peer(next).devices(), [2]);
}

#[test]
fn one_that_was_dropped_and_not_sent_again_in_time_may_be_sent_again() {
    let mut rig = Rig::proven(CONFIG);
    rig.submit_bad();
    let job = rig.submit(secs(5));
    let connection = rig.open();
    rig.answer(connection, 8, rig.peer(connection).identifiers()[0]);
    rig.advance(secs(5));
    rig.assert_unanswered(&[job], Why::NotProcessed);
    assert!(Why::NotProcessed.may_resend());
}

#[test]
fn a_connection_of_nothing_but_missed_deadlines_is_still_asked() {
    let mut rig = Rig::proven(CONFIG);
    rig.submit(ms(10));
    let connection = rig.open();
    rig.advance(ms(50));
    rig.assert_unanswered(&rig.jobs, Why::TimedOut);
    assert!(rig.peer(connection).probe().is_some());
    rig.advance(secs(10));
    assert_eq!(rig.closed, [connection]);
}

#[test]
fn an_idle_connection_is_kept_for_a_while_and_then_closed() {
    let mut rig = Rig::proven(CONFIG);
    rig.submit_unasked(LONG);
    let connection = rig.open();
    rig.advance(secs(599));
    assert!(rig.closed.is_empty());
    rig.advance(secs(1));
    assert_eq!(rig.closed, [connection]);
    rig.submit(LONG);
    assert_eq!(rig.pending.len(), 1, "that was no failure");
}

#[test]
fn an_idle_connection_that_the_gateway_closes_is_no_failure() {
    let mut rig = Rig::proven(CONFIG);
    rig.submit_unasked(LONG);
    let connection = rig.open();
    rig.advance(secs(60));
    rig.cut(connection);
    assert_eq!(rig.lane.trouble(), None);
    rig.submit(LONG);
    let connection = rig.open();
    assert_eq!(rig.peer(connection).devices(), [1]);
}

#[test]
fn a_gateway_that_stops_reading_loses_its_connection() {
    let mut rig = Rig::proven(CONFIG);
    rig.submit_unasked(LONG);
    let connection = rig.open();
    rig.advance(secs(2));
    // The driver's last write is not done: it asks for no more.
    let peer = rig.peers.remove(&connection).unwrap();
    let job = rig.submit_unasked(LONG);
    rig.advance(ms(9_999));
    assert!(rig.closed.is_empty());
    rig.advance(ms(1));
    assert_eq!(
        (rig.closed.as_slice(), rig.outcome(job)),
        (&[connection][..], None)
    );
    assert!(rig.lane.trouble().unwrap().contains("stopped reading"));
    assert!(rig.pending.is_empty(), "it backs off");
    rig.gone.insert(connection, peer);
    rig.world = World::Serves;
    rig.advance(secs(5));
    rig.assert_unanswered(&[job], Why::Unconfirmed);
    assert_eq!(rig.times_written(1), 1);
}

#[test]
fn calls_about_connections_that_are_gone_do_nothing() {
    let (mut rig, connection) = Rig::flying(2);
    rig.cut(connection);
    let before = rig.outcomes.clone();
    rig.send(connection, &answer(8, 2));
    rig.cut(connection);
    rig.lane.handle_connected(rig.now, connection);
    let mut out = Vec::new();
    rig.lane.poll_transmit(rig.now, connection, &mut out);
    rig.drive();
    assert!(out.is_empty() && !rig.lane.wants_transmit(connection));
    assert_eq!(rig.outcomes, before);
}

#[test]
fn failed_connections_are_news_until_one_was_worth_it() {
    let news =
        |rig: &mut Rig| -> Vec<News> { core::iter::from_fn(|| rig.lane.poll_news()).collect() };
    let mut rig = Rig::new();
    rig.submit(LONG);
    let connection = rig.open();
    rig.cut(connection);
    let told = news(&mut rig);
    let [News::ConnectFailed(why)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(
        why.contains("is the certificate one of this environment"),
        "{why}"
    );
    rig.world = World::Refuses;
    rig.advance(secs(3_600));
    assert_eq!(news(&mut rig).len(), News::MAX);
    rig.world = World::Serves;
    rig.advance(secs(60));
    rig.assert_accepted(&rig.jobs);
    assert_eq!(news(&mut rig), [News::Connected]);
}
