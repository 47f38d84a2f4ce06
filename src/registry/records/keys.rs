//! Where a record stands: hashes of what it is about.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::alias::{Alias, DeviceRef};
use super::cursor::Cursor;
use super::membership::Group;
use crate::notification::{DeviceToken, Topic};

/// What the keys of all device records begin with.
pub const DEVICE_KEYS: &str = "d/";

/// The key of a device's record. A token belongs to one app, but nothing keeps a caller from
/// registering it for two topics (an app and its extension), so the topic is part of the key.
pub fn device_key(topic: &Topic, token: &DeviceToken) -> String {
    key(DEVICE_KEYS, hash(&device_parts(topic, token)))
}

/// A device, and where its record stands, which takes a hash to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    device: DeviceRef,
    place: Cursor,
}

impl Located {
    /// Finds it out.
    pub fn new(device: DeviceRef) -> Self {
        let place = cursor_of(&device);
        Self { device, place }
    }

    /// The device.
    pub const fn device(&self) -> &DeviceRef {
        &self.device
    }

    /// Devices whose records a store keeps near each other have places near each other: changing
    /// many in this order changes what is kept together at once.
    pub const fn place(&self) -> Cursor {
        self.place
    }

    /// [`device_key`].
    pub fn key(&self) -> String {
        key(DEVICE_KEYS, self.place.to_bytes())
    }
}

/// The key of the index of an alias's devices in one app.
pub fn alias_key(alias: &Alias, topic: &Topic) -> String {
    // An alias has no NUL byte, so the two cannot run into each other.
    let parts = [alias.as_str().as_bytes(), &[0], topic.as_str().as_bytes()];
    key("a/", hash(&parts))
}

/// The key of the list of an alias's apps.
pub fn alias_topics_key(alias: &Alias) -> String {
    key("o/", hash(&[alias.as_str().as_bytes()]))
}

/// What the keys of a group's nodes begin with; the path of the node follows, as hexadecimal
/// digits, of which the root has none.
pub fn group_key(group: &Group) -> String {
    let (topic, tag) = match group {
        Group::Topic(topic) => (topic, ""),
        // A tag has at least one character.
        Group::Tag(topic, tag) => (topic, tag.as_str()),
    };
    let parts = [topic.as_str().as_bytes(), &[0], tag.as_bytes()];
    let mut key = key("g/", hash(&parts));
    key.push('/');
    key
}

fn cursor_of(device: &DeviceRef) -> Cursor {
    Cursor::from_bytes(hash(&device_parts(&device.topic, &device.token)))
}

/// A topic has no NUL byte, so the parts cannot run into each other.
fn device_parts<'a>(topic: &'a Topic, token: &'a DeviceToken) -> [&'a [u8]; 3] {
    [topic.as_str().as_bytes(), &[0], token.as_bytes()]
}

fn key(prefix: &str, hash: [u8; 32]) -> String {
    // Two characters, and those of 32 bytes in base64.
    let mut key = String::with_capacity(48);
    key.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(hash, &mut key);
    key
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Tag;

    fn topic(text: &str) -> Topic {
        Topic::parse(text).unwrap()
    }

    #[test]
    fn keys_are_short_and_apart() {
        let token = DeviceToken::from_bytes(&[7; 100]).unwrap();
        let app = device_key(&topic("com.example.app"), &token);
        let voip = device_key(&topic("com.example.app.voip"), &token);
        assert_eq!(app.len(), 2 + 43);
        let (topic, token) = (topic("com.example.app"), token.clone());
        let device = DeviceRef {
            topic: topic.clone(),
            token,
        };
        assert_eq!(Located::new(device).key(), app);
        assert_ne!(app, voip);
        assert!(!app.contains("0707"));
        let someone = Alias::parse("someone@example.com").unwrap();
        let alias = alias_key(&someone, &topic);
        assert!(alias.starts_with("a/") && !alias.contains("someone"));
        assert_ne!(alias, alias_key(&someone, &Topic::parse("a.b").unwrap()));
        assert!(alias_topics_key(&someone).starts_with("o/"));
    }

    #[test]
    fn groups_have_keys_of_their_own() {
        let tag = |topic_of: &str, tag| Group::Tag(topic(topic_of), Tag::parse(tag).unwrap());
        let keys = [
            group_key(&Group::Topic(topic("a.b"))),
            group_key(&Group::Topic(topic("a.b.c"))),
            group_key(&tag("a.b", "c")),
            group_key(&tag("a.b", "d")),
            group_key(&tag("a.c", "c")),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert_eq!((key.len(), &key[..2]), (2 + 43 + 1, "g/"));
            assert!(!keys[..index].contains(key), "{index}");
        }
    }
}
