//! What happened on a connection, as data for the caller.
//!
//! Source: RFC 9113, 5.1 (ends of a stream), 6.8 (GOAWAY), 8.7 (what may be sent again).
//!
//! Every stream that `send_request` opened ends in exactly one of these, unless the caller ended
//! it with `reset`:
//!
//! ```text
//! event                                   processed by the server?
//! --------------------------------------  -----------------------------------------------
//! Response, Data or Trailers, end_stream  yes, this is the answer
//! Reset { processed: No }                 no (REFUSED_STREAM): safe to send again
//! Unprocessed                             no (above GOAWAY's last stream): safe to send again
//! Reset { processed: Maybe }              not known
//! Malformed                               most likely; its answer made no sense
//! Lost                                    not known; see its field
//! ```

use super::error::ErrorCode;
use super::header_list::HeaderList;
use super::response::Malformed;
use super::stream_id::StreamId;

/// Something the caller has to know of. [`ends`](Self::ends) tells which stream it ends.
///
/// `stream` is the one `send_request` returned; `end_stream` says that nothing follows on it.
#[expect(
    missing_docs,
    reason = "the fields follow one scheme, which is documented"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The final response head; interim (1xx) ones are swallowed. `headers` is without `:status`.
    Response {
        stream: StreamId,
        status: u16,
        headers: HeaderList,
        end_stream: bool,
    },
    /// A piece of the response body; empty only if `end_stream`.
    Data {
        stream: StreamId,
        bytes: Vec<u8>,
        end_stream: bool,
    },
    /// The fields after the body. Ends the stream.
    Trailers {
        stream: StreamId,
        headers: HeaderList,
    },
    /// The peer gave the stream up (RST_STREAM).
    Reset {
        stream: StreamId,
        code: ErrorCode,
        processed: Processed,
    },
    /// We gave the stream up, since the response broke the protocol.
    Malformed { stream: StreamId, reason: Malformed },
    /// The stream is above a GOAWAY's last stream: "not processed and can be retried" (6.8).
    Unprocessed { stream: StreamId },
    /// The connection ended before the stream did, or the server disowns a stream that it had begun
    /// to answer. `request_complete` is whether the server can have acted on the request: it had
    /// been written to its end, or an answer had begun. If not, the server never saw all of the
    /// body.
    Lost {
        stream: StreamId,
        request_complete: bool,
    },
    /// The server takes no streams above `last_stream`, whose events follow. At most 4,096 octets
    /// of the debug data are kept. May come again with a lower `last_stream`.
    GoAway {
        last_stream: StreamId,
        code: ErrorCode,
        debug: Vec<u8>,
    },
    /// `max_concurrent_streams()` changed to this. `u32::MAX`: no limit.
    MaxConcurrentStreams(u32),
    /// The answer to a PING of ours.
    Pong { payload: [u8; 8] },
}

/// Whether a request may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processed {
    /// Certainly not: sending it again cannot duplicate.
    No,
    /// Not known.
    Maybe,
}

impl Event {
    /// The stream whose last event this is.
    pub fn ends(&self) -> Option<StreamId> {
        match *self {
            Self::Response {
                stream,
                end_stream: true,
                ..
            }
            | Self::Data {
                stream,
                end_stream: true,
                ..
            }
            | Self::Trailers { stream, .. }
            | Self::Reset { stream, .. }
            | Self::Malformed { stream, .. }
            | Self::Unprocessed { stream }
            | Self::Lost { stream, .. } => Some(stream),
            _ => None,
        }
    }

    /// Octets it takes in a queue.
    pub(super) fn cost(&self) -> usize {
        let heap = match self {
            Self::Response { headers, .. } | Self::Trailers { headers, .. } => headers.heap_len(),
            Self::Data { bytes, .. } => bytes.len(),
            Self::GoAway { debug, .. } => debug.len(),
            _ => 0,
        };
        size_of::<Self>() + heap
    }
}
