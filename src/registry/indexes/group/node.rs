//! A node of a group, and its bytes.
//!
//! ```text
//!   leaf    ┌──────┬──────┬────────────────────────────────────────────────┐
//!           │ 2: 1 │ 0: 1 │ entries, by token, each once                   │
//!           └──────┴──────┴────────────────────────────────────────────────┘
//!   branch  ┌──────┬──────┐
//!           │ 2: 1 │ 1: 1 │
//!           └──────┴──────┘
//! ```
//!
//! The first byte is the version. A leaf without entries has no bytes at all, like a node that was
//! never written.

use crate::notification::DeviceToken;
use crate::registry::records::{CorruptRecord, Cursor, IndexEntry, VERSION, behind_version};
use crate::sorting::sort;

/// Most devices of a leaf that is not to be split.
pub const LEAF_MAX: usize = 256;

const LEAF: u8 = 0;
const BRANCH: u8 = 1;

const WHAT: &str = "group node";

/// A node of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupNode {
    /// Devices.
    Leaf(Leaf),
    /// Look at the children.
    Branch,
}

/// Devices, by token and each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaf {
    entries: Vec<IndexEntry>,
}

impl GroupNode {
    /// From the stored bytes; none are an empty leaf.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub fn read(bytes: Option<&[u8]>) -> Result<Self, CorruptRecord> {
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            return Ok(Self::Leaf(Leaf::default()));
        };
        match behind_version(WHAT, bytes)? {
            [LEAF, entries @ ..] => Leaf::read(entries).map(Self::Leaf),
            [BRANCH] => Ok(Self::Branch),
            _ => Err(CorruptRecord(format!("{WHAT}, neither leaf nor branch"))),
        }
    }

    /// The bytes to store.
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::Branch => vec![VERSION, BRANCH],
            Self::Leaf(leaf) if leaf.entries.is_empty() => Vec::new(),
            Self::Leaf(leaf) => IndexEntry::write_all(&leaf.entries, vec![VERSION, LEAF]),
        }
    }
}

impl Leaf {
    fn read(bytes: &[u8]) -> Result<Self, CorruptRecord> {
        let entries = IndexEntry::read_all(WHAT, bytes)?;
        let in_order = |pair: &[IndexEntry]| matches!(pair, [one, next] if one.token < next.token);
        if !entries.windows(2).all(in_order) {
            return Err(CorruptRecord(format!("{WHAT}, out of order")));
        }
        Ok(Self { entries })
    }

    /// The devices, by token.
    pub fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    /// Adds a device, or raises the revision of its entry; false if it was there with that revision
    /// or a later one.
    pub fn join(&mut self, token: &DeviceToken, revision: u64) -> bool {
        match self
            .entries
            .binary_search_by(|entry| entry.token.cmp(token))
        {
            Ok(place) => match self.entries.get_mut(place) {
                Some(entry) if entry.revision < revision => {
                    entry.revision = revision;
                    true
                }
                _ => false,
            },
            Err(place) => {
                let token = token.clone();
                self.entries.insert(place, IndexEntry { token, revision });
                true
            }
        }
    }

    /// Takes devices out, each unless it joined with a later revision than is named; false if none
    /// of them left.
    pub fn leave(&mut self, leaving: &mut [(&DeviceToken, u64)]) -> bool {
        sort(leaving, |one, other| one < other);
        let mut leaving = leaving.iter().peekable();
        let before = self.entries.len();
        self.entries.retain(|entry| {
            while leaving
                .next_if(|(token, _)| **token < entry.token)
                .is_some()
            {}
            let mut leaves = false;
            while let Some((_, revision)) = leaving.next_if(|(token, _)| **token == entry.token) {
                leaves |= entry.revision <= *revision;
            }
            !leaves
        });
        self.entries.len() < before
    }

