//! Every number of this module that comes from the protocol or guards against a peer.
//!
//! Source: RFC 9113 (HTTP/2) and RFC 7541 (HPACK), section given per constant. A number without a
//! section is our own choice, with its reason.
//!
//! What a caller may want to change is a field of [`Config`](super::Config) instead; its default
//! is here.

use core::time::Duration;

/// Octets of a frame head. RFC 9113, 4.1.
pub const FRAME_HEAD_LEN: usize = 9;

/// Flow-control window of a connection and of a new stream before any change. RFC 9113, 6.9.2.
pub const DEFAULT_WINDOW: u32 = 65_535;

/// No flow-control window may be larger. RFC 9113, 6.9.1.
pub const MAX_WINDOW: u32 = 0x7fff_ffff;

/// Initial and least value of `SETTINGS_MAX_FRAME_SIZE`, octets of payload. RFC 9113, 6.5.2.
pub const MIN_MAX_FRAME_SIZE: u32 = 0x4000;

/// Largest value of `SETTINGS_MAX_FRAME_SIZE`. RFC 9113, 6.5.2.
pub const MAX_MAX_FRAME_SIZE: u32 = 0x00ff_ffff;

/// Identifiers are 31 bits. RFC 9113, 5.1.1.
pub const MAX_STREAM_ID: u32 = 0x7fff_ffff;

/// Initial value of `SETTINGS_HEADER_TABLE_SIZE`, octets as RFC 7541, 4.1 counts them.
pub const DEFAULT_HEADER_TABLE_SIZE: u32 = 4_096;

/// Our encoder's table never grows past this, however much the peer offers: a request has about
/// ten constant fields, and a larger table only makes the search for them longer.
pub const MAX_ENCODER_TABLE_SIZE: u32 = 4_096;

/// Our decoder's table is never larger than this, whatever the configuration says.
pub const MAX_DECODER_TABLE_SIZE: u32 = 65_536;

/// What an entry costs beyond its name and value, in a table and in a header list.
/// RFC 7541, 4.1; RFC 9113, 10.5.1.
pub const FIELD_OVERHEAD: usize = 32;

/// A compressed header block may be this many times `max_header_list_size`. Compression normally
/// makes a list smaller; the slack is for Huffman codes of rare octets (up to 30 bits each).
pub const HEADER_BLOCK_FACTOR: usize = 2;

/// CONTINUATION frames in one header block (RFC 9113, 10.5 warns of endless ones). With both
/// limits at their defaults an honest peer needs two.
pub const MAX_CONTINUATIONS: u32 = 32;

/// Octets of GOAWAY debug data that are kept; the rest is dropped. Apple sends about 46.
pub const MAX_GOAWAY_DEBUG: usize = 4_096;

/// PINGs of ours that may wait for their answer at once.
pub const MAX_PINGS_IN_FLIGHT: usize = 8;

/// Frames without use that a peer may send in one go; see `connection/budget.rs`.
pub const OVERHEAD_BURST: u32 = 4_000;

/// Frames without use that a peer may send in the long run. A peer that pings once a second is
/// far below, so a connection can idle for days.
pub const OVERHEAD_PER_SECOND: u32 = 100;

/// Frames without use that each useful thing pays for: a request, a response head, trailers.
pub const OVERHEAD_PER_PROGRESS: u32 = 8;

/// So many octets of a request body pay for one frame without use. A server answers a DATA frame,
/// 16,384 octets in a large body, with up to two WINDOW_UPDATEs.
pub const BODY_OCTETS_PER_OVERHEAD: usize = 2_048;

/// What a SETTINGS frame costs of that budget: it touches every open stream and wants an answer.
pub const SETTINGS_COST: u32 = 8;

/// What an interim (1xx) response costs of that budget: it has to be decompressed.
pub const INTERIM_COST: u32 = 4;

/// Default for [`Config::connection_window`](super::Config::connection_window), octets.
pub const CONNECTION_WINDOW: u32 = 1 << 20;

/// Default for [`Config::max_header_list_size`](super::Config::max_header_list_size), octets.
pub const MAX_HEADER_LIST_SIZE: u32 = 16_384;

/// Default for [`Config::max_open_streams`](super::Config::max_open_streams).
pub const MAX_OPEN_STREAMS: u32 = 4_096;

/// Default for [`Config::max_body`](super::Config::max_body), octets.
pub const MAX_BODY: usize = 1 << 20;

/// Default for [`Config::max_pending_body`](super::Config::max_pending_body), octets.
pub const MAX_PENDING_BODY: usize = 1 << 20;

/// Default for [`Config::max_event_bytes`](super::Config::max_event_bytes), octets.
pub const MAX_EVENT_BYTES: usize = 4 << 20;

/// Default for [`Config::settings_timeout`](super::Config::settings_timeout).
pub const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);

/// Default for [`Config::ping_timeout`](super::Config::ping_timeout).
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);
