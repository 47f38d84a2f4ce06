//! Objects right and wrong, in a form that no call has.

use super::*;

static FIELDS: [Field; 7] = [
    Field::open("name", "a string such as \"x\""),
    Field::private("secret", "a string such as \"y\""),
    Field::open("count", "a number such as 3"),
    Field::open("on", "true or false"),
    Field::private("list", "an array of strings such as [\"z\"]"),
    Field::open("environment", "development, sandbox or production"),
    Field::private("inner", "an object such as {\"name\":\"x\"}"),
];

static INNER: [Field; 1] = [Field::open("name", "a string such as \"x\"")];

/// Reads everything.
fn read(bytes: &[u8]) -> Result<(), Problem> {
    let body = Members::of_body(bytes, &FIELDS, "an object such as {\"name\":\"x\"}")?;
    body.required_text("name")?;
    body.text("secret")?;
    body.integer::<u8>("count")?;
    body.flag("on", true)?;
    body.texts("list", 3, "too-many")?;
    body.environment()?;
    if body.find_some("inner").is_some() {
        let inner = body.object("inner", &INNER, "inner.")?;
        inner.required_text("name")?;
    }
    Ok(())
}

fn detail(bytes: &[u8]) -> String {
    let reply = read(bytes).unwrap_err().into_reply();
    let document: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let kind = document["type"]
        .as_str()
        .unwrap()
        .replace("urn:dunlin:", "");
    format!("{kind} {}", document["detail"].as_str().unwrap())
}

#[test]
fn values_are_those_that_were_written() {
    let text = r#" {"na\u006de": "a\u00e9\"b", "count": 255, "on": false, "list": ["", "\\"],
        "environment": "sandbox", "secret": null, "inner": {"name": "n"}} "#;
    let body = Members::of_body(text.as_bytes(), &FIELDS, "").unwrap();
    assert_eq!(body.required_text("name").unwrap(), "a\u{e9}\"b");
    assert_eq!(body.integer("count"), Ok(Some(255_u8)));
    assert_eq!(body.flag("on", true), Ok(false));
    let list = body.texts("list", 2, "too-many").unwrap().unwrap();
    assert_eq!(list, ["", "\\"]);
    assert_eq!(body.environment(), Ok(Some(Environment::Development)));
    assert_eq!(body.text("secret"), Ok(None), "null says nothing");
    assert_eq!(body.required("inner").unwrap().get(), r#"{"name": "n"}"#);
    let inner = body.object("inner", &INNER, "inner.").unwrap();
    assert_eq!(inner.required_text("name").unwrap(), "n");
    assert_eq!(
        body.names(),
        ["name", "count", "on", "list", "environment", "inner"]
    );
    let none = Members::of_body(b"{}", &FIELDS, "").unwrap();
    assert_eq!(
        (none.flag("on", true), none.integer::<u8>("count")),
        (Ok(true), Ok(None))
    );
}

/// U+FEFF may stand before JSON (RFC 8259, section 8.1).
#[test]
fn a_byte_order_mark_is_ignored() {
    assert_eq!(read(b"\xef\xbb\xbf{\"name\":\"x\"}"), Ok(()));
    assert_eq!(read(b"\xef\xbb\xbf \r\n\t{\"name\":\"x\"}\n"), Ok(()));
    assert!(detail(b"\xef\xbb\xbf").contains("got an empty body"));
    let twice = detail(b"\xef\xbb\xbf\xef\xbb\xbf{}");
    assert!(
        twice.starts_with("json-malformed body: expected valid JSON"),
        "{twice}"
    );
}

