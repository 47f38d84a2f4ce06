//! Command lines as people write them.

use super::*;
use crate::api::PushRequest;
use crate::time::UnixTime;

fn parse_line(line: &[&str]) -> Result<Invocation, Usage> {
    parse(line.iter().map(OsString::from))
}

fn push(line: &[&str], content: &str) -> Result<String, Usage> {
    let line: Vec<_> = ["push"].iter().chain(line).copied().collect();
    match parse_line(&line)?.command {
        Command::Push(push) => {
            let body = push.body(content.as_bytes().to_vec())?;
            Ok(String::from_utf8(body).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_become_a_request_that_is_valid() {
    let line = "--token a1b2 --topic com.example.app --environment development \
                --push-type alert --priority 5 --ttl 60 --collapse-id c \
                --id 123e4567-e89b-12d3-a456-426655440000 --via http2 --no-confirm --no-strict \
                --idempotency-key k --dry-run --alert hello --title Hi --badge 3 --sound default";
    let line: Vec<_> = line.split_whitespace().collect();
    let body = push(&line, "").unwrap();
    let payload = r#"{"aps":{"alert":{"title":"Hi","body":"hello"},"badge":3,"sound":"default"}}"#;
    assert!(body.contains(payload), "{body}");
    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["to"]["tokens"][0], "a1b2");
    assert_eq!(
        (&document["ttl_s"], &document["strict"]),
        (&60.into(), &false.into())
    );
}

#[test]
fn what_an_api_reads_is_what_was_said() {
    let line = [
        "--token",
        "a1b2",
        "--topic",
        "com.example.app",
        "--alert",
        "Grüße \"x\"",
    ];
    let body = push(&line, "").unwrap();
    let request = PushRequest::parse(body.as_bytes(), UnixTime::from_secs(1), "terminal");
    assert_eq!(request.unwrap().topic.unwrap().as_str(), "com.example.app");
    let body = push(&["--alias", "anna", "--alias", "ben", "--badge", "0"], "").unwrap();
    assert_eq!(
        body,
        r#"{"to":{"aliases":["anna","ben"]},"payload":{"aps":{"badge":0}}}"#
    );
}

#[test]
fn a_payload_goes_out_as_it_is_in_the_file() {
    let line = ["--alias", "anna", "--payload", "-"];
    let body = push(&line, "{\"aps\": {},\n \"own\": 1.50}\n").unwrap();
    assert!(body.contains("{\"aps\": {},\n \"own\": 1.50}"), "{body}");
    let error = push(&line, "{").unwrap_err().to_string();
    let expected = "the payload is not JSON: got a text that ends too early, at line 1, column 1";
    assert_eq!(error, expected);
    let body = push(&line, "\u{feff}{}\r\n").unwrap();
    assert!(body.ends_with(r#""payload":{}}"#), "{body}");
    assert_eq!(
        push(&["--request", "r.json"], "as it is").unwrap(),
        "as it is"
    );
}

#[test]
fn what_does_not_go_together_is_said() {
    for (line, why) in [
        (&["--alert", "x"][..], "expected --token or --alias"),
        (
            &["--token", "a1", "--alias", "b", "--alert", "x"],
            "not both",
        ),
        (&["--token", "a1"], "expected --alert or --payload"),
        (
            &["--token", "a1", "--alert", "x", "--payload", "f"],
            "either",
        ),
        (
            &["--request", "-", "--token", "a1"],
            "nothing goes beside it",
        ),
        (&["--request", "-", "--dry-run"], "nothing goes beside it"),
        (
            &["--idempotency-key", "k", "--request", "-"],
            "nothing goes beside it",
        ),
        (
            &["--alias", "a", "--payload", "f", "--payload", "g"],
            "expected one",
        ),
        (&["--token"], "missing argument"),
        (
            &["--priority", "high"],
            "expected a whole number such as 60, got \"high\"",
        ),
        (&["--colour", "red"], "there is no option --colour"),
        (&["stray"], "stray"),
    ] {
        let error = push(line, "").unwrap_err().to_string();
        assert!(error.contains(why), "{line:?}: {error}");
    }
}

#[test]
fn commands_are_told_apart() {
    for line in [
        &[][..],
        &["--help"],
        &["help"],
        &["push", "-h"],
        &["devices", "--help"],
    ] {
        let invocation = parse_line(line).unwrap();
        assert!(matches!(invocation.command, Command::Help), "{line:?}");
    }
    for (line, task) in [
        (["feedback", "--once"], Task::Feedback),
        (["sweep", "--json"], Task::Sweep),
    ] {
        let command = parse_line(&line).unwrap().command;
        assert!(matches!(command, Command::Task(got) if got == task));
    }
    let line = [
        "devices", "--alias", "a b&c", "--limit", "5", "--config", "x.toml", "--json",
    ];
    let invocation = parse_line(&line).unwrap();
    assert!(
        matches!(invocation.command, Command::Devices(query) if query == "alias=a+b%26c&limit=5")
    );
    assert_eq!(invocation.place.config, Some("x.toml".into()));
    assert!(invocation.json);
    assert!(parse_line(&["pusch"]).unwrap_err().0.contains("pusch"));
}

fn shown(line: &[&str], status: u16, body: &str) -> Rendered {
    let command = parse_line(line).unwrap().command;
    render(&command, status, body.as_bytes(), false)
}

const PUSH: &[&str] = &["push", "--alias", "anna", "--alert", "x"];

#[test]
fn a_push_is_shown_a_line_a_device() {
    let body = r#"{"accepted":1,"rejected":1,"unanswered":0,"results":[
        {"token":"a1b2c3d4e5f6","apns_id":"ID-1","outcome":"accepted","status":200},
        {"token":"a1","apns_id":"ID-2","outcome":"rejected","status":410,"reason":"Unregistered",
         "removed":true}],"warnings":["payload.aps.badge: odd"]}"#;
    let shown = shown(PUSH, 200, body);
    let expected = "accepted    a1b2c3d4…  ID-1\n\
                    rejected    a1         ID-2  410 Unregistered  removed from the registry\n\
                    warning: payload.aps.badge: odd\n\
                    1 accepted, 1 rejected, 0 unanswered";
    assert_eq!(shown.text, expected);
    assert!(!shown.well);
}

#[test]
fn a_problem_is_shown_in_a_line() {
    let body = r#"{"type":"urn:dunlin:unknown-alias","detail":"this alias has no devices"}"#;
    let expected = "this alias has no devices (404 unknown-alias)";
    let shown = shown(PUSH, 404, body);
    assert_eq!((shown.text.as_str(), shown.well), (expected, false));
}

#[test]
fn devices_and_tasks_are_shown() {
    let body = r#"{"devices":[{"token":"a1","topic":"com.example.app","alias":"anna","tags":["news"]}],
        "cursor":"next"}"#;
    let devices = shown(&["devices"], 200, body);
    let expected = "a1  com.example.app  -  anna  #news\n1 devices, more with --cursor next";
    assert_eq!((devices.text.as_str(), devices.well), (expected, true));
    let sweep = shown(
        &["sweep"],
        200,
        r#"{"examined":4,"already_removed":1,"apps":[]}"#,
    );
    assert_eq!(sweep.text, "1 already removed, 4 examined");
}

#[test]
fn json_is_shown_as_it_is() {
    let command = parse_line(PUSH).unwrap().command;
    let body = br#"{"accepted":1, "rejected":0,"unanswered":0,"results":[]}"#;
    let rendered = render(&command, 200, body, true);
    assert_eq!((rendered.text.as_bytes(), rendered.well), (&body[..], true));
}
