//! What is known without an error response, and how certainty is made.

use super::super::GatewayConfig;
use super::peer::device;
use super::support::{CONFIG, LONG, Rig, World, ms, notification, secs, speaking};
use crate::binary::{Command, Unsendable};
use crate::delivery::ids::ConnectionId;
use crate::delivery::submission::QueueFull;
use crate::notification::{DeviceToken, Draft, Payload, Priority, Topic};
use crate::provider::{Outcome, Why};

#[test]
fn a_refused_probe_accepts_everything_before_it_and_ends_the_connection() {
    let (mut rig, connection) = Rig::flying(5);
    rig.advance(ms(49));
    assert_eq!(rig.peer(connection).probe(), None);
    rig.advance(ms(1));
    assert!(rig.peer(connection).probe().is_some() && rig.outcomes.is_empty());
    rig.confirm(connection);
    rig.assert_accepted(&rig.jobs);
    assert_eq!(rig.closed, [connection]);
    rig.advance(secs(7_200));
    assert_eq!(rig.connects.len(), 1, "nobody needs another");
}

#[test]
fn identifiers_start_at_1_and_go_on_counting_on_the_next_connection() {
    let mut rig = Rig::new();
    rig.world = World::Serves;
    rig.submit_all(3);
    rig.advance(secs(1));
    rig.submit_all(2);
    rig.advance(secs(1));
    let identifiers = rig.gone.values().map(super::peer::Peer::identifiers);
    assert_eq!(
        identifiers.collect::<Vec<_>>(),
        [vec![1, 2, 3, 4], vec![5, 6, 7]]
    );
    rig.assert_accepted(&rig.jobs);
}

#[test]
fn identifiers_skip_0_when_they_wrap() {
    let mut rig = Rig::proven(CONFIG);
    rig.lane.next_identifier = crate::binary::Identifier::new(u32::MAX - 1).unwrap();
    rig.submit_all(2);
    rig.submit_bad();
    rig.submit_all(2);
    let connection = rig.open();
    assert_eq!(
        rig.peer(connection).identifiers(),
        [u32::MAX - 1, u32::MAX, 1, 2, 3]
    );
    rig.answer(connection, 8, 1);
    rig.assert_accepted(&rig.jobs[..2]);
    rig.assert_rejected(&rig.jobs[2..3], 400);
    let connection = rig.open();
    assert_eq!(rig.peer(connection).identifiers(), [4, 5]);
    assert_eq!(rig.peer(connection).devices(), [3, 4]);
}

#[test]
fn notifications_that_come_close_together_share_a_probe() {
    let (mut rig, connection) = Rig::flying(1);
    for _ in 0..10 {
        rig.advance(ms(40));
        rig.submit(LONG);
    }
    assert_eq!(rig.peer(connection).probe(), None);
    rig.advance(ms(50));
    assert_eq!(rig.peer(connection).messages().len(), 12);
    rig.confirm(connection);
    rig.assert_accepted(&rig.jobs);
    assert_eq!(rig.connects.len(), 1);
}

#[test]
fn under_a_steady_stream_the_oldest_waits_a_second_for_its_probe() {
    let (mut rig, connection) = Rig::flying(1);
    for _ in 0..24 {
        rig.advance(ms(40));
        rig.submit(LONG);
    }
    assert_eq!(rig.peer(connection).probe(), None, "0.96 s");
    rig.advance(ms(40));
    assert!(rig.peer(connection).probe().is_some());
    // The rest does not wait for the answer.
    rig.submit(LONG);
    let next = rig.open();
    assert_eq!(rig.peer(next).devices(), [25]);
    rig.confirm(connection);
    rig.assert_accepted(&rig.jobs[..25]);
    assert_eq!(rig.outcomes.len(), 25);
    rig.advance(ms(50));
    rig.confirm(next);
    rig.assert_accepted(&rig.jobs);
}

#[test]
fn a_full_window_is_probed_at_once_and_the_rest_goes_on_another_connection() {
    let mut rig = Rig::proven(GatewayConfig {
        window: 3,
        ..CONFIG
    });
    rig.submit_all(7);
    let first = rig.open();
    assert_eq!(rig.peer(first).devices(), [0, 1, 2]);
    assert!(rig.peer(first).probe().is_some());
    let second = rig.open();
    assert_eq!(rig.peer(second).devices(), [3, 4, 5]);
    rig.confirm(second);
    rig.assert_accepted(&rig.jobs[3..6]);
    let third = rig.open();
    assert_eq!(rig.peer(third).devices(), [6]);
    rig.advance(ms(50));
    rig.confirm(third);
    rig.confirm(first);
    rig.assert_accepted(&rig.jobs);
}

