//! A device's record, and the bytes it is stored as.
//!
//! The value of a key `d/…` is one of
//!
//! ```text
//!   none, or no bytes             never written                                  revision 0
//!   {"v":1,"rev":7,"gone":true}   deleted: nothing is left but the revision      revision 7
//!   {"v":1,"rev":8,"topic":…}     a record; removed if it has a tombstone        revision 8
//! ```
//!
//! The revision counts the writes of a key and never goes back, not even when the record is
//! deleted; what it is for is in `indexes::update`. A record without one is of a time before there
//! were groups, and counts as revision 0.

use serde::{Deserialize, Serialize};

use super::alias::{Alias, DeviceRef};
use super::format::{CorruptRecord, VERSION, check_version, corrupt};
use super::invalidation::{RemovalReason, Tombstone};
use super::tag::Tag;
use crate::environment::Environment;
use crate::json;
use crate::notification::{DeviceToken, InvalidNotification, Topic};
use crate::time::UnixTime;

/// What an app says of itself at launch, or a backend on its behalf. What is `None` stays as it
/// was: an app that launches before login names no alias, and that is not a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The app.
    pub topic: Topic,
    /// The device.
    pub token: DeviceToken,
    /// Where the token is good, if the caller knows.
    pub environment: Option<Environment>,
    /// Whose device it is now.
    pub alias: Option<Alias>,
    /// All its tags from now on.
    pub tags: Option<Vec<Tag>>,
    /// The token that the app had before, if it has a new one.
    pub replaces: Option<DeviceToken>,
}

impl Registration {
    /// Which device it is about.
    pub fn device(&self) -> DeviceRef {
        DeviceRef {
            topic: self.topic.clone(),
            token: self.token.clone(),
        }
    }
}

/// One app on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The app.
    pub topic: Topic,
    /// The device.
    pub token: DeviceToken,
    /// Where the token is good, by the last word on it: what a registration said, or where APNs
    /// accepted a push. `None` until somebody says.
    pub environment: Option<Environment>,
    /// Whose it is; `None` when nobody is logged in.
    pub alias: Option<Alias>,
    /// Sorted, each once.
    pub tags: Vec<Tag>,
    /// When it was first heard of.
    pub first_registered_at: UnixTime,
    /// When it was last heard of. A token that died before this moment is alive again.
    pub registered_at: UnixTime,
    /// Why it was removed, if it was. Alias and tags are those that it had.
    pub removed: Option<Tombstone>,
    /// Whether it has not been heard of for long. Marked by the sweep, and of no effect by itself.
    pub stale: bool,
    /// How often its key has been written before.
    pub revision: u64,
}

/// What stands under a device's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Slot {
    pub(in crate::registry) revision: u64,
    pub(in crate::registry) record: Option<DeviceRecord>,
}

#[derive(Default, Serialize, Deserialize)]
struct StoredDevice {
    v: u32,
    #[serde(default)]
    rev: u64,
    #[serde(skip_serializing_if = "is_default", default)]
    gone: bool,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    topic: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    token: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    environment: Option<Environment>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    alias: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "is_default", default)]
    first_ms: u64,
    #[serde(skip_serializing_if = "is_default", default)]
    last_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    removed: Option<StoredTombstone>,
    #[serde(skip_serializing_if = "is_default", default)]
    stale: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredTombstone {
    reason: RemovalReason,
    since_ms: u64,
    at_ms: u64,
}

/// Whether a field may be left out of the record.
fn is_default<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}

impl DeviceRecord {
    /// From the bytes of a record.
    ///
    /// # Errors
    /// [`CorruptRecord`]; also where nothing but a revision is left.
    pub fn read(bytes: &[u8]) -> Result<Self, CorruptRecord> {
        Self::read_stored(Some(bytes))?.ok_or_else(|| CorruptRecord("no device record".into()))
    }

    /// From what a store has under a device's key; `None` where no record is, or none is left.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub fn read_stored(bytes: Option<&[u8]>) -> Result<Option<Self>, CorruptRecord> {
        Slot::read(bytes).map(|slot| slot.record)
    }

    /// The bytes to store.
    pub fn write(&self) -> Vec<u8> {
        let removed = self.removed.map(|tombstone| StoredTombstone {
            reason: tombstone.reason,
            since_ms: tombstone.since.as_millis(),
            at_ms: tombstone.removed_at.as_millis(),
        });
        let stored = StoredDevice {
            v: VERSION,
            rev: self.revision,
            gone: false,
            topic: self.topic.as_str().to_owned(),
            token: self.token.to_hex(),
            environment: self.environment,
            alias: self.alias.as_ref().map(|alias| alias.as_str().to_owned()),
            tags: self
                .tags
                .iter()
                .map(|tag| tag.as_str().to_owned())
                .collect(),
            first_ms: self.first_registered_at.as_millis(),
            last_ms: self.registered_at.as_millis(),
            removed,
            stale: self.stale,
        };
        // Strings and numbers always serialise.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Which device it is about.
    pub fn device(&self) -> DeviceRef {
        DeviceRef {
            topic: self.topic.clone(),
            token: self.token.clone(),
        }
    }
}

