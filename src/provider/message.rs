//! Whatever goes to APNs as a request: [`Message`], laid out by [`RequestBuffer::fill_message`].
//!
//! Source: Apple, *Sending broadcast push notification requests to APNs*, *Sending channel
//! management requests to APNs*. Devices are in [`super::request`](super::RequestBuffer::fill).
//!
//! | message | request |
//! |---|---|
//! | notification | `POST /3/device/<token>` |
//! | broadcast | `POST /4/broadcasts/apps/<bundle id>`, `apns-channel-id` `apns-expiration` `apns-priority` `apns-push-type` |
//! | channel: create | `POST /1/apps/<bundle id>/channels`, a body |
//! | channel: read, delete | `GET`, `DELETE` of the same, `apns-channel-id` |
//! | channel: list | `GET /1/apps/<bundle id>/all-channels` |
//!
//! Apple spells the push type in three ways. The header of a broadcast has `liveactivity`, as that
//! of a push to a device; the body that creates a channel has `LiveActivity`.
//!
//! `apns-request-id` and `apns-expiration` are without indexing, as `apns-id` is; the rest has
//! indexing, the channel too: whoever broadcasts does so to the same few again and again.

use core::fmt::Write as _;
use std::sync::Arc;

use super::channel::{ChannelCall, ChannelRequest, Wanted};
use super::request::{Request, RequestBuffer};
use crate::auth::ProviderToken;
use crate::http2::Indexing;
use crate::notification::{
    ApnsId, Broadcast, BundleId, Expiration, ExpiresAt, Notification, StoragePolicy, Topic,
};

/// What a connection to APNs carries. Cloning shares it.
#[derive(Clone, Debug)]
pub enum Message {
    /// To a device, at the provider API.
    Notification(Arc<Notification>),
    /// To the devices that follow a channel, at the same place.
    Broadcast(Arc<Broadcast>),
    /// About channels, at a place of its own.
    Channel(Arc<ChannelRequest>),
}

impl Message {
    /// The notification, if it is one.
    pub const fn notification(&self) -> Option<&Arc<Notification>> {
        match self {
            Self::Notification(notification) => Some(notification),
            Self::Broadcast(_) | Self::Channel(_) => None,
        }
    }

    /// The app that it is for or about, or one purpose of it.
    pub fn topic(&self) -> &Topic {
        match self {
            Self::Notification(notification) => notification.topic(),
            Self::Broadcast(broadcast) => broadcast.bundle_id().as_topic(),
            Self::Channel(request) => request.bundle_id.as_topic(),
        }
    }

    /// Whom too many requests can be for: the device, the channel, or the app whose channels they
    /// are. One who got too many is left alone for a while, and the others are not.
    pub fn recipient(&self) -> &[u8] {
        match self {
            Self::Notification(notification) => notification.token().as_bytes(),
            Self::Broadcast(broadcast) => broadcast.channel().as_str().as_bytes(),
            Self::Channel(request) => request.bundle_id.as_str().as_bytes(),
        }
    }

    /// What its answer is to tell.
    pub(super) fn wanted(&self) -> Wanted {
        match self {
            Self::Notification(_) | Self::Broadcast(_) => Wanted::Nothing,
            Self::Channel(request) => match request.call {
                ChannelCall::Create(_) => Wanted::NewChannel,
                ChannelCall::Read(_) => Wanted::Policy,
                ChannelCall::Delete(_) => Wanted::Nothing,
                ChannelCall::List => Wanted::Channels,
            },
        }
    }

    /// When it is of no use any more, if that was said.
    pub fn expires_at(&self) -> Option<ExpiresAt> {
        match self {
            Self::Notification(notification) => match notification.expiration() {
                Expiration::At(at) => Some(at),
                Expiration::StoragePolicy | Expiration::Once => None,
            },
            Self::Broadcast(broadcast) => broadcast.expires_at(),
            Self::Channel(_) => None,
        }
    }
}

impl From<Arc<Notification>> for Message {
    fn from(notification: Arc<Notification>) -> Self {
        Self::Notification(notification)
    }
}

impl From<Broadcast> for Message {
    fn from(broadcast: Broadcast) -> Self {
        Self::Broadcast(Arc::new(broadcast))
    }
}

impl From<ChannelRequest> for Message {
    fn from(request: ChannelRequest) -> Self {
        Self::Channel(Arc::new(request))
    }
}

