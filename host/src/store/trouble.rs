//! What is said and tried while the store cannot be written.
//!
//! ```text
//!   well ── a commit fails ──► in trouble ── a commit succeeds ──► well
//!            one line             tried again, with growing waits     one line
//! ```
//!
//! Bound: at most one pair of lines in [`QUIET`], however often it goes back and forth.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often is looked whether it is time to try again.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// Most ticks between two attempts: 5 s.
const MOST_TICKS: u32 = 20;

/// After so many ticks it is tried even if there seems to be no room: 30 s.
const TICKS_WITHOUT_ROOM: u32 = 120;

/// A trouble that begins so soon after another has to last as long to be told.
const QUIET: Duration = Duration::from_secs(60);

/// How the store is.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    now: Option<Current>,
    last_told: Option<Instant>,
}

#[derive(Debug)]
struct Current {
    since: Instant,
    why: Arc<str>,
    /// Attempts that failed since, the first included.
    failed: u32,
    /// Ticks since the last of them.
    ticks: u32,
    told: bool,
}

/// To be told to the operator.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TroubleLine {
    Begun(Arc<str>),
    Over(Over),
}

/// What there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) lasted: Duration,
    /// Attempts to write that failed.
    pub(super) failed: u32,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.lasted.as_secs_f64();
        write!(f, "after {secs:.1} s and {} failed attempts", self.failed)
    }
}

impl Trouble {
    /// An attempt to write has failed.
    pub(super) fn failed(&mut self, now: Instant, why: &Arc<str>) -> Option<TroubleLine> {
        let current = self.now.get_or_insert_with(|| Current {
            since: now,
            why: Arc::clone(why),
            failed: 0,
            ticks: 0,
            told: false,
        });
        current.failed = current.failed.saturating_add(1);
        current.ticks = 0;
        current.why = Arc::clone(why);
        self.tell(now)
    }

    /// One has succeeded.
    pub(super) fn succeeded(&mut self, now: Instant) -> Option<TroubleLine> {
        let current = self.now.take()?;
        let over = Over {
            lasted: now.saturating_duration_since(current.since),
            failed: current.failed,
        };
        current.told.then_some(TroubleLine::Over(over))
    }

    /// A tick has passed: what is to be told, and whether to try again. `has_room` says whether
    /// what is to be written has room on the disk, if that is known.
    pub(super) fn tick(
        &mut self,
        now: Instant,
        has_room: Option<bool>,
    ) -> (Option<TroubleLine>, bool) {
        let line = self.tell(now);
        let Some(current) = &mut self.now else {
            return (line, true);
        };
        current.ticks = current.ticks.saturating_add(1);
        let growing = 1_u32.checked_shl(current.failed - 1).unwrap_or(MOST_TICKS);
        let wait = match has_room {
            Some(false) => TICKS_WITHOUT_ROOM,
            Some(true) | None => growing.min(MOST_TICKS),
        };
        (line, current.ticks >= wait)
    }

    /// Whether there is any.
    pub(super) fn is_there(&self) -> bool {
        self.now.is_some()
    }

    fn tell(&mut self, now: Instant) -> Option<TroubleLine> {
        let is_quiet = |told: Instant| now.saturating_duration_since(told) < QUIET;
        let current = self.now.as_mut().filter(|current| !current.told)?;
        if self.last_told.is_some_and(is_quiet) {
            return None;
        }
        current.told = true;
        self.last_told = Some(now);
        Some(TroubleLine::Begun(Arc::clone(&current.why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn full() -> Arc<str> {
        "no space left".into()
    }

    #[test]
    fn its_beginning_and_its_end_are_a_line_each() {
        let start = Instant::now();
        let mut trouble = Trouble::default();
        assert_eq!(trouble.succeeded(start), None);
        let begun = trouble.failed(start, &full());
        assert_eq!(begun, Some(TroubleLine::Begun(full())));
        for n in 1..1_000 {
            assert_eq!(trouble.failed(start + SECOND * n, &full()), None);
            assert_eq!(trouble.tick(start + SECOND * n, None).0, None);
        }
        let over = Over {
            lasted: SECOND * 2_000,
            failed: 1_000,
        };
        let line = trouble.succeeded(start + SECOND * 2_000);
        assert_eq!(line, Some(TroubleLine::Over(over)));
        assert!(!trouble.is_there());
        assert_eq!(over.to_string(), "after 2000.0 s and 1000 failed attempts");
    }

    #[test]
    fn one_that_comes_and_goes_is_a_pair_of_lines_a_minute() {
        let start = Instant::now();
        let mut trouble = Trouble::default();
        let mut lines = 0;
        for n in 0..6_000 {
            let now = start + SECOND * n / 10;
            lines += u32::from(trouble.failed(now, &full()).is_some());
            lines += u32::from(trouble.succeeded(now).is_some());
        }
        assert_eq!(lines, 20, "in ten minutes");
        // One that stays is told as soon as it may be, without another attempt.
        let now = start + SECOND * 601;
        assert_eq!(
            trouble.failed(now, &full()),
            Some(TroubleLine::Begun(full()))
        );
        assert!(trouble.succeeded(now).is_some());
        assert_eq!(trouble.failed(now + SECOND, &full()), None);
        assert_eq!(trouble.tick(now + SECOND * 59, None).0, None);
        let line = trouble.tick(now + SECOND * 60, None).0;
        assert_eq!(line, Some(TroubleLine::Begun(full())));
    }

    /// The ticks at which an attempt that fails again is made.
    fn attempts(has_room: Option<bool>, ticks: u32) -> Vec<u32> {
        let now = Instant::now();
        let mut trouble = Trouble::default();
        trouble.failed(now, &full());
        let mut attempts = Vec::new();
        for tick in 1..=ticks {
            if trouble.tick(now, has_room).1 {
                attempts.push(tick);
                trouble.failed(now, &full());
            }
        }
        attempts
    }

    #[test]
    fn it_is_tried_with_growing_waits_and_at_once_when_there_is_room() {
        assert_eq!(attempts(None, 80), [1, 3, 7, 15, 31, 51, 71]);
        assert_eq!(attempts(Some(true), 8), [1, 3, 7]);
        assert_eq!(attempts(Some(false), 250), [120, 240]);
        let now = Instant::now();
        let mut trouble = Trouble::default();
        trouble.failed(now, &full());
        for _ in 0..50 {
            assert!(!trouble.tick(now, Some(false)).1);
        }
        assert!(trouble.tick(now, Some(true)).1);
    }
}
