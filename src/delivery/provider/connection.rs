//! One connection of a lane: what carries its requests (`medium.rs`), what is in flight on it, and
//! when to doubt it.
//!
//! ```text
//!   Opening ──connected──► Open ──GOAWAY, error, silence──► Draining ──nothing in flight──► (gone)
//!                          │  ▲
//!                    owes  ▼  │ heard
//!                        Doubted: gets nothing new, and is no reason not to open another
//! ```
//!
//! What goes on a connection that somebody in between has forgotten, or that was closed while this
//! program was not running, is lost, and must not be sent again. So one that has been idle for a
//! minute is asked first (`probing`): it gets something when it has answered, and if it does not
//! within a second, it is in doubt.
//!
//! All that is of HTTP/2 connections of our own. On the platform's client nobody is asked or
//! doubted; the rest is the same.

use core::time::Duration;

use crate::auth::ProviderToken;
use crate::delivery::ids::{ConnectionId, JobId};
use crate::delivery::policy::backoff::Backoff;
use crate::delivery::provider::medium::{Exchanges, Medium};
use crate::http2::{self, ErrorCode, StreamId};
use crate::limits::IDLE_BEFORE_PING;
use crate::provider::{Message, Repeats, ResponseReader};
use crate::ring::Ring;
use crate::time::{Now, UnixTime};

/// Silence while something is in flight, after which the peer is asked whether it is there.
const SUSPECT_AFTER: Duration = Duration::from_secs(4);

/// How long the answer to that may take before the connection is in doubt. A round trip on Earth
/// takes less, and whoever waits has seconds only.
const DOUBT_AFTER: Duration = Duration::from_secs(1);

/// How long a connection has been idle that is asked whether the peer is there before it gets
/// anything. Routers and load balancers forget after four minutes and more.
const PROBE_AFTER: Duration = Duration::from_secs(60);

/// Answers given up one after the other, none having come between them, after which the connection
/// is replaced: a peer can answer PINGs and still be stuck.
const RETIRE_AFTER: u32 = 3;

/// Rounds of refused streams, nothing answered between them, after which the connection is
/// replaced: another may lead to another server.
const REFUSED_ROUNDS: u32 = 4;

/// The first pause after a refused stream, at most.
const REFUSED_FIRST: Duration = Duration::from_millis(200);

/// The longest pause after a refused stream. Short beside that between connects: the peer is there
/// and says what it does not take, and what waits has seconds.
const REFUSED_LONGEST: Duration = Duration::from_secs(5);

/// A request on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) job: JobId,
    /// When the provider token it carries was issued.
    pub(super) token: Option<UnixTime>,
    pub(super) answer: ResponseReader,
}

/// A GOAWAY of the peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Farewell {
    pub(super) code: ErrorCode,
    /// The last stream that it will act on.
    pub(super) last: StreamId,
}