#[test]
fn each_fault_names_its_field_what_was_expected_and_what_came() {
    for (body, expected) in [
        (
            "{}",
            "missing-field name: expected a string such as \"x\", got nothing",
        ),
        (
            r#"{"name":null}"#,
            "wrong-type name: expected a string such as \"x\", got null",
        ),
        (
            r#"{"name":1e400}"#,
            "wrong-type name: expected a string such as \"x\", got 1e400",
        ),
        (
            r#"{"name":true}"#,
            "wrong-type name: expected a string such as \"x\", got true",
        ),
        (
            r#"{"name":{}}"#,
            "wrong-type name: expected a string such as \"x\", got an object",
        ),
        (
            r#"{"name":"\ud800"}"#,
            "json-malformed name: expected a string of whole characters, got \
            half of a surrogate pair at line 1, column 8",
        ),
        (
            r#"{"name":"","secret":42}"#,
            "wrong-type secret: expected a string such as \"y\", got a number",
        ),
        (
            r#"{"name":"","secret":["a"]}"#,
            "wrong-type secret: expected a string such as \"y\", got an array",
        ),
        (
            r#"{"name":"","count":"high"}"#,
            "wrong-type count: expected a number such as 3, got \"high\" (a string)",
        ),
        (
            r#"{"name":"","count":-1}"#,
            "wrong-type count: expected a number such as 3, got -1",
        ),
        (
            r#"{"name":"","count":1.5}"#,
            "wrong-type count: expected a number such as 3, got 1.5",
        ),
        (
            r#"{"name":"","count":256}"#,
            "wrong-type count: expected a number such as 3, got 256",
        ),
        (
            r#"{"name":"","count":1e400}"#,
            "wrong-type count: expected a number such as 3, got 1e400",
        ),
        (
            r#"{"name":"","on":"yes"}"#,
            "wrong-type on: expected true or false, got \"yes\" (a string)",
        ),
        (
            r#"{"name":"","on":null}"#,
            "wrong-type on: expected true or false, got null",
        ),
        (
            r#"{"name":"","on":0}"#,
            "wrong-type on: expected true or false, got 0",
        ),
        (
            r#"{"name":"","list":"a"}"#,
            "wrong-type list: expected an array of strings such as [\"z\"], got a string",
        ),
        (
            r#"{"name":"","list":["a",{}]}"#,
            "wrong-type list[1]: expected a string, got an object",
        ),
        (
            r#"{"name":"","list":["a",null]}"#,
            "wrong-type list[1]: expected a string, got null",
        ),
        (
            r#"{"name":"","list":["","","",7]}"#,
            "too-many list: expected at most 3 of them, got 4",
        ),
        (
            r#"{"name":"","environment":"prod"}"#,
            "wrong-type environment: expected development, sandbox \
            or production (did you mean `production`?), got \"prod\" (a string)",
        ),
        (
            r#"{"name":"","inner":["x"]}"#,
            "wrong-type inner: expected an object such as {\"name\":\"x\"}, got an array",
        ),
        (
            r#"{"name":"","inner":{}}"#,
            "missing-field inner.name: expected a string such as \"x\", got nothing",
        ),
        (
            r#"{"name":"","inner":{"Name":""}}"#,
            "unknown-field inner.Name: expected a known name (did you \
            mean `name`?), got \"Name\"",
        ),
        (
            r#"{"name":"","inner":{"name":"","name":""}}"#,
            "field-twice inner.name: expected it once, got it again",
        ),
        (
            r#"{"name":"","n\u0061me":""}"#,
            "field-twice name: expected it once, got it again",
        ),
        (
            r#"{"":"x"}"#,
            "unknown-field body: expected one of name, secret, count, on, list, environment, \
            inner, got an empty name",
        ),
        (
            r#"{"inner":{"a b":1}}"#,
            "missing-field name: expected a string such as \"x\", got nothing",
        ),
        (
            "[]",
            "wrong-type body: expected an object such as {\"name\":\"x\"}, got an array",
        ),
        (
            r#"["x",null,1]"#,
            "wrong-type body: expected an object such as {\"name\":\"x\"}, got an array",
        ),
        (
            "\"me\"",
            "wrong-type body: expected an object such as {\"name\":\"x\"}, got a string",
        ),
        (
            " null ",
            "wrong-type body: expected an object such as {\"name\":\"x\"}, got null",
        ),
        (
            "17",
            "wrong-type body: expected an object such as {\"name\":\"x\"}, got a number",
        ),
        (
            "",
            "json-malformed body: expected an object such as {\"name\":\"x\"}, got an empty body",
        ),
        (
            " \n",
            "json-malformed body: expected an object such as {\"name\":\"x\"}, got blanks alone",
        ),
        (
            "name=x",
            "json-malformed body: expected an object such as {\"name\":\"x\"}, got a form \
            (name=value)",
        ),
        (
            "<a/>",
            "json-malformed body: expected an object such as {\"name\":\"x\"}, got markup such as \
            XML",
        ),
        (
            "--x\r\n",
            "json-malformed body: expected an object such as {\"name\":\"x\"}, got a multipart \
            body",
        ),
        (
            "{} x",
            "json-malformed body: expected valid JSON, got 'x' at line 1, column 4",
        ),
        (
            "{\"name\":NaN}",
            "json-malformed body: expected valid JSON, got NaN, which JSON does not have, \
            at line 1, column 9",
        ),
        (
            "{",
            "json-malformed body: expected valid JSON, got a text that ends too early, at line 1, \
            column 1",
        ),
    ] {
        assert_eq!(detail(body.as_bytes()), expected, "{body}");
    }
}

