//! The age of a provider token turned into what to do about it.
//!
//! Source: Apple, *Establishing a token-based connection to APNs*: "Refresh your token no more than
//! once every 20 minutes and no less than once every 60 minutes."
//!
//! ```text
//!      iat          20 min            40 min            60 min
//! ──────┼──────────────┼─────────────────┼─────────────────┼──────────>
//!  Due  │            Fresh               │       Due       │  Expired
//!       │  no renewal  │          renewal allowed
//! ```
//!
//! Left of `iat` the clock has been set back, or the one that signed ran ahead. Up to five minutes
//! of that are taken for clocks that differ, and the token for a new one. Beyond, the token is due
//! and may be renewed at once: APNs may refuse it, and waiting would take as long as the clock was
//! wrong. An instance whose clock is more than five minutes behind another's then replaces that
//! one's token once, which may come within 20 minutes; with clocks that differ by more than 40
//! minutes either would go on. [`may_sign_again`], on the monotonic clock of each, holds either to
//! one in 20 minutes.
//!
//! The 20 minutes protect good tokens. One that APNs has refused as expired, and that the clock
//! says cannot be good either, is [`worthless`]: what takes its place may be signed at once.

use crate::limits::{
    PROVIDER_TOKEN_MAX_AGE, PROVIDER_TOKEN_MAX_SKEW, PROVIDER_TOKEN_MIN_AGE,
    PROVIDER_TOKEN_REFUSED_SKEW, PROVIDER_TOKEN_RENEW_AGE,
};
use crate::time::{Now, UnixTime};

/// How far a provider token is through its hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Younger than 40 minutes: use it.
    Fresh,
    /// 40 to 60 minutes old, or from a future too far off: use it and see to the next one.
    Due,
    /// 60 minutes old or older: APNs refuses it.
    Expired,
}

/// How fresh a token is that was issued then.
pub fn freshness(issued_at: UnixTime, now: UnixTime) -> Freshness {
    if from_the_future(issued_at, now) {
        return Freshness::Due;
    }
    let age = now.since(issued_at);
    if age < PROVIDER_TOKEN_RENEW_AGE {
        Freshness::Fresh
    } else if age < PROVIDER_TOKEN_MAX_AGE {
        Freshness::Due
    } else {
        Freshness::Expired
    }
}

/// Whether the token issued then may be followed by another: not within 20 minutes, whatever APNs
/// answered meanwhile.
pub fn may_renew(issued_at: UnixTime, now: UnixTime) -> bool {
    from_the_future(issued_at, now) || now.since(issued_at) >= PROVIDER_TOKEN_MIN_AGE
}

/// Whether this instance may sign again, by its own monotonic clock: not within 20 minutes of the
/// last time it did. Asked beside [`may_renew`], it bounds what a wrong wall clock can do.
pub fn may_sign_again(last_signed: Option<Now>, now: Now) -> bool {
    last_signed.is_none_or(|last| now.since(last) >= PROVIDER_TOKEN_MIN_AGE)
}

/// Whether the clock explains why a token issued then was refused as expired: it is an hour old, or
/// from the future. More than two seconds of that are enough, since APNs has said that it is no
/// good.
pub fn worthless(issued_at: UnixTime, now: UnixTime) -> bool {
    issued_at.since(now) > PROVIDER_TOKEN_REFUSED_SKEW
        || freshness(issued_at, now) == Freshness::Expired
}

/// Whether a token issued then was signed by a clock that ran ahead of this one.
pub fn from_the_future(issued_at: UnixTime, now: UnixTime) -> bool {
    issued_at.since(now) > PROVIDER_TOKEN_MAX_SKEW
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    const NOON: UnixTime = UnixTime::from_secs(43_200);

    fn aged(secs: u64) -> UnixTime {
        NOON + Duration::from_secs(secs)
    }

    #[test]
    fn forty_and_sixty_minutes() {
        assert_eq!(freshness(NOON, NOON), Freshness::Fresh);
        assert_eq!(freshness(NOON, aged(40 * 60 - 1)), Freshness::Fresh);
        assert_eq!(freshness(NOON, aged(40 * 60)), Freshness::Due);
        assert_eq!(freshness(NOON, aged(60 * 60 - 1)), Freshness::Due);
        assert_eq!(freshness(NOON, aged(60 * 60)), Freshness::Expired);
    }

    #[test]
    fn never_twice_within_twenty_minutes() {
        assert!(!may_renew(NOON, NOON));
        assert!(!may_renew(NOON, aged(20 * 60 - 1)));
        assert!(may_renew(NOON, aged(20 * 60)));
        assert!(may_sign_again(None, Now::ZERO));
        let twenty = Now::ZERO + Duration::from_secs(20 * 60);
        assert!(may_sign_again(Some(Now::ZERO), twenty));
        assert!(!may_sign_again(Some(Now::from_nanos(1)), twenty));
    }

    #[test]
    fn whatever_is_due_may_be_renewed() {
        for secs in 0..90_000 {
            let now = UnixTime::from_secs(secs);
            if freshness(NOON, now) != Freshness::Fresh {
                assert!(may_renew(NOON, now), "{secs}");
            }
        }
    }

    #[test]
    fn a_refused_token_is_worthless_if_the_clock_says_so_too() {
        for (secs, expected) in [
            (43_200 - 7_200, true),
            (43_200 - 3, true),
            (43_200 - 2, false),
            (43_200, false),
            (43_200 + 59 * 60, false),
            (43_200 + 60 * 60, true),
        ] {
            assert_eq!(
                worthless(NOON, UnixTime::from_secs(secs)),
                expected,
                "{secs}"
            );
        }
    }

    #[test]
    fn a_clock_set_back_renews_once_and_then_rests() {
        let shortly_before = UnixTime::from_secs(43_200 - 300);
        assert_eq!(freshness(NOON, shortly_before), Freshness::Fresh);
        assert!(!may_renew(NOON, shortly_before));
        let long_before = UnixTime::from_secs(43_200 - 301);
        assert_eq!(freshness(NOON, long_before), Freshness::Due);
        assert!(may_renew(NOON, long_before));
        assert!(!may_renew(long_before, long_before));
    }
}