impl RequestBuffer {
    /// As [`Self::fill`], for every kind of message.
    pub fn fill_message<'a>(
        &'a mut self,
        message: &'a Message,
        authority: &'a str,
        token: Option<&'a ProviderToken>,
    ) -> Request<'a> {
        match message {
            Message::Notification(notification) => self.fill(notification, authority, token),
            Message::Broadcast(broadcast) => self.fill_broadcast(broadcast, authority, token),
            Message::Channel(request) => self.fill_channel(request, authority, token),
        }
    }

    fn fill_broadcast<'a>(
        &'a mut self,
        broadcast: &'a Broadcast,
        authority: &'a str,
        token: Option<&'a ProviderToken>,
    ) -> Request<'a> {
        use Indexing::{Incremental, Without};
        self.write_path("/4/broadcasts/apps/", broadcast.bundle_id(), "");
        self.write_id(broadcast.id());
        self.expiration.clear();
        // Writing to a String does not fail.
        let _ = write!(self.expiration, "{}", broadcast.expiration_secs());
        let body = broadcast.payload().as_bytes();
        let mut request = Request::begin(("POST", &self.path), authority, token, body);
        request.push("apns-channel-id", broadcast.channel().as_str(), Incremental);
        request.push("apns-expiration", &self.expiration, Without);
        request.push("apns-priority", broadcast.priority().as_str(), Incremental);
        request.push("apns-push-type", Broadcast::PUSH_TYPE.as_str(), Incremental);
        self.with_id(request)
    }

    fn fill_channel<'a>(
        &'a mut self,
        request: &'a ChannelRequest,
        authority: &'a str,
        token: Option<&'a ProviderToken>,
    ) -> Request<'a> {
        let ChannelRequest {
            bundle_id,
            call,
            id,
        } = request;
        let (method, collection, channel, body) = match call {
            ChannelCall::Create(policy) => ("POST", "/channels", None, creation(*policy)),
            ChannelCall::Read(channel) => ("GET", "/channels", Some(channel), ""),
            ChannelCall::Delete(channel) => ("DELETE", "/channels", Some(channel), ""),
            ChannelCall::List => ("GET", "/all-channels", None, ""),
        };
        self.write_path("/1/apps/", bundle_id, collection);
        self.write_id(*id);
        let start = (method, self.path.as_str());
        let mut request = Request::begin(start, authority, token, body.as_bytes());
        if let Some(channel) = channel {
            let indexing = Indexing::Incremental;
            request.push("apns-channel-id", channel.as_str(), indexing);
        }
        self.with_id(request)
    }

    fn with_id<'a>(&'a self, mut request: Request<'a>) -> Request<'a> {
        if !self.id.is_empty() {
            request.push("apns-request-id", &self.id, Indexing::Without);
        }
        request
    }

    fn write_path(&mut self, before: &str, bundle_id: &BundleId, after: &str) {
        self.path.clear();
        for part in [before, bundle_id.as_str(), after] {
            self.path.push_str(part);
        }
    }

    fn write_id(&mut self, id: Option<ApnsId>) {
        self.id.clear();
        if let Some(id) = id {
            id.write(&mut self.id);
        }
    }
}

