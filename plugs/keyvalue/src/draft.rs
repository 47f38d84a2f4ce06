//! `0.2.0-draft2` from `0.2.0-draft`, which has no compare-and-swap, other cursors and other
//! numbers.
//!
//! | `0.2.0-draft2` | from `0.2.0-draft` |
//! |---|---|
//! | `cas.current`, `swap` | `get`; at the swap `get` again, compare, `set` |
//! | `increment` by an `s64` | by an `u64`; less than 0 is refused |
//! | `list-keys` with a text as cursor | with a number, written in decimal |
//! | `get-many`: every key with its value, if any | those that are there |
//!
//! Limit: nothing comes between the two halves of a swap inside one instance, because neither
//! waits. Between instances something can: of two that swap the same key in the same moment both
//! may be told that it was done, and one value is lost. So this is for one instance, or where the
//! loss of a registration is bearable.

use std::collections::BTreeMap;

use crate::{Backend, KeyValueError, Page, Swap, check};

/// A bucket of the older interface.
#[expect(missing_docs, reason = "they are the interface's own")]
#[expect(clippy::missing_errors_doc, reason = "if the platform fails")]
pub trait DraftBucket {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueError>;
    fn exists(&self, key: &str) -> Result<bool, KeyValueError>;
    fn set(&self, key: &str, value: &[u8]) -> Result<(), KeyValueError>;
    fn delete(&self, key: &str) -> Result<(), KeyValueError>;
    fn list_keys(&self, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), KeyValueError>;
    fn increment(&self, key: &str, delta: u64) -> Result<u64, KeyValueError>;
    fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, KeyValueError>;
    fn set_many(&self, values: &[(String, Vec<u8>)]) -> Result<(), KeyValueError>;
    fn delete_many(&self, keys: &[String]) -> Result<(), KeyValueError>;
}

/// The newer interface on a bucket of the older one.
#[derive(Debug)]
pub struct Emulated<B>(pub B);

