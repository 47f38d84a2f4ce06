//! An error response turned into what became of every notification sent on the connection.
//!
//! Source: Apple, *Binary Provider API*: "Any notifications that you sent after the malformed
//! notification using the same connection are discarded, and must be resent"; with status 10 the
//! identifier is that of "the last notification that was successfully sent".
//!
//! ```text
//!   sent, in order     1   2   3   4   5   6   probe
//!   status 8 names 3   accepted│ ▲ │    resend           ▲ = rejected
//!   status 10 names 3  accepted    │    resend
//!   status 0 names 3   accepted    │  unanswered
//!   the probe named    accepted
//!   one that left the window        all resend, as all came after it; unanswered at status 0
//!   0 or unknown, or no word        unanswered
//! ```
//!
//! A gateway never says that it accepted something, so a window only empties when the connection
//! ends, or when a probe ([`encode_probe`](super::encode_probe)) is refused: that names a last
//! place, and everything before it was accepted.
//!
//! One window serves one connection after the other; identifiers go on counting across them, from
//! 1, and 0 is skipped when they wrap. Limits: as many jobs as asked for, at most 65,536.

use super::error_response::GatewayStatus;
use super::identifier::Identifier;
use super::limits::WINDOW_MAX;
use super::verdict::{Cause, Verdict};
use core::fmt;
use std::collections::VecDeque;

/// The notifications sent on a connection whose end is not known, oldest first.
#[derive(Debug)]
pub struct Window<J> {
    jobs: VecDeque<J>,
    /// Identifier of the first of `jobs`, or of the next one pushed.
    oldest: Identifier,
    /// How many of this connection were sent before `oldest`, and are no longer here.
    left: u64,
    /// Whether a probe follows the last of `jobs`.
    probed: bool,
    capacity: usize,
}

impl<J> Window<J> {
    /// With place for `capacity` jobs (cut to 1 to 65,536) and one probe.
    pub fn new(capacity: usize) -> Self {
        Self::starting_at(Identifier::FIRST, capacity)
    }

    /// As [`Self::new`], counting on from an identifier.
    pub fn starting_at(oldest: Identifier, capacity: usize) -> Self {
        Self {
            jobs: VecDeque::new(),
            oldest,
            left: 0,
            probed: false,
            capacity: capacity.clamp(1, WINDOW_MAX),
        }
    }

    /// How many jobs have no end yet.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether every job has an end.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Most jobs without an end.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether a probe was sent on this connection; nothing may follow it.
    pub const fn is_probed(&self) -> bool {
        self.probed
    }

    /// The identifier that the next job or probe gets.
    pub fn next_identifier(&self) -> Identifier {
        self.oldest.plus(self.jobs.len() + usize::from(self.probed))
    }

    /// The job that has been in it longest.
    pub fn oldest(&self) -> Option<&J> {
        self.jobs.front()
    }

    /// Takes the oldest job out, for one whose end nobody waits for: it makes place for another. An
    /// error response that names it still says that those after it were dropped.
    pub fn forget_oldest(&mut self) -> Option<J> {
        let job = self.jobs.pop_front()?;
        self.leave(1);
        Some(job)
    }

    /// So many from the front are no longer here.
    fn leave(&mut self, count: usize) {
        self.oldest = self.oldest.plus(count);
        self.left = self.left.saturating_add(count as u64);
    }

    /// Takes in a job that is about to be sent, and gives it the identifier to send it under.
    ///
    /// # Errors
    /// [`Full`] with the job, at capacity and after a probe.
    pub fn push(&mut self, job: J) -> Result<Identifier, Full<J>> {
        if self.probed || self.jobs.len() >= self.capacity {
            return Err(Full(job));
        }
        let identifier = self.next_identifier();
        self.jobs.push_back(job);
        Ok(identifier)
    }

    /// The identifier to send a probe under; `None` if there is one already. Full or not, there is
    /// place for it. The gateway closes the connection with its answer.
    pub fn push_probe(&mut self) -> Option<Identifier> {
        if self.probed {
            return None;
        }
        let identifier = self.next_identifier();
        self.probed = true;
        Some(identifier)
    }

