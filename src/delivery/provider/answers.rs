//! What an answer means: for its notification, for its connection, and for the lane.
//!
//! ```text
//!   event ─► connection.take ─► End ─┬─ not processed ──────────► to the head of the queue
//!                                    ├─ accepted, unanswered ───► outcome
//!                                    └─ rejected ─► treatment (the table of reasons)
//!                                         connection: proven, or replaced
//!                                         service:    the breaker counts
//!                                         retry:      outcome, at once, held, or parked
//! ```

use super::growth::LEAST_ALLOWANCE;
use super::tokens::Expired;
use crate::delivery::action::{Action, News};
use crate::delivery::ids::{ConnectionId, JobId};
use crate::delivery::policy::retry::{self, Attempt, MAX_ATTEMPTS};
use crate::delivery::provider::connection::{Farewell, InFlight, ProviderConnection};
use crate::delivery::provider::lane::ProviderLane;
use crate::delivery::queue::Returned;
use crate::http2::{ErrorCode, Event, Processed};
use crate::provider::{ConnectionAction, Outcome, Reason, Retry, Service, Treatment, Why};
use crate::time::{Now, UnixTime};

/// What to do next with a notification that was refused.
enum Next {
    /// It has its outcome.
    End,
    /// Again, on whatever connection has room.
    AtOnce,
    /// Again, not before then.
    Hold(Now),
    /// Again, once there is another provider token.
    Park,
}

impl ProviderLane {
    pub(super) fn drain_events(&mut self, now: Now, id: ConnectionId) {
        // What is to be sent again, with the outcome it has if it must not be.
        let mut again = Vec::new();
        while let Some(event) = self.next_event(id) {
            if let Event::GoAway {
                last_stream,
                code,
                debug,
            } = &event
            {
                if let Some(connection) = self.connection_mut(id) {
                    let (code, last) = (*code, *last_stream);
                    connection.farewell = Some(Farewell { code, last });
                }
                self.heard_goodbye(now, id, debug);
            }
            let end = self
                .connection_mut(id)
                .and_then(|connection| connection.take(event));
            again.extend(end.and_then(|end| self.conclude(now, id, end)));
        }
        self.send_again(again);
    }

    fn next_event(&mut self, id: ConnectionId) -> Option<Event> {
        self.connection_mut(id)?.http2_mut()?.0.poll_event()
    }

    /// A request has come to its end. Gives back what is to be sent again, with the outcome it has
    /// if it must not be.
    pub(super) fn conclude(
        &mut self,
        now: Now,
        id: ConnectionId,
        End { job, token, how }: End,
    ) -> Option<(JobId, Outcome)> {
        match how {
            Ended::Unsent => {
                self.breaker.returned(job);
                if let Some(job) = self.queue.get_mut(job) {
                    job.attempts = job.attempts.saturating_sub(1);
                }
                Some((job, Outcome::unanswered(Why::NotSent)))
            }
            Ended::Unprocessed(how) => {
                self.breaker.returned(job);
                self.came_back(now, (id, job), how);
                Some((job, Outcome::unanswered(how.why())))
            }
            Ended::With(outcome) => {
                let refusal = self.answered(now, id, (job, token), outcome)?;
                Some((job, refusal))
            }
        }
    }

    /// The peer has certainly not acted on it, which is no attempt of it: it goes again until its
    /// deadline. How soon is a matter of what the peer has answered since.
    fn came_back(&mut self, now: Now, (id, job): (ConnectionId, JobId), how: Returned) {
        let (clock, entropy) = (self.clock, self.entropy.next());
        if let Some(job) = self.queue.get_mut(job) {
            job.came_back(how);
            let expires_at = job.message.expires_at().filter(|_| job.expires.is_none());
            let expires = clock.zip(expires_at);
            let expires = expires.map(|(clock, at)| clock.now(at.as_unix_time()));
            // One that had expired when it was handed in is sent all the same: APNs then tries
            // once.
            job.expires = job.expires.or(expires.filter(|at| *at > now));
        }
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        match how {
            Returned::Refused => {
                connection.refused(now, entropy);
                if connection.only_refuses() {
                    connection.proven = false;
                    self.pool.allowance = connection.allowance;
                    self.retire(now, id);
                }
            }
            Returned::GoneAway(_) | Returned::CutShort | Returned::ByPlatform => {
                let told = connection.farewell.map(|farewell| farewell.requests());
                let taken = told.unwrap_or(connection.answers);
                self.pool.allowance = taken.max(LEAST_ALLOWANCE);
            }
        }
    }

    /// A GOAWAY may say that the credential is refused, with a code that says nothing.
    fn heard_goodbye(&mut self, now: Now, id: ConnectionId, debug: &[u8]) {
        let reason = Reason::from_json(debug);
        let status = reason.usual_status().unwrap_or_default();
        if reason.treatment(status).connection == ConnectionAction::Close {
            self.trouble = Some(format!("APNs closed the connection: {reason}"));
            self.bulletin.add(News::CredentialRefused(reason));
            self.refuse(now, id);
        }
    }

