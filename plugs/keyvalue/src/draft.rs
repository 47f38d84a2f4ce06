//! The store on `wasi:keyvalue@0.2.0-draft`, which has no compare-and-swap and other cursors.
//!
//! | here | from `0.2.0-draft` |
//! |---|---|
//! | `swap` | `get`, compare, `set` or `delete` |
//! | `list` with a text as cursor | `list-keys` with a number, written in decimal |
//! | `get_many`: every key with its value, if any | those that are there |
//!
//! Limit: nothing comes between the two halves of a swap inside one instance, because neither
//! waits. Between instances something can: of two that swap the same key in the same moment both
//! may be told that it was done, and one value is lost. So this is for one instance, or where the
//! loss of a registration is bearable.

use std::collections::BTreeMap;

use crate::{Backend, Page, PlugError, Swap, Value, is_same};

/// A bucket of the older interface.
#[expect(missing_docs, reason = "they are the interface's own")]
#[expect(clippy::missing_errors_doc, reason = "if the platform fails")]
pub trait DraftBucket {
    fn get(&self, key: &str) -> Result<Value, PlugError>;
    fn set(&self, key: &str, value: &[u8]) -> Result<(), PlugError>;
    fn delete(&self, key: &str) -> Result<(), PlugError>;
    fn list_keys(&self, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), PlugError>;
    fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, PlugError>;
}

/// The store on a bucket of the older interface.
#[derive(Debug)]
pub struct Emulated<B>(pub B);

impl<B: DraftBucket> Backend for Emulated<B> {
    fn get(&self, key: &str) -> Result<Value, PlugError> {
        self.0.get(key)
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Value>, PlugError> {
        if let [key] = keys {
            return Ok(vec![self.0.get(key)?]);
        }
        let found = self.0.get_many(keys)?;
        let found: BTreeMap<_, _> = found.into_iter().collect();
        // A key may be asked for twice.
        let values = keys.iter().map(|key| found.get(key).cloned());
        Ok(values.collect())
    }

    fn put(&self, key: &str, value: Option<&[u8]>) -> Result<(), PlugError> {
        match value {
            Some(value) => self.0.set(key, value),
            None => self.0.delete(key),
        }
    }

    fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<Swap, PlugError> {
        let newest = self.0.get(key)?;
        if !is_same(newest.as_deref(), expected) {
            return Ok(Swap::Lost(newest));
        }
        self.put(key, value)?;
        Ok(Swap::Done)
    }

    fn list(&self, after: Option<&str>) -> Result<Page, PlugError> {
        let unknown = |_| PlugError::new("expected a cursor of an earlier page, got another");
        let cursor = after.map(|text| text.parse().map_err(unknown));
        let (keys, next) = self.0.list_keys(cursor.transpose()?)?;
        let next = next.map(|number| number.to_string());
        Ok(Page { keys, next })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default)]
    struct Memory(RefCell<BTreeMap<String, Vec<u8>>>);

    impl DraftBucket for Memory {
        fn get(&self, key: &str) -> Result<Value, PlugError> {
            Ok(self.0.borrow().get(key).cloned())
        }

        fn set(&self, key: &str, value: &[u8]) -> Result<(), PlugError> {
            self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
            Ok(())
        }

        fn delete(&self, key: &str) -> Result<(), PlugError> {
            self.0.borrow_mut().remove(key);
            Ok(())
        }

        /// Pages of two.
        fn list_keys(&self, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), PlugError> {
            let from = usize::try_from(cursor.unwrap_or(0)).unwrap();
            let keys: Vec<_> = self.0.borrow().keys().skip(from).take(2).cloned().collect();
            let next = (keys.len() == 2).then(|| cursor.unwrap_or(0) + 2);
            Ok((keys, next))
        }

        /// In another order than asked.
        fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, PlugError> {
            let all = self.0.borrow();
            let wanted = all.iter().rev().filter(|(key, _)| keys.contains(key));
            Ok(wanted
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect())
        }
    }

    fn store() -> Emulated<Memory> {
        Emulated(Memory::default())
    }

    #[test]
    fn a_swap_is_lost_to_whoever_was_faster() {
        let store = store();
        assert_eq!(store.swap("k", None, Some(b"1")).unwrap(), Swap::Done);
        let lost = store.swap("k", None, Some(b"2")).unwrap();
        assert!(lost == Swap::Lost(Some(b"1".to_vec())));
        assert_eq!(store.swap("k", Some(b"1"), Some(b"2")).unwrap(), Swap::Done);
        assert_eq!(store.get("k").unwrap().as_deref(), Some(&b"2"[..]));
        assert_eq!(store.swap("k", Some(b"2"), None).unwrap(), Swap::Done);
        assert_eq!(store.get("k").unwrap(), None);
        let lost = store.swap("k", Some(b"2"), Some(b"3")).unwrap();
        assert!(lost == Swap::Lost(None));
        // Nothing is as good as an empty value.
        assert_eq!(store.swap("k", Some(b""), Some(b"")).unwrap(), Swap::Done);
        assert_eq!(store.swap("k", None, Some(b"4")).unwrap(), Swap::Done);
    }

    #[test]
    fn cursors_are_translated() {
        let store = store();
        for key in ["a", "b", "c"] {
            store.put(key, Some(b"")).unwrap();
        }
        let first = store.list(None).unwrap();
        assert_eq!(first.keys, ["a", "b"]);
        let second = store.list(first.next.as_deref()).unwrap();
        assert_eq!(
            (second.keys.as_slice(), second.next),
            (&["c".to_owned()][..], None)
        );
        assert!(store.list(Some("x")).is_err());
    }

    #[test]
    fn many_values_come_in_the_order_of_their_keys() {
        let store = store();
        for (key, value) in [("a", b"1"), ("b", b"2")] {
            store.put(key, Some(value)).unwrap();
        }
        let keys = ["b", "x", "a", "b"].map(str::to_owned);
        let found = store.get_many(&keys).unwrap();
        let expected = [Some(&b"2"[..]), None, Some(b"1"), Some(b"2")];
        assert_eq!(
            found.iter().map(Option::as_deref).collect::<Vec<_>>(),
            expected
        );
        store.put("a", None).unwrap();
        assert_eq!(store.get_many(&keys[2..3]).unwrap(), [None]);
    }
}