    /// Adds all devices of another one, each with the greater of its two revisions; false if that
    /// changed nothing.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for entry in &other.entries {
            changed |= self.join(&entry.token, entry.revision);
        }
        changed
    }

    /// The children that it is split into as a node of `depth` digits, by the next digit.
    pub fn split(&self, depth: usize) -> [Self; 16] {
        let mut children: [Self; 16] = Default::default();
        for entry in &self.entries {
            let digit = Cursor::of(&entry.token).digit(depth);
            if let Some(child) = children.get_mut(usize::from(digit)) {
                // In order, since these are.
                child.entries.push(entry.clone());
            }
        }
        children
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(bytes: &[u8]) -> DeviceToken {
        DeviceToken::from_bytes(bytes).unwrap()
    }

    fn leaf(tokens: &[(&[u8], u64)]) -> Leaf {
        let mut leaf = Leaf::default();
        for (bytes, revision) in tokens {
            leaf.join(&token(bytes), *revision);
        }
        leaf
    }

    #[test]
    fn the_layout_is_the_one_drawn() {
        let leaf = leaf(&[(&[0xb2, 0xc3], 0x0102), (&[0xa1], 5)]);
        let bytes = GroupNode::Leaf(leaf.clone()).write();
        assert_eq!(bytes, [2, 0, 1, 0xa1, 5, 2, 0xb2, 0xc3, 0x82, 0x02]);
        assert_eq!(GroupNode::read(Some(&bytes)), Ok(GroupNode::Leaf(leaf)));
        assert_eq!(GroupNode::Branch.write(), [2, 1]);
        assert_eq!(GroupNode::read(Some(&[2, 1])), Ok(GroupNode::Branch));
    }

    #[test]
    fn no_bytes_are_an_empty_leaf() {
        let empty = GroupNode::Leaf(Leaf::default());
        assert_eq!(GroupNode::read(None).as_ref(), Ok(&empty));
        assert_eq!(GroupNode::read(Some(b"")).as_ref(), Ok(&empty));
        assert!(empty.write().is_empty());
    }

    #[test]
    fn every_prefix_and_every_other_start_is_refused() {
        let bytes = GroupNode::Leaf(leaf(&[(&[7; 32], 9), (&[8; 200], 300)])).write();
        let whole = [2, 2 + 34];
        for cut in 1..bytes.len() {
            let read = GroupNode::read(Some(&bytes[..cut]));
            assert_eq!(read.is_ok(), whole.contains(&cut), "{cut}");
        }
        for wrong in [
            &[0, 0][..],
            &[1, 0],
            &[3, 0],
            &[2, 2],
            &[2, 1, 0],
            &[2, 0, 0, 1],
            &[2, 0, 1, 7, 1, 1, 7, 2],
            &[2, 0, 1, 7, 1, 1, 6, 2],
        ] {
            let error = GroupNode::read(Some(wrong)).unwrap_err();
            assert!(error.to_string().contains("group node"), "{error}");
        }
    }

    #[test]
    fn who_joined_later_is_not_taken_out() {
        let mut leaf = leaf(&[(&[7], 3)]);
        let (seven, eight) = (token(&[7]), token(&[8]));
        assert!(!leaf.leave(&mut [(&seven, 2)]));
        assert!(!leaf.leave(&mut [(&eight, 9)]));
        assert!(!leaf.join(&seven, 3) && !leaf.join(&seven, 1));
        assert!(leaf.join(&seven, 4));
        assert!(!leaf.leave(&mut [(&seven, 3)]));
        assert!(leaf.leave(&mut [(&seven, 4)]));
        assert!(leaf.entries().is_empty());
    }

    #[test]
    fn who_is_named_twice_leaves_all_the_same() {
        let seven = token(&[7]);
        for revisions in [[3, 4], [4, 3], [3, 3]] {
            let mut leaf = leaf(&[(&[7], 3)]);
            let [first, second] = revisions;
            assert!(
                leaf.leave(&mut [(&seven, first), (&seven, second)]),
                "{revisions:?}"
            );
        }
    }

    #[test]
    fn many_leave_at_once_in_any_order_and_named_more_than_once() {
        let mut leaf = leaf(&[(&[1], 1), (&[2], 2), (&[3], 3), (&[4], 4), (&[5], 5)]);
        let tokens: Vec<_> = (0..7).map(|n| token(&[n])).collect();
        let mut leaving: Vec<_> = [
            (6, 9),
            (3, 1),
            (1, 1),
            (5, 9),
            (0, 9),
            (3, 3),
            (2, 1),
            (3, 0),
        ]
        .map(|(n, revision)| (&tokens[n], revision))
        .into();
        assert!(leaf.leave(&mut leaving));
        assert_eq!(leaf, self::leaf(&[(&[2], 2), (&[4], 4)]));
        assert!(!leaf.leave(&mut leaving));
    }

    #[test]
    fn merging_keeps_all_and_the_greater_revision() {
        let mut one = leaf(&[(&[1], 5), (&[2], 1)]);
        let other = leaf(&[(&[1], 3), (&[2], 4), (&[3], 1)]);
        assert!(one.merge(&other));
        assert_eq!(one, leaf(&[(&[1], 5), (&[2], 4), (&[3], 1)]));
        assert!(!one.merge(&other));
    }

    #[test]
    fn a_split_loses_nobody_and_goes_by_the_digit() {
        let mut whole = Leaf::default();
        for n in 0..300_u16 {
            whole.join(&token(&n.to_be_bytes()), u64::from(n));
        }
        for depth in [0, 1, 7] {
            let mut joined = Leaf::default();
            for (digit, child) in whole.split(depth).iter().enumerate() {
                for entry in child.entries() {
                    assert_eq!(usize::from(Cursor::of(&entry.token).digit(depth)), digit);
                }
                joined.merge(child);
            }
            assert_eq!(joined, whole);
        }
    }
}
