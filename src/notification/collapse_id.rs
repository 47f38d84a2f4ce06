//! Text turned into a [`CollapseId`].
//!
//! Source: Apple, *Sending notification requests to APNs*, `apns-collapse-id`: at most 64 bytes.
//! Apple says nothing of its alphabet. It travels as the value of an HTTP header, so it is held to
//! printable ASCII without a blank at either end (RFC 9110, section 5.5); what lies beyond is
//! allowed there as opaque bytes only, and nobody has said that APNs takes it.

use super::error::{InvalidNotification, character_at, rule};
use crate::limits::COLLAPSE_ID_MAX_BYTES;
use core::fmt;

const FIELD: &str = "collapse_id";

/// What makes a later notification replace an earlier one: 1 to 64 bytes of printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CollapseId(Box<str>);

impl CollapseId {
    /// From text.
    ///
    /// # Errors
    /// [`rule::COLLAPSE_ID_EMPTY`], [`rule::COLLAPSE_ID_TOO_LONG`] and
    /// [`rule::COLLAPSE_ID_CHARACTER`].
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        let refuse =
            |rule, expected, got| Err(InvalidNotification::new(FIELD, rule, expected, got));
        if text.is_empty() {
            return refuse(rule::COLLAPSE_ID_EMPTY, "1 to 64 bytes", "none".to_owned());
        }
        if text.len() > COLLAPSE_ID_MAX_BYTES {
            let got = format!("{} bytes", text.len());
            return refuse(rule::COLLAPSE_ID_TOO_LONG, "at most 64 bytes", got);
        }
        let last = text.len() - 1;
        let wrong = |offset: usize, c: char| match c {
            ' ' => offset == 0 || offset == last,
            c => !c.is_ascii_graphic(),
        };
        match text.char_indices().find(|(offset, c)| wrong(*offset, *c)) {
            None => Ok(Self(Box::from(text))),
            Some((offset, c)) => refuse(
                rule::COLLAPSE_ID_CHARACTER,
                "printable ASCII without a blank at either end",
                character_at(c, offset),
            ),
        }
    }

    /// The value of `apns-collapse-id`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CollapseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_64_bytes() {
        assert_eq!(
            CollapseId::parse("").unwrap_err().rule(),
            rule::COLLAPSE_ID_EMPTY
        );
        assert!(CollapseId::parse(&"A".repeat(64)).is_ok());
        assert_eq!(
            CollapseId::parse(&"A".repeat(65)).unwrap_err().rule(),
            rule::COLLAPSE_ID_TOO_LONG
        );
        // 22 characters of three bytes: the limit counts bytes.
        assert_eq!(
            CollapseId::parse(&"€".repeat(22)).unwrap_err().rule(),
            rule::COLLAPSE_ID_TOO_LONG
        );
    }

    #[test]
    fn what_cannot_be_a_header_value_is_refused() {
        for text in [" a", "a ", " ", "a\r\nx: y", "a\0", "a\tb", "é", "\u{7f}"] {
            assert_eq!(
                CollapseId::parse(text).unwrap_err().rule(),
                rule::COLLAPSE_ID_CHARACTER
            );
        }
        assert_eq!(
            CollapseId::parse("score of game 7").unwrap().as_str(),
            "score of game 7"
        );
    }
}
