//! What becomes of a push: which environment is tried when, what is reported, and what is learned.

use std::time::Duration;

use serde_json::Value;

use super::support::{
    APP, Answer, Desk, OTHER, Sent, accepted, bad_device_token, gone, refused_credential,
    registration, token,
};
use crate::environment::Environment;
use crate::notification::DeviceToken;
use crate::provider::{Outcome, Why};

/// Accepts in one environment, and knows no token in the other.
fn only_in(environment: &'static str) -> impl FnMut(&Sent) -> Answer {
    move |sent| {
        Answer::AtOnce(match sent.environment == environment {
            true => accepted(),
            false => bad_device_token(),
        })
    }
}

fn to(recipients: &str) -> String {
    format!(r#"{{"to":{recipients},"payload":{{"aps":{{"alert":"x"}}}}}}"#)
}

fn to_tokens(range: core::ops::Range<usize>, more: &str) -> String {
    let tokens: Vec<_> = range.map(|n| format!("{:?}", token(n).to_hex())).collect();
    let tokens = tokens.join(",");
    format!(
        r#"{{"to":{{"tokens":[{tokens}]}},"topic":"{APP}",
            "payload":{{"aps":{{"alert":"x"}}}}{more}}}"#
    )
}

fn push(desk: &Desk, body: &str) -> (u16, Value) {
    desk.call("POST /v1/push", body)
}

/// Of each result.
fn outcomes(reply: &Value) -> Vec<&str> {
    let results = reply["results"].as_array().unwrap();
    let outcomes = results.iter().map(|result| &result["outcome"]);
    outcomes.map(|outcome| outcome.as_str().unwrap()).collect()
}

fn environments(sent: &[Sent]) -> Vec<&'static str> {
    sent.iter().map(|sent| sent.environment).collect()
}

