//! A device's record, and the bytes it is stored as.
//!
//! The value of a key `d/…` is one of
//!
//! ```text
//!   none, or no bytes     never written                                  revision 0
//!   2, 7, 0               deleted: nothing is left but the revision      revision 7
//!   2, 8, 1, topic, …     a record; removed if it has a tombstone        revision 8
//! ```
//!
//! The revision counts the writes of a key and never goes back, not even when the record is
//! deleted; what it is for is in `indexes::update`. What a record has is [`StoredDevice`].

use serde::{Deserialize, Serialize};

use super::alias::{Alias, DeviceRef};
use super::format::{self, Blob, CorruptRecord};
use super::invalidation::{RemovalReason, Tombstone};
use super::tag::Tag;
use crate::environment::Environment;
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

#[derive(Serialize, Deserialize)]
struct StoredSlot<'a> {
    revision: u64,
    #[serde(borrow)]
    record: Option<StoredDevice<'a>>,
}

/// Times are in milliseconds since 1970.
#[derive(Serialize, Deserialize)]
struct StoredDevice<'a> {
    topic: &'a str,
    #[serde(borrow)]
    token: Blob<'a>,
    environment: Option<Environment>,
    #[serde(borrow)]
    alias: Option<&'a str>,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    first_registered_at: u64,
    registered_at: u64,
    removed: Option<StoredTombstone>,
    stale: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredTombstone {
    reason: RemovalReason,
    since: u64,
    removed_at: u64,
}

const WHAT: &str = "device record";

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
        format::write(&StoredSlot {
            revision: self.revision,
            record: Some(self.stored()),
        })
    }

    fn stored(&self) -> StoredDevice<'_> {
        StoredDevice {
            topic: self.topic.as_str(),
            token: Blob(self.token.as_bytes()),
            environment: self.environment,
            alias: self.alias.as_ref().map(Alias::as_str),
            tags: self.tags.iter().map(Tag::as_str).collect(),
            first_registered_at: self.first_registered_at.as_millis(),
            registered_at: self.registered_at.as_millis(),
            removed: self.removed.map(|tombstone| StoredTombstone {
                reason: tombstone.reason,
                since: tombstone.since.as_millis(),
                removed_at: tombstone.removed_at.as_millis(),
            }),
            stale: self.stale,
        }
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
        let StoredSlot { revision, record } = format::read(WHAT, bytes)?;
        let record = record.map(|stored| stored.record(revision)).transpose()?;
        Ok(Self { revision, record })
    }

    /// The bytes to store.
    pub(in crate::registry) fn write(&self) -> Vec<u8> {
        format::write(&StoredSlot {
            revision: self.revision,
            record: self.record.as_ref().map(DeviceRecord::stored),
        })
    }
}

impl StoredDevice<'_> {
    fn record(&self, revision: u64) -> Result<DeviceRecord, CorruptRecord> {
        let unreadable = |error: InvalidNotification| CorruptRecord(format!("{WHAT}, {error}"));
        let tags: Result<_, _> = self.tags.iter().map(|tag| Tag::parse(tag)).collect();
        Ok(DeviceRecord {
            topic: Topic::parse(self.topic).map_err(unreadable)?,
            token: DeviceToken::from_bytes(self.token.0).map_err(unreadable)?,
            environment: self.environment,
            alias: self
                .alias
                .map(Alias::parse)
                .transpose()
                .map_err(unreadable)?,
            tags: tags.map_err(unreadable)?,
            first_registered_at: UnixTime::from_millis(self.first_registered_at),
            registered_at: UnixTime::from_millis(self.registered_at),
            removed: self.removed.as_ref().map(StoredTombstone::tombstone),
            stale: self.stale,
            revision,
        })
    }
}

impl StoredTombstone {
    fn tombstone(&self) -> Tombstone {
        Tombstone {
            reason: self.reason,
            since: UnixTime::from_millis(self.since),
            removed_at: UnixTime::from_millis(self.removed_at),
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
        for (number, reason) in (0..).zip([
            RemovalReason::Unregistered,
            RemovalReason::ExpiredToken,
            RemovalReason::Feedback,
            RemovalReason::BadDeviceToken,
            RemovalReason::DeviceTokenNotForTopic,
            RemovalReason::Replaced,
        ]) {
            record.removed = Some(Tombstone {
                reason,
                since: UnixTime::from_millis(3),
                removed_at: UnixTime::from_millis(4),
            });
            let bytes = record.write();
            assert_eq!(DeviceRecord::read(&bytes).unwrap(), record);
            // Whatever is added to the reasons has to come behind them.
            assert!(
                bytes.ends_with(&[1, number, 3, 4, 1]),
                "{reason}: {bytes:?}"
            );
        }
    }

    #[test]
    fn the_layout_is_what_the_wire_format_says() {
        let drawn = [
            &[2, 3, 1][..],
            &[15],
            b"com.example.app",
            &[32],
            &[7; 32],
            &[1, 1],
            &[1, 8],
            b"anna \"a\"",
            &[1, 4],
            b"news",
            // 1,234 and 2,345.
            &[0xd2, 0x09, 0xa9, 0x12],
            &[0, 0],
        ];
        assert_eq!(record().write(), drawn.concat());
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
        assert_eq!(bytes, [2, 7, 0]);
        assert_eq!(Slot::read(Some(&bytes)), Ok(gone));
        assert_eq!(DeviceRecord::read_stored(Some(&bytes)), Ok(None));
        assert!(DeviceRecord::read(&bytes).is_err());
    }

    #[test]
    fn what_is_no_record_is_refused_without_quoting_it() {
        let whole = record().write();
        for cut in 1..whole.len() {
            assert!(DeviceRecord::read(&whole[..cut]).is_err(), "{cut}");
        }
        let mut reason = record();
        reason.removed = Some(Tombstone {
            reason: RemovalReason::Replaced,
            since: UnixTime::from_millis(3),
            removed_at: UnixTime::from_millis(4),
        });
        let mut unknown = reason.write();
        let place = unknown.len() - 4;
        unknown[place] = 6;
        let more = [&*whole, &[0]].concat();
        let text = [&[2, 3, 1, 3][..], b"a b", &[1, 7, 0, 0, 0, 1, 1, 0, 0]].concat();
        for bytes in [&b"{"[..], b"{}", b"[]", &[3, 7, 0], &unknown, &more, &text] {
            assert!(DeviceRecord::read_stored(Some(bytes)).is_err(), "{bytes:?}");
        }
        let error = DeviceRecord::read(&text).unwrap_err().to_string();
        assert!(!error.contains("a b"), "{error}");
    }
}
