//! The way through the legacy binary gateway: [`GatewayLane`].
//!
//! Source: Apple's archived *Local and Remote Notification Programming Guide*, appendix *Binary
//! Provider API*. The gateway says nothing of what it takes. It answers the first notification it
//! dislikes, drops what follows, and closes; so certainty is made by a probe, a notification that
//! has to be refused:
//!
//! ```text
//!   to the gateway    1  2  3  4  probe ┆ to the next connection   4  5  6  probe
//!   from it                    3 is bad ┆                          the probe is bad
//!                     1, 2 accepted, 3 rejected, 4 dropped: sent again
//! ```
//!
//! | what happens | what becomes of it |
//! |---|---|
//! | quiet for 50 ms, or the oldest is a second old, or the window is full | a probe ends the flow; what comes meanwhile goes on another connection |
//! | nobody asked for confirmation | `Unconfirmed` a second after it was written; the connection stays |
//! | an error response names a notification or the probe | accepted before it, rejected, sent again after it |
//! | it names one that has been forgotten | all that are remembered came after it: sent again |
//! | it names 0 or what was not sent, cannot be read, or the connection closes | `Unanswered`, never sent again |
//! | the probe stays unanswered for 10 s | `Unanswered`, the connection is closed |
//!
//! Invariants, beside those of [the module](super):
//! - only what an error response proves to have been dropped is sent again;
//! - each error response that sends something again has ended something else, or names what was
//!   written on the same connection and had ended, so that the number of connections is bounded by
//!   that of notifications, bad ones, failures and probes: failures wait longer each time, probes
//!   are paced;
//! - identifiers count across connections, from 1.
//!
//! Command 0 has no identifiers: nothing can be confirmed, and no answer says anything.

mod link;
mod pace;

use std::collections::VecDeque;

use self::link::{Due, Link, Phase, Surroundings};
use self::pace::Pace;
use super::backoff::Backoff;
use super::jobs::{JobId, Jobs};
use super::link::LinkId;
use super::way::{Action, News, Order, QueueFull, Way};
use crate::binary::{
    Cause, Dialect, ErrorResponse, ErrorResponses, Frame, Identifier, Unsendable, Verdict,
};
use crate::notification::Notification;
use crate::provider::{Outcome, Why};
use crate::time::Now;

/// Connections at once: the one in use and those whose last word is due. At the bound no new one is
/// opened until one is gone.
const MAX_LINKS: usize = 4;

/// Bytes after which [`Way::poll_transmit`] stops adding notifications: one write carries as much
/// as is worth crossing the sandbox wall for.
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
    /// Whether a notification can be sent. To be asked before [`Way::submit`], of all that are to
    /// be sent together: one that cannot ends there as not sent, while the others are.
    ///
    /// # Errors
    /// [`Unsendable`].
    pub fn check(&self, notification: &Notification) -> Result<(), Unsendable> {
        Frame::new(notification).check(self.dialect)
    }
}

/// A queue and its connections. [`Way`] has the contract.
#[derive(Debug)]
pub struct GatewayLane {
    config: GatewayConfig,
    jobs: Jobs<()>,
    /// Since when the queue has not been empty; of no meaning while it is.
    waiting_since: Now,
    links: Vec<Link>,
    next_link: u32,
    next_identifier: Identifier,
    backoff: Backoff,
    pace: Pace,
    /// Something was learnt from the gateway, and no connection has failed since.
    proven: bool,
    /// Bounded by the notifications handed in: each adds one at most.
    outcomes: VecDeque<(JobId, Outcome)>,
    /// Two per link at most.
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
            jobs: Jobs::default(),
            waiting_since: Now::ZERO,
            links: Vec::new(),
            next_link: 0,
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

    /// Whether every notification has its outcome.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl Way for GatewayLane {
    fn submit(&mut self, now: Now, order: Order) -> Result<JobId, QueueFull> {
        if self.jobs.waiting() >= self.config.queue {
            return Err(QueueFull);
        }
        self.begins_to_wait(now);
        let id = self.jobs.add(order);
        self.connect_if_needed(now);
        Ok(id)
    }

