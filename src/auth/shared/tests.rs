//! A fleet that shares one value of a store, in virtual time.

mod clocks;

use super::*;
use crate::auth::key::tests::key;
use core::time::Duration;
use std::collections::BTreeSet;

const NOON: u64 = 43_200;

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(NOON + secs)
}

fn monotonic(secs: u64) -> Now {
    Now::ZERO + Duration::from_secs(secs)
}

fn issuer() -> Issuer {
    let key_id = KeyId::parse("ABC123DEFG").unwrap();
    Issuer::new(key(), key_id, TeamId::parse("DEF123GHIJ").unwrap())
}

/// The value of one key in a store.
#[derive(Default)]
struct Cell {
    value: Option<Vec<u8>>,
    written: usize,
}

impl Cell {
    /// What an instance does for each push, when nobody comes between.
    fn tokens(&mut self, issuer: &mut Issuer, secs: u64, refused: Option<u64>) -> SharedTokens {
        let (now, time, refused) = (monotonic(secs), at(secs), refused.map(at));
        if let Some(held) = issuer.held(now, time, refused) {
            return held.clone();
        }
        let choice = issuer.choose(self.value.as_deref(), now, time, refused);
        if let Some(value) = choice.to_store() {
            self.value = Some(value);
            self.written += 1;
        }
        issuer.take(choice, now).clone()
    }
}

fn issued(tokens: &SharedTokens) -> (u64, Option<u64>) {
    let secs = |token: &ProviderToken| token.issued_at().as_secs() - NOON;
    (secs(tokens.newest()), tokens.older().map(secs))
}

#[test]
fn two_hosts_with_eight_instances_use_one_token_in_forty_minutes() {
    let mut cell = Cell::default();
    let mut fleet: Vec<Issuer> = (0..16).map(|_| issuer()).collect();
    let mut seen = BTreeSet::new();
    for secs in 0..3 * 2_400 {
        for (index, issuer) in fleet.iter_mut().enumerate() {
            // Each pushes now and then, and is made anew now and then.
            if (secs + index as u64 * 7).is_multiple_of(301) {
                *issuer = self::issuer();
            }
            if (secs + index as u64).is_multiple_of(5) {
                seen.insert(issued(&cell.tokens(issuer, secs, None)));
            }
        }
    }
    let expected = [(0, None), (2_400, Some(0)), (4_800, Some(2_400))];
    assert_eq!(seen, BTreeSet::from(expected));
    assert_eq!(cell.written, 3);
}

#[test]
fn who_loses_the_swap_uses_what_the_winner_wrote() {
    let (mut winner, mut loser) = (issuer(), issuer());
    let lost = loser.choose(None, monotonic(0), at(1), None);
    let won = winner.choose(None, monotonic(0), at(0), None);
    let value = won.to_store();
    assert!(lost.to_store().is_some() && lost != won);
    winner.take(won, monotonic(0));
    let again = loser.choose(value.as_deref(), monotonic(0), at(1), None);
    assert_eq!(again.to_store(), None);
    assert_eq!(issued(loser.take(again, monotonic(0))), (0, None));
    // It did not sign what it did not get to store, so it may sign when that is due.
    assert_eq!(loser.last_signed, None);
}

#[test]
fn an_instance_that_has_just_started_knows_the_token_before() {
    let mut cell = Cell::default();
    let mut first = issuer();
    cell.tokens(&mut first, 0, None);
    assert_eq!(
        issued(&cell.tokens(&mut first, 2_400, None)),
        (2_400, Some(0))
    );
    assert_eq!(
        issued(&cell.tokens(&mut issuer(), 2_500, None)),
        (2_400, Some(0))
    );
}

#[test]
fn a_token_before_that_is_an_hour_old_is_not_kept() {
    let mut cell = Cell::default();
    cell.tokens(&mut issuer(), 0, None);
    assert_eq!(
        issued(&cell.tokens(&mut issuer(), 3_600, None)),
        (3_600, None)
    );
}

