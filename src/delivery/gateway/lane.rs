//! What goes into a lane to the gateway, and what comes out of it: [`GatewayLane`].

use std::collections::VecDeque;

use super::connection::{Due, GatewayConnection, Phase, Surroundings};
use super::probe_pace::Pace;
use crate::binary::{
    Cause, Dialect, ErrorResponse, ErrorResponses, Frame, Identifier, Unsendable, Verdict,
};
use crate::delivery::action::{Action, News, Status};
use crate::delivery::ids::{ConnectionId, JobId};
use crate::delivery::policy::backoff::Backoff;
use crate::delivery::queue::Queue;
use crate::delivery::submission::{Delivered, QueueFull, Submission};
use crate::notification::Notification;
use crate::provider::{Outcome, Why};
use crate::time::Now;

/// Connections at once: the one in use and those whose last word is due. At the bound no new one is
/// opened until one is gone.
pub(super) const MAX_CONNECTIONS: usize = 4;

/// Bytes after which [`GatewayLane::poll_transmit`] stops adding notifications: one write carries
/// as much as is worth crossing the sandbox wall for.
const TRANSMIT_BYTES: usize = 64 * 1024;

/// What a lane is made with.
#[derive(Clone, Copy, Debug)]
pub struct GatewayConfig {
    /// What the gateway takes.
    pub dialect: Dialect,
    /// Notifications that may wait; the next is refused. Those that are sent again can be more, by
    /// four windows at most.
    pub queue: usize,
    /// Notifications on a connection without an end, 1 to 65,536: what a connection that closes
    /// without a word leaves unanswered. At the bound a probe ends the flow; if nobody asks for
    /// confirmation, the next one waits until the oldest has ended.
    pub window: usize,
}

impl GatewayConfig {
    /// Whether a notification can be sent. To be asked before [`GatewayLane::submit`], of all that
    /// are to be sent together: one that cannot ends there as not sent, while the others are.
    ///
    /// # Errors
    /// [`Unsendable`].
    pub fn check(&self, notification: &Notification) -> Result<(), Unsendable> {
        Frame::new(notification).check(self.dialect)
    }
}

/// A queue and its connections. [`Lane`](crate::delivery::Lane) has the contract.
#[derive(Debug)]
pub struct GatewayLane {
    config: GatewayConfig,
    queue: Queue<()>,
    /// Since when the queue has not been empty; of no meaning while it is.
    waiting_since: Now,
    pub(super) connections: Vec<GatewayConnection>,
    next_connection: u32,
    pub(super) next_identifier: Identifier,
    backoff: Backoff,
    pace: Pace,
    /// Something was learnt from the gateway, and no connection has failed since.
    proven: bool,
    /// Bounded by the notifications handed in: each adds one at most.
    outcomes: VecDeque<(JobId, Outcome)>,
    /// Two per connection at most.
    actions: VecDeque<Action>,
    trouble: Option<String>,
    /// At most [`News::MAX`], of which the oldest is dropped.
    news: VecDeque<News>,
    /// A connection came to nothing, and none has been worth it since.
    failing: bool,
}

impl GatewayLane {
    /// A lane without connections; the first notification asks for one.
    pub fn new(config: GatewayConfig) -> Self {
        Self {
            config,
            queue: Queue::default(),
            waiting_since: Now::ZERO,
            connections: Vec::new(),
            next_connection: 0,
            next_identifier: Identifier::FIRST,
            backoff: Backoff::default(),
            pace: Pace::default(),
            proven: false,
            outcomes: VecDeque::new(),
            actions: VecDeque::new(),
            trouble: None,
            news: VecDeque::new(),
            failing: false,
        }
    }

    /// How it is, for metrics and for people: its connections, and what waits. The rest is of
    /// HTTP/2.
    pub fn status(&self) -> Status {
        Status {
            connections: self.connections.len(),
            waiting: self.queue.waiting(),
            ..Status::default()
        }
    }

