//! What was read from the disk a moment ago: whoever changes a value by compare-and-swap reads it
//! two or three times in a row, and a read of the file costs as much as the rest of the change.
//!
//! Invariant, kept by the owner: an entry is what the disk has, or is about to be shadowed by a
//! write that waits for the disk. Whoever writes a key forgets it here first, and a value that was
//! read without the lock is remembered only if nothing was written meanwhile.

use std::collections::{HashMap, VecDeque};

use super::overlay::Value;

/// Keys held; the oldest goes when another comes. More than are read in one call.
const MAX_KEYS: usize = 512;

/// Bytes of a value beyond which it is not kept; what a part of an index has at most.
const MAX_BYTES: usize = 32 * 1024;

/// Bytes of all values together; the oldest go.
const MAX_TOTAL: usize = 2 * 1024 * 1024;

/// The last few keys that were read, and what was there.
#[derive(Default)]
pub(super) struct Recent {
    values: HashMap<String, (u64, Value)>,
    /// Keys by age, each with the number of its entry: one that is not the entry's any more was
    /// forgotten or read again.
    order: VecDeque<(String, u64)>,
    newest: u64,
    bytes: usize,
}

fn size(value: &Value) -> usize {
    value.as_ref().map_or(0, Vec::len)
}

impl Recent {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).map(|(_, value)| value)
    }

    pub(super) fn remember(&mut self, key: &str, value: &Value) {
        self.forget(key);
        if size(value) > MAX_BYTES {
            return;
        }
        self.newest += 1;
        self.bytes += size(value);
        self.values
            .insert(key.to_owned(), (self.newest, value.clone()));
        self.order.push_back((key.to_owned(), self.newest));
        while self.order.len() > MAX_KEYS || self.bytes > MAX_TOTAL {
            let Some((oldest, number)) = self.order.pop_front() else {
                break;
            };
            if self
                .values
                .get(&oldest)
                .is_some_and(|(own, _)| *own == number)
            {
                self.forget(&oldest);
            }
        }
    }

    pub(super) fn forget(&mut self, key: &str) {
        if let Some((_, value)) = self.values.remove(key) {
            self.bytes -= size(&value);
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
        recent.remember("1", &None);
        // What is left of the first "1" goes, and not the second.
        recent.remember("another", &Some(vec![2]));
        assert_eq!(recent.get("1"), Some(&None));
    }

    #[test]
    fn it_is_bounded_by_bytes_too() {
        let mut recent = Recent::default();
        recent.remember("large", &Some(vec![0; MAX_BYTES + 1]));
        assert_eq!(recent.get("large"), None);
        for n in 0..MAX_TOTAL / MAX_BYTES + 1 {
            recent.remember(&n.to_string(), &Some(vec![0; MAX_BYTES]));
        }
        assert_eq!(recent.get("0"), None);
        assert!(recent.get("1").is_some());
        assert_eq!(recent.bytes, MAX_TOTAL);
        (0..=MAX_KEYS).for_each(|n| recent.forget(&n.to_string()));
        assert_eq!((recent.bytes, recent.values.len()), (0, 0));
    }
}
