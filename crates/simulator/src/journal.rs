//! Turns every request, and every notification of the binary gateway, into a record that a test or
//! the page can read back byte for byte.
//!
//! Invariants: records are in the order of the verdicts, and a record is there before its answer is
//! sent. Limits: [`Config::journal_capacity`](crate::Config::journal_capacity) records, the oldest
//! makes way and is counted; of a payload too large to be accepted only the first
//! [`MAX_KEPT_PAYLOAD`] bytes stay.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::watch;

use crate::config::Environment;

/// One request as it arrived, and what it was answered; or one notification of the binary gateway.
///
/// As JSON, `payload` is the text if the bytes are UTF-8 (else `null`), `payload_base64` the exact
/// bytes, and `headers` an object in order, where a repeated header has an array of its values.
/// `protocol` is `"http2"` or `"binary"`, and with the latter there are also `command`,
/// `identifier`, `expiry` and `priority`. `call` is `"push"`, `"broadcast"` or `"channels"`.
/// `Debug` shows neither the payload, nor the headers, nor more than the beginning of the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// Counts from 1, never reused.
    pub sequence: u64,
    /// When it was complete, in milliseconds since 1970.
    pub time_ms: u64,
    /// What it came by.
    pub protocol: Protocol,
    /// What it is: a push, a broadcast, or a call about channels.
    pub call: Call,
    /// The environment it has come to; the simulator's own for a binary notification.
    pub environment: Environment,
    /// The connection it came on; the first of each listener is 1.
    pub connection: u64,
    /// Its HTTP/2 stream; 0 for a binary notification.
    pub stream: u32,
    /// `:method`; empty for a binary notification.
    pub method: String,
    /// `:path`, exactly; empty for a binary notification.
    pub path: String,
    /// The topic: the first `apns-topic`, the bundle id in the path of a broadcast or a call about
    /// channels, or what the client's certificate says. Empty if there is none.
    pub topic: String,
    /// The topic of the certificate that the client has shown; `None` if it has shown none.
    pub identity: Option<String>,
    /// The device token as sent (a binary one in lowercase hexadecimal); empty if there is none.
    pub token: String,
    /// The `apns-channel-id`, as sent or as made for a new channel; empty if there is none.
    pub channel: String,
    /// Every header except the pseudo-headers, in the order of first appearance. The authorization
    /// header is here too: it is a credential for up to an hour.
    pub headers: Vec<(String, String)>,
    /// The body, exactly (the first [`MAX_KEPT_PAYLOAD`] bytes of one that was too large).
    pub payload: Vec<u8>,
    /// How long the body was.
    pub payload_length: usize,
    /// The status answered. For a binary notification that of the error-response packet, or 0 for
    /// one that was taken, which gets none. `None` if a fault left it without.
    pub status: Option<u16>,
    /// The `reason` answered, or what the status of the packet means.
    pub reason: Option<String>,
    /// The `apns-id` answered, or the `apns-request-id`: the client's, or a new one. Empty for a
    /// binary notification.
    pub apns_id: String,
    /// The scripted fault that had a part in it.
    pub fault: Option<String>,
    /// Why the provider token was refused, which APNs does not say. Names and times out of the
    /// token are in it, and nothing that would make another one.
    pub why: Option<String>,
    /// What APNs would not say: why an accepted notification may show nothing, and what is unusual
    /// in a provider token that was taken.
    pub warnings: Vec<&'static str>,
}

/// What a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// A notification for one device, by the provider API or the binary gateway.
    Push,
    /// A notification for everybody who follows a channel.
    Broadcast,
    /// Making, reading, deleting or listing channels.
    Channels,
}

/// The way a notification came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The provider API.
    Http2,
    /// The binary gateway.
    Binary(BinaryFrame),
}

/// What a notification of the binary gateway says besides token and payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinaryFrame {
    /// 0, 1 or 2; another byte if it was no command.
    pub command: u8,
    /// The identifier, read as a big-endian number.
    pub identifier: Option<u32>,
    /// The expiry in seconds since 1970; 0 is "do not store".
    pub expiry: Option<u32>,
    /// The priority.
    pub priority: Option<u8>,
}

