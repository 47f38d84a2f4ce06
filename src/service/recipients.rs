//! Whom a push is for: the devices behind tokens and aliases.
//!
//! ```text
//!   recipients, each once ─► lists of devices ─► are they too many? ─► records, 64 at a time
//!                                                     └─ refused         └─ those of the app
//! ```
//!
//! Bounds: 10,000 devices of a push, counted before the first record is read; 16,384 lists in which
//! they are looked for. Every list and every record is read once, whoever is named how often.

use std::collections::{BTreeMap, BTreeSet};

use super::{App, Found, Runtime, Store, Turns};
use crate::api::{Problem, Recipients};
use crate::environment::Environment;
use crate::notification::{DeviceToken, Topic};
use crate::receipt::MAX_DEVICES as MAX_TARGETS_OF_A_RECEIPT;
use crate::registry::{
    Alias, AliasIndex, AliasTopics, CorruptRecord, DeviceRecord, DeviceRef, Failure, alias_key,
    alias_topics_key, device_key, older_alias_key,
};

/// Most devices of one push. Beyond it nothing is sent: the function would hold them all.
pub const MAX_TARGETS: usize = 10_000;

/// Most lists that are read for one push. An alias has one for each app in which it has, or had,
/// devices.
const MAX_LISTS: usize = 16_384;

/// Lists read in one call of the store; one has 500 devices at most.
const LISTS_AT_ONCE: usize = 16;

/// Records read in one call of the store.
const RECORDS_AT_ONCE: usize = 64;

/// A device that a push goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The device.
    pub device: DeviceRef,
    /// Where its token is good, as far as its record says.
    pub known: Option<Environment>,
    /// Whether it has a record.
    pub registered: bool,
}

/// The recipients of a push as devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// In the order in which their aliases or tokens were first named, each once.
    pub targets: Vec<Target>,
    /// The aliases without a device, in that order.
    pub unmatched: Vec<Alias>,
}

/// Whose devices are meant, and how many they may be.
struct Wanted<'a> {
    topic: Option<&'a Topic>,
    covers: &'a dyn Fn(&Topic) -> bool,
    /// The push has an idempotency key.
    keyed: bool,
}

/// Finds the devices of a push: of `topic`, or of those that the caller `covers`. A push that is
/// `keyed` has an idempotency key, whose receipt names 2,000 devices at most.
///
/// # Errors
/// 400 if tokens are without a topic; 404 if nobody has a device; 422 if they are too many; 503.
pub async fn resolve<R: Runtime>(
    app: &App<R>,
    to: &Recipients,
    topic: Option<&Topic>,
    covers: impl Fn(&Topic) -> bool,
    keyed: bool,
) -> Result<Resolved, Problem> {
    let wanted = Wanted {
        topic,
        covers: &covers,
        keyed,
    };
    let mut turns = Turns::new(&app.platform);
    match to {
        Recipients::Tokens(tokens) => {
            let Some(topic) = topic else {
                return Err(Problem::field("missing-field", "topic", "a topic", "none"));
            };
            let targets = of_tokens(app, &mut turns, tokens, topic).await?;
            Ok(Resolved {
                targets,
                unmatched: Vec::new(),
            })
        }
        Recipients::Aliases(aliases) => of_aliases(app, &mut turns, aliases, &wanted).await,
    }
}

impl Wanted<'_> {
    fn is(&self, topic: &Topic) -> bool {
        match self.topic {
            Some(wanted) => wanted == topic,
            None => (self.covers)(topic),
        }
    }

    fn check(&self, devices: usize) -> Result<(), Problem> {
        if self.keyed && devices > MAX_TARGETS_OF_A_RECEIPT {
            return Err(Problem::too_many_devices_of_a_receipt(
                MAX_TARGETS_OF_A_RECEIPT,
            ));
        }
        if devices > MAX_TARGETS {
            return Err(Problem::too_many_devices(MAX_TARGETS));
        }
        Ok(())
    }
}

/// Each of them once, in the order in which they are first named.
fn unique<T: Ord>(all: &[T]) -> Vec<&T> {
    let mut seen = BTreeSet::new();
    all.iter().filter(|one| seen.insert(*one)).collect()
}

async fn of_tokens<R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    tokens: &[DeviceToken],
    topic: &Topic,
) -> Result<Vec<Target>, Problem> {
    let device = |token: &DeviceToken| DeviceRef {
        topic: topic.clone(),
        token: token.clone(),
    };
    let devices: Vec<_> = unique(tokens).into_iter().map(device).collect();
    let mut targets = Vec::with_capacity(devices.len());
    for batch in devices.chunks(RECORDS_AT_ONCE) {
        let records = records(app, turns, keys_of(batch.iter())).await?;
        for (device, record) in batch.iter().zip(records) {
            // One that was removed is tried all the same: the caller asked for it by name.
            targets.push(Target {
                device: device.clone(),
                known: record.as_ref().and_then(|record| record.environment),
                registered: record.is_some(),
            });
        }
    }
    Ok(targets)
}

/// The keys of the records of devices.
pub(super) fn keys_of<'d>(devices: impl Iterator<Item = &'d DeviceRef>) -> Vec<String> {
    let keys = devices.map(|device| device_key(&device.topic, &device.token));
    keys.collect()
}

