//! Channels and broadcasts, through the host, to a simulator that shares no code with the
//! component.

use dunlin_simulator::{Call, Received};
use dunlin_tests::client::{Client, Reply};
use dunlin_tests::stack::{Options, Stack, TOPIC};
use futures_util::future::join_all;
use serde_json::{Value, json};

const UPDATE: &str = r#"{"aps":{"timestamp":1770000000,"event":"update",
    "content-state":{"score":"2:1"}}, "own" : 1}"#;

async fn create(stack: &Stack, policy: &str) -> String {
    let body = json!({"topic": TOPIC, "storage_policy": policy}).to_string();
    let reply = stack.call("POST", "/v1/channels", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let made = reply.json();
    assert_eq!(
        (&made["topic"], &made["storage_policy"]),
        (&TOPIC.into(), &policy.into())
    );
    assert_eq!(made["environment"], "development", "the configured one");
    made["channel"].as_str().unwrap().to_owned()
}

/// The path of a channel, everything in it that a path could take for its own encoded.
fn path_of(channel: &str) -> String {
    let channel = channel
        .replace('/', "%2F")
        .replace('+', "%2B")
        .replace('=', "%3D");
    format!("/v1/channels/{channel}?topic={TOPIC}")
}

async fn broadcast(stack: &Stack, channel: &str, further: &str) -> Value {
    let body =
        format!(r#"{{"topic":"{TOPIC}","channel":"{channel}"{further},"payload":{UPDATE}}}"#);
    let reply = stack.call("POST", "/v1/broadcasts", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn broadcasts(stack: &Stack) -> Vec<Received> {
    let mut journal = stack.simulator.journal();
    journal.retain(|received| received.call == Call::Broadcast);
    journal
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_made_found_and_removed() {
    let (_folder, stack) = crate::stack().await;
    let list = || async {
        let path = format!("/v1/channels?topic={TOPIC}&environment=development");
        let reply = stack.call("GET", &path, "").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["channels"].clone()
    };
    assert_eq!(list().await, json!([]));
    let channel = create(&stack, "most-recent").await;
    assert_eq!(list().await, json!([channel]));
    let known = stack.simulator.channels();
    assert_eq!((known.len(), &known[0].channel_id), (1, &channel));
    let found = stack.call("GET", &path_of(&channel), "").await;
    assert_eq!(found.status, 200, "{}", found.text());
    assert_eq!(found.json()["storage_policy"], "most-recent");
    let as_it_is = format!("/v1/channels/{channel}?topic={TOPIC}");
    assert_eq!(stack.call("GET", &as_it_is, "").await.status, 200);
    let removed = stack.call("DELETE", &path_of(&channel), "").await;
    assert_eq!(removed.status, 204, "{}", removed.text());
    assert!(stack.simulator.channels().is_empty());
    for method in ["GET", "DELETE"] {
        let gone = stack.call(method, &path_of(&channel), "").await;
        assert_eq!(
            (gone.status, gone.rule().as_str()),
            (404, "unknown-channel")
        );
    }
    assert_eq!(list().await, json!([]));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_arrives_byte_for_byte() {
    let (_folder, stack) = crate::stack().await;
    let channel = create(&stack, "none").await;
    let reply = broadcast(&stack, &channel, "").await;
    assert_eq!(
        (&reply["outcome"], &reply["status"]),
        (&"accepted".into(), &200.into())
    );
    assert_eq!(reply["channel"], channel);
    let arrived = broadcasts(&stack);
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].payload, UPDATE.as_bytes());
    assert_eq!(arrived[0].path, format!("/4/broadcasts/apps/{TOPIC}"));
    assert_eq!(reply["request_id"], arrived[0].apns_id);
    let header = |name: &str| {
        let mut headers = arrived[0].headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(header("apns-channel-id"), Some(channel.as_str()));
    assert_eq!(header("apns-expiration"), Some("0"));
    assert_eq!(header("apns-priority"), Some("10"));
    assert_eq!(header("apns-push-type"), Some("liveactivity"));
    stack.stop().await;
}

/// BC-SEND: only 0 is allowed on a channel that stores nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_apns_says_of_a_broadcast_is_passed_on() {
    let (_folder, stack) = crate::stack().await;
    let (none, recent) = (
        create(&stack, "none").await,
        create(&stack, "most-recent").await,
    );
    let reply = broadcast(&stack, &none, r#","ttl_s":60"#).await;
    assert_eq!(
        (&reply["outcome"], &reply["reason"]),
        (&"rejected".into(), &"BadExpirationDate".into())
    );
    let reply = broadcast(&stack, &recent, r#","ttl_s":60,"priority":5"#).await;
    assert_eq!(reply["outcome"], "accepted");
    let reply = broadcast(&stack, "bm9uZQ==", "").await;
    assert_eq!(
        (&reply["status"], &reply["reason"]),
        (&400.into(), &"ChannelNotRegistered".into())
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_that_is_repeated_gets_the_first_ones_reply_and_sends_nothing() {
    let (folder, stack) = crate::stack().await;
    let channel = create(&stack, "none").await;
    let body = |score: &str| {
        let content = json!({"score": score});
        let aps = json!({"timestamp": 1, "event": "update", "content-state": content});
        let payload = json!({ "aps": aps });
        json!({
            "topic": TOPIC, "channel": channel, "idempotency_key": "goal:3", "payload": payload
        })
        .to_string()
    };
    let once = body("2:1");
    let calls = (0..8).map(|_| stack.call("POST", "/v1/broadcasts", &once));
    let replies = join_all(calls).await;
    let sent = broadcasts(&stack);
    assert_eq!(sent.len(), 1);
    let first = replies.iter().find(|reply| reply.status == 200).unwrap();
    assert_eq!(first.json()["outcome"], "accepted");
    assert_eq!(first.json()["request_id"], sent[0].apns_id);
    for reply in &replies {
        match reply.status {
            200 => assert_eq!(reply.text(), first.text()),
            status => assert_eq!((status, reply.rule().as_str()), (409, "push-under-way")),
        }
    }
    let again = stack.call("POST", "/v1/broadcasts", &once).await;
    assert_eq!(again.text(), first.text());
    assert!(again.headers.contains_key("dunlin-repeated"));
    let receipt = stack.call("GET", "/v1/receipts/goal:3", "").await.json();
    assert_eq!(
        (&receipt["state"], &receipt["reply"]),
        (&"done".into(), &first.json())
    );
    let other = stack.call("POST", "/v1/broadcasts", &body("3:1")).await;
    let told = (other.status, other.rule());
    assert_eq!(told, (422, "idempotency-key-reused".to_owned()));

    // Nor does a restart make it forget.
    let text = first.text();
    stack.stop().await;
    let stack = Stack::start(folder.path(), Options::default()).await;
    let third = stack.call("POST", "/v1/broadcasts", &once).await;
    assert_eq!(third.text(), text);
    assert!(stack.simulator.journal().is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_that_nobody_could_send_gives_its_key_back() {
    let (_folder, stack) = crate::stack().await;
    let channel = create(&stack, "none").await;
    let body = |topic: &str| {
        let aps = json!({"timestamp": 1, "event": "end", "content-state": {}});
        json!({"topic": topic, "channel": channel, "idempotency_key": "k", "payload": {"aps": aps}})
            .to_string()
    };
    let key = stack.call("POST", "/v1/broadcasts", &body("a b")).await;
    assert_eq!((key.status, key.rule().as_str()), (400, "topic-character"));
    assert_eq!(stack.call("GET", "/v1/receipts/k", "").await.status, 404);
    let reply = stack.call("POST", "/v1/broadcasts", &body(TOPIC)).await;
    assert_eq!(reply.json()["outcome"], "accepted", "{}", reply.text());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_broadcast_sends_nothing() {
    let (_folder, stack) = crate::stack().await;
    let reply = broadcast(&stack, "bm9uZQ==", r#","dry_run":true"#).await;
    assert_eq!(reply["outcome"], "valid");
    assert!(stack.simulator.journal().is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_broadcasts_each_arrive_once() {
    let (_folder, stack) = crate::stack().await;
    let channel = create(&stack, "none").await;
    let replies = join_all((0..40).map(|_| broadcast(&stack, &channel, ""))).await;
    assert!(replies.iter().all(|reply| reply["outcome"] == "accepted"));
    let arrived = broadcasts(&stack);
    let mut ids: Vec<_> = arrived.iter().map(|one| one.apns_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), arrived.len()), (40, 40));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_is_held_to_its_scope_and_topics() {
    let (_folder, stack) = crate::stack().await;
    let client = Client::new(stack.address).key("send-only");
    let refused = |reply: Reply| (reply.status, reply.rule());
    let body = json!({"topic": "com.example.other", "storage_policy": "none"}).to_string();
    let reply = client.call("POST", "/v1/channels", &body).await;
    assert_eq!(refused(reply), (403, "scope-missing".to_owned()));
    let path = "/v1/channels?topic=com.example.other";
    let reply = client.call("GET", path, "").await;
    assert_eq!(refused(reply), (403, "scope-missing".to_owned()));
    let body = format!(r#"{{"topic":"{TOPIC}","channel":"YQ==","payload":{UPDATE}}}"#);
    let reply = client.call("POST", "/v1/broadcasts", &body).await;
    assert_eq!(refused(reply), (403, "topic-not-allowed".to_owned()));
    let body = body.replace(TOPIC, "com.example.app.push-type.liveactivity");
    let reply = stack.call("POST", "/v1/broadcasts", &body).await;
    assert_eq!(refused(reply), (400, "topic-suffix".to_owned()));
    assert!(stack.simulator.journal().is_empty());
    stack.stop().await;
}