    /// Whether every notification has its outcome.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes a notification in; anything else ends as not sent.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn submit(&mut self, now: Now, submission: Submission) -> Result<JobId, QueueFull> {
        if !self.has_room() {
            return Err(QueueFull);
        }
        self.begins_to_wait(now);
        let id = self.queue.add(submission);
        self.connect_if_needed(now);
        Ok(id)
    }

    /// Whether [`Self::submit`] takes another.
    pub(in crate::delivery) fn has_room(&self) -> bool {
        self.queue.waiting() < self.config.queue
    }

    /// The transport of a connection is open.
    pub fn handle_connected(&mut self, now: Now, id: ConnectionId) {
        let held = !self.proven;
        if let Some(connection) = self.connection_mut(id) {
            connection.connected(now, held);
        }
    }

    /// The transport of a connection could not be opened; `why` is for people, `entropy` is random.
    pub fn handle_connect_failed(&mut self, now: Now, id: ConnectionId, why: String, entropy: u64) {
        self.connections.retain(|connection| connection.id != id);
        self.trouble = Some(why);
        self.failed(now, entropy);
        self.connect_if_needed(now);
    }

    /// Bytes arrived on a connection.
    pub fn handle_input(&mut self, now: Now, id: ConnectionId, mut bytes: &[u8]) {
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        if bytes.is_empty() || matches!(connection.phase, Phase::Opening | Phase::Closing) {
            return;
        }
        match connection.decoder.decode(&mut bytes) {
            // What is written from here on is dropped.
            Ok(None) => connection.awaits_last_word(now),
            Ok(Some(response)) => self.answered(now, id, response),
            Err(fault) => self.give_up(id, Why::Unreadable, fault.to_string()),
        }
        self.connect_if_needed(now);
    }

    /// The transport of a connection is closed, in whichever way. `entropy` is random.
    pub fn handle_closed(&mut self, now: Now, id: ConnectionId, entropy: u64) {
        let Some(index) = self
            .connections
            .iter()
            .position(|connection| connection.id == id)
        else {
            return;
        };
        let mut connection = self.connections.remove(index);
        let mut trouble = None;
        if connection.phase != Phase::Closing {
            let jobs = connection.window.close().unanswered;
            let (why, text) = how_it_closed(connection.decoder, connection.written);
            let lost = self.end_all(jobs, why);
            trouble = (lost || !connection.proven).then_some(text);
        }
        self.trouble = trouble.or_else(|| self.trouble.take());
        if !connection.proven {
            self.failed(now, entropy);
        }
        self.connect_if_needed(now);
    }

    /// A moment given by [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(id) = self.queue.overdue(now) {
            if let Some(job) = self.queue.end(id) {
                let outcome = Outcome::unanswered(job.why_overdue());
                self.outcomes.push_back((id, outcome));
            }
        }
        let connections: Vec<ConnectionId> = self
            .connections
            .iter()
            .map(|connection| connection.id)
            .collect();
        for id in connections {
            while let Some(due) = self.due_now(now, id) {
                self.act(now, id, due);
            }
        }
        self.connect_if_needed(now);
    }

    /// A notification that has come to its end.
    pub fn poll_outcome(&mut self) -> Option<(JobId, Outcome)> {
        self.outcomes.pop_front()
    }

    /// The same, with what is to be said of an answer that is missing.
    pub fn poll_delivered(&mut self) -> Option<(JobId, Delivered)> {
        let (id, outcome) = self.poll_outcome()?;
        let is_unanswered = matches!(outcome, Outcome::Unanswered { .. });
        let trouble = self.trouble().filter(|_| is_unanswered).map(str::to_owned);
        Some((id, Delivered { outcome, trouble }))
    }

    /// What the driver is to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Appends what is to be written on a connection, about 64 KiB at a time.
    pub fn poll_transmit(&mut self, now: Now, id: ConnectionId, out: &mut Vec<u8>) {
        let Self {
            connections,
            queue,
            config,
            outcomes,
            ..
        } = self;
        let Some(connection) = connections
            .iter_mut()
            .find(|connection| connection.id == id)
        else {
            return;
        };
        let first = connection.window.next_identifier();
        connection.polled(now);
        while out.len() < TRANSMIT_BYTES && connection.has_room(queue) {
            let Some((job, next)) = queue.front() else {
                break;
            };
            if connection.write(now, config.dialect, (job, next), out) {
                queue.sent(job, id, ());
            } else {
                // The caller has not checked it; it ends here instead of blocking the queue.
                queue.end(job);
                outcomes.push_back((job, Outcome::unanswered(Why::NotSent)));
            }
        }
        if connection.phase == Phase::Open
            && connection.asked_since.is_some()
            && connection.is_full(queue)
        {
            connection.probe(now, config.dialect);
            self.pace.spend(now);
        }
        out.append(&mut connection.outbox);
        let next = connection.window.next_identifier();
        if next != first {
            self.next_identifier = next;
        }
        // A probe leaves those that still wait without a connection.
        self.connect_if_needed(now);
    }

    /// Whether [`Self::poll_transmit`] has anything to do for a connection.
    pub fn wants_transmit(&self, id: ConnectionId) -> bool {
        let waiting = self.queue.waiting() > 0;
        self.connection(id).is_some_and(|connection| {
            !connection.outbox.is_empty() || (waiting && connection.has_room(&self.queue))
        })
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Now> {
        let connections = self
            .connections
            .iter()
            .filter_map(|connection| self.due(connection));
        let reconnect = self.backoff.until().filter(|_| self.lacks_connection());
        self.queue
            .next_deadline()
            .into_iter()
            .chain(connections.map(|(at, _)| at))
            .chain(reconnect)
            .min()
    }

    /// What last went wrong on the way to the gateway, while nothing has gone right since; for
    /// people.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What the operator would want to hear of.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }
}

