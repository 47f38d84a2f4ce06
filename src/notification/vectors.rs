//! Tests against `tests/vectors/apns-vectors.json`: facts from the test suites of other libraries.
//!
//! Each test walks every row of a kind, so that a row added to the file is either met here or makes
//! a test fail. Where a row records a library's habit that is not copied, the test says so.

use super::*;
use crate::binary::limits as gateway_limits;
use serde_json::{Value, json};
use std::collections::BTreeMap;

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

/// Every kind there is, and how many rows it has. A row or a kind that is added shows up here, and
/// then wants a test: `tests/rules.md` says which kind is walked by which.
#[test]
fn every_kind_is_known() {
    let text = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/vectors/apns-vectors.json"
    ));
    let all: Vec<Value> = serde_json::from_str(text).unwrap();
    let mut kinds = BTreeMap::<&str, usize>::new();
    for row in &all {
        *kinds.entry(row["kind"].as_str().unwrap()).or_default() += 1;
        assert!(row["source"].is_string(), "{row}");
    }
    assert_eq!((all.len(), kinds.len()), (222, 45));
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
            let fits = input["bytes"].as_u64().unwrap() <= gateway_limits::PAYLOAD_MAX_BYTES as u64;
            assert_eq!(fits, expected["valid"], "{row}");
        }
    }
}

#[test]
fn payload_validate() {
    for row in rows("payload_validate") {
        let input = &row["input"];
        if input["custom"].is_object() {
            let json = input["custom"].to_string();
            let inspected = Payload::inspect(json.as_bytes(), None).unwrap();
            let violation = inspected.findings.violation().unwrap();
            assert_eq!(violation.rule(), rule::APS_NOT_OBJECT, "{row}");
        } else {
            // Not copied: buford asks for alert, badge or content-available. Apple names sound
            // beside alert and badge, so a sound alone is an alert.
            let json = format!("{{\"aps\":{input}}}");
            let inspected = Payload::inspect(json.as_bytes(), None).unwrap();
            assert_eq!(inspected.push_type, PushType::Alert, "{row}");
            assert_eq!(inspected.findings.violation(), None, "{row}");
        }
    }
}

/// The push type that the payload of a row is meant for, where it says so.
fn push_type_of(json: &str, input: &Value) -> Option<PushType> {
    let parsed: Value = serde_json::from_str(json).unwrap();
    if parsed["aps"]["event"].is_string() || parsed["aps"]["dismissal-date"].is_number() {
        return Some(PushType::LiveActivity);
    }
    if parsed["mdm"].is_string() {
        return Some(PushType::Mdm);
    }
    let named = input["push_type"].as_str();
    named.map(|name| PushType::parse(name).unwrap())
}

#[test]
fn payload_json() {
    for row in rows("payload_json") {
        let (input, expected) = (&row["input"], &row["expected"]);
        let json = match (input["json"].as_str(), expected["utf8_hex"].as_str()) {
            (Some(json), _) => json.to_owned(),
            (None, Some(hex)) => String::from_utf8(hex::decode(hex).unwrap()).unwrap(),
            (None, None) => expected["json"].as_str().unwrap().to_owned(),
        };
        let push_type = push_type_of(&json, input);
        let inspected = Payload::inspect(json.as_bytes(), push_type).unwrap();
        assert_eq!(inspected.payload.as_bytes(), json.as_bytes(), "{row}");
        if let Some(bytes) = expected["bytes"].as_u64() {
            assert_eq!(json.len() as u64, bytes, "{row}");
        }
        // What other libraries write has no wrong value and no key that is unknown. Some rows are
        // parts of a payload; then something is missing.
        for finding in inspected.findings.as_slice() {
            let part = [
                rule::ALERT_SHOWS_NOTHING,
                rule::LIVEACTIVITY_INCOMPLETE,
                rule::LIVEACTIVITY_END_STATE,
            ];
            assert!(part.contains(&finding.what().rule()), "{finding} {row}");
            let whole = json.contains("alert") || json.contains("timestamp");
            assert!(!whole, "{finding} {row}");
        }
    }
}

