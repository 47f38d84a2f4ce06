//! Right bodies changed in every way that is easy to think of: no answer speaks of the language
//! that this is written in or of its libraries, and none repeats what is private.

use super::Call::{
    Broadcast, Channel, ChannelQuery, DeviceQuery, Form, Logout, Post, Push, Put, TopicQuery,
};
use super::{Call, document, string};

/// Stands for what must not be repeated, in a form that a token and an alias may have.
const SECRET: &str = "5ec4e75ec4e75ec4e75ec4e75ec4e75e";

/// A right request of each call.
const RIGHT: [(Call, &str); 12] = [
    (
        Push,
        r#"{"to":{"token":"5ec4e75ec4e75ec4e75ec4e75ec4e75e"},"topic":"a.b","environment":"sandbox",
        "push_type":"alert","priority":5,"ttl_s":60,"strict":true,"collapse_id":"c","dry_run":true,
        "via":"http2","confirm":true,"idempotency_key":"k",
        "payload":{"aps":{"alert":"5ec4e75ec4e75ec4e75ec4e75ec4e75e"}}}"#,
    ),
    (
        Push,
        r#"{"to":{"aliases":["5ec4e75ec4e75ec4e75ec4e75ec4e75e","b"]},"expiration":2000000000,
        "collapse_by_key":true,"idempotency_key":"k","payload":{"aps":{"alert":"x","badge":1}}}"#,
    ),
    (
        Push,
        r#"{"to":{"tokens":["5ec4e75ec4e75ec4e75ec4e75ec4e75e","x"]},"topic":"a.b",
        "on_invalid":"skip","payload":{"aps":{"alert":"x"}}}"#,
    ),
    (
        Push,
        r#"{"to":{"tags":{"any":["5ec4e75ec4e75ec4e75ec4e75ec4e75e","b"],"all":["c"],
        "none":["d"]}},"topic":"a.b","payload":{"aps":{"alert":"x"}}}"#,
    ),
    (
        Broadcast,
        r#"{"topic":"a.b","channel":"YQ==","priority":5,"ttl_s":60,"dry_run":true,"payload":{"aps":
        {"timestamp":1,"event":"update",
        "content-state":{"x":"5ec4e75ec4e75ec4e75ec4e75ec4e75e"}}}}"#,
    ),
    (
        Channel,
        r#"{"topic":"a.b","environment":"production","storage_policy":"none"}"#,
    ),
    (
        Put,
        r#"{"topic":"a.b","environment":"production","alias":"5ec4e75ec4e75ec4e75ec4e75ec4e75e",
        "tags":["5ec4e75ec4e75ec4e75ec4e75ec4e75e"],
        "replaces":"5ec4e75ec4e75ec4e75ec4e75ec4e75e"}"#,
    ),
    (
        Post,
        r#"{"token":"5ec4e75ec4e75ec4e75ec4e75ec4e75e","topic":"a.b","alias":"x","tags":[]}"#,
    ),
    (
        Form,
        "newToken=5ec4e75ec4e75ec4e75ec4e75ec4e75e&topic=a.b&environment=sandbox&tags=a,b",
    ),
    (Logout, r#"{"topic":"a.b"}"#),
    (ChannelQuery, "topic=a.b&environment=production"),
    (
        DeviceQuery,
        "alias=5ec4e75ec4e75ec4e75ec4e75ec4e75e&topic=a.b&tag=t&limit=5",
    ),
];

/// Words of Rust and of its library for JSON, in lower case, each between two characters that are
/// not letters, digits or underscores.
const FORBIDDEN: [&str; 41] = [
    "struct",
    "enum",
    "variant",
    "tuple",
    "newtype",
    "unit",
    "map",
    "seq",
    "sequence",
    "elements",
    "element",
    "str",
    "char",
    "bool",
    "byte array",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "f32",
    "f64",
    "usize",
    "isize",
    "vec",
    "cow",
    "option",
    "some",
    "borrowed",
    "rawvalue",
    "serde",
    "serde_json",
    "eof",
    "deserialize",
    "utf8error",
    "panicked",
];

/// Phrases of them.
const PHRASES: [&str; 12] = [
    "expected value",
    "expected ident",
    "trailing characters",
    "trailing comma",
    "recursion limit",
    "invalid type",
    "invalid value",
    "invalid length",
    "missing field `",
    "unknown field `",
    "duplicate field",
    "invalid digit",
];