#[test]
fn bytes_that_are_no_text_are_told_what_they_are() {
    for (bytes, expected) in [
        (
            &b"{\"name\":\"\xe9\"}"[..],
            "not-utf8 body: expected JSON in UTF-8, got no UTF-8 at byte 9",
        ),
        (
            b"\xef\xbb\xbf{\"name\":\"\xe9\"}",
            "not-utf8 body: expected JSON in UTF-8, got no UTF-8 at byte 12",
        ),
        (
            b"\xff\xfe{\0",
            "not-utf8 body: expected JSON in UTF-8, got UTF-16",
        ),
        (
            b"\0{\0}",
            "json-malformed body: expected an object such as {\"name\":\"x\"}, got UTF-16",
        ),
    ] {
        assert_eq!(detail(bytes), expected);
    }
    for (bytes, name) in [
        (&b"\x1f\x8b\x08\0"[..], "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ] {
        let reply = read(bytes).unwrap_err().into_reply();
        assert_eq!(reply.status, 415);
        assert_eq!(reply.headers, [("accept-encoding", "identity".to_owned())]);
        let text = String::from_utf8(reply.body).unwrap();
        assert!(text.contains(&format!("\"got\":\"{name}\"")), "{text}");
    }
}

/// A parser that called itself for each level would have to stop somewhere, or fall.
#[test]
fn nesting_is_not_what_a_body_fails_of() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let body = format!("{{\"name\":{nested}}}");
        assert!(
            detail(body.as_bytes()).starts_with("wrong-type name"),
            "{open}"
        );
    }
    let cut = format!("{{\"name\":{}", "[".repeat(100_000));
    assert!(detail(cut.as_bytes()).contains("ends too early"));
}

#[test]
fn what_is_long_is_cut_and_what_is_private_is_not_repeated() {
    let long = "a1b2c3d4".repeat(1_000);
    for body in [
        format!(r#"{{"name":"","count":"{long}"}}"#),
        format!(r#"{{"name":"","environment":"{long}"}}"#),
        format!(r#"{{"name":"","count":{}}}"#, "1".repeat(8_000)),
        format!(r#"{{"{long}":1}}"#),
    ] {
        let detail = detail(body.as_bytes());
        assert!(detail.len() < 300, "{detail}");
    }
    let secret = "a1b2c3d4";
    for body in [
        format!(r#"{{"name":"","secret":["{secret}"]}}"#),
        format!(r#"{{"name":"","list":{{"{secret}":1}}}}"#),
        format!(r#"{{"name":"","list":"{secret}"}}"#),
        format!(r#"{{"name":"","list":[["{secret}"]]}}"#),
        format!(r#"{{"name":"","{secret}{secret}":1}}"#),
        format!(r#"{{"name":"","secret":"{secret}" x"#),
    ] {
        let detail = detail(body.as_bytes());
        assert!(!detail.contains(secret), "{detail}");
    }
}

/// What is read here is JSON to others, too, and the other way round.
#[test]
fn the_same_texts_are_json_as_elsewhere() {
    let text = r#"{"name":"a\u00e9","count":12,"on":true,"list":["x"],"inner":{"name":"y"}}"#;
    for at in 0..text.len() {
        for byte in [
            b'{', b'}', b'[', b']', b'"', b',', b':', b'\\', b'0', b'-', b' ', b'x', 0,
        ] {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = byte;
            let is_json = serde_json::from_slice::<IgnoredAny>(&bytes).is_ok();
            match read(&bytes) {
                Ok(()) => assert!(is_json, "{}", String::from_utf8_lossy(&bytes)),
                Err(problem) => {
                    let malformed = problem.rule() == "json-malformed";
                    assert!(is_json != malformed, "{}", String::from_utf8_lossy(&bytes));
                }
            }
        }
    }
}