impl Slot {
    pub(in crate::registry) fn read(bytes: Option<&[u8]>) -> Result<Self, CorruptRecord> {
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            return Ok(Self {
                revision: 0,
                record: None,
            });
        };
        let stored: StoredDevice =
            json::read(bytes).map_err(|error| corrupt("device record", &error))?;
        check_version("device record", stored.v)?;
        Ok(Self {
            revision: stored.rev,
            record: if stored.gone {
                None
            } else {
                Some(stored.record()?)
            },
        })
    }

    /// The bytes to store.
    pub(in crate::registry) fn write(&self) -> Vec<u8> {
        if let Some(record) = &self.record {
            return record.write();
        }
        let stored = StoredDevice {
            v: VERSION,
            rev: self.revision,
            gone: true,
            ..StoredDevice::default()
        };
        // Numbers always serialise.
        serde_json::to_vec(&stored).unwrap_or_default()
    }
}

impl StoredDevice {
    fn record(&self) -> Result<DeviceRecord, CorruptRecord> {
        let unreadable = |error: InvalidNotification| CorruptRecord(error.to_string());
        let alias = self.alias.as_deref().map(Alias::parse).transpose();
        let tags: Result<_, _> = self.tags.iter().map(|tag| Tag::parse(tag)).collect();
        Ok(DeviceRecord {
            topic: Topic::parse(&self.topic).map_err(unreadable)?,
            token: DeviceToken::parse_hex(&self.token).map_err(unreadable)?,
            environment: self.environment,
            alias: alias.map_err(unreadable)?,
            tags: tags.map_err(unreadable)?,
            first_registered_at: UnixTime::from_millis(self.first_ms),
            registered_at: UnixTime::from_millis(self.last_ms),
            removed: self.removed.as_ref().map(StoredTombstone::tombstone),
            stale: self.stale,
            revision: self.rev,
        })
    }
}

impl StoredTombstone {
    fn tombstone(&self) -> Tombstone {
        Tombstone {
            reason: self.reason,
            since: UnixTime::from_millis(self.since_ms),
            removed_at: UnixTime::from_millis(self.at_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> DeviceRecord {
        DeviceRecord {
            topic: Topic::parse("com.example.app").unwrap(),
            token: DeviceToken::from_bytes(&[7; 32]).unwrap(),
            environment: Some(Environment::Production),
            alias: Some(Alias::parse("anna \"a\"").unwrap()),
            tags: vec![Tag::parse("news").unwrap()],
            first_registered_at: UnixTime::from_millis(1_234),
            registered_at: UnixTime::from_millis(2_345),
            removed: None,
            stale: false,
            revision: 3,
        }
    }

    #[test]
    fn a_record_survives_storage() {
        let mut record = record();
        assert_eq!(DeviceRecord::read(&record.write()).unwrap(), record);
        record.stale = true;
        for reason in [
            RemovalReason::Unregistered,
            RemovalReason::ExpiredToken,
            RemovalReason::Feedback,
            RemovalReason::BadDeviceToken,
            RemovalReason::DeviceTokenNotForTopic,
            RemovalReason::Replaced,
        ] {
            record.removed = Some(Tombstone {
                reason,
                since: UnixTime::from_millis(3),
                removed_at: UnixTime::from_millis(4),
            });
            let bytes = record.write();
            assert_eq!(DeviceRecord::read(&bytes).unwrap(), record);
            let text = String::from_utf8(bytes).unwrap();
            assert!(
                text.contains(&format!("\"reason\":\"{reason}\"")),
                "the stored name and the shown one are the same: {text}"
            );
        }
    }

    #[test]
    fn a_record_of_a_time_before_tombstones_is_read() {
        let bytes = br#"{"v":1,"topic":"com.example.app","token":"a1b2","first_ms":1,"last_ms":2}"#;
        let record = DeviceRecord::read(bytes).unwrap();
        assert_eq!(
            (record.removed, record.stale, record.revision),
            (None, false, 0)
        );
        assert_eq!(record.registered_at, UnixTime::from_millis(2));
    }

    #[test]
    fn no_bytes_and_a_bare_revision_are_no_record() {
        assert_eq!(DeviceRecord::read_stored(None), Ok(None));
        assert_eq!(DeviceRecord::read_stored(Some(b"")), Ok(None));
        let gone = Slot {
            revision: 7,
            record: None,
        };
        let bytes = gone.write();
        assert_eq!(bytes, br#"{"v":1,"rev":7,"gone":true}"#);
        assert_eq!(Slot::read(Some(&bytes)), Ok(gone));
        assert_eq!(DeviceRecord::read_stored(Some(&bytes)), Ok(None));
        assert!(DeviceRecord::read(&bytes).is_err());
    }

    #[test]
    fn what_is_no_record_is_refused_without_quoting_it() {
        for bytes in [
            &b"{"[..],
            b"{}",
            b"[]",
            br#"{"v":1}"#,
            br#"{"v":2,"gone":true}"#,
            b"{\"v\":1,\"topic\":\"a.b\",\"token\":\"a1\",\
              \"removed\":{\"reason\":\"Bored\",\"since_ms\":1,\"at_ms\":1}}",
        ] {
            assert!(DeviceRecord::read_stored(Some(bytes)).is_err());
        }
        let secret = br#"{"v":1,"topic":"a.b","token":"a1b2c3d4z"}"#;
        let error = DeviceRecord::read(secret).unwrap_err().to_string();
        assert!(!error.contains("a1b2"), "{error}");
    }
}
