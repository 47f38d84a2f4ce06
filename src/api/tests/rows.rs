//! The table of what is wrong and what is said of it, and what does not fit into it.

use super::Call::{Broadcast, Channel, Form, Logout, Post, Push, Put, TopicQuery};
use super::{Call, document, string};

const TABLE: &str = include_str!("rows.txt");

/// A push in which one member is what is said.
fn push(member: &str) -> String {
    format!(
        r#"{{"to":{{"token":"a1b2"}},"topic":"a.b","payload":{{"aps":{{"badge":1}}}},{member}}}"#
    )
}

/// A push to whom is said.
fn push_to(to: &str) -> String {
    format!(r#"{{"to":{to},"topic":"a.b","payload":{{"aps":{{"badge":1}}}}}}"#)
}

/// Status and rule, field, part of what was expected, part of what came.
type Said<'a> = [&'a str; 4];

#[track_caller]
fn check(call: Call, input: &[u8], [kind, field, expected, got]: Said<'_>) {
    let shown = String::from_utf8_lossy(input);
    let problem = call.read(input).expect_err(&shown);
    let (status, rule) = (problem.status(), problem.rule().to_owned());
    let document = document(problem);
    assert_eq!(
        format!("{status} {rule}"),
        kind,
        "{call:?} {shown}: {document}"
    );
    assert_eq!(string(&document, "field"), field, "{document}");
    assert!(
        string(&document, "expected").contains(expected),
        "{document}"
    );
    assert!(string(&document, "got").contains(got), "{document}");
    let detail = format!("{field}: expected ");
    assert!(
        string(&document, "detail").starts_with(&detail),
        "{document}"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_field_what_was_expected_and_what_came() {
    let lines = TABLE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<_> = lines.collect();
    for row in lines.chunks(2) {
        let [sent, said] = row else {
            panic!("half a row: {row:?}")
        };
        let (call, input) = sent.split_once(' ').unwrap();
        let said: Vec<_> = said.trim().split(" | ").collect();
        let said: Said<'_> = said
            .try_into()
            .unwrap_or_else(|_| panic!("{sent}: four parts"));
        let input = match call {
            "member" => push(input),
            "to" => push_to(input),
            _ => input.to_owned(),
        };
        check(Call::named(call), input.as_bytes(), said);
    }
    assert!(lines.len() > 250);
}

#[test]
fn a_body_that_is_no_json_object_is_told_what_it_is() {
    let malformed = "400 json-malformed";
    let (an_object, valid) = ("an object such as {", "valid JSON");
    for call in [Push, Broadcast, Channel, Put, Post] {
        for (body, said) in [
            (&b""[..], [malformed, "body", an_object, "an empty body"]),
            (b" \r\n", [malformed, "body", an_object, "blanks alone"]),
            (
                b"\xef\xbb\xbf",
                [malformed, "body", an_object, "an empty body"],
            ),
            (b"\"me\"", ["400 wrong-type", "body", an_object, "a string"]),
            (b"null", ["400 wrong-type", "body", an_object, "null"]),
            (b"-1.5", ["400 wrong-type", "body", an_object, "a number"]),
            (
                b"hello",
                [malformed, "body", valid, "a word without double quotes"],
            ),
            (b"topic=a.b&x=y", [malformed, "body", an_object, "a form"]),
            (b"<xml/>", [malformed, "body", an_object, "markup"]),
            (b"{\"topic\":NaN}", [malformed, "body", valid, "NaN"]),
            (
                b"{\"topic\":\"a.b\"",
                [malformed, "body", valid, "ends too early"],
            ),
            (
                b"{\"topic\":\"a.b\"} x",
                [malformed, "body", valid, "'x' at line 1, column 17"],
            ),
            (
                b"{\"topic\":\"a.b\",}",
                [malformed, "body", valid, "a comma with nothing"],
            ),
            (
                b"{'topic':'a.b'}",
                [malformed, "body", valid, "a single quote"],
            ),
            (
                b"{\n\"topic\":\"a\tb\"}",
                [malformed, "body", valid, "line 2, column 11"],
            ),
            (
                b"{\"topic\":\"\xff\"}",
                ["400 not-utf8", "body", "UTF-8", "no UTF-8 at byte 10"],
            ),
            (
                b"\xff\xfe{\0}\0",
                ["400 not-utf8", "body", "UTF-8", "UTF-16"],
            ),
        ] {
            check(call, body, said);
        }
    }
    let half = push(r#""collapse_id":"\ud800""#);
    let said = [
        malformed,
        "collapse_id",
        "whole characters",
        "half of a surrogate",
    ];
    check(Push, half.as_bytes(), said);
    check(
        Logout,
        b"topic=a.b",
        [malformed, "body", an_object, "a form"],
    );
    let missing = ["400 missing-field", "?topic=", "com.example.app", "nothing"];
    check(Logout, b" ", missing);
    check(TopicQuery, b"", missing);
}

#[test]
fn a_compressed_body_is_told_in_every_call() {
    for call in [Push, Broadcast, Channel, Put, Post, Logout] {
        let said = [
            "415 unsupported-content-encoding",
            "body",
            "not compressed",
            "gzip",
        ];
        check(call, b"\x1f\x8b\x08\0\0", said);
        let reply = call.read(b"\x1f\x8b").unwrap_err().into_reply();
        assert_eq!(reply.headers, [("accept-encoding", "identity".to_owned())]);
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_body() {
    let push = push(r#""dry_run":true"#);
    for (call, body) in [
        (Push, push.as_str()),
        (Channel, r#"{"topic":"a.b","storage_policy":"none"}"#),
        (Put, r#"{"topic":"a.b"}"#),
        (Post, r#"{"topic":"a.b","token":"a1"}"#),
        (Form, r#"{"topic":"a.b","token":"a1"}"#),
        (Form, "topic=a.b&newToken=a1"),
        (Logout, r#"{"topic":"a.b"}"#),
    ] {
        let marked = format!("\u{feff}{body}");
        assert_eq!(call.read(marked.as_bytes()), Ok(()), "{call:?}");
    }
}

/// A payload is the app's, and goes out as it came.
#[test]
fn what_stands_twice_in_a_payload_is_sent() {
    let payload = r#"{"aps":{"alert":"x"},"own":1,"own":2}"#;
    let body = format!(r#"{{"to":{{"token":"a1"}},"topic":"a.b","payload":{payload}}}"#);
    assert_eq!(Push.read(body.as_bytes()), Ok(()));
}

#[test]
fn a_token_has_up_to_512_bytes() {
    let to = |length| push_to(&format!(r#"{{"token":"{}"}}"#, "ab".repeat(length)));
    assert_eq!(Push.read(to(512).as_bytes()), Ok(()));
    let said = [
        "400 token-too-long",
        "to.token",
        "at most 512 bytes",
        "1026 characters",
    ];
    check(Push, to(513).as_bytes(), said);
}
