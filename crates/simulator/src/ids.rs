//! Turns a random seed and a counter into the identifiers the simulator hands out, and recognises
//! the canonical form of one a client chose.
//!
//! Source: Apple, *Sending notification requests to APNs*, header `apns-id` (`docs/protocols.md`
//! 3.2): a canonical UUID is 32 lowercase hexadecimal digits displayed as 8-4-4-4-12.
//!
//! Invariant: one [`IdSource`] never returns the same identifier twice in its first 2^48.

use std::fmt::Write as _;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::rand::{SecureRandom, SystemRandom};

/// Makes identifiers in the shape of a version 4 UUID, without a system call for each.
pub(crate) struct IdSource {
    seed: u128,
    next: AtomicU64,
}

impl IdSource {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            seed: u128::from_be_bytes(random_bytes()?),
            next: AtomicU64::new(0),
        })
    }

    /// The next identifier; its low 48 bits are the seed's with the counter mixed in.
    pub(crate) fn next(&self) -> String {
        let bits = self.next_bits();
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            (bits >> 80) & 0xffff,
            (bits >> 64) & 0xffff,
            (bits >> 48) & 0xffff,
            bits & COUNTER
        )
    }

    /// The sixteen bytes of the next identifier.
    pub(crate) fn next_bytes(&self) -> [u8; 16] {
        self.next_bits().to_be_bytes()
    }

    fn next_bits(&self) -> u128 {
        const VERSION: u128 = 0xf << 76;
        const VARIANT: u128 = 0b11 << 62;
        let counter = u128::from(self.next.fetch_add(1, Ordering::Relaxed)) & COUNTER;
        ((self.seed ^ counter) & !VERSION & !VARIANT) | 4 << 76 | 0b10 << 62
    }
}

/// The bits that count.
const COUNTER: u128 = (1 << 48) - 1;

/// Sixteen bytes from the operating system, for a seed or a nonce.
pub(crate) fn random_bytes() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the system's random generator gave no bytes"))?;
    Ok(bytes)
}

/// Lowercase hexadecimal of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The bytes of hexadecimal digits, an even number of them and nothing else.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.filter(|_| rest.is_empty())
}

/// Whether `text` is a UUID in canonical form: lowercase, 8-4-4-4-12.
pub(crate) fn is_canonical_uuid(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(position, byte)| match position {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_identifiers_are_canonical_and_differ() {
        let ids = IdSource::new().unwrap();
        let made: std::collections::HashSet<String> = (0..1000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 1000);
        assert!(
            made.iter()
                .all(|id| is_canonical_uuid(id) && id.as_bytes()[14] == b'4')
        );
    }

    #[test]
    fn only_the_lowercase_hyphenated_form_is_canonical() {
        assert!(is_canonical_uuid("eabeae54-14a8-11e5-b60b-1697f925ec7b"));
        for bad in [
            "",
            "This is not a valid UUID.",
            "EABEAE54-14A8-11E5-B60B-1697F925EC7B",
            "eabeae5414a811e5b60b1697f925ec7b",
            "eabeae54-14a8-11e5-b60b-1697f925ec7",
            "eabeae54-14a8-11e5-b60b-1697f925ec7bb",
            "eabeae54-14a8-11e5-b60b-1697f925ec7g",
            "eabeae541-4a8-11e5-b60b-1697f925ec7b",
        ] {
            assert!(!is_canonical_uuid(bad), "{bad}");
        }
    }

    #[test]
    fn bytes_become_lowercase_hexadecimal() {
        assert_eq!(hex(&[0x00, 0xab, 0xff]), "00abff");
    }

    #[test]
    fn hexadecimal_of_either_case_becomes_bytes_and_nothing_else_does() {
        assert_eq!(from_hex("00aBFf"), Some(vec![0x00, 0xab, 0xff]));
        assert_eq!(from_hex(""), Some(Vec::new()));
        for bad in ["a", "0g", "00 ", "ä", "+1"] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }
}
