//! Everything at once, many times, from numbers that look random; a failure prints its seed.
//!
//! Bytes travel at their own pace in both directions and are cut anywhere; gateways shut down, fall
//! silent, name nothing, close at once. What must hold: every notification ends once and in time,
//! none is acted on twice, and what is reported is what the gateway did.

use core::time::Duration;
use std::collections::BTreeMap;

use super::super::GatewayConfig;
use super::peer::{BAD, Fault, Peer};
use super::support::{LONG, Rig, ms, notification, secs};
use crate::binary::{Command, Dialect, Identifier};
use crate::delivery::ids::ConnectionId;
use crate::provider::{Outcome, Why};
use crate::time::Now;

const SEEDS: u64 = 400;
const STEPS: usize = 1_500;

/// What is under way on a connection.
#[derive(Default)]
struct Pipes {
    /// Bytes of the lane that have arrived at the gateway.
    arrived: usize,
    /// Bytes of the gateway that have not arrived.
    down: Vec<u8>,
}

/// What is known of a notification beforehand.
struct Sent {
    device: u64,
    deadline: Now,
    confirm: bool,
}

struct Chaos {
    rig: Rig,
    seed: u64,
    state: u64,
    /// Nothing goes wrong but bad tokens.
    calm: bool,
    dialect: Dialect,
    pipes: BTreeMap<ConnectionId, Pipes>,
    sent: Vec<Sent>,
}

impl Chaos {
    fn new(seed: u64, calm: bool) -> Self {
        let mut chaos = Self {
            rig: Rig::new(),
            seed,
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            calm,
            dialect: Dialect::ITEMS,
            pipes: BTreeMap::new(),
            sent: Vec::new(),
        };
        let commands = [Command::Items, Command::Enhanced, Command::Simple];
        chaos.dialect = match chaos.below(10) {
            _ if calm => Dialect::ITEMS,
            0 => Dialect::new(commands[2]),
            other => Dialect::new(commands[usize::from(other < 4)]),
        };
        chaos.rig = Rig::with(GatewayConfig {
            dialect: chaos.dialect,
            queue: 60,
            window: 1 + chaos.below(50) as usize,
        });
        let first = u32::MAX - chaos.below(200) as u32;
        chaos.rig.lane.next_identifier = Identifier::new(first).unwrap();
        chaos
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % bound
    }

