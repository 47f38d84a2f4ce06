//! `transport = "wasi-http"`: the function hands its requests to the host's HTTP client, whose
//! connections all instances share.

use std::time::Duration;

use crate::ALERT;
use dunlin_simulator::{Action, Call, Config, Device, DeviceState, Fault};
use dunlin_tests::stack::{Options, Platform, Stack, TOPIC, token};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// How long a push may take where a test waits for the end of it.
const TIMEOUT: Duration = Duration::from_secs(1);

async fn stack(timeout: Duration) -> (tempfile::TempDir, Stack) {
    stack_with(timeout, Config::default()).await
}

async fn stack_with(timeout: Duration, simulator: Config) -> (tempfile::TempDir, Stack) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        timeout,
        // The stock command's client speaks HTTP/1.1 only.
        platform: Platform::Host,
        transport: "wasi-http".to_owned(),
        simulator,
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    (folder, stack)
}

/// So many pushes that APNs never answers, one after the other, and one that it does.
async fn push_into_silence(stack: &Stack, times: usize) {
    stack.push_until_accepted(&token(1), ALERT).await;
    for _ in 0..times {
        let silence = Fault::new(Action::Silence);
        stack.simulator.add_fault(silence).unwrap();
        let silent = stack.push(&token(1), ALERT).await;
        assert_eq!(silent["outcome"], "unanswered", "{silent}");
    }
    stack.push_until_accepted(&token(1), ALERT).await;
}

