//! What every way to APNs offers to the driver: [`Way`], whatever protocol is spoken on it.
//!
//! ```text
//!            submit, handle_* ─►┌─────┐─► poll_outcome     what became of a notification
//!   driver                      │ Way │─► poll_action      open or close a transport
//!            poll_transmit ────►└─────┘─► poll_timeout     when to call handle_timeout
//!                  └─ bytes, up to 64 KiB, to be written completely and in order
//! ```
//!
//! Where the platform has the connections ([`Transport::Platform`](super::Transport)) there are no
//! links to open and no bytes: [`Way::poll_exchange`] gives requests out, and each comes back by
//! [`Way::handle_response`] or [`Way::handle_exchange_failed`].
//!
//! After every call that takes `now` the driver drains [`Way::poll_outcome`],
//! [`Way::poll_action`] and [`Way::poll_news`], writes what [`Way::poll_transmit`] appends on links
//! that [`Way::wants_transmit`], and sets one timer to [`Way::poll_timeout`]. Calls about a link that
//! is gone do nothing.

use core::fmt::{self, Debug};
use core::time::Duration;

use super::carrier::ExchangeId;
use super::jobs::JobId;
use super::lane::Lane;
use super::link::LinkId;
use super::turn::{Turn, TurnNews};
use crate::auth::ProviderToken;
use crate::limits::CHANNELS_BODY_MAX_BYTES;
use crate::provider::{Message, Outcome, Reason};
use crate::time::{Now, UnixTime};

/// A message, and how its outcome is wanted.
#[derive(Clone, Debug)]
pub struct Order {
    /// What to send. The binary gateway takes notifications to devices alone; anything else ends
    /// there as not sent.
    pub message: Message,
    /// When its outcome must be there.
    pub deadline: Now,
    /// Whether to make sure that the binary gateway took it, which costs a connection for each
    /// batch. HTTP/2 answers everything and ignores it.
    pub confirm: bool,
}

/// What the driver is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a transport, then report [`Way::handle_connected`] or [`Way::handle_connect_failed`].
    Connect(LinkId),
    /// Write what [`Way::poll_transmit`] still has for it, then close its transport and report
    /// [`Way::handle_closed`].
    Close(LinkId),
    /// The provider token issued then was refused as too old: get another, if that is allowed, and
    /// hand it over by [`Way::set_token`]; if not, hand over the same one. Asked once for each.
    RenewToken(UnixTime),
    /// Nobody waits for this exchange any more: drop it, and report nothing of it.
    Abandon(ExchangeId),
    /// Put what [`turn::ask`](super::turn::ask) says in the place of the record, and report what
    /// holds then by [`Way::handle_turn`].
    TakeTurn,
    /// Put what [`turn::tell`](super::turn::tell) says in the place of the record.
    TellTurn(TurnNews),
}

/// A request for the platform's client. `Debug` leaves out what reveals a device or a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct ExchangeRequest {
    /// `POST`, `GET` or `DELETE`.
    pub method: String,
    /// Begins with a slash.
    pub path: String,
    /// Host, and port unless it is 443. The scheme is `https`.
    pub authority: String,
    /// Names in lower case; no pseudo-headers.
    pub headers: Vec<(&'static str, String)>,
    /// Empty if there is none.
    pub body: Vec<u8>,
    /// How long until nobody waits for the answer any more. Less is to be given to a connection, so
    /// that a request which was never sent is known as one.
    pub patience: Duration,
}

impl Debug for ExchangeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, body, .. } = self;
        write!(f, "ExchangeRequest({method}, {} bytes)", body.len())
    }
}

/// What the platform's client got for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeResponse {
    /// The final status, from 200 on.
    pub status: u16,
    /// Names in any case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// As much as somebody wants to read of it; see [`ExchangeResponse::BODY_MAX_BYTES`].
    pub body: Vec<u8>,
}

impl ExchangeResponse {
    /// More of a body is of no use, in bytes.
    pub const BODY_MAX_BYTES: usize = CHANNELS_BODY_MAX_BYTES;
}

