//! The devices of aliases.
//!
//! Bounds: 16,384 lists in which they are looked for. Every list and every record is read once,
//! whoever is named how often.

use std::collections::BTreeSet;

use super::reading::{RECORDS_AT_ONCE, keys_of, read, records, unreadable};
use super::target::{FirstPlaces, MAX_TARGETS, Resolved, Target, Wanted};
use crate::api::{Problem, Skipped};
use crate::registry::{
    Alias, AliasIndex, AliasTopics, DeviceRef, alias_key, alias_topics_key, older_alias_key,
};
use crate::service::{App, Runtime, Turns};

/// Most lists that are read for one push. An alias has one for each app in which it has, or had,
/// devices.
const MAX_LISTS: usize = 16_384;

/// Lists read in one call of the store; one has 500 devices at most.
pub(super) const LISTS_AT_ONCE: usize = 16;

pub(super) async fn of_aliases<R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    aliases: &[Alias],
    wanted: &Wanted<'_>,
) -> Result<Resolved, Problem> {
    let first = FirstPlaces::of(aliases);
    let named = first.each_once();
    let named: Vec<_> = named.map(|(entry, alias)| Named { entry, alias }).collect();
    let candidates = candidates(app, turns, &named, wanted).await?;
    let mut matched = BTreeSet::new();
    let mut targets = Vec::new();
    for batch in candidates.chunks(RECORDS_AT_ONCE) {
        let keys = keys_of(batch.iter().map(|(_, device)| device));
        let records = records(app, turns, keys).await?;
        for ((Named { entry, alias }, device), record) in batch.iter().zip(records) {
            if let Some(record) = record.filter(|record| record.belongs_to(alias)) {
                matched.insert(*alias);
                targets.push(Target {
                    entry: *entry,
                    device: device.clone(),
                    known: record.environment,
                    registered: true,
                });
            }
        }
    }
    let is_unmatched = |alias: &Alias| !matched.contains(alias);
    let skipped =
        first.skipped(|alias| is_unmatched(alias).then(|| Skipped::NoDevice(alias.clone())));
    let unmatched = named.into_iter().map(|named| named.alias);
    let unmatched = unmatched.filter(|alias| is_unmatched(alias)).cloned();
    Ok(Resolved {
        targets,
        skipped,
        unmatched: unmatched.collect(),
    })
}

/// An alias, and its place among the recipients.
#[derive(Clone, Copy)]
struct Named<'a> {
    entry: usize,
    alias: &'a Alias,
}

/// The devices that may be those of aliases, each with the alias that it may be of.
async fn candidates<'a, R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    aliases: &[Named<'a>],
    wanted: &Wanted<'_>,
) -> Result<Vec<(Named<'a>, DeviceRef)>, Problem> {
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
            candidates.extend(devices.map(|device| (one.named, device)));
        }
        wanted.check(candidates.len())?;
    }
    Ok(candidates)
}

/// What is known of the devices of an alias.
struct Known<'a> {
    named: Named<'a>,
    devices: Vec<DeviceRef>,
    /// The keys of the indexes in which there may be others.
    indexes: Vec<String>,
}

/// Reads which apps some aliases have devices in, and which devices an older version has listed.
async fn known<'a, R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    aliases: &[Named<'a>],
    wanted: &Wanted<'_>,
) -> Result<Vec<Known<'a>>, Problem> {
    let keys = aliases
        .iter()
        .flat_map(|named| [older_alias_key(named.alias), alias_topics_key(named.alias)]);
    let mut found = read(app, &keys.collect::<Vec<_>>()).await?;
    let mut known = Vec::with_capacity(aliases.len());
    for named in aliases.iter().copied() {
        let alias = named.alias;
        let mut take = |key: String| found.remove(&key).flatten();
        let (older, topics) = (take(older_alias_key(alias)), take(alias_topics_key(alias)));
        let size = [&older, &topics].map(|value| value.as_ref().map_or(0, Vec::len));
        let older = AliasIndex::read(older.as_deref()).map_err(unreadable)?;
        let topics = AliasTopics::read(topics.as_deref()).map_err(unreadable)?;
        let older = older.devices().filter(|device| wanted.is(&device.topic));
        let topics = topics.as_slice().iter().filter(|topic| wanted.is(topic));
        known.push(Known {
            named,
            devices: older.cloned().collect(),
            indexes: topics.map(|topic| alias_key(alias, topic)).collect(),
        });
        turns.read(size.iter().sum()).await;
    }
    Ok(known)
}
