//! HTTP/2, the client side: requests and the server's octets in, octets to write and events out.
//!
//! Never touches a socket, a clock or randomness, and knows nothing of APNs: time and octets are
//! arguments. Source: RFC 9113 (HTTP/2), RFC 7541 (HPACK).
//!
//! ```text
//!  Request --> send_request --+                +--> out: &mut Vec<u8> --> TLS
//!                             |   Connection   |
//!  TLS ------> handle_input --+                +--> poll_event --> Event
//!  clock ----> handle_timeout-+                +--> poll_timeout --> Now
//! ```
//!
//! | part | |
//! |---|---|
//! | `connection/` | the state machine: streams, flow control, GOAWAY, floods, timers |
//! | `frame/` | frames, both ways |
//! | `hpack/` | header compression, both ways |
//! | `request.rs` `response.rs` `field.rs` | what a message may say |
//! | `config.rs` `limits.rs` | every number |
//! | `error.rs` `event.rs` | what can go wrong, what can happen |
//! | `fuzz.rs` | hostile input with the invariants asserted |
//!
//! Invariants:
//!
//! - Every stream ends in exactly one event (see `event.rs`), or by the caller's `reset`.
//! - No input makes this panic, and none makes it keep more than the bounds in [`Config`].
//! - Where input is split changes nothing.
//! - The peer's `SETTINGS_MAX_CONCURRENT_STREAMS` is never exceeded by a request made after it
//!   arrived; a lower value does not end streams that are open.
//!
//! Deliberately absent: server push (refused), priority (ignored; Apple asks not to send it),
//! padding of our own, CONNECT and extended CONNECT, the HTTP/1 upgrade, streaming request
//! bodies (a request is handed in whole), changing our SETTINGS later.
//!
//! Deviations, all allowed by RFC 9113: frames on streams that have ended are ignored instead of
//! answered by STREAM_CLOSED (5.1; we keep no list of ended streams, and after a reset of ours
//! they are legal); PRIORITY of a wrong size ends the connection instead of the stream (5.4.1).

mod config;
mod connection;
mod error;
mod event;
mod field;
mod frame;
pub mod fuzz;
mod header_list;
mod hpack;
mod limits;
mod request;
mod response;
mod stream_id;
mod template;

pub use config::Config;
pub use connection::Connection;
pub use error::{ConnectionError, ErrorCode, Fault, SendError};
pub use event::{Event, Processed};
pub use frame::{FrameType, SettingId};
pub use header_list::{HeaderList, Iter as HeaderIter};
pub use hpack::{HpackError, Indexing};
pub use request::{Header, Request};
pub use response::Malformed;
pub use stream_id::StreamId;
pub use template::{Differing, Template};
