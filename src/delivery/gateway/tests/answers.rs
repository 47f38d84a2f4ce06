//! Error responses: what they accept, reject and send again, and those that tell nothing.

use super::peer::{BAD, answer};
use super::support::{CONFIG, LONG, Rig, World, ms, secs};
use crate::provider::{Outcome, Reason, Why};

/// Submits good and bad ones and lets a gateway that follows the rules answer.
fn serve(bad: &[bool]) -> Rig {
    let mut rig = Rig::proven(CONFIG);
    rig.world = World::Serves;
    for bad in bad {
        match bad {
            true => rig.submit_bad(),
            false => rig.submit(LONG),
        };
    }
    rig.advance(secs(2));
    for (index, job) in rig.jobs.clone().into_iter().enumerate() {
        match bad[index] {
            true => rig.assert_rejected(&[job], 400),
            false => rig.assert_accepted(&[job]),
        }
    }
    for (device, count) in rig.gone.values().flat_map(|peer| peer.accepted.iter()) {
        assert_eq!(*count, 1, "device {device}");
    }
    assert!(rig.peers.is_empty());
    rig
}

#[test]
fn bad_ones_anywhere_in_a_batch_cost_a_connection_each() {
    const T: bool = true;
    const F: bool = false;
    for bad in [
        &[T, F, F, F, F][..],
        &[F, F, F, F, T],
        &[F, F, T, T, T, F],
        &[T, T, F, F, T, T],
        &[T, F, T, F, T, F, T],
        &[F],
        &[T],
        &[T; 40],
        &[F; 40],
    ] {
        let rig = serve(bad);
        let count = bad.iter().filter(|bad| **bad).count();
        // And one for the probe, where something is left to be confirmed.
        let probed = usize::from(bad.last() == Some(&false));
        assert_eq!(rig.connects.len(), count + probed, "{bad:?}");
    }
}

#[test]
fn what_follows_a_bad_one_is_sent_again_first_and_in_order() {
    let mut rig = Rig::proven(CONFIG);
    rig.submit_all(2);
    rig.submit_bad();
    rig.submit_all(3);
    let connection = rig.open();
    let refused = rig.peer(connection).identifier_of(BAD + 2);
    // Nothing that comes after the answer has begun is written there.
    let answer = answer(8, refused);
    rig.send(connection, &answer[..1]);
    rig.submit_all(2);
    assert_eq!(rig.peer(connection).devices().len(), 6);
    rig.send(connection, &answer[1..]);
    rig.assert_accepted(&rig.jobs[..2]);
    rig.assert_rejected(&rig.jobs[2..3], 400);
    let outcome = rig.outcome(rig.jobs[2]).unwrap();
    let expected = Reason::BadDeviceToken;
    assert!(matches!(outcome, Outcome::Rejected { reason, .. } if *reason == expected));
    let next = rig.open();
    assert_eq!(rig.peer(next).devices(), [3, 4, 5, 6, 7]);
}

#[test]
fn a_status_that_nobody_knows_is_a_rejection_with_its_number() {
    for (status, expected) in [(1, 500), (7, 413), (99, 400), (255, 500)] {
        let (mut rig, connection) = Rig::flying(3);
        let refused = rig.peer(connection).identifier_of(1);
        rig.answer(connection, status, refused);
        rig.assert_accepted(&rig.jobs[..1]);
        rig.assert_rejected(&rig.jobs[1..2], expected);
        let text = rig.outcome(rig.jobs[1]).unwrap().to_string();
        assert!(status != 99 || text.contains("99"), "{text}");
        let next = rig.open();
        assert_eq!(rig.peer(next).devices(), [2]);
    }
}

#[test]
fn a_shutdown_names_the_last_one_that_was_taken() {
    let (mut rig, connection) = Rig::flying(4);
    rig.answer(connection, 10, rig.peer(connection).identifier_of(1));
    rig.assert_accepted(&rig.jobs[..2]);
    assert_eq!(rig.outcomes.len(), 2);
    let next = rig.open();
    assert_eq!(rig.peer(next).devices(), [2, 3]);
    // Before anything was taken there is nothing to name.
    rig.answer(next, 10, 0);
    rig.assert_unanswered(&rig.jobs[2..], Why::Unreadable);
}

#[test]
fn what_cannot_be_located_is_never_sent_again() {
    for identifier in [0, 1, u32::MAX] {
        for status in [2, 8, 10] {
            let (mut rig, connection) = Rig::flying(3);
            assert!(!rig.peer(connection).identifiers().contains(&identifier));
            rig.answer(connection, status, identifier);
            rig.assert_unanswered(&rig.jobs, Why::Unreadable);
            assert_eq!(rig.closed, [connection]);
            assert!(
                rig.lane
                    .trouble()
                    .unwrap()
                    .contains("without saying to what")
            );
            rig.submit(LONG);
            assert!(rig.pending.is_empty(), "it backs off");
            rig.advance(secs(1));
            let next = rig.open();
            rig.advance(ms(100));
            assert_eq!(rig.peer(next).devices(), [3]);
        }
    }
}

