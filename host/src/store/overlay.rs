//! Writes that are not on disk yet, the newest per key; `None` stands for a removal.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// A value, or its removal.
pub type Value = Option<Vec<u8>>;

/// The pending writes and their size. Bounded by its owner, through [`Overlay::bytes`].
#[derive(Default)]
pub(super) struct Overlay {
    entries: BTreeMap<String, Value>,
    bytes: usize,
}

fn size(key: &str, value: &Value) -> usize {
    key.len() + value.as_ref().map_or(0, Vec::len)
}

impl Overlay {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    pub(super) fn entries(&self) -> &BTreeMap<String, Value> {
        &self.entries
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of keys and values held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn insert(&mut self, key: &str, value: Value) {
        self.forget(key);
        self.bytes += size(key, &value);
        self.entries.insert(key.to_owned(), value);
    }

    /// Drops the entry as if it had never been written.
    pub(super) fn forget(&mut self, key: &str) {
        if let Some(old) = self.entries.remove(key) {
            self.bytes = self.bytes.saturating_sub(size(key, &old));
        }
    }

    /// Hands out everything and is empty.
    pub(super) fn take(&mut self) -> BTreeMap<String, Value> {
        self.bytes = 0;
        std::mem::take(&mut self.entries)
    }

    /// Returns a batch that did not get to disk; what was written since wins.
    pub(super) fn put_back(&mut self, batch: BTreeMap<String, Value>) {
        for (key, value) in batch {
            if let Entry::Vacant(place) = self.entries.entry(key) {
                self.bytes += size(place.key(), &value);
                place.insert(value);
            }
        }
    }
}

/// The keys of `entries` after `after`, each with whether it has a value.
pub(super) fn keys_after(
    entries: &BTreeMap<String, Value>,
    after: Option<&str>,
) -> Vec<(String, bool)> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let entries = entries.range::<str, _>((from, Bound::Unbounded));
    entries
        .map(|(key, value)| (key.clone(), value.is_some()))
        .collect()
}

/// Adds keys that have a value to a set, and takes out the others.
pub(super) fn merge_keys(keys: &mut BTreeSet<String>, entries: Vec<(String, bool)>) {
    for (key, has_value) in entries {
        if has_value {
            keys.insert(key);
        } else {
            keys.remove(&key);
        }
    }
}
