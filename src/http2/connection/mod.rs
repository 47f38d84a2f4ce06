//! The state of one connection: octets of the server and requests of the caller in, octets to
//! write and [`Event`]s out.
//!
//! Source: RFC 9113, 3.4, 5, 6.
//!
//! ```text
//!            send_request reset ping close                  handle_input handle_timeout handle_eof
//!                     |                                               |
//!                     v                                               v
//!   +-------------------------------------- Connection ---------------------------------------+
//!   | send.rs      requests, bodies, windows     input.rs     octets -> frames, their order    |
//!   | streams.rs   open streams                  receive.rs   responses                        |
//!   | flow.rs      window arithmetic             settings.rs  parameters, both sides' ACKs     |
//!   | queue.rs     events that wait              budget.rs    frames without use               |
//!   |              ending.rs   every way a stream or the connection ends                       |
//!   +-----------------------------------------------------------------------------------------+
//!                     |                                               |
//!                     v                                               v
//!             out: &mut Vec<u8>                             poll_event, poll_timeout
//! ```
//!
//! Life of a connection:
//!
//! ```text
//!   new() -> Open --- GOAWAY received ---> Open, going away --+
//!             |                                               |
//!             +-- close(), handle_eof() --------> Closed <----+   input is ignored
//!             +-- any ConnectionError ----------> Failed          input gets the same error
//! ```
//!
//! Invariants:
//!
//! - A stream is in the table exactly until the event that ends it is queued (or the caller ends
//!   it by `reset`), so every stream ends in one event.
//! - Streams wait in `ready` only while the connection's send window is used up.
//! - Whatever is appended to `out` must reach the server completely and in this order, also after
//!   an error: then it ends with GOAWAY.

mod budget;
mod ending;
mod flow;
mod input;
mod queue;
mod receive;
mod send;
mod settings;
mod streams;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use budget::Budget;
use flow::{ReceiveWindow, SendWindow};
use queue::EventQueue;
use streams::Streams;

use super::config::Config;
use super::error::ConnectionError;
use super::event::Event;
use super::frame::{self, SettingId, control};
use super::header_list::HeaderList;
use super::hpack::{Decoder, Encoder, HuffmanUse};
use super::limits::{DEFAULT_WINDOW, MIN_MAX_FRAME_SIZE};
use super::stream_id::StreamId;
use crate::time::Now;

/// The client side of one HTTP/2 connection.
///
/// Methods come in four kinds:
///
/// - getters;
/// - commands: [`send_request`](Self::send_request), [`reset`](Self::reset),
///   [`ping`](Self::ping), [`close`](Self::close);
/// - input: [`handle_input`](Self::handle_input), [`handle_timeout`](Self::handle_timeout),
///   [`handle_eof`](Self::handle_eof);
/// - output: [`poll_event`](Self::poll_event), [`poll_timeout`](Self::poll_timeout), and what the
///   others append to `out`.
///
/// After every input poll the events until there are none, write `out`, and sleep until
/// `poll_timeout`. `now` never goes backwards. Nothing here sends by itself: a request that is
/// never answered stays open until the caller's own deadline makes it call `reset`.
///
/// Memory: at most one incomplete frame, one header block, both HPACK tables, the open streams
/// with their pending bodies, and the events; each has its bound in [`Config`].
#[derive(Debug)]
pub struct Connection {
    config: Config,
    life: Life,
    /// The beginning of a frame whose rest has not arrived. Bound: `max_frame_size` and 9.
    partial: Vec<u8>,
    /// The beginning of a header block. Bound: see `receive.rs`.
    open_block: Option<OpenBlock>,
    encoder: Encoder,
    decoder: Decoder,
    /// Reused for every header block. Bound: `max_header_list_size` and one field.
    fields: HeaderList,
    streams: Streams,
    /// `None` when all are used up.
    next_stream: Option<StreamId>,
    send: SendWindow,
    receive: ReceiveWindow,
    /// Streams with a body to send and a window of their own. Bound: see `send.rs`.
    ready: VecDeque<StreamId>,
    peer: PeerSettings,
    timers: Timers,
    /// Last stream of the latest GOAWAY.
    goaway: Option<StreamId>,
    budget: Budget,
    events: EventQueue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    Closed,
    Failed(ConnectionError),
}

/// What the peer's SETTINGS said so far.
#[derive(Debug)]
struct PeerSettings {
    is_received: bool,
    max_concurrent_streams: u32,
    initial_window: u32,
    /// Octets of payload, 16,384 to 2^24-1.
    max_frame_size: usize,
    max_header_list_size: u32,
}

