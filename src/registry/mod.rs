//! What is known of each device, as values in a key-value store.
//!
//! ```text
//!   d/<hash of topic and token>  ──►  DeviceRecord           one app on one device
//!   a/<hash of alias>            ──►  AliasIndex             the devices that may be that alias's
//! ```
//!
//! Keys are hashes, so that they have one length on every store and no token shows up in a listing.
//!
//! A record is the truth and an index is only where to look: an index may name a device whose
//! record says otherwise, and such a device is skipped. That is what makes three writes safe without
//! a transaction: a device is added to the new alias's index, then its record is swapped, then it
//! leaves the old alias's index. A crash in between leaves a surplus entry, never a missing one.
//!
//! Everything here turns old bytes and an event into new bytes; the caller does the compare-and-swap
//! and comes back if somebody else was faster.

mod alias;
mod device;
mod keys;

pub use alias::{ALIAS_MAX_DEVICES, Alias, AliasFull, AliasIndex, DeviceRef};
pub use device::{DeviceRecord, MAX_TAGS, Registered, Registration, Tag};
pub use keys::{alias_key, device_key};

use core::fmt;

/// A stored value that is not what this version wrote. The store, or a later version, is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptRecord(String);

impl fmt::Display for CorruptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a stored record could not be read: {}", self.0)
    }
}

impl core::error::Error for CorruptRecord {}

/// Position only: serde_json's messages may quote the value, which may be a token.
fn corrupt(what: &str, error: &serde_json::Error) -> CorruptRecord {
    CorruptRecord(format!(
        "{what}, line {}, column {}",
        error.line(),
        error.column()
    ))
}

/// The `v` of every stored value.
const VERSION: u32 = 1;

fn check_version(what: &str, version: u32) -> Result<(), CorruptRecord> {
    if version == VERSION {
        return Ok(());
    }
    Err(CorruptRecord(format!(
        "{what}, expected version {VERSION}, got {version}"
    )))
}
