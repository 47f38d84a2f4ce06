//! Push bodies, right and wrong, and replies.

use super::*;
use crate::provider::{Reason, Why};

const NOW: UnixTime = UnixTime::from_secs(1_000);

fn body(extra: &str) -> String {
    format!(
        r#"{{"to":{{"token":"a1b2"}},"topic":"com.example.app",
            "payload":{{ "aps": {{"alert":"é"}} }}{extra}}}"#
    )
}

fn parse(body: &str) -> Result<PushRequest, Problem> {
    PushRequest::parse(body.as_bytes(), NOW, "server")
}

fn rule(body: &str) -> String {
    parse(body).unwrap_err().rule().to_owned()
}

fn device(request: &PushRequest) -> DeviceRef {
    let Recipients::Tokens(tokens) = &request.to else {
        panic!("not a token")
    };
    DeviceRef {
        topic: request.topic.clone().unwrap(),
        token: tokens[0].clone(),
    }
}

const ID: [u8; 16] = [7; 16];

#[test]
fn the_payload_goes_out_byte_for_byte() {
    let request = parse(&body("")).unwrap();
    let id = ApnsId::from_random(ID);
    let notification = request.notification(&device(&request), id).unwrap();
    assert_eq!(
        notification.payload().as_bytes(),
        "{ \"aps\": {\"alert\":\"é\"} }".as_bytes()
    );
    assert_eq!(notification.id(), Some(id));
}

#[test]
fn every_option_arrives() {
    let extra = r#","push_type":"background","priority":5,"ttl_s":60,"collapse_id":"c",
        "id":"123E4567-e89b-12d3-a456-426655440000","environment":"sandbox","via":"http2""#;
    let request = parse(&body(extra)).unwrap();
    assert_eq!(request.environment, Some(Environment::Development));
    let id = ApnsId::from_random(ID);
    let notification = request.notification(&device(&request), id).unwrap();
    assert_eq!(notification.push_type(), PushType::Background);
    assert_eq!(notification.expiration().header_secs(), Some(1_060));
    assert_eq!(notification.collapse_id().unwrap().as_str(), "c");
    let id = notification.id().unwrap().to_string();
    assert_eq!(id, "123e4567-e89b-12d3-a456-426655440000");
}

