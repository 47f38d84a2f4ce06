//! Many refusals of one topic at once are a wrong credential, and no device is removed for them.

use serde_json::Value;

use super::support::{APP, Answer, Desk, bad_device_token, gone, token};

fn push(desk: &Desk, devices: core::ops::Range<usize>) -> Value {
    let tokens: Vec<_> = devices
        .map(|n| format!("{:?}", token(n).to_hex()))
        .collect();
    let tokens = tokens.join(",");
    let body = format!(
        r#"{{"to":{{"tokens":[{tokens}]}},"topic":"{APP}","payload":{{"aps":{{"alert":"x"}}}}}}"#
    );
    let (status, reply) = desk.call("POST /v1/push", &body);
    assert_eq!(status, 200, "{reply}");
    reply
}

fn removed(reply: &Value) -> usize {
    let results = reply["results"].as_array().unwrap().iter();
    results.filter(|one| one.get("removed").is_some()).count()
}

/// With devices that no environment knows.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.register("anna", 0..40);
    desk.pass(1);
    desk.sender.script(|_| Answer::AtOnce(bad_device_token()));
    desk
}

#[test]
fn one_refusal_too_many_takes_back_the_removals_of_the_same_push_in_its_results_too() {
    let desk = desk();
    let reply = push(&desk, 0..11);
    assert_eq!((reply["rejected"].as_u64(), removed(&reply)), (Some(11), 0));
    assert!((0..11).all(|n| desk.is_alive(n)));
    let lines = desk.platform.take_lines();
    assert!(
        lines.iter().any(|line| line.contains("guard-tripped")),
        "{lines:?}"
    );
    let counts = desk.platform.take_counts();
    assert!(counts.contains("guard-tripped=1"), "{counts}");
}

#[test]
fn removals_of_an_earlier_push_are_taken_back_and_its_reply_stands() {
    let desk = desk();
    let first = push(&desk, 0..10);
    assert_eq!(removed(&first), 10);
    assert!((0..10).all(|n| !desk.is_alive(n)));
    let second = push(&desk, 10..12);
    assert_eq!(removed(&second), 0);
    assert!((0..12).all(|n| desk.is_alive(n)));
}

#[test]
fn ten_refusals_in_ten_minutes_are_believed() {
    let desk = desk();
    assert_eq!(removed(&push(&desk, 0..10)), 10);
    desk.pass(660);
    assert_eq!(removed(&push(&desk, 10..20)), 10);
    assert!((0..20).all(|n| !desk.is_alive(n)));
}

#[test]
fn refusals_are_believed_again_ten_minutes_after_they_have_stopped() {
    let desk = desk();
    push(&desk, 0..20);
    assert_eq!(removed(&push(&desk, 20..21)), 0);
    desk.pass(660);
    let later = push(&desk, 20..21);
    assert_eq!(removed(&later), 1);
    assert!(!desk.is_alive(20) && desk.is_alive(0));
}

#[test]
fn an_invalidation_that_apns_gives_a_time_for_is_believed_while_the_guard_holds() {
    let desk = desk();
    push(&desk, 0..20);
    desk.pass(1);
    desk.sender.script(|_| Answer::AtOnce(gone()));
    assert_eq!(removed(&push(&desk, 20..40)), 20);
    assert!((20..40).all(|n| !desk.is_alive(n)));
}

#[test]
fn a_device_that_is_not_registered_does_not_trip_the_guard() {
    let desk = desk();
    push(&desk, 100..150);
    assert_eq!(removed(&push(&desk, 0..1)), 1);
    assert!(desk.platform.take_lines().is_empty());
}
