//! Requests of notifications that follow each other on a connection: what they have in common is
//! laid out and encoded once.
//!
//! ```text
//!   like the one before, but for device, identifier and payload
//!     no  ─► all of it is encoded
//!     yes ─► the second: all of it, and a template is made
//!            from the third on: path and `apns-id` between the parts of the template
//! ```
//!
//! The octets on the wire are the same whichever it is.

use core::fmt;

use super::message::Message;
use super::request::{DEVICES, RequestBuffer};
use crate::auth::ProviderToken;
use crate::http2::{Connection, Differing, SendError, StreamId, Template};
use crate::notification::{CollapseId, Expiration, Notification, Priority, PushType, Topic};
use crate::time::Now;

/// Sends what follows on one connection. Bounded by one request without its payload.
#[derive(Default)]
pub struct Repeats {
    buffer: RequestBuffer,
    path: Vec<u8>,
    last: Option<Alike>,
    template: Option<Template>,
}

/// What notifications on one connection have in common.
struct Alike {
    topic: Topic,
    push_type: PushType,
    priority: Priority,
    expiration: Expiration,
    collapse_id: Option<CollapseId>,
    has_id: bool,
    token: Option<ProviderToken>,
}

impl Alike {
    fn of(notification: &Notification, token: Option<&ProviderToken>) -> Self {
        Self {
            topic: notification.topic().clone(),
            push_type: notification.push_type(),
            priority: notification.priority(),
            expiration: notification.expiration(),
            collapse_id: notification.collapse_id().cloned(),
            has_id: notification.id().is_some(),
            token: token.cloned(),
        }
    }

    fn has(&self, notification: &Notification, token: Option<&ProviderToken>) -> bool {
        let own = self.token.as_ref().map(ProviderToken::authorization);
        self.push_type == notification.push_type()
            && self.priority == notification.priority()
            && self.expiration == notification.expiration()
            && self.has_id == notification.id().is_some()
            && self.topic == *notification.topic()
            && self.collapse_id.as_ref() == notification.collapse_id()
            && own == token.map(ProviderToken::authorization)
    }
}

impl Repeats {
    /// Sends a message on `connection`, which is the same each time, as is `authority`.
    ///
    /// # Errors
    /// Those of [`Connection::send_request`].
    pub fn send(
        &mut self,
        (now, connection): (Now, &mut Connection),
        message: &Message,
        authority: &str,
        token: Option<&ProviderToken>,
        out: &mut Vec<u8>,
    ) -> Result<StreamId, SendError> {
        let Message::Notification(notification) = message else {
            let request = self.buffer.fill_message(message, authority, token);
            return connection.send_request(now, &request.as_http2(), out);
        };
        let is_alike = self
            .last
            .as_ref()
            .is_some_and(|last| last.has(notification, token));
        if is_alike && let Some(template) = &self.template {
            self.path.clear();
            self.path.extend_from_slice(DEVICES.as_bytes());
            notification.token().append_hex(&mut self.path);
            let id = notification.id().map(|id| id.to_text());
            let differing = Differing {
                path: &self.path,
                value: id.as_ref().map_or(&[][..], |id| id.as_slice()),
                body: notification.payload().as_bytes(),
            };
            if let Some(sent) = connection.send_like(now, template, &differing, out) {
                return sent;
            }
        }
        let request = self.buffer.fill(notification, authority, token);
        let stream = connection.send_request(now, &request.as_http2(), out)?;
        if is_alike {
            self.template = connection.template(&request.as_http2(), "apns-id");
        } else {
            self.template = None;
            self.last = Some(Alike::of(notification, token));
        }
        Ok(stream)
    }
}

