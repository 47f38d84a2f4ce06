//! One JSON value of a body: its text if it is a string, and how a problem tells what it is.

use std::borrow::Cow;

use crate::api::Problem;
use crate::json;
use crate::names::{self, quoted};

/// 400: the text is not JSON.
pub(super) fn malformed(text: &str, error: &serde_json::Error) -> Problem {
    Problem::field(
        "json-malformed",
        "body",
        "valid JSON",
        json::fault(text, error),
    )
}

/// A value as a problem tells it: its kind, and if it is `open` also the value, cut.
pub(super) fn described(json: &str, open: bool) -> String {
    let kind = match json.bytes().next() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') if open => {
            let text = string(json, String::new).ok().flatten();
            return format!("{} (a string)", quoted(&text.unwrap_or_default()));
        }
        Some(b'"') => "a string",
        Some(b't' | b'f' | b'n') => json,
        _ if open => return names::cut(json),
        _ => "a number",
    };
    kind.to_owned()
}

/// The text of a JSON string; `None` if it is something else.
pub(super) fn string<'a>(
    json: &'a str,
    place: impl Fn() -> String,
) -> Result<Option<Cow<'a, str>>, Problem> {
    let inner = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else {
        return Ok(None);
    };
    // The text is known to be JSON, so without escapes it is its own value.
    if !inner.contains('\\') {
        return Ok(Some(Cow::Borrowed(inner)));
    }
    match serde_json::from_str(json) {
        Ok(text) => Ok(Some(Cow::Owned(text))),
        Err(error) => {
            let got = json::fault(json, &error);
            let expected = "a string of whole characters";
            Err(Problem::field("json-malformed", place(), expected, got))
        }
    }
}