    /// A notification has been answered, or certainly will not be. Gives the refusal back if it is
    /// to be sent again at once; everything else is done here.
    fn answered(
        &mut self,
        now: Now,
        id: ConnectionId,
        (job, token): (JobId, Option<UnixTime>),
        outcome: Outcome,
    ) -> Option<Outcome> {
        match (&outcome, outcome.treatment()) {
            (Outcome::Rejected { retry_after, .. }, Some(treatment)) => {
                let attempt = Attempt {
                    count: self.queue.get(job).map_or(u8::MAX, |job| job.attempts),
                    asked: retry_after.and_then(|wait| wait.wait(self.time(now))),
                    entropy: self.entropy.next(),
                };
                self.judge(now, (id, job), treatment, attempt, &outcome);
                let next = self.next(now, (job, token), treatment.retry, attempt);
                return self.carry_out(job, &next, outcome);
            }
            (Outcome::Accepted { .. }, _) => self.taken(id, job),
            _ => self.breaker.lost(now, job, self.entropy.next()),
        }
        self.end(job, outcome);
        None
    }

    /// APNs accepted it.
    fn taken(&mut self, id: ConnectionId, job: JobId) {
        if self.throttle.len() > 0
            && let Some(known) = self.queue.get(job)
        {
            self.throttle.accepted(known.message.recipient());
        }
        self.breaker.worked(job);
        self.works(id);
    }

    fn works(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connection_mut(id) {
            connection.proven = true;
        }
        self.backoff.succeeded();
        if self.breaker.is_closed() {
            self.trouble = None;
        }
    }

    /// What a rejection means for the connection and for the lane.
    fn judge(
        &mut self,
        now: Now,
        (id, job): (ConnectionId, JobId),
        treatment: Treatment,
        attempt: Attempt,
        outcome: &Outcome,
    ) {
        match treatment.service {
            Service::Works => self.breaker.worked(job),
            Service::Fails => {
                let Attempt { asked, entropy, .. } = attempt;
                self.breaker.failed(now, job, asked, entropy);
            }
        }
        match treatment.connection {
            ConnectionAction::Keep => self.works(id),
            ConnectionAction::Replace => self.retire(now, id),
            ConnectionAction::Close => self.refuse(now, id),
        }
        if treatment.connection != ConnectionAction::Keep || treatment.service == Service::Fails {
            self.trouble = Some(format!("APNs answers {outcome}"));
        }
    }

    /// Nothing new goes on the connection. One that never did any good counts as a failed connect,
    /// so that a peer that always says the same is not asked over and over.
    pub(super) fn retire(&mut self, now: Now, id: ConnectionId) {
        if let Some(connection) = self.connection_mut(id) {
            connection.retired = true;
        }
        self.blame(now, id);
    }

    /// Counts a connection that never did any good as a failed connect, once.
    pub(super) fn blame(&mut self, now: Now, id: ConnectionId) {
        let entropy = self.entropy.next();
        if let Some(connection) = self.connection_mut(id)
            && !connection.proven
            && !connection.blamed
        {
            connection.blamed = true;
            self.backoff.failed(now, entropy);
        }
    }

    /// The same for a connection whose credential is refused, and for all others of the lane, as
    /// Apple asks (*Establishing a token-based connection to APNs*, on revoked keys): they would be
    /// refused one after the other. The next one, too, so it is asked for less and less often.
    fn refuse(&mut self, now: Now, id: ConnectionId) {
        if let Some(connection) = self.connection_mut(id) {
            connection.proven = false;
        }
        self.retire_all(now);
    }

    /// Nothing new goes on any connection; those with nothing left to be answered are closed.
    pub(super) fn retire_all(&mut self, now: Now) {
        let connections: Vec<ConnectionId> = self
            .connections
            .iter()
            .map(|connection| connection.id)
            .collect();
        for id in connections {
            self.retire(now, id);
            self.close_if_spent(now, id);
        }
    }

    fn next(
        &mut self,
        now: Now,
        (id, token): (JobId, Option<UnixTime>),
        retry: Retry,
        attempt: Attempt,
    ) -> Next {
        let time = self.time(now);
        let Some(job) = self.queue.get_mut(id) else {
            return Next::End;
        };
        let next = match retry {
            Retry::Never | Retry::OtherEnvironment => Next::End,
            Retry::NewConnection => Next::AtOnce,
            Retry::NewProviderToken if core::mem::replace(&mut job.renewed, true) => Next::End,
            Retry::NewProviderToken => match self.tokens.expired(token) {
                Expired::Replaced => Next::AtOnce,
                Expired::Asked => Next::Park,
                Expired::Hopeless => Next::End,
                Expired::Ask(issued_at) => {
                    self.actions.push_back(Action::RenewToken(issued_at));
                    Next::Park
                }
            },
            Retry::OldProviderToken if self.tokens.step_back(token, time) => Next::AtOnce,
            Retry::OldProviderToken => Next::Hold(now + retry::after_token_update(attempt)),
            Retry::DevicePause => {
                let recipient = job.message.recipient();
                let Attempt { asked, entropy, .. } = attempt;
                Next::Hold(self.throttle.refused(recipient, now, asked, entropy))
            }
            Retry::Backoff => {
                let first = self.config.server_error_wait;
                Next::Hold(now + retry::after_server_error(first, attempt))
            }
        };
        if attempt.count >= MAX_ATTEMPTS || self.is_expired(id, &next) {
            return Next::End;
        }
        next
    }

