//! One connection to the binary gateway: what was written on it, and when something is to be done.
//!
//! ```text
//!            connected               100 ms              probe, or an answer begins
//!   Opening ───────────► Held(until) ───────► Open ─────────────────► Ending(until) ──┐ answer,
//!      └─ the lane has been proven ───────────► │                                     │ 10 s
//!                                               └─ idle, stalled ─► Closing ◄─────────┘
//! ```
//!
//! A connection ends in `Closing` if this side closes it; the peer may close it anywhere.

use core::time::Duration;
use std::collections::VecDeque;

use crate::binary::{Dialect, ErrorResponses, Frame, Identifier, Window, encode_probe};
use crate::delivery::ids::{ConnectionId, JobId};
use crate::delivery::queue::{Job, Queue};
use crate::time::Now;

/// How long the first connection of a lane, and the first after a failure, is watched before
/// anything is written. A gateway that dislikes the certificate lets the handshake pass and closes
/// then (in TLS 1.3 a client is done before the server has looked); what is written before that is
/// lost, and nobody can tell. node-apn waits as long.
const HOLD: Duration = Duration::from_millis(100);

/// Quiet before a probe, so that notifications handed in together share one.
const LINGER: Duration = Duration::from_millis(50);

/// How long the oldest notification waits for a probe while others keep coming.
const OLDEST: Duration = Duration::from_secs(1);

/// How long the gateway has for objecting to what nobody asked it to confirm.
const OBJECTION: Duration = Duration::from_secs(1);

/// How long it may take over refusing a probe, the rest of an answer, or reading anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// After which an unused connection is closed. Nothing can ask whether the peer is still there, and
/// what is written to one that is gone is lost.
const IDLE: Duration = Duration::from_secs(600);

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Opening,
    Held(Now),
    Open,
    /// Nothing more is written; the gateway's last word is due.
    Ending(Now),
    /// The driver has been told to close it.
    Closing,
}

/// What is to be done for a connection when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It has stayed open: notifications may be written.
    Release,
    /// It is quiet, or the oldest notification has waited long enough: a probe.
    Probe,
    /// The oldest unasked notification has met no objection.
    NoObjection,
    /// The gateway's last word has not come.
    Silent,
    /// Nothing could be written.
    Stalled,
    /// Nothing has been written for long.
    Idle,
}

/// What a connection cannot see from where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// Since when notifications have been waiting, if any are.
    pub(super) waiting_since: Option<Now>,
    /// Whether one of them would find room.
    pub(super) has_room: bool,
    /// When the next probe may be sent.
    pub(super) probe_from: Now,
}

/// One connection.
#[derive(Debug)]
pub(super) struct GatewayConnection {
    pub(super) id: ConnectionId,
    pub(super) phase: Phase,
    /// What was written, in order. The jobs that have ended keep their places, so that an answer
    /// still tells what came before and after; they are forgotten from the front at the bound.
    pub(super) window: Window<JobId>,
    pub(super) decoder: ErrorResponses,
    /// A probe that has not been written.
    pub(super) outbox: Vec<u8>,
    /// Something was learnt on it: it was worth connecting.
    pub(super) proven: bool,
    /// A notification was written.
    pub(super) written: bool,
    /// When the first notification that is to be confirmed was written.
    pub(super) asked_since: Option<Now>,
    /// Those that are not, with the time of writing. A part of the window.
    pub(super) unasked: VecDeque<(Now, JobId)>,
    /// When it was opened, or last written to.
    last_used: Now,
    /// When the driver last asked for bytes.
    last_polled: Now,
}

impl GatewayConnection {
    pub(super) fn opening(id: ConnectionId, first: Identifier, window: usize) -> Self {
        Self {
            id,
            phase: Phase::Opening,
            window: Window::starting_at(first, window),
            decoder: ErrorResponses::new(),
            outbox: Vec::new(),
            proven: false,
            written: false,
            asked_since: None,
            unasked: VecDeque::new(),
            last_used: Now::ZERO,
            last_polled: Now::ZERO,
        }
    }

