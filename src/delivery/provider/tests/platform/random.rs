//! A platform that does anything, in any order, from a seed: each job has one outcome, and it is
//! true.

use core::time::Duration;
use std::collections::BTreeMap;

use super::super::support::{Rig, config, secs};
use super::{response, rig_of};
use crate::delivery::exchange::ExchangeFailure;
use crate::delivery::policy::retry::MAX_ATTEMPTS;
use crate::delivery::provider::lane::ProviderConfig;
use crate::provider::Outcome;
use crate::time::Now;

struct Chaos {
    rig: Rig,
    seed: u64,
    state: u64,
    deadlines: Vec<Now>,
    /// How often the peer acted on each device.
    acted: BTreeMap<u64, u32>,
    /// How often each device was answered, or may have been acted on.
    sent: BTreeMap<u64, u8>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let rig = rig_of(ProviderConfig {
            queue: 40,
            ..config(1)
        });
        Self {
            rig,
            seed,
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            deadlines: Vec::new(),
            acted: BTreeMap::new(),
            sent: BTreeMap::new(),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % bound
    }

    fn step(&mut self) {
        match self.below(10) {
            0..=3 => {
                let timeout = Duration::from_millis(1 + self.below(40_000));
                if self.rig.try_submit(timeout, br#"{"aps":{}}"#).is_ok() {
                    self.deadlines.push(self.rig.now + timeout);
                }
            }
            4 => {
                let by = Duration::from_millis(self.below(600));
                self.rig.advance(by);
            }
            _ => self.platform_acts(),
        }
        self.check();
    }

    fn platform_acts(&mut self) {
        let out = self.rig.out();
        if out.is_empty() {
            return;
        }
        let id = out[self.below(out.len() as u64) as usize];
        let device = self.rig.device(id);
        let kind = self.below(30);
        // The last three are no attempts.
        if kind < 27 {
            *self.sent.entry(device).or_default() += 1;
        }
        match kind {
            0..=19 => {
                *self.acted.entry(device).or_default() += 1;
                self.rig.respond(id, &response(200, ""));
            }
            20..=22 => self.rig.respond(id, &response(400, "BadTopic")),
            23 => self.rig.respond(id, &response(400, "IdleTimeout")),
            24 => self.rig.respond(id, &response(503, "Shutdown")),
            25 | 26 => {
                *self.acted.entry(device).or_default() += 1;
                self.rig.fail(id, ExchangeFailure::Unanswered);
            }
            27 => self.rig.fail(id, ExchangeFailure::NotSent),
            _ => self.rig.fail(id, ExchangeFailure::NotProcessed),
        }
    }

    fn check(&self) {
        let seed = self.seed;
        for (number, job) in self.rig.jobs.iter().enumerate() {
            let device = number as u64;
            let acted = self.acted.get(&device).copied().unwrap_or(0);
            assert!(
                acted <= 1,
                "seed {seed}: device {device} was notified twice"
            );
            let sent = self.sent.get(&device).copied().unwrap_or(0);
            assert!(sent <= MAX_ATTEMPTS, "seed {seed}: device {device}");
            let deadline = self.deadlines[number];
            let Some((at, outcome)) = self.rig.outcomes.get(job) else {
                let is_due = self.rig.lane.poll_timeout() == Some(self.rig.now);
                assert!(self.rig.now < deadline || is_due, "seed {seed}: {number}");
                continue;
            };
            assert!(*at <= deadline, "seed {seed}: job {number} ended too late");
            match outcome {
                Outcome::Accepted { .. } => assert_eq!(acted, 1, "seed {seed}: {number}"),
                Outcome::Unanswered {
                    may_resend: true, ..
                }
                | Outcome::Rejected { .. } => assert_eq!(acted, 0, "seed {seed}: {number}"),
                Outcome::Unanswered { .. } => {}
            }
        }
    }
}

#[test]
fn whatever_the_platform_does_each_job_has_one_outcome_and_none_arrives_twice() {
    let (mut accepted, mut total) = (0, 0);
    for seed in 1..=60 {
        let mut chaos = Chaos::new(seed);
        for _ in 0..1_000 {
            chaos.step();
        }
        chaos.rig.advance(secs(60));
        chaos.check();
        let rig = &chaos.rig;
        assert!(rig.lane.is_idle() && rig.out().is_empty(), "seed {seed}");
        assert_eq!(rig.outcomes.len(), rig.jobs.len(), "seed {seed}");
        assert!(rig.connects.is_empty(), "seed {seed}");
        total += rig.jobs.len();
        accepted += rig.jobs.iter().filter(|job| rig.is_accepted(**job)).count();
    }
    // The numbers would be far lower if most of what is meant to happen did not.
    assert!(total > 10_000, "{total}");
    assert!(accepted * 4 > total, "{accepted} of {total} accepted");
}
