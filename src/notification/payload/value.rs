//! One value of a payload, and how it is told of without quoting it.

/// A value that has no parts.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'a> {
    Null,
    Boolean(bool),
    Number(f64),
    Text(&'a str),
}

/// What was expected, and what came.
pub(super) type Mismatch = (&'static str, String);

/// The events of a Live Activity. LA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Start,
    Update,
    End,
}

impl Event {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "start" => Some(Self::Start),
            "update" => Some(Self::Update),
            "end" => Some(Self::End),
            _ => None,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Update => "update",
            Self::End => "end",
        }
    }
}

impl Scalar<'_> {
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
        }
    }

    /// Whether it is what a switch says when it is off: 0 or `false`.
    pub(super) fn is_off(self) -> bool {
        match self {
            Self::Boolean(on) => !on,
            Self::Number(number) => number == 0.0,
            Self::Null | Self::Text(_) => false,
        }
    }
}

/// Of the standard alphabet, with its padding at the end. How long a channel's identifier is, Apple
/// does not say.
pub(super) fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let foreign = |byte: u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    !body.is_empty() && text.len() - body.len() <= 2 && !body.bytes().any(foreign)
}

/// A number, unless it takes more than some twenty digits.
pub(super) fn shown(number: f64) -> String {
    let size = number.abs();
    if size >= 1e15 {
        "a number beyond 10^15".to_owned()
    } else if size > 0.0 && size < 1e-6 {
        "a number next to 0".to_owned()
    } else {
        format!("{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_few_digits() {
        assert_eq!(shown(7.0), "7");
        assert_eq!(shown(-0.5), "-0.5");
        assert_eq!(shown(1e300), "a number beyond 10^15");
        assert_eq!(shown(-1e-300), "a number next to 0");
        assert_eq!(shown(0.0), "0");
    }

    #[test]
    fn base64_is_its_alphabet_and_padding() {
        for text in ["dHN0LXNyY2gtY2hubA==", "ab+/", "YQ", "YWI="] {
            assert!(is_base64(text), "{text}");
        }
        for text in ["", "==", "a=b", "a b", "ab-_", "é", "YQ==="] {
            assert!(!is_base64(text), "{text}");
        }
    }
}
