//! Where devices are looked for, and the one way in which a record and its indexes are changed.

mod group;
mod listing;
mod owner;
mod page;
mod round;
mod selector;
mod update;
mod values;

pub use group::{
    GroupNode, GroupPage, GroupSize, GroupWalk, LEAF_MAX, Leaf, NodeAhead, group_page,
};
pub use listing::{Selection, candidates};
pub use owner::{ALIAS_MAX_TOPICS, AliasTopics};
pub use page::{Candidates, DevicePage, PAGE_MAX, PageLimit};
pub(in crate::registry) use round::{Round, all, together};
pub use selector::{Selector, shortest_way};
pub(in crate::registry) use update::{
    Decision, Leaving, Updated, enter, settle_all, settle_some, update, update_from, update_record,
};
pub use values::{Failure, Swap, Swapped, Values, change};
pub(crate) use values::{Try, get, get_all, retry, swap};
