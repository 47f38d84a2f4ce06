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
//! In three layers, each a function of what it is given:
//!
//! ```text
//!   operations   register, restore, delete, bury …   which records, in which order
//!      │  └─ page                                    listing
//!   update       one record and the indexes it is in; survives a crash anywhere, and others
//!      │  └─ group, owner                            an index: old bytes and an entry -> new bytes
//!   life         a record and an event -> the next record
//! ```
//!
//! `policy` says which outcomes are deaths, and [`Guard`] when not to believe them; [`Trial`] where
//! a push is tried, and where a token is good.
//!
//! A record is the truth and an index is only where to look: an index may name a device whose
//! record says otherwise, and such a device is skipped. It never lacks one that belongs there, at
//! any moment; `update` has the order of the writes and why it is enough.

mod alias;
mod death;
mod device;
mod group;
mod guard;
mod keys;
mod life;
mod operations;
mod owner;
mod page;
mod policy;
mod position;
mod tag;
mod trial;
mod update;
mod values;

#[cfg(test)]
pub(crate) mod replay;

pub use alias::{ALIAS_MAX_DEVICES, Alias, AliasFull, AliasIndex, DeviceRef};
pub use death::{Death, DeathReason, Tombstone};
pub use device::{DeviceRecord, Registration};
pub use group::{
    Entry, Group, GroupNode, GroupPage, Index, LEAF_MAX, Leaf, PAGE_MAX, PageLimit, group_page,
};
pub use guard::{GUARD_TRIPPED, Guard, Ruling};
pub use keys::{
    DEVICE_KEYS, Located, alias_key, alias_topics_key, device_key, group_key, older_alias_key,
};
pub use life::{Burial, Registered, Succession};
pub use operations::{
    Burials, Swept, Wait, bury, delete, device, learn, logout, register, restore, sweep, take_back,
};
pub use owner::{ALIAS_MAX_TOPICS, AliasTopics};
pub use page::{Candidates, DevicePage, Selection, candidates};
pub use policy::Finding;
pub use position::Position;
pub use tag::{MAX_TAGS, TAG_MAX_BYTES, Tag};
pub use trial::{Trial, Verdict};
pub use values::{Ahead, Failure, Swap, Values, change};

use core::fmt;

/// A stored value that is not what this version wrote. The store, or a later version, is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptRecord(pub(crate) String);

impl fmt::Display for CorruptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a stored record could not be read: {}", self.0)
    }
}

impl core::error::Error for CorruptRecord {}

/// Position only: serde_json's messages may quote the value, which may be a token.
fn corrupt(what: &str, error: &serde_json::Error) -> CorruptRecord {
    CorruptRecord(format!(
        "{what}, line {}, column {}",
        error.line(),
        error.column()
    ))
}

/// The `v` of every stored value.
const VERSION: u32 = 1;

fn check_version(what: &str, version: u32) -> Result<(), CorruptRecord> {
    if version == VERSION {
        return Ok(());
    }
    Err(CorruptRecord(format!(
        "{what}, expected version {VERSION}, got {version}"
    )))
}
