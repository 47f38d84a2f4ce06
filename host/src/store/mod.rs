//! The key-value store behind `dunlin:push/store`: reads see every write at once, writes become
//! durable in groups.
//!
//! An `fsync` takes milliseconds. So a write is done when it is in memory, a thread commits what
//! has gathered, and whoever promises durability (the HTTP reply to a registration, a push with an
//! idempotency key) waits for [`Store::durable`], many for one commit:
//!
//! ```text
//!   swap / put ──► pending ──(commit thread)──► committing ──fsync──► backend
//!                     ▲                             │ failed: pending again, waiters are told
//!                     └─────────────────────────────┘
//!   read: pending, else committing, else what was read a moment ago, else backend
//! ```
//!
//! What is read from the backend is read on a thread of its own, without the lock (`many`).
//!
//! While the disk takes no writes (it is full, say) what was on it is still read, and writes are
//! kept in memory up to the bound. Whoever asks for durability hears at once that there is none:
//! [`Store::trouble`].
//!
//! Invariant: a reply that reports a write is sent only after that write is on disk, so a crash at
//! any moment loses nothing that was confirmed.

mod commit;
mod disk;
mod embedded;
mod many;
mod overlay;
mod recent;
mod stamps;
mod trouble;
mod upgrade;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dunlin::limits::STORE_UNAVAILABLE;
use dunlin::registry::VERSION;
use tokio::sync::{Semaphore, watch};
use tracing::{error, info};

use embedded::Embedded;
pub use many::{READ_MAX_BYTES, WantedSwap};
use overlay::Overlay;
pub use overlay::Value;
use recent::Recent;
use stamps::Stamps;
use trouble::TICK;
pub use upgrade::{UpgradeReport, kept, upgrade};

/// Bytes of keys and values that may wait for the disk. Beyond it a write is refused with
/// [`StoreError::Behind`].
const MAX_PENDING_BYTES: usize = 64 * 1024 * 1024;

/// Keys in one page of a listing.
const LIST_PAGE: usize = 1_000;

/// Bytes that a commit takes beyond twice what is in it: pages that it copies.
const COMMIT_MARGIN: u64 = 128 * 1024;

/// Why a store call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The disk is slower than the writers, or refuses: nothing was written.
    Behind,
    /// The disk failed.
    Disk(Arc<str>),
    /// The disk takes no writes at present, for this reason. A write that was made is kept in
    /// memory and tried again; at the bound of what is kept nothing was written.
    Unavailable(Arc<str>),
    /// Another process has the file.
    InUse,
    /// The values that are there in the place of those that were expected are too many bytes.
    TooMuch,
    /// What is in the file has another format than this version writes.
    Format(Format),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind => f.write_str("the store is behind with its writes"),
            Self::Disk(why) => write!(f, "the store's disk failed: {why}"),
            Self::Unavailable(why) => write!(f, "{STORE_UNAVAILABLE}: {why}"),
            Self::InUse => f.write_str("another process has the store"),
            Self::TooMuch => f.write_str("the values that are there are too many bytes for a call"),
            Self::Format(Format::Older) => f.write_str(
                "an earlier version of Dunlin wrote it; `dunlin store upgrade` makes of it one \
                 that this version reads, and keeps what there was",
            ),
            Self::Format(Format::Later(format)) => write!(
                f,
                "a later version of Dunlin wrote it: its format is {format}, and this version \
                 knows {VERSION}; run the version that wrote it, or one after that"
            ),
        }
    }
}

impl std::error::Error for StoreError {}

/// Another format than this version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An earlier version wrote it.
    Older,
    /// A later version wrote it, with this number.
    Later(u8),
}

impl StoreError {
    /// What is behind it, in a few words.
    fn into_why(self) -> Arc<str> {
        match self {
            Self::Disk(why) | Self::Unavailable(why) => why,
            other => other.to_string().into(),
        }
    }
}

/// A page of [`Store::list`].
#[derive(Debug, PartialEq, Eq)]
pub struct KeyPage {
    /// In byte order.
    pub keys: Vec<String>,
    /// The last key, if there may be more.
    pub next: Option<String>,
}

