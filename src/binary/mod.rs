//! The legacy binary gateway and the feedback service: a
//! [`Notification`](crate::notification::Notification) turned into bytes, and bytes turned into
//! what became of it.
//!
//! Source: Apple's archived *Local and Remote Notification Programming Guide*, appendix *Binary
//! Provider API*, and an earlier edition of it for commands 0 and 1. Apple retired all of this on
//! 31 March 2021: the other side is a simulator or a private gateway. All numbers are big endian.
//!
//! ```text
//! Notification ─► Window::push ─► Identifier ─► Frame::encode ─► bytes to the gateway
//! bytes back ───► ErrorResponses ─► Window::handle_error ─► Verdict: (job, Outcome) each
//! feedback ─────► Feedback ─► FeedbackEntry: a dead token and since when
//! ```
//!
//! Command 2, a frame of items; the length counts what follows it:
//!
//! ```text
//! ┌──────┬───────────┬───────┐
//! │ 0x02 │ length: 4 │ items │      each item:
//! └──────┴───────────┴───────┘
//! ┌──────┬─────────────────┬──────────────────────────────────┐
//! │ 0x01 │ length: 2       │ token, 1 to 100 bytes            │
//! │ 0x02 │ length: 2       │ payload, at most 2048 bytes      │
//! │ 0x03 │ length: 2, = 4  │ identifier: 4          optional  │
//! │ 0x04 │ length: 2, = 4  │ expires, seconds: 4    optional  │
//! │ 0x05 │ length: 2, = 1  │ priority, 10 or 5: 1   optional  │
//! └──────┴─────────────────┴──────────────────────────────────┘
//! ```
//!
//! Commands 1 and 0:
//!
//! ```text
//! ┌──────┬───────────────┬────────────┬───────────┬───────┬───────────┬─────────┐
//! │ 0x01 │ identifier: 4 │ expires: 4 │ length: 2 │ token │ length: 2 │ payload │
//! └──────┴───────────────┴────────────┼───────────┼───────┼───────────┼─────────┤
//!                              │ 0x00 │ length: 2 │ token │ length: 2 │ payload │
//!                              └──────┴───────────┴───────┴───────────┴─────────┘
//! ```
//!
//! An error response, after which the gateway closes; and a feedback tuple:
//!
//! ```text
//! ┌──────┬───────────┬───────────────┐     ┌─────────┬───────────┬───────┐
//! │ 0x08 │ status: 1 │ identifier: 4 │     │ time: 4 │ length: 2 │ token │
//! └──────┴───────────┴───────────────┘     └─────────┴───────────┴───────┘
//! ```
//!
//! Invariants:
//!
//! - The gateway never says that it took something. What is known is known from an error response:
//!   everything before the notification it names was taken, everything after it was dropped.
//! - Every job pushed into a [`Window`] comes out of it once.
//! - Nothing is sent again unless the gateway has certainly not taken it.
//! - Decoders take bytes cut anywhere, hold a bounded number of them and never panic.
//!
//! Limits: [`limits`]. Left to others: connections, certificates, when to send a probe, and what a
//! dead token means for the registry.

mod error_response;
mod feedback;
mod frame;
mod identifier;
pub mod limits;
#[cfg(test)]
pub(crate) mod simulation;
mod verdict;
mod window;

pub use error_response::{ErrorResponse, ErrorResponses, GatewayStatus, UnreadableResponse};
pub use feedback::{Entries, Feedback, FeedbackEntry, Truncated, Tuple};
pub use frame::{Command, Dialect, Frame, Unsendable, encode_probe};
pub use identifier::Identifier;
pub use verdict::{Cause, Verdict};
pub use window::{Full, Window};
