//! The lane of one credential in one environment, over HTTP/2.
//!
//! ```text
//!            ┌─ queue ◄─────────────── held: until their device may get one, until 15 minutes
//!            ▼                          ▲    after a server's error, until there is a new token
//!   pool of connections ── refused, may be sent again ──┘
//!            │  └──────── not processed ─► queue
//!            ▼
//!         outcome
//! ```
//!
//! | part | |
//! |---|---|
//! | `answers.rs` | what an answer means for notification, connection and lane |
//! | `lane.rs` | what goes in and comes out |
//! | `growth.rs`, `pool.rs` | how many connections |
//! | `connection.rs`, `medium.rs` | one of them: ours, or those of the platform |
//! | `pace.rs` | how quickly they follow each other |
//! | `tokens.rs` | which provider token |
//! | `platform.rs` | a request handed to the platform, and what came of it |
//! | `news.rs`, `bulletin.rs` | what the operator would want to hear of |
//! | `turns.rs`, `turn_state.rs` | when one may be, where others share the connection |
//! | `endings.rs` | what ends without an answer, and what is said of it |
//!
//! All connections of a lane are one credential's: never two teams or certificates on one
//! connection. The lane of a key is given a provider token before anything else, and the newer ones
//! later. That of a certificate is never given one, its connections prove who we are: its requests
//! have no `authorization`, a new connection takes as many as the peer's SETTINGS say, and a
//! refusal that speaks of provider tokens asks for none.

mod answers;
mod bulletin;
mod connection;
mod endings;
mod growth;
mod lane;
mod medium;
mod news;
mod pace;
mod platform;
mod pool;
mod tokens;
mod turn_state;
mod turns;

pub use lane::{ProviderConfig, ProviderLane};
pub use medium::Transport;

#[cfg(test)]
pub(super) mod tests;
