//! A push that is carried out once, however often it is asked for and whatever happens in between.

use std::time::{Duration, Instant};

use dunlin_simulator::{Action, Fault};
use dunlin_tests::client::Client;
use dunlin_tests::stack::{API_KEY, Options, Stack, TOPIC, push_body, token};
use futures_util::future::join_all;
use serde_json::Value;

const ALERT: &str = r#"{"aps":{"alert":"once"}}"#;

fn body(n: u32, key: &str) -> String {
    let token = token(n);
    format!(
        r#"{{"to":{{"token":"{token}"}},"topic":"{TOPIC}","payload":{ALERT},
            "idempotency_key":"{key}"}}"#
    )
}

async fn receipt(stack: &Stack, key: &str) -> (u16, Value) {
    let reply = stack.call("GET", &format!("/v1/receipts/{key}"), "").await;
    (reply.status, reply.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_repeated_gets_the_first_ones_reply_and_sends_nothing() {
    let (folder, stack) = crate::stack().await;
    assert_eq!(receipt(&stack, "order:1").await.0, 404);
    let first = stack.call("POST", "/v1/push", &body(1, "order:1")).await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert!(!first.headers.contains_key("dunlin-repeated"));
    let second = stack.call("POST", "/v1/push", &body(1, "order:1")).await;
    assert_eq!(second.text(), first.text());
    assert!(second.headers.contains_key("dunlin-repeated"));
    assert_eq!(stack.simulator.journal().len(), 1);

    let (status, found) = receipt(&stack, "order:1").await;
    assert_eq!((status, &found["state"]), (200, &"done".into()));
    assert_eq!(found["reply"], first.json());

    let other = stack.call("POST", "/v1/push", &body(2, "order:1")).await;
    let told = (other.status, other.rule());
    assert_eq!(told, (422, "idempotency-key-reused".to_owned()));

    // Nor does a restart make it forget.
    stack.stop().await;
    let stack = Stack::start(folder.path(), Options::default()).await;
    let third = stack.call("POST", "/v1/push", &body(1, "order:1")).await;
    assert_eq!(third.text(), first.text());
    assert_eq!(stack.simulator.journal().len(), 0);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_sends() {
    let (_folder, stack) = crate::stack().await;
    let body = body(1, "at-once");
    let calls = (0..16).map(|_| stack.call("POST", "/v1/push", &body));
    let replies = join_all(calls).await;
    assert_eq!(stack.simulator.journal().len(), 1);
    let done = replies.iter().filter(|reply| reply.status == 200).count();
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!((reply.status, reply.rule()), (409, "push-under-way".into()));
        assert!(reply.headers.contains_key("retry-after"));
    }
    assert!(done >= 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_under_way_says_so_and_another_callers_key_is_another() {
    let (_folder, stack) = crate::impatient(crate::TIMEOUT).await;
    stack
        .simulator
        .add_fault(Fault::new(Action::Silence))
        .unwrap();
    let slow = body(1, "slow");
    let sending = stack.call("POST", "/v1/push", &slow);
    let asking = async {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let (status, found) = receipt(&stack, "slow").await;
            if status == 200 {
                return found;
            }
            assert!(Instant::now() < until, "no receipt: {found}");
            tokio::task::yield_now().await;
        }
    };
    let (sent, found) = futures_util::future::join(sending, asking).await;
    assert_eq!(found["state"], "under_way", "{found}");
    assert_eq!(sent.json()["unanswered"], 1);
    assert_eq!(receipt(&stack, "slow").await.1["state"], "done");
    let other = Client::new(stack.address).key("send-only");
    let reply = other.call("GET", "/v1/receipts/slow", "").await;
    assert_eq!(
        (reply.status, reply.rule()),
        (404, "unknown-receipt".into())
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sends_nothing_uses_up_no_key() {
    let (_folder, stack) = crate::stack().await;
    let dry = body(1, "dry").replacen('{', r#"{"dry_run":true,"#, 1);
    let reply = stack.call("POST", "/v1/push", &dry).await;
    assert_eq!(reply.json()["results"][0]["outcome"], "valid");
    let unknown = r#"{"to":{"alias":"nobody"},"payload":{},"idempotency_key":"dry"}"#;
    assert_eq!(stack.call("POST", "/v1/push", unknown).await.status, 404);
    let reply = stack.call("POST", "/v1/push", &body(1, "dry")).await;
    assert_eq!(reply.json()["accepted"], 1, "{}", reply.text());
    stack.stop().await;
}

/// As many devices as a push with a key may have, with the longest tokens and something to say of
/// each.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_larger_than_a_value_of_the_store_is_repeated_word_for_word() {
    const PER_ALIAS: usize = 500;
    const DEVICES: usize = 2_000;
    let (_folder, stack) = crate::impatient(Duration::from_secs(30)).await;
    let service = &stack;
    for first in (0..DEVICES).step_by(50) {
        let some = (first..first + 50).map(|n| async move {
            let token = format!("{n:0200x}");
            let body = format!(r#"{{"topic":"{TOPIC}","alias":"a{}"}}"#, n / PER_ALIAS);
            let path = format!("/v1/devices/{token}");
            let reply = service.call("PUT", &path, &body).await;
            assert_eq!(reply.status, 201, "{}", reply.text());
        });
        join_all(some).await;
    }
    // Each quotation mark takes two bytes in JSON, and so does the reason in the reply.
    let reason = format!(r#"{{"reason":"{}"}}"#, r#"\""#.repeat(128));
    let refuses = Action::Body {
        status: 400,
        body: reason.into_bytes(),
    };
    stack
        .simulator
        .add_fault(Fault::new(refuses).always())
        .unwrap();
    let body = format!(
        r#"{{"to":{{"aliases":["a0","a1","a2","a3"]}},"topic":"{TOPIC}","environment":"development",
            "payload":{ALERT},"idempotency_key":"large"}}"#
    );
    let first = stack.call("POST", "/v1/push", &body).await;
    assert_eq!(first.status, 200);
    assert_eq!(
        first.json()["rejected"],
        DEVICES,
        "{}",
        first.json()["unanswered"]
    );
    assert!(first.text().len() > 1024 * 1024, "{}", first.text().len());
    let second = stack.call("POST", "/v1/push", &body).await;
    assert!(second.headers.contains_key("dunlin-repeated"));
    assert!(
        second.text() == first.text(),
        "the repetition says something else"
    );
    let (status, found) = receipt(&stack, "large").await;
    assert_eq!((status, &found["state"]), (200, &"done".into()));
    assert!(found["reply"] == first.json());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_in_the_header_means_what_the_field_means() {
    let (_folder, stack) = crate::stack().await;
    let plain = push_body(&token(1), ALERT);
    let with = |lines: &[&str]| {
        let client = Client::new(stack.address).key(API_KEY);
        let lines = lines.iter();
        lines.fold(client, |client, line| {
            client.header("Idempotency-Key", line)
        })
    };
    let first = with(&["order:5"]).call("POST", "/v1/push", &plain).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let quoted = with(&["\"order:5\""])
        .call("POST", "/v1/push", &plain)
        .await;
    assert_eq!(quoted.text(), first.text());
    assert!(quoted.headers.contains_key("dunlin-repeated"));
    assert_eq!(stack.simulator.journal().len(), 1);
    assert_eq!(receipt(&stack, "order:5").await.1["reply"], first.json());
    // In the field it is the same key, of another request.
    let in_field = stack.call("POST", "/v1/push", &body(1, "order:5")).await;
    assert_eq!(in_field.rule(), "idempotency-key-reused");

    let push = async |line: &str, body: &str| with(&[line]).call("POST", "/v1/push", body).await;
    let both = push("order:6", &body(1, "order:6")).await;
    assert_eq!(both.status, 200);
    assert_eq!(stack.simulator.journal().len(), 2);
    let differing = push("order:7", &body(1, "order:8")).await;
    assert_eq!(differing.rule(), "idempotency-key");
    for lines in [&["a", "a"][..], &["a b"], &["\"a"], &[""]] {
        let refused = with(lines).call("POST", "/v1/push", &plain).await;
        let told = (refused.status, refused.rule());
        assert_eq!(told, (400, "idempotency-key".to_owned()), "{lines:?}");
    }
    let channel = format!(r#"{{"topic":"{TOPIC}","storage_policy":"none"}}"#);
    let refused = with(&["a"]).call("POST", "/v1/channels", &channel).await;
    assert_eq!(refused.rule(), "idempotency-key");
    assert_eq!(stack.simulator.journal().len(), 2);
    stack.stop().await;
}
