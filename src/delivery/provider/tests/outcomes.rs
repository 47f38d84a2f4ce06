//! What comes back: each outcome, once, by its deadline.

use super::support::{LONG, Rig, secs};
use super::wire;
use crate::delivery::ids::ConnectionId;
use crate::notification::ApnsId;
use crate::provider::{Outcome, Reason, RetryAfter, Why};
use crate::time::{Now, UnixTime};
use core::time::Duration;

const ID: &str = "9f595474-356c-485e-b67f-9870bae68702";

#[test]
fn accepted_with_both_identifiers() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.send(
        connection,
        &wire::answer(
            1,
            "200",
            &[("apns-id", ID), ("apns-unique-id", "0f-1")],
            b"",
        ),
    );
    let apns_id = Some(ApnsId::parse(ID).unwrap());
    let expected = Outcome::Accepted {
        apns_id,
        unique_id: Some("0f-1".into()),
        answer: None,
    };
    assert_eq!(rig.outcome(rig.jobs[0]), Some(&expected));
}

#[test]
fn rejected_with_everything_that_apns_says() {
    let (mut rig, connection) = Rig::flying(1_000, 2);
    let body = br#"{"reason":"Unregistered","timestamp":1508249865488}"#;
    let headers = [("apns-id", ID), ("retry-after", "30")];
    let answer = wire::answer(1, "410", &headers, body);
    answer
        .iter()
        .for_each(|byte| rig.send(connection, &[*byte]));
    let expected = Outcome::Rejected {
        status: 410,
        reason: Reason::Unregistered,
        invalid_since: Some(UnixTime::from_millis(1_508_249_865_488)),
        retry_after: Some(RetryAfter::In(secs(30))),
        apns_id: Some(ApnsId::parse(ID).unwrap()),
    };
    assert_eq!(rig.outcome(rig.jobs[0]), Some(&expected));
    assert_eq!(rig.outcome(rig.jobs[1]), None);
}

#[test]
fn an_answer_may_overtake_another() {
    let (mut rig, connection) = Rig::flying(1_000, 3);
    rig.send(
        connection,
        &wire::answer(5, "400", &[], br#"{"reason":"BadDeviceToken"}"#),
    );
    rig.send(connection, &[wire::ok(1), wire::ok(3)].concat());
    assert!(rig.is_accepted(rig.jobs[0]) && rig.is_accepted(rig.jobs[1]));
    let outcome = rig.outcome(rig.jobs[2]).unwrap();
    assert!(matches!(
        outcome,
        Outcome::Rejected {
            reason: Reason::BadDeviceToken,
            ..
        }
    ));
}

#[test]
fn a_deadline_in_the_queue_is_not_sent() {
    let mut rig = Rig::new();
    let (short, long) = (rig.submit(secs(2)), rig.submit(secs(5)));
    rig.advance(secs(10));
    rig.assert_unanswered(short, Why::NotSent);
    rig.assert_unanswered(long, Why::NotSent);
    assert_eq!(rig.outcomes[&short].0.as_nanos(), secs(2).as_nanos() as u64);
    let connection = rig.open(1_000);
    assert_eq!(rig.devices(connection), [0; 0]);
}

#[test]
fn a_deadline_in_flight_times_out_and_late_frames_do_no_harm() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    let job = rig.submit(secs(2));
    rig.advance(secs(3));
    rig.assert_unanswered(job, Why::TimedOut);
    assert_eq!(rig.peer(connection).resets, [(3, 8)]);
    let body = br#"{"reason":"Unregistered"}"#;
    let late = [
        wire::answer(3, "410", &[("apns-id", ID)], body),
        wire::reset(3, 7),
    ]
    .concat();
    rig.send(connection, &[late, wire::window_update(3, 9)].concat());
    assert_eq!(rig.outcomes.len(), 1);
    rig.accept(connection, 1);
    let next = rig.submit(LONG);
    rig.accept(connection, 5);
    assert!(rig.is_accepted(next) && rig.connects.len() == 1 && rig.closed.is_empty());
}

