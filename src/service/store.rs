//! The store as calls use it: many keys at once, and what is done when it refuses.

use core::fmt;
use core::time::Duration;

use super::Platform;
use crate::registry::{Failure, Values};

/// How long to go on when the store refuses, as it does while the disk is behind.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before the store is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// Why a call of the store failed; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// It takes no writes at present: to ask again at once is of no use.
    Unavailable(String),
    /// Anything else. It may be gone at the next try: the disk may only be behind.
    Other(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unavailable(why) | Self::Other(why)) = self;
        f.write_str(why)
    }
}

impl core::error::Error for StoreError {}

/// A page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// In some order.
    pub keys: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// The store of an instance. Waiting for it lets all other calls go on.
///
/// A value that was swapped or put is seen by every reader at once, and survives a crash when
/// [`Self::durable`] has returned after it. Whoever drops a call before it has returned knows
/// nothing of what it was to write.
pub trait Store: Values<Error = StoreError> {
    /// Writes values, whatever was there: for keys that have one writer.
    ///
    /// # Errors
    /// [`StoreError`]. Some of them may have been written.
    fn put_many(&self, values: &[(&str, &[u8])]) -> impl Future<Output = Result<(), StoreError>>;

    /// Removes keys. Nothing says whether one was changed meanwhile, so this is for keys that have
    /// one writer.
    ///
    /// # Errors
    /// [`StoreError`]. Some of them may have been removed.
    fn delete_many(&self, keys: &[String]) -> impl Future<Output = Result<(), StoreError>>;

    /// Returns once everything written so far survives a crash.
    ///
    /// # Errors
    /// [`StoreError`]: it may not.
    fn durable(&self) -> impl Future<Output = Result<(), StoreError>>;

    /// Keys in some order, after those of the page that `cursor` came with. No request asks for
    /// them.
    ///
    /// # Errors
    /// [`StoreError`].
    fn keys(&self, cursor: Option<&str>) -> impl Future<Output = Result<Keys, StoreError>>;
}

/// Does it again for a while when the store refuses: it may only be behind.
pub(super) async fn persistently<T, E: MayPass>(
    platform: &impl Platform,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    let until = platform.now() + PATIENCE;
    loop {
        match attempt().await {
            Err(error) if error.may_pass() && platform.now() < until => {
                platform.wait_until(platform.now() + PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Whether an error can be gone at the next try.
pub(super) trait MayPass {
    fn may_pass(&self) -> bool;
}

impl MayPass for StoreError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Other(_))
    }
}

impl MayPass for Failure<StoreError> {
    fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) => error.may_pass(),
            Self::Contended => true,
            Self::Corrupt(_) | Self::AliasFull => false,
        }
    }
}
