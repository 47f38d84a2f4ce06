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
//! The rest of `[[credentials]]` is described in `credential.rs`, `[[binary]]` in `binary.rs`, `[proxy]`
//! in `proxy.rs`, and the rest of `[apns.*]` in `apns.rs`.
//!
//! Limits: 64 KiB of text, 1,000 each of credentials, API keys and binary apps.

mod apns;
mod binary;
mod credential;
mod host;
mod proxy;
mod reader;
mod tls;
mod transport;

use core::fmt;
use core::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq as _;

use crate::environment::Environment;
use crate::notification::{PushType, Topic};
use crate::tls_name::{IDENTITY_MAX_BYTES, is_identity};

use apns::{Apns, RawApns};
pub use apns::{Endpoint, Service};
pub use binary::BinaryApp;
use binary::RawBinary;
use credential::RawCredential;
pub use credential::{Credential, CredentialKind, TokenKey};
pub use host::{host_name, not_a_host};
pub use proxy::Proxy;
use proxy::RawProxy;
pub use tls::{IdentityFiles, TlsSettings};
pub use transport::Transport;

/// Largest configuration file, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// Most credentials, most API keys, and most binary apps.
const MAX_ENTRIES: usize = 1_000;

/// Most connections of one credential to one environment that may be asked for. Ours: each takes up
/// to some megabytes.
const MAX_CONNECTIONS: usize = 64;

/// What the configuration says to the function.
#[derive(Clone, Debug)]
pub struct Settings {
    development: Apns,
    production: Apns,
    credentials: Vec<Credential>,
    api_keys: Vec<ApiKey>,
    operator: ApiKey,
    binary: Vec<BinaryApp>,
    proxy: Option<Proxy>,
    delivery: Delivery,
    registry: Registry,
}

/// What an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Send pushes.
    Send,
    /// Register and look up devices.
    Devices,
    /// Everything, including tasks.
    Admin,
}

/// Somebody who may call, known by the hash of a key.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// For logs.
    pub name: String,
    sha256: [u8; 32],
    scopes: Vec<Scope>,
    topics: Vec<Topic>,
}

/// `[delivery]`
#[derive(Clone, Debug)]
pub struct Delivery {
    /// How long a push may take from being handed in to its outcome.
    pub timeout: Duration,
    /// Pushes that may wait, for each credential and environment.
    pub queue: usize,
    /// By which way, over HTTP/2.
    pub transport: Transport,
    /// Most connections of one credential to one environment, for each instance; each stands for a
    /// hundred requests at once where the platform has them.
    pub connections: usize,
    /// How long what APNs answered by a server's error waits before it is sent again, if its time
    /// allows; longer each time.
    pub server_error_wait: Duration,
    /// Where a token goes of which nothing is known.
    pub default_environment: Environment,
}

/// `[registry]`: what the sweep does.
#[derive(Clone, Copy, Debug)]
pub struct Registry {
    /// A device that has not registered for so long is marked as stale. It is still pushed to.
    pub stale_after: Duration,
    /// How long the record of a removed device is kept.
    pub keep_removed: Duration,
    /// How long the receipt of a push with an idempotency key is kept.
    pub keep_receipts: Duration,
}

/// A mistake in the configuration. The operator is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ConfigError {}

fn invalid(path: impl fmt::Display, why: impl fmt::Display) -> ConfigError {
    ConfigError(format!("{path}: {why}"))
}

/// Reads TOML. An error says where and what, and shows nothing of the text but names of keys: a value
/// may be a secret, also one under a wrong key.
///
/// # Errors
/// If the text is not TOML, or not what is expected.
pub fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    reader::read(text).map_err(|mistake| placed(text, &mistake))
}

/// A mistake, with its line, its column and its key.
fn placed(text: &str, mistake: &reader::Mistake) -> ConfigError {
    let before = mistake.start.and_then(|start| text.get(..start));
    let before = before.unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let start = before.rsplit('\n').next().unwrap_or_default();
    let column = start.chars().count() + 1;
    let key = key_before(start).map_or_else(String::new, |key| format!(", {key}"));
    let why = match mistake.what.as_str() {
        what if what.contains('@') => "expected something else",
        what => what,
    };
    invalid(format_args!("line {line}, column {column}{key}"), why)
}

/// The key whose value begins where the start of a line ends.
fn key_before(start: &str) -> Option<&str> {
    let key = start.trim_end().strip_suffix('=')?.trim();
    let is_bare = |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char);
    (!key.is_empty() && key.chars().all(is_bare)).then_some(key)
}

