//! What version 1 of the records becomes: for `dunlin store upgrade` alone, which no function does.
//!
//! ```text
//!   d/…              a record in JSON    ──►  the same record, and its entries in all indexes
//!   a/…  o/…  g/…    indexes             ──►  nothing: they are made anew of the records
//!   everything else                      ──►  itself
//! ```
//!
//! The records are the truth and the indexes only where to look, so that nothing is lost with the
//! old indexes, and what had been left in them without need goes with them.

use serde::Deserialize;

use super::indexes::{Failure, Swap, Swapped, Values, enter, swap};
use super::records::{
    Alias, CorruptRecord, DEVICE_KEYS, DeviceRecord, RemovalReason, Slot, Tag, Tombstone,
    device_key,
};
use crate::environment::Environment;
use crate::json;
use crate::notification::{DeviceToken, InvalidNotification, Topic};
use crate::time::UnixTime;

/// What the keys of indexes begin with.
const INDEX_KEYS: [&str; 3] = ["a/", "o/", "g/"];

/// The revision of a record that had none: one of a time before there were groups.
const FIRST_REVISION: u64 = 1;

/// What becomes of a value of version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upgraded {
    /// A record, which [`load`] puts where it belongs.
    Record(Box<DeviceRecord>),
    /// Another value under the same key.
    Value(Vec<u8>),
    /// None.
    Nothing,
}

#[derive(Deserialize)]
struct StoredDevice {
    v: u32,
    #[serde(default)]
    rev: u64,
    #[serde(default)]
    gone: bool,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    environment: Option<Environment>,
    #[serde(default)]
    alias: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    first_ms: u64,
    #[serde(default)]
    last_ms: u64,
    #[serde(default)]
    removed: Option<StoredTombstone>,
    #[serde(default)]
    stale: bool,
}

#[derive(Deserialize)]
struct StoredTombstone {
    reason: RemovalReason,
    since_ms: u64,
    at_ms: u64,
}

/// What becomes of what a store of version 1 has under a key.
///
/// # Errors
/// [`CorruptRecord`] for a record that version 1 could not have read either.
pub fn upgraded(key: &str, value: &[u8]) -> Result<Upgraded, CorruptRecord> {
    if INDEX_KEYS.iter().any(|index| key.starts_with(index)) || value.is_empty() {
        return Ok(Upgraded::Nothing);
    }
    if !key.starts_with(DEVICE_KEYS) {
        return Ok(Upgraded::Value(value.to_owned()));
    }
    // Line and column only: the messages may quote the value, which may be a token.
    let stored: StoredDevice = json::read(value).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        CorruptRecord(format!("device record, line {line}, column {column}"))
    })?;
    if stored.v != 1 {
        let text = format!("device record, expected version 1, got {}", stored.v);
        return Err(CorruptRecord(text));
    }
    if stored.gone {
        let slot = Slot {
            revision: stored.rev,
            record: None,
        };
        return Ok(Upgraded::Value(slot.write()));
    }
    let record = stored.record()?;
    if device_key(&record.topic, &record.token) != key {
        return Err(CorruptRecord("device record, under another's key".into()));
    }
    Ok(Upgraded::Record(Box::new(record)))
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
            removed: self.removed.as_ref().map(|stored| Tombstone {
                reason: stored.reason,
                since: UnixTime::from_millis(stored.since_ms),
                removed_at: UnixTime::from_millis(stored.at_ms),
            }),
            stale: self.stale,
            revision: self.rev.max(FIRST_REVISION),
        })
    }
}

