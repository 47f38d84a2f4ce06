//! What an outcome says of the device: whether it is dead, since when, and on what condition.
//!
//! Source: `docs/protocols.md`, section 3.5. The table of reasons says what to do about the token;
//! here is since when.
//!
//! ```text
//!   410 Unregistered, ExpiredToken, with a timestamp  ─► Dead                 since then
//!   the same without a time that can be; 410 without
//!   a reason, or with a body that cannot be read      ─► Dead                 since it was asked
//!   400 BadDeviceToken                                ─► DeadIfEverywhere     since it was asked
//!   400 DeviceTokenNotForTopic                        ─► DeadUnlessMany       since it was asked
//!   everything else, 410 with another reason too      ─► nothing
//! ```
//!
//! Apple gives the status 410 one meaning, that the token is no longer active for the topic, so the
//! device was dead when APNs was asked, whatever of the answer is lost. A reason that is not in the
//! table may mean something else by it.

use crate::provider::{Outcome, Reason, TokenAction};
use crate::registry::records::{Death, DeathReason};
use crate::time::UnixTime;

/// The status that has a time in it. Apple, *Handling notification responses from APNs*.
const GONE: u16 = 410;

/// 17 June 2009, when the first iPhone OS with push notifications came out. No token has died
/// before.
const FIRST_DEATH: UnixTime = UnixTime::from_secs(1_245_196_800);

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
    /// A 410 whose time is missing, or cannot be, counts from `asked_at`: the token was dead then,
    /// and a registration that comes later wins. A time after `asked_at` is one that cannot be, and
    /// so is one before there were push notifications, such as 0.
    pub fn of_outcome(outcome: &Outcome, asked_at: UnixTime) -> Option<Self> {
        let Outcome::Rejected {
            status,
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
        let possible = |since: &UnixTime| (FIRST_DEATH..=asked_at).contains(since);
        match outcome.treatment()?.token {
            TokenAction::Remove if *status == GONE => {
                let since = invalid_since.filter(possible).unwrap_or(asked_at);
                death(since).map(Self::Dead)
            }
            TokenAction::Keep | TokenAction::Remove => None,
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
        // What a 410 means when it says nothing else.
        Reason::Unregistered | Reason::Missing | Reason::NotJson(_) => {
            Some(DeathReason::Unregistered)
        }
        Reason::ExpiredToken => Some(DeathReason::ExpiredToken),
        Reason::BadDeviceToken => Some(DeathReason::BadDeviceToken),
        Reason::DeviceTokenNotForTopic => Some(DeathReason::DeviceTokenNotForTopic),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Why, read_response};

    const ASKED: UnixTime = UnixTime::from_secs(1_700_000_000);

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
        let early = UnixTime::from_millis(1_699_999_999_999);
        for (name, reason) in [
            ("Unregistered", DeathReason::Unregistered),
            ("ExpiredToken", DeathReason::ExpiredToken),
        ] {
            let dead = |since| Some(Finding::Dead(death(reason, since)));
            assert_eq!(
                of(&rejected(name, 410, Some(early.as_millis()))),
                dead(early)
            );
            assert_eq!(of(&rejected(name, 410, Some(u64::MAX))), dead(ASKED));
            // Of another status the words are not Apple's.
            assert_eq!(of(&rejected(name, 400, Some(early.as_millis()))), None);
        }
        assert_eq!(of(&rejected("New", 410, Some(1))), None);
    }

    #[test]
    fn a_410_without_a_time_that_can_be_is_a_death_since_it_was_asked() {
        let asked = |reason| Some(Finding::Dead(death(reason, ASKED)));
        for (name, reason) in [
            ("Unregistered", DeathReason::Unregistered),
            ("ExpiredToken", DeathReason::ExpiredToken),
        ] {
            let future = ASKED.as_millis() + 1;
            for since in [
                None,
                Some(0),
                Some(1),
                Some(1_234_567),
                Some(future),
                Some(u64::MAX),
            ] {
                assert_eq!(of(&rejected(name, 410, since)), asked(reason), "{since:?}");
            }
        }
        for body in [
            &b""[..],
            b"  ",
            b"{}",
            b"[]",
            br#"{"reason":null}"#,
            br#"{"reason":"Unregistered""#,
            b"<html>gone</html>",
            &[0xff; 99],
        ] {
            let outcome = read_response(410, [], body);
            assert_eq!(of(&outcome), asked(DeathReason::Unregistered), "{body:?}");
            assert_eq!(of(&read_response(400, [], body)), None);
        }
        for body in [
            &br#"{"reason":"New"}"#[..],
            br#"{"reason":7}"#,
            br#"{"reason":""}"#,
        ] {
            assert_eq!(of(&read_response(410, [], body)), None);
        }
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
}
