//! The addresses of a server turned into attempts to connect, of which the first that succeeds is
//! used: Happy Eyeballs, RFC 8305, sections 4 and 5.
//!
//! ```text
//!   a1 ──────────────────────────────► no answer, dropped when b1 answers
//!      250 ms   b1 ──────► connected
//!   a1 ──► refused
//!          b1 ──────► connected           (at once, and not after 250 ms)
//! ```
//!
//! Addresses come in the resolver's order of preference (RFC 6724), as `wasi:sockets` promises
//! them. So the family of the first is tried first, and the two families alternate from there.
//!
//! An attempt has no time limit of its own. Whoever connects has one for all of them, closes what
//! has lost when one has succeeded, and drops the rest then.
//!
//! Limits: [`MAX_ADDRESSES`] attempts.

use std::collections::VecDeque;

use core::net::IpAddr;
use core::time::Duration;

use crate::time::Now;

/// How long an attempt has for itself before the next begins beside it: the "Connection Attempt
/// Delay" as RFC 8305 recommends it, section 5.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Most addresses of a server that are tried, the preferred ones. **Ours:** with one a quarter of a
/// second, more would hardly have their turn before people give up.
pub const MAX_ADDRESSES: usize = 8;

/// Who is tried when. Drive it thus, after it is made and after each event:
///
/// 1. connect to what [`HappyEyeballs::poll_attempt`] gives, until it gives nothing;
/// 2. wait for an attempt to end, at most until [`HappyEyeballs::poll_timeout`].
#[derive(Clone, Debug, Default)]
pub struct HappyEyeballs {
    /// In the order in which they are tried; none is there twice.
    waiting: VecDeque<IpAddr>,
    /// Being tried, the newest last.
    running: Vec<IpAddr>,
    /// The next attempt may not begin before it.
    next_at: Now,
}

impl HappyEyeballs {
    /// From these addresses, the preferred one first. What is there twice counts once.
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            waiting: in_order(addresses),
            ..Self::default()
        }
    }

    /// The address that is to be connected to now, beside those that are being connected to.
    pub fn poll_attempt(&mut self, now: Now) -> Option<IpAddr> {
        if now < self.next_at {
            return None;
        }
        let address = self.waiting.pop_front()?;
        self.running.push(address);
        self.next_at = now + ATTEMPT_DELAY;
        Some(address)
    }

    /// The attempt at this address has failed. If it was the newest, the next need not wait.
    pub fn handle_failed(&mut self, now: Now, address: IpAddr) {
        if self.running.last() == Some(&address) {
            self.next_at = now;
        }
        self.running.retain(|other| *other != address);
    }

    /// When to ask for the next attempt, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Now> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }

    /// Whether all attempts have failed and no address is left.
    pub fn has_failed(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }
}

