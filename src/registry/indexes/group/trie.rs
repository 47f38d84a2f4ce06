//! Walking a group: joining, leaving, and listing page by page.
//!
//! See [`super`] for why nobody is lost. Every function here may be cut short at any write and done
//! again.
//!
//! ```text
//!   one device        root, 1, 1a, 1ab in one call ─► the first leaf among them ─► swap it
//!   many that leave   root ─► their children in one call ─► … ─► swap each leaf once
//!   a page            a branch ─► as many of its children as may be needed in one call ─► …
//! ```

use core::pin::Pin;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::node::{GroupNode, LEAF_MAX, Leaf};
use crate::notification::DeviceToken;
use crate::registry::indexes::page::PageLimit;
use crate::registry::indexes::round::all;
use crate::registry::indexes::values::{Failure, Try, Values, get, get_all, retry_from};
use crate::registry::records::{CorruptRecord, Cursor, Group, group_key};

/// Most nodes that are read for a page. A group that nearly all have left has many empty leaves.
const PAGE_NODES: usize = 1_024;

/// Longest path.
pub(super) const MAX_DEPTH: usize = 32;

/// Nodes that are read at once on the way to a device, whatever the first of them are: of a group
/// of 100,000 devices, all. Only one is a leaf; a branch has two bytes, and what is below a leaf is
/// not there.
const READ_AHEAD: usize = 4;

/// Work that calls itself for the children of a node.
type Below<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, Failure<E>>> + 'a>>;

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

/// The first nodes on the way to a device, from the root; each may be older than those above it.
pub(in crate::registry::indexes) struct Ahead(Vec<Option<Vec<u8>>>);

impl Ahead {
    pub(in crate::registry::indexes) async fn read<V: Values>(
        values: &V,
        group: &Group,
        cursor: Cursor,
    ) -> Result<Self, Failure<V::Error>> {
        let group = group_key(group);
        let path: Path = (0..READ_AHEAD).map(|depth| cursor.digit(depth)).collect();
        let paths = (0..READ_AHEAD).map(|depth| path.get(..depth).unwrap_or_default());
        let keys = paths.map(|path| node_key(&group, path)).collect();
        Ok(Self(get_all(values, keys).await?))
    }
}

/// What is at a node.
#[derive(PartialEq, Eq)]
enum Found {
    /// A leaf, and what was to be done with it is done.
    Leaf,
    /// A leaf, and there was nothing to do.
    Nothing,
    /// Look at the children.
    Branch,
}

/// Puts a device into a group with the revision that its record is about to get.
///
/// What was read ahead may be old without harm: what is written is compared with the newest, and an
/// entry that was there with this revision can be taken out only by who knows a record of it.
pub(in crate::registry::indexes) async fn join<V: Values>(
    values: &V,
    group: &Group,
    token: &DeviceToken,
    revision: u64,
    ahead: Ahead,
) -> Result<(), Failure<V::Error>> {
    let group = group_key(group);
    let cursor = Cursor::of(token);
    let mut one = Leaf::default();
    one.join(token, revision);
    let mut ahead = ahead.0.into_iter();
    let mut path = Path::new();
    while path.len() <= MAX_DEPTH {
        let current = match ahead.next() {
            Some(current) => current,
            None => get(values, &node_key(&group, &path)).await?,
        };
        if merge_at(values, (&group, &path), current, &one).await? != Found::Branch {
            return Ok(());
        }
        path.push(cursor.digit(path.len()));
    }
    Err(too_deep())
}

fn too_deep<E>() -> Failure<E> {
    CorruptRecord("group node, deeper than any hash leads".into()).into()
}

