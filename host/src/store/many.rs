//! Many keys a call, without holding up whoever asks: what is in memory is answered at once, and
//! what has to be read from the disk is read by a thread that may wait.
//!
//! ```text
//!   all in memory ──► compare, write ────────────────────────────────────────► outcomes
//!   otherwise     ──► a thread: read ──► written since? ── no ──► compare, write ──┘
//!                        ▲                    │ yes (of those alone)
//!                        └────────────────────┘
//! ```
//!
//! The disk is never read with the lock held, which everybody else needs. What was read is still
//! what the disk has if the key was not written meanwhile; if it was, the write is in memory, or it
//! is read again.

use std::sync::Arc;

use super::overlay::Value;
use super::{Store, StoreError, StoreState, Swap};

/// Bytes of values that are read for one call, and that its outcomes may have. Beyond it the first
/// are given, one at least.
pub const READ_MAX_BYTES: usize = dunlin::limits::STORE_CALL_MAX_BYTES;

/// How often swaps read the disk in vain, because others have written the same keys meanwhile.
const READS_MAX: usize = 64;

/// Calls that read the disk at a time, each on a thread of its own; the others wait for these.
pub(super) const READERS: usize = 32;

/// One compare-and-swap. An empty value and none are the same.
#[derive(Clone, PartialEq, Eq)]
pub struct WantedSwap {
    /// Whose value.
    pub key: String,
    /// What it has to be.
    pub expected: Value,
    /// What it becomes; `None` removes it.
    pub value: Value,
}

/// Without the values, which are personal.
impl std::fmt::Debug for WantedSwap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WantedSwap").finish_non_exhaustive()
    }
}

fn size(value: &Value) -> usize {
    value.as_ref().map_or(0, Vec::len)
}

fn is_same(a: &Value, b: &Value) -> bool {
    a.as_deref().unwrap_or_default() == b.as_deref().unwrap_or_default()
}

/// What was found for some keys, in their order.
struct FirstValues {
    values: Vec<Value>,
    bytes: usize,
}

impl FirstValues {
    /// Takes one more, if there is room for it or it is the first.
    fn take(&mut self, value: Value) -> bool {
        self.bytes += size(&value);
        let has_room = self.values.is_empty() || self.bytes <= READ_MAX_BYTES;
        if has_room {
            self.values.push(value);
        }
        has_room
    }
}

