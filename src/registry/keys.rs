//! Where a record stands: hashes of what it is about.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::Alias;
use crate::notification::{DeviceToken, Topic};

/// The key of a device's record. A token belongs to one app, but nothing keeps a caller from
/// registering it for two topics (an app and its extension), so the topic is part of the key.
pub fn device_key(topic: &Topic, token: &DeviceToken) -> String {
    // A topic has no NUL byte, so the two parts cannot run into each other.
    key("d/", &[topic.as_str().as_bytes(), &[0], token.as_bytes()])
}

/// The key of an alias's index.
pub fn alias_key(alias: &Alias) -> String {
    key("a/", &[alias.as_str().as_bytes()])
}

fn key(prefix: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut key = String::from(prefix);
    key.push_str(&URL_SAFE_NO_PAD.encode(hash.finalize()));
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_apart() {
        let token = DeviceToken::from_bytes(&[7; 100]).unwrap();
        let app = device_key(&Topic::parse("com.example.app").unwrap(), &token);
        let voip = device_key(&Topic::parse("com.example.app.voip").unwrap(), &token);
        assert_eq!(app.len(), 2 + 43);
        assert_ne!(app, voip);
        assert!(!app.contains("0707"));
        let alias = alias_key(&Alias::parse("someone@example.com").unwrap());
        assert!(alias.starts_with("a/") && !alias.contains("someone"));
    }
}
