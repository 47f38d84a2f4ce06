//! Long work in short pieces.

use super::Store;

/// Work between two turns of others, in units of some ten microseconds: the reading of a small
/// record is one. Some milliseconds, so that a call that waits behind several such pieces notices
/// none of them.
const UNITS: usize = 256;

/// Bytes of JSON that are read in a unit.
const BYTES: usize = 256;

/// Counts the work of a call, and lets others have their turn when it has been enough.
#[derive(Debug)]
pub struct Turns<'a, S> {
    store: &'a S,
    left: usize,
}

impl<'a, S: Store> Turns<'a, S> {
    /// With all of a piece before it.
    pub const fn new(store: &'a S) -> Self {
        let left = UNITS;
        Self { store, left }
    }

    /// Something has been done that took this many units.
    pub async fn worked(&mut self, units: usize) {
        self.left = self.left.saturating_sub(units);
        if self.left == 0 {
            self.rest().await;
        }
    }

    /// The same for a value of this many bytes that was read or written.
    pub async fn read(&mut self, bytes: usize) {
        self.worked(1 + bytes / BYTES).await;
    }

    /// Lets others have their turn now: what was done is of no known length.
    pub async fn rest(&mut self) {
        self.store.turn().await;
        self.left = UNITS;
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::{Counting, ready};
    use super::*;

    #[test]
    fn others_have_their_turn_after_so_much_work() {
        let store = Counting::default();
        let mut turns = Turns::new(&store);
        for done in 1..=10 * UNITS {
            ready(turns.worked(1));
            assert_eq!(store.turns.get(), done / UNITS);
        }
        ready(turns.worked(usize::MAX));
        assert_eq!(store.turns.get(), 11, "one after each piece, however large");
        ready(turns.rest());
        ready(turns.worked(UNITS - 1));
        assert_eq!(store.turns.get(), 12, "a rest begins the next piece");
    }

    #[test]
    fn a_large_value_is_more_work_than_a_small_one() {
        let store = Counting::default();
        let mut turns = Turns::new(&store);
        for _ in 0..13 {
            ready(turns.read(5_000));
        }
        assert_eq!(store.turns.get(), 1);
    }
}
