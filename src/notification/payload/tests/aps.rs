//! `docs/protocols.md` 4.1, the keys of `aps`: one test for each row, named after its rule.

use super::*;

fn text_in_aps(rule: &str, key: &str) {
    takes(alert, key, &[r#""a""#, r#""""#, r#""\u00e9\n""#]);
    refuses(
        alert,
        rule,
        &format!("payload.aps.{key}"),
        "a string",
        NO_TEXT,
    );
}

#[test]
fn aps_not_object() {
    for (value, got) in [
        (r#""a""#, "a string"),
        ("[]", "an array"),
        ("null", "null"),
        ("1", "a number"),
    ] {
        let json = format!(r#"{{"aps":{value}}}"#);
        let text = format!("payload.aps: expected an object, got {got}");
        breaks(None, rule::APS_NOT_OBJECT, &json, &text);
        breaks(Some(PushType::Voip), rule::APS_NOT_OBJECT, &json, &text);
    }
}

#[test]
fn aps_alert() {
    clean(None, r#"{"aps":{"alert":"a"}}"#);
    clean(None, r#"{"aps":{"alert":{}}}"#);
    let aps = |members: &str| format!(r#"{{"aps":{{"badge":1,{members}}}}}"#);
    refuses(
        aps,
        rule::APS_ALERT,
        "payload.aps.alert",
        "a string or an object",
        &[("1", "a number"), ("[]", "an array"), ("null", "null")],
    );
}

#[test]
fn aps_badge() {
    takes(alert, "badge", &["0", "7", "1.0", "1e2", "-0"]);
    let path = "payload.aps.badge";
    refuses(alert, rule::APS_BADGE, path, "a number", NO_NUMBER);
    // Not copied: anachronistic/apns sends -1 to clear the badge. Apple documents 0.
    let wrong = [("-1", "-1"), ("1.5", "1.5")];
    let expected = "a whole number, 0 or more";
    refuses(alert, rule::APS_BADGE, path, expected, &wrong);
}

#[test]
fn aps_sound() {
    takes(
        alert,
        "sound",
        &[
            r#""default""#,
            r#"{"critical":1,"name":"default","volume":0.5}"#,
        ],
    );
    refuses(
        alert,
        rule::APS_SOUND,
        "payload.aps.sound",
        "a string or an object",
        &[("1", "a number"), ("[]", "an array"), ("null", "null")],
    );
}

#[test]
fn sound_not_critical() {
    for value in ["{}", r#"{"critical":0}"#, r#"{"name":"a"}"#] {
        remarks(
            None,
            rule::SOUND_NOT_CRITICAL,
            &alert(&format!(r#""sound":{value}"#)),
            "payload.aps.sound: expected critical 1 in it, or a string, got neither",
        );
    }
    // Each object is for itself.
    let twice = r#"{"aps":{"alert":"a","sound":{"critical":1},"sound":{}}}"#;
    let rules = rules_of(None, twice);
    assert_eq!(
        rules,
        [rule::PAYLOAD_DUPLICATE_KEY, rule::SOUND_NOT_CRITICAL]
    );
}

#[test]
fn sound_critical() {
    let sound = |members: &str| alert(&format!(r#""sound":{{"name":"a",{members}}}"#));
    takes(sound, "critical", &["1", "1.0"]);
    let path = "payload.aps.sound.critical";
    let rule = rule::SOUND_CRITICAL;
    refuses(sound, rule, path, "a number", NO_NUMBER);
    refuses(sound, rule, path, "0 or 1", &[("2", "2"), ("-1", "-1")]);
}

fn critical(members: &str) -> String {
    alert(&format!(r#""sound":{{"critical":1,{members}}}"#))
}

#[test]
fn sound_name() {
    takes(critical, "name", &[r#""default""#]);
    let path = "payload.aps.sound.name";
    refuses(critical, rule::SOUND_NAME, path, "a string", NO_TEXT);
}

#[test]
fn sound_volume() {
    takes(critical, "volume", &["0", "0.8", "1", "1.0", "1e-2"]);
    let (rule, path) = (rule::SOUND_VOLUME, "payload.aps.sound.volume");
    refuses(critical, rule, path, "a number", NO_NUMBER);
    let wrong = [("1.5", "1.5"), ("-0.1", "-0.1"), ("100", "100")];
    refuses(critical, rule, path, "a number from 0 to 1", &wrong);
}

#[test]
fn aps_thread_id() {
    text_in_aps(rule::APS_THREAD_ID, "thread-id");
}

#[test]
fn aps_category() {
    text_in_aps(rule::APS_CATEGORY, "category");
}

#[test]
fn aps_content_available() {
    takes(alert, "content-available", &["1", "0", "1.0"]);
    let (rule, path) = (rule::APS_CONTENT_AVAILABLE, "payload.aps.content-available");
    // Not copied: dotAPNS sends the string "1".
    refuses(alert, rule, path, "a number", NO_NUMBER);
    refuses(alert, rule, path, "0 or 1", &[("2", "2"), ("0.5", "0.5")]);
}

#[test]
fn aps_mutable_content() {
    takes(alert, "mutable-content", &["1", "0"]);
    let (rule, path) = (rule::APS_MUTABLE_CONTENT, "payload.aps.mutable-content");
    refuses(alert, rule, path, "a number", NO_NUMBER);
    refuses(alert, rule, path, "0 or 1", &[("2", "2"), ("-1", "-1")]);
}

#[test]
fn mutable_without_alert() {
    let text = "payload.aps.alert: expected an alert with mutable-content 1, got none";
    for json in [
        r#"{"aps":{"badge":1,"mutable-content":1}}"#,
        r#"{"aps":{"content-available":1,"mutable-content":1}}"#,
    ] {
        remarks(None, rule::MUTABLE_WITHOUT_ALERT, json, text);
    }
    clean(None, r#"{"aps":{"badge":1,"mutable-content":0}}"#);
}

#[test]
fn aps_target_content_id() {
    text_in_aps(rule::APS_TARGET_CONTENT_ID, "target-content-id");
}

#[test]
fn aps_interruption_level() {
    let key = "interruption-level";
    let levels = ["passive", "active", "time-sensitive", "critical"];
    for level in levels {
        takes(alert, key, &[&format!("\"{level}\"")]);
    }
    takes(alert, key, &[r#""p\u0061ssive""#]);
    let (rule, path) = (
        rule::APS_INTERRUPTION_LEVEL,
        "payload.aps.interruption-level",
    );
    refuses(alert, rule, path, "a string", NO_TEXT);
    let expected = "passive, active, time-sensitive or critical";
    let wrong = [
        (r#""timeSensitive""#, "another string"),
        (r#""Active""#, "another string"),
        (r#""""#, "another string"),
    ];
    refuses(alert, rule, path, expected, &wrong);
}

#[test]
fn aps_relevance_score() {
    takes(alert, "relevance-score", &["0", "0.1", "1", "1.0"]);
    let (rule, path) = (rule::APS_RELEVANCE_SCORE, "payload.aps.relevance-score");
    refuses(alert, rule, path, "a number", NO_NUMBER);
    let wrong = [
        ("7", "7"),
        ("-0.5", "-0.5"),
        ("18446744073709551615", "a number beyond 10^15"),
        ("1e300", "a number beyond 10^15"),
        ("-1e-300", "a number next to 0"),
    ];
    refuses(alert, rule, path, "a number from 0 to 1", &wrong);
    // For a Live Activity it is any number.
    for score in ["25", "100", "-3.5", "1e300"] {
        let json = live(&format!(r#""relevance-score":{score}"#));
        clean(Some(PushType::LiveActivity), &json);
    }
    breaks(
        Some(PushType::LiveActivity),
        rule,
        &live(r#""relevance-score":"25""#),
        "payload.aps.relevance-score: expected a number, got a string",
    );
}

#[test]
fn aps_filter_criteria() {
    text_in_aps(rule::APS_FILTER_CRITERIA, "filter-criteria");
}

/// A time of a Live Activity, in whatever payload `within` writes.
fn time(within: impl Fn(&str) -> String, rule: &str, key: &str) {
    let live = Some(PushType::LiveActivity);
    for value in ["1672680658", "0", "4294967295", "1672680658.5"] {
        clean(live, &within(&format!(r#""{key}":{value}"#)));
    }
    let path = format!("payload.aps.{key}");
    for (value, got) in NO_NUMBER {
        let json = within(&format!(r#""{key}":{value}"#));
        breaks(
            live,
            rule,
            &json,
            &format!("{path}: expected a number, got {got}"),
        );
    }
    // Milliseconds.
    let expected = "seconds since 1970, below 2^32";
    for value in ["1672680658123", "4294967296", "-1"] {
        let json = within(&format!(r#""{key}":{value}"#));
        breaks(
            live,
            rule,
            &json,
            &format!("{path}: expected {expected}, got {value}"),
        );
    }
}

#[test]
fn aps_stale_date() {
    time(live, rule::APS_STALE_DATE, "stale-date");
}

#[test]
fn aps_timestamp() {
    let within =
        |member: &str| format!(r#"{{"aps":{{"event":"update","content-state":{{}},{member}}}}}"#);
    time(within, rule::APS_TIMESTAMP, "timestamp");
}

#[test]
fn aps_dismissal_date() {
    let within = |member: &str| {
        format!(r#"{{"aps":{{"timestamp":1,"event":"end","content-state":{{}},{member}}}}}"#)
    };
    time(within, rule::APS_DISMISSAL_DATE, "dismissal-date");
}

/// A key of a Live Activity's start.
fn in_start(rule: &str, key: &str, right: &[&str], expected: &str, wrong: &[(&str, &str)]) {
    let push_type = Some(PushType::LiveActivity);
    for value in right {
        clean(push_type, &start(key, &format!(r#""{key}":{value}"#)));
    }
    for (value, got) in wrong {
        let json = start(key, &format!(r#""{key}":{value}"#));
        let text = format!("payload.aps.{key}: expected {expected}, got {got}");
        breaks(push_type, rule, &json, &text);
    }
}

/// What is no object.
const NO_OBJECT: &[(&str, &str)] = &[
    (r#""a""#, "a string"),
    ("1", "a number"),
    ("[]", "an array"),
];

#[test]
fn aps_content_state() {
    let (rule, key) = (rule::APS_CONTENT_STATE, "content-state");
    let right = ["{}", r#"{"aps":1,"alert":[],"own":{"badge":"x"}}"#];
    in_start(rule, key, &right, "an object", NO_OBJECT);
}

#[test]
fn aps_event() {
    let push_type = Some(PushType::LiveActivity);
    let json = |event: &str| {
        format!(r#"{{"aps":{{"timestamp":1,"content-state":{{}},"event":{event}}}}}"#)
    };
    clean(push_type, &json(r#""update""#));
    clean(push_type, &json(r#""end""#));
    clean(push_type, &start("", ""));
    let path = "payload.aps.event";
    for (value, got) in NO_TEXT {
        let text = format!("{path}: expected a string, got {got}");
        breaks(push_type, rule::APS_EVENT, &json(value), &text);
    }
    for value in [r#""Start""#, r#""stop""#, r#""""#] {
        let text = format!("{path}: expected start, update or end, got another string");
        breaks(push_type, rule::APS_EVENT, &json(value), &text);
    }
}

#[test]
fn aps_attributes_type() {
    let (rule, key) = (rule::APS_ATTRIBUTES_TYPE, "attributes-type");
    let wrong = [("1", "a number"), ("{}", "an object")];
    in_start(rule, key, &[r#""MyAttributes""#], "a string", &wrong);
}

#[test]
fn aps_attributes() {
    let (rule, key) = (rule::APS_ATTRIBUTES, "attributes");
    in_start(rule, key, &["{}", r#"{"a":[1]}"#], "an object", NO_OBJECT);
}

#[test]
fn aps_input_push_token() {
    let (rule, key) = (rule::APS_INPUT_PUSH_TOKEN, "input-push-token");
    in_start(rule, key, &["1"], "a number", NO_NUMBER);
    in_start(rule, key, &["1.0"], "1", &[("0", "0"), ("2", "2")]);
}

#[test]
fn aps_input_push_channel() {
    let (rule, key) = (rule::APS_INPUT_PUSH_CHANNEL, "input-push-channel");
    in_start(
        rule,
        key,
        &[r#""dHN0LXNyY2gtY2hubA==""#],
        "a string",
        NO_TEXT,
    );
    let wrong = [
        (r#""my channel""#, "another string"),
        (r#""""#, "another string"),
    ];
    in_start(rule, key, &[], "base64", &wrong);
}

#[test]
fn aps_content_changed() {
    let json = |value: &str| format!(r#"{{"aps":{{"content-changed":{value}}}}}"#);
    let rule = rule::APS_CONTENT_CHANGED;
    for push_type in [PushType::Widgets, PushType::Controls] {
        clean(Some(push_type), &json("true"));
        let text = "payload.aps.content-changed: expected true, got false";
        breaks(Some(push_type), rule, &json("false"), text);
        let text = "payload.aps.content-changed: expected a boolean, got a number";
        breaks(Some(push_type), rule, &json("1"), text);
    }
}

#[test]
fn aps_url_args() {
    takes(alert, "url-args", &["[]", r#"["a","b"]"#]);
    let (rule, path) = (rule::APS_URL_ARGS, "payload.aps.url-args");
    refuses(alert, rule, path, "an array of strings", NO_TEXTS);
    let json = alert(r#""url-args":["a",null]"#);
    let text = "payload.aps.url-args[1]: expected a string, got null";
    breaks(None, rule, &json, text);
}

#[test]
fn aps_account_id() {
    text_in_aps(rule::APS_ACCOUNT_ID, "account-id");
}

#[test]
fn aps_unknown_key() {
    let text = "payload.aps.colour: expected a key that Apple documents, got an unknown one";
    remarks(
        None,
        rule::APS_UNKNOWN_KEY,
        &alert(r#""colour":{"a":[1]}"#),
        text,
    );
    let json = in_alert(r#""body":"b","Title":1"#);
    let text = "payload.aps.alert.Title: expected a key that Apple documents, got an unknown one";
    remarks(None, rule::APS_UNKNOWN_KEY, &json, text);
    let json = critical(r#""loud":true"#);
    let text = "payload.aps.sound.loud: expected a key that Apple documents, got an unknown one";
    remarks(None, rule::APS_UNKNOWN_KEY, &json, text);
    // Beside aps every key is the app's, whatever its name.
    clean(
        None,
        r#"{"aps":{"alert":"a"},"badge":"x","colour":false,"mdm":1,"domain":[]}"#,
    );
}

#[test]
fn aps_key_misplaced() {
    let text = "payload.aps.event: expected push type liveactivity, got another";
    remarks(
        None,
        rule::APS_KEY_MISPLACED,
        &alert(r#""event":"end""#),
        text,
    );
    let text = "payload.aps.event: expected push type liveactivity, got alert";
    let alerts = Some(PushType::Alert);
    remarks(
        alerts,
        rule::APS_KEY_MISPLACED,
        &alert(r#""event":"end""#),
        text,
    );
    let text = "payload.aps.content-changed: expected push type widgets or controls, got another";
    let json = alert(r#""content-changed":true"#);
    remarks(None, rule::APS_KEY_MISPLACED, &json, text);
    let activity = Some(PushType::LiveActivity);
    let text = "payload.aps.sound: expected it inside alert for this push type, got liveactivity";
    remarks(
        activity,
        rule::APS_KEY_MISPLACED,
        &live(r#""sound":"a""#),
        text,
    );
    let text = "payload.aps.attributes: expected event start, got update";
    remarks(
        activity,
        rule::APS_KEY_MISPLACED,
        &live(r#""attributes":{}"#),
        text,
    );
    let text = "payload.aps.dismissal-date: expected event end, got start";
    let json = start("", r#""dismissal-date":1770000000"#);
    remarks(activity, rule::APS_KEY_MISPLACED, &json, text);
}

#[test]
fn payload_duplicate_key() {
    let once = "expected it once, got it again";
    let rule = rule::PAYLOAD_DUPLICATE_KEY;
    let json = r#"{"aps":{"alert":"a","badge":1,"badge":2}}"#;
    remarks(None, rule, json, &format!("payload.aps.badge: {once}"));
    let json = r#"{"aps":{"alert":"a"},"aps":{"alert":"b"}}"#;
    remarks(None, rule, json, &format!("payload.aps: {once}"));
    // The last one counts, and both are checked.
    let json = r#"{"aps":{"alert":"a"},"aps":{"badge":"1"}}"#;
    let found = rules_of(None, json);
    assert_eq!(found, [rule, rule::APS_BADGE]);
    let json = r#"{"aps":{"alert":"a"},"aps":{"category":"b"}}"#;
    assert_eq!(rules_of(None, json), [rule, rule::ALERT_SHOWS_NOTHING]);
    let json = r#"{"aps":{"badge":1,"badge":null}}"#;
    let expected = [rule, rule::APS_BADGE, rule::ALERT_SHOWS_NOTHING];
    assert_eq!(rules_of(None, json), expected);
    // An app may repeat its own keys.
    clean(None, r#"{"aps":{"alert":"a"},"own":1,"own":2}"#);
}
