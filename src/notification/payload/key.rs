//! What is known of a key that Apple documents: which pushes it is for, what its value may be, and
//! one value held against that.
//!
//! What comes out of a comparison is words that quote no text of the payload: the kind of a value,
//! or a number.

use super::value::{Event, Mismatch, Scalar, is_base64, shown};
use crate::limits::{EXPIRATION_MAX_SECS, EXPIRATION_MIN_SECS};

/// An object of the payload whose keys are known here.
pub(super) struct Object {
    /// How the path of a key in it begins.
    pub(super) path: &'static str,
    pub(super) keys: &'static [Key],
    /// Whether all keys are Apple's, so that any other is worth a remark. At the top of a payload
    /// they are the app's.
    pub(super) closed: bool,
    /// The bits of [`seen`](super::seen) that an earlier object of the same name may have left.
    pub(super) clears: u32,
    /// The bit to set if there is any key at all.
    pub(super) member: u32,
}

impl Object {
    pub(super) const fn closed(path: &'static str, keys: &'static [Key]) -> Self {
        Self {
            path,
            keys,
            closed: true,
            clears: 0,
            member: 0,
        }
    }
}

/// A key of an [`Object`].
pub(super) struct Key {
    pub(super) name: &'static str,
    /// The rule that a wrong value breaks.
    pub(super) rule: &'static str,
    pub(super) kind: ValueKind,
    pub(super) applies_to: AppliesTo,
    /// The bit to set when the key is there and not `null`, one of
    /// [`seen`](super::seen).
    pub(super) seen: u32,
}

impl Key {
    pub(super) const fn new(name: &'static str, rule: &'static str, kind: ValueKind) -> Self {
        Self {
            name,
            rule,
            kind,
            applies_to: AppliesTo::Every,
            seen: 0,
        }
    }

    pub(super) const fn applies_to(mut self, applies_to: AppliesTo) -> Self {
        self.applies_to = applies_to;
        self
    }

    pub(super) const fn seen(mut self, seen: u32) -> Self {
        self.seen = seen;
        self
    }
}

/// Which pushes a key has a meaning for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AppliesTo {
    Every,
    /// `liveactivity`.
    Live,
    /// `liveactivity` with the event `start`.
    LiveStart,
    /// `liveactivity` with the event `end`.
    LiveEnd,
    /// All but `liveactivity`.
    NotLive,
    /// `widgets` and `controls`.
    Reload,
    /// `mdm`; for any other it is a custom key.
    Mdm,
    /// `fileprovider`; for any other it is a custom key.
    FileProvider,
}

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
