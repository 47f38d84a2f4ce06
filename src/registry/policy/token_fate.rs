//! What an outcome says of the device: whether its token is invalid, since when, and how sure that
//! is.
//!
//! Source: `docs/protocols.md`, section 3.5. The table of reasons says what to do about the token;
//! here is since when.
//!
//! ```text
//!   410 Unregistered, ExpiredToken, with a timestamp  ─► Invalid     since then
//!   the same without a time that can be; 410 without
//!   a reason, or with a body that cannot be read      ─► Invalid     since it was asked
//!   400 DeviceTokenNotForTopic                        ─► Suspected   since it was asked
//!   400 BadDeviceToken, in every environment          ─► Suspected   since it was asked
//!   everything else, 410 with another reason too      ─► nothing
//! ```
//!
//! Apple gives the status 410 one meaning, that the token is no longer active for the topic, so the
//! token was invalid when APNs was asked, whatever of the answer is lost. A reason that is not in
//! the table may mean something else by it.

use crate::provider::{Outcome, Reason, TokenAction};
use crate::registry::records::{Invalidation, RemovalReason};
use crate::time::UnixTime;

/// The status that has a time in it. Apple, *Handling notification responses from APNs*.
const GONE: u16 = 410;

/// 17 June 2009, when the first iPhone OS with push notifications came out. No token has become
/// invalid before.
const FIRST_INVALIDATION: UnixTime = UnixTime::from_secs(1_245_196_800);

/// What an outcome says of the device it was for, if it says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFate {
    /// Its token is invalid.
    Invalid(Invalidation),
    /// Its token looks invalid. Many of a topic at once mean that the credential is wrong: ask a
    /// [`Guard`](crate::registry::Guard).
    Suspected(Invalidation),
}

impl TokenFate {
    /// Of the outcome of a push that was handed in at `asked_at`, or a little later; `None` if the
    /// device stays. `everywhere` says that no other environment may know the token.
    ///
    /// A 410 whose time is missing, or cannot be, counts from `asked_at`: the token was invalid
    /// then, and a registration that comes later wins. A time after `asked_at` is one that cannot
    /// be, and so is one before there were push notifications, such as 0.
    pub fn of_outcome(outcome: &Outcome, asked_at: UnixTime, everywhere: bool) -> Option<Self> {
        let Outcome::Rejected {
            status,
            reason,
            invalid_since,
            ..
        } = outcome
        else {
            return None;
        };
        let invalid = |since| {
            let reason = removal_reason(reason)?;
            Some(Invalidation { reason, since })
        };
        let possible = |since: &UnixTime| (FIRST_INVALIDATION..=asked_at).contains(since);
        match outcome.treatment()?.token {
            TokenAction::Remove if *status == GONE => {
                let since = invalid_since.filter(possible).unwrap_or(asked_at);
                invalid(since).map(Self::Invalid)
            }
            TokenAction::Keep | TokenAction::Remove => None,
            // The environment that was not asked may know it.
            TokenAction::RemoveIfEverywhere if !everywhere => None,
            TokenAction::RemoveIfEverywhere | TokenAction::RemoveUnlessMany => {
                invalid(asked_at).map(Self::Suspected)
            }
        }
    }
}

fn removal_reason(reason: &Reason) -> Option<RemovalReason> {
    match reason {
        // What a 410 means when it says nothing else.
        Reason::Unregistered | Reason::Missing | Reason::NotJson(_) => {
            Some(RemovalReason::Unregistered)
        }
        Reason::ExpiredToken => Some(RemovalReason::ExpiredToken),
        Reason::BadDeviceToken => Some(RemovalReason::BadDeviceToken),
        Reason::DeviceTokenNotForTopic => Some(RemovalReason::DeviceTokenNotForTopic),
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

    /// Where another environment may know the token.
    fn of(outcome: &Outcome) -> Option<TokenFate> {
        TokenFate::of_outcome(outcome, ASKED, false)
    }

    fn of_the_last(outcome: &Outcome) -> Option<TokenFate> {
        TokenFate::of_outcome(outcome, ASKED, true)
    }

    fn invalidation(reason: RemovalReason, since: UnixTime) -> Invalidation {
        Invalidation { reason, since }
    }

    #[test]
    fn a_410_is_an_invalidation_since_its_timestamp() {
        let early = UnixTime::from_millis(1_699_999_999_999);
        for (name, reason) in [
            ("Unregistered", RemovalReason::Unregistered),
            ("ExpiredToken", RemovalReason::ExpiredToken),
        ] {
            let invalid = |since| Some(TokenFate::Invalid(invalidation(reason, since)));
            assert_eq!(
                of(&rejected(name, 410, Some(early.as_millis()))),
                invalid(early)
            );
            assert_eq!(of(&rejected(name, 410, Some(u64::MAX))), invalid(ASKED));
            // Of another status the words are not Apple's.
            assert_eq!(of(&rejected(name, 400, Some(early.as_millis()))), None);
        }
        assert_eq!(of(&rejected("New", 410, Some(1))), None);
    }

    #[test]
    fn a_410_without_a_time_that_can_be_is_an_invalidation_since_it_was_asked() {
        let asked = |reason| Some(TokenFate::Invalid(invalidation(reason, ASKED)));
        for (name, reason) in [
            ("Unregistered", RemovalReason::Unregistered),
            ("ExpiredToken", RemovalReason::ExpiredToken),
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
            assert_eq!(of(&outcome), asked(RemovalReason::Unregistered), "{body:?}");
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
        let suspected = |reason| Some(TokenFate::Suspected(invalidation(reason, ASKED)));
        let unknown = rejected("BadDeviceToken", 400, None);
        assert_eq!(of(&unknown), None);
        assert_eq!(
            of_the_last(&unknown),
            suspected(RemovalReason::BadDeviceToken)
        );
        let foreign = rejected("DeviceTokenNotForTopic", 400, None);
        for fate in [of(&foreign), of_the_last(&foreign)] {
            assert_eq!(fate, suspected(RemovalReason::DeviceTokenNotForTopic));
        }
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
            let outcome = rejected(reason, 400, Some(1));
            assert_eq!(of_the_last(&outcome), None, "{reason}");
        }
        assert_eq!(of_the_last(&Outcome::unanswered(Why::TimedOut)), None);
        let accepted = Outcome::Accepted {
            apns_id: None,
            unique_id: None,
            answer: None,
        };
        assert_eq!(of_the_last(&accepted), None);
    }
}
