//! Bytes turned into a [`Payload`], in one pass and without building a tree.
//!
//! Source: Apple, *Generating a remote notification* (a JSON object with `aps` and own keys beside
//! it; sizes count UTF-8 bytes), *Sending notification requests to APNs* (4096 bytes, 5120 for
//! VoIP). The syntax is that of RFC 8259.
//!
//! The bytes are kept as they came, blanks and order of keys included. On the way through, the
//! parser notes which of four keys of `aps` are there, because the push type is inferred from them.
//! What the keys hold beyond that, and every other key, is between the caller and the app.
//!
//! Limits: 5120 bytes here, and that of the push type where a notification is built; 127 levels of
//! arrays and objects. The parser skips nested values in a loop, not by recursion.

use super::PushType;
use super::error::{InvalidNotification, rule};
use crate::limits::{PAYLOAD_MAX_BYTES, PAYLOAD_MAX_DEPTH, VOIP_PAYLOAD_MAX_BYTES};
use core::fmt;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::sync::Arc;

const FIELD: &str = "payload";

/// A JSON object in UTF-8, at most 5120 bytes, exactly as the caller wrote it.
///
/// Cloning shares the bytes. `Debug` and `Display` show the length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    bytes: Arc<[u8]>,
    aps: Aps,
}

/// Which keys of `aps` are there, and not `null`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Aps {
    /// `content-available`, neither 0 nor false.
    wakes: bool,
    /// One of `alert`, `badge` and `sound`.
    shows: bool,
}

impl Payload {
    /// From the bytes of a JSON object.
    ///
    /// # Errors
    /// [`rule::PAYLOAD_EMPTY`], [`rule::PAYLOAD_TOO_LARGE`] (above 5120 bytes),
    /// [`rule::PAYLOAD_NOT_JSON`], [`rule::PAYLOAD_NOT_OBJECT`], [`rule::PAYLOAD_TOO_DEEP`] and
    /// [`rule::APS_NOT_OBJECT`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidNotification> {
        if bytes.is_empty() {
            let expected = "a JSON object such as {\"aps\":{}}";
            return Err(InvalidNotification::new(
                FIELD,
                rule::PAYLOAD_EMPTY,
                expected,
                "0 bytes",
            ));
        }
        if bytes.len() > VOIP_PAYLOAD_MAX_BYTES {
            let expected =
                format!("at most {PAYLOAD_MAX_BYTES} bytes ({VOIP_PAYLOAD_MAX_BYTES} for voip)");
            return Err(too_large(expected, bytes.len()));
        }
        let text = core::str::from_utf8(bytes).map_err(|error| {
            let got = format!("no UTF-8 at byte {}", error.valid_up_to());
            InvalidNotification::new(FIELD, rule::PAYLOAD_NOT_JSON, "JSON in UTF-8", got)
        })?;
        let aps = scan(text)?;
        check_depth(bytes)?;
        Ok(Self {
            bytes: Arc::from(bytes),
            aps,
        })
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks the size against the limit of a push type, in bytes.
    ///
    /// # Errors
    /// [`rule::PAYLOAD_TOO_LARGE`].
    pub fn check_size(&self, push_type: PushType) -> Result<(), InvalidNotification> {
        let limit = push_type.payload_limit();
        if self.bytes.len() <= limit {
            return Ok(());
        }
        let expected = format!("at most {limit} bytes for push type {push_type}");
        Err(too_large(expected, self.bytes.len()))
    }

    /// What the payload is for, if the caller does not say: `background` where `aps` asks for
    /// `content-available` and has neither `alert` nor `badge` nor `sound`, otherwise `alert`.
    ///
    /// `content-available` counts unless it is 0, `false` or `null`; the other three unless `null`
    /// (a badge of 0 clears the badge, which shows).
    pub const fn inferred_push_type(&self) -> PushType {
        if self.aps.wakes && !self.aps.shows {
            PushType::Background
        } else {
            PushType::Alert
        }
    }
}

