//! Where the devices of an alias are looked for: its apps, and an index for each.
//!
//! ```text
//!   o/<hash of alias>              ──►  AliasTopics   the apps in which it has, or had, devices
//!   a/<hash of alias and topic>    ──►  AliasIndex    its devices in one of them
//!   a/<hash of alias>              ──►  AliasIndex    those that an older version put there
//! ```
//!
//! Invariant: an app is listed before a device joins its index, and is never taken off the list. So
//! whoever reads the list and then the indexes misses no device, whatever is done meanwhile. A list
//! that was left by the last device of an app would need to be left and joined in one step with the
//! index, which two keys do not allow.
//!
//! Bound: 4,096 apps of one alias. A key that is bound to topics adds one for each topic and push
//! type, so it takes hundreds of them to use up the list of an alias.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::page::{Candidates, PageLimit};
use super::values::{Failure, Try, Values, get, retry, swap};
use crate::json;
use crate::notification::{InvalidNotification, Topic};
use crate::registry::records::{
    Alias, AliasFull, AliasIndex, CorruptRecord, Cursor, DeviceRef, Slot, VERSION, alias_key,
    alias_topics_key, check_version, corrupt, device_key, older_alias_key,
};

/// Most apps of one alias.
pub const ALIAS_MAX_TOPICS: usize = 4_096;

/// Most indexes that are read for a page: of many apps an alias may have had its last device.
const PAGE_INDEXES: usize = 1_024;

/// The apps in which an alias has devices, or had some, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AliasTopics(Vec<Topic>);

#[derive(Serialize, Deserialize)]
struct StoredAliasTopics {
    v: u32,
    topics: Vec<String>,
}

impl AliasTopics {
    /// From the stored bytes; none are an empty list.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub fn read(bytes: Option<&[u8]>) -> Result<Self, CorruptRecord> {
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            return Ok(Self::default());
        };
        let stored: StoredAliasTopics =
            json::read(bytes).map_err(|error| corrupt("topics of an alias", &error))?;
        check_version("topics of an alias", stored.v)?;
        let unreadable = |error: InvalidNotification| CorruptRecord(error.to_string());
        let topics = stored.topics.iter().map(|topic| Topic::parse(topic));
        let topics = topics.collect::<Result<_, _>>().map_err(unreadable)?;
        Ok(Self(topics))
    }

    /// The bytes to store.
    pub fn write(&self) -> Vec<u8> {
        let topics = self.0.iter().map(|topic| topic.as_str().to_owned());
        // Strings and numbers always serialise.
        serde_json::to_vec(&StoredAliasTopics {
            v: VERSION,
            topics: topics.collect(),
        })
        .unwrap_or_default()
    }

    /// The apps.
    pub fn as_slice(&self) -> &[Topic] {
        &self.0
    }

    /// Adds one; false if it was there.
    ///
    /// # Errors
    /// [`AliasFull`].
    pub fn add(&mut self, topic: &Topic) -> Result<bool, AliasFull> {
        if self.0.contains(topic) {
            return Ok(false);
        }
        if self.0.len() >= ALIAS_MAX_TOPICS {
            return Err(AliasFull);
        }
        self.0.push(topic.clone());
        Ok(true)
    }
}

/// Puts a device into the index of its app, with the revision that its record is about to get.
pub(super) fn join<V: Values>(
    values: &V,
    alias: &Alias,
    device: &DeviceRef,
    revision: u64,
) -> Result<(), Failure<V::Error>> {
    list(values, alias, &device.topic)?;
    let joined = match join_index(values, alias, device, revision) {
        // Devices that it has only by a surplus entry must not keep others out.
        Err(Failure::AliasFull) if tidy(values, alias, &device.topic)? => {
            join_index(values, alias, device, revision)
        }
        joined => joined,
    };
    joined.map(drop)
}

/// Sees that an app is on the list of an alias.
fn list<V: Values>(values: &V, alias: &Alias, topic: &Topic) -> Result<(), Failure<V::Error>> {
    let key = alias_topics_key(alias);
    retry(values, &key, |current| {
        let mut topics = AliasTopics::read(current)?;
        if !topics.add(topic).map_err(|_| Failure::AliasFull)? {
            return Ok(Try::Done(()));
        }
        let swapped = swap(values, &key, current, &topics.write())?;
        Ok(Try::of(swapped, ()))
    })
}

fn join_index<V: Values>(
    values: &V,
    alias: &Alias,
    device: &DeviceRef,
    revision: u64,
) -> Result<bool, Failure<V::Error>> {
    let older = read(values, &older_alias_key(alias))?;
    change(values, &alias_key(alias, &device.topic), |index| {
        let joined = index.join_beside(&older, device, revision);
        joined.map_err(|_| Failure::AliasFull)
    })
}

/// Takes out of an alias's index what does not belong there; false if nothing did not.
fn tidy<V: Values>(values: &V, alias: &Alias, topic: &Topic) -> Result<bool, Failure<V::Error>> {
    let older = read(values, &older_alias_key(alias))?;
    let mut foreign = Vec::new();
    for device in in_app(values, alias, topic, &older)?.into_values() {
        let stored = get(values, &device_key(&device.topic, &device.token))?;
        let Slot { revision, record } = Slot::read(stored.as_deref())?;
        if !record.is_some_and(|record| record.belongs_to(alias)) {
            foreign.push((device, revision));
        }
    }
    let leaving = foreign.iter().map(|(device, revision)| (device, *revision));
    leave(values, alias, topic, leaving)
}

