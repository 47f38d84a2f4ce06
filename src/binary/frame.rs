//! A [`Notification`] turned into one message to the gateway.
//!
//! Source: Apple, *Binary Provider API*, "The Binary Interface and Notification Format"; an earlier
//! edition for commands 0 and 1. The layouts are drawn in the [module](super).
//!
//! What the protocol has no field for is not sent: topic and push type (the certificate decides),
//! collapse identifier and `apns-id`; in commands 0 and 1 the priority, where APNs assumes 10; in
//! command 0 identifier and expiration. A priority that would be wrong is refused, not changed.
//!
//! Limits, all checked before the first byte is written: payload 2048 bytes, or 256 in commands 0
//! and 1; token 100 bytes, where HTTP/2 takes longer ones.

use super::Identifier;
use super::limits::{
    LEGACY_EXPIRY_UNSET, LEGACY_PAYLOAD_MAX_BYTES, PAYLOAD_MAX_BYTES, TOKEN_MAX_BYTES,
};
use crate::notification::{Notification, Priority, PushType};
use core::fmt;

/// How a message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// 0: token and payload. An error closes the connection without a word.
    Simple,
    /// 1: identifier and expiry as well.
    Enhanced,
    /// 2: items, and a priority among them.
    Items,
}

/// What one gateway takes: a command, and the largest payload in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    command: Command,
    payload_max: usize,
}

impl Dialect {
    /// Apple's last: command 2 and 2048 bytes.
    pub const ITEMS: Self = Self::new(Command::Items);

    /// A command with the limit that Apple printed for it: 2048 bytes for command 2, 256 for the
    /// others.
    pub const fn new(command: Command) -> Self {
        let payload_max = match command {
            Command::Items => PAYLOAD_MAX_BYTES,
            Command::Simple | Command::Enhanced => LEGACY_PAYLOAD_MAX_BYTES,
        };
        Self {
            command,
            payload_max,
        }
    }

    /// 2048 bytes in any command, for a gateway that takes them.
    #[must_use]
    pub const fn with_large_payloads(mut self) -> Self {
        self.payload_max = PAYLOAD_MAX_BYTES;
        self
    }

    /// How a message begins.
    pub const fn command(self) -> Command {
        self.command
    }

    /// Whether its messages carry an identifier, so that the gateway can say what it refused.
    pub const fn has_identifiers(self) -> bool {
        !matches!(self.command, Command::Simple)
    }

    /// Largest payload, in bytes.
    pub const fn payload_max(self) -> usize {
        self.payload_max
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self::ITEMS
    }
}

/// One message about to be written.
#[derive(Clone, Copy, Debug)]
#[must_use = "a frame does nothing until it is encoded"]
pub struct Frame<'a> {
    notification: &'a Notification,
    identifier: Option<Identifier>,
    priority: bool,
}

impl<'a> Frame<'a> {
    /// Everything the notification says, without an identifier.
    pub const fn new(notification: &'a Notification) -> Self {
        Self {
            notification,
            identifier: None,
            priority: true,
        }
    }

    /// Gives it the identifier that an error response will repeat.
    pub const fn identifier(mut self, identifier: Identifier) -> Self {
        self.identifier = Some(identifier);
        self
    }

    /// Leaves the priority out, which means 10.
    pub const fn without_priority(mut self) -> Self {
        self.priority = false;
        self
    }

    /// Whether [`Self::encode`] would write it.
    ///
    /// # Errors
    /// [`Unsendable`], when the dialect cannot say what the notification asks for.
    pub fn check(self, dialect: Dialect) -> Result<(), Unsendable> {
        self.checked(dialect).map(|_| ())
    }

    /// Appends the message to `out`; on an error nothing is appended.
    ///
    /// # Errors
    /// As of [`Self::check`].
    pub fn encode(self, dialect: Dialect, out: &mut Vec<u8>) -> Result<(), Unsendable> {
        let priority = self.checked(dialect)?;
        let payload = self.notification.payload().as_bytes();
        let expires = self.notification.expiration().header_secs();
        let identifier = self.identifier.map(Identifier::get);
        let token = self.notification.token().as_bytes();
        match dialect.command {
            Command::Items => write_items(token, payload, identifier, expires, priority, out),
            Command::Enhanced => {
                let expires = expires.unwrap_or(LEGACY_EXPIRY_UNSET);
                write_enhanced(token, payload, identifier.unwrap_or_default(), expires, out);
            }
            Command::Simple => {
                out.push(0);
                write_sized(token, out);
                write_sized(payload, out);
            }
        }
        Ok(())
    }