/// Puts a record into a store that has none of the device, with its revision, and the device into
/// its indexes.
///
/// # Errors
/// [`Failure::Contended`] if there is a record; as of all calls of the registry.
pub async fn load<V: Values>(values: &V, record: &DeviceRecord) -> Result<(), Failure<V::Error>> {
    enter(values, record).await?;
    let wanted = Swap {
        key: device_key(&record.topic, &record.token),
        expected: None,
        new: Some(record.write()),
    };
    match swap(values, wanted).await? {
        Swapped::Done => Ok(()),
        Swapped::Lost(_) => Err(Failure::Contended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::replay::{Memory, ready};
    use crate::registry::{Group, Index};

    const KEY_OF_A1B2: &str = "a.b";

    fn key(token: &[u8]) -> String {
        let token = DeviceToken::from_bytes(token).unwrap();
        device_key(&Topic::parse(KEY_OF_A1B2).unwrap(), &token)
    }

    fn record(token: &[u8], json: &str) -> DeviceRecord {
        match upgraded(&key(token), json.as_bytes()).unwrap() {
            Upgraded::Record(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_record_keeps_all_it_had() {
        let read = record(
            &[0xa1, 0xb2],
            r#"{"v":1,"rev":8,"topic":"a.b","token":"a1b2","environment":"production",
               "alias":"anna \"a\"","tags":["news","sport"],"first_ms":1234,"last_ms":2345,
               "removed":{"reason":"Feedback","since_ms":3,"at_ms":4},"stale":true}"#,
        );
        assert_eq!((read.revision, read.stale), (8, true));
        assert_eq!(read.environment, Some(Environment::Production));
        assert_eq!(read.alias, Some(Alias::parse("anna \"a\"").unwrap()));
        assert_eq!(read.tags.len(), 2);
        let times = (read.first_registered_at, read.registered_at);
        let millis = UnixTime::from_millis;
        assert_eq!(times, (millis(1_234), millis(2_345)));
        let tombstone = read.removed.unwrap();
        assert_eq!(tombstone.reason, RemovalReason::Feedback);
        assert_eq!(
            (tombstone.since, tombstone.removed_at),
            (millis(3), millis(4))
        );
    }

    #[test]
    fn a_record_of_a_time_before_tombstones_and_groups_is_read() {
        let json = r#"{"v":1,"topic":"a.b","token":"a1b2","first_ms":1,"last_ms":2}"#;
        let read = record(&[0xa1, 0xb2], json);
        assert_eq!((read.removed, read.stale, read.revision), (None, false, 1));
    }

    #[test]
    fn what_is_no_record_stays_or_goes() {
        let gone = upgraded(&key(&[7]), br#"{"v":1,"rev":7,"gone":true}"#);
        assert_eq!(gone, Ok(Upgraded::Value(vec![2, 7, 0])));
        for index in ["a/x", "o/x", "g/x/0"] {
            assert_eq!(upgraded(index, b"anything"), Ok(Upgraded::Nothing));
        }
        assert_eq!(upgraded("i/x", b""), Ok(Upgraded::Nothing));
        let receipt = upgraded("i/x", br#"{"v":1}"#);
        assert_eq!(receipt, Ok(Upgraded::Value(br#"{"v":1}"#.to_vec())));
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_quoting_it() {
        for json in [
            "{",
            "[]",
            r#"{"v":2,"gone":true}"#,
            r#"{"v":1}"#,
            r#"{"v":1,"topic":"a.b","token":"a1b2c3d4z"}"#,
            r#"{"v":1,"topic":"a.b","token":"a1b2c3d4"}"#,
            r#"{"v":1,"topic":"a.b","token":"a1","removed":{"reason":"a1b2","since_ms":1}}"#,
        ] {
            let error = upgraded(&key(&[7]), json.as_bytes()).unwrap_err();
            assert!(!error.to_string().contains("a1b2"), "{error}");
        }
    }

    #[test]
    fn what_is_loaded_is_found() {
        let memory = Memory::default();
        for n in 0..300_u16 {
            let json = format!(
                r#"{{"v":1,"topic":"a.b","token":"{n:04x}","alias":"anna-{}","tags":["news"]}}"#,
                n % 7
            );
            ready(load(&memory, &record(&n.to_be_bytes(), &json))).unwrap();
        }
        let topic = Topic::parse("a.b").unwrap();
        let tagged = Group::Tag(topic.clone(), Tag::parse("news").unwrap());
        assert_eq!(memory.group(&tagged).len(), 300);
        assert_eq!(memory.group(&Group::Topic(topic.clone())).len(), 300);
        let anna = Alias::parse("anna-3").unwrap();
        let devices = memory.alias(&anna);
        assert_eq!(devices.len(), 43);
        memory.assert_found(&Index::Alias(anna, topic), &devices);
        let twice = record(&[0, 7], r#"{"v":1,"topic":"a.b","token":"0007"}"#);
        assert_eq!(ready(load(&memory, &twice)), Err(Failure::Contended));
    }
}
