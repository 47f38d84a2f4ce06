//! The commands of the binary `dunlin`: what it is told on its command line and in `dunlin.toml`,
//! carried out by the host's library or asked of a service that is running.
//!
//! ```text
//!   serve, dev ──────────────► config ─► serve ─► dunlin_host
//!   simulate, dev ───────────► dunlin_simulator
//!   push, devices, feedback, ┬─ the store is free ─► the component, here
//!   sweep, import, export    └─ otherwise ─────────► client ─► a running service
//!   status ──────────────────► client
//!   store ───────────────────► dunlin_host::store
//!   doctor ──────────────────► certificates, keys, APNs
//! ```
//!
//! The library exists for the binary and for the tests that drive the whole thing.

mod allow_list;
pub mod bulk;
pub mod certificate_expiry;
mod certificate_uses;
pub mod client;
pub mod commands;
pub mod config;
pub mod dev;
pub mod doctor;
mod error;
pub mod export;
mod exposition;
pub mod hangup;
pub mod import;
pub mod logging;
pub mod output;
pub mod progress;
pub mod serve;
pub mod simulate;
pub mod status;
pub mod store;
pub mod tokens;
pub mod waits;

pub use error::Error;