/// The template has credentials in it.
impl fmt::Debug for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repeats({})", self.template.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{KeyId, SigningKey, TeamId};
    use crate::notification::{ApnsId, DeviceToken, Draft, Payload};
    use crate::time::UnixTime;
    use std::sync::Arc;

    const AUTHORITY: &str = "api.push.apple.com";

    /// 1,000 streams, so that none has to end, and a table of that size.
    fn settings(table: u16) -> Vec<u8> {
        let [high, low] = table.to_be_bytes();
        let table = [0, 1, 0, 0, high, low];
        let streams = [0, 3, 0, 0, 0x03, 0xe8];
        [&[0, 0, 12, 4, 0, 0, 0, 0, 0][..], &table, &streams].concat()
    }

    fn token(secs: u64) -> ProviderToken {
        let key = SigningKey::from_scalar(&[7; 32]).unwrap();
        let (key_id, team_id) = (KeyId::parse("1QBCDJ9RST"), TeamId::parse("3Z24IP123A"));
        let at = UnixTime::from_secs(secs);
        ProviderToken::sign(&key, key_id.unwrap(), team_id.unwrap(), at)
    }

    /// One of many kinds, to device `n`.
    fn notification(n: usize, kind: usize) -> Message {
        let device = DeviceToken::from_bytes(&vec![n as u8; 1 + n % 90]).unwrap();
        let topic = Topic::parse(["com.example.app", "org.example.b"][kind & 1]).unwrap();
        let payload = Payload::parse(format!(r#"{{"aps":{{}},"n":{n}}}"#).as_bytes()).unwrap();
        let mut draft = Draft::new(device, topic, payload);
        if kind & 2 == 0 {
            draft = draft.id(ApnsId::from_random([n as u8; 16]));
        }
        if kind & 4 != 0 {
            draft = draft.priority(Priority::PowerSaving);
        }
        if kind & 8 != 0 {
            draft = draft.collapse_id(CollapseId::parse("game").unwrap());
        }
        if kind & 16 != 0 {
            draft = draft.expiration(Expiration::from_unix_secs(1_800_000_000).unwrap());
        }
        if kind & 32 != 0 {
            draft = draft
                .push_type(PushType::Background)
                .priority(Priority::PowerSaving);
        }
        Message::from(Arc::new(draft.build().unwrap()))
    }

    /// Two connections that get the same: one by a [`Repeats`], one request by request.
    struct Both {
        repeats: Repeats,
        one: Connection,
        other: Connection,
    }

    impl Both {
        fn new() -> Self {
            let connection = || Connection::new(Default::default(), Now::ZERO, &mut Vec::new());
            let mut both = Self {
                repeats: Repeats::default(),
                one: connection(),
                other: connection(),
            };
            both.hear(&settings(4_096));
            both
        }

        fn hear(&mut self, bytes: &[u8]) {
            for connection in [&mut self.one, &mut self.other] {
                let heard = connection.handle_input(Now::ZERO, bytes, &mut Vec::new());
                heard.unwrap();
            }
        }

        fn send(&mut self, message: &Message, token: Option<&ProviderToken>) {
            let (mut got, mut expected) = (Vec::new(), Vec::new());
            let to = (Now::ZERO, &mut self.one);
            let stream = self.repeats.send(to, message, AUTHORITY, token, &mut got);
            let mut buffer = RequestBuffer::new();
            let request = buffer.fill_message(message, AUTHORITY, token);
            let other = &mut self.other;
            let same = other.send_request(Now::ZERO, &request.as_http2(), &mut expected);
            assert_eq!(stream, same);
            assert_eq!(got, expected, "{message:?}");
        }
    }

    #[test]
    fn the_octets_are_those_of_requests_that_are_encoded_whole() {
        let tokens = [None, Some(token(0)), Some(token(3_600))];
        let mut both = Both::new();
        for n in 0..900_usize {
            // Some of a kind, then others; now and then one by one.
            let kind = if n % 100 < 90 { n / 30 } else { n * 7 };
            both.send(&notification(n, kind), tokens[n / 250 % 3].as_ref());
            // The table shrinks and grows, also to a size in which nothing has room.
            match n {
                200 => both.hear(&settings(0)),
                300 => both.hear(&settings(80)),
                400 => both.hear(&settings(4_096)),
                _ => {}
            }
        }
        assert!(both.repeats.template.is_some() || both.repeats.last.is_some());
    }

    #[test]
    fn from_the_third_of_a_kind_on_a_template_is_used() {
        let mut both = Both::new();
        for (n, has_template) in [(1, false), (2, true), (3, true)] {
            both.send(&notification(n, 0), None);
            assert_eq!(both.repeats.template.is_some(), has_template, "{n}");
        }
        let made_of = both.repeats.template.clone();
        both.send(&notification(4, 0), None);
        assert_eq!(both.repeats.template, made_of);
        both.send(&notification(5, 1), None);
        assert_eq!(both.repeats.template, None);
    }

    #[test]
    fn what_a_connection_does_not_take_is_told() {
        let mut both = Both::new();
        (0..3).for_each(|n| both.send(&notification(n, 0), None));
        both.hear(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0]);
        both.send(&notification(3, 0), None);
        let mut out = Vec::new();
        let to = (Now::ZERO, &mut both.one);
        let sent = both
            .repeats
            .send(to, &notification(4, 0), AUTHORITY, None, &mut out);
        assert_eq!((sent, out), (Err(SendError::GoingAway), Vec::new()));
    }

    #[test]
    fn printing_reveals_no_credential() {
        let mut both = Both::new();
        let token = token(0);
        (0..3).for_each(|n| both.send(&notification(n, 0), Some(&token)));
        let template = both.repeats.template.as_ref().unwrap();
        let text = format!("{:?} {template:?}", both.repeats);
        assert!(!text.contains("eyJ") && text.len() < 60, "{text}");
    }
}
