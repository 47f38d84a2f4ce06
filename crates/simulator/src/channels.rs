//! Turns "create", "read", "delete", "list" and "broadcast" into what APNs knows of an app's
//! channels.
//!
//! Source: Apple, *Sending channel management requests to APNs* and *Sending broadcast push
//! notification requests to APNs* (`docs/protocols.md` 3.7).
//!
//! Invariant: an identifier that was made is never made again, so a deleted channel does not come
//! back. Limits: [`Config::max_channels_per_app`](crate::Config::max_channels_per_app) for each app
//! and [`MAX_CHANNELS`] in all; at either a new one is CannotCreateChannelConfig.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::config::Environment;
use crate::reason::Reason;
use crate::topic::is_topic;

/// What a channel does with a message for a device that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum StoragePolicy {
    /// 0, "No Message Stored".
    #[default]
    NoMessage,
    /// 1, "Most Recent Message Stored", for at most eight hours.
    MostRecentMessage,
}

impl From<StoragePolicy> for u8 {
    fn from(policy: StoragePolicy) -> Self {
        match policy {
            StoragePolicy::NoMessage => 0,
            StoragePolicy::MostRecentMessage => 1,
        }
    }
}

impl TryFrom<u8> for StoragePolicy {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            0 => Ok(Self::NoMessage),
            1 => Ok(Self::MostRecentMessage),
            other => Err(format!(
                "expected 0 or 1 as message-storage-policy, got {other}"
            )),
        }
    }
}

/// A channel that Live Activities of an app can subscribe to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// The app's bundle id, without a suffix.
    pub bundle_id: String,
    /// `apns-channel-id`: base64 of any length up to 255 characters. Empty for one to be made.
    #[serde(default)]
    pub channel_id: String,
    /// What it does with messages.
    #[serde(default)]
    pub message_storage_policy: StoragePolicy,
    /// How many broadcasts were accepted for it.
    #[serde(default)]
    pub broadcasts: u64,
    /// The environment it is of, where both are played; `None` means the simulator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}

impl Channel {
    /// A channel without messages, its identifier to be made.
    pub fn new(bundle_id: impl Into<String>, message_storage_policy: StoragePolicy) -> Self {
        Self {
            bundle_id: bundle_id.into(),
            channel_id: String::new(),
            message_storage_policy,
            broadcasts: 0,
            environment: None,
        }
    }

    /// The same with an identifier of one's own.
    pub fn with_id(self, channel_id: impl Into<String>) -> Self {
        Self {
            channel_id: channel_id.into(),
            ..self
        }
    }
}

/// Why a channel cannot be declared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelError {
    /// The bundle id cannot be one.
    BundleId {
        /// Its length in bytes.
        length: usize,
    },
    /// The identifier is not base64 of 1 to 255 characters.
    ChannelId {
        /// Its length in bytes.
        length: usize,
    },
    /// The app, or the simulator, has as many channels as it may.
    Full,
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BundleId { length } => write!(
                f,
                "expected a bundle_id such as com.example.app, got {length} other bytes"
            ),
            Self::ChannelId { length } => write!(
                f,
                "expected a channel_id in base64, 1 to {MAX_CHANNEL_ID} characters, got {length} \
                other bytes"
            ),
            Self::Full => write!(f, "expected fewer channels, got one too many"),
        }
    }
}

impl std::error::Error for ChannelError {}

/// The channels of all apps.
#[derive(Default)]
pub(crate) struct Channels {
    apps: BTreeMap<String, BTreeMap<String, Channel>>,
    total: usize,
}

impl Channels {
    /// Keeps a channel, in the place of one with the same identifier.
    pub(crate) fn declare(&mut self, channel: Channel, per_app: usize) -> Result<(), ChannelError> {
        let (bundle_id, channel_id) = (&channel.bundle_id, &channel.channel_id);
        if !is_topic(bundle_id) {
            let length = bundle_id.len();
            return Err(ChannelError::BundleId { length });
        }
        if !is_channel_id(channel_id) {
            let length = channel_id.len();
            return Err(ChannelError::ChannelId { length });
        }
        let app = self.apps.get(bundle_id);
        let is_known = app.is_some_and(|app| app.contains_key(channel_id));
        let has_room =
            app.map_or(0, BTreeMap::len) < per_app.min(MAX_CHANNELS) && self.total < MAX_CHANNELS;
        if !is_known {
            if !has_room {
                return Err(ChannelError::Full);
            }
            self.total += 1;
        }
        let app = self.apps.entry(bundle_id.clone()).or_default();
        app.insert(channel_id.clone(), channel);
        Ok(())
    }

