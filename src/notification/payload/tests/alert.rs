//! `docs/protocols.md` 4.2, the keys of `alert`: one test for each, named after its rule.

use super::*;

fn text_in_alert(rule: &str, key: &str) {
    takes(in_alert, key, &[r#""a""#, r#""""#, r#""\ud83d\ude00""#]);
    let path = format!("payload.aps.alert.{key}");
    refuses(in_alert, rule, &path, "a string", NO_TEXT);
}

fn texts_in_alert(rule: &str, key: &str) {
    takes(in_alert, key, &["[]", r#"["a","b"]"#]);
    let path = format!("payload.aps.alert.{key}");
    refuses(in_alert, rule, &path, "an array of strings", NO_TEXTS);
    let json = in_alert(&format!(r#""{key}":["a",1]"#));
    breaks(
        None,
        rule,
        &json,
        &format!("{path}[1]: expected a string, got a number"),
    );
    let json = in_alert(&format!(r#""{key}":[["a"]]"#));
    breaks(
        None,
        rule,
        &json,
        &format!("{path}[0]: expected a string, got an array"),
    );
}

#[test]
fn alert_title() {
    text_in_alert(rule::ALERT_TITLE, "title");
    in_live_alert("title", rule::ALERT_TITLE);
}

#[test]
fn alert_subtitle() {
    text_in_alert(rule::ALERT_SUBTITLE, "subtitle");
}

#[test]
fn alert_body() {
    text_in_alert(rule::ALERT_BODY, "body");
    in_live_alert("body", rule::ALERT_BODY);
}

/// For a Live Activity, title and body may be looked up in the app.
fn in_live_alert(key: &str, rule: &str) {
    let activity = Some(PushType::LiveActivity);
    let json = |value: &str| live(&format!(r#""alert":{{"{key}":{value}}}"#));
    for value in [
        r#""a""#,
        r#"{"loc-key":"a"}"#,
        r#"{"loc-key":"a","loc-args":["b"]}"#,
    ] {
        clean(activity, &json(value));
    }
    let path = format!("payload.aps.alert.{key}");
    let text = format!("{path}: expected a string or an object, got a number");
    breaks(activity, rule, &json("1"), &text);
    let text = format!("{path}.loc-key: expected a string, got a number");
    breaks(
        activity,
        rule::ALERT_LOC_KEY,
        &json(r#"{"loc-key":1}"#),
        &text,
    );
    let text = format!("{path}.loc-args[0]: expected a string, got a number");
    breaks(
        activity,
        rule::ALERT_LOC_ARGS,
        &json(r#"{"loc-args":[1]}"#),
        &text,
    );
}

#[test]
fn alert_launch_image() {
    text_in_alert(rule::ALERT_LAUNCH_IMAGE, "launch-image");
}

/// What is no string, where `null` may stand.
fn no_text_but_null() -> Vec<(&'static str, &'static str)> {
    let wrong = NO_TEXT.iter().filter(|(value, _)| *value != "null");
    wrong.copied().collect()
}

#[test]
fn alert_title_loc_key() {
    takes(in_alert, "title-loc-key", &[r#""a""#, "null"]);
    let (rule, path) = (rule::ALERT_TITLE_LOC_KEY, "payload.aps.alert.title-loc-key");
    refuses(in_alert, rule, path, "a string", &no_text_but_null());
}

#[test]
fn alert_subtitle_loc_key() {
    text_in_alert(rule::ALERT_SUBTITLE_LOC_KEY, "subtitle-loc-key");
}

#[test]
fn alert_loc_key() {
    text_in_alert(rule::ALERT_LOC_KEY, "loc-key");
}

#[test]
fn alert_title_loc_args() {
    texts_in_alert(rule::ALERT_TITLE_LOC_ARGS, "title-loc-args");
    takes(in_alert, "title-loc-args", &["null"]);
}

#[test]
fn alert_subtitle_loc_args() {
    texts_in_alert(rule::ALERT_SUBTITLE_LOC_ARGS, "subtitle-loc-args");
}

#[test]
fn alert_loc_args() {
    texts_in_alert(rule::ALERT_LOC_ARGS, "loc-args");
}

#[test]
fn alert_action_loc_key() {
    takes(in_alert, "action-loc-key", &[r#""PLAY""#, "null"]);
    let (rule, path) = (
        rule::ALERT_ACTION_LOC_KEY,
        "payload.aps.alert.action-loc-key",
    );
    refuses(in_alert, rule, path, "a string", &no_text_but_null());
}

#[test]
fn alert_action() {
    text_in_alert(rule::ALERT_ACTION, "action");
}

#[test]
fn alert_summary_arg() {
    text_in_alert(rule::ALERT_SUMMARY_ARG, "summary-arg");
}

#[test]
fn alert_summary_arg_count() {
    takes(in_alert, "summary-arg-count", &["1", "12"]);
    let (rule, path) = (
        rule::ALERT_SUMMARY_ARG_COUNT,
        "payload.aps.alert.summary-arg-count",
    );
    refuses(in_alert, rule, path, "a number", NO_NUMBER);
}

#[test]
fn alert_sound() {
    let activity = Some(PushType::LiveActivity);
    let json = |value: &str| live(&format!(r#""alert":{{"title":"a","sound":{value}}}"#));
    clean(activity, &json(r#""default""#));
    clean(activity, &json(r#"{"critical":1,"name":"a"}"#));
    let text = "payload.aps.alert.sound: expected a string or an object, got a number";
    breaks(activity, rule::ALERT_SOUND, &json("1"), text);
    let text = "payload.aps.alert.sound.volume: expected a number from 0 to 1, got 2";
    let loud = json(r#"{"critical":1,"volume":2}"#);
    breaks(activity, rule::SOUND_VOLUME, &loud, text);
    // Elsewhere it stands beside the alert.
    let text = "payload.aps.alert.sound: expected push type liveactivity, got another";
    let json = in_alert(r#""body":"a","sound":"b""#);
    remarks(None, rule::APS_KEY_MISPLACED, &json, text);
}
