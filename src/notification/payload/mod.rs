//! Bytes turned into a [`Payload`], in one pass and without building a tree.
//!
//! Source: Apple, *Generating a remote notification* (a JSON object with `aps` and own keys beside
//! it; sizes count UTF-8 bytes), *Sending notification requests to APNs* (4096 bytes, 5120 for
//! VoIP). The syntax is that of RFC 8259.
//!
//! ```text
//!          bytes ── size, UTF-8, JSON, one object, depth ──> Payload    what APNs can take
//!   [scan]   └───── known keys and their values ───────────> Findings   what a device can use
//!   [purpose]       what the push type asks for ───────────────┘
//! ```
//!
//! The bytes are kept as they came: blanks, order and repetition of keys, forms of numbers,
//! escapes. Keys beside `aps` are the app's, and their values are not judged, but for those of
//! `mdm` and `fileprovider` pushes; what is read in different ways is remarked on (`own`).
//!
//! Limits: 5120 bytes here, which VoIP pushes and broadcasts may have, and that of the push type
//! where a notification is built; 127 levels of arrays and objects; 8 findings. Values that matter
//! to nobody are looked through in a loop, not by recursion. A number of a known key that is beyond
//! a double (`1e999`) and half a surrogate pair in its string are refused as no JSON, whatever the
//! caller says; which keys are known depends on the push type.

mod finding;
mod key;
mod keys;
mod own;
mod purpose;
mod scan;
mod seen;
mod value;

pub use finding::{Finding, Findings, Weight};

use self::scan::Scan;
use super::error::{InvalidNotification, rule};
use super::{PushType, Topic};
use crate::json;
use crate::limits::{
    BROADCAST_PAYLOAD_MAX_BYTES, PAYLOAD_MAX_BYTES, PAYLOAD_MAX_DEPTH, VOIP_PAYLOAD_MAX_BYTES,
};
use core::fmt;
use std::sync::Arc;

const FIELD: &str = "payload";

// What is read at all is bounded by the larger of these, which are the same.
const _: () = assert!(BROADCAST_PAYLOAD_MAX_BYTES == VOIP_PAYLOAD_MAX_BYTES);

/// A JSON object in UTF-8, at most 5120 bytes, exactly as the caller wrote it.
///
/// Cloning shares the bytes. `Debug` and `Display` show the length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    bytes: Arc<[u8]>,
    /// Whether `aps` wakes the app and has nothing to show.
    silent: bool,
}

/// A payload, and what there is to say about it for a push type.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The payload.
    pub payload: Payload,
    /// The push type that was named, or else the one inferred.
    pub push_type: PushType,
    /// What is unusual about the payload.
    pub findings: Findings,
    /// It is an alert without anything in it: `{}`, or an empty `aps`.
    pub is_empty_alert: bool,
}

impl Inspection {
    /// Adds what a topic makes of the payload: an alert with nothing in it updates a Wallet pass,
    /// and is nothing to an app.
    pub fn check_topic(&mut self, topic: &Topic) {
        if !topic.is_of_a_pass() {
            self.check_app();
        }
    }

    /// The same for apps alone.
    pub fn check_app(&mut self) {
        if self.is_empty_alert {
            self.findings.add(Weight::Violation, purpose::empty_alert());
        }
    }
}

