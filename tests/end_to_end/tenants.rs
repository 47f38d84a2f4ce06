//! Several apps in one registry, and API keys that are bound to some of them: what each may see and
//! change, whom a push reaches, and what its answer says of the others.

use std::fmt::Write as _;

use dunlin_tests::client::{Client, Reply};
use dunlin_tests::stack::{Options, Stack, TOPIC, token};
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const ALERT: &str = r#"{"aps":{"alert":"hello"}}"#;

/// An app of somebody else's.
const OTHER: &str = "com.other.app";

/// The keys of the two tenants.
const OWN_KEY: &str = "own-key";
const OTHER_KEY: &str = "other-key";

/// An API key with every scope for one topic.
fn api_key(key: &str, topic: &str) -> String {
    let mut hash = String::new();
    for byte in Sha256::digest(key) {
        write!(hash, "{byte:02x}").unwrap();
    }
    format!(
        "[[api_keys]]\nname = \"{key}\"\nsha256 = \"{hash}\"\nscopes = [\"admin\"]\n\
         topics = [\"{topic}\"]\n"
    )
}

/// A stack with two tenants, of which the other has a feedback service that nobody listens at.
async fn tenants() -> (tempfile::TempDir, Stack) {
    let folder = tempfile::tempdir().unwrap();
    let feedback = format!(
        "[[binary]]\ntopic = \"{OTHER}\"\nfeedback = {{ host = \"localhost\", port = 1 }}\n"
    );
    let keys = [api_key(OWN_KEY, TOPIC), api_key(OTHER_KEY, OTHER)];
    let options = Options {
        extra: [keys.concat(), feedback].concat(),
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    (folder, stack)
}

async fn call(stack: &Stack, key: &str, method: &str, path: &str, body: &str) -> Reply {
    let client = Client::new(stack.address).key(key);
    client.call(method, path, body).await
}

async fn register(stack: &Stack, key: &str, n: u32, topic: &str, alias: &str) -> Reply {
    let body = json!({"topic": topic, "alias": alias, "tags": ["news"]}).to_string();
    call(
        stack,
        key,
        "PUT",
        &format!("/v1/devices/{}", token(n)),
        &body,
    )
    .await
}

fn push(to: &Value) -> String {
    format!(r#"{{"to":{to},"payload":{ALERT}}}"#)
}

fn told(reply: &Reply) -> (u16, String) {
    (reply.status, reply.rule())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_bound_to_topics_sees_and_changes_nothing_of_other_apps() {
    let (_folder, stack) = tenants().await;
    assert_eq!(
        register(&stack, OWN_KEY, 1, TOPIC, "anna").await.status,
        201
    );
    assert_eq!(
        register(&stack, OTHER_KEY, 2, OTHER, "anna").await.status,
        201
    );
    assert_eq!(
        register(&stack, OTHER_KEY, 3, OTHER, "ben").await.status,
        201
    );

    let device = format!("/v1/devices/{}", token(3));
    let foreign = format!("?topic={OTHER}");
    let named = json!({"topic": OTHER}).to_string();
    let channel = json!({"topic": OTHER, "storage_policy": "none"}).to_string();
    let update = r#"{"aps":{"timestamp":1770000000,"event":"end","content-state":{}}}"#;
    let broadcast = format!(r#"{{"topic":"{OTHER}","channel":"YQ==","payload":{update}}}"#);
    let by_token = format!(
        r#"{{"to":{{"token":"{}"}},"topic":"{OTHER}","payload":{ALERT}}}"#,
        token(3)
    );
    let by_alias =
        push(&json!({"alias": "ben"})).replacen('{', &format!(r#"{{"topic":"{OTHER}","#), 1);
    for (method, path, body) in [
        ("GET", format!("{device}{foreign}"), ""),
        ("DELETE", format!("{device}{foreign}"), ""),
        ("POST", format!("{device}/logout{foreign}"), ""),
        ("POST", format!("{device}/restore{foreign}"), ""),
        ("PUT", device.clone(), &*named),
        ("GET", format!("/v1/channels{foreign}"), ""),
        ("GET", format!("/v1/channels/YQ=={foreign}"), ""),
        ("DELETE", format!("/v1/channels/YQ=={foreign}"), ""),
        ("POST", "/v1/channels".to_owned(), &*channel),
        ("POST", "/v1/broadcasts".to_owned(), &*broadcast),
        ("POST", "/v1/push".to_owned(), &*by_token),
        ("POST", "/v1/push".to_owned(), &*by_alias),
    ] {
        let reply = call(&stack, OWN_KEY, method, &path, body).await;
        let expected = (403, "topic-not-allowed".to_owned());
        assert_eq!(told(&reply), expected, "{method} {path} {body}");
    }

    let listed = async |query: &str| {
        let path = format!("/v1/devices?{query}");
        let reply = call(&stack, OWN_KEY, "GET", &path, "").await.json();
        let devices = reply["devices"].as_array().unwrap().iter();
        devices
            .map(|device| device["token"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed("alias=anna").await, [json!(token(1))]);
    assert!(listed("alias=ben").await.is_empty());
    assert!(listed(&format!("topic={OTHER}")).await.is_empty());
    assert!(listed(&format!("topic={OTHER}&tag=news")).await.is_empty());

    let both = push(&json!({"aliases": ["anna", "ben"]}));
    let reply = call(&stack, OWN_KEY, "POST", "/v1/push", &both)
        .await
        .json();
    assert_eq!(reply["accepted"], 1, "{reply}");
    let unmatched =
        json!({"index": 1, "outcome": "skipped", "rule": "unknown-alias", "alias": "ben"});
    assert_eq!(reply["results"][1], unmatched);
    assert_eq!(reply["unmatched"], json!(["ben"]));
    let nobody = push(&json!({"alias": "ben"}));
    let reply = call(&stack, OWN_KEY, "POST", "/v1/push", &nobody).await;
    assert_eq!(told(&reply), (404, "unknown-alias".to_owned()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_bound_to_topics_runs_tasks_for_these_alone() {
    let (_folder, stack) = tenants().await;
    register(&stack, OWN_KEY, 1, TOPIC, "anna").await;
    register(&stack, OTHER_KEY, 2, OTHER, "anna").await;
    register(&stack, OTHER_KEY, 3, OTHER, "ben").await;
    let keyed = push(&json!({"alias": "anna"})).replacen('{', r#"{"idempotency_key":"k","#, 1);
    assert_eq!(
        call(&stack, OTHER_KEY, "POST", "/v1/push", &keyed)
            .await
            .status,
        200
    );

    let task = async |key: &str, task: &str| {
        let path = format!("/v1/tasks/{task}");
        let reply = call(&stack, key, "POST", &path, "").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    };
    let gone = hex::decode(token(1)).unwrap();
    stack.simulator.add_feedback(TOPIC, &gone, 1).unwrap();
    let reads = stack.simulator.feedback_reads(TOPIC);
    let report = task(OTHER_KEY, "feedback").await;
    assert_eq!(stack.simulator.feedback_reads(TOPIC), reads, "not asked");
    let topics = |report: &Value| {
        let apps = report["apps"].as_array().unwrap().iter();
        apps.map(|app| app["topic"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(topics(&report), [json!(OTHER)], "{report}");
    assert_eq!(report["tuples"], 0, "{report}");
    let report = task(OWN_KEY, "feedback").await;
    assert_eq!(topics(&report), [json!(TOPIC)], "{report}");
    assert_eq!(report["tuples"], 1, "{report}");
    let report = task(crate::API_KEY, "feedback").await;
    assert_eq!(topics(&report), [json!(TOPIC), json!(OTHER)], "{report}");

    let examined = async |key: &str| task(key, "sweep").await["examined"].clone();
    assert_eq!(examined(OWN_KEY).await, 1);
    assert_eq!(examined(OTHER_KEY).await, 2);
    assert_eq!(examined(crate::API_KEY).await, 3);

    // A receipt is its caller's.
    let receipt = |key: &'static str| call(&stack, key, "GET", "/v1/receipts/k", "");
    assert_eq!(receipt(OTHER_KEY).await.status, 200);
    assert_eq!(
        told(&receipt(OWN_KEY).await),
        (404, "unknown-receipt".to_owned())
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_that_one_app_has_filled_is_open_to_another() {
    let (_folder, stack) = tenants().await;
    let all: Vec<u32> = (1..=500).collect();
    for some in all.chunks(50) {
        let calls = some
            .iter()
            .map(|n| register(&stack, OTHER_KEY, *n, OTHER, "anna"));
        assert!(
            join_all(calls)
                .await
                .iter()
                .all(|reply| reply.status == 201)
        );
    }
    let full = register(&stack, OTHER_KEY, 501, OTHER, "anna").await;
    assert_eq!(told(&full), (409, "alias-full".to_owned()));
    let own = register(&stack, OWN_KEY, 502, TOPIC, "anna").await;
    assert_eq!(own.status, 201, "{}", own.text());
    let to_anna = push(&json!({"alias": "anna"}));
    let reached = async |key: &str| {
        let reply = call(&stack, key, "POST", "/v1/push", &to_anna).await.json();
        reply["results"].as_array().unwrap().len()
    };
    assert_eq!(reached(OWN_KEY).await, 1);
    assert_eq!(reached(OTHER_KEY).await, 500);
    assert_eq!(reached(crate::API_KEY).await, 501);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_that_is_named_a_thousand_times_stops_nobody() {
    let (_folder, stack) = crate::stack().await;
    let tags: Vec<_> = (0..64).map(|n| format!("{n:064}")).collect();
    let heavy = json!({"topic": TOPIC, "alias": "bulk", "tags": tags}).to_string();
    let all: Vec<u32> = (1..=100).collect();
    for some in all.chunks(25) {
        let paths: Vec<_> = some
            .iter()
            .map(|n| format!("/v1/devices/{}", token(*n)))
            .collect();
        let calls = paths.iter().map(|path| stack.call("PUT", path, &heavy));
        assert!(
            join_all(calls)
                .await
                .iter()
                .all(|reply| reply.status == 201)
        );
    }
    let dry_run = |aliases: &[&str]| {
        push(&json!({ "aliases": aliases })).replacen('{', r#"{"dry_run":true,"#, 1)
    };
    let once = stack
        .call("POST", "/v1/push", &dry_run(&["bulk"]))
        .await
        .json();
    assert_eq!(once["results"].as_array().unwrap().len(), 100);
    let mut names = ["bulk"; 1_000];
    names[0] = "nobody";
    let many = dry_run(&names);
    let bulk = join_all((0..8).map(|_| stack.call("POST", "/v1/push", &many)));
    let tokens: Vec<_> = (0..60).map(token).collect();
    let others = join_all(tokens.iter().map(|token| stack.push(token, ALERT)));
    let (bulk, others) = join(bulk, others).await;
    for other in others {
        assert_eq!(other["outcome"], "accepted", "{other}");
    }
    let reached = |reply: &Value| {
        let results = reply["results"].as_array().unwrap().iter();
        let devices = results.filter(|result| result["outcome"] != "skipped");
        devices
            .map(|result| result["token"].clone())
            .collect::<Vec<_>>()
    };
    for reply in bulk {
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reached(&reply.json()), reached(&once));
        assert_eq!(reply.json()["unmatched"], json!(["nobody"]));
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_without_devices_are_named_in_answers_dry_runs_and_receipts() {
    let (_folder, stack) = crate::stack().await;
    register(&stack, crate::API_KEY, 1, TOPIC, "anna").await;
    let body = |extra: &str| {
        let to = json!({"aliases": ["zoe", "anna", "ben", "zoe"]});
        push(&to).replacen('{', &format!("{{{extra}"), 1)
    };
    for extra in ["", r#""dry_run":true,"#, r#""idempotency_key":"k","#] {
        let reply = stack.call("POST", "/v1/push", &body(extra)).await.json();
        assert_eq!(reply["unmatched"], json!(["zoe", "ben"]), "{reply}");
        let results = reply["results"].as_array().unwrap().iter();
        let told: Vec<_> = results
            .map(|result| result.get("rule").unwrap_or(&result["outcome"]))
            .collect();
        let anna = if extra.contains("dry_run") {
            "valid"
        } else {
            "accepted"
        };
        assert_eq!(told, ["unknown-alias", anna, "unknown-alias", "duplicate"]);
        assert_eq!(reply["skipped"], 3);
    }
    let again = stack
        .call("POST", "/v1/push", &body(r#""idempotency_key":"k","#))
        .await;
    assert!(again.headers.contains_key("dunlin-repeated"));
    assert_eq!(again.json()["unmatched"], json!(["zoe", "ben"]));
    let receipt = stack.call("GET", "/v1/receipts/k", "").await.json();
    assert_eq!(receipt["reply"], again.json());
    let to_token = json!({"token": token(9)});
    let by_token = push(&to_token).replacen('{', &format!(r#"{{"topic":"{TOPIC}","#), 1);
    let reply = stack.call("POST", "/v1/push", &by_token).await.json();
    assert_eq!(reply["unmatched"], json!([]), "always there");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_no_push_can_reach_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        key: format!("topics = [\"{TOPIC}\"]"),
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    for (topic, count) in [(TOPIC, 0), ("com.example.ap", 1)] {
        let reply = register(&stack, crate::API_KEY, 1, topic, "anna").await;
        assert_eq!(reply.status, 201);
        let warnings = reply.json()["warnings"].as_array().map_or(0, Vec::len);
        assert_eq!(warnings, count, "{}", reply.text());
        let form = format!("newToken={}&topic={topic}", token(1));
        let posted = Client::new(stack.address)
            .key(crate::API_KEY)
            .header("content-type", "application/x-www-form-urlencoded");
        let reply = posted.call("POST", "/v1/devices", &form).await.json();
        assert_eq!(reply["warnings"].as_array().map_or(0, Vec::len), count);
    }
    stack.stop().await;
}
