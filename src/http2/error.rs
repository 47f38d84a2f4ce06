//! What can go wrong, whose fault it is, and which code the peer is told.
//!
//! Source: RFC 9113, 5.4 (error handling) and 7 (error codes).
//!
//! ```text
//! scope        type                 fault            effect
//! -----------  -------------------  ---------------  ----------------------------------------
//! one call     SendError            caller           nothing was written, nothing changed
//! stream       Malformed            peer             RST_STREAM sent, Event::Malformed
//! connection   ConnectionError      see `fault()`    GOAWAY written, every open stream is Lost
//! ```
//!
//! The map from a connection error to its wire code is the one `match` in
//! [`ConnectionError::code`]; from a malformed response, the one in
//! [`Malformed::code`](super::Malformed::code).

use core::fmt;

use super::frame::{FrameType, SettingId};
use super::hpack::HpackError;
use super::stream_id::StreamId;

/// An error code of RST_STREAM and GOAWAY, as on the wire; unknown ones are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(u32);

impl ErrorCode {
    /// Graceful shutdown, or "stop sending, the answer is complete".
    pub const NO_ERROR: Self = Self(0x00);
    /// Something that no more specific code names.
    pub const PROTOCOL_ERROR: Self = Self(0x01);
    /// The sender's own fault.
    pub const INTERNAL_ERROR: Self = Self(0x02);
    /// A flow-control window was exceeded or overflowed.
    pub const FLOW_CONTROL_ERROR: Self = Self(0x03);
    /// SETTINGS was not acknowledged in time.
    pub const SETTINGS_TIMEOUT: Self = Self(0x04);
    /// A frame on a stream whose sender had ended it.
    pub const STREAM_CLOSED: Self = Self(0x05);
    /// A frame of an impossible size.
    pub const FRAME_SIZE_ERROR: Self = Self(0x06);
    /// The stream was refused **before any processing**: safe to send again.
    pub const REFUSED_STREAM: Self = Self(0x07);
    /// The stream is no longer wanted.
    pub const CANCEL: Self = Self(0x08);
    /// The header compression context is lost.
    pub const COMPRESSION_ERROR: Self = Self(0x09);
    /// A tunnel was reset.
    pub const CONNECT_ERROR: Self = Self(0x0a);
    /// The other side causes excessive load.
    pub const ENHANCE_YOUR_CALM: Self = Self(0x0b);
    /// The transport is not secure enough.
    pub const INADEQUATE_SECURITY: Self = Self(0x0c);
    /// The resource wants HTTP/1.1.
    pub const HTTP_1_1_REQUIRED: Self = Self(0x0d);

    /// Any code, known or not.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number on the wire.
    pub const fn value(self) -> u32 {
        self.0
    }

    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NO_ERROR => "NO_ERROR",
            Self::PROTOCOL_ERROR => "PROTOCOL_ERROR",
            Self::INTERNAL_ERROR => "INTERNAL_ERROR",
            Self::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
            Self::SETTINGS_TIMEOUT => "SETTINGS_TIMEOUT",
            Self::STREAM_CLOSED => "STREAM_CLOSED",
            Self::FRAME_SIZE_ERROR => "FRAME_SIZE_ERROR",
            Self::REFUSED_STREAM => "REFUSED_STREAM",
            Self::CANCEL => "CANCEL",
            Self::COMPRESSION_ERROR => "COMPRESSION_ERROR",
            Self::CONNECT_ERROR => "CONNECT_ERROR",
            Self::ENHANCE_YOUR_CALM => "ENHANCE_YOUR_CALM",
            Self::INADEQUATE_SECURITY => "INADEQUATE_SECURITY",
            Self::HTTP_1_1_REQUIRED => "HTTP_1_1_REQUIRED",
            _ => return None,
        })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:x}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorCode({self})")
    }
}

/// Who has to change something for an error to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server broke the protocol or floods us.
    Peer,
    /// The code that drives the connection misused it.
    Caller,
    /// Nothing came back in time: server, network or a suspended process.
    Silence,
}

