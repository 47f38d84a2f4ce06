//! What a lane tells its driver and its operator.

use super::turn::TurnNews;
use crate::delivery::ids::{ConnectionId, ExchangeId};
use crate::provider::Reason;
use crate::time::UnixTime;

/// What the driver is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a transport, then report `handle_connected` or `handle_connect_failed` to the
    /// [lane](super::Lane).
    Connect(ConnectionId),
    /// Write what `poll_transmit` still has for it, then close its transport and report
    /// [`handle_closed`](super::Lane::handle_closed).
    Close(ConnectionId),
    /// The provider token issued then was refused as too old: get another, if that is allowed, and
    /// hand it over by [`set_token`](super::Lane::set_token); if not, hand over the same one. Asked
    /// once for each.
    RenewToken(UnixTime),
    /// Nobody waits for this exchange any more: drop it, and report nothing of it.
    Abandon(ExchangeId),
    /// Put what [`turn::ask`](super::turn::ask) says in the place of the record, and report what
    /// holds then by [`Lane::handle_turn`](super::Lane::handle_turn).
    TakeTurn,
    /// Put what [`turn::tell`](super::turn::tell) says in the place of the record.
    TellTurn(TurnNews),
}

/// What the operator of a lane would want to hear of at once.
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

/// How a lane is, for metrics and for people.
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
