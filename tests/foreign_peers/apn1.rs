//! node-apn of the binary era against the gateway and the feedback service.

use std::time::Instant;

use dunlin_simulator::{Config, Device, DeviceState, Simulator};
use dunlin_test_support::peers::PATIENCE;
use serde_json::json;

use super::TOPIC;
use super::client::{self, Client};

/// Starts it with a certificate for [`TOPIC`], or says why not.
fn start(simulator: &Simulator) -> Option<Client> {
    let command = client::node("apn1", "apn")?;
    let identity = simulator.authority().issue_client(TOPIC).unwrap();
    let options = json!({
        "gateway": simulator.gateway_addr().port(),
        "feedback": simulator.feedback_addr().port(),
        "ca": simulator.ca_pem(),
        "cert": identity.certificate_pem,
        "key": identity.key_pem,
    });
    Some(Client::start(command, &options))
}

fn push(apn: &mut Client, token: &str, alert: &str) {
    apn.ask(&json!({"push": {"token": token, "alert": alert}}));
}

fn token(number: usize) -> String {
    format!("{number:02x}").repeat(32)
}

async fn simulator() -> Simulator {
    Simulator::start(Config::default()).await.unwrap()
}

/// Waits until so many notifications have come, and for the client to be gone.
async fn settled(simulator: &Simulator, total: u64, apn: Client) {
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
    let Some(mut apn) = start(&simulator) else {
        return;
    };
    for number in 0..100 {
        push(&mut apn, &token(number), "Grüße");
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
    let Some(mut apn) = start(&simulator) else {
        return;
    };
    for number in BAD {
        let device = Device::new(token(number)).with_state(DeviceState::OtherEnvironment, None);
        simulator.add_device(device).unwrap();
    }
    for number in 0..20 {
        push(&mut apn, &token(number), "hi");
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
    let Some(mut apn) = start(&simulator) else {
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
