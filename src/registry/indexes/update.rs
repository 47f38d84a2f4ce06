//! The one way in which a record and the indexes it is in are changed.
//!
//! ```text
//!   1  read the record, revision r, and decide what it becomes
//!   2  join each index that it comes into, with revision r + 1: first all that this takes is
//!      read, in one call, and only if no alias is full is anything written, all in one call
//!   3  swap the record for the new one, revision r + 1        lost: begin again
//!   4  leave each index that it does not belong to any longer, except where the entry has a
//!      revision above r + 1
//! ```
//!
//! Being cut short between any two of them leaves surplus entries. So does a try that is lost,
//! until the call has won or given up. Which of the joins of step 2 are done first does not matter,
//! nor which of the leaves of step 4; a record is swapped when all of its joins are answered.
//!
//! Invariant: at every moment, an index has an entry for every record that belongs there. Say a
//! record has belonged there since revision `w`. Whoever wrote `w` had read `w - 1`, then put in an
//! entry with revision `w`, and only then swapped. At the swap the entry was there: who takes one
//! out with revision `w` or above knows the record of such a revision, and there was none yet. It
//! has been there ever since: who takes it out knows a record of revision `w` or above that does
//! not belong there, and there has been none.
//!
//! That needs revisions never to be used twice, so a key whose record is deleted keeps its
//! revision; and swaps that compare with the newest value, of which the revision is a part, so that
//! no value ever comes back.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{self, Ahead, Leave};
use super::owner::{self, Room};
use super::round::{all, together};
use super::values::{Failure, Try, Values, get, retry_from};
use crate::registry::records::{Cursor, DeviceRecord, DeviceRef, Index, Located, Slot};
use crate::sorting::sort;

/// What a record becomes, and what is told of it.
pub(in crate::registry) enum Decision<T> {
    /// What it was.
    Stay(T),
    /// This one.
    Become(Box<DeviceRecord>, T),
    /// None.
    Vanish(T),
}

/// The entries that an update has left to be taken out of indexes; see [`settle_some`].
#[derive(Default)]
pub(in crate::registry) struct Leaving {
    entries: BTreeMap<Index, Vec<Left>>,
    /// How many have been added since there were none.
    added: usize,
    /// Whether those of each group are in the order of its leaves.
    placed: bool,
}

/// A device that is to leave an index, unless it joined with a later revision.
struct Left {
    device: DeviceRef,
    /// Of its token.
    cursor: Cursor,
    revision: u64,
}

/// Entries taken out in one step: at most as many parts of an index, which takes milliseconds.
const SETTLED_AT_ONCE: usize = 200;

/// Entries beyond which they are better taken out before others are added: a device leaves an index
/// for each of its tags, 66 at most, and an entry takes some 150 bytes.
const MANY: usize = 200_000;

impl Leaving {
    /// Adds where there may be entries of a device that need not be there; what was told of it.
    pub(in crate::registry) fn add<T>(&mut self, updated: Updated<T>) -> T {
        let Updated {
            output,
            device,
            revision,
            left,
        } = updated;
        if left.is_empty() {
            return output;
        }
        self.placed = false;
        self.added += left.len();
        let cursor = Cursor::of(&device.token);
        for index in left {
            self.entries.entry(index).or_default().push(Left {
                device: device.clone(),
                cursor,
                revision,
            });
        }
        output
    }

    /// Whether they are so many that they are better settled first.
    pub(in crate::registry) fn are_many(&self) -> bool {
        self.added >= MANY
    }

    /// Forgets what was to be done next.
    pub(in crate::registry) fn skip(&mut self) {
        self.entries.pop_first();
    }

    /// Puts neighbours in a group's tree next to each other, so that a step takes out of few leaves
    /// all that is to leave them.
    fn place(&mut self) {
        if self.placed {
            return;
        }
        for (index, entries) in &mut self.entries {
            if matches!(index, Index::Group(_)) && entries.len() > SETTLED_AT_ONCE {
                sort(entries, |one, other| one.cursor < other.cursor);
            }
        }
        self.placed = true;
    }
}

/// What steps 1 to 3 have come to.
pub(in crate::registry) struct Updated<T> {
    /// What `decide` told.
    output: T,
    device: DeviceRef,
    /// That stands now.
    revision: u64,
    /// Where step 4 is to be done.
    left: BTreeSet<Index>,
}