#[test]
fn a_token_that_one_environment_does_not_know_is_tried_once_in_the_other() {
    let desk = Desk::new();
    desk.register("anna", 1..2);
    desk.sender.script(only_in("development"));
    let (status, reply) = push(&desk, &to(r#"{"alias":"anna"}"#));
    assert_eq!((status, outcomes(&reply)), (200, vec!["accepted"]));
    let sent = desk.sender.take_sent();
    assert_eq!(environments(&sent), ["production", "development"]);
    let id = |sent: &Sent| sent.message.notification().unwrap().id().unwrap();
    assert_eq!(
        id(&sent[0]),
        id(&sent[1]),
        "one notification, known by one identifier"
    );
    assert_eq!(sent[0].deadline, sent[1].deadline);
    assert_eq!(desk.environment(1), Some(Environment::Development));

    // The next goes there at once.
    push(&desk, &to(r#"{"alias":"anna"}"#));
    assert_eq!(environments(&desk.sender.take_sent()), ["development"]);
}

#[test]
fn a_token_that_no_environment_knows_is_tried_in_each_once_and_its_device_is_removed() {
    let desk = Desk::new();
    desk.register("anna", 1..2);
    desk.pass(1);
    desk.sender.script(only_in("nowhere"));
    let (_, reply) = push(&desk, &to(r#"{"alias":"anna"}"#));
    assert_eq!(outcomes(&reply), ["rejected"]);
    assert_eq!(reply["results"][0]["removed"], true);
    assert_eq!(desk.sender.take_sent().len(), 2);
    assert!(!desk.is_alive(1));
}

#[test]
fn an_environment_that_the_caller_names_is_the_only_one_and_proves_nothing_of_the_other() {
    let desk = Desk::new();
    desk.register("anna", 1..2);
    desk.pass(1);
    desk.sender.script(only_in("development"));
    let body = to_tokens(1..2, r#","environment":"production""#);
    let (_, reply) = push(&desk, &body);
    assert_eq!(outcomes(&reply), ["rejected"]);
    assert_eq!(environments(&desk.sender.take_sent()), ["production"]);
    assert!(desk.is_alive(1) && desk.environment(1).is_none());
}

#[test]
fn a_credential_of_one_environment_tries_the_other_with_nothing_and_removes_the_device() {
    let config = super::support::settings("")
        .replace("\"shop\"\n", "\"shop\"\nenvironments = [\"production\"]\n");
    let desk = Desk::with(&config);
    desk.register("anna", 1..2);
    desk.pass(1);
    desk.sender.script(only_in("development"));
    let (_, reply) = push(&desk, &to(r#"{"alias":"anna"}"#));
    assert_eq!(reply["results"][0]["removed"], true);
    assert_eq!(environments(&desk.sender.take_sent()), ["production"]);
}

#[test]
fn what_the_other_environment_says_of_the_credential_leaves_outcome_and_device() {
    for elsewhere in [refused_credential(), Outcome::unanswered(Why::NotSent)] {
        let desk = Desk::new();
        desk.register("anna", 1..2);
        desk.pass(1);
        desk.sender.script(move |sent| {
            Answer::AtOnce(match sent.environment {
                "production" => bad_device_token(),
                _ => elsewhere.clone(),
            })
        });
        let (_, reply) = push(&desk, &to(r#"{"alias":"anna"}"#));
        assert_eq!(reply["results"][0]["reason"], "BadDeviceToken");
        assert_eq!(desk.sender.take_sent().len(), 2);
        assert!(desk.is_alive(1));
    }
}

#[test]
fn only_those_that_were_not_known_are_tried_elsewhere_and_all_have_the_same_deadline() {
    let desk = Desk::new();
    let odd = |token: &DeviceToken| (0..9).any(|n| *token == super::support::token(2 * n + 1));
    desk.sender.script(move |sent| {
        let is_of_production = sent.environment == "production";
        let outcome = match is_of_production == odd(&sent.token()) {
            true => accepted(),
            false => bad_device_token(),
        };
        Answer::After(Duration::from_secs(1), outcome)
    });
    let (_, reply) = push(&desk, &to_tokens(0..8, ""));
    assert_eq!(outcomes(&reply), ["accepted"; 8]);
    let sent = desk.sender.take_sent();
    let development = sent.iter().filter(|sent| sent.environment == "development");
    let tried: Vec<_> = development.map(Sent::token).collect();
    assert_eq!(tried, [0, 2, 4, 6].map(token));
    assert!(sent.iter().all(|one| one.deadline == sent[0].deadline));
    // Handed in together, once for each environment.
    assert_eq!(desk.sender.take_batches(), [8, 4]);
}

#[test]
fn a_410_removes_a_device_that_was_not_registered_since_and_an_unknown_token_removes_nothing() {
    let desk = Desk::new();
    desk.register("anna", 1..2);
    desk.pass(60);
    desk.sender.script(|_| Answer::AtOnce(gone()));
    let (_, reply) = push(&desk, &to_tokens(1..3, ""));
    assert_eq!(outcomes(&reply), ["rejected"; 2]);
    assert_eq!(reply["results"][0]["removed"], true);
    assert!(reply["results"][1].get("removed").is_none());
    assert!(!desk.is_alive(1) && desk.record(2).is_none());
    assert_eq!(environments(&desk.sender.take_sent()), ["production"; 2]);
}

#[test]
fn results_are_in_the_order_of_the_request_however_their_outcomes_come() {
    let desk = Desk::new();
    let mut secs = 9;
    desk.sender.script(move |_| {
        secs -= 1;
        Answer::After(Duration::from_secs(secs), accepted())
    });
    let (_, reply) = push(&desk, &to_tokens(1..6, ""));
    let tokens: Vec<_> = (1..6).map(|n| token(n).to_hex()).collect();
    let results = reply["results"].as_array().unwrap();
    let named: Vec<_> = results
        .iter()
        .map(|one| one["token"].as_str().unwrap())
        .collect();
    assert_eq!(named, tokens);
}

#[test]
fn what_is_never_answered_ends_at_its_deadline() {
    let desk = Desk::new();
    desk.sender.script(|_| Answer::Never);
    let began = desk.platform.executor().now();
    let (_, reply) = push(&desk, &to_tokens(1..2, ""));
    assert_eq!(outcomes(&reply), ["unanswered"]);
    let took = desk.platform.executor().now().since(began);
    assert_eq!(took, desk.app.settings().delivery().timeout);
}

#[test]
fn a_push_that_finds_no_room_at_all_is_refused_and_one_that_finds_some_reports_the_rest() {
    let desk = Desk::new();
    desk.sender.set_room(0);
    let (status, problem) = push(&desk, &to_tokens(1..4, ""));
    assert_eq!(
        (status, &problem["type"]),
        (503, &"urn:dunlin:overloaded".into())
    );
    assert!(desk.sender.take_sent().is_empty());

    desk.sender.set_room(2);
    let (status, reply) = push(&desk, &to_tokens(1..4, ""));
    assert_eq!(status, 200);
    assert_eq!(outcomes(&reply), ["accepted", "accepted", "unanswered"]);
    assert_eq!(reply["results"][2]["may_resend"], true);
}

#[test]
fn without_room_in_the_other_environment_the_first_outcome_stays_and_nothing_is_removed() {
    let desk = Desk::new();
    desk.register("anna", 1..2);
    desk.pass(1);
    desk.sender.script(only_in("development"));
    desk.sender.set_room(1);
    let (_, reply) = push(&desk, &to(r#"{"alias":"anna"}"#));
    assert_eq!(outcomes(&reply), ["rejected"]);
    assert!(desk.is_alive(1));
}

#[test]
fn aliases_without_a_device_are_named_beside_what_was_sent() {
    let desk = Desk::new();
    desk.register("anna", 1..3);
    let (status, reply) = push(&desk, &to(r#"{"aliases":["zoe","anna","ben"]}"#));
    assert_eq!(status, 200);
    assert_eq!(reply["unmatched"], serde_json::json!(["zoe", "ben"]));
    assert_eq!(reply["accepted"], 2);
    let (status, problem) = push(&desk, &to(r#"{"alias":"zoe"}"#));
    assert_eq!(
        (status, &problem["type"]),
        (404, &"urn:dunlin:unknown-alias".into())
    );
}

/// Of each result: the place of its entry, its outcome, and why it was skipped.
fn entries(reply: &Value) -> Vec<(u64, &str, &str)> {
    let results = reply["results"].as_array().unwrap().iter();
    results
        .map(|result| {
            let index = result["index"].as_u64().unwrap();
            let outcome = result["outcome"].as_str().unwrap();
            (index, outcome, result["rule"].as_str().unwrap_or_default())
        })
        .collect()
}

#[test]
fn every_entry_has_its_results_in_the_order_of_the_request() {
    let desk = Desk::new();
    desk.register("anna", 1..3);
    desk.register("ben", 3..4);
    let body = to(r#"{"aliases":["zoe","anna","","ben","anna","zoe",7]}"#);
    let (status, problem) = push(&desk, &body);
    assert_eq!((status, &problem["field"]), (400, &"to.aliases[2]".into()));
    assert_eq!(problem["errors"][1]["field"], "to.aliases[6]");
    assert!(desk.sender.take_sent().is_empty());

    let body = body.replacen('{', r#"{"on_invalid":"skip","#, 1);
    let (status, reply) = push(&desk, &body);
    assert_eq!(status, 200);
    let expected = [
        (0, "skipped", "unknown-alias"),
        (1, "accepted", ""),
        (1, "accepted", ""),
        (2, "skipped", "alias-empty"),
        (3, "accepted", ""),
        (4, "skipped", "duplicate"),
        (5, "skipped", "duplicate"),
        (6, "skipped", "wrong-type"),
    ];
    assert_eq!(entries(&reply), expected);
    assert_eq!(
        (&reply["accepted"], &reply["skipped"]),
        (&3.into(), &5.into())
    );
    assert_eq!(reply["unmatched"], serde_json::json!(["zoe"]));
    let results = &reply["results"];
    assert_eq!(
        (&results[0]["alias"], &results[5]["of"]),
        (&"zoe".into(), &1.into())
    );
    assert!(
        results[5].get("token").is_none(),
        "it is no push to a device"
    );
    assert_eq!(desk.sender.take_sent().len(), 3);

    let dry = body.replacen('{', r#"{"dry_run":true,"#, 1);
    let (_, reply) = push(&desk, &dry);
    let would_be = expected.map(|(index, outcome, rule)| match outcome {
        "accepted" => (index, "valid", rule),
        _ => (index, outcome, rule),
    });
    assert_eq!(entries(&reply), would_be);
    assert_eq!(
        (&reply["accepted"], &reply["skipped"]),
        (&0.into(), &5.into())
    );
    assert!(desk.sender.take_sent().is_empty());
}

#[test]
fn of_tokens_that_are_named_twice_each_is_sent_once_and_the_other_says_so() {
    let desk = Desk::new();
    let [one, two] = [1, 2].map(|n| token(n).to_hex());
    let list = format!(r#"{{"tokens":["{one}","{two}","{one}"]}}"#);
    let body = to(&list).replacen('{', &format!(r#"{{"topic":"{APP}","#), 1);
    let (status, reply) = push(&desk, &body);
    assert_eq!((status, &reply["accepted"]), (200, &2.into()));
    let expected = [
        (0, "accepted", ""),
        (1, "accepted", ""),
        (2, "skipped", "duplicate"),
    ];
    assert_eq!(entries(&reply), expected);
    assert_eq!(reply["results"][2]["of"], 0);
    assert_eq!(desk.sender.take_sent().len(), 2);
}

#[test]
fn a_list_of_which_nothing_is_left_is_answered_entry_by_entry_where_it_may_be_skipped() {
    let desk = Desk::new();
    let skip = |recipients: &str| {
        let body = to(recipients);
        body.replacen(
            '{',
            &format!(r#"{{"on_invalid":"skip","topic":"{APP}","#),
            1,
        )
    };
    for (recipients, rules) in [
        (r#"{"tokens":["x","y"]}"#, ["token-not-hex"; 2]),
        (
            r#"{"aliases":["","zoe"]}"#,
            ["alias-empty", "unknown-alias"],
        ),
    ] {
        let (status, reply) = push(&desk, &skip(recipients));
        assert_eq!(status, 200, "{recipients}: {reply}");
        let told: Vec<_> = entries(&reply)
            .into_iter()
            .map(|(_, _, rule)| rule)
            .collect();
        assert_eq!(told, rules);
        assert_eq!(reply["skipped"], 2);
    }
    let (status, problem) = push(&desk, &skip(r#"{"alias":"zoe"}"#));
    assert_eq!(
        (status, &problem["type"]),
        (404, &"urn:dunlin:unknown-alias".into())
    );
    assert!(desk.sender.take_sent().is_empty());
}

/// Registers devices of an app with a tag, half of them for an alias.
fn register_tagged(desk: &Desk, app: &str, tag: &str, devices: core::ops::Range<usize>) {
    for n in devices {
        let tagged = crate::registry::Registration {
            tags: Some(vec![crate::registry::Tag::parse(tag).unwrap()]),
            alias: (n % 2 == 0).then(|| crate::registry::Alias::parse("anna").unwrap()),
            ..registration(n, app, "anna")
        };
        let now = crate::time::UnixTime::from_secs(1);
        let registered = crate::registry::register(&desk.store, &tagged, now);
        desk.run(registered).unwrap();
    }
}

fn to_app(recipients: &str, more: &str) -> String {
    to(recipients).replacen('{', &format!(r#"{{"topic":"{APP}"{more},"#), 1)
}

#[test]
fn devices_of_an_app_are_pushed_to_by_tag_and_all_together() {
    let desk = Desk::new();
    register_tagged(&desk, APP, "news", 0..4);
    register_tagged(&desk, APP, "sport", 4..6);
    register_tagged(&desk, OTHER, "news", 0..9);
    let pushed = |recipients: &str| {
        let (status, reply) = push(&desk, &to_app(recipients, ""));
        assert_eq!(status, 200, "{recipients}: {reply}");
        let results = reply["results"].as_array().unwrap().iter();
        assert!(results.clone().all(|result| result["index"] == 0));
        let mut sent: Vec<_> = desk.sender.take_sent().iter().map(Sent::token).collect();
        sent.sort();
        assert_eq!(reply["accepted"], sent.len());
        assert_eq!(reply["unmatched"], serde_json::json!([]));
        sent
    };
    let tokens = |devices: core::ops::Range<usize>| devices.map(token).collect::<Vec<_>>();
    assert_eq!(pushed(r#"{"tag":"news"}"#), tokens(0..4));
    assert_eq!(
        pushed(r#"{"tags":{"any":["news","sport","none"]}}"#),
        tokens(0..6)
    );
    assert_eq!(pushed(r#"{"tags":{"none":["news"]}}"#), tokens(4..6));
    assert_eq!(pushed(r#"{"all":true}"#), tokens(0..6));

    // What was learned of them is kept, and who is dead is gone.
    desk.sender.script(only_in("development"));
    push(&desk, &to_app(r#"{"tag":"sport"}"#, ""));
    assert_eq!(desk.environment(5), Some(Environment::Development));
    desk.sender.script(|_| Answer::AtOnce(gone()));
    let (_, reply) = push(&desk, &to_app(r#"{"tag":"sport"}"#, ""));
    assert_eq!(reply["results"][0]["removed"], true);
    let (status, problem) = push(&desk, &to_app(r#"{"tag":"sport"}"#, ""));
    assert_eq!(
        (status, &problem["type"]),
        (404, &"urn:dunlin:no-devices".into())
    );
    let skip = to_app(r#"{"tag":"sport"}"#, r#","on_invalid":"skip""#);
    assert_eq!(push(&desk, &skip).0, 404);
}

#[test]
fn what_holds_of_pushes_to_aliases_holds_of_those_to_tags() {
    let desk = Desk::new();
    register_tagged(&desk, APP, "news", 0..4);
    let (status, reply) = push(&desk, &to_app(r#"{"tag":"news"}"#, r#","dry_run":true"#));
    assert_eq!((status, outcomes(&reply)), (200, vec!["valid"; 4]));
    assert!(desk.sender.take_sent().is_empty());

    let keyed = to_app(r#"{"tag":"news"}"#, r#","idempotency_key":"k""#);
    let (_, first) = push(&desk, &keyed);
    register_tagged(&desk, APP, "news", 4..6);
    assert_eq!(push(&desk, &keyed), (200, first));
    assert_eq!(desk.sender.take_sent().len(), 4);

    let bound = super::support::settings("").replace(
        "\"admin\"]\n",
        &format!("\"admin\"]\ntopics = [\"{OTHER}\"]\n"),
    );
    let desk = Desk::with(&bound);
    register_tagged(&desk, APP, "news", 0..1);
    for recipients in [r#"{"tag":"news"}"#, r#"{"all":true}"#] {
        let (status, problem) = push(&desk, &to_app(recipients, ""));
        assert_eq!(
            (status, &problem["type"]),
            (403, &"urn:dunlin:topic-not-allowed".into())
        );
        assert_eq!(push(&desk, &to(recipients)).0, 400, "a topic is needed");
    }
    assert!(desk.sender.take_sent().is_empty());
}

#[test]
fn devices_of_two_apps_go_by_the_lane_of_each() {
    let desk = Desk::new();
    desk.register("anna", 1..2);
    let now = crate::time::UnixTime::from_secs(1);
    let other = registration(2, OTHER, "anna");
    let registered = crate::registry::register(&desk.store, &other, now);
    desk.run(registered).unwrap();
    let (_, reply) = push(&desk, &to(r#"{"alias":"anna"}"#));
    assert_eq!(reply["accepted"], 2);
    let mut credentials: Vec<_> = desk.sender.take_sent().into_iter().collect();
    credentials.sort_by_key(|sent| sent.token().to_hex());
    let credentials: Vec<_> = credentials.iter().map(|sent| &*sent.credential).collect();
    assert_eq!(credentials, ["identity shop", "identity other"]);
}

#[test]
fn a_push_is_refused_whole_where_one_of_its_devices_has_no_credential() {
    let desk = Desk::new();
    desk.register("anna", 1..2);
    let now = crate::time::UnixTime::from_secs(1);
    let foreign = registration(2, "com.unknown.app", "anna");
    let registered = crate::registry::register(&desk.store, &foreign, now);
    desk.run(registered).unwrap();
    let (status, problem) = push(&desk, &to(r#"{"alias":"anna"}"#));
    assert_eq!(
        (status, &problem["type"]),
        (422, &"urn:dunlin:no-credential".into())
    );
    assert!(desk.sender.take_sent().is_empty());
}

#[test]
fn a_dry_run_checks_everything_and_sends_nothing() {
    let desk = Desk::new();
    let (status, reply) = push(&desk, &to_tokens(1..3, r#","dry_run":true"#));
    assert_eq!(
        (status, reply["results"].as_array().unwrap().len()),
        (200, 2)
    );
    assert!(desk.sender.take_sent().is_empty());
    assert_eq!(desk.platform.take_counts(), "");
    let body = to_tokens(1..3, r#","dry_run":true"#).replace(APP, "com.unknown.app");
    assert_eq!(push(&desk, &body).0, 422);
}

#[test]
fn others_have_their_turn_while_a_thousand_are_sent_and_they_are_handed_in_many_at_once() {
    let desk = Desk::new();
    let before = desk.platform.turns();
    let (_, reply) = push(&desk, &to_tokens(0..1_000, ""));
    assert_eq!(reply["accepted"], 1_000);
    assert!(
        desk.platform.turns() - before >= 12,
        "{}",
        desk.platform.turns()
    );
    assert_eq!(desk.sender.take_batches(), [256, 256, 256, 232]);
    let counts = desk.platform.take_counts();
    assert!(counts.contains("push.accepted=1000"), "{counts}");
}

#[test]
fn what_apns_said_is_reported_also_if_the_store_does_not_take_it() {
    let desk = Desk::new();
    desk.register("anna", 1..3);
    desk.store
        .refuse(|(what, _)| (what == "swap").then_some("the disk is full"));
    desk.sender.script(only_in("development"));
    let (status, reply) = push(&desk, &to(r#"{"alias":"anna"}"#));
    assert_eq!((status, outcomes(&reply)), (200, vec!["accepted"; 2]));
    let lines = desk.platform.take_lines();
    let told = lines
        .iter()
        .filter(|line| line.contains("outcomes-not-kept"));
    assert_eq!(told.count(), 1, "{lines:?}");

    desk.store.recover();
    push(&desk, &to(r#"{"alias":"anna"}"#));
    assert_eq!(desk.environment(2), Some(Environment::Development));
}

#[test]
fn a_key_that_may_not_send_sends_nothing() {
    let config = super::support::settings("").replace(", \"admin\"]", "]");
    let desk = Desk::with(&config.replace("\"send\", ", ""));
    let (status, problem) = push(&desk, &to_tokens(1..2, ""));
    assert_eq!(
        (status, &problem["type"]),
        (403, &"urn:dunlin:scope-missing".into())
    );
    let bound = super::support::settings("").replace(
        "\"admin\"]\n",
        &format!("\"admin\"]\ntopics = [\"{OTHER}\"]\n"),
    );
    let desk = Desk::with(&bound);
    let (status, problem) = push(&desk, &to_tokens(1..2, ""));
    assert_eq!(
        (status, &problem["type"]),
        (403, &"urn:dunlin:topic-not-allowed".into())
    );
    assert!(desk.sender.take_sent().is_empty());
}
