//! What is wrong with a text that is not JSON (RFC 8259), in words for people.
//!
//! The library that reads JSON says where it stopped; what stands there is looked up in the text.
//! At most one character of the text is quoted: it may be part of a device token.

use serde::Deserialize;
use serde::de::Error as _;

/// Reads JSON that is given as bytes.
///
/// Everything is read as text: for bytes the library would have all its code a second time.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> serde_json::Result<T> {
    let text = str::from_utf8(bytes).map_err(serde_json::Error::custom)?;
    serde_json::from_str(text)
}

/// Words of other languages that programs write in the place of a value.
const FOREIGN: [&str; 7] = [
    "NaN",
    "Infinity",
    "-Infinity",
    "undefined",
    "None",
    "True",
    "False",
];

/// What stands where the reading of `text` stopped with `error`, and in which line and column, both
/// from 1, the column in characters. To follow the word "got".
pub(crate) fn fault(text: &str, error: &serde_json::Error) -> String {
    let offset = offset(text, error);
    let (before, rest) = text.split_at(offset);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    let column = 1 + before.chars().count() - before.get(..line_start).map_or(0, chars);
    let what = match rest.chars().next() {
        Some(first) if !error.is_eof() => describe(before, rest, first),
        _ => "a text that ends too early,".to_owned(),
    };
    format!("{what} at line {line}, column {column}")
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// The byte at which the reading stopped, at a boundary of characters and within the text.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let (line, column) = (error.line(), error.column());
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    let mut starts = ends.map(|(end, _)| end + 1);
    let start = line.checked_sub(2).and_then(|before| starts.nth(before));
    // Columns count bytes from 1; column 0 is the end of the line before.
    let mut offset = (start.unwrap_or(0) + column).saturating_sub(1);
    offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    // Of a control character in a string the place before it may be told.
    let next = text.get(offset..).and_then(|rest| rest.chars().next());
    let next = offset + next.map_or(0, char::len_utf8);
    let control = |byte: &u8| *byte < b' ';
    match text.as_bytes().get(next).is_some_and(control) && is_in_string(text, next) {
        true => next,
        false => offset,
    }
}

/// Whether the byte at `end` stands inside of a string.
fn is_in_string(text: &str, end: usize) -> bool {
    let (mut inside, mut escaped) = (false, false);
    for byte in text.bytes().take(end) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = inside,
            b'"' => inside = !inside,
            _ => {}
        }
    }
    inside
}

fn describe(before: &str, rest: &str, first: char) -> String {
    if let Some(word) = foreign(before, rest) {
        return format!("{word}, which JSON does not have,");
    }
    if is_half_a_pair(before, rest) {
        return "half of a surrogate pair".to_owned();
    }
    let last = before.trim_ascii_end().chars().next_back();
    let what = match first {
        '\'' => "a single quote in the place of a double one,",
        '\u{201c}' | '\u{201d}' => "a curly quote in the place of a straight one,",
        '/' | '#' if !before.ends_with('\\') => "a comment, which JSON does not have,",
        '}' | ']' if last == Some(',') => "a comma with nothing behind it,",
        '0'..='9' | '.' | '+' => "a number that JSON does not write so, or out of range,",
        'a'..='z' | 'A'..='Z' | '_' | '$' if matches!(last, None | Some('{' | '[' | ',' | ':')) => {
            "a word without double quotes"
        }
        _ => return format!("{first:?}"),
    };
    what.to_owned()
}

/// The word of another language that stands here, or that the reading stopped in.
fn foreign(before: &str, rest: &str) -> Option<&'static str> {
    let stands = |word: &&str| {
        rest.starts_with(*word) || {
            // A minus sign is read before the word behind it is refused.
            let behind = word.strip_prefix('-');
            behind.is_some_and(|behind| before.ends_with('-') && rest.starts_with(behind))
        }
    };
    FOREIGN.into_iter().rev().find(stands)
}