impl Farewell {
    /// Requests up to the last one. The numbers of streams are the odd ones.
    pub(super) fn requests(&self) -> usize {
        usize::try_from(self.last.value().div_ceil(2)).unwrap_or(usize::MAX)
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct ProviderConnection {
    pub(super) id: ConnectionId,
    /// `None` while the transport is being opened.
    pub(super) medium: Option<Medium>,
    /// By the ranks of their streams.
    pub(super) in_flight: Ring<InFlight>,
    repeats: Repeats,
    /// Bytes that must go out before anything new.
    pub(super) outbox: Vec<u8>,
    /// Something was answered on it that was not about the connection itself.
    pub(super) proven: bool,
    /// When it was asked for.
    pub(super) began: Now,
    /// It has been counted as a failure, or is not to be.
    pub(super) blamed: bool,
    /// The driver has been told to close it.
    pub(super) closing: bool,
    /// When the peer was last heard, or last given something to answer when it owed nothing.
    quiet_since: Now,
    pinged_at: Option<Now>,
    /// The answer to that is late.
    doubted: bool,
    /// It has been idle for long, and something waits for it to show that the peer is there.
    probing: bool,
    /// An answer was given up, and the peer has not been heard since.
    owes: bool,
    /// Answers given up since one came.
    given_up: u32,
    /// Heads of answers that have come.
    pub(super) answers: usize,
    /// Requests at once that the peer seems to take, whatever it says: as many as it had not
    /// refused when it refused one, and one more with each answer.
    pub(super) allowance: usize,
    /// Pauses after refused streams, since something was answered.
    refusals: Backoff,
    /// In one of them.
    paused: bool,
    /// The peer's GOAWAY, if there was one.
    pub(super) farewell: Option<Farewell>,
    /// It gets nothing new: its stream identifiers are used up, it answers nothing, APNs wants
    /// another, or it is one too many.
    pub(super) retired: bool,
}

impl ProviderConnection {
    /// One that carries `allowance` requests at once until it has answered some.
    pub(super) fn opening(id: ConnectionId, now: Now, allowance: usize) -> Self {
        Self {
            id,
            medium: None,
            in_flight: Ring::default(),
            repeats: Repeats::default(),
            outbox: Vec::new(),
            proven: false,
            began: now,
            blamed: false,
            closing: false,
            quiet_since: now,
            pinged_at: None,
            doubted: false,
            probing: false,
            owes: false,
            given_up: 0,
            answers: 0,
            allowance,
            refusals: Backoff::new(REFUSED_FIRST, REFUSED_LONGEST),
            paused: false,
            farewell: None,
            retired: false,
        }
    }

    /// One that is open from the beginning: so many exchanges with the platform's client.
    pub(super) fn of_platform(id: ConnectionId, now: Now, allowance: usize, limit: usize) -> Self {
        Self {
            medium: Some(Medium::Platform(Exchanges::new(limit))),
            ..Self::opening(id, now, allowance)
        }
    }

    fn http2(&self) -> Option<&http2::Connection> {
        match &self.medium {
            Some(Medium::Http2(http2)) => Some(http2),
            Some(Medium::Platform(_)) | None => None,
        }
    }

    /// The connection that is ours, and what is to go out on it.
    pub(super) fn http2_mut(&mut self) -> Option<(&mut http2::Connection, &mut Vec<u8>)> {
        match &mut self.medium {
            Some(Medium::Http2(http2)) => Some((http2, &mut self.outbox)),
            Some(Medium::Platform(_)) | None => None,
        }
    }

    /// The exchanges, if the platform carries its requests.
    pub(super) fn exchanges(&mut self) -> Option<&mut Exchanges> {
        match &mut self.medium {
            Some(Medium::Platform(exchanges)) => Some(exchanges),
            Some(Medium::Http2(_)) | None => None,
        }
    }

    /// Whether the platform carries its requests.
    pub(super) fn is_of_platform(&self) -> bool {
        matches!(self.medium, Some(Medium::Platform(_)))
    }

    /// Whether new requests may go on it, now or once it is open.
    pub(super) fn is_usable(&self) -> bool {
        !self.closing
            && !self.retired
            && !self.doubted
            && !self.medium.as_ref().is_some_and(Medium::is_ending)
    }

    /// Whether it has not answered a PING for a second while something waits for it.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Requests it would take right now. With a provider token, and of the platform, that is one
    /// until the first is answered, whatever the peer's SETTINGS say.
    pub(super) fn room(&self, with_token: bool) -> usize {
        if self.closing || self.retired || self.doubted || self.probing || self.paused {
            return 0;
        }
        let count = self.in_flight.len();
        let medium = self.medium.as_ref();
        let streams = medium.map_or(0, |medium| medium.room(count));
        let streams = streams.min(self.allowance.saturating_sub(count));
        if (with_token || self.is_of_platform()) && !self.proven {
            streams.min(1_usize.saturating_sub(count))
        } else {
            streams
        }
    }

    /// Whether the peer is there, has a request, and has answered none yet.
    pub(super) fn keeps_its_first(&self) -> bool {
        let is_there = self
            .http2()
            .is_some_and(http2::Connection::is_settings_received);
        is_there && !self.proven && !self.in_flight.is_empty()
    }

    /// Whether it is asked whether the peer is there before it gets anything.
    pub(super) fn is_probing(&self) -> bool {
        self.probing
    }

    /// Something waits that could go on it: after a long silence it is asked first.
    pub(super) fn ask_if_idle(&mut self, now: Now) {
        let is_idle = !self.is_owing() && now.since(self.quiet_since) >= PROBE_AFTER;
        if self.http2().is_none() || self.probing || !is_idle {
            return;
        }
        self.probing = true;
        if self.pinged_at.is_none() {
            self.ping(now);
        }
    }

    /// Requests it can carry at once.
    pub(super) fn capacity(&self) -> usize {
        self.medium.as_ref().map_or(0, Medium::capacity)
    }

    /// Whether nothing is left to be done with it.
    pub(super) fn is_spent(&self) -> bool {
        let Some(medium) = &self.medium else {
            return false;
        };
        let is_ending = self.retired || medium.is_ending();
        medium.is_closed() || (is_ending && self.in_flight.is_empty())
    }

    pub(super) fn heard(&mut self, now: Now) {
        self.quiet_since = now;
        self.pinged_at = None;
        self.doubted = false;
        self.probing = false;
        self.owes = false;
    }

    /// Appends the request of a message; `None` if it cannot be sent.
    pub(super) fn send(
        &mut self,
        now: Now,
        message: &Message,
        authority: &str,
        token: Option<&ProviderToken>,
        out: &mut Vec<u8>,
    ) -> Option<StreamId> {
        let Some(Medium::Http2(http2)) = &mut self.medium else {
            return None;
        };
        let sent = self
            .repeats
            .send((now, http2), message, authority, token, out);
        sent.ok()
    }

    /// A request was put on it.
    pub(super) fn carries(
        &mut self,
        now: Now,
        stream: StreamId,
        (job, answer): (JobId, ResponseReader),
        token: Option<UnixTime>,
    ) {
        if self.in_flight.is_empty() && !self.owes {
            self.quiet_since = now;
        }
        self.retired |= stream == StreamId::MAX;
        self.in_flight
            .insert(stream.rank(), InFlight { job, token, answer });
    }

    /// The answer on `stream` has come to nothing in time. Silence goes on counting: otherwise a
    /// peer that is gone would stay as long as deadlines are shorter than our patience.
    pub(super) fn give_up(&mut self, stream: StreamId) {
        if self.in_flight.remove(stream.rank()).is_some() {
            self.owes = true;
            self.given_up += 1;
            self.retired |= self.is_mute();
        }
    }

    /// The head of an answer has come.
    pub(super) fn answered(&mut self) {
        self.given_up = 0;
        self.answers = self.answers.saturating_add(1);
        self.allowance = self.allowance.saturating_add(1);
        self.refusals.succeeded();
        self.paused = false;
    }

    /// Whether nothing was ever answered on it, and not because this side had no use for it.
    pub(super) fn has_answered_nothing(&self) -> bool {
        let is_unused = self.retired && !self.is_mute();
        self.answers == 0 && !is_unused
    }

    /// Whether so many answers were given up that it was replaced.
    pub(super) fn is_mute(&self) -> bool {
        self.given_up >= RETIRE_AFTER
    }

    /// The peer has refused a stream. Nothing new goes on the connection for a while, or until
    /// something is answered; the wait grows with each round of refusals.
    pub(super) fn refused(&mut self, now: Now, entropy: u64) {
        self.allowance = self.allowance.min(self.in_flight.len().max(1));
        // Those that come together are one round.
        if !core::mem::replace(&mut self.paused, true) {
            self.refusals.failed(now, entropy);
        }
    }

    /// Whether it has refused streams in so many rounds, and answered nothing, that another is to
    /// be tried.
    pub(super) fn only_refuses(&self) -> bool {
        self.refusals.failures() >= REFUSED_ROUNDS
    }

    /// When to ask whether the peer is there: soon if it owes an answer, else after an idle hour.
    fn doubt_at(&self) -> Option<Now> {
        if self.pinged_at.is_some() || self.closing {
            return None;
        }
        let patience = if self.is_owing() {
            SUSPECT_AFTER
        } else {
            IDLE_BEFORE_PING
        };
        self.http2().map(|_| self.quiet_since + patience)
    }

    /// Whether the peer has something to answer.
    fn is_owing(&self) -> bool {
        self.owes || !self.in_flight.is_empty()
    }

    /// When it gets nothing new any more, unless it is heard.
    fn doubted_at(&self) -> Option<Now> {
        let asked = self
            .pinged_at
            .filter(|_| (self.is_owing() || self.probing) && !self.doubted && !self.closing);
        asked.map(|at| at + DOUBT_AFTER)
    }

    /// The next moment [`ProviderConnection::handle_timeout`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Now> {
        let own = self.doubt_at().into_iter().chain(self.doubted_at());
        let own = own.chain(self.refusals.until().filter(|_| self.paused));
        let http2 = self.http2().and_then(http2::Connection::poll_timeout);
        own.chain(http2).min()
    }

    /// Sends a PING where it is due.
    ///
    /// # Errors
    /// The connection is over: the peer did not answer in time.
    pub(super) fn handle_timeout(&mut self, now: Now) -> Result<(), http2::ConnectionError> {
        let due = self.doubt_at().is_some_and(|at| at <= now);
        self.doubted |= self.doubted_at().is_some_and(|at| at <= now);
        self.paused &= !self.refusals.is_over(now);
        if due && self.http2().is_some_and(|http2| !http2.is_closed()) {
            self.ping(now);
        }
        match self.http2_mut() {
            Some((http2, outbox)) => http2.handle_timeout(now, outbox),
            None => Ok(()),
        }
    }

    fn ping(&mut self, now: Now) {
        if let Some((http2, outbox)) = self.http2_mut() {
            // Refused only while another is unanswered, which does as well.
            let _ = http2.ping(now, now.as_nanos().to_be_bytes(), outbox);
            self.pinged_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::queue::Queue;
    use crate::delivery::submission::Submission;
    use crate::notification::{DeviceToken, Draft, Payload, Topic};
    use std::sync::Arc;

    #[test]
    fn a_link_without_stream_numbers_left_is_replaced_once_it_is_empty() {
        let token = DeviceToken::from_bytes(&[7; 32]).unwrap();
        let topic = Topic::parse("com.example.app").unwrap();
        let payload = Payload::parse(br#"{"aps":{}}"#).unwrap();
        let notification = Arc::new(Draft::new(token, topic, payload).build().unwrap());
        let job = Queue::<StreamId>::default().add(Submission {
            message: notification.into(),
            deadline: Now::ZERO,
            confirm: false,
        });
        let mut connection = ProviderConnection::opening(ConnectionId(0), Now::ZERO, usize::MAX);
        let http2 =
            http2::Connection::new(http2::Config::default(), Now::ZERO, &mut connection.outbox);
        connection.medium = Some(Medium::Http2(Box::new(http2)));
        let answer = ResponseReader::new;
        connection.carries(Now::ZERO, StreamId::new(0x7fff_fffd), (job, answer()), None);
        assert!(connection.is_usable());
        connection.carries(Now::ZERO, StreamId::MAX, (job, answer()), None);
        assert!(!connection.is_usable() && !connection.is_spent());
        connection.in_flight = Ring::default();
        assert!(connection.is_spent());
    }
}
