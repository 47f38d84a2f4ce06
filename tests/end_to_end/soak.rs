//! Pushes through the whole stack while the simulator draws faults at random: every push ends with
//! one outcome, and the simulator's journal agrees with each.
//!
//! `DUNLIN_SOAK` is how many pushes there are, by default 20,000; `DUNLIN_SEED` repeats a run.
//!
//! With `DUNLIN_GOAWAY`, a number, nothing goes wrong but that APNs says GOAWAY at every so many
//! requests, and nothing may be lost; `DUNLIN_TEST_TRANSPORT=wasi-http` is for either:
//!
//! ```text
//! DUNLIN_SOAK=200000 DUNLIN_GOAWAY=50 \
//!     cargo test -p dunlin-tests --test end_to_end soak -- --nocapture
//! ```

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dunlin_simulator::{Action, Config, Fault, RandomFaults, Received};
use dunlin_tests::stack::{Options, Stack, TOPIC, token};
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

/// The same where APNs answers everything, if not at once.
const LONG_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests after each of which APNs says GOAWAY, where that is not said.
const GOAWAY_EVERY: u32 = 100;

/// Pushes where nothing but that happens, by default.
const PUSHES_THROUGH_GOAWAYS: u32 = 5_000;

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

/// How many pushes there are to be.
fn pushes(default: u32) -> u32 {
    number("DUNLIN_SOAK").map_or(default, |pushes| u32::try_from(pushes).unwrap())
}

async fn start(timeout: Duration, pushes: u32) -> (tempfile::TempDir, Stack) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        timeout,
        extra: format!("memory_mib = {MEMORY_MIB}"),
        simulator: Config {
            journal_capacity: usize::try_from(pushes).unwrap() * 4,
            ..Config::default()
        },
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    (folder, stack)
}

async fn push_all(stack: &Stack, pushes: u32) -> Vec<Value> {
    let began = Instant::now();
    let batches = (0..pushes / BATCH).map(|batch| push_batch(stack, batch * BATCH));
    let results: Vec<Vec<Value>> = stream::iter(batches)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    println!("{pushes} pushes in {:?}", began.elapsed());
    results.concat()
}

fn count(results: &[Value]) -> HashMap<&str, u32> {
    let mut counts: HashMap<&str, u32> = HashMap::new();
    for result in results {
        *counts
            .entry(result["outcome"].as_str().unwrap())
            .or_default() += 1;
    }
    println!("outcomes: {counts:?}");
    let mut details: HashMap<&str, u32> = HashMap::new();
    for detail in results
        .iter()
        .filter_map(|result| result["detail"].as_str())
    {
        *details.entry(detail).or_default() += 1;
    }
    println!("of those: {details:?}");
    counts
}

/// What is above the last stream of a GOAWAY is sent again until its deadline, by either transport.
#[tokio::test(flavor = "multi_thread")]
async fn soak_of_an_apns_that_goes_away_every_so_many_requests_loses_nothing() {
    let pushes = pushes(PUSHES_THROUGH_GOAWAYS);
    let every = number("DUNLIN_GOAWAY").map_or(GOAWAY_EVERY, |every| u32::try_from(every).unwrap());
    println!("DUNLIN_GOAWAY={every} DUNLIN_SOAK={pushes}");
    let (_folder, stack) = start(LONG_TIMEOUT, pushes).await;
    let goaway = Action::Goaway {
        reason: None,
        error_code: 0,
        answer: true,
    };
    let goaway = Fault::new(goaway).every(every).always();
    stack.simulator.add_fault(goaway).unwrap();
    let results = push_all(&stack, pushes).await;
    let counts = count(&results);
    println!("connections: {}", stack.simulator.connections_accepted());
    let journal = stack.simulator.journal();
    let seen = by_id(&journal);
    results.iter().for_each(|result| check(result, &seen));
    for result in &results {
        let statuses = seen.get(result["apns_id"].as_str().unwrap());
        let statuses = statuses.map(|seen| &seen.statuses);
        assert_eq!(
            result["outcome"], "accepted",
            "{counts:?} {result}; of it APNs has seen {statuses:?}"
        );
    }
    assert_eq!(counts["accepted"], pushes / BATCH * BATCH);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_apns_does_every_push_has_one_true_outcome() {
    let pushes = pushes(PUSHES);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("DUNLIN_SEED").unwrap_or_else(|| u64::from(clock.subsec_nanos()));
    println!("DUNLIN_SEED={seed} DUNLIN_SOAK={pushes}");
    let (_folder, stack) = start(TIMEOUT, pushes).await;
    let faults = RandomFaults::mix(seed);
    stack.simulator.set_random_faults(faults).unwrap();

    let results = push_all(&stack, pushes).await;
    println!("faults: {:?}", stack.simulator.random_faults_drawn());
    let counts = count(&results);
    assert_eq!(counts.values().sum::<u32>(), pushes / BATCH * BATCH);
    let journal = stack.simulator.journal();
    let seen = by_id(&journal);
    results.iter().for_each(|result| check(result, &seen));
    // Faults hit some four in a hundred, and a connection that is cut takes a hundred others with
    // it. Four of five are accepted; a machine that is busy gets fewer of them done in two seconds.
    assert!(counts["accepted"] > pushes / 20, "{counts:?}");

    stack.simulator.clear_faults();
    recovers(&stack, pushes).await;
    stack.stop().await;
}
