//! Notifications in, outcomes out: which connection carries what, what is sent again and when, what
//! is lost.
//!
//! Sans-IO like the rest of the core. A [`Way`] leads from one credential to one environment: a
//! bounded queue in front of the connections that the caller opens when asked to. There are two,
//! [`Lane`] over HTTP/2, which carries every kind of [`Message`](crate::provider::Message), and
//! [`GatewayLane`] to the legacy binary gateway, for notifications alone. A lane has connections of its
//! own, or hands its requests to the platform's client ([`Transport`]); what becomes of a notification
//! is decided by the same code.
//!
//! ```text
//!   submit ─► queue ─► link (one connection) ─► outcome
//!               ▲          │ certainly not processed: GOAWAY below it, REFUSED_STREAM, request
//!               ├──────────┤ cut short; on the gateway, whatever followed the one it refused
//!               │          │
//!               └── held ◄─┘ refused, and may be asked again: `retry.rs`, `spacing.rs`
//! ```
//!
//! How APNs is doing decides whether anything is sent at all: `backoff.rs` for connects,
//! `breaker.rs` for server errors.
//!
//! Invariants:
//! - every notification handed in comes back as exactly one outcome, at its deadline at the latest;
//! - what a peer may have acted on is never sent again; it ends as `Unanswered`;
//! - a link that was told to go away, or that stopped answering, gets nothing new;
//! - over HTTP/2 nothing is put on a connection for a fifth time after four attempts that were
//!   answered or may have been acted on, or again after its expiration; what certainly was not
//!   processed is no attempt.

mod backoff;
mod breaker;
mod carrier;
mod clock;
mod entropy;
mod gateway;
mod jobs;
mod lane;
mod link;
mod retry;
mod spacing;
pub mod turn;
mod way;

pub use carrier::{ExchangeId, Transport};
pub use gateway::{GatewayConfig, GatewayLane};
pub use jobs::JobId;
pub use lane::{Lane, LaneConfig};
pub use link::LinkId;
pub use way::{
    Action, Delivered, ExchangeFailure, ExchangeRequest, ExchangeResponse, News, Order, QueueFull,
    Status, Way,
};

/// Observers of vectors.
#[cfg(test)]
pub(crate) mod vectors {
    pub(crate) use super::gateway::tests::vectors::{buffered, resent};
    pub(crate) use super::lane::tests::vectors::{goaway, streams};
}
