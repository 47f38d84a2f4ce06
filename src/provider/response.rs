//! The headers and the body of a response turned into an [`Outcome`].
//!
//! Source: Apple, *Handling notification responses from APNs*: `:status`, `apns-id`,
//! `apns-unique-id`; a body only if refused, JSON with `reason` and, for 410, `timestamp` in
//! milliseconds. `retry-after` and `date`: see `retry_after.rs`.
//!
//! Lenient, because what APNs sends changes without notice: a reason that is not known, a body that
//! is no JSON, a 410 without body or timestamp are all outcomes. A success is a success whatever
//! its body. Only a response without a usable status is none.
//!
//! The answer to a request about channels is the exception: it was asked for, so a success that
//! lacks it is not one that can be reported ([`Why::Unreadable`]).
//!
//! Limits: 2048 bytes of a body that refuses, 1 MiB of one that was asked for; the rest is dropped,
//! and the reason then [`Reason::NotJson`]. 64 bytes of `apns-unique-id`, a longer one is left out.
//! A success allocates only for that header, or for its answer.

use super::channel::{Unreadable, Wanted};
use super::message::Message;
use super::outcome::{Outcome, Why};
use super::reason::{Reason, parse_body};
use super::retry_after::{self, RetryAfter};
use crate::limits::{RESPONSE_BODY_MAX_BYTES, UNIQUE_ID_MAX_BYTES};
use crate::notification::{ApnsId, ChannelId};
use crate::time::UnixTime;
use core::fmt;
use serde_json::Value;

const GONE: u16 = 410;

/// Timestamps of 2001 to 2286, if they are seconds.
const TEN_DIGITS: core::ops::RangeInclusive<u64> = 1_000_000_000..=9_999_999_999;

/// Up to 2^53 every whole number is a float.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Takes a response in as it arrives: [`Self::header`] for each header, [`Self::body`] for each
/// piece of the body, then [`Self::finish`].
#[derive(Clone, Default)]
pub struct ResponseReader {
    status: Option<u16>,
    apns_id: Option<ApnsId>,
    unique_id: Option<Box<str>>,
    retry_after: Option<RetryAfter>,
    /// The server's clock.
    date: Option<UnixTime>,
    channel: Option<ChannelId>,
    wanted: Wanted,
    body: Vec<u8>,
}

impl ResponseReader {
    /// One that has read nothing, of the answer to a notification.
    pub const fn new() -> Self {
        Self {
            status: None,
            apns_id: None,
            unique_id: None,
            retry_after: None,
            date: None,
            channel: None,
            wanted: Wanted::Nothing,
            body: Vec::new(),
        }
    }

    /// One for the answer to this message.
    pub fn to(message: &Message) -> Self {
        Self {
            wanted: message.wanted(),
            ..Self::new()
        }
    }

    /// Takes the status as a number, from who has it as one.
    pub const fn status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// Takes a header, `:status` included; the name in lower case, as HTTP/2 has it. Of a header
    /// that comes twice, as `:status` does after an interim response, the last counts. Headers of
    /// no meaning here are passed over.
    pub fn header(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b":status" => self.status = status(value),
            b"apns-id" | b"apns-request-id" => self.apns_id = ApnsId::read(value),
            b"apns-unique-id" => self.unique_id = unique_id(value),
            b"retry-after" => self.retry_after = RetryAfter::read(value),
            b"date" => self.date = retry_after::date(value),
            b"apns-channel-id" if self.wanted == Wanted::NewChannel => {
                self.channel = ChannelId::read(value);
            }
            _ => {}
        }
    }

    /// Takes a piece of the body. Of a success only what was asked for is kept, and 2048 bytes of
    /// anything else.
    pub fn body(&mut self, piece: &[u8]) {
        let limit = match self.accepted() {
            true => self.wanted.body_max(),
            false => RESPONSE_BODY_MAX_BYTES,
        };
        let room = limit.saturating_sub(self.body.len());
        self.body
            .extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    /// The outcome, once the stream has ended.
    pub fn finish(self) -> Outcome {
        let Some(status) = self.status.filter(|status| *status >= 200) else {
            return Outcome::unanswered(Why::Unreadable);
        };
        if self.accepted() {
            return match self.wanted.read(self.channel, &self.body) {
                Ok(answer) => Outcome::Accepted {
                    apns_id: self.apns_id,
                    unique_id: self.unique_id,
                    answer: answer.map(Box::new),
                },
                Err(Unreadable) => Outcome::unanswered(Why::Unreadable),
            };
        }
        let (reason, invalid_since) = match parse_body(&self.body) {
            Ok(body) => (
                Reason::from_value(&body),
                timestamp(&body).filter(|_| status == GONE),
            ),
            Err(reason) => (reason, None),
        };
        let Self {
            apns_id,
            retry_after,
            date,
            ..
        } = self;
        let retry_after = retry_after.map(|wait| wait.by_clock(date));
        Outcome::Rejected {
            status,
            reason,
            invalid_since,
            retry_after,
            apns_id,
        }
    }

    fn accepted(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }
}