/// Whether the reading stopped at an escape such as `\ud83d` without its other half.
fn is_half_a_pair(before: &str, rest: &str) -> bool {
    let from = before.rfind("\\u").filter(|at| before.len() - at <= 8);
    let Some(digits) = from.and_then(|at| before.get(at + 2..)) else {
        return false;
    };
    let mut digits = digits.chars().chain(rest.chars()).take(4);
    let first = digits
        .next()
        .is_some_and(|digit| matches!(digit, 'd' | 'D'));
    let second = digits.next().and_then(|digit| digit.to_digit(16));
    first && second.is_some_and(|digit| digit >= 8) && digits.all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;

    fn of(text: &str) -> String {
        fault(text, &serde_json::from_str::<IgnoredAny>(text).unwrap_err())
    }

    /// As where the value of a string or a number matters.
    fn of_value(text: &str) -> String {
        fault(
            text,
            &serde_json::from_str::<serde_json::Value>(text).unwrap_err(),
        )
    }

    #[test]
    fn the_place_is_told_in_lines_and_characters() {
        for (text, got) in [
            ("{\"a\":1 \"b\"}", "'\"' at line 1, column 8"),
            ("{\"é\":1 x}", "'x' at line 1, column 8"),
            ("{\n  \"a\": *\n}", "'*' at line 2, column 8"),
            ("{} {}", "'{' at line 1, column 4"),
            ("{\"a\":\"b\nc\"}", "'\\n' at line 1, column 8"),
            ("{\"a\":\"\\x\"}", "'x' at line 1, column 8"),
            ("\u{1f389}", "'\u{1f389}' at line 1, column 1"),
        ] {
            assert_eq!(of(text), got, "{text:?}");
        }
    }

    #[test]
    fn usual_mistakes_are_named() {
        for (text, got) in [
            ("", "a text that ends too early"),
            ("{\"a\":", "a text that ends too early"),
            ("[1", "a text that ends too early"),
            ("{\"a\":NaN}", "NaN, which JSON does not have"),
            ("[-Infinity]", "-Infinity, which"),
            ("[Infinity]", "Infinity, which"),
            ("[None]", "None, which"),
            ("{'a':1}", "a single quote"),
            ("{\u{201c}a\u{201d}:1}", "a curly quote"),
            ("{a:1}", "a word without double quotes"),
            ("[1, // one\n]", "a comment"),
            ("{\"a\":1,}", "a comma with nothing behind it"),
            (
                "[1,\n]",
                "a comma with nothing behind it, at line 2, column 1",
            ),
            ("[01]", "a number that JSON does not write so"),
            ("[.5]", "a number that JSON does not write so"),
        ] {
            assert!(of(text).starts_with(got), "{text:?}: {}", of(text));
        }
        assert!(
            of_value("[1e999]").starts_with("a number that"),
            "{}",
            of_value("[1e999]")
        );
        for text in [
            r#"["\ud83d"]"#,
            r#"["\udc00"]"#,
            r#"["\ud83d\n"]"#,
            r#"["\uD83Dx"]"#,
        ] {
            let got = of_value(text);
            assert!(got.starts_with("half of a surrogate pair"), "{text}: {got}");
        }
    }

    /// Whatever is cut or changed: the description neither panics nor quotes more than a character.
    #[test]
    fn no_text_is_too_odd_to_be_described() {
        let text =
            "{\"k\u{e9}y\": [\"\\ud83d\\ude00\", -1.5e3, true,\n null, {\"\u{1f389}\": {}}]}";
        for end in 0..text.len() {
            let bytes = text.as_bytes().get(..end).unwrap();
            for byte in [b'\n', b'"', b'\\', b'u', b'd', b'}', b'{', b',', 0, b'9'] {
                let mut bytes = bytes.to_vec();
                bytes.push(byte);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Err(error) = serde_json::from_str::<serde_json::Value>(&text) {
                    let got = fault(&text, &error);
                    assert!(got.contains(" at line ") && got.len() < 90, "{got}");
                }
            }
        }
    }
}
