//! A [`Notification`] turned into the headers and the body of a request, without allocating.
//!
//! Source: Apple, *Sending notification requests to APNs*: the headers, and how HPACK is to treat
//! them ("encode `:path` and `authorization` as literal header fields without indexing"; `apns-id`,
//! `apns-expiration` and `apns-collapse-id` with indexing the first time and without afterwards;
//! all others with indexing).
//!
//! | header | indexing | |
//! |---|---|---|
//! | `:method` `:scheme` `:authority` | incremental | the same for a connection |
//! | `:path` | without | the device token |
//! | `authorization` | without | with a provider token only |
//! | `apns-topic` `apns-push-type` `apns-priority` | incremental | few values, often the same |
//! | `apns-id` `apns-expiration` `apns-collapse-id` | without | if there is a value |
//!
//! The last three are without indexing from the first time on. What the first indexing gains is
//! the name in the dynamic table, some ten bytes a header; what it costs is that the encoder has to
//! know whether the entry is still there. The values change with every request, and an entry of
//! each would push out those that stay.

use crate::auth::ProviderToken;
use crate::notification::Notification;
use core::fmt::{self, Write};

/// How an HPACK encoder may treat a header (RFC 7541, section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderIndexing {
    /// By its index, or as a literal that enters the dynamic table.
    Incremental,
    /// As a literal that enters no table; the name may be an index.
    Without,
}

/// One header of a request. `Debug` leaves out the values that reveal a device or a credential.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// In lower case.
    pub name: &'static str,
    /// Legal as a header's value.
    pub value: &'a str,
    /// As Apple asks.
    pub indexing: HeaderIndexing,
}

impl<'a> Header<'a> {
    const EMPTY: Self = Self::new("", "", HeaderIndexing::Without);

    const fn new(name: &'static str, value: &'a str, indexing: HeaderIndexing) -> Self {
        Self {
            name,
            value,
            indexing,
        }
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if matches!(self.name, ":path" | "authorization") {
            "…"
        } else {
            self.value
        };
        write!(f, "{}: {value}", self.name)
    }
}

/// Most headers a request has.
const HEADERS_MAX: usize = 11;

/// A request ready to be encoded. Borrows from notification, token and [`RequestBuffer`].
#[derive(Clone)]
pub struct Request<'a> {
    headers: [Header<'a>; HEADERS_MAX],
    count: usize,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The headers in the order they are to be sent, pseudo-headers first.
    pub fn headers(&self) -> &[Header<'a>] {
        self.headers.get(..self.count).unwrap_or_default()
    }

    /// The body: the payload as the caller wrote it, not compressed; ends the stream.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// A request that begins as all of them do.
    #[inline]
    pub(super) fn begin(
        (method, path): (&'static str, &'a str),
        authority: &'a str,
        token: Option<&'a ProviderToken>,
        body: &'a [u8],
    ) -> Self {
        use HeaderIndexing::{Incremental, Without};
        let mut request = Self {
            headers: [Header::EMPTY; HEADERS_MAX],
            count: 0,
            body,
        };
        request.push(":method", method, Incremental);
        request.push(":scheme", "https", Incremental);
        request.push(":path", path, Without);
        request.push(":authority", authority, Incremental);
        if let Some(token) = token {
            request.push("authorization", token.authorization(), Without);
        }
        request
    }

    #[inline]
    pub(super) fn push(&mut self, name: &'static str, value: &'a str, indexing: HeaderIndexing) {
        if let Some(place) = self.headers.get_mut(self.count) {
            *place = Header::new(name, value, indexing);
            self.count += 1;
        }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Request({:?}, {} bytes)",
            self.headers(),
            self.body.len()
        )
    }
}

/// The text that a request needs beside what it borrows; filled anew for each notification.
///
/// Holds less than 600 bytes, and allocates for the first request only.
#[derive(Default)]
pub struct RequestBuffer {
    pub(super) path: String,
    pub(super) id: String,
    pub(super) expiration: String,
}

impl RequestBuffer {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            path: String::new(),
            id: String::new(),
            expiration: String::new(),
        }
    }

    /// Lays out the request for a notification.
    ///
    /// `authority` is the host, with its port unless that is 443, as the connection's owner knows
    /// it. Without `token` the connection's certificate speaks for the provider.
    pub fn fill<'a>(
        &'a mut self,
        notification: &'a Notification,
        authority: &'a str,
        token: Option<&'a ProviderToken>,
    ) -> Request<'a> {
        use HeaderIndexing::{Incremental, Without};
        self.write(notification);
        let body = notification.payload().as_bytes();
        let mut request = Request::begin(("POST", &self.path), authority, token, body);
        request.push("apns-topic", notification.topic().as_str(), Incremental);
        request.push(
            "apns-push-type",
            notification.push_type().as_str(),
            Incremental,
        );
        request.push(
            "apns-priority",
            notification.priority().as_str(),
            Incremental,
        );
        if !self.id.is_empty() {
            request.push("apns-id", &self.id, Without);
        }
        if !self.expiration.is_empty() {
            request.push("apns-expiration", &self.expiration, Without);
        }
        if let Some(collapse_id) = notification.collapse_id() {
            request.push("apns-collapse-id", collapse_id.as_str(), Without);
        }
        request
    }

    /// Writes the values that no part of the notification holds as text.
    fn write(&mut self, notification: &Notification) {
        let Self {
            path,
            id,
            expiration,
        } = self;
        path.clear();
        path.push_str("/3/device/");
        notification.token().write_hex(path);
        id.clear();
        if let Some(apns_id) = notification.id() {
            apns_id.write(id);
        }
        expiration.clear();
        if let Some(secs) = notification.expiration().header_secs() {
            // Writing to a String does not fail.
            let _ = write!(expiration, "{secs}");
        }
    }
}

