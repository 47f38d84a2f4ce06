//! Walking a group: joining, leaving, and listing page by page.
//!
//! See [`super`] for why nobody is lost. Every function here may be cut short at any write and done
//! again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::node::{GroupNode, LEAF_MAX, Leaf};
use crate::notification::DeviceToken;
use crate::registry::indexes::page::PageLimit;
use crate::registry::indexes::values::{Failure, Try, Values, get, retry, swap};
use crate::registry::records::{CorruptRecord, Cursor, Group, group_key};

/// Most nodes that are read for a page. A group that nearly all have left has many empty leaves.
const PAGE_NODES: usize = 1_024;

/// Longest path.
pub(super) const MAX_DEPTH: usize = 32;

/// Devices that may be in a group; each one's record has the last word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPage {
    /// By cursor. May be fewer than asked for, and none, with more behind them.
    pub tokens: Vec<DeviceToken>,
    /// Where to go on; `None` if there are no more.
    pub next: Option<Cursor>,
}

/// A device that is to leave, unless it joined with a later revision.
pub(in crate::registry::indexes) struct Leave<'a> {
    pub(in crate::registry::indexes) token: &'a DeviceToken,
    /// Of the token.
    pub(in crate::registry::indexes) cursor: Cursor,
    pub(in crate::registry::indexes) revision: u64,
}

/// A node's place: the digits that lead to it, each below 16.
pub(super) type Path = Vec<u8>;

pub(super) fn node_key(group: &str, path: &[u8]) -> String {
    let mut key = String::with_capacity(group.len() + path.len());
    key.push_str(group);
    for digit in path {
        // Writing to a string does not fail.
        let _ = write!(key, "{digit:x}");
    }
    key
}

pub(super) fn child(path: &[u8], digit: u8) -> Path {
    let mut child = Vec::with_capacity(path.len() + 1);
    child.extend_from_slice(path);
    child.push(digit);
    child
}

/// Puts a device into a group with the revision that its record is about to get.
pub(in crate::registry::indexes) fn join<V: Values>(
    values: &V,
    group: &Group,
    token: &DeviceToken,
    revision: u64,
) -> Result<(), Failure<V::Error>> {
    let mut one = Leaf::default();
    one.join(token, revision);
    merge_under(values, &group_key(group), &[], &one)
}

/// Merges devices into what is at `path` and below.
fn merge_under<V: Values>(
    values: &V,
    group: &str,
    path: &[u8],
    more: &Leaf,
) -> Result<(), Failure<V::Error>> {
    let key = node_key(group, path);
    retry(values, &key, |current| {
        let mut leaf = match GroupNode::read(current)? {
            GroupNode::Branch => return merge_children(values, group, path, more).map(Try::Done),
            GroupNode::Leaf(leaf) => leaf,
        };
        if !leaf.merge(more) {
            return Ok(Try::Done(()));
        }
        let node = if leaf.entries().len() <= LEAF_MAX {
            GroupNode::Leaf(leaf)
        } else {
            // The children first: nobody looks at them until this node is a branch.
            merge_children(values, group, path, &leaf)?;
            GroupNode::Branch
        };
        let swapped = swap(values, &key, current, &node.write())?;
        Ok(Try::of(swapped, ()))
    })
}

fn merge_children<V: Values>(
    values: &V,
    group: &str,
    path: &[u8],
    more: &Leaf,
) -> Result<(), Failure<V::Error>> {
    if path.len() >= MAX_DEPTH {
        let why = "group node, deeper than any hash leads";
        return Err(CorruptRecord(why.into()).into());
    }
    for (digit, part) in (0..).zip(more.split(path.len())) {
        if !part.entries().is_empty() {
            merge_under(values, group, &child(path, digit), &part)?;
        }
    }
    Ok(())
}

/// Takes devices out of a group, with one swap for each leaf that has some of them.
pub(in crate::registry::indexes) fn leave<V: Values>(
    values: &V,
    group: &Group,
    leaving: Vec<Leave<'_>>,
) -> Result<(), Failure<V::Error>> {
    leave_under(values, &group_key(group), &[], leaving)
}