#[test]
fn confirmations_one_after_the_other_are_paced() {
    let mut rig = Rig::new();
    rig.world = World::Serves;
    for _ in 0..60 {
        rig.submit(LONG);
        rig.advance(secs(1) / 4);
    }
    rig.advance(secs(2));
    rig.assert_accepted(&rig.jobs);
    // 15 seconds: one each, and a few at once in the beginning.
    let connects = rig.connects.len();
    assert!((15..=8 + 17).contains(&connects), "{connects}");
    let longest = rig.outcomes.values().map(|(at, _)| *at).max();
    assert!(longest.is_some());
    let (first, last) = (rig.connects[0], rig.connects[7]);
    assert!(
        last.since(first) < ms(2_000),
        "the first are not kept waiting"
    );
}

#[test]
fn what_nobody_asks_to_be_confirmed_ends_after_a_second_without_a_probe() {
    let mut rig = Rig::proven(CONFIG);
    rig.submit_unasked(LONG);
    let connection = rig.open();
    rig.advance(ms(500));
    rig.submit_unasked(LONG);
    rig.advance(ms(499));
    assert!(rig.outcomes.is_empty());
    rig.advance(ms(1));
    rig.assert_unanswered(&rig.jobs[..1], Why::Unconfirmed);
    assert_eq!(rig.outcomes.len(), 1, "the second has half a second left");
    rig.advance(secs(60));
    rig.assert_unanswered(&rig.jobs, Why::Unconfirmed);
    let outcome = rig.outcome(rig.jobs[0]).unwrap().to_string();
    assert!(outcome.ends_with("it may have been accepted"), "{outcome}");
    // The connection stays, and is used again.
    rig.submit_unasked(LONG);
    assert_eq!(
        (rig.peer(connection).devices(), rig.connects.len()),
        (vec![0, 1, 2], 1)
    );
    assert_eq!(rig.peer(connection).probe(), None);
}

#[test]
fn one_that_is_to_be_confirmed_confirms_those_beside_it() {
    let mut rig = Rig::proven(CONFIG);
    rig.submit_unasked(LONG);
    let connection = rig.open();
    rig.advance(ms(990));
    rig.submit(LONG);
    rig.submit_unasked(LONG);
    rig.advance(ms(50));
    assert!(rig.outcomes.is_empty());
    rig.confirm(connection);
    rig.assert_accepted(&rig.jobs);
}

#[test]
fn a_late_answer_still_says_what_became_of_the_rest() {
    let mut rig = Rig::proven(CONFIG);
    rig.submit_unasked(LONG);
    rig.submit_unasked(LONG);
    let connection = rig.open();
    rig.advance(secs(1));
    rig.assert_unanswered(&rig.jobs, Why::Unconfirmed);
    let bad = rig.submit_bad();
    let behind = rig.submit(LONG);
    let device = super::peer::BAD + 2;
    rig.answer(connection, 8, rig.peer(connection).identifier_of(device));
    rig.assert_rejected(&[bad], 400);
    rig.assert_unanswered(&rig.jobs[..2], Why::Unconfirmed);
    let next = rig.open();
    assert_eq!(
        rig.peer(next).devices(),
        [3],
        "those that have ended stay ended"
    );
    rig.advance(ms(50));
    rig.confirm(next);
    rig.assert_accepted(&[behind]);
}

#[test]
fn a_late_answer_to_what_has_ended_sends_only_the_rest_again() {
    let mut rig = Rig::proven(CONFIG);
    (0..3).for_each(|_| _ = rig.submit_unasked(LONG));
    let connection = rig.open();
    rig.advance(secs(1));
    rig.submit_all(2);
    rig.answer(connection, 8, rig.peer(connection).identifier_of(1));
    let next = rig.open();
    assert_eq!(rig.peer(next).devices(), [3, 4]);
    rig.assert_unanswered(&rig.jobs[..3], Why::Unconfirmed);
    assert_eq!(rig.times_written(2), 1);
}

