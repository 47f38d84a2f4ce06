//! Many devices under one name, as a tree of values that many may change at once.
//!
//! ```text
//!   g/<hash>/          branch                        the root
//!   g/<hash>/0         leaf, at most 256 devices     cursors that begin with 0
//!   g/<hash>/1         branch
//!   g/<hash>/1a        leaf                          cursors that begin with 1a
//!   g/<hash>/…
//! ```
//!
//! A device's cursor is the SHA-256 of its token; the digit of a cursor at a branch's depth says
//! which of its 16 children is meant. A node that is not there is an empty leaf. A leaf becomes a
//! branch when it is full, and a branch stays one for good.
//!
//! Joining, leaving and splitting are in [`trie`], going through all of a group in [`walk`], the
//! bytes of a node in [`node`]. Why no device
//! is ever lost, though many change a group at once and each may be cut short at any write:
//!
//! - Every change of a node is a compare-and-swap of the whole node.
//! - A leaf that is full is split children first: what it holds is merged into each of the 16, and
//!   then the leaf is swapped for the branch. Nobody looks at the children before that. If somebody
//!   changed the leaf meanwhile, the swap fails, and all is merged again.
//! - Merging keeps the greater revision of an entry. What an attempt that failed has left in a
//!   child is a surplus entry, and the record has the last word on those.
//!
//! Bounds: 256 devices and 28 KB a leaf; 32 digits a path, which only 257 tokens could exceed that
//! have half of a SHA-256 in common.

mod node;
mod trie;
mod walk;

pub use node::{GroupNode, LEAF_MAX, Leaf};
pub(in crate::registry::indexes) use trie::{Ahead, Leave, join, leave};
pub use trie::{GroupPage, group_page};
pub use walk::{GroupSize, GroupWalk, NodeAhead};