#[test]
fn a_deadline_after_it_came_back_was_not_processed() {
    let mut rig = Rig::new();
    let job = rig.submit(secs(2));
    let connection = rig.open(1_000);
    rig.send(connection, &wire::go_away(0, 0, b""));
    rig.advance(secs(3));
    rig.assert_unanswered(job, Why::NotProcessed);
}

#[test]
fn a_stream_given_up_makes_room_for_the_next() {
    let mut rig = Rig::new();
    rig.submit(secs(2));
    let next = rig.submit(LONG);
    let connection = rig.open(1);
    rig.advance(secs(2));
    assert_eq!(rig.open_streams(connection), [3]);
    rig.accept(connection, 3);
    assert!(rig.is_accepted(next));
}

/// The peer refuses a stream.
fn refuse(rig: &mut Rig, connection: ConnectionId, stream: u32) {
    let peer = rig.peers.get_mut(&connection).unwrap();
    peer.open.remove(&stream).expect("not open");
    rig.send(connection, &wire::reset(stream, 7));
}

#[test]
fn a_refused_stream_is_sent_again_after_a_wait_or_once_something_is_answered() {
    let (mut rig, connection) = Rig::flying(1_000, 2);
    let (job, other) = (rig.jobs[0], rig.jobs[1]);
    refuse(&mut rig, connection, 1);
    assert_eq!(rig.open_streams(connection), [3], "not at once");
    rig.advance(Duration::from_millis(99));
    assert_eq!(rig.open_streams(connection), [3]);
    // The other one fills what the peer takes; with its answer there is room, and no reason to
    // wait.
    rig.accept(connection, 3);
    assert_eq!(rig.devices(connection), [0]);
    refuse(&mut rig, connection, 5);
    assert_eq!(rig.open_streams(connection), [0; 0]);
    rig.advance(Duration::from_millis(200));
    rig.accept(connection, 7);
    assert!(rig.is_accepted(job) && rig.is_accepted(other));
}

#[test]
fn streams_that_are_all_refused_are_asked_less_and_less_until_their_deadline() {
    let mut rig = Rig::new();
    let jobs = rig.submit_all(500, secs(120));
    let mut sent = Vec::new();
    while rig.now < Now::ZERO + secs(120) {
        while !rig.pending.is_empty() {
            rig.open(1_000);
        }
        for connection in rig.connections() {
            let next = |rig: &Rig| {
                let open = rig.peers.get(&connection).map(|peer| &peer.open);
                open.and_then(|open| open.keys().next().copied())
            };
            while let Some(stream) = next(&rig) {
                sent.push(rig.now);
                refuse(&mut rig, connection, stream);
            }
        }
        rig.advance(Duration::from_millis(10));
    }
    jobs.iter()
        .for_each(|job| rig.assert_unanswered(*job, Why::Refused));
    assert!(matches!(
        rig.outcome(jobs[0]),
        Some(Outcome::Unanswered {
            may_resend: true,
            ..
        })
    ));
    let told = rig.troubles[&jobs[0]].as_deref().unwrap();
    assert!(
        told.starts_with("sent ") && told.contains("RST_STREAM (REFUSED_STREAM)"),
        "{told}"
    );
    // All of them once, and then one at a time.
    let again = sent.len() - 500;
    assert!((20..80).contains(&again), "{again} sent again");
    assert!(
        (4..30).contains(&rig.connects.len()),
        "{}",
        rig.connects.len()
    );
}

