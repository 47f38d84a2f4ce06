//! What is wrong with a configuration, in words for its operator.

use core::fmt;

/// A mistake in the configuration. The operator is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ConfigError {}

pub(super) fn invalid(path: impl fmt::Display, why: impl fmt::Display) -> ConfigError {
    ConfigError(format!("{path}: {why}"))
}
