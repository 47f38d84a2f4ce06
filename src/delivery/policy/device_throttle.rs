//! Which devices get one notification at a time, and when the next: [`DeviceThrottle`].
//!
//! Source: Apple, *Handling notification responses from APNs*: 429 `TooManyRequests`, "too many
//! requests were made consecutively to the same device token".
//!
//! ```text
//!   429 ─► the device is left alone for a second, or as `retry-after` says, 15 minutes at most
//!          then one notification a second
//!   429 again, of one sent after that ─► two seconds, four, … a minute
//!   accepted ─► half as long, down to a second; a minute without any: forgotten
//! ```
//!
//! A device stands for whoever a message is for: the channel of a broadcast, and the app of a call
//! about channels, are spaced in the same way. Others are not held up. Bound: 10,000 devices; at it
//! those whose wait is over are forgotten, and if there are none, one of the others.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use super::jitter::jittered;
use super::retry::LONGEST_ASKED;
use crate::time::Now;

/// Most devices.
const MAX_DEVICES: usize = 10_000;

/// The shortest time between two notifications to one of them.
const FIRST_GAP: Duration = Duration::from_secs(1);

/// The longest.
const LONGEST_GAP: Duration = Duration::from_secs(60);

/// How long one is remembered that nothing is sent to.
const MEMORY: Duration = Duration::from_secs(60);

/// How often all are looked through for those that can be forgotten.
const SWEEP: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Pace {
    gap: Duration,
    next: Now,
    /// Nothing was sent since it was refused.
    resting: bool,
}

/// The devices that are spaced. `Debug` shows how many.
#[derive(Default)]
pub(in crate::delivery) struct DeviceThrottle {
    devices: BTreeMap<Box<[u8]>, Pace>,
    swept: Now,
}

impl DeviceThrottle {
    /// Whether a notification may be sent now, which then counts as sent.
    ///
    /// # Errors
    /// When to ask again.
    pub(in crate::delivery) fn admit(&mut self, recipient: &[u8], now: Now) -> Result<(), Now> {
        if self.devices.is_empty() {
            return Ok(());
        }
        let Some(pace) = self.devices.get_mut(recipient) else {
            return Ok(());
        };
        if pace.next > now {
            return Err(pace.next);
        }
        if pace.next + MEMORY < now {
            self.devices.remove(recipient);
        } else {
            pace.next = now + pace.gap;
            pace.resting = false;
        }
        Ok(())
    }

    /// APNs said that it was too much. Returns when the next may be sent.
    pub(in crate::delivery) fn refused(
        &mut self,
        recipient: &[u8],
        now: Now,
        asked: Option<Duration>,
        entropy: u64,
    ) -> Now {
        let known = self.devices.get(recipient).copied();
        let gap = match known {
            // Of one that was sent before the refusal that is known of: it says nothing new.
            Some(pace) if pace.resting => pace.gap,
            Some(pace) => (pace.gap * 2).min(LONGEST_GAP),
            None => FIRST_GAP,
        };
        let wait = jittered(gap.max(asked.unwrap_or_default()), entropy).min(LONGEST_ASKED);
        let next = match known {
            Some(pace) if pace.resting => pace.next,
            _ => now + wait,
        };
        self.make_room(now);
        let recipient = Box::from(recipient);
        let resting = true;
        self.devices.insert(recipient, Pace { gap, next, resting });
        next
    }

    /// APNs took one.
    pub(in crate::delivery) fn accepted(&mut self, recipient: &[u8]) {
        if self.devices.is_empty() {
            return;
        }
        if let Some(pace) = self.devices.get_mut(recipient) {
            pace.gap = (pace.gap / 2).max(FIRST_GAP);
        }
    }

    /// How many devices are remembered.
    pub(in crate::delivery) fn len(&self) -> usize {
        self.devices.len()
    }

    fn make_room(&mut self, now: Now) {
        if self.devices.len() < MAX_DEVICES {
            return;
        }
        if now >= self.swept + SWEEP {
            self.swept = now;
            self.devices.retain(|_, pace| pace.next > now);
        }
        while self.devices.len() >= MAX_DEVICES {
            self.devices.pop_first();
        }
    }
}

impl fmt::Debug for DeviceThrottle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceThrottle({} devices)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    fn at(millis: u64) -> Now {
        Now::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_refused_device_waits_and_then_gets_one_at_a_time_while_others_go_on() {
        let mut throttle = DeviceThrottle::default();
        assert_eq!(throttle.admit(&device(1), at(0)), Ok(()));
        let next = throttle.refused(&device(1), at(0), None, 0);
        assert_eq!(next, at(1_000));
        assert_eq!(throttle.admit(&device(1), at(999)), Err(next));
        assert_eq!(throttle.admit(&device(2), at(0)), Ok(()));
        assert_eq!(throttle.admit(&device(1), at(1_000)), Ok(()));
        assert_eq!(throttle.admit(&device(1), at(1_000)), Err(at(2_000)));
    }

    #[test]
    fn each_refusal_that_is_news_doubles_the_gap_up_to_a_minute() {
        let mut throttle = DeviceThrottle::default();
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..9 {
            let next = throttle.refused(&device(1), now, None, 0);
            waits.push(next.since(now).as_secs());
            now = next;
            assert_eq!(throttle.admit(&device(1), now), Ok(()));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        for _ in 0..9 {
            throttle.accepted(&device(1));
        }
        now = now + LONGEST_GAP;
        assert_eq!(throttle.admit(&device(1), now), Ok(()));
        assert_eq!(throttle.admit(&device(1), now), Err(now + FIRST_GAP));
    }

    #[test]
    fn retry_after_is_obeyed_if_it_is_longer() {
        let mut throttle = DeviceThrottle::default();
        let asked = |secs| Some(Duration::from_secs(secs));
        assert_eq!(
            throttle.refused(&device(1), at(0), asked(30), 0),
            at(30_000)
        );
        assert_eq!(throttle.refused(&device(2), at(0), asked(0), 0), at(1_000));
        for (number, entropy) in [(3, 0), (4, u64::MAX)] {
            let of_a_day = throttle.refused(&device(number), at(0), asked(86_400), entropy);
            assert_eq!(of_a_day, Now::ZERO + LONGEST_ASKED);
        }
    }

    #[test]
    fn refusals_of_what_was_in_flight_together_count_once() {
        let mut throttle = DeviceThrottle::default();
        for millis in 0..100 {
            throttle.refused(&device(1), at(millis), None, 0);
        }
        assert_eq!(throttle.admit(&device(1), at(1_000)), Ok(()));
        assert_eq!(throttle.admit(&device(1), at(1_000)), Err(at(2_000)));
    }

    #[test]
    fn devices_are_forgotten_in_time_and_never_more_than_the_bound() {
        let mut throttle = DeviceThrottle::default();
        throttle.refused(&device(1), at(0), None, 0);
        assert_eq!(throttle.admit(&device(1), at(100_000)), Ok(()));
        assert_eq!(throttle.len(), 0);
        for number in 0..30_000 {
            throttle.refused(&device(number), at(number / 100), None, number);
            assert!(throttle.len() <= MAX_DEVICES);
        }
        assert_eq!(format!("{throttle:?}"), "DeviceThrottle(10000 devices)");
    }
}
