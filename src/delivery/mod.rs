//! Notifications in, outcomes out: which connection carries what, what is sent again, what is lost.
//!
//! Sans-IO like the rest of the core. A [`Lane`] is the way from one credential to one environment:
//! a bounded queue in front of the connections that the caller opens when asked to.
//!
//! ```text
//!   submit ─► queue ─► link (one HTTP/2 connection) ─► outcome
//!               ▲          │ not processed: GOAWAY below it, REFUSED_STREAM, request cut short
//!               └──────────┘ (sent again, at most MAX_ATTEMPTS times)
//! ```
//!
//! Invariants:
//! - every notification handed in comes back as exactly one outcome, at its deadline at the latest;
//! - what a peer may have acted on is never sent again; it ends as `Unanswered`;
//! - a link that was told to go away, or that stopped answering, gets nothing new.
//!
//! Contract with the driver: after every call that takes `now`, drain [`Lane::poll_outcome`] and
//! [`Lane::poll_action`], write what [`Lane::poll_transmit`] appends, and set one timer to
//! [`Lane::poll_timeout`].

mod backoff;
mod jobs;
mod lane;
mod link;

pub use jobs::JobId;
pub use lane::{Action, Lane, LaneConfig, QueueFull};
pub use link::LinkId;
