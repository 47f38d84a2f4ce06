//! Components in, one component out: the function with its plugs in place of what a platform lacks.
//!
//! ```text
//!   dunlin.wasm ──────────────────────────────┐
//!   dunlin-plug-tls.wasm ─────────────────────┼─► dunlin-standalone.wasm
//!   dunlin-plug-keyvalue-files.wasm ──────────┘
//!   … with dunlin-plug-keyvalue-draft.wasm ─────► dunlin-standalone-draft.wasm
//! ```
//!
//! Run by `cargo plugs`, and by the tests that need the files. A build of the host or of the
//! workspace builds no plugs: that for TLS has C in it and needs clang.

mod build;
mod join;

pub use build::{Built, build};
pub use join::join;
