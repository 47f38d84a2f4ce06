//! The host of the Dunlin component: everything that touches the machine and nothing that is APNs.
//!
//! ```text
//!   HTTP/1.1, h2c ─► http_server ─► dispatch ─► instances of the component
//!   schedule ─────────────────────────────────►│
//!                         wasi:sockets ◄───────┤ wasi::sockets: no-delay, allow-list
//!                         wasi:tls ◄───────────┤ wasi::tls: rustls, ALPN, trust by name
//!                         wasi:http ◄──────────┤ wasi::http_client: HTTP/2 shared by all
//!                         dunlin:push/store ◄──┘ wasi::store, on store: in memory, or one file
//! ```
//!
//! [`engine`] compiles a component, and [`host`] has all of the above around it. Which component,
//! what it may reach and who has a key for it is said by whoever uses this library: the binary
//! `dunlin`, and the tests that drive the whole thing.

pub mod clock;
mod compile_cache;
pub mod config;
pub mod descriptors;
pub mod dispatch;
pub mod engine;
pub mod files;
pub mod host;
pub mod http_server;
pub mod listen;
pub mod metrics;
pub mod operator;
pub mod room;
pub mod schedule;
mod stall_watch;
pub mod store;
pub mod wasi;

/// Why something of the host failed, in words for the operator.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// An error that says this.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<wasmtime::Error> for Error {
    /// With the chain of causes, which is where linking errors say what is missing.
    fn from(error: wasmtime::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}