#[test]
fn a_refused_token_is_renewed_at_most_every_twenty_minutes() {
    let mut cell = Cell::default();
    let mut one = issuer();
    cell.tokens(&mut one, 0, None);
    assert_eq!(
        issued(&cell.tokens(&mut one, 1_199, Some(0))).0,
        0,
        "too soon"
    );
    assert_eq!(issued(&cell.tokens(&mut one, 1_200, Some(0))).0, 1_200);
    // Another instance that is told late that the first was refused has the second by now.
    assert_eq!(issued(&cell.tokens(&mut issuer(), 1_201, Some(0))).0, 1_200);
    assert_eq!(cell.written, 2);
}

#[test]
fn a_refusal_counts_for_twenty_minutes() {
    let mut issuer = issuer();
    issuer.refused.push_back((at(0), monotonic(0)));
    let is_refused = |secs| issuer.was_refused(at(0), (monotonic(secs), at(secs)), None);
    assert!(is_refused(0) && is_refused(1_199));
    assert!(!is_refused(1_200));
    assert!(is_refused(3_600), "it is an hour old");
}

#[test]
fn each_key_of_a_team_has_its_place_in_the_store() {
    assert_eq!(issuer().store_key(), "t/DEF123GHIJ/ABC123DEFG");
}

#[test]
fn what_the_store_holds_is_not_trusted() {
    let good = issuer()
        .choose(None, monotonic(0), at(0), None)
        .to_store()
        .unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let other = {
        let key_id = KeyId::parse("ZZZ123DEFG").unwrap();
        let team_id = TeamId::parse("DEF123GHIJ").unwrap();
        Issuer::new(key(), key_id, team_id).sign(at(0))
    };
    let other = other.as_jwt();
    let values = [
        Vec::new(),
        vec![0xff],
        b"not a token".to_vec(),
        other.as_bytes().to_vec(),
        format!("\n{text}").into_bytes(),
        text.replace('.', "").into_bytes(),
    ];
    for value in values {
        let choice = issuer().choose(Some(&value), monotonic(9), at(9), None);
        assert_eq!(issued(&choice.tokens), (9, None), "{value:?}");
        assert!(choice.to_store().is_some());
    }
    // A second token that is no good is not fallen back on; the first is, as it was.
    for second in ["", "junk", other] {
        let value = format!("{text}\n{second}");
        let choice = issuer().choose(Some(value.as_bytes()), monotonic(9), at(9), None);
        assert_eq!(issued(&choice.tokens), (0, None), "{second}");
        assert_eq!(choice.to_store(), None);
    }
    for end in 0..good.len() {
        issuer().choose(good.get(..end), monotonic(9), at(9), None);
    }
}

#[test]
fn a_clock_that_jumps_signs_once_in_twenty_minutes_of_this_instance() {
    let mut cell = Cell::default();
    let (mut one, mut signed) = (issuer(), 0);
    for secs in 0..1_200 {
        // The wall clock is set forth and back by an hour and a half, every ten seconds.
        let time = at(if secs / 10 % 2 == 0 { 10_000 } else { 4_600 });
        let choice = one.choose(cell.value.as_deref(), monotonic(secs), time, None);
        if let Some(value) = choice.to_store() {
            cell.value = Some(value);
            signed += 1;
        }
        one.take(choice, monotonic(secs));
    }
    assert_eq!(signed, 1);
}

#[test]
fn what_may_not_be_renewed_is_used_without_a_look_at_the_store() {
    let mut one = issuer();
    let choice = one.choose(None, monotonic(0), at(0), None);
    one.take(choice, monotonic(0));
    // The machine slept for 45 minutes, of which the monotonic clock knows nothing.
    assert!(one.held(monotonic(1), at(2_700), None).is_some());
    assert!(
        one.held(monotonic(1), at(2_700), Some(at(0))).is_none(),
        "refused"
    );
    assert!(
        one.held(monotonic(1_200), at(2_700), None).is_none(),
        "it may be renewed"
    );
    assert!(
        one.held(monotonic(1), at(3_600), None).is_none(),
        "an hour old"
    );
}

#[test]
fn nothing_of_a_token_is_printed() {
    let mut one = issuer();
    let choice = one.choose(None, monotonic(0), at(0), None);
    let jwt = choice.tokens.newest().as_jwt().to_owned();
    let printed = format!("{choice:?} {:?}", one.take(choice.clone(), monotonic(0)));
    let printed = format!("{printed} {one:?}");
    for part in jwt.split('.') {
        assert!(!printed.contains(part), "{printed}");
    }
}
