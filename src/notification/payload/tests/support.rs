//! Payloads written from their parts, and what is said about them.

use super::*;

/// What is found in a payload that APNs can take.
pub(super) fn findings(push_type: Option<PushType>, json: &str) -> Findings {
    let inspected = Payload::inspect(json.as_bytes(), push_type);
    inspected
        .unwrap_or_else(|error| panic!("{json}: {error}"))
        .findings
}

/// The rules of all findings.
pub(super) fn rules_of(push_type: Option<PushType>, json: &str) -> Vec<&'static str> {
    let findings = findings(push_type, json);
    let rules = findings.as_slice().iter().map(|one| one.what().rule());
    rules.collect()
}

/// Nothing is unusual.
#[track_caller]
pub(super) fn clean(push_type: Option<PushType>, json: &str) {
    let findings = findings(push_type, json);
    assert!(findings.as_slice().is_empty(), "{json}: {findings:?}");
}

/// The first violation is of this rule, and reads so.
#[track_caller]
pub(super) fn breaks(push_type: Option<PushType>, rule: &str, json: &str, text: &str) {
    let findings = findings(push_type, json);
    let violation = findings.violation().map(InvalidNotification::rule);
    assert_eq!(violation, Some(rule), "{json}: {findings:?}");
    let first = |one: &&Finding| one.weight() == Weight::Violation;
    let first = findings.as_slice().iter().find(first).unwrap();
    assert_eq!(first.to_string(), text, "{json}");
}

/// The only finding is a remark of this rule, and reads so.
#[track_caller]
pub(super) fn remarks(push_type: Option<PushType>, rule: &str, json: &str, text: &str) {
    let findings = findings(push_type, json);
    let [only] = findings.as_slice() else {
        panic!("{json}: {findings:?}")
    };
    assert_eq!(
        (only.weight(), only.what().rule()),
        (Weight::Remark, rule),
        "{json}"
    );
    assert_eq!(only.to_string(), text, "{json}");
    assert_eq!(findings.violation(), None);
}

/// An alert with these members of `aps`, beside an alert.
pub(super) fn alert(members: &str) -> String {
    format!(r#"{{"aps":{{"alert":"a",{members}}}}}"#)
}

/// An update of a Live Activity with these members of `aps`.
pub(super) fn live(members: &str) -> String {
    format!(r#"{{"aps":{{"timestamp":1,"event":"update","content-state":{{}},{members}}}}}"#)
}

/// The start of a Live Activity, complete but for one key, which is left to the caller.
pub(super) fn start(without: &str, members: &str) -> String {
    let mut aps = members.to_owned();
    for (key, value) in [
        ("timestamp", "1"),
        ("event", r#""start""#),
        ("content-state", "{}"),
        ("alert", r#"{"title":"a","body":"b"}"#),
        ("attributes-type", r#""A""#),
        ("attributes", "{}"),
    ] {
        if key != without {
            aps = format!(r#"{aps},"{key}":{value}"#);
        }
    }
    format!(r#"{{"aps":{{{}}}}}"#, aps.trim_start_matches(','))
}

/// An alert with these members of `alert`.
pub(super) fn in_alert(members: &str) -> String {
    format!(r#"{{"aps":{{"alert":{{{members}}}}}}}"#)
}

/// Each of the values is fine for an alert, under `key` of the object that `within` writes.
pub(super) fn takes(within: fn(&str) -> String, key: &str, values: &[&str]) {
    for value in values {
        clean(None, &within(&format!(r#""{key}":{value}"#)));
    }
}

/// Each of the values breaks the rule, with `expected` and what came.
pub(super) fn refuses(
    within: fn(&str) -> String,
    rule: &str,
    path: &str,
    expected: &str,
    values: &[(&str, &str)],
) {
    let key = path.rsplit('.').next().unwrap();
    for (value, got) in values {
        let json = within(&format!(r#""{key}":{value}"#));
        breaks(
            None,
            rule,
            &json,
            &format!("{path}: expected {expected}, got {got}"),
        );
    }
}

/// What is no string.
pub(super) const NO_TEXT: &[(&str, &str)] = &[
    ("1", "a number"),
    ("true", "a boolean"),
    ("null", "null"),
    (r#"["a"]"#, "an array"),
    (r#"{"a":"b"}"#, "an object"),
];

/// What is no number.
pub(super) const NO_NUMBER: &[(&str, &str)] = &[
    (r#""1""#, "a string"),
    ("true", "a boolean"),
    ("null", "null"),
    ("[1]", "an array"),
    ("{}", "an object"),
];

/// What is no array of strings.
pub(super) const NO_TEXTS: &[(&str, &str)] = &[
    (r#""a""#, "a string"),
    ("1", "a number"),
    ("{}", "an object"),
    ("false", "a boolean"),
];
