//! `[registry]`: how long devices and receipts are kept.

use core::time::Duration;

use serde::Deserialize;

use super::error::{ConfigError, invalid};

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRegistry {
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
    pub(super) fn check(self) -> Result<Registry, ConfigError> {
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