#[test]
fn a_window_of_unasked_ones_waits_until_the_oldest_has_ended() {
    let mut rig = Rig::proven(GatewayConfig {
        window: 2,
        ..CONFIG
    });
    (0..5).for_each(|_| _ = rig.submit_unasked(LONG));
    let connection = rig.open();
    for (written, ended) in [(2, 0), (4, 2), (5, 4), (5, 5)] {
        assert_eq!(rig.peer(connection).devices().len(), written);
        assert_eq!(rig.outcomes.len(), ended);
        assert_eq!(rig.peer(connection).probe(), None);
        rig.advance(secs(1));
    }
    assert_eq!(rig.connects.len(), 1);
    rig.assert_unanswered(&rig.jobs, Why::Unconfirmed);
}

/// A connection with three that have left the window, and two that are in it and unanswered.
fn three_have_left() -> (Rig, ConnectionId) {
    let mut rig = Rig::proven(GatewayConfig {
        window: 2,
        ..CONFIG
    });
    (0..3).for_each(|_| _ = rig.submit_unasked(LONG));
    let connection = rig.open();
    rig.advance(secs(3));
    (0..2).for_each(|_| _ = rig.submit(LONG));
    assert_eq!(rig.peer(connection).devices(), [0, 1, 2, 3, 4]);
    (rig, connection)
}

#[test]
fn an_answer_that_names_what_has_left_the_window_sends_all_that_came_after_it_again() {
    for (named, status) in [(0, 8), (1, 8), (2, 8), (0, 10), (2, 10)] {
        let (mut rig, connection) = three_have_left();
        rig.answer(
            connection,
            status,
            rig.peer(connection).identifier_of(named),
        );
        let next = rig.open();
        assert_eq!(rig.peer(next).devices(), [3, 4], "{named} {status}");
        assert_eq!(rig.outcomes.len(), 3);
        rig.confirm(next);
        rig.assert_accepted(&rig.jobs[3..]);
        assert_eq!((rig.times_written(3), rig.times_written(4)), (2, 2));
        assert_eq!(rig.lane.trouble(), None);
    }
}

#[test]
fn an_answer_that_names_what_was_never_sent_sends_nothing_again() {
    // One later is the probe, which the full window was ended by.
    for far in [0, 2, 1_000] {
        let (mut rig, connection) = three_have_left();
        let last = rig.peer(connection).identifier_of(4);
        let named = if far == 0 { 0 } else { last + far };
        rig.answer(connection, 8, named);
        rig.assert_unanswered(&rig.jobs[3..], Why::Unreadable);
        assert_eq!((rig.times_written(3), rig.times_written(4)), (1, 1));
    }
    // Nor does a number of another connection.
    let (mut rig, connection) = three_have_left();
    let first = rig.peer(connection).identifier_of(0);
    rig.answer(connection, 8, first);
    let next = rig.open();
    rig.answer(next, 8, first);
    rig.assert_unanswered(&rig.jobs[3..], Why::Unreadable);
}

#[test]
fn jobs_that_end_early_give_their_places_back() {
    let mut rig = Rig::proven(GatewayConfig {
        window: 2,
        ..CONFIG
    });
    rig.submit_unasked(ms(1));
    let connection = rig.open();
    for _ in 0..1_000 {
        rig.submit_unasked(ms(1));
        rig.advance(ms(1));
        assert!(rig.lane.connections[0].unasked.len() <= 2);
    }
    assert_eq!(rig.peer(connection).devices().len(), 1_001);
    rig.assert_unanswered(&rig.jobs, Why::TimedOut);
}

#[test]
fn a_probe_that_is_not_refused_closes_the_connection_after_10_seconds() {
    let (mut rig, connection) = Rig::flying(2);
    rig.advance(ms(50));
    rig.advance(ms(9_999));
    assert!(rig.outcomes.is_empty());
    rig.advance(ms(1));
    rig.assert_unanswered(&rig.jobs, Why::TimedOut);
    assert_eq!(rig.closed, [connection]);
    assert!(rig.lane.trouble().unwrap().contains("neither refused"));
    rig.submit(LONG);
    assert!(
        rig.pending.is_empty(),
        "such a gateway is not asked at once again"
    );
    rig.advance(secs(1));
    assert_eq!(rig.pending.len(), 1);
}

#[test]
fn silent_gateways_get_few_connections() {
    let mut rig = Rig::proven(CONFIG);
    for _ in 0..20 {
        rig.submit(secs(30));
        rig.advance(ms(60));
        if !rig.pending.is_empty() {
            rig.open();
            rig.advance(ms(60));
        }
    }
    assert_eq!(rig.peers.len(), super::super::lane::MAX_CONNECTIONS);
    rig.advance(secs(30));
    assert_eq!(rig.outcomes.len(), 20);
    assert!(rig.jobs.iter().all(|job| {
        matches!(
            rig.outcome(*job),
            Some(Outcome::Unanswered {
                why: Why::TimedOut | Why::NotSent,
                ..
            })
        )
    }));
}