    /// A few at a time, so that windows fill.
    fn submit(&mut self) {
        for _ in 0..=self.below(12) {
            let flag = if self.below(6) == 0 { BAD } else { 0 };
            let timeout = match self.calm {
                true => LONG,
                false => Duration::from_millis(1 + self.below(40_000)),
            };
            let sent = Sent {
                device: self.sent.len() as u64 + flag,
                deadline: self.rig.now + timeout,
                confirm: self.calm || self.below(4) > 0,
            };
            let notification = notification(sent.device, br#"{"aps":{"alert":"hello"}}"#);
            if self
                .rig
                .try_submit(notification, timeout, sent.confirm)
                .is_ok()
            {
                self.sent.push(sent);
            }
        }
    }

    fn connect(&mut self) {
        if self.rig.pending.is_empty() {
            return;
        }
        let kind = if self.calm { 9 } else { self.below(24) };
        if kind == 0 {
            return self.rig.refuse();
        }
        let connection = self.rig.open();
        self.pipes.insert(connection, Pipes::default());
        let fault = match kind {
            1 => return self.rig.cut(connection),
            2 => Fault::Nameless,
            3 => Fault::Silent,
            4 | 5 => Fault::Shutdown(self.below(20) as usize),
            _ => Fault::None,
        };
        // A gateway of command 0 has no words.
        let wordless = !self.dialect.has_identifiers();
        let fault = if wordless { Fault::Silent } else { fault };
        self.rig.peers.get_mut(&connection).unwrap().fault = fault;
    }

    /// More of what was written arrives, and is acted on.
    fn read(&mut self, connection: ConnectionId, all: bool) {
        let Some(peer) = self
            .rig
            .peers
            .get(&connection)
            .or(self.rig.gone.get(&connection))
        else {
            return;
        };
        let left = peer.raw.len() - self.pipes[&connection].arrived;
        let more = if all {
            left
        } else {
            self.below(left as u64 + 1) as usize
        };
        let pipes = self.pipes.get_mut(&connection).unwrap();
        pipes.arrived += more;
        let peer = self.rig.peers.get_mut(&connection);
        let peer = peer.or(self.rig.gone.get_mut(&connection)).unwrap();
        pipes
            .down
            .extend(peer.serve(pipes.arrived).into_iter().flatten());
    }

    /// Some of the gateway's bytes arrive, and perhaps others behind them.
    fn deliver(&mut self, connection: ConnectionId, all: bool) {
        let mut bytes = std::mem::take(&mut self.pipes.get_mut(&connection).unwrap().down);
        let count = if all {
            bytes.len()
        } else {
            self.below(bytes.len() as u64 + 1) as usize
        };
        let rest = bytes.split_off(count);
        if rest.is_empty() && !bytes.is_empty() && self.below(3) == 0 {
            bytes.extend([8, 8, 0, 0, 0, 1, 7]);
        }
        self.pipes.get_mut(&connection).unwrap().down = rest;
        self.rig.send(connection, &bytes);
    }

    /// Everything that is under way may arrive before it is over, or a part of it.
    fn cut(&mut self, connection: ConnectionId) {
        self.read(connection, false);
        self.deliver(connection, false);
        if self.rig.peers.contains_key(&connection) {
            self.rig.cut(connection);
        }
    }

    fn shut_down(&mut self, connection: ConnectionId) {
        self.read(connection, false);
        let peer = self.rig.peers.get_mut(&connection).unwrap();
        if peer.fault != Fault::Silent {
            let answer = peer.shut_down().into_iter().flatten();
            self.pipes.get_mut(&connection).unwrap().down.extend(answer);
        }
    }

    fn gateway_acts(&mut self) {
        let connections: Vec<ConnectionId> = self.pipes.keys().copied().collect();
        if connections.is_empty() {
            return;
        }
        // Mostly one of the last few, as the others are gone.
        let recent = 1 + self.below(connections.len().min(4) as u64) as usize;
        let connection = connections[connections.len() - recent];
        let Some(peer) = self.rig.peers.get(&connection) else {
            return self.read(connection, false);
        };
        let answered = peer.answered && self.pipes[&connection].down.is_empty();
        match self.below(240) {
            0 if !self.calm => self.cut(connection),
            1 if !self.calm => self.shut_down(connection),
            2..=60 if answered && !self.calm => self.cut(connection),
            0..=120 => self.read(connection, false),
            _ => self.deliver(connection, false),
        }
    }

    /// All that is under way arrives.
    fn catch_up(&mut self) {
        let connections: Vec<ConnectionId> = self.rig.peers.keys().copied().collect();
        for connection in connections {
            self.read(connection, true);
            self.deliver(connection, true);
        }
    }

    fn step(&mut self) {
        match self.below(16) {
            0 => self.submit(),
            1 => self.connect(),
            2 => {
                if self.calm {
                    self.catch_up();
                }
                let by = self.below(600);
                self.rig.advance(ms(by));
            }
            _ => self.gateway_acts(),
        }
    }

    fn run(&mut self) {
        println!("seed {}", self.seed);
        (0..STEPS).for_each(|_| self.step());
        while self.calm && self.rig.outcomes.len() < self.rig.jobs.len() {
            self.connect();
            self.catch_up();
            self.rig.advance(ms(50));
        }
        self.rig.advance(secs(60));
        // What still was under way when this side closed can do no harm either.
        let connections: Vec<ConnectionId> = self.pipes.keys().copied().collect();
        connections
            .into_iter()
            .for_each(|connection| self.read(connection, true));
        self.check();
    }

    /// How often gateways acted on a device: by taking it, and by refusing it.
    fn acted(&self) -> (BTreeMap<u64, u32>, BTreeMap<u64, u32>) {
        let (mut accepted, mut refused) = (BTreeMap::new(), BTreeMap::new());
        for peer in self.rig.peers.values().chain(self.rig.gone.values()) {
            for (from, to) in [
                (&peer.accepted, &mut accepted),
                (&peer.refused, &mut refused),
            ] {
                for (device, count) in from {
                    *to.entry(*device).or_default() += count;
                }
            }
        }
        (accepted, refused)
    }

    fn check(&self) {
        let (seed, rig) = (self.seed, &self.rig);
        let (accepted, refused) = self.acted();
        assert_eq!(rig.jobs.len(), self.sent.len());
        assert!(rig.lane.is_idle(), "seed {seed}");
        for (job, sent) in rig.jobs.iter().zip(&self.sent) {
            let of = |counts: &BTreeMap<u64, u32>| counts.get(&sent.device).copied().unwrap_or(0);
            let (accepted, refused) = (of(&accepted), of(&refused));
            let (at, outcome) = &rig.outcomes[job];
            let story = format!("seed {seed}, {job:?}: {outcome}; {accepted} + {refused} times");
            assert!(*at <= sent.deadline, "too late: {story}");
            assert!(accepted + refused <= 1, "more than once: {story}");
            let expected = match outcome {
                Outcome::Accepted { .. } => accepted == 1,
                Outcome::Rejected { .. } => refused == 1 && sent.device >= BAD,
                Outcome::Unanswered {
                    may_resend: true, ..
                } => accepted + refused == 0,
                Outcome::Unanswered {
                    why: Why::Unconfirmed,
                    ..
                } => !sent.confirm || !self.dialect.has_identifiers(),
                Outcome::Unanswered { .. } => !self.calm,
            };
            assert!(expected, "{story}");
        }
        let connects = rig.connects.len();
        assert!(
            connects <= rig.jobs.len() + 60,
            "seed {seed}: {connects} connects"
        );
    }

    /// How many were written again.
    fn resent(&self) -> usize {
        let peers = self.rig.peers.values().chain(self.rig.gone.values());
        let mut written: BTreeMap<u64, usize> = BTreeMap::new();
        for device in peers.flat_map(Peer::devices) {
            *written.entry(device).or_default() += 1;
        }
        written.values().map(|count| count - 1).sum()
    }
}

#[test]
fn whatever_happens_each_ends_once_and_none_arrives_twice() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut resent, mut total) = (0, 0);
    for seed in 1..=SEEDS {
        let mut chaos = Chaos::new(seed, false);
        chaos.run();
        resent += chaos.resent();
        total += chaos.rig.jobs.len();
        for (_, outcome) in chaos.rig.outcomes.values() {
            let kind = match outcome {
                Outcome::Accepted { .. } => "accepted",
                Outcome::Rejected { .. } => "rejected",
                Outcome::Unanswered { why, .. } => match why {
                    Why::NotSent => "not sent",
                    Why::NotProcessed => "not processed",
                    Why::ConnectionLost => "lost",
                    Why::TimedOut => "timed out",
                    Why::Unconfirmed => "unconfirmed",
                    _ => "unreadable",
                },
            };
            *counts.entry(kind).or_default() += 1;
        }
    }
    // Lower numbers would mean that most of what is meant to happen did not.
    assert!(total > 100_000, "{total}");
    assert!(resent > total / 20, "{resent} of {total} sent again");
    assert_eq!(counts.len(), 8, "{counts:?}");
    for (kind, count) in counts {
        let least = if kind == "accepted" { total / 5 } else { 1_000 };
        assert!(count > least, "{count} of {total} {kind}");
    }
}

#[test]
fn where_nothing_fails_everything_good_is_accepted_and_everything_bad_rejected() {
    let mut total = 0;
    for seed in 1..=SEEDS / 5 {
        let mut chaos = Chaos::new(seed, true);
        chaos.run();
        total += chaos.rig.jobs.len();
    }
    assert!(total > 20_000, "{total}");
}