impl Received {
    /// The first value of a header, by lowercase name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The payload if it is UTF-8.
    pub fn payload_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.payload).ok()
    }

    /// Whether it was answered 200 (or 201 or 204, if it is about channels), or taken by the
    /// gateway.
    pub fn is_accepted(&self) -> bool {
        match self.protocol {
            Protocol::Http2 => matches!(self.status, Some(200..300)),
            Protocol::Binary(_) => self.status == Some(0),
        }
    }

    /// What else the frame said, if it came by the binary gateway.
    pub fn binary(&self) -> Option<&BinaryFrame> {
        match &self.protocol {
            Protocol::Http2 => None,
            Protocol::Binary(frame) => Some(frame),
        }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("sequence", &self.sequence)
            .field("protocol", &self.protocol)
            .field("call", &self.call)
            .field("connection", &self.connection)
            .field("stream", &self.stream)
            .field("token", &format_args!("{:.8}…", self.token))
            .field("payload_length", &self.payload_length)
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl Serialize for Received {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = if self.binary().is_some() { 27 } else { 23 };
        let mut record = serializer.serialize_struct("Received", fields)?;
        record.serialize_field("sequence", &self.sequence)?;
        record.serialize_field("time_ms", &self.time_ms)?;
        if let Some(frame) = self.binary() {
            record.serialize_field("protocol", "binary")?;
            record.serialize_field("command", &frame.command)?;
            record.serialize_field("identifier", &frame.identifier)?;
            record.serialize_field("expiry", &frame.expiry)?;
            record.serialize_field("priority", &frame.priority)?;
        } else {
            record.serialize_field("protocol", "http2")?;
        }
        record.serialize_field("call", &self.call)?;
        record.serialize_field("environment", &self.environment)?;
        record.serialize_field("connection", &self.connection)?;
        record.serialize_field("stream", &self.stream)?;
        record.serialize_field("method", &self.method)?;
        record.serialize_field("path", &self.path)?;
        record.serialize_field("topic", &self.topic)?;
        record.serialize_field("identity", &self.identity)?;
        record.serialize_field("token", &self.token)?;
        record.serialize_field("channel", &self.channel)?;
        record.serialize_field("headers", &InOrder(&self.headers))?;
        record.serialize_field("payload", &self.payload_text())?;
        record.serialize_field("payload_base64", &STANDARD.encode(&self.payload))?;
        record.serialize_field("payload_length", &self.payload_length)?;
        record.serialize_field("status", &self.status)?;
        record.serialize_field("reason", &self.reason)?;
        record.serialize_field("apns_id", &self.apns_id)?;
        record.serialize_field("fault", &self.fault)?;
        record.serialize_field("why", &self.why)?;
        record.serialize_field("warnings", &self.warnings)?;
        record.end()
    }
}

/// Headers as a JSON object.
struct InOrder<'a>(&'a [(String, String)]);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (position, (name, value)) in self.0.iter().enumerate() {
            if self
                .0
                .iter()
                .take(position)
                .any(|(earlier, _)| earlier == name)
            {
                continue;
            }
            let all: Vec<&String> = self
                .0
                .iter()
                .filter(|(other, _)| other == name)
                .map(|(_, value)| value)
                .collect();
            if all.len() == 1 {
                map.serialize_entry(name, value)?;
            } else {
                map.serialize_entry(name, &all)?;
            }
        }
        map.end()
    }
}

/// The last requests, oldest first.
pub(crate) struct Journal {
    records: VecDeque<Arc<Received>>,
    capacity: usize,
    dropped: u64,
    total: watch::Sender<u64>,
}

/// What [`Journal::select`] should return.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) token: Option<String>,
    /// Those with a greater number, the first of them; without it the newest of all.
    pub(crate) after: Option<u64>,
    pub(crate) limit: Option<usize>,
}

impl Journal {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            records: VecDeque::new(),
            capacity,
            dropped: 0,
            total: watch::Sender::new(0),
        }
    }

    /// Adds a record and gives it its number.
    pub(crate) fn record(&mut self, mut received: Received) {
        self.total.send_modify(|total| *total += 1);
        received.sequence = self.total();
        if self.records.len() >= self.capacity {
            self.dropped += 1;
            self.records.pop_front();
        }
        if self.capacity > 0 {
            self.records.push_back(Arc::new(received));
        }
    }

    /// How many were ever recorded.
    pub(crate) fn total(&self) -> u64 {
        *self.total.borrow()
    }

    /// How many made way for newer ones.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A view of [`total`](Self::total) that can be waited on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.total.subscribe()
    }

    /// At most `limit` records that fit, oldest first: those that follow on `after`, so that a
    /// reader who goes on from the last one it got misses none; or the newest.
    pub(crate) fn select(&self, wanted: &Selection) -> Vec<Arc<Received>> {
        let is_of_token = |record: &&Arc<Received>| {
            let token = wanted.token.as_ref();
            token.is_none_or(|token| record.token.eq_ignore_ascii_case(token))
        };
        let limit = wanted.limit.unwrap_or(usize::MAX);
        if let Some(after) = wanted.after {
            let at = self
                .records
                .partition_point(|record| record.sequence <= after);
            let following = self.records.iter().skip(at).filter(is_of_token);
            return following.take(limit).cloned().collect();
        }
        let newest = self.records.iter().rev().filter(is_of_token);
        let mut found: Vec<_> = newest.take(limit).cloned().collect();
        found.reverse();
        found
    }

    /// Forgets the records; numbers go on.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
    }
}

