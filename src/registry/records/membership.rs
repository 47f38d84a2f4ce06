//! Where a device may be looked for, and where its record says that it belongs.

use std::collections::BTreeSet;

use super::alias::Alias;
use super::device::DeviceRecord;
use super::tag::Tag;
use crate::notification::Topic;

/// Devices that can be listed together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// All of an app.
    Topic(Topic),
    /// Those of an app that have a tag.
    Tag(Topic, Tag),
}

impl Group {
    /// Whose devices they are.
    pub const fn topic(&self) -> &Topic {
        match self {
            Self::Topic(topic) | Self::Tag(topic, _) => topic,
        }
    }
}

/// Where a device may be looked for. An alias comes first in the order, since it alone may refuse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Index {
    /// Among those of an alias in an app.
    Alias(Alias, Topic),
    /// In a group.
    Group(Group),
}

impl DeviceRecord {
    /// Whether it is alive, and its owner is `alias`.
    pub fn belongs_to(&self, alias: &Alias) -> bool {
        self.removed.is_none() && self.alias.as_ref() == Some(alias)
    }

    /// Whether it is alive and belongs to a group.
    pub fn is_in(&self, group: &Group) -> bool {
        let tagged = match group {
            Group::Topic(_) => true,
            Group::Tag(_, tag) => self.tags.contains(tag),
        };
        self.removed.is_none() && self.topic == *group.topic() && tagged
    }

    /// The indexes in which it has to be found; none once it is removed.
    pub fn indexes(&self) -> BTreeSet<Index> {
        if self.removed.is_some() {
            return BTreeSet::new();
        }
        self.indexes_if_alive()
    }

    /// The indexes in which it would have to be found if it were not removed.
    pub(in crate::registry) fn indexes_if_alive(&self) -> BTreeSet<Index> {
        let tag = |tag: &Tag| Index::Group(Group::Tag(self.topic.clone(), tag.clone()));
        let mut indexes = BTreeSet::new();
        indexes.extend(self.tags.iter().map(tag));
        indexes.insert(Index::Group(Group::Topic(self.topic.clone())));
        let owner = self.alias.clone();
        indexes.extend(owner.map(|alias| Index::Alias(alias, self.topic.clone())));
        indexes
    }
}
