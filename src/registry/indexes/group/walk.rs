//! Going through a whole group, many nodes at a time and in no order, and telling its size. Reads
//! nothing itself: keys out, the values of the store in.
//!
//! Whoever is in the group all along is found, and once: a leaf has what begins with its path, no
//! two paths that are taken begin alike, and a leaf that is split meanwhile is either still a leaf
//! that has all of its devices, or a branch whose children have them.

use super::node::GroupNode;
use super::trie::{MAX_DEPTH, Path, child, node_key};
use crate::notification::DeviceToken;
use crate::registry::records::{CorruptRecord, Group, group_key};

/// Children of a branch.
const CHILDREN: u8 = 16;

/// A group that somebody goes through.
#[derive(Debug)]
pub struct GroupWalk {
    group: String,
    /// What is to be read.
    ahead: Vec<Path>,
}

/// A node that is to be read.
#[derive(Debug)]
pub struct NodeAhead {
    path: Path,
    /// Its key in the store.
    pub key: String,
}

impl GroupWalk {
    /// From its beginning.
    pub fn new(group: &Group) -> Self {
        Self {
            group: group_key(group),
            ahead: vec![Path::new()],
        }
    }

    /// The nodes to be read next, at most so many; none if all were read.
    pub fn next(&mut self, most: usize) -> Vec<NodeAhead> {
        let rest = self.ahead.len().saturating_sub(most);
        let paths = self.ahead.split_off(rest);
        let node = |path: Path| NodeAhead {
            key: node_key(&self.group, &path),
            path,
        };
        paths.into_iter().map(node).collect()
    }

    /// The devices of a node, each of whose records has the last word.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub fn read(
        &mut self,
        node: &NodeAhead,
        stored: Option<&[u8]>,
    ) -> Result<Vec<DeviceToken>, CorruptRecord> {
        match GroupNode::read(stored)? {
            GroupNode::Leaf(leaf) => {
                let entries = leaf.entries().iter();
                Ok(entries.map(|entry| entry.token.clone()).collect())
            }
            GroupNode::Branch => {
                check_depth(node.path.len())?;
                let children = (0..CHILDREN).map(|digit| child(&node.path, digit));
                self.ahead.extend(children);
                Ok(Vec::new())
            }
        }
    }
}

/// How many devices a group has, as far as one of its leaves tells: hashes spread them evenly.
#[derive(Debug)]
pub struct GroupSize {
    group: String,
    depth: usize,
    size: Option<usize>,
}

impl GroupSize {
    /// Nothing is known yet.
    pub fn new(group: &Group) -> Self {
        Self {
            group: group_key(group),
            depth: 0,
            size: None,
        }
    }

    /// The key of the value that is needed next; `None` if the size is known.
    pub fn key(&self) -> Option<String> {
        let path: Path = vec![0; self.depth];
        let key = node_key(&self.group, &path);
        self.size.is_none().then_some(key)
    }

    /// Takes that value.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub fn read(&mut self, stored: Option<&[u8]>) -> Result<(), CorruptRecord> {
        match GroupNode::read(stored)? {
            GroupNode::Leaf(leaf) => {
                let leaves = (0..self.depth).fold(1_usize, |leaves, _| {
                    leaves.saturating_mul(usize::from(CHILDREN))
                });
                let devices = leaf.entries().len().max(usize::from(self.depth > 0));
                self.size = Some(devices.saturating_mul(leaves));
            }
            GroupNode::Branch => {
                check_depth(self.depth)?;
                self.depth += 1;
            }
        }
        Ok(())
    }

    /// About so many; none while that is not known.
    pub fn get(&self) -> usize {
        self.size.unwrap_or_default()
    }
}

fn check_depth(depth: usize) -> Result<(), CorruptRecord> {
    match depth < MAX_DEPTH {
        true => Ok(()),
        false => Err(CorruptRecord(
            "group node, deeper than any hash leads".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::node::Leaf;
    use super::*;
    use crate::notification::Topic;
    use crate::registry::records::Cursor;

    fn group() -> Group {
        Group::Topic(Topic::parse("com.example.app").unwrap())
    }

    fn token(n: u32) -> DeviceToken {
        DeviceToken::from_bytes(&n.to_be_bytes()).unwrap()
    }

    /// Nodes as they are stored, the leaves of `depth` digits.
    fn stored(devices: u32, depth: usize) -> BTreeMap<String, Vec<u8>> {
        let mut leaves = BTreeMap::<Path, Leaf>::new();
        for n in 0..devices {
            let cursor = Cursor::of(&token(n));
            let path = (0..depth).map(|at| cursor.digit(at)).collect();
            leaves.entry(path).or_default().join(&token(n), 1);
        }
        let mut nodes = BTreeMap::new();
        let key = |path: &[u8]| node_key(&group_key(&group()), path);
        for (path, leaf) in leaves {
            for above in 0..depth {
                nodes.insert(key(&path[..above]), GroupNode::Branch.write());
            }
            nodes.insert(key(&path), GroupNode::Leaf(leaf).write());
        }
        nodes
    }

    #[test]
    fn each_device_is_found_once_and_each_node_read_once() {
        for (devices, depth) in [(0, 0), (5, 0), (2_000, 2)] {
            let nodes = stored(devices, depth);
            let mut walk = GroupWalk::new(&group());
            let (mut found, mut read) = (Vec::new(), Vec::new());
            loop {
                let next = walk.next(7);
                assert!(next.len() <= 7);
                if next.is_empty() {
                    break;
                }
                for node in next {
                    let value = nodes.get(&node.key).map(Vec::as_slice);
                    found.extend(walk.read(&node, value).unwrap());
                    read.push(node.key);
                }
            }
            found.sort();
            assert!(found.into_iter().eq((0..devices).map(token)));
            let all = read.len();
            read.sort();
            read.dedup();
            assert_eq!(read.len(), all);
        }
    }

    #[test]
    fn the_size_is_about_right() {
        for (devices, depth) in [(0, 0), (7, 0), (20_000, 2)] {
            let nodes = stored(devices, depth);
            let mut size = GroupSize::new(&group());
            let mut reads = 0;
            while let Some(key) = size.key() {
                size.read(nodes.get(&key).map(Vec::as_slice)).unwrap();
                reads += 1;
            }
            let devices = usize::try_from(devices).unwrap();
            let (least, most) = (devices / 2, 2 * devices);
            assert!((least..=most).contains(&size.get()), "{}", size.get());
            assert_eq!(reads, 1 + depth);
        }
        // A leaf that all have left does not make a group of thousands an empty one.
        let mut left = GroupSize::new(&group());
        left.read(Some(&GroupNode::Branch.write())).unwrap();
        left.read(None).unwrap();
        assert_eq!((left.key(), left.get()), (None, 16));
    }

    #[test]
    fn a_hash_that_leads_nowhere_ends() {
        let branch = GroupNode::Branch.write();
        let mut walk = GroupWalk::new(&group());
        let error = loop {
            let node = walk.next(1).pop().unwrap();
            match walk.read(&node, Some(&branch)) {
                Ok(found) => assert!(found.is_empty()),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("deeper"), "{error}");
        let mut size = GroupSize::new(&group());
        assert!((0..=MAX_DEPTH).any(|_| size.read(Some(&branch)).is_err()));
    }
}
