//! Text turned into a [`Topic`].
//!
//! Source: Apple, *Sending notification requests to APNs*, `apns-topic`: the app's bundle
//! identifier, with a suffix for most push types (see [`super::PushType`]); for `mdm` the UID of
//! the certificate's subject. Apple states neither a length nor an alphabet. Bundle identifiers
//! have letters, digits, hyphens and dots; the underscore is let through as well, because
//! identifiers with one are in use. Whatever passes is legal in a header and needs no escaping in a
//! store's key.
//!
//! Limit: 255 bytes, ours.

use super::error::{InvalidNotification, character_at, rule};
use crate::limits::TOPIC_MAX_BYTES;
use core::fmt;
use std::sync::Arc;

const FIELD: &str = "topic";

/// What a device token belongs to: an app, or one purpose of an app. 1 to 255 bytes of ASCII
/// letters, digits, `.`, `-` and `_`.
///
/// Cloning shares the text. Case is kept and counts, as in bundle identifiers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Whether it is the type of a Wallet pass, all of which begin with `pass.`. Source: Apple,
    /// *Adding a Web Service to Update Passes*.
    pub fn is_of_a_pass(&self) -> bool {
        self.0.starts_with("pass.")
    }

    /// From text.
    ///
    /// # Errors
    /// [`rule::TOPIC_EMPTY`], [`rule::TOPIC_TOO_LONG`] and [`rule::TOPIC_CHARACTER`].
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        if text.is_empty() {
            let expected = "a bundle identifier such as com.example.app";
            return Err(InvalidNotification::new(
                FIELD,
                rule::TOPIC_EMPTY,
                expected,
                "nothing",
            ));
        }
        if text.len() > TOPIC_MAX_BYTES {
            let expected = format!("at most {TOPIC_MAX_BYTES} bytes");
            let got = format!("{} bytes", text.len());
            return Err(InvalidNotification::new(
                FIELD,
                rule::TOPIC_TOO_LONG,
                expected,
                got,
            ));
        }
        let foreign = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if let Some((offset, character)) = text.char_indices().find(|(_, c)| foreign(*c)) {
            let expected = "ASCII letters, digits, '.', '-' and '_'";
            let got = character_at(character, offset);
            return Err(InvalidNotification::new(
                FIELD,
                rule::TOPIC_CHARACTER,
                expected,
                got,
            ));
        }
        Ok(Self(Arc::from(text)))
    }

    /// The topic as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_identifiers_are_kept_as_they_are() {
        for text in [
            "com.example.App-1",
            "a_topic",
            "com.apple.mgmt.External.1b2c",
            "pass.com.example",
        ] {
            assert_eq!(Topic::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_could_break_a_header_or_a_key_is_refused() {
        for text in ["a b", "a\r\nb", "a/b", "a:b", "a\0b", "ä"] {
            assert_eq!(
                Topic::parse(text).unwrap_err().rule(),
                rule::TOPIC_CHARACTER
            );
        }
        assert_eq!(Topic::parse("").unwrap_err().rule(), rule::TOPIC_EMPTY);
    }

    #[test]
    fn at_most_255_bytes() {
        assert!(Topic::parse(&"a".repeat(255)).is_ok());
        let error = Topic::parse(&"a".repeat(256)).unwrap_err();
        assert_eq!(
            (error.rule(), error.got()),
            (rule::TOPIC_TOO_LONG, "256 bytes")
        );
    }
}
