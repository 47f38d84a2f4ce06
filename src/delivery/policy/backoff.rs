//! How long to wait before the next connection attempt: doubling, bounded, with jitter.
//!
//! Apple treats repeated connects as an attack, and a fleet that lost its peer at one moment must
//! not come back at one moment.

use core::time::Duration;

use crate::time::Now;

/// The first wait between connects, at most.
const FIRST: Duration = Duration::from_millis(200);

/// The longest wait between connects.
const LONGEST: Duration = Duration::from_secs(30);

/// Failures since the last success, and when the next attempt may be made.
#[derive(Clone, Debug)]
pub(in crate::delivery) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    until: Option<Now>,
}

impl Default for Backoff {
    /// The one between connects.
    fn default() -> Self {
        Self::new(FIRST, LONGEST)
    }
}

impl Backoff {
    /// One whose waits are at most `first` at the beginning, and at most `longest` ever.
    pub(in crate::delivery) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
            until: None,
        }
    }

    /// Something was answered: the next attempt may come at once.
    pub(in crate::delivery) fn succeeded(&mut self) {
        self.failures = 0;
        self.until = None;
    }

    /// Whether nothing has failed since something was answered.
    pub(in crate::delivery) fn is_calm(&self) -> bool {
        self.failures == 0
    }

    /// Attempts that failed since something was answered.
    pub(in crate::delivery) const fn failures(&self) -> u32 {
        self.failures
    }

    /// An attempt failed. The wait is drawn from the upper half of its bound by `entropy`.
    pub(in crate::delivery) fn failed(&mut self, now: Now, entropy: u64) {
        let bound = self
            .first
            .saturating_mul(1 << self.failures.min(16))
            .min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let half = bound / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        // `half` is never zero, so the remainder exists; a bias of 2^-30 does not matter here.
        let jitter = Duration::from_nanos(entropy % nanos.max(1));
        self.until = Some(now + half + jitter);
    }

    /// Whether an attempt may be made now.
    pub(in crate::delivery) fn is_over(&self, now: Now) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// When the next attempt may be made, if not at once.
    pub(in crate::delivery) fn until(&self) -> Option<Now> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_start_over() {
        let mut backoff = Backoff::default();
        assert!(backoff.is_over(Now::ZERO));
        let mut waits = Vec::new();
        for _ in 0..40 {
            backoff.failed(Now::ZERO, 0);
            waits.push(backoff.until().unwrap().since(Now::ZERO));
        }
        assert_eq!(waits[..3], [100, 200, 400].map(Duration::from_millis));
        assert_eq!(waits[39], LONGEST / 2);
        backoff.succeeded();
        assert!(backoff.is_over(Now::ZERO));
    }

    #[test]
    fn jitter_stays_within_the_bound() {
        for entropy in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
            let mut backoff = Backoff::default();
            backoff.failed(Now::ZERO, entropy);
            let wait = backoff.until().unwrap().since(Now::ZERO);
            assert!(wait >= FIRST / 2 && wait <= FIRST, "{wait:?}");
        }
    }
}
