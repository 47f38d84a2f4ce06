//! A mix of faults drawn from a seed, as a soak meets it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use dunlin_simulator::{RandomFaults, Simulator};
use serde_json::json;

use crate::support::{Client, Key, NOW_S, Push, config, control_json, start};

/// What became of a push, as far as the client can tell.
type Fate = Result<(u16, String), ()>;

/// Pushes to so many tokens one after the other, each twice, with a new connection whenever the old
/// one is of no more use. An answer is waited for so many milliseconds.
async fn soak(simulator: &Simulator, key: &Key, tokens: u32, ms: u64) -> Vec<(String, Fate)> {
    let mut fates = Vec::new();
    // Signatures differ each time, and a new one is a new token.
    let bearer = key.bearer(NOW_S);
    let mut client = None;
    for number in 0..tokens * 2 {
        let token = format!("{:08x}", number % tokens);
        while client.is_none() {
            let connected = Client::try_connect(simulator, simulator.provider_addr()).await;
            client = connected.ok();
        }
        let push = Push::new(&bearer).to(&token);
        let asked = client.as_ref().unwrap().push(push);
        let answer = tokio::time::timeout(Duration::from_millis(ms), asked).await;
        let fate = match answer {
            Ok(Ok(answer)) => Ok(answer.reason()),
            Ok(Err(_)) | Err(_) => Err(()),
        };
        if fate.is_err() {
            client = None;
        }
        fates.push((token, fate));
    }
    fates
}

fn mix(seed: u64) -> RandomFaults {
    RandomFaults {
        goaway: 20,
        reset: 10,
        close: 20,
        too_many_requests: 10,
        unavailable: 10,
        silence: 60,
        settings: 20,
        delay: 20,
        max_delay_ms: 5,
        refuse_connections: 4,
        cut_received: 4,
        max_cut_received: 20_000,
        ..RandomFaults::mix(seed)
    }
}

/// The faults that the journal has, by token and by how many requests to it came before.
fn faults(simulator: &Simulator) -> BTreeMap<(String, usize), Option<String>> {
    let mut times = HashMap::new();
    let mut faults = BTreeMap::new();
    for record in simulator.journal() {
        let time = times.entry(record.token.clone()).or_insert(0);
        faults.insert((record.token, *time), record.fault);
        *time += 1;
    }
    faults
}

#[tokio::test]
async fn what_the_client_was_told_is_what_the_journal_says() {
    let (simulator, key) = start().await;
    simulator.set_random_faults(mix(7)).unwrap();
    let told = soak(&simulator, &key, 150, 300).await;
    let journal = simulator.journal();
    for (token, fate) in told {
        let records: Vec<_> = journal
            .iter()
            .filter(|record| record.token == token)
            .collect();
        assert!(records.len() <= 2, "nothing is judged twice");
        if let Ok((status, reason)) = fate {
            let said = |status: Option<u16>, told: &Option<String>| {
                (status.unwrap_or_default(), told.clone().unwrap_or_default())
            };
            let mut known = records.iter().map(|one| said(one.status, &one.reason));
            assert!(
                known.any(|known| known == (status, reason.clone())),
                "{status} {reason}"
            );
        }
    }
    let drawn = simulator.random_faults_drawn();
    for name in [
        "goaway",
        "reset",
        "close",
        "status",
        "refuse_connections",
        "cut_received",
    ] {
        assert!(
            drawn.contains_key(name),
            "{name} was never drawn: {drawn:?}"
        );
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_seed_does_the_same_again() {
    let key = Key::new("KEY1", "TEAM1");
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let simulator = Simulator::start(config(&key)).await.unwrap();
        // Only what concerns single requests, so that every request arrives.
        let mix = RandomFaults {
            goaway: 0,
            close: 0,
            silence: 0,
            refuse_connections: 0,
            cut_received: 0,
            ..mix(seed)
        };
        simulator.set_random_faults(mix).unwrap();
        soak(&simulator, &key, 100, 20_000).await;
        runs.push(faults(&simulator));
        simulator.shutdown().await;
    }
    assert_eq!(runs[0].len(), 200);
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn a_mix_comes_and_goes_over_the_control_api() {
    let (simulator, key) = start().await;
    let body = r#"{"random":{"seed":3,"unavailable":1,"token_prefix":"aa"}}"#;
    let (status, answer) = control_json(&simulator, "POST", "/faults", body).await;
    assert_eq!((status, &answer["random"]["seed"]), (200, &json!(3)));
    let client = Client::connect(&simulator).await;
    let bearer = key.bearer(NOW_S);
    let push = |token| client.push(Push::new(&bearer).to(token));
    assert!(push("aa").await.unwrap().status >= 500);
    assert_eq!(push("bb").await.unwrap().status, 200);
    let (_, listed) = control_json(&simulator, "GET", "/faults", "").await;
    assert_eq!(listed["random"]["drawn"], json!({"status": 1}));
    control_json(&simulator, "DELETE", "/faults", "").await;
    assert_eq!(push("aa").await.unwrap().status, 200);
}