impl<T> Updated<T> {
    /// The revision that stands now.
    pub(in crate::registry) const fn revision(&self) -> u64 {
        self.revision
    }
}

/// Steps 1 to 4 for one device. Returns what `decide` told, and the revision that stands now.
pub(in crate::registry) async fn update<V: Values, T>(
    values: &V,
    device: &DeviceRef,
    decide: impl FnMut(Option<&DeviceRecord>) -> Decision<T>,
) -> Result<(T, u64), Failure<V::Error>> {
    let located = Located::new(device.clone());
    let current = get(values, &located.key()).await?;
    update_from(values, &located, current, decide).await
}

/// The same, where what is under the key of the record was read before.
pub(in crate::registry) async fn update_from<V: Values, T>(
    values: &V,
    located: &Located,
    current: Option<Vec<u8>>,
    decide: impl FnMut(Option<&DeviceRecord>) -> Decision<T>,
) -> Result<(T, u64), Failure<V::Error>> {
    together(values, async move |round| {
        let updated = update_record(round, located, current, decide).await?;
        let revision = updated.revision;
        let mut leaving = Leaving::default();
        let output = leaving.add(updated);
        while !settle_some(round, &mut leaving).await? {}
        Ok((output, revision))
    })
    .await
}

/// Step 4 for many, in as few calls as that takes. Where it fails, those who had something to leave
/// are told.
pub(in crate::registry) async fn settle_all<V: Values, T>(
    values: &V,
    updated: Vec<Result<Updated<T>, Failure<V::Error>>>,
) -> Vec<Result<T, Failure<V::Error>>> {
    let mut leaving = Leaving::default();
    let mut add = |updated: Updated<T>| {
        let leaves = !updated.left.is_empty();
        (leaving.add(updated), leaves)
    };
    let added: Vec<_> = updated.into_iter().map(|one| one.map(&mut add)).collect();
    let failed = loop {
        match settle_some(values, &mut leaving).await {
            Ok(true) => break None,
            Ok(false) => {}
            Err(failure) => break Some(failure),
        }
    };
    let tell = |(output, leaves)| match &failed {
        Some(failure) if leaves => Err(failure.clone()),
        _ => Ok(output),
    };
    added.into_iter().map(|one| one.and_then(tell)).collect()
}

/// Steps 1 to 3 for one device. Step 4 can be done for many at once, by [`Leaving`].
pub(in crate::registry) async fn update_record<V: Values, T>(
    values: &V,
    located: &Located,
    current: Option<Vec<u8>>,
    mut decide: impl FnMut(Option<&DeviceRecord>) -> Decision<T>,
) -> Result<Updated<T>, Failure<V::Error>> {
    let (device, key) = (located.device(), located.key());
    let mut joined = BTreeSet::new();
    retry_from(values, &key, current, async |current| {
        let Slot { revision, record } = Slot::read(current)?;
        let next = revision.saturating_add(1);
        let (after, output) = match decide(record.as_ref()) {
            Decision::Stay(output) => {
                // Also what a call that was cut short may have left behind.
                let left = outdated(record.as_ref(), record.as_ref(), &joined);
                return Ok(Try::Done(Updated {
                    output,
                    device: device.clone(),
                    revision,
                    left,
                }));
            }
            Decision::Become(mut after, output) => {
                after.revision = next;
                (Some(*after), output)
            }
            Decision::Vanish(output) => (None, output),
        };
        let held = indexes(record.as_ref());
        let wanted = indexes(after.as_ref()).into_iter();
        let wanted: Vec<_> = wanted.filter(|index| !held.contains(index)).collect();
        join(values, &wanted, device, next).await?;
        joined.extend(wanted);
        let left = outdated(record.as_ref(), after.as_ref(), &joined);
        let after = Slot {
            revision: next,
            record: after,
        };
        let updated = Updated {
            output,
            device: device.clone(),
            revision: next,
            left,
        };
        Ok(Try::Write(after.write(), updated))
    })
    .await
}

