//! Turns a notification into a verdict: the first rule it breaks, in the order below.
//!
//! Source: Apple, *Binary Provider API* (`docs/protocols.md` 1.2 to 1.5).
//!
//! ```text
//! topic -> token size -> payload size -> payload -> priority -> device
//!  3, 6        5              7             1       128, 1        8
//! ```
//!
//! Decided here, where Apple is silent:
//! - A certificate without `UID` has no topic (3); a `UID` that cannot be a topic is of the wrong
//!   size (6).
//! - A token of fewer than [`MIN_UNDECLARED_TOKEN`] bytes that nobody declared is too short (5), so
//!   that a client has a token that is certainly refused.
//! - A payload that is no JSON object, and priority 10 for one that shows nothing, are processing
//!   errors (1): they could be parsed as a notification, so 128 would be wrong. Priority 10 that
//!   was not said passes, as it does for the provider API.
//! - A priority other than 5 and 10 is a protocol error (128).
//! - A token declared for another topic is an invalid one (8).

use serde_json::{Map, Value};

use super::frame::{MAX_PAYLOAD, MAX_TOKEN, Notification};
use super::status::StatusByte;
use crate::config::Validation;
use crate::reason::Reason;
use crate::state::State;
use crate::topic::is_topic;

/// What the gateway makes of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is taken, and nothing is said.
    Accepted,
    /// It is taken, but the app has gone from the device: the feedback service gets the token, with
    /// the time in seconds since 1970.
    Gone {
        since_s: u32,
    },
    Refused(StatusByte),
}

/// Judges a notification to `token`, its own in hexadecimal, from a client whose certificate says
/// `topic`.
pub(super) fn judge(
    notification: &Notification,
    token: &str,
    topic: Option<&str>,
    state: &State,
) -> Verdict {
    check(notification, token, topic, state).unwrap_or_else(Verdict::Refused)
}

fn check(
    notification: &Notification,
    token: &str,
    topic: Option<&str>,
    state: &State,
) -> Result<Verdict, StatusByte> {
    let topic = topic.ok_or(StatusByte::MISSING_TOPIC)?;
    if !is_topic(topic) {
        return Err(StatusByte::INVALID_TOPIC_SIZE);
    }
    check_token_size(notification, token, state)?;
    let is_simple = notification.command != 2;
    let at_most = match state.config.simple_payload_limit {
        limit if is_simple => limit.min(MAX_PAYLOAD),
        _ => MAX_PAYLOAD,
    };
    if notification.payload.len() > at_most {
        return Err(StatusByte::INVALID_PAYLOAD_SIZE);
    }
    if state.config.validation == Validation::AcceptAll {
        return Ok(Verdict::Accepted);
    }
    check_payload(notification)?;
    check_device(token, topic, state)
}

fn check_token_size(
    notification: &Notification,
    token: &str,
    state: &State,
) -> Result<(), StatusByte> {
    match notification.token.len() {
        MIN_UNDECLARED_TOKEN..=MAX_TOKEN => Ok(()),
        ..MIN_UNDECLARED_TOKEN if state.devices().is_declared(token) => Ok(()),
        _ => Err(StatusByte::INVALID_TOKEN_SIZE),
    }
}

fn check_payload(notification: &Notification) -> Result<(), StatusByte> {
    let root: Map<String, Value> =
        serde_json::from_slice(&notification.payload).map_err(|_| StatusByte::PROCESSING_ERROR)?;
    match notification.priority {
        Some(10) if is_silent(&root) => Err(StatusByte::PROCESSING_ERROR),
        None | Some(5 | 10) => Ok(()),
        Some(_) => Err(StatusByte::PROTOCOL_ERROR),
    }
}

/// Whether the app is woken and nothing else happens.
fn is_silent(root: &Map<String, Value>) -> bool {
    let aps = root.get("aps");
    let has = |key| aps.is_some_and(|aps| aps.get(key).is_some());
    has("content-available") && !["alert", "badge", "sound"].into_iter().any(has)
}

fn check_device(token: &str, topic: &str, state: &State) -> Result<Verdict, StatusByte> {
    if state.devices().is_for_another_topic(token, topic) {
        return Err(StatusByte::INVALID_TOKEN);
    }
    match state.obstacle(token, state.config.environment) {
        None => Ok(Verdict::Accepted),
        Some((Reason::Unregistered | Reason::ExpiredToken, since_ms)) => {
            let since_s = since_ms.unwrap_or_else(|| state.now_ms()) / 1000;
            Ok(Verdict::Gone {
                since_s: u32::try_from(since_s).unwrap_or(u32::MAX),
            })
        }
        Some(_) => Err(StatusByte::INVALID_TOKEN),
    }
}

/// Bytes of the shortest token that is good without being declared. Apple's had 32.
const MIN_UNDECLARED_TOKEN: usize = 8;

#[cfg(test)]
mod tests;
