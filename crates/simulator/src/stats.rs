//! Turns what happens on the sockets into numbers for `GET /stats`.
//!
//! Limit: the table by status has at most one row per possible status (three digits).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// What has a listener, and TLS, of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// The provider API: pushes and broadcasts.
    Provider,
    /// The management of channels.
    Channels,
    /// The binary gateway.
    Gateway,
    /// The feedback service.
    Feedback,
}

/// Counters since the start; `..._open` go down again.
#[derive(Default)]
pub(crate) struct Counters {
    provider: Connections,
    channels: Connections,
    gateway: Connections,
    feedback: Connections,
    pub(crate) streams_open: AtomicU64,
    pub(crate) streams_refused: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) unanswered: AtomicU64,
    by_status: Mutex<BTreeMap<u16, u64>>,
    /// The 200s of the accept-all server, which takes no lock.
    accepted_all: AtomicU64,
    /// The notifications the gateway accepted, which takes no lock either.
    notifications_accepted: AtomicU64,
    notifications_unanswered: AtomicU64,
    notifications_refused: Mutex<BTreeMap<u8, u64>>,
}

/// The connections of one service.
#[derive(Default)]
pub(crate) struct Connections {
    pub(crate) accepted: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
}

impl Counters {
    pub(crate) fn connections(&self, service: Service) -> &Connections {
        match service {
            Service::Provider => &self.provider,
            Service::Channels => &self.channels,
            Service::Gateway => &self.gateway,
            Service::Feedback => &self.feedback,
        }
    }

    /// Counts an answered request, or one a fault leaves unanswered.
    pub(crate) fn answered(&self, status: Option<u16>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        match status {
            Some(status) => {
                let mut rows = self
                    .by_status
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *rows.entry(status).or_default() += 1;
            }
            None => {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts a 200 of the accept-all server.
    pub(crate) fn accepted(&self) {
        self.accepted_all.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a notification of the gateway by its status (0 is accepted), or one a fault leaves
    /// without.
    pub(crate) fn notified(&self, status: Option<u8>) {
        match status {
            Some(0) => self.notifications_accepted.fetch_add(1, Ordering::Relaxed),
            None => self
                .notifications_unanswered
                .fetch_add(1, Ordering::Relaxed),
            Some(status) => {
                let mut rows = self
                    .notifications_refused
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let row = rows.entry(status).or_default();
                *row += 1;
                *row
            }
        };
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let accepted_all = read(&self.accepted_all);
        let mut responses = self
            .by_status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if accepted_all > 0 {
            *responses.entry(200).or_default() += accepted_all;
        }
        Stats {
            connections_accepted: read(&self.provider.accepted),
            connections_open: read(&self.provider.open),
            connections_refused: read(&self.provider.refused),
            handshakes_failed: read(&self.provider.handshakes_failed),
            streams_open: read(&self.streams_open),
            streams_refused: read(&self.streams_refused),
            requests: read(&self.requests) + accepted_all,
            unanswered: read(&self.unanswered),
            responses,
            channels: self.channels.snapshot(),
            gateway: self.gateway.snapshot(),
            feedback: self.feedback.snapshot(),
            notifications: self.notifications(),
            notifications_unanswered: read(&self.notifications_unanswered),
            journal_dropped: 0,
            provider_tokens: BTreeMap::new(),
        }
    }

    fn notifications(&self) -> BTreeMap<u8, u64> {
        let mut by_status = self
            .notifications_refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let accepted = self.notifications_accepted.load(Ordering::Relaxed);
        if accepted > 0 {
            by_status.insert(0, accepted);
        }
        by_status
    }
}

impl Connections {
    fn snapshot(&self) -> ConnectionStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ConnectionStats {
            accepted: read(&self.accepted),
            open: read(&self.open),
            refused: read(&self.refused),
            handshakes_failed: read(&self.handshakes_failed),
        }
    }
}

/// A counter that is one higher while this lives.
pub(crate) struct Open<'a>(&'a AtomicU64);

impl<'a> Open<'a> {
    pub(crate) fn new(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a simulator has counted since it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// TCP connections taken by the provider API, those refused by a fault not included.
    pub connections_accepted: u64,
    /// Of them, still open.
    pub connections_open: u64,
    /// Closed at once: by a fault, or because too many were open.
    pub connections_refused: u64,
    /// TLS handshakes that failed, among them those that offer only protocols other than `h2`.
    pub handshakes_failed: u64,
    /// Requests being worked on, delayed or left without an answer.
    pub streams_open: u64,
    /// Requests reset with REFUSED_STREAM because more streams were open than SETTINGS allow.
    pub streams_refused: u64,
    /// Requests that got an answer or were deliberately left without one.
    pub requests: u64,
    /// Of them, those left without one.
    pub unanswered: u64,
    /// Answers by status.
    pub responses: BTreeMap<u16, u64>,
    /// Connections to the management of channels. Its requests count above, with those of the
    /// provider API.
    pub channels: ConnectionStats,
    /// Connections to the binary gateway.
    pub gateway: ConnectionStats,
    /// Connections to the feedback service.
    pub feedback: ConnectionStats,
    /// Notifications to the binary gateway by status; those under 0 were accepted.
    pub notifications: BTreeMap<u8, u64>,
    /// Notifications to the binary gateway that a fault deliberately left without a status.
    pub notifications_unanswered: u64,
    /// Records that made way for newer ones in the journal.
    pub journal_dropped: u64,
    /// Different provider tokens that were taken, by key id.
    pub provider_tokens: BTreeMap<String, u64>,
}

/// The connections of one service since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// TCP connections taken, those refused by a fault not included.
    pub accepted: u64,
    /// Of them, still open.
    pub open: u64,
    /// Closed at once: by a fault, or because too many were open.
    pub refused: u64,
    /// TLS handshakes that failed; without a client certificate of the authority, for one.
    pub handshakes_failed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_status() {
        let counters = Counters::default();
        counters.answered(Some(200));
        counters.answered(Some(410));
        counters.answered(None);
        counters.accepted();
        let stats = counters.snapshot();
        assert_eq!(stats.responses, BTreeMap::from([(200, 2), (410, 1)]));
        assert_eq!((stats.requests, stats.unanswered), (4, 1));
    }

    #[test]
    fn notifications_are_counted_by_their_own_statuses() {
        let counters = Counters::default();
        for status in [Some(0), Some(8), Some(8), None] {
            counters.notified(status);
        }
        let stats = counters.snapshot();
        assert_eq!(stats.notifications, BTreeMap::from([(0, 1), (8, 2)]));
        assert_eq!((stats.notifications_unanswered, stats.requests), (1, 0));
    }

    #[test]
    fn an_open_counter_goes_down_again() {
        let counters = Counters::default();
        let open = Open::new(&counters.streams_open);
        assert_eq!(counters.snapshot().streams_open, 1);
        drop(open);
        assert_eq!(counters.snapshot().streams_open, 0);
    }
}
