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
fn devices_are_named_by_their_tags_or_all_of_them() {
    let to = |line: &str| {
        let line = format!("{line} --topic com.example.app --alert hello");
        let body = push(&line.split_whitespace().collect::<Vec<_>>(), "").unwrap();
        let request = PushRequest::parse(body.as_bytes(), UnixTime::from_secs(1), "terminal");
        request.unwrap();
        let document: serde_json::Value = serde_json::from_str(&body).unwrap();
        document["to"].to_string()
    };
    assert_eq!(to("--tag news"), r#"{"tags":{"any":["news"]}}"#);
    let line = "--tag news --tag sport --and-tag beta --not-tag quiet";
    let expected = r#"{"tags":{"all":["beta"],"any":["news","sport"],"none":["quiet"]}}"#;
    assert_eq!(to(line), expected);
    assert_eq!(to("--not-tag quiet"), r#"{"tags":{"none":["quiet"]}}"#);
    assert_eq!(to("--all"), r#"{"all":true}"#);
}

#[test]
fn a_push_in_batches_has_a_body_and_a_key_for_each() {
    let options = PushOptions {
        topic: Some("com.example.app".into()),
        alert: Some("hello".into()),
        idempotency_key: Some("order:17".into()),
        has_batches: true,
        ..PushOptions::default()
    };
    let command = PushCommand::new(options.clone()).unwrap();
    let mut batched = command.batched(Vec::new()).unwrap();
    for (number, tokens) in [(1, ["a1", "b2"]), (2, ["c3", "x"])] {
        let body = batched.body(number, tokens.map(str::to_owned).to_vec());
        let body = body.unwrap();
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document["to"], serde_json::json!({ "tokens": tokens }));
        assert_eq!(document["on_invalid"], "skip");
        assert_eq!(document["idempotency_key"], format!("order:17:{number}"));
        let request = PushRequest::parse(&body, UnixTime::from_secs(1), "terminal");
        assert!(request.unwrap().skips);
    }
    let wrong = |options: PushOptions| PushCommand::new(options).unwrap_err().0;
    let beside = PushOptions {
        all: true,
        ..options.clone()
    };
    assert!(wrong(beside).contains("no other recipients"));
    let named = PushOptions {
        id: Some("x".into()),
        ..options
    };
    assert!(wrong(named).contains("--id"));
    let request = PushOptions {
        content: Some(Content::Request("f".into())),
        has_batches: true,
        ..PushOptions::default()
    };
    assert!(wrong(request).contains("nothing goes beside it"));
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
        (&["--tag", "a", "--alias", "b", "--alert", "x"], "not both"),
        (&["--tag", "a", "--all", "--alert", "x"], "not both"),
        (&["--request", "-", "--all"], "nothing goes beside it"),
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
            "--priority: expected a whole number such as 60, got \"high\"",
        ),
        (
            &["--badge", "x"],
            "--badge: expected a whole number such as 60, got \"x\"",
        ),
        (
            &["--ttl=-1"],
            "--ttl: expected a whole number such as 60, got \"-1\"",
        ),
        (&["--colour", "red"], "there is no option --colour"),
        (&["stray"], "stray"),
    ] {
        let error = push(line, "").unwrap_err().to_string();
        assert!(error.contains(why), "{line:?}: {error}");
    }
}

#[test]
fn each_command_has_its_own_help() {
    let help = |line: &[&str]| match parse_line(line).unwrap().command {
        Command::Help(text) => text,
        other => panic!("{line:?}: {other:?}"),
    };
    for line in [&[][..], &["--help"], &["-h"], &["help"]] {
        assert_eq!(help(line), USAGE);
    }
    for (name, own, others) in [
        ("push", "--idempotency-key", "--cursor"),
        ("devices", "--cursor", "--badge"),
        ("feedback", "--once", "--badge"),
        ("sweep", "not been seen for long", "--badge"),
    ] {
        for asked in ["--help", "-h"] {
            let text = help(&[name, asked]);
            assert!(
                text.starts_with(name) && text.contains(own),
                "{name}: {text}"
            );
            assert!(!text.contains(others), "{name}: {text}");
        }
        assert!(USAGE.contains(name), "{name}");
    }
}

