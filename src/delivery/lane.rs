//! The way from one credential to one environment.
//!
//! ```text
//!            ┌─ queue ◄─────────────── held: until their device may get one, until 15 minutes
//!            ▼                          ▲    after a server's error, until there is a new token
//!   pool of connections ── refused, may be sent again ──┘
//!            │  └──────── not processed ─► queue
//!            ▼
//!         outcome
//! ```
//!
//! | part | |
//! |---|---|
//! | `answers.rs` | what an answer means for notification, connection and lane |
//! | `pool.rs` | how many connections |
//! | `pace.rs` | how quickly they follow each other |
//! | `tokens.rs` | which provider token |
//! | `request.rs` | a request handed to HTTP/2 |
//! | `exchanges.rs` | a request handed to the platform, and what came of it |
//! | `news.rs` | what the operator would want to hear of |
//! | `turns.rs` | when one may be, where others share the connection |
//! | `endings.rs` | what ends without an answer, and what is said of it |
//!
//! All connections of a lane are one credential's: never two teams or certificates on one connection.
//! The lane of a key is given a provider token before anything else, and the newer ones later. That of
//! a certificate is never given one, its connections prove who we are: its requests have no
//! `authorization`, a new connection takes as many as the peer's SETTINGS say, and a refusal that
//! speaks of provider tokens asks for none.

mod answers;
mod endings;
mod exchanges;
mod news;
mod pace;
mod pool;
mod request;
mod tokens;
mod turns;

use core::time::Duration;
use std::collections::VecDeque;

use self::news::Bulletin;
use self::pool::Pool;
use self::tokens::{Change, Tokens};
use self::turns::Turns;
use super::backoff::Backoff;
use super::breaker::Breaker;
use super::carrier::{Carrier, Transport};
use super::clock::Clock;
use super::entropy::Entropy;
use super::jobs::{JobId, Jobs};
use super::link::{Link, LinkId};
use super::spacing::Spacing;
use super::way::{Action, Delivered, News, Order, QueueFull, Status};
use crate::auth::ProviderToken;
use crate::http2::{self, ErrorCode, StreamId};
use crate::limits::SERVER_ERROR_RETRY_AFTER;
use crate::notification::ExpiresAt;
use crate::provider::{Message, Outcome, RequestBuffer, ResponseReader, Why};
use crate::time::{Now, UnixTime};

/// Bytes after which [`Lane::poll_transmit`] stops adding requests: one write carries as much as is
/// worth crossing the sandbox wall for.
const TRANSMIT_BYTES: usize = 64 * 1024;