impl<B: DraftBucket> Backend for Emulated<B> {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
        self.0.get(key)
    }

    fn exists(&self, key: &str) -> Result<bool, KeyValueError> {
        self.0.exists(key)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), KeyValueError> {
        check(key, value)?;
        self.0.set(key, value)
    }

    fn delete(&self, key: &str) -> Result<(), KeyValueError> {
        self.0.delete(key)
    }

    fn list(&self, cursor: Option<&str>) -> Result<Page, KeyValueError> {
        let unknown = |_| KeyValueError::other("expected a cursor of an earlier page, got another");
        let cursor = cursor.map(|text| text.parse().map_err(unknown));
        let (keys, next) = self.0.list_keys(cursor.transpose()?)?;
        let next = next.map(|number| number.to_string());
        Ok(Page { keys, next })
    }

    fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: &[u8],
    ) -> Result<Swap, KeyValueError> {
        check(key, value)?;
        let newest = self.0.get(key)?;
        if newest.as_deref() != expected {
            return Ok(Swap::Lost(newest));
        }
        self.0.set(key, value)?;
        Ok(Swap::Done)
    }

    fn increment(&self, key: &str, delta: i64) -> Result<i64, KeyValueError> {
        check(key, &[])?;
        let delta = u64::try_from(delta)
            .map_err(|_| KeyValueError::other("expected an increment of at least 0, got less"))?;
        let sum = self.0.increment(key, delta)?;
        i64::try_from(sum)
            .map_err(|_| KeyValueError::other("the sum is beyond 64 bits with a sign"))
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, KeyValueError> {
        let found = self.0.get_many(keys)?;
        let found: BTreeMap<_, _> = found.into_iter().collect();
        // A key may be asked for twice.
        let values = keys.iter().map(|key| found.get(key).cloned());
        Ok(values.collect())
    }

    fn set_many(&self, values: &[(String, Vec<u8>)]) -> Result<(), KeyValueError> {
        for (key, value) in values {
            check(key, value)?;
        }
        self.0.set_many(values)
    }

    fn delete_many(&self, keys: &[String]) -> Result<(), KeyValueError> {
        self.0.delete_many(keys)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default)]
    struct Memory(RefCell<BTreeMap<String, Vec<u8>>>);

    impl DraftBucket for Memory {
        fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
            Ok(self.0.borrow().get(key).cloned())
        }

        fn exists(&self, key: &str) -> Result<bool, KeyValueError> {
            Ok(self.0.borrow().contains_key(key))
        }

        fn set(&self, key: &str, value: &[u8]) -> Result<(), KeyValueError> {
            self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
            Ok(())
        }

        fn delete(&self, key: &str) -> Result<(), KeyValueError> {
            self.0.borrow_mut().remove(key);
            Ok(())
        }

        /// Pages of two.
        fn list_keys(
            &self,
            cursor: Option<u64>,
        ) -> Result<(Vec<String>, Option<u64>), KeyValueError> {
            let from = usize::try_from(cursor.unwrap_or(0)).unwrap();
            let keys: Vec<_> = self.0.borrow().keys().skip(from).take(2).cloned().collect();
            let next = (keys.len() == 2).then(|| cursor.unwrap_or(0) + 2);
            Ok((keys, next))
        }

        fn increment(&self, key: &str, delta: u64) -> Result<u64, KeyValueError> {
            let old = self.get(key)?.map_or(0, |value| {
                String::from_utf8(value).unwrap().parse::<u64>().unwrap()
            });
            self.set(key, (old + delta).to_string().as_bytes())?;
            Ok(old + delta)
        }

        /// In another order than asked.
        fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, KeyValueError> {
            let all = self.0.borrow();
            let wanted = all.iter().rev().filter(|(key, _)| keys.contains(key));
            Ok(wanted
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect())
        }

        fn set_many(&self, values: &[(String, Vec<u8>)]) -> Result<(), KeyValueError> {
            values
                .iter()
                .try_for_each(|(key, value)| self.set(key, value))
        }

        fn delete_many(&self, keys: &[String]) -> Result<(), KeyValueError> {
            keys.iter().try_for_each(|key| self.delete(key))
        }
    }

    fn store() -> Emulated<Memory> {
        Emulated(Memory::default())
    }

    #[test]
    fn a_swap_is_lost_to_whoever_was_faster() {
        let store = store();
        assert_eq!(store.swap("k", None, b"1").unwrap(), Swap::Done);
        let lost = store.swap("k", None, b"2").unwrap();
        assert!(lost == Swap::Lost(Some(b"1".to_vec())));
        assert_eq!(store.swap("k", Some(b"1"), b"2").unwrap(), Swap::Done);
        assert_eq!(store.get("k").unwrap().as_deref(), Some(&b"2"[..]));
        store.delete("k").unwrap();
        assert!(!store.exists("k").unwrap());
        let lost = store.swap("k", Some(b"2"), b"3").unwrap();
        assert!(lost == Swap::Lost(None));
    }

    #[test]
    fn cursors_and_numbers_are_translated() {
        let store = store();
        for key in ["a", "b", "c"] {
            store.set(key, b"").unwrap();
        }
        let first = store.list(None).unwrap();
        assert_eq!(first.keys, ["a", "b"]);
        let second = store.list(first.next.as_deref()).unwrap();
        assert_eq!(
            (second.keys.as_slice(), second.next),
            (&["c".to_owned()][..], None)
        );
        assert!(store.list(Some("x")).is_err());
        assert_eq!(store.increment("n", 3).unwrap(), 3);
        assert_eq!(store.increment("n", 0).unwrap(), 3);
        assert!(store.increment("n", -1).is_err());
    }

    #[test]
    fn many_values_come_in_the_order_of_their_keys() {
        let store = store();
        let values =
            [("a", b"1"), ("b", b"2")].map(|(key, value)| (key.to_owned(), value.to_vec()));
        store.set_many(&values).unwrap();
        let keys = ["b", "x", "a", "b"].map(str::to_owned);
        let found = store.get_many(&keys).unwrap();
        let expected = [Some(&b"2"[..]), None, Some(b"1"), Some(b"2")];
        assert_eq!(
            found.iter().map(Option::as_deref).collect::<Vec<_>>(),
            expected
        );
        store.delete_many(&keys).unwrap();
        assert!(!store.exists("a").unwrap());
    }

    #[test]
    fn keys_and_values_have_bounds() {
        let store = store();
        assert!(store.set(&"k".repeat(255), b"").is_ok());
        assert!(store.set(&"k".repeat(256), b"").is_err());
        assert!(store.set("k", &vec![0; (1 << 20) + 1]).is_err());
    }
}