    /// Ends the jobs up to `up_to` and that one itself as accepted; if it names the probe, all of
    /// them. Only on proof: silence is none. `None`, and nothing is ended, if the identifier is
    /// unknown.
    pub fn confirm(&mut self, up_to: Identifier) -> Option<Vec<J>> {
        let index = self.position(up_to.get())?;
        let count = index.saturating_add(1).min(self.jobs.len());
        self.leave(count);
        if index >= count {
            // What refuses the probe closes the connection.
            self.oldest = self.oldest.plus(1);
            self.left = 0;
            self.probed = false;
        }
        Some(self.jobs.drain(..count).collect())
    }

    /// The connection ended with an error response: every job ends.
    pub fn handle_error(&mut self, status: GatewayStatus, identifier: u32) -> Verdict<J> {
        let place = self.place(identifier);
        let mut jobs = self.drain().into_iter();
        let index = match place {
            NamedPlace::Unknown => {
                let cause = Cause::Unlocated { status, identifier };
                return Verdict::unanswered(cause, jobs.collect());
            }
            NamedPlace::Left => None,
            NamedPlace::At(index) => Some(index),
        };
        let mut verdict = Verdict::new(Cause::Named { status, identifier });
        if let Some(index) = index {
            verdict.accepted.extend(jobs.by_ref().take(index));
            // Nothing is left if the probe was named.
            match (status, jobs.next()) {
                (GatewayStatus::SHUTDOWN | GatewayStatus::NO_ERROR, named) => {
                    verdict.accepted.extend(named)
                }
                (status, named) => verdict.rejected = named.map(|job| (job, status)),
            }
        }
        if status == GatewayStatus::NO_ERROR {
            verdict.unanswered.extend(jobs);
        } else {
            verdict.resend.extend(jobs);
        }
        verdict
    }

    /// The connection ended without a word that can be read: every job ends unanswered.
    pub fn close(&mut self) -> Verdict<J> {
        Verdict::unanswered(Cause::Closed, self.drain())
    }

    /// Where the one named is.
    fn place(&self, identifier: u32) -> NamedPlace {
        let Some(named) = Identifier::new(identifier) else {
            return NamedPlace::Unknown;
        };
        if let Some(index) = self.position(identifier) {
            return NamedPlace::At(index);
        }
        let before = self.oldest.steps_from(named) as u64;
        match (1..=self.left).contains(&before) {
            true => NamedPlace::Left,
            false => NamedPlace::Unknown,
        }
    }

    /// How many of those here were sent before the one named; the number of jobs stands for the
    /// probe.
    fn position(&self, identifier: u32) -> Option<usize> {
        let index = Identifier::new(identifier)?.steps_from(self.oldest);
        (index < self.jobs.len() + usize::from(self.probed)).then_some(index)
    }

    fn drain(&mut self) -> Vec<J> {
        let sent = self.jobs.len() + usize::from(self.probed);
        self.oldest = self.oldest.plus(sent);
        self.left = 0;
        self.probed = false;
        self.jobs.drain(..).collect()
    }
}

/// Where an identifier is that a gateway named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedPlace {
    /// So many of the window were sent before it.
    At(usize),
    /// It was sent on this connection before all that are in the window.
    Left,
    /// It is none, or was not sent on this connection.
    Unknown,
}

/// There is no place for this job on the connection, which the caller gets back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<J>(pub J);

impl<J> fmt::Display for Full<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the window of sent notifications is full, or ends with a probe")
    }
}