async fn patient() -> (tempfile::TempDir, Stack) {
    stack(Duration::from_secs(10)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_arrives_as_over_sockets_with_its_provider_token() {
    let (_folder, stack) = patient().await;
    let result = stack.push(&token(1), ALERT).await;
    assert_eq!(result["outcome"], "accepted", "{result}");
    let journal = stack.simulator.journal();
    assert_eq!(journal.len(), 1);
    let received = &journal[0];
    assert_eq!(received.token, token(1));
    assert_eq!(received.payload, ALERT.as_bytes());
    assert_eq!(result["apns_id"], received.apns_id);
    let bearer = received.header("authorization").unwrap();
    assert_eq!(bearer.split('.').count(), 3, "a JWT");
    assert!(bearer.starts_with("bearer ey"), "{bearer}");
    assert_eq!(received.header("apns-topic"), Some(TOPIC));
    assert_eq!(received.header("apns-push-type"), Some("alert"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_its_reason_and_its_time() {
    let (_folder, stack) = patient().await;
    let gone = Device::new(token(2)).with_state(DeviceState::Unregistered, Some(1_234_567));
    stack.simulator.add_device(gone).unwrap();
    let rejected = stack.push(&token(2), ALERT).await;
    assert_eq!(
        (
            &rejected["outcome"],
            &rejected["status"],
            &rejected["reason"]
        ),
        (&"rejected".into(), &410.into(), &"Unregistered".into())
    );
    assert_eq!(rejected["invalid_since"], 1_234_567);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apns_that_is_down_has_been_sent_nothing_and_is_found_again() {
    let (_folder, stack) = stack(TIMEOUT).await;
    let refusing = Fault::new(Action::RefuseConnections).always();
    stack.simulator.add_fault(refusing).unwrap();
    let unreachable = stack.push(&token(1), ALERT).await;
    assert_eq!(
        (&unreachable["outcome"], &unreachable["may_resend"]),
        (&"unanswered".into(), &true.into()),
        "{unreachable}"
    );
    let detail = unreachable["detail"].as_str().unwrap();
    assert!(detail.contains("localhost"), "{detail}");
    stack.simulator.clear_faults();
    // The back-off may still hold the first of these.
    stack.push_until_accepted(&token(1), ALERT).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apns_that_never_answers_ends_at_the_deadline() {
    let (_folder, stack) = stack(TIMEOUT).await;
    stack.push_until_accepted(&token(1), ALERT).await;
    let silence = Fault::new(Action::Silence);
    stack.simulator.add_fault(silence).unwrap();
    let silent = stack.push(&token(1), ALERT).await;
    assert_eq!(
        (&silent["outcome"], &silent["may_resend"]),
        (&"unanswered".into(), &false.into()),
        "{silent}"
    );
    stack.push_until_accepted(&token(1), ALERT).await;
    assert_eq!(stack.simulator.connections_accepted(), 1, "and stays");
    stack.stop().await;
}

/// Whoever gives a request up resets its stream: otherwise those that stay would fill the
/// connection.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_leaves_its_stream() {
    let simulator = Config {
        max_concurrent_streams: 2,
        ..Config::default()
    };
    let (_folder, stack) = stack_with(TIMEOUT, simulator).await;
    push_into_silence(&stack, 2).await;
    assert_eq!(stack.simulator.connections_accepted(), 1);
    stack.stop().await;
}

/// A server can answer PINGs and still be stuck.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_answers_nothing_is_replaced() {
    let (_folder, stack) = stack(TIMEOUT).await;
    push_into_silence(&stack, 3).await;
    assert_eq!(stack.simulator.connections_accepted(), 2);
    stack.stop().await;
}

/// RFC 9113, section 8.7: a refused stream has not been processed; of any other reset that is not
/// known.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_unanswered_unless_the_stream_was_refused() {
    let (_folder, stack) = patient().await;
    for (error_code, outcome) in [(7, "accepted"), (2, "unanswered")] {
        let reset = Fault::new(Action::Reset { error_code });
        stack.simulator.add_fault(reset).unwrap();
        let result = stack.push(&token(1), ALERT).await;
        assert_eq!(result["outcome"], outcome, "{result}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_instances_share_one_connection() {
    let (_folder, stack) = patient().await;
    let pushes = (0..400).map(|n| {
        let stack = &stack;
        async move { stack.push(&token(n), ALERT).await }
    });
    for result in join_all(pushes).await {
        assert_eq!(result["outcome"], "accepted", "{result}");
    }
    assert_eq!(stack.simulator.journal().len(), 400);
    assert_eq!(stack.simulator.connections_accepted(), 1);
    stack.stop().await;
}

/// More than an instance has out at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_a_thousand_devices_arrives_at_each_once() {
    let (_folder, stack) = patient().await;
    let tokens: Vec<String> = (0..1_000).map(token).collect();
    let body = json!({
        "to": {"tokens": tokens},
        "topic": TOPIC,
        "payload": {"aps": {"alert": "hello"}},
    });
    let reply = stack.call("POST", "/v1/push", &body.to_string()).await;
    assert_eq!(reply.json()["accepted"], 1_000, "{}", reply.text());
    let mut arrived: Vec<String> = stack
        .simulator
        .journal()
        .into_iter()
        .map(|received| received.token)
        .collect();
    arrived.sort_unstable();
    assert_eq!(arrived, tokens);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_and_broadcasts_go_the_same_way() {
    let (_folder, stack) = patient().await;
    let body = json!({"topic": TOPIC, "storage_policy": "none"}).to_string();
    let made = stack.call("POST", "/v1/channels", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let channel = made.json()["channel"].as_str().unwrap().to_owned();
    let path = format!("/v1/channels?topic={TOPIC}&environment=development");
    let listed = stack.call("GET", &path, "").await.json();
    assert_eq!(listed["channels"], json!([channel]));
    let payload = json!({"aps": {"timestamp": 1, "event": "end"}});
    let body = json!({"topic": TOPIC, "channel": channel, "payload": payload}).to_string();
    let sent: Value = stack.call("POST", "/v1/broadcasts", &body).await.json();
    assert_eq!(sent["outcome"], "accepted", "{sent}");
    let journal = stack.simulator.journal();
    let is_broadcast = |call: &Call| *call == Call::Broadcast;
    assert!(journal.iter().any(|received| is_broadcast(&received.call)));
    stack.stop().await;
}