/// Bytes kept of a payload: above every limit of APNs (5120), so an acceptable one is always whole.
pub const MAX_KEPT_PAYLOAD: usize = 8192;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example(token: &str) -> Received {
        Received {
            sequence: 0,
            time_ms: 5,
            protocol: Protocol::Http2,
            call: Call::Push,
            environment: Environment::Development,
            connection: 1,
            stream: 1,
            method: "POST".into(),
            path: format!("/3/device/{token}"),
            topic: "com.example.app".into(),
            identity: None,
            token: token.into(),
            channel: String::new(),
            headers: vec![("b".into(), "1".into()), ("a".into(), "2".into())],
            payload: b"{}".to_vec(),
            payload_length: 2,
            status: Some(200),
            reason: None,
            apns_id: "id".into(),
            fault: None,
            why: None,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn the_oldest_record_makes_way_and_is_counted() {
        let mut journal = Journal::new(2);
        for token in ["aa", "bb", "cc"] {
            journal.record(example(token));
        }
        let kept = journal.select(&Selection::default());
        assert_eq!(kept.iter().map(|r| r.sequence).collect::<Vec<_>>(), [2, 3]);
        assert_eq!((journal.total(), journal.dropped()), (3, 1));
        journal.clear();
        journal.record(example("dd"));
        assert_eq!(journal.select(&Selection::default())[0].sequence, 4);
    }

    #[test]
    fn a_journal_without_room_counts_only() {
        let mut journal = Journal::new(0);
        journal.record(example("aa"));
        assert_eq!((journal.total(), journal.dropped()), (1, 1));
        assert!(journal.select(&Selection::default()).is_empty());
    }

    #[test]
    fn a_selection_takes_the_newest_of_what_fits() {
        let mut journal = Journal::new(10);
        for token in ["aa", "bb", "aa", "aa"] {
            journal.record(example(token));
        }
        let wanted = Selection {
            token: Some("AA".into()),
            after: None,
            limit: Some(2),
        };
        let found: Vec<u64> = journal.select(&wanted).iter().map(|r| r.sequence).collect();
        assert_eq!(found, [3, 4]);
        let wanted = Selection {
            after: Some(3),
            ..Selection::default()
        };
        assert_eq!(journal.select(&wanted).len(), 1);
    }

    #[test]
    fn pages_forward_have_every_record_once() {
        let mut journal = Journal::new(5);
        for token in ["aa", "bb", "aa", "bb", "aa", "aa", "bb"] {
            journal.record(example(token));
        }
        let pages = |token: Option<&str>| {
            let (mut after, mut pages) = (0, Vec::new());
            loop {
                let wanted = Selection {
                    token: token.map(str::to_owned),
                    after: Some(after),
                    limit: Some(2),
                };
                let page = journal.select(&wanted);
                let page: Vec<u64> = page.iter().map(|record| record.sequence).collect();
                let Some(last) = page.last() else {
                    return pages;
                };
                after = *last;
                pages.push(page);
            }
        };
        // The first two have made way.
        assert_eq!(pages(None), [vec![3, 4], vec![5, 6], vec![7]]);
        assert_eq!(pages(Some("aa")), [vec![3, 5], vec![6]]);
    }

    #[test]
    fn json_keeps_headers_in_order_and_bytes_exact() {
        let mut record = example("aa");
        record.headers.push(("b".into(), "3".into()));
        record.payload = vec![0xff, 0x00];
        let json = serde_json::to_string(&record).unwrap();
        assert!(
            json.contains(r#""headers":{"b":["1","3"],"a":"2"}"#),
            "{json}"
        );
        assert!(
            json.contains(r#""payload":null,"payload_base64":"/wA=""#),
            "{json}"
        );
    }

    #[test]
    fn json_of_a_binary_notification_says_what_its_frame_said() {
        let frame = BinaryFrame {
            command: 2,
            identifier: Some(7),
            expiry: None,
            priority: Some(5),
        };
        let record = Received {
            protocol: Protocol::Binary(frame),
            status: Some(0),
            ..example("aa")
        };
        assert!(record.is_accepted());
        let json = serde_json::to_string(&record).unwrap();
        let said = r#""protocol":"binary","command":2,"identifier":7,"expiry":null,"priority":5,"#;
        assert!(json.contains(said), "{json}");
        let json = serde_json::to_value(example("aa")).unwrap();
        assert_eq!(
            (&json["protocol"], json.get("command")),
            (&"http2".into(), None)
        );
    }

    #[test]
    fn printing_a_record_shows_no_secrets() {
        let mut record = example("0123456789abcdef");
        record
            .headers
            .push(("authorization".into(), "bearer secret".into()));
        let text = format!("{record:?}");
        assert!(
            !text.contains("secret") && !text.contains("89abcdef"),
            "{text}"
        );
    }
}
