//! Who a device belongs to: an alias, and the index of its devices.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::format::{CorruptRecord, VERSION, check_version, corrupt};
use crate::json;
use crate::notification::{DeviceToken, InvalidNotification, Topic};

/// Longest alias, in bytes. Ours: Apple knows no aliases.
pub const ALIAS_MAX_BYTES: usize = 256;

/// Most devices of one alias in one app. A registration beyond it is refused: somebody registers
/// many users under one name. Apps do not share it: whoever may register for one app must not be
/// able to use up the room of another.
pub const ALIAS_MAX_DEVICES: usize = 500;

/// The caller's own name for a user: 1 to 256 bytes without control characters. Personal, and
/// printed as such.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(String);

impl Alias {
    /// From the caller's text.
    ///
    /// # Errors
    /// `alias-empty`, `alias-too-long`, `alias-character`.
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        let refuse = |rule, expected: &'static str, got: String| {
            Err(InvalidNotification::new("alias", rule, expected, got))
        };
        if text.is_empty() {
            return refuse("alias-empty", "at least one character", "none".into());
        }
        if text.len() > ALIAS_MAX_BYTES {
            let got = format!("{} bytes", text.len());
            return refuse("alias-too-long", "at most 256 bytes", got);
        }
        if text.chars().any(char::is_control) {
            return refuse("alias-character", "no control characters", "one".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The caller's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alias({} bytes)", self.0.len())
    }
}

/// One app on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRef {
    /// The app.
    pub topic: Topic,
    /// The device.
    pub token: DeviceToken,
}

/// The devices of an app that may belong to an alias, at most [`ALIAS_MAX_DEVICES`]; each one's
/// record has the last word.
///
/// An older version kept those of all apps in one such value. It is read, and devices leave it, but
/// none joins it any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AliasIndex {
    entries: Vec<AliasEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct AliasEntry {
    device: DeviceRef,
    /// The revision of its record that was about to be written when it joined.
    revision: u64,
}

/// The alias has all the devices or all the apps it may have. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasFull;

#[derive(Serialize, Deserialize)]
struct StoredAliasIndex {
    v: u32,
    devices: Vec<StoredAliasEntry>,
}

#[derive(Serialize, Deserialize)]
struct StoredAliasEntry {
    topic: String,
    token: String,
    #[serde(default)]
    rev: u64,
}

impl AliasIndex {
    /// From the stored bytes; none are an empty index.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub fn read(bytes: Option<&[u8]>) -> Result<Self, CorruptRecord> {
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            return Ok(Self::default());
        };
        let stored: StoredAliasIndex =
            json::read(bytes).map_err(|error| corrupt("alias index", &error))?;
        check_version("alias index", stored.v)?;
        let entries = stored
            .devices
            .iter()
            .map(StoredAliasEntry::read)
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// The bytes to store; none for an empty index, so that nothing of an alias is left that has no
    /// devices.
    pub fn write(&self) -> Vec<u8> {
        if self.entries.is_empty() {
            return Vec::new();
        }
        let devices = self
            .entries
            .iter()
            .map(|entry| StoredAliasEntry {
                topic: entry.device.topic.as_str().to_owned(),
                token: entry.device.token.to_hex(),
                rev: entry.revision,
            })
            .collect();
        // Strings and numbers always serialise.
        serde_json::to_vec(&StoredAliasIndex {
            v: VERSION,
            devices,
        })
        .unwrap_or_default()
    }

    /// The devices, oldest first.
    pub fn devices(&self) -> impl ExactSizeIterator<Item = &DeviceRef> {
        self.entries.iter().map(|entry| &entry.device)
    }

    fn has(&self, device: &DeviceRef) -> bool {
        self.entries.iter().any(|entry| entry.device == *device)
    }

    /// Adds a device, or raises the revision of its entry; false if it was there with that revision
    /// or a later one.
    ///
    /// # Errors
    /// [`AliasFull`].
    pub fn join(&mut self, device: &DeviceRef, revision: u64) -> Result<bool, AliasFull> {
        self.join_beside(&Self::default(), device, revision)
    }

    /// The same, where `older` has further devices that count.
    ///
    /// # Errors
    /// [`AliasFull`].
    pub(in crate::registry) fn join_beside(
        &mut self,
        older: &Self,
        device: &DeviceRef,
        revision: u64,
    ) -> Result<bool, AliasFull> {
        if let Some(entry) = self
            .entries
            .iter_mut()
            .find(|entry| entry.device == *device)
        {
            let later = entry.revision < revision;
            entry.revision = entry.revision.max(revision);
            return Ok(later);
        }
        let counts = |other: &&DeviceRef| {
            other.topic == device.topic && *other != device && !self.has(other)
        };
        if self.entries.len() + older.devices().filter(counts).count() >= ALIAS_MAX_DEVICES {
            return Err(AliasFull);
        }
        let device = device.clone();
        self.entries.push(AliasEntry { device, revision });
        Ok(true)
    }

    /// Takes a device out unless it joined with a later revision; false if it stays or was not
    /// there.
    pub fn leave(&mut self, device: &DeviceRef, revision: u64) -> bool {
        let before = self.entries.len();
        self.entries
            .retain(|entry| entry.device != *device || entry.revision > revision);
        self.entries.len() < before
    }
}

