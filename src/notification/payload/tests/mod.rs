//! Payloads right and wrong: syntax, sizes, bytes kept, what is inferred, what is printed. The
//! rules of keys and of push types have files of their own.

use super::*;
use crate::limits::PAYLOAD_FINDINGS_MAX;

mod alert;
mod aps;
mod purposes;
mod support;

use support::*;

fn rule_of(json: &str) -> &'static str {
    Payload::parse(json.as_bytes()).unwrap_err().rule()
}

/// An object of exactly this many bytes.
fn of_size(bytes: usize) -> Vec<u8> {
    format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8)).into_bytes()
}

#[test]
fn what_is_not_one_object_is_refused() {
    assert_eq!(rule_of(""), rule::PAYLOAD_EMPTY);
    for json in ["[]", "\"a\"", "1", "-1", "true", "null", " [1]"] {
        assert_eq!(rule_of(json), rule::PAYLOAD_NOT_OBJECT, "{json}");
    }
    for json in [
        " ",
        "{",
        "{}}",
        "{} {}",
        "{\"a\"}",
        "{\"a\":01}",
        "{'a':1}",
        "{a:1}",
        "{\"a\":1,}",
        "x",
        "\u{feff}{}",
        "{\"a\":\"\n\"}",
        "{\"aps\":",
        "{\"aps\":{\"alert\":}}",
    ] {
        assert_eq!(rule_of(json), rule::PAYLOAD_NOT_JSON, "{json}");
    }
    assert_eq!(
        Payload::parse(b"{\"a\":\"\xff\"}").unwrap_err().got(),
        "no UTF-8 at byte 6"
    );
}

#[test]
fn sizes_count_bytes() {
    let alert = Payload::parse(&of_size(4_096)).unwrap();
    assert!(alert.check_size(PushType::Alert).is_ok());
    let larger = Payload::parse(&of_size(4_097)).unwrap();
    let error = larger.check_size(PushType::Alert).unwrap_err();
    assert_eq!(
        error.to_string(),
        "payload: expected at most 4096 bytes for push type alert, got 4097 bytes \
         (payload-too-large)"
    );
    assert!(larger.check_size(PushType::Voip).is_ok());
    assert!(Payload::parse(&of_size(5_120)).is_ok());
    assert_eq!(
        Payload::parse(&of_size(5_121)).unwrap_err().rule(),
        rule::PAYLOAD_TOO_LARGE
    );
    let euros = format!("{{\"a\":\"{}\"}}", "€".repeat(1_363));
    assert_eq!((euros.chars().count(), euros.len()), (1_371, 4_097));
    assert!(
        Payload::parse(euros.as_bytes())
            .unwrap()
            .check_size(PushType::Alert)
            .is_err()
    );
}

#[test]
fn nesting_is_bounded_at_what_a_tree_parser_takes() {
    let nested = |arrays: usize| format!("{{\"a\":{}{}}}", "[".repeat(arrays), "]".repeat(arrays));
    let deepest = nested(PAYLOAD_MAX_DEPTH - 1);
    assert!(Payload::parse(deepest.as_bytes()).is_ok());
    assert!(serde_json::from_str::<serde_json::Value>(&deepest).is_ok());
    assert_eq!(rule_of(&nested(PAYLOAD_MAX_DEPTH)), rule::PAYLOAD_TOO_DEEP);
    assert!(serde_json::from_str::<serde_json::Value>(&nested(PAYLOAD_MAX_DEPTH)).is_err());
    assert_eq!(rule_of(&nested(2_500)), rule::PAYLOAD_TOO_DEEP);
    assert_eq!(rule_of(&"{\"a\":".repeat(900)), rule::PAYLOAD_NOT_JSON);
}

#[test]
fn brackets_in_strings_and_many_flat_arrays_are_not_depth() {
    let flat = format!(
        "{{\"a\":[{}[]],\"b\":\"\\\"{}\"}}",
        "[],".repeat(300),
        "[{".repeat(300)
    );
    assert!(Payload::parse(flat.as_bytes()).is_ok());
}

#[test]
fn background_is_inferred_from_aps_alone() {
    let inferred = |json: &str| {
        Payload::parse(json.as_bytes())
            .unwrap()
            .inferred_push_type()
    };
    for json in [
        r#"{"aps":{"content-available":1}}"#,
        r#"{"aps":{"content-available":true,"alert":null},"alert":"mine"}"#,
        r#"{"aps":{"content-available":"1","mutable-content":1}}"#,
        r#"{"aps":{"alert":"x"},"aps":{"content\u002davailable":1}}"#,
        r#"{"aps":{"content-available":[0,{}]}}"#,
    ] {
        assert_eq!(inferred(json), PushType::Background, "{json}");
    }
    for json in [
        "{}",
        r#"{"aps":{}}"#,
        r#"{"content-available":1}"#,
        r#"{"aps":{"content-available":0}}"#,
        r#"{"aps":{"content-available":0.0}}"#,
        r#"{"aps":{"content-available":false}}"#,
        r#"{"aps":{"content-available":1,"badge":0}}"#,
        r#"{"aps":{"sound":"a","content-available":1}}"#,
        r#"{"aps":{"content-available":1,"alert":{"title":"a"}}}"#,
        r#"{"aps":{"nested":{"content-available":1}}}"#,
    ] {
        assert_eq!(inferred(json), PushType::Alert, "{json}");
    }
}

