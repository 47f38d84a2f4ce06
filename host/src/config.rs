//! The host's half of `dunlin.toml`: where to listen, where to store, whom to trust, how much of
//! the machine the function gets.
//!
//! One file serves both sides. The function reads `[apns.*]`, `[[credentials]]`, `[[api_keys]]`,
//! `[delivery]`, `[[binary]]`, `[proxy]` and `[registry]`; the host reads what is below and, of the
//! function's, the addresses, because they are what the function may reach, and what is said of client
//! certificates, because it alone can read those. Unknown keys are errors on either side.

mod folder;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use dunlin::config::{IdentityFiles, TlsSettings};
use dunlin::config::{MAX_BYTES, Proxy, Settings, from_toml, host_name, not_a_host};
use dunlin::dial::MAX_ADDRESSES;
pub(crate) use folder::{OUT_OF_REACH, exposed, is_reached};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::allow_list::{function_hosts, outgoing_hosts};
use crate::files::read_at_most;
use crate::listen::Listen;
use crate::wanted::{self, Use};
use crate::wasi::sockets::{Addresses, AllowedHost};

/// The whole file, as the host sees it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[host]`
    #[serde(default)]
    pub host: HostSettings,
    /// `[store]`
    #[serde(default)]
    pub store: StoreSettings,
    /// `[tls]`
    #[serde(default)]
    pub tls: TlsSettings,
    /// `[[tasks]]`, those left out with their own intervals.
    #[serde(default = "default_tasks", deserialize_with = "tasks")]
    pub tasks: Vec<TaskSettings>,
    /// The function's own; of these the addresses and the identities matter here, see below.
    #[serde(default, rename = "apns")]
    _apns: IgnoredAny,
    #[serde(default, rename = "credentials")]
    _credentials: IgnoredAny,
    #[serde(default)]
    api_keys: Vec<IgnoredAny>,
    #[serde(default, rename = "binary")]
    _binary: IgnoredAny,
    #[serde(default, rename = "delivery")]
    _delivery: IgnoredAny,
    #[serde(default, rename = "proxy")]
    _proxy: IgnoredAny,
    #[serde(default, rename = "registry")]
    _registry: IgnoredAny,
    /// Addresses of `[apns.*]`, `[[binary]]` and `[proxy]`, filled in by [`Config::load`].
    #[serde(skip)]
    function_hosts: Vec<AllowedHost>,
    /// Those that it reaches by HTTP of the host, in the same way; `None` if it has its own.
    #[serde(skip)]
    outgoing_hosts: Option<Vec<AllowedHost>>,
    /// `[proxy]`, in the same way.
    #[serde(skip)]
    function_proxy: Option<Proxy>,
    /// Credentials that are client certificates, filled in by [`Config::load`].
    #[serde(skip)]
    certificate_uses: Vec<Use>,
    /// The function's half, in the same way: it says who has a key for what.
    #[serde(skip)]
    settings: Option<Settings>,
}

/// `[host]`: HTTP in, and what the function gets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostSettings {
    /// Where to listen for HTTP/1.1 and h2c.
    pub listen: Listen,
    /// Instances of the function; 0 means one per core.
    pub instances: usize,
    /// Requests an instance works on at once. The runtime slows down past about a hundred.
    pub concurrency: usize,
    /// Requests that wait for each instance; beyond it the answer is 503.
    pub queue: usize,
    /// Connections of clients. They take some 40 KiB each; one more, and another one goes for it, see
    /// [`Limits`](crate::http_server::Limits).
    pub connections: usize,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Linear memory of an instance, in MiB.
    pub memory_mib: usize,
    /// How long a request may take before the answer is 504, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long the function may run without yielding before it is stopped, in milliseconds.
    pub stall_timeout_ms: u64,
    /// How long SIGTERM waits for what is in flight, in milliseconds.
    pub shutdown_timeout_ms: u64,
    /// Where compiled code is kept between starts, relative to the configuration file; the user's
    /// cache folder if absent.
    pub cache: Option<PathBuf>,
    /// `[host.addresses]`: addresses of servers that are not looked up, the preferred one first.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)).into(),
            instances: 0,
            concurrency: 100,
            queue: 1_000,
            connections: 1_024,
            max_body_bytes: 1024 * 1024,
            memory_mib: 256,
            request_timeout_ms: 60_000,
            stall_timeout_ms: 5_000,
            shutdown_timeout_ms: 30_000,
            cache: None,
            addresses: BTreeMap::new(),
        }
    }
}

