//! What is read, and what is wrong, held against the library's own way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::*;

/// Of everything that a file may have.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Whole {
    text: Option<String>,
    path: Option<PathBuf>,
    small: Option<u8>,
    large: u64,
    on: bool,
    kind: Option<Kind>,
    texts: Vec<String>,
    named: BTreeMap<String, PathBuf>,
    part: Part,
    parts: Vec<Part>,
    odd: Option<Odd>,
    rest: Option<Rest>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    One,
    Two,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default)]
    name: String,
    port: Option<u16>,
}

/// Refused after it was read.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "u64")]
struct Odd(u64);

impl TryFrom<u64> for Odd {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        (number % 2 == 1).then_some(Self(number)).ok_or("not odd")
    }
}

/// Not looked at.
#[derive(Debug, Deserialize)]
struct Rest {
    #[serde(rename = "ignored")]
    _ignored: IgnoredAny,
}

impl PartialEq for Rest {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What the library makes of it.
fn expected(text: &str) -> Result<Whole, (String, Option<usize>)> {
    toml::from_str(text).map_err(|error| {
        (
            error.message().to_owned(),
            error.span().map(|span| span.start),
        )
    })
}

fn got(text: &str) -> Result<Whole, (String, Option<usize>)> {
    read(text).map_err(|mistake| (mistake.what, mistake.start))
}

#[test]
fn what_is_read_is_what_the_library_reads() {
    for text in [
        "",
        "text = 'a'\npath = \"b\\u00e9\"\nsmall = 25\nlarge = 0xff_ff\non = true\nkind = 'two'",
        "large = 9223372036854775807",
        "texts = ['a', \"b\", '''\nc''']\nparts = [{ name = 'a' }, {}]",
        "[named]\na = 'b'\n\"c.d\" = 'e'\n[part]\nname = 'x'\nport = 65535",
        "[[parts]]\nname = 'x'\n\n[[parts]]\nport = 1\n",
        "part.name = 'dotted'\nodd = 3",
        "[rest]\nignored = [1.5, 1979-05-27, { a = [[]] }]\nalso = inf",
    ] {
        let expected = expected(text).unwrap();
        assert_eq!(got(text), Ok(expected), "{text}");
    }
}

#[test]
fn mistakes_are_those_of_the_library_in_the_same_place() {
    for text in [
        "text = ",
        "text = 'a\n",
        "[part\n",
        "text = 'a'\ntext = 'b'",
        "\nunknown = 1",
        "[part]\nnome = 'x'",
        "[[parts]]\nname = 'x'\n[[parts]]\nname = 1",
        "text = 1",
        "text = true",
        "text = 1.5",
        "text = [1]",
        "text = { a = 1 }",
        "small = 256",
        "small = -1",
        "small = 'a'",
        "small = 1.0",
        "large = -1",
        "on = 'yes'",
        "on = 1",
        "kind = 'three'",
        "texts = 'a'",
        "texts = ['a', 1]",
        "texts = { a = 'b' }",
        "named = ['a']",
        "[named]\na = 1",
        "part = 1",
        "part = 'a'",
        "parts = { name = 'a' }",
        "parts = [1]",
        "parts = [{ port = 65536 }]",
        "[part]\nport = 'http'",
        "odd = 2",
        "[rest]\n",
        "rest = 7",
    ] {
        let expected = expected(text).unwrap_err();
        assert_eq!(got(text), Err(expected), "{text}");
    }
}

/// The library takes these for something else, as it would be for a type with an array or a
/// date in it.
#[test]
fn what_nobody_writes_is_refused() {
    let told = |text: &str| got(text).unwrap_err();
    for (text, what, start) in [
        (
            "part = ['a', 1]",
            "invalid type: sequence, expected struct Part",
            7,
        ),
        (
            "on = true\npart = 1979-05-27",
            "invalid type: map, expected struct Part",
            17,
        ),
        (
            "kind = { two = {} }",
            "invalid type: map, expected a string",
            7,
        ),
        (
            "kind = 2",
            "invalid type: integer `2`, expected a string",
            7,
        ),
        (
            "large = 18446744073709551616",
            "invalid type: integer of more than 64 bits, expected u64",
            8,
        ),
    ] {
        assert_eq!(told(text), (what.to_owned(), Some(start)), "{text}");
    }
    assert_eq!(
        told("text = 1979-05-27").0,
        "invalid type: map, expected a string"
    );
}
