//! What goes into a lane over HTTP/2, and what comes out of it: [`ProviderLane`].

use core::time::Duration;
use std::collections::VecDeque;

use super::bulletin::{Bulletin, CLOSED};
use super::pool::Pool;
use super::tokens::{Change, Tokens};
use super::turn_state::Turns;
use crate::auth::ProviderToken;
use crate::delivery::action::{Action, News, Status};
use crate::delivery::clock::Clock;
use crate::delivery::ids::{ConnectionId, JobId};
use crate::delivery::policy::backoff::Backoff;
use crate::delivery::policy::breaker::Breaker;
use crate::delivery::policy::device_throttle::DeviceThrottle;
use crate::delivery::policy::jitter::Entropy;
use crate::delivery::provider::connection::ProviderConnection;
use crate::delivery::provider::medium::{Medium, Transport};
use crate::delivery::queue::Queue;
use crate::delivery::submission::{Delivered, QueueFull, Submission};
use crate::http2::{self, ErrorCode, StreamId};
use crate::limits::SERVER_ERROR_RETRY_AFTER;
use crate::notification::ExpiresAt;
use crate::provider::{Outcome, RequestBuffer, ResponseReader, Why};
use crate::time::{Now, UnixTime};

/// Bytes after which [`ProviderLane::poll_transmit`] stops adding requests: one write carries as
/// much as is worth crossing the sandbox wall for.
pub(super) const TRANSMIT_BYTES: usize = 64 * 1024;

/// What a lane is made with.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// The value of `:authority`: host, and port unless it is 443.
    pub authority: String,
    /// Notifications that may wait; [`ProviderLane::submit`] refuses the next. As many more may
    /// wait to be sent again, or for their device; one that finds no room there ends, with the
    /// rejection it has, or as not sent.
    pub queue: usize,
    /// Who has the connections.
    pub transport: Transport,
    /// Most connections that carry something, at least 1. Up to 7 more may be finishing what they
    /// have. Where the platform has them, each stands for 100 requests at once.
    pub connections: usize,
    /// Whether to agree with others through a record who goes first on a connection that the
    /// platform has for all of them: [`Action::TakeTurn`]. For platforms whose client has more
    /// requests on a new connection than the server has allowed.
    pub turns: bool,
    /// The first wait before what was answered by a server's error is sent again; it doubles each
    /// time.
    pub server_error_wait: Duration,
    /// Anything random, for jitter.
    pub seed: u64,
    /// Of its connections.
    pub http2: http2::Config,
}

impl ProviderConfig {
    /// To `authority` over sockets, with a queue of 10,000, 4 connections, and Apple's 15 minutes.
    pub fn new(authority: String, seed: u64) -> Self {
        Self {
            authority,
            queue: 10_000,
            transport: Transport::Sockets,
            connections: 4,
            turns: false,
            server_error_wait: SERVER_ERROR_RETRY_AFTER,
            seed,
            http2: http2::Config::default(),
        }
    }
}

/// A queue and its connections. [`Lane`](crate::delivery::Lane) has the contract.
#[derive(Debug)]
pub struct ProviderLane {
    pub(super) config: ProviderConfig,
    pub(super) clock: Option<Clock>,
    pub(super) tokens: Tokens,
    pub(super) queue: Queue<StreamId>,
    /// Those that wait for a new provider token. Bound: those that are held.
    pub(super) parked: Vec<JobId>,
    /// Oldest first. Bound: see `growth.rs`.
    pub(super) connections: Vec<ProviderConnection>,
    pub(super) next_connection: u32,
    pub(super) pool: Pool,
    pub(super) backoff: Backoff,
    pub(super) breaker: Breaker,
    pub(super) throttle: DeviceThrottle,
    pub(super) entropy: Entropy,
    /// Bounded by the notifications handed in: each adds one at most.
    pub(super) outcomes: VecDeque<(JobId, Delivered)>,
    /// Two per connection at most, plus one; one for each exchange that was given up; and two for
    /// turns.
    pub(super) actions: VecDeque<Action>,
    pub(super) buffer: RequestBuffer,
    pub(super) trouble: Option<String>,
    pub(super) bulletin: Bulletin,
    pub(super) turns: Turns,
    /// When the platform's client last had an answer.
    pub(super) answered_at: Option<Now>,
}