#[test]
fn payload_quirk() {
    for row in rows("payload_quirk") {
        let (json, rule) = if row["input"]["badge"] == 0 {
            // Not copied: anachronistic/apns writes -1 for the documented 0.
            let badge = &row["expected"]["badge"];
            (format!(r#"{{"aps":{{"badge":{badge}}}}}"#), rule::APS_BADGE)
        } else {
            // Not copied: dotAPNS writes the string "1" for the number.
            let json = row["expected"]["json"].as_str().unwrap();
            (json.to_owned(), rule::APS_CONTENT_AVAILABLE)
        };
        let inspected = Payload::inspect(json.as_bytes(), None).unwrap();
        let violation = inspected.findings.violation().unwrap();
        assert_eq!(violation.rule(), rule, "{row}");
        assert_eq!(inspected.payload.as_bytes(), json.as_bytes(), "{row}");
    }
}

/// Not copied: libraries cut the text of an alert until the payload fits, or drop it. Here the
/// bytes that the caller sent go out, or nothing does. What the rows count is counted the same: what
/// is too long, and what has been cut to fit.
#[test]
fn payload_trim() {
    for row in rows("payload_trim") {
        let (input, expected) = (&row["input"], &row["expected"]);
        // What they cut: more than the limit, and not touched here.
        let json = untrimmed(input);
        match Payload::parse(json.as_bytes()) {
            Ok(payload) => assert_eq!(payload.as_bytes(), json.as_bytes(), "{row}"),
            Err(error) => {
                assert_eq!(error.rule(), rule::PAYLOAD_TOO_LARGE, "{row}");
                assert!(json.len() > 5_120, "{row}");
            }
        }
        let limit = input["limit"].as_u64().unwrap_or(2_048);
        let excess = (json.len() as u64).checked_sub(limit);
        // "long text" stands for one, and is none.
        let is_long = input["limit"] != "default";
        assert_eq!(excess.is_some_and(|excess| excess > 0), is_long, "{row}");
        if let Some(too_long) = expected["too_long_by"].as_u64() {
            assert_eq!(excess, Some(too_long), "{row}");
        }
        if let Some(characters) = expected["alert_chars"].as_u64() {
            // Not copied: em-apn counts the framing, too. The empty alert around the text has 20.
            let framing = input["packet_overhead"].as_u64().unwrap() + 20;
            let room = input["limit_whole_packet"].as_u64().unwrap() - framing;
            let each = (json.len() as u64 - 20) / 2_050;
            assert_eq!(room / each, characters, "{row}");
            continue;
        }
        // What they make of it.
        let cut = match (expected["json"].as_str(), expected["alert"].as_str()) {
            (Some(json), _) => json.to_owned(),
            (None, Some(text)) => json!({"aps": {"alert": text}}).to_string(),
            (None, None) => continue,
        };
        let size = Payload::parse(cut.as_bytes()).unwrap().as_bytes().len() as u64;
        let exact = expected["json_bytes"].as_u64();
        let exact = exact.or(expected["bytes"]
            .as_u64()
            .filter(|_| expected["json"].is_string()));
        assert!(exact.is_none_or(|bytes| bytes == size), "{row}");
        // Of others the row has the alert alone, and what stood beside it is not in the file.
        assert!(size <= limit, "{row}");
    }
    let long = json!({"aps": {"alert": "lorem ipsum ".repeat(400)}}).to_string();
    let error = Payload::inspect(long.as_bytes(), None).unwrap_err();
    assert_eq!(error.rule(), rule::PAYLOAD_TOO_LARGE);
}

/// The payload of a row before it is cut.
fn untrimmed(input: &Value) -> String {
    if let Some(body) = input["body"].as_str() {
        let alert = json!({ "body": body, "launch-image": input["launch_image"] });
        let (badge, sound) = (&input["badge"], &input["sound"]);
        let aps = json!({ "alert": alert, "badge": badge, "content-available": 1, "sound": sound });
        return json!({ "aps": aps }).to_string();
    }
    let alert = match input["alert"].as_str() {
        Some("U+E008 * 2050 (3 bytes each)") => Some("\u{e008}".repeat(2_050)),
        Some(text) if text.contains("\" * ") => Some(spelled_out(text)),
        alert => alert.map(str::to_owned),
    };
    let mut payload = match &input["custom"] {
        Value::Object(custom) => custom.clone(),
        _ => serde_json::Map::new(),
    };
    if let Some(Value::String(text)) = payload.get_mut("test") {
        *text = spelled_out(text);
    }
    if let Some(alert) = alert {
        payload.insert("aps".to_owned(), json!({ "alert": alert }));
    }
    Value::Object(payload).to_string()
}

/// What pushy's servers refuse is refused before it is sent. Rows about who may send and to which
/// devices that are gone are the simulator's.
#[test]
fn mock_server_rule() {
    for row in rows("mock_server_rule") {
        let input = &row["input"];
        let text = |name: &str| input[name].as_str();
        let refused = if let Some(id) = text("apns-id") {
            ApnsId::parse(id).unwrap_err()
        } else if let Some(id) = text("apns-collapse-id") {
            CollapseId::parse(id).unwrap_err()
        } else if let Some(priority) = input["apns-priority"].as_i64() {
            Priority::from_number(priority).unwrap_err()
        } else if let Some(path) = text(":path") {
            DeviceToken::parse_hex(path.strip_prefix("/3/device/").unwrap()).unwrap_err()
        } else if text("authorization").is_some() || text("token").is_some() {
            continue;
        } else {
            match text("frame").unwrap() {
                "item 1 length 0" => DeviceToken::from_bytes(b"").unwrap_err(),
                "item 2 length 0" => Payload::parse(b"").unwrap_err(),
                // Not copied: Apple says not to make assumptions about the size of a token.
                "item 1 length != 32" => {
                    assert!(DeviceToken::from_bytes(&[1; 31]).is_ok());
                    continue;
                }
                other => panic!("{other}"),
            }
        };
        let expected = match row["expected"]["reason"].as_str() {
            Some("BadMessageId") => rule::ID_MALFORMED,
            Some("BadCollapseId") => rule::COLLAPSE_ID_TOO_LONG,
            Some("BadPriority") => rule::PRIORITY_UNKNOWN,
            Some("MissingDeviceToken") => rule::TOKEN_EMPTY,
            None if row["expected"]["name"] == "MISSING_TOKEN" => rule::TOKEN_EMPTY,
            None if row["expected"]["name"] == "MISSING_PAYLOAD" => rule::PAYLOAD_EMPTY,
            _ => panic!("{row}"),
        };
        assert_eq!(refused.rule(), expected, "{row}");
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