impl Settings {
    /// Reads the text of the file. Sections of the host are passed over.
    ///
    /// # Errors
    /// If the text is not TOML, or a value is not what its key asks for.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if text.len() > MAX_BYTES {
            return Err(invalid("configuration", "expected at most 64 KiB"));
        }
        let raw: RawSettings = from_toml(text)?;
        let counts = [raw.credentials.len(), raw.api_keys.len(), raw.binary.len()];
        if counts.iter().any(|count| *count > MAX_ENTRIES) {
            return Err(invalid(
                "credentials, api_keys, binary",
                "expected at most 1000 of each",
            ));
        }
        let numbered = |name: &'static str| move |index: usize| format!("{name}[{index}]");
        let binary = each(raw.binary, numbered("binary"), RawBinary::check)?;
        binary::check_distinct(&binary)?;
        let (development, production) = raw.apns.resolve()?;
        let operator = ApiKey::operator();
        let api_keys: Vec<ApiKey> = each(raw.api_keys, numbered("api_keys"), RawApiKey::check)?;
        // Idempotency keys are theirs by name.
        for (index, key) in api_keys.iter().enumerate() {
            let earlier = api_keys.iter().take(index);
            if earlier
                .chain([&operator])
                .any(|other| other.name == key.name)
            {
                let why = format!("expected a name of its own, got {:?} again", key.name);
                return Err(invalid(format_args!("api_keys[{index}].name"), why));
            }
        }
        let settings = Self {
            development,
            production,
            credentials: each(
                raw.credentials,
                numbered("credentials"),
                RawCredential::check,
            )?,
            api_keys,
            operator,
            binary,
            proxy: raw.proxy.map(RawProxy::check).transpose()?,
            delivery: raw.delivery.check()?,
            registry: raw.registry.check()?,
        };
        transport::check(&settings)?;
        Ok(settings)
    }

    /// Where an environment's provider API is.
    pub fn endpoint(&self, environment: Environment) -> &Endpoint {
        self.service(environment, Service::Push)
    }

    /// Where a service of an environment is.
    pub fn service(&self, environment: Environment, service: Service) -> &Endpoint {
        self.apns(environment).endpoint(service)
    }

    /// Whose connections carry the requests of a service: broadcasts go with the pushes unless they
    /// have an address of their own.
    pub fn carrier(&self, environment: Environment, service: Service) -> Service {
        self.apns(environment).carrier(service)
    }

    fn apns(&self, environment: Environment) -> &Apns {
        match environment {
            Environment::Development => &self.development,
            Environment::Production => &self.production,
        }
    }

    /// All credentials, in the order of the file.
    pub fn credentials(&self) -> &[Credential] {
        &self.credentials
    }

    /// The index of the credential for a topic in an environment: one that names the topic, else
    /// one for all topics. A certificate is none for a push type that wants a provider token.
    pub fn credential_for(&self, topic: &Topic, environment: Environment) -> Option<usize> {
        credential::find(&self.credentials, topic, environment)
    }

    /// Whether the one that is missing is a key: what there is for the topic are certificates, and
    /// APNs takes none for its push type.
    pub fn lacks_key_for(&self, topic: &Topic, environment: Environment) -> bool {
        credential::lacks_key(&self.credentials, topic, environment)
    }

    /// All API keys, in the order of the file.
    pub fn api_keys(&self) -> &[ApiKey] {
        &self.api_keys
    }

    /// The API key with this SHA-256. Takes the same time whichever bytes differ.
    pub fn api_key(&self, sha256: &[u8; 32]) -> Option<&ApiKey> {
        let same = |key: &&ApiKey| key.sha256.as_slice().ct_eq(sha256).into();
        self.api_keys.iter().find(same)
    }

    /// Whoever starts the function from a terminal. No key is theirs.
    pub const fn operator(&self) -> &ApiKey {
        &self.operator
    }

    /// All apps on the binary protocols, in the order of the file.
    pub fn binary_apps(&self) -> &[BinaryApp] {
        &self.binary
    }

    /// The index of an app on the binary protocols.
    pub fn binary_app(&self, topic: &Topic, environment: Environment) -> Option<usize> {
        let is_it = |app: &BinaryApp| app.topic == *topic && app.environment == environment;
        self.binary.iter().position(is_it)
    }

    /// The proxy, if there is one.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// The proxy that a host is reached through; `None` if it is reached directly.
    pub fn proxy_for(&self, host: &str) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|proxy| proxy.covers(host))
    }

    /// When the sweep does what.
    pub fn registry(&self) -> Registry {
        self.registry
    }

    /// How to deliver.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }
}

impl ApiKey {
    /// Everything, for all topics.
    fn operator() -> Self {
        Self {
            name: "terminal".to_owned(),
            sha256: [0; 32],
            scopes: vec![Scope::Admin],
            topics: Vec::new(),
        }
    }

    /// The SHA-256 of the key.
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Whether the key has the scope; `admin` has all.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes
            .iter()
            .any(|own| *own == scope || *own == Scope::Admin)
    }

    /// Whether the key is good for some topics only.
    pub const fn is_bound(&self) -> bool {
        !self.topics.is_empty()
    }

    /// Whether the key is good for the topic; one that is bound to none is good for all.
    pub fn covers(&self, topic: &Topic) -> bool {
        self.topics.is_empty() || covers(&self.topics, topic)
    }
}

