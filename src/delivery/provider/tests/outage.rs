//! APNs out of order: no storm, nothing lost that had time, and nobody else held up.

use core::time::Duration;
use std::collections::BTreeMap;

use super::support::{LONG, Rig, World, config, secs};
use super::wire;
use crate::delivery::ids::JobId;
use crate::delivery::provider::lane::ProviderConfig;
use crate::provider::{Outcome, Why};
use crate::time::Now;

const REFUSED: (u16, &str) = (503, "ServiceUnavailable");

fn roomy() -> Rig {
    let mut rig = Rig::configured(ProviderConfig {
        queue: 10_000,
        ..config(4)
    });
    rig.pongs = true;
    rig
}

/// Answers everything that is open: what the server takes, or a 503. Returns how many there were.
fn answer(rig: &mut Rig, works: bool) -> usize {
    let mut count = 0;
    for connection in rig.connections() {
        for stream in rig.open_streams(connection) {
            count += 1;
            match works {
                true => rig.accept(connection, stream),
                false => rig.reject(connection, stream, REFUSED.0, REFUSED.1),
            }
        }
    }
    count
}

#[test]
fn five_server_errors_in_a_row_stop_everything_but_one_probe_at_a_time() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.pongs = true;
    rig.accept(connection, 1);
    rig.submit_all(5, LONG);
    answer(&mut rig, false);
    assert!(rig.lane.status().breaker_open);
    assert!(rig.lane.trouble().unwrap().contains("ServiceUnavailable"));
    let waiting = rig.submit_all(50, LONG);
    assert_eq!(rig.open_streams(connection), [0; 0]);
    let mut probes = 0;
    for _ in 0..60 {
        rig.advance(secs(1));
        let open = rig.open_streams(connection).len();
        assert!(open <= 1, "one probe");
        probes += answer(&mut rig, false);
    }
    assert!((4..10).contains(&probes), "{probes}");
    while rig.open_streams(connection).is_empty() {
        rig.advance(secs(1));
    }
    answer(&mut rig, true);
    assert!(!rig.lane.status().breaker_open && rig.lane.trouble().is_none());
    answer(&mut rig, true);
    let taken = waiting.iter().filter(|job| rig.is_accepted(**job)).count();
    assert_eq!(taken, 50 - probes);
    assert_eq!(rig.connects.len(), 1, "nor was another connection opened");
}

#[test]
fn errors_among_answers_stop_nothing() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.accept(connection, 1);
    for n in 0..100 {
        rig.submit_all(1, LONG);
        answer(&mut rig, n % 5 == 4);
    }
    assert!(!rig.lane.status().breaker_open);
}

#[test]
fn while_it_is_open_a_notification_waits_until_its_deadline_and_no_longer() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.accept(connection, 1);
    rig.submit_all(5, LONG);
    let headers = [("retry-after", "600")];
    for stream in rig.open_streams(connection) {
        rig.answer(connection, stream, 503, &headers, "ServiceUnavailable");
    }
    let job = rig.submit(secs(10));
    rig.advance(secs(9));
    assert_eq!(rig.outcome(job), None);
    rig.advance(secs(1));
    rig.assert_unanswered(job, Why::NotSent);
}

#[test]
fn a_probe_that_is_not_answered_is_followed_by_another_later() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.accept(connection, 1);
    rig.submit_all(5, LONG);
    answer(&mut rig, false);
    let probe = rig.submit(secs(5));
    rig.advance(secs(2));
    assert_eq!(rig.open_streams(connection).len(), 1);
    // It is there; it only does not answer.
    rig.send(connection, &wire::window_update(0, 1));
    rig.advance(secs(3));
    rig.assert_unanswered(probe, Why::TimedOut);
    rig.send(connection, &wire::window_update(0, 1));
    let next = rig.submit(LONG);
    assert_eq!(rig.open_streams(connection), [0; 0]);
    rig.advance(secs(3));
    let stream = rig.only_stream(connection);
    rig.accept(connection, stream);
    assert!(rig.is_accepted(next));
}

/// Five minutes of an outage with ten notifications a second, then it works again.
fn five_minutes(mut rig: Rig, begin: impl Fn(&mut Rig), mut during: impl FnMut(&mut Rig)) -> Rig {
    let step = secs(1) / 10;
    let drive = |rig: &mut Rig, count: usize| {
        for _ in 0..count {
            rig.submit(secs(600));
            rig.advance(step);
            answer(rig, true);
        }
    };
    rig.world = World::Accepts;
    drive(&mut rig, 100);
    assert_eq!(rig.outcomes.len(), rig.jobs.len());
    begin(&mut rig);
    for _ in 0..3_000 {
        rig.submit(secs(600));
        rig.advance(step);
        during(&mut rig);
    }
    rig.world = World::Accepts;
    drive(&mut rig, 1_000);
    rig
}