fn too_large(expected: String, got: usize) -> InvalidNotification {
    InvalidNotification::new(
        FIELD,
        rule::PAYLOAD_TOO_LARGE,
        expected,
        format!("{got} bytes"),
    )
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({self})")
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

/// Checks the syntax and notes the keys of `aps`.
fn scan(text: &str) -> Result<Aps, InvalidNotification> {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    if let Some(first) = text.trim_start_matches(blank).chars().next()
        && first != '{'
    {
        let (rule, got) = match first {
            '[' => (rule::PAYLOAD_NOT_OBJECT, "an array"),
            '"' => (rule::PAYLOAD_NOT_OBJECT, "a string"),
            '-' | '0'..='9' => (rule::PAYLOAD_NOT_OBJECT, "a number"),
            't' | 'f' | 'n' => (rule::PAYLOAD_NOT_OBJECT, "a literal"),
            '\u{feff}' => (rule::PAYLOAD_NOT_JSON, "a byte order mark"),
            _ => (rule::PAYLOAD_NOT_JSON, "something that is not JSON"),
        };
        return Err(InvalidNotification::new(
            FIELD,
            rule,
            "one JSON object",
            got,
        ));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let aps = json
        .deserialize_map(PayloadKeys)
        .and_then(|aps| json.end().map(|()| aps));
    aps.map_err(|error| {
        // The visitors below take a value of every type, but for that of aps. A fault of syntax is
        // described by the parser in fixed words and a place, never by quoting the input.
        if error.is_data() {
            let (expected, got) = ("an object", "another JSON value");
            return InvalidNotification::new("payload.aps", rule::APS_NOT_OBJECT, expected, got);
        }
        let got = format!("a fault: {error}");
        InvalidNotification::new(FIELD, rule::PAYLOAD_NOT_JSON, "valid JSON", got)
    })
}

/// Refuses what nests deeper than the limit; the text is known to be JSON.
fn check_depth(json: &[u8]) -> Result<(), InvalidNotification> {
    let opening = |byte: &&u8| matches!(byte, b'[' | b'{');
    if json.iter().filter(opening).count() <= PAYLOAD_MAX_DEPTH {
        return Ok(());
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest <= PAYLOAD_MAX_DEPTH {
        return Ok(());
    }
    let expected = format!("at most {PAYLOAD_MAX_DEPTH} nested arrays and objects");
    Err(InvalidNotification::new(
        FIELD,
        rule::PAYLOAD_TOO_DEEP,
        expected,
        deepest.to_string(),
    ))
}

/// Visits the object at the top; of two keys `aps` the last counts, as in most parsers.
struct PayloadKeys;

impl<'de> Visitor<'de> for PayloadKeys {
    type Value = Aps;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Aps, A::Error> {
        let mut aps = Aps::default();
        while let Some(key) = map.next_key::<Key>()? {
            if key == Key::Aps {
                aps = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(aps)
    }
}

/// The keys that matter, on either level.
#[derive(PartialEq)]
enum Key {
    Aps,
    ContentAvailable,
    Shown,
    Other,
}

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyName;
        impl Visitor<'_> for KeyName {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(match name {
                    "aps" => Key::Aps,
                    "content-available" => Key::ContentAvailable,
                    "alert" | "badge" | "sound" => Key::Shown,
                    _ => Key::Other,
                })
            }
        }
        deserializer.deserialize_str(KeyName)
    }
}

impl<'de> serde::Deserialize<'de> for Aps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ApsKeys)
    }
}

/// Visits the value of `aps`.
struct ApsKeys;

impl<'de> Visitor<'de> for ApsKeys {
    type Value = Aps;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Aps, A::Error> {
        let mut aps = Aps::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::ContentAvailable => aps.wakes = map.next_value::<Weight>()? == Weight::Full,
                Key::Shown => aps.shows |= map.next_value::<Weight>()? != Weight::Null,
                Key::Aps | Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(aps)
    }
}

/// How much a value says, whatever its type.
#[derive(PartialEq)]
enum Weight {
    /// `null`.
    Null,
    /// 0 or `false`.
    Zero,
    /// Everything else.
    Full,
}

impl Weight {
    fn of(full: bool) -> Self {
        if full { Self::Full } else { Self::Zero }
    }
}