/// What a lane is made with.
#[derive(Clone, Debug)]
pub struct LaneConfig {
    /// The value of `:authority`: host, and port unless it is 443.
    pub authority: String,
    /// Notifications that may wait; [`Lane::submit`] refuses the next. As many more may wait to be
    /// sent again, or for their device; one that finds no room there ends, with the rejection it
    /// has, or as not sent.
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

impl LaneConfig {
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

/// A queue and its connections. [`Way`](super::Way) has the contract.
#[derive(Debug)]
pub struct Lane {
    config: LaneConfig,
    clock: Option<Clock>,
    tokens: Tokens,
    jobs: Jobs<StreamId>,
    /// Those that wait for a new provider token. Bound: those that are held.
    parked: Vec<JobId>,
    /// Oldest first. Bound: see `pool.rs`.
    links: Vec<Link>,
    next_link: u32,
    pool: Pool,
    backoff: Backoff,
    breaker: Breaker,
    spacing: Spacing,
    entropy: Entropy,
    /// Bounded by the notifications handed in: each adds one at most.
    outcomes: VecDeque<(JobId, Delivered)>,
    /// Two per link at most, plus one; one for each exchange that was given up; and two for turns.
    actions: VecDeque<Action>,
    buffer: RequestBuffer,
    trouble: Option<String>,
    bulletin: Bulletin,
    turns: Turns,
    /// When the platform's client last had an answer.
    answered_at: Option<Now>,
}

impl Lane {
    /// A lane without connections; the first notification asks for one.
    pub fn new(config: LaneConfig) -> Self {
        Self {
            entropy: Entropy::new(config.seed),
            config,
            clock: None,
            tokens: Tokens::default(),
            jobs: Jobs::default(),
            parked: Vec::new(),
            links: Vec::new(),
            next_link: 0,
            pool: Pool::default(),
            backoff: Backoff::default(),
            breaker: Breaker::default(),
            spacing: Spacing::default(),
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
        self.jobs.is_empty()
    }

    /// What last went wrong on the way to the peer, while nothing has gone right since; for people.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// How it is, for metrics and for people.
    pub fn status(&self) -> Status {
        Status {
            connections: self.links.len(),
            waiting: self.jobs.waiting(),
            held: self.jobs.held(),
            in_flight: self.links.iter().map(|link| link.in_flight.len()).sum(),
            spaced_devices: self.spacing.len(),
            breaker_open: !self.breaker.is_closed(),
        }
    }

    /// Whether [`Lane::poll_transmit`] has anything to do.
    pub fn wants_transmit(&self, link: LinkId) -> bool {
        let sends = self.jobs.waiting() > 0 && self.breaker.admits();
        let with_token = self.tokens.is_some();
        self.link(link)
            .filter(|link| !link.is_of_platform())
            .is_some_and(|link| !link.outbox.is_empty() || (sends && link.room(with_token) > 0))
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
        self.jobs.release_these(&parked);
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
    pub fn submit(
        &mut self,
        now: Now,
        message: impl Into<Message>,
        deadline: Now,
    ) -> Result<JobId, QueueFull> {
        if self.jobs.waiting() >= self.config.queue {
            return Err(QueueFull);
        }
        let message = message.into();
        let expires = message.expires_at().map(ExpiresAt::as_unix_time);
        let had_expired = expires.is_some_and(|at| self.has_passed(at, now));
        let id = self.jobs.add(Order {
            message,
            deadline,
            confirm: true,
        });
        if let Some(job) = self.jobs.get_mut(id) {
            job.had_expired = had_expired;
        }
        self.breaker.handle_timeout(now);
        self.connect_if_needed(now);
        Ok(id)
    }

    /// Whether the wall clock is known to show a later time.
    fn has_passed(&self, time: UnixTime, now: Now) -> bool {
        self.clock.is_some_and(|clock| clock.time(now) > time)
    }

    // ---- inputs

    /// The transport of `link` is open and speaks HTTP/2.
    pub fn handle_connected(&mut self, now: Now, id: LinkId) {
        let config = self.config.http2.clone();
        if let Some(link) = self.link_mut(id) {
            let http2 = http2::Connection::new(config, now, &mut link.outbox);
            link.carrier = Some(Carrier::Http2(Box::new(http2)));
            link.heard(now);
        }
    }

    /// The transport of `link` could not be opened; `why` is for people, `entropy` is random.
    pub fn handle_connect_failed(&mut self, now: Now, id: LinkId, why: String, entropy: u64) {
        self.links.retain(|link| link.id != id);
        self.bulletin.add(News::ConnectFailed(why.clone()));
        self.trouble = Some(why);
        self.backoff.failed(now, entropy);
        self.connect_if_needed(now);
    }

    /// Bytes arrived on `link`.
    pub fn handle_input(&mut self, now: Now, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        link.heard(now);
        let Some((http2, outbox)) = link.http2_mut() else {
            return;
        };
        let result = http2.handle_input(now, bytes, outbox);
        if let Err(error) = result {
            self.trouble = Some(error.to_string());
        }
        self.settle(now, id);
    }

    /// The transport of `link` is closed, in whichever way. `entropy` is random.
    pub fn handle_closed(&mut self, now: Now, id: LinkId, entropy: u64) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        let is_news = !link.closing && !link.in_flight.is_empty();
        if let Some((http2, _)) = link.http2_mut() {
            http2.handle_eof();
        }
        if is_news {
            self.trouble.get_or_insert_with(|| news::CLOSED.into());
        }
        self.drain_events(now, id);
        self.remove(now, id, entropy);
        self.connect_if_needed(now);
    }

    /// A link is gone. One that never did any good counts as a failed connect.
    fn remove(&mut self, now: Now, id: LinkId, entropy: u64) {
        let failed = self.link(id).is_some_and(|link| !link.proven);
        let counted = self.link(id).is_some_and(|link| link.blamed);
        let was_silent = self.link(id).is_some_and(Link::has_answered_nothing);
        let is_mute = self.link(id).is_some_and(Link::is_mute);
        let answers = self.link(id).map_or(0, |link| link.answers);
        if answers > 0 {
            self.pool.pace.ended(answers);
        }
        self.links.retain(|link| link.id != id);
        if failed {
            self.trouble.get_or_insert_with(|| news::CLOSED.into());
        }
        if was_silent {
            self.ended_unanswered(id, is_mute);
        }
        if failed && !counted {
            self.backoff.failed(now, entropy);
        }
    }

    /// A moment given by [`Lane::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(id) = self.jobs.overdue(now) {
            self.give_up(now, id);
        }
        self.jobs.release(now);
        self.breaker.handle_timeout(now);
        let links: Vec<LinkId> = self.links.iter().map(|link| link.id).collect();
        for id in links {
            let Some(link) = self.link_mut(id) else {
                continue;
            };
            let result = link.handle_timeout(now);
            let doubted = link.is_doubted();
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

    /// Appends what is to be written on `link`: frames of the connection first, then as many
    /// requests as the peer takes, up to 64 KiB at a time.
    pub fn poll_transmit(&mut self, now: Now, id: LinkId, out: &mut Vec<u8>) {
        let link = self.link_mut(id).filter(|link| !link.is_of_platform());
        let Some(link) = link else { return };
        out.append(&mut link.outbox);
        let with_token = self.tokens.is_some();
        let has_room = |lane: &Self| {
            let link = lane.link(id);
            lane.breaker.admits() && link.is_some_and(|link| link.room(with_token) > 0)
        };
        while out.len() < TRANSMIT_BYTES && has_room(self) {
            let Some(job) = self.next_job(now) else { break };
            self.put_on(now, id, job, out);
        }
        self.watch_pool(now);
    }

    /// When [`Lane::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Now> {
        let links = self.links.iter().filter_map(Link::poll_timeout);
        let waits = self.jobs.waiting() > 0;
        let times = [
            self.jobs.next_deadline(),
            self.jobs.next_release(),
            self.breaker.until().filter(|_| waits),
            self.connects_at(),
            self.turn_at(),
            self.pool_changes_at(),
        ];
        times.into_iter().flatten().chain(links).min()
    }

