//! A text of the caller's becomes an idempotency key, and what is derived from it.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::notification::{ApnsId, BundleId, ChannelId, CollapseId, DeviceToken, Topic};

/// What the keys of all receipts begin with.
pub const RECEIPT_KEYS: &str = "i/";

/// Longest idempotency key, in bytes.
pub const KEY_MAX_BYTES: usize = 128;

/// What the caller names a push by: 1 to 128 of the characters `A-Z a-z 0-9 - . _ ~ :`, which stand
/// in a path as they are. Each caller has keys of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    text: String,
    /// Of the caller's name and the text.
    hash: [u8; 32],
}

/// A text that is no idempotency key. The caller is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidKey {
    /// What was there instead; never the text.
    pub got: String,
}

impl InvalidKey {
    /// What a key is.
    pub const EXPECTED: &'static str = "1 to 128 of A-Z a-z 0-9 - . _ ~ :";
}

/// Without the text, which may name a person.
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyKey").finish_non_exhaustive()
    }
}

impl IdempotencyKey {
    /// Checks `text`, a key of the caller of that name.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn parse(caller: &str, text: &str) -> Result<Self, InvalidKey> {
        if !(1..=KEY_MAX_BYTES).contains(&text.len()) {
            let got = format!("{} bytes", text.len());
            return Err(InvalidKey { got });
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
        if let Some(place) = text.bytes().position(|byte| !fits(byte)) {
            let got = format!("another character at byte {place}");
            return Err(InvalidKey { got });
        }
        // No NUL in the text, so the last one divides the two.
        let mut hash = Sha256::new();
        hash.update(caller.as_bytes());
        hash.update([0]);
        hash.update(text.as_bytes());
        Ok(Self {
            text: text.to_owned(),
            hash: hash.finalize().into(),
        })
    }

    /// As the caller wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where its receipt is in the store.
    pub fn receipt_key(&self) -> String {
        format!("{RECEIPT_KEYS}{}", URL_SAFE_NO_PAD.encode(self.hash))
    }

    /// The identifier of its push to a device: the same one every time.
    pub fn apns_id(&self, topic: &Topic, token: &DeviceToken) -> ApnsId {
        self.id(topic, token.as_bytes())
    }

    /// The identifier of its broadcast to a channel: the same one every time.
    pub fn request_id(&self, bundle_id: &BundleId, channel: &ChannelId) -> ApnsId {
        self.id(bundle_id.as_topic(), channel.as_str().as_bytes())
    }

    fn id(&self, topic: &Topic, recipient: &[u8]) -> ApnsId {
        let mut hash = Sha256::new();
        hash.update(self.hash);
        hash.update(topic.as_str().as_bytes());
        hash.update([0]);
        hash.update(recipient);
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(digest.split_at(16).0);
        ApnsId::from_random(id)
    }

    /// A collapse identifier that is the same for all pushes of the key, 43 characters. There
    /// always is one, since that is below the limit of 64.
    pub fn collapse_id(&self) -> Option<CollapseId> {
        CollapseId::parse(&URL_SAFE_NO_PAD.encode(self.hash)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(caller: &str, text: &str) -> IdempotencyKey {
        IdempotencyKey::parse(caller, text).unwrap()
    }

    #[test]
    fn what_is_a_key() {
        for text in ["a", "order:17_3.a~b-C", &"x".repeat(KEY_MAX_BYTES)] {
            assert_eq!(key("server", text).as_str(), text);
        }
        for text in ["", "a b", "a/b", "ä", "a\0", &"x".repeat(KEY_MAX_BYTES + 1)] {
            assert!(IdempotencyKey::parse("server", text).is_err(), "{text:?}");
        }
        let error = IdempotencyKey::parse("server", "my secret").unwrap_err();
        assert_eq!(error.got, "another character at byte 2");
    }

    #[test]
    fn each_caller_has_keys_of_its_own() {
        let (one, other) = (key("one", "a"), key("other", "a"));
        assert_ne!(one.receipt_key(), other.receipt_key());
        assert_eq!(one.receipt_key(), key("one", "a").receipt_key());
        assert_eq!(one.receipt_key().len(), RECEIPT_KEYS.len() + 43);
    }

    #[test]
    fn identifiers_are_stable_and_each_devices_own() {
        let topic = Topic::parse("com.example.app").unwrap();
        let token = |byte| DeviceToken::from_bytes(&[byte; 32]).unwrap();
        let one = key("server", "a").apns_id(&topic, &token(1));
        assert_eq!(one, key("server", "a").apns_id(&topic, &token(1)));
        assert_ne!(one, key("server", "a").apns_id(&topic, &token(2)));
        assert_ne!(one, key("server", "b").apns_id(&topic, &token(1)));
        assert_eq!(ApnsId::parse(&one.to_string()), Ok(one));
        let app = BundleId::new(topic).unwrap();
        let channel = |text| ChannelId::parse(text).unwrap();
        let one = key("server", "a").request_id(&app, &channel("YQ=="));
        assert_eq!(one, key("server", "a").request_id(&app, &channel("YQ==")));
        assert_ne!(one, key("server", "a").request_id(&app, &channel("Yg==")));
        assert_ne!(one, key("server", "b").request_id(&app, &channel("YQ==")));
    }

    #[test]
    fn the_collapse_identifier_is_one() {
        let of = |text| key("server", text).collapse_id().unwrap();
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
    }

    #[test]
    fn it_is_not_shown() {
        assert!(!format!("{:?}", key("server", "anna")).contains("anna"));
    }
}