/// Puts a device into the indexes of a record that is about to be written with its revision.
///
/// # Errors
/// [`Failure::AliasFull`], and those of the store.
pub(in crate::registry) async fn enter<V: Values>(
    values: &V,
    record: &DeviceRecord,
) -> Result<(), Failure<V::Error>> {
    let indexes: Vec<_> = record.indexes().into_iter().collect();
    join(values, &indexes, &record.device(), record.revision).await
}

/// Where the record has to have entries, and where one that stands has them.
fn indexes(record: Option<&DeviceRecord>) -> BTreeSet<Index> {
    record.map(DeviceRecord::indexes).unwrap_or_default()
}

/// Where there may be entries of it, and need be none once the record is `after`.
fn outdated(
    record: Option<&DeviceRecord>,
    after: Option<&DeviceRecord>,
    joined: &BTreeSet<Index>,
) -> BTreeSet<Index> {
    let mut outdated = record
        .map(DeviceRecord::indexes_if_alive)
        .unwrap_or_default();
    outdated.extend(joined.iter().cloned());
    for wanted in indexes(after) {
        outdated.remove(&wanted);
    }
    outdated
}

/// Step 4 for some of those that have left something to do; whether that was all. What has failed
/// is still to be done, and is the first of it.
pub(in crate::registry) async fn settle_some<V: Values>(
    values: &V,
    leaving: &mut Leaving,
) -> Result<bool, Failure<V::Error>> {
    leaving.place();
    let mut budget = SETTLED_AT_ONCE;
    let mut parts = Vec::new();
    for (index, entries) in &leaving.entries {
        if budget == 0 {
            break;
        }
        let rest = entries.len().saturating_sub(budget);
        let part = entries.get(rest..).unwrap_or_default();
        budget = budget.saturating_sub(part.len());
        parts.push((index, part, rest));
    }
    let left = all(parts
        .iter()
        .map(|(index, part, _)| leave(values, index, part)));
    let left = left.await;
    let rests = parts
        .iter()
        .map(|(index, _, rest)| ((*index).clone(), *rest));
    let rests: Vec<_> = rests.collect();
    let mut failed = None;
    for ((index, rest), left) in rests.into_iter().zip(left) {
        match left {
            Ok(()) if rest == 0 => drop(leaving.entries.remove(&index)),
            Ok(()) => {
                if let Some(entries) = leaving.entries.get_mut(&index) {
                    entries.truncate(rest);
                }
            }
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    if leaving.entries.is_empty() {
        leaving.added = 0;
    }
    Ok(leaving.entries.is_empty())
}

async fn leave<V: Values>(
    values: &V,
    index: &Index,
    entries: &[Left],
) -> Result<(), Failure<V::Error>> {
    match index {
        Index::Alias(alias, topic) => {
            let leaving = entries.iter();
            let leaving = leaving.map(|left| (&left.device.token, left.revision));
            owner::leave(values, alias, topic, leaving).await.map(drop)
        }
        Index::Group(group) => {
            let leaving = entries.iter().map(|left| Leave {
                token: &left.device.token,
                cursor: left.cursor,
                revision: left.revision,
            });
            group::leave(values, group, leaving.collect()).await
        }
    }
}

/// What was read before a device joins an index.
enum Seen {
    Alias(Room),
    Group(Ahead),
}

/// Step 2.
async fn join<V: Values>(
    values: &V,
    indexes: &[Index],
    device: &DeviceRef,
    revision: u64,
) -> Result<(), Failure<V::Error>> {
    let cursor = Cursor::of(&device.token);
    let seen = all(indexes.iter().map(async |index| match index {
        Index::Alias(alias, _) => {
            let room = Room::find(values, alias, device, revision).await;
            room.map(Seen::Alias)
        }
        Index::Group(group) => {
            let ahead = Ahead::read(values, group, cursor).await;
            ahead.map(Seen::Group)
        }
    }));
    // An alias that is full: nothing may be left in the groups of a device that gets no record.
    let seen = seen.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let joins = indexes.iter().zip(seen);
    let joined = all(joins.map(async |(index, seen)| match (index, seen) {
        (Index::Alias(alias, _), Seen::Alias(room)) => {
            owner::join(values, alias, device, revision, room).await
        }
        (Index::Group(group), Seen::Group(ahead)) => {
            group::join(values, group, &device.token, revision, ahead).await
        }
        _ => Ok(()),
    }));
    joined.await.into_iter().collect()
}
