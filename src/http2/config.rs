//! What the owner of a connection may choose.
//!
//! Source: RFC 9113, 6.5.2 for what is sent as a setting; the defaults are in `limits.rs`.

use core::time::Duration;

use super::limits;

/// Choices for one connection. Values outside a field's range are moved to its nearest end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How much of one response body the peer may send before we have read it, octets.
    /// At most 2^31-1. Default 65,535.
    pub initial_window: u32,
    /// The same for all responses together, octets. At least 65,535, since the protocol cannot
    /// lower it. Default 1 MiB.
    pub connection_window: u32,
    /// Largest frame payload we take, octets: 16,384 (default) to 2^24-1. One frame that is
    /// incomplete is buffered, so this bounds that buffer.
    pub max_frame_size: u32,
    /// Largest header list we take, octets as RFC 9113, 10.5.1 counts them (32 more per field).
    /// A response above it ends as [`Malformed`](super::Malformed), and one whose compressed block
    /// is twice as large ends the connection. Default 16 KiB.
    pub max_header_list_size: u32,
    /// Our decoder's dynamic table, octets; at most 65,536. Default 4,096.
    pub header_table_size: u32,
    /// How many streams to open before the peer's first SETTINGS say. Default 1: with token
    /// authentication APNs wants a single stream until a token has been accepted.
    pub assumed_max_concurrent_streams: u32,
    /// Our own bound on open streams, whatever the peer allows; each takes about 150 octets.
    /// Default 4,096.
    pub max_open_streams: u32,
    /// Largest request body, octets. Default 1 MiB.
    pub max_body: usize,
    /// No further requests while at least this much of earlier bodies waits for flow control,
    /// octets. What waits is never more than this plus one body. Default 1 MiB.
    pub max_pending_body: usize,
    /// Largest backlog of events, octets; above it the connection fails, since the caller has to
    /// poll after every input. One input may overshoot it by one frame. Default 4 MiB.
    pub max_event_bytes: usize,
    /// How long the peer may take to acknowledge our SETTINGS. Default 10 s.
    pub settings_timeout: Duration,
    /// How long the peer may take to answer a PING. Default 20 s.
    pub ping_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            initial_window: limits::DEFAULT_WINDOW,
            connection_window: limits::CONNECTION_WINDOW,
            max_frame_size: limits::MIN_MAX_FRAME_SIZE,
            max_header_list_size: limits::MAX_HEADER_LIST_SIZE,
            header_table_size: limits::DEFAULT_HEADER_TABLE_SIZE,
            assumed_max_concurrent_streams: 1,
            max_open_streams: limits::MAX_OPEN_STREAMS,
            max_body: limits::MAX_BODY,
            max_pending_body: limits::MAX_PENDING_BODY,
            max_event_bytes: limits::MAX_EVENT_BYTES,
            settings_timeout: limits::SETTINGS_TIMEOUT,
            ping_timeout: limits::PING_TIMEOUT,
        }
    }
}

impl Config {
    /// With every value in its range.
    pub(super) fn clamped(self) -> Self {
        let frame_sizes = limits::MIN_MAX_FRAME_SIZE..=limits::MAX_MAX_FRAME_SIZE;
        Self {
            initial_window: self.initial_window.min(limits::MAX_WINDOW),
            connection_window: self
                .connection_window
                .clamp(limits::DEFAULT_WINDOW, limits::MAX_WINDOW),
            max_frame_size: self
                .max_frame_size
                .clamp(*frame_sizes.start(), *frame_sizes.end()),
            header_table_size: self.header_table_size.min(limits::MAX_DECODER_TABLE_SIZE),
            ..self
        }
    }
}
