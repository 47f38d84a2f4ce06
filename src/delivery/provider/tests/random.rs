//! Everything at once, many times, from numbers that look random.

use core::time::Duration;
use std::collections::BTreeMap;

use super::support::{Rig, secs};
use super::wire;
use crate::delivery::ids::ConnectionId;
use crate::http2;
use crate::provider::Outcome;
use crate::time::Now;

const SEEDS: u64 = 60;
const STEPS: usize = 1_500;

/// The largest stream that the peer has acted on, and what it has promised.
#[derive(Default)]
struct Side {
    highest: u32,
    last: Option<u32>,
    silent: bool,
    greeted: bool,
}

struct Chaos {
    rig: Rig,
    seed: u64,
    state: u64,
    sides: BTreeMap<ConnectionId, Side>,
    /// How often the peer acted on each device, and how many of those it took.
    processed: BTreeMap<u64, u32>,
    deadlines: Vec<Now>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let http2 = http2::Config {
            max_pending_body: 200,
            ..http2::Config::default()
        };
        Self {
            rig: Rig::with(40, http2),
            seed,
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            sides: BTreeMap::new(),
            processed: BTreeMap::new(),
            deadlines: Vec::new(),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % bound
    }

    fn submit(&mut self) {
        let timeout = Duration::from_millis(1 + self.below(40_000));
        if self
            .rig
            .try_submit(timeout, br#"{"aps":{"alert":"hello"}}"#)
            .is_ok()
        {
            self.deadlines.push(self.rig.now + timeout);
        }
    }

    fn connect(&mut self) {
        if self.rig.pending.is_empty() {
            return;
        }
        if self.below(4) == 0 {
            return self.rig.refuse();
        }
        let connection = self.rig.open_silently();
        self.sides.insert(connection, Side::default());
    }

    /// SETTINGS: the first of a connection or a change.
    fn settings(&mut self, connection: ConnectionId) {
        let limit = [1, 2, 5, 100, 1_000][self.below(5) as usize];
        let window = [0, 7, 65_535, 65_535][self.below(4) as usize];
        let values = [
            (wire::MAX_CONCURRENT_STREAMS, limit),
            (wire::INITIAL_WINDOW_SIZE, window),
        ];
        let mut bytes = wire::settings(&values);
        // Those open under a higher limit stay; while they are more, none may follow.
        let peer = self.rig.peers.get_mut(&connection).unwrap();
        let before = peer.limit.take();
        let side = self.sides.get_mut(&connection).unwrap();
        if !std::mem::replace(&mut side.greeted, true) {
            bytes.extend(wire::settings_ack());
        }
        // Split anywhere, so the old limit or the new one may hold for what comes out.
        self.rig.peers.get_mut(&connection).unwrap().limit = before.map(|before| before.max(limit));
        self.send(connection, &bytes);
        if let Some(peer) = self.rig.peers.get_mut(&connection) {
            peer.limit = Some(limit);
        }
    }

    /// In two pieces.
    fn send(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let at = self.below(bytes.len() as u64 + 1) as usize;
        self.rig.send(connection, &bytes[..at]);
        if self.rig.peers.contains_key(&connection) {
            self.rig.send(connection, &bytes[at..]);
        }
    }

    /// A stream that the peer may act on: complete, and not above what it said is its last.
    fn pick(&mut self, connection: ConnectionId) -> Option<u32> {
        let last = self.sides[&connection].last.unwrap_or(u32::MAX);
        let open = &self.rig.peers[&connection].open;
        let fit = open
            .iter()
            .filter(|(id, asked)| asked.complete && **id <= last);
        let fit: Vec<u32> = fit.map(|(id, _)| *id).collect();
        (!fit.is_empty()).then(|| fit[self.below(fit.len() as u64) as usize])
    }

    /// The peer acts on a stream and forgets it.
    fn process(&mut self, connection: ConnectionId, stream: u32) {
        let asked = self
            .rig
            .peers
            .get_mut(&connection)
            .unwrap()
            .open
            .remove(&stream)
            .unwrap();
        let side = self.sides.get_mut(&connection).unwrap();
        side.highest = side.highest.max(stream);
        *self.processed.entry(asked.device()).or_default() += 1;
    }

    fn answer(&mut self, connection: ConnectionId, kind: u64) {
        let Some(stream) = self.pick(connection) else {
            return;
        };
        match kind {
            0..=5 => {
                self.process(connection, stream);
                self.send(connection, &wire::ok(stream));
            }
            6 => {
                self.rig
                    .peers
                    .get_mut(&connection)
                    .unwrap()
                    .open
                    .remove(&stream);
                let answer = wire::answer(stream, "400", &[], br#"{"reason":"BadTopic"}"#);
                self.send(connection, &answer);
            }
            7 => {
                self.rig
                    .peers
                    .get_mut(&connection)
                    .unwrap()
                    .open
                    .remove(&stream);
                self.send(connection, &wire::reset(stream, 7));
            }
            _ => {
                let code = [0, 1, 2, 8, 11][self.below(5) as usize];
                self.process(connection, stream);
                self.send(connection, &wire::reset(stream, code));
            }
        }
    }

    fn go_away(&mut self, connection: ConnectionId) {
        let side = &self.sides[&connection];
        let (low, high) = (side.highest, side.last.unwrap_or(side.highest + 40));
        let last = low + self.below(u64::from(high - low) + 1) as u32;
        self.sides.get_mut(&connection).unwrap().last = Some(last);
        self.send(
            connection,
            &wire::go_away(last, 0, br#"{"reason":"Shutdown"}"#),
        );
    }

    /// A few more streams are acted on, part of an answer may get out, then it is over.
    fn cut(&mut self, connection: ConnectionId) {
        let mut bytes = Vec::new();
        for _ in 0..self.below(5) {
            let Some(stream) = self.pick(connection) else {
                break;
            };
            self.process(connection, stream);
            bytes.extend(wire::ok(stream));
        }
        let at = self.below(bytes.len() as u64 + 1) as usize;
        self.rig.send(connection, &bytes[..at]);
        if self.rig.peers.contains_key(&connection) {
            self.rig.cut(connection);
        }
    }

    fn windows(&mut self, connection: ConnectionId) {
        let peer = self.rig.peers.get_mut(&connection).unwrap();
        let consumed = std::mem::take(&mut peer.consumed);
        let waiting = peer.open.iter().filter(|(_, asked)| !asked.complete);
        let streams: Vec<u32> = waiting.map(|(id, _)| *id).collect();
        let mut bytes = Vec::new();
        if consumed > 0 {
            bytes.extend(wire::window_update(0, consumed));
        }
        for stream in streams {
            bytes.extend(wire::window_update(stream, 1 + self.below(30) as u32));
        }
        self.send(connection, &bytes);
    }

    fn pongs(&mut self, connection: ConnectionId) {
        let pings = std::mem::take(&mut self.rig.peers.get_mut(&connection).unwrap().pings);
        for ping in pings {
            if self.rig.peers.contains_key(&connection) {
                self.send(connection, &wire::pong(&ping));
            }
        }
    }

    /// Answers to streams that the lane has given up.
    fn late(&mut self, connection: ConnectionId) {
        if let Some((stream, _)) = self.rig.peers[&connection].resets.last().copied() {
            self.send(connection, &wire::ok(stream));
        }
    }

    fn peer_acts(&mut self) {
        let connections: Vec<ConnectionId> = self.rig.peers.keys().copied().collect();
        if connections.is_empty() {
            return;
        }
        let connection = connections[self.below(connections.len() as u64) as usize];
        let kind = self.below(100);
        let side = self.sides.get_mut(&connection).unwrap();
        if side.silent {
            if kind == 0 {
                self.cut(connection);
            }
            return;
        }
        if !side.greeted {
            return self.settings(connection);
        }
        match kind {
            0..=69 => {
                let kind = self.below(9);
                self.answer(connection, kind);
            }
            70..=74 => self.settings(connection),
            75 | 76 => self.go_away(connection),
            77 => self.cut(connection),
            78 => side.silent = true,
            79..=81 => self.late(connection),
            82..=90 => self.pongs(connection),
            _ => self.windows(connection),
        }
    }

    fn step(&mut self) {
        match self.below(10) {
            0..=2 => self.submit(),
            3 => self.connect(),
            4 => {
                let by = Duration::from_millis(self.below(600));
                self.rig.advance(by);
            }
            _ => self.peer_acts(),
        }
        self.check();
    }

    fn check(&self) {
        let seed = self.seed;
        for (device, count) in &self.processed {
            assert!(
                *count <= 1,
                "seed {seed}: device {device} was notified {count} times"
            );
        }
        for (device, job) in self.rig.jobs.iter().enumerate() {
            let processed = self.processed.get(&(device as u64)).copied().unwrap_or(0);
            match self.rig.outcomes.get(job) {
                None => assert!(
                    self.rig.now < self.deadlines[device] || self.overdue_is_due(),
                    "seed {seed}: job {device} has no outcome at its deadline"
                ),
                Some((at, outcome)) => {
                    let deadline = self.deadlines[device];
                    assert!(*at <= deadline, "seed {seed}: job {device} ended too late");
                    match outcome {
                        Outcome::Accepted { .. } => {
                            assert_eq!(processed, 1, "seed {seed}: job {device}");
                        }
                        Outcome::Unanswered {
                            may_resend: true, ..
                        }
                        | Outcome::Rejected { .. } => {
                            assert_eq!(processed, 0, "seed {seed}: job {device} {outcome}");
                        }
                        Outcome::Unanswered { .. } => {}
                    }
                }
            }
        }
    }

    /// A deadline of this very moment, which the timer has not been called for.
    fn overdue_is_due(&self) -> bool {
        self.rig
            .lane
            .poll_timeout()
            .is_some_and(|at| at == self.rig.now)
    }

    /// How many requests were written again, on all connections together.
    fn written_again(&self) -> usize {
        let mut attempts: BTreeMap<u64, usize> = BTreeMap::new();
        for peer in self.rig.peers.values().chain(self.rig.gone.values()) {
            peer.devices
                .iter()
                .for_each(|device| *attempts.entry(*device).or_default() += 1);
        }
        attempts.values().map(|count| count - 1).sum()
    }
}

#[test]
fn whatever_happens_each_job_has_one_outcome_and_none_arrives_twice() {
    let (mut accepted, mut resent, mut total) = (0, 0, 0);
    for seed in 1..=SEEDS {
        let mut chaos = Chaos::new(seed);
        for _ in 0..STEPS {
            chaos.step();
        }
        chaos.rig.advance(secs(60));
        chaos.check();
        let rig = &chaos.rig;
        assert!(rig.lane.is_idle(), "seed {seed}");
        assert_eq!(rig.outcomes.len(), rig.jobs.len(), "seed {seed}");
        total += rig.jobs.len();
        accepted += rig.jobs.iter().filter(|job| rig.is_accepted(**job)).count();
        resent += chaos.written_again();
    }
    // The numbers would be far lower if most of what is meant to happen did not.
    assert!(total > 10_000, "{total}");
    assert!(accepted * 4 > total, "{accepted} of {total} accepted");
    assert!(resent > total / 20, "{resent} of {total} sent again");
}
