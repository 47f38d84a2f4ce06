//! What is kept of a device, and the values that it is made of; the keys that all of it stands
//! under.

mod alias;
mod cursor;
mod device;
mod format;
mod invalidation;
mod keys;
mod membership;
mod tag;

pub use alias::{ALIAS_MAX_DEVICES, Alias, AliasFull, AliasIndex, DeviceRef};
pub use cursor::Cursor;
pub(in crate::registry) use device::Slot;
pub use device::{DeviceRecord, Registration};
pub use format::{CorruptRecord, IndexEntry, VERSION};
pub(in crate::registry) use format::{behind_version, read, write};
pub use invalidation::{Invalidation, RemovalReason, Tombstone};
pub use keys::{DEVICE_KEYS, Located, alias_key, alias_topics_key, device_key, group_key};
pub use membership::{Group, Index};
pub use tag::{MAX_TAGS, TAG_MAX_BYTES, Tag};
