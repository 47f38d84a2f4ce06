//! Connections that end: GOAWAY, a closed transport, a broken protocol, no connection at all.

use core::time::Duration;
use std::sync::Arc;

use super::super::growth::LEAST_ALLOWANCE;
use super::support::{LONG, Rig, World, config, secs, token};
use super::wire;
use crate::notification::{DeviceToken, Draft, Expiration, Notification, Payload, Topic};
use crate::provider::{Outcome, Why};
use crate::time::{Now, UnixTime};

#[test]
fn go_away_sends_what_is_above_it_again_in_order_and_finishes_what_is_below() {
    let (mut rig, old) = Rig::flying(6, 10);
    rig.send(old, &wire::go_away(5, 0, b""));
    let new = rig.open(1_000);
    // Streams 7, 9, 11 first, then those that had not been sent.
    assert_eq!(rig.devices(new), [3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(rig.peer(old).order.len(), 6, "nothing new on the old one");
    for stream in [3, 1] {
        rig.accept(old, stream);
        assert!(rig.closed.is_empty());
    }
    rig.accept(old, 5);
    assert_eq!(rig.closed, [old]);
    rig.open_streams(new)
        .into_iter()
        .for_each(|stream| rig.accept(new, stream));
    assert!(rig.jobs.iter().all(|job| rig.is_accepted(*job)));
    assert_eq!((rig.connects.len(), rig.peer(new).order.len()), (2, 7));
}

#[test]
fn go_away_with_debug_data_and_nothing_in_flight_closes_at_once() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.accept(connection, 1);
    rig.send(
        connection,
        &wire::go_away(0x7fff_ffff, 0, br#"{"reason":"Shutdown"}"#),
    );
    assert_eq!(rig.closed, [connection]);
    rig.advance(secs(7_200));
    assert_eq!(rig.connects.len(), 1, "nobody needs another");
    rig.submit(LONG);
    let connection = rig.open(1_000);
    assert_eq!(rig.devices(connection), [1]);
}

#[test]
fn go_away_with_much_debug_data_loses_nothing() {
    let (mut rig, old) = Rig::flying(1_000, 3);
    let debug = [b'x'; 10_000];
    rig.send(old, &wire::go_away(1, 2, &debug));
    let new = rig.open(1_000);
    assert_eq!(rig.devices(new), [1, 2]);
    rig.accept(old, 1);
    assert!(rig.is_accepted(rig.jobs[0]) && rig.closed == [old]);
}

#[test]
fn two_go_aways_of_a_graceful_shutdown() {
    let (mut rig, old) = Rig::flying(1_000, 4);
    rig.send(old, &wire::go_away(0x7fff_ffff, 0, b""));
    rig.submit(LONG);
    let new = rig.open(1_000);
    assert_eq!(
        (rig.devices(old), rig.devices(new)),
        (vec![0, 1, 2, 3], vec![4])
    );
    rig.send(old, &wire::go_away(3, 0, b""));
    assert_eq!(rig.devices(new), [4, 2, 3]);
    assert_eq!(rig.outcomes.len(), 0);
}

#[test]
fn go_away_again_and_again_sends_what_is_unprocessed_until_its_deadline_and_makes_no_storm() {
    let mut rig = Rig::new();
    let job = rig.submit(secs(300));
    while rig.now < Now::ZERO + secs(300) {
        if !rig.pending.is_empty() {
            let connection = rig.open(1_000);
            assert_eq!(rig.devices(connection), [0]);
            rig.send(connection, &wire::go_away(0, 11, b""));
        }
        assert_eq!(rig.outcome(job), None);
        rig.advance(Duration::from_millis(10));
    }
    rig.assert_unanswered(job, Why::NotProcessed);
    let waits = rig.connects.windows(2);
    let waits: Vec<_> = waits.map(|pair| pair[1].since(pair[0])).collect();
    assert!((12..30).contains(&waits.len()), "{waits:?}");
    assert!(waits[8..].iter().all(|wait| *wait >= secs(12)), "{waits:?}");
    let told = rig.troubles[&job].as_deref().unwrap();
    let times = rig.connects.len();
    assert_eq!(
        told,
        format!(
            "sent {times} times and not processed; the last time: GOAWAY (ENHANCE_YOUR_CALM) with \
             a lower last stream; the connection was closed by the peer"
        )
    );
}

/// A front end that says GOAWAY after so many requests, with a thousand streams allowed.
fn goes_away_each(requests: u32, pushes: usize) -> Rig {
    let mut rig = Rig::configured(config(4));
    rig.set_token(token(1_000));
    rig.submit_all(pushes, secs(30));
    while rig.now < Now::ZERO + secs(30) && !rig.lane.is_idle() {
        while !rig.pending.is_empty() {
            rig.open(1_000);
        }
        for connection in rig.connections() {
            let last = requests * 2 - 1;
            let open = rig.open_streams(connection);
            let mut bytes = Vec::new();
            for stream in open.iter().filter(|stream| **stream <= last) {
                rig.peers.get_mut(&connection).unwrap().open.remove(stream);
                bytes.extend(wire::ok(*stream));
            }
            if open.contains(&last) {
                bytes.extend(wire::go_away(last, 0, b""));
            }
            rig.send(connection, &bytes);
        }
        rig.advance(Duration::from_millis(1));
    }
    rig
}

#[test]
fn a_front_end_that_goes_away_every_few_requests_loses_nothing_of_two_thousand() {
    for (requests, pushes) in [(1, 100), (7, 500), (50, 2_000), (100, 2_000), (200, 2_000)] {
        let rig = goes_away_each(requests, pushes);
        let lost = rig.jobs.iter().filter(|job| !rig.is_accepted(**job));
        assert_eq!(lost.count(), 0, "every {requests}");
        let least = pushes / requests as usize;
        let connects = rig.connects.len();
        assert!((least..least * 3 / 2 + 8).contains(&connects), "{connects}");
        // Twenty connections in a second, and what the allowance is.
        for (place, at) in rig.connects.iter().enumerate() {
            let within = |other: &&Now| other.since(*at) < secs(1);
            let count = rig.connects[place..].iter().take_while(within).count();
            assert!(
                count <= 34,
                "{count} connections in a second: {:?}",
                rig.connects
            );
        }
        let sent: usize = rig.gone.values().map(|peer| peer.order.len()).sum();
        let most = connects * (LEAST_ALLOWANCE + requests as usize) + 1_000;
        assert!(sent <= most, "{sent} requests for {pushes} pushes");
    }
}

#[test]
fn what_came_back_is_not_sent_again_after_its_expiration() {
    let time = UnixTime::from_secs(1_000);
    for (ttl, is_sent) in [(5, false), (30, true), (0, true)] {
        let mut rig = Rig::new();
        rig.lane.set_clock(rig.now, time);
        let expiration = Expiration::from_ttl(time, secs(ttl)).unwrap();
        let job = rig.push(LONG, expiring(expiration));
        let connection = rig.open(1_000);
        rig.send(connection, &wire::go_away(0, 0, b""));
        rig.advance(secs(10));
        let connection = rig.open(1_000);
        assert_eq!(rig.devices(connection).len(), usize::from(is_sent), "{ttl}");
        match is_sent {
            true => rig.accept(connection, 1),
            false => rig.assert_unanswered(job, Why::NotProcessed),
        }
        assert_eq!(rig.is_accepted(job), is_sent);
    }
}

fn expiring(expiration: Expiration) -> Arc<Notification> {
    let token = DeviceToken::from_bytes(&[7; 8]).unwrap();
    let topic = Topic::parse("com.example.app").unwrap();
    let payload = Payload::parse(br#"{"aps":{}}"#).unwrap();
    let draft = Draft::new(token, topic, payload).expiration(expiration);
    Arc::new(draft.build().unwrap())
}

#[test]
fn a_closed_connection_loses_what_was_complete_and_nothing_else() {
    let mut rig = Rig::new();
    let payload = format!(r#"{{"aps":{{"alert":"{}"}}}}"#, "x".repeat(4_000));
    for _ in 0..20 {
        rig.try_submit(LONG, payload.as_bytes()).unwrap();
    }
    let old = rig.open(18);
    let complete: Vec<bool> = rig
        .peer(old)
        .open
        .values()
        .map(|asked| asked.complete)
        .collect();
    let count = complete.iter().filter(|complete| **complete).count();
    assert_eq!((complete.len(), count), (18, 16));
    rig.cut(old);
    rig.jobs[..16]
        .iter()
        .for_each(|job| rig.assert_unanswered(*job, Why::ConnectionLost));
    let lost = rig.outcome(rig.jobs[0]);
    assert!(matches!(
        lost,
        Some(Outcome::Unanswered {
            may_resend: false,
            ..
        })
    ));
    rig.advance(secs(1));
    let new = rig.open(1_000);
    assert_eq!(rig.devices(new), [16, 17, 18, 19]);
}

#[test]
fn a_broken_protocol_loses_what_was_in_flight_and_goes_on_elsewhere() {
    for broken in [
        wire::window_update(0, 0),
        wire::ok(99),
        b"HTTP/1.1 400".to_vec(),
    ] {
        let (mut rig, old) = Rig::flying(1, 3);
        rig.accept(old, 1);
        rig.send(old, &broken);
        rig.assert_unanswered(rig.jobs[1], Why::ConnectionLost);
        assert_eq!(rig.closed, [old]);
        assert!(rig.gone[&old].farewell.is_some_and(|code| code != 0));
        assert!(rig.lane.trouble().is_some(), "and says why");
        let new = rig.open(1);
        rig.accept(new, 1);
        assert!(rig.is_accepted(rig.jobs[2]) && rig.lane.trouble().is_none());
    }
}

#[test]
fn failed_connects_back_off_with_jitter_and_jobs_end_at_their_deadline() {
    let mut rig = Rig::new();
    rig.world = World::Refuses;
    let jobs: Vec<_> = (1..=10).map(|n| rig.submit(secs(30 * n))).collect();
    rig.advance(secs(300));
    for (job, n) in jobs.iter().zip(1..) {
        rig.assert_unanswered(*job, Why::NotSent);
        assert_eq!(
            rig.outcomes[job].0.as_nanos(),
            secs(30 * n).as_nanos() as u64
        );
    }
    assert_eq!(rig.lane.trouble(), Some("refused"));
    let waits: Vec<_> = rig
        .connects
        .windows(2)
        .map(|pair| pair[1].since(pair[0]))
        .collect();
    assert!(waits.len() > 12 && waits.len() < 30, "{waits:?}");
    for (wait, n) in waits.iter().zip(0..) {
        let bound = (200 << n.min(16)).min(30_000_u64);
        let millis = wait.as_millis() as u64;
        assert!(millis >= bound / 2 && millis <= bound, "{n}: {waits:?}");
    }
    assert!(
        waits[9..].windows(2).all(|pair| pair[0] != pair[1]),
        "jitter: {waits:?}"
    );
    let count = rig.connects.len();
    rig.advance(secs(3_600));
    assert_eq!(rig.connects.len(), count, "nothing waits any more");
}

#[test]
fn connects_that_work_again_carry_what_waited() {
    let mut rig = Rig::new();
    rig.world = World::Refuses;
    let job = rig.submit(secs(60));
    rig.advance(secs(20));
    rig.world = World::Accepts;
    rig.advance(secs(30));
    let connection = *rig.peers.keys().next().unwrap();
    rig.accept(connection, 1);
    assert!(rig.is_accepted(job));
    assert_eq!(rig.lane.trouble(), None);
}

#[test]
fn a_peer_that_hangs_up_makes_no_storm() {
    for world in [World::HangsUp, World::Drops] {
        let mut rig = Rig::new();
        rig.world = world;
        for _ in 0..300 {
            rig.submit_all(3, secs(10));
            rig.advance(secs(1));
        }
        assert!(
            (5..40).contains(&rig.connects.len()),
            "{world:?}: {}",
            rig.connects.len()
        );
        assert!(rig.lane.trouble().is_some());
        rig.world = World::Undecided;
        rig.advance(secs(10));
        assert_eq!(rig.outcomes.len(), 900);
    }
}

#[test]
fn a_peer_that_says_go_away_at_once_makes_no_storm() {
    let mut rig = Rig::new();
    for _ in 0..3_000 {
        rig.submit(secs(10));
        rig.advance(secs(1) / 10);
        if !rig.pending.is_empty() {
            let connection = rig.open(1_000);
            rig.send(
                connection,
                &wire::go_away(0, 0, br#"{"reason":"BadCertificate"}"#),
            );
        }
    }
    assert!(
        (5..40).contains(&rig.connects.len()),
        "{}",
        rig.connects.len()
    );
    rig.advance(secs(10));
    assert_eq!(rig.outcomes.len(), 3_000);
}

#[test]
fn what_an_old_connection_says_does_not_end_the_wait_for_a_new_one() {
    let (mut rig, old) = Rig::flying(4, 4);
    rig.accept(old, 1);
    rig.send(old, &wire::go_away(7, 0, b""));
    rig.submit(LONG);
    rig.refuse();
    let waiting = rig.connects.len();
    rig.send(old, &wire::reset(3, 8));
    assert_eq!(rig.connects.len(), waiting, "a reset proves nothing");
    rig.cut(old);
    assert_eq!(rig.connects.len(), waiting);
    assert_eq!(rig.lane.trouble(), Some("refused"));
    rig.advance(secs(1));
    assert_eq!(rig.connects.len(), waiting + 1);
}
