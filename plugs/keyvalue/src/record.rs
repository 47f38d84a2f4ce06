//! A key and its value as the bytes of one file, and back.
//!
//! ```text
//!   "DKV1" │ key length: 2 │ value length: 4 │ key │ value │ checksum: 8
//! ```
//!
//! Numbers are big-endian; the checksum is the beginning of the SHA-256 of all before it. Ours.

use sha2::{Digest as _, Sha256};

use crate::{KEY_MAX_BYTES, VALUE_MAX_BYTES};

const MAGIC: [u8; 4] = *b"DKV1";
const HEAD_BYTES: usize = 10;
const CHECKSUM_BYTES: usize = 8;

/// What is enough to read the key of any record, in bytes.
pub(crate) const KEY_PART_BYTES: usize = HEAD_BYTES + KEY_MAX_BYTES;

/// Longest record, in bytes.
pub(crate) const RECORD_MAX_BYTES: usize = KEY_PART_BYTES + VALUE_MAX_BYTES + CHECKSUM_BYTES;

/// The bytes of a record. Key and value are within their bounds.
pub(crate) fn encode(key: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + key.len() + value.len() + CHECKSUM_BYTES);
    bytes.extend(MAGIC);
    // The bounds are below these types'.
    bytes.extend(u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(key.as_bytes());
    bytes.extend(value);
    let checksum = Sha256::digest(&bytes);
    bytes.extend(checksum.iter().take(CHECKSUM_BYTES));
    bytes
}

/// Key, length of the value, and the rest.
fn head(bytes: &[u8]) -> Option<(&str, usize, &[u8])> {
    let (magic, rest) = bytes.split_first_chunk()?;
    let (key_bytes, rest) = rest.split_first_chunk()?;
    let (value_bytes, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*key_bytes)))?;
    let value_bytes = usize::try_from(u32::from_be_bytes(*value_bytes)).ok()?;
    let key = core::str::from_utf8(key).ok()?;
    (*magic == MAGIC).then_some((key, value_bytes, rest))
}

/// The value in this key's record; `None` if it is damaged, or another's.
pub(crate) fn decode(bytes: &[u8], key: &str) -> Option<Vec<u8>> {
    let (found, value_bytes, rest) = head(bytes)?;
    let (value, checksum) = rest.split_at_checked(value_bytes)?;
    let summed = bytes.len().checked_sub(CHECKSUM_BYTES)?;
    let expected = Sha256::digest(bytes.get(..summed)?);
    let is_whole = checksum.len() == CHECKSUM_BYTES && expected.starts_with(checksum);
    (is_whole && found == key).then(|| value.to_vec())
}

/// The key of a record, from its first [`KEY_PART_BYTES`].
pub(crate) fn decode_key(bytes: &[u8]) -> Option<&str> {
    head(bytes).map(|(key, ..)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_not_in_part() {
        for value in [&b"value"[..], b""] {
            let bytes = encode("d/k", value);
            assert_eq!(decode(&bytes, "d/k").as_deref(), Some(value));
            assert_eq!(decode_key(&bytes), Some("d/k"));
            assert_eq!(decode(&bytes, "d/x"), None, "another key's");
            for cut in 0..bytes.len() {
                assert_eq!(decode(&bytes[..cut], "d/k"), None, "cut at {cut}");
            }
            for flipped in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[flipped] ^= 1;
                assert_eq!(decode(&damaged, "d/k"), None, "damaged at {flipped}");
            }
            let mut longer = bytes.clone();
            longer.push(0);
            assert_eq!(decode(&longer, "d/k"), None);
        }
    }
}