    // ---- inside

    fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.iter().find(|link| link.id == id)
    }

    fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.id == id)
    }

    fn time(&self, now: Now) -> Option<UnixTime> {
        self.clock.map(|clock| clock.time(now))
    }

    /// The first that waits and may be sent now.
    fn next_job(&mut self, now: Now) -> Option<JobId> {
        loop {
            let (id, job) = self.jobs.front()?;
            // The timer may be late: whoever drives the lane was held up.
            if job.is_over(now) {
                self.give_up(now, id);
                continue;
            }
            match self.spacing.admit(job.message.recipient(), now) {
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
    fn put_on(&mut self, now: Now, id: LinkId, job: JobId, out: &mut Vec<u8>) {
        let time = self.time(now);
        let token = self.tokens.choose(time);
        let used = token.map(ProviderToken::issued_at);
        let message = self.jobs.get(job).map(|job| job.message.clone());
        let link = self.links.iter_mut().find(|link| link.id == id);
        let sent = message.zip(link).and_then(|(message, link)| {
            let authority = &self.config.authority;
            let request = self.buffer.fill_message(&message, authority, token);
            let (http2, _) = link.http2_mut()?;
            let stream = request::send(http2, now, &request, out).ok()?;
            link.carries(now, stream, (job, ResponseReader::to(&message)), used);
            Some(stream)
        });
        match sent {
            Some(stream) => {
                self.jobs.sent(job, id, stream);
                self.breaker.sent(job);
            }
            // Room was there, so only the request itself can be at fault, and ours never is by
            // type; should it be, it ends here instead of blocking the queue.
            None => self.end(job, Outcome::unanswered(Why::NotSent)),
        }
    }

    /// After input on a link: outcomes out, and the link closed if it is spent.
    fn settle(&mut self, now: Now, id: LinkId) {
        self.drain_events(now, id);
        self.close_if_spent(now, id);
        self.connect_if_needed(now);
    }

    fn close_if_spent(&mut self, now: Now, id: LinkId) {
        let link = self.link_mut(id);
        let Some(link) = link.filter(|link| link.is_spent() && !link.closing) else {
            return;
        };
        link.closing = true;
        match link.http2_mut() {
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

#[cfg(test)]
pub(super) mod tests;