/// Merges devices into the node at a place, if it is a leaf.
async fn merge_at<V: Values>(
    values: &V,
    (group, path): (&str, &[u8]),
    current: Option<Vec<u8>>,
    more: &Leaf,
) -> Result<Found, Failure<V::Error>> {
    let key = node_key(group, path);
    retry_from(values, &key, current, async |current| {
        let GroupNode::Leaf(mut leaf) = GroupNode::read(current)? else {
            return Ok(Try::Done(Found::Branch));
        };
        if !leaf.merge(more) {
            return Ok(Try::Done(Found::Nothing));
        }
        let node = if leaf.entries().len() <= LEAF_MAX {
            GroupNode::Leaf(leaf)
        } else {
            // The children first: nobody looks at them until this node is a branch.
            merge_children(values, group, path, &leaf).await?;
            GroupNode::Branch
        };
        Ok(Try::Write(node.write(), Found::Leaf))
    })
    .await
}

/// Merges devices into what is at `path` and below.
async fn merge_under<V: Values>(
    values: &V,
    group: &str,
    path: &[u8],
    more: &Leaf,
) -> Result<(), Failure<V::Error>> {
    let current = get(values, &node_key(group, path)).await?;
    match merge_at(values, (group, path), current, more).await? {
        Found::Branch => merge_children(values, group, path, more).await,
        Found::Leaf | Found::Nothing => Ok(()),
    }
}

/// All children at once: no order among them is of any use.
fn merge_children<'a, V: Values>(
    values: &'a V,
    group: &'a str,
    path: &'a [u8],
    more: &'a Leaf,
) -> Below<'a, (), V::Error> {
    Box::pin(async move {
        if path.len() >= MAX_DEPTH {
            return Err(too_deep());
        }
        let parts = (0..).zip(more.split(path.len()));
        let parts = parts.filter(|(_, part)| !part.entries().is_empty());
        let merged = all(parts.map(async |(digit, part)| {
            merge_under(values, group, &child(path, digit), &part).await
        }));
        merged.await.into_iter().collect()
    })
}

/// Takes devices out of a group, with one swap for each leaf that has some of them.
pub(in crate::registry::indexes) async fn leave<V: Values>(
    values: &V,
    group: &Group,
    leaving: Vec<Leave<'_>>,
) -> Result<(), Failure<V::Error>> {
    match leaving.as_slice() {
        [one] => leave_alone(values, group, one).await,
        _ => leave_under(values, group_key(group), Path::new(), leaving).await,
    }
}

/// The same for one device.
async fn leave_alone<V: Values>(
    values: &V,
    group: &Group,
    leave: &Leave<'_>,
) -> Result<(), Failure<V::Error>> {
    let ahead = Ahead::read(values, group, leave.cursor).await?;
    let group = group_key(group);
    let leaving = core::slice::from_ref(leave);
    let mut path = Path::new();
    let mut ahead = ahead.0.into_iter();
    while path.len() <= MAX_DEPTH {
        let key = node_key(&group, &path);
        let known = ahead.next();
        let was_read_ahead = known.is_some() && !path.is_empty();
        let current = match known {
            Some(current) => current,
            None => get(values, &key).await?,
        };
        let mut found = leave_at(values, &key, current, leaving).await?;
        if found == Found::Nothing && was_read_ahead {
            // It may have come here with a split, between this read and that of the node above.
            let newest = get(values, &key).await?;
            found = leave_at(values, &key, newest, leaving).await?;
        }
        if found != Found::Branch {
            return Ok(());
        }
        path.push(leave.cursor.digit(path.len()));
    }
    Ok(())
}

/// Takes devices out of a node, if it is a leaf.
async fn leave_at<V: Values>(
    values: &V,
    key: &str,
    current: Option<Vec<u8>>,
    leaving: &[Leave<'_>],
) -> Result<Found, Failure<V::Error>> {
    retry_from(values, key, current, async |current| {
        let GroupNode::Leaf(mut leaf) = GroupNode::read(current)? else {
            return Ok(Try::Done(Found::Branch));
        };
        let leaves = leaving.iter().map(|leave| (leave.token, leave.revision));
        if !leaf.leave(&mut leaves.collect::<Vec<_>>()) {
            return Ok(Try::Done(Found::Nothing));
        }
        Ok(Try::Write(GroupNode::Leaf(leaf).write(), Found::Leaf))
    })
    .await
}

fn leave_under<'a, V: Values>(
    values: &'a V,
    group: String,
    path: Path,
    leaving: Vec<Leave<'a>>,
) -> Below<'a, (), V::Error> {
    Box::pin(async move {
        let key = node_key(&group, &path);
        let current = get(values, &key).await?;
        if leave_at(values, &key, current, &leaving).await? != Found::Branch {
            return Ok(());
        }
        let mut parts: [Vec<_>; 16] = Default::default();
        for leave in leaving {
            if let Some(part) = parts.get_mut(usize::from(leave.cursor.digit(path.len()))) {
                part.push(leave);
            }
        }
        let parts = (0..).zip(parts).filter(|(_, part)| !part.is_empty());
        let left = all(parts
            .map(|(digit, part)| leave_under(values, group.clone(), child(&path, digit), part)));
        left.await.into_iter().collect()
    })
}

