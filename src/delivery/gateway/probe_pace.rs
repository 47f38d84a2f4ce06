//! How often a probe may end a connection: a few times in a row, then once a second.
//!
//! A probe costs a connection, and Apple treats quick repeated connects as an attack
//! (*Communicating with APNs*). Notifications that come one by one are confirmed at once until the
//! allowance is used up; after that they share a probe.

use core::time::Duration;

use crate::time::Now;

/// Probes in a row.
const BURST: u32 = 8;

/// After which one more may be sent.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is left of the allowance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// When all of it is there again.
    whole_at: Now,
}

impl Pace {
    /// When the next probe may be sent.
    pub(super) fn ready_at(&self) -> Now {
        let spare = INTERVAL.saturating_mul(BURST - 1).as_nanos();
        let spare = u64::try_from(spare).unwrap_or(u64::MAX);
        Now::from_nanos(self.whole_at.as_nanos().saturating_sub(spare))
    }

    /// One is sent. It may be sent too early: then the next ones wait for it too.
    pub(super) fn spend(&mut self, now: Now) {
        self.whole_at = self.whole_at.max(now) + INTERVAL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_in_each_interval() {
        let (mut pace, mut now) = (Pace::default(), Now::ZERO + INTERVAL * 60);
        let mut sent = Vec::new();
        for _ in 0..BURST + 3 {
            now = now.max(pace.ready_at());
            sent.push(now.since(Now::ZERO).as_secs());
            pace.spend(now);
        }
        assert_eq!(sent[..8], [60; 8]);
        assert_eq!(sent[8..], [61, 62, 63]);
        let later = now + INTERVAL * 3;
        for _ in 0..2 {
            pace.spend(later);
            assert!(pace.ready_at() <= later, "three have come back");
        }
        pace.spend(later);
        assert!(pace.ready_at() > later);
    }
}