/// Why a connection is over. The GOAWAY with [`code`](Self::code) has been written already.
///
/// In the fields, `got` is what came, `limit` the most or `expected` what would have been allowed,
/// `kind` the type of the frame. Sections are those of RFC 9113.
#[expect(
    missing_docs,
    reason = "the fields follow one scheme, which is documented"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The server's first frame was not SETTINGS (RFC 9113, 3.4): most likely not HTTP/2 at all.
    NotHttp2 {
        /// The first nine octets it sent; an HTTP/1 answer reads `HTTP/1.1 `.
        head: [u8; 9],
    },
    /// A frame is larger than our `SETTINGS_MAX_FRAME_SIZE` (4.2).
    FrameTooLarge {
        kind: FrameType,
        limit: u32,
        got: u32,
    },
    /// A payload whose length the frame type does not allow (4.2, 6).
    FrameLength {
        kind: FrameType,
        expected: &'static str,
        got: usize,
    },
    /// A frame on a stream where its type may not occur: 0 or not 0 (6).
    WrongStream {
        kind: FrameType,
        expected: &'static str,
        got: StreamId,
    },
    /// Padding as long as the payload or longer (6.1).
    Padding {
        kind: FrameType,
        length: usize,
        got: usize,
    },
    /// A frame on a stream that nobody opened (5.1, "idle"), among them every even one.
    IdleStream { kind: FrameType, got: StreamId },
    /// PUSH_PROMISE, although our settings forbid it (8.4).
    PushPromise,
    /// Something else between the frames of one header block (6.10).
    BlockInterrupted {
        expected: StreamId,
        kind: FrameType,
        got: StreamId,
    },
    /// CONTINUATION without a header block to continue (6.10).
    NothingToContinue { got: StreamId },
    /// A setting outside its range (6.5.2).
    Setting { id: SettingId, got: u32 },
    /// WINDOW_UPDATE by zero on the connection (6.9).
    ZeroIncrement,
    /// A send window grew past 2^31-1 (6.9.1); `stream` 0 is the connection.
    WindowOverflow { stream: StreamId },
    /// More DATA than our connection window allowed (6.9.1), octets.
    WindowExceeded { window: u32, got: u32 },
    /// A later GOAWAY named a higher last stream than an earlier one (6.8).
    GoAwayRaised { limit: StreamId, got: StreamId },
    /// A header block did not decompress (4.3).
    Compression(HpackError),
    /// A header block of too many octets (RFC 9113, 10.5.1).
    BlockTooLarge { limit: usize, got: usize },
    /// A header block in too many pieces (RFC 9113, 10.5).
    TooManyContinuations { limit: u32 },
    /// Too many frames that do nothing useful; `kind` is the last of them (10.5).
    Flood { kind: FrameType },
    /// Events were not polled: more than `limit` octets of them are waiting.
    EventsNotPolled { limit: usize },
    /// Our SETTINGS were not acknowledged in time (6.5.3).
    SettingsTimeout,
    /// A PING of ours was not answered in time (6.7).
    PingTimeout,
}

impl ConnectionError {
    /// The code for the peer's eyes.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::FrameTooLarge { .. } | Self::FrameLength { .. } => ErrorCode::FRAME_SIZE_ERROR,
            Self::NotHttp2 { .. }
            | Self::WrongStream { .. }
            | Self::Padding { .. }
            | Self::IdleStream { .. }
            | Self::PushPromise
            | Self::BlockInterrupted { .. }
            | Self::NothingToContinue { .. }
            | Self::ZeroIncrement
            | Self::GoAwayRaised { .. } => ErrorCode::PROTOCOL_ERROR,
            Self::Setting {
                id: SettingId::INITIAL_WINDOW_SIZE,
                ..
            }
            | Self::WindowOverflow { .. }
            | Self::WindowExceeded { .. } => ErrorCode::FLOW_CONTROL_ERROR,
            Self::Setting { .. } => ErrorCode::PROTOCOL_ERROR,
            Self::Compression(_) => ErrorCode::COMPRESSION_ERROR,
            Self::BlockTooLarge { .. }
            | Self::TooManyContinuations { .. }
            | Self::Flood { .. }
            | Self::EventsNotPolled { .. } => ErrorCode::ENHANCE_YOUR_CALM,
            Self::SettingsTimeout => ErrorCode::SETTINGS_TIMEOUT,
            Self::PingTimeout => ErrorCode::NO_ERROR,
        }
    }

    /// Who is at fault. The scope is always the connection.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::EventsNotPolled { .. } => Fault::Caller,
            Self::SettingsTimeout | Self::PingTimeout => Fault::Silence,
            _ => Fault::Peer,
        }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp2 { head } => {
                write!(f, "the server does not speak HTTP/2: first octets ")?;
                write!(f, "\"{}\"", head.escape_ascii())
            }
            Self::FrameTooLarge { kind, limit, got } => {
                write!(f, "{kind} frame of {got} octets, limit {limit}")
            }
            Self::FrameLength {
                kind,
                expected,
                got,
            } => {
                write!(f, "{kind} frame: expected {expected} octets, got {got}")
            }
            Self::WrongStream {
                kind,
                expected,
                got,
            } => {
                write!(f, "{kind} frame: expected stream {expected}, got {got}")
            }
            Self::Padding { kind, length, got } => {
                write!(
                    f,
                    "{kind} frame: {got} octets of padding in a payload of {length}"
                )
            }
            Self::IdleStream { kind, got } => write!(f, "{kind} frame on idle stream {got}"),
            Self::PushPromise => f.write_str("PUSH_PROMISE although push is disabled"),
            Self::BlockInterrupted {
                expected,
                kind,
                got,
            } => write!(
                f,
                "expected CONTINUATION on stream {expected}, got {kind} on stream {got}"
            ),
            Self::NothingToContinue { got } => write!(f, "CONTINUATION on {got} continues nothing"),
            Self::Setting { id, got } => write!(f, "{id} of {got} is out of range"),
            Self::ZeroIncrement => f.write_str("WINDOW_UPDATE by 0 on the connection"),
            Self::WindowOverflow { stream } => write!(f, "send window overflow, stream {stream}"),
            Self::WindowExceeded { window, got } => {
                write!(f, "{got} octets of DATA in a connection window of {window}")
            }
            Self::GoAwayRaised { limit, got } => {
                write!(f, "GOAWAY raised its last stream from {limit} to {got}")
            }
            Self::Compression(error) => write!(f, "header block: {error}"),
            Self::BlockTooLarge { limit, got } => {
                write!(f, "header block of {got} octets, limit {limit}")
            }
            Self::TooManyContinuations { limit } => {
                write!(f, "header block in more than {limit} CONTINUATION frames")
            }
            Self::Flood { kind } => write!(f, "too many frames without use, last {kind}"),
            Self::EventsNotPolled { limit } => {
                write!(f, "more than {limit} octets of events were not polled")
            }
            Self::SettingsTimeout => f.write_str("SETTINGS not acknowledged in time"),
            Self::PingTimeout => f.write_str("PING not answered in time"),
        }
    }
}

