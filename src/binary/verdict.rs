//! What became of the notifications of a connection that has ended.

use super::error_response::GatewayStatus;
use crate::provider::{Outcome, Why};

/// What a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An error response named a notification that was sent on this connection, or the probe.
    Named {
        /// Why the gateway closed.
        status: GatewayStatus,
        /// What it named.
        identifier: u32,
    },
    /// An error response named 0 or what was not sent on this connection: what was lost cannot be
    /// told.
    Unlocated {
        /// Why the gateway closed.
        status: GatewayStatus,
        /// What it named.
        identifier: u32,
    },
    /// The connection ended without a word.
    Closed,
}

/// The end of every job of a connection, each list in the order of sending.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "these jobs are no longer in the window"]
pub struct Verdict<J> {
    /// What it rests on.
    pub cause: Cause,
    /// The gateway took them.
    pub accepted: Vec<J>,
    /// The one it refused, and why.
    pub rejected: Option<(J, GatewayStatus)>,
    /// The gateway dropped them unread; sending them again cannot make them arrive twice.
    pub resend: Vec<J>,
    /// They may have been accepted or not; sending them again may make them arrive twice.
    pub unanswered: Vec<J>,
}

impl<J> Verdict<J> {
    pub(super) const fn new(cause: Cause) -> Self {
        Self {
            cause,
            accepted: Vec::new(),
            rejected: None,
            resend: Vec::new(),
            unanswered: Vec::new(),
        }
    }

    pub(super) fn unanswered(cause: Cause, jobs: Vec<J>) -> Self {
        let mut verdict = Self::new(cause);
        verdict.unanswered = jobs;
        verdict
    }

    /// Every job with its outcome, in the order of sending.
    pub fn into_outcomes(self) -> impl Iterator<Item = (J, Outcome)> {
        let why = match self.cause {
            Cause::Closed => Why::ConnectionLost,
            Cause::Named { .. } | Cause::Unlocated { .. } => Why::Unreadable,
        };
        let accepted = self.accepted.into_iter().map(|job| {
            let accepted = Outcome::Accepted {
                apns_id: None,
                unique_id: None,
                answer: None,
            };
            (job, accepted)
        });
        let rejected = self.rejected.into_iter().map(|(job, status)| {
            let (status, reason) = status.as_http();
            let outcome = Outcome::Rejected {
                status,
                reason,
                invalid_since: None,
                retry_after: None,
                apns_id: None,
            };
            (job, outcome)
        });
        let lost = |jobs: Vec<J>, why| {
            jobs.into_iter()
                .map(move |job| (job, Outcome::unanswered(why)))
        };
        accepted
            .chain(rejected)
            .chain(lost(self.resend, Why::NotProcessed))
            .chain(lost(self.unanswered, why))
    }
}
