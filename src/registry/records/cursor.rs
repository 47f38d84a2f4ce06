//! Where a device stands in a listing: a SHA-256, which is also how far one has got.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::alias::DeviceRef;
use crate::notification::{DeviceToken, InvalidNotification, Topic};

/// Bytes of the half of a cursor that tells an app, or a device in it.
const HALF: usize = 16;

/// A place in the order of a listing. As the cursor of a page it means "behind this one", and stays
/// good whatever is added or removed meanwhile: a device that is there all along is listed exactly
/// once.
///
/// Written in base64url, 43 characters. It cannot be turned back into a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor([u8; 32]);

impl Cursor {
    /// Of a token among those of a group.
    pub fn of(token: &DeviceToken) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Of a device among those of an alias: by app, and in it by token.
    pub(in crate::registry) fn in_alias(device: &DeviceRef) -> Self {
        let token = Self::of(&device.token);
        Self::of_halves(&device.topic, token.0.first_chunk().unwrap_or(&[0; HALF]))
    }

    /// The last one of an app among those of an alias.
    pub(in crate::registry) fn last_of(topic: &Topic) -> Self {
        Self::of_halves(topic, &[0xff; HALF])
    }

    fn of_halves(topic: &Topic, second: &[u8; HALF]) -> Self {
        let mut bytes: [u8; 32] = Sha256::digest(topic.as_str().as_bytes()).into();
        if let Some(half) = bytes.last_chunk_mut() {
            *half = *second;
        }
        Self(bytes)
    }

    pub(in crate::registry) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(in crate::registry) const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// From what [`Display`](fmt::Display) wrote.
    ///
    /// # Errors
    /// `cursor-malformed`.
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        let malformed = || {
            let expected = "the cursor of the page before, 43 characters";
            let got = format!("{} characters", text.chars().count());
            InvalidNotification::new("cursor", "cursor-malformed", expected, got)
        };
        let mut bytes = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(length) if length == bytes.len() => Ok(Self(bytes)),
            _ => Err(malformed()),
        }
    }

    /// The last one whose digits begin with `path`; digits beyond the 64th do not count.
    pub(in crate::registry) fn last_under(path: &[u8]) -> Self {
        let mut bytes = [0xff; 32];
        for (byte, pair) in bytes.iter_mut().zip(path.chunks(2)) {
            let low = pair.get(1).copied().unwrap_or(0xf);
            let high = pair.first().copied().unwrap_or(0xf);
            *byte = (high << 4) | (low & 0xf);
        }
        Self(bytes)
    }

    /// The hexadecimal digit at `depth`, below 16; 0 beyond the last.
    pub(crate) fn digit(&self, depth: usize) -> u8 {
        let byte = self.0.get(depth / 2).copied().unwrap_or(0);
        if depth.is_multiple_of(2) {
            byte >> 4
        } else {
            byte & 0x0f
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({:02x}…)", self.digit(0) << 4 | self.digit(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_being_written() {
        let cursor = Cursor::of(&DeviceToken::from_bytes(b"abc").unwrap());
        let text = cursor.to_string();
        assert_eq!(text.len(), 43);
        assert_eq!(Cursor::parse(&text), Ok(cursor));
        for wrong in [
            "",
            "x",
            &text[..42],
            &format!("{text}A"),
            "ä",
            &"=".repeat(43),
        ] {
            let error = Cursor::parse(wrong).unwrap_err();
            assert_eq!(error.rule(), "cursor-malformed", "{wrong}");
        }
    }

    #[test]
    fn digits_are_those_of_the_hash() {
        // SHA-256 of "abc", FIPS 180-2, appendix B.1: ba7816bf…15ad.
        let cursor = Cursor::of(&DeviceToken::from_bytes(b"abc").unwrap());
        let digits: Vec<_> = (0..6).map(|depth| cursor.digit(depth)).collect();
        assert_eq!(digits, [0xb, 0xa, 0x7, 0x8, 0x1, 0x6]);
        assert_eq!((cursor.digit(63), cursor.digit(64)), (0xd, 0));
    }

    #[test]
    fn the_last_under_a_path_bounds_all_that_begin_with_it() {
        let cursor = Cursor::of(&DeviceToken::from_bytes(b"abc").unwrap());
        for depth in 0..=64 {
            let path: Vec<_> = (0..depth).map(|depth| cursor.digit(depth)).collect();
            assert!(cursor <= Cursor::last_under(&path), "{depth}");
        }
        let whole: Vec<_> = (0..64).map(|depth| cursor.digit(depth)).collect();
        assert_eq!(Cursor::last_under(&whole), cursor);
        assert!(Cursor::last_under(&[0xb, 0x9]) < cursor);
        assert!(Cursor::last_under(&[0xb, 0xa, 0x7, 0x7]) < cursor);
    }
}
