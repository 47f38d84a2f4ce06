//! Payloads: their size, what stands in them, and that they go out as they came.

use serde_json::{Map, Value, json};

use super::notifications::parsed;
use super::words::parse_utc;
use crate::binary::simulation::{notification, read_message};
use crate::binary::{Dialect, Frame, Unsendable};
use crate::notification::{Payload, PushType, rule};

/// Options of other libraries that stand in `alert`, and those that stand in `aps`.
const OF_ALERT: [&str; 13] = [
    "action",
    "action_loc_key",
    "body",
    "launch_image",
    "loc_args",
    "loc_key",
    "subtitle",
    "subtitle_loc_key",
    "summary_arg",
    "title",
    "title_loc_args",
    "title_loc_key",
    "subtitle_loc_args",
];

/// Writes out the shorthand of the file: `"a" * 210` and `("ab" * 256) + "x"`.
fn spelled_out(shorthand: &str) -> String {
    let (repeated, tail) = shorthand.split_once(" + ").unwrap_or((shorthand, "\"\""));
    let Some((unit, times)) = repeated.trim_matches(['(', ')']).split_once(" * ") else {
        return shorthand.to_owned();
    };
    let unit = match unit.strip_prefix("U+") {
        Some(digits) => {
            let number = u32::from_str_radix(digits, 16).unwrap();
            char::from_u32(number).unwrap().to_string()
        }
        None => unit.trim_matches('"').to_owned(),
    };
    let times = times.split(' ').next().unwrap().parse().unwrap();
    unit.repeat(times) + tail.trim_matches('"')
}

/// JSON of so many bytes.
fn json_of(bytes: u64) -> String {
    let framing = r#"{"a":""}"#.len();
    format!(
        "{{\"a\":\"{}\"}}",
        "x".repeat(usize::try_from(bytes).unwrap() - framing)
    )
}

