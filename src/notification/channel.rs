//! Text turned into a [`ChannelId`] or a [`StoragePolicy`].
//!
//! Source: Apple, *Sending channel management requests to APNs*: APNs makes the identifier up, in
//! base64, and says "don't make assumptions on the channel ID size"; the policy is 0 or 1, and
//! cannot be changed once a channel exists.
//!
//! What the identifier looks like is APNs's affair, so its alphabet is not checked beyond what a
//! header carries without loss. Limit: 256 bytes, ours.

use super::error::{InvalidNotification, character_at, rule};
use crate::limits::CHANNEL_ID_MAX_BYTES;
use crate::names::{quoted, words};
use core::fmt;

const FIELD: &str = "channel";

/// What devices subscribe to, and broadcasts go to: 1 to 256 bytes of visible ASCII, as APNs gave
/// them out. No secret: whoever shows one still needs the app's credential.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(Box<str>);

impl ChannelId {
    /// From text.
    ///
    /// # Errors
    /// [`rule::CHANNEL_ID_EMPTY`], [`rule::CHANNEL_ID_TOO_LONG`] and
    /// [`rule::CHANNEL_ID_CHARACTER`].
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        let refuse =
            |rule, expected, got| Err(InvalidNotification::new(FIELD, rule, expected, got));
        if text.is_empty() {
            return refuse(rule::CHANNEL_ID_EMPTY, "1 to 256 bytes", "none".to_owned());
        }
        if text.len() > CHANNEL_ID_MAX_BYTES {
            let got = format!("{} bytes", text.len());
            return refuse(rule::CHANNEL_ID_TOO_LONG, "at most 256 bytes", got);
        }
        match text.char_indices().find(|(_, c)| !c.is_ascii_graphic()) {
            None => Ok(Self(Box::from(text))),
            Some((offset, c)) => refuse(
                rule::CHANNEL_ID_CHARACTER,
                "visible ASCII, such as base64",
                character_at(c, offset),
            ),
        }
    }

    /// From the bytes of a header; `None` if it is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Self::parse(core::str::from_utf8(bytes).ok()?).ok()
    }

    /// The value of `apns-channel-id`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What APNs keeps of a channel's broadcasts for devices that are away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoragePolicy {
    /// 0, "No Message Stored": only devices that are there get it, and more may be sent. Such a
    /// channel takes an expiration of 0 alone.
    NoMessage,
    /// 1, "Most Recent Message Stored": the last one, for 8 hours at most.
    MostRecentMessage,
}

impl StoragePolicy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::NoMessage, Self::MostRecentMessage];

    /// From the name in the HTTP interface: `none` or `most-recent`.
    ///
    /// # Errors
    /// [`rule::STORAGE_POLICY_UNKNOWN`].
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        let known = Self::ALL.into_iter().find(|policy| policy.as_str() == text);
        known.ok_or_else(|| {
            let rule = rule::STORAGE_POLICY_UNKNOWN;
            let expected = words(text, &Self::ALL.map(Self::as_str));
            InvalidNotification::new("storage_policy", rule, expected, quoted(text))
        })
    }

    /// From the number that Apple gives it.
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::NoMessage),
            1 => Some(Self::MostRecentMessage),
            _ => None,
        }
    }

    /// The number that Apple gives it: 0 or 1.
    pub const fn as_number(self) -> u8 {
        match self {
            Self::NoMessage => 0,
            Self::MostRecentMessage => 1,
        }
    }

    /// The name in the HTTP interface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoMessage => "none",
            Self::MostRecentMessage => "most-recent",
        }
    }
}

impl fmt::Display for StoragePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_what_a_header_carries() {
        for text in [
            "dHN0LXNyY2gtY2hubA==",
            "a+/=",
            "channel-1",
            &"A".repeat(256),
        ] {
            assert_eq!(ChannelId::parse(text).unwrap().as_str(), text);
            assert_eq!(ChannelId::read(text.as_bytes()).unwrap().as_str(), text);
        }
        for (text, rule) in [
            ("", rule::CHANNEL_ID_EMPTY),
            (&"A".repeat(257), rule::CHANNEL_ID_TOO_LONG),
            ("a b", rule::CHANNEL_ID_CHARACTER),
            ("a\r\nx: y", rule::CHANNEL_ID_CHARACTER),
            ("é", rule::CHANNEL_ID_CHARACTER),
        ] {
            assert_eq!(ChannelId::parse(text).unwrap_err().rule(), rule, "{text}");
        }
        assert_eq!(ChannelId::read(b"\xff"), None);
    }

    #[test]
    fn a_policy_has_a_name_and_apples_number() {
        for policy in StoragePolicy::ALL {
            assert_eq!(StoragePolicy::parse(policy.as_str()), Ok(policy));
            let number = u64::from(policy.as_number());
            assert_eq!(StoragePolicy::from_number(number), Some(policy));
        }
        assert_eq!(StoragePolicy::from_number(2), None);
        let error = StoragePolicy::parse("1").unwrap_err();
        assert_eq!(error.rule(), rule::STORAGE_POLICY_UNKNOWN);
    }
}
