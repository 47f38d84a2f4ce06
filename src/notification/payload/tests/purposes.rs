//! `docs/protocols.md` 4.3: what each push type asks of a payload, one test for each row.

use super::*;

#[test]
fn alert_shows_nothing() {
    for json in [
        r#"{"aps":{"alert":"a"}}"#,
        r#"{"aps":{"badge":0}}"#,
        r#"{"aps":{"sound":"default"}}"#,
        r#"{"aps":{"alert":{"title":"a"},"content-available":1,"mutable-content":1}}"#,
    ] {
        clean(Some(PushType::Alert), json);
    }
    let text = "payload.aps: expected alert, badge or sound, or another push_type, got none";
    for json in [
        r#"{"alert":"a"}"#,
        r#"{"mdm":"magic"}"#,
        r#"{"aps":{"category":"a"}}"#,
        r#"{"aps":{"content-available":0}}"#,
        r#"{"aps":{},"own":1}"#,
    ] {
        breaks(None, rule::ALERT_SHOWS_NOTHING, json, text);
        breaks(Some(PushType::Alert), rule::ALERT_SHOWS_NOTHING, json, text);
    }
    let silent = r#"{"aps":{"content-available":1}}"#;
    breaks(
        Some(PushType::Alert),
        rule::ALERT_SHOWS_NOTHING,
        silent,
        text,
    );
    clean(None, silent);
}

#[test]
fn a_wallet_pass_is_updated_by_an_empty_object() {
    for json in ["{}", " { } ", r#"{"aps":{}}"#] {
        clean(None, json);
        clean(Some(PushType::Alert), json);
    }
}

#[test]
fn background_not_silent() {
    let background = Some(PushType::Background);
    clean(
        background,
        r#"{"aps":{"content-available":1},"own":{"a":1}}"#,
    );
    let text = "payload.aps.content-available: expected 1, got none";
    for json in [
        "{}",
        r#"{"aps":{}}"#,
        r#"{"aps":{"content-available":0}}"#,
        r#"{"content-available":1}"#,
    ] {
        breaks(background, rule::BACKGROUND_NOT_SILENT, json, text);
    }
    // One finding is enough for one mistake.
    let json = r#"{"aps":{"content-available":"1"}}"#;
    assert_eq!(rules_of(background, json), [rule::APS_CONTENT_AVAILABLE]);
}

