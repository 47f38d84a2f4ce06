//! What a fault can do: at the provider API, at the binary gateway, at the feedback service.
//!
//! Source: `docs/protocols.md` 3.1 and 3.5 (provider API), 1.5 (gateway: shutdown, closing without
//! a packet, identifier 0, packets cut or together), 2 (feedback: tuples split anywhere, a
//! truncated tail).

use super::Trigger;
use crate::stats::Service;

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Answers with a status and Apple's JSON.
    Status {
        /// 200 to 599; anything else becomes 500.
        status: u16,
        /// `reason`; `None` leaves the body empty.
        reason: Option<String>,
        /// `timestamp`, in milliseconds.
        timestamp_ms: Option<u64>,
        /// A `retry-after` header, in seconds.
        retry_after: Option<u32>,
    },
    /// Answers with a status and these bytes, JSON or not.
    Body {
        /// 200 to 599; anything else becomes 500.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// Sends GOAWAY. Requests up to its last-stream-id are still answered, later ones never, and
    /// then the connection is closed.
    Goaway {
        /// The debug data is `{"reason":"…"}`, or empty.
        reason: Option<String>,
        /// The error code; 0 is NO_ERROR.
        error_code: u32,
        /// Whether the request that set this off is answered (last-stream-id is its own) or was not
        /// processed (last-stream-id is that of the last one that was).
        answer: bool,
    },
    /// Sends two GOAWAYs, as a server that goes down gently: the first without debug data and with
    /// the highest last-stream-id there is, the second with that of the request, which is answered.
    GoawayTwice {
        /// The debug data of the second is `{"reason":"…"}`, or empty.
        reason: Option<String>,
    },
    /// Sends RST_STREAM.
    Reset {
        /// The error code; 7 is REFUSED_STREAM.
        error_code: u32,
    },
    /// Never answers.
    Silence,
    /// Cuts the TCP connection, without a TLS close, after so many more bytes of HTTP/2. The
    /// request is answered as usual; 0 bytes cuts before anything of it is sent.
    Close {
        /// Bytes still sent, those of answers to other requests under way included.
        after_bytes: u64,
    },
    /// Cuts a connection, without a TLS close, after it has received so many bytes of HTTP/2, the
    /// preface included: in the middle of a request, for one. What is whole before that is judged,
    /// and perhaps answered. `token_prefix` and `delay_ms` mean nothing here.
    CutReceived {
        /// Bytes received.
        after_bytes: u64,
    },
    /// Sends these bytes between two frames, then goes on as usual.
    Garbage {
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Sends SETTINGS with this stream limit, then goes on as usual. The lower limit is enforced
    /// once the client has acknowledged it.
    MaxConcurrentStreams {
        /// The limit; above 10,000 it is 10,000.
        limit: u32,
    },
    /// Answers as usual, after [`Fault::delay_ms`](crate::Fault::delay_ms).
    Delay,
    /// Closes the next TCP connections to the provider API (or, for
    /// [`Call::Channels`](crate::Call), to the management of channels) instead of taking them.
    /// `token_prefix` and `delay_ms` mean nothing here.
    RefuseConnections,
    /// Something at the binary gateway.
    Gateway(GatewayAction),
    /// Something at the feedback service.
    Feedback(FeedbackAction),
}

/// What a fault does at the binary gateway.
///
/// `accept` says what becomes of the notification that sets the fault off: `true` takes it if it is
/// good, `false` leaves it and everything after it unprocessed. "After n notifications" is
/// [`every(n)`](crate::Fault::every). [`Fault::delay_ms`](crate::Fault::delay_ms) is waited before
/// the connection ends; what arrives in the meantime is thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatewayAction {
    /// Refuses a notification, good or bad, with any status. A notification of command 0 gets no
    /// packet.
    Status {
        /// The status byte.
        status: u8,
        /// The identifier to name instead of the notification's own.
        identifier: Option<u32>,
        /// Whether each byte of the packet is a TLS record of its own.
        split: bool,
    },
    /// Sends the packet of a notification that is refused anyway in another way.
    Response {
        /// The identifier to name instead of the notification's own.
        identifier: Option<u32>,
        /// Whether each byte of the packet is a TLS record of its own.
        split: bool,
    },
    /// Says nothing to a notification that is refused, takes nothing any more, and does not close.
    Silence,
    /// Closes with status 10, which names the last notification taken on the connection, or 0.
    Shutdown {
        /// See [`GatewayAction`].
        accept: bool,
    },
    /// Closes in good order without a word.
    Close {
        /// See [`GatewayAction`].
        accept: bool,
    },
    /// Resets the TCP connection.
    Reset {
        /// See [`GatewayAction`].
        accept: bool,
    },
    /// Cuts a connection, without a TLS close, after it has received so many bytes. What is whole
    /// in them is taken.
    Cut {
        /// Bytes of notifications; 0 cuts right after the handshake.
        after_bytes: u64,
    },
    /// Stops reading a connection for [`Fault::delay_ms`](crate::Fault::delay_ms) when it has
    /// received so many bytes.
    Slow {
        /// Bytes of notifications.
        after_bytes: u64,
    },
    /// Closes the next TCP connections instead of taking them.
    Refuse,
}

