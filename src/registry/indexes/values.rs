//! The store as the registry needs it: read values, and swap those that are still what they were.

use core::fmt;

use crate::registry::records::CorruptRecord;

/// How often a change is tried again because somebody else was faster. Each try that fails is
/// another's that succeeded, so this many writers of one key at one moment are served.
const MAX_TRIES: usize = 64;

/// A key-value store with compare-and-swap, many keys a call.
///
/// An empty value and none are one and the same: they compare as equal, and a store may keep either
/// for the other.
///
/// Whoever drops a call before it has returned knows nothing of it: each of its swaps may have been
/// done, or may still be done. So does an error.
pub trait Values {
    /// Why the store failed. It is told to all who are in a call together.
    type Error: Clone;

    /// The values of keys, in their order. Each may be an older one than another writer's last,
    /// and two of them may be of different moments; what is made of one is swapped, and a swap
    /// compares with the newest.
    ///
    /// # Errors
    /// The store's.
    fn get_many(
        &self,
        keys: Vec<String>,
    ) -> impl Future<Output = Result<Vec<Option<Vec<u8>>>, Self::Error>>;

    /// Carries out swaps, and says of each what became of it, in their order. Each is one step;
    /// together they are none: others see some of them done and some not, in any order.
    ///
    /// # Errors
    /// The store's. Any of them may have been done all the same.
    fn swap_many(
        &self,
        swaps: Vec<Swap>,
    ) -> impl Future<Output = Result<Vec<Swapped>, Self::Error>>;
}

/// Replaces the value of a key if it is what it is expected to be, byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct Swap {
    /// Whose value.
    pub key: String,
    /// What it has to be.
    pub expected: Option<Vec<u8>>,
    /// What it becomes. With `None` the key is removed, for which a store may compare first and
    /// remove then: it is for keys that nobody else writes by now. Where others do, an empty value
    /// says the same in one step.
    pub new: Option<Vec<u8>>,
}

/// Without the values, which are personal.
impl fmt::Debug for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Swap({})", self.key)
    }
}

/// What became of a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
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

/// The value of a key.
pub(crate) async fn get<V: Values>(
    values: &V,
    key: &str,
) -> Result<Option<Vec<u8>>, Failure<V::Error>> {
    let mut found = get_all(values, vec![key.to_owned()]).await?;
    Ok(found.pop().flatten())
}

/// The values of keys, in their order.
pub(crate) async fn get_all<V: Values>(
    values: &V,
    keys: Vec<String>,
) -> Result<Vec<Option<Vec<u8>>>, Failure<V::Error>> {
    values.get_many(keys).await.map_err(Failure::Store)
}

/// Carries out one swap.
pub(crate) async fn swap<V: Values>(values: &V, swap: Swap) -> Result<Swapped, Failure<V::Error>> {
    let swapped = values.swap_many(vec![swap]).await;
    let swapped = swapped.map_err(Failure::Store)?.pop();
    // A store that says nothing of it has not done it.
    Ok(swapped.unwrap_or(Swapped::Lost(None)))
}

/// What one try of a change comes to.
pub(crate) enum Try<T> {
    /// It is done, or there was nothing to do.
    Done(T),
    /// It is done once this is the value.
    Write(Vec<u8>, T),
}

/// Tries with the present value of a key, and again with the next while others are faster.
pub(crate) async fn retry<V: Values, T>(
    values: &V,
    key: &str,
    attempt: impl AsyncFnMut(Option<&[u8]>) -> Result<Try<T>, Failure<V::Error>>,
) -> Result<T, Failure<V::Error>> {
    let current = get(values, key).await?;
    retry_from(values, key, current, attempt).await
}

/// The same from a value that was read before.
pub(crate) async fn retry_from<V: Values, T>(
    values: &V,
    key: &str,
    mut current: Option<Vec<u8>>,
    mut attempt: impl AsyncFnMut(Option<&[u8]>) -> Result<Try<T>, Failure<V::Error>>,
) -> Result<T, Failure<V::Error>> {
    for _ in 0..MAX_TRIES {
        let (new, output) = match attempt(current.as_deref()).await? {
            Try::Done(output) => return Ok(output),
            Try::Write(new, output) => (new, output),
        };
        let wanted = Swap {
            key: key.to_owned(),
            expected: current,
            new: Some(new),
        };
        match swap(values, wanted).await? {
            Swapped::Done => return Ok(output),
            Swapped::Lost(value) => current = value,
        }
    }
    Err(Failure::Contended)
}

/// Replaces the value of a key by what `make` makes of it; `None` leaves it as it is. Returns what
/// `make` returned beside it. `make` runs again whenever somebody else was faster.
///
/// # Errors
/// [`Failure::Store`] and [`Failure::Contended`].
pub async fn change<V: Values, T>(
    values: &V,
    key: &str,
    mut make: impl FnMut(Option<&[u8]>) -> (Option<Vec<u8>>, T),
) -> Result<T, Failure<V::Error>> {
    retry(values, key, async |current| {
        Ok(match make(current) {
            (None, output) => Try::Done(output),
            (Some(new), output) => Try::Write(new, output),
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::replay::{Caller, Memory, Replay, ready};

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
            Caller::new(async move |values: Replay| {
                change(&values, "k", |stored| append(stored, letter)).await
            })
        };
        let (mut one, mut two) = (appends(b'a'), appends(b'b'));
        // Both have read it before either swaps.
        assert!(one.step(&memory).is_none() && two.step(&memory).is_none());
        assert_eq!((one.finish(&memory), two.finish(&memory)), (Ok(1), Ok(2)));
    }

    #[test]
    fn a_change_that_leaves_a_value_as_it_is_writes_nothing() {
        let memory = Memory::default();
        let left = ready(change(&memory, "k", |stored| (None, stored.is_none())));
        assert_eq!((left, memory.swaps.get()), (Ok(true), 0));
    }

    #[test]
    fn a_change_that_others_are_always_faster_than_gives_up() {
        let memory = Memory::default();
        let mut tries = 0;
        let contended = ready(change(&memory, "k", |_| {
            tries += 1;
            memory.put("k", &[tries]);
            (Some(Vec::new()), ())
        }));
        assert_eq!((contended, tries), (Err(Failure::Contended), 64));
    }
}
