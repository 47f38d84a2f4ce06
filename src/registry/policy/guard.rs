//! Refusals of tokens that may come from a wrong credential: whether to believe them.
//!
//! Source: `docs/protocols.md`, section 6. `BadDeviceToken` and `DeviceTokenNotForTopic` say either
//! that a device is dead or that the credential is not that of its app or environment. In the
//! second case every device of the topic gets them, so the number tells.
//!
//! ```text
//!     refused: Remove                        refused: Keep
//!        ┌───┐                                 ┌───┐
//!        │   ▼      one too many: Tripped      │   ▼
//!        └─ calm ───────────────────────────► tripped
//!             ▲                                │
//!             └────────────────────────────────┘
//!                      ten minutes later
//! ```
//!
//! One too many is one that makes more than ten within ten minutes, unless ten times as many pushes
//! of the topic were accepted in that time.
//!
//! Refusals go on being counted while it is tripped, so that it trips again at once if they have
//! not stopped by then. It is never asked about invalidations that APNs gives a time for (410,
//! feedback).
//!
//! Bounds: 1,000 topics, of which the one that was longest not heard of is forgotten, as if it had
//! been calm; ten counts of each kind and ten devices a topic.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use crate::notification::Topic;
use crate::registry::records::DeviceRef;
use crate::time::Now;

/// What to log when a guard trips.
pub const GUARD_TRIPPED: &str = "many tokens of one topic were refused at once: this is a wrong \
                                 credential, not dead devices; none of them is removed";

/// Most topics.
const MAX_TOPICS: usize = 1_000;

/// Refusals within the window that are believed whatever else happens.
const FEW: u64 = 10;

/// How many accepted pushes outweigh one refusal.
const WEIGHT: u64 = 10;

/// How finely the window slides.
const STEP: Duration = Duration::from_secs(60);

/// The window, in steps.
const STEPS: usize = 10;

/// The window.
const WINDOW: Duration = STEP.saturating_mul(10);

/// Whether to believe a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is: remove the device.
    Remove,
    /// It is not: keep it. This has been said before.
    Keep,
    /// It is not, from now on: keep it, say [`GUARD_TRIPPED`], and take back the removal of these,
    /// at most ten.
    Tripped {
        /// The last devices that were to be removed within the window.
        restore: Vec<DeviceRef>,
    },
}

/// Watches the refusals of all topics. What it knows is an instance's own and is not stored: each
/// instance sees its share, and trips by itself.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    topics: BTreeMap<Topic, Watch>,
}

#[derive(Clone, Debug)]
struct Watch {
    accepted: Counts,
    refused: Counts,
    /// The last that were let be removed.
    removed: VecDeque<(Now, DeviceRef)>,
    tripped_at: Option<Now>,
    heard_at: Now,
}

/// How often something happened in each of the last steps.
#[derive(Clone, Debug, Default)]
struct Counts {
    latest: u64,
    counts: [u64; STEPS],
}

impl Guard {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A push of this topic was accepted.
    pub fn accepted(&mut self, topic: &Topic, now: Now) {
        self.watch(topic, now).accepted.add(now);
    }

    /// A push to this device was refused, and it would be removed for it: whether it is to be.
    pub fn refused(&mut self, device: &DeviceRef, now: Now) -> Ruling {
        let watch = self.watch(&device.topic, now);
        watch.refused.add(now);
        if let Some(tripped_at) = watch.tripped_at {
            if now.since(tripped_at) < WINDOW {
                return Ruling::Keep;
            }
            watch.tripped_at = None;
        }
        let refused = watch.refused.sum(now);
        let outweighed = watch.accepted.sum(now) >= refused.saturating_mul(WEIGHT);
        if refused > FEW && !outweighed {
            watch.tripped_at = Some(now);
            let restore = watch.take_removed(now);
            return Ruling::Tripped { restore };
        }
        watch.note_removed(device, now);
        Ruling::Remove
    }

    /// Whether refusals of the topic's devices are not believed.
    pub fn is_tripped(&self, topic: &Topic, now: Now) -> bool {
        let tripped_at = self.topics.get(topic).and_then(|watch| watch.tripped_at);
        tripped_at.is_some_and(|at| now.since(at) < WINDOW)
    }

    fn watch(&mut self, topic: &Topic, now: Now) -> &mut Watch {
        if !self.topics.contains_key(topic) && self.topics.len() >= MAX_TOPICS {
            let oldest = self.topics.iter().min_by_key(|(_, watch)| watch.heard_at);
            if let Some(oldest) = oldest.map(|(topic, _)| topic.clone()) {
                self.topics.remove(&oldest);
            }
        }
        let watch = self.topics.entry(topic.clone()).or_insert_with(|| Watch {
            accepted: Counts::default(),
            refused: Counts::default(),
            removed: VecDeque::new(),
            tripped_at: None,
            heard_at: now,
        });
        watch.heard_at = now;
        watch
    }
}

impl Watch {
    fn note_removed(&mut self, device: &DeviceRef, now: Now) {
        self.removed.retain(|(_, removed)| removed != device);
        if self.removed.len() as u64 >= FEW {
            self.removed.pop_front();
        }
        self.removed.push_back((now, device.clone()));
    }

