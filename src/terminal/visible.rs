//! Text of others made fit for a terminal: what would move the cursor, change colours or turn the
//! direction of writing is shown as `\u{202e}`, in every text that reaches one.
//!
//! Source: ECMA-48 (control characters and escape sequences); Unicode Standard Annex #9, section 2
//! (bidirectional formatting characters). Joiners stay, since scripts and emoji need them.

use core::fmt::Write as _;
use std::borrow::Cow;

/// Whether a terminal acts on it instead of showing it.
pub const fn is_hidden(character: char) -> bool {
    matches!(character,
        // C0, DEL and C1
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // the marks of direction: ALM, LRM, RLM
        | '\u{61c}' | '\u{200e}' | '\u{200f}'
        // line and paragraph separator; embeddings and overrides
        | '\u{2028}'..='\u{202e}'
        // isolates, and deprecated formatting
        | '\u{2066}'..='\u{206f}'
        // byte order mark; interlinear annotation
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// One line: hidden characters are escaped as Rust writes them, line breaks too. Doing it twice is
/// doing it once.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |character, out| {
        // Writing to a string does not fail.
        let _ = write!(out, "{}", character.escape_unicode());
    })
}

/// The same for a text of several lines, whose breaks stay.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    let is_shown = |line: &str| !line.contains(is_hidden);
    if text.split('\n').all(is_shown) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<_> = text.split('\n').map(visible).collect();
    Cow::Owned(lines.join("\n"))
}

/// The same for JSON, which means what it did: hidden characters stand in strings only, and become
/// JSON's own escapes. White space between values stays.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    escaped(json, |character, out| match character {
        '\n' | '\r' | '\t' => out.push(character),
        _ => {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    })
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match is_hidden(character) {
            true => escape(character, &mut out),
            false => out.push(character),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that must not reach a terminal.
    const HOSTILE: [char; 25] = [
        '\u{0}', '\u{7}', '\u{8}', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{9d}',
        '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}',
        '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
        '\u{feff}',
    ];

    #[test]
    fn what_a_terminal_would_act_on_is_shown() {
        for character in HOSTILE {
            let text = format!("a{character}b");
            let shown = format!("a\\u{{{:x}}}b", u32::from(character));
            assert_eq!(visible(&text), shown);
            assert_eq!(visible(&shown), shown, "twice is once");
            let kept = if character == '\n' { text } else { shown };
            assert_eq!(visible_lines(&kept), kept);
        }
        assert_eq!(visible("\u{1b}[31mred"), r"\u{1b}[31mred");
        assert_eq!(visible_lines("a\n\u{202e}b\n"), "a\n\\u{202e}b\n");
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in [
            "Zoë",
            "שלום",
            "مرحبا",
            "👩‍👩‍👧",
            "می‌خواهم",
            "\u{301}",
            r"a\b",
            "",
        ] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
            assert!(matches!(visible_lines(text), Cow::Borrowed(_)));
            assert!(matches!(visible_json(text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn json_means_what_it_did() {
        for character in HOSTILE.into_iter().filter(|it| u32::from(*it) >= 0x7f) {
            let json = format!("{{\n\t\"a\": \"x{character}y\"}}");
            let shown = visible_json(&json);
            assert!(!shown.contains(character), "{shown}");
            let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
            assert_eq!(read(&shown), read(&json));
        }
    }
}