#[test]
fn background_shows() {
    for (member, key) in [
        (r#""alert":"a""#, "alert"),
        (r#""badge":0"#, "badge"),
        (r#""sound":"a""#, "sound"),
    ] {
        let json = format!(r#"{{"aps":{{"content-available":1,{member}}}}}"#);
        let text = format!("payload.aps.{key}: expected none for push type background, got one");
        breaks(
            Some(PushType::Background),
            rule::BACKGROUND_SHOWS,
            &json,
            &text,
        );
    }
}

const LIVE: Option<PushType> = Some(PushType::LiveActivity);

#[test]
fn liveactivity_incomplete() {
    let members = [
        ("timestamp", "1", "seconds since 1970"),
        ("event", r#""update""#, "start, update or end"),
        ("content-state", "{}", "an object"),
    ];
    let json = |without: &str| {
        let kept = members.iter().filter(|(key, ..)| *key != without);
        let kept: Vec<_> = kept
            .map(|(key, value, _)| format!(r#""{key}":{value}"#))
            .collect();
        format!(r#"{{"aps":{{{}}}}}"#, kept.join(","))
    };
    clean(LIVE, &json(""));
    for (key, _, expected) in members {
        let text = format!("payload.aps.{key}: expected {expected}, got none");
        breaks(LIVE, rule::LIVEACTIVITY_INCOMPLETE, &json(key), &text);
    }
    let all = rules_of(LIVE, "{}");
    assert_eq!(all, [rule::LIVEACTIVITY_INCOMPLETE; 3]);
}

#[test]
fn liveactivity_start_incomplete() {
    let members = [
        (
            "alert",
            r#"{"title":"a","body":"b"}"#,
            "one with event start",
        ),
        (
            "attributes-type",
            r#""A""#,
            "the name of the type with event start",
        ),
        ("attributes", "{}", "an object with event start"),
    ];
    let json = |without: &str| {
        let kept = members.iter().filter(|(key, ..)| *key != without);
        let kept: String = kept
            .map(|(key, value, _)| format!(r#","{key}":{value}"#))
            .collect();
        format!(r#"{{"aps":{{"timestamp":1,"event":"start","content-state":{{}}{kept}}}}}"#)
    };
    clean(LIVE, &json(""));
    for (key, _, expected) in members {
        let text = format!("payload.aps.{key}: expected {expected}, got none");
        breaks(LIVE, rule::LIVEACTIVITY_START_INCOMPLETE, &json(key), &text);
    }
}

#[test]
fn liveactivity_end_state() {
    let text = "payload.aps.content-state: expected the last one with event end, got none";
    let json = r#"{"aps":{"timestamp":1,"event":"end"}}"#;
    remarks(LIVE, rule::LIVEACTIVITY_END_STATE, json, text);
    clean(
        LIVE,
        r#"{"aps":{"timestamp":1,"event":"end","content-state":{"a":1},"dismissal-date":0}}"#,
    );
}

#[test]
fn broadcast_start() {
    let inspect = |json: &str| Payload::inspect_broadcast(json.as_bytes()).unwrap();
    let starts = |json: &str| {
        let findings = inspect(json).findings;
        let violation = findings.violation().map(InvalidNotification::rule);
        violation == Some(rule::BROADCAST_START)
    };
    let update = r#"{"aps":{"timestamp":1,"event":"update","content-state":{}}}"#;
    assert!(inspect(update).findings.as_slice().is_empty());
    assert_eq!(inspect(update).push_type, PushType::LiveActivity);
    let start = inspect(&update.replace("update", "start")).findings;
    assert_eq!(
        start.as_slice().first().unwrap().to_string(),
        "payload.aps.event: expected update or end in a broadcast, got start"
    );
    // Of several events the last one counts.
    assert!(starts(r#"{"aps":{"event":"end"},"aps":{"event":"start"}}"#));
    assert!(!starts(r#"{"aps":{"event":"start"},"aps":{}}"#));
    for last in ["1", "[]", "null", r#""stop""#] {
        let json = format!(r#"{{"aps":{{"event":"start","event":{last}}}}}"#);
        assert!(!starts(&json), "{json}");
    }
    assert!(Payload::inspect_broadcast(&of_size(5_120)).is_ok());
    let error = Payload::inspect_broadcast(&of_size(5_121)).unwrap_err();
    assert_eq!(error.rule(), rule::PAYLOAD_TOO_LARGE);
}

#[test]
fn content_changed_missing() {
    let text = "payload.aps.content-changed: expected true, got none";
    for push_type in [PushType::Widgets, PushType::Controls] {
        clean(
            Some(push_type),
            r#"{"aps":{"content-changed":true},"own":1}"#,
        );
        for json in ["{}", r#"{"aps":{}}"#, r#"{"content-changed":true}"#] {
            breaks(Some(push_type), rule::CONTENT_CHANGED_MISSING, json, text);
        }
    }
}

#[test]
fn mdm_push_magic() {
    let mdm = Some(PushType::Mdm);
    clean(mdm, r#"{"mdm":"00000000-1111-3333-4444-555555555555"}"#);
    let text = "payload.mdm: expected a string, got none";
    breaks(mdm, rule::MDM_PUSH_MAGIC, "{}", text);
    breaks(mdm, rule::MDM_PUSH_MAGIC, r#"{"aps":{}}"#, text);
    let text = "payload.mdm: expected a string, got a number";
    breaks(mdm, rule::MDM_PUSH_MAGIC, r#"{"mdm":1}"#, text);
}

#[test]
fn fileprovider_container() {
    let files = Some(PushType::FileProvider);
    clean(files, r#"{"container-identifier":"a","domain":"b"}"#);
    // An app with the default domain has none to name.
    clean(files, r#"{"container-identifier":"a"}"#);
    let text = "payload.container-identifier: expected a string, got none";
    breaks(
        files,
        rule::FILEPROVIDER_CONTAINER,
        r#"{"domain":"b"}"#,
        text,
    );
    let text = "payload.container-identifier: expected a string, got an object";
    let json = r#"{"container-identifier":{}}"#;
    breaks(files, rule::FILEPROVIDER_CONTAINER, json, text);
}

#[test]
fn fileprovider_domain() {
    let json = r#"{"container-identifier":"a","domain":1}"#;
    let text = "payload.domain: expected a string, got a number";
    let files = Some(PushType::FileProvider);
    breaks(files, rule::FILEPROVIDER_DOMAIN, json, text);
}

#[test]
fn aps_without_effect() {
    let text = "payload.aps: expected no aps for this push type, got one";
    for (push_type, own) in [
        (PushType::Mdm, r#""mdm":"m""#),
        (PushType::FileProvider, r#""container-identifier":"c""#),
    ] {
        let json = format!(r#"{{"aps":{{"alert":"a"}},{own}}}"#);
        remarks(Some(push_type), rule::APS_WITHOUT_EFFECT, &json, text);
        // apns2 always sends an empty one.
        clean(Some(push_type), &format!(r#"{{"aps":{{}},{own}}}"#));
    }
}

#[test]
fn voip_pushtotalk_location_and_complication_are_the_apps() {
    for push_type in [
        PushType::Voip,
        PushType::PushToTalk,
        PushType::Location,
        PushType::Complication,
    ] {
        for json in [
            "{}",
            r#"{"aps":{}}"#,
            r#"{"call":{"from":1},"aps":{"alert":"a"}}"#,
            r#"{"aps":{"content-available":1}}"#,
        ] {
            clean(Some(push_type), json);
        }
    }
}

#[test]
fn sizes_are_those_of_the_push_type() {
    for push_type in PushType::ALL {
        let limit = push_type.payload_limit();
        let inspect = |size| Payload::inspect(&of_size(size), Some(push_type));
        assert!(inspect(limit).is_ok(), "{push_type}");
        let error = inspect(limit + 1).unwrap_err();
        assert_eq!(error.rule(), rule::PAYLOAD_TOO_LARGE, "{push_type}");
    }
}
