//! The store on `wasi:keyvalue@0.2.0-draft2`, whose compare-and-swap is a handle on what was read.
//!
//! | here | from `0.2.0-draft2` |
//! |---|---|
//! | `swap` | `cas.new`, `cas.current`, compare, `swap` |
//! | `swap` that removes | the same, and `delete` in the place of `swap` |
//! | `get_many`: values in the order of the keys | pairs in any order |
//!
//! Limit: what is removed is compared first and removed then, so this is for keys that nobody else
//! writes by now, as the interface says.

use std::collections::BTreeMap;

use crate::{Backend, Page, PlugError, Swap, Value, is_same};

/// A bucket of that interface.
#[expect(missing_docs, reason = "they are the interface's own")]
#[expect(clippy::missing_errors_doc, reason = "if the platform fails")]
pub trait Draft2Bucket {
    type Cas;
    fn get(&self, key: &str) -> Result<Value, PlugError>;
    fn set(&self, key: &str, value: &[u8]) -> Result<(), PlugError>;
    fn delete(&self, key: &str) -> Result<(), PlugError>;
    fn list_keys(&self, cursor: Option<&str>) -> Result<Page, PlugError>;
    fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Value)>, PlugError>;
    fn cas(&self, key: &str) -> Result<Self::Cas, PlugError>;
    fn current(cas: &Self::Cas) -> Result<Value, PlugError>;
    /// Of one that has failed, the next.
    fn swap(cas: Self::Cas, value: &[u8]) -> Result<Option<Self::Cas>, PlugError>;
}

/// The store on such a bucket.
#[derive(Debug)]
pub struct Swapping<B>(pub B);

impl<B: Draft2Bucket> Backend for Swapping<B> {
    fn get(&self, key: &str) -> Result<Value, PlugError> {
        self.0.get(key)
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Value>, PlugError> {
        if let [key] = keys {
            return Ok(vec![self.0.get(key)?]);
        }
        let found: BTreeMap<_, _> = self.0.get_many(keys)?.into_iter().collect();
        let values = keys.iter().map(|key| found.get(key).cloned().flatten());
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
        let cas = self.0.cas(key)?;
        let newest = B::current(&cas)?;
        if !is_same(newest.as_deref(), expected) {
            return Ok(Swap::Lost(newest));
        }
        let Some(value) = value else {
            self.0.delete(key)?;
            return Ok(Swap::Done);
        };
        match B::swap(cas, value)? {
            None => Ok(Swap::Done),
            Some(next) => Ok(Swap::Lost(B::current(&next)?)),
        }
    }

    fn list(&self, after: Option<&str>) -> Result<Page, PlugError> {
        self.0.list_keys(after)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    type Values = Rc<RefCell<BTreeMap<String, Vec<u8>>>>;

    /// Every swap of the key `raced` comes after another's.
    #[derive(Clone, Default)]
    struct Memory(Values);

    struct MemoryCas(Memory, String, Value);

    impl Draft2Bucket for Memory {
        type Cas = MemoryCas;

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

        fn list_keys(&self, cursor: Option<&str>) -> Result<Page, PlugError> {
            let after = |key: &&String| cursor.is_none_or(|cursor| key.as_str() > cursor);
            let keys = self.0.borrow().keys().filter(after).cloned().collect();
            Ok(Page { keys, next: None })
        }

        /// In another order than asked, and each key once.
        fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Value)>, PlugError> {
            let keys: std::collections::BTreeSet<_> = keys.iter().collect();
            let pair = |key: &String| Ok((key.clone(), self.get(key)?));
            keys.into_iter().rev().map(pair).collect()
        }

        fn cas(&self, key: &str) -> Result<MemoryCas, PlugError> {
            Ok(MemoryCas(self.clone(), key.to_owned(), self.get(key)?))
        }

        fn current(MemoryCas(.., read): &MemoryCas) -> Result<Value, PlugError> {
            Ok(read.clone())
        }

        fn swap(
            MemoryCas(memory, key, read): MemoryCas,
            value: &[u8],
        ) -> Result<Option<MemoryCas>, PlugError> {
            if key == "raced" {
                memory.set(&key, b"another")?;
            }
            if memory.get(&key)? != read {
                return memory.cas(&key).map(Some);
            }
            memory.set(&key, value)?;
            Ok(None)
        }
    }

    fn store() -> Swapping<Memory> {
        Swapping(Memory::default())
    }

    #[test]
    fn a_swap_says_whether_it_was_done_or_what_is_there() {
        let store = store();
        let swap = |expected: Option<&[u8]>, value: Option<&[u8]>| {
            store.swap("k", expected, value).unwrap()
        };
        assert_eq!(swap(None, Some(b"1")), Swap::Done);
        assert!(swap(None, Some(b"2")) == Swap::Lost(Some(b"1".to_vec())));
        assert_eq!(swap(Some(b"1"), Some(b"")), Swap::Done);
        // It is empty, which is as good as nothing.
        assert_eq!(swap(None, Some(b"2")), Swap::Done);
        assert!(swap(Some(b"1"), None) == Swap::Lost(Some(b"2".to_vec())));
        assert_eq!(swap(Some(b"2"), None), Swap::Done);
        assert_eq!(store.get("k").unwrap(), None);
    }

    #[test]
    fn what_another_has_written_between_the_halves_of_a_swap_stays() {
        let store = store();
        let lost = store.swap("raced", None, Some(b"1")).unwrap();
        assert!(lost == Swap::Lost(Some(b"another".to_vec())));
        assert_eq!(
            store.get("raced").unwrap().as_deref(),
            Some(&b"another"[..])
        );
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
        assert_eq!(store.list(Some("a")).unwrap().keys, ["b"]);
        store.put("b", None).unwrap();
        assert_eq!(store.get_many(&keys[..1]).unwrap(), [None]);
    }
}
