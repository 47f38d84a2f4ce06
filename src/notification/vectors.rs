//! Tests against `tests/vectors/apns-vectors.json`: facts from the test suites of other libraries.
//!
//! Each test walks every row of a kind, so that a row added to the file is either met here or makes
//! a test fail. Where a row records a library's habit that is not copied, the test says so.

use super::*;
use serde_json::Value;

/// The rows of one kind; never none.
pub(crate) fn rows(kind: &str) -> Vec<Value> {
    let text = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/vectors/apns-vectors.json"
    ));
    let all: Vec<Value> = serde_json::from_str(text).unwrap();
    let rows: Vec<_> = all.into_iter().filter(|row| row["kind"] == kind).collect();
    assert!(!rows.is_empty(), "no vectors of kind {kind}");
    rows
}

/// Writes out the shorthand of the file: `"a" * 210` and `("ab" * 256) + "x"`.
fn spelled_out(shorthand: &str) -> String {
    let (repeated, tail) = shorthand.split_once(" + ").unwrap_or((shorthand, "\"\""));
    let (unit, times) = repeated.trim_matches(['(', ')']).split_once(" * ").unwrap();
    let tail = tail.trim_matches('"');
    unit.trim_matches('"').repeat(times.parse().unwrap()) + tail
}

#[test]
fn token_parse() {
    for row in rows("token_parse") {
        let got = DeviceToken::parse(row["input"]["token"].as_str().unwrap());
        let expected = &row["expected"];
        if let Some(hex) = expected["hex"].as_str() {
            assert_eq!(got.unwrap().to_hex(), hex, "{row}");
        } else if expected["accepted"] == true {
            assert!(got.is_ok(), "{row}");
        } else {
            // Not copied: rapns strips the brackets of "<omg>" and keeps a token that is no
            // hexadecimal number. Here it is an error, as for timehop/apns.
            assert_eq!(got.unwrap_err().rule(), rule::TOKEN_NOT_HEX, "{row}");
        }
    }
}

#[test]
fn token_validate() {
    for row in rows("token_validate") {
        let text = row["input"]["token"].as_str().unwrap();
        let valid = row["expected"]["valid"].as_bool().unwrap();
        assert_eq!(DeviceToken::parse_hex(text).is_ok(), valid, "{row}");
        // The lenient reader differs in brackets and blanks, and in nothing else.
        let described = text.contains(['<', ' ']);
        assert_eq!(
            DeviceToken::parse(text).is_ok(),
            valid || described,
            "{row}"
        );
    }
}

#[test]
fn payload_size() {
    for row in rows("payload_size") {
        let (input, expected) = (&row["input"], &row["expected"]);
        if let Some(json) = input["json"].as_str() {
            let payload = Payload::parse(json.as_bytes()).unwrap();
            assert_eq!(payload.as_bytes().len() as u64, expected["bytes"], "{row}");
        } else if let Some(alert) = input["alert"].as_str() {
            // Limits of the binary gateway are checked where that is; what is checked here is that
            // a payload is measured alone, in bytes, without token and framing.
            let json = format!("{{\"aps\":{{\"alert\":\"{}\"}}}}", spelled_out(alert));
            let bytes = Payload::parse(json.as_bytes()).unwrap().as_bytes().len() as u64;
            assert!(
                expected["bytes"].is_null() || bytes == expected["bytes"],
                "{row}"
            );
            let fits = bytes <= input["limit"].as_u64().unwrap();
            assert_eq!(fits, expected["error"].is_null(), "{row}");
        } else if let Some(payload) = input["payload"].as_str() {
            // The row's payload is no JSON; one of the same size is.
            let size = spelled_out(payload).len();
            assert_eq!(size as u64, input["bytes"]);
            let json = format!("{{\"a\":\"{}\"}}", "x".repeat(size - 8));
            let payload = Payload::parse(json.as_bytes()).unwrap();
            let error = payload.check_size(PushType::Alert).unwrap_err();
            assert_eq!(error.rule(), rule::PAYLOAD_TOO_LARGE, "{row}");
        } else if input["api"] == "http2" {
            assert_eq!(
                PushType::Alert.payload_limit() as u64,
                expected["limit"],
                "{row}"
            );
        } else {
            assert_eq!(input["api"], "binary", "{row}");
        }
    }
}

#[test]
fn payload_validate() {
    for row in rows("payload_validate") {
        let input = &row["input"];
        if input["custom"].is_object() {
            let json = input["custom"].to_string();
            let error = Payload::parse(json.as_bytes()).unwrap_err();
            assert_eq!(error.rule(), rule::APS_NOT_OBJECT, "{row}");
        } else {
            // Not copied: buford asks for alert, badge or content-available. Apple names sound
            // beside alert and badge, so a sound alone is an alert.
            let json = format!("{{\"aps\":{input}}}");
            let payload = Payload::parse(json.as_bytes()).unwrap();
            assert_eq!(payload.inferred_push_type(), PushType::Alert, "{row}");
        }
    }
}

#[test]
fn topic_suffix() {
    for row in rows("topic_suffix") {
        let push_type = PushType::parse(row["input"]["push_type"].as_str().unwrap()).unwrap();
        let bundle_id = Topic::parse(row["input"]["bundle_id"].as_str().unwrap()).unwrap();
        let topic = push_type.topic_of(&bundle_id).unwrap();
        assert_eq!(topic.as_str(), row["expected"]["apns_topic"], "{row}");
        assert!(push_type.check_topic(&topic).is_ok());
        assert!(push_type.check_topic(&bundle_id).is_err());
    }
}
