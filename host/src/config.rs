//! The sections of `dunlin.toml` that are the host's own: where to listen, where to store, how much
//! of the machine the component gets, and when it is called.
//!
//! Whoever reads the file has these types in one of its own; unknown keys are errors.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::listen::Listen;

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
    /// Connections of clients. They take some 40 KiB each; one more, and another one goes for it,
    /// see [`Limits`](crate::http_server::Limits).
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

/// How often the schedule calls the component for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSettings {
    /// As the component knows it.
    pub name: String,
    /// `None` for never.
    pub every: Option<Duration>,
}
