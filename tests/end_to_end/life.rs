//! The life of a device token, through the host: registered, bound, replaced, detached, removed
//! when it is dead and only then; and the feedback service that says so.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::Client;
use crate::stack::{API_KEY, Stack, TOPIC, token};
use dunlin_simulator::{Device, DeviceState};
use serde_json::Value;

const ALERT: &str = r#"{"aps":{"alert":"hello"}}"#;

fn now_secs() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u32::try_from(now.as_secs()).unwrap()
}

/// What an app posts at launch, as existing iOS code does: a form.
async fn launch(stack: &Stack, form: &str) -> (u16, Value) {
    let reply = Client::new(stack.address)
        .key(API_KEY)
        .header("content-type", "application/x-www-form-urlencoded")
        .call("POST", "/v1/devices", form)
        .await;
    (reply.status, reply.json())
}

async fn record(stack: &Stack, n: u32) -> Value {
    let path = format!("/v1/devices/{}?topic={TOPIC}", token(n));
    let reply = stack.call("GET", &path, "").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// How many devices a push to an alias reaches; 0 if it has none.
async fn reach(stack: &Stack, alias: &str) -> usize {
    let body = format!(r#"{{"to":{{"alias":"{alias}"}},"payload":{ALERT}}}"#);
    let reply = stack.call("POST", "/v1/push", &body).await;
    match reply.status {
        404 => 0,
        _ => reply.json()["results"].as_array().unwrap().len(),
    }
}

async fn poll(stack: &Stack) -> Value {
    let reply = stack.call("POST", "/v1/tasks/feedback", "").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn add_feedback(stack: &Stack, n: u32, since: u32) {
    let token = hex::decode(token(n)).unwrap();
    stack.simulator.add_feedback(TOPIC, &token, since).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_life_of_a_token() {
    let (_folder, stack) = crate::stack().await;

    // Launch: the app sends its token, before anybody is logged in.
    let (status, device) = launch(&stack, &format!("newToken={}&topic={TOPIC}", token(1))).await;
    assert_eq!((status, device["alias"].clone()), (201, Value::Null));

    // Login binds it to an alias.
    let form = format!("newToken={}&topic={TOPIC}&alias=anna", token(1));
    let (status, device) = launch(&stack, &form).await;
    assert_eq!((status, device["alias"].as_str()), (200, Some("anna")));
    assert_eq!(reach(&stack, "anna").await, 1);

    // A new iOS gives it a new token; the app sends both and names nobody.
    let form = format!("oldToken={}&newToken={}&topic={TOPIC}", token(1), token(2));
    let (status, device) = launch(&stack, &form).await;
    assert_eq!((status, device["alias"].as_str()), (201, Some("anna")));
    assert_eq!(record(&stack, 1).await["removed"]["reason"], "Replaced");
    assert_eq!(reach(&stack, "anna").await, 1, "one device, not two");

    // Logout detaches it at once, and twice is as good as once.
    let path = format!("/v1/devices/{}/logout?topic={TOPIC}", token(2));
    assert_eq!(stack.call("POST", &path, "").await.status, 204);
    assert_eq!(stack.call("POST", &path, "").await.status, 204);
    assert_eq!(reach(&stack, "anna").await, 0);

    // The app is installed again: the token stays the same.
    let form = format!(
        "oldToken={0}&newToken={0}&topic={TOPIC}&alias=anna",
        token(2)
    );
    assert_eq!(launch(&stack, &form).await.0, 200);
    assert_eq!(reach(&stack, "anna").await, 1);

    // Uninstalled; but before the poll it registers again, and lives.
    let died = now_secs() - 60;
    add_feedback(&stack, 2, died);
    let report = poll(&stack).await;
    let counts = ["tuples", "removed", "kept", "unknown"].map(|name| report[name].as_u64());
    assert_eq!(counts, [1, 0, 1, 0].map(Some), "{report}");
    assert_eq!(reach(&stack, "anna").await, 1);

    // Uninstalled for good: the poll removes it, and says so.
    add_feedback(&stack, 2, now_secs() + 60);
    add_feedback(&stack, 99, died);
    let report = poll(&stack).await;
    let counts = ["tuples", "removed", "kept", "unknown"].map(|name| report[name].as_u64());
    // What is later than now counts as now, and the registration was less than a second ago.
    let removed = record(&stack, 2).await["removed"].clone();
    assert_eq!(counts, [2, 1, 0, 1].map(Some), "{report}");
    assert_eq!(removed["reason"], "Feedback");
    assert_eq!(reach(&stack, "anna").await, 0);
    assert_eq!(
        poll(&stack).await["tuples"],
        0,
        "the list is cleared by reading"
    );

    // That was a mistake: the operator takes it back.
    let path = format!("/v1/devices/{}/restore?topic={TOPIC}", token(2));
    assert_eq!(stack.call("POST", &path, "").await.status, 200);
    assert_eq!(reach(&stack, "anna").await, 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_410_removes_by_the_same_rule() {
    let (_folder, stack) = crate::stack().await;
    let form = format!("newToken={}&topic={TOPIC}&alias=ben", token(5));
    launch(&stack, &form).await;
    let now_ms = u64::from(now_secs()) * 1_000;
    for (since, outcome) in [(now_ms - 60_000, 1), (now_ms + 60_000, 0)] {
        let gone = Device::new(token(5)).with_state(DeviceState::Unregistered, Some(since));
        stack.simulator.add_device(gone).unwrap();
        let result = stack.push(&token(5), ALERT).await;
        assert_eq!(result["reason"], "Unregistered");
        assert_eq!(result["removed"].as_bool(), (outcome == 0).then_some(true));
        stack.simulator.clear_devices();
        assert_eq!(reach(&stack, "ben").await, outcome);
    }
    stack.stop().await;
}
