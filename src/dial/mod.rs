//! The way to a server, before anything is said to it: which of its addresses is tried when, and how a
//! proxy is asked for a tunnel.
//!
//! ```text
//!   addresses ─► Race ─► attempts ─► the first connection ─► Tunnel (if there is a proxy) ─► TLS
//! ```
//!
//! Knows nothing of APNs, and is used by whoever connects: the component, and `dunlin doctor`.

mod race;
mod tunnel;

pub use race::{ATTEMPT_DELAY, MAX_ADDRESSES, Race, in_order};
pub use tunnel::{
    Authority, Credentials, HEAD_MAX_BYTES, InvalidAuthority, InvalidCredentials, Progress, Tunnel,
    TunnelError,
};
