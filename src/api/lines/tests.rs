//! Defaults, references, and how a result is written.

use super::*;
use serde_json::Value;

static FIELDS: [Field; 2] = [Field::private("name", "a string such as \"x\""), REFERENCE];

static KIND: LineKind = LineKind {
    fields: &FIELDS,
    takes: "an object",
    own: &["ref"],
    either: &[],
};

fn read(line: &str) -> LineRead<Option<String>> {
    KIND.read(line.as_bytes(), None, |members| {
        Ok(members.text("name")?.map(|text| text.into_owned()))
    })
}

#[test]
fn a_body_of_lines_is_known_by_its_type() {
    for (types, expected) in [
        (&["application/x-ndjson"][..], true),
        (&["Application/X-NDJSON; charset=utf-8"], true),
        (&["application/ndjson"], true),
        (&[" application/jsonl "], true),
        (&["application/x-jsonlines"], true),
        (&["application/json"], false),
        (&["text/plain"], false),
        (&["application/x-ndjson", "application/x-ndjson"], false),
        (&[], false),
    ] {
        assert_eq!(are_lines(types), expected, "{types:?}");
    }
}

#[test]
fn lines_are_in_utf8_and_not_compressed() {
    let values = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let check = |kind: &str, encodings: &[&str]| {
        let (types, encodings): (Vec<_>, Vec<_>) = (values(&[kind]), values(encodings));
        check_lines(&types, &encodings).map_err(|problem| problem.rule().to_owned())
    };
    assert_eq!(
        check("application/x-ndjson;charset=UTF-8", &["identity"]),
        Ok(())
    );
    let compressed = check("application/x-ndjson", &["gzip"]);
    assert_eq!(compressed, Err("unsupported-content-encoding".into()));
    let latin = check("application/x-ndjson; charset=latin1", &[]);
    assert_eq!(latin, Err("unsupported-media-type".into()));
}

#[test]
fn a_first_line_of_defaults_is_known_by_its_first_name() {
    let of = |line: &str| Defaults::of_line(line.as_bytes());
    for line in [
        r#"{"defaults":{"name":"x"}}"#,
        " { \"defaults\" : {\"name\":\"x\"} } ",
        "\u{feff}{\"defaults\":{\"name\":\"x\"}}",
    ] {
        let defaults = of(line).unwrap().unwrap();
        let members = KIND.members(&defaults).unwrap();
        assert_eq!(members.text("name").unwrap().unwrap(), "x");
    }
    for line in ["", "{}", "[]", r#"{"name":"x"}"#, "x", "{\"default\":{}}"] {
        assert!(of(line).unwrap().is_none(), "{line}");
    }
    for (line, rule) in [
        (r#"{"defaults":{},"name":"x"}"#, "unknown-field"),
        (r#"{"defaults":{}"#, "json-malformed"),
        (r#"{"defaults":{},"defaults":{}}"#, "field-twice"),
    ] {
        assert_eq!(of(line).unwrap_err().rule(), rule, "{line}");
    }
}

#[test]
fn what_may_not_be_a_default_is_named() {
    for (inside, rule, field) in [
        (r#"{"ref":1}"#, "not-a-default", "defaults.ref"),
        (r#"{"nam":1}"#, "unknown-field", "defaults.nam"),
        ("[]", "wrong-type", "defaults"),
    ] {
        let line = format!("{{\"defaults\":{inside}}}");
        let problem = KIND.defaults(line.as_bytes()).unwrap_err();
        assert_eq!(problem.rule(), rule);
        let body = String::from_utf8(problem.into_reply().body).unwrap();
        assert!(body.contains(&format!("\"field\":\"{field}\"")), "{body}");
    }
}

#[test]
fn a_reference_is_echoed_as_it_came() {
    let longest = format!("\"{}\"", "x".repeat(REFERENCE_MAX_BYTES - 2));
    for reference in ["\"row-17\"", "17", "-1.5e3", r#""\u00e9\"""#, &longest] {
        let read = read(&format!("{{\"ref\":{reference}}}"));
        assert!(read.read.is_ok());
        let mut out = Vec::new();
        LineResult::begin(&mut out, 1, read.reference.as_ref()).end();
        let expected = format!("{{\"line\":1,\"ref\":{reference}}}\n");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
    assert!(read(r#"{"ref":null}"#).reference.is_none());
}

#[test]
fn what_is_no_reference_is_refused_without_repeating_it() {
    let long = format!("\"{}\"", "x".repeat(REFERENCE_MAX_BYTES - 1));
    for reference in ["{}", "[1]", "true", &long] {
        let read = read(&format!("{{\"ref\":{reference}}}"));
        assert!(read.reference.is_none());
        let problem = read.read.unwrap_err();
        assert_eq!(problem.rule(), "ref");
        let body = String::from_utf8(problem.into_reply().body).unwrap();
        assert!(!body.contains("xxx"), "{body}");
    }
}

#[test]
fn a_line_that_is_broken_keeps_its_reference_and_says_where() {
    let known = read(r#"{"ref":"a","name":7}"#);
    assert!(known.reference.is_some());
    let mut out = Vec::new();
    let result = LineResult::begin(&mut out, 12, known.reference.as_ref());
    result.failed(known.read.unwrap_err());
    let result: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&result["line"], &result["ref"]), (&12.into(), &"a".into()));
    assert_eq!(result["outcome"], "failed");
    assert_eq!(result["type"], "urn:dunlin:wrong-type");
    assert_eq!(result["field"], "name");
    assert_eq!(result["got"], "a number");
    let broken = read("{\"ref\":\"a\" x}");
    assert!(broken.reference.is_none());
    let body = broken.read.unwrap_err().into_reply().body;
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains("got 'x' at column 12\""), "{body}");
}

#[test]
fn numbers_of_lines_are_written_in_full() {
    for number in [0, 1, 10, 1_234_567_890, u64::MAX] {
        let mut out = Vec::new();
        LineResult::begin(&mut out, number, None).end();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, format!("{{\"line\":{number}}}\n"));
    }
}

#[test]
fn the_summary_says_why_it_is_not_of_everything() {
    #[derive(Serialize)]
    struct Counts {
        lines: u64,
    }
    let summary = |stopped| {
        let mut out = Vec::new();
        write_summary(&mut out, &Counts { lines: 2 }, stopped);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(summary(None), "{\"summary\":{\"lines\":2}}\n");
    let stopped = summary(Some("shutting-down"));
    assert_eq!(
        stopped,
        "{\"summary\":{\"lines\":2,\"stopped\":\"shutting-down\"}}\n"
    );
}
