//! The host of the Dunlin function: everything that touches the machine and nothing that is APNs.
//!
//! ```text
//!   HTTP/1.1, h2c ─► http_server ─► dispatch ─► instances of the component
//!   schedule ──────────────────────────────────►│ wasi:sockets ─► wasi::sockets (no-delay, allow-list)
//!                                             │ wasi:tls ─────► wasi::tls (rustls, ALPN, trust by name)
//!                                             │ wasi:http ────► wasi::http_client (HTTP/2 shared by all)
//!                                             └ wasi:keyvalue ► wasi::store ─► store (in memory, or one file)
//! ```
//!
//! The library exists for the binary `dunlin` and for the tests that drive the whole thing.

mod allow_list;
pub mod ask;
mod clock;
mod compile_cache;
pub mod config;
pub mod descriptors;
pub mod dev;
pub mod dispatch;
pub mod doctor;
pub mod engine;
pub mod expiry;
pub mod files;
pub mod hangup;
pub mod http_server;
pub mod listen;
pub mod logging;
pub mod metrics;
pub mod operator;
pub mod output;
pub mod room;
pub mod schedule;
pub mod server;
pub mod simulate;
mod stall_watch;
pub mod store;
pub mod tasks;
pub mod terminal;
mod wanted;
pub mod wasi;

use dunlin::terminal::Exit;

/// Why a command failed, in words for the operator, and the code that it ends with.
#[derive(Debug)]
pub struct Error {
    message: String,
    in_use: bool,
    exit: Exit,
}

impl Error {
    /// An error that says this.
    pub fn new(message: impl Into<String>) -> Self {
        Self::with(Exit::Failed, message)
    }

    /// The same with a code of its own.
    pub fn with(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            in_use: false,
            exit,
        }
    }

    /// An error that says this, because another process has the store.
    pub fn in_use(message: impl Into<String>) -> Self {
        let in_use = true;
        Self {
            in_use,
            ..Self::new(message)
        }
    }

    /// Whether another process has the store.
    pub fn is_in_use(&self) -> bool {
        self.in_use
    }

    /// What the command ends with.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

macro_rules! from_display {
    ($($source:ty),+ $(,)?) => {$(
        impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self::new(error.to_string())
            }
        }
    )+};
}

from_display!(
    std::io::Error,
    config::ConfigError,
    store::StoreError,
    wasi::tls::TrustError
);

impl From<wasmtime::Error> for Error {
    /// With the chain of causes, which is where linking errors say what is missing.
    fn from(error: wasmtime::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}