impl<J: fmt::Debug> core::error::Error for Full<J> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Outcome, Why};

    /// A window with the jobs 0 to 4, sent from an identifier on.
    fn five(first: u32) -> Window<u32> {
        let mut window = Window::starting_at(Identifier::new(first).unwrap(), 5);
        for job in 0..5 {
            window.push(job).unwrap();
        }
        window
    }

    #[test]
    fn identifiers_start_at_1_and_skip_0() {
        assert_eq!(Window::new(3).push(()).unwrap().get(), 1);
        let mut window = Window::starting_at(Identifier::new(u32::MAX - 1).unwrap(), 9);
        let got: Vec<_> = (0..4).map(|_| window.push(()).unwrap().get()).collect();
        assert_eq!(got, [u32::MAX - 1, u32::MAX, 1, 2]);
    }

    #[test]
    fn a_refusal_splits_the_window_wherever_it_lies() {
        for first in [1, 1_000, u32::MAX - 4, u32::MAX - 2, u32::MAX] {
            for named in 0..5_u32 {
                let mut window = five(first);
                let identifier = Identifier::new(first).unwrap().plus(named as usize).get();
                let verdict = window.handle_error(GatewayStatus::INVALID_TOKEN, identifier);
                assert_eq!(verdict.accepted, (0..named).collect::<Vec<_>>());
                assert_eq!(
                    verdict.rejected,
                    Some((named, GatewayStatus::INVALID_TOKEN))
                );
                assert_eq!(verdict.resend, (named + 1..5).collect::<Vec<_>>());
                assert!(verdict.unanswered.is_empty() && window.is_empty());
                // The next connection's identifiers do not repeat this one's.
                let next = window.push(9).unwrap();
                assert_eq!(next, Identifier::new(first).unwrap().plus(5));
            }
        }
    }

    #[test]
    fn a_shutdown_names_the_last_one_accepted() {
        let verdict = five(1).handle_error(GatewayStatus::SHUTDOWN, 3);
        assert_eq!((verdict.accepted, verdict.rejected), (vec![0, 1, 2], None));
        assert_eq!(verdict.resend, [3, 4]);
    }

    #[test]
    fn no_error_proves_nothing_of_what_follows() {
        let verdict = five(1).handle_error(GatewayStatus::NO_ERROR, 3);
        assert_eq!((verdict.accepted, verdict.rejected), (vec![0, 1, 2], None));
        assert_eq!((verdict.resend, verdict.unanswered), (vec![], vec![3, 4]));
    }

    #[test]
    fn what_cannot_be_located_is_not_sent_again() {
        for identifier in [0, 6, 7, u32::MAX] {
            for status in [
                GatewayStatus::MISSING_TOKEN,
                GatewayStatus::SHUTDOWN,
                GatewayStatus(77),
            ] {
                let mut window = five(1);
                let verdict = window.handle_error(status, identifier);
                assert_eq!(verdict.cause, Cause::Unlocated { status, identifier });
                assert_eq!(verdict.unanswered, [0, 1, 2, 3, 4]);
                assert!(window.is_empty());
                for (_, outcome) in verdict.into_outcomes() {
                    assert_eq!(outcome, Outcome::unanswered(Why::Unreadable));
                    assert!(!Why::Unreadable.may_resend());
                }
            }
        }
    }

    #[test]
    fn a_refused_probe_proves_all_before_it() {
        for first in [1, u32::MAX - 4] {
            let mut window = five(first);
            assert_eq!(window.push(5), Err(Full(5)));
            let probe = window.push_probe().unwrap();
            assert_eq!((window.push_probe(), window.is_probed()), (None, true));
            let verdict = window.handle_error(GatewayStatus::INVALID_TOKEN_SIZE, probe.get());
            assert_eq!(verdict.accepted, [0, 1, 2, 3, 4]);
            assert!(verdict.rejected.is_none() && verdict.resend.is_empty());
            assert!(!window.is_probed());
            assert_eq!(window.push(6).unwrap(), probe.plus(1));
        }
    }

    #[test]
    fn confirming_ends_from_the_front() {
        let mut window = five(u32::MAX);
        assert_eq!(window.confirm(Identifier::new(5).unwrap()), None);
        assert_eq!(
            window.confirm(Identifier::new(1).unwrap()),
            Some(vec![0, 1])
        );
        assert_eq!(window.confirm(Identifier::new(1).unwrap()), None);
        let probe = window.push_probe().unwrap();
        assert_eq!(window.confirm(probe), Some(vec![2, 3, 4]));
        assert_eq!(window.push(7).unwrap(), probe.plus(1));
        assert_eq!(window.close().unanswered, [7]);
    }

    #[test]
    fn what_is_forgotten_makes_place() {
        let mut window = five(u32::MAX - 1);
        assert_eq!(window.oldest(), Some(&0));
        assert_eq!(
            (window.forget_oldest(), window.forget_oldest()),
            (Some(0), Some(1))
        );
        assert_eq!((window.len(), window.next_identifier().get()), (3, 4));
        assert_eq!(window.push(5).unwrap().get(), 4);
        let verdict = window.handle_error(GatewayStatus::INVALID_TOKEN, 2);
        assert_eq!((verdict.accepted, verdict.resend), (vec![2], vec![4, 5]));
        assert_eq!(Window::<()>::new(1).forget_oldest(), None);
    }

    /// A window with the jobs 3, 4 and 5, after 0, 1 and 2 have left it, and which it gave them.
    fn three_left(first: u32) -> (Window<u32>, Vec<u32>) {
        let mut window = five(first);
        (0..3).for_each(|_| _ = window.forget_oldest());
        window.push(5).unwrap();
        let first = Identifier::new(first).unwrap();
        (window, (0..6).map(|step| first.plus(step).get()).collect())
    }

    #[test]
    fn an_error_that_names_what_has_left_the_window_drops_all_that_is_in_it() {
        for first in [1, 7, u32::MAX - 4, u32::MAX - 2, u32::MAX - 1, u32::MAX] {
            for gone in 0..3 {
                for status in [
                    GatewayStatus::INVALID_TOKEN,
                    GatewayStatus::SHUTDOWN,
                    GatewayStatus(77),
                ] {
                    let (mut window, named) = three_left(first);
                    let identifier = named[gone];
                    let verdict = window.handle_error(status, identifier);
                    assert_eq!(verdict.cause, Cause::Named { status, identifier });
                    assert_eq!(verdict.resend, [3, 4, 5], "{first} {gone}");
                    assert!(verdict.accepted.is_empty() && verdict.rejected.is_none());
                    assert!(verdict.unanswered.is_empty() && window.is_empty());
                }
                // Which does not say that they were dropped.
                let (mut window, named) = three_left(first);
                let verdict = window.handle_error(GatewayStatus::NO_ERROR, named[gone]);
                assert_eq!(
                    (verdict.resend, verdict.unanswered),
                    (vec![], vec![3, 4, 5])
                );
            }
            // Of those that are in it, the same as ever.
            let (mut window, named) = three_left(first);
            let verdict = window.handle_error(GatewayStatus::INVALID_TOKEN, named[4]);
            assert_eq!((verdict.accepted, verdict.resend), (vec![3], vec![5]));
        }
    }

    #[test]
    fn an_error_that_names_what_was_never_sent_on_the_connection_sends_nothing_again() {
        for first in [1, 7, u32::MAX - 4, u32::MAX - 1, u32::MAX] {
            let number = Identifier::new(first).unwrap();
            let before = Identifier::new(first.wrapping_sub(1))
                .unwrap_or(Identifier::new(u32::MAX).unwrap());
            let later = [6, 7, 1_000, 1 << 31].map(|step| number.plus(step).get());
            for identifier in [[0, before.get()].as_slice(), &later].concat() {
                let (mut window, _) = three_left(first);
                let verdict = window.handle_error(GatewayStatus::INVALID_TOKEN, identifier);
                assert_eq!(verdict.unanswered, [3, 4, 5], "{first} {identifier}");
                assert!(verdict.resend.is_empty());
            }
        }
    }

    #[test]
    fn what_left_the_window_on_one_connection_says_nothing_of_the_next() {
        let (mut window, named) = three_left(1);
        assert_eq!(window.close().unanswered, [3, 4, 5]);
        window.push(9).unwrap();
        let verdict = window.handle_error(GatewayStatus::INVALID_TOKEN, named[0]);
        assert_eq!((verdict.resend, verdict.unanswered), (vec![], vec![9]));
        // What was confirmed has left as well; a probe ends the connection.
        let mut window = five(1);
        assert_eq!(window.confirm(Identifier::FIRST), Some(vec![0]));
        assert_eq!(
            window.handle_error(GatewayStatus::INVALID_TOKEN, 1).resend,
            [1, 2, 3, 4]
        );
        let mut window = five(1);
        let probe = window.push_probe().unwrap();
        window.confirm(probe);
        window.push(9).unwrap();
        assert_eq!(
            window
                .handle_error(GatewayStatus::INVALID_TOKEN, 1)
                .unanswered,
            [9]
        );
    }

    #[test]
    fn outcomes_come_in_the_order_of_sending() {
        let verdict = five(1).handle_error(GatewayStatus::INVALID_TOKEN, 3);
        let got: Vec<_> = verdict.into_outcomes().collect();
        assert_eq!(
            got.iter().map(|(job, _)| *job).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4]
        );
        assert!(matches!(got[1].1, Outcome::Accepted { .. }));
        assert!(matches!(got[2].1, Outcome::Rejected { status: 400, .. }));
        assert_eq!(got[3].1, Outcome::unanswered(Why::NotProcessed));
        let closed = five(1).close().into_outcomes().next().unwrap().1;
        assert_eq!(closed, Outcome::unanswered(Why::ConnectionLost));
    }

    #[test]
    fn capacity_is_bounded() {
        assert_eq!(Window::<()>::new(0).capacity(), 1);
        assert_eq!(Window::<()>::new(usize::MAX).capacity(), WINDOW_MAX);
    }
}
