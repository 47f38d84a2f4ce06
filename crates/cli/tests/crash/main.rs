//! The host is killed in the middle of feedback polls, again and again; no tuple is lost by it and
//! no live device removed. A push that it was at is known to be over.
#![cfg(test)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dunlin::notification::{DeviceToken, Topic};
use dunlin::receipt::{self, Begun, IdempotencyKey, Receipt};
use dunlin::registry::{self, DeviceRef, Registration, RemovalReason, Swap, Swapped, Values};
use dunlin::time::UnixTime;
use dunlin_cli::client::ask;
use dunlin_host::store::{self, Store, StoreError};
use dunlin_simulator::Simulator;
use dunlin_test_support::ready;
use dunlin_test_support::running::Running;

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");
const TOPIC: &str = "com.example.app";
const API_KEY: &str = "k";

/// SHA-256 of the API key.
const API_KEY_HASH: &str = "8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a";

/// How many polls are to be cut off by the death of the host.
const INTERRUPTED: u32 = 30;

/// How often that is tried at most.
const KILLS_MAX: u32 = 300;

/// Devices that each poll hears of; every other one has died.
const DEVICES: u32 = 1_000;

/// When every device was registered, in seconds since 1970.
const REGISTERED: u32 = 1_700_000_000;

const PATIENCE: Duration = Duration::from_secs(60);

/// The registry on the host's own store, for when the host does not run.
struct Offline(Store);

impl Values for Offline {
    type Error = StoreError;

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.0.get_many(&keys)
    }

    async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, StoreError> {
        let swapped = swaps.into_iter().map(|swap| {
            let new = swap.new.unwrap_or_default();
            let expected = swap.expected.as_deref();
            let swapped = self.0.compare_and_swap(&swap.key, expected, new)?;
            Ok(match swapped {
                store::Swap::Done => Swapped::Done,
                store::Swap::Changed(value) => Swapped::Lost(value),
            })
        });
        swapped.collect()
    }
}

impl Offline {
    fn open(folder: &Path) -> Self {
        Self(Store::open(&folder.join("store.redb")).unwrap())
    }

    fn register(&self, n: u32) {
        let registration = Registration {
            topic: topic(),
            token: token(n),
            environment: None,
            alias: None,
            tags: None,
            replaces: None,
        };
        let now = UnixTime::from_secs(REGISTERED.into());
        ready(registry::register(self, &registration, now)).unwrap();
    }

    fn close(self) {
        self.0.close();
    }
}

fn topic() -> Topic {
    Topic::parse(TOPIC).unwrap()
}

fn token(n: u32) -> DeviceToken {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    DeviceToken::from_bytes(&bytes).unwrap()
}

fn has_died(n: u32) -> bool {
    n.is_multiple_of(2)
}

/// A running `dunlin serve`, killed when dropped.
struct Host {
    _running: Running,
    address: SocketAddr,
}

impl Host {
    fn start(folder: &Path) -> Self {
        let running = Running::start(
            Command::new(DUNLIN)
                .args(["--log-format", "json", "serve", "--config"])
                .arg(folder.join("config/dunlin.toml"))
                .env("DUNLIN_LOG", "info"),
        );
        let address = running.address().expect("a log line with the address");
        Self {
            _running: running,
            address,
        }
    }

    async fn poll(&self) -> Option<serde_json::Value> {
        let path = "/v1/tasks/feedback";
        let answer = ask(
            self.address,
            "POST",
            path,
            Some(API_KEY),
            Vec::new(),
            PATIENCE,
        )
        .await;
        let answer = answer.ok()?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Some(serde_json::from_str(&answer.body).unwrap())
    }
}

/// A simulator, and a configuration in the folder that the host finds it by.
async fn simulate(folder: &Path) -> Simulator {
    let simulator = Simulator::start(dunlin_simulator::Config::default())
        .await
        .unwrap();
    configure(folder, &simulator);
    simulator
}

fn configure(folder: &Path, simulator: &Simulator) {
    std::fs::create_dir(folder.join("config")).unwrap();
    let client = simulator.authority().issue_client(TOPIC).unwrap();
    let identity = format!("{}{}", client.certificate_pem, client.key_pem);
    std::fs::write(folder.join("client.pem"), identity).unwrap();
    std::fs::write(folder.join("ca.pem"), simulator.ca_pem()).unwrap();
    let port = simulator.feedback_addr().port();
    let text = format!(
        r#"
[[binary]]
topic = "{TOPIC}"
identity = "app"
feedback = {{ host = "localhost", port = {port} }}

[[tasks]]
name = "feedback"
every = "never"

[[api_keys]]
name = "tests"
sha256 = "{API_KEY_HASH}"
scopes = ["admin", "send"]

[host]
listen = "127.0.0.1:0"
instances = 1

[store]
kind = "file"
path = "../store.redb"

[tls.trust]
localhost = "../ca.pem"

[tls.identities.app]
certificate = "../client.pem"
"#
    );
    std::fs::write(folder.join("config/dunlin.toml"), text).unwrap();
}

