//! What is known of each device, as values in a key-value store.
//!
//! ```text
//!   d/<hash of topic and token>  ──►  DeviceRecord     one app on one device, alive or removed
//!   o/<hash of alias>            ──►  AliasTopics      the apps in which that alias has devices
//!   a/<hash of alias and topic>  ──►  AliasIndex       its devices in one of them
//!   g/<hash of group>/<digits>   ──►  GroupNode        those that may be an app's, or have a tag
//! ```
//!
//! Keys are hashes, so that they have one length on every store and no token shows up in a listing.
//! An empty value is no value: stores of the interface used here delete without comparing, so what
//! is deleted is swapped for next to nothing.
//!
//! In layers, each a function of what it is given and a user of those below it:
//!
//! ```text
//!   operations                 register, restore, delete, remove …: which records, in what order
//!   indexes   listing          which devices may be among those that are to be listed
//!             selector         which are selected by their tags, and where they are looked for
//!             update           one record and its indexes; survives a crash anywhere, and others
//!             group, owner     an index: old bytes and an entry -> new bytes
//!             round            what does not wait for each other, in one call of the store
//!   policy    transitions      a record and an event -> the next record
//!             token_fate       what an outcome says of a token; `guard`, when not to believe it
//!             environment_probe    where a push is tried, and where a token is good
//!   records                    the record and what it is made of, their bytes, all keys
//! ```
//!
//! A record is the truth and an index is only where to look: an index may name a device whose
//! record says otherwise, and such a device is skipped. It never lacks one that belongs there, at
//! any moment; `update` has the order of the writes and why it is enough.

mod indexes;
mod operations;
mod policy;
mod records;
mod upgrade;

#[cfg(test)]
pub(crate) mod replay;

pub use indexes::{
    ALIAS_MAX_TOPICS, AliasTopics, Candidates, DevicePage, Failure, GroupNode, GroupPage,
    GroupSize, GroupWalk, LEAF_MAX, Leaf, NodeAhead, PAGE_MAX, PageLimit, Selection, Selector,
    Swap, Swapped, Values, candidates, change, group_page, shortest_way,
};
pub(crate) use indexes::{Try, get, get_all, retry, swap};
pub use operations::{
    Removals, Swept, Wait, delete, device, learn_many, logout, register, remove, restore, sweep,
    take_back,
};
pub use policy::{
    EnvironmentProbe, GUARD_TRIPPED, Guard, Registered, Removal, Ruling, Succession, TokenFate,
};
pub use records::{
    ALIAS_MAX_DEVICES, Alias, AliasFull, AliasIndex, CorruptRecord, Cursor, DEVICE_KEYS,
    DeviceRecord, DeviceRef, Group, Index, IndexEntry, Invalidation, Located, MAX_TAGS,
    Registration, RemovalReason, TAG_MAX_BYTES, Tag, Tombstone, VERSION, alias_key,
    alias_topics_key, device_key, group_key,
};
pub use upgrade::{Upgraded, load, upgraded};
