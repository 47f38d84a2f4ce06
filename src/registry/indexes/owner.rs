//! Where the devices of an alias are looked for: its apps, and an index for each.
//!
//! ```text
//!   o/<hash of alias>              ──►  AliasTopics   the apps in which it has, or had, devices
//!   a/<hash of alias and topic>    ──►  AliasIndex    its devices in one of them
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

use super::page::{Candidates, PageLimit};
use super::values::{Failure, Try, Values, get, get_all, retry_from};
use crate::notification::{DeviceToken, InvalidNotification, Topic};
use crate::registry::records::{
    Alias, AliasFull, AliasIndex, CorruptRecord, Cursor, DeviceRef, Slot, alias_key,
    alias_topics_key, device_key, read, write,
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

const WHAT: &str = "topics of an alias";

impl AliasTopics {
    /// From the stored bytes; none are an empty list.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub fn read(bytes: Option<&[u8]>) -> Result<Self, CorruptRecord> {
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            return Ok(Self::default());
        };
        let unreadable = |error: InvalidNotification| CorruptRecord(format!("{WHAT}, {error}"));
        let topics = read::<Vec<&str>>(WHAT, bytes)?
            .into_iter()
            .map(Topic::parse);
        let topics = topics.collect::<Result<_, _>>().map_err(unreadable)?;
        Ok(Self(topics))
    }

    /// The bytes to store.
    pub fn write(&self) -> Vec<u8> {
        write(&self.0.iter().map(Topic::as_str).collect::<Vec<_>>())
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
        let keys = vec![alias_key(alias, topic), alias_topics_key(alias)];
        let mut found = get_all(values, keys).await?;
        let (topics, index) = (found.pop().flatten(), found.pop().flatten());
        Ok(Self { topics, index })
    }

    fn check<E>(&self, device: &DeviceRef, revision: u64) -> Result<(), Failure<E>> {
        let mut topics = AliasTopics::read(self.topics.as_deref())?;
        topics.add(&device.topic).map_err(|_| Failure::AliasFull)?;
        let mut index = AliasIndex::read(self.index.as_deref())?;
        let joined = index.join(&device.token, revision);
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
    let Room { topics, index } = room;
    // Before the index: see the module.
    list(values, alias, &device.topic, topics).await?;
    let key = alias_key(alias, &device.topic);
    let join = |index: &mut AliasIndex| {
        let joined = index.join(&device.token, revision);
        joined.map_err(|_| Failure::AliasFull)
    };
    match change_from(values, &key, index, join).await {
        // Others were faster.
        Err(Failure::AliasFull) if tidy(values, alias, &device.topic).await? => {
            let room = Room::read(values, alias, &device.topic).await?;
            change_from(values, &key, room.index, join).await
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
    let index = get(values, &alias_key(alias, topic)).await?;
    let index = AliasIndex::read(index.as_deref())?;
    let keys = index.tokens().map(|token| device_key(topic, token));
    let stored = get_all(values, keys.collect()).await?;
    let mut foreign = Vec::new();
    for (token, stored) in index.tokens().zip(stored) {
        let Slot { revision, record } = Slot::read(stored.as_deref())?;
        if !record.is_some_and(|record| record.belongs_to(alias)) {
            foreign.push((token, revision));
        }
    }
    leave(values, alias, topic, foreign.into_iter()).await
}

/// Takes devices out of an alias's index of an app unless they joined later; false if none left.
pub(super) async fn leave<'a, V: Values>(
    values: &V,
    alias: &Alias,
    topic: &Topic,
    leaving: impl Iterator<Item = (&'a DeviceToken, u64)> + Clone,
) -> Result<bool, Failure<V::Error>> {
    let leave = |index: &mut AliasIndex| {
        let mut changed = false;
        for (token, revision) in leaving.clone() {
            changed |= index.leave(token, revision);
        }
        Ok(changed)
    };
    let key = alias_key(alias, topic);
    let current = get(values, &key).await?;
    change_from(values, &key, current, leave).await
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
fn in_app(topic: &Topic, index: &AliasIndex) -> impl Iterator<Item = (Cursor, DeviceRef)> {
    index.tokens().map(|token| {
        let device = DeviceRef {
            topic: topic.clone(),
            token: token.clone(),
        };
        (Cursor::in_alias(&device), device)
    })
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
    let listed = get(values, &alias_topics_key(alias)).await?;
    let listed = AliasTopics::read(listed.as_deref())?;
    let mut apps = BTreeMap::new();
    apps.extend(
        listed
            .as_slice()
            .iter()
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
            let here = in_app(topic, &index);
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
        let no_topic = [&[2, 1, 3][..], b"a b"].concat();
        for bytes in [&b"{"[..], b"{}", b"[]", &[9, 0], &[2, 1, 3], &no_topic] {
            assert!(AliasTopics::read(Some(bytes)).is_err());
        }
    }
}
