//! The function's half of the file, as a whole.

use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use super::api_key::{ApiKey, RawApiKey};
use super::apns::{Apns, ApnsService, RawApns};
use super::binary::{BinaryApp, RawBinary, check_distinct};
use super::credential::{self, Credential, RawCredential};
use super::delivery::{Delivery, RawDelivery};
use super::endpoint::Endpoint;
use super::error::{ConfigError, invalid};
use super::proxy::{ProxySettings, RawProxy};
use super::reader::read_half;
use super::registry::{RawRegistry, Registry};
use crate::environment::Environment;
use crate::notification::Topic;

/// Largest configuration file, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// Most credentials, most API keys, and most binary apps.
const MAX_ENTRIES: usize = 1_000;

/// What the configuration says to the function.
#[derive(Clone, Debug)]
pub struct Settings {
    apns: Apns,
    credentials: Vec<Credential>,
    api_keys: Vec<ApiKey>,
    operator: ApiKey,
    binary: Vec<BinaryApp>,
    proxy: Option<ProxySettings>,
    delivery: Delivery,
    registry: Registry,
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
        let raw: RawSettings = read_half(text)?;
        let counts = [raw.credentials.len(), raw.api_keys.len(), raw.binary.len()];
        if counts.iter().any(|count| *count > MAX_ENTRIES) {
            return Err(invalid(
                "credentials, api_keys, binary",
                "expected at most 1000 of each",
            ));
        }
        let numbered = |name: &'static str| move |index: usize| format!("{name}[{index}]");
        let binary = each(raw.binary, numbered("binary"), RawBinary::check)?;
        check_distinct(&binary)?;
        let apns = raw.apns.resolve()?;
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
            apns,
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
        let transport = settings.delivery.transport;
        transport.check(&settings.apns, &settings.credentials, settings.proxy())?;
        Ok(settings)
    }

    /// Where an environment's provider API is.
    pub fn endpoint(&self, environment: Environment) -> &Endpoint {
        self.service(environment, ApnsService::Push)
    }

    /// Where a service of an environment is.
    pub fn service(&self, environment: Environment, service: ApnsService) -> &Endpoint {
        self.apns.endpoint(environment, service)
    }

    /// Whose connections carry the requests of a service: broadcasts go with the pushes unless they
    /// have an address of their own.
    pub fn carrier(&self, environment: Environment, service: ApnsService) -> ApnsService {
        self.apns.carrier(environment, service)
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
        let same = |key: &&ApiKey| key.sha256().as_slice().ct_eq(sha256).into();
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
    pub fn proxy(&self) -> Option<&ProxySettings> {
        self.proxy.as_ref()
    }

    /// The proxy that a host is reached through; `None` if it is reached directly.
    pub fn proxy_for(&self, host: &str) -> Option<&ProxySettings> {
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

/// The function's sections, as they are written.
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
}