#[test]
fn commands_are_told_apart() {
    for (line, task) in [
        (["feedback", "--once"], Task::Feedback),
        (["sweep", "--json"], Task::Sweep),
    ] {
        let command = parse_line(&line).unwrap().command;
        assert!(matches!(command, Command::Task(got) if got == task));
    }
    let line = ["devices", "--alias", "a b&c", "--limit", "5", "--json"];
    let invocation = parse_line(&line).unwrap();
    assert!(
        matches!(invocation.command, Command::Devices(query) if query == "alias=a+b%26c&limit=5")
    );
    assert!(invocation.json && !parse_line(&["sweep"]).unwrap().json);
    let line = ["request", "GET", "/v1/devices?alias=a+b%26c"];
    assert!(
        matches!(parse_line(&line).unwrap().command, Command::Request { method, target }
            if (method.as_str(), target.as_str()) == ("GET", line[2]))
    );
    assert!(parse_line(&["request", "GET"]).is_err());
    assert!(!USAGE.contains("request"));
    assert!(parse_line(&["pusch"]).unwrap_err().0.contains("pusch"));
}

fn shown(reply_to: ReplyTo, status: u16, body: &str) -> Rendered {
    render(reply_to, status, body.as_bytes(), false)
}

#[test]
fn a_push_is_shown_a_line_a_device() {
    let body = r#"{"accepted":1,"rejected":1,"unanswered":0,"results":[
        {"token":"a1b2c3d4e5f6","apns_id":"ID-1","outcome":"accepted","status":200},
        {"token":"a1","apns_id":"ID-2","outcome":"rejected","status":410,"reason":"Unregistered",
         "removed":true}],"warnings":["payload.aps.badge: odd"]}"#;
    let shown = shown(ReplyTo::Push, 200, body);
    let data = "accepted    a1b2c3d4…  ID-1\n\
                rejected    a1         ID-2  410 Unregistered  removed from the registry";
    let notes = "warning: payload.aps.badge: odd\n1 accepted, 1 rejected, 0 unanswered";
    assert_eq!((shown.data.as_str(), shown.notes.as_str()), (data, notes));
    assert_eq!(shown.exit, Exit::Rejected);
}

