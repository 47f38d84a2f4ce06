//! Hexadecimal text or bytes turned into a [`DeviceToken`].
//!
//! Source: Apple, *Sending notification requests to APNs* ("Don't make assumptions about device
//! token size"); *Binary Provider API*, item 1 ("up to 100 bytes"). Two ways to read text:
//!
//! - [`DeviceToken::parse_hex`] is strict, for a path of a URL: hexadecimal digits only.
//! - [`DeviceToken::parse`] is for what apps post. Existing iOS code sends the old description of
//!   `NSData`, `<740f4707 61bb78ad>`: angle brackets and blanks are dropped, wherever they stand.
//!   Nothing else is: dropping every character that is not a digit, as some libraries do, turns a
//!   wrong string into a wrong token.
//!
//! Both take either case and write lower case. Limits: 1 to 100 bytes.

use super::error::{InvalidNotification, character_at, rule};
use crate::limits::DEVICE_TOKEN_MAX_BYTES;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

const FIELD: &str = "token";
const HEX_MAX: usize = 2 * DEVICE_TOKEN_MAX_BYTES;
/// How iOS 13 and later begin the description of data, most of which they then leave out.
const IOS_13_DESCRIPTION: &str = "{length";

/// The address of one app on one device: 1 to 100 opaque bytes.
///
/// Kept inline, so that copying one allocates nothing. Ordered and hashed by its bytes. `Debug` and
/// `Display` show the first two bytes and the length only.
#[derive(Clone)]
pub struct DeviceToken {
    length: u8,
    bytes: [u8; DEVICE_TOKEN_MAX_BYTES],
}

impl DeviceToken {
    /// From the bytes of the token, as iOS hands them to the app.
    ///
    /// # Errors
    /// [`rule::TOKEN_EMPTY`] and [`rule::TOKEN_TOO_LONG`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidNotification> {
        let mut token = Self {
            length: 0,
            bytes: [0; DEVICE_TOKEN_MAX_BYTES],
        };
        if bytes.is_empty() {
            return Err(empty());
        }
        let (Some(place), Ok(length)) = (
            token.bytes.get_mut(..bytes.len()),
            u8::try_from(bytes.len()),
        ) else {
            return Err(too_long(format!("{} bytes", bytes.len())));
        };
        place.copy_from_slice(bytes);
        token.length = length;
        Ok(token)
    }

    /// From hexadecimal digits of either case and nothing else; for paths of URLs.
    ///
    /// # Errors
    /// [`rule::TOKEN_EMPTY`], [`rule::TOKEN_TOO_LONG`], [`rule::TOKEN_NOT_HEX`] and
    /// [`rule::TOKEN_ODD_DIGITS`].
    pub fn parse_hex(text: &str) -> Result<Self, InvalidNotification> {
        Self::read(text, |_| false)
    }

    /// From hexadecimal digits of either case, among which `<`, `>`, blanks and tabs are skipped:
    /// the form that iOS gave to the description of a token up to version 12.
    ///
    /// # Errors
    /// As [`Self::parse_hex`]; and [`rule::TOKEN_ABBREVIATED`] for the description that iOS gives
    /// since version 13, which leaves most of the token out.
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        if text.starts_with(IOS_13_DESCRIPTION) {
            let expected = "the hexadecimal digits of every byte of the token";
            let got = "the description of data by iOS 13 and later, which leaves bytes out";
            return Err(InvalidNotification::new(
                FIELD,
                rule::TOKEN_ABBREVIATED,
                expected,
                got,
            ));
        }
        Self::read(text, |character| {
            matches!(character, '<' | '>' | ' ' | '\t')
        })
    }

    fn read(text: &str, skip: impl Fn(char) -> bool) -> Result<Self, InvalidNotification> {
        let mut token = Self {
            length: 0,
            bytes: [0; DEVICE_TOKEN_MAX_BYTES],
        };
        let mut places = token.bytes.iter_mut();
        let mut high = None;
        for (offset, character) in text.char_indices() {
            // to_digit(16) is below 16, so the cast cannot fail.
            let digit = character
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok());
            match (digit, high.take()) {
                (Some(digit), None) => high = Some(digit),
                (Some(digit), Some(first)) => {
                    let Some(place) = places.next() else {
                        return Err(too_long(format!("{} characters", text.len())));
                    };
                    *place = (first << 4) | digit;
                    token.length += 1;
                }
                (None, pending) if skip(character) => high = pending,
                (None, _) => return Err(not_hex(character, offset)),
            }
        }
        match (high, token.length) {
            (Some(_), length) => Err(odd(length)),
            (None, 0) => Err(empty()),
            (None, _) => Ok(token),
        }
    }

    /// The token's bytes, 1 to 100 of them.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    /// The token in lower-case hexadecimal digits.
    ///
    /// This is the private value itself, for a path, a header or a key of a store; not for a log.
    pub fn to_hex(&self) -> String {
        let mut text = String::with_capacity(2 * usize::from(self.length));
        self.write_hex(&mut text);
        text
    }

    /// Appends the token in lower-case hexadecimal digits.
    pub fn write_hex(&self, out: &mut String) {
        let mut digits = [0; HEX_MAX];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.as_bytes()) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0x0f)]);
        }
        let written = digits
            .get(..2 * usize::from(self.length))
            .unwrap_or_default();
        // Hexadecimal digits are ASCII, so this never takes the default.
        out.push_str(core::str::from_utf8(written).unwrap_or_default());
    }
}

