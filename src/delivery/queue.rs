//! The messages a lane answers for: where each one is and when it must be answered.

use core::fmt;
use std::collections::{BTreeSet, VecDeque};

use crate::delivery::ids::{ConnectionId, JobId};
use crate::delivery::submission::Submission;
use crate::http2::ErrorCode;
use crate::provider::{Message, Outcome, Why};
use crate::ring::Ring;
use crate::time::Now;

/// Ended jobs that the queue may hold in any case.
const QUEUE_SLACK: usize = 64;

/// Where a notification is. On a connection the protocol tells them apart by an `S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<S> {
    Queued,
    /// Not to be sent before then.
    Held {
        until: Now,
    },
    InFlight {
        connection: ConnectionId,
        slot: S,
    },
}

/// How a notification came back that nobody has acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returned {
    /// Its stream is above the last one of a GOAWAY with this code.
    GoneAway(ErrorCode),
    /// Its stream was refused before an answer began.
    Refused,
    /// The connection ended before all of it was written.
    CutShort,
    /// The platform's client says so.
    ByPlatform,
}

impl Returned {
    pub(super) const fn why(self) -> Why {
        match self {
            Self::Refused => Why::Refused,
            Self::GoneAway(_) | Self::CutShort | Self::ByPlatform => Why::NotProcessed,
        }
    }
}

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GoneAway(code) => write!(f, "GOAWAY ({code}) with a lower last stream"),
            Self::Refused => write!(f, "RST_STREAM ({})", ErrorCode::REFUSED_STREAM),
            Self::CutShort => f.write_str("the connection ended before all of it was written"),
            Self::ByPlatform => f.write_str("the HTTP client says that it was not processed"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Job<S> {
    pub(super) message: Message,
    pub(super) deadline: Now,
    pub(super) confirm: bool,
    /// How often it was put on a connection, but for the times that it came back from.
    pub(super) attempts: u8,
    /// Its expiration was past when it was handed in: one attempt, whenever that is.
    pub(super) had_expired: bool,
    /// How often it came back, certainly not acted on.
    pub(super) returns: u32,
    /// How it came back the last time.
    pub(super) returned: Option<Returned>,
    /// When it expires, of one that came back: it is not sent again then.
    pub(super) expires: Option<Now>,
    /// It was to be sent again for a new provider token: once is enough.
    pub(super) renewed: bool,
    /// How it was refused, if it is to be sent again all the same.
    pub(super) refusal: Option<Box<Outcome>>,
    pub(super) place: Place<S>,
}

impl<S> Job<S> {
    fn is_queued(&self) -> bool {
        matches!(self.place, Place::Queued)
    }

    /// How the answer was lost of one whose time is over.
    pub(super) fn why_overdue(&self) -> Why {
        match self.place {
            Place::InFlight { .. } => Why::TimedOut,
            Place::Queued | Place::Held { .. } => match self.returned {
                None if self.attempts == 0 => Why::NotSent,
                None => Why::NotProcessed,
                Some(returned) => returned.why(),
            },
        }
    }

    /// What happened to it last if it came back, for people.
    pub(super) fn story(&self) -> Option<String> {
        let (returns, returned) = (self.returns, self.returned?);
        let times = if returns == 1 { "time" } else { "times" };
        Some(format!(
            "sent {returns} {times} and not processed; the last time: {returned}"
        ))
    }

    /// It came back, and nobody has acted on it: this was no attempt.
    pub(super) fn came_back(&mut self, how: Returned) {
        self.attempts = self.attempts.saturating_sub(1);
        self.returns = self.returns.saturating_add(1);
        self.returned = Some(how);
    }

    /// Whether it may not be sent at `now`: its time is over, or it has expired since it came back.
    pub(super) fn is_over(&self, now: Now) -> bool {
        self.deadline <= now || self.expires.is_some_and(|at| at <= now)
    }

    /// The outcome of one whose time is over: how it was refused, if it waited to be sent again.
    pub(super) fn overdue(self) -> Outcome {
        let why = self.why_overdue();
        match (self.place, self.refusal) {
            (Place::Queued | Place::Held { .. }, Some(refusal)) => *refusal,
            _ => Outcome::unanswered(why),
        }
    }
}

/// All notifications without an outcome. Bounded by its owner through [`Queue::waiting`] and
/// [`Queue::held`]; those in flight are bounded by the peer's stream limit, or by the windows of
/// the gateway's connections.
#[derive(Debug)]
pub(super) struct Queue<S> {
    /// By the numbers of their identifiers.
    all: Ring<Job<S>>,
    /// May hold identifiers of jobs that ended while they waited; those are skipped, and cleared
    /// out once they are the majority. Bound: twice `waiting`, and [`QUEUE_SLACK`].
    queue: VecDeque<JobId>,
    waiting: usize,
    /// Those that are not to be sent yet, by when they are.
    held: BTreeSet<(Now, JobId)>,
    /// In their order, which is nearly that of the identifiers. The first is of a job that is
    /// there; of those that ended the others are cleared out once they are the majority. Bound:
    /// twice the jobs, and [`QUEUE_SLACK`].
    deadlines: VecDeque<(Now, JobId)>,
    next: u64,
}

impl<S> Default for Queue<S> {
    fn default() -> Self {
        Self {
            all: Ring::default(),
            queue: VecDeque::new(),
            waiting: 0,
            held: BTreeSet::new(),
            deadlines: VecDeque::new(),
            next: 0,
        }
    }
}

impl<S> Queue<S> {
    pub(super) fn add(&mut self, submission: Submission) -> JobId {
        let id = JobId(self.next);
        self.next += 1;
        let Submission {
            message,
            deadline,
            confirm,
        } = submission;
        self.all.insert(
            id.0,
            Job {
                message,
                deadline,
                confirm,
                attempts: 0,
                had_expired: false,
                returns: 0,
                returned: None,
                expires: None,
                renewed: false,
                refusal: None,
                place: Place::Queued,
            },
        );
        self.add_deadline(deadline, id);
        self.queue.push_back(id);
        self.waiting += 1;
        id
    }

    pub(super) fn get(&self, id: JobId) -> Option<&Job<S>> {
        self.all.get(id.0)
    }

    /// For what is not its place, which is changed here alone.
    pub(super) fn get_mut(&mut self, id: JobId) -> Option<&mut Job<S>> {
        self.all.get_mut(id.0)
    }

    /// How many wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many wait until they may be sent.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The one to send next; it stays where it is until [`Queue::sent`].
    pub(super) fn front(&mut self) -> Option<(JobId, &Job<S>)> {
        while let Some(id) = self.queue.front().copied() {
            if self.all.get(id.0).is_some_and(Job::is_queued) {
                // Looked up again because of the borrow; it was there a line above.
                return self.all.get(id.0).map(|job| (id, job));
            }
            self.queue.pop_front();
        }
        None
    }

    /// The front one is on a connection now.
    pub(super) fn sent(&mut self, id: JobId, connection: ConnectionId, slot: S) {
        self.queue.pop_front();
        if let Some(job) = self.all.get_mut(id.0) {
            job.place = Place::InFlight { connection, slot };
            job.attempts = job.attempts.saturating_add(1);
            self.waiting -= 1;
        }
    }

    /// Those that were not processed go back to the head of the queue, in their old order.
    pub(super) fn put_back(&mut self, ids: &[JobId]) {
        for id in ids.iter().rev() {
            if let Some(job) = self.all.get_mut(id.0) {
                job.place = Place::Queued;
                self.waiting += 1;
                self.queue.push_front(*id);
            }
        }
    }

    /// The same for one, where they come back one by one in any order: before those that were
    /// handed in after it.
    pub(super) fn put_back_in_order(&mut self, id: JobId) {
        if let Some(job) = self.all.get_mut(id.0) {
            job.place = Place::Queued;
            self.waiting += 1;
            let mut queue = self.queue.iter();
            let place = queue.position(|other| *other > id);
            self.queue.insert(place.unwrap_or(self.queue.len()), id);
        }
    }

    /// One that is in flight, or at the front, is not to be sent before `until`.
    pub(super) fn hold(&mut self, id: JobId, until: Now) {
        let Some(job) = self.all.get_mut(id.0) else {
            return;
        };
        match job.place {
            Place::Held { .. } => return,
            Place::Queued => {
                self.waiting -= 1;
                // It is the front one; were it not, its place would be passed over later.
                if self.queue.front() == Some(&id) {
                    self.queue.pop_front();
                }
            }
            Place::InFlight { .. } => {}
        }
        job.place = Place::Held { until };
        self.held.insert((until, id));
    }

    /// When the next that is held may be sent.
    pub(super) fn next_release(&self) -> Option<Now> {
        self.held.first().map(|(until, _)| *until)
    }

    /// Those whose time has come go to the head of the queue, in that order.
    pub(super) fn release(&mut self, now: Now) {
        let mut due = Vec::new();
        while let Some((_, id)) = self.held.first().filter(|(until, _)| *until <= now) {
            due.push(*id);
            self.held.pop_first();
        }
        self.put_back(&due);
    }

    /// These may be sent at once, if they are held.
    pub(super) fn release_these(&mut self, ids: &[JobId]) {
        let mut freed = Vec::new();
        for id in ids {
            if let Some(Place::Held { until }) = self.all.get(id.0).map(|job| &job.place) {
                self.held.remove(&(*until, *id));
                freed.push(*id);
            }
        }
        self.put_back(&freed);
    }

    /// It has its outcome.
    pub(super) fn end(&mut self, id: JobId) -> Option<Job<S>> {
        let job = self.all.remove(id.0)?;
        self.forget_deadlines();
        match job.place {
            Place::Queued => self.waiting -= 1,
            Place::Held { until } => {
                self.held.remove(&(until, id));
            }
            Place::InFlight { .. } => {}
        }
        if self.queue.len() > 2 * self.waiting + QUEUE_SLACK {
            let all = &self.all;
            let waits = |id: &JobId| all.get(id.0).is_some_and(Job::is_queued);
            self.queue.retain(waits);
        }
        Some(job)
    }

    /// The next deadline.
    pub(super) fn next_deadline(&self) -> Option<Now> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    /// One whose deadline has passed.
    pub(super) fn overdue(&self, now: Now) -> Option<JobId> {
        self.deadlines
            .front()
            .filter(|(deadline, _)| *deadline <= now)
            .map(|(_, id)| *id)
    }

    /// Of one that was just added. Those of one lane are nearly all so far ahead, so that it is the
    /// last; where it is not, it costs as much as there are behind it.
    fn add_deadline(&mut self, deadline: Now, id: JobId) {
        let place = match self.deadlines.back() {
            Some((last, _)) if *last > deadline => {
                self.deadlines.partition_point(|(at, _)| *at <= deadline)
            }
            _ => self.deadlines.len(),
        };
        self.deadlines.insert(place, (deadline, id));
    }

    /// After a job has ended.
    fn forget_deadlines(&mut self) {
        let all = &self.all;
        let is_there = |(_, id): &(Now, JobId)| all.contains(id.0);
        while self.deadlines.front().is_some_and(|first| !is_there(first)) {
            self.deadlines.pop_front();
        }
        if self.deadlines.len() > 2 * all.len() + QUEUE_SLACK {
            self.deadlines.retain(is_there);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::notification::{DeviceToken, Draft, Payload, Topic};
    use std::sync::Arc;

    /// Identifiers for those who need no jobs.
    pub fn job_ids(count: u64) -> Vec<JobId> {
        (0..count).map(JobId).collect()
    }

    fn submissions() -> impl Fn(Now) -> Submission {
        let token = DeviceToken::from_bytes(&[7; 32]).unwrap();
        let topic = Topic::parse("com.example.app").unwrap();
        let payload = Payload::parse(br#"{"aps":{}}"#).unwrap();
        let notification = Arc::new(Draft::new(token, topic, payload).build().unwrap());
        move |deadline| Submission {
            message: Message::from(Arc::clone(&notification)),
            deadline,
            confirm: false,
        }
    }

    #[test]
    fn jobs_that_end_while_they_wait_leave_the_queue() {
        let submission = submissions();
        let mut queue = Queue::<()>::default();
        let first = queue.add(submission(Now::from_nanos(u64::MAX)));
        for _ in 0..10_000 {
            let id = queue.add(submission(Now::ZERO));
            queue.end(id);
            assert!(queue.queue.len() <= 2 * queue.waiting + QUEUE_SLACK);
        }
        let last = queue.add(submission(Now::ZERO));
        assert_eq!(queue.front().map(|(id, _)| id), Some(first));
        queue.end(first);
        assert_eq!(queue.front().map(|(id, _)| id), Some(last));
        queue.end(last);
        assert!(queue.front().is_none() && queue.is_empty());
    }

    #[test]
    fn deadlines_come_in_their_order_whatever_the_order_they_were_given_in() {
        let (submission, at) = (submissions(), Now::from_nanos);
        let mut queue = Queue::<()>::default();
        let deadlines = [30, 10, 20, 30, 10, 40];
        let ids = deadlines.map(|deadline| queue.add(submission(at(deadline))));
        queue.end(ids[4]);
        let mut order = Vec::new();
        assert_eq!(
            (queue.next_deadline(), queue.overdue(at(9))),
            (Some(at(10)), None)
        );
        while let Some(id) = queue.overdue(at(35)) {
            assert_eq!(queue.next_deadline(), queue.get(id).map(|job| job.deadline));
            order.push(id);
            queue.end(id);
        }
        assert_eq!(order, [ids[1], ids[2], ids[0], ids[3]]);
        assert_eq!(queue.next_deadline(), Some(at(40)));
        queue.end(ids[5]);
        assert_eq!(queue.next_deadline(), None);
    }

    #[test]
    fn deadlines_of_jobs_that_ended_do_not_pile_up_behind_one_that_stays() {
        let submission = submissions();
        let mut queue = Queue::<()>::default();
        let first = queue.add(submission(Now::ZERO));
        for nanos in 1..10_000 {
            let id = queue.add(submission(Now::from_nanos(nanos)));
            queue.end(id);
            assert!(queue.deadlines.len() <= 2 + QUEUE_SLACK);
        }
        assert_eq!(queue.overdue(Now::ZERO), Some(first));
    }

    #[test]
    fn what_is_held_comes_back_in_the_order_of_its_time_and_before_the_rest() {
        let (submission, at) = (submissions(), Now::from_nanos);
        let mut queue = Queue::<()>::default();
        let ids: Vec<_> = (0..4).map(|_| queue.add(submission(at(100)))).collect();
        for (id, until) in [(ids[0], 20), (ids[1], 10), (ids[2], 30)] {
            assert_eq!(queue.front().map(|(front, _)| front), Some(id));
            queue.hold(id, at(until));
        }
        assert_eq!((queue.waiting(), queue.held()), (1, 3));
        assert_eq!(queue.next_release(), Some(at(10)));
        queue.release(at(20));
        queue.release_these(&ids);
        let mut order = Vec::new();
        while let Some((id, _)) = queue.front() {
            order.push(id);
            queue.end(id);
        }
        assert_eq!(order, [ids[2], ids[1], ids[0], ids[3]]);
        assert!(queue.is_empty() && queue.held() == 0);
    }
}