/// The answer to a compare-and-swap.
#[derive(Debug, PartialEq, Eq)]
pub enum Swap {
    /// The value was as expected and is now the new one.
    Done,
    /// It was not; this is what it is.
    Changed(Option<Vec<u8>>),
}

#[derive(Default)]
struct StoreState {
    /// Not yet handed to the backend.
    pending: Overlay,
    /// With the backend now.
    committing: Arc<BTreeMap<String, Value>>,
    committing_bytes: usize,
    /// Read from the backend, and not written since.
    recent: Recent,
    /// When keys were written last.
    stamps: Stamps,
    /// Number of the newest write.
    written: u64,
    closing: bool,
}

impl StoreState {
    fn held(&self, key: &str) -> Option<&Value> {
        self.pending
            .get(key)
            .or_else(|| self.committing.get(key))
            .or_else(|| self.recent.get(key))
    }
}

/// Without keys and values: they are devices, aliases and a provider token.
impl fmt::Debug for StoreState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreState")
            .field("pending", &self.pending.len())
            .field("committing", &self.committing.len())
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

/// How far the disk is.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// Every write up to this number is durable.
    durable: u64,
    /// Why the disk takes no writes at present.
    trouble: Option<Arc<str>>,
}

#[derive(Debug)]
struct SharedStore {
    state: Mutex<StoreState>,
    work: Condvar,
    backend: Option<Embedded>,
    /// For people.
    path: PathBuf,
    progress: watch::Sender<Progress>,
    /// Requests that were refused since the disk takes no writes.
    refused: AtomicU64,
    /// Calls that read the disk.
    readers: Arc<Semaphore>,
    /// How often is looked whether it takes them again.
    tick: Duration,
}

/// A store, shared by all instances of the function.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<SharedStore>,
    committer: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
}

impl Store {
    /// A store that forgets everything when it is dropped.
    pub fn memory() -> Self {
        Self::start(None, None, (Path::new(""), TICK))
    }

