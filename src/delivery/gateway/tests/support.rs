//! A gateway lane, its virtual clock, and the far end of every connection it asks for.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::super::lane::MAX_CONNECTIONS;
use super::super::{GatewayConfig, GatewayLane};
use super::peer::{BAD, Peer, answer};
use crate::binary::{Command, Dialect};
use crate::delivery::action::Action;
use crate::delivery::ids::{ConnectionId, JobId};
use crate::delivery::submission::{QueueFull, Submission};
use crate::notification::{DeviceToken, Draft, Notification, Payload, Topic};
use crate::provider::{Outcome, Why};
use crate::time::Now;

pub const LONG: Duration = Duration::from_secs(1_000_000);

pub const CONFIG: GatewayConfig = GatewayConfig {
    dialect: Dialect::ITEMS,
    queue: 2_000,
    window: 1_000,
};

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn speaking(command: Command) -> GatewayConfig {
    GatewayConfig {
        dialect: Dialect::new(command),
        ..CONFIG
    }
}

pub fn notification(device: u64, payload: &[u8]) -> Arc<Notification> {
    let token = DeviceToken::from_bytes(&device.to_be_bytes()).unwrap();
    let topic = Topic::parse("com.example.app").unwrap();
    let payload = Payload::parse(payload).unwrap();
    Arc::new(Draft::new(token, topic, payload).build().unwrap())
}

/// What connecting comes to while time passes in [`Rig::advance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// It stays open until the test says something.
    Undecided,
    Refuses,
    /// Takes the connection and closes it at once.
    HangsUp,
    /// Closes it without a word once something has been written.
    Drops,
    /// Takes it and answers by the rules.
    Serves,
}