    /// The channel of an app, or why there is none.
    pub(crate) fn read(&self, bundle_id: &str, channel_id: &str) -> Result<&Channel, Reason> {
        let app = self.apps.get(bundle_id);
        app.and_then(|app| app.get(channel_id))
            .ok_or(Reason::ChannelNotRegistered)
    }

    /// Counts a broadcast.
    pub(crate) fn broadcast(&mut self, bundle_id: &str, channel_id: &str) {
        let app = self.apps.get_mut(bundle_id);
        if let Some(channel) = app.and_then(|app| app.get_mut(channel_id)) {
            channel.broadcasts += 1;
        }
    }

    /// Forgets a channel of an app, or says why there is none.
    pub(crate) fn delete(&mut self, bundle_id: &str, channel_id: &str) -> Result<(), Reason> {
        let app = self.apps.get_mut(bundle_id);
        app.and_then(|app| app.remove(channel_id))
            .ok_or(Reason::ChannelNotRegistered)?;
        self.total -= 1;
        Ok(())
    }

    /// The identifiers of an app's channels, in their own order.
    pub(crate) fn ids(&self, bundle_id: &str) -> Vec<&str> {
        let app = self.apps.get(bundle_id);
        app.into_iter()
            .flatten()
            .map(|(id, _)| id.as_str())
            .collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.total
    }

    /// All of them, by app and identifier.
    pub(crate) fn list(&self) -> Vec<Channel> {
        self.apps
            .values()
            .flat_map(BTreeMap::values)
            .cloned()
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Whether the text can be the identifier of a channel.
pub(crate) fn is_channel_id(text: &str) -> bool {
    (1..=MAX_CHANNEL_ID).contains(&text.len()) && STANDARD.decode(text).is_ok()
}

/// The identifier of a new channel, out of sixteen bytes that were never used.
pub(crate) fn channel_id(bytes: [u8; 16]) -> String {
    STANDARD.encode(bytes)
}

/// Channels of all apps together; about 200 bytes each.
pub const MAX_CHANNELS: usize = 100_000;

/// Characters. Apple says not to assume a size; this one is chosen.
const MAX_CHANNEL_ID: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(app: &str, id: &str) -> Channel {
        Channel::new(app, StoragePolicy::NoMessage).with_id(id)
    }

    #[test]
    fn a_channel_belongs_to_its_app_until_it_is_deleted() {
        let mut channels = Channels::default();
        channels
            .declare(channel("com.example.a", "YQ=="), 9)
            .unwrap();
        assert!(channels.read("com.example.a", "YQ==").is_ok());
        let elsewhere = channels.read("com.example.b", "YQ==");
        assert_eq!(elsewhere, Err(Reason::ChannelNotRegistered));
        channels.broadcast("com.example.a", "YQ==");
        assert_eq!(channels.list()[0].broadcasts, 1);
        assert_eq!(channels.delete("com.example.a", "YQ=="), Ok(()));
        let again = channels.delete("com.example.a", "YQ==");
        assert_eq!(again, Err(Reason::ChannelNotRegistered));
        assert!(channels.ids("com.example.a").is_empty() && channels.total == 0);
    }

    #[test]
    fn an_app_has_so_many_channels_and_no_more() {
        let mut channels = Channels::default();
        for id in ["YQ==", "Yg==", "YQ=="] {
            channels.declare(channel("com.example.a", id), 2).unwrap();
        }
        let third = channels.declare(channel("com.example.a", "Yw=="), 2);
        assert_eq!(third, Err(ChannelError::Full));
        let other = channels.declare(channel("com.example.b", "Yw=="), 2);
        assert_eq!((other, channels.total), (Ok(()), 3));
    }

    #[test]
    fn identifiers_are_base64_and_bundle_ids_are_topics() {
        let long = "YWFh".repeat(64);
        assert!(is_channel_id("dHN0LXNyY2gtY2hubA=="));
        assert!(is_channel_id(&channel_id([7; 16])));
        for bad in ["", "io.apn.channel", "YQ", "Y Q=", "ä", &long] {
            assert!(!is_channel_id(bad), "{bad}");
            let error = Channels::default().declare(channel("com.example.a", bad), 9);
            assert!(matches!(error, Err(ChannelError::ChannelId { .. })));
        }
        let error = Channels::default().declare(channel("no topic", "YQ=="), 9);
        assert!(error.unwrap_err().to_string().contains("expected"));
    }
}
