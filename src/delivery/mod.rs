//! Notifications in, outcomes out: which connection carries what, what is sent again and when, what
//! is lost.
//!
//! Sans-IO like the rest of the core. A [`Lane`] leads from one credential to one environment: a
//! bounded queue in front of the connections that the caller opens when asked to. There are two
//! kinds, [`ProviderLane`] over HTTP/2, which carries every kind of
//! [`Message`](crate::provider::Message), and [`GatewayLane`] to the legacy binary gateway, for
//! notifications alone. A lane has connections of its own, or hands its requests to the platform's
//! client ([`Transport`]); what becomes of a notification is decided by the same code.
//!
//! ```text
//!   submit ─► queue ─► connection ─────────────► outcome
//!               ▲          │ certainly not processed: GOAWAY below it, REFUSED_STREAM, request
//!               ├──────────┤ cut short; on the gateway, whatever followed the one it refused
//!               │          │
//!               └── held ◄─┘ refused, and may be asked again: `policy/`
//! ```
//!
//! How APNs is doing decides whether anything is sent at all: `policy/backoff.rs` for connects,
//! `policy/breaker.rs` for server errors.
//!
//! Invariants:
//! - every notification handed in comes back as exactly one outcome, at its deadline at the latest;
//! - what a peer may have acted on is never sent again; it ends as `Unanswered`;
//! - a connection that was told to go away, or that stopped answering, gets nothing new;
//! - over HTTP/2 nothing is put on a connection for a fifth time after four attempts that were
//!   answered or may have been acted on, or again after its expiration; what certainly was not
//!   processed is no attempt.

mod action;
mod clock;
mod exchange;
mod gateway;
mod ids;
mod lane;
mod policy;
mod provider;
mod queue;
mod submission;
pub mod turn;

pub use action::{Action, News, Status};
pub use exchange::{ExchangeFailure, ExchangeRequest, ExchangeResponse};
pub use gateway::{GatewayConfig, GatewayLane};
pub use ids::{ConnectionId, ExchangeId, JobId};
pub use lane::Lane;
pub use provider::{ProviderConfig, ProviderLane, Transport};
pub use submission::{Delivered, QueueFull, Submission};

/// Observers of vectors.
#[cfg(test)]
pub(crate) mod vectors {
    pub(crate) use super::gateway::tests::vectors::{buffered, resent};
    pub(crate) use super::provider::tests::vectors::{goaway, streams};
}
