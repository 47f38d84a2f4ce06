//! A request enters the host, the component speaks HTTP/2 over TLS to a simulator that shares no
//! code with it, and the answer says what APNs said.
#![cfg(test)]

mod binary;
mod broadcast;
mod certificate;
mod connecting;
mod fleet;
mod life;
mod lines;
mod operator;
mod receipts;
mod requests;
mod soak;
mod sweep;
mod tenants;
mod wasi_http;

use std::collections::BTreeSet;
use std::time::Duration;

use dunlin_simulator::{Action, Device, DeviceState, Fault};
use dunlin_tests::client::Client;
use dunlin_tests::stack::{
    API_KEY, Options, Stack, TOPIC, on_the_host, over_sockets, push_body, token,
};
use futures_util::future::join_all;

const ALERT: &str = r#"{"aps":{"alert":"Grüße"}, "own" : [1,2]}"#;

/// How long a push may take where a test waits for the end of it.
const TIMEOUT: Duration = Duration::from_secs(1);

async fn stack() -> (tempfile::TempDir, Stack) {
    impatient(Options::default().timeout).await
}

/// A stack whose pushes end after `timeout`.
async fn impatient(timeout: Duration) -> (tempfile::TempDir, Stack) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        timeout,
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    (folder, stack)
}

#[tokio::test(flavor = "multi_thread")]
async fn register_under_an_alias_push_to_it_and_see_it_arrive() {
    let (folder, stack) = stack().await;
    let device = format!(r#"{{"topic":"{TOPIC}","alias":"anna","tags":["news"]}}"#);
    let path = format!("/v1/devices/{}", token(7));
    let registered = stack.call("PUT", &path, &device).await;
    assert_eq!(registered.status, 201, "{}", registered.text());
    assert_eq!(stack.call("PUT", &path, &device).await.status, 200);

    let body = format!(r#"{{"to":{{"alias":"anna"}},"collapse_id":"c","payload":{ALERT}}}"#);
    let reply = stack.call("POST", "/v1/push", &body).await;
    assert_eq!(reply.status, 200);
    let reply = reply.json();
    assert_eq!(reply["accepted"], 1, "{reply}");
    let result = &reply["results"][0];
    assert_eq!(result["token"], token(7));

    let journal = stack.simulator.journal();
    assert_eq!(journal.len(), 1);
    let received = &journal[0];
    assert_eq!(received.token, token(7));
    assert_eq!(received.payload, ALERT.as_bytes(), "byte for byte");
    assert_eq!(received.header("apns-topic"), Some(TOPIC));
    assert_eq!(received.header("apns-push-type"), Some("alert"));
    assert_eq!(received.header("apns-priority"), Some("10"));
    assert_eq!(received.header("apns-collapse-id"), Some("c"));
    assert_eq!(received.header("apns-expiration"), None);
    assert_eq!(received.header("apns-id"), result["apns_id"].as_str());

    stack.stop().await;
    let stack = Stack::start(folder.path(), Options::default()).await;
    let known = stack
        .call("GET", &format!("{path}?topic={TOPIC}"), "")
        .await;
    assert_eq!(known.status, 200);
    assert_eq!(known.json()["alias"], "anna");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_has_its_own_problem_and_the_next_request_works() {
    let (_folder, stack) = stack().await;
    let large = format!(r#"{{"x":"{}"}}"#, "y".repeat(4_096));
    let cases = [
        (push_body("xyz", ALERT), 400, "token-not-hex"),
        (push_body(&token(1), &large), 400, "payload-too-large"),
        (push_body(&token(1), "[]"), 400, "payload-not-object"),
        ("{".to_owned(), 400, "json-malformed"),
        (
            format!(r#"{{"to":{{"alias":"nobody"}},"payload":{ALERT}}}"#),
            404,
            "unknown-alias",
        ),
        (
            format!(r#"{{"to":{{"token":"a1"}},"payload":{ALERT}}}"#),
            400,
            "missing-field",
        ),
        (r#"{"payload":{}}"#.to_owned(), 400, "missing-field"),
    ];
    for (body, status, rule) in cases {
        let reply = stack.call("POST", "/v1/push", &body).await;
        assert_eq!(
            (reply.status, reply.rule().as_str()),
            (status, rule),
            "{}",
            reply.text()
        );
        let next = stack.push(&token(1), ALERT).await;
        assert_eq!(next["outcome"], "accepted");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_known_by_key_scope_and_topic() {
    let (_folder, stack) = stack().await;
    let body = push_body(&token(1), ALERT);
    let none = Client::new(stack.address)
        .call("POST", "/v1/push", &body)
        .await;
    assert_eq!((none.status, none.rule().as_str()), (401, "unauthorized"));
    assert!(none.headers.contains_key("www-authenticate"));
    let wrong = Client::new(stack.address)
        .key("guess")
        .call("POST", "/v1/push", &body)
        .await;
    assert_eq!(wrong.status, 401);
    let bound = Client::new(stack.address).key("send-only");
    let other_topic = bound.call("POST", "/v1/push", &body).await;
    assert_eq!(
        (other_topic.status, other_topic.rule().as_str()),
        (403, "topic-not-allowed")
    );
    let path = format!("/v1/devices/{}", token(1));
    let scope = bound
        .call("PUT", &path, r#"{"topic":"com.example.other"}"#)
        .await;
    assert_eq!(
        (scope.status, scope.rule().as_str()),
        (403, "scope-missing")
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_yet_is_a_problem_document() {
    let (_folder, stack) = stack().await;
    for (method, path, status) in [
        ("POST", "/v1/tasks/receipts", 404),
        ("GET", "/v1/tasks/feedback", 405),
        ("GET", "/v1/receipts/x", 404),
        ("DELETE", "/v1/push", 405),
        ("GET", "/", 404),
    ] {
        let reply = stack.call(method, path, "").await;
        assert_eq!(reply.status, status, "{method} {path}");
        reply.rule();
    }
    let text = Client::new(stack.address)
        .key(API_KEY)
        .header("content-type", "application/xml")
        .call("POST", "/v1/push", "hello")
        .await;
    assert_eq!(
        (text.status, text.rule().as_str()),
        (415, "unsupported-media-type")
    );
    let health = Client::new(stack.address).call("GET", "/healthz", "").await;
    assert_eq!(health.status, 200);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_apns_says_is_what_the_caller_hears() {
    let (_folder, stack) = stack().await;
    let gone = Device::new(token(2)).with_state(DeviceState::Unregistered, Some(1_234_567));
    stack.simulator.add_device(gone).unwrap();
    let rejected = stack.push(&token(2), ALERT).await;
    assert_eq!(rejected["outcome"], "rejected");
    assert_eq!(
        (&rejected["status"], &rejected["reason"]),
        (&410.into(), &"Unregistered".into())
    );
    assert_eq!(rejected["invalid_since"], 1_234_567);
    stack
        .simulator
        .add_fault(Fault::status(418, "SomethingNew"))
        .unwrap();
    let unknown = stack.push(&token(3), ALERT).await;
    assert_eq!(
        (&unknown["status"], &unknown["reason"]),
        (&418.into(), &"SomethingNew".into())
    );
    let garbled = Action::Body {
        status: 500,
        body: "<html>".into(),
    };
    stack.simulator.add_fault(Fault::new(garbled)).unwrap();
    let garbled = stack.push(&token(3), ALERT).await;
    assert_eq!(
        (&garbled["outcome"], &garbled["status"]),
        (&"rejected".into(), &500.into())
    );
    assert_eq!(stack.push(&token(3), ALERT).await["outcome"], "accepted");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apns_that_never_answers_ends_at_the_deadline() {
    let (_folder, stack) = impatient(TIMEOUT).await;
    stack.push_until_accepted(&token(1), ALERT).await;
    stack
        .simulator
        .add_fault(Fault::new(Action::Silence))
        .unwrap();
    let silent = stack.push(&token(1), ALERT).await;
    assert_eq!(silent["outcome"], "unanswered");
    assert_eq!(silent["may_resend"], false);
    stack.push_until_accepted(&token(1), ALERT).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_unanswered_unless_the_stream_was_refused() {
    let (_folder, stack) = stack().await;
    let internal = Fault::new(Action::Reset { error_code: 2 });
    stack.simulator.add_fault(internal).unwrap();
    let reset = stack.push(&token(1), ALERT).await;
    assert_eq!(
        (&reset["outcome"], &reset["may_resend"]),
        (&"unanswered".into(), &false.into())
    );
    stack
        .simulator
        .add_fault(Fault::new(Action::Reset { error_code: 7 }))
        .unwrap();
    let refused = stack.push(&token(1), ALERT).await;
    assert_eq!(
        refused["outcome"], "accepted",
        "sent again, and taken: {refused}"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apns_that_cannot_be_reached_is_said_so_and_found_again() {
    let (_folder, stack) = impatient(TIMEOUT).await;
    let refusing = Fault::new(Action::RefuseConnections).always();
    stack.simulator.add_fault(refusing).unwrap();
    let unreachable = stack.push(&token(1), ALERT).await;
    assert_eq!(unreachable["outcome"], "unanswered");
    assert_eq!(unreachable["may_resend"], true);
    assert!(
        unreachable["detail"]
            .as_str()
            .is_some_and(|why| why.contains("localhost"))
    );
    stack.simulator.clear_faults();
    // The back-off may still hold the first of these.
    stack.push_until_accepted(&token(1), ALERT).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_replaced() {
    let (_folder, stack) = stack().await;
    for after_bytes in [0, 1, 9, 20] {
        let cut = Action::Close { after_bytes };
        stack.simulator.add_fault(Fault::new(cut)).unwrap();
        let lost = stack.push(&token(1), ALERT).await;
        let outcome = lost["outcome"].as_str().unwrap();
        assert!(["unanswered", "accepted"].contains(&outcome), "{lost}");
        assert_eq!(stack.push(&token(1), ALERT).await["outcome"], "accepted");
    }
    stack.stop().await;
}

/// Pushes to 600 devices at once while APNs goes away every so often; gives the results, and which
/// tokens were accepted how often by the simulator's own account.
async fn push_while_going_away(answer: bool) -> (Vec<serde_json::Value>, Vec<String>) {
    // Where everything is answered it is only a matter of time.
    let patience = if answer { 20 } else { 3 };
    let (_folder, stack) = impatient(Duration::from_secs(patience)).await;
    for (reason, every, times) in [(None, 40, 5), (Some("Shutdown"), 70, 3)] {
        let reason = reason.map(str::to_owned);
        let goaway = Action::Goaway {
            reason,
            error_code: 0,
            answer,
        };
        stack
            .simulator
            .add_fault(Fault::new(goaway).every(every).times(times))
            .unwrap();
    }
    let pushes = (0..600).map(|n| {
        let stack = &stack;
        async move { stack.push(&token(n), ALERT).await }
    });
    let results = join_all(pushes).await;
    let journal = stack.simulator.journal();
    let accepted = journal.iter().filter(|received| received.is_accepted());
    let mut accepted: Vec<String> = accepted.map(|received| received.token.clone()).collect();
    accepted.sort_unstable();
    stack.stop().await;
    (results, accepted)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_apns_goes_away_under_load() {
    let (results, accepted) = push_while_going_away(true).await;
    for result in results {
        assert_eq!(result["outcome"], "accepted", "{result}");
    }
    let expected: Vec<String> = (0..600).map(token).collect();
    assert_eq!(accepted, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_apns_that_goes_away_leaves_open_is_unanswered_and_not_sent_again() {
    let (results, accepted) = push_while_going_away(false).await;
    let told = |outcome: &str| -> BTreeSet<&str> {
        let of_it = results.iter().filter(|result| result["outcome"] == outcome);
        of_it
            .map(|result| result["token"].as_str().unwrap())
            .collect()
    };
    let (told_accepted, unanswered) = (told("accepted"), told("unanswered"));
    assert_eq!(told_accepted.len() + unanswered.len(), 600);
    let once: BTreeSet<&str> = accepted.iter().map(String::as_str).collect();
    assert_eq!(once.len(), accepted.len(), "something was accepted twice");
    assert!(
        told_accepted.is_subset(&once),
        "something was not accepted after all"
    );
    // An answer that the peer had given, and that was lost with the connection, is unanswered too.
    let mut lost = once.difference(&told_accepted);
    assert!(lost.all(|token| unanswered.contains(token)));
    // Eight times what is open on a connection below the last stream; on a shared one that is more.
    let most = if over_sockets() { 60 } else { 150 };
    assert!(unanswered.len() <= most, "{} unanswered", unanswered.len());
    for result in results
        .iter()
        .filter(|result| result["outcome"] == "unanswered")
    {
        // What is above the last stream is sent again, and what is below it never.
        assert_eq!(result["may_resend"], false, "{result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_alias_lose_nothing_and_a_token_has_one_owner() {
    let (_folder, stack) = stack().await;
    let register = |n: u32, alias: &'static str| {
        let body = format!(r#"{{"topic":"{TOPIC}","alias":"{alias}"}}"#);
        let path = format!("/v1/devices/{}", token(n));
        let stack = &stack;
        async move { stack.call("PUT", &path, &body).await.status }
    };
    let statuses = join_all((0..60).map(|n| register(n, "family"))).await;
    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
    let body = format!(r#"{{"to":{{"alias":"family"}},"dry_run":true,"payload":{ALERT}}}"#);
    let all = stack.call("POST", "/v1/push", &body).await.json();
    assert_eq!(all["results"].as_array().unwrap().len(), 60);
    assert_eq!(all["results"][0]["outcome"], "valid");
    assert!(
        stack.simulator.journal().is_empty(),
        "a dry run sends nothing"
    );

    assert_eq!(register(5, "somebody else").await, 200);
    let after = stack.call("POST", "/v1/push", &body).await.json();
    assert_eq!(after["results"].as_array().unwrap().len(), 59);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registers_last_owns_the_device_and_its_index_says_so() {
    let (_folder, stack) = stack().await;
    let path = format!("/v1/devices/{}", token(1));
    for _ in 0..10 {
        let register = |n: u32| {
            let alias = if n.is_multiple_of(2) { "anna" } else { "ben" };
            let body = format!(r#"{{"topic":"{TOPIC}","alias":"{alias}"}}"#);
            let (stack, path) = (&stack, &path);
            async move { stack.call("PUT", path, &body).await.status }
        };
        let statuses = join_all((0..20).map(register)).await;
        assert!(
            statuses.iter().all(|status| [200, 201].contains(status)),
            "{statuses:?}"
        );
        let record = stack
            .call("GET", &format!("{path}?topic={TOPIC}"), "")
            .await
            .json();
        let owner = record["alias"].as_str().unwrap();
        let other = if owner == "anna" { "ben" } else { "anna" };
        for (alias, status) in [(owner, 200), (other, 404)] {
            let to = format!(r#"{{"to":{{"alias":"{alias}"}},"dry_run":true,"payload":{ALERT}}}"#);
            let reply = stack.call("POST", "/v1/push", &to).await;
            assert_eq!(reply.status, status, "{alias} of {owner}: {}", reply.text());
        }
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_named_twice_is_pushed_to_once() {
    let (_folder, stack) = stack().await;
    let (one, two) = (token(1), token(2));
    let body = format!(
        r#"{{"to":{{"tokens":["{one}","{two}","{one}"]}},"topic":"{TOPIC}","payload":{ALERT}}}"#
    );
    let reply = stack.call("POST", "/v1/push", &body).await.json();
    assert_eq!(reply["accepted"], 2, "{reply}");
    assert_eq!(stack.simulator.journal().len(), 2);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_signing_key_is_used_at_once() {
    let (folder, stack) = stack().await;
    assert_eq!(stack.push(&token(1), ALERT).await["outcome"], "accepted");
    stack.stop().await;
    // The provider token of the old key is still in the store, and young.
    std::fs::remove_file(folder.path().join("config/key.p8")).unwrap();
    let stack = Stack::start(folder.path(), Options::default()).await;
    let pushed = stack.push(&token(1), ALERT).await;
    assert_eq!(pushed["outcome"], "accepted", "{pushed}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_the_provider_token_are_shared() {
    let (_folder, stack) = stack().await;
    let pushes = (0..400).map(|n| {
        let stack = &stack;
        async move { stack.push(&token(n), ALERT).await }
    });
    let results = join_all(pushes).await;
    let other = results
        .iter()
        .filter(|result| result["outcome"] != "accepted");
    let other: Vec<_> = other.take(3).collect();
    let seen = |token: &str| {
        stack
            .simulator
            .journal()
            .iter()
            .any(|seen| seen.token == token)
    };
    let reached = other
        .iter()
        .map(|result| seen(result["token"].as_str().unwrap()));
    let reached: Vec<_> = reached.collect();
    assert!(
        other.is_empty(),
        "{other:?} {reached:?} {:?}",
        stack.simulator.stats()
    );
    let most = if on_the_host() {
        2
    } else {
        stack.instances() as u64
    };
    assert!(
        stack.simulator.connections_accepted() <= most,
        "one for each instance"
    );
    let mut tokens: Vec<_> = stack
        .simulator
        .journal()
        .iter()
        .map(|received| received.header("authorization").unwrap().to_owned())
        .collect();
    tokens.dedup();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "one provider token for all instances");
    stack.stop().await;
}
