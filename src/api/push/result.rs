//! What became of a push to one device, as the reply tells it.

use serde::Serialize;

use crate::notification::{ApnsId, DeviceToken};
use crate::provider::Outcome;
use crate::time::UnixTime;

/// What became of a push to one device.
#[derive(Clone, Debug)]
pub struct PushResult {
    /// The device.
    pub token: DeviceToken,
    /// The identifier that was sent.
    pub apns_id: ApnsId,
    /// `None` for a dry run.
    pub outcome: Option<Outcome>,
    /// What the way to APNs suffers from, where that explains the outcome.
    pub detail: Option<String>,
    /// Whether the outcome removed the device from the registry; shown if it did.
    pub removed: Option<bool>,
}

#[derive(Default, Serialize)]
pub(super) struct ResultDocument<'a> {
    token: String,
    apns_id: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invalid_since: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apns_unique_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    may_resend: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<bool>,
}

impl PushResult {
    pub(super) fn document(&self) -> ResultDocument<'_> {
        let common = ResultDocument {
            token: self.token.to_hex(),
            apns_id: self.apns_id.to_string(),
            detail: self.detail.as_deref(),
            removed: self.removed.filter(|removed| *removed),
            ..ResultDocument::default()
        };
        match &self.outcome {
            None => ResultDocument {
                outcome: "valid",
                ..common
            },
            Some(Outcome::Accepted { unique_id, .. }) => ResultDocument {
                outcome: "accepted",
                status: Some(200),
                apns_unique_id: unique_id.as_deref(),
                ..common
            },
            Some(Outcome::Rejected {
                status,
                reason,
                invalid_since,
                ..
            }) => ResultDocument {
                outcome: "rejected",
                status: Some(*status),
                reason: Some(reason.as_str()),
                invalid_since: invalid_since.map(UnixTime::as_millis),
                ..common
            },
            Some(Outcome::Unanswered { may_resend, why }) => ResultDocument {
                outcome: "unanswered",
                may_resend: Some(*may_resend),
                why: Some(why.to_string()),
                ..common
            },
        }
    }
}