    /// Whether new notifications may go on it, now or later.
    pub(super) fn is_usable(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Held(_) | Phase::Open)
    }

    /// Whether it came to nothing and the transport is still to be closed.
    pub(super) fn is_failing(&self) -> bool {
        self.phase == Phase::Closing && !self.proven
    }

    /// Whether a notification could be written right now.
    pub(super) fn has_room(&self, queue: &Queue<()>) -> bool {
        self.phase == Phase::Open && !self.is_full(queue)
    }

    /// Whether the window has no place, not even by forgetting a job that has ended.
    pub(super) fn is_full(&self, queue: &Queue<()>) -> bool {
        self.window.len() >= self.window.capacity()
            && self
                .window
                .oldest()
                .is_some_and(|job| queue.get(*job).is_some())
    }

    pub(super) fn connected(&mut self, now: Now, held: bool) {
        if self.phase == Phase::Opening {
            self.phase = match held {
                true => Phase::Held(now + HOLD),
                false => Phase::Open,
            };
            (self.last_used, self.last_polled) = (now, now);
        }
    }

    /// The driver asks for bytes.
    pub(super) fn polled(&mut self, now: Now) {
        self.last_polled = now;
    }

    /// Appends a notification to `out`, for which [`Self::has_room`] has been asked. Nothing is
    /// appended, and the answer is `false`, if this protocol cannot say it.
    pub(super) fn write(
        &mut self,
        now: Now,
        dialect: Dialect,
        (id, job): (JobId, &Job<()>),
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(notification) = job.message.notification() else {
            return false;
        };
        let frame = Frame::new(notification).identifier(self.window.next_identifier());
        if frame.encode(dialect, out).is_err() {
            return false;
        }
        if self.window.len() >= self.window.capacity() {
            self.forget_oldest();
        }
        // Room was there: the window takes it.
        let _ = self.window.push(id);
        (self.last_used, self.written) = (now, true);
        if job.confirm && dialect.has_identifiers() {
            self.asked_since.get_or_insert(now);
        } else {
            self.unasked.push_back((now, id));
        }
        true
    }

    fn forget_oldest(&mut self) {
        let forgotten = self.window.forget_oldest();
        if forgotten.is_some() && self.unasked.front().map(|(_, job)| *job) == forgotten {
            self.unasked.pop_front();
        }
    }

    /// Ends the flow by a probe.
    pub(super) fn probe(&mut self, now: Now, dialect: Dialect) {
        if let Some(identifier) = self.window.push_probe() {
            encode_probe(dialect, identifier, &mut self.outbox);
            self.awaits_last_word(now);
        }
    }

    /// Nothing more is written: the gateway is about to close, or has to.
    pub(super) fn awaits_last_word(&mut self, now: Now) {
        if self.is_usable() {
            self.phase = Phase::Ending(now + PATIENCE);
        }
    }

    /// Takes out the one that has met no objection.
    pub(super) fn pop_unasked(&mut self) -> Option<JobId> {
        self.unasked.pop_front().map(|(_, job)| job)
    }

    /// The next thing to be done for it, and when.
    pub(super) fn due(&self, around: Surroundings) -> Option<(Now, Due)> {
        match self.phase {
            Phase::Opening | Phase::Closing => None,
            Phase::Held(until) => Some((until, Due::Release)),
            Phase::Ending(until) => Some((until, Due::Silent)),
            Phase::Open => {
                let use_it = match around.waiting_since {
                    Some(since) if around.has_room => {
                        Some((self.last_polled.max(since) + PATIENCE, Due::Stalled))
                    }
                    Some(_) => None,
                    None => Some((self.last_used + IDLE, Due::Idle)),
                };
                let settle = self.settle_at(around);
                settle.into_iter().chain(use_it).min_by_key(|(at, _)| *at)
            }
        }
    }

    /// When something will be known of what was written. A probe is for everything before it, also
    /// for what nobody asked to be confirmed.
    fn settle_at(&self, around: Surroundings) -> Option<(Now, Due)> {
        let Some(asked) = self.asked_since else {
            let (written, _) = self.unasked.front()?;
            return Some((*written + OBJECTION, Due::NoObjection));
        };
        let at = match around.waiting_since {
            Some(_) => asked + OLDEST,
            None => (asked + OLDEST).min(self.last_used + LINGER),
        };
        Some((at.max(around.probe_from), Due::Probe))
    }
}