/// Whether `topic` is one of `bundles`, as it is or with the suffix of a push type.
fn covers(bundles: &[Topic], topic: &Topic) -> bool {
    bundles.iter().any(|bundle| {
        topic
            .as_str()
            .strip_prefix(bundle.as_str())
            .is_some_and(|rest| PushType::ALL.iter().any(|kind| kind.topic_suffix() == rest))
    })
}

fn each<R, T>(
    raw: Vec<R>,
    path: impl Fn(usize) -> String,
    check: impl Fn(R, &str) -> Result<T, ConfigError>,
) -> Result<Vec<T>, ConfigError> {
    raw.into_iter()
        .enumerate()
        .map(|(index, item)| check(item, &path(index)))
        .collect()
}

/// The file as it is written; the host's sections are there so that unknown ones are errors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    #[serde(default)]
    apns: RawApns,
    #[serde(default)]
    credentials: Vec<RawCredential>,
    #[serde(default)]
    api_keys: Vec<RawApiKey>,
    #[serde(default)]
    binary: Vec<RawBinary>,
    #[serde(default)]
    proxy: Option<RawProxy>,
    #[serde(default)]
    delivery: RawDelivery,
    #[serde(default)]
    registry: RawRegistry,
    #[serde(default, rename = "host")]
    _host: serde::de::IgnoredAny,
    #[serde(default, rename = "store")]
    _store: serde::de::IgnoredAny,
    #[serde(default, rename = "tasks")]
    _tasks: serde::de::IgnoredAny,
    #[serde(default, rename = "tls")]
    _tls: serde::de::IgnoredAny,
}

fn topics(raw: &[String], path: &str) -> Result<Vec<Topic>, ConfigError> {
    let parse = |text: &String| {
        Topic::parse(text).map_err(|error| invalid(format!("{path}.topics"), error))
    };
    raw.iter().map(parse).collect()
}

/// The name of a client certificate.
fn identity_name(text: String, path: &str) -> Result<String, ConfigError> {
    if is_identity(&text) {
        return Ok(text);
    }
    let expected = format!("up to {IDENTITY_MAX_BYTES} letters, digits, '.', '-' and '_'");
    let got: String = text.chars().take(IDENTITY_MAX_BYTES).collect();
    Err(invalid(
        path,
        format_args!("expected {expected}, got {got:?}"),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApiKey {
    name: String,
    sha256: String,
    scopes: Vec<Scope>,
    #[serde(default)]
    topics: Vec<String>,
}

impl RawApiKey {
    fn check(self, path: &str) -> Result<ApiKey, ConfigError> {
        let mut sha256 = [0; 32];
        hex::decode_to_slice(&self.sha256, &mut sha256).map_err(|_| {
            invalid(
                format!("{path}.sha256"),
                "expected 64 hexadecimal digits, got something else",
            )
        })?;
        let topics = topics(&self.topics, path)?;
        Ok(ApiKey {
            name: self.name,
            sha256,
            scopes: self.scopes,
            topics,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawDelivery {
    timeout_ms: u64,
    queue: usize,
    transport: Transport,
    connections: usize,
    server_error_wait_ms: u64,
    default_environment: Environment,
}

impl Default for RawDelivery {
    fn default() -> Self {
        Self {
            timeout_ms: 10_000,
            queue: 10_000,
            transport: Transport::default(),
            connections: 4,
            server_error_wait_ms: 15 * 60 * 1_000,
            default_environment: Environment::Production,
        }
    }
}

impl RawDelivery {
    fn check(self) -> Result<Delivery, ConfigError> {
        if self.timeout_ms == 0 || self.queue == 0 {
            return Err(invalid(
                "delivery",
                "expected timeout_ms and queue above 0, got 0",
            ));
        }
        let connections = self.connections;
        if !(1..=MAX_CONNECTIONS).contains(&connections) {
            let why = format!("expected 1..={MAX_CONNECTIONS}, got {connections}");
            return Err(invalid("delivery.connections", why));
        }
        Ok(Delivery {
            timeout: Duration::from_millis(self.timeout_ms),
            queue: self.queue,
            transport: self.transport,
            connections,
            server_error_wait: Duration::from_millis(self.server_error_wait_ms),
            default_environment: self.default_environment,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRegistry {
    stale_after_days: u32,
    keep_removed_days: u32,
    keep_receipts_days: u32,
}

impl Default for RawRegistry {
    fn default() -> Self {
        Self {
            stale_after_days: 90,
            keep_removed_days: 90,
            keep_receipts_days: 7,
        }
    }
}

impl RawRegistry {
    fn check(self) -> Result<Registry, ConfigError> {
        if self.stale_after_days == 0 {
            let why = "expected at least 1, got 0";
            return Err(invalid("registry.stale_after_days", why));
        }
        if self.keep_receipts_days == 0 {
            let why = "expected at least 1, got 0";
            return Err(invalid("registry.keep_receipts_days", why));
        }
        let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
        Ok(Registry {
            stale_after: days(self.stale_after_days),
            keep_removed: days(self.keep_removed_days),
            keep_receipts: days(self.keep_receipts_days),
        })
    }
}

#[cfg(test)]
mod tests;