    /// The priority to write, if any, once everything has been checked.
    fn checked(self, dialect: Dialect) -> Result<Option<u8>, Unsendable> {
        let (got, limit) = (
            self.notification.payload().as_bytes().len(),
            dialect.payload_max,
        );
        if got > limit {
            return Err(Unsendable::PayloadTooLarge { limit, got });
        }
        let (got, limit) = (self.notification.token().as_bytes().len(), TOKEN_MAX_BYTES);
        if got > limit {
            return Err(Unsendable::TokenTooLong { limit, got });
        }
        self.checked_priority(dialect)
    }

    /// The priority to write, if any, after the rule that a push with nothing to show never has 10.
    fn checked_priority(self, dialect: Dialect) -> Result<Option<u8>, Unsendable> {
        let silent = self.notification.payload().inferred_push_type() == PushType::Background;
        if dialect.command != Command::Items || !self.priority {
            return if silent {
                Err(Unsendable::SilentAtOnce)
            } else {
                Ok(None)
            };
        }
        match self.notification.priority() {
            Priority::Immediate if silent => Err(Unsendable::SilentAtOnce),
            priority @ (Priority::Immediate | Priority::PowerSaving) => {
                Ok(Some(priority.as_number()))
            }
            priority @ Priority::NeverWake => Err(Unsendable::PriorityUnknown(priority)),
        }
    }
}

/// Appends a flush probe: a message that no gateway accepts, so that its error response proves
/// everything before it accepted. In command 0, which no error response answers, nothing is
/// appended.
///
/// Its token is one zero byte, which is refused for its size (5) or as unknown (8). An empty token
/// would not do: APNs was seen to answer that with identifier 0.
pub fn encode_probe(dialect: Dialect, identifier: Identifier, out: &mut Vec<u8>) {
    let (token, payload, identifier) = (&[0], br#"{"aps":{}}"#, identifier.get());
    let (expires, priority) = (0, Priority::Immediate.as_number());
    match dialect.command {
        Command::Items => {
            let (identifier, expires) = (Some(identifier), Some(expires));
            write_items(token, payload, identifier, expires, Some(priority), out);
        }
        Command::Enhanced => write_enhanced(token, payload, identifier, expires, out),
        Command::Simple => {}
    }
}

/// Writes command 1.
fn write_enhanced(token: &[u8], payload: &[u8], identifier: u32, expires: u32, out: &mut Vec<u8>) {
    out.push(1);
    out.extend_from_slice(&identifier.to_be_bytes());
    out.extend_from_slice(&expires.to_be_bytes());
    write_sized(token, out);
    write_sized(payload, out);
}

/// Writes command 2, items in the order of their numbers.
fn write_items(
    token: &[u8],
    payload: &[u8],
    identifier: Option<u32>,
    expires: Option<u32>,
    priority: Option<u8>,
    out: &mut Vec<u8>,
) {
    out.push(2);
    let number = |item: Option<u32>| item.map_or(0, |_| 7);
    let length = 6 + token.len() + payload.len() + number(identifier) + number(expires);
    let length = length + priority.map_or(0, |_| 4);
    // Token and payload are within their limits, far below 2^32.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    for (item, data) in [(1, token), (2, payload)] {
        out.push(item);
        write_sized(data, out);
    }
    for (item, number) in [(3, identifier), (4, expires)] {
        if let Some(number) = number {
            out.push(item);
            write_sized(&number.to_be_bytes(), out);
        }
    }
    if let Some(priority) = priority {
        out.push(5);
        write_sized(&[priority], out);
    }
}

/// Writes data of at most 2048 bytes after its length.
fn write_sized(data: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(data);
}

