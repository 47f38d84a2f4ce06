//! What a request says of its body: `Content-Type` and `Content-Encoding`.
//!
//! One rule for every call that takes a body. As JSON is read what calls itself
//!
//! - `application/json`, or any `application/…+json`;
//! - nothing at all;
//! - `text/plain`, which is what `fetch` calls a string;
//! - `application/x-www-form-urlencoded`, which is what curl calls everything. Where a call takes a
//!   form, the first character of the body decides.
//!
//! Everything else is refused with 415, and so is a body in another encoding than UTF-8 or a
//! compressed one: neither is worth guessing.

use super::Problem;
use crate::names;

const ENCODING: &str = "content-encoding";

/// What is taken, to follow "expected".
const TYPES: &str = "application/json (or a type that ends in +json, text/plain, or none)";

/// As what a body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// JSON.
    Json,
    /// A form, where the call takes one; otherwise JSON.
    Form,
}

impl BodyKind {
    /// By the values of `Content-Type` and `Content-Encoding`, each as often as it stands there.
    ///
    /// # Errors
    /// 415, with what is taken.
    pub fn of(types: &[Vec<u8>], encodings: &[Vec<u8>]) -> Result<Self, Problem> {
        Self::check_encodings(encodings)?;
        match types {
            [] => Ok(Self::Json),
            [value] => Self::of_type(value),
            several => {
                let got = format!("{} of it", several.len());
                Err(Problem::unsupported_type("one content-type", got))
            }
        }
    }

    fn of_type(value: &[u8]) -> Result<Self, Problem> {
        let text = String::from_utf8_lossy(value).to_ascii_lowercase();
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let kind = match essence {
            "" | "application/json" | "text/plain" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            other if other.starts_with("application/") && other.ends_with("+json") => Self::Json,
            _ => return Err(Problem::unsupported_type(TYPES, names::cut(essence))),
        };
        check_parameters(parts).map(|()| kind)
    }

    /// Sees that a body is not compressed, by the values of `Content-Encoding`.
    ///
    /// # Errors
    /// 415.
    pub(super) fn check_encodings(encodings: &[Vec<u8>]) -> Result<(), Problem> {
        encodings.iter().try_for_each(|value| check_encoding(value))
    }

    /// Sees that a body is in UTF-8, by the value of `Content-Type`.
    ///
    /// # Errors
    /// 415.
    pub(super) fn check_charset(value: &[u8]) -> Result<(), Problem> {
        let text = String::from_utf8_lossy(value).to_ascii_lowercase();
        check_parameters(text.split(';').map(str::trim).skip(1))
    }
}

fn check_parameters<'a>(mut parts: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
    let charset = parts.find_map(|part| part.strip_prefix("charset="));
    match charset.map_or("", |charset| charset.trim_matches('"')) {
        // ASCII is UTF-8, too.
        "" | "utf-8" | "utf8" | "us-ascii" => Ok(()),
        other => {
            let got = format!("charset={}", names::cut(other));
            Err(Problem::unsupported_type("charset=utf-8 or none", got))
        }
    }
}

fn check_encoding(value: &[u8]) -> Result<(), Problem> {
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    let mut codings = text.split(',').map(str::trim);
    match codings.find(|coding| !matches!(*coding, "" | "identity")) {
        None => Ok(()),
        Some(coding) => Err(Problem::compressed(ENCODING, &names::cut(coding))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(types: &[&str], encodings: &[&str]) -> Result<BodyKind, Problem> {
        let values = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        let (types, encodings): (Vec<_>, Vec<_>) = (values(types), values(encodings));
        BodyKind::of(&types, &encodings)
    }

    fn refusal(
        types: &[&str],
        encodings: &[&str],
    ) -> (serde_json::Value, Vec<(&'static str, String)>) {
        let reply = of(types, encodings).unwrap_err().into_reply();
        assert_eq!(reply.status, 415);
        (serde_json::from_slice(&reply.body).unwrap(), reply.headers)
    }

    #[test]
    fn what_clients_call_json_is_read_as_json() {
        for kind in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json; charset=",
            "application/vnd.api+json",
            "application/problem+json; profile=x",
            "text/plain;charset=UTF-8",
            "text/plain",
            "",
        ] {
            assert_eq!(of(&[kind], &[]), Ok(BodyKind::Json), "{kind}");
        }
        assert_eq!(of(&[], &[]), Ok(BodyKind::Json));
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        assert_eq!(of(&[form], &["identity"]), Ok(BodyKind::Form));
        assert_eq!(of(&[], &["", "Identity, identity"]), Ok(BodyKind::Json));
    }

    #[test]
    fn another_type_is_told_what_is_taken() {
        for kind in [
            "application/xml",
            "text/html",
            "multipart/form-data; boundary=x",
            "application/octet-stream",
            "application/x-ndjson",
            "application/jsonp",
            "image/svg+xml",
            "json",
            "\u{202e}",
        ] {
            let (problem, headers) = refusal(&[kind], &[]);
            assert_eq!(
                problem["type"], "urn:dunlin:unsupported-media-type",
                "{kind}"
            );
            assert_eq!(problem["field"], "content-type");
            assert_eq!(problem["expected"], TYPES);
            assert!(
                !problem["got"].as_str().unwrap().contains('\u{202e}'),
                "{kind}"
            );
            assert_eq!(headers, [("accept", "application/json".to_owned())]);
        }
        let two = ["application/json", "application/json"];
        assert_eq!(refusal(&two, &[]).0["got"], "2 of it");
        let long = format!("application/{}", "x".repeat(1_000));
        assert!(refusal(&[&long], &[]).0["detail"].as_str().unwrap().len() < 200);
    }

    #[test]
    fn another_charset_is_refused() {
        for charset in ["iso-8859-1", "UTF-16", "\"windows-1252\""] {
            let kind = format!("application/json; charset={charset}");
            let (problem, _) = refusal(&[&kind], &[]);
            assert_eq!(problem["expected"], "charset=utf-8 or none");
            let name = charset.trim_matches('"').to_lowercase();
            assert_eq!(problem["got"], format!("charset={name}"));
        }
    }

    #[test]
    fn a_compressed_body_is_refused_with_what_to_send() {
        for encoding in ["gzip", "br", "deflate", "zstd", "x-gzip", "identity, gzip"] {
            let (problem, headers) = refusal(&[], &[encoding]);
            let rule = "urn:dunlin:unsupported-content-encoding";
            assert_eq!(
                (&problem["type"], &problem["field"]),
                (&rule.into(), &ENCODING.into())
            );
            assert!(encoding.contains(problem["got"].as_str().unwrap()));
            assert_eq!(headers, [("accept-encoding", "identity".to_owned())]);
        }
    }
}
