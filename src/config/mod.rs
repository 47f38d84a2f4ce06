//! The function's half of `dunlin.toml`: where APNs is, who may push what, and for how long.
//!
//! ```toml
//! [apns.production]                  # both optional; Apple's addresses by default
//! host = "api.push.apple.com"
//! port = 443
//!
//! [[credentials]]
//! key_id = "ABC123DEFG"
//! team_id = "DEF123GHIJ"
//! key_file = "AuthKey_ABC123DEFG.p8" # beside the configuration file
//!
//! [[api_keys]]
//! name = "backend"
//! sha256 = "…"                       # of the key, in hexadecimal
//! scopes = ["send", "devices"]
//!
//! [delivery]
//! timeout_ms = 10000
//! connections = 4                    # most to APNs, for each credential, environment and instance
//! transport = "sockets"              # or "wasi-http", see `transport.rs`
//! server_error_wait_ms = 900000      # before what got a 5xx is sent again: Apple's 15 minutes
//!
//! [registry]
//! stale_after_days = 90
//! keep_removed_days = 90
//! keep_receipts_days = 7
//! ```
//!
//! The rest of `[[credentials]]` is described in `credential.rs`, `[[binary]]` in `binary.rs`,
//! `[proxy]` in `proxy.rs`, and the rest of `[apns.*]` in `apns.rs`. The sections of both halves
//! are in `sections.rs`.
//!
//! Limits: 64 KiB of text, 1,000 each of credentials, API keys and binary apps.

mod api_key;
mod apns;
mod binary;
mod credential;
mod delivery;
mod endpoint;
mod error;
mod host;
mod proxy;
mod reader;
mod registry;
mod sections;
mod settings;
mod tls;
mod topics;
mod transport;

pub use api_key::{ApiKey, Scope};
pub use apns::ApnsService;
pub use binary::BinaryApp;
pub use credential::{Credential, CredentialKind, TokenKey};
pub use delivery::Delivery;
pub use endpoint::Endpoint;
pub use error::ConfigError;
pub use host::{host_name, not_a_host};
pub use proxy::ProxySettings;
pub use reader::{from_toml, read_half};
pub use registry::Registry;
pub use sections::SECTIONS;
pub use settings::{MAX_BYTES, Settings};
pub use tls::{IdentityFiles, TlsSettings};
pub use transport::Transport;

#[cfg(test)]
mod tests;