#[test]
fn the_worst_of_mixed_results_is_what_a_push_ends_with() {
    let ended = |results: &[&str]| {
        let body = format!(r#"{{"results":[{}]}}"#, results.join(","));
        for json in [false, true] {
            let rendered = render(ReplyTo::Push, 200, body.as_bytes(), json);
            assert_eq!(rendered.exit, shown(ReplyTo::Push, 200, &body).exit);
        }
        shown(ReplyTo::Push, 200, &body).exit
    };
    let accepted = r#"{"outcome":"accepted"}"#;
    let valid = r#"{"outcome":"valid"}"#;
    let rejected = r#"{"outcome":"rejected","status":400}"#;
    let again = r#"{"outcome":"unanswered","may_resend":true}"#;
    let unknown = r#"{"outcome":"unanswered","may_resend":false}"#;
    assert_eq!(ended(&[]), Exit::Done);
    assert_eq!(ended(&[accepted, valid]), Exit::Done);
    assert_eq!(ended(&[rejected, accepted]), Exit::Rejected);
    assert_eq!(ended(&[again, rejected, accepted]), Exit::MayResend);
    assert_eq!(ended(&[rejected, unknown, again]), Exit::Unanswered);
    assert_eq!(ended(&[r#"{"outcome":"unanswered"}"#]), Exit::Unanswered);
}

#[test]
fn a_problem_says_whether_a_push_may_have_been_sent() {
    let ended = |reply_to: ReplyTo, status, rule: &str| {
        let body = format!(r#"{{"type":"urn:dunlin:{rule}","detail":"d"}}"#);
        shown(reply_to, status, &body).exit
    };
    for (status, rule) in [
        (400, "missing-field"),
        (401, "unauthorized"),
        (404, "unknown-alias"),
        (409, "push-under-way"),
        (500, "misconfigured"),
        (503, "overloaded"),
        (503, "shutting-down"),
        (503, "store-unavailable"),
    ] {
        assert_eq!(ended(ReplyTo::Push, status, rule), Exit::Refused, "{rule}");
    }
    for (status, rule) in [
        (503, "function-stopped"),
        (504, "timeout"),
        (500, "function-failed"),
        (502, "of-somebody-in-between"),
    ] {
        assert_eq!(
            ended(ReplyTo::Push, status, rule),
            Exit::Unanswered,
            "{rule}"
        );
        assert_eq!(
            ended(ReplyTo::Devices, status, rule),
            Exit::Refused,
            "{rule}"
        );
    }
    // Whoever answers so is not Dunlin.
    let stranger = shown(ReplyTo::Push, 200, "<html>");
    let told = "expected an answer of Dunlin, got one with status 200";
    assert_eq!(
        (stranger.notes.as_str(), stranger.exit),
        (told, Exit::Unanswered)
    );
    assert!(stranger.data.is_empty());
}

#[test]
fn a_problem_is_a_line_beside_the_data() {
    let body = r#"{"type":"urn:dunlin:unknown-alias","detail":"this alias has no devices"}"#;
    let expected = "this alias has no devices (404 unknown-alias)";
    let shown = shown(ReplyTo::Push, 404, body);
    assert_eq!((shown.data.as_str(), shown.notes.as_str()), ("", expected));
    assert_eq!(shown.exit, Exit::Refused);
    let as_it_is = render(ReplyTo::Push, 404, body.as_bytes(), true);
    assert_eq!(
        (as_it_is.data.as_str(), as_it_is.notes.as_str()),
        ("", body)
    );
}

#[test]
fn devices_and_tasks_are_shown() {
    let body = r#"{"devices":[
        {"token":"a1","topic":"com.example.app","alias":"anna","tags":["news"]}],"cursor":"next"}"#;
    let devices = shown(ReplyTo::Devices, 200, body);
    assert_eq!(devices.data, "a1  com.example.app  -  anna  #news");
    assert_eq!(devices.notes, "1 device, more with --cursor next");
    assert_eq!(devices.exit, Exit::Done);
    let none = shown(ReplyTo::Devices, 200, r#"{"devices":[]}"#);
    assert_eq!((none.data.as_str(), none.notes.as_str()), ("", "0 devices"));
    let sweep = shown(
        ReplyTo::Task,
        200,
        r#"{"examined":4,"already_removed":1,"apps":[]}"#,
    );
    assert_eq!(sweep.data, "1 already removed, 4 examined");
    assert_eq!((sweep.notes.as_str(), sweep.exit), ("", Exit::Done));
}

#[test]
fn a_poll_that_failed_for_an_app_is_told_and_has_not_gone_well() {
    let body = r#"{"tuples":0,"apps":[{"topic":"a.b","environment":"production","tuples":0,
        "error":"TLS: no answer"}]}"#;
    let feedback = shown(ReplyTo::Task, 200, body);
    assert_eq!(feedback.data, "0 tuples");
    assert_eq!(feedback.notes, "a.b production: TLS: no answer");
    assert_eq!(feedback.exit, Exit::Failed);
}

/// Of a device's owner, of APNs and of whatever is between: nothing that a terminal would act on.
#[test]
fn what_others_wrote_cannot_take_over_the_terminal() {
    let hostile = "\\u001b]0;x\\u0007\\u009b2J\u{202e}\u{2066}\u{200f}\u{61c}\\n0 rejected\\r";
    let shown_text = r"\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{2066}\u{200f}\u{61c}\u{a}0 rejected\u{d}";
    let push = format!(
        r#"{{"accepted":0,"rejected":1,"unanswered":1,"results":[
        {{"token":"{hostile}","apns_id":"{hostile}","outcome":"rejected","status":400,
          "reason":"{hostile}"}},
        {{"token":"a1","apns_id":"b","outcome":"unanswered","why":"{hostile}",
          "detail":"{hostile}"}}],
        "warnings":["{hostile}"]}}"#
    );
    let devices = format!(
        r#"{{"devices":[{{"token":"{hostile}","topic":"{hostile}","environment":"{hostile}",
        "alias":"{hostile}","tags":["{hostile}"]}}],"cursor":"{hostile}"}}"#
    );
    let problem = format!(r#"{{"type":"{hostile}","detail":"{hostile}"}}"#);
    let task = format!(r#"{{"{hostile}":3}}"#);
    for (reply_to, status, body, times, lines) in [
        (ReplyTo::Push, 200, &push, 5, 4),
        (ReplyTo::Devices, 200, &devices, 6, 2),
        (ReplyTo::Devices, 404, &problem, 2, 1),
        (ReplyTo::Task, 200, &task, 1, 1),
    ] {
        let Rendered { data, notes, .. } = shown(reply_to, status, body);
        let text = format!("{data}\n{notes}");
        let text = text.trim();
        assert_eq!(text.matches(shown_text).count(), times, "{text}");
        assert_eq!(text.lines().count(), lines, "{text}");
        let is_acted_on = |character: char| character != '\n' && is_hidden(character);
        assert!(!text.contains(is_acted_on), "{text:?}");
        // And as JSON it is the same document.
        let json = render(reply_to, status, body.as_bytes(), true);
        let json = format!("{}{}", json.data, json.notes);
        assert!(!json.contains(is_acted_on), "{json:?}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&json), read(body));
    }
}

#[test]
fn aliases_without_devices_are_shown() {
    let body =
        r#"{"accepted":1,"rejected":0,"unanswered":0,"unmatched":["zoe","ben"],"results":[]}"#;
    let shown = shown(ReplyTo::Push, 200, body);
    let expected = "unmatched: zoe  this alias has no devices\n\
                    unmatched: ben  this alias has no devices\n\
                    1 accepted, 0 rejected, 0 unanswered";
    assert_eq!((&*shown.data, &*shown.notes), ("", expected));
}

/// A reply with something of every kind that nothing is sent for.
const SKIPPED: &str = r#"{"accepted":1,"rejected":0,"unanswered":0,"skipped":3,"unmatched":["zoe"],
    "results":[{"index":0,"token":"a1","apns_id":"ID","outcome":"accepted","status":200},
    {"index":1,"outcome":"skipped","rule":"duplicate","of":0},
    {"index":2,"outcome":"skipped","rule":"token-empty","field":"to.tokens[2]","expected":"a token",
     "got":"nothing"},
    {"index":3,"outcome":"skipped","rule":"unknown-alias","alias":"zoe"}]}"#;

#[test]
fn what_was_skipped_is_shown_and_only_a_bad_entry_has_not_gone_well() {
    let rendered = shown(ReplyTo::Push, 200, SKIPPED);
    let expected = "accepted    a1         ID\n\
                    skipped     entry 1    the same as entry 0\n\
                    skipped     entry 2    token-empty: expected a token, got nothing\n\
                    skipped     entry 3    zoe: this alias has no devices";
    assert_eq!(rendered.data, expected);
    let expected = "unmatched: zoe  this alias has no devices\n\
                    1 accepted, 0 rejected, 0 unanswered, 3 skipped";
    assert_eq!(
        (rendered.notes.as_str(), rendered.exit),
        (expected, Exit::Refused)
    );
    let harmless = SKIPPED.replace("token-empty", "duplicate");
    assert_eq!(shown(ReplyTo::Push, 200, &harmless).exit, Exit::Done);
}

#[test]
fn a_batch_names_lines_and_leaves_the_sum_to_others() {
    let (rendered, tally) = render_batch(200, SKIPPED.as_bytes(), false, &[3, 4, 9]);
    let lines: Vec<_> = rendered.data.lines().skip(1).collect();
    assert!(
        lines[0].ends_with("line 4     the same as line 3"),
        "{lines:?}"
    );
    assert!(lines[1].contains("line 9 "), "{lines:?}");
    assert!(lines[2].contains("entry 3 "), "{lines:?}");
    assert_eq!(rendered.notes, "unmatched: zoe  this alias has no devices");
    let expected = Tally {
        accepted: 1,
        skipped: 3,
        ..Tally::default()
    };
    assert_eq!(tally, Some(expected));
    let mut sum = expected;
    sum += expected;
    let shown = "2 accepted, 0 rejected, 0 unanswered, 6 skipped";
    assert_eq!(sum.to_string(), shown);
    let problem = br#"{"type":"urn:dunlin:x","detail":"d"}"#;
    let (refused, tally) = render_batch(404, problem, false, &[]);
    assert_eq!(tally, None);
    assert_eq!(render_batch(200, b"<html>", false, &[]).1, None);
    assert_eq!(
        (refused.notes.as_str(), refused.exit),
        ("d (404 x)", Exit::Refused)
    );
}

#[test]
fn json_is_shown_as_it_is() {
    let body = br#"{"accepted":1, "rejected":0,"unanswered":0,"results":[]}"#;
    let rendered = render(ReplyTo::Push, 200, body, true);
    assert_eq!(rendered.data.as_bytes(), &body[..]);
    assert_eq!((rendered.notes.as_str(), rendered.exit), ("", Exit::Done));
}