/// Takes devices of an app out of an alias's indexes unless they joined later; false if none left.
pub(super) fn leave<'a, V: Values>(
    values: &V,
    alias: &Alias,
    topic: &Topic,
    leaving: impl Iterator<Item = (&'a DeviceRef, u64)> + Clone,
) -> Result<bool, Failure<V::Error>> {
    let leave = |index: &mut AliasIndex| {
        let mut changed = false;
        for (device, revision) in leaving.clone() {
            changed |= index.leave(device, revision);
        }
        Ok(changed)
    };
    let left = change(values, &alias_key(alias, topic), leave)?;
    Ok(change(values, &older_alias_key(alias), leave)? || left)
}

/// Changes an index; `change` says whether it did anything, and so does this.
fn change<V: Values>(
    values: &V,
    key: &str,
    mut change: impl FnMut(&mut AliasIndex) -> Result<bool, Failure<V::Error>>,
) -> Result<bool, Failure<V::Error>> {
    retry(values, key, |current| {
        let mut index = AliasIndex::read(current)?;
        if !change(&mut index)? {
            return Ok(Try::Done(false));
        }
        let swapped = swap(values, key, current, &index.write())?;
        Ok(Try::of(swapped, true))
    })
}

fn read<V: Values>(values: &V, key: &str) -> Result<AliasIndex, Failure<V::Error>> {
    Ok(AliasIndex::read(get(values, key)?.as_deref())?)
}

/// The devices of an app that may be an alias's, by their places in its listing.
fn in_app<V: Values>(
    values: &V,
    alias: &Alias,
    topic: &Topic,
    older: &AliasIndex,
) -> Result<BTreeMap<Cursor, DeviceRef>, Failure<V::Error>> {
    let index = read(values, &alias_key(alias, topic))?;
    let devices = index.devices().chain(older.devices());
    let devices = devices.filter(|device| device.topic == *topic);
    let mut found = BTreeMap::new();
    found.extend(devices.map(|device| (Cursor::in_alias(device), device.clone())));
    Ok(found)
}

/// The devices that may be an alias's and come behind `after`, in apps for which `wanted` says so,
/// and where to go on. A page reads at most 1,024 indexes.
pub(super) fn page<V: Values>(
    values: &V,
    alias: &Alias,
    wanted: impl Fn(&Topic) -> bool,
    after: Option<Cursor>,
    limit: PageLimit,
) -> Result<Candidates, Failure<V::Error>> {
    let listed = AliasTopics::read(get(values, &alias_topics_key(alias))?.as_deref())?;
    let older = read(values, &older_alias_key(alias))?;
    let apps = older.devices().map(|device| &device.topic);
    let listed = apps.chain(listed.as_slice());
    let mut apps = BTreeMap::new();
    apps.extend(
        listed
            .filter(|topic| wanted(topic))
            .map(|topic| (Cursor::last_of(topic), topic))
            .filter(|(last, _)| after.is_none_or(|after| *last > after)),
    );
    let mut found = BTreeMap::new();
    let mut reached = None;
    for (last, topic) in apps.iter().take(PAGE_INDEXES) {
        let here = in_app(values, alias, topic, &older)?;
        let behind = |cursor: &Cursor| after.is_none_or(|after| *cursor > after);
        found.extend(here.into_iter().filter(|(cursor, _)| behind(cursor)));
        reached = Some(*last);
        if found.len() > limit.get() {
            break;
        }
    }
    let more = found.len() > limit.get();
    let end = apps.last_key_value().map(|(last, _)| *last);
    let found: Vec<_> = found.into_iter().take(limit.get()).collect();
    let next = match found.last() {
        Some((cursor, _)) if more => Some(*cursor),
        _ => reached.filter(|reached| Some(*reached) != end),
    };
    let devices = found.into_iter().map(|(_, device)| device).collect();
    Ok(Candidates { devices, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(n: usize) -> Topic {
        Topic::parse(&format!("com.example.app{n}")).unwrap()
    }

    #[test]
    fn the_apps_of_an_alias_are_listed_once_each_and_bounded() {
        let mut topics = AliasTopics::default();
        for n in 0..ALIAS_MAX_TOPICS {
            assert_eq!(topics.add(&topic(n)), Ok(true));
        }
        assert_eq!(topics.add(&topic(7)), Ok(false));
        assert_eq!(topics.add(&topic(ALIAS_MAX_TOPICS)), Err(AliasFull));
        let read = AliasTopics::read(Some(&topics.write()));
        assert_eq!(read.as_ref(), Ok(&topics));
        assert_eq!(topics.as_slice()[1], topic(1), "in the order they came");
        for empty in [None, Some(&b""[..])] {
            assert_eq!(AliasTopics::read(empty), Ok(AliasTopics::default()));
        }
    }

    #[test]
    fn what_is_no_list_of_apps_is_refused() {
        for bytes in [&b"{"[..], b"{}", b"[]", br#"{"v":9,"topics":[]}"#] {
            assert!(AliasTopics::read(Some(bytes)).is_err());
        }
        assert!(AliasTopics::read(Some(br#"{"v":1,"topics":["a b"]}"#)).is_err());
    }
}
