//! A [`Notification`] turned into the headers and the body of a request, without allocating.
//!
//! Source: Apple, *Sending notification requests to APNs*: the headers, and how HPACK is to treat
//! them ("encode `:path` and `authorization` as literal header fields without indexing"; `apns-id`,
//! `apns-expiration` and `apns-collapse-id` with indexing the first time and without afterwards;
//! all others with indexing).
//!
//! | header | indexing | |
//! |---|---|---|
//! | `:method` `:scheme` `:authority` | incremental, by `http2` | the same for a connection |
//! | `:path` | without, by `http2` | the device token |
//! | `authorization` | without | with a provider token only |
//! | `apns-topic` `apns-push-type` `apns-priority` | incremental | few values, often the same |
//! | `apns-id` `apns-expiration` `apns-collapse-id` | without | if there is a value |
//!
//! The last three are without indexing from the first time on. What the first indexing gains is
//! the name in the dynamic table, some ten bytes a header; what it costs is that the encoder has to
//! know whether the entry is still there. The values change with every request, and an entry of
//! each would push out those that stay.

use crate::auth::ProviderToken;
use crate::http2::{self, Header, Indexing};
use crate::notification::Notification;
use core::fmt::{self, Write};

/// Most headers of a request that are not pseudo-headers.
const HEADERS_MAX: usize = 7;

/// What the paths of devices begin with.
pub(super) const DEVICES: &str = "/3/device/";

/// The scheme of every request.
const SCHEME: &str = "https";

/// A request ready to be encoded. Borrows from notification, token and [`RequestBuffer`].
#[derive(Clone)]
pub struct Request<'a> {
    method: &'static str,
    path: &'a str,
    authority: &'a str,
    headers: [Header<'a>; HEADERS_MAX],
    count: usize,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    /// As HTTP/2 sends it. The body is the payload as the caller wrote it, not compressed.
    #[inline]
    pub fn as_http2(&self) -> http2::Request<'_> {
        http2::Request {
            method: self.method,
            scheme: SCHEME,
            authority: self.authority,
            path: self.path,
            headers: self.headers.get(..self.count).unwrap_or_default(),
            body: self.body,
        }
    }

    /// A request that begins as all of them do.
    #[inline]
    pub(super) fn begin(
        (method, path): (&'static str, &'a str),
        authority: &'a str,
        token: Option<&'a ProviderToken>,
        body: &'a [u8],
    ) -> Self {
        const EMPTY: Header<'static> = Header {
            name: "",
            value: "",
            indexing: Indexing::Without,
        };
        let mut request = Self {
            method,
            path,
            authority,
            headers: [EMPTY; HEADERS_MAX],
            count: 0,
            body,
        };
        if let Some(token) = token {
            request.push("authorization", token.authorization(), Indexing::Without);
        }
        request
    }

    #[inline]
    pub(super) fn push(&mut self, name: &'static str, value: &'a str, indexing: Indexing) {
        if let Some(place) = self.headers.get_mut(self.count) {
            *place = Header {
                name,
                value,
                indexing,
            };
            self.count += 1;
        }
    }
}

/// Says nothing of device or credential.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_http2().fmt(f)
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
        use Indexing::{Incremental, Without};
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
        path.push_str(DEVICES);
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
        let http2 = request.as_http2();
        let headers = http2.headers.iter();
        headers
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
        let http2 = request.as_http2();
        assert_eq!(http2.headers.len(), HEADERS_MAX);
        assert_eq!((http2.method, http2.scheme), ("POST", "https"));
        assert_eq!(http2.path, format!("/3/device/{}", "ab".repeat(32)));
        assert_eq!(http2.authority, "api.push.apple.com");
        assert_eq!(
            lines(&request),
            [
                &format!("authorization: bearer {}", token.as_jwt()),
                "apns-topic: com.example.app",
                "apns-push-type: alert",
                "apns-priority: 10",
                "apns-id: 00000000-0000-4000-8000-000000000000",
                "apns-expiration: 420",
                "apns-collapse-id: game 7",
            ]
        );
        assert_eq!(http2.body, br#"{"aps":{"alert":"secret"}}"#);
    }

    #[test]
    fn a_refilled_buffer_keeps_nothing_of_the_last_request() {
        let mut buffer = RequestBuffer::new();
        let full = draft()
            .id(ApnsId::from_random([1; 16]))
            .expiration(Expiration::Once)
            .build()
            .unwrap();
        assert_eq!(lines(&buffer.fill(&full, "a", None)).len(), 5);
        let plain = draft().build().unwrap();
        let request = buffer.fill(&plain, "a", None);
        let names: Vec<_> = request.as_http2().headers.iter().map(|h| h.name).collect();
        assert_eq!(names, ["apns-topic", "apns-push-type", "apns-priority"]);
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
        let http2 = request.as_http2();
        let without = http2.headers.iter();
        let without = without.filter(|header| header.indexing == Indexing::Without);
        let without: Vec<_> = without.map(|header| header.name).collect();
        assert_eq!(
            without,
            [
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
        assert!(text.contains("apns-topic: 15 octets"), "{text}");
        for secret in ["abab", "eyJ", "secret"] {
            assert!(
                !text.contains(secret) && !format!("{buffer:?}").contains(secret),
                "{text}"
            );
        }
    }
}
