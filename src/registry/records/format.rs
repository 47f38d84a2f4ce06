//! What all stored values have in common: a version, what follows it, and the error of one that
//! cannot be read.
//!
//! ```text
//!   value   ┌──────┬─────────────────────────────┐
//!           │ 2: 1 │ what it is, in postcard     │    no bytes: as if it had never been written
//!           └──────┴─────────────────────────────┘
//! ```
//!
//! Source: *The Postcard Wire Format*, version 1 (postcard.jamesmunns.com): numbers are varints of
//! 7 bits a byte, the lowest first; texts and lists have their length before them, an option a byte
//! that is 0 or 1, a variant its number. Fields have no names, so their order is the format.
//!
//! Version 1 was JSON; `registry::upgrade` reads it, for `dunlin store upgrade` alone.

use core::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::notification::DeviceToken;

/// A stored value that is not what this version wrote. The store, or another version, is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptRecord(pub(crate) String);

impl fmt::Display for CorruptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a stored record could not be read: {}", self.0)
    }
}

impl core::error::Error for CorruptRecord {}

/// The format of records and indexes: the first byte of each.
pub const VERSION: u8 = 2;

/// With what a value of version 1 begins: a brace if it is JSON, else that number.
const OLDER: [u8; 2] = [b'{', 1];

/// What stands behind the version.
///
/// # Errors
/// [`CorruptRecord`] if it is another version.
pub(in crate::registry) fn behind_version<'a>(
    what: &str,
    bytes: &'a [u8],
) -> Result<&'a [u8], CorruptRecord> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((first, _)) if OLDER.contains(first) => Err(CorruptRecord(format!(
            "{what} of an earlier version of Dunlin, which `dunlin store upgrade` reads"
        ))),
        Some((first, _)) => Err(CorruptRecord(format!(
            "{what}, expected version {VERSION}, got {first}"
        ))),
        None => Err(CorruptRecord(format!("{what}, no bytes"))),
    }
}

/// From the bytes of a value, all of which it takes. What is wrong is told without quoting any.
///
/// # Errors
/// [`CorruptRecord`].
pub(in crate::registry) fn read<'a, T: Deserialize<'a>>(
    what: &str,
    bytes: &'a [u8],
) -> Result<T, CorruptRecord> {
    match postcard::take_from_bytes(behind_version(what, bytes)?) {
        Ok((value, [])) => Ok(value),
        Ok((_, more)) => Err(CorruptRecord(format!("{what}, {} bytes more", more.len()))),
        Err(_) => Err(cut(what)),
    }
}

/// The bytes of a value.
pub(in crate::registry) fn write(value: &impl Serialize) -> Vec<u8> {
    // Texts, numbers and lists that are in memory always serialise.
    postcard::to_extend(value, vec![VERSION]).unwrap_or_default()
}

fn cut(what: &str) -> CorruptRecord {
    CorruptRecord(format!("{what}, cut short or not one"))
}

/// Bytes that are written, and read, as a whole.
#[derive(Clone, Copy)]
pub(in crate::registry) struct Blob<'a>(pub &'a [u8]);

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Blob<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = Blob<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_bytes(Whole)
    }
}

/// A device that may be in an index, and the revision of its record that was about to be written
/// when it joined.
#[derive(Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The device.
    pub token: DeviceToken,
    /// The revision.
    pub revision: u64,
}

impl fmt::Debug for IndexEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexEntry({}, revision {})", self.token, self.revision)
    }
}

impl IndexEntry {
    /// Bytes that one takes at most, beside its token.
    pub(in crate::registry) const MORE_BYTES: usize = 2 + 10;

    /// Those that stand one after the other to the end.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub(in crate::registry) fn read_all(
        what: &str,
        mut bytes: &[u8],
    ) -> Result<Vec<Self>, CorruptRecord> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            let entry = postcard::take_from_bytes::<(Blob<'_>, u64)>(bytes);
            let ((Blob(token), revision), rest) = entry.map_err(|_| cut(what))?;
            let token = DeviceToken::from_bytes(token)
                .map_err(|_| CorruptRecord(format!("{what}, a token of no length or too long")))?;
            entries.push(Self { token, revision });
            bytes = rest;
        }
        Ok(entries)
    }

    /// Appends all of them.
    pub(in crate::registry) fn write_all(entries: &[Self], mut bytes: Vec<u8>) -> Vec<u8> {
        let size = |entry: &Self| entry.token.as_bytes().len() + Self::MORE_BYTES;
        bytes.reserve(entries.iter().map(size).sum());
        for entry in entries {
            let token = entry.token.as_bytes();
            varint(&mut bytes, u64::try_from(token.len()).unwrap_or(u64::MAX));
            bytes.extend_from_slice(token);
            varint(&mut bytes, entry.revision);
        }
        bytes
    }
}

/// Appends a number as the wire format has it. The library would append a whole index byte by byte.
fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        // Seven bits.
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_the_library_reads() {
        for number in [0, 1, 127, 128, 300, 16_383, 16_384, u64::MAX] {
            let mut bytes = vec![VERSION];
            varint(&mut bytes, number);
            assert_eq!(read::<u64>("number", &bytes), Ok(number));
            assert_eq!(bytes, write(&number));
        }
    }

    #[test]
    fn other_versions_are_told_apart_without_quoting_them() {
        let refused = |bytes: &[u8]| read::<u64>("thing", bytes).unwrap_err().0;
        for older in [&br#"{"v":1,"secret":7}"#[..], &[1, 0], b"{"] {
            let text = refused(older);
            assert!(text.contains("dunlin store upgrade"), "{text}");
            assert!(!text.contains("secret"));
        }
        assert_eq!(refused(&[9, 7]), "thing, expected version 2, got 9");
        assert_eq!(refused(&[]), "thing, no bytes");
        assert_eq!(refused(&[2]), "thing, cut short or not one");
        assert_eq!(refused(&[2, 7, 7]), "thing, 1 bytes more");
        assert_eq!(read("thing", &write(&300u64)), Ok(300u64));
    }

    #[test]
    fn entries_are_laid_out_as_the_wire_format_says() {
        let entry = |bytes: &[u8], revision| IndexEntry {
            token: DeviceToken::from_bytes(bytes).unwrap(),
            revision,
        };
        let entries = [entry(&[0xa1], 5), entry(&[0xb2, 0xc3], 300)];
        let bytes = IndexEntry::write_all(&entries, vec![VERSION]);
        assert_eq!(bytes, [2, 1, 0xa1, 5, 2, 0xb2, 0xc3, 0xac, 0x02]);
        let read = IndexEntry::read_all("entries", &bytes[1..]);
        assert_eq!(read.unwrap(), entries);
    }

    #[test]
    fn tokens_of_every_length_survive_and_others_are_refused() {
        for length in [1, 100, 127, 128, 255, 256, 512] {
            let token = DeviceToken::from_bytes(&vec![7; length]).unwrap();
            let entries = [u64::MAX, 0].map(|revision| IndexEntry {
                token: token.clone(),
                revision,
            });
            let bytes = IndexEntry::write_all(&entries, Vec::new());
            assert!(bytes.len() <= 2 * (length + IndexEntry::MORE_BYTES));
            assert_eq!(IndexEntry::read_all("x", &bytes).unwrap(), entries);
            assert!(IndexEntry::read_all("x", &bytes[..bytes.len() - 1]).is_err());
        }
        let too_long = [&[0x81, 0x04][..], &[7; 513], &[1]].concat();
        for wrong in [&[0, 1][..], &too_long, &[0xff; 11]] {
            assert!(IndexEntry::read_all("x", wrong).is_err());
        }
    }
}