/// Why a notification cannot be sent through this gateway. Always the caller's matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsendable {
    /// The payload is over the limit of the dialect.
    PayloadTooLarge {
        /// In bytes.
        limit: usize,
        /// In bytes.
        got: usize,
    },
    /// The token is longer than any of the binary protocol.
    TokenTooLong {
        /// In bytes.
        limit: usize,
        /// In bytes.
        got: usize,
    },
    /// `aps` asks for `content-available` and shows nothing, and the priority would be 10.
    SilentAtOnce,
    /// The priority is neither 10 nor 5.
    PriorityUnknown(Priority),
}

impl Unsendable {
    /// The field at fault.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::PayloadTooLarge { .. } => "payload",
            Self::TokenTooLong { .. } => "token",
            Self::SilentAtOnce | Self::PriorityUnknown(_) => "priority",
        }
    }

    /// What would have been right, to follow the word "expected".
    pub fn expected(&self) -> String {
        match self {
            Self::PayloadTooLarge { limit, .. } => format!("at most {limit} bytes"),
            Self::TokenTooLong { limit, .. } => {
                format!("at most {limit} bytes by the binary gateway")
            }
            Self::SilentAtOnce => "5 for content-available alone".to_owned(),
            Self::PriorityUnknown(_) => "10 or 5".to_owned(),
        }
    }

    /// What came instead, to follow the word "got".
    pub fn got(&self) -> String {
        match self {
            Self::PayloadTooLarge { got, .. } | Self::TokenTooLong { got, .. } => got.to_string(),
            Self::SilentAtOnce => "10".to_owned(),
            Self::PriorityUnknown(got) => got.to_string(),
        }
    }
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (field, expected, got) = (self.field(), self.expected(), self.got());
        write!(f, "{field}: expected {expected}, got {got}")
    }
}

impl core::error::Error for Unsendable {}

#[cfg(test)]
mod tests {
    use super::super::simulation::{notification, read_message};
    use super::*;
    use crate::notification::{DeviceToken, Draft, Expiration, Payload, Topic};

    fn of_size(bytes: usize) -> Notification {
        let json = format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
        notification(&[7; 32], json.as_bytes())
    }

    #[test]
    fn limits_are_met_before_a_byte_is_written() {
        let small = Dialect::new(Command::Enhanced);
        for (dialect, limit) in [
            (Dialect::ITEMS, 2_048),
            (small, 256),
            (Dialect::new(Command::Simple), 256),
            (small.with_large_payloads(), 2_048),
        ] {
            let mut out = vec![0xee];
            let got = Frame::new(&of_size(limit + 1)).encode(dialect, &mut out);
            let got_bytes = limit + 1;
            assert_eq!(
                got,
                Err(Unsendable::PayloadTooLarge {
                    limit,
                    got: got_bytes
                })
            );
            assert_eq!(out, [0xee]);
            assert_eq!(Frame::new(&of_size(limit)).check(dialect), Ok(()));
            assert_eq!(Frame::new(&of_size(limit + 1)).check(dialect), got);
            Frame::new(&of_size(limit))
                .encode(dialect, &mut out)
                .unwrap();
            assert!(out.len() > limit && out[0] == 0xee);
        }
    }

    #[test]
    fn a_token_that_only_http2_takes_is_refused_before_a_byte_is_written() {
        let of_length = |length| notification(&vec![7; length], b"{}");
        for command in [Command::Simple, Command::Enhanced, Command::Items] {
            let dialect = Dialect::new(command);
            let mut out = Vec::new();
            for length in [101, 512] {
                let error = Frame::new(&of_length(length)).encode(dialect, &mut out);
                let (limit, got) = (100, length);
                assert_eq!(error, Err(Unsendable::TokenTooLong { limit, got }));
                assert!(out.is_empty());
                let expected = "token: expected at most 100 bytes by the binary gateway, got ";
                assert_eq!(
                    error.unwrap_err().to_string(),
                    format!("{expected}{length}")
                );
            }
            assert_eq!(
                Frame::new(&of_length(100)).encode(dialect, &mut out),
                Ok(())
            );
        }
    }

