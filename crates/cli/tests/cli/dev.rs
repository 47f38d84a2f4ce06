//! What `dunlin dev` is for the other commands, for its simulator's page, and for nobody.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use dunlin_test_support::running::{PATIENCE, Running};

use crate::{DUNLIN, Dev};

#[test]
fn it_is_up_when_it_answers_and_the_other_commands_find_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("dev");
    let dev = Dev::start(&at);
    // At once: whoever pastes a command does not wait.
    let (status, body) = dev.ask(&dev.http(), "GET", "/readyz", "");
    assert_eq!(status, 200, "{body}");
    let config = at.join("config/dunlin.toml");
    let run = |words: &[&str]| {
        let mut command = Command::new(DUNLIN);
        let command = command.args(words).env("DUNLIN_CONFIG", &config);
        let command = command.env("DUNLIN_API_KEY", dev.said_of("API key"));
        let output = command.env_remove("DUNLIN_URL").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{words:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let expected = format!("dunlin at http://{} is up\n", dev.http());
    assert!(run(&["status"]).starts_with(&expected));
    let push = [
        "push",
        "--token",
        "c3d4",
        "--topic",
        "com.example.app",
        "--alert",
        "x",
    ];
    assert!(run(&push).starts_with("accepted"));
    let (_, seen) = dev.ask(&dev.page(), "GET", "/notifications", "");
    assert!(seen.contains("\"token\":\"c3d4\""), "{seen}");
    run(&["devices", "--topic", "com.example.app"]);
    run(&["sweep"]);
    run(&["feedback", "--once"]);
}

#[test]
fn a_token_that_is_refused_is_seen_to_be_and_not_taken_by_the_other_environment() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("dev"));
    let refused = |result: &serde_json::Value| {
        let (outcome, reason) = (&result["outcome"], &result["reason"]);
        outcome == "rejected" && reason == "BadDeviceToken"
    };
    for token in ["a1a1", "b2b2"] {
        // What the menu of the page says.
        let fault = r#"{"fault":"status","status":400,"reason":"BadDeviceToken"}"#;
        assert_eq!(dev.ask(&dev.page(), "POST", "/faults", fault).0, 204);
        let result = dev.push(token, "");
        assert!(refused(&result), "{token}: {result}");
        assert_eq!(dev.push(token, "")["outcome"], "accepted");
    }
    // A token of production is found there, and is none of development.
    let accepted = dev.push("c3c3", r#""environment":"production","#);
    assert_eq!(accepted["outcome"], "accepted", "{accepted}");
    assert_eq!(dev.push("c3c3", "")["outcome"], "accepted");
    let result = dev.push("c3c3", r#""environment":"development","#);
    assert!(refused(&result), "{result}");
}

#[test]
fn the_simulator_can_know_its_devices_and_apps() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--strict-devices", "--topic", "com.example.app"];
    let dev = Dev::start_with(&folder.path().join("dev"), &options);
    assert!(
        dev.greeting.contains("/devices -d '{\"token\":\"a1a1"),
        "{}",
        dev.greeting
    );
    assert_eq!(dev.push("a1a1", "")["reason"], "BadDeviceToken");
    let device = r#"{"token":"a1a1"}"#;
    assert_eq!(dev.ask(&dev.page(), "POST", "/devices", device).0, 204);
    assert_eq!(dev.push("a1a1", "")["outcome"], "accepted");
    let body =
        r#"{"to":{"token":"a1a1"},"topic":"com.example.other","payload":{"aps":{"badge":1}}}"#;
    let (_, reply) = dev.ask(&dev.http(), "POST", "/v1/push", body);
    assert!(reply.contains("TopicDisallowed"), "{reply}");
}

/// A pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn services_go_on_when_nobody_reads_what_they_write() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("dev");
    let mut child = Command::new(DUNLIN);
    let child = child.args([
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--simulator",
        "127.0.0.1:0",
    ]);
    let child = child.arg("--folder").arg(&at).env("DUNLIN_LOG", "debug");
    let child = child.stdout(unread()).stderr(unread()).spawn().unwrap();
    let mut dev = Dev {
        running: Running::of(child),
        greeting: String::new(),
    };
    let config = at.join("config/dunlin.toml");
    let until = Instant::now() + PATIENCE;
    let run = |words: &[&str]| {
        let key = std::fs::read_to_string(at.join("api-key")).unwrap_or_default();
        let mut command = Command::new(DUNLIN);
        let command = command.args(words).env("DUNLIN_CONFIG", &config);
        let output = command.env("DUNLIN_API_KEY", key.trim()).output().unwrap();
        output.status.code()
    };
    while run(&["status"]) != Some(0) {
        assert!(
            dev.running.child.try_wait().unwrap().is_none(),
            "it has ended"
        );
        assert!(Instant::now() < until, "it does not come up");
        std::thread::yield_now();
    }
    let push = [
        "push",
        "--token",
        "c3d4",
        "--topic",
        "com.example.app",
        "--alert",
        "x",
    ];
    assert_eq!(run(&push), Some(0));
    dev.signal("-INT");
    assert!(dev.running.ended().success());

    let mut child = Command::new(DUNLIN);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let control = free.local_addr().unwrap().to_string();
    drop(free);
    for service in ["provider", "channels", "gateway", "feedback"] {
        child.arg(format!("--{service}=127.0.0.1:0"));
    }
    let child = Command::new(DUNLIN)
        .arg("simulate")
        .args(child.get_args())
        .args(["--control", &control, "--folder"])
        .arg(&at)
        .stdout(unread())
        .stderr(unread())
        .spawn()
        .unwrap();
    let mut simulator = Dev {
        running: Running::of(child),
        greeting: String::new(),
    };
    while TcpStream::connect(&control).is_err() {
        assert!(
            simulator.running.child.try_wait().unwrap().is_none(),
            "it has ended"
        );
        assert!(Instant::now() < until, "it does not come up");
        std::thread::yield_now();
    }
    simulator.signal("-INT");
    assert!(simulator.running.ended().success());
}
