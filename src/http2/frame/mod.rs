//! Frames: octets of a payload into a [`Frame`] that borrows from them, and frames of ours
//! appended to the caller's buffer.
//!
//! Source: RFC 9113, 4 and 6.
//!
//! | file | frames |
//! |---|---|
//! | `head.rs` | the nine octets in front, types, flags |
//! | `message.rs` | DATA, HEADERS, CONTINUATION (padding, priority, splitting) |
//! | `settings.rs` | SETTINGS |
//! | `control.rs` | RST_STREAM, PING, GOAWAY, WINDOW_UPDATE, PRIORITY |
//!
//! A payload is always whole when it gets here: [`head::split`] answers "need more" before, so
//! [`parse`] has only two results. It checks what a frame can tell by itself, that is lengths,
//! padding and whether the stream may be 0; everything that depends on the connection's state is
//! the connection's. Every error here ends the connection: the few that RFC 9113 calls stream
//! errors (PRIORITY of a wrong size) may be treated so (5.4.1).

pub mod control;
pub mod head;
pub mod message;
pub mod settings;

pub use head::{Flags, FrameType, Head};
pub use settings::SettingId;

use super::error::{ConnectionError, ErrorCode};
use super::stream_id::StreamId;
use settings::SettingsPayload;

/// What a client sends before its first frame. RFC 9113, 3.4.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as received, borrowing its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `counted` is what flow control counts: data, padding and the pad length (6.1).
    Data {
        stream: StreamId,
        data: &'a [u8],
        counted: u32,
        end_stream: bool,
    },
    /// A header block or its beginning, without padding and priority.
    Headers {
        stream: StreamId,
        block: &'a [u8],
        end_headers: bool,
        end_stream: bool,
    },
    Continuation {
        stream: StreamId,
        block: &'a [u8],
        end_headers: bool,
    },
    Priority,
    Reset {
        stream: StreamId,
        code: ErrorCode,
    },
    Settings(SettingsPayload<'a>),
    SettingsAck,
    PushPromise,
    Ping {
        payload: [u8; 8],
        ack: bool,
    },
    GoAway {
        last_stream: StreamId,
        code: ErrorCode,
        debug: &'a [u8],
    },
    /// `increment` may be 0, which is an error of the scope of `stream`.
    WindowUpdate {
        stream: StreamId,
        increment: u32,
    },
    /// A type that is not in RFC 9113: ignored (4.1).
    Unknown,
}

/// Turns a head and its whole payload into a frame.
pub fn parse<'a>(head: Head, payload: &'a [u8]) -> Result<Frame<'a>, ConnectionError> {
    match head.kind {
        FrameType::DATA => message::parse_data(head, payload),
        FrameType::HEADERS => message::parse_headers(head, payload),
        FrameType::CONTINUATION => message::parse_continuation(head, payload),
        FrameType::PRIORITY => control::parse_priority(head, payload),
        FrameType::RST_STREAM => control::parse_reset(head, payload),
        FrameType::SETTINGS => settings::parse(head, payload),
        FrameType::PUSH_PROMISE => Ok(Frame::PushPromise),
        FrameType::PING => control::parse_ping(head, payload),
        FrameType::GOAWAY => control::parse_go_away(head, payload),
        FrameType::WINDOW_UPDATE => control::parse_window_update(head, payload),
        _ => Ok(Frame::Unknown),
    }
}

/// For frames that belong to a stream.
fn require_stream(head: Head) -> Result<StreamId, ConnectionError> {
    if head.stream == StreamId::CONNECTION {
        let (kind, got) = (head.kind, head.stream);
        return Err(ConnectionError::WrongStream {
            kind,
            expected: "other than 0",
            got,
        });
    }
    Ok(head.stream)
}

/// For frames that belong to the connection.
fn require_connection(head: Head) -> Result<(), ConnectionError> {
    if head.stream != StreamId::CONNECTION {
        let (kind, got) = (head.kind, head.stream);
        return Err(ConnectionError::WrongStream {
            kind,
            expected: "0",
            got,
        });
    }
    Ok(())
}

/// A payload of exactly `N` octets.
fn exactly<const N: usize>(
    head: Head,
    payload: &[u8],
    expected: &'static str,
) -> Result<[u8; N], ConnectionError> {
    <[u8; N]>::try_from(payload).map_err(|_| ConnectionError::FrameLength {
        kind: head.kind,
        expected,
        got: payload.len(),
    })
}
