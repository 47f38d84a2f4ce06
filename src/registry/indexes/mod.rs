//! Where devices are looked for, and the one way in which a record and its indexes are changed.

mod group;
mod listing;
mod owner;
mod page;
mod selector;
mod update;
mod values;

pub use group::{
    GroupNode, GroupPage, GroupSize, GroupWalk, LEAF_MAX, Leaf, LeafEntry, NodeAhead, group_page,
};
pub use listing::{Selection, candidates};
pub use owner::{ALIAS_MAX_TOPICS, AliasTopics};
pub use page::{Candidates, DevicePage, PAGE_MAX, PageLimit};
pub use selector::{Selector, shortest_way};
pub(in crate::registry) use update::{Decision, Leaving, settle_some, update, update_record};
pub use values::{Ahead, Failure, Swap, Values, change};
pub(crate) use values::{Try, get, retry, swap};
