//! Pushes by the legacy binary gateway, through the host, to a simulator that shares no code with
//! the component.

use std::collections::BTreeMap;

use dunlin_simulator::{Device, DeviceState};
use dunlin_tests::stack::{Stack, TOPIC, token};
use futures_util::future::join_all;
use serde_json::{Value, json};

const ALERT: &str = r#"{"aps":{"alert":"hello"}, "own" : [1,2]}"#;

async fn push(stack: &Stack, tokens: &[String], confirm: bool) -> Value {
    let tokens = json!(tokens);
    let body = format!(
        r#"{{"to":{{"tokens":{tokens}}},"topic":"{TOPIC}","via":"binary","confirm":{confirm},
            "expiration":2000000000,"payload":{ALERT}}}"#
    );
    let reply = stack.call("POST", "/v1/push", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// How often each token was taken by the gateway.
fn arrived(stack: &Stack) -> BTreeMap<String, usize> {
    let mut arrived = BTreeMap::new();
    let taken = stack.simulator.journal();
    for received in taken.iter().filter(|received| received.is_accepted()) {
        *arrived.entry(received.token.clone()).or_default() += 1;
    }
    arrived
}

fn tokens(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(token).collect()
}

fn declare_bad(stack: &Stack, n: u32) {
    let bad = Device::new(token(n)).with_state(DeviceState::OtherEnvironment, None);
    stack.simulator.add_device(bad).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_bad_tokens_arrives_once_but_for_them() {
    let (_folder, stack) = crate::stack().await;
    for bad in [0, 3, 4, 9] {
        declare_bad(&stack, bad);
    }
    let reply = push(&stack, &tokens(0..10), true).await;
    assert_eq!(
        (&reply["accepted"], &reply["rejected"]),
        (&6.into(), &4.into()),
        "{reply}"
    );
    for result in reply["results"].as_array().unwrap() {
        let bad = [0, 3, 4, 9]
            .map(token)
            .contains(&result["token"].as_str().unwrap().to_owned());
        let expected = if bad { "rejected" } else { "accepted" };
        assert_eq!(result["outcome"], expected, "{result}");
        if bad {
            assert_eq!(result["reason"], "BadDeviceToken");
        }
    }
    let expected: BTreeMap<_, _> = [1, 2, 5, 6, 7, 8].map(|n| (token(n), 1)).into();
    assert_eq!(arrived(&stack), expected, "each once");
    let journal = stack.simulator.journal();
    let mut taken = journal.iter().filter(|received| received.is_accepted());
    assert!(taken.all(|received| received.payload == ALERT.as_bytes()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_share_the_gateway() {
    let (_folder, stack) = crate::stack().await;
    declare_bad(&stack, 17);
    let pushes = (0..40).map(|n| {
        let stack = &stack;
        async move { push(stack, &tokens([n]), true).await }
    });
    let replies = join_all(pushes).await;
    let accepted: u64 = replies
        .iter()
        .map(|reply| reply["accepted"].as_u64().unwrap())
        .sum();
    assert_eq!(accepted, 39);
    assert_eq!(replies[17]["rejected"], 1);
    assert!(arrived(&stack).values().all(|count| *count == 1));
    assert_eq!(arrived(&stack).len(), 39);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_confirmation_silence_is_not_called_success() {
    let (_folder, stack) = crate::stack().await;
    let reply = push(&stack, &tokens([1]), false).await;
    let result = &reply["results"][0];
    assert_eq!(result["outcome"], "unanswered");
    assert_eq!(result["may_resend"], false);
    assert_eq!(arrived(&stack).len(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_cannot_be_told_is_refused_whole() {
    let (_folder, stack) = crate::stack().await;
    let large = "x".repeat(2_100);
    let body = format!(
        r#"{{"to":{{"token":"{}"}},"topic":"{TOPIC}","via":"binary",
            "payload":{{"aps":{{"alert":"{large}"}}}}}}"#,
        token(1)
    );
    let reply = stack.call("POST", "/v1/push", &body).await;
    assert_eq!(
        (reply.status, reply.rule().as_str()),
        (400, "notification-unsendable")
    );
    // A token of a length that only HTTP/2 takes.
    let long = "ab".repeat(101);
    let body = format!(
        r#"{{"to":{{"tokens":["{}","{long}"]}},"topic":"{TOPIC}","via":"binary",
            "payload":{ALERT}}}"#,
        token(1)
    );
    let reply = stack.call("POST", "/v1/push", &body).await;
    assert_eq!(
        (reply.status, reply.rule().as_str()),
        (400, "notification-unsendable")
    );
    let expected = "token: expected at most 100 bytes by the binary gateway, got 101";
    assert_eq!(reply.json()["detail"], expected);
    let body = format!(
        r#"{{"to":{{"token":"{}"}},"topic":"org.other","via":"binary","payload":{ALERT}}}"#,
        token(1)
    );
    let reply = stack.call("POST", "/v1/push", &body).await;
    assert_eq!(
        (reply.status, reply.rule().as_str()),
        (422, "no-credential")
    );
    assert!(stack.simulator.journal().is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_gone_comes_back_through_feedback() {
    let (_folder, stack) = crate::stack().await;
    let path = format!("/v1/devices/{}", token(5));
    let device = format!(r#"{{"topic":"{TOPIC}","alias":"anna"}}"#);
    assert_eq!(stack.call("PUT", &path, &device).await.status, 201);
    // After its registration, and no further in the future than clocks differ.
    let since = u64::from(crate::life::now_secs() + 60) * 1_000;
    let gone = Device::new(token(5)).with_state(DeviceState::Unregistered, Some(since));
    stack.simulator.add_device(gone).unwrap();
    let reply = push(&stack, &tokens([5]), true).await;
    assert_eq!(
        reply["accepted"], 1,
        "the gateway takes it, as Apple's did: {reply}"
    );
    let report = stack.call("POST", "/v1/tasks/feedback", "").await.json();
    assert_eq!(
        (&report["tuples"], &report["removed"]),
        (&1.into(), &1.into()),
        "{report}"
    );
    stack.stop().await;
}