/// What a provider's rule or the binary gateway says of a payload, and what of it is sent.
pub(super) fn size(input: &Value) -> Value {
    if let Some(json) = input["json"].as_str() {
        return json!({ "bytes": Payload::parse(json.as_bytes()).unwrap().as_bytes().len() });
    }
    if let Some(alert) = input["alert"].as_str() {
        return alert_by_the_gateway(&spelled_out(alert), input["limit"].as_u64().unwrap());
    }
    if input["api"] == "http2" {
        return json!({ "limit": largest_by_http2() });
    }
    let bytes = input["bytes"].as_u64().unwrap();
    if input["api"] == "binary" {
        let notification = notification(&[7; 32], json_of(bytes).as_bytes());
        return json!({ "valid": Frame::new(&notification).check(Dialect::ITEMS).is_ok() });
    }
    // What stands in the row is no JSON; something of the same size is sent.
    assert_eq!(
        spelled_out(input["payload"].as_str().unwrap()).len() as u64,
        bytes
    );
    let payload = json_of(bytes);
    let push = format!(r#"{{"to":{{"token":"ab"}},"topic":"a.b","payload":{payload}}}"#);
    match parsed(&push) {
        Ok(_) => json!({ "sent": true }),
        Err(problem) => {
            json!({ "sent": false, "status": problem.status(), "error": problem.rule() })
        }
    }
}

/// An alert in a frame, by a gateway of this limit.
fn alert_by_the_gateway(alert: &str, limit: u64) -> Value {
    let json = format!("{{\"aps\":{{\"alert\":\"{alert}\"}}}}");
    let notification = notification(&[7; 32], json.as_bytes());
    let dialect = match limit {
        256 => Dialect::new(crate::binary::Command::Enhanced),
        _ => Dialect::ITEMS,
    };
    assert_eq!(dialect.payload_max() as u64, limit);
    let mut out = Vec::new();
    let result = Frame::new(&notification).encode(dialect, &mut out);
    let error = match result {
        Ok(()) => Value::Null,
        Err(Unsendable::PayloadTooLarge { .. }) => rule::PAYLOAD_TOO_LARGE.into(),
        Err(other) => other.to_string().into(),
    };
    let sent = read_message(&out).map_or(0, |(message, _)| message.payload.len());
    let bytes = notification.payload().as_bytes().len();
    json!({
        "valid": result.is_ok(), "too_long": result.is_err(), "error": error,
        "bytes": bytes, "payload_bytes": bytes, "after_shrink": sent,
        "packet_bytes": out.len(), "bytes_written": out.len(),
    })
}

/// The largest alert that is not refused.
fn largest_by_http2() -> u64 {
    let is_taken = |bytes: &u64| {
        let payload = Payload::parse(json_of(*bytes).as_bytes());
        payload.is_ok_and(|payload| payload.check_size(PushType::Alert).is_ok())
    };
    (1_000..6_000).rev().find(is_taken).unwrap()
}

/// What is found about a payload that has such custom keys, or such an `aps`.
pub(super) fn validated(input: &Value) -> Value {
    let payload = match &input["custom"] {
        Value::Object(custom) => Value::Object(custom.clone()),
        _ => json!({ "aps": input }),
    };
    let inspected = Payload::inspect(payload.to_string().as_bytes(), None).unwrap();
    let error = inspected
        .findings
        .violation()
        .map(|violation| violation.rule());
    json!({ "error": error, "push_type": inspected.push_type.as_str() })
}

/// A payload of the options that a row names, which the product has nothing against.
///
/// The JSON that the other library makes of them is read as well: if it is refused, or has a key
/// that is not known or a wrong value, there is nothing to compare.
pub(super) fn built(input: &Value) -> Value {
    let text = match input["json"].as_str() {
        Some(json) => json.to_owned(),
        None => payload_of(input).to_string(),
    };
    let theirs = input["read"].as_str().unwrap_or(&text);
    for json in [&text, theirs] {
        if let Some(finding) = finding_against(json, input) {
            return json!({ "finding": finding });
        }
    }
    let payload = Payload::parse(text.as_bytes()).unwrap();
    let sent = payload.as_bytes();
    json!({
        "json": str::from_utf8(sent).unwrap(), "bytes": sent.len(), "utf8_hex": hex::encode(sent),
        "roundtrip": sent == text.as_bytes(),
    })
}

/// What the product has against this JSON. Some rows are parts of a payload: that something is
/// missing from those does not count.
fn finding_against(json: &str, input: &Value) -> Option<String> {
    let inspected = match Payload::inspect(json.as_bytes(), push_type_of(json, input)) {
        Ok(inspected) => inspected,
        Err(error) => return Some(error.to_string()),
    };
    assert_eq!(inspected.payload.as_bytes(), json.as_bytes());
    let is_whole = json.contains("alert") || json.contains("timestamp");
    let missing = [
        rule::ALERT_SHOWS_NOTHING,
        rule::LIVEACTIVITY_INCOMPLETE,
        rule::LIVEACTIVITY_END_STATE,
    ];
    let mut findings = inspected.findings.as_slice().iter();
    let found = findings.find(|finding| is_whole || !missing.contains(&finding.what().rule()));
    found.map(ToString::to_string)
}

/// The push type that a payload is meant for, where it says so.
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

/// What a caller of the product would write for these options.
fn payload_of(input: &Value) -> Value {
    let (mut root, mut aps, mut alert) = (Map::new(), Map::new(), Map::new());
    let is_live = input["event"].is_string();
    for (name, value) in input.as_object().unwrap() {
        let key = name.replace('_', "-");
        match (name.as_str(), value) {
            ("read" | "type" | "critical" | "volume", _) => {}
            ("custom", custom) => root.extend(custom.as_object().unwrap().clone()),
            ("mdm", _) => _ = root.insert(key, value.clone()),
            ("alert", text) => _ = aps.insert(key, text.clone()),
            ("newsstand", _) => _ = aps.insert("content-available".to_owned(), 1.into()),
            ("push_type", _) => _ = aps.insert("content-changed".to_owned(), true.into()),
            ("content_available" | "mutable_content", _) => _ = aps.insert(key, 1.into()),
            ("dismissal_date", Value::String(text)) => {
                aps.insert(key, parse_utc(text).into());
            }
            ("sound", Value::String(name)) if input["critical"] == true => {
                let volume = &input["volume"];
                let sound = json!({ "critical": 1, "name": name, "volume": volume });
                aps.insert(key, sound);
            }
            // The sound of a Live Activity's alert stands in the alert.
            ("sound", _) if is_live => _ = alert.insert(key, value.clone()),
            (name, _) if OF_ALERT.contains(&name) => _ = alert.insert(key, value.clone()),
            _ => _ = aps.insert(key, value.clone()),
        }
    }
    if !alert.is_empty() {
        aps.insert("alert".to_owned(), alert.into());
    }
    if !input["mdm"].is_string() {
        root.insert("aps".to_owned(), aps.into());
    }
    root.into()
}

/// The same where the other library writes what Apple does not document.
pub(super) fn quirk(input: &Value) -> Value {
    let aps = match &input["badge"] {
        Value::Null => json!({ "content-available": 1 }),
        badge => json!({ "badge": badge }),
    };
    let json = json!({ "aps": aps }).to_string();
    let inspected = Payload::inspect(json.as_bytes(), None).unwrap();
    assert_eq!(inspected.findings.violation(), None);
    let sent: Value = serde_json::from_slice(inspected.payload.as_bytes()).unwrap();
    json!({ "badge": sent["aps"]["badge"], "json": sent.to_string() })
}

/// A payload that other libraries cut until it fits. Here what came goes out, or nothing does.
pub(super) fn untrimmed(input: &Value) -> Value {
    let json = payload_before_it_is_cut(input).to_string();
    let payload = match Payload::inspect(json.as_bytes(), None) {
        Ok(inspected) => inspected.payload,
        Err(error) => return json!({ "error": error.rule() }),
    };
    let sent: Value = serde_json::from_slice(payload.as_bytes()).unwrap();
    let (bytes, alert) = (payload.as_bytes().len(), &sent["aps"]["alert"]);
    let characters = alert.as_str().map(|text| text.chars().count());
    let too_long_by = input["limit"].as_u64().map(|limit| bytes as u64 - limit);
    json!({
        "sent": "as it came", "bytes": bytes, "json_bytes": bytes, "too_long_by": too_long_by,
        "alert_present": !alert.is_null(), "alert_chars": characters,
    })
}

fn payload_before_it_is_cut(input: &Value) -> Value {
    let mut options = input.as_object().unwrap().clone();
    for name in ["limit", "limit_whole_packet", "packet_overhead"] {
        options.remove(name);
    }
    if let Some(Value::String(text)) = options.get_mut("alert") {
        *text = spelled_out(text);
    }
    if let Some(Value::Object(custom)) = options.get_mut("custom") {
        for value in custom.values_mut() {
            if let Value::String(text) = value {
                *text = spelled_out(text);
            }
        }
    }
    let has_aps = options.keys().any(|name| name != "custom");
    let mut payload = payload_of(&options.into());
    if let Some(members) = payload.as_object_mut().filter(|_| !has_aps) {
        members.remove("aps");
    }
    payload
}
