//! What a call may have, as `wit/store.wit` says it, and what goes into an answer.

use core::ops::RangeInclusive;

use crate::{Backend, PlugError, Value};

/// Longest key, in bytes.
pub const KEY_MAX_BYTES: usize = 255;

/// Largest value, in bytes.
pub const VALUE_MAX_BYTES: usize = 1024 * 1024;

/// Most keys of a call.
const CALL_MAX_KEYS: usize = 1_024;

/// Most bytes of keys and values in a call.
const CALL_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Most bytes of values in an answer.
pub const ANSWER_MAX_BYTES: usize = CALL_MAX_BYTES;

/// Keys that are read at once. Of values that are too many for an answer, no more are held than so
/// many keys have.
const KEYS_AT_ONCE: usize = 256;

/// What a call may still have, in bytes of keys and values.
#[derive(Debug)]
pub struct Bounds(usize);

impl Bounds {
    /// Of a call for so many keys.
    ///
    /// # Errors
    /// If they are too many.
    pub fn of(keys: usize) -> Result<Self, PlugError> {
        within("a call", "keys", 0..=CALL_MAX_KEYS, keys)?;
        Ok(Self(CALL_MAX_BYTES))
    }

    /// Of an answer.
    pub const fn of_answer() -> Self {
        Self(ANSWER_MAX_BYTES)
    }

    /// Takes a value of an answer into account.
    ///
    /// # Errors
    /// If the answer has too many bytes.
    pub fn add_value(&mut self, value: &Value) -> Result<(), PlugError> {
        let bytes = value.as_ref().map_or(0, Vec::len);
        let more = || PlugError::new("the values that are there are too many bytes for a call");
        self.0 = self.0.checked_sub(bytes).ok_or_else(more)?;
        Ok(())
    }

    /// Takes a key and its values into account.
    ///
    /// # Errors
    /// If one of them, or the call, has too many bytes.
    pub fn add(&mut self, key: &str, values: &[&Value]) -> Result<(), PlugError> {
        within("a key", "bytes", 1..=KEY_MAX_BYTES, key.len())?;
        let mut bytes = key.len();
        for value in values.iter().copied().flatten() {
            within("a value", "bytes", 0..=VALUE_MAX_BYTES, value.len())?;
            bytes += value.len();
        }
        let left = self.0.checked_sub(bytes);
        let more = || PlugError::new("a call: expected at most 16 MiB of keys and values");
        self.0 = left.ok_or_else(more)?;
        Ok(())
    }
}

fn within(
    what: &str,
    unit: &str,
    bounds: RangeInclusive<usize>,
    got: usize,
) -> Result<(), PlugError> {
    if bounds.contains(&got) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    let why = format_args!("{what}: expected {least} to {most} {unit}, got {got}");
    Err(PlugError::new(why))
}

/// The values of the first of these keys: of all of them, or of as many as fit into an answer, and
/// of one at least.
///
/// # Errors
/// If the platform fails.
pub fn first_of(backend: &impl Backend, keys: &[String]) -> Result<Vec<Value>, PlugError> {
    let mut values = Vec::with_capacity(keys.len());
    let mut bytes = 0;
    for some in keys.chunks(KEYS_AT_ONCE) {
        for value in backend.get_many(some)? {
            bytes += value.as_ref().map_or(0, Vec::len);
            if bytes > ANSWER_MAX_BYTES && !values.is_empty() {
                return Ok(values);
            }
            values.push(value);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Page, Swap};

    /// Can be read.
    struct Readable(BTreeMap<String, Vec<u8>>);

    impl Backend for Readable {
        fn get(&self, key: &str) -> Result<Value, PlugError> {
            Ok(self.0.get(key).cloned())
        }

        fn put(&self, _: &str, _: Option<&[u8]>) -> Result<(), PlugError> {
            Err(PlugError::access_denied())
        }

        fn swap(&self, _: &str, _: Option<&[u8]>, _: Option<&[u8]>) -> Result<Swap, PlugError> {
            Err(PlugError::access_denied())
        }

        fn list(&self, _: Option<&str>) -> Result<Page, PlugError> {
            Err(PlugError::access_denied())
        }
    }

    #[test]
    fn an_answer_has_the_first_values_that_fit_and_one_at_least() {
        let values = [("a", 1), ("b", 10), ("c", 5), ("d", 1), ("e", 20)];
        let values = values.map(|(key, mib)| (key.to_owned(), vec![7; mib * VALUE_MAX_BYTES]));
        let backend = Readable(values.into());
        let answered = |keys: &[&str]| {
            let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
            first_of(&backend, &keys).unwrap().len()
        };
        assert_eq!(answered(&["a", "b", "c"]), 3, "16 MiB");
        assert_eq!(answered(&["a", "none", "b", "c", "d"]), 4);
        assert_eq!(answered(&["e", "d"]), 1, "too large by itself");
        assert_eq!(answered(&[]), 0);
        let small = vec!["none"; 1_000];
        assert_eq!(answered(&small), 1_000);
    }

    #[test]
    fn keys_values_and_calls_have_bounds() {
        let largest = Some(vec![0; VALUE_MAX_BYTES]);
        let too_large = Some(vec![0; VALUE_MAX_BYTES + 1]);
        assert!(Bounds::of(1_024).is_ok() && Bounds::of(1_025).is_err());
        let mut bounds = Bounds::of(1).unwrap();
        assert!(bounds.add(&"k".repeat(255), &[&largest]).is_ok());
        assert!(bounds.add(&"k".repeat(256), &[]).is_err());
        assert!(bounds.add("", &[]).is_err());
        assert!(bounds.add("k", &[&too_large]).is_err());
        for _ in 0..7 {
            bounds.add("k", &[&largest, &largest]).unwrap();
        }
        assert!(bounds.add("k", &[&largest]).is_err(), "there are keys, too");
        assert!(bounds.add("k", &[&None]).is_ok());
        let mut answer = Bounds::of_answer();
        assert!((0..16).all(|_| answer.add_value(&largest).is_ok()));
        assert!(answer.add_value(&None).is_ok());
        assert!(answer.add_value(&Some(vec![1])).is_err());
    }
}
