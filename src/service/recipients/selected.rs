//! The devices of an app by their tags, or all of them.
//!
//! ```text
//!   selector ─► ways: each of `all`, the union of `any`, the app ─► one leaf of each group
//!                                                                      │ how many it may have
//!      nodes, 16 at a time ◄── the shortest way ◄──────────────────────┘
//!        └─► tokens ─► records, 64 at a time ─► those that are selected, at most 10,000
//! ```
//!
//! A record says whether its device is selected; an index only where to look. Whoever is selected
//! all along is found, and once, whatever is registered and removed meanwhile.
//!
//! Bounds: 100,000 nodes and tokens that are looked at for one push, whatever is found.

use std::collections::BTreeSet;

use super::reading::{RECORDS_AT_ONCE, keys_of, read, records, unreadable};
use super::target::{Resolved, Target, Wanted};
use crate::api::Problem;
use crate::notification::{DeviceToken, Topic};
use crate::registry::{DeviceRef, Group, GroupSize, GroupWalk, Selector, shortest_way};
use crate::service::{App, Runtime, Turns};

/// Most nodes of indexes and devices that are looked at for one push. **Ours:** a second of work.
pub(super) const MAX_LOOKED_AT: usize = 100_000;

/// Nodes read in one call of the store; one has 256 devices at most.
pub(super) const NODES_AT_ONCE: usize = 16;

/// What is being looked for, and what was found.
struct Search<'a, R: Runtime> {
    app: &'a App<R>,
    turns: Turns<'a, R::Platform>,
    selector: &'a Selector,
    topic: &'a Topic,
    wanted: &'a Wanted<'a>,
    targets: Vec<Target>,
    /// Their tokens, where the same device may be found twice.
    seen: Option<BTreeSet<DeviceToken>>,
    looked_at: usize,
}

/// The devices of `topic` that are selected, in no order.
///
/// # Errors
/// 422 if they are too many, or looked for among too many; 503.
pub(super) async fn of_selected<R: Runtime>(
    app: &App<R>,
    selector: &Selector,
    topic: &Topic,
    wanted: &Wanted<'_>,
) -> Result<Resolved, Problem> {
    let mut turns = Turns::new(&app.platform);
    let groups = way(app, &mut turns, selector.ways(topic)).await?;
    let mut search = Search {
        app,
        turns,
        selector,
        topic,
        wanted,
        targets: Vec::new(),
        seen: (groups.len() > 1).then(BTreeSet::new),
        looked_at: 0,
    };
    for group in &groups {
        search.go_through(group).await?;
    }
    Ok(Resolved {
        targets: search.targets,
        ..Resolved::default()
    })
}

/// The way on which there are the fewest devices.
async fn way<R: Runtime>(
    app: &App<R>,
    turns: &mut Turns<'_, R::Platform>,
    mut ways: Vec<Vec<Group>>,
) -> Result<Vec<Group>, Problem> {
    if ways.len() == 1 {
        return Ok(ways.pop().unwrap_or_default());
    }
    let sizes = ways.iter().map(|way| way.iter().map(GroupSize::new));
    let mut sizes: Vec<Vec<_>> = sizes.map(Iterator::collect).collect();
    loop {
        let keys = sizes.iter().flatten().filter_map(GroupSize::key);
        let keys: Vec<_> = keys.collect();
        if keys.is_empty() {
            break;
        }
        let found = read(app, &keys).await?;
        for size in sizes.iter_mut().flatten() {
            let Some(key) = size.key() else {
                continue;
            };
            let stored = found.get(&key).and_then(Option::as_deref);
            size.read(stored).map_err(unreadable)?;
            turns.read(stored.map_or(0, <[u8]>::len)).await;
        }
    }
    let shortest = shortest_way(&sizes);
    Ok(ways.into_iter().nth(shortest).unwrap_or_default())
}

impl<R: Runtime> Search<'_, R> {
    async fn go_through(&mut self, group: &Group) -> Result<(), Problem> {
        let mut walk = GroupWalk::new(group);
        loop {
            let nodes = walk.next(NODES_AT_ONCE);
            if nodes.is_empty() {
                return Ok(());
            }
            let keys: Vec<_> = nodes.iter().map(|node| node.key.clone()).collect();
            let mut found = read(self.app, &keys).await?;
            for node in nodes {
                let stored = found.remove(&node.key).flatten();
                let tokens = walk.read(&node, stored.as_deref()).map_err(unreadable)?;
                self.turns
                    .read(stored.map_or(0, |stored| stored.len()))
                    .await;
                self.looked_at += 1 + tokens.len();
                if self.looked_at > MAX_LOOKED_AT {
                    return Err(Problem::too_many_looked_at(MAX_LOOKED_AT));
                }
                self.judge(tokens).await?;
            }
        }
    }

    /// Reads the records of devices, and takes those that are selected.
    async fn judge(&mut self, mut tokens: Vec<DeviceToken>) -> Result<(), Problem> {
        if let Some(seen) = &self.seen {
            tokens.retain(|token| !seen.contains(token));
        }
        let device = |token| DeviceRef {
            topic: self.topic.clone(),
            token,
        };
        let devices: Vec<_> = tokens.into_iter().map(device).collect();
        for batch in devices.chunks(RECORDS_AT_ONCE) {
            let records = records(self.app, &mut self.turns, keys_of(batch.iter())).await?;
            for (device, record) in batch.iter().zip(records) {
                let is_selected = |record: &_| self.selector.includes(self.topic, record);
                let Some(record) = record.filter(is_selected) else {
                    continue;
                };
                if let Some(seen) = &mut self.seen {
                    seen.insert(device.token.clone());
                }
                self.targets.push(Target {
                    entry: 0,
                    device: device.clone(),
                    known: record.environment,
                    registered: true,
                });
            }
            self.wanted.check_selected(self.targets.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
