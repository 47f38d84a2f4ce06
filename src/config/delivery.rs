//! `[delivery]`: for how long, over how many connections and by which way pushes go.

use core::time::Duration;

use serde::Deserialize;

use super::error::{ConfigError, invalid};
use super::transport::Transport;
use crate::environment::Environment;

/// Most connections of one credential to one environment that may be asked for. Ours: each takes up
/// to some megabytes.
const MAX_CONNECTIONS: usize = 64;

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDelivery {
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
    pub(super) fn check(self) -> Result<Delivery, ConfigError> {
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
