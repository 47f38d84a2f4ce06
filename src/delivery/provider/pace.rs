//! How quickly connections may follow each other where each of them works, and ends at once.
//!
//! Source: Apple, *Troubleshooting push notifications*: opening and closing connections again and
//! again looks like an attack. Failed connects are paced by
//! [`Backoff`](crate::delivery::policy::backoff::Backoff); this is for a peer that answers some
//! requests on each connection and then says GOAWAY.
//!
//! ```text
//!   the last connection answered    the next may come, once the allowance is used up, after
//!   4 and less                      250 to 375 ms
//!   5 to 20                         a second by their number
//!   more                             50 to  75 ms
//! ```
//!
//! The allowance is 600 ms of such waits, and comes back with time, so a connection that lasts is
//! followed by another at once.

use core::time::Duration;

use crate::delivery::policy::jitter::jittered;
use crate::time::Now;

/// Shared among the requests that a connection has answered.
const OF_A_CONNECTION: Duration = Duration::from_secs(1);

/// Answers of a connection: fewer count as the first, more as the second.
const ANSWERS: (u32, u32) = (4, 20);

/// Waits that are forgiven.
const ALLOWANCE: Duration = Duration::from_millis(600);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// When all of the allowance is there again.
    whole_at: Now,
    /// Answers on the connection that ended last.
    answers: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            whole_at: Now::ZERO,
            answers: ANSWERS.1,
        }
    }
}

impl Pace {
    /// When the next connection may be opened.
    pub(super) fn ready_at(&self) -> Now {
        let allowance = u64::try_from(ALLOWANCE.as_nanos()).unwrap_or(u64::MAX);
        Now::from_nanos(self.whole_at.as_nanos().saturating_sub(allowance))
    }

    /// One is opened.
    pub(super) fn opened(&mut self, now: Now, entropy: u64) {
        let (few, many) = ANSWERS;
        let wait = OF_A_CONNECTION / self.answers.clamp(few, many);
        self.whole_at = self.whole_at.max(now) + jittered(wait, entropy);
    }

    /// One has ended.
    pub(super) fn ended(&mut self, answers: usize) {
        self.answers = u32::try_from(answers).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many connections, each after the last, on each of which as many requests are answered.
    fn opened(count: usize, answers: usize) -> Vec<u128> {
        let (mut pace, mut now) = (Pace::default(), Now::ZERO + OF_A_CONNECTION);
        let mut at = Vec::new();
        for _ in 0..count {
            now = now.max(pace.ready_at());
            at.push(now.since(Now::ZERO).as_millis());
            pace.opened(now, 0);
            pace.ended(answers);
        }
        at
    }

    #[test]
    fn a_few_follow_at_once_and_then_the_slower_the_less_each_answers() {
        let in_ten_seconds = |answers| {
            let mut opened = opened(2_000, answers).into_iter();
            opened.position(|at| at > 11_000).unwrap()
        };
        assert_eq!(opened(13, 50)[12], 1_000, "the allowance");
        assert_eq!(
            [0, 1, 4, 10, 20, 1_000].map(in_ten_seconds),
            [44, 44, 44, 107, 213, 213]
        );
    }

    #[test]
    fn connections_that_last_are_followed_at_once() {
        let mut pace = Pace::default();
        for hour in 1..100 {
            let now = Now::ZERO + Duration::from_secs(3_600) * hour;
            assert!(pace.ready_at() <= now);
            pace.opened(now, u64::MAX);
            pace.ended(1);
        }
    }
}