    #[test]
    fn a_silent_push_never_goes_out_at_priority_10() {
        let silent = |priority| {
            Draft::new(
                DeviceToken::from_bytes(&[1]).unwrap(),
                Topic::parse("a.b").unwrap(),
                Payload::parse(br#"{"aps":{"content-available":1}}"#).unwrap(),
            )
            .push_type(PushType::Alert)
            .priority(priority)
            .build()
            .unwrap()
        };
        let (now, later) = (silent(Priority::Immediate), silent(Priority::PowerSaving));
        let mut out = Vec::new();
        let wrong = Err(Unsendable::SilentAtOnce);
        assert_eq!(Frame::new(&now).encode(Dialect::ITEMS, &mut out), wrong);
        let bare = Frame::new(&later).without_priority();
        assert_eq!(bare.encode(Dialect::ITEMS, &mut out), wrong);
        for command in [Command::Simple, Command::Enhanced] {
            let dialect = Dialect::new(command);
            assert_eq!(Frame::new(&later).encode(dialect, &mut out), wrong);
        }
        assert!(out.is_empty());
        assert_eq!(Frame::new(&later).encode(Dialect::ITEMS, &mut out), Ok(()));
        out.clear();
        let never = silent(Priority::NeverWake);
        let got = Frame::new(&never).encode(Dialect::ITEMS, &mut out);
        assert_eq!(got, Err(Unsendable::PriorityUnknown(Priority::NeverWake)));
        assert!(out.is_empty());
    }

    #[test]
    fn absent_once_and_a_time_differ() {
        for (expiration, in_items, in_enhanced) in [
            (Expiration::StoragePolicy, None, LEGACY_EXPIRY_UNSET),
            (Expiration::Once, Some(0), 0),
            (
                Expiration::from_unix_secs(0xfedc_ba98).unwrap(),
                Some(0xfedc_ba98),
                0xfedc_ba98,
            ),
        ] {
            let notification = Draft::new(
                DeviceToken::from_bytes(&[1]).unwrap(),
                Topic::parse("a.b").unwrap(),
                Payload::parse(br#"{"aps":{"alert":"x"}}"#).unwrap(),
            )
            .expiration(expiration)
            .build()
            .unwrap();
            let mut out = Vec::new();
            Frame::new(&notification)
                .encode(Dialect::ITEMS, &mut out)
                .unwrap();
            assert_eq!(read_message(&out).unwrap().0.expires, in_items);
            out.clear();
            let enhanced = Dialect::new(Command::Enhanced);
            Frame::new(&notification)
                .encode(enhanced, &mut out)
                .unwrap();
            assert_eq!(out[5..9], in_enhanced.to_be_bytes());
        }
    }

    #[test]
    fn no_prefix_of_a_message_reads_as_one() {
        for length in [1, 32, 100] {
            let notification = notification(&vec![9; length], br#"{"aps":{"alert":"x"}}"#);
            for command in [Command::Simple, Command::Enhanced, Command::Items] {
                let mut out = Vec::new();
                let frame = Frame::new(&notification).identifier(Identifier::FIRST);
                frame.encode(Dialect::new(command), &mut out).unwrap();
                for end in 0..out.len() {
                    assert_eq!(read_message(&out[..end]), None);
                }
                let (message, used) = read_message(&out).unwrap();
                assert_eq!((message.token.len(), used), (length, out.len()));
                assert_eq!(message.payload, notification.payload().as_bytes());
            }
        }
    }

    #[test]
    fn a_probe_is_a_whole_message_with_a_token_no_device_has() {
        for command in [Command::Items, Command::Enhanced] {
            let mut out = Vec::new();
            encode_probe(Dialect::new(command), Identifier::FIRST, &mut out);
            let (probe, used) = read_message(&out).unwrap();
            assert_eq!((probe.token.as_slice(), used), ([0].as_slice(), out.len()));
            assert_eq!(probe.identifier, Some(1));
            assert_eq!(out[0] == 2, command == Command::Items);
        }
        let mut out = Vec::new();
        encode_probe(Dialect::new(Command::Simple), Identifier::FIRST, &mut out);
        assert!(out.is_empty(), "no answer would come");
    }
}