impl GatewayLane {
    fn connection(&self, id: ConnectionId) -> Option<&GatewayConnection> {
        self.connections
            .iter()
            .find(|connection| connection.id == id)
    }

    fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut GatewayConnection> {
        self.connections
            .iter_mut()
            .find(|connection| connection.id == id)
    }

    // ---- connections

    /// Whether something waits and nothing would carry it. A connection that came to nothing counts
    /// until it is gone, which is when the wait for the next begins.
    fn lacks_connection(&self) -> bool {
        let stands_in =
            |connection: &GatewayConnection| connection.is_usable() || connection.is_failing();
        self.queue.waiting() > 0
            && self.connections.len() < MAX_CONNECTIONS
            && !self.connections.iter().any(stands_in)
    }

    fn connect_if_needed(&mut self, now: Now) {
        if self.lacks_connection() && self.backoff.is_over(now) {
            let id = ConnectionId(self.next_connection);
            self.next_connection = self.next_connection.wrapping_add(1);
            let connection =
                GatewayConnection::opening(id, self.next_identifier, self.config.window);
            self.connections.push(connection);
            self.actions.push_back(Action::Connect(id));
        }
    }

    /// A connection came to nothing.
    fn failed(&mut self, now: Now, entropy: u64) {
        self.proven = false;
        self.failing = true;
        self.backoff.failed(now, entropy);
        let why = self.trouble.clone();
        self.tell(News::ConnectFailed(why.unwrap_or_default()));
    }

    fn tell(&mut self, news: News) {
        if self.news.len() >= News::MAX {
            self.news.pop_front();
        }
        self.news.push_back(news);
    }

    /// A connection was worth it.
    fn prove(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connection_mut(id) {
            connection.proven = true;
        }
        self.proven = true;
        self.backoff.succeeded();
        self.trouble = None;
        if core::mem::take(&mut self.failing) {
            self.tell(News::Connected);
        }
    }

    /// This side closes; what was written and not answered has to be settled already.
    fn close(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connection_mut(id) {
            connection.phase = Phase::Closing;
            connection.outbox.clear();
            self.actions.push_back(Action::Close(id));
        }
    }

