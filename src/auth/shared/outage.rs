//! Provider tokens while the store cannot be read or written.
//!
//! ```text
//!   in hand, not an hour old, not refused ──► use it
//!   else ───────────────────────────────────► sign one of the last full 40 minutes
//! ```
//!
//! Instances that cannot ask each other choose the same moment to sign for, and since signatures
//! need no randomness they have the same token: APNs sees one for all of them, and another every
//! 40 minutes.

use super::{Issuer, SharedTokens};
use crate::auth::{Freshness, freshness};
use crate::limits::PROVIDER_TOKEN_RENEW_AGE;
use crate::time::{Now, UnixTime};

impl Issuer {
    /// Tokens for now without the store. The one issued at `refused` is of no use.
    pub fn without_store(
        &mut self,
        now: Now,
        time: UnixTime,
        refused: Option<UnixTime>,
    ) -> &SharedTokens {
        let will_do = |held: &SharedTokens| {
            let issued_at = held.newest.issued_at();
            Some(issued_at) != refused && freshness(issued_at, time) != Freshness::Expired
        };
        let tokens = match self.held.take().filter(will_do) {
            Some(held) => held,
            None => {
                let alike = shared_moment(time);
                let moment = if Some(alike) == refused { time } else { alike };
                self.last_signed = Some(now);
                SharedTokens {
                    newest: self.sign(moment),
                    older: None,
                }
            }
        };
        self.held.insert(tokens)
    }
}

/// The same for all who ask within 40 minutes, and not in the future.
fn shared_moment(time: UnixTime) -> UnixTime {
    let secs = time.as_secs();
    UnixTime::from_secs(secs - secs % PROVIDER_TOKEN_RENEW_AGE.as_secs())
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::collections::BTreeSet;

    use super::*;
    use crate::auth::key::tests::key;
    use crate::auth::{KeyId, TeamId};

    /// Divisible by 40 minutes.
    const NOON: u64 = 43_200;

    fn issuer() -> Issuer {
        let key_id = KeyId::parse("ABC123DEFG").unwrap();
        Issuer::new(key(), key_id, TeamId::parse("DEF123GHIJ").unwrap())
    }

    /// When the token was issued that is used after so many seconds.
    fn issued(issuer: &mut Issuer, secs: u64, refused: Option<u64>) -> u64 {
        let now = Now::ZERO + Duration::from_secs(secs);
        let time = UnixTime::from_secs(NOON + secs);
        let refused = refused.map(|secs| UnixTime::from_secs(NOON + secs));
        let tokens = issuer.without_store(now, time, refused);
        tokens.newest().issued_at().as_secs() - NOON
    }

    #[test]
    fn the_token_in_hand_goes_on_until_it_is_an_hour_old() {
        let mut issuer = issuer();
        let choice = issuer.choose(None, Now::ZERO, UnixTime::from_secs(NOON + 100), None);
        issuer.take(choice, Now::ZERO);
        for secs in [100, 1_300, 2_500, 3_600] {
            assert_eq!(issued(&mut issuer, secs, None), 100);
        }
        assert_eq!(issued(&mut issuer, 3_700, None), 2_400);
        assert_eq!(issued(&mut issuer, 5_999, None), 2_400);
        assert_eq!(issued(&mut issuer, 6_000, None), 4_800);
    }

    #[test]
    fn a_fleet_that_cannot_ask_the_store_has_one_token_in_forty_minutes() {
        let mut seen = BTreeSet::new();
        for secs in (0..4_800).step_by(61) {
            // Each is new, and knows nothing of the others.
            let mut issuer = issuer();
            seen.insert(issued(&mut issuer, secs, None));
            let held = issued(&mut issuer, secs + 1, None);
            assert!(seen.contains(&held));
        }
        assert_eq!(seen, BTreeSet::from([0, 2_400]));
    }

    #[test]
    fn one_that_was_refused_is_replaced() {
        let mut issuer = issuer();
        assert_eq!(issued(&mut issuer, 1_000, None), 0);
        assert_eq!(issued(&mut issuer, 1_001, Some(0)), 1_001);
        assert_eq!(issued(&mut issuer, 1_002, None), 1_001);
    }
}
