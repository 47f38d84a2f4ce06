//! Push bodies, right and wrong, and replies.

use super::*;
use crate::notification::DeviceToken;
use crate::provider::{Reason, Why};
use crate::registry::{Selector, Tag};

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
    let extra = r#","push_type":"background","strict":false,"priority":5,"ttl_s":60,
        "collapse_id":"c","id":"123E4567-e89b-12d3-a456-426655440000",
        "environment":"sandbox","via":"http2""#;
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

/// A push to these tokens.
fn to_tokens(tokens: &[&str], more: &str) -> String {
    let tokens = serde_json::json!(tokens);
    format!(
        r#"{{"to":{{"tokens":{tokens}}},"topic":"a.b","payload":{{"aps":{{"alert":"x"}}}}{more}}}"#
    )
}

#[test]
fn a_list_with_bad_entries_is_refused_and_every_one_is_named() {
    let refused = |body: &str| {
        let reply = parse(body).unwrap_err().into_reply();
        assert_eq!(reply.status, 400);
        serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap()
    };
    let list = r#"["a1","q",3,"b2","","\ud800"]"#;
    for list in [
        format!(r#"{{"to":{{"tokens":{list}}},"topic":"a.b","payload":{{}}}}"#),
        format!(
            r#"{{"to":{{"tokens":{list}}},"on_invalid":"refuse","topic":"a.b","payload":{{}}}}"#
        ),
    ] {
        let problem = refused(&list);
        assert_eq!(problem["type"], "urn:dunlin:token-not-hex");
        assert_eq!(problem["field"], "to.tokens[1]");
        let errors = problem["errors"].as_array().unwrap().iter();
        let named: Vec<_> = errors
            .map(|error| (&error["field"], &error["rule"]))
            .collect();
        let expected = [
            ("to.tokens[1]", "token-not-hex"),
            ("to.tokens[2]", "wrong-type"),
            ("to.tokens[4]", "token-empty"),
            ("to.tokens[5]", "json-malformed"),
        ];
        let expected = expected.map(|(field, rule)| (field.into(), rule.into()));
        assert!(
            named
                .iter()
                .copied()
                .eq(expected.iter().map(|(field, rule)| (field, rule)))
        );
        assert!(problem.get("more_errors").is_none());
        assert_eq!(problem["errors"][0]["got"], problem["got"]);
    }
    let many = refused(&to_tokens(&["x"; 1_000], ""));
    assert_eq!(many["errors"].as_array().unwrap().len(), 100);
    assert_eq!(many["more_errors"], 900);
    let aliases = refused(r#"{"to":{"aliases":["anna","\u0000",""]},"payload":{}}"#);
    assert_eq!(aliases["errors"][1]["field"], "to.aliases[2]");
    // What is no list has one field at fault, and what is no bad entry none.
    let one = refused(r#"{"to":{"token":"q"},"topic":"a.b","on_invalid":"skip","payload":{}}"#);
    assert!(one.get("errors").is_none());
    assert_eq!(one["field"], "to.token");
    assert_eq!(
        rule(&to_tokens(&[], r#","on_invalid":"skip""#)),
        "recipients"
    );
    assert_eq!(
        rule(&to_tokens(&["a1"; 1_001], r#","on_invalid":"skip""#)),
        "recipients"
    );
    assert_eq!(
        rule(&to_tokens(&["a1"], r#","on_invalid":"ignore""#)),
        "wrong-type"
    );
}

#[test]
fn a_list_with_bad_entries_goes_out_without_them_where_asked() {
    let skip = r#","on_invalid":"skip""#;
    let request = parse(&to_tokens(&["q", "a1", "", "b2", "a1"], skip)).unwrap();
    let tokens = ["a1", "b2", "a1"].map(|token| DeviceToken::parse_hex(token).unwrap());
    assert_eq!(request.to, Recipients::Tokens(tokens.to_vec()));
    assert_eq!(request.places(), Some(vec![1, 3, 4]));
    let duplicate = SkippedEntry {
        index: 4,
        why: Skipped::Duplicate(1),
    };
    let skipped = request.skipped(vec![duplicate]);
    let index = |entry: &SkippedEntry| entry.index;
    assert_eq!(skipped.iter().map(index).collect::<Vec<_>>(), [0, 2, 4]);
    let result = |index: usize| PushResult {
        index,
        token: tokens[0].clone(),
        apns_id: ApnsId::from_random(ID),
        outcome: None,
        detail: None,
        removed: None,
    };
    let reply = request.reply(&[result(1), result(3)], &skipped, &[]);
    let reply: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(reply["skipped"], 3);
    let results = reply["results"].as_array().unwrap();
    assert!(
        results
            .iter()
            .enumerate()
            .all(|(n, result)| result["index"] == n)
    );
    let first = serde_json::json!({
        "index": 0, "outcome": "skipped", "rule": "token-not-hex", "field": "to.tokens[0]",
        "expected": results[0]["expected"], "got": results[0]["got"],
    });
    assert_eq!(results[0], first);
    let last = serde_json::json!({"index": 4, "outcome": "skipped", "rule": "duplicate", "of": 1});
    assert_eq!(results[4], last);

    let none = parse(&to_tokens(&["q", "r"], skip)).unwrap();
    assert_eq!(
        (none.to.clone(), none.places()),
        (Recipients::Tokens(vec![]), Some(vec![]))
    );
    assert!(none.skips && none.skipped(Vec::new()).len() == 2);
    let all = parse(&to_tokens(&["a1"], skip)).unwrap();
    assert!(all.skips && all.places().is_none());
    let id = r#","on_invalid":"skip","id":"123e4567-e89b-12d3-a456-426655440000""#;
    assert_eq!(rule(&to_tokens(&["a1", "q"], id)), "id-of-many");
    assert!(parse(&to_tokens(&["a1"], id)).is_ok());
}

#[test]
fn devices_are_selected_by_their_tags() {
    let selected = |to: &str| {
        let body = format!(r#"{{"to":{to},"topic":"a.b","payload":{{"aps":{{"alert":"x"}}}}}}"#);
        match parse(&body).unwrap().to {
            Recipients::Selected(selector) => selector,
            other => panic!("{other:?}"),
        }
    };
    let tags =
        |names: &[&str]| -> Vec<_> { names.iter().map(|name| Tag::parse(name).unwrap()).collect() };
    let (any, all, none) = (tags(&["a", "b"]), tags(&["c"]), tags(&["d"]));
    let every = r#"{"tags":{"any":["a","b"],"all":["c"],"none":["d"]}}"#;
    assert_eq!(selected(every), Selector { any, all, none });
    let one = Selector {
        all: tags(&["news"]),
        ..Selector::default()
    };
    assert_eq!(selected(r#"{"tag":"news"}"#), one);
    assert_eq!(selected(r#"{"all":true}"#), Selector::default());

    let to = |names: usize| {
        let names: Vec<_> = (0..names).map(|n| n.to_string()).collect();
        let names = serde_json::json!(names);
        format!(r#"{{"to":{{"tags":{{"none":{names}}}}},"topic":"a.b","payload":{{}}}}"#)
    };
    let problem = parse(&to(21)).unwrap_err().into_reply();
    let problem = String::from_utf8(problem.body).unwrap();
    assert!(
        problem.contains("to.tags.none: expected at most 20 of them, got 21"),
        "{problem}"
    );
    assert_eq!(rule(&to(20)), "alert-shows-nothing");
    // A selector without one of its tags would be another one.
    let skip = r#"{"to":{"tags":{"any":["a",""]}},"topic":"a.b","on_invalid":"skip","payload":{}}"#;
    assert_eq!(rule(skip), "tag-length");
}

#[test]
fn a_payload_too_large_is_refused_for_its_push_type() {
    let large = format!(
        r#"{{"to":{{"token":"a1"}},"topic":"a.b","payload":{{"x":"{}"}}}}"#,
        "y".repeat(4_096)
    );
    assert_eq!(rule(&large), "payload-too-large");
    // What APNs certainly refuses is refused in any case.
    let lenient = large.replacen('{', r#"{"strict":false,"#, 1);
    assert_eq!(rule(&lenient), "payload-too-large");
    let call = lenient.replacen('{', r#"{"push_type":"voip","#, 1);
    assert!(parse(&call.replace("a.b", "a.b.voip")).is_ok());
}

/// A push with this payload.
fn with_payload(payload: &str, extra: &str) -> String {
    format!(r#"{{"to":{{"token":"a1b2"}},"topic":"com.example.app","payload":{payload}{extra}}}"#)
}

#[test]
fn a_payload_against_what_apple_documents_is_refused_with_field_and_rule() {
    let push = with_payload(r#"{"aps":{"alert":"a","relevance-score":7}}"#, "");
    let reply = parse(&push).unwrap_err().into_reply();
    assert_eq!(reply.status, 400);
    let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(problem["type"], "urn:dunlin:aps-relevance-score");
    assert_eq!(problem["field"], "payload.aps.relevance-score");
    assert_eq!(
        problem["detail"],
        "payload.aps.relevance-score: expected a number from 0 to 1, got 7"
    );
    let strict = with_payload(r#"{"aps":{"badge":"1"}}"#, r#","strict":true"#);
    assert_eq!(rule(&strict), "aps-badge");
    let call = r#","push_type":"background""#;
    let shown = with_payload(r#"{"aps":{"content-available":1,"alert":"a"}}"#, call);
    assert_eq!(rule(&shown), "background-shows");
}

#[test]
fn a_forgotten_push_type_is_told_by_the_topic() {
    let update = r#"{"aps":{"timestamp":1,"event":"update","content-state":{}}}"#;
    let topic = "com.example.app.push-type.liveactivity";
    let push = |extra: &str| with_payload(update, extra).replace("com.example.app", topic);
    for strictness in ["", r#","strict":false"#] {
        assert_eq!(rule(&push(strictness)), "topic-suffix");
    }
    let request = parse(&push(r#","push_type":"liveactivity""#)).unwrap();
    assert!(request.warnings().is_empty());
}

#[test]
fn no_leniency_lets_through_what_apns_cannot_be_sent() {
    let lenient = r#","strict":false"#;
    for (payload, broken) in [
        ("[]", "payload-not-object"),
        (r#""{}""#, "payload-not-object"),
        ("null", "payload-not-object"),
    ] {
        assert_eq!(rule(&with_payload(payload, lenient)), broken, "{payload}");
    }
    let priority = r#","strict":false,"push_type":"background","priority":10"#;
    let silent = with_payload(r#"{"aps":{"content-available":1}}"#, priority);
    let request = parse(&silent).unwrap();
    let problem = request.notification(&device(&request), ApnsId::from_random(ID));
    assert_eq!(problem.unwrap_err().rule(), "priority-not-allowed");
    let wrong = with_payload("{}", r#","strict":"no""#);
    assert_eq!(rule(&wrong), "wrong-type");
}

#[test]
fn a_lenient_push_goes_out_with_warnings() {
    let payload = r#"{"aps":{"alert":"a","badge":"1"},"aps":{"badge":"1","own":2}}"#;
    let request = parse(&with_payload(payload, r#","strict":false"#)).unwrap();
    let expected = [
        "payload.aps.badge: expected a number, got a string",
        "payload.aps: expected it once, got it again",
        "payload.aps.badge: expected a number, got a string",
        "payload.aps.own: expected a key that Apple documents, got an unknown one",
    ];
    assert_eq!(request.warnings(), expected);
    let id = ApnsId::from_random(ID);
    let notification = request.notification(&device(&request), id).unwrap();
    assert_eq!(notification.payload().as_bytes(), payload.as_bytes());

    // A dry run is told the same.
    for outcome in [
        None,
        Some(Outcome::Accepted {
            apns_id: None,
            unique_id: None,
            answer: None,
        }),
    ] {
        let result = PushResult {
            index: 0,
            token: DeviceToken::parse_hex("a1b2").unwrap(),
            apns_id: id,
            outcome,
            detail: None,
            removed: None,
        };
        let reply = request.reply(&[result.clone(), result], &[], &[]);
        let reply: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(reply["warnings"], serde_json::json!(expected));
        assert_eq!(reply["results"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn remarks_are_warnings_of_a_strict_push_too() {
    let own = with_payload(r#"{"aps":{"alert":"a","own":1},"badge":"x"}"#, "");
    let request = parse(&own).unwrap();
    let expected = "payload.aps.own: expected a key that Apple documents, got an unknown one";
    assert_eq!(request.warnings(), [expected]);
    let low = with_payload("{}", r#","push_type":"pushtotalk","priority":5"#);
    let low = low.replace("com.example.app", "com.example.app.voip-ptt");
    let expected = "priority: expected 10 for push type pushtotalk, got 5";
    assert_eq!(parse(&low).unwrap().warnings(), [expected]);
}

#[test]
fn an_expiration_that_apple_does_not_keep_is_a_warning() {
    let warnings = |extra: &str| {
        let request = parse(&with_payload(r#"{"aps":{"alert":"a"}}"#, extra)).unwrap();
        request.warnings().to_vec()
    };
    assert!(warnings(r#","ttl_s":2592000"#).is_empty());
    let expected = "ttl_s: expected at most 30 days from now, got 2592001 seconds from now";
    assert_eq!(warnings(r#","ttl_s":2592001"#), [expected]);
    let expected = "expiration: expected at most 30 days from now, got 1999999000 seconds from now";
    assert_eq!(warnings(r#","expiration":2000000000"#), [expected]);
    let call = with_payload("{}", r#","push_type":"voip","ttl_s":3600"#);
    let call = call.replace("com.example.app", "com.example.app.voip");
    let expected = "ttl_s: expected 0 or a few seconds from now for push type voip, \
                    got 3600 seconds from now";
    assert_eq!(parse(&call).unwrap().warnings(), [expected]);
}

#[test]
fn an_expiration_that_was_not_meant_is_refused_or_a_warning() {
    let now = UnixTime::from_secs(1_770_000_000);
    let parse = |extra: &str| PushRequest::parse(body(extra).as_bytes(), now, "server");
    let detail = |extra: &str| {
        let problem = parse(extra).unwrap_err();
        assert_eq!(
            (problem.status(), problem.rule()),
            (400, "expiration-range")
        );
        let reply: serde_json::Value = serde_json::from_slice(&problem.into_reply().body).unwrap();
        reply["detail"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        detail(r#","expiration":86400"#),
        "expiration: expected 0, or seconds since 1970 such as 1770000000 (for a duration: \
         ttl_s), got 86400"
    );
    assert_eq!(
        detail(r#","ttl_s":4000000000"#),
        "ttl_s: expected 0 to 2524967295 seconds from now, got 4000000000"
    );
    let warnings = |extra| parse(extra).unwrap().warnings().to_vec();
    assert_eq!(
        warnings(r#","expiration":1769999940"#),
        ["expiration: expected a time to come, or 0, got 60 seconds ago"]
    );
    for fine in [
        r#","expiration":0"#,
        r#","expiration":1770000060"#,
        r#","ttl_s":60"#,
    ] {
        assert!(warnings(fine).is_empty(), "{fine}");
    }
    let silent = r#"{"aps":{"content-available":1}}"#;
    let low = with_payload(silent, r#","push_type":"background","priority":1"#);
    let low = PushRequest::parse(low.as_bytes(), now, "server").unwrap();
    assert_eq!(
        low.warnings(),
        ["priority: expected 5 for push type background, got 1"]
    );
}

#[test]
fn an_empty_alert_is_for_wallet_passes_whether_the_topic_is_named_or_the_devices() {
    let pass = "pass.com.example.ticket";
    for payload in ["{}", r#"{"aps":{}}"#] {
        let to_app = with_payload(payload, "");
        assert_eq!(rule(&to_app), "alert-shows-nothing");
        assert!(parse(&to_app.replace("com.example.app", pass)).is_ok());
        let lenient = with_payload(payload, r#","strict":false"#);
        assert_eq!(parse(&lenient).unwrap().warnings().len(), 1);

        let to_alias = format!(r#"{{"to":{{"alias":"anna"}},"payload":{payload}}}"#);
        let request = parse(&to_alias).unwrap();
        let device = |topic| DeviceRef {
            topic: Topic::parse(topic).unwrap(),
            token: DeviceToken::parse_hex("a1").unwrap(),
        };
        let build = |topic| request.notification(&device(topic), ApnsId::from_random(ID));
        assert!(build(pass).is_ok());
        let problem = build("com.example.app").unwrap_err();
        assert_eq!(problem.rule(), "alert-shows-nothing");
        let lenient = to_alias.replacen('{', r#"{"strict":false,"#, 1);
        let lenient = parse(&lenient).unwrap();
        assert_eq!(lenient.warnings().len(), 1);
        let built = lenient.notification(&device("com.example.app"), ApnsId::from_random(ID));
        assert!(built.is_ok());
    }
}

#[test]
fn an_idempotency_key_in_the_header_means_what_the_field_means() {
    let parse = |extra: &str, header| {
        PushRequest::parse_with_key(body(extra).as_bytes(), NOW, "server", header)
    };
    let key = |extra, header| parse(extra, header).unwrap().idempotency_key;
    let field = r#","idempotency_key":"order:17""#;
    assert_eq!(key("", Some("order:17")), key(field, None));
    assert_eq!(key(field, Some("order:17")), key(field, None));
    let collapsed = parse(r#","collapse_by_key":true"#, Some("order:17"));
    assert!(collapsed.is_ok());
    let problem = parse(field, Some("order:18")).unwrap_err();
    assert_eq!((problem.status(), problem.rule()), (400, "idempotency-key"));
}

#[test]
fn a_push_as_documented_has_no_warnings() {
    let request = parse(&body("")).unwrap();
    assert!(request.warnings().is_empty());
    let result = PushResult {
        index: 0,
        token: DeviceToken::parse_hex("a1b2").unwrap(),
        apns_id: ApnsId::from_random(ID),
        outcome: None,
        detail: None,
        removed: None,
    };
    let reply = String::from_utf8(request.reply(&[result], &[], &[]).body).unwrap();
    assert!(!reply.contains("warnings"), "{reply}");
}

#[test]
fn a_reply_counts_and_explains() {
    let result = |outcome: Option<Outcome>| PushResult {
        index: 0,
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
    let request = parse(&body("")).unwrap();
    let results = [
        result(Some(Outcome::Accepted {
            apns_id: None,
            unique_id: Some("u".into()),
            answer: None,
        })),
        result(Some(rejected)),
        result(Some(Outcome::unanswered(Why::ConnectionLost))),
        result(None),
    ];
    let document = |unmatched: &[Alias]| {
        let reply = request.reply(&results, &[], unmatched);
        serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap()
    };
    let reply = document(&[]);
    assert_eq!(reply["unmatched"], serde_json::json!([]), "always there");
    let nobody = ["anna", "ben"].map(|name| Alias::parse(name).unwrap());
    assert_eq!(
        document(&nobody)["unmatched"],
        serde_json::json!(["anna", "ben"])
    );
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
            r#"{{"to":{{"token":"a1"}},"topic":"com.example.app",
                "payload":{{"aps":{{"alert":"x"}}}}{more}}}"#
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
