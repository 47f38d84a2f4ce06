//! How many connections a lane has.
//!
//! Source: Apple, *Sending notification requests to APNs*: many connections rather than bursts over
//! few, kept for hours to days; *Troubleshooting push notifications*: opening and closing them
//! again and again looks like an attack.
//!
//! ```text
//!   nothing waits                             none is opened
//!   something waits, none is usable           one, when the back-off is over
//!   all are full for 100 ms, something waits  one more, up to the maximum, if nothing is failing
//!   something has waited for 2 s behind a     the same: a request that hangs must not hold up all
//!   connection's first request                the others; who hung is replaced by who answers
//!   all but the newest would have been        the newest gets nothing new, and is closed when its
//!   twice enough for 10 minutes               last answer is there; the last one stays
//! ```
//!
//! Each of these also waits for its turn (`pace.rs`), which it has at once where connections last.
//!
//! One at a time: another is opened only when the last one has had its first answer, or keeps its
//! first request though the peer is there.
//!
//! Where the platform has the connections, one connection stands for all of them, and none is
//! opened or closed; a connection that is to be replaced is followed by another after the same
//! waits, which carries one request until that is answered.

use core::time::Duration;

use crate::delivery::action::Action;
use crate::delivery::ids::ConnectionId;
use crate::delivery::provider::connection::ProviderConnection;
use crate::delivery::provider::lane::ProviderLane;
use crate::delivery::provider::medium::{EXCHANGES_PER_CONNECTION, Transport};
use crate::time::Now;

/// How long all connections are full before another is opened.
const GROW_AFTER: Duration = Duration::from_millis(100);

/// How long one keeps its first request, and what waits behind it, before another is opened.
/// Answers take milliseconds.
const HELD_UP_AFTER: Duration = Duration::from_secs(2);

/// How long the others would have been enough before one is closed.
const SHRINK_AFTER: Duration = Duration::from_secs(10 * 60);

/// Connections that get nothing new and wait for their last answers, beside the usable ones. At the
/// bound no new one is opened until one is gone.
pub(super) const MAX_DRAINING: usize = 7;

/// Requests at once that a connection gets in any case after one that gave some back. It is
/// recommended that servers allow no fewer (RFC 9113, section 6.5.2).
pub(super) const LEAST_ALLOWANCE: usize = 100;

impl ProviderLane {
    /// Whether something waits and nothing would carry it.
    pub(super) fn lacks_connection(&self) -> bool {
        self.may_open() && self.usable().next().is_none()
    }

    pub(super) fn connect_if_needed(&mut self, now: Now) {
        self.ask_the_idle(now);
        self.watch_pool(now);
        let due = |at: Option<Now>| at.is_some_and(|at| at <= now);
        if due(self.connects_at()) || due(self.grows_at()) {
            let (id, allowance) = (ConnectionId(self.next_connection), self.pool.allowance);
            self.next_connection = self.next_connection.wrapping_add(1);
            match self.config.transport {
                Transport::Sockets => {
                    self.connections
                        .push(ProviderConnection::opening(id, now, allowance));
                    self.actions.push_back(Action::Connect(id));
                    self.pool.pace.opened(now, self.entropy.next());
                }
                Transport::Platform => {
                    let limit = self.config.connections.max(1) * EXCHANGES_PER_CONNECTION;
                    let connection = ProviderConnection::of_platform(id, now, allowance, limit);
                    self.connections.push(connection);
                }
            }
            self.watch_pool(now);
        }
        self.seek_turn(now);
    }

    /// When a connection is opened because something waits and none would carry it.
    pub(super) fn connects_at(&self) -> Option<Now> {
        let paced = self.pool.pace.ready_at();
        let at = self.backoff.until().map_or(paced, |until| until.max(paced));
        self.lacks_connection().then_some(at)
    }

