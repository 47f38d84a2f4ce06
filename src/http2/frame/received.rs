//! A frame as it is received: [`Frame`].

use super::settings::SettingsPayload;
use crate::http2::error::ErrorCode;
use crate::http2::stream_id::StreamId;

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
