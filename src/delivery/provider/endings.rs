//! How a notification leaves the queue without an answer: held for later, or with its outcome.

use crate::delivery::action::Action;
use crate::delivery::ids::{ConnectionId, ExchangeId, JobId};
use crate::delivery::provider::lane::ProviderLane;
use crate::delivery::queue::Place;
use crate::delivery::submission::Delivered;
use crate::http2::{ErrorCode, StreamId};
use crate::provider::{Outcome, Why};
use crate::time::Now;

impl ProviderLane {
    /// Its device is left alone until then, and it cannot wait: there is no time, or no place.
    pub(super) fn end_unheld(&mut self, id: JobId, until: Now) {
        if let Some(job) = self.queue.end(id) {
            let is_paused = job.attempts == 0 && job.deadline <= until;
            let story = job.story();
            let outcome = match is_paused {
                true => Outcome::unanswered(Why::Paused),
                false => job.overdue(),
            };
            self.tell(id, outcome, story);
        }
    }

    /// Sends it not before `until`; `false` if that is too late for it, or too many are held.
    pub(super) fn hold(&mut self, id: JobId, until: Now) -> bool {
        let deadline = self.queue.get(id).map(|job| job.deadline);
        let holds = self.queue.held() < self.config.queue
            && deadline.is_some_and(|deadline| until < deadline);
        if holds {
            self.queue.hold(id, until);
        }
        holds
    }

    pub(super) fn end(&mut self, job: JobId, outcome: Outcome) {
        if let Some(known) = self.queue.end(job) {
            self.breaker.returned(job);
            self.tell(job, outcome, known.story());
        }
    }

    /// Gives an outcome out. Of an answer that is missing goes with it what happened last: to the
    /// notification, if it came back and was not sent again, and to the lane.
    fn tell(&mut self, id: JobId, outcome: Outcome, story: Option<String>) {
        let trouble = match outcome {
            Outcome::Unanswered { may_resend, .. } => {
                let parts = [story.filter(|_| may_resend), self.trouble.clone()];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                (!parts.is_empty()).then(|| parts.join("; "))
            }
            Outcome::Accepted { .. } | Outcome::Rejected { .. } => None,
        };
        self.outcomes
            .push_back((id, Delivered { outcome, trouble }));
    }

    /// It cannot be waited for any longer.
    pub(super) fn give_up(&mut self, now: Now, id: JobId) {
        let Some(job) = self.queue.end(id) else {
            return;
        };
        if let Place::InFlight { connection, slot } = job.place {
            self.forget(connection, slot);
            self.breaker.lost(now, id, self.entropy.next());
        }
        let story = job.story();
        self.tell(id, job.overdue(), story);
    }

    fn forget(&mut self, connection: ConnectionId, stream: StreamId) {
        let another_answers = self.others_answer(connection);
        let Some(known) = self.connection_mut(connection) else {
            return;
        };
        known.give_up(stream);
        // Whoever came next would hang there, too.
        known.retired |= !known.proven && another_answers;
        match known.http2_mut() {
            Some((http2, outbox)) => http2.reset(stream, ErrorCode::CANCEL, outbox),
            None => {
                let id = ExchangeId {
                    connection,
                    slot: stream,
                };
                self.actions.push_back(Action::Abandon(id));
                self.turn_given_up(id);
            }
        }
    }
}
