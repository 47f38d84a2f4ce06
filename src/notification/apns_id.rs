//! A UUID, or 16 bytes of randomness, turned into an [`ApnsId`].
//!
//! Source: Apple, *Sending notification requests to APNs*, `apns-id`: "32 lowercase hexadecimal
//! digits, displayed in five groups separated by hyphens in the form 8-4-4-4-12". Bits of a random
//! one: RFC 9562, section 5.4.

use super::digits;
use super::error::{InvalidNotification, rule};
use crate::names::quoted;
use core::fmt;

const TEXT_BYTES: usize = 36;

/// Where the canonical form has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Where it has the digits of each byte.
const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// The identifier of one notification: a UUID of any version, written in lower case.
///
/// Not a secret; errors and receipts show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApnsId([u8; 16]);

impl ApnsId {
    /// From 16 random bytes, six bits of which are overwritten to make a UUID of version 4.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
        *version = (*version & 0x0f) | 0x40;
        *variant = (*variant & 0x3f) | 0x80;
        Self(bytes)
    }

    /// From the canonical form; upper-case digits are read as lower case.
    ///
    /// # Errors
    /// [`rule::ID_MALFORMED`].
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        Self::read(text.as_bytes()).ok_or_else(|| {
            let expected = "a UUID of the form 8-4-4-4-12, such as \
                            123e4567-e89b-12d3-a456-426655440000";
            InvalidNotification::new("id", rule::ID_MALFORMED, expected, quoted(text))
        })
    }

    /// From the canonical form as bytes of a header; `None` if it is anything else.
    pub fn read(text: &[u8]) -> Option<Self> {
        let text: &[u8; TEXT_BYTES] = text.try_into().ok()?;
        let is_formed = HYPHENS
            .iter()
            .all(|place| text.get(*place).is_some_and(|octet| *octet == b'-'));
        if !is_formed {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, place) in bytes.iter_mut().zip(PLACES) {
            *byte = digits::to_byte(*text.get(place..)?.first_chunk()?)?;
        }
        Some(Self(bytes))
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Appends the canonical form, 36 characters.
    pub fn write(&self, out: &mut String) {
        // Hexadecimal digits and hyphens are ASCII, so this never takes the default.
        out.push_str(core::str::from_utf8(&self.to_text()).unwrap_or_default());
    }

    /// The canonical form, in ASCII.
    pub fn to_text(&self) -> [u8; TEXT_BYTES] {
        let mut text = [b'-'; TEXT_BYTES];
        for (byte, place) in self.0.iter().zip(PLACES) {
            if let Some(digits) = text.get_mut(place..).and_then(<[u8]>::first_chunk_mut) {
                *digits = digits::of_byte(*byte);
            }
        }
        text
    }
}

impl fmt::Display for ApnsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(TEXT_BYTES);
        self.write(&mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for ApnsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApnsId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_case_is_normalised() {
        let id = ApnsId::parse("9F595474-356C-485E-B67F-9870BAE68702").unwrap();
        assert_eq!(id.to_string(), "9f595474-356c-485e-b67f-9870bae68702");
        assert_eq!(ApnsId::parse(&id.to_string()).unwrap(), id);
    }

    #[test]
    fn randomness_becomes_version_4() {
        assert_eq!(
            ApnsId::from_random([0xff; 16]).to_string(),
            "ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
        assert_eq!(
            ApnsId::from_random([0; 16]).to_string(),
            "00000000-0000-4000-8000-000000000000"
        );
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "9f595474356c485eb67f9870bae68702",
            "{9f595474-356c-485e-b67f-9870bae68702}",
            "9f595474-356c-485e-b67f-9870bae6870",
            "9f595474-356c-485e-b67f-9870bae68702a",
            "9f595474-356c-485e-b67f-9870bae6870g",
            "9f595474356c--485e-b67f-9870bae68702",
            "9f595474-356c-485e-b67f-9870bae687é",
        ] {
            assert_eq!(
                ApnsId::parse(text).unwrap_err().rule(),
                rule::ID_MALFORMED,
                "{text}"
            );
        }
    }
}
