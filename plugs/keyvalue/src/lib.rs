//! A component that exports `wasi:keyvalue@0.2.0-draft2`, for platforms that have no such store.
//!
//! ```text
//!   wasi:keyvalue@0.2.0-draft2 ─► component ─► Backend
//!                                                ├─► files::Files     a folder of the platform's
//!                                                └─► draft::Emulated  wasi:keyvalue@0.2.0-draft
//! ```
//!
//! Which of the two is in the component is chosen when it is built: files, or with the feature
//! `draft` the older interface. What each promises is in the README of this folder.
//!
//! There is one store, named `default`. Only `component` is on WASI alone; the rest is tested
//! natively.

#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod component;
pub mod draft;
pub mod files;
mod listing;
mod lock;
mod record;

/// The name of the only store.
pub const NAME: &str = "default";

/// Longest key, in bytes; the host's bound, and what Spin's stores take at least.
pub const KEY_MAX_BYTES: usize = 255;

/// Largest value, in bytes; the host's bound.
pub const VALUE_MAX_BYTES: usize = 1 << 20;

/// How often something is tried again because another writer of the same key was faster. Each try
/// that fails is another's that succeeded.
pub const TRIES_MAX: usize = 64;

/// Why a call failed. No key and no value is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValueError {
    /// There is no store of that name.
    NoSuchStore,
    /// The platform does not let us.
    AccessDenied,
    /// Anything else; for people.
    Other(String),
}

impl KeyValueError {
    pub(crate) fn other(why: impl core::fmt::Display) -> Self {
        Self::Other(why.to_string())
    }
}

impl core::fmt::Display for KeyValueError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoSuchStore => write!(f, "expected the store {NAME}, got another name"),
            Self::AccessDenied => f.write_str("access denied"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl core::error::Error for KeyValueError {}

/// What became of a compare-and-swap.
#[derive(Clone, PartialEq, Eq)]
pub enum Swap {
    /// The new value is there.
    Done,
    /// Somebody else was faster; this is what the key holds now.
    Lost(Option<Vec<u8>>),
}

/// Without the value, which is personal.
impl core::fmt::Debug for Swap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Done => "Done",
            Self::Lost(_) => "Lost(..)",
        })
    }
}

/// A page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In no order.
    pub keys: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// What the exported interface stands on.
///
/// # Errors
/// All of them fail if the platform does, and writes if a key or value is beyond its bound.
#[expect(missing_docs, reason = "they are the interface's own")]
pub trait Backend {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueError>;
    fn exists(&self, key: &str) -> Result<bool, KeyValueError> {
        Ok(self.get(key)?.is_some())
    }
    fn set(&self, key: &str, value: &[u8]) -> Result<(), KeyValueError>;
    fn delete(&self, key: &str) -> Result<(), KeyValueError>;
    fn list(&self, cursor: Option<&str>) -> Result<Page, KeyValueError>;

    /// Sets a key that holds what is expected.
    fn swap(&self, key: &str, expected: Option<&[u8]>, value: &[u8])
    -> Result<Swap, KeyValueError>;

    /// Adds to a decimal number; an absent one is 0. Returns the sum.
    fn increment(&self, key: &str, delta: i64) -> Result<i64, KeyValueError> {
        let mut current = self.get(key)?;
        for _ in 0..TRIES_MAX {
            let sum = sum(current.as_deref(), delta)?;
            match self.swap(key, current.as_deref(), sum.to_string().as_bytes())? {
                Swap::Done => return Ok(sum),
                Swap::Lost(newest) => current = newest,
            }
        }
        Err(KeyValueError::other("too many writers of one key"))
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, KeyValueError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Returns once this, and everything written before, survives a crash.
    fn set_many(&self, values: &[(String, Vec<u8>)]) -> Result<(), KeyValueError> {
        values
            .iter()
            .try_for_each(|(key, value)| self.set(key, value))
    }

    fn delete_many(&self, keys: &[String]) -> Result<(), KeyValueError> {
        keys.iter().try_for_each(|key| self.delete(key))
    }
}

fn sum(current: Option<&[u8]>, delta: i64) -> Result<i64, KeyValueError> {
    let number = match current {
        None => Some(0),
        Some(bytes) => core::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse::<i64>().ok()),
    };
    number
        .and_then(|number| number.checked_add(delta))
        .ok_or_else(|| KeyValueError::other("expected a number of 64 bits, got something else"))
}

/// Whether a key and a value are within their bounds.
pub(crate) fn check(key: &str, value: &[u8]) -> Result<(), KeyValueError> {
    let within = |what: &str, limit: usize, got: usize| match got <= limit {
        true => Ok(()),
        false => Err(KeyValueError::other(format_args!(
            "{what}: expected at most {limit} bytes, got {got}"
        ))),
    };
    within("key", KEY_MAX_BYTES, key.len())?;
    within("value", VALUE_MAX_BYTES, value.len())
}
