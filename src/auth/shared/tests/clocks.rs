//! Wall clocks that are wrong, have been, or jump, in virtual time: instances that share a store,
//! and an APNs whose clock is right.

use super::*;

const HOUR: i64 = 3_600;

/// How far ahead of its clock a token may be for APNs, in seconds; what the simulator takes.
const LENIENT: i64 = 300;

/// One instance: its issuer, and what its lane remembers of refusals.
struct Instance {
    issuer: Issuer,
    /// The lane asks for another token once for each that is refused.
    asked: Option<UnixTime>,
}

/// Instances of hosts that share a store, and APNs.
struct Fleet {
    cell: Cell,
    instances: Vec<Instance>,
    /// Seconds since noon; what APNs's clock shows and the monotonic clocks count.
    secs: i64,
    /// What the wall clock of the instances is ahead by.
    ahead: i64,
    /// What APNs takes.
    lenient: i64,
    /// Requests that APNs has seen.
    requests: usize,
}

impl Fleet {
    fn new(instances: usize) -> Self {
        let instance = |_| Instance {
            issuer: issuer(),
            asked: None,
        };
        Self {
            cell: Cell::default(),
            instances: (0..instances).map(instance).collect(),
            // Late enough for a clock that is behind.
            secs: 20 * HOUR,
            ahead: 0,
            lenient: LENIENT,
            requests: 0,
        }
    }

    fn tokens(&mut self, of: usize, refused: Option<UnixTime>) -> ProviderToken {
        let now = monotonic(self.secs.unsigned_abs());
        let time = at((self.secs + self.ahead).unsigned_abs());
        let issuer = &mut self.instances[of].issuer;
        if let Some(held) = issuer.held(now, time, refused) {
            return held.newest().clone();
        }
        let choice = issuer.choose(self.cell.value.as_deref(), now, time, refused);
        if let Some(value) = choice.to_store() {
            self.cell.value = Some(value);
            self.cell.written += 1;
        }
        issuer.take(choice, now).newest().clone()
    }

    /// Whether APNs takes it; otherwise it answers `ExpiredProviderToken`.
    fn is_taken(&mut self, token: &ProviderToken) -> bool {
        self.requests += 1;
        let issued = i64::try_from(token.issued_at().as_secs() - NOON).unwrap();
        issued > self.secs - HOUR && issued <= self.secs + self.lenient
    }

    /// What a lane does with a push; whether it ends accepted.
    fn push(&mut self, of: usize) -> bool {
        let token = self.tokens(of, None);
        if self.is_taken(&token) {
            return true;
        }
        let refused = Some(token.issued_at());
        if self.instances[of].asked == refused {
            return false;
        }
        self.instances[of].asked = refused;
        let other = self.tokens(of, refused);
        other != token && self.is_taken(&other)
    }

    fn all_push(&mut self) -> Vec<bool> {
        (0..self.instances.len()).map(|of| self.push(of)).collect()
    }
}

#[test]
fn a_clock_that_was_ahead_costs_one_refusal_and_one_token() {
    for lenient in [0, LENIENT] {
        for ahead in [5, 61, 301, 2 * HOUR, 24 * HOUR, 10_000 * HOUR] {
            let mut fleet = Fleet::new(1);
            (fleet.ahead, fleet.lenient) = (ahead, lenient);
            let was_taken = fleet.push(0);
            assert_eq!(was_taken, ahead <= lenient);
            fleet.ahead = 0;
            fleet.secs += 1;
            for _ in 0..119 {
                assert!(fleet.push(0), "{ahead} s, {lenient}");
                fleet.secs += 10;
            }
            let tokens = 1 + usize::from(!was_taken);
            assert_eq!(fleet.cell.written, tokens, "{ahead} s, {lenient}");
        }
    }
}

#[test]
fn a_token_from_the_future_that_was_never_refused_is_replaced_when_it_is() {
    let mut fleet = Fleet::new(1);
    fleet.ahead = 2 * HOUR;
    fleet.tokens(0, None);
    fleet.ahead = 0;
    assert!(fleet.push(0));
    assert_eq!((fleet.cell.written, fleet.requests), (2, 2));
    assert!(fleet.push(0));
    assert_eq!((fleet.cell.written, fleet.requests), (2, 3));
}

#[test]
fn instances_that_find_the_same_token_refused_replace_it_once() {
    for count in 1..=16 {
        for first in 0..count {
            let mut fleet = Fleet::new(count);
            // All have the token of a clock that is right, but for one that has been made anew.
            assert!(fleet.all_push().iter().all(|accepted| *accepted));
            fleet.secs += 2 * HOUR;
            fleet.ahead = 2 * HOUR;
            assert!(!fleet.push(first));
            let others = fleet.all_push();
            assert!(others.iter().all(|accepted| !accepted), "all share it");
            fleet.ahead = 0;
            let before = fleet.cell.written;
            for turn in 0..3 * count {
                assert!(fleet.push((first + turn) % count));
            }
            assert_eq!(fleet.cell.written, before + 1, "{count} {first}");
        }
    }
}