/// How long a push may be under way that a test leaves so: longer than a service takes to start
/// where nothing is compiled yet and others have both cores.
const UNDER_WAY: Duration = Duration::from_secs(60 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_a_process_that_is_gone_is_not_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let _simulator = simulate(folder).await;
    let registry = Offline::open(folder);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = UnixTime::from_secs(now.as_secs());
    let mut paths = Vec::new();
    for (name, boot) in [("of-another", Some("gone".to_owned())), ("of-whom", None)] {
        let key = IdempotencyKey::parse("tests", name).unwrap();
        let id = key.apns_id(&topic(), &token(1));
        let receipt = Receipt::new(&[0; 32], [(token(1), id)], now, UNDER_WAY);
        let key = key.receipt_key();
        let begun = receipt::begin(&registry, &key, receipt.by_process(boot));
        assert!(matches!(ready(begun).unwrap(), Begun::Ours(_)));
        paths.push(format!("/v1/receipts/{name}"));
    }
    registry.close();
    let host = Host::start(folder);
    for (path, state) in paths.iter().zip(["interrupted", "under_way"]) {
        let answer = ask(
            host.address,
            "GET",
            path,
            Some(API_KEY),
            Vec::new(),
            PATIENCE,
        );
        let answer = answer.await.unwrap();
        let found: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(found["state"], state, "{}", answer.body);
    }
}

/// A number that differs with each call, and is the same for the same seed.
fn random(state: &mut u64) -> u64 {
    // Knuth's linear congruential generator for 64 bits; the upper half is the better one.
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 32
}

fn add_feedback(simulator: &Simulator, devices: std::ops::Range<u32>) {
    for n in devices {
        let since = if has_died(n) {
            REGISTERED + 10
        } else {
            REGISTERED - 10
        };
        let token = token(n);
        simulator
            .add_feedback(TOPIC, token.as_bytes(), since)
            .unwrap();
    }
}

/// Polls after which no room may be lacking any more.
const LAST_POLLS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_host_in_the_middle_of_polls_loses_nothing() {
    let mut seed = std::process::id().into();
    println!("seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let simulator = simulate(folder).await;
    let add = |devices: std::ops::Range<u32>| {
        let registry = Offline::open(folder);
        devices.clone().for_each(|n| registry.register(n));
        registry.close();
        add_feedback(&simulator, devices);
    };
    // The latest moment is how long a poll takes, of which each that is not interrupted tells more.
    let mut latest = Duration::MAX;
    let (mut kills, mut interrupted) = (0, 0);
    while interrupted < INTERRUPTED {
        assert!(
            kills < KILLS_MAX,
            "{interrupted} of {kills} polls were interrupted"
        );
        add(kills * DEVICES..(kills + 1) * DEVICES);
        kills += 1;
        let host = Host::start(folder);
        let moment = match u64::try_from(latest.as_micros()) {
            Ok(micros) => Duration::from_micros(random(&mut seed) % micros.max(1)),
            Err(_) => PATIENCE,
        };
        let began = Instant::now();
        match tokio::time::timeout(moment, host.poll()).await {
            Ok(report) => {
                report.expect("a poll that nobody interrupts ends");
                latest = latest.min(began.elapsed());
            }
            Err(_) => interrupted += 1,
        }
    }
    println!("{interrupted} of {kills} polls were interrupted, within {latest:?}");

    let host = Host::start(folder);
    let mut report = host.poll().await.expect("the last polls end");
    println!("{report}");
    // Lists that were cut off have been kept, and the last one may find no room beside them. What
    // is kept is applied then, and the list stays with the service.
    for _ in 0..LAST_POLLS {
        if report["apps"][0]["stopped"] != "bytes" {
            break;
        }
        report = host.poll().await.expect("the last polls end");
        println!("{report}");
    }
    assert_eq!(
        report["apps"][0]["error"],
        serde_json::Value::Null,
        "{report}"
    );
    let again = host.poll().await.expect("and so does another");
    assert_eq!(
        (&again["tuples"], &again["removed"]),
        (&0.into(), &0.into()),
        "{again}"
    );
    drop(host);
    assert_eq!(simulator.feedback_pending(TOPIC), 0);

    let registry = Offline::open(folder);
    for n in 0..kills * DEVICES {
        let (topic, token) = (topic(), token(n));
        let device = DeviceRef { topic, token };
        let record = registry::device(&registry, &device);
        let record = ready(record).unwrap().unwrap();
        let removed = record.removed.map(|tombstone| tombstone.reason);
        assert_eq!(
            removed,
            has_died(n).then_some(RemovalReason::Feedback),
            "device {n}"
        );
    }
    registry.close();
    simulator.shutdown().await;
}