    fn handle_connected(&mut self, now: Now, id: LinkId) {
        let held = !self.proven;
        if let Some(link) = self.link_mut(id) {
            link.connected(now, held);
        }
    }

    fn handle_connect_failed(&mut self, now: Now, id: LinkId, why: String, entropy: u64) {
        self.links.retain(|link| link.id != id);
        self.trouble = Some(why);
        self.failed(now, entropy);
        self.connect_if_needed(now);
    }

    fn handle_input(&mut self, now: Now, id: LinkId, mut bytes: &[u8]) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        if bytes.is_empty() || matches!(link.phase, Phase::Opening | Phase::Closing) {
            return;
        }
        match link.decoder.decode(&mut bytes) {
            // What is written from here on is dropped.
            Ok(None) => link.awaits_last_word(now),
            Ok(Some(response)) => self.answered(now, id, response),
            Err(fault) => self.give_up(id, Why::Unreadable, fault.to_string()),
        }
        self.connect_if_needed(now);
    }

    fn handle_closed(&mut self, now: Now, id: LinkId, entropy: u64) {
        let Some(index) = self.links.iter().position(|link| link.id == id) else {
            return;
        };
        let mut link = self.links.remove(index);
        let mut trouble = None;
        if link.phase != Phase::Closing {
            let jobs = link.window.close().unanswered;
            let (why, text) = how_it_closed(link.decoder, link.written);
            let lost = self.end_all(jobs, why);
            trouble = (lost || !link.proven).then_some(text);
        }
        self.trouble = trouble.or_else(|| self.trouble.take());
        if !link.proven {
            self.failed(now, entropy);
        }
        self.connect_if_needed(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        while let Some(id) = self.jobs.overdue(now) {
            if let Some(job) = self.jobs.end(id) {
                let outcome = Outcome::unanswered(job.why_overdue());
                self.outcomes.push_back((id, outcome));
            }
        }
        let links: Vec<LinkId> = self.links.iter().map(|link| link.id).collect();
        for id in links {
            while let Some(due) = self.due_now(now, id) {
                self.act(now, id, due);
            }
        }
        self.connect_if_needed(now);
    }

    fn poll_outcome(&mut self) -> Option<(JobId, Outcome)> {
        self.outcomes.pop_front()
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn poll_transmit(&mut self, now: Now, id: LinkId, out: &mut Vec<u8>) {
        let Self {
            links,
            jobs,
            config,
            outcomes,
            ..
        } = self;
        let Some(link) = links.iter_mut().find(|link| link.id == id) else {
            return;
        };
        let first = link.window.next_identifier();
        link.polled(now);
        while out.len() < TRANSMIT_BYTES && link.has_room(jobs) {
            let Some((job, next)) = jobs.front() else {
                break;
            };
            if link.write(now, config.dialect, (job, next), out) {
                jobs.sent(job, id, ());
            } else {
                // The caller has not checked it; it ends here instead of blocking the queue.
                jobs.end(job);
                outcomes.push_back((job, Outcome::unanswered(Why::NotSent)));
            }
        }
        if link.phase == Phase::Open && link.asked_since.is_some() && link.is_full(jobs) {
            link.probe(now, config.dialect);
            self.pace.spend(now);
        }
        out.append(&mut link.outbox);
        let next = link.window.next_identifier();
        if next != first {
            self.next_identifier = next;
        }
        // A probe leaves those that still wait without a connection.
        self.connect_if_needed(now);
    }

    fn wants_transmit(&self, id: LinkId) -> bool {
        let waiting = self.jobs.waiting() > 0;
        self.link(id)
            .is_some_and(|link| !link.outbox.is_empty() || (waiting && link.has_room(&self.jobs)))
    }

    fn poll_timeout(&self) -> Option<Now> {
        let links = self.links.iter().filter_map(|link| self.due(link));
        let reconnect = self.backoff.until().filter(|_| self.lacks_link());
        self.jobs
            .next_deadline()
            .into_iter()
            .chain(links.map(|(at, _)| at))
            .chain(reconnect)
            .min()
    }

    fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }
}

