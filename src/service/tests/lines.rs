//! Bodies of lines: what has which result, in which order, and what is held of them.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::support::{
    APP, Answer, Desk, OTHER, Part, Talk, accepted, bad_device_token, gone, settings, token,
};
use crate::environment::Environment;
use crate::receipt::RECEIPT_KEYS;
use crate::service::Platform as _;
use crate::time::Now;

const PUSH: &str = "POST /v1/push";
const DEVICES: &str = "POST /v1/devices";

/// The most lines under way, and the most results that wait, with what lines under way add.
const LINES: usize = 4_096;

fn defaults() -> String {
    format!(r#"{{"defaults":{{"topic":"{APP}","payload":{{"aps":{{"alert":"x"}}}}}}}}"#) + "\n"
}

fn short(n: usize) -> String {
    format!(
        r#"{{"to":{{"token":"{}"}},"ref":"r{n}"}}"#,
        token(n).to_hex()
    ) + "\n"
}

fn whole(n: usize, more: &str) -> String {
    format!(
        r#"{{"to":{{"token":"{}"}},"topic":"{APP}","payload":{{"aps":{{"alert":"x"}}}}{more}}}"#,
        token(n).to_hex()
    ) + "\n"
}

fn summary(answer: &[Value]) -> &Value {
    &answer.last().unwrap()["summary"]
}

fn numbers(answer: &[Value]) -> Vec<u64> {
    let lines = answer.iter().filter_map(|line| line["line"].as_u64());
    lines.collect()
}

/// The answer's result of a line.
fn result(answer: &[Value], number: u64) -> &Value {
    let mut of_it = answer.iter().filter(|line| line["line"] == number);
    let result = of_it.next().expect("a result");
    assert!(of_it.next().is_none(), "each has one");
    result
}

#[test]
fn each_line_has_one_result_with_its_number_and_its_reference() {
    let desk = Desk::new();
    let text = defaults() + &short(1) + "\n" + &short(2) + "\r\n" + &whole(3, "");
    let answer = desk.lines(PUSH, &text);
    assert_eq!(numbers(&answer), [2, 4, 6]);
    assert_eq!(result(&answer, 4)["ref"], "r2");
    assert_eq!(result(&answer, 4)["token"], token(2).to_hex());
    assert_eq!(result(&answer, 6)["outcome"], "accepted");
    assert!(result(&answer, 6).get("ref").is_none());
    let sums = summary(&answer);
    assert_eq!((&sums["lines"], &sums["accepted"]), (&3.into(), &3.into()));
    assert!(sums.get("stopped").is_none());
    assert_eq!(desk.sender.take_batches(), [3], "handed in together");
}

#[test]
fn an_empty_body_has_a_summary() {
    for text in ["", "\n\r\n", "\u{feff}"] {
        let answer = Desk::new().lines(PUSH, text);
        assert_eq!(answer.len(), 1);
        assert_eq!(summary(&answer)["lines"], 0);
    }
}

#[test]
fn results_come_in_order_of_completion() {
    let desk = Desk::new();
    desk.sender.script(|sent| {
        let last = *sent.token().as_bytes().last().unwrap();
        Answer::After(Duration::from_millis(u64::from(10 - last)), accepted())
    });
    let text = defaults() + &(1..=5).map(short).collect::<String>();
    assert_eq!(numbers(&desk.lines(PUSH, &text)), [6, 5, 4, 3, 2]);
}

#[test]
fn a_broken_line_has_its_own_result_and_the_others_go_on() {
    let desk = Desk::new();
    let long = "x".repeat(100_000);
    let private = token(9).to_hex();
    let broken = [
        "nonsense",
        r#"{"to":{"token":"#,
        r#"{"to":7}"#,
        r#"["a"]"#,
        &long,
        r#"{"to":{"token":"xyz"},"ref":5}"#,
        r#"{"to":{"alias":"nobody"}}"#,
        r#"{"defaults":{}}"#,
        &format!(r#"{{"to":{{"token":"{private}","alias":"x"}}}}"#),
        &format!(r#"{{"to":{{"token":"{private}"}},"topic":"com.unknown"}}"#),
    ];
    let mut text = (defaults() + &short(1)).into_bytes();
    for line in broken {
        text.extend(line.as_bytes());
        text.push(b'\n');
    }
    text.extend(b"\0\xff\xfe binary \x01\n");
    text.extend(short(2).as_bytes());
    let answer = desk.talk(PUSH, &Talk::new(&desk, [Part::Bytes(text)]));
    let rules = (3..=13).map(|number| {
        let result = result(&answer, number);
        assert_eq!(result["outcome"], "failed");
        assert!(result["status"].as_u64().unwrap() >= 400);
        let rule = result["type"].as_str().unwrap();
        rule.strip_prefix("urn:dunlin:").unwrap().to_owned()
    });
    let rules: Vec<_> = rules.collect();
    assert_eq!(
        rules,
        [
            "json-malformed",
            "json-malformed",
            "wrong-type",
            "wrong-type",
            "line-too-long",
            "token-not-hex",
            "unknown-alias",
            "unknown-field",
            "recipients",
            "no-credential",
            "not-utf8",
        ]
    );
    assert_eq!(result(&answer, 8)["ref"], 5, "it could be read");
    assert_eq!(result(&answer, 8)["field"], "to.token");
    assert_eq!(result(&answer, 14)["outcome"], "accepted");
    let sums = summary(&answer);
    let counted = ["lines", "accepted", "failed"].map(|name| sums[name].as_u64().unwrap());
    assert_eq!(counted, [13, 2, 11]);
    assert_eq!(desk.sender.take_sent().len(), 2);
}

#[test]
fn defaults_that_cannot_be_used_end_it_before_anything_is_sent() {
    let desk = Desk::new();
    for line in [
        r#"{"defaults":{"to":{"token":"a1"}}}"#,
        r#"{"defaults":{"topik":"a"}}"#,
    ] {
        let text = format!("{line}\n{}", whole(1, ""));
        let answer = desk.lines(PUSH, &text);
        assert_eq!(answer.len(), 2);
        assert_eq!(result(&answer, 1)["outcome"], "failed");
        assert_eq!(summary(&answer)["stopped"], "defaults");
    }
    assert!(desk.sender.take_sent().is_empty());
    // In any other place they are no defaults.
    let answer = desk.lines(PUSH, &(whole(1, "") + &defaults() + &whole(2, "")));
    assert_eq!(result(&answer, 2)["type"], "urn:dunlin:unknown-field");
    assert_eq!(summary(&answer)["accepted"], 2);
}

#[test]
fn a_line_of_many_has_the_results_of_the_call() {
    let desk = Desk::new();
    desk.register("anna", 1..4);
    let tokens = format!("[\"{}\",\"{}\"]", token(8).to_hex(), token(9).to_hex());
    let text = defaults()
        + "{\"to\":{\"alias\":\"anna\"},\"ref\":\"x\"}\n"
        + &format!("{{\"to\":{{\"tokens\":{tokens}}}}}\n")
        + "{\"to\":{\"aliases\":[\"anna\",\"ben\"]}}\n";
    let answer = desk.lines(PUSH, &text);
    let of_alias = result(&answer, 2);
    assert_eq!(
        (&of_alias["ref"], &of_alias["accepted"]),
        (&"x".into(), &3.into())
    );
    assert_eq!(of_alias["results"].as_array().unwrap().len(), 3);
    assert_eq!(result(&answer, 3)["results"][1]["token"], token(9).to_hex());
    assert_eq!(result(&answer, 4)["unmatched"][0], "ben");
    let sums = summary(&answer);
    assert_eq!(
        (&sums["accepted"], &sums["unmatched"]),
        (&8.into(), &1.into())
    );
}

#[test]
fn what_one_environment_does_not_know_is_tried_in_the_other_and_learned() {
    let desk = Desk::new();
    desk.register("anna", 1..3);
    desk.pass(1);
    desk.sender.script(|sent| {
        let is_first = sent.token() == token(1);
        Answer::AtOnce(match (sent.environment, is_first) {
            ("development", true) => accepted(),
            (_, true) => bad_device_token(),
            (_, false) => gone(),
        })
    });
    let answer = desk.lines(PUSH, &(defaults() + &short(1) + &short(2)));
    assert_eq!(result(&answer, 2)["outcome"], "accepted");
    assert_eq!(desk.environment(1), Some(Environment::Development));
    let removed = result(&answer, 3);
    assert_eq!(
        (&removed["status"], &removed["removed"]),
        (&410.into(), &true.into())
    );
    assert!(!desk.is_alive(2));
    assert_eq!(desk.sender.take_sent().len(), 3);
}

#[test]
fn a_caller_is_bound_to_its_topics_line_by_line() {
    let config = settings("").replace("scopes = ", &format!("topics = [\"{APP}\"]\nscopes = "));
    let desk = Desk::with(&config);
    let other = whole(2, "").replace(APP, OTHER);
    let answer = desk.lines(PUSH, &(whole(1, "") + &other));
    assert_eq!(result(&answer, 2)["type"], "urn:dunlin:topic-not-allowed");
    let text = defaults().replace(APP, OTHER) + &short(1);
    let answer = desk.lines(PUSH, &text);
    assert_eq!(result(&answer, 2)["type"], "urn:dunlin:topic-not-allowed");
    assert_eq!(desk.sender.take_sent().len(), 1);
}

#[test]
fn a_dry_run_sends_nothing_and_a_doubtful_payload_is_told() {
    let desk = Desk::new();
    let dry = whole(1, r#","dry_run":true"#);
    let odd = whole(2, r#","strict":false"#).replace("\"x\"", "\"x\",\"badge\":\"1\"");
    let answer = desk.lines(PUSH, &(dry + &odd));
    assert_eq!(result(&answer, 1)["outcome"], "valid");
    let warning = result(&answer, 2)["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("payload.aps.badge"), "{warning}");
    assert_eq!(summary(&answer)["valid"], 1);
    assert_eq!(desk.sender.take_sent().len(), 1);
}

#[test]
fn a_key_sends_a_line_once_and_its_result_is_on_disk_before_it_goes_out() {
    let desk = Desk::new();
    let keyed = |n| whole(n, &format!(r#","idempotency_key":"k{n}""#));
    let text = keyed(1) + &keyed(2);
    let first = desk.lines(PUSH, &text);
    assert_eq!(result(&first, 1)["outcome"], "accepted");
    assert!(result(&first, 1).get("repeated").is_none());
    assert_eq!(desk.store.keys_on_disk(RECEIPT_KEYS).len(), 2);
    let sent = desk.sender.take_sent();
    assert!(sent.iter().all(|sent| sent.receipts_on_disk == 2));
    let again = desk.lines(PUSH, &text);
    assert_eq!(result(&again, 2)["repeated"], true);
    assert_eq!(result(&again, 2)["apns_id"], result(&first, 2)["apns_id"]);
    // The same line as a request of its own is the same request.
    let (status, reply) = desk.call(PUSH, text.lines().next().unwrap());
    assert_eq!((status, &reply["accepted"]), (200, &1.into()));
    assert!(desk.sender.take_sent().is_empty());
    let other = desk.lines(PUSH, &keyed(1).replace("\"x\"", "\"y\""));
    assert_eq!(
        result(&other, 1)["type"],
        "urn:dunlin:idempotency-key-reused"
    );
    // With other defaults the line means something else.
    let line = format!(
        r#"{{"to":{{"token":"{}"}},"idempotency_key":"k9"}}"#,
        token(9).to_hex()
    );
    desk.lines(PUSH, &(defaults() + &line));
    let other = desk.lines(PUSH, &(defaults().replace("\"x\"", "\"y\"") + &line));
    assert_eq!(
        result(&other, 2)["type"],
        "urn:dunlin:idempotency-key-reused"
    );
}

/// 100,000 lines of which none is answered before its time is over: reading stops at the bound.
#[test]
fn no_more_is_read_than_may_be_under_way() {
    let desk = Desk::new();
    let parts = (0..1_000).map(|part| {
        let lines = (0..100).map(|n| short(100 * part + n));
        Part::from(lines.collect::<String>())
    });
    let parts = std::iter::once(Part::from(defaults())).chain(parts);
    let talk = Talk::new(&desk, parts);
    let (sent, read) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let seen = (Rc::clone(&sent), Rc::clone(&read));
    let (platform, reader) = (desk.platform.clone(), talk.clone());
    desk.sender.script(move |_| {
        if platform.now() == Now::ZERO {
            seen.0.set(seen.0.get() + 1);
            seen.1.set(reader.read());
        }
        Answer::Never
    });
    let answer = desk.talk(PUSH, &talk);
    assert_eq!(sent.get(), LINES, "at once");
    assert!(
        read.get() <= (LINES + 200) * short(10_000).len(),
        "{}",
        read.get()
    );
    assert_eq!(summary(&answer)["unanswered"], 100_000);
}

#[test]
fn long_lines_are_bounded_by_their_bytes() {
    let desk = Desk::new();
    let blanks = " ".repeat(60_000);
    let parts = (0..200).map(|n| Part::from(whole(n, "").replace("}\n", &blanks) + "}\n"));
    let talk = Talk::new(&desk, parts);
    let (reader, most) = (talk.clone(), Rc::new(Cell::new(0)));
    let seen = Rc::clone(&most);
    desk.sender.script(move |_| {
        let answered = reader.answer().len() * 60_000;
        let under_way = reader.read().saturating_sub(answered);
        seen.set(seen.get().max(under_way));
        Answer::After(Duration::from_secs(1), accepted())
    });
    let answer = desk.talk(PUSH, &talk);
    assert_eq!(summary(&answer)["accepted"], 200);
    let most = most.get();
    assert!((1_000_000..=3 * 1024 * 1024).contains(&most), "{most}");
}

#[test]
fn who_takes_results_slowly_is_read_slowly() {
    let desk = Desk::new();
    let parts = (0..400).map(|part| {
        let lines = (0..100).map(|n| short(100 * part + n));
        Part::from(lines.collect::<String>())
    });
    let parts = std::iter::once(Part::from(defaults())).chain(parts);
    let talk = Talk::new(&desk, parts).slow(Duration::from_secs(1));
    let upload = desk.upload(PUSH, &[], false).unwrap().unwrap();
    let mut future = pin!(upload.run(talk.clone(), talk.clone()));
    let mut most = 0;
    while desk
        .platform
        .executor()
        .run_for(future.as_mut(), 10)
        .is_none()
    {
        let taken = talk.answer().len();
        let sent = desk.sender.take_batches().iter().sum::<usize>();
        most = most.max(sent);
        let read = talk.read() / short(10_000).len();
        assert!(read <= taken + 2 * LINES, "{read} read, {taken} taken");
    }
    assert_eq!(summary(&talk.answer())["accepted"], 40_000);
    assert!(
        talk.writes() < 400,
        "{} pieces, not one for each",
        talk.writes()
    );
}

#[test]
fn what_a_client_that_goes_away_has_sent_is_finished_and_nothing_more_is_begun() {
    let desk = Desk::new();
    desk.register("anna", 1..51);
    desk.pass(1);
    desk.sender
        .script(|_| Answer::After(Duration::from_millis(5), gone()));
    let parts = (0..100).flat_map(|part| {
        let lines = (1..=50).map(|n| short(50 * part + n));
        let silence = Part::Silence(Duration::from_millis(10));
        [Part::from(lines.collect::<String>()), silence]
    });
    let parts = std::iter::once(Part::from(defaults())).chain(parts);
    let talk = Talk::new(&desk, parts.chain([Part::Forever])).leaving_after(1);
    desk.talk(PUSH, &talk);
    let sent = desk.sender.take_sent().len();
    assert!((50..=150).contains(&sent), "{sent}");
    assert!((1..51).all(|n| !desk.is_alive(n)), "what was said is kept");
}

#[test]
fn a_body_that_breaks_off_ends_with_what_is_known() {
    let desk = Desk::new();
    let cut = short(2);
    let parts = [
        Part::from(defaults() + &short(1)),
        Part::from(&cut[..cut.len() / 2]),
        Part::Stopped("broken-body"),
    ];
    let answer = desk.talk(PUSH, &Talk::new(&desk, parts));
    assert_eq!(result(&answer, 2)["outcome"], "accepted");
    assert_eq!(result(&answer, 3)["type"], "urn:dunlin:line-cut");
    assert_eq!(summary(&answer)["stopped"], "broken-body");
    assert_eq!(desk.sender.take_sent().len(), 1);
}

#[test]
fn a_line_of_ten_megabytes_is_one_result_and_is_not_held() {
    let desk = Desk::new();
    let piece = "x".repeat(50_000);
    let parts = (0..200).map(|_| Part::from(piece.as_str()));
    let parts = parts.chain([Part::from("\n".to_owned() + &whole(1, ""))]);
    let answer = desk.talk(PUSH, &Talk::new(&desk, parts));
    assert_eq!(result(&answer, 1)["type"], "urn:dunlin:line-too-long");
    assert_eq!(result(&answer, 2)["outcome"], "accepted");
}

#[test]
fn a_lane_without_room_slows_the_lines_and_loses_none() {
    let desk = Desk::new();
    desk.sender.set_room(10);
    let sender = desk.sender.clone();
    let executor = desk.platform.executor();
    for step in 1..=9 {
        let sender = sender.clone();
        let at = executor.now() + Duration::from_millis(30 * step);
        executor.at(at, move || sender.set_room(10));
    }
    let text = defaults() + &(0..100).map(short).collect::<String>();
    let answer = desk.lines(PUSH, &text);
    assert_eq!(summary(&answer)["accepted"], 100);
    // What finds none until its time is over was not sent.
    desk.sender.set_room(0);
    let keyed = whole(7, r#","idempotency_key":"k""#);
    let answer = desk.lines(PUSH, &(defaults() + &short(1) + &keyed));
    let unsent = result(&answer, 2);
    assert_eq!(
        (&unsent["outcome"], &unsent["may_resend"]),
        (&"unanswered".into(), &true.into())
    );
    assert_eq!(result(&answer, 3)["type"], "urn:dunlin:overloaded");
}

#[test]
fn lanes_are_looked_up_again_after_a_second_and_for_too_many_topics() {
    let config = "[[credentials]]\nkey_id = \"ABC123DEFG\"\nteam_id = \"DEF123GHIJ\"\n\
                  key_file = \"a.p8\"\n";
    let desk = Desk::with(&(settings("") + config));
    let mut parts = Vec::new();
    for n in 0..3_000 {
        parts.push(Part::from(
            whole(n, "").replace(APP, &format!("com.many.app{n}")),
        ));
    }
    parts.push(Part::Silence(Duration::from_secs(2)));
    parts.push(Part::from(whole(1, "")));
    let answer = desk.talk(PUSH, &Talk::new(&desk, parts));
    let sums = summary(&answer);
    assert_eq!(sums["lines"], 3_001);
    assert_eq!(sums["failed"], 0, "{:?}", answer.first());
}

#[test]
fn calls_without_lines_and_requests_that_are_refused_are_no_uploads() {
    let desk = Desk::new();
    for (line, headers) in [
        ("POST /v1/broadcasts", &[][..]),
        ("GET /v1/push", &[]),
        ("PUT /v1/devices/a1", &[]),
        (PUSH, &[("content-type", "application/json")]),
    ] {
        assert!(desk.upload(line, headers, false).is_none(), "{line}");
    }
    let refused = |line, headers: &[(&str, &str)], is_unwritable| {
        let upload = desk.upload(line, headers, is_unwritable).unwrap();
        upload.map(drop).unwrap_err().status
    };
    assert_eq!(refused(PUSH, &[("authorization", "Bearer x")], false), 401);
    assert_eq!(refused(PUSH, &[("idempotency-key", "a")], false), 400);
    assert_eq!(refused(PUSH, &[("content-encoding", "gzip")], false), 415);
    let latin = ("content-type", "application/x-ndjson; charset=latin1");
    assert_eq!(refused(PUSH, &[latin], false), 415);
    assert_eq!(refused(DEVICES, &[], true), 503);
    assert!(
        desk.upload(PUSH, &[], true).unwrap().is_ok(),
        "needs no disk"
    );
}

fn device(n: usize, more: &str) -> String {
    format!(
        r#"{{"token":"{}","topic":"{APP}"{more}}}"#,
        token(n).to_hex()
    ) + "\n"
}

#[test]
fn registrations_have_their_results_once_they_are_on_disk() {
    let desk = Desk::new();
    let text = (0..1_000).map(|n| device(n, r#","alias":"anna","ref":1"#));
    let text =
        text.take(400).collect::<String>() + "x\n" + &device(0, "") + &device(1, r#","topic":7"#);
    let answer = desk.lines(DEVICES, &text);
    let sums = summary(&answer);
    let counted = ["lines", "new", "known", "failed"].map(|name| sums[name].as_u64().unwrap());
    assert_eq!(counted, [403, 400, 1, 2]);
    let one = result(&answer, 1);
    assert_eq!(
        (&one["outcome"], &one["alias"]),
        (&"new".into(), &"anna".into())
    );
    assert_eq!(one["ref"], 1);
    assert_eq!(result(&answer, 402)["outcome"], "known");
    assert_eq!(result(&answer, 403)["type"], "urn:dunlin:field-twice");
    assert_eq!(desk.store.keys_on_disk("d/").len(), 400);
    assert!(
        (1..=8).contains(&desk.store.flushes()),
        "{}",
        desk.store.flushes()
    );
}

#[test]
fn a_registration_that_is_not_known_to_be_on_disk_has_failed() {
    let desk = Desk::new();
    desk.store
        .refuse(|(what, _)| (what == "durable").then_some("broken"));
    let answer = desk.lines(DEVICES, &device(1, ""));
    assert_eq!(result(&answer, 1)["type"], "urn:dunlin:store-unavailable");
    assert_eq!(summary(&answer)["failed"], 1);
}

#[test]
fn registrations_have_defaults_too() {
    let desk = Desk::new();
    let defaults = format!("{{\"defaults\":{{\"topic\":\"{APP}\",\"tags\":[\"news\"]}}}}\n");
    let line = |n| format!("{{\"token\":\"{}\"}}\n", token(n).to_hex());
    let answer = desk.lines(DEVICES, &(defaults + &line(1) + &line(2)));
    assert_eq!(summary(&answer)["new"], 2);
    assert_eq!(result(&answer, 3)["tags"][0], "news");
}
