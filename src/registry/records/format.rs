//! What all stored values have in common: a version, and the error of one that cannot be read.

use core::fmt;

/// A stored value that is not what this version wrote. The store, or a later version, is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptRecord(pub(crate) String);

impl fmt::Display for CorruptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a stored record could not be read: {}", self.0)
    }
}

impl core::error::Error for CorruptRecord {}

/// Line and column only: serde_json's messages may quote the value, which may be a token.
pub(in crate::registry) fn corrupt(what: &str, error: &serde_json::Error) -> CorruptRecord {
    CorruptRecord(format!(
        "{what}, line {}, column {}",
        error.line(),
        error.column()
    ))
}

/// The `v` of every stored value.
pub(in crate::registry) const VERSION: u32 = 1;

pub(in crate::registry) fn check_version(what: &str, version: u32) -> Result<(), CorruptRecord> {
    if version == VERSION {
        return Ok(());
    }
    Err(CorruptRecord(format!(
        "{what}, expected version {VERSION}, got {version}"
    )))
}
