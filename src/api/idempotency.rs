//! An idempotency key in the header `Idempotency-Key`, or in the field `idempotency_key`.
//!
//! Source: *The Idempotency-Key HTTP Header Field* (draft-ietf-httpapi-idempotency-key-header): a
//! string of RFC 8941, section 3.3.3, `"order:17"`. What most services and their clients have is
//! the same without quotes, `order:17`; both are the same key.

use super::Problem;
use crate::receipt::{IdempotencyKey, InvalidKey};

/// How problems call the header.
const HEADER: &str = "idempotency-key";

const RULE: &str = "idempotency-key";

/// 400: what stands for an idempotency key is none.
pub(super) fn invalid_key(field: &str, error: InvalidKey) -> Problem {
    Problem::field(RULE, field, InvalidKey::EXPECTED, error.got)
}

/// The text of the key in the values of the header, one for each line of it; `None` without one.
///
/// # Errors
/// 400 if there are several, or what is there is neither form.
pub fn idempotency_header(lines: &[Vec<u8>]) -> Result<Option<String>, Problem> {
    let line = match lines {
        [] => return Ok(None),
        [line] => line.trim_ascii(),
        several => {
            let got = several.len().to_string();
            return Err(Problem::field(RULE, HEADER, "one of it", got));
        }
    };
    let text = String::from_utf8_lossy(line);
    let Some(quoted) = text.strip_prefix('"') else {
        return Ok(Some(text.into_owned()));
    };
    let (mut key, mut rest) = (String::with_capacity(quoted.len()), quoted.chars());
    loop {
        match rest.next() {
            Some('"') if rest.as_str().is_empty() => return Ok(Some(key)),
            // An escape is of these two (RFC 8941, section 3.3.3), neither of which a key has.
            Some('\\') => key.extend(rest.next().filter(|it| matches!(it, '"' | '\\'))),
            Some(character) if character != '"' => key.push(character),
            _ => {
                let expected = "a key such as \"order:17\", or order:17 without quotes";
                return Err(Problem::field(RULE, HEADER, expected, "a quote alone"));
            }
        }
    }
}

/// The key of a request of `caller`: that of its field, or of its header.
///
/// # Errors
/// 400 if either is no key, or they are two.
pub(super) fn idempotency_key(
    caller: &str,
    field: Option<&str>,
    header: Option<&str>,
) -> Result<Option<IdempotencyKey>, Problem> {
    let parse = |text: Option<&str>, name| {
        let key = text.map(|text| IdempotencyKey::parse(caller, text));
        let key = key.transpose();
        key.map_err(|error: InvalidKey| invalid_key(name, error))
    };
    let in_field = parse(field, "idempotency_key")?;
    let in_header = parse(header, HEADER)?;
    if let (Some(one), Some(other)) = (&in_field, &in_header)
        && one != other
    {
        let expected = "the same key in the field and in the header";
        return Err(Problem::field(RULE, HEADER, expected, "two"));
    }
    Ok(in_field.or(in_header))
}

/// Sees that a call has no key that it would ignore, although doing it twice is not doing it once.
///
/// # Errors
/// 400 if there is one.
pub fn refuse_idempotency_key(lines: &[Vec<u8>]) -> Result<(), Problem> {
    if lines.is_empty() {
        return Ok(());
    }
    let expected = "none for this call, which cannot be kept from being carried out twice";
    Err(Problem::field(RULE, HEADER, expected, "one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(lines: &[&str]) -> Result<Option<String>, Problem> {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        idempotency_header(&lines)
    }

    #[test]
    fn a_key_is_the_same_with_quotes_and_without() {
        assert_eq!(header(&[]), Ok(None));
        for line in ["order:17", "\"order:17\"", "  order:17\t", " \"order:17\" "] {
            assert_eq!(header(&[line]), Ok(Some("order:17".to_owned())), "{line}");
        }
        // A key has no such characters, so whoever reads it refuses it.
        assert_eq!(header(&[r#""a\"\\b""#]), Ok(Some(r#"a"\b"#.to_owned())));
        assert_eq!(header(&["\"\""]), Ok(Some(String::new())));
    }

    #[test]
    fn several_headers_and_half_a_string_are_refused() {
        for lines in [
            &["a", "a"][..],
            &["a", "b"],
            &["\"a"],
            &["\""],
            &["\"a\"b"],
            &["\"a\";p=1"],
            &["\"a\", \"b\""],
        ] {
            let problem = header(lines).unwrap_err();
            assert_eq!((problem.status(), problem.rule()), (400, RULE), "{lines:?}");
            let body = String::from_utf8(problem.into_reply().body).unwrap();
            assert!(body.contains(r#""field":"idempotency-key""#), "{body}");
        }
    }

    #[test]
    fn field_and_header_mean_the_same_and_may_not_differ() {
        let key = |field, header| idempotency_key("server", field, header);
        assert_eq!(key(None, None), Ok(None));
        let a = key(Some("a"), None).unwrap();
        assert!(a.is_some());
        assert_eq!(key(None, Some("a")), Ok(a.clone()));
        assert_eq!(key(Some("a"), Some("a")), Ok(a));
        for (field, header) in [
            (Some("a"), Some("b")),
            (None, Some("")),
            (None, Some("a b")),
            (None, Some("a, b")),
            (None, Some("\u{fffd}")),
            (Some("a"), Some("A")),
            (Some("a b"), Some("a")),
        ] {
            let problem = key(field, header).unwrap_err();
            assert_eq!((problem.status(), problem.rule()), (400, RULE));
        }
    }

    #[test]
    fn a_call_that_cannot_heed_a_key_refuses_it() {
        assert_eq!(refuse_idempotency_key(&[]), Ok(()));
        let problem = refuse_idempotency_key(&[b"a".to_vec()]).unwrap_err();
        assert_eq!((problem.status(), problem.rule()), (400, RULE));
    }
}
