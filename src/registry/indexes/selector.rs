//! Devices of an app by their tags.

use super::group::GroupSize;
use crate::notification::Topic;
use crate::registry::records::{DeviceRecord, Group, Tag};

/// Devices that have one of some tags, and all of others, and none of others again. Without tags:
/// all devices of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// A device has at least one of them, unless there are none here.
    pub any: Vec<Tag>,
    /// It has each of them.
    pub all: Vec<Tag>,
    /// It has none of them.
    pub none: Vec<Tag>,
}

impl Selector {
    /// Whether a device is among those of `topic` that are selected, by its record: it is alive,
    /// whoever is logged in on it, or nobody.
    pub fn includes(&self, topic: &Topic, record: &DeviceRecord) -> bool {
        let has = |tag: &Tag| record.tags.contains(tag);
        record.removed.is_none()
            && record.topic == *topic
            && (self.any.is_empty() || self.any.iter().any(has))
            && self.all.iter().all(has)
            && !self.none.iter().any(has)
    }

    /// The groups that can be gone through: in each of these lists together are all devices that
    /// are selected, so one list is enough.
    pub fn ways(&self, topic: &Topic) -> Vec<Vec<Group>> {
        let group = |tag: &Tag| Group::Tag(topic.clone(), tag.clone());
        let mut ways: Vec<_> = self.all.iter().map(|tag| vec![group(tag)]).collect();
        if !self.any.is_empty() {
            ways.push(self.any.iter().map(group).collect());
        }
        // A single tag has no more devices than the app.
        if !matches!(ways.as_slice(), [way] if way.len() == 1) {
            ways.push(vec![Group::Topic(topic.clone())]);
        }
        ways
    }
}

/// The sizes of the groups of some ways, one list for each, become the number of the way with the
/// fewest devices; the first of several.
pub fn shortest_way(sizes: &[Vec<GroupSize>]) -> usize {
    let length = |way: &Vec<GroupSize>| {
        let sizes = way.iter().map(GroupSize::get);
        sizes.fold(0_usize, usize::saturating_add)
    };
    let lengths = sizes.iter().map(length).enumerate();
    let shortest = lengths.min_by_key(|(_, length)| *length);
    shortest.map_or(0, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{GroupNode, Leaf};

    fn topic() -> Topic {
        Topic::parse("com.example.app").unwrap()
    }

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| Tag::parse(name).unwrap()).collect()
    }

    #[test]
    fn one_group_is_enough_of_all_and_the_app_of_none() {
        let of = |name: &str| Group::Tag(topic(), Tag::parse(name).unwrap());
        let app = || vec![Group::Topic(topic())];
        let ways = |any: &[&str], all: &[&str]| {
            let selector = Selector {
                any: tags(any),
                all: tags(all),
                none: tags(&["z"]),
            };
            selector.ways(&topic())
        };
        assert_eq!(ways(&[], &[]), [app()]);
        assert_eq!(ways(&["a"], &[]), [vec![of("a")]]);
        assert_eq!(ways(&[], &["a"]), [vec![of("a")]]);
        assert_eq!(ways(&["a", "b"], &[]), [vec![of("a"), of("b")], app()]);
        let every = [vec![of("c")], vec![of("d")], vec![of("a"), of("b")], app()];
        assert_eq!(ways(&["a", "b"], &["c", "d"]), every);
    }

    #[test]
    fn the_way_with_the_fewest_devices_is_the_shortest() {
        let size = |devices: u32| {
            let mut leaf = Leaf::default();
            for n in 0..devices {
                let token = crate::notification::DeviceToken::from_bytes(&n.to_be_bytes());
                leaf.join(&token.unwrap(), 1);
            }
            let mut size = GroupSize::new(&Group::Topic(topic()));
            size.read(Some(&GroupNode::Leaf(leaf).write())).unwrap();
            size
        };
        assert_eq!(
            shortest_way(&[vec![size(9)], vec![size(3)], vec![size(3)]]),
            1
        );
        assert_eq!(shortest_way(&[vec![size(3), size(3)], vec![size(5)]]), 1);
        assert_eq!(shortest_way(&[vec![]]), 0);
    }
}
