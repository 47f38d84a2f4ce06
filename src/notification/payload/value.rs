//! What the value of a key may be, and one value held against it.
//!
//! What comes out of a comparison is words that quote no text of the payload: the kind of a value,
//! or a number.

use super::keys::Object;
use crate::limits::{EXPIRATION_MAX_SECS, EXPIRATION_MIN_SECS};

/// What a key takes.
#[derive(Clone, Copy)]
pub(super) enum ValueKind {
    Text,
    TextOrNull,
    /// An array of strings.
    Texts,
    TextsOrNull,
    Number,
    /// A number without a fraction, 0 or more.
    Whole,
    /// 1 for yes. 0 for no is not documented, but what libraries send; it asks for nothing.
    Switch,
    /// 1 and nothing else.
    One,
    /// 0 to 1.
    Share,
    /// 0 to 1; any number for a Live Activity.
    Score,
    /// Seconds since 1970. Below 2^32, which catches milliseconds, as it does in an expiration.
    Seconds,
    /// The same, where a duration is easily taken for it.
    Date,
    /// `true` and nothing else.
    True,
    /// What happens to a Live Activity.
    Event,
    /// How much a notification may interrupt.
    Level,
    /// The identifier of a broadcast channel, in base64.
    Channel,
    /// An object with the app's own keys.
    Object,
    /// An object with these keys.
    Keys(&'static Object),
    /// A string, or an object with these keys.
    TextOr(&'static Object),
    /// A string; for a Live Activity also an object with these keys.
    LiveTextOr(&'static Object),
    /// As [`Self::TextOr`], and the object is for critical alerts.
    Sound(&'static Object),
}

/// The members of an object.
pub(super) enum Members {
    /// No object may stand here.
    NoObject,
    /// The app's own.
    Own,
    /// These keys.
    Known(&'static Object),
}

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

impl ValueKind {
    /// Holds a value without parts against it; `live`: of a Live Activity.
    pub(super) fn check(self, scalar: Scalar<'_>, live: bool) -> Result<(), Mismatch> {
        match (self, scalar) {
            (Self::Number, Scalar::Number(_))
            | (
                Self::Text
                | Self::TextOrNull
                | Self::TextOr(_)
                | Self::LiveTextOr(_)
                | Self::Sound(_),
                Scalar::Text(_),
            )
            | (Self::TextOrNull | Self::TextsOrNull, Scalar::Null) => Ok(()),
            (
                Self::Whole
                | Self::Switch
                | Self::One
                | Self::Share
                | Self::Score
                | Self::Seconds
                | Self::Date,
                Scalar::Number(number),
            ) => self.check_number(number, live),
            (Self::True, Scalar::Boolean(true)) => Ok(()),
            (Self::True, Scalar::Boolean(false)) => Err(("true", "false".to_owned())),
            (Self::Event | Self::Level | Self::Channel, Scalar::Text(text)) => {
                self.check_text(text)
            }
            _ => Err((self.in_words(live), scalar.kind().to_owned())),
        }
    }

    /// What came, if it fits and is probably not what was meant: a date that is a duration. 0 is a
    /// date that is long past, which says "at once".
    pub(super) fn doubt(self, scalar: Scalar<'_>) -> Option<String> {
        let Scalar::Number(number) = scalar else {
            return None;
        };
        let short = number > 0.0 && number < EXPIRATION_MIN_SECS as f64;
        (matches!(self, Self::Date) && short).then(|| shown(number))
    }

    fn check_number(self, number: f64, live: bool) -> Result<(), Mismatch> {
        let seconds = 0.0..=EXPIRATION_MAX_SECS as f64;
        let (fits, expected) = match self {
            Self::Whole => (
                number >= 0.0 && number.fract() == 0.0,
                "a whole number, 0 or more",
            ),
            Self::Switch => (number == 0.0 || number == 1.0, "0 or 1"),
            Self::One => (number == 1.0, "1"),
            Self::Share => ((0.0..=1.0).contains(&number), "a number from 0 to 1"),
            Self::Score => (
                live || (0.0..=1.0).contains(&number),
                "a number from 0 to 1",
            ),
            Self::Seconds | Self::Date => {
                (seconds.contains(&number), "seconds since 1970, below 2^32")
            }
            _ => (true, ""),
        };
        if fits {
            return Ok(());
        }
        Err((expected, shown(number)))
    }

    fn check_text(self, text: &str) -> Result<(), Mismatch> {
        let (fits, expected) = match self {
            Self::Event => (Event::parse(text).is_some(), "start, update or end"),
            Self::Level => (
                matches!(text, "passive" | "active" | "time-sensitive" | "critical"),
                "passive, active, time-sensitive or critical",
            ),
            Self::Channel => (is_base64(text), "base64"),
            _ => (true, ""),
        };
        if fits {
            return Ok(());
        }
        Err((expected, "another string".to_owned()))
    }

    /// What may be in an object that stands for it.
    pub(super) fn members(self, live: bool) -> Members {
        match self {
            Self::Object => Members::Own,
            Self::Keys(object) | Self::TextOr(object) | Self::Sound(object) => {
                Members::Known(object)
            }
            Self::LiveTextOr(object) if live => Members::Known(object),
            _ => Members::NoObject,
        }
    }

    pub(super) const fn takes_array(self) -> bool {
        matches!(self, Self::Texts | Self::TextsOrNull)
    }

    /// The kind of value that it takes, in words.
    pub(super) const fn in_words(self, live: bool) -> &'static str {
        match self {
            Self::Text | Self::TextOrNull | Self::Event | Self::Level | Self::Channel => "a string",
            Self::Texts | Self::TextsOrNull => "an array of strings",
            Self::Number
            | Self::Whole
            | Self::Switch
            | Self::One
            | Self::Share
            | Self::Score
            | Self::Seconds
            | Self::Date => "a number",
            Self::True => "a boolean",
            Self::Object | Self::Keys(_) => "an object",
            Self::LiveTextOr(_) if !live => "a string",
            Self::TextOr(_) | Self::LiveTextOr(_) | Self::Sound(_) => "a string or an object",
        }
    }
}

/// Of the standard alphabet, with its padding at the end. How long a channel's identifier is, Apple
/// does not say.
fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let foreign = |byte: u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    !body.is_empty() && text.len() - body.len() <= 2 && !body.bytes().any(foreign)
}

/// A number, unless it takes more than some twenty digits.
fn shown(number: f64) -> String {
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
