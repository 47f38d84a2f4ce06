//! Who a device belongs to: an alias, and the index of its devices.

use core::fmt;

use super::format::{CorruptRecord, IndexEntry, VERSION, behind_version};
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AliasIndex(Vec<IndexEntry>);

/// The alias has all the devices or all the apps it may have. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasFull;

const WHAT: &str = "alias index";

impl AliasIndex {
    /// From the stored bytes; none are an empty index.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub fn read(bytes: Option<&[u8]>) -> Result<Self, CorruptRecord> {
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            return Ok(Self::default());
        };
        IndexEntry::read_all(WHAT, behind_version(WHAT, bytes)?).map(Self)
    }

    /// The bytes to store; none for an empty index, so that nothing of an alias is left that has no
    /// devices.
    pub fn write(&self) -> Vec<u8> {
        match self.0.is_empty() {
            true => Vec::new(),
            false => IndexEntry::write_all(&self.0, vec![VERSION]),
        }
    }

    /// The devices, oldest first.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &DeviceToken> {
        self.0.iter().map(|entry| &entry.token)
    }

    /// Adds a device, or raises the revision of its entry; false if it was there with that revision
    /// or a later one.
    ///
    /// # Errors
    /// [`AliasFull`].
    pub fn join(&mut self, token: &DeviceToken, revision: u64) -> Result<bool, AliasFull> {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.token == *token) {
            let later = entry.revision < revision;
            entry.revision = entry.revision.max(revision);
            return Ok(later);
        }
        if self.0.len() >= ALIAS_MAX_DEVICES {
            return Err(AliasFull);
        }
        let token = token.clone();
        self.0.push(IndexEntry { token, revision });
        Ok(true)
    }

    /// Takes a device out unless it joined with a later revision; false if it stays or was not
    /// there.
    pub fn leave(&mut self, token: &DeviceToken, revision: u64) -> bool {
        let before = self.0.len();
        self.0
            .retain(|entry| entry.token != *token || entry.revision > revision);
        self.0.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(n: u16) -> DeviceToken {
        DeviceToken::from_bytes(&n.to_be_bytes()).unwrap()
    }

    #[test]
    fn an_index_survives_storage() {
        let mut index = AliasIndex::default();
        assert_eq!(index.join(&token(1), 1), Ok(true));
        assert_eq!(index.join(&token(1), 1), Ok(false));
        assert_eq!(index.join(&token(2), 9), Ok(true));
        assert_eq!(AliasIndex::read(Some(&index.write())).unwrap(), index);
        assert!(index.leave(&token(1), 1) && !index.leave(&token(1), 1));
        assert!(index.tokens().eq([&token(2)]));
        assert!(index.leave(&token(2), 9));
        assert_eq!(index.write(), b"");
        for empty in [None, Some(&b""[..])] {
            assert_eq!(AliasIndex::read(empty).unwrap(), AliasIndex::default());
        }
    }

    #[test]
    fn who_joined_later_is_not_taken_out() {
        let mut index = AliasIndex::default();
        index.join(&token(1), 4).unwrap();
        assert!(!index.leave(&token(1), 3));
        assert_eq!(index.join(&token(1), 3), Ok(false), "and stays as late");
        assert!(!index.leave(&token(1), 3));
        assert_eq!(index.join(&token(1), 5), Ok(true));
        assert!(!index.leave(&token(1), 4) && index.leave(&token(1), 5));
    }

    #[test]
    fn an_index_is_bounded() {
        let mut index = AliasIndex::default();
        for n in 0..500 {
            index.join(&token(n), 1).unwrap();
        }
        assert_eq!(index.join(&token(500), 1), Err(AliasFull));
        assert_eq!(index.join(&token(3), 1), Ok(false));
        assert_eq!(index.join(&token(3), 2), Ok(true));
    }

    #[test]
    fn what_is_not_an_index_is_refused() {
        for bytes in [&b"{"[..], b"{}", b"[]", &[9, 1, 1, 1], &[2, 1], &[2, 0, 1]] {
            assert!(AliasIndex::read(Some(bytes)).is_err());
        }
    }

    #[test]
    fn aliases_have_bounds_and_are_not_printed() {
        assert!(Alias::parse("").is_err() && Alias::parse("a\nb").is_err());
        assert!(Alias::parse(&"x".repeat(257)).is_err());
        let alias = Alias::parse("anna@example.com").unwrap();
        assert!(!format!("{alias:?}").contains("anna"));
    }
}
