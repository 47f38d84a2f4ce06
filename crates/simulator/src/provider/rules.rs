//! Turns one push to a device into the first rule it breaks, in Apple's order.
//!
//! Source: Apple, *Sending notification requests to APNs* and *Handling notification responses from
//! APNs* (`docs/protocols.md` 3.2 to 3.4); the rows `mock_server_rule` of the vectors.
//!
//! ```text
//! method -> path and token -> repeated headers -> apns-id -> authorization -> topic -> push type
//!        -> expiration -> priority -> collapse id -> payload size -> device
//! ```
//!
//! Decided here, where Apple is silent: a path with anything behind the token is BadPath; uppercase
//! in `apns-id` is BadMessageId (the documents say lowercase); `background` without a priority
//! passes though the default is 10; an empty topic is BadTopic; `location`, which wants a provider
//! token, is InvalidPushType with a certificate.

use http::Method;

use super::authorization::Authorization;
use super::push_type;
use super::request::{DEVICE_PATH, Rejection, Request};
use crate::devices::is_token;
use crate::reason::Reason;
use crate::state::State;
use crate::topic;

impl Request<'_> {
    /// Finds the first rule a push breaks. Whether the provider token was valid shows in
    /// `authorized`.
    pub(super) fn check_push(
        &self,
        state: &State,
        authorization: &mut Authorization,
        authorized: &mut bool,
    ) -> Result<(), Rejection> {
        if *self.method != Method::POST {
            return Err(Reason::MethodNotAllowed.into());
        }
        self.check_path()?;
        self.check_repeated()?;
        self.check_id()?;
        self.authorize(state, authorization, authorized)?;
        let topic = self.check_topic(state, authorization)?;
        let push_type = self.check_push_type(topic, authorization)?;
        self.check_numbers(push_type)?;
        if self
            .headers
            .get("apns-collapse-id")
            .is_some_and(|id| id.len() > MAX_COLLAPSE_ID)
        {
            return Err(Reason::BadCollapseId.into());
        }
        self.check_payload(push_type, topic)?;
        self.check_device(state)
    }

    fn check_device(&self, state: &State) -> Result<(), Rejection> {
        let obstacle = state.obstacle(self.token(), self.environment);
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

    fn check_topic<'t>(
        &'t self,
        state: &State,
        authorization: &'t Authorization,
    ) -> Result<&'t str, Reason> {
        let topic = self
            .text("apns-topic", Reason::BadTopic)?
            .or(authorization.default_topic())
            .ok_or(Reason::MissingTopic)?;
        if !topic::is_topic(topic) {
            return Err(Reason::BadTopic);
        }
        let bundle_id = push_type::bundle_id(topic);
        if !authorization.allows(topic, bundle_id) || !Self::is_app(&state.config, topic, bundle_id)
        {
            return Err(Reason::TopicDisallowed);
        }
        if state.devices().is_for_another_topic(self.token(), topic) {
            return Err(Reason::DeviceTokenNotForTopic);
        }
        Ok(topic)
    }

    fn check_push_type(
        &self,
        topic: &str,
        authorization: &Authorization,
    ) -> Result<Option<&str>, Reason> {
        let push_type = self.text("apns-push-type", Reason::InvalidPushType)?;
        if push_type == Some("location") && authorization.default_topic().is_some() {
            return Err(Reason::InvalidPushType);
        }
        push_type.map_or(Ok(()), |push_type| push_type::check(push_type, topic))?;
        Ok(push_type)
    }

    fn check_numbers(&self, push_type: Option<&str>) -> Result<(), Reason> {
        self.expiration()?;
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
}

/// Bytes, not characters.
const MAX_COLLAPSE_ID: usize = 64;

/// Bytes of a payload of any push type but `voip`.
const MAX_PAYLOAD: usize = 4096;

/// Bytes of a `voip` payload.
pub(super) const MAX_VOIP_PAYLOAD: usize = 5120;

#[cfg(test)]
mod tests;