impl std::error::Error for ConnectionError {}

/// Why a command was refused. The caller's side: nothing was written and nothing changed, so
/// whatever was to be sent is safe to send elsewhere.
///
/// In the fields, `limit` is the most that is allowed and the other what was asked for or is there.
#[expect(
    missing_docs,
    reason = "the fields follow one scheme, which is documented"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is over.
    Closed,
    /// The server has announced the end (GOAWAY); open streams may still be answered.
    GoingAway,
    /// All 2^30 stream identifiers of this connection are used up: open another connection.
    StreamIdsExhausted,
    /// `limit` streams are open already: the peer's limit or ours, whichever is lower.
    TooManyStreams { limit: u32, open: usize },
    /// Too many octets of earlier bodies wait for flow control.
    BodyBacklog { limit: usize, pending: usize },
    /// The body is larger than [`Config::max_body`](super::Config::max_body), octets.
    BodyTooLarge { limit: usize, got: usize },
    /// The header list is larger than the server takes, octets as RFC 9113, 10.5.1 counts them.
    HeaderListTooLarge { limit: u32, got: usize },
    /// A pseudo-header field that cannot be sent; which one.
    InvalidPseudoHeader(&'static str),
    /// `headers[index]` cannot be sent: a name that is not lower-case token characters or is
    /// specific to HTTP/1 connections, or a value with NUL, CR, LF or blanks around it.
    InvalidHeader { index: usize },
    /// `limit` PINGs wait for their answer already.
    TooManyPings { limit: usize },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection is closed"),
            Self::GoingAway => f.write_str("the server is going away"),
            Self::StreamIdsExhausted => f.write_str("no stream identifiers left"),
            Self::TooManyStreams { limit, open } => {
                write!(f, "{open} streams are open, limit {limit}")
            }
            Self::BodyBacklog { limit, pending } => {
                write!(f, "{pending} octets wait for flow control, limit {limit}")
            }
            Self::BodyTooLarge { limit, got } => {
                write!(f, "body of {got} octets, limit {limit}")
            }
            Self::HeaderListTooLarge { limit, got } => {
                write!(f, "header list of {got} octets, the server takes {limit}")
            }
            Self::InvalidPseudoHeader(name) => write!(f, "invalid {name}"),
            Self::InvalidHeader { index } => write!(f, "header {index} cannot be sent"),
            Self::TooManyPings { limit } => write!(f, "{limit} pings are in flight"),
        }
    }
}

impl std::error::Error for SendError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_codes_survive_and_print_in_hex() {
        let code = ErrorCode::new(0xbeef);
        assert_eq!(code.value(), 0xbeef);
        assert_eq!(format!("{code:?}"), "ErrorCode(0xbeef)");
        assert_eq!(ErrorCode::new(0x07), ErrorCode::REFUSED_STREAM);
    }

    #[test]
    fn an_http_1_answer_is_named_as_such() {
        let error = ConnectionError::NotHttp2 {
            head: *b"HTTP/1.1 ",
        };
        assert!(error.to_string().ends_with("\"HTTP/1.1 \""));
        assert_eq!(error.code(), ErrorCode::PROTOCOL_ERROR);
        assert_eq!(error.fault(), Fault::Peer);
    }

    #[test]
    fn settings_errors_differ_by_setting() {
        let window = ConnectionError::Setting {
            id: SettingId::INITIAL_WINDOW_SIZE,
            got: u32::MAX,
        };
        assert_eq!(window.code(), ErrorCode::FLOW_CONTROL_ERROR);
        let frame = ConnectionError::Setting {
            id: SettingId::MAX_FRAME_SIZE,
            got: 1,
        };
        assert_eq!(frame.code(), ErrorCode::PROTOCOL_ERROR);
    }
}