/// Everything that happens at a time: the two kinds of answers we wait for.
#[derive(Debug)]
struct Timers {
    /// Our SETTINGS have to be acknowledged by then; `None` once they are.
    settings_ack: Option<Now>,
    /// Each PING that was not answered has to be by then, oldest first.
    /// Bound: `MAX_PINGS_IN_FLIGHT`.
    pings: VecDeque<([u8; 8], Now)>,
}

/// A header block of which CONTINUATION frames are missing.
#[derive(Debug)]
struct OpenBlock {
    stream: StreamId,
    end_stream: bool,
    bytes: Vec<u8>,
    continuations: u32,
}

impl Connection {
    /// Begins a connection: appends the preface, our SETTINGS, and a WINDOW_UPDATE for the
    /// connection if its window is to be larger than the protocol's 65,535.
    ///
    /// Requests may follow at once, as many as `config.assumed_max_concurrent_streams`.
    pub fn new(config: Config, now: Now, out: &mut Vec<u8>) -> Self {
        let config = config.clamped();
        out.extend_from_slice(frame::PREFACE);
        frame::settings::write(
            out,
            &[
                (SettingId::HEADER_TABLE_SIZE, config.header_table_size),
                (SettingId::ENABLE_PUSH, 0),
                (SettingId::INITIAL_WINDOW_SIZE, config.initial_window),
                (SettingId::MAX_FRAME_SIZE, config.max_frame_size),
                (SettingId::MAX_HEADER_LIST_SIZE, config.max_header_list_size),
            ],
        );
        let increment = config.connection_window - DEFAULT_WINDOW;
        if increment > 0 {
            control::write_window_update(out, StreamId::CONNECTION, increment);
        }
        let list_limit = config.max_header_list_size as usize;
        Self {
            life: Life::Open,
            partial: Vec::new(),
            open_block: None,
            encoder: Encoder::new(HuffmanUse::Indexed),
            decoder: Decoder::new(config.header_table_size, list_limit),
            fields: HeaderList::new(),
            streams: Streams::default(),
            next_stream: Some(StreamId::FIRST),
            send: SendWindow::new(DEFAULT_WINDOW),
            receive: ReceiveWindow::new(config.connection_window, config.connection_window),
            ready: VecDeque::new(),
            peer: PeerSettings {
                is_received: false,
                max_concurrent_streams: config.assumed_max_concurrent_streams,
                initial_window: DEFAULT_WINDOW,
                max_frame_size: MIN_MAX_FRAME_SIZE as usize,
                max_header_list_size: u32::MAX,
            },
            timers: Timers {
                settings_ack: Some(now + config.settings_timeout),
                pings: VecDeque::new(),
            },
            goaway: None,
            budget: Budget::new(now),
            events: EventQueue::new(config.max_event_bytes),
            config,
        }
    }

    /// How many streams the peer lets us open; until its first SETTINGS what the configuration
    /// assumes, `u32::MAX` if it sets no limit. Changes come as an event.
    pub fn max_concurrent_streams(&self) -> u32 {
        self.peer.max_concurrent_streams
    }

    /// Streams that have not ended.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// How many more streams may be opened now. 0 if the connection is closed or going away, has
    /// no identifiers left, or has `max_pending_body` octets waiting for flow control; since a
    /// request may change the latter, ask again after each.
    pub fn available_streams(&self) -> usize {
        match self.refusal() {
            Some(_) => 0,
            None => {
                let left = self
                    .next_stream
                    .map_or(0, |id| (StreamId::MAX.value() - id.value()) / 2 + 1);
                (self.stream_limit() as usize)
                    .saturating_sub(self.streams.len())
                    .min(left as usize)
            }
        }
    }

    /// Whether the server has announced the end; open streams may still be answered.
    pub fn is_going_away(&self) -> bool {
        self.goaway.is_some()
    }

    /// Whether the connection is over. Events may still be waiting.
    pub fn is_closed(&self) -> bool {
        self.life != Life::Open
    }

    /// Whether the peer's SETTINGS have arrived, that is whether it speaks HTTP/2.
    pub fn is_settings_received(&self) -> bool {
        self.peer.is_received
    }

    /// Octets of request bodies that wait for the peer's windows.
    pub fn pending_body_bytes(&self) -> usize {
        self.streams.pending_bytes()
    }

    /// Octets of input that are kept because a frame or a header block is not complete.
    pub fn buffered_bytes(&self) -> usize {
        self.partial.len()
            + self
                .open_block
                .as_ref()
                .map_or(0, |block| block.bytes.len())
    }

    /// The next event, in the order things happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; changes with every other call.
    pub fn poll_timeout(&self) -> Option<Now> {
        if self.is_closed() {
            return None;
        }
        let ping = self.timers.pings.front().map(|&(_, due)| due);
        self.timers.settings_ack.into_iter().chain(ping).min()
    }
}