/// Why the platform's client has no answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeFailure {
    /// There was no connection to send it on.
    NotSent,
    /// There was one, and the peer certainly has not acted on it.
    NotProcessed,
    /// TLS has failed, before the request or after it. No client certificate is shown by this way,
    /// so if the lane never had an answer, it is the handshake that fails: a server that is not
    /// trusted.
    Tls,
    /// The peer may have acted on it. For whatever is not known to be one of the others.
    Unanswered,
}

/// What the operator of a way would want to hear of at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// No connection came about, or it ended before anything was answered on it; why, for people.
    ConnectFailed(String),
    /// That is over. A lane over HTTP/2 leaves it to its outcomes.
    Connected,
    /// A GOAWAY says that the credential is refused; nothing was answered.
    CredentialRefused(Reason),
    /// Server errors keep the queue from being sent.
    BreakerOpened,
    /// It is sent again.
    BreakerClosed,
}

impl News {
    /// Most that wait to be heard; the oldest are dropped. The driver hears them after every call.
    pub(super) const MAX: usize = 16;
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// How it ended.
    pub outcome: Outcome,
    /// Where there is no answer, what happened last, to the message or to the way; for people.
    pub trouble: Option<String>,
}

/// How a way is, for metrics and for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Connections, those included that are being opened or are finishing what they have.
    pub connections: usize,
    /// Notifications in the queue.
    pub waiting: usize,
    /// Notifications that may not be sent yet.
    pub held: usize,
    /// Notifications on a connection.
    pub in_flight: usize,
    /// Devices that get one notification at a time because APNs said that it was too much.
    pub spaced_devices: usize,
    /// Whether APNs's errors keep the queue from being sent, but for a probe now and then.
    pub breaker_open: bool,
}

/// The queue is full. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

/// A way from one credential to one environment.
pub trait Way {
    /// Takes a notification in.
    ///
    /// # Errors
    /// [`QueueFull`].
    fn submit(&mut self, now: Now, order: Order) -> Result<JobId, QueueFull>;

    /// The transport of a link is open.
    fn handle_connected(&mut self, now: Now, id: LinkId);

    /// The transport of a link could not be opened; `why` is for people, `entropy` is random.
    fn handle_connect_failed(&mut self, now: Now, id: LinkId, why: String, entropy: u64);

    /// Bytes arrived on a link.
    fn handle_input(&mut self, now: Now, id: LinkId, bytes: &[u8]);

    /// The transport of a link is closed, in whichever way. `entropy` is random.
    fn handle_closed(&mut self, now: Now, id: LinkId, entropy: u64);

    /// A moment given by [`Self::poll_timeout`] has come.
    fn handle_timeout(&mut self, now: Now);

    /// A notification that has come to its end.
    fn poll_outcome(&mut self) -> Option<(JobId, Outcome)>;

    /// The same, with what is to be said of an answer that is missing.
    fn poll_delivered(&mut self) -> Option<(JobId, Delivered)> {
        let (id, outcome) = self.poll_outcome()?;
        let is_unanswered = matches!(outcome, Outcome::Unanswered { .. });
        let trouble = self.trouble().filter(|_| is_unanswered).map(str::to_owned);
        Some((id, Delivered { outcome, trouble }))
    }

    /// What the driver is to do next.
    fn poll_action(&mut self) -> Option<Action>;

    /// Appends what is to be written on a link, about 64 KiB at a time.
    fn poll_transmit(&mut self, now: Now, id: LinkId, out: &mut Vec<u8>);

    /// Whether [`Self::poll_transmit`] has anything to do for a link.
    fn wants_transmit(&self, id: LinkId) -> bool;

    /// When [`Self::handle_timeout`] is to be called next.
    fn poll_timeout(&self) -> Option<Now>;

    /// What last went wrong on the way to the peer, while nothing has gone right since; for people.
    fn trouble(&self) -> Option<&str>;

    /// What the operator would want to hear of. The driver asks until there is nothing, whenever it
    /// asks for actions.
    fn poll_news(&mut self) -> Option<News> {
        None
    }

    /// The provider token from now on, and the answer to [`Action::RenewToken`]. Only HTTP/2 has
    /// one; elsewhere it is dropped.
    fn set_token(&mut self, now: Now, token: ProviderToken) {
        let _ = (now, token);
    }