impl ProviderLane {
    /// A lane without connections; the first notification asks for one.
    pub fn new(config: ProviderConfig) -> Self {
        Self {
            entropy: Entropy::new(config.seed),
            config,
            clock: None,
            tokens: Tokens::default(),
            queue: Queue::default(),
            parked: Vec::new(),
            connections: Vec::new(),
            next_connection: 0,
            pool: Pool::default(),
            backoff: Backoff::default(),
            breaker: Breaker::default(),
            throttle: DeviceThrottle::default(),
            outcomes: VecDeque::new(),
            actions: VecDeque::new(),
            buffer: RequestBuffer::new(),
            trouble: None,
            bulletin: Bulletin::default(),
            turns: Turns::default(),
            answered_at: None,
        }
    }

    // ---- getters

    /// Notifications without an outcome yet.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// What last went wrong on the way to the peer, while nothing has gone right since; for people.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// How it is, for metrics and for people.
    pub fn status(&self) -> Status {
        Status {
            connections: self.connections.len(),
            waiting: self.queue.waiting(),
            held: self.queue.held(),
            in_flight: self
                .connections
                .iter()
                .map(|connection| connection.in_flight.len())
                .sum(),
            spaced_devices: self.throttle.len(),
            breaker_open: !self.breaker.is_closed(),
        }
    }

    /// Whether [`ProviderLane::poll_transmit`] has anything to do.
    pub fn wants_transmit(&self, connection: ConnectionId) -> bool {
        let sends = self.queue.waiting() > 0 && self.breaker.admits();
        let with_token = self.tokens.is_some();
        self.connection(connection)
            .filter(|connection| !connection.is_of_platform())
            .is_some_and(|connection| {
                !connection.outbox.is_empty() || (sends && connection.room(with_token) > 0)
            })
    }

    // ---- commands

    /// What the wall clock shows at `now`: for expirations, for dates in `retry-after`, and for the
    /// age of provider tokens. Without it none of them counts.
    pub fn set_clock(&mut self, now: Now, time: UnixTime) {
        self.clock = Some(Clock::new(now, time));
    }

    /// The provider token that requests carry from now on. Also the answer to
    /// [`Action::RenewToken`]: the same one again says that there is no other.
    pub fn set_token(&mut self, now: Now, token: ProviderToken) {
        let change = self.tokens.set(token);
        let parked = core::mem::take(&mut self.parked);
        if change == Change::None {
            parked.into_iter().for_each(|job| self.give_up(now, job));
            return;
        }
        self.backoff.succeeded();
        self.queue.release_these(&parked);
        if change == Change::OtherKey {
            self.retire_all(now);
        }
        self.connect_if_needed(now);
    }

    /// The provider token before the one that was set, where this lane has not seen it: what to
    /// fall back on after `TooManyProviderTokenUpdates`. One that does not fit is dropped.
    pub fn recall_token(&mut self, token: ProviderToken) {
        self.tokens.recall(token);
    }

