//! What is read of lines with and without defaults, and what is written of them.

use super::*;
use serde_json::Value;

const TOPIC: &str = "com.example.app";

fn now() -> UnixTime {
    UnixTime::from_secs(1_700_000_000)
}

fn defaults(inside: &str) -> Defaults {
    let line = format!("{{\"defaults\":{inside}}}");
    push_defaults(line.as_bytes()).unwrap().unwrap()
}

fn all_defaults() -> Defaults {
    defaults(&format!(
        r#"{{"topic":"{TOPIC}","ttl_s":60,"payload":{{"aps":{{"alert":"x"}}}}}}"#
    ))
}

fn rule(line: &str, defaults: Option<&Defaults>) -> String {
    let read = read_push_line(line.as_bytes(), defaults, now(), "server");
    read.read.unwrap_err().rule().to_owned()
}

fn secs(line: &str, defaults: &Defaults) -> Option<u32> {
    let read = read_push_line(line.as_bytes(), Some(defaults), now(), "server");
    let request = read.read.unwrap().request;
    let device = DeviceRef {
        topic: request.topic.clone().unwrap(),
        token: DeviceToken::parse_hex("a1").unwrap(),
    };
    let notification = request.notification(&device, ApnsId::from_random([0; 16]));
    notification.unwrap().expiration().header_secs()
}