impl<'de> serde::Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Weight;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Weight, E> {
        Ok(Weight::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Weight, E> {
        Ok(Weight::of(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Weight, E> {
        Ok(Weight::of(value != 0))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Weight, E> {
        Ok(Weight::of(value != 0))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Weight, E> {
        Ok(Weight::of(value != 0.0))
    }

    fn visit_str<E>(self, _: &str) -> Result<Weight, E> {
        Ok(Weight::Full)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Weight, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Weight::Full)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Weight, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Weight::Full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of(json: &str) -> &'static str {
        Payload::parse(json.as_bytes()).unwrap_err().rule()
    }

    /// An object of exactly this many bytes.
    fn of_size(bytes: usize) -> Vec<u8> {
        format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8)).into_bytes()
    }

    #[test]
    fn the_bytes_are_kept() {
        let json = " { \"aps\" : { \"badge\":1 },\"b\":1.50,\"a\":\"\\u00e9\" }\n".as_bytes();
        assert_eq!(Payload::parse(json).unwrap().as_bytes(), json);
        assert!(
            Payload::parse(b"{}").is_ok(),
            "a Wallet update is an empty object"
        );
        assert!(Payload::parse(br#"{"mdm":"magic"}"#).is_ok());
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        assert_eq!(rule_of(""), rule::PAYLOAD_EMPTY);
        for json in ["[]", "\"a\"", "1", "-1", "true", "null", " [1]"] {
            assert_eq!(rule_of(json), rule::PAYLOAD_NOT_OBJECT, "{json}");
        }
        for json in [
            " ",
            "{",
            "{}}",
            "{} {}",
            "{\"a\"}",
            "{\"a\":01}",
            "{'a':1}",
            "{a:1}",
            "{\"a\":1,}",
            "x",
            "\u{feff}{}",
            "{\"a\":\"\n\"}",
            "{\"aps\":",
            "{\"aps\":{\"alert\":}}",
        ] {
            assert_eq!(rule_of(json), rule::PAYLOAD_NOT_JSON, "{json}");
        }
        assert_eq!(
            Payload::parse(b"{\"a\":\"\xff\"}").unwrap_err().got(),
            "no UTF-8 at byte 6"
        );
    }

    #[test]
    fn aps_is_an_object() {
        for json in [
            r#"{"aps":"value"}"#,
            r#"{"aps":[]}"#,
            r#"{"aps":null}"#,
            r#"{"aps":1}"#,
        ] {
            let error = Payload::parse(json.as_bytes()).unwrap_err();
            assert_eq!(
                (error.rule(), error.field()),
                (rule::APS_NOT_OBJECT, "payload.aps"),
                "{json}"
            );
        }
        assert_eq!(rule_of(r#"{"aps":{"alert":1,}}"#), rule::PAYLOAD_NOT_JSON);
    }

    #[test]
    fn sizes_count_bytes() {
        let alert = Payload::parse(&of_size(4_096)).unwrap();
        assert!(alert.check_size(PushType::Alert).is_ok());
        let larger = Payload::parse(&of_size(4_097)).unwrap();
        let error = larger.check_size(PushType::Alert).unwrap_err();
        assert_eq!(
            error.to_string(),
            "payload: expected at most 4096 bytes for push type alert, got 4097 bytes (payload-too-large)"
        );
        assert!(larger.check_size(PushType::Voip).is_ok());
        assert!(Payload::parse(&of_size(5_120)).is_ok());
        assert_eq!(
            Payload::parse(&of_size(5_121)).unwrap_err().rule(),
            rule::PAYLOAD_TOO_LARGE
        );
        let euros = format!("{{\"a\":\"{}\"}}", "€".repeat(1_363));
        assert_eq!((euros.chars().count(), euros.len()), (1_371, 4_097));
        assert!(
            Payload::parse(euros.as_bytes())
                .unwrap()
                .check_size(PushType::Alert)
                .is_err()
        );
    }

    #[test]
    fn nesting_is_bounded_at_what_a_tree_parser_takes() {
        let nested =
            |arrays: usize| format!("{{\"a\":{}{}}}", "[".repeat(arrays), "]".repeat(arrays));
        let deepest = nested(PAYLOAD_MAX_DEPTH - 1);
        assert!(Payload::parse(deepest.as_bytes()).is_ok());
        assert!(serde_json::from_str::<serde_json::Value>(&deepest).is_ok());
        assert_eq!(rule_of(&nested(PAYLOAD_MAX_DEPTH)), rule::PAYLOAD_TOO_DEEP);
        assert!(serde_json::from_str::<serde_json::Value>(&nested(PAYLOAD_MAX_DEPTH)).is_err());
        assert_eq!(rule_of(&nested(2_500)), rule::PAYLOAD_TOO_DEEP);
        assert_eq!(rule_of(&"{\"a\":".repeat(900)), rule::PAYLOAD_NOT_JSON);
    }

    #[test]
    fn brackets_in_strings_and_many_flat_arrays_are_not_depth() {
        let flat = format!(
            "{{\"a\":[{}[]],\"b\":\"\\\"{}\"}}",
            "[],".repeat(300),
            "[{".repeat(300)
        );
        assert!(Payload::parse(flat.as_bytes()).is_ok());
    }

    #[test]
    fn background_is_inferred_from_aps_alone() {
        let inferred = |json: &str| {
            Payload::parse(json.as_bytes())
                .unwrap()
                .inferred_push_type()
        };
        for json in [
            r#"{"aps":{"content-available":1}}"#,
            r#"{"aps":{"content-available":true,"alert":null},"alert":"mine"}"#,
            r#"{"aps":{"content-available":"1","mutable-content":1}}"#,
            r#"{"aps":{"alert":"x"},"aps":{"content\u002davailable":1}}"#,
            r#"{"aps":{"content-available":[0,{}]}}"#,
        ] {
            assert_eq!(inferred(json), PushType::Background, "{json}");
        }
        for json in [
            "{}",
            r#"{"aps":{}}"#,
            r#"{"content-available":1}"#,
            r#"{"aps":{"content-available":0}}"#,
            r#"{"aps":{"content-available":0.0}}"#,
            r#"{"aps":{"content-available":false}}"#,
            r#"{"aps":{"content-available":1,"badge":0}}"#,
            r#"{"aps":{"sound":"a","content-available":1}}"#,
            r#"{"aps":{"content-available":1,"alert":{"title":"a"}}}"#,
            r#"{"aps":{"nested":{"content-available":1}}}"#,
        ] {
            assert_eq!(inferred(json), PushType::Alert, "{json}");
        }
    }

    #[test]
    fn printing_does_not_reveal_a_payload() {
        let payload = Payload::parse(br#"{"aps":{"alert":"secret"}}"#).unwrap();
        assert_eq!(format!("{payload:?}"), "Payload(26 bytes)");
        assert_eq!(payload.to_string(), "26 bytes");
        for json in [
            r#"{"aps":{"alert":"secret"}"#,
            r#"{"aps":"secret"}"#,
            r#""secret""#,
            "secret",
        ] {
            let error = Payload::parse(json.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
    }
}
