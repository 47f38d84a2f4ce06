//! Turns one broadcast into the first rule it breaks, or into the channel it goes to.
//!
//! Source: Apple, *Sending broadcast push notification requests to APNs* and *Handling error
//! responses from Apple Push Notification service* (`docs/protocols.md` 3.7; for the host, 6).
//!
//! ```text
//! method -> path -> repeated headers -> apns-request-id -> authorization -> bundle id -> feature
//!        -> channel -> push type -> expiration -> priority -> payload
//! ```
//!
//! Decided here, where Apple is silent or of several minds: the case of `liveactivity` does not
//! matter, because Apple spells it in three ways; a missing header that has no reason of its own
//! gets that of a bad one; what cannot be a bundle id is TopicDisallowed.

use http::Method;

use super::authorization::Authorization;
use super::effect::Effect;
use super::push_type;
use super::request::{Rejection, Request};
use crate::channels::{StoragePolicy, is_channel_id};
use crate::reason::Reason;
use crate::state::State;
use crate::topic::is_topic;

impl<'a> Request<'a> {
    /// Finds the first rule a broadcast breaks. Whether the provider token was valid shows in
    /// `authorized`.
    pub(super) fn check_broadcast(
        &self,
        state: &State,
        authorization: &mut Authorization,
        authorized: &mut bool,
    ) -> Result<Effect<'a>, Rejection> {
        if *self.method != Method::POST {
            return Err(Reason::MethodNotAllowed.into());
        }
        let bundle_id = self.bundle_id();
        if bundle_id.is_empty() || bundle_id.contains(['/', '?']) {
            return Err(Reason::BadPath.into());
        }
        self.check_repeated()?;
        self.check_id()?;
        self.authorize(state, authorization, authorized)?;
        self.check_app(state, authorization)?;
        let channel_id = self.check_channel()?;
        let policy = state
            .channels_in(self.environment)
            .read(bundle_id, channel_id)?
            .message_storage_policy;
        match self.text("apns-push-type", Reason::InvalidPushType)? {
            None => return Err(Reason::MissingPushType.into()),
            Some(name) if !is_live_activity(name) => return Err(Reason::InvalidPushType.into()),
            Some(_) => {}
        }
        match (self.expiration()?, policy) {
            (Some(0), _) | (Some(_), StoragePolicy::MostRecentMessage) => {}
            _ => return Err(Reason::BadExpirationDate.into()),
        }
        match self.text("apns-priority", Reason::BadPriority)? {
            Some("10" | "5" | "1") => {}
            _ => return Err(Reason::BadPriority.into()),
        }
        self.check_json()?;
        Ok(Effect::Broadcast {
            bundle_id,
            channel_id,
        })
    }

    /// Whether the provider token may speak for the app, and the app may broadcast.
    pub(super) fn check_app(
        &self,
        state: &State,
        authorization: &Authorization,
    ) -> Result<(), Reason> {
        let bundle_id = self.bundle_id();
        if !is_topic(bundle_id) || push_type::bundle_id(bundle_id) != bundle_id {
            return Err(Reason::TopicDisallowed);
        }
        if !authorization.allows(bundle_id, bundle_id)
            || !Self::is_app(&state.config, bundle_id, bundle_id)
        {
            return Err(Reason::TopicMismatch);
        }
        let enabled = state.config.broadcast_apps.as_ref();
        if enabled.is_some_and(|apps| !apps.iter().any(|app| app == bundle_id)) {
            return Err(Reason::FeatureNotEnabled);
        }
        Ok(())
    }

    /// The channel named, which need not be there.
    pub(super) fn check_channel(&self) -> Result<&'a str, Reason> {
        if !self.headers.contains_key("apns-channel-id") {
            return Err(Reason::MissingChannelId);
        }
        let channel_id = self.channel();
        if is_channel_id(channel_id) {
            Ok(channel_id)
        } else {
            Err(Reason::BadChannelId)
        }
    }

    /// The size of the body, and that it is JSON.
    pub(super) fn check_json(&self) -> Result<serde_json::Value, Reason> {
        match self.length {
            0 => Err(Reason::PayloadEmpty),
            1..=MAX_PAYLOAD => {
                serde_json::from_slice(self.body).map_err(|_| Reason::BadRequestPayload)
            }
            _ => Err(Reason::PayloadTooLarge),
        }
    }
}

/// Whether this is the one push type that can be broadcast.
pub(super) fn is_live_activity(name: &str) -> bool {
    name.eq_ignore_ascii_case("liveactivity")
}

/// Bytes of a broadcast. Apple says nothing of the body of a call about channels, so it gets the
/// same.
const MAX_PAYLOAD: usize = 5120;

#[cfg(test)]
mod tests;
