//! Components in, one component out: the function with its plugs in place of what a platform lacks.
//!
//! ```text
//!   dunlin.wasm ──────────────────────────────┐
//!   dunlin-plug-tls.wasm ─────────────────────┼─► dunlin-standalone.wasm
//!   dunlin-plug-keyvalue-files.wasm ──────────┘
//!   … with dunlin-plug-keyvalue-draft.wasm ─────► dunlin-standalone-draft.wasm
//! ```
//!
//! Run by `cargo plugs`, and by the tests that need the files; nothing else builds them, because the
//! plug for TLS has C in it and needs clang. A build of the host or of the workspace does not.

mod build;
mod join;

pub use build::{Built, build, build_cron_spin, check_tools};
pub use join::join;

/// Why there is no component; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
