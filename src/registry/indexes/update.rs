//! The one way in which a record and the indexes it is in are changed.
//!
//! ```text
//!   1  read the record, revision r, and decide what it becomes
//!   2  join each index that it comes into, with revision r + 1
//!   3  swap the record for the new one, revision r + 1        lost: begin again
//!   4  leave each index that it does not belong to any longer, except where the entry has a
//!      revision above r + 1
//! ```
//!
//! Being cut short between any two of them leaves surplus entries. So does a try that is lost,
//! until the call has won or given up.
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

use super::group::{self, Leave};
use super::owner;
use super::values::{Failure, Try, Values, retry, swap};
use crate::registry::records::{Cursor, DeviceRecord, DeviceRef, Group, Index, Located, Slot};
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
    fn add(&mut self, indexes: BTreeSet<Index>, device: &DeviceRef, revision: u64) {
        if indexes.is_empty() {
            return;
        }
        self.placed = false;
        self.added += indexes.len();
        let cursor = Cursor::of(&device.token);
        for index in indexes {
            self.entries.entry(index).or_default().push(Left {
                device: device.clone(),
                cursor,
                revision,
            });
        }
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

/// Steps 1 to 4 for one device. Returns what `decide` told, and the revision that stands now.
pub(in crate::registry) fn update<V: Values, T>(
    values: &V,
    device: &DeviceRef,
    decide: impl FnMut(Option<&DeviceRecord>) -> Decision<T>,
) -> Result<(T, u64), Failure<V::Error>> {
    let mut leaving = Leaving::default();
    let located = Located::new(device.clone());
    let output = update_record(values, &located, &mut leaving, decide)?;
    while !settle_some(values, &mut leaving)? {}
    Ok(output)
}

/// Steps 1 to 3 for one device. What is left of step 4 is added to `leaving`, so that it can be
/// done for many at once.
pub(in crate::registry) fn update_record<V: Values, T>(
    values: &V,
    located: &Located,
    leaving: &mut Leaving,
    mut decide: impl FnMut(Option<&DeviceRecord>) -> Decision<T>,
) -> Result<(T, u64), Failure<V::Error>> {
    let (device, key) = (located.device(), located.key());
    let mut joined = BTreeSet::new();
    let (output, revision, left) = retry(values, &key, |current| {
        let Slot { revision, record } = Slot::read(current)?;
        let next = revision.saturating_add(1);
        let (after, output) = match decide(record.as_ref()) {
            Decision::Stay(output) => {
                // Also what a call that was cut short may have left behind.
                let left = outdated(record.as_ref(), record.as_ref(), &joined);
                return Ok(Try::Done((output, revision, left)));
            }
            Decision::Become(mut after, output) => {
                after.revision = next;
                (Some(*after), output)
            }
            Decision::Vanish(output) => (None, output),
        };
        let held = held(record.as_ref());
        let wanted = indexes(after.as_ref()).into_iter();
        for index in wanted.filter(|index| !held.contains(index)) {
            join(values, &index, device, next)?;
            joined.insert(index);
        }
        let left = outdated(record.as_ref(), after.as_ref(), &joined);
        let after = Slot {
            revision: next,
            record: after,
        };
        let swapped = swap(values, &key, current, &after.write())?;
        Ok(Try::of(swapped, (output, next, left)))
    })?;
    leaving.add(left, device, revision);
    Ok((output, revision))
}

/// Where the record has to have entries.
fn indexes(record: Option<&DeviceRecord>) -> BTreeSet<Index> {
    record.map(DeviceRecord::indexes).unwrap_or_default()
}

/// Where the record certainly has entries. One of revision 0 was written before there were groups.
fn held(record: Option<&DeviceRecord>) -> BTreeSet<Index> {
    indexes(record.filter(|record| record.revision > 0))
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
/// is still to be done.
pub(in crate::registry) fn settle_some<V: Values>(
    values: &V,
    leaving: &mut Leaving,
) -> Result<bool, Failure<V::Error>> {
    leaving.place();
    let mut budget = SETTLED_AT_ONCE;
    while let Some(mut first) = leaving.entries.first_entry() {
        if budget == 0 {
            return Ok(false);
        }
        let rest = first.get().len().saturating_sub(budget);
        let part = first.get().get(rest..).unwrap_or_default();
        match first.key() {
            Index::Alias(alias, topic) => {
                let leaving = part.iter().map(|left| (&left.device, left.revision));
                owner::leave(values, alias, topic, leaving)?;
            }
            Index::Group(group) => leave_group(values, group, part)?,
        }
        budget = budget.saturating_sub(part.len());
        first.get_mut().truncate(rest);
        if rest == 0 {
            first.remove();
        }
    }
    leaving.added = 0;
    Ok(true)
}

fn leave_group<V: Values>(
    values: &V,
    group: &Group,
    entries: &[Left],
) -> Result<(), Failure<V::Error>> {
    let leaving = entries.iter().map(|left| Leave {
        token: &left.device.token,
        cursor: left.cursor,
        revision: left.revision,
    });
    group::leave(values, group, leaving.collect())
}

fn join<V: Values>(
    values: &V,
    index: &Index,
    device: &DeviceRef,
    revision: u64,
) -> Result<(), Failure<V::Error>> {
    match index {
        Index::Group(group) => group::join(values, group, &device.token, revision),
        Index::Alias(alias, _) => owner::join(values, alias, device, revision),
    }
}
