//! Turns TLS connections into the feedback service: the retired protocol of ports 2196.
//!
//! Source: Apple, *Binary Provider API* (`docs/protocols.md`, section 2).
//!
//! ```text
//! client certificate -> topic -> its list, sent at once -> closed
//!     -> did the client close in good order?
//!            yes: what was sent is cleared
//!            no: the list stays
//! ```
//!
//! Decided here, where Apple is silent: "cleared after it is read" means that the client has closed
//! both TLS and TCP in good order after everything was sent. A client that dies in between finds
//! the same list at its next connect.

mod connection;
mod lists;

pub(crate) use self::connection::serve;
pub(crate) use self::lists::Lists;
pub use self::lists::{FeedbackError, FeedbackStats, MAX_FEEDBACK_BYTES, MAX_FEEDBACK_TOPICS};
