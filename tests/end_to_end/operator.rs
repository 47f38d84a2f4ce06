//! What the operator is told: `/metrics` and the alarms in it, from the answers of a simulator.

use std::time::Duration;

use dunlin_simulator::{Action, Fault};
use dunlin_tests::client::Client;
use dunlin_tests::stack::{
    API_KEY, Options, Stack, push_body, token, wants_sockets, wants_the_host,
};

const ALERT: &str = r#"{"aps":{"alert":"hello"}}"#;

pub async fn metrics(stack: &Stack) -> String {
    let reply = stack.call("GET", "/metrics", "").await;
    assert_eq!(reply.status, 200);
    reply.text()
}

fn has(metrics: &str, line: &str) {
    assert!(
        metrics.lines().any(|own| own == line),
        "{line} in\n{metrics}"
    );
}

/// The alarms that stand, each `alarm: subject`.
pub fn alarms(metrics: &str) -> Vec<String> {
    let prefix = "dunlin_alarm_lasts_seconds{alarm=\"";
    let lines = metrics.lines().filter_map(|it| it.strip_prefix(prefix));
    let alarm = |line: &str| {
        let (labels, _) = line.rsplit_once("\"} ")?;
        Some(labels.replace("\",subject=\"", ": "))
    };
    lines.filter_map(alarm).collect()
}

/// The next request is answered so.
fn answer(stack: &Stack, status: u16, reason: &str) {
    let fault = Fault::status(status, reason);
    stack.simulator.add_fault(fault).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_an_alarm_until_it_is_taken_again() {
    if wants_the_host("metrics") {
        return;
    }
    let (_folder, stack) = crate::stack().await;
    assert_eq!(stack.push(&token(1), ALERT).await["outcome"], "accepted");
    assert_eq!(alarms(&metrics(&stack).await), [""; 0]);
    for reason in ["InvalidProviderToken", "BadEnvironmentKeyIdInToken"] {
        answer(&stack, 403, reason);
        let result = stack.push(&token(1), ALERT).await;
        assert_eq!(result["reason"], reason, "{result}");
        let text = metrics(&stack).await;
        let subject = "key TESTKEY001 of team TESTTEAM01, development";
        assert_eq!(
            alarms(&text),
            [format!("credential-refused: {subject}: {reason}")]
        );
        has(
            &text,
            &format!("dunlin_credential_refusals_total{{reason=\"{reason}\"}} 1"),
        );
        let line = format!("dunlin_pushes_total{{outcome=\"rejected\",reason=\"{reason}\"}} 1");
        has(&text, &line);
        assert_eq!(stack.push(&token(1), ALERT).await["outcome"], "accepted");
        assert_eq!(alarms(&metrics(&stack).await), [""; 0], "it is over");
    }
    has(
        &metrics(&stack).await,
        "dunlin_pushes_total{outcome=\"accepted\",reason=\"\"} 3",
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_counted_once_each_in_whichever_instance() {
    if wants_the_host("metrics") {
        return;
    }
    let (_folder, stack) = crate::stack().await;
    let pushes = (0..60).map(|n| {
        let (stack, token) = (&stack, token(n + 1));
        async move { stack.push(&token, ALERT).await }
    });
    let results = futures_util::future::join_all(pushes).await;
    assert!(results.iter().all(|it| it["outcome"] == "accepted"));
    has(
        &metrics(&stack).await,
        "dunlin_pushes_total{outcome=\"accepted\",reason=\"\"} 60",
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_function_counts_reaches_no_client() {
    let (_folder, stack) = crate::stack().await;
    let body = push_body(&token(1), ALERT);
    for body in [body.as_str(), "{"] {
        let reply = Client::new(stack.address)
            .key(API_KEY)
            .header("dunlin-count", "push.accepted=1000")
            .call("POST", "/v1/push", body)
            .await;
        let names = reply.headers.keys().map(|name| name.as_str());
        let aside: Vec<_> = names.filter(|name| name.starts_with("dunlin-")).collect();
        assert_eq!(aside, [""; 0]);
    }
    if dunlin_tests::stack::on_the_host() {
        has(
            &metrics(&stack).await,
            "dunlin_pushes_total{outcome=\"accepted\",reason=\"\"} 1",
        );
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_fail_are_an_alarm_until_something_is_answered() {
    if wants_the_host("metrics") || wants_sockets("what the platform's client does is its own") {
        return;
    }
    let (_folder, stack) = crate::stack().await;
    let refuse = Fault::new(Action::RefuseConnections).times(3);
    stack.simulator.add_fault(refuse).unwrap();
    assert_eq!(stack.push(&token(1), ALERT).await["outcome"], "accepted");
    let text = metrics(&stack).await;
    has(&text, "dunlin_connects_failed_total 3");
    assert_eq!(alarms(&text), [""; 0], "it is over");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_trouble_opens_the_breaker_and_closes_it_again() {
    if wants_the_host("metrics") {
        return;
    }
    let (_folder, stack) = crate::stack().await;
    // One instance has all of them: the pushes of one request.
    for _ in 0..5 {
        answer(&stack, 500, "InternalServerError");
    }
    let tokens: Vec<String> = (1..=5).map(|n| format!("\"{}\"", token(n))).collect();
    let to = tokens.join(",");
    let topic = dunlin_tests::stack::TOPIC;
    let body = format!(r#"{{"to":{{"tokens":[{to}]}},"topic":"{topic}","payload":{ALERT}}}"#);
    let reply = stack.call("POST", "/v1/push", &body).await.json();
    assert_eq!(reply["rejected"], 5, "{reply}");
    let text = metrics(&stack).await;
    has(&text, "dunlin_breaker_opens_total 1");
    let lane = "key TESTKEY001 of team TESTTEAM01, development to localhost:";
    let standing = alarms(&text);
    assert!(
        standing[0].starts_with(&format!("breaker-open: {lane}")),
        "{standing:?}"
    );
    // The next one is the probe.
    assert_eq!(stack.push(&token(1), ALERT).await["outcome"], "accepted");
    assert_eq!(alarms(&metrics(&stack).await), [""; 0], "it is over");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_queues_of_the_host_are_an_alarm_until_they_have_room() {
    if wants_the_host("metrics") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        // Two instances with two places each.
        extra: "concurrency = 1\nqueue = 1".to_owned(),
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    stack
        .simulator
        .add_fault(Fault::new(Action::Silence).times(4))
        .unwrap();
    let pushes = (0..20).map(|n| {
        let (stack, body) = (&stack, push_body(&token(n + 1), ALERT));
        async move { stack.call("POST", "/v1/push", &body).await.status }
    });
    let stands = async {
        let alarm = "requests-refused: queues of all instances";
        while !alarms(&metrics(&stack).await).iter().any(|it| it == alarm) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let stands = tokio::time::timeout(Duration::from_secs(60), stands);
    let pushes = futures_util::future::join_all(pushes);
    let (statuses, stood) = futures_util::future::join(pushes, stands).await;
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(stood.is_ok(), "the alarm never stood");
    // It is over when a request finds a queue that is half empty.
    assert_eq!(stack.push(&token(1), ALERT).await["outcome"], "accepted");
    assert_eq!(alarms(&metrics(&stack).await), [""; 0]);
    stack.stop().await;
}