pub struct Rig {
    pub lane: GatewayLane,
    pub now: Now,
    pub world: World,
    /// Connects asked for and not yet decided.
    pub pending: VecDeque<ConnectionId>,
    /// When each was asked for.
    pub connects: Vec<Now>,
    pub peers: BTreeMap<ConnectionId, Peer>,
    /// Connections that the lane wanted closed.
    pub closed: Vec<ConnectionId>,
    /// Connections that are gone.
    pub gone: BTreeMap<ConnectionId, Peer>,
    pub outcomes: BTreeMap<JobId, (Now, Outcome)>,
    pub jobs: Vec<JobId>,
    entropy: u64,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(CONFIG)
    }

    pub fn with(config: GatewayConfig) -> Self {
        Self {
            lane: GatewayLane::new(config),
            now: Now::ZERO,
            world: World::Undecided,
            pending: VecDeque::new(),
            connects: Vec::new(),
            peers: BTreeMap::new(),
            closed: Vec::new(),
            gone: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            jobs: Vec::new(),
            entropy: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// One whose first connection has proven itself, so that later ones are not held.
    pub fn proven(config: GatewayConfig) -> Self {
        let mut rig = Self::with(config);
        rig.world = World::Serves;
        rig.submit(LONG);
        rig.advance(ms(2_000));
        assert_eq!(rig.outcomes.len(), 1);
        rig.world = World::Undecided;
        (rig.jobs, rig.outcomes, rig.gone) = Default::default();
        (rig.connects, rig.closed) = Default::default();
        rig
    }

    /// With a connection that has `count` notifications on it, to devices 0 and up, and no probe.
    pub fn flying(count: u64) -> (Self, ConnectionId) {
        let mut rig = Self::proven(CONFIG);
        rig.submit_all(count);
        let connection = rig.open();
        assert_eq!(
            rig.peer(connection).devices(),
            (0..count).collect::<Vec<_>>()
        );
        (rig, connection)
    }

    pub fn random(&mut self) -> u64 {
        self.entropy ^= self.entropy << 13;
        self.entropy ^= self.entropy >> 7;
        self.entropy ^= self.entropy << 17;
        self.entropy
    }

    pub fn try_submit(
        &mut self,
        notification: Arc<Notification>,
        timeout: Duration,
        confirm: bool,
    ) -> Result<JobId, QueueFull> {
        let order = Submission {
            message: notification.into(),
            deadline: self.now + timeout,
            confirm,
        };
        let job = self.lane.submit(self.now, order)?;
        self.jobs.push(job);
        self.drive();
        Ok(job)
    }

    fn order(&mut self, flag: u64, timeout: Duration, confirm: bool) -> JobId {
        let notification = notification(self.jobs.len() as u64 + flag, br#"{"aps":{}}"#);
        self.try_submit(notification, timeout, confirm).unwrap()
    }

    /// To the device of the next number.
    pub fn submit(&mut self, timeout: Duration) -> JobId {
        self.order(0, timeout, true)
    }

    pub fn submit_bad(&mut self) -> JobId {
        self.order(BAD, LONG, true)
    }

    /// One that nobody wants to be confirmed.
    pub fn submit_unasked(&mut self, timeout: Duration) -> JobId {
        self.order(0, timeout, false)
    }

    pub fn submit_all(&mut self, count: u64) -> Vec<JobId> {
        (0..count).map(|_| self.submit(LONG)).collect()
    }

    /// Opens the oldest connection that was asked for.
    pub fn open(&mut self) -> ConnectionId {
        let connection = self
            .pending
            .pop_front()
            .expect("no connection was asked for");
        self.lane.handle_connected(self.now, connection);
        self.peers.insert(connection, Peer::default());
        self.drive();
        connection
    }

    pub fn refuse(&mut self) {
        let connection = self
            .pending
            .pop_front()
            .expect("no connection was asked for");
        let entropy = self.random();
        self.lane
            .handle_connect_failed(self.now, connection, "refused".to_owned(), entropy);
        self.drive();
    }

    /// The gateway sends octets.
    pub fn send(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.lane.handle_input(self.now, connection, bytes);
        self.drive();
    }

    pub fn answer(&mut self, connection: ConnectionId, status: u8, identifier: u32) {
        self.send(connection, &answer(status, identifier));
    }

    /// The gateway refuses the probe.
    pub fn confirm(&mut self, connection: ConnectionId) {
        let probe = self.peer(connection).probe().expect("no probe");
        self.answer(connection, 5, probe);
        assert!(!self.peers.contains_key(&connection));
    }

    /// The transport closes.
    pub fn cut(&mut self, connection: ConnectionId) {
        let entropy = self.random();
        self.lane.handle_closed(self.now, connection, entropy);
        if let Some(peer) = self.peers.remove(&connection) {
            self.gone.insert(connection, peer);
        }
        self.drive();
    }

    /// What a driver does after every call.
    pub fn drive(&mut self) {
        loop {
            self.drain();
            let peers = self.peers.iter_mut();
            let served = peers.filter_map(|(id, peer)| Some((*id, peer.serve(peer.raw.len())?)));
            let answers: Vec<_> = match self.world {
                World::Serves => served.collect(),
                _ => Vec::new(),
            };
            if answers.is_empty() {
                break;
            }
            for (connection, bytes) in answers {
                self.lane.handle_input(self.now, connection, &bytes);
                self.drain();
            }
        }
        let ended = self.outcomes.len() == self.jobs.len();
        assert_eq!(self.lane.is_idle(), ended);
    }

    fn drain(&mut self) {
        loop {
            self.take_outcomes();
            match self.lane.poll_action() {
                Some(action) => self.carry_out(action),
                None if self.transmit_all() == 0 => break,
                None => {}
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Connect(connection) => {
                self.pending.push_back(connection);
                self.connects.push(self.now);
                assert!(self.pending.len() + self.peers.len() <= MAX_CONNECTIONS);
            }
            Action::Close(connection) => {
                self.transmit(connection);
                self.closed.push(connection);
                let entropy = self.random();
                self.lane.handle_closed(self.now, connection, entropy);
                if let Some(peer) = self.peers.remove(&connection) {
                    self.gone.insert(connection, peer);
                }
            }
            Action::RenewToken(_) => panic!("the gateway has no token"),
            Action::Abandon(_) | Action::TakeTurn | Action::TellTurn(_) => {
                panic!("the gateway has no exchanges")
            }
        }
    }

    /// Says how often it wrote.
    fn transmit_all(&mut self) -> usize {
        let connections: Vec<ConnectionId> = self.peers.keys().copied().collect();
        connections
            .into_iter()
            .map(|connection| self.transmit(connection))
            .sum()
    }

    fn take_outcomes(&mut self) {
        while let Some((job, outcome)) = self.lane.poll_outcome() {
            let before = self.outcomes.insert(job, (self.now, outcome));
            assert_eq!(before, None, "two outcomes for one job");
        }
    }

    fn transmit(&mut self, connection: ConnectionId) -> usize {
        let mut rounds = 0;
        while self.lane.wants_transmit(connection) {
            let mut bytes = Vec::new();
            self.lane.poll_transmit(self.now, connection, &mut bytes);
            self.peers.get_mut(&connection).unwrap().write(&bytes);
            rounds += 1;
            assert!(rounds < 1_000, "it always wants to write");
        }
        rounds
    }

    /// Lets time pass, and the world do to connections what it does.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        let mut calls = 0;
        self.decide();
        while let Some(at) = self.lane.poll_timeout().filter(|at| *at <= end) {
            calls = if at > self.now { 0 } else { calls + 1 };
            assert!(calls < 10, "a timer that does not move");
            self.now = self.now.max(at);
            self.lane.handle_timeout(self.now);
            self.drive();
            self.decide();
        }
        self.now = end;
    }

    fn decide(&mut self) {
        while !self.pending.is_empty() && self.world != World::Undecided {
            match self.world {
                World::Undecided => {}
                World::Refuses => self.refuse(),
                World::HangsUp => {
                    let connection = self.open();
                    self.cut(connection);
                }
                World::Drops | World::Serves => {
                    self.open();
                }
            }
        }
        if self.world == World::Drops {
            let written = self.peers.iter().filter(|(_, peer)| !peer.raw.is_empty());
            let written: Vec<ConnectionId> = written.map(|(connection, _)| *connection).collect();
            written
                .into_iter()
                .for_each(|connection| self.cut(connection));
        }
    }

    pub fn peer(&self, connection: ConnectionId) -> &Peer {
        &self.peers[&connection]
    }

    /// Everything that was written to a device, on any connection.
    pub fn times_written(&self, device: u64) -> usize {
        let all = self.peers.values().chain(self.gone.values());
        all.flat_map(Peer::devices)
            .filter(|got| *got == device)
            .count()
    }

    pub fn outcome(&self, job: JobId) -> Option<&Outcome> {
        self.outcomes.get(&job).map(|(_, outcome)| outcome)
    }

    pub fn assert_unanswered(&self, jobs: &[JobId], expected: Why) {
        for job in jobs {
            let expected = Outcome::unanswered(expected);
            assert_eq!(self.outcome(*job), Some(&expected), "{job:?}");
        }
    }

    pub fn assert_accepted(&self, jobs: &[JobId]) {
        for job in jobs {
            let outcome = self.outcome(*job);
            let accepted = matches!(outcome, Some(Outcome::Accepted { .. }));
            assert!(accepted, "{job:?}: {outcome:?}");
        }
    }

    pub fn assert_rejected(&self, jobs: &[JobId], expected: u16) {
        for job in jobs {
            let outcome = self.outcome(*job);
            let rejected =
                matches!(outcome, Some(Outcome::Rejected { status, .. }) if *status == expected);
            assert!(rejected, "{job:?}: {outcome:?}");
        }
    }
}
