//! The bytes of a body become the text of a JSON object, or a problem that says what they look
//! like.

use serde::de::IgnoredAny;

use super::value::{described, malformed};
use crate::api::Problem;

const BODY: &str = "body";

/// U+FEFF in UTF-8. A reader may ignore it (RFC 8259, section 8.1), and editors on Windows write
/// it.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How compressed data begin: RFC 1952, section 2.3.1; RFC 8878, section 3.1.1.
const COMPRESSED: [(&[u8], &str); 2] = [(b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd")];

/// What white space is in JSON.
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// A body without the byte order mark that it may begin with.
pub(in crate::api) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// The text of a body that begins as an object does. `takes` says what is expected of the call,
/// with an example.
pub(super) fn of_body<'a>(bytes: &'a [u8], takes: &'static str) -> Result<&'a str, Problem> {
    let content = without_mark(bytes);
    let compressed = COMPRESSED
        .iter()
        .find(|(start, _)| content.starts_with(start));
    if let Some((_, name)) = compressed {
        return Err(Problem::compressed(BODY, name));
    }
    let text = core::str::from_utf8(content).map_err(|error| {
        let got = match content {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16".to_owned(),
            _ => {
                let at = bytes.len() - content.len() + error.valid_up_to();
                format!("no UTF-8 at byte {at}")
            }
        };
        Problem::field("not-utf8", BODY, "JSON in UTF-8", got)
    })?;
    let start = text.trim_start_matches(BLANKS);
    match start.bytes().next() {
        Some(b'{') => Ok(text),
        None => {
            let got = if text.is_empty() {
                "an empty body"
            } else {
                "blanks alone"
            };
            Err(Problem::field("json-malformed", BODY, takes, got))
        }
        Some(_) => Err(no_object(text, start, takes)),
    }
}

/// What is wrong with a text that is no object, `start` without the blanks before it.
fn no_object(text: &str, start: &str, takes: &'static str) -> Problem {
    let error = match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => {
            let got = described(start.trim_end_matches(BLANKS), false);
            return Problem::field("wrong-type", BODY, takes, got);
        }
        Err(error) => error,
    };
    let seems = match start.as_bytes() {
        [b'<', ..] => "markup such as XML",
        [b'-', b'-', ..] => "a multipart body",
        [0, b'{', ..] => "UTF-16",
        _ if is_form(start) => "a form (name=value)",
        _ => return malformed(text, &error),
    };
    Problem::field("json-malformed", BODY, takes, seems)
}

/// Whether a text begins as a form does: a name and `=`.
fn is_form(text: &str) -> bool {
    let name = text.split_once('=').map_or("", |(name, _)| name);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.bytes().all(fits)
}