#[test]
fn what_a_line_has_not_its_defaults_have() {
    let defaults = all_defaults();
    let short = r#"{"to":{"token":"a1"}}"#;
    assert_eq!(secs(short, &defaults), Some(1_700_000_060));
    let own = r#"{"to":{"token":"a1"},"ttl_s":5}"#;
    assert_eq!(secs(own, &defaults), Some(1_700_000_005));
    let other = r#"{"to":{"token":"a1"},"expiration":1800000000}"#;
    assert_eq!(
        secs(other, &defaults),
        Some(1_800_000_000),
        "one replaces the other"
    );
    assert_eq!(rule(short, None), "missing-field");
    assert_eq!(rule(r#"{"payload":{}}"#, Some(&defaults)), "missing-field");
}

#[test]
fn each_line_has_its_own_recipient_identifier_and_key() {
    for name in KIND.own {
        let line = format!(r#"{{"defaults":{{"{name}":null}}}}"#);
        assert!(push_defaults(line.as_bytes()).is_ok(), "null says nothing");
        let line = format!(r#"{{"defaults":{{"{name}":"x"}}}}"#);
        let problem = push_defaults(line.as_bytes()).unwrap_err();
        assert_eq!(problem.rule(), "not-a-default");
    }
    let line = r#"{"to":{"token":"a1"},"defaults":{}}"#;
    assert_eq!(rule(line, Some(&all_defaults())), "unknown-field");
}

#[test]
fn the_ordinary_body_has_no_reference() {
    let body = format!(r#"{{"to":{{"token":"a1"}},"topic":"{TOPIC}","payload":{{}},"ref":1}}"#);
    let problem = PushRequest::parse(body.as_bytes(), now(), "server").unwrap_err();
    assert_eq!(problem.rule(), "unknown-field");
}

#[test]
fn a_template_is_what_a_line_with_its_defaults_is() {
    let defaults = all_defaults();
    let template = PushTemplate::new(&defaults, now(), "server").unwrap();
    let (token, id) = (
        DeviceToken::parse_hex("a1b2").unwrap(),
        ApnsId::from_random([7; 16]),
    );
    let short = template.to_device(token.clone(), id);
    let line = br#"{"to":{"token":"a1b2"}}"#;
    let read = read_push_line(line, Some(&defaults), now(), "server");
    let topic = template.request.topic.clone().unwrap();
    let device = DeviceRef { topic, token };
    let whole = read.read.unwrap().request.notification(&device, id);
    assert_eq!(short, whole.unwrap());
}

#[test]
fn defaults_that_are_not_all_make_no_template() {
    for inside in [
        format!(r#"{{"topic":"{TOPIC}"}}"#),
        r#"{"payload":{"aps":{"alert":"x"}}}"#.to_owned(),
        format!(r#"{{"topic":"{TOPIC}","payload":[]}}"#),
        format!(r#"{{"topic":"{TOPIC}","payload":{{}},"collapse_by_key":true}}"#),
    ] {
        let template = PushTemplate::new(&defaults(&inside), now(), "server");
        assert!(template.is_none(), "{inside}");
    }
}

/// What the short way reads the long way reads, too, and as the same.
#[test]
fn a_short_line_is_read_as_any_other() {
    let defaults = all_defaults();
    for (line, is_short) in [
        (r#"{"to":{"token":"a1B2"}}"#, true),
        (
            " { \"to\" : { \"token\" : \"a1b2\" } , \"ref\" : \"x\" } ",
            true,
        ),
        (r#"{"ref":"x","to":{"token":"a1b2"}}"#, true),
        (r#"{"to":{"token":"<a1 b2>"}}"#, false),
        (r#"{"to":{"token":"a1b2"},"ref":17}"#, false),
        (r#"{"to":{"token":"a1b2"},"ref":"\u0078"}"#, false),
        (r#"{"to":{"token":"a1b2"},"topic":"a.b"}"#, false),
        (r#"{"to":{"tokens":["a1b2"]}}"#, false),
        (r#"{"to":{"token":"a1b2"}"#, false),
        (r#"{"to":{"token":"a1b2"}}}"#, false),
        (r#"{"to":{"token":"a1b2"}} x"#, false),
        (r#"{"to":{"token":"a1b2"},}"#, false),
        (r#"{"to":{"token":"a1b2"},"to":{"token":"a1b2"}}"#, false),
        (r#"{"to":{"token":"a1b"}}"#, false),
        (r#"{"to":{"token":""}}"#, false),
        (r#"{"ref":"x"}"#, false),
        ("{}", false),
        ("", false),
    ] {
        let short = read_short_line(line.as_bytes());
        assert_eq!(short.is_some(), is_short, "{line}");
        let whole = read_push_line(line.as_bytes(), Some(&defaults), now(), "server");
        let Some((token, reference)) = short else {
            continue;
        };
        assert_eq!(reference, whole.reference);
        assert_eq!(
            whole.read.unwrap().request.to,
            Recipients::Tokens(vec![token])
        );
    }
    // Cut anywhere or with another byte in it, it is not taken for what it is not.
    let line = r#"{"to":{"token":"a1b2"},"ref":"x"}"#;
    for at in 0..line.len() {
        for byte in [b'"', b'{', b'}', b',', b':', b'\\', b' ', b'0', b'\n', 0xff] {
            let mut bytes = line.as_bytes().to_vec();
            bytes[at] = byte;
            if read_short_line(&bytes).is_some() {
                let whole = read_push_line(&bytes, Some(&defaults), now(), "server");
                assert!(whole.read.is_ok(), "{}", String::from_utf8_lossy(&bytes));
            }
        }
    }
}

fn reply(body: &str) -> Reply {
    Reply::raw_json(200, body)
}

fn written(write: impl FnOnce(&mut PushCounts, LineResult<'_>)) -> (PushCounts, Value) {
    let (mut counts, mut out) = (PushCounts::default(), Vec::new());
    write(&mut counts, LineResult::begin(&mut out, 3, None));
    (counts, serde_json::from_slice(&out).unwrap())
}

#[test]
fn one_token_has_its_result_in_the_line_and_a_list_has_those_of_the_call() {
    let body = r#"{"accepted":1,"rejected":0,"unanswered":0,"unmatched":[],"warnings":["w"],
        "results":[{"token":"a1","outcome":"accepted","status":200}]}"#;
    let (counts, one) = written(|counts, line| counts.reply(line, &reply(body), true));
    assert_eq!((counts.lines, counts.accepted), (1, 1));
    assert_eq!(one["outcome"], "accepted");
    assert_eq!(one["warnings"][0], "w");
    assert!(one.get("results").is_none());
    let (_, list) = written(|counts, line| counts.reply(line, &reply(body), false));
    assert_eq!((&list["line"], &list["accepted"]), (&3.into(), &1.into()));
    assert_eq!(list["results"][0]["outcome"], "accepted");
}

#[test]
fn what_was_given_before_says_so_and_aliases_are_counted() {
    let body = r#"{"accepted":0,"rejected":2,"unanswered":1,"unmatched":["anna"],"results":[]}"#;
    let again = reply(body).header(REPEATED, "true");
    let (counts, line) = written(|counts, line| counts.reply(line, &again, false));
    assert_eq!(line["repeated"], true);
    let counted = (counts.rejected, counts.unanswered, counts.unmatched);
    assert_eq!(counted, (2, 1, 1));
    let problem = Problem::unknown_alias();
    let (counts, line) = written(|counts, line| counts.failed(line, problem));
    assert_eq!((counts.lines, counts.failed), (1, 1));
    assert_eq!(line["type"], "urn:dunlin:unknown-alias");
}
