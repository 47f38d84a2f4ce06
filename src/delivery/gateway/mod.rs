//! The lane to the legacy binary gateway: [`GatewayLane`].
//!
//! Source: Apple's archived *Local and Remote Notification Programming Guide*, appendix *Binary
//! Provider API*. The gateway says nothing of what it takes. It answers the first notification it
//! dislikes, drops what follows, and closes; so certainty is made by a probe, a notification that
//! has to be refused:
//!
//! ```text
//!   to the gateway    1  2  3  4  probe ┆ to the next connection   4  5  6  probe
//!   from it                    3 is bad ┆                          the probe is bad
//!                     1, 2 accepted, 3 rejected, 4 dropped: sent again
//! ```
//!
//! | what happens | what becomes of it |
//! |---|---|
//! | quiet for 50 ms, or the oldest is a second old, or the window is full | a probe ends the flow; what comes meanwhile goes on another connection |
//! | nobody asked for confirmation | `Unconfirmed` a second after it was written; the connection stays |
//! | an error response names a notification or the probe | accepted before it, rejected, sent again after it |
//! | it names one that has been forgotten | all that are remembered came after it: sent again |
//! | it names 0 or what was not sent, cannot be read, or the connection closes | `Unanswered`, never sent again |
//! | the probe stays unanswered for 10 s | `Unanswered`, the connection is closed |
//!
//! Invariants, beside those of [the module](super):
//! - only what an error response proves to have been dropped is sent again;
//! - each error response that sends something again has ended something else, or names what was
//!   written on the same connection and had ended, so that the number of connections is bounded by
//!   that of notifications, bad ones, failures and probes: failures wait longer each time, probes
//!   are paced;
//! - identifiers count across connections, from 1.
//!
//! Command 0 has no identifiers: nothing can be confirmed, and no answer says anything.

mod connection;
mod lane;
mod probe_pace;

pub use lane::{GatewayConfig, GatewayLane};

#[cfg(test)]
pub(super) mod tests;