/// What a fault does to a connection to the feedback service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedbackAction {
    /// Cuts the connection, without a TLS close, after so many bytes. The list stays.
    Cut {
        /// Bytes of tuples.
        after_bytes: u64,
    },
    /// Sends the whole list in pieces, each a TLS record of its own.
    Dribble {
        /// Bytes of a piece; 0 is 1.
        bytes: u64,
    },
    /// Sends so many bytes, then nothing, and does not close. The list stays.
    Silence {
        /// Bytes of tuples.
        after_bytes: u64,
    },
    /// Leaves out the end of the list and closes in good order. The list stays.
    Truncate {
        /// Bytes left out.
        bytes: u64,
    },
    /// Sends so many bytes, then some that are no TLS, as if from somebody on the way, and leaves
    /// TCP open. The list stays.
    Garbage {
        /// Bytes of tuples.
        after_bytes: u64,
    },
    /// Sends the whole list and ends TLS, and leaves TCP open until the client closes.
    Linger,
    /// Closes the next TCP connections instead of taking them.
    Refuse,
}

impl Action {
    /// The name of the action in the control API and the journal.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Body { .. } => "body",
            Self::Goaway { .. } => "goaway",
            Self::GoawayTwice { .. } => "goaway_twice",
            Self::Reset { .. } => "reset",
            Self::Silence => "silence",
            Self::Close { .. } => "close",
            Self::CutReceived { .. } => "cut_received",
            Self::Garbage { .. } => "garbage",
            Self::MaxConcurrentStreams { .. } => "settings",
            Self::Delay => "delay",
            Self::RefuseConnections => "refuse_connections",
            Self::Gateway(action) => action.name(),
            Self::Feedback(action) => action.name(),
        }
    }

    pub(super) fn trigger(&self) -> Trigger {
        match self {
            Self::RefuseConnections => Trigger::Arrival(Service::Provider),
            Self::CutReceived { .. } => Trigger::Connection(Service::Provider),
            Self::Gateway(GatewayAction::Refuse) => Trigger::Arrival(Service::Gateway),
            Self::Gateway(GatewayAction::Cut { .. } | GatewayAction::Slow { .. }) => {
                Trigger::Connection(Service::Gateway)
            }
            Self::Gateway(GatewayAction::Response { .. } | GatewayAction::Silence) => {
                Trigger::Refusal
            }
            Self::Gateway(_) => Trigger::Notification,
            Self::Feedback(FeedbackAction::Refuse) => Trigger::Arrival(Service::Feedback),
            Self::Feedback(_) => Trigger::Connection(Service::Feedback),
            _ => Trigger::Request,
        }
    }
}

impl GatewayAction {
    fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "gateway_status",
            Self::Response { .. } => "gateway_response",
            Self::Silence => "gateway_silence",
            Self::Shutdown { .. } => "gateway_shutdown",
            Self::Close { .. } => "gateway_close",
            Self::Reset { .. } => "gateway_reset",
            Self::Cut { .. } => "gateway_cut",
            Self::Slow { .. } => "gateway_slow",
            Self::Refuse => "gateway_refuse",
        }
    }
}

impl FeedbackAction {
    fn name(&self) -> &'static str {
        match self {
            Self::Cut { .. } => "feedback_cut",
            Self::Dribble { .. } => "feedback_dribble",
            Self::Silence { .. } => "feedback_silence",
            Self::Truncate { .. } => "feedback_truncate",
            Self::Garbage { .. } => "feedback_garbage",
            Self::Linger => "feedback_linger",
            Self::Refuse => "feedback_refuse",
        }
    }
}
