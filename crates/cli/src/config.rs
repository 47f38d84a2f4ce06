//! `dunlin.toml` as a whole: what it says to the host, and what it says to the component.
//!
//! One file serves both. The component reads `[apns.*]`, `[[credentials]]`, `[[api_keys]]`,
//! `[delivery]`, `[[binary]]`, `[proxy]` and `[registry]` by itself. They are read here, too: their
//! addresses are what the component may reach, only this side can hold a client certificate against
//! what is said of it, and the operator hears of a mistake at the start. Unknown keys are errors on
//! either side.

mod error;
mod folder;
mod tasks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use dunlin::config::{IdentityFiles, TlsSettings};
use dunlin::config::{MAX_BYTES, Settings, host_name, not_a_host, read_half};
use dunlin::dial::MAX_ADDRESSES;
use dunlin_host::config::{HostSettings, StoreSettings, TaskSettings};
use dunlin_host::files::read_at_most;
use dunlin_host::wasi::sockets::{Addresses, AllowedHost};
use serde::Deserialize;

use crate::allow_list;
pub use error::ConfigError;
pub(crate) use folder::{OUT_OF_REACH, exposed, is_reached};

/// The sections that are not the component's, as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostHalf {
    #[serde(default)]
    host: HostSettings,
    #[serde(default)]
    store: StoreSettings,
    #[serde(default)]
    tls: TlsSettings,
    #[serde(default = "tasks::default_tasks", deserialize_with = "tasks::tasks")]
    tasks: Vec<TaskSettings>,
}

/// The whole file, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[host]`
    pub host: HostSettings,
    /// `[store]`
    pub store: StoreSettings,
    /// `[tls]`
    pub tls: TlsSettings,
    /// `[[tasks]]`, those left out with their own intervals.
    pub tasks: Vec<TaskSettings>,
    /// What the component reads.
    pub settings: Settings,
}

/// The folder that paths in a configuration file are relative to.
pub(crate) fn folder_of(config_file: &Path) -> &Path {
    config_file.parent().unwrap_or(Path::new(""))
}

impl Config {
    /// Reads the file and checks the files that it names; paths in it become relative to its
    /// folder.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has a key or a value that does not belong; or if a
    /// signing key cannot be used, or the function could read what is not for it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let config = Self::read(path)?;
        let folder = folder_of(path);
        folder::check_keys(folder, &config.settings)?;
        folder::check_secrets(folder, &config.tls.identities)?;
        Ok(config)
    }

    /// The same without a look at the files that it names.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        folder::check_itself(folder_of(path), path)?;
        let failed =
            |why: &dyn std::fmt::Display| ConfigError(format!("{}: {why}", path.display()));
        let text = read_at_most(path, MAX_BYTES).map_err(|error| failed(&error))?;
        let text = String::from_utf8(text).map_err(|_| failed(&"expected UTF-8"))?;
        let half: HostHalf = read_half(&text).map_err(|error| failed(&error))?;
        // The function checks its own sections too, but in every instance and after start-up;
        // the operator should hear of a mistake now.
        let settings = Settings::parse(&text).map_err(|error| failed(&error))?;
        half.check(&settings).map_err(|error| failed(&error))?;
        Ok(half.with(settings, folder_of(path)))
    }

    /// The function's half of the file, if it names API keys: without one nobody is admitted to a
    /// call of Dunlin's, so the function is one that has calls of its own.
    pub(crate) fn keys(&self) -> Option<&Settings> {
        Some(&self.settings).filter(|settings| !settings.api_keys().is_empty())
    }

    /// Most connections that the host opens for the function, to be left descriptors.
    pub(crate) fn own_connections(&self) -> u64 {
        let settings = &self.settings;
        // Pushes in two environments, and a gateway and a feedback service for each binary app; the
        // folder of an instance, and a lookup.
        let lanes = settings.credentials().len() * 2 * settings.delivery().connections;
        let each = lanes + settings.binary_apps().len() * 2 + 2;
        (each * self.host.instance_count()) as u64
    }

    /// The hosts that the function may reach: APNs, gateways and feedback services, as configured,
    /// or the proxy in the place of those that are behind it.
    pub fn allowed_hosts(&self) -> Arc<[AllowedHost]> {
        allow_list::by_sockets(&self.settings).into()
    }

    /// The servers that the function may send HTTP requests to, if it is to have a client.
    pub fn http_client_hosts(&self) -> Option<Vec<AllowedHost>> {
        allow_list::by_http_client(&self.settings)
    }

    /// Addresses of names that are not to be looked up.
    pub fn addresses(&self) -> Arc<Addresses> {
        Arc::new(self.host.addresses.clone())
    }

    /// The environment variable that the function reads: the password of the proxy.
    ///
    /// # Errors
    /// If there is none of that name, or it holds no password.
    pub fn function_variable(&self) -> Result<Option<&str>, ConfigError> {
        let Some(proxy) = self.settings.proxy() else {
            return Ok(None);
        };
        proxy
            .credentials(|name| std::env::var(name).ok())
            .map_err(|error| ConfigError(error.to_string()))?;
        Ok(proxy.password_env())
    }
}

