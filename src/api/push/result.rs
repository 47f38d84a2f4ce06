//! What became of each entry of a push's recipients, as the reply tells it: of a device, or of an
//! entry that nothing was sent for.
//!
//! What nothing was sent for names no token: whoever looks results up by token finds what became
//! of the push.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::api::Problem;
use crate::api::lines::decimal;
use crate::notification::{ApnsId, DeviceToken};
use crate::provider::Outcome;
use crate::registry::Alias;
use crate::time::UnixTime;

/// What became of a push to one device.
#[derive(Clone, Debug)]
pub struct PushResult {
    /// The place of its entry in the list of the request; 0 if there is no list.
    pub index: usize,
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

/// An entry that nothing was sent for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedEntry {
    /// Its place in the list of the request.
    pub index: usize,
    /// Why.
    pub why: Skipped,
}

/// Why nothing was sent for an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// It is no token, or no alias.
    Invalid(Problem),
    /// It is the same as the entry at this place, which counts.
    Duplicate(usize),
    /// The alias has no device.
    NoDevice(Alias),
}

impl SkippedEntry {
    /// Appends it as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        // Texts and numbers always serialise.
        out.extend(serde_json::to_vec(&SkippedDocument::of(self)).unwrap_or_default());
    }

    /// As the reply tells it.
    pub fn document(&self) -> Option<Box<RawValue>> {
        // Strings and numbers: writing them does not fail.
        to_raw_value(&SkippedDocument::of(self)).ok()
    }
}

/// Two lists that are each ordered by index, as one. No index is in both.
pub(in crate::api) fn merged<T>(
    one: impl Iterator<Item = (usize, T)>,
    other: impl Iterator<Item = (usize, T)>,
) -> Vec<T> {
    let mut merged = Vec::with_capacity(one.size_hint().0 + other.size_hint().0);
    let mut other = other.peekable();
    for (index, item) in one {
        while let Some((_, before)) = other.next_if(|(before, _)| *before < index) {
            merged.push(before);
        }
        merged.push(item);
    }
    merged.extend(other.map(|(_, item)| item));
    merged
}

#[derive(Default, Serialize)]
struct SkippedDocument<'a> {
    index: usize,
    outcome: &'static str,
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    got: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<&'a str>,
}

impl<'a> SkippedDocument<'a> {
    fn of(entry: &'a SkippedEntry) -> Self {
        let common = Self {
            index: entry.index,
            outcome: "skipped",
            ..Self::default()
        };
        match &entry.why {
            Skipped::Invalid(problem) => {
                let fault = problem.at_fault();
                Self {
                    rule: problem.rule(),
                    field: fault.map(|[field, ..]| field),
                    expected: fault.map(|[_, expected, _]| expected),
                    got: fault.map(|[.., got]| got),
                    ..common
                }
            }
            Skipped::Duplicate(of) => Self {
                rule: "duplicate",
                of: Some(*of),
                ..common
            },
            Skipped::NoDevice(alias) => Self {
                rule: "unknown-alias",
                alias: Some(alias.as_str()),
                ..common
            },
        }
    }
}

/// What is told of a device beside its place, its token and the identifier.
#[derive(Default, Serialize)]
struct ResultDocument<'a> {
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
    /// Appends it as JSON. What every result has is digits and hyphens, which need no escapes; most
    /// have nothing else.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"index\":");
        // A place in a list.
        decimal(out, self.index as u64);
        out.extend_from_slice(b",\"token\":\"");
        self.token.append_hex(out);
        out.extend_from_slice(b"\",\"apns_id\":\"");
        out.extend_from_slice(&self.apns_id.to_text());
        if self.is_plainly_accepted() {
            return out.extend_from_slice(b"\",\"outcome\":\"accepted\",\"status\":200}");
        }
        out.extend_from_slice(b"\",");
        // Texts and numbers always serialise.
        let rest = serde_json::to_vec(&self.document()).unwrap_or_default();
        out.extend_from_slice(rest.strip_prefix(b"{").unwrap_or_default());
    }

    fn is_plainly_accepted(&self) -> bool {
        let is_accepted = matches!(
            self.outcome,
            Some(Outcome::Accepted {
                unique_id: None,
                ..
            })
        );
        is_accepted && self.detail.is_none() && self.removed != Some(true)
    }

    fn document(&self) -> ResultDocument<'_> {
        let common = ResultDocument {
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
