//! Turns a verdict, or the fault that replaces it, into the HTTP/2 response APNs would send.
//!
//! Source: Apple, *Handling notification responses from APNs* (`docs/protocols.md` 3.4): `apns-id`
//! always, `apns-unique-id` in the development environment, an empty body with 200, else JSON with
//! `reason` and, with 410, `timestamp` in milliseconds. Broadcasts and calls about channels (3.7)
//! have `apns-request-id` instead, accepted broadcasts `apns-unique-id` in both environments, and a
//! new channel `apns-channel-id`.

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderValue, Response, StatusCode};

use super::effect::Accepted;
use super::request::Rejection;
use crate::fault::Action;

/// A response that has not been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reason: Option<String>,
    /// Under what name the identifier is sent.
    id_header: &'static str,
    pub(super) id: String,
    pub(super) unique_id: Option<String>,
    pub(super) channel_id: Option<String>,
    retry_after: Option<u32>,
    body: Bytes,
}

impl Answer {
    /// The answer to a request that was accepted, or not.
    pub(super) fn new(
        verdict: Result<Accepted, Rejection>,
        id_header: &'static str,
        id: String,
    ) -> Self {
        let empty = Self {
            status: 200,
            reason: None,
            id_header,
            id,
            unique_id: None,
            channel_id: None,
            retry_after: None,
            body: Bytes::new(),
        };
        match verdict {
            Ok(accepted) => Self {
                status: accepted.status,
                channel_id: accepted.channel_id,
                body: accepted.body.into(),
                ..empty
            },
            Err(Rejection {
                reason,
                timestamp_ms,
            }) => {
                let (status, reason) = reason.row();
                empty.with(status, Some(reason), timestamp_ms)
            }
        }
    }

    /// The answer a fault puts in the place of this one.
    pub(super) fn replaced(self, action: &Action) -> Self {
        match action {
            Action::Status {
                status,
                reason,
                timestamp_ms,
                retry_after,
            } => {
                let replaced = self.with(sendable(*status), reason.as_deref(), *timestamp_ms);
                Self {
                    retry_after: *retry_after,
                    ..replaced
                }
            }
            Action::Body { status, body } => {
                let body = Bytes::copy_from_slice(body);
                Self {
                    status: sendable(*status),
                    reason: None,
                    unique_id: None,
                    channel_id: None,
                    body,
                    ..self
                }
            }
            _ => self,
        }
    }

    fn with(self, status: u16, reason: Option<&str>, timestamp_ms: Option<u64>) -> Self {
        let body = match (reason, timestamp_ms) {
            (None, _) => String::new(),
            (Some(reason), None) => serde_json::json!({ "reason": reason }).to_string(),
            (Some(reason), Some(timestamp)) => {
                serde_json::json!({ "reason": reason, "timestamp": timestamp }).to_string()
            }
        };
        let reason = reason.map(str::to_owned);
        Self {
            status,
            reason,
            unique_id: None,
            channel_id: None,
            body: body.into(),
            ..self
        }
    }

    /// Sends it. An error means the stream or its connection is gone.
    pub(super) fn send(self, respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
        let mut response = Response::new(());
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        for (name, value) in [
            (self.id_header, Some(self.id)),
            ("apns-unique-id", self.unique_id),
            ("apns-channel-id", self.channel_id),
        ] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        if let Some(seconds) = self.retry_after {
            headers.insert("retry-after", HeaderValue::from(seconds));
        }
        let mut stream = respond.send_response(response, self.body.is_empty())?;
        if self.body.is_empty() {
            Ok(())
        } else {
            stream.send_data(self.body, true)
        }
    }
}

/// A status that can end a request.
fn sendable(status: u16) -> u16 {
    if (200..600).contains(&status) {
        status
    } else {
        500
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    #[test]
    fn a_rejection_becomes_its_status_and_json() {
        let gone = Rejection {
            reason: Reason::Unregistered,
            timestamp_ms: Some(1_458_114_061_260),
        };
        let new = |verdict| Answer::new(verdict, "apns-id", "id".into());
        let answer = new(Err(gone));
        assert_eq!(answer.status, 410);
        assert_eq!(
            answer.body,
            r#"{"reason":"Unregistered","timestamp":1458114061260}"#
        );
        let answer = new(Err(Reason::BadTopic.into()));
        assert_eq!(
            (answer.status, &answer.body[..]),
            (400, &br#"{"reason":"BadTopic"}"#[..])
        );
        assert!(new(Ok(Accepted::new())).body.is_empty());
    }

    #[test]
    fn a_status_that_ends_no_request_becomes_500() {
        for status in [0, 100, 199, 600, 1000] {
            let action = Action::Body {
                status,
                body: Vec::new(),
            };
            let answer = Answer::new(Ok(Accepted::new()), "apns-id", "id".into());
            assert_eq!(answer.replaced(&action).status, 500);
        }
    }
}
