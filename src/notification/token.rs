//! Hexadecimal text or bytes turned into a [`DeviceToken`].
//!
//! Source: Apple, *Sending notification requests to APNs* ("Don't make assumptions about device
//! token size"). Two ways to read text:
//!
//! - [`DeviceToken::parse_hex`] is strict, for a path of a URL: hexadecimal digits only.
//! - [`DeviceToken::parse`] is for what apps post. Existing iOS code sends the old description of
//!   `NSData`, `<740f4707 61bb78ad>`: angle brackets and blanks are dropped, wherever they stand.
//!   Nothing else is: dropping every character that is not a digit, as some libraries do, turns a
//!   wrong string into a wrong token.
//!
//! Both take either case and write lower case. Limits: 1 to 512 bytes. A token in base64, of
//! another push service, or what else is often sent in its place, is refused by name.

mod foreign;

use super::digits;
use super::error::{InvalidNotification, character_at, rule};
use crate::limits::DEVICE_TOKEN_MAX_BYTES;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use std::sync::Arc;

const FIELD: &str = "token";
const HEX_MAX: usize = 2 * DEVICE_TOKEN_MAX_BYTES;
/// How iOS 13 and later begin the description of data, most of which they then leave out.
const IOS_13_DESCRIPTION: &str = "{length";
/// How Swift ends its description of data, all of which it leaves out.
const SWIFT_DESCRIPTION: &str = " bytes";

/// Longest token that is kept inline, in bytes. Every one that has been seen is shorter.
const INLINE_MAX: usize = 100;

/// The address of one app on one device: 1 to 512 opaque bytes.
///
/// Copying one of up to 100 bytes allocates nothing; longer ones share their bytes. Ordered and
/// hashed by its bytes. `Debug` and `Display` show the first two bytes and the length only.
#[derive(Clone)]
pub struct DeviceToken(Bytes);

#[derive(Clone)]
enum Bytes {
    Inline { length: u8, bytes: [u8; INLINE_MAX] },
    Shared(Arc<[u8]>),
}

impl DeviceToken {
    /// From the bytes of the token, as iOS hands them to the app.
    ///
    /// # Errors
    /// [`rule::TOKEN_EMPTY`] and [`rule::TOKEN_TOO_LONG`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidNotification> {
        if bytes.is_empty() {
            return Err(empty());
        }
        if bytes.len() > DEVICE_TOKEN_MAX_BYTES {
            return Err(too_long(format!("{} bytes", bytes.len())));
        }
        let mut inline = [0; INLINE_MAX];
        match (inline.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(bytes);
                Ok(Self(Bytes::Inline {
                    length,
                    bytes: inline,
                }))
            }
            _ => Ok(Self(Bytes::Shared(Arc::from(bytes)))),
        }
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
    /// since version 13, and for Swift's, which leave most of the token out.
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        let length = text.strip_suffix(SWIFT_DESCRIPTION);
        let is_length = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if text.starts_with(IOS_13_DESCRIPTION) || length.is_some_and(is_length) {
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
        match Self::read_plain(text.as_bytes()) {
            Some(token) => Ok(token),
            None => Self::read_slowly(text, skip),
        }
    }

    /// As nearly all are written: pairs of digits, and not too many to be kept inline.
    fn read_plain(text: &[u8]) -> Option<Self> {
        let (pairs, []) = text.as_chunks::<2>() else {
            return None;
        };
        let mut bytes = [0; INLINE_MAX];
        let is_valid = digits::read(pairs, bytes.get_mut(..pairs.len())?);
        let length = u8::try_from(pairs.len()).ok()?;
        (is_valid && length > 0).then_some(Self(Bytes::Inline { length, bytes }))
    }

    /// Whatever it is, or what is wrong with it.
    fn read_slowly(text: &str, skip: impl Fn(char) -> bool) -> Result<Self, InvalidNotification> {
        let mut bytes = [0; DEVICE_TOKEN_MAX_BYTES];
        let mut places = bytes.iter_mut();
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
                }
                (None, pending) if skip(character) => high = pending,
                (None, _) => return Err(not_hex(text, character, offset)),
            }
        }
        let length = DEVICE_TOKEN_MAX_BYTES - places.len();
        match high {
            Some(_) => Err(odd(length)),
            None => Self::from_bytes(bytes.get(..length).unwrap_or_default()),
        }
    }

    /// The token's bytes, 1 to 512 of them.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Inline { length, bytes } => {
                bytes.get(..usize::from(*length)).unwrap_or_default()
            }
            Bytes::Shared(bytes) => bytes,
        }
    }

    /// The token in lower-case hexadecimal digits.
    ///
    /// This is the private value itself, for a path, a header or a key of a store; not for a log.
    pub fn to_hex(&self) -> String {
        let mut digits = Vec::new();
        self.append_hex(&mut digits);
        // Hexadecimal digits are ASCII, so this never takes the default.
        String::from_utf8(digits).unwrap_or_default()
    }

    /// Appends the token in lower-case hexadecimal digits, as ASCII.
    pub fn append_hex(&self, out: &mut Vec<u8>) {
        let bytes = self.as_bytes();
        out.reserve(2 * bytes.len());
        // As long as almost every token is.
        for chunk in bytes.chunks(32) {
            let mut digits = [[0; 2]; 32];
            for (pair, byte) in digits.iter_mut().zip(chunk) {
                *pair = digits::of_byte(*byte);
            }
            let written = digits.as_flattened().get(..2 * chunk.len());
            out.extend_from_slice(written.unwrap_or_default());
        }
    }

    /// Appends the token in lower-case hexadecimal digits.
    pub fn write_hex(&self, out: &mut String) {
        let mut digits = Vec::new();
        self.append_hex(&mut digits);
        // Hexadecimal digits are ASCII, so this never takes the default.
        out.push_str(core::str::from_utf8(&digits).unwrap_or_default());
    }
}