impl GatewayLane {
    fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.iter().find(|link| link.id == id)
    }

    fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.id == id)
    }

    // ---- connections

    /// Whether something waits and nothing would carry it. A connection that came to nothing counts
    /// until it is gone, which is when the wait for the next begins.
    fn lacks_link(&self) -> bool {
        let stands_in = |link: &Link| link.is_usable() || link.is_failing();
        self.jobs.waiting() > 0 && self.links.len() < MAX_LINKS && !self.links.iter().any(stands_in)
    }

    fn connect_if_needed(&mut self, now: Now) {
        if self.lacks_link() && self.backoff.is_over(now) {
            let id = LinkId(self.next_link);
            self.next_link = self.next_link.wrapping_add(1);
            let link = Link::opening(id, self.next_identifier, self.config.window);
            self.links.push(link);
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
    fn prove(&mut self, id: LinkId) {
        if let Some(link) = self.link_mut(id) {
            link.proven = true;
        }
        self.proven = true;
        self.backoff.succeeded();
        self.trouble = None;
        if core::mem::take(&mut self.failing) {
            self.tell(News::Connected);
        }
    }

    /// This side closes; what was written and not answered has to be settled already.
    fn close(&mut self, id: LinkId) {
        if let Some(link) = self.link_mut(id) {
            link.phase = Phase::Closing;
            link.outbox.clear();
            self.actions.push_back(Action::Close(id));
        }
    }

    /// This side closes a connection of which nothing more can be learnt.
    fn give_up(&mut self, id: LinkId, why: Why, trouble: String) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        link.proven = false;
        let jobs = link.window.close().unanswered;
        self.trouble = Some(trouble);
        self.end_all(jobs, why);
        self.close(id);
    }

    // ---- time

    fn due(&self, link: &Link) -> Option<(Now, Due)> {
        link.due(Surroundings {
            waiting_since: (self.jobs.waiting() > 0).then_some(self.waiting_since),
            has_room: link.has_room(&self.jobs),
            probe_from: self.pace.ready_at(),
        })
    }

    fn due_now(&self, now: Now, id: LinkId) -> Option<Due> {
        let (at, due) = self.due(self.link(id)?)?;
        (at <= now).then_some(due)
    }

    /// Does what is due. Each makes sure that the same is not due again.
    fn act(&mut self, now: Now, id: LinkId, due: Due) {
        let dialect = self.config.dialect;
        let Some(link) = self.link_mut(id) else {
            return;
        };
        match due {
            Due::Release => link.phase = Phase::Open,
            Due::Probe => {
                link.probe(now, dialect);
                self.next_identifier = link.window.next_identifier();
                self.pace.spend(now);
            }
            Due::NoObjection => {
                let job = link.pop_unasked();
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
                link.proven = true;
                self.close(id);
            }
        }
    }

    // ---- jobs

    /// Notifications are about to wait.
    fn begins_to_wait(&mut self, now: Now) {
        if self.jobs.waiting() == 0 {
            self.waiting_since = now;
        }
    }

    /// An error response is there: nothing else comes on this connection.
    fn answered(&mut self, now: Now, id: LinkId, response: ErrorResponse) {
        let has_identifiers = self.config.dialect.has_identifiers();
        let Some(link) = self.link_mut(id) else {
            return;
        };
        let ErrorResponse { status, identifier } = response;
        let identifier = if has_identifiers { identifier } else { 0 };
        let verdict = link.window.handle_error(status, identifier);
        match verdict.cause {
            Cause::Named { .. } => self.prove(id),
            Cause::Unlocated { .. } | Cause::Closed => {
                link.proven = false;
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
        self.jobs.put_back(&again);
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
        let known = self.jobs.end(job).is_some();
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

#[cfg(test)]
pub(super) mod tests;