/// One has the token from the future, one the new one, one the one before: whoever pushes first.
#[test]
fn tokens_old_new_and_from_the_future_end_accepted_in_every_order() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    // Also where each has signed within 20 minutes, and so may not sign again for that reason.
    for (order, quiet) in orders.iter().flat_map(|order| [(order, 0), (order, 1_300)]) {
        let mut fleet = Fleet::new(3);
        // The third has a good token of its own, the first then signs one ahead of time.
        assert!(fleet.push(2));
        fleet.secs += quiet;
        fleet.ahead = 2 * HOUR;
        assert!(!fleet.push(0));
        fleet.ahead = 0;
        fleet.secs += 5;
        // The second replaces it.
        assert!(fleet.push(1));
        for of in order.iter().chain(order) {
            assert!(fleet.push(*of), "{order:?}");
        }
        assert_eq!(fleet.cell.written, 3, "{order:?}");
    }
}

#[test]
fn two_tokens_from_the_future_are_both_passed_over() {
    let mut fleet = Fleet::new(2);
    fleet.ahead = 2 * HOUR;
    assert!(!fleet.push(0));
    // The other one's clock is ahead by more, so that it finds the first expired.
    fleet.ahead = 5 * HOUR;
    assert!(!fleet.push(1));
    fleet.ahead = 0;
    assert!(fleet.push(0) && fleet.push(1));
    assert_eq!(fleet.cell.written, 3);
}

#[test]
fn a_clock_that_is_behind_is_told_by_a_refusal_each_and_makes_no_tokens() {
    let mut fleet = Fleet::new(1);
    fleet.ahead = -2 * HOUR;
    for push in 1..=100 {
        assert!(!fleet.push(0));
        assert_eq!((fleet.cell.written, fleet.requests), (1, push));
        fleet.secs += 10;
    }
    // Set right, the token is seen to be too old, and the next one is good at once.
    fleet.ahead = 0;
    assert!(fleet.push(0));
    assert_eq!((fleet.cell.written, fleet.requests), (2, 101));
}

/// Of a host whose clock is ahead and one whose clock is right: the first lives by the other's
/// token.
#[test]
fn a_refused_token_gives_way_to_that_of_a_host_whose_clock_is_right() {
    for ahead in [2 * HOUR, -2 * HOUR] {
        let mut fleet = Fleet::new(2);
        fleet.ahead = ahead;
        assert!(!fleet.push(0));
        fleet.ahead = 0;
        assert!(fleet.push(1));
        for _ in 0..100 {
            fleet.secs += 10;
            fleet.ahead = ahead;
            assert!(fleet.push(0), "{ahead}");
            fleet.ahead = 0;
            assert!(fleet.push(1), "{ahead}");
        }
        assert_eq!(fleet.cell.written, 2, "{ahead}");
    }
}

#[test]
fn a_refusal_of_a_good_token_falls_back_on_the_one_before_it() {
    let mut fleet = Fleet::new(1);
    assert!(fleet.push(0));
    let first = fleet.tokens(0, None);
    fleet.secs += 2_400;
    let second = fleet.tokens(0, None);
    assert_ne!(first, second);
    let other = fleet.tokens(0, Some(second.issued_at()));
    assert_eq!((other, fleet.cell.written), (first, 2));
}

/// Clocks that jump forth and back, instances that come and go: whenever the clock is right, every
/// push ends accepted, and each jump costs two tokens at most.
#[test]
fn every_push_is_accepted_whenever_the_clock_is_right() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for round in 0..48 {
        let count = 1 + round % 16;
        let mut fleet = Fleet::new(count);
        let mut jumps = 0;
        for _ in 0..60 {
            let wrong = i64::try_from(random(4 * 3_600)).unwrap() - 2 * HOUR;
            fleet.ahead = [0, wrong, wrong, 30 * wrong][usize::try_from(random(4)).unwrap()];
            fleet.ahead = fleet.ahead.max(-fleet.secs);
            jumps += 1;
            for _ in 0..random(6) {
                let of = usize::try_from(random(count as u64)).unwrap();
                let accepted = fleet.push(of);
                assert!(accepted || fleet.ahead != 0, "round {round}: instance {of}");
                if random(20) == 0 {
                    fleet.instances[of] = Instance {
                        issuer: issuer(),
                        asked: None,
                    };
                }
                fleet.secs += i64::try_from(random(400)).unwrap();
            }
        }
        let renewals = usize::try_from(fleet.secs / 1_200).unwrap();
        let most = 2 * jumps + renewals * count;
        assert!(
            fleet.cell.written <= most,
            "round {round}: {}",
            fleet.cell.written
        );
    }
}