impl StoredAliasEntry {
    fn read(&self) -> Result<AliasEntry, CorruptRecord> {
        let unreadable = |error: InvalidNotification| CorruptRecord(error.to_string());
        let device = DeviceRef {
            topic: Topic::parse(&self.topic).map_err(unreadable)?,
            token: DeviceToken::parse_hex(&self.token).map_err(unreadable)?,
        };
        Ok(AliasEntry {
            device,
            revision: self.rev,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u16) -> DeviceRef {
        DeviceRef {
            topic: Topic::parse("com.example.app").unwrap(),
            token: DeviceToken::from_bytes(&n.to_be_bytes()).unwrap(),
        }
    }

    #[test]
    fn an_index_survives_storage() {
        let mut index = AliasIndex::default();
        assert_eq!(index.join(&device(1), 1), Ok(true));
        assert_eq!(index.join(&device(1), 1), Ok(false));
        assert_eq!(index.join(&device(2), 9), Ok(true));
        assert_eq!(AliasIndex::read(Some(&index.write())).unwrap(), index);
        assert!(index.leave(&device(1), 1) && !index.leave(&device(1), 1));
        assert!(index.devices().eq([&device(2)]));
        assert!(index.leave(&device(2), 9));
        assert_eq!(index.write(), b"");
        for empty in [None, Some(&b""[..])] {
            assert_eq!(AliasIndex::read(empty).unwrap(), AliasIndex::default());
        }
    }

    #[test]
    fn who_joined_later_is_not_taken_out() {
        let mut index = AliasIndex::default();
        index.join(&device(1), 4).unwrap();
        assert!(!index.leave(&device(1), 3));
        assert_eq!(index.join(&device(1), 3), Ok(false), "and stays as late");
        assert!(!index.leave(&device(1), 3));
        assert_eq!(index.join(&device(1), 5), Ok(true));
        assert!(!index.leave(&device(1), 4) && index.leave(&device(1), 5));
    }

    #[test]
    fn an_index_of_a_time_before_revisions_is_read() {
        let bytes = br#"{"v":1,"devices":[{"topic":"com.example.app","token":"0001"}]}"#;
        let mut index = AliasIndex::read(Some(bytes)).unwrap();
        assert!(index.devices().eq([&device(1)]));
        assert!(index.leave(&device(1), 0));
    }

    #[test]
    fn an_index_is_bounded() {
        let mut index = AliasIndex::default();
        for n in 0..500 {
            index.join(&device(n), 1).unwrap();
        }
        assert_eq!(index.join(&device(500), 1), Err(AliasFull));
        assert_eq!(index.join(&device(3), 1), Ok(false));
        assert_eq!(index.join(&device(3), 2), Ok(true));
    }

    #[test]
    fn devices_of_an_older_index_count_once_and_only_those_of_the_app() {
        let (mut index, mut older) = (AliasIndex::default(), AliasIndex::default());
        for n in 0..300 {
            older.join(&device(n), 1).unwrap();
        }
        let other = DeviceRef {
            topic: Topic::parse("com.example.other").unwrap(),
            ..device(0)
        };
        older.join(&other, 1).unwrap();
        for n in 200..500 {
            index.join_beside(&older, &device(n), 2).unwrap();
        }
        let full = index.join_beside(&older, &device(500), 2);
        assert_eq!(full, Err(AliasFull));
        assert_eq!(index.join_beside(&older, &device(7), 2), Ok(true));
    }

    #[test]
    fn what_is_not_an_index_is_refused_without_quoting_it() {
        for bytes in [&b"{"[..], b"{}", b"[]", br#"{"v":9,"devices":[]}"#] {
            assert!(AliasIndex::read(Some(bytes)).is_err());
        }
        let secret = br#"{"v":1,"devices":["a1b2c3d4"]}"#;
        let error = AliasIndex::read(Some(secret)).unwrap_err();
        assert!(!error.to_string().contains("a1b2"), "{error}");
    }

    #[test]
    fn aliases_have_bounds_and_are_not_printed() {
        assert!(Alias::parse("").is_err() && Alias::parse("a\nb").is_err());
        assert!(Alias::parse(&"x".repeat(257)).is_err());
        let alias = Alias::parse("anna@example.com").unwrap();
        assert!(!format!("{alias:?}").contains("anna"));
    }
}