impl fmt::Debug for ResponseReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ResponseReader({:?}, {} bytes)",
            self.status,
            self.body.len()
        )
    }
}

/// Turns a whole response into its outcome: [`ResponseReader`] in one call, for a status that is a
/// number already.
pub fn read_response<'a>(
    status: u16,
    headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    body: &[u8],
) -> Outcome {
    let mut reader = ResponseReader::new();
    for (name, value) in headers {
        reader.header(name, value);
    }
    reader.status(status);
    reader.body(body);
    reader.finish()
}

/// The timestamp of a 410, in milliseconds. Servers that have one kind of number only write them
/// with a fraction of zero, `1454948015990.0`. One of ten digits is in seconds, as has been seen:
/// it would be a time early in 1970. What else is no whole number is none.
fn timestamp(body: &Value) -> Option<UnixTime> {
    let timestamp = body.get("timestamp")?;
    let number = timestamp.as_u64().or_else(|| whole(timestamp.as_f64()?))?;
    Some(match TEN_DIGITS.contains(&number) {
        true => UnixTime::from_secs(number),
        false => UnixTime::from_millis(number),
    })
}

/// A number that a float holds exactly.
fn whole(number: f64) -> Option<u64> {
    let is_whole = number.fract() == 0.0 && (0.0..=WHOLE_MAX).contains(&number);
    // In range and without a fraction: nothing is cut off.
    is_whole.then_some(number as u64)
}

/// Three digits.
fn status(value: &[u8]) -> Option<u16> {
    retry_after::decimal(value)
        .filter(|_| value.len() == 3)
        .and_then(|status| u16::try_from(status).ok())
}

