//! Pushes through the whole stack while the simulator draws faults at random: every push ends with one
//! outcome, and the simulator's journal agrees with each.
//!
//! `DUNLIN_SOAK` is how many pushes there are, by default 20,000; `DUNLIN_SEED` repeats a run.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::stack::{Options, Stack, TOPIC, token};
use dunlin_simulator::{Config, RandomFaults, Received};
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Value;

const PUSHES: u32 = 20_000;

/// Devices of one request.
const BATCH: u32 = 100;

/// Requests at once.
const AT_ONCE: usize = 16;

/// From taking a push in to its outcome; a silent APNs takes all of it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Linear memory of an instance, in MiB: the host refuses more.
const MEMORY_MIB: u32 = 48;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

async fn push_batch(stack: &Stack, first: u32) -> Vec<Value> {
    let tokens: Vec<_> = (first..first + BATCH).map(token).collect();
    let tokens = serde_json::to_string(&tokens).unwrap();
    let body = format!(
        r#"{{"to":{{"tokens":{tokens}}},"topic":"{TOPIC}","payload":{{"aps":{{"alert":"soak"}}}}}}"#
    );
    let reply = stack.call("POST", "/v1/push", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["results"].as_array().unwrap().clone()
}

/// What the simulator saw of one push.
#[derive(Default)]
struct Seen {
    /// Answered 200, whether or not the answer arrived.
    accepted: u32,
    /// Every status answered.
    statuses: Vec<Option<u16>>,
}

fn by_id(journal: &[Received]) -> HashMap<&str, Seen> {
    let mut seen: HashMap<&str, Seen> = HashMap::new();
    for received in journal {
        let one = seen.entry(received.header("apns-id").unwrap()).or_default();
        one.accepted += u32::from(received.status == Some(200));
        one.statuses.push(received.status);
    }
    seen
}

/// The outcome of a push against what the simulator saw of it.
fn check(result: &Value, seen: &HashMap<&str, Seen>) {
    let nothing = Seen::default();
    let id = result["apns_id"].as_str().unwrap();
    let Seen { accepted, statuses } = seen.get(id).unwrap_or(&nothing);
    assert!(*accepted <= 1, "arrived twice: {result}");
    match result["outcome"].as_str().unwrap() {
        "accepted" => assert_eq!(*accepted, 1, "{result}"),
        "rejected" => {
            let status = u16::try_from(result["status"].as_u64().unwrap()).unwrap();
            // It may have been sent again, and refused before it was looked at.
            assert!(
                *accepted == 0 && statuses.contains(&Some(status)),
                "{result}"
            );
        }
        "unanswered" => {
            let may_resend = result["may_resend"] == true;
            assert!(!may_resend || *accepted == 0, "it arrived: {result}");
        }
        other => panic!("{other}: {result}"),
    }
}

/// What the last faults left behind, such as a connection that has just fallen silent or a pause
/// before the next one, may cost a few more batches, each of which takes two seconds then.
async fn recovers(stack: &Stack, first: u32) {
    let mut last = Vec::new();
    for batch in 0..10 {
        last = push_batch(stack, first + batch * BATCH).await;
        if last.iter().all(|one| one["outcome"] == "accepted") {
            println!("recovered with batch {}", batch + 1);
            return;
        }
    }
    panic!("not recovered: {last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_apns_does_every_push_has_one_true_outcome() {
    let pushes = number("DUNLIN_SOAK").map_or(PUSHES, |pushes| u32::try_from(pushes).unwrap());
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("DUNLIN_SEED").unwrap_or_else(|| u64::from(clock.subsec_nanos()));
    println!("DUNLIN_SEED={seed} DUNLIN_SOAK={pushes}");
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        timeout: TIMEOUT,
        extra: format!("memory_mib = {MEMORY_MIB}"),
        simulator: Config {
            journal_capacity: usize::try_from(pushes).unwrap() * 4,
            ..Config::default()
        },
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    let faults = RandomFaults::mix(seed);
    stack.simulator.set_random_faults(faults).unwrap();

    let began = Instant::now();
    let batches = (0..pushes / BATCH).map(|batch| push_batch(&stack, batch * BATCH));
    let results: Vec<Vec<Value>> = stream::iter(batches)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let results = results.concat();
    println!("{pushes} pushes in {:?}", began.elapsed());
    println!("faults: {:?}", stack.simulator.random_faults_drawn());

    let mut counts: HashMap<&str, u32> = HashMap::new();
    for result in &results {
        *counts
            .entry(result["outcome"].as_str().unwrap())
            .or_default() += 1;
    }
    println!("outcomes: {counts:?}");
    assert_eq!(counts.values().sum::<u32>(), pushes / BATCH * BATCH);
    let journal = stack.simulator.journal();
    let seen = by_id(&journal);
    results.iter().for_each(|result| check(result, &seen));
    // Faults hit some four in a hundred, and a connection that is cut takes a hundred others with it.
    assert!(counts["accepted"] > pushes / 2, "{counts:?}");

    stack.simulator.clear_faults();
    recovers(&stack, pushes).await;
    stack.stop().await;
}
