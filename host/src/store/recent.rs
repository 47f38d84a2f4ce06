//! What was read from the disk a moment ago: whoever changes a value by compare-and-swap reads it two
//! or three times in a row, and a read of the file costs as much as the rest of the change.
//!
//! Invariant, kept by the owner: an entry is what the disk has, or is about to be shadowed by a write
//! that waits for the disk. Whoever writes a key forgets it here first, and a value that was read
//! without the lock is remembered only if nothing was written meanwhile.

use std::collections::{HashMap, VecDeque};

use super::overlay::Value;

/// Keys held; the oldest goes when another comes.
const MAX_KEYS: usize = 64;

/// Bytes of a value beyond which it is not kept. With [`MAX_KEYS`] this bounds the whole to 2 MiB.
const MAX_BYTES: usize = 32 * 1024;

/// The last few keys that were read, and what was there.
#[derive(Default)]
pub(super) struct Recent {
    values: HashMap<String, Value>,
    /// Every key of `values` is in here, once and by age; one that was forgotten may be, too.
    order: VecDeque<String>,
}

impl Recent {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    pub(super) fn remember(&mut self, key: &str, value: &Value) {
        if value.as_ref().is_some_and(|bytes| bytes.len() > MAX_BYTES) {
            return;
        }
        if self.values.insert(key.to_owned(), value.clone()).is_none() {
            self.order.push_back(key.to_owned());
        }
        while self.order.len() > MAX_KEYS {
            if let Some(oldest) = self.order.pop_front() {
                self.values.remove(&oldest);
            }
        }
    }

    pub(super) fn forget(&mut self, key: &str) {
        if self.values.remove(key).is_some() {
            self.order.retain(|known| known != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_last_few_and_forgets_what_is_written() {
        let mut recent = Recent::default();
        for n in 0..=MAX_KEYS {
            recent.remember(&n.to_string(), &Some(vec![1]));
        }
        assert_eq!(recent.get("0"), None);
        assert_eq!(recent.get("1"), Some(&Some(vec![1])));
        recent.forget("1");
        assert_eq!(recent.get("1"), None);
        recent.remember("none", &None);
        assert_eq!(recent.get("none"), Some(&None));
        assert_eq!(recent.values.len(), recent.order.len());
    }

    #[test]
    fn a_large_value_is_not_kept() {
        let mut recent = Recent::default();
        recent.remember("large", &Some(vec![0; MAX_BYTES + 1]));
        assert_eq!(recent.get("large"), None);
    }
}