fn check(call: Call, input: &[u8]) {
    let Err(problem) = call.read(input) else {
        return;
    };
    let shown = String::from_utf8_lossy(input);
    assert!(matches!(problem.status(), 400 | 415), "{shown}");
    let document = document(problem);
    for name in ["field", "expected", "got"] {
        let text = string(&document, name);
        assert!(
            !text.is_empty() && text.len() < 400,
            "{call:?} {shown}: {document}"
        );
    }
    let detail = string(&document, "detail");
    let got = string(&document, "got");
    // What is quoted is the caller's, and no word of ours.
    let told: String = got.split('"').step_by(2).collect();
    let text = format!("{} {told}", string(&document, "expected")).to_lowercase();
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    let word = words.find(|word| FORBIDDEN.contains(word));
    assert_eq!(word, None, "{call:?} {shown}: {detail}");
    for phrase in PHRASES {
        assert!(!text.contains(phrase), "{call:?} {shown}: {detail}");
    }
    // Any eight digits of it are too many.
    let repeated = [&SECRET[..8], "ec4e75ec"]
        .iter()
        .any(|part| detail.contains(part));
    assert!(!repeated, "{call:?} {shown}: {detail}");
}

#[test]
fn the_requests_that_are_changed_are_right() {
    for (call, input) in RIGHT {
        assert_eq!(call.read(input.as_bytes()), Ok(()), "{input}");
    }
}

#[test]
fn no_request_that_is_cut_or_has_a_byte_changed_is_answered_in_rust() {
    let bytes = b"\0\t\n \"'{}[],:=&%+-/0159aeEnNtx\\\x7f\x80\xc3\xe2\xef\xff";
    for (call, input) in RIGHT {
        let input = input.as_bytes();
        for at in 0..input.len() {
            check(call, &input[..at]);
            check(call, &input[at..]);
            for byte in bytes {
                let mut changed = input.to_vec();
                changed[at] = *byte;
                check(call, &changed);
                changed.insert(at, *byte);
                check(call, &changed);
            }
        }
    }
}

/// What stands in the place of a value, or of a name.
const VALUES: [&str; 24] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1.5",
    "1e400",
    "-1e400",
    "18446744073709551616",
    "99999999999999999999999999999999999999999999",
    "\"\"",
    "\"x\"",
    "\"high\"",
    "\"2030-01-01T00:00:00Z\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"\u{202e}\"",
    "[]",
    "[null]",
    "[[\"x\"]]",
    "{}",
    "{\"x\":1}",
    "{\"\":{}}",
];

#[test]
fn no_value_of_another_kind_is_answered_in_rust() {
    for (call, input) in RIGHT {
        let Ok(document) = serde_json::from_str::<serde_json::Value>(input) else {
            continue;
        };
        for path in paths(&document, "") {
            let private = serde_json::Value::from(SECRET).to_string();
            let listed = format!("[{private}]");
            for value in VALUES.into_iter().chain([private.as_str(), &listed]) {
                let marked = replaced(&document, &path);
                check(call, marked.replace("\"MARK\"", value).as_bytes());
            }
            check(call, misspelt(&document, &path).as_bytes());
        }
        for value in VALUES {
            check(call, value.as_bytes());
        }
    }
}

#[test]
fn no_deep_or_long_body_is_answered_in_rust() {
    for (call, _) in RIGHT {
        for (open, close) in [
            ("[", "]"),
            ("{\"to\":", "}"),
            ("{\"payload\":", "}"),
            ("{\"x\":[", "]}"),
        ] {
            for depth in [1, 127, 128, 129, 10_000] {
                let body = format!("{}0{}", open.repeat(depth), close.repeat(depth));
                check(call, body.as_bytes());
                check(call, open.repeat(depth).as_bytes());
                let payload = format!(
                    r#"{{"to":{{"token":"a1"}},"channel":"a","topic":"a.b","payload":{body}}}"#
                );
                check(call, payload.as_bytes());
            }
        }
        let long = SECRET.repeat(10_000);
        for body in [
            format!("{{\"{long}\":1}}"),
            format!("{{\"topic\":\"{long}\"}}"),
            format!("{long}={long}"),
            format!("topic={long}"),
        ] {
            // A topic is no secret, and only its length is told.
            check(call, body.as_bytes());
        }
    }
    for query in ["topic=", "topic=%ff", "topic=a&topic=b", "x", "topic=a%00"] {
        check(TopicQuery, query.as_bytes());
    }
}

/// The JSON pointers of all values in a document.
fn paths(value: &serde_json::Value, at: &str) -> Vec<String> {
    let mut all = vec![at.to_owned()];
    match value {
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                all.extend(paths(value, &format!("{at}/{name}")));
            }
        }
        serde_json::Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                all.extend(paths(value, &format!("{at}/{index}")));
            }
        }
        _ => {}
    }
    all
}

/// The text of a document with a mark in one place.
fn replaced(document: &serde_json::Value, path: &str) -> String {
    let mut document = document.clone();
    *document.pointer_mut(path).unwrap() = "MARK".into();
    document.to_string()
}

/// The text of a document in which the name of one member is another, and the member there is
/// twice.
fn misspelt(document: &serde_json::Value, path: &str) -> String {
    let name = path.rsplit('/').next().unwrap();
    let text = document.to_string();
    text.replace(
        &format!("\"{name}\":"),
        &format!("\"{name}\":0,\"{name}\":0,\"{name}s\":"),
    )
}
