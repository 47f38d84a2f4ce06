//! The way to a server, before anything is said to it: which of its addresses is tried when, and
//! how a proxy is asked for a tunnel.
//!
//! ```text
//!   addresses ─► HappyEyeballs ─► attempts ─► the first connection ─► TLS
//!                                                              └─► Tunnel ─┘  if there is a proxy
//! ```
//!
//! Knows nothing of APNs, and is used by whoever connects: the component, and `dunlin doctor`.

mod happy_eyeballs;
mod tunnel;

pub use happy_eyeballs::{ATTEMPT_DELAY, HappyEyeballs, MAX_ADDRESSES, in_order};
pub use tunnel::{
    Authority, Credentials, HEAD_MAX_BYTES, InvalidAuthority, InvalidCredentials, Progress, Tunnel,
    TunnelError,
};