fn leave_under<V: Values>(
    values: &V,
    group: &str,
    path: &[u8],
    leaving: Vec<Leave<'_>>,
) -> Result<(), Failure<V::Error>> {
    let key = node_key(group, path);
    let is_branch = retry(values, &key, |current| {
        let GroupNode::Leaf(mut leaf) = GroupNode::read(current)? else {
            return Ok(Try::Done(true));
        };
        let leaves = leaving.iter().map(|leave| (leave.token, leave.revision));
        if !leaf.leave(&mut leaves.collect::<Vec<_>>()) {
            return Ok(Try::Done(false));
        }
        let swapped = swap(values, &key, current, &GroupNode::Leaf(leaf).write())?;
        Ok(Try::of(swapped, false))
    })?;
    if !is_branch {
        return Ok(());
    }
    let mut parts: [Vec<_>; 16] = Default::default();
    for leave in leaving {
        if let Some(part) = parts.get_mut(usize::from(leave.cursor.digit(path.len()))) {
            part.push(leave);
        }
    }
    for (digit, part) in (0..).zip(parts) {
        if !part.is_empty() {
            leave_under(values, group, &child(path, digit), part)?;
        }
    }
    Ok(())
}

/// The devices that come behind `after`, or the first ones. A page reads at most 1,024 nodes.
///
/// # Errors
/// [`Failure::Store`] and [`Failure::Corrupt`].
pub fn group_page<V: Values>(
    values: &V,
    group: &Group,
    after: Option<Cursor>,
    limit: PageLimit,
) -> Result<GroupPage, Failure<V::Error>> {
    let mut walk = Walk {
        values,
        group: group_key(group),
        after,
        // One more, to see whether there are more.
        wanted: limit.get() + 1,
        nodes: PAGE_NODES,
        found: Vec::new(),
        reached: None,
    };
    let whole = walk.visit(&[])?;
    let Walk {
        mut found, reached, ..
    } = walk;
    let more = found.len() > limit.get();
    found.truncate(limit.get());
    let next = if more {
        found.last().map(|(cursor, _)| *cursor)
    } else {
        reached.filter(|_| !whole)
    };
    let tokens = found.into_iter().map(|(_, token)| token).collect();
    Ok(GroupPage { tokens, next })
}

struct Walk<'a, V> {
    values: &'a V,
    group: String,
    after: Option<Cursor>,
    wanted: usize,
    /// How many more nodes may be read.
    nodes: usize,
    found: Vec<(Cursor, DeviceToken)>,
    /// Everything up to here has been looked at.
    reached: Option<Cursor>,
}

impl<V: Values> Walk<'_, V> {
    /// Takes what is at `path` and below; false if that was too much.
    fn visit(&mut self, path: &[u8]) -> Result<bool, Failure<V::Error>> {
        if self.nodes == 0 {
            return Ok(false);
        }
        self.nodes -= 1;
        let stored = get(self.values, &node_key(&self.group, path))?;
        match GroupNode::read(stored.as_deref())? {
            GroupNode::Leaf(leaf) => {
                self.take(&leaf);
                self.reached = Some(Cursor::last_under(path));
                Ok(self.found.len() < self.wanted)
            }
            GroupNode::Branch if path.len() >= MAX_DEPTH => {
                let why = "group node, deeper than any hash leads";
                Err(CorruptRecord(why.into()).into())
            }
            GroupNode::Branch => {
                for digit in 0..16 {
                    let path = child(path, digit);
                    let behind = self
                        .after
                        .is_none_or(|after| Cursor::last_under(&path) > after);
                    if behind && !self.visit(&path)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    fn take(&mut self, leaf: &Leaf) {
        let placed = leaf
            .entries()
            .iter()
            .map(|entry| (Cursor::of(&entry.token), &entry.token));
        let mut here = BTreeMap::new();
        here.extend(placed.filter(|(at, _)| self.after.is_none_or(|after| *at > after)));
        let room = self.wanted - self.found.len();
        let taken = here.into_iter().take(room);
        self.found
            .extend(taken.map(|(cursor, token)| (cursor, token.clone())));
    }
}

#[cfg(test)]
mod tests;
