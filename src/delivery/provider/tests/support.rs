//! A lane, its virtual clock, and the far end of every connection it asks for.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::super::growth::MAX_DRAINING;
use super::wire::{self, Reader};
use crate::auth::{KeyId, ProviderToken, SigningKey, TeamId};
use crate::delivery::action::Action;
use crate::delivery::exchange::ExchangeRequest;
use crate::delivery::ids::{ConnectionId, ExchangeId, JobId};
use crate::delivery::provider::lane::{ProviderConfig, ProviderLane};
use crate::delivery::submission::{QueueFull, Submission};
use crate::http2;
use crate::notification::{DeviceToken, Draft, Notification, Payload, Topic};
use crate::provider::{Message, Outcome, Why};
use crate::time::{Now, UnixTime};

pub const QUEUE: usize = 2_000;

/// With one usable connection, as here unless a test says otherwise.
pub const MAX_CONNECTIONS: usize = 1 + MAX_DRAINING;
pub const LONG: Duration = Duration::from_secs(1_000_000);

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A provider token of one key, issued then.
pub fn token(secs: u64) -> ProviderToken {
    token_of("1QBCDJ9RST", secs)
}

pub fn token_of(key_id: &str, secs: u64) -> ProviderToken {
    token_of_team("3Z24IP123A", key_id, secs)
}

pub fn token_of_team(team_id: &str, key_id: &str, secs: u64) -> ProviderToken {
    let key = SigningKey::from_scalar(&[7; 32]).unwrap();
    let (key_id, team_id) = (KeyId::parse(key_id), TeamId::parse(team_id));
    let issued_at = UnixTime::from_secs(secs);
    ProviderToken::sign(&key, key_id.unwrap(), team_id.unwrap(), issued_at)
}

/// A notification to a device of this number.
pub fn notification(device: u64, payload: &[u8]) -> Arc<Notification> {
    let token = DeviceToken::from_bytes(&device.to_be_bytes()).unwrap();
    let topic = Topic::parse("com.example.app").unwrap();
    let payload = Payload::parse(payload).unwrap();
    Arc::new(Draft::new(token, topic, payload).build().unwrap())
}

/// With so many usable connections.
/// A message to be answered by then.
pub fn submission(message: impl Into<Message>, deadline: Now) -> Submission {
    Submission {
        message: message.into(),
        deadline,
        confirm: true,
    }
}

pub fn config(connections: usize) -> ProviderConfig {
    ProviderConfig {
        queue: QUEUE,
        connections,
        ..ProviderConfig::new("api.push.apple.com".to_owned(), 7)
    }
}

/// What connecting comes to while time passes in [`Rig::advance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// It stays open until the test says something.
    Undecided,
    Refuses,
    /// Takes the connection and closes it at once.
    HangsUp,
    /// Takes it, sends SETTINGS, and closes it once a request has come.
    Drops,
    /// Takes it, sends SETTINGS, then nothing.
    Accepts,
}

