//! Who a device belongs to: an alias, and the index of its devices.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::{CorruptRecord, VERSION, check_version, corrupt};
use crate::notification::{DeviceToken, InvalidNotification, Topic};

/// Longest alias, in bytes. Ours: Apple knows no aliases.
pub const ALIAS_MAX_BYTES: usize = 256;

/// Most devices of one alias. A registration beyond it is refused: somebody registers many users
/// under one name.
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

/// The devices that may belong to an alias, at most [`ALIAS_MAX_DEVICES`]; each one's record has
/// the last word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AliasIndex {
    devices: Vec<DeviceRef>,
}

/// The alias has all the devices it may have. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasFull;

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u32,
    devices: Vec<StoredRef>,
}

#[derive(Serialize, Deserialize)]
struct StoredRef {
    topic: String,
    token: String,
}

impl AliasIndex {
    /// From the stored bytes; no bytes are an empty index.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub fn read(bytes: Option<&[u8]>) -> Result<Self, CorruptRecord> {
        let Some(bytes) = bytes else {
            return Ok(Self::default());
        };
        let stored: Stored =
            serde_json::from_slice(bytes).map_err(|error| corrupt("alias index", &error))?;
        check_version("alias index", stored.v)?;
        let devices = stored
            .devices
            .iter()
            .map(StoredRef::read)
            .collect::<Result<_, _>>()?;
        Ok(Self { devices })
    }

    /// The bytes to store.
    pub fn write(&self) -> Vec<u8> {
        let devices = self
            .devices
            .iter()
            .map(|device| StoredRef {
                topic: device.topic.as_str().to_owned(),
                token: device.token.to_hex(),
            })
            .collect();
        // Strings and numbers always serialise.
        serde_json::to_vec(&Stored {
            v: VERSION,
            devices,
        })
        .unwrap_or_default()
    }

    /// The devices, oldest first.
    pub fn devices(&self) -> &[DeviceRef] {
        &self.devices
    }

    /// Adds a device; false if it was there.
    ///
    /// # Errors
    /// [`AliasFull`].
    pub fn add(&mut self, device: DeviceRef) -> Result<bool, AliasFull> {
        if self.devices.contains(&device) {
            return Ok(false);
        }
        if self.devices.len() >= ALIAS_MAX_DEVICES {
            return Err(AliasFull);
        }
        self.devices.push(device);
        Ok(true)
    }

    /// Takes a device out; false if it was not there.
    pub fn remove(&mut self, device: &DeviceRef) -> bool {
        let before = self.devices.len();
        self.devices.retain(|held| held != device);
        self.devices.len() < before
    }
}

impl StoredRef {
    fn read(&self) -> Result<DeviceRef, CorruptRecord> {
        let unreadable = |error: InvalidNotification| CorruptRecord(error.to_string());
        Ok(DeviceRef {
            topic: Topic::parse(&self.topic).map_err(unreadable)?,
            token: DeviceToken::parse_hex(&self.token).map_err(unreadable)?,
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
        assert_eq!(index.add(device(1)), Ok(true));
        assert_eq!(index.add(device(1)), Ok(false));
        assert_eq!(index.add(device(2)), Ok(true));
        assert_eq!(AliasIndex::read(Some(&index.write())).unwrap(), index);
        assert!(index.remove(&device(1)) && !index.remove(&device(1)));
        assert_eq!(index.devices(), [device(2)]);
        assert_eq!(AliasIndex::read(None).unwrap(), AliasIndex::default());
    }

    #[test]
    fn an_index_is_bounded() {
        let mut index = AliasIndex::default();
        for n in 0..500 {
            index.add(device(n)).unwrap();
        }
        assert_eq!(index.add(device(500)), Err(AliasFull));
        assert_eq!(index.add(device(3)), Ok(false));
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
