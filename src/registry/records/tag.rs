//! A caller's text becomes a [`Tag`].

use crate::notification::InvalidNotification;

/// Longest tag, in bytes.
pub const TAG_MAX_BYTES: usize = 64;

/// Most tags of a device.
pub const MAX_TAGS: usize = 64;

/// A label that a caller puts on devices: 1 to 64 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// From the caller's text.
    ///
    /// # Errors
    /// `tag-length` and `tag-character`.
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        let refuse = |rule, expected: &'static str, got: String| {
            Err(InvalidNotification::new("tags", rule, expected, got))
        };
        if text.is_empty() || text.len() > TAG_MAX_BYTES {
            return refuse(
                "tag-length",
                "1 to 64 bytes",
                format!("{} bytes", text.len()),
            );
        }
        if text.chars().any(char::is_control) {
            return refuse("tag-character", "no control characters", "one".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The caller's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