#[test]
fn the_way_can_be_asked_for() {
    let way = |extra| {
        let request = parse(&body(extra)).unwrap();
        (request.via, request.confirm)
    };
    assert_eq!(way(""), (None, true));
    assert_eq!(way(r#","via":"http2""#), (Some(Via::Http2), true));
    let unconfirmed = r#","via":"binary","confirm":false"#;
    assert_eq!(way(unconfirmed), (Some(Via::Binary), false));
}

#[test]
fn expiration_zero_and_absent_differ() {
    let secs = |extra: &str| {
        let request = parse(&body(extra)).unwrap();
        let id = ApnsId::from_random(ID);
        request
            .notification(&device(&request), id)
            .unwrap()
            .expiration()
            .header_secs()
    };
    assert_eq!(secs(""), None);
    assert_eq!(secs(r#","expiration":0"#), Some(0));
    assert_eq!(secs(r#","ttl_s":0"#), Some(0));
}

#[test]
fn wrong_values_are_named() {
    assert_eq!(rule("{"), "json-malformed");
    assert_eq!(rule(&body(r#","prioritie":5"#)), "unknown-field");
    assert_eq!(rule(&body(r#","priority":7"#)), "priority-unknown");
    assert_eq!(rule(&body(r#","priority":"high""#)), "wrong-type");
    assert_eq!(
        rule(&body(r#","expiration":1,"ttl_s":1"#)),
        "expiration-twice"
    );
    assert_eq!(rule(&body(r#","id":"x""#)), "id-malformed");
    assert_eq!(rule(&body(r#","via":"pigeon""#)), "wrong-type");
    assert_eq!(rule(r#"{"to":{},"payload":{}}"#), "recipients");
    assert_eq!(
        rule(r#"{"to":{"token":"a1","alias":"x"},"payload":{}}"#),
        "recipients"
    );
    assert_eq!(
        rule(r#"{"to":{"tokens":[]},"topic":"a.b","payload":{}}"#),
        "recipients"
    );
    assert_eq!(
        rule(r#"{"to":{"token":"a1"},"payload":{}}"#),
        "missing-field"
    );
    assert_eq!(
        rule(r#"{"to":{"token":"xyz"},"topic":"a.b","payload":{}}"#),
        "token-not-hex"
    );
    assert_eq!(
        rule(r#"{"to":{"alias":"x"},"payload":[1]}"#),
        "payload-not-object"
    );
    assert_eq!(
        rule(r#"{"to":{"alias":"x"},"id":"123e4567-e89b-12d3-a456-426655440000","payload":{}}"#),
        "id-of-many"
    );
    let problem = parse(r#"{"to":{"tokens":["a1","q"]},"topic":"a.b","payload":{}}"#).unwrap_err();
    let reply = String::from_utf8(problem.into_reply().body).unwrap();
    assert!(reply.contains("to.tokens[1]"), "{reply}");
}

#[test]
fn a_payload_too_large_is_refused_for_its_push_type() {
    let large = format!(
        r#"{{"to":{{"token":"a1"}},"topic":"a.b","payload":{{"x":"{}"}}}}"#,
        "y".repeat(4_096)
    );
    let request = parse(&large).unwrap();
    let problem = request
        .notification(&device(&request), ApnsId::from_random(ID))
        .unwrap_err();
    assert_eq!(problem.rule(), "payload-too-large");
}

#[test]
fn a_reply_counts_and_explains() {
    let result = |outcome: Option<Outcome>| PushResult {
        token: DeviceToken::parse_hex("a1b2").unwrap(),
        apns_id: ApnsId::from_random(ID),
        removed: outcome
            .as_ref()
            .map(|outcome| outcome.treatment().is_some()),
        outcome,
        detail: None,
    };
    let rejected = Outcome::Rejected {
        status: 410,
        reason: Reason::parse("Unregistered"),
        invalid_since: Some(UnixTime::from_millis(1_234)),
        retry_after: None,
        apns_id: None,
    };
    let reply = push_reply(&[
        result(Some(Outcome::Accepted {
            apns_id: None,
            unique_id: Some("u".into()),
            answer: None,
        })),
        result(Some(rejected)),
        result(Some(Outcome::unanswered(Why::ConnectionLost))),
        result(None),
    ]);
    let reply: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let counts = ["accepted", "rejected", "unanswered"].map(|name| reply[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1]);
    assert_eq!(reply["results"][0]["apns_unique_id"], "u");
    assert_eq!(reply["results"][1]["reason"], "Unregistered");
    assert_eq!(reply["results"][1]["removed"], true);
    assert!(reply["results"][0].get("removed").is_none());
    assert_eq!(reply["results"][1]["invalid_since"], 1_234);
    assert_eq!(reply["results"][2]["may_resend"], false);
    assert_eq!(reply["results"][3]["outcome"], "valid");
}

#[test]
fn an_idempotency_key_names_the_push_and_collapses_it_where_asked() {
    let with = |more: &str| {
        let body = format!(
            r#"{{"to":{{"token":"a1"}},"topic":"com.example.app","payload":{{"aps":{{"alert":"x"}}}}{more}}}"#
        );
        parse(&body)
    };
    let built = |more: &str| {
        let request = with(more).unwrap();
        let device = DeviceRef {
            topic: request.topic.clone().unwrap(),
            token: DeviceToken::parse_hex("a1").unwrap(),
        };
        request
            .notification(&device, ApnsId::from_random([9; 16]))
            .unwrap()
    };
    let keyed = built(r#","idempotency_key":"order:17""#);
    assert_ne!(keyed.id(), Some(ApnsId::from_random([9; 16])));
    let again = built(r#","idempotency_key":"order:17","collapse_by_key":true"#);
    assert_eq!(again.id(), keyed.id());
    assert!(keyed.collapse_id().is_none() && again.collapse_id().is_some());
    let named = r#","idempotency_key":"k","id":"123e4567-e89b-12d3-a456-426655440000""#;
    let named = built(named).id().unwrap().to_string();
    assert_eq!(named, "123e4567-e89b-12d3-a456-426655440000");
    for (more, rule) in [
        (r#","idempotency_key":"a b""#, "idempotency-key"),
        (r#","idempotency_key":"""#, "idempotency-key"),
        (r#","collapse_by_key":true"#, "collapse-by-key"),
        (
            r#","idempotency_key":"k","collapse_by_key":true,"collapse_id":"c""#,
            "collapse-by-key",
        ),
    ] {
        let problem = with(more).unwrap_err();
        assert_eq!((problem.status(), problem.rule()), (400, rule), "{more}");
    }
}
