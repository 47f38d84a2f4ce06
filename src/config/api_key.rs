//! `[[api_keys]]`: who may call, known by the hash of a key, and for what.

use serde::Deserialize;

use super::error::{ConfigError, invalid};
use super::topics::{covers, topics};
use crate::notification::Topic;

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

impl ApiKey {
    /// Everything, for all topics.
    pub(super) fn operator() -> Self {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApiKey {
    name: String,
    sha256: String,
    scopes: Vec<Scope>,
    #[serde(default)]
    topics: Vec<String>,
}

impl RawApiKey {
    pub(super) fn check(self, path: &str) -> Result<ApiKey, ConfigError> {
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