#[test]
fn printing_does_not_reveal_a_payload() {
    let payload = Payload::parse(br#"{"aps":{"alert":"secret"}}"#).unwrap();
    assert_eq!(format!("{payload:?}"), "Payload(26 bytes)");
    assert_eq!(payload.to_string(), "26 bytes");
    for json in [r#"{"aps":{"alert":"secret"}"#, r#""secret""#, "secret"] {
        let error = Payload::parse(json.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

#[test]
fn the_bytes_are_kept() {
    for json in [
        " { \"aps\" : { \"badge\":1 },\"b\":1.50,\"a\":\"\\u00e9\" }\n",
        "{}",
        "\r\n\t{\t}\n",
        r#"{"aps":{"alert":"\u0041\/\ud83d\ude00\"\\"}}"#,
        r#"{"aps":{"alert":"a"},"aps":{"alert":"b","alert":"c"},"x":1,"x":2}"#,
        r#"{"n":[1.50,-0,0e0,1E+2,1e999,123456789012345678901234567890,0.1000]}"#,
        r#"{"aps":{"badge":1.0e0,"relevance-score":0.50}}"#,
        "{\"aps\":{\"alert\":\"Grüße \u{1f414}\u{2028}\u{7f}e\u{301}\"}}",
        r#"{"own":"\ud800","\u0061ps":{"\u0062adge":1}}"#,
        r#"{"mdm":"magic"}"#,
        r#"{"":{"":[[],{}]}}"#,
    ] {
        let inspected = Payload::inspect(json.as_bytes(), None).unwrap();
        assert_eq!(inspected.payload.as_bytes(), json.as_bytes());
        assert_eq!(Payload::parse(json.as_bytes()), Ok(inspected.payload));
    }
}

#[test]
fn keys_are_read_through_their_escapes() {
    let rules = rules_of(None, r#"{"\u0061ps":{"\u0062adge":"1","s\u006fund":"a"}}"#);
    assert_eq!(rules, [rule::APS_BADGE]);
}

#[test]
fn an_escape_that_json_does_not_have_is_refused() {
    // The archived guide says so of `\U` expressly.
    assert_eq!(
        rule_of(r#"{"aps":{"alert":"\U0001f414"}}"#),
        rule::PAYLOAD_NOT_JSON
    );
    assert_eq!(rule_of(r#"{"own":"\x41"}"#), rule::PAYLOAD_NOT_JSON);
}

#[test]
fn what_no_double_and_no_string_can_hold_is_refused_where_it_matters() {
    assert_eq!(
        rule_of(r#"{"aps":{"badge":1e999}}"#),
        rule::PAYLOAD_NOT_JSON
    );
    assert_eq!(
        rule_of(r#"{"aps":{"alert":"\ud800"}}"#),
        rule::PAYLOAD_NOT_JSON
    );
    // In own values it is sent, and said.
    let rules = rules_of(None, r#"{"aps":{"badge":1},"own":[1e999,"\ud800"]}"#);
    assert_eq!(rules, [rule::OWN_TEXT, rule::OWN_NUMBER]);
}

#[test]
fn own_values_that_are_read_in_different_ways_are_remarked_on() {
    let own = |value: &str| format!(r#"{{"aps":{{"alert":"a"}},"own":{value}}}"#);
    let expected = "payload.own: expected an object, array, string, number or boolean";
    let text = format!("{expected}, got null");
    remarks(None, rule::OWN_NULL, &own("null"), &text);
    let text = format!("{expected}, got null in it");
    for value in ["[1,null]", r#"{"a":{"b":null}}"#] {
        remarks(None, rule::OWN_NULL, &own(value), &text);
        remarks(Some(PushType::Voip), rule::OWN_NULL, &own(value), &text);
    }
    let text = "payload.own: expected whole characters, got half a surrogate pair";
    for value in [
        r#""\ud800""#,
        r#"{"\udc00":1}"#,
        r#"["\ud83d\ud83d\ude00"]"#,
    ] {
        remarks(None, rule::OWN_TEXT, &own(value), text);
    }
    let text = "payload.own: expected numbers that a double holds, got a larger one";
    remarks(None, rule::OWN_NUMBER, &own("-1e999"), text);
    for value in [r#""null""#, r#""\ud83d\ude00""#, "[1.5,true,{}]", "[]"] {
        clean(None, &own(value));
    }
    // Where the app says what is read, a null is an optional value that is not there.
    let live = Some(PushType::LiveActivity);
    let state = |value: &str| {
        let state = format!(r#"{{"a":{value}}}"#);
        format!(r#"{{"aps":{{"timestamp":1,"event":"update","content-state":{state}}}}}"#)
    };
    clean(live, &state("null"));
    let text = "payload.aps.content-state: expected whole characters, got half a surrogate pair";
    remarks(live, rule::OWN_TEXT, &state(r#""\ud800""#), text);
}

#[test]
fn a_date_that_is_a_duration_is_remarked_on() {
    let live = Some(PushType::LiveActivity);
    let expected = "expected seconds since 1970 such as 1770000000, got";
    for (value, got) in [("3600", "3600"), ("1", "1"), ("999999999.5", "999999999.5")] {
        let json = support::live(&format!(r#""stale-date":{value}"#));
        let text = format!("payload.aps.stale-date: {expected} {got}");
        remarks(live, rule::DATE_UNUSUAL, &json, &text);
        let end = r#""timestamp":1,"event":"end","content-state":{}"#;
        let json = format!(r#"{{"aps":{{{end},"dismissal-date":{value}}}}}"#);
        let text = format!("payload.aps.dismissal-date: {expected} {got}");
        remarks(live, rule::DATE_UNUSUAL, &json, &text);
    }
    for value in ["0", "1000000000", "1770000000"] {
        clean(live, &support::live(&format!(r#""stale-date":{value}"#)));
    }
}

#[test]
fn an_alert_with_nothing_in_it_is_for_wallet_passes_alone() {
    let violation = |json: &str, push_type, topic: &str| {
        let mut inspected = Payload::inspect(json.as_bytes(), push_type).unwrap();
        inspected.check_topic(&Topic::parse(topic).unwrap());
        inspected.findings.violation().map(ToString::to_string)
    };
    let text = "payload.aps: expected alert, badge or sound, or another push_type, got none \
                (alert-shows-nothing)";
    for json in ["{}", " { } ", r#"{"aps":{}}"#] {
        for push_type in [None, Some(PushType::Alert)] {
            for topic in ["com.example.app", "passport.example", "com.pass.example"] {
                assert_eq!(violation(json, push_type, topic).as_deref(), Some(text));
            }
            assert_eq!(violation(json, push_type, "pass.com.example.ticket"), None);
        }
        for push_type in [PushType::Voip, PushType::Location, PushType::Complication] {
            assert_eq!(violation(json, Some(push_type), "com.example.app"), None);
        }
    }
    let own = violation(r#"{"acme":1}"#, None, "pass.com.example.ticket");
    assert_eq!(
        own.as_deref(),
        Some(text),
        "and that is no update of a pass"
    );
}

#[test]
fn findings_are_bounded_whatever_comes() {
    let many = format!("{{\"aps\":{{{}\"badge\":\"1\"}}}}", "\"x\":1,".repeat(500));
    let findings = findings(None, &many);
    assert_eq!(findings.as_slice().len(), PAYLOAD_FINDINGS_MAX);
    assert_eq!(findings.violation().unwrap().rule(), rule::APS_BADGE);
}

#[test]
fn a_key_shown_in_a_finding_is_cut() {
    let json = format!("{{\"aps\":{{\"alert\":1,\"{}\":1}}}}", "k\\n".repeat(900));
    for finding in findings(None, &json).as_slice() {
        assert!(finding.to_string().chars().count() < 200, "{finding}");
    }
}

#[test]
fn findings_quote_no_value() {
    let json = r#"{"aps":{"alert":{"title":["secret"],"body":{"k":"secret"}},"badge":"secret",
        "sound":{"name":7,"critical":"secret"},"event":"secret","interruption-level":"secret",
        "input-push-channel":"secret!","url-args":[["secret"]],"category":{"secret":1}},
        "own":{"secret":1}}"#;
    for push_type in PushType::ALL {
        let findings = findings(Some(push_type), json);
        assert!(findings.as_slice().len() > 5);
        let text = format!("{findings:?} {}", findings.as_slice()[0]);
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn every_push_type_survives_every_short_change() {
    let json = r#"{"aps":{"alert":{"title":{"loc-key":"a","loc-args":["b"]},"sound":{"critical":1}},
        "timestamp":1,"event":"start","content-state":{},"sound":{"volume":0.5}},"mdm":"m"}"#;
    for end in 0..json.len() {
        for push_type in PushType::ALL {
            let cut = &json.as_bytes()[..end];
            assert!(Payload::inspect(cut, Some(push_type)).is_err(), "{end}");
            for byte in *b"\"0{[]},:x\\" {
                let mut changed = json.as_bytes().to_vec();
                changed[end] = byte;
                if let Ok(inspected) = Payload::inspect(&changed, Some(push_type)) {
                    assert_eq!(inspected.payload.as_bytes(), changed);
                    assert!(inspected.findings.as_slice().len() <= PAYLOAD_FINDINGS_MAX);
                }
            }
        }
    }
}
