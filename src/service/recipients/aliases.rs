//! The devices of aliases.
//!
//! Bounds: 16,384 lists in which they are looked for. Every list and every record is read once,
//! whoever is named how often.

use std::collections::BTreeSet;

use super::reading::{RECORDS_AT_ONCE, keys_of, read, records, unreadable};
use super::target::{FirstPlaces, MAX_TARGETS, Resolved, Target, Wanted};
use crate::api::{Problem, Skipped};
use crate::notification::Topic;
use crate::registry::{Alias, AliasIndex, AliasTopics, DeviceRef, alias_key, alias_topics_key};
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
        let indexes = indexes(app, turns, some, wanted).await?;
        lists += indexes.len();
        if lists > MAX_LISTS {
            return Err(Problem::too_many_devices(MAX_TARGETS));
        }
        for part in indexes.chunks(LISTS_AT_ONCE) {
            let keys = part
                .iter()
                .map(|(named, topic)| alias_key(named.alias, topic));
            let keys: Vec<_> = keys.collect();
            let mut found = read(app, &keys).await?;
            for ((named, topic), key) in part.iter().zip(keys) {
                let stored = found.remove(&key).flatten();
                let index = AliasIndex::read(stored.as_deref()).map_err(unreadable)?;
                let devices = index.tokens().map(|token| DeviceRef {
                    topic: topic.clone(),
                    token: token.clone(),
                });
                candidates.extend(devices.map(|device| (*named, device)));
                turns.read(stored.map_or(0, |stored| stored.len())).await;
            }
            wanted.check(candidates.len())?;
        }
    }
    Ok(candidates)
}

/// The apps in which some aliases have, or had, devices.
async fn indexes<'a, R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    aliases: &[Named<'a>],
    wanted: &Wanted<'_>,
) -> Result<Vec<(Named<'a>, Topic)>, Problem> {
    let keys = aliases.iter().map(|named| alias_topics_key(named.alias));
    let keys: Vec<_> = keys.collect();
    let mut found = read(app, &keys).await?;
    let mut indexes = Vec::with_capacity(aliases.len());
    for (named, key) in aliases.iter().zip(keys) {
        let stored = found.remove(&key).flatten();
        let topics = AliasTopics::read(stored.as_deref()).map_err(unreadable)?;
        let topics = topics.as_slice().iter().filter(|topic| wanted.is(topic));
        indexes.extend(topics.map(|topic| (*named, topic.clone())));
        turns.read(stored.map_or(0, |stored| stored.len())).await;
    }
    Ok(indexes)
}