fn empty() -> InvalidNotification {
    let expected = format!("1 to {DEVICE_TOKEN_MAX_BYTES} bytes in hexadecimal digits");
    InvalidNotification::new(FIELD, rule::TOKEN_EMPTY, expected, "none")
}

fn too_long(got: String) -> InvalidNotification {
    let expected = format!("at most {DEVICE_TOKEN_MAX_BYTES} bytes ({HEX_MAX} hexadecimal digits)");
    InvalidNotification::new(FIELD, rule::TOKEN_TOO_LONG, expected, got)
}

fn odd(whole_bytes: usize) -> InvalidNotification {
    let got = format!("{} digits", 2 * whole_bytes + 1);
    InvalidNotification::new(
        FIELD,
        rule::TOKEN_ODD_DIGITS,
        "two hexadecimal digits a byte",
        got,
    )
}

fn not_hex(text: &str, character: char, offset: usize) -> InvalidNotification {
    match foreign::recognise(text) {
        Some((expected, got)) => {
            InvalidNotification::new(FIELD, rule::TOKEN_NOT_HEX, expected, got)
        }
        None => {
            let (expected, got) = ("hexadecimal digits", character_at(character, offset));
            InvalidNotification::new(FIELD, rule::TOKEN_NOT_HEX, expected, got)
        }
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceToken({self})")
    }
}

impl fmt::Display for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.as_bytes();
        // A token of one or two bytes would be shown whole; nothing of those is.
        if bytes.len() > 2 {
            for byte in bytes.iter().take(2) {
                write!(f, "{byte:02x}")?;
            }
        }
        write!(f, "…, {} bytes", bytes.len())
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
    fn one_to_512_bytes() {
        assert_eq!(rule_of(DeviceToken::from_bytes(&[])), rule::TOKEN_EMPTY);
        for length in [1, 99, 100, 101, 255, 256, 512] {
            let token = DeviceToken::from_bytes(&vec![7; length]).unwrap();
            assert_eq!(token.as_bytes(), vec![7; length]);
            assert_eq!(token.to_hex(), "07".repeat(length));
            assert_eq!(DeviceToken::parse_hex(&token.to_hex()), Ok(token.clone()));
            assert!(token.to_string().ends_with(&format!("…, {length} bytes")));
        }
        for length in [513, 65_536] {
            let bytes = DeviceToken::from_bytes(&vec![7; length]);
            assert_eq!(rule_of(bytes), rule::TOKEN_TOO_LONG);
            let text = DeviceToken::parse_hex(&"ab".repeat(length));
            assert_eq!(rule_of(text), rule::TOKEN_TOO_LONG);
        }
        assert_eq!(rule_of(DeviceToken::parse("< >")), rule::TOKEN_EMPTY);
    }

    /// A short one of the old kind is what nearly every device has; it is to stay cheap to copy.
    #[test]
    fn a_token_takes_little_room() {
        assert!(size_of::<DeviceToken>() <= 112);
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
        assert_eq!(
            rule_of(DeviceToken::parse("32 bytes")),
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
