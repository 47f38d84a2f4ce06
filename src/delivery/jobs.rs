//! The notifications a lane answers for: where each one is and when it must be answered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::link::LinkId;
use super::way::Order;
use crate::notification::Notification;
use crate::provider::Why;
use crate::time::Now;

/// Ended jobs that the queue may hold in any case.
const QUEUE_SLACK: usize = 64;

/// Names a notification from [`super::Way::submit`] to its outcome. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

/// Where a notification is. On a connection the protocol tells them apart by an `S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<S> {
    Queued,
    InFlight { link: LinkId, slot: S },
}

#[derive(Debug)]
pub(super) struct Job<S> {
    pub(super) notification: Arc<Notification>,
    pub(super) deadline: Now,
    pub(super) confirm: bool,
    /// How often it was put on a connection.
    pub(super) attempts: u8,
    pub(super) place: Place<S>,
}

impl<S> Job<S> {
    fn is_queued(&self) -> bool {
        matches!(self.place, Place::Queued)
    }

    /// How the answer was lost of one whose time is over.
    pub(super) fn why_overdue(&self) -> Why {
        match self.place {
            Place::Queued if self.attempts == 0 => Why::NotSent,
            Place::Queued => Why::NotProcessed,
            Place::InFlight { .. } => Why::TimedOut,
        }
    }
}

/// All notifications without an outcome. Bounded by its owner through [`Jobs::waiting`]; those in
/// flight are bounded by the peer's stream limit, or by the windows of the gateway's connections.
#[derive(Debug)]
pub(super) struct Jobs<S> {
    all: BTreeMap<JobId, Job<S>>,
    /// May hold identifiers of jobs that ended while they waited; those are skipped, and cleared
    /// out once they are the majority. Bound: twice `waiting`, and [`QUEUE_SLACK`].
    queue: VecDeque<JobId>,
    waiting: usize,
    deadlines: BTreeSet<(Now, JobId)>,
    next: u64,
}

impl<S> Default for Jobs<S> {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            queue: VecDeque::new(),
            waiting: 0,
            deadlines: BTreeSet::new(),
            next: 0,
        }
    }
}

impl<S> Jobs<S> {
    pub(super) fn add(&mut self, order: Order) -> JobId {
        let id = JobId(self.next);
        self.next += 1;
        let Order {
            notification,
            deadline,
            confirm,
        } = order;
        self.all.insert(
            id,
            Job {
                notification,
                deadline,
                confirm,
                attempts: 0,
                place: Place::Queued,
            },
        );
        self.deadlines.insert((deadline, id));
        self.queue.push_back(id);
        self.waiting += 1;
        id
    }

    pub(super) fn get(&self, id: JobId) -> Option<&Job<S>> {
        self.all.get(&id)
    }

    /// How many wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The one to send next; it stays where it is until [`Jobs::sent`].
    pub(super) fn front(&mut self) -> Option<(JobId, &Job<S>)> {
        while let Some(id) = self.queue.front().copied() {
            if self.all.get(&id).is_some_and(Job::is_queued) {
                // Looked up again because of the borrow; it was there a line above.
                return self.all.get(&id).map(|job| (id, job));
            }
            self.queue.pop_front();
        }
        None
    }

    /// The front one is on a connection now.
    pub(super) fn sent(&mut self, id: JobId, link: LinkId, slot: S) {
        self.queue.pop_front();
        if let Some(job) = self.all.get_mut(&id) {
            job.place = Place::InFlight { link, slot };
            job.attempts = job.attempts.saturating_add(1);
            self.waiting -= 1;
        }
    }

    /// Those that were not processed go back to the head of the queue, in their old order.
    pub(super) fn put_back(&mut self, ids: &[JobId]) {
        for id in ids.iter().rev() {
            if let Some(job) = self.all.get_mut(id) {
                job.place = Place::Queued;
                self.waiting += 1;
                self.queue.push_front(*id);
            }
        }
    }

    /// It has its outcome.
    pub(super) fn end(&mut self, id: JobId) -> Option<Job<S>> {
        let job = self.all.remove(&id)?;
        self.deadlines.remove(&(job.deadline, id));
        if job.is_queued() {
            self.waiting -= 1;
        }
        if self.queue.len() > 2 * self.waiting + QUEUE_SLACK {
            let all = &self.all;
            let waits = |id: &JobId| all.get(id).is_some_and(Job::is_queued);
            self.queue.retain(waits);
        }
        Some(job)
    }

    /// The next deadline.
    pub(super) fn next_deadline(&self) -> Option<Now> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// One whose deadline has passed.
    pub(super) fn overdue(&self, now: Now) -> Option<JobId> {
        self.deadlines
            .first()
            .filter(|(deadline, _)| *deadline <= now)
            .map(|(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{DeviceToken, Draft, Payload, Topic};

    #[test]
    fn jobs_that_end_while_they_wait_leave_the_queue() {
        let token = DeviceToken::from_bytes(&[7; 32]).unwrap();
        let topic = Topic::parse("com.example.app").unwrap();
        let payload = Payload::parse(br#"{"aps":{}}"#).unwrap();
        let notification = Arc::new(Draft::new(token, topic, payload).build().unwrap());
        let order = |deadline| Order {
            notification: Arc::clone(&notification),
            deadline,
            confirm: false,
        };
        let mut jobs = Jobs::<()>::default();
        let first = jobs.add(order(Now::from_nanos(u64::MAX)));
        for _ in 0..10_000 {
            let id = jobs.add(order(Now::ZERO));
            jobs.end(id);
            assert!(jobs.queue.len() <= 2 * jobs.waiting + QUEUE_SLACK);
        }
        let last = jobs.add(order(Now::ZERO));
        assert_eq!(jobs.front().map(|(id, _)| id), Some(first));
        jobs.end(first);
        assert_eq!(jobs.front().map(|(id, _)| id), Some(last));
        jobs.end(last);
        assert!(jobs.front().is_none() && jobs.is_empty());
    }
}