    /// The provider token before the one that was set, as another instance knew it. Only HTTP/2
    /// has one.
    fn recall_token(&mut self, token: ProviderToken) {
        let _ = token;
    }

    /// What the wall clock shows at `now`, from time to time. Only HTTP/2 uses it.
    fn set_clock(&mut self, now: Now, time: UnixTime) {
        let _ = (now, time);
    }

    /// How it is.
    fn status(&self) -> Status {
        Status::default()
    }

    /// A request for the platform's client, if one is to go out now. The driver asks until there is
    /// none, whenever it asks for actions; to ask may end notifications, also where there is none.
    fn poll_exchange(&mut self, now: Now) -> Option<(ExchangeId, ExchangeRequest)> {
        let _ = now;
        None
    }

    /// The answer to an exchange, to its end.
    fn handle_response(&mut self, now: Now, id: ExchangeId, response: &ExchangeResponse) {
        let _ = (now, id, response);
    }

    /// An exchange has no answer; `why` is for people.
    fn handle_exchange_failed(
        &mut self,
        now: Now,
        id: ExchangeId,
        failure: ExchangeFailure,
        why: String,
    ) {
        let _ = (now, id, failure, why);
    }

    /// The answer to [`Action::TakeTurn`]; [`Turn::Go`] where there is no record to be had.
    fn handle_turn(&mut self, now: Now, turn: Turn) {
        let _ = (now, turn);
    }
}

impl Way for Lane {
    fn submit(&mut self, now: Now, order: Order) -> Result<JobId, QueueFull> {
        Self::submit(self, now, order.message, order.deadline)
    }

    fn handle_connected(&mut self, now: Now, id: LinkId) {
        Self::handle_connected(self, now, id);
    }

    fn handle_connect_failed(&mut self, now: Now, id: LinkId, why: String, entropy: u64) {
        Self::handle_connect_failed(self, now, id, why, entropy);
    }

    fn handle_input(&mut self, now: Now, id: LinkId, bytes: &[u8]) {
        Self::handle_input(self, now, id, bytes);
    }

    fn handle_closed(&mut self, now: Now, id: LinkId, entropy: u64) {
        Self::handle_closed(self, now, id, entropy);
    }

    fn handle_timeout(&mut self, now: Now) {
        Self::handle_timeout(self, now);
    }

    fn poll_outcome(&mut self) -> Option<(JobId, Outcome)> {
        Self::poll_outcome(self)
    }

    fn poll_delivered(&mut self) -> Option<(JobId, Delivered)> {
        Self::poll_delivered(self)
    }

    fn poll_action(&mut self) -> Option<Action> {
        Self::poll_action(self)
    }

    fn poll_transmit(&mut self, now: Now, id: LinkId, out: &mut Vec<u8>) {
        Self::poll_transmit(self, now, id, out);
    }

    fn wants_transmit(&self, id: LinkId) -> bool {
        Self::wants_transmit(self, id)
    }

    fn poll_timeout(&self) -> Option<Now> {
        Self::poll_timeout(self)
    }

    fn trouble(&self) -> Option<&str> {
        Self::trouble(self)
    }

    fn poll_news(&mut self) -> Option<News> {
        Self::poll_news(self)
    }

    fn set_token(&mut self, now: Now, token: ProviderToken) {
        Self::set_token(self, now, token);
    }

    fn recall_token(&mut self, token: ProviderToken) {
        Self::recall_token(self, token);
    }

    fn set_clock(&mut self, now: Now, time: UnixTime) {
        Self::set_clock(self, now, time);
    }

    fn status(&self) -> Status {
        Self::status(self)
    }
    fn poll_exchange(&mut self, now: Now) -> Option<(ExchangeId, ExchangeRequest)> {
        Self::poll_exchange(self, now)
    }

    fn handle_response(&mut self, now: Now, id: ExchangeId, response: &ExchangeResponse) {
        Self::handle_response(self, now, id, response);
    }

    fn handle_exchange_failed(
        &mut self,
        now: Now,
        id: ExchangeId,
        failure: ExchangeFailure,
        why: String,
    ) {
        Self::handle_exchange_failed(self, now, id, failure, why);
    }

    fn handle_turn(&mut self, now: Now, turn: Turn) {
        Self::handle_turn(self, now, turn);
    }
}
