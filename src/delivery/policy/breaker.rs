//! Whether APNs is in a state to be asked: [`Breaker`], one for each lane.
//!
//! ```text
//!              five server errors in a row
//!     closed ─────────────────────────────► open ◄──────────┐ it is answered by a
//!        ▲                                    │ 0.5 to 1 s,  │ server's error, or
//!        │  it is answered otherwise          │ twice as     │ not at all
//!        └──────────────────────── half open ◄┘ long each    │
//!                                  one probe ────────────────┘ time, up to a minute
//! ```
//!
//! While it is open nothing is sent and no connection is opened; what is handed in waits in the
//! queue until its deadline. The probe is the first that waits. Failed connects are paced by
//! [`Backoff`] before this: where there is no connection, the next connect is the probe.

use core::time::Duration;

use super::backoff::Backoff;
use super::retry::LONGEST_ASKED;
use crate::delivery::ids::JobId;
use crate::time::Now;

/// Server errors in a row, no other answer between them, that open it.
const THRESHOLD: u32 = 5;

/// The first time it is open, at most.
const FIRST: Duration = Duration::from_secs(1);

/// The longest time it is open without `retry-after`.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Now },
    HalfOpen { probe: Option<JobId> },
}

/// See the module.
#[derive(Debug)]
pub(in crate::delivery) struct Breaker {
    state: State,
    errors: u32,
    pause: Backoff,
    opened: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed,
            errors: 0,
            pause: Backoff::new(FIRST, LONGEST),
            opened: 0,
        }
    }
}

impl Breaker {
    /// Whether the next notification may be put on a connection.
    pub(in crate::delivery) fn admits(&self) -> bool {
        matches!(self.state, State::Closed | State::HalfOpen { probe: None })
    }

    /// Whether APNs is taken to work.
    pub(in crate::delivery) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// How often it was opened, again after a probe included.
    pub(in crate::delivery) fn opened(&self) -> u64 {
        self.opened
    }

    /// When it is half open, if it is open.
    pub(in crate::delivery) fn until(&self) -> Option<Now> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed | State::HalfOpen { .. } => None,
        }
    }

    pub(in crate::delivery) fn handle_timeout(&mut self, now: Now) {
        if self.until().is_some_and(|until| until <= now) {
            self.state = State::HalfOpen { probe: None };
        }
    }

    /// A notification was put on a connection.
    pub(in crate::delivery) fn sent(&mut self, job: JobId) {
        if let State::HalfOpen { probe } = &mut self.state {
            *probe = Some(job);
        }
    }

    /// It was answered, and not by a server's error.
    pub(in crate::delivery) fn worked(&mut self, job: JobId) {
        self.errors = 0;
        // Answers to what was sent before it opened prove nothing of now.
        if self.is_probe(job) {
            *self = Self {
                opened: self.opened,
                ..Self::default()
            };
        }
    }

    /// It was answered by a server's error, which asked for a wait perhaps. Whether that opened it.
    pub(in crate::delivery) fn failed(
        &mut self,
        now: Now,
        job: JobId,
        asked: Option<Duration>,
        entropy: u64,
    ) -> bool {
        self.errors = self.errors.saturating_add(1);
        let opens = match self.state {
            State::Closed => self.errors >= THRESHOLD,
            State::Open { .. } => false,
            State::HalfOpen { .. } => self.is_probe(job),
        };
        if opens {
            self.open(now, asked, entropy);
        }
        opens
    }

    /// It will not be answered.
    pub(in crate::delivery) fn lost(&mut self, now: Now, job: JobId, entropy: u64) {
        if self.is_probe(job) {
            self.open(now, None, entropy);
        }
    }

    /// It was not processed, or ended without having been asked.
    pub(in crate::delivery) fn returned(&mut self, job: JobId) {
        if self.is_probe(job) {
            self.state = State::HalfOpen { probe: None };
        }
    }

    fn is_probe(&self, job: JobId) -> bool {
        self.state == State::HalfOpen { probe: Some(job) }
    }

    fn open(&mut self, now: Now, asked: Option<Duration>, entropy: u64) {
        self.pause.failed(now, entropy);
        let own = self.pause.until().unwrap_or(now);
        let asked = now + asked.unwrap_or_default().min(LONGEST_ASKED);
        let until = own.max(asked);
        self.state = State::Open { until };
        self.opened += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::queue::tests::job_ids;

    fn opened() -> (Breaker, Vec<JobId>) {
        let (mut breaker, jobs) = (Breaker::default(), job_ids(20));
        for (n, job) in jobs.iter().enumerate().take(5) {
            assert!(breaker.admits(), "after {n}");
            assert_eq!(breaker.failed(Now::ZERO, *job, None, 0), n == 4);
        }
        (breaker, jobs)
    }

    #[test]
    fn five_errors_in_a_row_open_it_and_four_do_not() {
        let (breaker, jobs) = opened();
        assert!(breaker.until().is_some() && !breaker.admits());
        let mut breaker = Breaker::default();
        for job in jobs {
            for _ in 0..4 {
                breaker.failed(Now::ZERO, job, None, 0);
            }
            breaker.worked(job);
        }
        assert!(breaker.is_closed());
    }

    #[test]
    fn one_probe_closes_it_or_opens_it_for_twice_as_long() {
        let (mut breaker, jobs) = opened();
        let mut waits = Vec::new();
        let mut now = Now::ZERO;
        for job in &jobs[5..15] {
            let until = breaker.until().unwrap();
            waits.push(until.since(now).as_millis());
            now = until;
            breaker.handle_timeout(now);
            assert!(breaker.admits());
            breaker.sent(*job);
            assert!(!breaker.admits(), "one probe");
            breaker.failed(now, jobs[0], None, 0);
            breaker.worked(jobs[1]);
            assert!(breaker.until().is_none(), "others say nothing");
            breaker.lost(now, *job, 0);
        }
        assert_eq!(waits[..3], [500, 1_000, 2_000]);
        assert_eq!(waits[9], 30_000);
        breaker.handle_timeout(breaker.until().unwrap());
        breaker.sent(jobs[15]);
        breaker.returned(jobs[15]);
        assert!(breaker.admits(), "it was not asked");
        breaker.sent(jobs[16]);
        breaker.worked(jobs[16]);
        assert!(breaker.is_closed());
        assert!(!breaker.failed(now, jobs[17], None, 0), "and counts anew");
    }

    #[test]
    fn retry_after_keeps_it_open_for_a_quarter_of_an_hour_at_most() {
        for (asked, expected) in [(30, 30), (86_400, 900)] {
            let (mut breaker, jobs) = (Breaker::default(), job_ids(5));
            for job in jobs {
                breaker.failed(Now::ZERO, job, Some(Duration::from_secs(asked)), 0);
            }
            let until = breaker.until().unwrap();
            assert_eq!(until.since(Now::ZERO).as_secs(), expected);
        }
    }
}
