//! Dunlin: everything that is Apple Push Notification service (APNs) logic, and nothing else.
//!
//! The core never reads a clock, a socket or randomness: inputs are `(now, bytes)`, outputs are
//! bytes appended to a caller's buffer, events and deadlines. It builds for
//! `wasm32-unknown-unknown` with no imports, and a test proves it. Only `component`, which exists
//! on WASI alone, touches the world.
//!
//! ```text
//! HTTP request ─► api ─► Notification ─► delivery ─► provider, http2 ─► bytes to APNs
//! bytes back ──► http2 ─► provider ─► Outcome ─► api reply
//!                          registry: what is known of each device
//! ```
//!
//! Dependencies go one way; what uses what is in `ARCHITECTURE.md`, and a test holds it.

pub mod api;
#[cfg(test)]
mod arrows;
pub mod auth;
pub mod binary;
#[cfg(all(target_os = "wasi", target_env = "p2", feature = "component"))]
pub mod component;
pub mod config;
pub mod delivery;
pub mod dial;
pub mod environment;
#[cfg(test)]
mod facts;
pub mod feedback;
#[cfg(test)]
mod house;
pub mod http2;
mod json;
pub mod limits;
mod names;
pub mod notification;
pub mod provider;
pub mod receipt;
pub mod registry;
mod ring;
pub mod service;
mod sorting;
pub mod terminal;
pub mod time;
pub mod tls_name;
#[cfg(test)]
mod vectors;