    /// This side closes a connection of which nothing more can be learnt.
    fn give_up(&mut self, id: ConnectionId, why: Why, trouble: String) {
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        connection.proven = false;
        let jobs = connection.window.close().unanswered;
        self.trouble = Some(trouble);
        self.end_all(jobs, why);
        self.close(id);
    }

    // ---- time

    fn due(&self, connection: &GatewayConnection) -> Option<(Now, Due)> {
        connection.due(Surroundings {
            waiting_since: (self.queue.waiting() > 0).then_some(self.waiting_since),
            has_room: connection.has_room(&self.queue),
            probe_from: self.pace.ready_at(),
        })
    }

    fn due_now(&self, now: Now, id: ConnectionId) -> Option<Due> {
        let (at, due) = self.due(self.connection(id)?)?;
        (at <= now).then_some(due)
    }

    /// Does what is due. Each makes sure that the same is not due again.
    fn act(&mut self, now: Now, id: ConnectionId, due: Due) {
        let dialect = self.config.dialect;
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        match due {
            Due::Release => connection.phase = Phase::Open,
            Due::Probe => {
                connection.probe(now, dialect);
                self.next_identifier = connection.window.next_identifier();
                self.pace.spend(now);
            }
            Due::NoObjection => {
                let job = connection.pop_unasked();
                self.prove(id);
                self.end_all(job.into_iter().collect(), Why::Unconfirmed);
            }
            Due::Silent => {
                let text = "the gateway neither refused the last notification nor closed";
                self.give_up(id, Why::TimedOut, text.into());
            }
            Due::Stalled => {
                let text = "the gateway stopped reading";
                self.give_up(id, Why::TimedOut, text.into());
            }
            Due::Idle => {
                connection.proven = true;
                self.close(id);
            }
        }
    }

    // ---- notifications

    /// Notifications are about to wait.
    fn begins_to_wait(&mut self, now: Now) {
        if self.queue.waiting() == 0 {
            self.waiting_since = now;
        }
    }

    /// An error response is there: nothing else comes on this connection.
    fn answered(&mut self, now: Now, id: ConnectionId, response: ErrorResponse) {
        let has_identifiers = self.config.dialect.has_identifiers();
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        let ErrorResponse { status, identifier } = response;
        let identifier = if has_identifiers { identifier } else { 0 };
        let verdict = connection.window.handle_error(status, identifier);
        match verdict.cause {
            Cause::Named { .. } => self.prove(id),
            Cause::Unlocated { .. } | Cause::Closed => {
                connection.proven = false;
                let text = format!("the gateway answered \"{status}\" without saying to what");
                self.trouble = Some(text);
            }
        }
        self.settle(now, verdict);
        self.close(id);
    }

    /// Every job of a connection comes to its end, or back to the head of the queue. Those that
    /// have had their outcome are passed over.
    fn settle(&mut self, now: Now, mut verdict: Verdict<JobId>) {
        let again = core::mem::take(&mut verdict.resend);
        self.begins_to_wait(now);
        self.queue.put_back(&again);
        for (job, outcome) in verdict.into_outcomes() {
            self.end(job, outcome);
        }
    }

    /// Says whether one of them had no outcome yet.
    fn end_all(&mut self, jobs: Vec<JobId>, why: Why) -> bool {
        let ended = jobs
            .into_iter()
            .filter(|job| self.end(*job, Outcome::unanswered(why)));
        ended.count() > 0
    }

    fn end(&mut self, job: JobId, outcome: Outcome) -> bool {
        let known = self.queue.end(job).is_some();
        if known {
            self.outcomes.push_back((job, outcome));
        }
        known
    }
}

/// What a close without an answer says.
fn how_it_closed(decoder: ErrorResponses, written: bool) -> (Why, String) {
    match decoder.finish() {
        Err(fault) => (Why::Unreadable, fault.to_string()),
        Ok(()) if written => {
            let text = "the gateway closed the connection without a word";
            (Why::ConnectionLost, text.into())
        }
        Ok(()) => {
            let text = "the gateway closed the connection before anything was sent: is the \
                        certificate one of this environment?";
            (Why::ConnectionLost, text.into())
        }
    }
}