impl Store {
    /// The values of the first of these keys, in their order: of all of them, or of as many as
    /// together have [`READ_MAX_BYTES`], and of one at least.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn read(&self, keys: Vec<String>) -> Result<Vec<Value>, StoreError> {
        if let Some(values) = self.held_all(&keys) {
            return Ok(values);
        }
        self.waiting(move |store| store.first_of(&keys)).await
    }

    /// The same, if none of them has to be read from the disk.
    fn held_all(&self, keys: &[String]) -> Option<Vec<Value>> {
        let state = self.shared.lock();
        let is_in_memory = self.shared.backend.is_none();
        let mut found = FirstValues {
            values: Vec::with_capacity(keys.len()),
            bytes: 0,
        };
        for key in keys {
            let held = state.held(key).cloned();
            let held = held.or_else(|| is_in_memory.then_some(None))?;
            if !found.take(held) {
                break;
            }
        }
        Some(found.values)
    }

    /// What [`Store::read`] does, on a thread that may wait.
    pub(super) fn first_of(&self, keys: &[String]) -> Result<Vec<Value>, StoreError> {
        let (held, written) = {
            let state = self.shared.lock();
            let mut bytes = 0;
            let held = keys.iter().map_while(|key| {
                let held = (bytes <= READ_MAX_BYTES).then(|| state.held(key).cloned())?;
                bytes += held.as_ref().map_or(0, size);
                Some(held)
            });
            (held.collect::<Vec<_>>(), state.written)
        };
        let pairs = keys.iter().zip(&held);
        let missing = pairs.filter(|(_, held)| held.is_none());
        let missing: Vec<&str> = missing.map(|(key, _)| key.as_str()).collect();
        let read = match &self.shared.backend {
            Some(backend) => {
                let read = backend.get_first(&missing, READ_MAX_BYTES)?;
                let mut state = self.shared.lock();
                for (key, value) in missing.iter().zip(&read) {
                    if state.stamps.is_unwritten_since(key, written) {
                        state.recent.remember(key, value);
                    }
                }
                read
            }
            None => vec![None; missing.len()],
        };
        let mut read = read.into_iter();
        let mut found = FirstValues {
            values: Vec::with_capacity(keys.len()),
            bytes: 0,
        };
        for held in held {
            // The disk has given the first of them alone if they were too many bytes.
            let Some(value) = held.or_else(|| read.next()) else {
                break;
            };
            if !found.take(value) {
                break;
            }
        }
        Ok(found.values)
    }

    /// Carries out swaps, and says of each what became of it, in their order.
    ///
    /// # Errors
    /// As [`Store::get`] and [`Store::put`]; [`StoreError::Behind`] also if others write the same
    /// keys all the time, and [`StoreError::TooMuch`] if the values that are there instead have
    /// more than [`READ_MAX_BYTES`]. Some of the swaps may be done.
    pub async fn swap_many(&self, wanted: Vec<WantedSwap>) -> Result<Vec<Swap>, StoreError> {
        match self.swap_held(&wanted) {
            Some(swapped) => swapped,
            None => self.waiting(move |store| store.swap_read(&wanted)).await,
        }
    }

    /// The same, if none of their keys has to be read from the disk.
    fn swap_held(&self, wanted: &[WantedSwap]) -> Option<Result<Vec<Swap>, StoreError>> {
        let mut state = self.shared.lock();
        let is_in_memory = self.shared.backend.is_none();
        let is_held = |one: &WantedSwap| state.held(&one.key).is_some();
        if !is_in_memory && !wanted.iter().all(is_held) {
            return None;
        }
        let mut swapped = Swapped::default();
        for one in wanted {
            if let Err(error) = self.swap(&mut state, one, &None, &mut swapped) {
                return Some(Err(error));
            }
        }
        Some(Ok(swapped.outcomes))
    }

    /// The same on a thread that may wait.
    pub(super) fn swap_read(&self, wanted: &[WantedSwap]) -> Result<Vec<Swap>, StoreError> {
        let mut swapped = Swapped::default();
        let mut in_vain = 0;
        loop {
            let before = swapped.outcomes.len();
            let left = wanted.get(before..).unwrap_or_default();
            if left.is_empty() {
                return Ok(swapped.outcomes);
            }
            let written = self.written();
            let keys: Vec<_> = left.iter().map(|one| one.key.clone()).collect();
            let read = self.first_of(&keys)?;
            let mut state = self.shared.lock();
            for (one, read) in left.iter().zip(read) {
                let is_held = state.held(&one.key).is_some();
                if !is_held && !state.stamps.is_unwritten_since(&one.key, written) {
                    break;
                }
                self.swap(&mut state, one, &read, &mut swapped)?;
            }
            drop(state);
            in_vain += usize::from(swapped.outcomes.len() == before);
            if in_vain > READS_MAX {
                return Err(StoreError::Behind);
            }
        }
    }

    /// Carries out one, where `read` is what the disk has.
    fn swap(
        &self,
        state: &mut StoreState,
        wanted: &WantedSwap,
        read: &Value,
        swapped: &mut Swapped,
    ) -> Result<(), StoreError> {
        let current = state.held(&wanted.key).unwrap_or(read);
        if is_same(current, &wanted.expected) {
            let value = wanted.value.clone().filter(|value| !value.is_empty());
            self.shared.write(state, &wanted.key, value)?;
            swapped.outcomes.push(Swap::Done);
            return Ok(());
        }
        swapped.bytes += size(current);
        if swapped.bytes > READ_MAX_BYTES {
            return Err(StoreError::TooMuch);
        }
        swapped.outcomes.push(Swap::Changed(current.clone()));
        Ok(())
    }

    /// Does what may wait for the disk where nobody else waits for it.
    pub(super) async fn waiting<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // It is never closed. Whoever no longer waits leaves the reading to its end.
        let turn = Arc::clone(&self.shared.readers).acquire_owned().await;
        let store = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&store)
        });
        match reading.await {
            Ok(done) => done,
            Err(error) => Err(StoreError::Disk(error.to_string().into())),
        }
    }
}

/// What became of swaps, and how many bytes are in that.
#[derive(Default)]
struct Swapped {
    outcomes: Vec<Swap>,
    bytes: usize,
}