/// Apple's server is gone for five minutes: "Reconnect storms", pushy #489, fleet #52362.
#[test]
fn five_minutes_without_apns_cost_few_connects_and_nothing_that_had_time() {
    for world in [World::Refuses, World::HangsUp, World::Drops] {
        let begin = |rig: &mut Rig| {
            rig.world = world;
            rig.connections()
                .into_iter()
                .for_each(|connection| rig.cut(connection));
        };
        let rig = five_minutes(roomy(), begin, |_| {});
        assert_eq!(rig.outcomes.len(), rig.jobs.len(), "{world:?}");
        let lost = rig.jobs.iter().filter(|job| !rig.is_accepted(**job));
        // A connection that is cut once a request has come loses that request, and no other is
        // lost.
        let may_lose = match world {
            World::HangsUp | World::Drops => rig.connects.len(),
            _ => 0,
        };
        let lost = lost.count();
        assert!(lost <= may_lose, "{world:?}: {lost}");
        let connects = rig.connects.len();
        assert!((10..30).contains(&connects), "{world:?}: {connects}");
    }
}

#[test]
fn five_minutes_of_server_errors_cost_few_requests_and_nothing_that_had_time() {
    let mut asked = 0;
    let during = |rig: &mut Rig| {
        asked += answer(rig, false);
        assert_eq!(rig.connects.len(), 1);
    };
    let mut rig = five_minutes(roomy(), |_| {}, during);
    assert!((5..30).contains(&asked), "{asked} requests");
    let refused = |rig: &Rig| {
        rig.jobs
            .iter()
            .filter(|job| rig.reason(**job).is_some())
            .count()
    };
    let total = rig.jobs.len();
    // Those that were asked about wait their 15 minutes, which they do not have.
    assert_eq!(refused(&rig), asked);
    rig.advance(secs(600));
    let accepted = rig.jobs.iter().filter(|job| rig.is_accepted(**job));
    assert_eq!(accepted.count() + asked, total);
}

#[test]
fn five_minutes_of_a_server_that_takes_connections_and_says_nothing_cost_few_of_them() {
    let mut rig = roomy();
    rig.pongs = false;
    rig.submit(LONG);
    for _ in 0..3_000 {
        rig.submit(secs(600));
        rig.advance(secs(1) / 10);
        while !rig.pending.is_empty() {
            rig.open_silently();
        }
    }
    assert!(rig.connects.len() < 25, "{}", rig.connects.len());
    let sent: usize = rig
        .peers
        .values()
        .chain(rig.gone.values())
        .map(|peer| peer.order.len())
        .sum();
    assert!(sent <= rig.connects.len(), "{sent} requests, one on each");
}

/// Ten notifications a second for a minute, each answered 20 ms later.
fn latencies(rig: &mut Rig, mut beside: impl FnMut(Now)) -> BTreeMap<JobId, Duration> {
    let mut began = BTreeMap::new();
    for _ in 0..600 {
        began.insert(rig.submit(secs(10)), rig.now);
        rig.advance(Duration::from_millis(20));
        if !rig.pending.is_empty() {
            rig.open(1_000);
        }
        answer(rig, true);
        beside(rig.now);
        rig.advance(Duration::from_millis(80));
        beside(rig.now);
    }
    assert!(began.keys().all(|job| rig.is_accepted(*job)));
    let outcomes = &rig.outcomes;
    began
        .into_iter()
        .map(|(job, at)| (job, outcomes[&job].0.since(at)))
        .collect()
}

#[test]
fn one_credentials_outage_does_not_slow_another_down() {
    let alone = latencies(&mut Rig::new(), |_| {});
    let mut broken = Rig::new();
    broken.world = World::Refuses;
    let mut full = 0;
    let beside = latencies(&mut Rig::new(), |now| {
        for _ in 0..50 {
            full += usize::from(broken.try_submit(secs(60), br#"{"aps":{}}"#).is_err());
        }
        broken.advance(now.since(broken.now));
    });
    assert!(full > 1_000, "the other's queue was full: {full}");
    let unanswered = |outcome: &Outcome| matches!(outcome, Outcome::Unanswered { .. });
    assert!(
        broken
            .outcomes
            .values()
            .all(|(_, outcome)| unanswered(outcome))
    );
    assert_eq!(alone, beside);
    assert!(
        alone
            .values()
            .all(|wait| *wait <= Duration::from_millis(20))
    );
}
