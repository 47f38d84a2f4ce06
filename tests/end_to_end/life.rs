//! The life of a device token, through the host: registered, bound, replaced, detached, removed
//! when it is dead and only then; and the feedback service that says so.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dunlin_simulator::{Action, Device, DeviceState, Fault, FeedbackAction};
use dunlin_tests::client::Client;
use dunlin_tests::stack::{API_KEY, Options, Stack, TOPIC, token, wants_the_host};
use futures_util::future::join_all;
use serde_json::Value;

const ALERT: &str = r#"{"aps":{"alert":"hello"}}"#;

pub fn now_secs() -> u32 {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_410_without_a_time_removes_until_the_device_registers_again() {
    let (_folder, stack) = crate::stack().await;
    let form = format!("newToken={}&topic={TOPIC}&alias=cleo", token(6));
    let bodies = [
        "",
        "{}",
        "<html>",
        r#"{"reason":"Unregistered"}"#,
        r#"{"reason":"ExpiredToken","timestamp":0}"#,
        r#"{"reason":"Unregistered","timestamp":4102444800000}"#,
    ];
    for body in bodies {
        launch(&stack, &form).await;
        assert_eq!(reach(&stack, "cleo").await, 1);
        let body = body.as_bytes().to_vec();
        let gone = Action::Body { status: 410, body };
        stack.simulator.add_fault(Fault::new(gone)).unwrap();
        let result = stack.push(&token(6), ALERT).await;
        assert_eq!(
            (&result["status"], &result["removed"]),
            (&410.into(), &true.into())
        );
        assert_eq!(reach(&stack, "cleo").await, 0, "{result}");
    }
    // A time that a float holds is one, and the device was registered after it.
    launch(&stack, &form).await;
    let body = br#"{"reason":"Unregistered","timestamp":1454948015990.0}"#.to_vec();
    let gone = Action::Body { status: 410, body };
    stack.simulator.add_fault(Fault::new(gone)).unwrap();
    let result = stack.push(&token(6), ALERT).await;
    assert_eq!(result["invalid_since"], 1_454_948_015_990_u64);
    assert_eq!(reach(&stack, "cleo").await, 1);
    // What another reason means by this status is not known.
    let unknown = Fault::status(410, "SomethingNew");
    stack.simulator.add_fault(unknown).unwrap();
    stack.push(&token(6), ALERT).await;
    assert_eq!(reach(&stack, "cleo").await, 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feedback_from_the_future_is_counted_and_removes_nothing() {
    let (_folder, stack) = crate::stack().await;
    let form = format!("newToken={}&topic={TOPIC}&alias=dora", token(8));
    launch(&stack, &form).await;
    for ahead in [86_400, 3_600, 330] {
        add_feedback(&stack, 8, now_secs() + ahead);
        let report = poll(&stack).await;
        let counts = ["tuples", "removed", "future"].map(|name| report[name].as_u64());
        assert_eq!(counts, [1, 0, 1].map(Some), "{report}");
        assert!(report["apps"][0].get("error").is_none(), "{report}");
        assert_eq!(reach(&stack, "dora").await, 1);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_poll_of_an_app_runs_at_a_time() {
    let (_folder, stack) = crate::stack().await;
    for n in 0..100 {
        add_feedback(&stack, n, 1);
    }
    let slow = Action::Feedback(FeedbackAction::Dribble { bytes: 8 });
    stack.simulator.add_fault(Fault::new(slow)).unwrap();
    let reports = join_all((0..8).map(|_| poll(&stack))).await;
    let busy = reports
        .iter()
        .filter(|report| report["apps"][0]["busy"] == true);
    assert!(busy.count() > 0, "{reports:?}");
    let tuples: u64 = reports
        .iter()
        .map(|report| report["tuples"].as_u64().unwrap())
        .sum();
    assert_eq!(tuples, 100, "each was read once: {reports:?}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_cut_between_two_tuples_is_not_taken_for_whole() {
    /// Time, length, and a token of 32 bytes.
    const TUPLE_BYTES: u64 = 4 + 2 + 32;
    let (_folder, stack) = crate::stack().await;
    for n in 0..3 {
        add_feedback(&stack, n, 1);
    }
    let after_bytes = 2 * TUPLE_BYTES;
    for cut in [
        FeedbackAction::Cut { after_bytes },
        FeedbackAction::Garbage { after_bytes },
    ] {
        let fault = Fault::new(Action::Feedback(cut.clone()));
        stack.simulator.add_fault(fault).unwrap();
        let report = poll(&stack).await;
        // TLS may pass on nothing of what came together with garbage.
        let is_cut = cut == FeedbackAction::Cut { after_bytes };
        let read = report["tuples"].as_u64();
        assert!(
            read == Some(2) || (read == Some(0) && !is_cut),
            "{cut:?}: {report}"
        );
        let error = report["apps"][0]["error"].as_str();
        let is_told = error.is_some_and(|error| error.contains("may not be whole"));
        assert!(is_told, "{cut:?}: {report}");
    }
    let report = poll(&stack).await;
    assert_eq!(report["tuples"], 3, "the service has it still: {report}");
    assert_eq!(report["apps"][0]["error"], Value::Null, "{report}");
    assert_eq!(poll(&stack).await["tuples"], 0);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_whole_though_the_service_leaves_tcp_to_the_client() {
    let (_folder, stack) = crate::stack().await;
    add_feedback(&stack, 1, 1);
    let linger = Action::Feedback(FeedbackAction::Linger);
    stack.simulator.add_fault(Fault::new(linger)).unwrap();
    let report = poll(&stack).await;
    assert_eq!(report["tuples"], 1, "{report}");
    assert_eq!(report["apps"][0]["error"], Value::Null, "{report}");
    assert_eq!(poll(&stack).await["tuples"], 0, "and the service knows");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_polls_and_says_so() {
    if wants_the_host("a schedule") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        feedback_every: "1s",
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    let registration = format!("newToken={}&topic={TOPIC}&alias=anna", token(3));
    launch(&stack, &registration).await;
    let until = Instant::now() + Duration::from_secs(60);
    let mut told = Instant::now();
    add_feedback(&stack, 3, now_secs() + 60);
    let removed = "dunlin_task_last_report{task=\"feedback\",number=\"removed\"} 1";
    loop {
        let metrics = Client::new(stack.address).call("GET", "/metrics", "").await;
        if metrics.text().lines().any(|line| line == removed) {
            break;
        }
        assert!(Instant::now() < until, "{}", metrics.text());
        // What a poll reads that began before the registration says nothing of it; and the report
        // of a second may be over before it is seen.
        if told.elapsed() > Duration::from_secs(3) {
            told = Instant::now();
            launch(&stack, &registration).await;
            add_feedback(&stack, 3, now_secs() + 60);
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(reach(&stack, "anna").await, 0);
    let ready = Client::new(stack.address).call("GET", "/readyz", "").await;
    assert_eq!(ready.status, 200);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_learned_and_what_no_environment_knows_is_removed() {
    let (_folder, stack) = crate::stack().await;
    launch(
        &stack,
        &format!("newToken={}&topic={TOPIC}&alias=cleo", token(8)),
    )
    .await;
    // Known to none of the two, which are one server here: it is asked in both.
    let bad = Device::new(token(8)).with_state(DeviceState::OtherEnvironment, None);
    stack.simulator.add_device(bad).unwrap();
    let named = format!(
        r#"{{"to":{{"token":"{}"}},"topic":"{TOPIC}","environment":"development",
            "payload":{ALERT}}}"#,
        token(8)
    );
    let reply = stack.call("POST", "/v1/push", &named).await.json();
    assert_eq!(
        reply["results"][0]["removed"],
        Value::Null,
        "asked in one: {reply}"
    );
    let result = stack.push(&token(8), ALERT).await;
    assert_eq!(
        (&result["reason"], &result["removed"]),
        (&"BadDeviceToken".into(), &true.into())
    );
    assert_eq!(
        stack.simulator.journal().len(),
        3,
        "once, and then once in each"
    );
    assert_eq!(
        record(&stack, 8).await["removed"]["reason"],
        "BadDeviceToken"
    );
    stack.simulator.clear_devices();
    launch(&stack, &format!("newToken={}&topic={TOPIC}", token(8))).await;
    assert_eq!(reach(&stack, "cleo").await, 1, "it has come back");
    assert_eq!(record(&stack, 8).await["environment"], "development");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_credential_does_not_empty_the_registry() {
    let (_folder, stack) = crate::stack().await;
    for n in 0..30 {
        launch(
            &stack,
            &format!("newToken={}&topic={TOPIC}&alias=d{n}", token(n)),
        )
        .await;
        let bad = Device::new(token(n)).with_state(DeviceState::OtherEnvironment, None);
        stack.simulator.add_device(bad).unwrap();
    }
    let tokens: Vec<_> = (0..30).map(token).collect();
    let tokens = serde_json::to_string(&tokens).unwrap();
    let body = format!(r#"{{"to":{{"tokens":{tokens}}},"topic":"{TOPIC}","payload":{ALERT}}}"#);
    let reply = stack.call("POST", "/v1/push", &body).await.json();
    assert_eq!(reply["rejected"], 30);
    for n in 0..30 {
        assert_eq!(
            record(&stack, n).await["removed"],
            Value::Null,
            "device {n}"
        );
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_listed_page_by_page() {
    let (_folder, stack) = crate::stack().await;
    for n in 0..25 {
        let tag = if n % 2 == 0 { "even" } else { "odd" };
        let form = format!("newToken={}&topic={TOPIC}&alias=anna&tags={tag}", token(n));
        assert_eq!(launch(&stack, &form).await.0, 201);
    }
    for (query, expected) in [
        (format!("topic={TOPIC}"), 25),
        (format!("topic={TOPIC}&tag=even"), 13),
        ("alias=anna&tag=odd".to_owned(), 12),
    ] {
        let mut seen = BTreeSet::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/devices?{query}&limit=4{cursor}");
            let page = stack.call("GET", &path, "").await.json();
            for device in page["devices"].as_array().unwrap() {
                assert!(seen.insert(device["token"].as_str().unwrap().to_owned()));
            }
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), expected, "{query}");
    }
    let path = format!("/v1/devices/{}?topic={TOPIC}", token(0));
    assert_eq!(stack.call("DELETE", &path, "").await.status, 204);
    assert_eq!(stack.call("DELETE", &path, "").await.status, 204);
    assert_eq!(stack.call("GET", &path, "").await.status, 404);
    let sweep = stack.call("POST", "/v1/tasks/sweep", "").await.json();
    assert_eq!(
        (&sweep["stale"], &sweep["expired"]),
        (&0.into(), &0.into()),
        "{sweep}"
    );
    stack.stop().await;
}
