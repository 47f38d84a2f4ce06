//! A receipt as values of the store: one, or several where it is larger than a value may be.
//!
//! ```text
//!   small    i/<hash>            {"v":1, "request", …, "sending" or "reply"}
//!
//!   large    i/<hash>            {"v":1, "request", …, "parts":["0.<digest>", "1.<digest>"]}
//!            i/<hash>/0.<digest>   <at_ms> <until_ms> LF <the first bytes, as if it were small>
//!            i/<hash>/1.<digest>   <at_ms> <until_ms> LF <the next>
//! ```
//!
//! Parts are named by what is in them and are written before the value that names them, so whoever
//! finds a receipt finds all of it, and two writers of one key cannot take each other's parts.
//! Parts that nobody names any more are deleted by whoever knows of them; what a crash leaves of
//! them goes with the sweep, as each part says how old it is.

use core::str;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::key::RECEIPT_KEYS;
use super::record::Receipt;
use crate::registry::{CorruptRecord, Failure, Swap, Values, get, get_all};

/// Most bytes of a receipt in one value. **Ours;** values of 1 MiB are what every store takes.
pub(super) const PART_MAX_BYTES: usize = 768 * 1024;

/// Between the key of a receipt and the name of a part.
const SEPARATOR: char = '/';

/// Bytes of a digest that a part is named by.
const DIGEST_BYTES: usize = 12;

/// A receipt as it is stored.
pub(super) struct StoredReceipt {
    /// Under the key of the receipt.
    pub(super) main: Vec<u8>,
    /// Under keys of their own, in their order.
    parts: Vec<(String, Vec<u8>)>,
}

impl StoredReceipt {
    /// `receipt` as it is stored under `key`; the same each time.
    pub(super) fn of(receipt: &Receipt, key: &str) -> Self {
        let whole = receipt.to_json();
        if whole.len() <= PART_MAX_BYTES {
            let parts = Vec::new();
            return Self { main: whole, parts };
        }
        let head = format!("{} {}\n", receipt.at_ms, receipt.until_ms);
        let mut names = Vec::new();
        let mut parts = Vec::new();
        for (number, content) in whole.chunks(PART_MAX_BYTES).enumerate() {
            let value = [head.as_bytes(), content].concat();
            let digest = Sha256::digest(&value);
            let digest = URL_SAFE_NO_PAD.encode(digest.get(..DIGEST_BYTES).unwrap_or_default());
            let name = format!("{number}.{digest}");
            parts.push((part_key(key, &name), value));
            names.push(name);
        }
        let main = receipt.naming(names).to_json();
        Self { main, parts }
    }

    /// Writes the parts; the value that names them is to be written after that.
    pub(super) async fn put_parts<V: Values>(&self, values: &V) -> Result<(), Failure<V::Error>> {
        if self.parts.is_empty() {
            return Ok(());
        }
        // Where something is already, it is this.
        let swaps = self.parts.iter().map(|(key, value)| Swap {
            key: key.clone(),
            expected: None,
            new: Some(value.clone()),
        });
        let swapped = values.swap_many(swaps.collect()).await;
        swapped.map(drop).map_err(Failure::Store)
    }

    /// The keys of the parts.
    pub(super) fn part_keys(self) -> impl Iterator<Item = String> {
        self.parts.into_iter().map(|(key, _)| key)
    }
}

impl Receipt {
    /// Further keys of the store that have parts of it, where `key` is its own. Whoever replaces
    /// it or deletes it deletes these after that.
    pub fn part_keys(&self, key: &str) -> impl Iterator<Item = String> {
        StoredReceipt::of(self, key).part_keys()
    }
}

fn part_key(key: &str, name: &str) -> String {
    format!("{key}{SEPARATOR}{name}")
}

/// What is under `key`, where `stored` was a moment ago, with what its parts have.
pub(super) async fn read_whole<V: Values>(
    values: &V,
    key: &str,
    mut stored: Option<Vec<u8>>,
) -> Result<Option<Receipt>, Failure<V::Error>> {
    loop {
        let Some(main) = Receipt::read(stored.as_deref())? else {
            return Ok(None);
        };
        if main.parts.is_empty() {
            return Ok(Some(main));
        }
        if let Some(bytes) = joined(values, key, &main.parts).await? {
            return Ok(Receipt::read(Some(&bytes))?);
        }
        // Its parts are deleted once there is a reply, which is then under the key.
        let newest = get(values, key).await?;
        if newest == stored {
            return Err(CorruptRecord("receipt, a part is missing".into()).into());
        }
        stored = newest;
    }
}

/// The contents of parts; `None` if one is missing.
async fn joined<V: Values>(
    values: &V,
    key: &str,
    names: &[String],
) -> Result<Option<Vec<u8>>, Failure<V::Error>> {
    let keys = names.iter().map(|name| part_key(key, name));
    let mut bytes = Vec::new();
    for part in get_all(values, keys.collect()).await? {
        let Some((_, content)) = part.as_deref().and_then(split) else {
            return Ok(None);
        };
        bytes.extend_from_slice(content);
    }
    Ok(Some(bytes))
}

/// Whether a key of the store is that of a part.
pub fn is_part(key: &str) -> bool {
    let of_receipt = key.strip_prefix(RECEIPT_KEYS);
    of_receipt.is_some_and(|rest| rest.contains(SEPARATOR))
}

/// When the push of a part began, and until when it may be under way, both in milliseconds. What
/// cannot be read is as old as can be.
pub(super) fn times(part: &[u8]) -> (u64, u64) {
    split(part).map_or((0, 0), |(times, _)| times)
}

fn split(part: &[u8]) -> Option<((u64, u64), &[u8])> {
    let end = part.iter().position(|byte| *byte == b'\n')?;
    let (head, rest) = part.split_at_checked(end)?;
    let (at, until) = str::from_utf8(head).ok()?.split_once(' ')?;
    let times = (at.parse().ok()?, until.parse().ok()?);
    Some((times, rest.get(1..)?))
}