impl HostSettings {
    /// Instances to run.
    pub fn instance_count(&self) -> usize {
        match self.instances {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            count => count,
        }
    }

    /// [`HostSettings::request_timeout_ms`] as a duration.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// [`HostSettings::stall_timeout_ms`] as a duration.
    pub fn stall_timeout(&self) -> Duration {
        Duration::from_millis(self.stall_timeout_ms)
    }

    /// [`HostSettings::shutdown_timeout_ms`] as a duration.
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }
}

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawStore")]
pub enum StoreSettings {
    /// One file, crash-safe.
    File {
        /// Relative to the configuration file.
        path: PathBuf,
    },
    /// Forgets everything at exit.
    Memory,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self::File {
            path: "dunlin.redb".into(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoreKind {
    #[default]
    File,
    Memory,
}

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStore {
    #[serde(default)]
    kind: StoreKind,
    path: Option<PathBuf>,
}

impl TryFrom<RawStore> for StoreSettings {
    type Error = &'static str;

    fn try_from(raw: RawStore) -> Result<Self, Self::Error> {
        match (raw.kind, raw.path) {
            (StoreKind::File, Some(path)) => Ok(Self::File { path }),
            (StoreKind::File, None) => Ok(Self::default()),
            (StoreKind::Memory, None) => Ok(Self::Memory),
            (StoreKind::Memory, Some(_)) => Err("path: expected none with kind = \"memory\""),
        }
    }
}

/// `[[tasks]]`: how often the schedule calls the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSettings {
    /// `feedback` or `sweep`.
    pub name: String,
    /// `None` for never.
    pub every: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTask {
    name: TaskName,
    every: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TaskName {
    Feedback,
    Sweep,
}

/// Shortest interval; a feedback service takes quick reconnects for an attack.
const SHORTEST_EVERY: Duration = Duration::from_secs(1);

/// Apple asks for the feedback to be polled daily.
const DEFAULT_TASKS: [(&str, Duration); 2] = [
    ("feedback", Duration::from_secs(12 * 60 * 60)),
    ("sweep", Duration::from_secs(24 * 60 * 60)),
];

fn default_tasks() -> Vec<TaskSettings> {
    let task = |(name, every): (&str, Duration)| TaskSettings {
        name: name.to_owned(),
        every: Some(every),
    };
    DEFAULT_TASKS.into_iter().map(task).collect()
}

fn tasks<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<TaskSettings>, D::Error> {
    use serde::de::Error as _;
    let mut tasks = default_tasks();
    for RawTask { name, every } in Vec::<RawTask>::deserialize(input)? {
        let name = match name {
            TaskName::Feedback => "feedback",
            TaskName::Sweep => "sweep",
        };
        let expected = "an interval like \"12h\" of a second or more, or \"never\"";
        let wrong =
            || D::Error::custom(format!("tasks: every: expected {expected}, got {every:?}"));
        let every = match every.as_str() {
            "never" => None,
            text => Some(humantime::parse_duration(text).map_err(|_| wrong())?),
        };
        if every.is_some_and(|every| every < SHORTEST_EVERY) {
            return Err(wrong());
        }
        for task in tasks.iter_mut().filter(|task| task.name == name) {
            task.every = every;
        }
    }
    Ok(tasks)
}

/// Why a configuration was refused.
#[derive(Debug)]
pub struct ConfigError(String);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// The folder that paths in a configuration file are relative to.
pub(crate) fn folder_of(config_file: &Path) -> &Path {
    config_file.parent().unwrap_or(Path::new(""))
}

impl Config {
    /// Reads the file and checks the files that it names; paths in it become relative to its folder.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has a key or a value that does not belong; or if a
    /// signing key cannot be used, or the function could read what is not for it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (config, settings) = Self::read(path)?;
        let folder = folder_of(path);
        folder::check_keys(folder, &settings)?;
        folder::check_secrets(folder, &config.tls.identities)?;
        Ok(config)
    }

    /// The same for both halves of the file, without a look at the files that it names.
    pub(crate) fn read(path: &Path) -> Result<(Self, Settings), ConfigError> {
        folder::check_itself(folder_of(path), path)?;
        let failed =
            |why: &dyn std::fmt::Display| ConfigError(format!("{}: {why}", path.display()));
        let text = read_at_most(path, MAX_BYTES).map_err(|error| failed(&error))?;
        let text = String::from_utf8(text).map_err(|_| failed(&"expected UTF-8"))?;
        let mut config: Self = from_toml(&text).map_err(|error| failed(&error))?;
        // The function checks its own sections too, but in every instance and after start-up;
        // the operator should hear of a mistake now.
        let settings = Settings::parse(&text).map_err(|error| failed(&error))?;
        config.check(&settings).map_err(|error| failed(&error))?;
        let folder = folder_of(path);
        if let StoreSettings::File { path } = &mut config.store {
            *path = folder.join(&*path);
        }
        if let Some(path) = &mut config.host.cache {
            *path = folder.join(&*path);
        }
        for path in config.tls.trust.values_mut() {
            *path = folder.join(&*path);
        }
        for identity in config.tls.identities.values_mut() {
            identity.certificate = folder.join(&identity.certificate);
            for path in [&mut identity.key, &mut identity.passphrase_file] {
                *path = path.as_ref().map(|path| folder.join(path));
            }
        }
        let addresses = std::mem::take(&mut config.host.addresses).into_iter();
        // `check` has found that each of them is a host.
        let by_host = addresses
            .filter_map(|(name, list)| Some((host_name(&name)?.to_ascii_lowercase(), list)));
        config.host.addresses = by_host.collect();
        config.function_hosts = function_hosts(&settings);
        config.outgoing_hosts = outgoing_hosts(&settings);
        config.function_proxy = settings.proxy().cloned();
        config.certificate_uses = wanted::by_credentials(&settings);
        config.settings = Some(settings.clone());
        Ok((config, settings))
    }

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

    /// The credentials that are client certificates, with what is wanted of each.
    pub(crate) fn certificate_uses(&self) -> &[Use] {
        &self.certificate_uses
    }

    /// The function's half of the file, if it names API keys: without one nobody is admitted to a
    /// call of Dunlin's, so the function is one that has calls of its own.
    pub(crate) fn keys(&self) -> Option<&Settings> {
        self.settings.as_ref().filter(|_| !self.api_keys.is_empty())
    }

    /// Most connections that the host opens for the function, to be left descriptors.
    pub(crate) fn own_connections(&self) -> u64 {
        let Some(settings) = &self.settings else {
            return 0;
        };
        // Pushes in two environments, and a gateway and a feedback service for each binary app; the
        // folder of an instance, and a lookup.
        let lanes = settings.credentials().len() * 2 * settings.delivery().connections;
        let each = lanes + settings.binary_apps().len() * 2 + 2;
        (each * self.host.instance_count()) as u64
    }

    /// The hosts that the function may reach: APNs, gateways and feedback services, as configured, or
    /// the proxy in the place of those that are behind it.
    pub fn allowed_hosts(&self) -> Arc<[AllowedHost]> {
        Arc::from(self.function_hosts.as_slice())
    }

    /// The servers that the function may send HTTP requests to, if it is to have a client.
    pub fn outgoing_hosts(&self) -> Option<&[AllowedHost]> {
        self.outgoing_hosts.as_deref()
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
        let Some(proxy) = &self.function_proxy else {
            return Ok(None);
        };
        proxy
            .credentials(|name| std::env::var(name).ok())
            .map_err(|error| ConfigError(error.to_string()))?;
        Ok(proxy.password_env())
    }
}

#[cfg(test)]
mod tests;
