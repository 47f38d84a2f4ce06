//! A component that exports `wasi:tls@0.3.0-draft`, for platforms that have sockets and no TLS, or
//! a TLS without ALPN.
//!
//! ```text
//!   dunlin.toml ─► TlsSettings ─► Provider ─► client configurations, by TLS name
//!                                               │
//!   wasi:tls/client ─► component ─► Session (rustls): clear text ◄─► ciphertext
//! ```
//!
//! Trust, identity and protocol are chosen by the name that the function gives, exactly as the host
//! of ours does it ([`dunlin::tls_name`]), and out of the same `[tls]` of the same file. So nothing
//! in the function knows which of the two it talks to. What it costs, and what is not constant in
//! time, is in the README of this folder.
//!
//! Only `component` touches streams, and exists on WASI alone; the rest is tested natively.

#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod component;
mod provider;
mod session;
mod settings;

pub use provider::{Provider, SESSIONS_MAX};
pub use session::{SEND_MAX_BYTES, Session};
pub use settings::{FILE_MAX_BYTES, load, parse};

/// Why there is no connection, or no further one; for people. No key and no passphrase is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(String);

impl TlsError {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl core::fmt::Display for TlsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for TlsError {}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self(error.to_string())
    }
}
