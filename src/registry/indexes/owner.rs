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
use super::round::all;
use super::values::{Failure, Try, Values, get, get_all, retry_from};
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

/// Indexes of a page that are read in one call; one has 500 devices at most.
const INDEXES_AT_ONCE: usize = 16;

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

/// What an alias's list and indexes were before a device joins one of them.
pub(super) struct Room {
    topics: Option<Vec<u8>>,
    index: Option<Vec<u8>>,
    older: AliasIndex,
}

impl Room {
    /// Reads what there is, and sees that the device finds a place.
    ///
    /// Devices that the index has only by a surplus entry must not keep others out, so they are
    /// taken out of one that is full. Nothing else is written: who is refused has changed nothing.
    ///
    /// # Errors
    /// [`Failure::AliasFull`].
    pub(super) async fn find<V: Values>(
        values: &V,
        alias: &Alias,
        device: &DeviceRef,
        revision: u64,
    ) -> Result<Self, Failure<V::Error>> {
        let room = Self::read(values, alias, &device.topic).await?;
        match room.check(device, revision) {
            Err(Failure::AliasFull) if tidy(values, alias, &device.topic).await? => {
                let room = Self::read(values, alias, &device.topic).await?;
                room.check(device, revision).map(|()| room)
            }
            checked => checked.map(|()| room),
        }
    }

    async fn read<V: Values>(
        values: &V,
        alias: &Alias,
        topic: &Topic,
    ) -> Result<Self, Failure<V::Error>> {
        let keys = [
            older_alias_key(alias),
            alias_key(alias, topic),
            alias_topics_key(alias),
        ];
        let mut found = get_all(values, keys.into()).await?;
        let mut last = || found.pop().flatten();
        let (topics, index) = (last(), last());
        let older = AliasIndex::read(last().as_deref())?;
        Ok(Self {
            topics,
            index,
            older,
        })
    }

    fn check<E>(&self, device: &DeviceRef, revision: u64) -> Result<(), Failure<E>> {
        let mut topics = AliasTopics::read(self.topics.as_deref())?;
        topics.add(&device.topic).map_err(|_| Failure::AliasFull)?;
        let mut index = AliasIndex::read(self.index.as_deref())?;
        let joined = index.join_beside(&self.older, device, revision);
        joined.map(drop).map_err(|_| Failure::AliasFull)
    }
}

/// Puts a device into the index of its app, with the revision that its record is about to get. What
/// was read before may be old without harm: what is written is compared with the newest.
pub(super) async fn join<V: Values>(
    values: &V,
    alias: &Alias,
    device: &DeviceRef,
    revision: u64,
    room: Room,
) -> Result<(), Failure<V::Error>> {
    let Room {
        topics,
        index,
        older,
    } = room;
    // Before the index: see the module.
    list(values, alias, &device.topic, topics).await?;
    let key = alias_key(alias, &device.topic);
    let join = |older: AliasIndex| {
        move |index: &mut AliasIndex| {
            let joined = index.join_beside(&older, device, revision);
            joined.map_err(|_| Failure::AliasFull)
        }
    };
    match change_from(values, &key, index, join(older)).await {
        // Others were faster.
        Err(Failure::AliasFull) if tidy(values, alias, &device.topic).await? => {
            let room = Room::read(values, alias, &device.topic).await?;
            change_from(values, &key, room.index, join(room.older)).await
        }
        joined => joined,
    }
    .map(drop)
}

/// Sees that an app is on the list of an alias, which was `known`.
async fn list<V: Values>(
    values: &V,
    alias: &Alias,
    topic: &Topic,
    known: Option<Vec<u8>>,
) -> Result<(), Failure<V::Error>> {
    retry_from(values, &alias_topics_key(alias), known, async |current| {
        let mut topics = AliasTopics::read(current)?;
        Ok(match topics.add(topic).map_err(|_| Failure::AliasFull)? {
            true => Try::Write(topics.write(), ()),
            false => Try::Done(()),
        })
    })
    .await
}

