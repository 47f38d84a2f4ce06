//! What carries the requests of a connection: an HTTP/2 connection of ours, or the platform's own
//! pool.
//!
//! ```text
//!   Http2      bytes out ─► transport of the driver ─► bytes in
//!   Exchanges  request out ─► the platform's client ─► response in, or why there is none
//! ```
//!
//! Where a platform drops idle instances within seconds, a connection of an instance would be
//! opened and closed again and again, which APNs takes for an attack. Such a platform has an HTTP
//! client that outlives instances: it pools connections, asks whether the peer is there, and hears
//! its GOAWAYs. So a connection of exchanges opens nothing, pings nothing and doubts nobody; it is
//! a count of what is out.

use crate::http2::{self, StreamId};

/// Who has the connections to APNs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// The driver opens them, and HTTP/2 on them is the lane's:
    /// [`Lane::poll_transmit`](crate::delivery::Lane::poll_transmit).
    #[default]
    Sockets,
    /// The platform has a pool of its own and takes requests:
    /// [`Lane::poll_exchange`](crate::delivery::Lane::poll_exchange). The driver is asked to open
    /// nothing.
    Platform,
}

/// Requests out at once for each connection that a lane might have of its own.
///
/// What APNs lets on a connection is the platform's to obey; this bounds the memory of the instance
/// and of the platform. It is a tenth of what a connection of APNs usually takes, since every
/// exchange is a few tasks and handles, which cost more than a stream of ours.
pub(super) const EXCHANGES_PER_CONNECTION: usize = 100;

/// What carries a connection's requests.
#[derive(Debug)]
pub(super) enum Medium {
    Http2(Box<http2::Connection>),
    Platform(Exchanges),
}

impl Medium {
    /// Requests it takes beside the `in_flight` that it has.
    pub(super) fn room(&self, in_flight: usize) -> usize {
        match self {
            Self::Http2(http2) => http2.available_streams(),
            Self::Platform(exchanges) => exchanges.limit.saturating_sub(in_flight),
        }
    }

    /// Requests it carries at once.
    pub(super) fn capacity(&self) -> usize {
        match self {
            Self::Http2(http2) => usize::try_from(http2.stream_limit()).unwrap_or(usize::MAX),
            Self::Platform(exchanges) => exchanges.limit,
        }
    }

    /// Whether nothing new may go on it, whatever its connection says.
    pub(super) fn is_ending(&self) -> bool {
        match self {
            Self::Http2(http2) => http2.is_going_away() || http2.is_closed(),
            Self::Platform(_) => false,
        }
    }

    /// Whether it is gone.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http2(http2) => http2.is_closed(),
            Self::Platform(_) => false,
        }
    }
}

/// Requests with the platform's client.
#[derive(Debug)]
pub(super) struct Exchanges {
    limit: usize,
    next: StreamId,
}

impl Exchanges {
    /// At most `limit` at once.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            next: StreamId::FIRST,
        }
    }

    /// A number for the next. After [`StreamId::MAX`], which retires a connection, there is none.
    pub(super) fn begin(&mut self) -> StreamId {
        let id = self.next;
        self.next = id.next().unwrap_or(StreamId::MAX);
        id
    }
}
