//! Tokens, topics, and what is refused before it is sent.

use serde_json::{Value, json};

use crate::api::{BodyKind, Problem, PushRequest, Route, parse_posted_registration};
use crate::notification::{DeviceToken, InvalidNotification, Payload, PushType, Topic};
use crate::time::UnixTime;

/// As it is read where callers may write it in any way.
pub(super) fn token(input: &Value) -> Value {
    match DeviceToken::parse(input["token"].as_str().unwrap()) {
        Ok(token) => json!({ "hex": token.to_hex(), "accepted": true }),
        Err(error) => json!({ "accepted": false, "error": error.rule() }),
    }
}

/// The same from the two bodies of a registration.
pub(super) fn registered_token(input: &Value) -> Value {
    let text = input["token"].as_str().unwrap();
    let form: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("newToken", text), ("topic", "a.b")])
        .finish();
    let json = json!({ "token": text, "topic": "a.b" }).to_string();
    let read = |body: &str| match parse_posted_registration(BodyKind::Form, body.as_bytes()) {
        Ok(registration) => json!({ "hex": registration.token.to_hex(), "accepted": true }),
        Err(problem) => json!({ "accepted": false, "error": problem.rule() }),
    };
    let (by_form, by_json) = (read(&form), read(&json));
    assert_eq!(by_form, by_json);
    by_form
}

/// As it is read where it has to be hexadecimal.
pub(super) fn hexadecimal_token(input: &Value) -> Value {
    json!({ "valid": DeviceToken::parse_hex(input["token"].as_str().unwrap()).is_ok() })
}

pub(super) fn token_in_a_path(input: &Value) -> Value {
    let path = format!("/v1/devices/{}", input["token"].as_str().unwrap());
    json!({ "valid": Route::parse("GET", &path).is_ok() })
}

pub(super) fn topic(input: &Value) -> Value {
    let push_type = PushType::parse(input["push_type"].as_str().unwrap()).unwrap();
    let bundle_id = Topic::parse(input["bundle_id"].as_str().unwrap()).unwrap();
    let topic = push_type.topic_of(&bundle_id).unwrap();
    let suits = push_type.check_topic(&topic).is_ok();
    assert!(suits && push_type.check_topic(&bundle_id).is_err());
    json!({ "apns_topic": topic.as_str() })
}

/// A push that a simulator refuses, as the product refuses it before.
pub(super) fn refused(input: &Value) -> Value {
    if let Some(frame) = input["frame"].as_str() {
        return refused_part(frame);
    }
    let mut push = json!({
        "to": { "token": "ab" }, "topic": "a.b", "payload": { "aps": { "alert": "x" } },
    });
    if let Some(path) = input[":path"].as_str() {
        push["to"]["token"] = path.strip_prefix("/3/device/").unwrap().into();
    }
    for (header, field) in [
        ("apns-id", "id"),
        ("apns-collapse-id", "collapse_id"),
        ("apns-priority", "priority"),
    ] {
        if !input[header].is_null() {
            push[field] = input[header].clone();
        }
    }
    refusal(parsed(&push.to_string()).err().as_ref())
}

pub(super) fn parsed(push: &str) -> Result<PushRequest, Problem> {
    PushRequest::parse(
        push.as_bytes(),
        UnixTime::from_secs(1_700_000_000),
        "caller",
    )
}

fn refusal(problem: Option<&Problem>) -> Value {
    match problem {
        Some(problem) => json!({ "status": problem.status(), "reason": problem.rule() }),
        None => json!({ "sent": true }),
    }
}

fn refused_part(part: &str) -> Value {
    let refused = match part {
        "item 1 length 0" => DeviceToken::from_bytes(b"").err(),
        "item 1 length != 32" => DeviceToken::from_bytes(&[1; 31]).err(),
        "item 2 length 0" => Payload::parse(b"").err(),
        other => panic!("no such part: {other}"),
    };
    match refused.as_ref().map(InvalidNotification::rule) {
        Some(rule) => json!({ "name": rule }),
        None => json!({ "accepted": true }),
    }
}
