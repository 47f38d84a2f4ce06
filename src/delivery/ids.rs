//! The names by which a lane and its driver speak of the same thing.

use crate::http2::StreamId;

/// Names a notification from [`Lane::submit`](super::Lane::submit) to its outcome. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(super) u64);

impl JobId {
    /// How many of its lane came before it.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Names a connection of a lane. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u32);

/// Names a request with the platform's client. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId {
    pub(super) connection: ConnectionId,
    pub(super) slot: StreamId,
}
