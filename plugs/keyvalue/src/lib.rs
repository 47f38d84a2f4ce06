//! A component that exports `dunlin:push/store`, for platforms that have another store or none.
//!
//! ```text
//!   dunlin:push/store ─► component ─► Backend
//!                                       ├─► files::Files      a folder of the platform's
//!                                       ├─► draft2::Swapping  wasi:keyvalue@0.2.0-draft2
//!                                       └─► draft::Emulated   wasi:keyvalue@0.2.0-draft
//! ```
//!
//! Which of the three is in the component is chosen when it is built: files, or with the feature
//! `draft2` or `draft` one of the two interfaces. What each promises is in the README of this
//! folder.
//!
//! Only `component` is on WASI alone; the rest is tested natively.

mod bounds;
#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod component;
pub mod draft;
pub mod draft2;
pub mod files;
mod listing;
mod lock;
mod record;

pub use bounds::{ANSWER_MAX_BYTES, Bounds, KEY_MAX_BYTES, VALUE_MAX_BYTES, first_of};

/// What the platform's store is called, where it has a name.
pub const NAME: &str = "default";

/// A value, or none.
pub type Value = Option<Vec<u8>>;

/// Why a call failed; for people. No key and no value is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlugError(String);

impl PlugError {
    pub(crate) fn new(why: impl core::fmt::Display) -> Self {
        Self(why.to_string())
    }

    /// There is no such store on the platform.
    pub fn no_such_store() -> Self {
        Self::new("the platform has no store of that name")
    }

    /// The platform does not let us.
    pub fn access_denied() -> Self {
        Self::new("the platform denies access to its store")
    }
}

impl core::fmt::Display for PlugError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for PlugError {}

/// What became of a compare-and-swap.
#[derive(Clone, PartialEq, Eq)]
pub enum Swap {
    /// The new value is there.
    Done,
    /// Something else than what was expected was there; this is it.
    Lost(Value),
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

/// What the exported interface stands on. What has returned survives a crash as far as the platform
/// sees to that. Keys and values are within their bounds.
pub trait Backend {
    /// The value of a key.
    ///
    /// # Errors
    /// If the platform fails.
    fn get(&self, key: &str) -> Result<Value, PlugError>;

    /// The values of keys, in their order.
    ///
    /// # Errors
    /// If the platform fails.
    fn get_many(&self, keys: &[String]) -> Result<Vec<Value>, PlugError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Writes a value, or removes the key.
    ///
    /// # Errors
    /// If the platform fails.
    fn put(&self, key: &str, value: Option<&[u8]>) -> Result<(), PlugError>;

    /// Writes a value, or removes the key, if it has what is expected. An empty value and none are
    /// the same.
    ///
    /// # Errors
    /// If the platform fails.
    fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<Swap, PlugError>;

    /// Keys: the first, or those behind a page.
    ///
    /// # Errors
    /// If the platform fails, or there was no such page.
    fn list(&self, after: Option<&str>) -> Result<Page, PlugError>;
}

/// Whether a value is what it is expected to be.
pub(crate) fn is_same(value: Option<&[u8]>, expected: Option<&[u8]>) -> bool {
    value.unwrap_or_default() == expected.unwrap_or_default()
}