/// It says a thousand, and takes ten.
#[test]
fn a_peer_that_takes_fewer_streams_than_it_says_is_given_as_many_as_it_takes() {
    const TAKES: usize = 10;
    let (mut rig, connection) = Rig::flying(1_000, 1_000);
    let mut refused = 0;
    for _ in 0..1_000 {
        for stream in rig.open_streams(connection).into_iter().skip(TAKES) {
            refuse(&mut rig, connection, stream);
            refused += 1;
        }
        let answered: Vec<u8> = rig
            .open_streams(connection)
            .into_iter()
            .flat_map(wire::ok)
            .collect();
        rig.peers.get_mut(&connection).unwrap().open.clear();
        rig.send(connection, &answered);
        rig.advance(Duration::from_millis(10));
    }
    assert!(rig.jobs.iter().all(|job| rig.is_accepted(*job)));
    assert!(refused <= 2 * 1_000, "{refused} refused");
}

#[test]
fn a_reset_with_another_code_is_not_sent_again() {
    for code in [0, 1, 2, 8, 11, 0xdead_beef] {
        let (mut rig, connection) = Rig::flying(1_000, 1);
        rig.send(connection, &wire::reset(1, code));
        rig.assert_unanswered(rig.jobs[0], Why::StreamReset(code));
        rig.advance(secs(1));
        assert_eq!(rig.peer(connection).order, [1]);
    }
}

/// RFC 9113, 8.7: what is refused was not processed at all, which any part of an answer
/// contradicts.
#[test]
fn an_answer_that_has_begun_forbids_sending_again() {
    let heads = [
        wire::head(1, "200", &[], false),
        wire::head(1, "410", &[], false),
        wire::head(1, "100", &[], false),
        wire::head(1, "103", &[("link", "</x>")], false),
    ];
    for head in heads {
        let body = wire::frame(wire::DATA, 0, 1, b"{\"rea");
        let ends = [
            (wire::reset(1, 7), Why::StreamReset(7)),
            (wire::reset(1, 8), Why::StreamReset(8)),
            (wire::go_away(0, 0, b""), Why::ConnectionLost),
            (Vec::new(), Why::ConnectionLost),
        ];
        for (end, why) in ends {
            let is_final = !head.contains(&b'1');
            for body in [&[][..], &body[..usize::from(is_final) * body.len()]] {
                let (mut rig, connection) = Rig::flying(1_000, 1);
                rig.send(connection, &[&head, body, &end[..]].concat());
                if end.is_empty() {
                    rig.cut(connection);
                }
                rig.assert_unanswered(rig.jobs[0], why);
                assert!(!why.may_resend());
                rig.advance(secs(60));
                assert_eq!(rig.connects.len(), 1);
            }
        }
    }
}

#[test]
fn an_unreadable_answer_is_no_answer() {
    let (mut rig, connection) = Rig::flying(1_000, 2);
    rig.send(connection, &wire::answer(1, "2x0", &[], b""));
    rig.assert_unanswered(rig.jobs[0], Why::Unreadable);
    rig.accept(connection, 3);
    assert!(rig.is_accepted(rig.jobs[1]));
}

/// RFC 9113, 8.1: trailers have no pseudo-headers. A status that came before does not count then.
#[test]
fn an_answer_that_becomes_unreadable_is_no_answer() {
    for status in ["200", "410"] {
        let (mut rig, connection) = Rig::flying(1_000, 1);
        rig.send(connection, &wire::head(1, status, &[], false));
        rig.send(connection, &wire::head(1, status, &[], true));
        rig.assert_unanswered(rig.jobs[0], Why::Unreadable);
    }
}

#[test]
fn an_interim_answer_is_passed_over() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.send(connection, &wire::head(1, "103", &[], false));
    assert_eq!(rig.outcomes.len(), 0);
    rig.accept(connection, 1);
    assert!(rig.is_accepted(rig.jobs[0]));
}

#[test]
fn a_deadline_that_has_passed_already_ends_at_once() {
    let mut rig = Rig::new();
    let job = rig.submit(Duration::ZERO);
    rig.advance(Duration::ZERO);
    rig.assert_unanswered(job, Why::NotSent);
}
