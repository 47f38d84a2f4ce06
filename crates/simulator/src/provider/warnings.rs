//! Turns an accepted notification into what APNs does not say: why the phone may show nothing.
//!
//! Source: Apple, *Generating a remote notification* (`docs/protocols.md` 4.1 to 4.3). APNs does
//! not parse the payload in its answers, so none of this changes a status.

use serde_json::Value;

/// What is doubtful about a payload, given its push type.
pub(super) fn of(push_type: Option<&str>, payload: &[u8]) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    if push_type.is_none() {
        warnings
            .push("no apns-push-type: watchOS requires it and Apple recommends it with each push");
    }
    let Ok(Value::Object(root)) = serde_json::from_slice::<Value>(payload) else {
        warnings.push("the payload is not a JSON object: no device can read it");
        return warnings;
    };
    let aps = root.get("aps");
    let shows = ["alert", "badge", "sound"].iter().any(|key| has(aps, key));
    let is_silent = aps.and_then(|aps| aps.get("content-available")) == Some(&Value::from(1));
    match push_type {
        Some("alert") if !shows => {
            warnings.push("push type alert, but the payload has no alert, badge or sound");
        }
        Some("background") if shows => {
            warnings.push("push type background, but the payload has an alert, badge or sound");
        }
        Some("background") if !is_silent => {
            warnings.push("push type background, but the payload has no content-available 1");
        }
        Some("liveactivity") => warnings.extend(live_activity(aps)),
        Some("widgets" | "controls") if !has(aps, "content-changed") => {
            warnings.push("an update of widgets or controls, but no content-changed");
        }
        _ => {}
    }
    warnings
}

/// The same for a broadcast, which is always one of a Live Activity.
pub(super) fn of_broadcast(payload: &[u8]) -> Vec<&'static str> {
    let mut warnings = of(Some("liveactivity"), payload);
    let parsed = serde_json::from_slice::<Value>(payload).unwrap_or_default();
    if parsed.pointer("/aps/event") == Some(&Value::from("start")) {
        warnings.push("a broadcast cannot start a Live Activity");
    }
    warnings
}

fn live_activity(aps: Option<&Value>) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    if ["timestamp", "event", "content-state"]
        .iter()
        .any(|key| !has(aps, key))
    {
        warnings.push("a Live Activity needs timestamp, event and content-state");
    }
    let starts = aps.and_then(|aps| aps.get("event")) == Some(&Value::from("start"));
    if starts
        && ["alert", "attributes-type", "attributes"]
            .iter()
            .any(|key| !has(aps, key))
    {
        warnings.push("starting a Live Activity needs alert, attributes-type and attributes");
    }
    warnings
}

fn has(aps: Option<&Value>, key: &str) -> bool {
    aps.and_then(|aps| aps.get(key))
        .is_some_and(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_as_documented_has_no_warnings() {
        for (push_type, payload) in [
            ("alert", r#"{"aps":{"alert":"hi"}}"#),
            ("background", r#"{"aps":{"content-available":1}}"#),
            ("widgets", r#"{"aps":{"content-changed":true}}"#),
            ("mdm", r#"{"mdm":"magic"}"#),
            (
                "liveactivity",
                r#"{"aps":{"timestamp":1,"event":"end","content-state":{}}}"#,
            ),
        ] {
            assert!(
                of(Some(push_type), payload.as_bytes()).is_empty(),
                "{payload}"
            );
        }
    }

    #[test]
    fn a_broadcast_updates_and_ends_but_does_not_start() {
        for (event, expected) in [("update", 0), ("end", 0), ("start", 2)] {
            let payload =
                format!(r#"{{"aps":{{"timestamp":1,"event":"{event}","content-state":{{}}}}}}"#);
            assert_eq!(of_broadcast(payload.as_bytes()).len(), expected, "{event}");
        }
    }

    #[test]
    fn what_a_phone_cannot_show_is_named() {
        for (push_type, payload, expected) in [
            (None, r#"{"aps":{"alert":"hi"}}"#, "no apns-push-type"),
            (Some("alert"), "hello", "not a JSON object"),
            (Some("alert"), "[]", "not a JSON object"),
            (Some("alert"), "{}", "no alert, badge or sound"),
            (
                Some("background"),
                r#"{"aps":{"alert":"hi"}}"#,
                "has an alert",
            ),
            (
                Some("background"),
                r#"{"aps":{"content-available":"1"}}"#,
                "no content-available",
            ),
            (
                Some("liveactivity"),
                r#"{"aps":{"event":"update"}}"#,
                "timestamp",
            ),
            (Some("controls"), r#"{"aps":{}}"#, "content-changed"),
        ] {
            let warnings = of(push_type, payload.as_bytes());
            assert!(
                warnings.iter().any(|warning| warning.contains(expected)),
                "{payload}"
            );
        }
    }
}
