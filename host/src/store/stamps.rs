//! When each key was written last, as far as that is needed to say that one was not.

use std::hash::{BuildHasher as _, RandomState};

/// Keys share a stamp by their hash. One that was written makes a few others look as if they had
/// been, which costs whoever has read those another read.
const STAMPS: usize = 4_096;

/// The number of the newest write, for each of [`STAMPS`] groups of keys.
#[derive(Debug)]
pub(super) struct Stamps {
    newest: Box<[u64]>,
    hasher: RandomState,
}

impl Default for Stamps {
    fn default() -> Self {
        Self {
            newest: vec![0; STAMPS].into(),
            hasher: RandomState::new(),
        }
    }
}

impl Stamps {
    fn place(&self, key: &str) -> usize {
        let hash = self.hasher.hash_one(key) % STAMPS as u64;
        // Less than 4,096.
        usize::try_from(hash).unwrap_or_default()
    }

    /// A key is written; the number of the write.
    pub(super) fn wrote(&mut self, key: &str, number: u64) {
        let place = self.place(key);
        if let Some(newest) = self.newest.get_mut(place) {
            *newest = number;
        }
    }

    /// Whether a key was certainly not written after the write of this number.
    pub(super) fn is_unwritten_since(&self, key: &str, number: u64) -> bool {
        let newest = self.newest.get(self.place(key));
        newest.is_some_and(|newest| *newest <= number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_written_never_looks_as_if_it_were_not() {
        let mut stamps = Stamps::default();
        for number in 1..=10_000 {
            let key = number.to_string();
            stamps.wrote(&key, number);
            assert!(!stamps.is_unwritten_since(&key, number - 1));
            assert!(stamps.is_unwritten_since(&key, number));
        }
    }

    #[test]
    fn most_keys_are_not_taken_for_another() {
        let mut stamps = Stamps::default();
        stamps.wrote("written", 1);
        let others = (0..1_000).map(|n| n.to_string());
        let taken = others.filter(|key| !stamps.is_unwritten_since(key, 0));
        assert!(taken.count() < 20);
    }
}
