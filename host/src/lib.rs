//! The host of the Dunlin function: everything that touches the machine and nothing that is APNs.
//!
//! ```text
//!   HTTP/1.1, h2c ─► http_server ─► dispatch ─► instances of the component
//!   schedule ──────────────────────────────────►│ wasi:sockets ─► sockets (no-delay, allow-list)
//!                                             │ wasi:tls ─────► tls (rustls, ALPN, trust by name)
//!                                             │ wasi:http ────► outgoing (HTTP/2 shared by all, allow-list)
//!                                             └ wasi:keyvalue ► store (in memory, or one file)
//! ```
//!
//! The library exists for the binary `dunlin` and for the tests that drive the whole thing.

pub mod ask;
mod awake;
mod compile_cache;
pub mod config;
pub mod descriptors;
pub mod dev;
pub mod dispatch;
pub mod doctor;
pub mod expiry;
pub mod files;
pub mod function;
pub mod hangup;
pub mod http_server;
pub mod keyvalue;
pub mod listen;
pub mod logging;
pub mod operator;
pub mod outgoing;
pub mod output;
mod reach;
pub mod room;
pub mod schedule;
pub mod server;
pub mod simulate;
pub mod sockets;
pub mod status;
mod stderr;
pub mod store;
pub mod tasks;
pub mod terminal;
pub mod tls;
mod turns;
mod wanted;

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
    tls::TrustError
);

impl From<wasmtime::Error> for Error {
    /// With the chain of causes, which is where linking errors say what is missing.
    fn from(error: wasmtime::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}