/// The devices that come behind `after`, or the first ones. A page reads at most 1,024 nodes.
///
/// # Errors
/// [`Failure::Store`] and [`Failure::Corrupt`].
pub async fn group_page<V: Values>(
    values: &V,
    group: &Group,
    after: Option<Cursor>,
    limit: PageLimit,
) -> Result<GroupPage, Failure<V::Error>> {
    let mut walk = Walk {
        group: group_key(group),
        after,
        // One more, to see whether there are more.
        wanted: limit.get() + 1,
        nodes: PAGE_NODES,
        ahead: vec![Path::new()],
        read: BTreeMap::new(),
        found: Vec::new(),
        reached: None,
    };
    let whole = walk.go(values).await?;
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

struct Walk {
    group: String,
    after: Option<Cursor>,
    wanted: usize,
    /// How many more nodes may be read.
    nodes: usize,
    /// The nodes that are to be looked at, the next one last.
    ahead: Vec<Path>,
    /// Those of them that were read. A node is read after the one above it, so that one that was
    /// split meanwhile is a leaf that lacks nobody or a branch whose children are read then.
    read: BTreeMap<Path, Option<Vec<u8>>>,
    found: Vec<(Cursor, DeviceToken)>,
    /// Everything up to here has been looked at.
    reached: Option<Cursor>,
}

impl Walk {
    /// Looks at one node after the other; false if there are more of them than a page reads, or has
    /// room for.
    async fn go<V: Values>(&mut self, values: &V) -> Result<bool, Failure<V::Error>> {
        while let Some(path) = self.ahead.pop() {
            if !self.read.contains_key(&path) && !self.read_some(values, &path).await? {
                return Ok(false);
            }
            let stored = self.read.remove(&path).flatten();
            match GroupNode::read(stored.as_deref())? {
                GroupNode::Leaf(leaf) => {
                    self.take(&leaf);
                    self.reached = Some(Cursor::last_under(&path));
                    if self.found.len() >= self.wanted {
                        return Ok(false);
                    }
                }
                GroupNode::Branch if path.len() >= MAX_DEPTH => return Err(too_deep()),
                GroupNode::Branch => {
                    let children = (0..16).rev().map(|digit| child(&path, digit));
                    let after = self.after;
                    let behind =
                        |path: &Path| after.is_none_or(|after| Cursor::last_under(path) > after);
                    self.ahead.extend(children.filter(behind));
                }
            }
        }
        Ok(true)
    }

    /// Reads a node and those that come next: as many as it takes at least to fill the page. False
    /// if no more may be read.
    async fn read_some<V: Values>(
        &mut self,
        values: &V,
        first: &Path,
    ) -> Result<bool, Failure<V::Error>> {
        if self.nodes == 0 {
            return Ok(false);
        }
        let needed = (self.wanted - self.found.len()).div_ceil(LEAF_MAX);
        let next = core::iter::once(first).chain(self.ahead.iter().rev());
        let next = next.filter(|path| !self.read.contains_key(*path));
        let paths: Vec<_> = next.take(needed.min(self.nodes)).cloned().collect();
        self.nodes -= paths.len();
        let keys = paths.iter().map(|path| node_key(&self.group, path));
        let read = get_all(values, keys.collect()).await?;
        self.read.extend(paths.into_iter().zip(read));
        Ok(true)
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