    /// Opens or creates the store in the file `path`. One process at a time.
    ///
    /// # Errors
    /// If the file cannot be opened, is not a store, or is in use.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let is_new = !path.exists();
        let (backend, failed) = Embedded::open(path)?;
        info!(path = %path.display(), is_new, "store opened");
        Ok(Self::start(Some(backend), failed, (path, TICK)))
    }

    fn start(
        backend: Option<Embedded>,
        failed: Option<StoreError>,
        (path, tick): (&Path, Duration),
    ) -> Self {
        let durable = backend.is_some();
        let trouble = failed.map(StoreError::into_why);
        let (progress, _) = watch::channel(Progress {
            durable: 0,
            trouble: trouble.clone(),
        });
        let shared = Arc::new(SharedStore {
            state: Mutex::default(),
            work: Condvar::new(),
            backend,
            path: path.to_owned(),
            progress,
            refused: AtomicU64::default(),
            readers: Arc::new(Semaphore::new(many::READERS)),
            tick,
        });
        let committer = durable.then(|| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                // Whoever waits for the disk must hear when nobody writes to it any more.
                let _gone = commit::Gone(&shared);
                shared.commit_until_closed(trouble.as_ref());
            })
        });
        Self {
            shared,
            committer: Arc::new(Mutex::new(committer)),
        }
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn get(&self, key: &str) -> Result<Value, StoreError> {
        let values = self.first_of(&[key.to_owned()])?;
        Ok(values.into_iter().next().flatten())
    }

    /// The values of several keys, with one look at the file for all that are not in memory, as
    /// long as they are not too many bytes for one.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn get_many(&self, keys: &[String]) -> Result<Vec<Value>, StoreError> {
        let mut values = Vec::with_capacity(keys.len());
        while let Some(left) = keys.get(values.len()..).filter(|left| !left.is_empty()) {
            values.extend(self.first_of(left)?);
        }
        Ok(values)
    }

    /// Writes `value`, or removes the key where it is `None`.
    ///
    /// # Errors
    /// [`StoreError::Behind`] at the bound of what may wait for the disk, and
    /// [`StoreError::Unavailable`] if the disk takes nothing.
    pub fn put(&self, key: &str, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.shared.write(&mut self.shared.lock(), key, value)
    }

    /// Writes `value` if the present one is `expected`.
    ///
    /// # Errors
    /// As [`Store::swap_many`].
    pub fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Vec<u8>,
    ) -> Result<Swap, StoreError> {
        let wanted = WantedSwap {
            key: key.to_owned(),
            expected: expected.map(<[u8]>::to_vec),
            value: Some(value),
        };
        let swapped = self.swap_read(&[wanted])?.pop();
        Ok(swapped.unwrap_or(Swap::Changed(None)))
    }

    /// Keys after `after`, in byte order, at most a thousand.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn keys_after(&self, after: Option<String>) -> Result<KeyPage, StoreError> {
        self.waiting(move |store| store.list(after.as_deref()))
            .await
    }

    /// The same, for a thread that may wait.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn list(&self, after: Option<&str>) -> Result<KeyPage, StoreError> {
        // Before the disk is read, without the lock: what is in neither of these is on it by then.
        let (committing, pending) = {
            let state = self.shared.lock();
            let pending = overlay::keys_after(state.pending.entries(), after);
            (Arc::clone(&state.committing), pending)
        };
        let mut keys = match &self.shared.backend {
            Some(backend) => {
                backend.keys_after(after, LIST_PAGE + pending.len() + committing.len())?
            }
            None => BTreeSet::new(),
        };
        overlay::merge_keys(&mut keys, overlay::keys_after(&committing, after));
        overlay::merge_keys(&mut keys, pending);
        let more = keys.len() > LIST_PAGE;
        let keys: Vec<String> = keys.into_iter().take(LIST_PAGE).collect();
        let next = more.then(|| keys.last().cloned()).flatten();
        Ok(KeyPage { keys, next })
    }

    /// The number of the newest write; [`Store::durable`] takes it.
    pub fn written(&self) -> u64 {
        self.shared.lock().written
    }

    /// Waits until every write up to `number` is on disk. At once for a store in memory.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], at once, if the disk takes no writes. The writes stay in
    /// memory and are tried again, so they may become durable later.
    pub async fn durable(&self, number: u64) -> Result<(), StoreError> {
        if self.shared.backend.is_none() {
            return Ok(());
        }
        let mut progress = self.shared.progress.subscribe();
        loop {
            let now = progress.borrow_and_update().clone();
            if now.durable >= number {
                return Ok(());
            }
            if let Some(why) = now.trouble {
                return Err(StoreError::Unavailable(why));
            }
            if progress.changed().await.is_err() {
                return Err(StoreError::Unavailable("the store is closed".into()));
            }
        }
    }

    /// Why the disk takes no writes at present; for people. Reads go on, and what is written is
    /// kept in memory up to a bound, but nothing is durable.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.shared.progress.borrow().trouble.clone()
    }

    /// Whether a request that writes can be carried out, or could have been. One that is refused is
    /// counted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub fn take_writes(&self) -> Result<(), StoreError> {
        match self.trouble() {
            None => Ok(()),
            Some(why) => {
                self.shared.refused.fetch_add(1, Ordering::Relaxed);
                Err(StoreError::Unavailable(why))
            }
        }
    }

    /// Commits what is left, and lets another process have the file. Later writes stay in memory
    /// only, and what would be read from the file is an error.
    pub fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_all();
        let thread = self
            .committer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            error!("the store's commit thread panicked");
        }
        if let Some(backend) = &self.shared.backend {
            backend.close();
        }
    }
}

impl SharedStore {
    /// A poisoned lock means a panic between two field writes of `StoreState`, each of which leaves
    /// it readable.
    fn lock(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, state: &mut StoreState, key: &str, value: Value) -> Result<(), StoreError> {
        let size = key.len() + value.as_ref().map_or(0, Vec::len);
        let waiting = state.pending.bytes() + state.committing_bytes + size;
        if self.backend.is_some() && waiting > MAX_PENDING_BYTES {
            let trouble = self.progress.borrow().trouble.clone();
            return Err(trouble.map_or(StoreError::Behind, StoreError::Unavailable));
        }
        state.written += 1;
        state.recent.forget(key);
        let number = state.written;
        state.stamps.wrote(key, number);
        if self.backend.is_none() && value.is_none() {
            state.pending.forget(key);
        } else {
            state.pending.insert(key, value);
        }
        self.work.notify_one();
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
