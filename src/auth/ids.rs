//! Text turned into a [`KeyId`] or a [`TeamId`].
//!
//! Source: Apple, *Establishing a token-based connection to APNs*: both have ten characters. They
//! go into the token's JSON as they are, so nothing that JSON would have to escape gets in.

use crate::limits::{KEY_ID_CHARS, TEAM_ID_CHARS};
use core::fmt;

/// A text that is not an identifier as Apple gives them out. Whoever wrote the configuration is at
/// fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidId {
    what: &'static str,
    got: String,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, got } = self;
        write!(f, "{what}: expected 10 ASCII letters and digits, got {got}")
    }
}

impl core::error::Error for InvalidId {}

fn parse<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N], InvalidId> {
    if let Some(wrong) = text.chars().find(|c| !c.is_ascii_alphanumeric()) {
        return Err(InvalidId {
            what,
            got: format!("the character {wrong:?}"),
        });
    }
    let length = text.len();
    text.as_bytes().try_into().map_err(|_| InvalidId {
        what,
        got: format!("{length} characters"),
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $length:expr, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// From 10 ASCII letters and digits. Case is kept: Apple gives out upper case only,
            /// and would not know another.
            ///
            /// # Errors
            /// [`InvalidId`] for any other length or character.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                parse($what, text).map(Self)
            }

            /// The ten characters.
            pub fn as_str(&self) -> &str {
                // ASCII by construction, so this never takes the default.
                core::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

id! {
    /// Which key signed a token (`kid`): the ten characters in the name of the `.p8` file.
    KeyId, KEY_ID_CHARS, "key identifier"
}

id! {
    /// Which developer team a token speaks for (`iss`).
    TeamId, TEAM_ID_CHARS, "team identifier"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_letters_and_digits() {
        assert_eq!(KeyId::parse("8YL3G3RRX7").unwrap().as_str(), "8YL3G3RRX7");
        assert_eq!(
            format!("{:?}", TeamId::parse("C86NV9JX3D").unwrap()),
            "TeamId(C86NV9JX3D)"
        );
    }

    #[test]
    fn errors_say_what_was_wrong() {
        let error = KeyId::parse("8YL3G3RRX").unwrap_err().to_string();
        assert_eq!(
            error,
            "key identifier: expected 10 ASCII letters and digits, got 9 characters"
        );
        for text in [
            "C86NV9JX3\"",
            "C86NV9JX3\\",
            "C86NV9JX3é",
            "C86NV9JX 3",
            "AuthKey_AB",
        ] {
            assert!(
                TeamId::parse(text)
                    .unwrap_err()
                    .to_string()
                    .contains("the character")
            );
        }
    }
}