    /// Most connections that may carry something.
    fn most_usable(&self) -> usize {
        match self.config.transport {
            Transport::Sockets => self.config.connections.max(1),
            Transport::Platform => 1,
        }
    }

    /// Something waits: whoever has been idle for long is asked first whether it is still there.
    fn ask_the_idle(&mut self, now: Now) {
        if self.queue.waiting() > 0 && self.breaker.admits() {
            let usable = self
                .connections
                .iter_mut()
                .filter(|connection| connection.is_usable());
            usable.for_each(|connection| connection.ask_if_idle(now));
        }
    }

    /// Closes the newest connection if the others have been enough for long.
    pub(super) fn shrink(&mut self, now: Now) {
        self.watch_pool(now);
        if self.shrinks_at().is_none_or(|at| at > now) {
            return;
        }
        self.pool.slack_since = Some(now);
        let newest = self.usable().last().map(|connection| connection.id);
        if let Some(id) = newest {
            if let Some(connection) = self.connection_mut(id) {
                connection.retired = true;
            }
            self.settle(now, id);
        }
    }

    /// Notes whether there are too few connections, or too many.
    pub(super) fn watch_pool(&mut self, now: Now) {
        let full_since = self.is_full().then_some(self.pool.full_since);
        let slack_since = self.has_slack().then_some(self.pool.slack_since);
        self.pool.full_since = full_since.map(|since| since.unwrap_or(now));
        self.pool.slack_since = slack_since.map(|since| since.unwrap_or(now));
    }

    /// When the number of connections changes, if nothing else happens.
    pub(super) fn pool_changes_at(&self) -> Option<Now> {
        self.grows_at().into_iter().chain(self.shrinks_at()).min()
    }

    fn grows_at(&self) -> Option<Now> {
        let may_grow = self.may_open()
            && self.backoff.is_calm()
            && self.breaker.is_closed()
            && self.usable().count() < self.most_usable();
        let since = self.pool.full_since.filter(|_| may_grow);
        let patience = match self.usable().all(|connection| connection.proven) {
            true => GROW_AFTER,
            false => HELD_UP_AFTER,
        };
        since.map(|since| (since + patience).max(self.pool.pace.ready_at()))
    }

    fn shrinks_at(&self) -> Option<Now> {
        self.pool.slack_since.map(|since| since + SHRINK_AFTER)
    }

    fn usable(&self) -> impl Iterator<Item = &ProviderConnection> {
        self.connections
            .iter()
            .filter(|connection| connection.is_usable())
    }

    /// Whether there is a better connection than this one: usable, and it has answered something.
    pub(super) fn others_answer(&self, id: ConnectionId) -> bool {
        self.usable()
            .any(|connection| connection.id != id && connection.proven)
    }

    /// Whether a connection may be opened at all.
    fn may_open(&self) -> bool {
        self.queue.waiting() > 0
            && self.breaker.admits()
            && self.connections.len() < self.most_usable() + MAX_DRAINING
    }

    /// Something waits, and none of the usable connections has room, each of which has proven
    /// itself or keeps its first request. One that is being asked whether it is there may have.
    fn is_full(&self) -> bool {
        let with_token = self.tokens.is_some();
        let is_full = |connection: &ProviderConnection| {
            let is_busy = connection.proven || connection.keeps_its_first();
            is_busy && !connection.is_probing() && connection.room(with_token) == 0
        };
        self.queue.waiting() > 0 && self.usable().next().is_some() && self.usable().all(is_full)
    }

    /// Nothing waits, and all but the newest have room for twice of what is in flight.
    fn has_slack(&self) -> bool {
        let count = self.usable().count();
        if count < 2 || self.queue.waiting() > 0 {
            return false;
        }
        let others = self.usable().take(count - 1);
        let room: usize = others.map(ProviderConnection::capacity).sum();
        let in_flight: usize = self
            .usable()
            .map(|connection| connection.in_flight.len())
            .sum();
        in_flight.saturating_mul(2) <= room
    }
}
