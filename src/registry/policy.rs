//! What an outcome says of the device: whether it is dead, since when, and on what condition.
//!
//! Source: design, rule 1; apns-facts, section 3.5. The table of reasons says what to do about the
//! token; here is since when.
//!
//! ```text
//!   410 Unregistered, ExpiredToken, with a timestamp  ─► Dead                 since then
//!   400 BadDeviceToken                                ─► DeadIfEverywhere     since it was asked
//!   400 DeviceTokenNotForTopic                        ─► DeadUnlessMany       since it was asked
//!   everything else                                   ─► nothing
//! ```

use super::{Death, DeathReason};
use crate::provider::{Outcome, Reason, TokenAction};
use crate::time::UnixTime;

/// What an outcome says of the device it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is dead.
    Dead(Death),
    /// It is dead if every environment that the credential covers has said so; then it is as with
    /// [`Self::DeadUnlessMany`].
    DeadIfEverywhere(Death),
    /// It is dead unless many devices of the topic get this at once: ask a
    /// [`Guard`](super::Guard).
    DeadUnlessMany(Death),
}

impl Finding {
    /// Of the outcome of a push that was handed in at `asked_at`, or a little later; `None` if it
    /// says nothing.
    ///
    /// A timestamp later than that says nothing of registrations that came after it, so it counts
    /// as `asked_at`. That also makes nothing of a timestamp in a wrong unit that lies in the
    /// future; one in seconds lies in 1970, before every registration. A 410 without a timestamp
    /// says nothing: the device may have been registered after it died.
    pub fn of_outcome(outcome: &Outcome, asked_at: UnixTime) -> Option<Self> {
        let Outcome::Rejected {
            reason,
            invalid_since,
            ..
        } = outcome
        else {
            return None;
        };
        let death = |since| {
            Some(Death {
                reason: death_reason(reason)?,
                since,
            })
        };
        match outcome.treatment()?.token {
            TokenAction::Keep => None,
            TokenAction::Remove => death((*invalid_since)?.min(asked_at)).map(Self::Dead),
            TokenAction::RemoveIfEverywhere => death(asked_at).map(Self::DeadIfEverywhere),
            TokenAction::RemoveUnlessMany => death(asked_at).map(Self::DeadUnlessMany),
        }
    }

    /// The death, if the condition holds.
    pub const fn death(&self) -> Death {
        match self {
            Self::Dead(death) | Self::DeadIfEverywhere(death) | Self::DeadUnlessMany(death) => {
                *death
            }
        }
    }
}

fn death_reason(reason: &Reason) -> Option<DeathReason> {
    match reason {
        Reason::Unregistered => Some(DeathReason::Unregistered),
        Reason::ExpiredToken => Some(DeathReason::ExpiredToken),
        Reason::BadDeviceToken => Some(DeathReason::BadDeviceToken),
        Reason::DeviceTokenNotForTopic => Some(DeathReason::DeviceTokenNotForTopic),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::vectors::rows;
    use crate::provider::Why;

    const ASKED: UnixTime = UnixTime::from_secs(1_000);

    fn rejected(reason: &str, status: u16, since: Option<u64>) -> Outcome {
        Outcome::Rejected {
            status,
            reason: Reason::parse(reason),
            invalid_since: since.map(UnixTime::from_millis),
            retry_after: None,
            apns_id: None,
        }
    }

    fn of(outcome: &Outcome) -> Option<Finding> {
        Finding::of_outcome(outcome, ASKED)
    }

    fn death(reason: DeathReason, since: UnixTime) -> Death {
        Death { reason, since }
    }

    #[test]
    fn a_410_is_a_death_since_its_timestamp() {
        let early = UnixTime::from_millis(999_999);
        for (name, reason) in [
            ("Unregistered", DeathReason::Unregistered),
            ("ExpiredToken", DeathReason::ExpiredToken),
        ] {
            let dead = |since| Some(Finding::Dead(death(reason, since)));
            assert_eq!(of(&rejected(name, 410, Some(999_999))), dead(early));
            assert_eq!(of(&rejected(name, 410, Some(u64::MAX))), dead(ASKED));
            assert_eq!(of(&rejected(name, 410, None)), None);
        }
        assert_eq!(of(&rejected("New", 410, Some(1))), None);
    }

    #[test]
    fn a_400_is_one_on_a_condition_since_it_was_asked() {
        assert_eq!(
            of(&rejected("BadDeviceToken", 400, None)),
            Some(Finding::DeadIfEverywhere(death(
                DeathReason::BadDeviceToken,
                ASKED
            )))
        );
        assert_eq!(
            of(&rejected("DeviceTokenNotForTopic", 400, None)),
            Some(Finding::DeadUnlessMany(death(
                DeathReason::DeviceTokenNotForTopic,
                ASKED
            )))
        );
    }

    #[test]
    fn nothing_else_is() {
        for reason in [
            "PayloadTooLarge",
            "BadTopic",
            "TopicDisallowed",
            "Forbidden",
            "",
        ] {
            assert_eq!(of(&rejected(reason, 400, Some(1))), None, "{reason}");
        }
        assert_eq!(of(&Outcome::unanswered(Why::TimedOut)), None);
        let accepted = Outcome::Accepted {
            apns_id: None,
            unique_id: None,
            answer: None,
        };
        assert_eq!(of(&accepted), None);
    }

    #[test]
    fn reason_action() {
        for row in rows("reason_action") {
            // What a status without a reason is answered with is in `provider/vectors.rs`: it says
            // nothing of a token.
            let Some(reason) = row["input"]["reason"].as_str() else {
                continue;
            };
            let status = Reason::parse(reason).usual_status().unwrap();
            let finding = of(&rejected(reason, status, Some(1)));
            // Not copied: sygnal drops the token on TopicDisallowed, which is a wrong configuration.
            assert_eq!(finding.is_some(), reason != "TopicDisallowed", "{row}");
            // Nor do these two drop it at once; uniqush's users lost tokens of the other environment.
            let at_once = matches!(finding, Some(Finding::Dead(_)));
            assert_eq!(at_once, status == 410, "{row}");
        }
    }
}