/// The addresses that are tried, in their order: one of each family in turn, beginning with that of
/// the first, and none twice. RFC 8305, section 4, with a "First Address Family Count" of 1.
pub fn in_order(addresses: impl IntoIterator<Item = IpAddr>) -> VecDeque<IpAddr> {
    // The family of the first address, and the other one.
    let mut families: [Vec<IpAddr>; 2] = Default::default();
    for address in addresses {
        let address = address.to_canonical();
        let [first, other] = &mut families;
        let is_first = first
            .first()
            .is_none_or(|known| known.is_ipv6() == address.is_ipv6());
        let family = if is_first { first } else { other };
        if family.len() < MAX_ADDRESSES && !family.contains(&address) {
            family.push(address);
        }
    }
    let [first, other] = families;
    let mut others = other.into_iter();
    let mut order = VecDeque::with_capacity(MAX_ADDRESSES);
    for address in first {
        order.push_back(address);
        order.extend(others.next());
    }
    order.extend(others);
    order.truncate(MAX_ADDRESSES);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &str) -> Vec<IpAddr> {
        list.split_whitespace()
            .map(|text| text.parse().unwrap())
            .collect()
    }

    /// What would be tried, in its order.
    fn order(list: &str) -> Vec<IpAddr> {
        in_order(addresses(list)).into()
    }

    fn at(millis: u64) -> Now {
        Now::ZERO + Duration::from_millis(millis)
    }

    /// The addresses, and what tries them.
    fn dialling(list: &str) -> (HappyEyeballs, Vec<IpAddr>) {
        (HappyEyeballs::new(addresses(list)), addresses(list))
    }

    #[test]
    fn the_families_alternate_and_the_resolvers_first_is_first() {
        assert_eq!(
            order("::1 ::2 ::3 10.0.0.1 10.0.0.2"),
            addresses("::1 10.0.0.1 ::2 10.0.0.2 ::3")
        );
        assert_eq!(
            order("10.0.0.1 ::1 ::2 ::3"),
            addresses("10.0.0.1 ::1 ::2 ::3")
        );
        assert_eq!(order("10.0.0.2 10.0.0.1"), addresses("10.0.0.2 10.0.0.1"));
    }

    #[test]
    fn an_address_is_tried_once() {
        assert_eq!(order("::1 ::1 ::2 ::1"), addresses("::1 ::2"));
        // An IPv4 address in the clothes of IPv6 is one of IPv4.
        assert_eq!(
            order("10.0.0.1 ::ffff:10.0.0.1 ::1"),
            addresses("10.0.0.1 ::1")
        );
    }

    #[test]
    fn a_long_list_is_cut_off_and_keeps_both_families() {
        let six = (1..=1_000u16).map(|n| IpAddr::from([0, 0, 0, 0, 0, 0, 1, n]));
        let four = addresses("10.0.0.1 10.0.0.2");
        let tried = in_order(six.chain(four.iter().copied()));
        assert_eq!(tried.len(), MAX_ADDRESSES);
        assert!(four.iter().all(|address| tried.contains(address)));
    }

    #[test]
    fn who_does_not_answer_has_a_quarter_of_a_second_alone() {
        let (mut eyeballs, list) = dialling("::1 10.0.0.1 ::2");
        assert_eq!(eyeballs.poll_timeout(), Some(Now::ZERO));
        assert_eq!(eyeballs.poll_attempt(at(0)), Some(list[0]));
        assert_eq!(eyeballs.poll_attempt(at(0)), None);
        assert_eq!(eyeballs.poll_timeout(), Some(at(250)));
        assert_eq!(eyeballs.poll_attempt(at(249)), None);
        assert_eq!(eyeballs.poll_attempt(at(250)), Some(list[1]));
        // A timer that is late does not bring the others closer together.
        assert_eq!(eyeballs.poll_attempt(at(900)), Some(list[2]));
        assert_eq!(eyeballs.poll_timeout(), None);
        assert_eq!(eyeballs.poll_attempt(at(9_000)), None);
        assert!(!eyeballs.has_failed(), "three may still answer");
    }

    #[test]
    fn after_a_failure_the_next_has_its_turn_at_once() {
        let (mut eyeballs, list) = dialling("::1 10.0.0.1 ::2");
        assert_eq!(eyeballs.poll_attempt(at(0)), Some(list[0]));
        eyeballs.handle_failed(at(3), list[0]);
        assert_eq!(eyeballs.poll_timeout(), Some(at(3)));
        assert_eq!(eyeballs.poll_attempt(at(3)), Some(list[1]));
        assert_eq!(eyeballs.poll_timeout(), Some(at(253)));
    }

    #[test]
    fn the_failure_of_an_older_attempt_hurries_nobody() {
        let (mut eyeballs, list) = dialling("::1 10.0.0.1 ::2");
        assert_eq!(eyeballs.poll_attempt(at(0)), Some(list[0]));
        assert_eq!(eyeballs.poll_attempt(at(250)), Some(list[1]));
        eyeballs.handle_failed(at(260), list[0]);
        assert_eq!(eyeballs.poll_attempt(at(260)), None);
        assert_eq!(eyeballs.poll_timeout(), Some(at(500)));
    }

    #[test]
    fn all_attempts_can_fail() {
        let (mut eyeballs, list) = dialling("::1 10.0.0.1");
        for (millis, address) in [(0, list[0]), (1, list[1])] {
            assert!(!eyeballs.has_failed());
            assert_eq!(eyeballs.poll_attempt(at(millis)), Some(address));
            eyeballs.handle_failed(at(millis + 1), address);
        }
        assert!(eyeballs.has_failed());
        assert_eq!(eyeballs.poll_attempt(at(1_000)), None);
        assert!(
            HappyEyeballs::new([]).has_failed(),
            "a name without addresses"
        );
    }

    #[test]
    fn the_failure_of_a_stranger_changes_nothing() {
        let (mut eyeballs, list) = dialling("::1 10.0.0.1");
        assert_eq!(eyeballs.poll_attempt(at(0)), Some(list[0]));
        eyeballs.handle_failed(at(1), list[1]);
        assert_eq!(eyeballs.poll_timeout(), Some(at(250)));
        assert_eq!(eyeballs.poll_attempt(at(250)), Some(list[1]));
    }
}