/// Printable ASCII within the limit.
fn unique_id(value: &[u8]) -> Option<Box<str>> {
    let fits = value.len() <= UNIQUE_ID_MAX_BYTES && value.iter().all(u8::is_ascii_graphic);
    core::str::from_utf8(value)
        .ok()
        .filter(|text| fits && !text.is_empty())
        .map(Box::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn rejected(status: u16, body: &[u8]) -> (Reason, Option<UnixTime>) {
        match read_response(status, [], body) {
            Outcome::Rejected {
                reason,
                invalid_since,
                ..
            } => (reason, invalid_since),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_success_has_its_identifiers() {
        let id = "9f595474-356c-485e-b67f-9870bae68702";
        let headers = [
            ("apns-id", id),
            ("apns-unique-id", "0f-1"),
            ("date", "today"),
        ];
        let headers = headers.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let outcome = read_response(200, headers, b"");
        let apns_id = Some(ApnsId::parse(id).unwrap());
        assert_eq!(
            outcome,
            Outcome::Accepted {
                apns_id,
                unique_id: Some("0f-1".into()),
                answer: None,
            }
        );
    }

    #[test]
    fn a_response_is_read_in_pieces() {
        let mut reader = ResponseReader::new();
        for (name, value) in [
            (":status", "103"),
            (":status", "410"),
            ("retry-after", "30"),
        ] {
            reader.header(name.as_bytes(), value.as_bytes());
        }
        for byte in br#"{"reason":"Unregistered","timestamp":1508249865488}"# {
            reader.body(&[*byte]);
        }
        assert_eq!(
            reader.finish(),
            Outcome::Rejected {
                status: 410,
                reason: Reason::Unregistered,
                invalid_since: Some(UnixTime::from_millis(1_508_249_865_488)),
                retry_after: Some(RetryAfter::In(Duration::from_secs(30))),
                apns_id: None,
            }
        );
    }

    #[test]
    fn a_410_says_as_much_as_it_can() {
        assert_eq!(rejected(410, b""), (Reason::Missing, None));
        assert_eq!(
            rejected(410, br#"{"reason":"ExpiredToken"}"#),
            (Reason::ExpiredToken, None)
        );
        for time in [
            "\"1508249865488\"",
            "-1",
            "1.5",
            "null",
            "{}",
            "99999999999999999999",
        ] {
            let body = format!("{{\"reason\":\"Unregistered\",\"timestamp\":{time}}}");
            assert_eq!(
                rejected(410, body.as_bytes()),
                (Reason::Unregistered, None),
                "{time}"
            );
        }
    }

    #[test]
    fn a_timestamp_is_a_whole_number_however_it_is_written() {
        let since = |text: &str| {
            let body = format!("{{\"reason\":\"Unregistered\",\"timestamp\":{text}}}");
            rejected(410, body.as_bytes()).1
        };
        let then = Some(UnixTime::from_millis(1_454_948_015_990));
        for text in [
            "1454948015990",
            "1454948015990.0",
            "1454948015990.000",
            "1.45494801599e12",
            "1.45494801599E+12",
            "14549480159900e-1",
        ] {
            assert_eq!(since(text), then, "{text}");
        }
        let seconds = Some(UnixTime::from_secs(1_454_948_015));
        assert_eq!(since("1454948015"), seconds, "ten digits are seconds");
        assert_eq!(since("1454948015.0"), seconds);
        assert_eq!(since("0"), Some(UnixTime::EPOCH));
        for text in [
            "1454948015990.5",
            "-1454948015990.0",
            "-1",
            "1e300",
            "9007199254740993.0e3",
            "1e400",
            "true",
            "[1454948015990]",
        ] {
            assert_eq!(since(text), None, "{text}");
        }
    }

    #[test]
    fn a_timestamp_means_something_with_410_only() {
        let body = br#"{"reason":"BadTopic","timestamp":1}"#;
        assert_eq!(rejected(400, body), (Reason::BadTopic, None));
    }

    #[test]
    fn a_body_without_end_is_cut() {
        let mut reader = ResponseReader::new();
        reader.header(b":status", b"500");
        for _ in 0..1_000 {
            reader.body(&[b' '; 100]);
        }
        assert_eq!(reader.body.len(), RESPONSE_BODY_MAX_BYTES);
        let (reason, _) = rejected(400, &b"<html>".repeat(9_999));
        assert_eq!(reason.as_str().len(), 128);
        let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(9_999));
        assert!(matches!(
            rejected(400, long.as_bytes()).0,
            Reason::NotJson(_)
        ));
    }

    #[test]
    fn no_usable_status_is_no_answer() {
        for status in ["", "99", "100", "2000", "2x0", "+20", "two"] {
            let mut reader = ResponseReader::new();
            reader.header(b":status", status.as_bytes());
            assert_eq!(
                reader.finish(),
                Outcome::unanswered(Why::Unreadable),
                "{status}"
            );
        }
        assert_eq!(
            ResponseReader::new().finish(),
            Outcome::unanswered(Why::Unreadable)
        );
    }

    #[test]
    fn odd_headers_are_left_out() {
        let long = "x".repeat(65);
        for value in [long.as_str(), "", "a b", "\r\n", "é"] {
            let headers = ["apns-id", "apns-unique-id", "retry-after"]
                .map(|n| (n.as_bytes(), value.as_bytes()));
            let accepted = Outcome::Accepted {
                apns_id: None,
                unique_id: None,
                answer: None,
            };
            assert_eq!(read_response(200, headers, b""), accepted);
            let Outcome::Rejected { retry_after, .. } = read_response(429, headers, b"") else {
                panic!()
            };
            assert_eq!(retry_after, None);
        }
    }
}