    /// Whether a notification would have expired by then.
    fn is_expired(&self, id: JobId, next: &Next) -> bool {
        let (Next::Hold(until), Some(clock), Some(job)) = (next, self.clock, self.queue.get(id))
        else {
            return false;
        };
        let expires = job.message.expires_at().filter(|_| !job.had_expired);
        expires.is_some_and(|at| clock.now(at.as_unix_time()) <= *until)
    }

    /// Does what is to be done next; gives the refusal back if that is to send it again at once.
    fn carry_out(&mut self, id: JobId, next: &Next, refusal: Outcome) -> Option<Outcome> {
        let holds = match next {
            Next::AtOnce => return Some(refusal),
            Next::End => false,
            Next::Hold(until) => self.hold(id, *until),
            Next::Park => self.park(id),
        };
        match self.queue.get_mut(id).filter(|_| holds) {
            Some(job) => job.refusal = Some(Box::new(refusal)),
            None => self.end(id, refusal),
        }
        None
    }

    /// Holds it until a token is set, or it is overdue.
    fn park(&mut self, id: JobId) -> bool {
        let Some(deadline) = self.queue.get(id).map(|job| job.deadline) else {
            return false;
        };
        if self.queue.held() >= self.config.queue {
            return false;
        }
        if self.parked.len() >= self.config.queue {
            let jobs = &self.queue;
            self.parked.retain(|id| jobs.get(*id).is_some());
        }
        self.queue.hold(id, deadline);
        self.parked.push(id);
        true
    }

    fn send_again(&mut self, again: Vec<(JobId, Outcome)>) {
        let mut ids = Vec::new();
        for (id, outcome) in again {
            if self.may_be_sent_again(id, outcome) {
                ids.push(id);
            }
        }
        self.queue.put_back(&ids);
    }

    /// Whether it may be put on a connection once more; if not, this is its outcome.
    pub(super) fn may_be_sent_again(&mut self, id: JobId, outcome: Outcome) -> bool {
        match self.queue.get_mut(id) {
            Some(job) if job.attempts < MAX_ATTEMPTS => {
                if matches!(outcome, Outcome::Rejected { .. }) {
                    job.refusal = Some(Box::new(outcome));
                }
                true
            }
            _ => {
                self.end(id, outcome);
                false
            }
        }
    }
}

/// How a stream ended.
pub(super) struct End {
    pub(super) job: JobId,
    /// When the provider token was issued that it carried.
    pub(super) token: Option<UnixTime>,
    pub(super) how: Ended,
}

pub(super) enum Ended {
    With(Outcome),
    /// It was on no connection.
    Unsent,
    /// The peer has not acted on it.
    Unprocessed(Returned),
}

impl ProviderConnection {
    /// Takes an event in; a stream's last one gives its notification's end.
    fn take(&mut self, event: Event) -> Option<End> {
        let last = event.ends();
        let ended = match event {
            Event::Response {
                stream,
                status,
                headers,
                ..
            } => {
                self.answered();
                let InFlight { answer, .. } = self.in_flight.get_mut(stream.rank())?;
                answer.status(status);
                headers
                    .iter()
                    .for_each(|(name, value)| answer.header(name, value));
                None
            }
            Event::Data { stream, bytes, .. } => {
                self.in_flight.get_mut(stream.rank())?.answer.body(&bytes);
                None
            }
            Event::Reset {
                code, processed, ..
            } => Some(reset(code, processed)),
            Event::Unprocessed { .. } => {
                let code = self.farewell.map(|farewell| farewell.code);
                let code = code.unwrap_or(ErrorCode::NO_ERROR);
                Some(Ended::Unprocessed(Returned::GoneAway(code)))
            }
            Event::Lost {
                request_complete: false,
                ..
            } => Some(Ended::Unprocessed(Returned::CutShort)),
            Event::Lost { .. } => Some(Ended::With(Outcome::unanswered(Why::ConnectionLost))),
            Event::Malformed { .. } => Some(Ended::With(Outcome::unanswered(Why::Unreadable))),
            _ => None,
        };
        let InFlight { job, token, answer } = self.in_flight.remove(last?.rank())?;
        let how = ended.unwrap_or_else(|| Ended::With(answer.finish()));
        Some(End { job, token, how })
    }
}

fn reset(code: ErrorCode, processed: Processed) -> Ended {
    match processed {
        Processed::No => Ended::Unprocessed(Returned::Refused),
        Processed::Maybe => Ended::With(Outcome::unanswered(Why::StreamReset(code.value()))),
    }
}
