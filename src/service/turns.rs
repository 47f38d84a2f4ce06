//! Long work in short pieces.

use super::Platform;

/// Work between two turns of others, in units of some ten microseconds: the reading of a small
/// record is one. Some milliseconds, so that a call that waits behind several such pieces notices
/// none of them.
const UNITS: usize = 256;

/// Bytes of JSON that are read in a unit.
const BYTES: usize = 256;

/// Counts the work of a call, and lets others have their turn when it has been enough.
#[derive(Debug)]
pub struct Turns<'a, P> {
    platform: &'a P,
    left: usize,
}

impl<'a, P: Platform> Turns<'a, P> {
    /// With all of a piece before it.
    pub const fn new(platform: &'a P) -> Self {
        let left = UNITS;
        Self { platform, left }
    }

    /// Something has been done that took this many units; whether others have had their turn.
    pub async fn worked(&mut self, units: usize) -> bool {
        self.left = self.left.saturating_sub(units);
        let is_enough = self.left == 0;
        if is_enough {
            self.rest().await;
        }
        is_enough
    }

    /// The same for a value of this many bytes that was read or written.
    pub async fn read(&mut self, bytes: usize) {
        self.worked(1 + bytes / BYTES).await;
    }

    /// Lets others have their turn now: what was done is of no known length.
    pub async fn rest(&mut self) {
        self.platform.turn().await;
        self.left = UNITS;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::support::TestPlatform;
    use super::*;

    #[test]
    fn others_have_their_turn_after_so_much_work() {
        let platform = TestPlatform::default();
        let mut turns = Turns::new(&platform);
        platform.executor().run(async {
            for done in 1..=10 * UNITS {
                turns.worked(1).await;
                assert_eq!(platform.turns(), done / UNITS);
            }
            turns.worked(usize::MAX).await;
            assert_eq!(platform.turns(), 11, "one after each piece, however large");
            turns.rest().await;
            turns.worked(UNITS - 1).await;
            assert_eq!(platform.turns(), 12, "a rest begins the next piece");
        });
    }

    #[test]
    fn a_large_value_is_more_work_than_a_small_one() {
        let platform = TestPlatform::default();
        let mut turns = Turns::new(&platform);
        platform.executor().run(async {
            for _ in 0..13 {
                turns.read(5_000).await;
            }
        });
        assert_eq!(platform.turns(), 1);
    }
}