impl Payload {
    /// From the bytes of a JSON object. What its keys hold is not judged; [`Self::inspect`] does
    /// that.
    ///
    /// # Errors
    /// [`rule::PAYLOAD_EMPTY`], [`rule::PAYLOAD_TOO_LARGE`] (above 5120 bytes),
    /// [`rule::PAYLOAD_NOT_JSON`], [`rule::PAYLOAD_NOT_OBJECT`] and [`rule::PAYLOAD_TOO_DEEP`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidNotification> {
        Self::read(bytes, None).map(|(payload, _)| payload)
    }

    /// From the bytes of a JSON object, together with all that is unusual about it for a push type.
    /// Without one it is inferred ([`Self::inferred_push_type`]).
    ///
    /// # Errors
    /// As [`Self::parse`], and [`rule::PAYLOAD_TOO_LARGE`] above the limit of the push type. APNs
    /// certainly refuses these. Everything else is a finding, and whether one of them is reason
    /// enough to send nothing is for the caller to say ([`Findings::violation`]).
    pub fn inspect(
        bytes: &[u8],
        push_type: Option<PushType>,
    ) -> Result<Inspection, InvalidNotification> {
        let (payload, mut scan) = Self::read(bytes, push_type)?;
        let push_type = push_type.unwrap_or_else(|| payload.inferred_push_type());
        payload.check_size(push_type)?;
        purpose::conclude(&mut scan, push_type);
        let is_empty = !scan.has(seen::CUSTOM | seen::IN_APS);
        Ok(Inspection {
            payload,
            push_type,
            is_empty_alert: is_empty && push_type == PushType::Alert,
            findings: scan.findings,
        })
    }

    /// As [`Self::inspect`], for a broadcast to a channel: a `liveactivity` push of up to 5120
    /// bytes that does not start anything.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn inspect_broadcast(bytes: &[u8]) -> Result<Inspection, InvalidNotification> {
        let push_type = PushType::LiveActivity;
        let (payload, mut scan) = Self::read(bytes, Some(push_type))?;
        purpose::conclude_broadcast(&mut scan);
        Ok(Inspection {
            payload,
            push_type,
            is_empty_alert: false,
            findings: scan.findings,
        })
    }

    fn read(
        bytes: &[u8],
        push_type: Option<PushType>,
    ) -> Result<(Self, Scan), InvalidNotification> {
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
            let expected = format!(
                "at most {PAYLOAD_MAX_BYTES} bytes ({VOIP_PAYLOAD_MAX_BYTES} for voip and \
                 broadcasts)"
            );
            return Err(too_large(expected, bytes.len()));
        }
        let text = core::str::from_utf8(bytes).map_err(|error| {
            let got = format!("no UTF-8 at byte {}", error.valid_up_to());
            InvalidNotification::new(FIELD, rule::PAYLOAD_NOT_JSON, "JSON in UTF-8", got)
        })?;
        check_first(text)?;
        // The visitors take a value of every type, so every error is one of syntax.
        let scan = Scan::of(text, push_type).map_err(|error| {
            let got = json::fault(text, &error);
            InvalidNotification::new(FIELD, rule::PAYLOAD_NOT_JSON, "valid JSON", got)
        })?;
        check_depth(bytes)?;
        let payload = Self {
            bytes: Arc::from(bytes),
            silent: scan.has(seen::WAKES) && !scan.has(seen::SHOWS),
        };
        Ok((payload, scan))
    }

    /// Why an alert with nothing in it is refused for a topic that is not a Wallet pass's.
    pub fn empty_alert() -> InvalidNotification {
        purpose::empty_alert()
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
        if self.silent {
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

/// Refuses what is no object by its first character, so that it can be named.
fn check_first(text: &str) -> Result<(), InvalidNotification> {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let (rule, got) = match text.trim_start_matches(blank).chars().next() {
        None | Some('{') => return Ok(()),
        Some('[') => (rule::PAYLOAD_NOT_OBJECT, "an array"),
        Some('"') => (rule::PAYLOAD_NOT_OBJECT, "a string"),
        Some('-' | '0'..='9') => (rule::PAYLOAD_NOT_OBJECT, "a number"),
        Some('t' | 'f') => (rule::PAYLOAD_NOT_OBJECT, "a boolean"),
        Some('n') => (rule::PAYLOAD_NOT_OBJECT, "null"),
        Some('\u{feff}') => (rule::PAYLOAD_NOT_JSON, "a byte order mark"),
        Some(_) => (rule::PAYLOAD_NOT_JSON, "something that is not JSON"),
    };
    Err(InvalidNotification::new(
        FIELD,
        rule,
        "one JSON object such as {\"aps\":{\"alert\":\"Hello\"}}",
        got,
    ))
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

#[cfg(test)]
mod tests;
