//! What the rules of all three APIs look at: one request with its body read, and why it is not
//! accepted.
//!
//! Source: Apple, *Sending notification requests to APNs* (`docs/protocols.md` 3.2) and *Sending
//! broadcast push notification requests to APNs* (3.7).
//!
//! | call | path | its identifier |
//! |---|---|---|
//! | push | `/3/device/<token>` | `apns-id` |
//! | broadcast | `/4/broadcasts/apps/<bundle id>` | `apns-request-id` |
//! | channels | `/1/apps/<bundle id>/channels`, at an address of their own | `apns-request-id` |

use http::{HeaderMap, Method};

use super::authorization::Authorization;
use crate::config::{Config, Environment};
use crate::ids::is_canonical_uuid;
use crate::journal::Call;
use crate::reason::Reason;
use crate::state::State;
use crate::stats::Service;

/// A request with its body read.
pub(super) struct Request<'a> {
    pub(super) call: Call,
    /// Of the address it has come to.
    pub(super) environment: Environment,
    pub(super) method: &'a Method,
    /// Path and query, as sent.
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// The body, as far as it was kept.
    pub(super) body: &'a [u8],
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

/// Which of the three a request is.
pub(super) fn call_of(service: Service, path: &str) -> Call {
    match service {
        Service::Channels => Call::Channels,
        _ if path.starts_with(BROADCAST_PATH) => Call::Broadcast,
        _ => Call::Push,
    }
}

impl<'a> Request<'a> {
    /// The device token, as far as the path has one.
    pub(super) fn token(&self) -> &'a str {
        if self.call != Call::Push {
            return "";
        }
        self.path
            .strip_prefix(DEVICE_PATH)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or("")
    }

    /// The bundle id a broadcast or a call about channels names in its path; empty if there is
    /// none.
    pub(super) fn bundle_id(&self) -> &'a str {
        let rest = match self.call {
            Call::Push => None,
            Call::Broadcast => self.path.strip_prefix(BROADCAST_PATH),
            Call::Channels => self
                .path
                .strip_prefix(CHANNELS_PATH)
                .and_then(|rest| rest.rsplit_once('/'))
                .map(|(bundle_id, _)| bundle_id),
        };
        rest.unwrap_or("")
    }

    /// The channel a request names; empty if there is none.
    pub(super) fn channel(&self) -> &'a str {
        match self.call {
            Call::Push => "",
            _ => self
                .headers
                .get("apns-channel-id")
                .and_then(|value| value.to_str().ok())
                .unwrap_or(""),
        }
    }

    /// The header by which a request and its answer are identified.
    pub(super) fn id_header(&self) -> &'static str {
        match self.call {
            Call::Push => "apns-id",
            Call::Broadcast | Call::Channels => "apns-request-id",
        }
    }

    /// The client's identifier if it is one that can be echoed.
    pub(super) fn id(&self) -> Option<&'a str> {
        let value = self.headers.get(self.id_header())?.to_str().ok()?;
        is_canonical_uuid(value).then_some(value)
    }

    pub(super) fn check_id(&self) -> Result<(), Reason> {
        if self.headers.contains_key(self.id_header()) && self.id().is_none() {
            return Err(Reason::BadMessageId);
        }
        Ok(())
    }

    /// HTTP/2 itself lets a client split `cookie`, so that one may repeat.
    pub(super) fn check_repeated(&self) -> Result<(), Reason> {
        let mut names = self.headers.keys().filter(|name| *name != "cookie");
        if names.any(|name| self.headers.get_all(name).iter().nth(1).is_some()) {
            return Err(Reason::DuplicateHeaders);
        }
        Ok(())
    }

    /// Checks the provider token; that it was valid shows in `authorized` whatever comes after.
    pub(super) fn authorize(
        &self,
        state: &State,
        authorization: &mut Authorization,
        authorized: &mut bool,
    ) -> Result<(), Reason> {
        let header = self.headers.get("authorization");
        let header = header.map(|value| value.as_bytes());
        let now_s = state.now_ms() / 1000;
        authorization.check(header, &state.config, &state.tokens, now_s)?;
        *authorized = true;
        Ok(())
    }

    /// Whether there is an app with this topic.
    pub(super) fn is_app(config: &Config, topic: &str, bundle_id: &str) -> bool {
        let apps = config.topics.as_ref();
        apps.is_none_or(|apps| apps.iter().any(|app| app == topic || app == bundle_id))
    }

    /// `apns-expiration` in seconds since 1970.
    pub(super) fn expiration(&self) -> Result<Option<i64>, Reason> {
        let text = self.text("apns-expiration", Reason::BadExpirationDate)?;
        let parse = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| digits);
            number.ok_or(Reason::BadExpirationDate)
        };
        text.map(parse).transpose()
    }

    /// A header's value, or `otherwise` if it is not visible ASCII.
    pub(super) fn text(&self, name: &str, otherwise: Reason) -> Result<Option<&'a str>, Reason> {
        self.headers
            .get(name)
            .map(|value| value.to_str().map_err(|_| otherwise))
            .transpose()
    }
}

pub(super) const DEVICE_PATH: &str = "/3/device";
const BROADCAST_PATH: &str = "/4/broadcasts/apps/";
pub(super) const CHANNELS_PATH: &str = "/1/apps/";