/// The body that creates a channel.
const fn creation(policy: StoragePolicy) -> &'static str {
    match policy {
        StoragePolicy::NoMessage => r#"{"message-storage-policy":0,"push-type":"LiveActivity"}"#,
        StoragePolicy::MostRecentMessage => {
            r#"{"message-storage-policy":1,"push-type":"LiveActivity"}"#
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{ChannelId, DeviceToken, Draft, Payload, Priority};

    const CHANNEL: &str = "dHN0LXNyY2gtY2hubA==";

    fn bundle_id() -> BundleId {
        BundleId::new(Topic::parse("com.example.app").unwrap()).unwrap()
    }

    fn lines(message: &Message) -> (Vec<String>, String) {
        let mut buffer = RequestBuffer::new();
        let request = buffer.fill_message(message, "h", None);
        let request = request.as_http2();
        let pseudo = [
            (":method", request.method),
            (":scheme", request.scheme),
            (":path", request.path),
            (":authority", request.authority),
        ];
        let headers = request.headers.iter();
        let headers = headers.map(|header| (header.name, header.value));
        let lines = pseudo.into_iter().chain(headers);
        let lines = lines.map(|(name, value)| format!("{name}: {value}"));
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        (lines.collect(), body)
    }

    fn channel(call: ChannelCall) -> (Vec<String>, String) {
        let (bundle_id, id) = (bundle_id(), None);
        lines(&Message::from(ChannelRequest {
            bundle_id,
            call,
            id,
        }))
    }

    /// BC-SEND: four headers are required.
    #[test]
    fn a_broadcast() {
        let payload = Payload::parse(br#"{"aps":{"event":"end"} }"#).unwrap();
        let channel = ChannelId::parse(CHANNEL).unwrap();
        let plain = Broadcast::new(bundle_id(), channel, payload).unwrap();
        let (headers, body) = lines(&Message::from(plain.clone()));
        assert_eq!(
            headers,
            [
                ":method: POST",
                ":scheme: https",
                ":path: /4/broadcasts/apps/com.example.app",
                ":authority: h",
                "apns-channel-id: dHN0LXNyY2gtY2hubA==",
                "apns-expiration: 0",
                "apns-priority: 10",
                "apns-push-type: liveactivity",
            ]
        );
        assert_eq!(body, r#"{"aps":{"event":"end"} }"#);
        let Ok(Expiration::At(at)) = Expiration::from_unix_secs(1_000) else {
            panic!()
        };
        let full = plain
            .expiring_at(at)
            .with_priority(Priority::PowerSaving)
            .with_id(ApnsId::from_random([0; 16]));
        let (headers, _) = lines(&Message::from(full));
        assert_eq!(
            headers.get(5..),
            Some(
                &[
                    "apns-expiration: 1000".to_owned(),
                    "apns-priority: 5".to_owned(),
                    "apns-push-type: liveactivity".to_owned(),
                    "apns-request-id: 00000000-0000-4000-8000-000000000000".to_owned(),
                ][..]
            )
        );
    }

    /// BC-CHAN: the four calls.
    #[test]
    fn the_calls_about_channels() {
        let id = || ChannelId::parse(CHANNEL).unwrap();
        for (call, method, path, named, body) in [
            (
                ChannelCall::Create(StoragePolicy::NoMessage),
                "POST",
                "channels",
                false,
                r#"{"message-storage-policy":0,"push-type":"LiveActivity"}"#,
            ),
            (
                ChannelCall::Create(StoragePolicy::MostRecentMessage),
                "POST",
                "channels",
                false,
                r#"{"message-storage-policy":1,"push-type":"LiveActivity"}"#,
            ),
            (ChannelCall::Read(id()), "GET", "channels", true, ""),
            (ChannelCall::Delete(id()), "DELETE", "channels", true, ""),
            (ChannelCall::List, "GET", "all-channels", false, ""),
        ] {
            let (headers, sent) = channel(call);
            let mut expected = vec![
                format!(":method: {method}"),
                ":scheme: https".to_owned(),
                format!(":path: /1/apps/com.example.app/{path}"),
                ":authority: h".to_owned(),
            ];
            expected.extend(named.then(|| format!("apns-channel-id: {CHANNEL}")));
            assert_eq!((headers, sent.as_str()), (expected, body));
        }
    }
    #[test]
    fn recipient_and_expiration_of_each_kind() {
        let Ok(Expiration::At(at)) = Expiration::from_unix_secs(1_000) else {
            panic!()
        };
        let payload = || Payload::parse(b"{}").unwrap();
        let token = DeviceToken::from_bytes(&[7; 32]).unwrap();
        let topic = Topic::parse("com.example.app").unwrap();
        let draft = Draft::new(token, topic, payload());
        for (expiration, expected) in [
            (Expiration::At(at), Some(at)),
            (Expiration::Once, None),
            (Expiration::StoragePolicy, None),
        ] {
            let notification = draft.clone().expiration(expiration).build().unwrap();
            let message = Message::from(Arc::new(notification));
            assert_eq!(message.expires_at(), expected);
            assert_eq!(message.recipient(), [7; 32]);
        }
        let channel = ChannelId::parse(CHANNEL).unwrap();
        let plain = Broadcast::new(bundle_id(), channel, payload()).unwrap();
        assert_eq!(Message::from(plain.clone()).expires_at(), None);
        let message = Message::from(plain.expiring_at(at));
        assert_eq!(message.expires_at(), Some(at));
        assert_eq!(message.recipient(), CHANNEL.as_bytes());
        let message = Message::from(ChannelRequest {
            bundle_id: bundle_id(),
            call: ChannelCall::List,
            id: None,
        });
        assert_eq!(message.expires_at(), None);
        assert_eq!(message.recipient(), b"com.example.app");
    }
}