/// Takes out of an alias's index what does not belong there; false if nothing did not.
async fn tidy<V: Values>(
    values: &V,
    alias: &Alias,
    topic: &Topic,
) -> Result<bool, Failure<V::Error>> {
    let Room { index, older, .. } = Room::read(values, alias, topic).await?;
    let index = AliasIndex::read(index.as_deref())?;
    let devices: Vec<_> = in_app(topic, &index, &older).into_values().collect();
    let keys = devices.iter();
    let keys = keys.map(|device| device_key(&device.topic, &device.token));
    let stored = get_all(values, keys.collect()).await?;
    let mut foreign = Vec::new();
    for (device, stored) in devices.iter().zip(stored) {
        let Slot { revision, record } = Slot::read(stored.as_deref())?;
        if !record.is_some_and(|record| record.belongs_to(alias)) {
            foreign.push((device, revision));
        }
    }
    leave(values, alias, topic, foreign.into_iter()).await
}

/// Takes devices of an app out of an alias's indexes unless they joined later; false if none left.
pub(super) async fn leave<'a, V: Values>(
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
    let keys = [alias_key(alias, topic), older_alias_key(alias)];
    let left = all(keys.map(async |key| {
        let current = get(values, &key).await?;
        change_from(values, &key, current, leave).await
    }));
    let mut changed = false;
    for left in left.await {
        changed |= left?;
    }
    Ok(changed)
}

/// Changes an index that was `known`; `change` says whether it did anything, and so does this.
async fn change_from<V: Values>(
    values: &V,
    key: &str,
    known: Option<Vec<u8>>,
    mut change: impl FnMut(&mut AliasIndex) -> Result<bool, Failure<V::Error>>,
) -> Result<bool, Failure<V::Error>> {
    retry_from(values, key, known, async |current| {
        let mut index = AliasIndex::read(current)?;
        Ok(match change(&mut index)? {
            true => Try::Write(index.write(), true),
            false => Try::Done(false),
        })
    })
    .await
}

/// The devices of an app that may be an alias's, by their places in its listing.
fn in_app(topic: &Topic, index: &AliasIndex, older: &AliasIndex) -> BTreeMap<Cursor, DeviceRef> {
    let devices = index.devices().chain(older.devices());
    let devices = devices.filter(|device| device.topic == *topic);
    let mut found = BTreeMap::new();
    found.extend(devices.map(|device| (Cursor::in_alias(device), device.clone())));
    found
}

/// The devices that may be an alias's and come behind `after`, in apps for which `wanted` says so,
/// and where to go on. A page reads at most 1,024 indexes.
pub(super) async fn page<V: Values>(
    values: &V,
    alias: &Alias,
    wanted: impl Fn(&Topic) -> bool,
    after: Option<Cursor>,
    limit: PageLimit,
) -> Result<Candidates, Failure<V::Error>> {
    let keys = vec![alias_topics_key(alias), older_alias_key(alias)];
    let mut lists = get_all(values, keys).await?;
    let older = AliasIndex::read(lists.pop().flatten().as_deref())?;
    let listed = AliasTopics::read(lists.pop().flatten().as_deref())?;
    let apps = older.devices().map(|device| &device.topic);
    let listed = apps.chain(listed.as_slice());
    let mut apps = BTreeMap::new();
    apps.extend(
        listed
            .filter(|topic| wanted(topic))
            .map(|topic| (Cursor::last_of(topic), topic))
            .filter(|(last, _)| after.is_none_or(|after| *last > after)),
    );
    let places: Vec<_> = apps.iter().take(PAGE_INDEXES).collect();
    let mut found = BTreeMap::new();
    let mut reached = None;
    for some in places.chunks(INDEXES_AT_ONCE) {
        if found.len() > limit.get() {
            break;
        }
        let keys = some.iter().map(|(_, topic)| alias_key(alias, topic));
        let stored = get_all(values, keys.collect()).await?;
        for ((last, topic), stored) in some.iter().zip(stored) {
            let index = AliasIndex::read(stored.as_deref())?;
            let here = in_app(topic, &index, &older).into_iter();
            let behind = |cursor: &Cursor| after.is_none_or(|after| *cursor > after);
            found.extend(here.filter(|(cursor, _)| behind(cursor)));
            reached = Some(**last);
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
