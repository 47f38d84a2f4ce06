//! Clients that are not ours against the simulator's legacy services, so that the simulator is known to be
//! right before our own client is held against it.
//!
//! The client is npm's `apn` 1.7.8, node-apn of the binary era, as it was published: `tests/foreign/apn1`.
//! `npm ci --prefix tests/foreign/apn1` installs it. Without `node` or without that the tests are skipped and say
//! so; with `DUNLIN_REQUIRE_PEERS=1` they fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code"
)]

#[path = "support/peers.rs"]
#[allow(dead_code, reason = "it also starts servers")]
mod peers;

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use dunlin_simulator::{Config, Device, DeviceState, Simulator};
use serde_json::{Value, json};

use peers::PATIENCE;

const TOPIC: &str = "com.example.app";

/// Node with apn in it, which ends with this.
struct Apn {
    child: Child,
    events: Receiver<Value>,
}

impl Apn {
    /// Starts it with a certificate for [`TOPIC`], or says why not.
    fn start(simulator: &Simulator) -> Option<Self> {
        let node = peers::require("node")?;
        let folder = installed("apn1", "apn")?;
        let mut child = Command::new(node)
            .arg(folder.join("client.js"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (found, events) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("a JSON object a line");
                if found.send(event).is_err() {
                    return;
                }
            }
        });
        let mut apn = Self { child, events };
        let identity = simulator.authority().issue_client(TOPIC).unwrap();
        apn.ask(&json!({
            "gateway": simulator.gateway_addr().port(),
            "feedback": simulator.feedback_addr().port(),
            "ca": simulator.ca_pem(),
            "cert": identity.certificate_pem,
            "key": identity.key_pem,
        }));
        Some(apn)
    }

    fn ask(&mut self, asked: &Value) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{asked}").unwrap();
    }

    fn push(&mut self, token: &str, alert: &str) {
        self.ask(&json!({"push": {"token": token, "alert": alert}}));
    }

    /// The next event that is one of `wanted`. Anything that is wrong with the connection itself fails.
    fn event(&self, wanted: &[&str]) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).expect("an event in time");
            assert_ne!(event["event"], "trouble", "{event}");
            if wanted.iter().any(|name| event["event"] == *name) {
                return event;
            }
        }
    }
}

impl Drop for Apn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of a foreign client whose package is installed.
///
/// # Panics
/// If it is not and the environment says `DUNLIN_REQUIRE_PEERS=1`.
fn installed(client: &str, package: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("foreign")
        .join(client);
    if folder.join("node_modules").join(package).is_dir() {
        return Some(folder);
    }
    let how = format!("npm ci --prefix tests/foreign/{client}");
    let is_required = env::var_os("DUNLIN_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(
        !is_required,
        "DUNLIN_REQUIRE_PEERS=1, and {package} is not installed: {how}"
    );
    eprintln!("skipped: {package} is not installed: {how}");
    None
}

fn token(number: usize) -> String {
    format!("{number:02x}").repeat(32)
}

async fn simulator() -> Simulator {
    Simulator::start(Config::default()).await.unwrap()
}

/// Waits until so many notifications have come, and for the client to be gone.
async fn settled(simulator: &Simulator, total: u64, apn: Apn) {
    assert!(
        simulator.wait_for(total, PATIENCE).await,
        "{:?}",
        simulator.journal()
    );
    drop(apn);
    let deadline = Instant::now() + PATIENCE;
    while simulator.stats().gateway.open > 0 {
        assert!(Instant::now() < deadline, "a connection stays open");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apn_delivers_what_it_sends() {
    let simulator = simulator().await;
    let Some(mut apn) = Apn::start(&simulator) else {
        return;
    };
    for number in 0..100 {
        apn.push(&token(number), "Grüße");
    }
    settled(&simulator, 100, apn).await;
    let journal = simulator.journal();
    for (number, record) in journal.iter().enumerate() {
        assert!(record.is_accepted(), "{record:?}");
        assert_eq!((&record.token, &record.topic[..]), (&token(number), TOPIC));
        assert_eq!(record.payload_text(), Some(r#"{"aps":{"alert":"Grüße"}}"#));
        let frame = record.binary().unwrap();
        assert_eq!((frame.command, frame.expiry), (2, Some(1_700_000_000)));
        assert_eq!(frame.identifier, u32::try_from(number).ok());
    }
    assert_eq!(
        (journal.len(), simulator.stats().gateway.accepted),
        (100, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apn_learns_of_a_bad_token_and_resends_what_followed_once() {
    const BAD: [usize; 4] = [0, 9, 10, 19];
    let simulator = simulator().await;
    let Some(mut apn) = Apn::start(&simulator) else {
        return;
    };
    for number in BAD {
        let device = Device::new(token(number)).with_state(DeviceState::OtherEnvironment, None);
        simulator.add_device(device).unwrap();
    }
    for number in 0..20 {
        apn.push(&token(number), "hi");
    }
    // What apn sends again it puts behind what it had not sent yet, so the order says nothing.
    let mut refused = Vec::new();
    for _ in BAD {
        let error = apn.event(&["error"]);
        assert_eq!(error["status"], 8, "{error}");
        refused.push(error["token"].as_str().unwrap().to_owned());
    }
    refused.sort();
    assert_eq!(refused, BAD.map(token));
    settled(&simulator, 20, apn).await;
    let journal = simulator.journal();
    let with = |is_accepted: bool| -> Vec<String> {
        let fitting = journal
            .iter()
            .filter(|one| one.is_accepted() == is_accepted);
        let mut tokens: Vec<_> = fitting.map(|one| one.token.clone()).collect();
        tokens.sort();
        tokens
    };
    let good = (0..20).filter(|number| !BAD.contains(number)).map(token);
    assert_eq!(with(true), good.collect::<Vec<_>>());
    assert_eq!(with(false), BAD.map(token));
    // One connection for each bad token, and one for the rest.
    assert!(simulator.stats().gateway.accepted >= 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apn_reads_the_feedback_and_the_list_is_cleared() {
    let simulator = simulator().await;
    let Some(mut apn) = Apn::start(&simulator) else {
        return;
    };
    let tuples = [
        (vec![0xab; 32], 1_700_000_000),
        (vec![0x01], 0),
        (vec![0xcd; 100], u32::MAX),
    ];
    simulator.add_feedback_all(TOPIC, tuples).unwrap();
    apn.ask(&json!({"read": "feedback"}));
    let expected = json!([
        [1_700_000_000, "ab".repeat(32)],
        [0, "01"],
        [u32::MAX, "cd".repeat(100)],
    ]);
    assert_eq!(apn.event(&["feedback"])["tuples"], expected);
    let deadline = Instant::now() + PATIENCE;
    while simulator.feedback_stats(TOPIC).completed == 0 {
        assert!(Instant::now() < deadline, "apn did not close in good order");
        tokio::task::yield_now().await;
    }
    assert_eq!(simulator.feedback_pending(TOPIC), 0);

    apn.ask(&json!({"read": "feedback"}));
    assert_eq!(apn.event(&["feedback"])["tuples"], json!([]));
    assert_eq!(simulator.feedback_reads(TOPIC), 2);
}