impl HostHalf {
    /// Both halves. Paths become relative to the folder of the file, and names of hosts as they are
    /// compared.
    fn with(self, settings: Settings, folder: &Path) -> Config {
        let Self {
            host,
            store,
            tls,
            tasks,
        } = self;
        let beside = |path: PathBuf| folder.join(path);
        let store = match store {
            StoreSettings::File { path } => StoreSettings::File { path: beside(path) },
            StoreSettings::Memory => StoreSettings::Memory,
        };
        let trust = tls
            .trust
            .into_iter()
            .map(|(name, path)| (name, beside(path)));
        let identities = tls.identities.into_iter().map(|(name, files)| {
            let files = IdentityFiles {
                certificate: beside(files.certificate),
                key: files.key.map(beside),
                passphrase_file: files.passphrase_file.map(beside),
                ..files
            };
            (name, files)
        });
        let tls = TlsSettings {
            trust: trust.collect(),
            identities: identities.collect(),
        };
        let addresses = host.addresses.into_iter();
        // `check` has found that each of them is a host.
        let by_host = addresses
            .filter_map(|(name, list)| Some((host_name(&name)?.to_ascii_lowercase(), list)));
        let host = HostSettings {
            cache: host.cache.map(beside),
            addresses: by_host.collect(),
            ..host
        };
        Config {
            host,
            store,
            tls,
            tasks,
            settings,
        }
    }

    /// Whether its values are in their ranges, also in view of the other half.
    fn check(&self, settings: &Settings) -> Result<(), ConfigError> {
        let host = &self.host;
        let largest_timeout = 24 * 60 * 60 * 1000;
        let delivery = settings.delivery().timeout.as_millis();
        let delivery = u64::try_from(delivery).unwrap_or(u64::MAX);
        let ranges = [
            ("host.instances", host.instances as u64, 0, 1_000),
            ("host.concurrency", host.concurrency as u64, 1, 10_000),
            ("host.queue", host.queue as u64, 1, 1_000_000),
            ("host.connections", host.connections as u64, 1, 65_536),
            (
                "host.max_body_bytes",
                host.max_body_bytes as u64,
                1,
                64 << 20,
            ),
            ("host.memory_mib", host.memory_mib as u64, 1, 4_096),
            (
                "host.stall_timeout_ms",
                host.stall_timeout_ms,
                100,
                largest_timeout,
            ),
            // A push must have its outcome before its request is given up.
            (
                "host.request_timeout_ms",
                host.request_timeout_ms,
                delivery + 1,
                largest_timeout,
            ),
            (
                "host.shutdown_timeout_ms",
                host.shutdown_timeout_ms,
                0,
                largest_timeout,
            ),
        ];
        self.check_identities(settings)?;
        for (name, files) in &self.tls.identities {
            if files.passphrase_file.is_some() && files.passphrase_env.is_some() {
                let why = "expected one of passphrase_file and passphrase_env, got both";
                return Err(ConfigError(format!("tls.identities.{name}: {why}")));
            }
        }
        for (name, addresses) in &host.addresses {
            if host_name(name).is_none() {
                return Err(ConfigError(format!("host.addresses: {}", not_a_host(name))));
            }
            let count = addresses.len();
            if !(1..=MAX_ADDRESSES).contains(&count) {
                let why = format!("expected 1 to {MAX_ADDRESSES} addresses, got {count}");
                return Err(ConfigError(format!("host.addresses.{name}: {why}")));
            }
        }
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                let why = format!("{name}: expected {least} to {most}, got {value}");
                return Err(ConfigError(why));
            }
        }
        Ok(())
    }

    /// Whether each identity that is named is there.
    fn check_identities(&self, settings: &Settings) -> Result<(), ConfigError> {
        let unknown = |name: &&str| !self.tls.identities.contains_key(*name);
        let missing = |place: String, identity: &str| {
            let why = format!("{place}: there is no [tls.identities.{identity}]");
            Err(ConfigError(why))
        };
        for (index, credential) in settings.credentials().iter().enumerate() {
            if let Some(identity) = credential.identity().filter(unknown) {
                return missing(format!("credentials[{index}].identity"), identity);
            }
        }
        for app in settings.binary_apps() {
            if let Some(identity) = app.identity().filter(unknown) {
                return missing(format!("binary: {}", app.topic), identity);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
