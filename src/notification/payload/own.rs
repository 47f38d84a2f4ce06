//! What is doubtful about a value of the app's own, found in its text without building a tree.
//!
//! Source: Apple, *Generating a remote notification*: own values are objects, arrays, strings,
//! numbers and Booleans. RFC 8259, sections 6 and 8.2: numbers beyond a double and half a surrogate
//! pair are read in different ways; `NSJSONSerialization` refuses the second and the whole payload
//! with it.
//!
//! The text is JSON already; what is not does no harm here.

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubts {
    /// `null` stands in it.
    pub(super) null: bool,
    /// A string or a key in it has half a surrogate pair.
    pub(super) text: bool,
    /// A number in it is beyond a double.
    pub(super) number: bool,
}

/// Looks through the text of a value once.
pub(super) fn doubts(json: &str) -> Doubts {
    let mut found = Doubts::default();
    let mut rest = json.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = match first {
            b'"' => string(behind, &mut found),
            b'-' | b'0'..=b'9' => number(rest, &mut found),
            b'n' => {
                found.null = true;
                behind
            }
            _ => behind,
        };
    }
    found
}

/// What comes behind a string, whose first quote is gone.
fn string<'a>(mut rest: &'a [u8], found: &mut Doubts) -> &'a [u8] {
    loop {
        rest = match rest {
            [] => return rest,
            [b'"', behind @ ..] => return behind,
            [b'\\', b'u', behind @ ..] => match (unit(behind), behind.get(4..)) {
                (Some(0xd800..=0xdbff), Some([b'\\', b'u', low @ ..]))
                    if matches!(unit(low), Some(0xdc00..=0xdfff)) =>
                {
                    low.get(4..).unwrap_or_default()
                }
                (Some(0xd800..=0xdfff), behind) => {
                    found.text = true;
                    behind.unwrap_or_default()
                }
                (_, behind) => behind.unwrap_or_default(),
            },
            [b'\\', _, behind @ ..] | [_, behind @ ..] => behind,
        };
    }
}

/// The number that four hexadecimal digits are.
fn unit(digits: &[u8]) -> Option<u16> {
    let digits = core::str::from_utf8(digits.get(..4)?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

/// What comes behind a number.
fn number<'a>(rest: &'a [u8], found: &mut Doubts) -> &'a [u8] {
    let part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'0'..=b'9' | b'e' | b'E');
    let length = rest.iter().take_while(|byte| part(byte)).count();
    let (digits, behind) = rest.split_at(length);
    let number = core::str::from_utf8(digits).ok();
    let number = number.and_then(|digits| digits.parse::<f64>().ok());
    found.number |= number.is_some_and(f64::is_infinite);
    behind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_is_found_wherever_it_stands_and_not_in_a_text() {
        for json in ["null", "[null]", r#"{"a":[1,{"b":null}]}"#, " null "] {
            assert!(doubts(json).null, "{json}");
        }
        for json in [
            r#""null""#,
            r#"{"null":1}"#,
            r#""\"null""#,
            "[true,false,1]",
        ] {
            assert_eq!(doubts(json), Doubts::default(), "{json}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_found_and_a_whole_one_is_a_character() {
        for json in [
            r#""\ud800""#,
            r#""\uDFFF""#,
            r#""a\ud83dz""#,
            r#""\ud83d\u0041""#,
            r#""\ud83d\ud83d\ude00""#,
            r#""\ude00\ud83d""#,
            r#"{"\udc00":1}"#,
            r#"["\\","\\\ud800"]"#,
        ] {
            assert!(doubts(json).text, "{json}");
        }
        for json in [
            r#""\ud83d\ude00""#,
            r#""\\ud800""#,
            r#""\u00e9""#,
            r#"["\"","\\"]"#,
            "\"\u{1f600}\"",
        ] {
            assert_eq!(doubts(json), Doubts::default(), "{json}");
        }
    }

    #[test]
    fn a_number_that_no_double_holds_is_found() {
        for json in ["1e999", "[-1E400]", &"9".repeat(400)] {
            assert!(doubts(json).number, "{json}");
        }
        for json in [
            "1e308",
            "-0",
            "[1.5,2E-999]",
            r#""1e999""#,
            "123456789012345678901",
        ] {
            assert_eq!(doubts(json), Doubts::default(), "{json}");
        }
    }

    #[test]
    fn whatever_is_cut_off_is_looked_through_to_its_end() {
        let json = r#"{"a\ud83d\ude00":[null,-1e999,"\ud800\"",{"b":"\\"}]}"#;
        for end in 0..=json.len() {
            let _ = doubts(&json[..end]);
        }
        assert!(doubts(json).null && doubts(json).text && doubts(json).number);
    }
}
