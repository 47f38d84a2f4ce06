//! Turns one call about channels into the first rule it breaks, or into what it asks for.
//!
//! Source: Apple, *Sending channel management requests to APNs* and *Handling error responses from
//! Apple Push Notification service* (`docs/protocols.md` 3.7).
//!
//! ```text
//! POST   /1/apps/<bundle id>/channels       {"message-storage-policy":0 or 1,"push-type":…}
//! GET    /1/apps/<bundle id>/channels       apns-channel-id
//! DELETE /1/apps/<bundle id>/channels       apns-channel-id
//! GET    /1/apps/<bundle id>/all-channels
//!
//! path -> method -> repeated headers -> apns-request-id -> authorization -> bundle id -> feature
//!      -> channel, or body
//! ```
//!
//! Decided here, where Apple is silent: a missing or impossible `message-storage-policy` is
//! BadRequestParams, as an unknown attribute is; a JSON body that is no object is
//! BadRequestPayload. To read or to delete what is not there is ChannelNotRegistered, as
//! documented; one gateway has seen 404 BadPath for the latter, which a fault can play.

use http::Method;
use serde_json::{Map, Value};

use super::authorization::Authorization;
use super::broadcast::is_live_activity;
use super::effect::Effect;
use super::request::{CHANNELS_PATH, Rejection, Request};
use crate::channels::StoragePolicy;
use crate::reason::Reason;
use crate::state::State;

/// What a call is about, by its path and method.
enum Verb {
    Create,
    Read,
    Delete,
    List,
}

impl<'a> Request<'a> {
    /// Finds the first rule a call breaks. Whether the provider token was valid shows in
    /// `authorized`.
    pub(super) fn check_channels(
        &self,
        state: &State,
        authorization: &mut Authorization,
        authorized: &mut bool,
    ) -> Result<Effect<'a>, Rejection> {
        let verb = self.verb()?;
        self.check_repeated()?;
        self.check_id()?;
        self.authorize(state, authorization, authorized)?;
        self.check_app(state, authorization)?;
        let bundle_id = self.bundle_id();
        Ok(match verb {
            Verb::Create => Effect::Create {
                bundle_id,
                policy: self.check_attributes()?,
            },
            Verb::Read => Effect::Read {
                bundle_id,
                channel_id: self.check_channel()?,
            },
            Verb::Delete => Effect::Delete {
                bundle_id,
                channel_id: self.check_channel()?,
            },
            Verb::List => Effect::List { bundle_id },
        })
    }

    fn verb(&self) -> Result<Verb, Reason> {
        let parts = self
            .path
            .strip_prefix(CHANNELS_PATH)
            .and_then(|rest| rest.split_once('/'));
        match parts {
            None | Some(("", _)) => Err(Reason::BadPath),
            Some((_, "all-channels")) if *self.method == Method::GET => Ok(Verb::List),
            Some((_, "all-channels")) => Err(Reason::MethodNotAllowed),
            Some((_, "channels")) => match *self.method {
                Method::POST => Ok(Verb::Create),
                Method::GET => Ok(Verb::Read),
                Method::DELETE => Ok(Verb::Delete),
                _ => Err(Reason::MethodNotAllowed),
            },
            Some(_) => Err(Reason::BadPath),
        }
    }

    /// What the channel to be made is like.
    fn check_attributes(&self) -> Result<StoragePolicy, Reason> {
        let Value::Object(attributes) = self.check_json()? else {
            return Err(Reason::BadRequestPayload);
        };
        let known = ["message-storage-policy", "push-type"];
        if attributes
            .keys()
            .any(|name| !known.contains(&name.as_str()))
        {
            return Err(Reason::BadRequestParams);
        }
        match attributes.get("push-type") {
            None => return Err(Reason::MissingPushType),
            Some(Value::String(name)) if is_live_activity(name) => {}
            Some(_) => return Err(Reason::InvalidPushType),
        }
        policy(&attributes).ok_or(Reason::BadRequestParams)
    }
}

fn policy(attributes: &Map<String, Value>) -> Option<StoragePolicy> {
    let number = attributes.get("message-storage-policy")?.as_u64()?;
    StoragePolicy::try_from(u8::try_from(number).ok()?).ok()
}

#[cfg(test)]
mod tests;