#[test]
fn command_1_is_probed_in_command_1() {
    let mut rig = Rig::proven(speaking(Command::Enhanced));
    rig.submit_all(2);
    let connection = rig.open();
    rig.advance(ms(50));
    let messages = rig.peer(connection).messages();
    assert_eq!(
        messages.iter().map(device).collect::<Vec<_>>(),
        [Some(0), Some(1), None]
    );
    assert!(rig.peer(connection).raw[0] == 1 && messages[2].priority.is_none());
    rig.confirm(connection);
    rig.assert_accepted(&rig.jobs);
}

#[test]
fn command_0_confirms_nothing() {
    let mut rig = Rig::with(speaking(Command::Simple));
    rig.submit_all(2);
    let connection = rig.open();
    rig.advance(ms(1_100));
    rig.assert_unanswered(&rig.jobs, Why::Unconfirmed);
    assert_eq!(rig.peer(connection).messages().len(), 2, "no probe");
    // A close tells nothing, nor would an answer.
    rig.submit_all(2);
    rig.cut(connection);
    rig.assert_unanswered(&rig.jobs[2..], Why::ConnectionLost);
    rig.submit_all(2);
    rig.advance(secs(1));
    let connection = rig.open();
    rig.advance(ms(100));
    rig.answer(connection, 8, 5);
    rig.assert_unanswered(&rig.jobs[4..], Why::Unreadable);
    assert_eq!(rig.times_written(5), 1);
}

#[test]
fn what_the_dialect_cannot_carry_is_known_before_and_holds_nothing_up() {
    let config = speaking(Command::Enhanced);
    let large = notification(7, format!(r#"{{"a":"{}"}}"#, "x".repeat(300)).as_bytes());
    let got = Unsendable::PayloadTooLarge {
        limit: 256,
        got: 308,
    };
    assert_eq!(
        (config.check(&large), CONFIG.check(&large)),
        (Err(got), Ok(()))
    );
    let draft = Draft::new(
        DeviceToken::from_bytes(&[1]).unwrap(),
        Topic::parse("a.b").unwrap(),
        Payload::parse(br#"{"aps":{"alert":"x"}}"#).unwrap(),
    );
    let never = draft.priority(Priority::NeverWake).build().unwrap();
    let got = Unsendable::PriorityUnknown(Priority::NeverWake);
    assert_eq!(
        (config.check(&never), CONFIG.check(&never)),
        (Ok(()), Err(got))
    );
    let mut rig = Rig::proven(config);
    rig.submit(LONG);
    let job = rig.try_submit(large, LONG, true).unwrap();
    rig.submit(LONG);
    let connection = rig.open();
    rig.assert_unanswered(&[job], Why::NotSent);
    assert_eq!(rig.peer(connection).devices(), [0, 2]);
    rig.advance(ms(50));
    rig.confirm(connection);
    rig.assert_accepted(&[rig.jobs[0], rig.jobs[2]]);
}

#[test]
fn the_queue_is_bounded() {
    let mut rig = Rig::with(GatewayConfig { queue: 3, ..CONFIG });
    rig.submit_all(3);
    let next = notification(9, b"{}");
    assert_eq!(rig.try_submit(next, LONG, true), Err(QueueFull));
    let connection = rig.open();
    rig.advance(ms(100));
    assert_eq!(rig.peer(connection).devices(), [0, 1, 2]);
    rig.submit(LONG);
}

#[test]
fn writes_are_cut_at_64_kib_and_lose_nothing() {
    let mut rig = Rig::proven(CONFIG);
    let payload = format!(r#"{{"aps":{{"alert":"{}"}}}}"#, "x".repeat(2_000));
    for device in 0..200 {
        let notification = notification(device, payload.as_bytes());
        rig.try_submit(notification, LONG, true).unwrap();
    }
    let connection = rig.open();
    let writes = &rig.peer(connection).writes;
    assert!(writes.len() > 5 && writes.iter().all(|bytes| *bytes < 64 * 1024 + 2_200));
    assert_eq!(rig.peer(connection).devices(), (0..200).collect::<Vec<_>>());
    rig.advance(ms(50));
    rig.confirm(connection);
    rig.assert_accepted(&rig.jobs);
}
