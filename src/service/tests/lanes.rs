//! Which lane is taken, and the provider tokens that go with it.

use super::support::{APP, Desk, OTHER, both, settings, token};
use crate::binary::Dialect;
use crate::delivery::{GatewayConfig, GatewayLane, Lane, ProviderConfig, ProviderLane, Submission};
use crate::service::{LaneName, LaneReport, Platform as _};
use crate::time::UnixTime;

const KEY: &str = "[[credentials]]\nkey_id = \"ABC123DEFG\"\nteam_id = \"DEF123GHIJ\"\n\
                   key_file = \"a.p8\"\ntopics = [\"com.key.app\", \"com.key.second\"]\n";

fn push(desk: &Desk, app: &str, more: &str) -> (u16, serde_json::Value) {
    let token = token(1).to_hex();
    let payload = match more.contains("payload") {
        true => "",
        false => r#","payload":{"aps":{"alert":"x"}}"#,
    };
    let body = format!(r#"{{"to":{{"token":"{token}"}},"topic":"{app}"{payload}{more}}}"#);
    desk.call("POST /v1/push", &body)
}

#[test]
fn a_lane_is_opened_once_for_each_credential_and_environment() {
    let desk = Desk::new();
    for _ in 0..3 {
        push(&desk, APP, r#","environment":"production""#);
        push(&desk, OTHER, r#","environment":"production""#);
    }
    assert_eq!(desk.sender.opened(), 2);
    push(&desk, APP, r#","environment":"development""#);
    assert_eq!(desk.sender.opened(), 3);
}

#[test]
fn instances_share_the_provider_token_of_a_key_through_the_store() {
    let desk = Desk::with(&settings(KEY));
    assert_eq!(push(&desk, "com.key.app", "").0, 200);
    let first = desk.sender.tokens().unwrap();
    desk.pass(60);
    let other = desk.another("second", false);
    assert_eq!(push(&other, "com.key.second", "").0, 200);
    assert_eq!(other.sender.tokens().unwrap(), first);
    assert_eq!(desk.store.keys_of("t/").len(), 1);

    // Whoever is told that it was refused as too old, and may not have another, has the same.
    let refused = first.newest().issued_at();
    let renewed = desk.run(desk.app.renewed(2, refused)).unwrap();
    assert_eq!(renewed.newest(), first.newest());
    assert!(
        desk.run(desk.app.renewed(0, refused)).is_none(),
        "a certificate has none"
    );

    desk.pass(3_000);
    push(&desk, "com.key.app", "");
    let later = desk.sender.tokens().unwrap();
    assert!(later.newest().issued_at() > refused);
    assert_eq!(later.older(), Some(first.newest()));
}

#[test]
fn pushes_that_need_a_provider_token_at_the_same_time_ask_the_store_once() {
    let desk = Desk::with(&settings(KEY));
    let now = || desk.app.renewed(2, UnixTime::EPOCH);
    let (one, (two, three)) = desk.run(both(now(), both(now(), now())));
    assert!(one.is_some() && one == two && two == three);
    let reads = desk.store.take_reads();
    assert_eq!(reads.into_values().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_store_that_never_answers_stops_no_push_for_long_for_want_of_a_provider_token() {
    let desk = Desk::with(&settings(KEY));
    desk.store.fall_silent("t/");
    assert_eq!(push(&desk, "com.key.app", "").0, 200);
    let executor = desk.platform.executor();
    assert_eq!(executor.now().as_nanos(), 2_000_000_000);
    assert_eq!(push(&desk, "com.key.app", "").0, 200);
    assert_eq!(executor.now().as_nanos(), 2_000_000_000, "it is in hand");
}

#[test]
fn a_store_that_fails_stops_no_push_for_want_of_a_provider_token() {
    let desk = Desk::with(&settings(KEY));
    desk.store
        .refuse(|(_, key)| key.starts_with("t/").then_some("no route to the store"));
    assert_eq!(push(&desk, "com.key.app", "").0, 200);
    let issued_at = desk.sender.tokens().unwrap().newest().issued_at();
    assert!(issued_at > UnixTime::EPOCH);
}

#[test]
fn a_push_without_a_provider_token_is_told_so_where_there_is_a_certificate() {
    let desk = Desk::new();
    let topic = format!("{APP}.location-query");
    let (status, problem) = push(&desk, &topic, r#","push_type":"location""#);
    assert_eq!(status, 422);
    assert_eq!(problem["type"], "urn:dunlin:provider-token-needed");
}

#[test]
fn the_gateway_is_taken_where_it_is_the_default_or_is_asked_for() {
    let gateway = |via: &str| {
        format!(
            "[[binary]]\ntopic = \"{APP}\"\nidentity = \"legacy\"\n\
             gateway = {{ host = \"gateway.example.com\" }}\n{via}"
        )
    };
    let lanes = |via: &str, more: &str| {
        let desk = Desk::with(&settings(&gateway(via)));
        let (status, reply) = push(&desk, APP, more);
        assert_eq!(status, 200, "{reply}");
        desk.sender.take_sent().pop().unwrap().credential
    };
    assert_eq!(lanes("", ""), "identity shop");
    assert_eq!(lanes("", r#","via":"binary""#), "identity legacy");
    assert_eq!(lanes("via = \"binary\"\n", ""), "identity legacy");
    assert_eq!(
        lanes("via = \"binary\"\n", r#","via":"http2""#),
        "identity shop"
    );
}

#[test]
fn what_a_gateway_cannot_be_told_is_refused_and_an_app_without_one_has_no_lane() {
    let config = format!(
        "[[binary]]\ntopic = \"{APP}\"\ngateway = {{ host = \"g.example.com\" }}\ncommand = 0\n"
    );
    let desk = Desk::with(&settings(&config));
    let long = format!(
        r#","via":"binary","payload":{{"aps":{{"alert":"{}"}}}}"#,
        "x".repeat(300)
    );
    let (status, problem) = push(&desk, APP, &long);
    assert_eq!(
        (status, &problem["type"]),
        (400, &"urn:dunlin:notification-unsendable".into())
    );
    let (status, problem) = push(&desk, OTHER, r#","via":"binary""#);
    assert_eq!(
        (status, &problem["type"]),
        (422, &"urn:dunlin:no-credential".into())
    );
}

#[test]
fn a_full_queue_is_told_when_it_begins_and_when_half_of_it_is_gone() {
    let provider = ProviderLane::new(ProviderConfig {
        queue: 2,
        ..ProviderConfig::new("api.example.com".to_owned(), 1)
    });
    let gateway = GatewayLane::new(GatewayConfig {
        dialect: Dialect::ITEMS,
        queue: 2,
        window: 10,
    });
    for lane in [Lane::from(provider), Lane::from(gateway)] {
        assert_a_full_queue_is_told(lane);
    }
}

/// Of a lane that two notifications fill.
fn assert_a_full_queue_is_told(mut lane: Lane) {
    let desk = Desk::new();
    push(&desk, APP, "");
    let sent = desk.sender.take_sent().pop().unwrap();
    let report = LaneReport::new(LaneName {
        credential: "identity shop".to_owned(),
        environment: "production",
        address: "api.example.com:443".to_owned(),
        has_certificate: true,
    });
    let now = desk.platform.executor().now();
    for _ in 0..2 {
        let submission = Submission {
            message: sent.message.clone(),
            deadline: sent.deadline,
            confirm: true,
        };
        lane.submit(now, submission).unwrap();
    }
    report.overflowed(&desk.platform, &lane);
    assert!(desk.platform.take_lines()[0].contains("queue-full"));
    report.pass_on(&desk.platform, &mut lane);
    assert!(!desk.platform.operator(|operator| operator.is_quiet()));
    lane.handle_timeout(sent.deadline);
    report.pass_on(&desk.platform, &mut lane);
    assert!(desk.platform.operator(|operator| operator.is_quiet()));
    assert!(desk.platform.take_counts().contains("queue-full=1"));
}