    fn take_removed(&mut self, now: Now) -> Vec<DeviceRef> {
        let removed = core::mem::take(&mut self.removed);
        removed
            .into_iter()
            .filter(|(at, _)| now.since(*at) < WINDOW)
            .map(|(_, device)| device)
            .collect()
    }
}

impl Counts {
    fn add(&mut self, now: Now) {
        self.slide(now);
        if let Some(count) = self.counts.first_mut() {
            *count += 1;
        }
    }

    fn sum(&mut self, now: Now) -> u64 {
        self.slide(now);
        self.counts.iter().sum()
    }

    /// Makes the first count the one of the present step.
    fn slide(&mut self, now: Now) {
        let step = now.since(Now::ZERO).as_secs() / STEP.as_secs();
        let passed = step.saturating_sub(self.latest);
        let passed = usize::try_from(passed).unwrap_or(STEPS).min(STEPS);
        self.counts.rotate_right(passed);
        self.counts
            .iter_mut()
            .take(passed)
            .for_each(|count| *count = 0);
        self.latest = self.latest.max(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::DeviceToken;

    const WINDOW_SECS: u64 = 600;

    fn device(app: &str, n: u32) -> DeviceRef {
        DeviceRef {
            topic: Topic::parse(app).unwrap(),
            token: DeviceToken::from_bytes(&n.to_be_bytes()).unwrap(),
        }
    }

    fn at(secs: u64) -> Now {
        Now::ZERO + Duration::from_secs(secs)
    }

    /// Refuses the devices of a range, one a second from `from` on; the rulings.
    fn refuse(guard: &mut Guard, range: core::ops::Range<u32>, from: u64) -> Vec<Ruling> {
        range
            .zip(from..)
            .map(|(n, secs)| guard.refused(&device("a.b", n), at(secs)))
            .collect()
    }

    #[test]
    fn a_few_are_believed() {
        let mut guard = Guard::new();
        assert_eq!(refuse(&mut guard, 0..10, 0), vec![Ruling::Remove; 10]);
        // One every ten minutes is never many.
        for n in 0..50 {
            let now = at(WINDOW_SECS * (u64::from(n) + 2));
            assert_eq!(guard.refused(&device("a.b", n), now), Ruling::Remove);
        }
    }

    #[test]
    fn many_at_once_are_not_and_the_first_come_back() {
        let mut guard = Guard::new();
        refuse(&mut guard, 0..10, 0);
        let restore = (0..10).map(|n| device("a.b", n)).collect();
        let tripped = guard.refused(&device("a.b", 10), at(10));
        assert_eq!(tripped, Ruling::Tripped { restore });
        assert_eq!(refuse(&mut guard, 11..40, 11), vec![Ruling::Keep; 29]);
        let topic = Topic::parse("a.b").unwrap();
        assert!(guard.is_tripped(&topic, at(609)) && !guard.is_tripped(&topic, at(610)));
        let other = guard.refused(&device("a.c", 1), at(40));
        assert_eq!(other, Ruling::Remove, "another topic is another matter");
    }

    #[test]
    fn accepted_pushes_outweigh_ten_times_fewer_refusals() {
        let mut guard = Guard::new();
        let topic = Topic::parse("a.b").unwrap();
        for _ in 0..200 {
            guard.accepted(&topic, at(0));
        }
        let rulings = refuse(&mut guard, 0..21, 0);
        assert_eq!(rulings[..20], vec![Ruling::Remove; 20]);
        let restore = (10..20).map(|n| device("a.b", n)).collect();
        assert_eq!(rulings[20], Ruling::Tripped { restore });
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut guard = Guard::new();
        let topic = Topic::parse("a.b").unwrap();
        for _ in 0..1_000 {
            guard.accepted(&topic, at(0));
        }
        let rulings = refuse(&mut guard, 0..11, WINDOW_SECS);
        assert!(matches!(rulings[10], Ruling::Tripped { .. }), "{rulings:?}");
        let mut guard = Guard::new();
        refuse(&mut guard, 0..10, 0);
        let rulings = refuse(&mut guard, 10..20, WINDOW_SECS);
        assert_eq!(rulings, vec![Ruling::Remove; 10]);
    }

    #[test]
    fn it_calms_down_only_when_the_refusals_have_stopped() {
        let mut guard = Guard::new();
        refuse(&mut guard, 0..11, 0);
        // One every ten seconds, all the time: nobody is removed ever after.
        for n in 0..600 {
            let now = at(20 + 10 * u64::from(n));
            match guard.refused(&device("a.b", n), now) {
                Ruling::Remove => panic!("{n}"),
                Ruling::Tripped { restore } => assert_eq!(restore, []),
                Ruling::Keep => {}
            }
        }
        let calm = at(20 + 6_000 + 2 * WINDOW_SECS);
        assert_eq!(guard.refused(&device("a.b", 7), calm), Ruling::Remove);
    }

    #[test]
    fn the_topic_longest_not_heard_of_is_forgotten() {
        let mut guard = Guard::new();
        refuse(&mut guard, 0..11, 0);
        for n in 0..1_000_u64 {
            let topic = Topic::parse(&format!("t.{n}")).unwrap();
            guard.accepted(&topic, at(20));
        }
        assert_eq!(guard.topics.len(), MAX_TOPICS);
        assert_eq!(guard.refused(&device("a.b", 1), at(21)), Ruling::Remove);
        assert_eq!(guard.topics.len(), MAX_TOPICS);
    }
}
