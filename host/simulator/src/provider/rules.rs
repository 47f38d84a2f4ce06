//! Turns one request of the provider API into the first rule it breaks, in Apple's order.
//!
//! Source: Apple, *Sending notification requests to APNs* and *Handling notification responses from
//! APNs* (`apns-facts.md` 3.2 to 3.4); the rows `mock_server_rule` of the vectors.
//!
//! ```text
//! method -> path and token -> repeated headers -> apns-id -> authorization -> topic -> push type
//!        -> expiration -> priority -> collapse id -> payload size -> device
//! ```
//!
//! Decided here, where Apple is silent: a path with anything behind the token is BadPath; uppercase in
//! `apns-id` is BadMessageId (the documents say lowercase); `background` without a priority passes though
//! the default is 10; an empty topic is BadTopic.

use http::{HeaderMap, Method};

use super::authorization::Authorization;
use super::push_type;
use crate::devices::is_token;
use crate::ids::is_canonical_uuid;
use crate::reason::Reason;
use crate::topic;
use crate::world::World;

/// A request with its body read.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    /// Path and query, as sent.
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// Bytes of the body.
    pub(super) length: usize,
}

/// Why a request is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) reason: Reason,
    /// For a 410: since when, in milliseconds.
    pub(super) timestamp_ms: Option<u64>,
}

impl From<Reason> for Rejection {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            timestamp_ms: None,
        }
    }
}

impl Request<'_> {
    /// The device token, as far as the path has one.
    pub(super) fn token(&self) -> &str {
        self.path
            .strip_prefix(DEVICE_PATH)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or("")
    }

    /// The client's `apns-id` if it is one that can be echoed.
    pub(super) fn id(&self) -> Option<&str> {
        let value = self.headers.get("apns-id")?.to_str().ok()?;
        is_canonical_uuid(value).then_some(value)
    }

    /// Finds the first broken rule. Whether the provider token was valid shows in `authorized`.
    pub(super) fn check(
        &self,
        world: &World,
        authorization: &mut Authorization,
        authorized: &mut bool,
    ) -> Result<(), Rejection> {
        if *self.method != Method::POST {
            return Err(Reason::MethodNotAllowed.into());
        }
        self.check_path()?;
        self.check_repeated()?;
        if self.headers.contains_key("apns-id") && self.id().is_none() {
            return Err(Reason::BadMessageId.into());
        }
        let header = self
            .headers
            .get("authorization")
            .map(|value| value.as_bytes());
        authorization.check(header, &world.config, world.now_ms() / 1000)?;
        *authorized = true;
        let topic = self.check_topic(world, authorization)?;
        let push_type = self.check_push_type(topic)?;
        self.check_numbers(push_type)?;
        if self
            .headers
            .get("apns-collapse-id")
            .is_some_and(|id| id.len() > MAX_COLLAPSE_ID)
        {
            return Err(Reason::BadCollapseId.into());
        }
        self.check_payload(push_type, topic)?;
        self.check_device(world)
    }

    fn check_device(&self, world: &World) -> Result<(), Rejection> {
        let obstacle = world
            .devices()
            .obstacle(self.token(), world.config.only_declared_devices);
        obstacle.map_or(Ok(()), |(reason, timestamp_ms)| {
            Err(Rejection {
                reason,
                timestamp_ms,
            })
        })
    }

    fn check_path(&self) -> Result<(), Reason> {
        let rest = self.path.strip_prefix(DEVICE_PATH).ok_or(Reason::BadPath)?;
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Err(Reason::MissingDeviceToken),
            None => Err(Reason::BadPath),
            Some("") => Err(Reason::MissingDeviceToken),
            Some(token) if token.contains('/') => Err(Reason::BadPath),
            Some(token) if !is_token(token) => Err(Reason::BadDeviceToken),
            Some(_) => Ok(()),
        }
    }

    /// HTTP/2 itself lets a client split `cookie`, so that one may repeat.
    fn check_repeated(&self) -> Result<(), Reason> {
        let mut names = self.headers.keys().filter(|name| *name != "cookie");
        if names.any(|name| self.headers.get_all(name).iter().nth(1).is_some()) {
            return Err(Reason::DuplicateHeaders);
        }
        Ok(())
    }

    fn check_topic(&self, world: &World, authorization: &Authorization) -> Result<&str, Reason> {
        let topic = self
            .text("apns-topic", Reason::BadTopic)?
            .ok_or(Reason::MissingTopic)?;
        if !topic::is_topic(topic) {
            return Err(Reason::BadTopic);
        }
        if !authorization.allows(topic, push_type::bundle_id(topic)) {
            return Err(Reason::TopicDisallowed);
        }
        if world.devices().is_for_another_topic(self.token(), topic) {
            return Err(Reason::DeviceTokenNotForTopic);
        }
        Ok(topic)
    }

    fn check_push_type(&self, topic: &str) -> Result<Option<&str>, Reason> {
        let push_type = self.text("apns-push-type", Reason::InvalidPushType)?;
        push_type.map_or(Ok(()), |push_type| push_type::check(push_type, topic))?;
        Ok(push_type)
    }

    fn check_numbers(&self, push_type: Option<&str>) -> Result<(), Reason> {
        let expiration = self.text("apns-expiration", Reason::BadExpirationDate)?;
        if expiration.is_some_and(|text| !is_date(text)) {
            return Err(Reason::BadExpirationDate);
        }
        match (self.text("apns-priority", Reason::BadPriority)?, push_type) {
            (Some("10"), Some("background")) => Err(Reason::BadPriority),
            (None | Some("10" | "5" | "1"), _) => Ok(()),
            (Some(_), _) => Err(Reason::BadPriority),
        }
    }

    fn check_payload(&self, push_type: Option<&str>, topic: &str) -> Result<(), Reason> {
        let is_voip = push_type.map_or(topic.ends_with(".voip"), |name| name == "voip");
        match self.length {
            0 => Err(Reason::PayloadEmpty),
            length
                if length
                    > if is_voip {
                        MAX_VOIP_PAYLOAD
                    } else {
                        MAX_PAYLOAD
                    } =>
            {
                Err(Reason::PayloadTooLarge)
            }
            _ => Ok(()),
        }
    }

    /// A header's value, or `otherwise` if it is not visible ASCII.
    fn text(&self, name: &str, otherwise: Reason) -> Result<Option<&str>, Reason> {
        self.headers
            .get(name)
            .map(|value| value.to_str().map_err(|_| otherwise))
            .transpose()
    }
}

/// UNIX seconds: digits only, and a number a signed 64-bit clock can hold.
fn is_date(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_ok()
}

const DEVICE_PATH: &str = "/3/device";

/// Bytes, not characters.
const MAX_COLLAPSE_ID: usize = 64;

/// Bytes of a payload of any push type but `voip`.
const MAX_PAYLOAD: usize = 4096;

/// Bytes of a `voip` payload.
pub(super) const MAX_VOIP_PAYLOAD: usize = 5120;

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
