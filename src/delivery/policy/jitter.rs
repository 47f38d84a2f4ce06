//! Numbers that look random, from one that is: the core has no randomness of its own.
//!
//! Source: SplitMix64 (Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, 2014).
//! Good for jitter and nothing else.

use core::time::Duration;

/// A generator. The same seed gives the same numbers, so that a schedule can be repeated.
#[derive(Clone, Debug)]
pub(in crate::delivery) struct Entropy(u64);

impl Entropy {
    pub(in crate::delivery) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(in crate::delivery) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The wait and up to half of it more.
pub(in crate::delivery) fn jittered(wait: Duration, entropy: u64) -> Duration {
    let half = u64::try_from((wait / 2).as_nanos()).unwrap_or(u64::MAX);
    // Never a division by zero; the bias of a remainder does not matter here.
    wait.saturating_add(Duration::from_nanos(entropy % half.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_no_two_alike() {
        let mut one: Vec<u64> = (0..1_000)
            .scan(Entropy::new(7), |e, _| Some(e.next()))
            .collect();
        let two: Vec<u64> = (0..1_000)
            .scan(Entropy::new(7), |e, _| Some(e.next()))
            .collect();
        assert_eq!(one, two);
        one.sort_unstable();
        one.dedup();
        assert_eq!(one.len(), 1_000);
    }
}