#[test]
fn a_connection_that_was_worth_it_once_backs_off_after_an_answer_without_a_name() {
    let mut rig = Rig::proven(CONFIG);
    rig.submit_unasked(LONG);
    let connection = rig.open();
    rig.advance(secs(1));
    rig.submit(LONG);
    rig.answer(connection, 8, 0);
    rig.assert_unanswered(&rig.jobs[1..], Why::Unreadable);
    rig.submit(LONG);
    assert!(rig.pending.is_empty());
    rig.advance(ms(200));
    assert_eq!(rig.pending.len(), 1);
}

#[test]
fn an_answer_may_be_split_anywhere_and_be_followed_by_anything() {
    for split in 0..=6 {
        for tail in [&b""[..], &[8, 8, 0, 0, 0, 1], b"garbage", &[8]] {
            let (mut rig, connection) = Rig::flying(3);
            let refused = rig.peer(connection).identifier_of(1);
            let stream = [&answer(8, refused), tail].concat();
            rig.send(connection, &stream[..split]);
            rig.send(connection, &stream[split..]);
            rig.send(connection, tail);
            rig.assert_accepted(&rig.jobs[..1]);
            rig.assert_rejected(&rig.jobs[1..2], 400);
            assert_eq!(
                (rig.outcomes.len(), rig.closed.as_slice()),
                (2, &[connection][..])
            );
            let next = rig.open();
            assert_eq!(rig.peer(next).devices(), [2]);
        }
    }
}

#[test]
fn an_answer_that_is_cut_short_tells_nothing() {
    for length in 1..6 {
        let (mut rig, connection) = Rig::flying(3);
        let refused = rig.peer(connection).identifier_of(1);
        rig.send(connection, &answer(8, refused)[..length]);
        assert!(rig.outcomes.is_empty());
        rig.cut(connection);
        rig.assert_unanswered(&rig.jobs, Why::Unreadable);
        let trouble = rig.lane.trouble().unwrap();
        assert!(trouble.contains(&format!("got {length}")), "{trouble}");
    }
}

#[test]
fn an_answer_that_never_ends_is_given_up() {
    let mut rig = Rig::proven(CONFIG);
    rig.submit_unasked(LONG);
    let connection = rig.open();
    rig.send(connection, &[8, 8]);
    rig.advance(ms(9_999));
    assert!(rig.outcomes.is_empty(), "an objection has begun");
    rig.advance(ms(1));
    rig.assert_unanswered(&rig.jobs, Why::TimedOut);
    assert_eq!(rig.closed, [connection]);
}

#[test]
fn bytes_that_are_no_answer_end_the_connection() {
    for bytes in [&b"HTTP/1.1 400"[..], &[1, 1, 0, 0, 0x30, 0x39], &[0]] {
        let (mut rig, connection) = Rig::flying(2);
        rig.send(connection, bytes);
        rig.assert_unanswered(&rig.jobs, Why::Unreadable);
        assert_eq!(rig.closed, [connection]);
        assert!(
            rig.lane
                .trouble()
                .unwrap()
                .contains("expected command 0x08")
        );
        rig.advance(secs(60));
        assert_eq!(rig.connects.len(), 1);
    }
}

#[test]
fn an_answer_beats_the_probe_that_is_already_on_its_way() {
    let (mut rig, connection) = Rig::flying(3);
    rig.advance(ms(50));
    assert!(rig.peer(connection).probe().is_some());
    rig.answer(connection, 8, rig.peer(connection).identifier_of(0));
    rig.assert_rejected(&rig.jobs[..1], 400);
    let next = rig.open();
    assert_eq!(rig.peer(next).devices(), [1, 2]);
    rig.advance(ms(50));
    rig.confirm(next);
    rig.assert_accepted(&rig.jobs[1..]);
}

#[test]
fn connections_end_in_any_order() {
    let (mut rig, first) = Rig::flying(3);
    rig.advance(ms(50));
    rig.submit_all(2);
    let second = rig.open();
    rig.advance(ms(50));
    rig.confirm(second);
    rig.assert_accepted(&rig.jobs[3..]);
    rig.answer(first, 8, rig.peer(first).identifier_of(1));
    rig.assert_accepted(&rig.jobs[..1]);
    let third = rig.open();
    assert_eq!(rig.peer(third).devices(), [2]);
}
