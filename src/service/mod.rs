//! What each call does, whatever it runs on: decided here, and tested natively with a store, a
//! clock and lanes to APNs that are passed in.
//!
//! ```text
//!   http ─► push, devices, channels, broadcasts, tasks ─┬─► registry, receipt, feedback
//!                     │ App: settings, signers, lanes   ├─► Store      keys in, values out
//!                     │                                 ├─► Sender     messages in, outcomes out
//!                     └─ Turns                          └─► Platform   clocks, randomness, turns
//!
//!   outcomes, news of lanes, ─► Operator ─┬─► Alarms ─► lines: ERROR, later INFO
//!   guard, full queues                    └─► Counters ─► increments for the host
//! ```
//!
//! An instance serves many calls on one thread, so whatever a request decides the length of goes on
//! for a few milliseconds at most and then lets the others have their turn: `Turns`. No borrow of
//! a cell is held across an `await`.

mod alarms;
mod broadcasts;
mod channels;
mod client_turns;
mod counters;
mod devices;
mod dialing;
mod feedback_poll;
mod http;
mod idempotency;
mod lane_report;
mod lines;
mod lock;
mod operator;
mod platform;
mod push;
mod recipients;
mod refusal;
mod sender;
mod signal;
mod signer;
mod state;
mod store;
mod sweep;
mod tasks;
mod turns;
mod upload;

#[cfg(test)]
mod tests;

pub use alarms::{AlarmLine, Alarms, INTERVAL, Level, Standing};
pub use counters::{Count, Counters};
pub use dialing::first_connection;
pub use http::{Answered, BODY_MAX_BYTES, RequestHead, answer, body_too_large};
pub use lane_report::LaneReport;
pub use lines::{LinesIn, LinesOut, More};
pub use operator::{LaneName, Operator};
pub use platform::{Platform, Process, random_u64};
pub use refusal::{Kind, Refusal};
pub use sender::{Destination, Inbox, LanePlan, List, Proxy, Sender};
pub use signal::{First, Signal, first};
pub use state::{App, Configured, Runtime};
pub use store::{Keys, Store, StoreError};
pub use upload::Upload;

use turns::Turns;