/// The records under these keys, in their order.
pub(super) async fn records<R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    keys: Vec<String>,
) -> Result<Vec<Option<DeviceRecord>>, Problem> {
    let mut found = read(app, &keys).await?;
    let mut records = Vec::with_capacity(keys.len());
    for key in &keys {
        let stored = found.remove(key).flatten();
        records.push(DeviceRecord::read_stored(stored.as_deref()).map_err(unreadable)?);
        turns.read(stored.map_or(0, |stored| stored.len())).await;
    }
    Ok(records)
}

async fn read<R: Runtime>(
    app: &App<R>,
    keys: &[String],
) -> Result<BTreeMap<String, Option<Vec<u8>>>, Problem> {
    let found: Vec<Found> = app
        .store
        .get_many(keys)
        .await
        .map_err(|error| Problem::store(&error.to_string()))?;
    let mut values = BTreeMap::new();
    values.extend(found);
    Ok(values)
}

fn unreadable(error: CorruptRecord) -> Problem {
    Problem::from(Failure::<core::convert::Infallible>::Corrupt(error))
}

async fn of_aliases<R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    aliases: &[Alias],
    wanted: &Wanted<'_>,
) -> Result<Resolved, Problem> {
    let aliases = unique(aliases);
    let candidates = candidates(app, turns, &aliases, wanted).await?;
    let mut matched = BTreeSet::new();
    let mut targets = Vec::new();
    for batch in candidates.chunks(RECORDS_AT_ONCE) {
        let keys = keys_of(batch.iter().map(|(_, device)| device));
        let records = records(app, turns, keys).await?;
        for ((alias, device), record) in batch.iter().zip(records) {
            if let Some(record) = record.filter(|record| record.belongs_to(alias)) {
                matched.insert(*alias);
                targets.push(Target {
                    device: device.clone(),
                    known: record.environment,
                    registered: true,
                });
            }
        }
    }
    if targets.is_empty() {
        return Err(Problem::unknown_alias());
    }
    let unmatched = aliases.into_iter().filter(|alias| !matched.contains(alias));
    let unmatched = unmatched.cloned().collect();
    Ok(Resolved { targets, unmatched })
}

/// The devices that may be those of aliases, each with the alias that it may be of.
async fn candidates<'a, R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    aliases: &[&'a Alias],
    wanted: &Wanted<'_>,
) -> Result<Vec<(&'a Alias, DeviceRef)>, Problem> {
    let mut candidates = Vec::new();
    let mut lists = 0;
    for some in aliases.chunks(LISTS_AT_ONCE) {
        let mut known = known(app, turns, some, wanted).await?;
        lists += known.iter().map(|one| one.indexes.len()).sum::<usize>();
        if lists > MAX_LISTS {
            return Err(Problem::too_many_devices(MAX_TARGETS));
        }
        let indexes = known
            .iter()
            .enumerate()
            .flat_map(|(place, one)| one.indexes.iter().map(move |key| (place, key.clone())));
        let indexes: Vec<_> = indexes.collect();
        for part in indexes.chunks(LISTS_AT_ONCE) {
            let keys: Vec<_> = part.iter().map(|(_, key)| key.clone()).collect();
            let mut found = read(app, &keys).await?;
            for (place, key) in part {
                let stored = found.remove(key).flatten();
                let index = AliasIndex::read(stored.as_deref()).map_err(unreadable)?;
                if let Some(one) = known.get_mut(*place) {
                    one.devices.extend(index.devices().cloned());
                }
                turns.read(stored.map_or(0, |stored| stored.len())).await;
            }
            let devices = known.iter().map(|one| one.devices.len()).sum::<usize>();
            wanted.check(candidates.len() + devices)?;
        }
        for one in known {
            let mut seen = BTreeSet::new();
            let devices = one.devices.into_iter().filter(|device| {
                let place = (device.topic.clone(), device.token.clone());
                seen.insert(place)
            });
            candidates.extend(devices.map(|device| (one.alias, device)));
        }
        wanted.check(candidates.len())?;
    }
    Ok(candidates)
}

/// What is known of the devices of an alias.
struct Known<'a> {
    alias: &'a Alias,
    devices: Vec<DeviceRef>,
    /// The keys of the indexes in which there may be others.
    indexes: Vec<String>,
}

/// Reads which apps some aliases have devices in, and which devices an older version has listed.
async fn known<'a, R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    aliases: &[&'a Alias],
    wanted: &Wanted<'_>,
) -> Result<Vec<Known<'a>>, Problem> {
    let keys = aliases
        .iter()
        .flat_map(|alias| [older_alias_key(alias), alias_topics_key(alias)]);
    let mut found = read(app, &keys.collect::<Vec<_>>()).await?;
    let mut known = Vec::with_capacity(aliases.len());
    for alias in aliases.iter().copied() {
        let mut take = |key: String| found.remove(&key).flatten();
        let (older, topics) = (take(older_alias_key(alias)), take(alias_topics_key(alias)));
        let size = [&older, &topics].map(|value| value.as_ref().map_or(0, Vec::len));
        let older = AliasIndex::read(older.as_deref()).map_err(unreadable)?;
        let topics = AliasTopics::read(topics.as_deref()).map_err(unreadable)?;
        let older = older.devices().filter(|device| wanted.is(&device.topic));
        let topics = topics.as_slice().iter().filter(|topic| wanted.is(topic));
        known.push(Known {
            alias,
            devices: older.cloned().collect(),
            indexes: topics.map(|topic| alias_key(alias, topic)).collect(),
        });
        turns.read(size.iter().sum()).await;
    }
    Ok(known)
}

#[cfg(test)]
mod tests;