pub struct Rig {
    pub lane: ProviderLane,
    max_links: usize,
    pub now: Now,
    pub world: World,
    /// Connects asked for and not yet decided.
    pub pending: VecDeque<ConnectionId>,
    /// When each was asked for.
    pub connects: Vec<Now>,
    pub peers: BTreeMap<ConnectionId, Reader>,
    /// Connections that the lane wanted closed.
    pub closed: Vec<ConnectionId>,
    /// What had been written on connections that are gone.
    pub gone: BTreeMap<ConnectionId, Reader>,
    pub outcomes: BTreeMap<JobId, (Now, Outcome)>,
    /// What was told with each outcome.
    pub troubles: BTreeMap<JobId, Option<String>>,
    pub jobs: Vec<JobId>,
    /// Tokens that the lane wanted another for.
    pub renewals: Vec<UnixTime>,
    /// What the platform's client has to do.
    pub exchanges: BTreeMap<ExchangeId, ExchangeRequest>,
    /// Exchanges that the lane gave up.
    pub abandoned: Vec<ExchangeId>,
    /// When each exchange was given out.
    pub given: Vec<Now>,
    /// Peers answer PINGs.
    pub pongs: bool,
    entropy: u64,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(QUEUE, http2::Config::default())
    }

    pub fn with(queue: usize, http2: http2::Config) -> Self {
        Self::configured(ProviderConfig {
            queue,
            http2,
            ..config(1)
        })
    }

    pub fn configured(config: ProviderConfig) -> Self {
        Self {
            max_links: config.connections + MAX_DRAINING,
            lane: ProviderLane::new(config),
            now: Now::ZERO,
            world: World::Undecided,
            pending: VecDeque::new(),
            connects: Vec::new(),
            peers: BTreeMap::new(),
            closed: Vec::new(),
            gone: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            troubles: BTreeMap::new(),
            jobs: Vec::new(),
            renewals: Vec::new(),
            exchanges: BTreeMap::new(),
            abandoned: Vec::new(),
            given: Vec::new(),
            pongs: false,
            entropy: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// With a connection that takes `limit` streams, and `count` jobs on it.
    pub fn flying(limit: u32, count: usize) -> (Self, ConnectionId) {
        let mut rig = Self::new();
        rig.submit_all(count, LONG);
        let connection = rig.open(limit);
        (rig, connection)
    }

    pub fn random(&mut self) -> u64 {
        self.entropy ^= self.entropy << 13;
        self.entropy ^= self.entropy >> 7;
        self.entropy ^= self.entropy << 17;
        self.entropy
    }

    pub fn try_submit(&mut self, timeout: Duration, payload: &[u8]) -> Result<JobId, QueueFull> {
        self.try_push(timeout, notification(self.jobs.len() as u64, payload))
    }

    /// The same, of a notification that the test has made.
    pub fn push(&mut self, timeout: Duration, notification: Arc<Notification>) -> JobId {
        self.try_push(timeout, notification).unwrap()
    }

    fn try_push(
        &mut self,
        timeout: Duration,
        notification: Arc<Notification>,
    ) -> Result<JobId, QueueFull> {
        let deadline = self.now + timeout;
        let job = self
            .lane
            .submit(self.now, submission(notification, deadline))?;
        self.jobs.push(job);
        self.drive();
        Ok(job)
    }

    pub fn submit(&mut self, timeout: Duration) -> JobId {
        self.try_submit(timeout, br#"{"aps":{}}"#).unwrap()
    }

    pub fn submit_all(&mut self, count: usize, timeout: Duration) -> Vec<JobId> {
        (0..count).map(|_| self.submit(timeout)).collect()
    }

    /// Opens the oldest connection that was asked for; the peer has said nothing.
    pub fn open_silently(&mut self) -> ConnectionId {
        let connection = self
            .pending
            .pop_front()
            .expect("no connection was asked for");
        self.lane.handle_connected(self.now, connection);
        self.peers.insert(connection, Reader::default());
        self.drive();
        connection
    }

    /// The same, with SETTINGS of the peer and its acknowledgement of ours.
    pub fn open(&mut self, limit: u32) -> ConnectionId {
        let connection = self.open_silently();
        self.send(
            connection,
            &[wire::streams(limit), wire::settings_ack()].concat(),
        );
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

    /// The peer sends octets.
    pub fn send(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.lane.handle_input(self.now, connection, bytes);
        self.drive();
    }

    /// The transport closes.
    pub fn cut(&mut self, connection: ConnectionId) {
        let entropy = self.random();
        self.lane.handle_closed(self.now, connection, entropy);
        if let Some(reader) = self.peers.remove(&connection) {
            self.gone.insert(connection, reader);
        }
        self.drive();
    }

    /// Answers the PINGs there are, which are so many.
    pub fn pong(&mut self, connection: ConnectionId, count: usize) {
        let pings = std::mem::take(&mut self.peers.get_mut(&connection).unwrap().pings);
        assert_eq!(pings.len(), count);
        let pongs: Vec<u8> = pings.iter().flat_map(|ping| wire::pong(ping)).collect();
        self.send(connection, &pongs);
    }

    /// Answers the stream with 200 and forgets it.
    pub fn accept(&mut self, connection: ConnectionId, stream: u32) {
        self.peers
            .get_mut(&connection)
            .unwrap()
            .open
            .remove(&stream)
            .expect("not open");
        self.send(connection, &wire::ok(stream));
    }

    /// Answers the stream with a refusal and forgets it.
    pub fn reject(&mut self, connection: ConnectionId, stream: u32, status: u16, reason: &str) {
        self.answer(connection, stream, status, &[], reason);
    }

    /// The same, with headers.
    pub fn answer(
        &mut self,
        connection: ConnectionId,
        stream: u32,
        status: u16,
        headers: &[(&str, &str)],
        reason: &str,
    ) {
        let asked = self
            .peers
            .get_mut(&connection)
            .unwrap()
            .open
            .remove(&stream);
        asked.expect("not open");
        let body = format!("{{\"reason\":\"{reason}\"}}");
        let answer = wire::answer(stream, &status.to_string(), headers, body.as_bytes());
        self.send(connection, &answer);
    }

    /// The one stream that waits for an answer.
    pub fn only_stream(&self, connection: ConnectionId) -> u32 {
        let open = self.open_streams(connection);
        assert_eq!(open.len(), 1, "{open:?}");
        open[0]
    }

    /// The connections that the peer has, oldest first.
    pub fn connections(&self) -> Vec<ConnectionId> {
        self.peers.keys().copied().collect()
    }

    /// The reason that a job was refused for.
    pub fn reason(&self, job: JobId) -> Option<&str> {
        match self.outcome(job) {
            Some(Outcome::Rejected { reason, .. }) => Some(reason.as_str()),
            _ => None,
        }
    }

    /// Hands over a token, as the driver does.
    pub fn set_token(&mut self, token: ProviderToken) {
        self.lane.set_token(self.now, token);
        self.drive();
    }

    fn take_outcomes(&mut self) {
        while let Some((job, delivered)) = self.lane.poll_delivered() {
            let before = self.outcomes.insert(job, (self.now, delivered.outcome));
            assert_eq!(before, None, "two outcomes for one job");
            self.troubles.insert(job, delivered.trouble);
        }
    }

    /// What a driver does after every call.
    pub fn drive(&mut self) {
        loop {
            self.take_outcomes();
            let Some(action) = self.lane.poll_action() else {
                let Some((id, request)) = self.lane.poll_exchange(self.now) else {
                    self.take_outcomes();
                    break;
                };
                self.given.push(self.now);
                assert_eq!(self.exchanges.insert(id, request), None);
                continue;
            };
            match action {
                Action::Connect(connection) => {
                    self.pending.push_back(connection);
                    self.connects.push(self.now);
                    assert!(self.pending.len() + self.peers.len() <= self.max_links);
                }
                Action::Close(connection) => {
                    self.transmit(connection);
                    self.closed.push(connection);
                    self.cut(connection);
                }
                Action::RenewToken(issued_at) => self.renewals.push(issued_at),
                Action::Abandon(id) => {
                    assert!(self.exchanges.remove(&id).is_some());
                    self.abandoned.push(id);
                }
                Action::TakeTurn | Action::TellTurn(_) => panic!("nobody shares anything"),
            }
        }
        let connections: Vec<ConnectionId> = self.peers.keys().copied().collect();
        connections
            .into_iter()
            .for_each(|connection| self.transmit(connection));
        let asked = |(_, peer): &(&ConnectionId, &Reader)| !peer.pings.is_empty();
        let asked = self.peers.iter().find(asked).filter(|_| self.pongs);
        if let Some((connection, peer)) = asked {
            let (connection, count) = (*connection, peer.pings.len());
            return self.pong(connection, count);
        }
        assert!(self.lane.is_idle() == (self.outcomes.len() == self.jobs.len()));
    }

    fn transmit(&mut self, connection: ConnectionId) {
        while self.peers.contains_key(&connection) && self.lane.wants_transmit(connection) {
            let mut bytes = Vec::new();
            self.lane.poll_transmit(self.now, connection, &mut bytes);
            if let Some(peer) = self.peers.get_mut(&connection) {
                peer.read(&bytes);
            }
            self.take_outcomes();
        }
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
                    let connection = self.open_silently();
                    self.cut(connection);
                }
                World::Drops => {
                    let connection = self.open(1);
                    self.cut(connection);
                }
                World::Accepts => {
                    self.open(1_000);
                }
            }
        }
    }

    pub fn peer(&self, connection: ConnectionId) -> &Reader {
        &self.peers[&connection]
    }

    /// Streams that wait for an answer.
    pub fn open_streams(&self, connection: ConnectionId) -> Vec<u32> {
        self.peers[&connection].open.keys().copied().collect()
    }

    /// Devices of the streams that wait for an answer, in the order they were asked.
    pub fn devices(&self, connection: ConnectionId) -> Vec<u64> {
        self.peers[&connection]
            .open
            .values()
            .map(wire::Asked::device)
            .collect()
    }

    pub fn outcome(&self, job: JobId) -> Option<&Outcome> {
        self.outcomes.get(&job).map(|(_, outcome)| outcome)
    }

    pub fn assert_unanswered(&self, job: JobId, expected: Why) {
        assert_eq!(self.outcome(job), Some(&Outcome::unanswered(expected)));
    }

    pub fn is_accepted(&self, job: JobId) -> bool {
        matches!(self.outcome(job), Some(Outcome::Accepted { .. }))
    }
}