    /// Takes a message that must have its outcome by `deadline`.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn submit(&mut self, now: Now, submission: Submission) -> Result<JobId, QueueFull> {
        if !self.has_room() {
            return Err(QueueFull);
        }
        let id = self.add(now, submission);
        self.added(now);
        Ok(id)
    }

    /// Whether [`Self::submit`] takes another.
    pub(in crate::delivery) fn has_room(&self) -> bool {
        self.queue.waiting() < self.config.queue
    }

    /// Takes a message where there is room, and leaves the rest to [`Self::added`].
    pub(in crate::delivery) fn add(&mut self, now: Now, submission: Submission) -> JobId {
        let expires = submission.message.expires_at();
        let expires = expires.map(ExpiresAt::as_unix_time);
        let had_expired = expires.is_some_and(|at| self.has_passed(at, now));
        let id = self.queue.add(submission);
        if let Some(job) = self.queue.get_mut(id) {
            job.had_expired = had_expired;
        }
        id
    }

    /// Messages were added.
    pub(in crate::delivery) fn added(&mut self, now: Now) {
        self.breaker.handle_timeout(now);
        self.connect_if_needed(now);
    }

    /// Whether the wall clock is known to show a later time.
    pub(super) fn has_passed(&self, time: UnixTime, now: Now) -> bool {
        self.clock.is_some_and(|clock| clock.time(now) > time)
    }

    // ---- inputs

    /// The transport of `connection` is open and speaks HTTP/2.
    pub fn handle_connected(&mut self, now: Now, id: ConnectionId) {
        let config = self.config.http2.clone();
        if let Some(connection) = self.connection_mut(id) {
            let http2 = http2::Connection::new(config, now, &mut connection.outbox);
            connection.medium = Some(Medium::Http2(Box::new(http2)));
            connection.heard(now);
        }
    }

    /// The transport of `connection` could not be opened; `why` is for people, `entropy` is random.
    pub fn handle_connect_failed(&mut self, now: Now, id: ConnectionId, why: String, entropy: u64) {
        self.connections.retain(|connection| connection.id != id);
        self.bulletin.add(News::ConnectFailed(why.clone()));
        self.trouble = Some(why);
        self.backoff.failed(now, entropy);
        self.connect_if_needed(now);
    }

    /// Bytes arrived on `connection`.
    pub fn handle_input(&mut self, now: Now, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        connection.heard(now);
        let Some((http2, outbox)) = connection.http2_mut() else {
            return;
        };
        let result = http2.handle_input(now, bytes, outbox);
        if let Err(error) = result {
            self.trouble = Some(error.to_string());
        }
        self.settle(now, id);
    }

    /// The transport of `connection` is closed, in whichever way. `entropy` is random.
    pub fn handle_closed(&mut self, now: Now, id: ConnectionId, entropy: u64) {
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        let is_news = !connection.closing && !connection.in_flight.is_empty();
        if let Some((http2, _)) = connection.http2_mut() {
            http2.handle_eof();
        }
        if is_news {
            self.trouble.get_or_insert_with(|| CLOSED.into());
        }
        self.drain_events(now, id);
        self.remove(now, id, entropy);
        self.connect_if_needed(now);
    }

    /// A connection is gone. One that never did any good counts as a failed connect.
    pub(super) fn remove(&mut self, now: Now, id: ConnectionId, entropy: u64) {
        let failed = self
            .connection(id)
            .is_some_and(|connection| !connection.proven);
        let counted = self
            .connection(id)
            .is_some_and(|connection| connection.blamed);
        let was_silent = self
            .connection(id)
            .is_some_and(ProviderConnection::has_answered_nothing);
        let is_mute = self.connection(id).is_some_and(ProviderConnection::is_mute);
        let answers = self
            .connection(id)
            .map_or(0, |connection| connection.answers);
        if answers > 0 {
            self.pool.pace.ended(answers);
        }
        self.connections.retain(|connection| connection.id != id);
        if failed {
            self.trouble.get_or_insert_with(|| CLOSED.into());
        }
        if was_silent {
            self.ended_unanswered(id, is_mute);
        }
        if failed && !counted {
            self.backoff.failed(now, entropy);
        }
    }

    /// A moment given by [`ProviderLane::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(id) = self.queue.overdue(now) {
            self.give_up(now, id);
        }
        self.queue.release(now);
        self.breaker.handle_timeout(now);
        let connections: Vec<ConnectionId> = self
            .connections
            .iter()
            .map(|connection| connection.id)
            .collect();
        for id in connections {
            let Some(connection) = self.connection_mut(id) else {
                continue;
            };
            let result = connection.handle_timeout(now);
            let doubted = connection.is_doubted();
            if let Err(error) = result {
                self.trouble = Some(error.to_string());
            }
            if doubted {
                self.blame(now, id);
            }
            self.settle(now, id);
        }
        self.shrink(now);
        self.connect_if_needed(now);
    }

    // ---- outputs

    /// What the driver is to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// A notification that has come to its end.
    pub fn poll_outcome(&mut self) -> Option<(JobId, Outcome)> {
        let (id, delivered) = self.poll_delivered()?;
        Some((id, delivered.outcome))
    }

    /// The same, with what is to be said of an answer that is missing.
    pub fn poll_delivered(&mut self) -> Option<(JobId, Delivered)> {
        self.outcomes.pop_front()
    }

    /// Appends what is to be written on `connection`: frames of the connection first, then as many
    /// requests as the peer takes, up to 64 KiB at a time.
    pub fn poll_transmit(&mut self, now: Now, id: ConnectionId, out: &mut Vec<u8>) {
        let connection = self
            .connection_mut(id)
            .filter(|connection| !connection.is_of_platform());
        let Some(connection) = connection else { return };
        out.append(&mut connection.outbox);
        let with_token = self.tokens.is_some();
        let has_room = |lane: &Self| {
            let connection = lane.connection(id);
            lane.breaker.admits()
                && connection.is_some_and(|connection| connection.room(with_token) > 0)
        };
        while out.len() < TRANSMIT_BYTES && has_room(self) {
            let Some(job) = self.next_job(now) else { break };
            self.put_on(now, id, job, out);
        }
        self.watch_pool(now);
    }

    /// When [`ProviderLane::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Now> {
        let connections = self
            .connections
            .iter()
            .filter_map(ProviderConnection::poll_timeout);
        let waits = self.queue.waiting() > 0;
        let times = [
            self.queue.next_deadline(),
            self.queue.next_release(),
            self.breaker.until().filter(|_| waits),
            self.connects_at(),
            self.turn_at(),
            self.pool_changes_at(),
        ];
        times.into_iter().flatten().chain(connections).min()
    }

    // ---- inside

    pub(super) fn connection(&self, id: ConnectionId) -> Option<&ProviderConnection> {
        self.connections
            .iter()
            .find(|connection| connection.id == id)
    }

    pub(super) fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut ProviderConnection> {
        self.connections
            .iter_mut()
            .find(|connection| connection.id == id)
    }

    pub(super) fn time(&self, now: Now) -> Option<UnixTime> {
        self.clock.map(|clock| clock.time(now))
    }

    /// The first that waits and may be sent now.
    pub(super) fn next_job(&mut self, now: Now) -> Option<JobId> {
        loop {
            let (id, job) = self.queue.front()?;
            // The timer may be late: whoever drives the lane was held up.
            if job.is_over(now) {
                self.give_up(now, id);
                continue;
            }
            match self.throttle.admit(job.message.recipient(), now) {
                Ok(()) => return Some(id),
                Err(until) => {
                    if !self.hold(id, until) {
                        self.end_unheld(id, until);
                    }
                }
            }
        }
    }

    /// Puts the first that waits on a connection that has room.
    pub(super) fn put_on(&mut self, now: Now, id: ConnectionId, job: JobId, out: &mut Vec<u8>) {
        let time = self.time(now);
        let token = self.tokens.choose(time);
        let used = token.map(ProviderToken::issued_at);
        let sent = self.queue.get(job).and_then(|job_of| {
            let mut known = self.connections.iter_mut();
            let connection = known.find(|connection| connection.id == id)?;
            let message = &job_of.message;
            let stream = connection.send(now, message, &self.config.authority, token, out)?;
            connection.carries(now, stream, (job, ResponseReader::to(message)), used);
            Some(stream)
        });
        match sent {
            Some(stream) => {
                self.queue.sent(job, id, stream);
                self.breaker.sent(job);
            }
            // Room was there, so only the request itself can be at fault, and ours never is by
            // type; should it be, it ends here instead of blocking the queue.
            None => self.end(job, Outcome::unanswered(Why::NotSent)),
        }
    }

    /// After input on a connection: outcomes out, and the connection closed if it is spent.
    pub(super) fn settle(&mut self, now: Now, id: ConnectionId) {
        self.drain_events(now, id);
        self.close_if_spent(now, id);
        self.connect_if_needed(now);
    }

    pub(super) fn close_if_spent(&mut self, now: Now, id: ConnectionId) {
        let connection = self.connection_mut(id);
        let Some(connection) =
            connection.filter(|connection| connection.is_spent() && !connection.closing)
        else {
            return;
        };
        connection.closing = true;
        match connection.http2_mut() {
            Some((http2, outbox)) => {
                http2.close(ErrorCode::NO_ERROR, outbox);
                self.actions.push_back(Action::Close(id));
                // Before another is asked for, and not when it is closed.
                self.blame(now, id);
            }
            // There is nothing to close.
            None => {
                let entropy = self.entropy.next();
                self.remove(now, id, entropy);
            }
        }
    }
}
