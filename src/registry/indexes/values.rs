//! The store as the registry needs it: read a value, and swap one that is still what it was.

use core::cell::RefCell;
use core::fmt;
use std::collections::BTreeMap;

use crate::registry::records::CorruptRecord;

/// How often a change is tried again because somebody else was faster. Each try that fails is
/// another's that succeeded, so this many writers of one key at one moment are served.
const MAX_TRIES: usize = 64;

/// A key-value store with compare-and-swap. The calls do not wait for anybody.
///
/// An empty value and none are two values to compare, and mean the same to the registry.
pub trait Values {
    /// Why the store failed.
    type Error;

    /// The value of a key. May be an older one than another writer's last; what is made of it is
    /// swapped, and a swap compares with the newest.
    ///
    /// # Errors
    /// The store's.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Replaces the value of a key by `new` if it is `current`, byte for byte, in one step.
    ///
    /// # Errors
    /// The store's. The value may have been replaced all the same.
    fn swap(&self, key: &str, current: Option<&[u8]>, new: &[u8]) -> Result<Swap, Self::Error>;
}

/// What became of a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The value is the new one.
    Done,
    /// Somebody else was faster. The value is this one.
    Lost(Option<Vec<u8>>),
}

/// Why a call of the registry did not do all of its work. What it has written by then leaves the
/// registry whole; doing it again does the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// The store failed.
    Store(E),
    /// A stored value could not be read.
    Corrupt(CorruptRecord),
    /// The alias has all the devices it may have. The caller is at fault; nothing was changed.
    AliasFull,
    /// Others changed the same value all the time, 64 times in a row.
    Contended,
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Corrupt(error) => error.fmt(f),
            Self::AliasFull => f.write_str("the alias has all the devices it may have"),
            Self::Contended => f.write_str("too many writers of one key"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Failure<E> {}

impl<E> From<CorruptRecord> for Failure<E> {
    fn from(error: CorruptRecord) -> Self {
        Self::Corrupt(error)
    }
}

/// A store of which some values were read ahead, in one call for all: what a remote store answers
/// in the time of one, and any other with less ado.
#[derive(Debug)]
pub struct Ahead<'a, V> {
    values: &'a V,
    read: RefCell<BTreeMap<String, Option<Vec<u8>>>>,
}

impl<'a, V> Ahead<'a, V> {
    /// Each of `read` is used once.
    pub fn new(values: &'a V, read: impl IntoIterator<Item = (String, Option<Vec<u8>>)>) -> Self {
        let mut ahead = BTreeMap::new();
        ahead.extend(read);
        let read = RefCell::new(ahead);
        Self { values, read }
    }
}

impl<V: Values> Values for Ahead<'_, V> {
    type Error = V::Error;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, V::Error> {
        let ahead = self.read.borrow_mut().remove(key);
        ahead.map_or_else(|| self.values.get(key), Ok)
    }

    fn swap(&self, key: &str, current: Option<&[u8]>, new: &[u8]) -> Result<Swap, V::Error> {
        self.values.swap(key, current, new)
    }
}

/// The value of a key.
pub(crate) fn get<V: Values>(values: &V, key: &str) -> Result<Option<Vec<u8>>, Failure<V::Error>> {
    values.get(key).map_err(Failure::Store)
}

/// Swaps a value.
pub(crate) fn swap<V: Values>(
    values: &V,
    key: &str,
    current: Option<&[u8]>,
    new: &[u8],
) -> Result<Swap, Failure<V::Error>> {
    values.swap(key, current, new).map_err(Failure::Store)
}

/// What one try of a change comes to.
pub(crate) enum Try<T> {
    /// It is done, or there was nothing to do.
    Done(T),
    /// Somebody else was faster; the value is this one.
    Again(Option<Vec<u8>>),
}

impl<T> Try<T> {
    /// What a swap makes of a try that is done if the swap is.
    pub(crate) fn of(swap: Swap, done: T) -> Self {
        match swap {
            Swap::Done => Self::Done(done),
            Swap::Lost(value) => Self::Again(value),
        }
    }
}

/// Tries with the present value of a key, and again with the next while others are faster.
pub(crate) fn retry<V: Values, T>(
    values: &V,
    key: &str,
    mut attempt: impl FnMut(Option<&[u8]>) -> Result<Try<T>, Failure<V::Error>>,
) -> Result<T, Failure<V::Error>> {
    let mut current = get(values, key)?;
    for _ in 0..MAX_TRIES {
        match attempt(current.as_deref())? {
            Try::Done(output) => return Ok(output),
            Try::Again(value) => current = value,
        }
    }
    Err(Failure::Contended)
}

/// Replaces the value of a key by what `make` makes of it; `None` leaves it as it is. Returns what
/// `make` returned beside it. `make` runs again whenever somebody else was faster.
///
/// # Errors
/// [`Failure::Store`] and [`Failure::Contended`].
pub fn change<V: Values, T>(
    values: &V,
    key: &str,
    mut make: impl FnMut(Option<&[u8]>) -> (Option<Vec<u8>>, T),
) -> Result<T, Failure<V::Error>> {
    retry(values, key, |current| {
        let (new, output) = make(current);
        match new {
            None => Ok(Try::Done(output)),
            Some(new) => Ok(Try::of(swap(values, key, current, &new)?, output)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::replay::{Caller, Memory};

    #[test]
    fn what_was_read_ahead_is_used_once_and_a_swap_compares_with_the_newest() {
        let memory = Memory::default();
        memory.put("a", b"new");
        let ahead = Ahead::new(&memory, [("a".to_owned(), Some(b"old".to_vec()))]);
        assert_eq!(ahead.get("a").unwrap().as_deref(), Some(&b"old"[..]));
        let lost = ahead.swap("a", Some(b"old"), b"mine").unwrap();
        assert_eq!(lost, Swap::Lost(Some(b"new".to_vec())));
        assert_eq!(ahead.get("a").unwrap().as_deref(), Some(&b"new"[..]));
        assert_eq!(ahead.get("b").unwrap(), None);
    }

    fn append(stored: Option<&[u8]>, letter: u8) -> (Option<Vec<u8>>, usize) {
        let mut new = stored.unwrap_or_default().to_vec();
        new.push(letter);
        let length = new.len();
        (Some(new), length)
    }

    #[test]
    fn of_two_that_change_a_value_at_once_none_is_lost() {
        let memory = Memory::default();
        let appends = |letter| {
            Caller::new(move |values| change(values, "k", |stored| append(stored, letter)))
        };
        let (one, two) = (appends(b'a'), appends(b'b'));
        // Both have read it before either swaps.
        assert!(one.step(&memory).is_none() && two.step(&memory).is_none());
        assert_eq!((one.finish(&memory), two.finish(&memory)), (Ok(1), Ok(2)));
    }

    #[test]
    fn a_change_that_leaves_a_value_as_it_is_writes_nothing() {
        let memory = Memory::default();
        let left = change(&memory, "k", |stored| (None, stored.is_none()));
        assert_eq!((left, memory.swaps.get()), (Ok(true), 0));
    }

    #[test]
    fn a_change_that_others_are_always_faster_than_gives_up() {
        let memory = Memory::default();
        let mut tries = 0;
        let contended = change(&memory, "k", |_| {
            tries += 1;
            memory.put("k", &[tries]);
            (Some(Vec::new()), ())
        });
        assert_eq!((contended, tries), (Err(Failure::Contended), 64));
    }
}