impl fmt::Debug for RequestBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestBuffer(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{KeyId, SigningKey, TeamId};
    use crate::notification::{ApnsId, CollapseId, DeviceToken, Draft, Expiration, Payload, Topic};
    use crate::time::UnixTime;

    fn draft() -> Draft {
        Draft::new(
            DeviceToken::from_bytes(&[0xab; 32]).unwrap(),
            Topic::parse("com.example.app").unwrap(),
            Payload::parse(br#"{"aps":{"alert":"secret"}}"#).unwrap(),
        )
    }

    fn provider_token() -> ProviderToken {
        let key = SigningKey::from_scalar(&[7; 32]).unwrap();
        let key_id = KeyId::parse("1QBCDJ9RST").unwrap();
        ProviderToken::sign(
            &key,
            key_id,
            TeamId::parse("3Z24IP123A").unwrap(),
            UnixTime::EPOCH,
        )
    }

    fn lines(request: &Request<'_>) -> Vec<String> {
        request
            .headers()
            .iter()
            .map(|h| format!("{}: {}", h.name, h.value))
            .collect()
    }

    #[test]
    fn a_request_with_everything() {
        let token = provider_token();
        let notification = draft()
            .id(ApnsId::from_random([0; 16]))
            .expiration(Expiration::from_unix_secs(420).unwrap())
            .collapse_id(CollapseId::parse("game 7").unwrap())
            .build()
            .unwrap();
        let mut buffer = RequestBuffer::new();
        let request = buffer.fill(&notification, "api.push.apple.com", Some(&token));
        assert_eq!(request.headers().len(), HEADERS_MAX);
        assert_eq!(
            lines(&request),
            [
                ":method: POST",
                ":scheme: https",
                &format!(":path: /3/device/{}", "ab".repeat(32)),
                ":authority: api.push.apple.com",
                &format!("authorization: bearer {}", token.as_jwt()),
                "apns-topic: com.example.app",
                "apns-push-type: alert",
                "apns-priority: 10",
                "apns-id: 00000000-0000-4000-8000-000000000000",
                "apns-expiration: 420",
                "apns-collapse-id: game 7",
            ]
        );
        assert_eq!(request.body(), br#"{"aps":{"alert":"secret"}}"#);
    }

    #[test]
    fn a_refilled_buffer_keeps_nothing_of_the_last_request() {
        let mut buffer = RequestBuffer::new();
        let full = draft()
            .id(ApnsId::from_random([1; 16]))
            .expiration(Expiration::Once)
            .build()
            .unwrap();
        assert_eq!(buffer.fill(&full, "a", None).headers().len(), 9);
        let plain = draft().build().unwrap();
        let request = buffer.fill(&plain, "a", None);
        let names: Vec<_> = request.headers().iter().map(|h| h.name).collect();
        assert_eq!(
            names,
            [
                ":method",
                ":scheme",
                ":path",
                ":authority",
                "apns-topic",
                "apns-push-type",
                "apns-priority"
            ]
        );
    }

    #[test]
    fn indexing_is_as_apple_asks() {
        let token = provider_token();
        let notification = draft()
            .id(ApnsId::from_random([1; 16]))
            .expiration(Expiration::Once)
            .collapse_id(CollapseId::parse("c").unwrap())
            .build()
            .unwrap();
        let mut buffer = RequestBuffer::new();
        let request = buffer.fill(&notification, "a", Some(&token));
        let without: Vec<_> = request
            .headers()
            .iter()
            .filter(|h| h.indexing == HeaderIndexing::Without)
            .map(|h| h.name)
            .collect();
        assert_eq!(
            without,
            [
                ":path",
                "authorization",
                "apns-id",
                "apns-expiration",
                "apns-collapse-id"
            ]
        );
    }

    #[test]
    fn printing_reveals_neither_device_nor_credential_nor_payload() {
        let token = provider_token();
        let notification = draft().build().unwrap();
        let mut buffer = RequestBuffer::new();
        let text = format!("{:?}", buffer.fill(&notification, "a", Some(&token)));
        assert!(text.contains("apns-topic: com.example.app"), "{text}");
        for secret in ["abab", "eyJ", "secret"] {
            assert!(
                !text.contains(secret) && !format!("{buffer:?}").contains(secret),
                "{text}"
            );
        }
    }
}