/// The lower-case digit of a value below 16.
const fn digit(value: u8) -> u8 {
    if value < 10 {
        b'0' + value
    } else {
        b'a' + (value - 10)
    }
}

fn empty() -> InvalidNotification {
    InvalidNotification::new(FIELD, rule::TOKEN_EMPTY, "1 to 100 bytes", "none")
}

fn too_long(got: String) -> InvalidNotification {
    let expected = format!("at most {DEVICE_TOKEN_MAX_BYTES} bytes ({HEX_MAX} hexadecimal digits)");
    InvalidNotification::new(FIELD, rule::TOKEN_TOO_LONG, expected, got)
}

fn odd(whole_bytes: u8) -> InvalidNotification {
    let got = format!("{} digits", 2 * usize::from(whole_bytes) + 1);
    InvalidNotification::new(
        FIELD,
        rule::TOKEN_ODD_DIGITS,
        "two hexadecimal digits a byte",
        got,
    )
}

fn not_hex(character: char, offset: usize) -> InvalidNotification {
    let got = character_at(character, offset);
    InvalidNotification::new(FIELD, rule::TOKEN_NOT_HEX, "hexadecimal digits", got)
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceToken({self})")
    }
}

impl fmt::Display for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A token of one or two bytes would be shown whole; nothing of those is.
        if self.length > 2 {
            for byte in self.as_bytes().iter().take(2) {
                write!(f, "{byte:02x}")?;
            }
        }
        write!(f, "…, {} bytes", self.length)
    }
}

impl PartialEq for DeviceToken {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for DeviceToken {}

impl PartialOrd for DeviceToken {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DeviceToken {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for DeviceToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of(result: Result<DeviceToken, InvalidNotification>) -> &'static str {
        result.unwrap_err().rule()
    }

    #[test]
    fn either_case_is_read_and_lower_case_is_written() {
        let token = DeviceToken::parse_hex("A1b2C3").unwrap();
        assert_eq!(token.as_bytes(), [0xa1, 0xb2, 0xc3]);
        assert_eq!(token.to_hex(), "a1b2c3");
    }

    #[test]
    fn every_byte_survives_the_trip_through_text() {
        for chunk in (0..=255).collect::<Vec<u8>>().chunks(100) {
            let token = DeviceToken::from_bytes(chunk).unwrap();
            assert_eq!(DeviceToken::parse_hex(&token.to_hex()).unwrap(), token);
        }
    }

    #[test]
    fn one_to_a_hundred_bytes() {
        assert_eq!(rule_of(DeviceToken::from_bytes(&[])), rule::TOKEN_EMPTY);
        assert!(DeviceToken::from_bytes(&[7; 100]).is_ok());
        assert_eq!(
            rule_of(DeviceToken::from_bytes(&[7; 101])),
            rule::TOKEN_TOO_LONG
        );
        assert_eq!(
            rule_of(DeviceToken::from_bytes(&[7; 300])),
            rule::TOKEN_TOO_LONG
        );
        assert!(DeviceToken::parse_hex(&"ab".repeat(100)).is_ok());
        assert_eq!(
            rule_of(DeviceToken::parse_hex(&"ab".repeat(101))),
            rule::TOKEN_TOO_LONG
        );
        assert_eq!(rule_of(DeviceToken::parse("< >")), rule::TOKEN_EMPTY);
    }

    #[test]
    fn only_brackets_and_blanks_are_skipped() {
        assert_eq!(
            DeviceToken::parse("<00 11\t2 2>").unwrap().to_hex(),
            "001122"
        );
        for wrong in [
            "00-11",
            "0x0011",
            "00\n11",
            "00\u{a0}11",
            "(0011)",
            "00１1",
            "<omg>",
        ] {
            assert_eq!(
                rule_of(DeviceToken::parse(wrong)),
                rule::TOKEN_NOT_HEX,
                "{wrong}"
            );
        }
        assert_eq!(
            rule_of(DeviceToken::parse(
                "{length = 32, bytes = 0x0011 ... 2233 }"
            )),
            rule::TOKEN_ABBREVIATED
        );
    }

    #[test]
    fn half_a_byte_is_not_made_up() {
        let error = DeviceToken::parse_hex("abc").unwrap_err();
        assert_eq!(
            (error.rule(), error.got()),
            (rule::TOKEN_ODD_DIGITS, "3 digits")
        );
        assert_eq!(
            rule_of(DeviceToken::parse_hex(&"a".repeat(161))),
            rule::TOKEN_ODD_DIGITS
        );
    }

    #[test]
    fn order_is_that_of_the_bytes_and_not_of_the_length() {
        let low = DeviceToken::from_bytes(&[1, 2, 3]).unwrap();
        let high = DeviceToken::from_bytes(&[2]).unwrap();
        assert!(low < high);
        assert!(DeviceToken::from_bytes(&[1, 2]).unwrap() < low);
        assert_ne!(
            DeviceToken::from_bytes(&[1]).unwrap(),
            DeviceToken::from_bytes(&[1, 0]).unwrap()
        );
    }

    #[test]
    fn printing_does_not_reveal_a_token() {
        let token = DeviceToken::parse_hex(&"a1b2c3d4".repeat(8)).unwrap();
        assert_eq!(format!("{token:?}"), "DeviceToken(a1b2…, 32 bytes)");
        assert_eq!(token.to_string(), "a1b2…, 32 bytes");
        assert_eq!(
            format!("{:?}", DeviceToken::from_bytes(&[1, 2]).unwrap()),
            "DeviceToken(…, 2 bytes)"
        );
    }
}
