//! Instances that share the connection of a platform's client, and know of each other by one
//! record.
//!
//! The client behaves like hyper's: whatever waits for a connection goes on it at once, before the
//! server's SETTINGS have arrived; after that it obeys them. The server behaves like APNs: it takes
//! one request until it has answered one, and refuses the others, of which the client says that
//! they are broken.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::support::{config, notification, secs, submission, token};
use crate::delivery::action::Action;
use crate::delivery::exchange::{ExchangeFailure, ExchangeResponse};
use crate::delivery::ids::{ExchangeId, JobId};
use crate::delivery::provider::lane::{ProviderConfig, ProviderLane};
use crate::delivery::provider::medium::Transport;
use crate::delivery::turn::{LEASE, ask, tell};
use crate::provider::{Outcome, Why};
use crate::time::{Now, UnixTime};

const NOON: u64 = 784_111_777;
const CONNECTS: Duration = Duration::from_millis(30);
const SETTINGS: Duration = Duration::from_millis(10);
const ANSWERS: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_secs(90);

type Request = (usize, ExchangeId);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Opened,
    Answered(Request),
    Refused(Request),
    Failed(Request),
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    settings_at: Now,
    has_one: bool,
    takes_many: bool,
    used_at: Now,
}

struct World {
    now: Now,
    lanes: Vec<ProviderLane>,
    /// Instances that are gone without a word.
    dead: BTreeSet<usize>,
    record: Option<Vec<u8>>,
    store_fails: bool,
    /// Nobody can be connected to.
    is_down: bool,
    /// The first request of a connection is never answered.
    is_mute: bool,
    connection: Option<Connection>,
    is_opening: bool,
    waiting: Vec<Request>,
    events: BinaryHeap<Reverse<(Now, usize, Happens)>>,
    sequence: usize,
    refused: usize,
    connects: usize,
    looks: usize,
    outcomes: BTreeMap<(usize, JobId), (Now, Outcome)>,
    jobs: usize,
}

impl World {
    fn new() -> Self {
        Self {
            now: Now::ZERO,
            lanes: Vec::new(),
            dead: BTreeSet::new(),
            record: None,
            store_fails: false,
            is_down: false,
            is_mute: false,
            connection: None,
            is_opening: false,
            waiting: Vec::new(),
            events: BinaryHeap::new(),
            sequence: 0,
            refused: 0,
            connects: 0,
            looks: 0,
            outcomes: BTreeMap::new(),
            jobs: 0,
        }
    }

    fn time(&self) -> UnixTime {
        UnixTime::from_secs(NOON) + self.now.since(Now::ZERO)
    }

    /// A new instance.
    fn instance(&mut self, turns: bool) -> usize {
        let mut lane = ProviderLane::new(ProviderConfig {
            transport: Transport::Platform,
            turns,
            seed: self.lanes.len() as u64,
            ..config(4)
        });
        lane.set_clock(self.now, self.time());
        lane.set_token(self.now, token(NOON));
        self.lanes.push(lane);
        self.lanes.len() - 1
    }

    fn submit(&mut self, instance: usize, count: usize, timeout: Duration) {
        for _ in 0..count {
            let push = notification(self.jobs as u64, br#"{"aps":{}}"#);
            let deadline = self.now + timeout;
            let lane = &mut self.lanes[instance];
            lane.submit(self.now, submission(push, deadline)).unwrap();
            self.jobs += 1;
        }
        self.drive(instance);
    }

    fn at(&mut self, wait: Duration, happens: Happens) {
        self.sequence += 1;
        let event = (self.now + wait, self.sequence, happens);
        self.events.push(Reverse(event));
    }

    // ---- the driver of an instance

    fn drive(&mut self, instance: usize) {
        if self.dead.contains(&instance) {
            return;
        }
        loop {
            while let Some((job, outcome)) = self.lanes[instance].poll_outcome() {
                let before = self.outcomes.insert((instance, job), (self.now, outcome));
                assert_eq!(before, None);
            }
            match self.lanes[instance].poll_action() {
                Some(Action::TakeTurn) => self.take_turn(instance),
                Some(Action::TellTurn(news)) => {
                    let new = tell(self.record.as_deref(), instance as u64, self.time(), news);
                    self.record = new.or(self.record.take());
                }
                Some(Action::Abandon(id)) => self.waiting.retain(|one| *one != (instance, id)),
                Some(other) => panic!("{other:?}"),
                None => match self.lanes[instance].poll_exchange(self.now) {
                    Some((id, _)) => self.send((instance, id)),
                    None => break,
                },
            }
        }
    }

    fn take_turn(&mut self, instance: usize) {
        self.looks += 1;
        let turn = if self.store_fails {
            crate::delivery::turn::Turn::Go
        } else {
            let (new, turn) = ask(self.record.as_deref(), instance as u64, self.time());
            self.record = new.or(self.record.take());
            turn
        };
        self.lanes[instance].handle_turn(self.now, turn);
    }

    // ---- the client and the server

    fn send(&mut self, request: Request) {
        let is_idle = |open: &Connection| self.now.since(open.used_at) >= IDLE;
        self.connection = self.connection.filter(|open| !is_idle(open));
        if self.connection.is_some() {
            self.put(request);
            return;
        }
        self.waiting.push(request);
        if !std::mem::replace(&mut self.is_opening, true) {
            self.connects += 1;
            self.at(CONNECTS, Happens::Opened);
        }
    }

    fn put(&mut self, request: Request) {
        let now = self.now;
        let connection = self.connection.as_mut().unwrap();
        connection.used_at = now;
        if connection.takes_many {
            self.at(ANSWERS, Happens::Answered(request));
        } else if !std::mem::replace(&mut connection.has_one, true) {
            if !self.is_mute {
                self.at(ANSWERS, Happens::Answered(request));
            }
        } else if now < connection.settings_at {
            self.at(SETTINGS, Happens::Refused(request));
        } else {
            self.waiting.push(request);
        }
    }

    fn happen(&mut self, happens: Happens) {
        match happens {
            Happens::Opened => {
                self.is_opening = false;
                let waiting = std::mem::take(&mut self.waiting);
                if self.is_down {
                    let failed = |one| (Duration::ZERO, Happens::Failed(one));
                    let failed: Vec<_> = waiting.into_iter().map(failed).collect();
                    failed
                        .into_iter()
                        .for_each(|(wait, one)| self.at(wait, one));
                    return;
                }
                self.connection = Some(Connection {
                    settings_at: self.now + SETTINGS,
                    has_one: false,
                    takes_many: false,
                    used_at: self.now,
                });
                waiting.into_iter().for_each(|request| self.put(request));
            }
            Happens::Answered((instance, id)) => {
                if let Some(connection) = &mut self.connection {
                    connection.takes_many = true;
                    let waiting = std::mem::take(&mut self.waiting);
                    waiting.into_iter().for_each(|request| self.put(request));
                }
                let response = ExchangeResponse {
                    status: 200,
                    ..ExchangeResponse::default()
                };
                self.lanes[instance].handle_response(self.now, id, &response);
                self.drive(instance);
            }
            Happens::Refused(request) => {
                self.refused += 1;
                self.fail(request, ExchangeFailure::Unanswered);
            }
            Happens::Failed(request) => self.fail(request, ExchangeFailure::NotSent),
        }
    }

    fn fail(&mut self, (instance, id): Request, failure: ExchangeFailure) {
        let why = "HttpProtocolError".to_owned();
        self.lanes[instance].handle_exchange_failed(self.now, id, failure, why);
        self.drive(instance);
    }

    /// Lets time pass.
    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        let mut calls = 0;
        loop {
            let event = self.events.peek().map(|Reverse((at, ..))| *at);
            let alive = (0..self.lanes.len()).filter(|one| !self.dead.contains(one));
            let timer = alive.filter_map(|one| Some((self.lanes[one].poll_timeout()?, one)));
            let timer = timer.min();
            let next = event.into_iter().chain(timer.map(|(at, _)| at)).min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            calls = if at > self.now { 0 } else { calls + 1 };
            assert!(calls < 5_000, "a timer that does not move");
            self.now = self.now.max(at);
            if event == Some(at) {
                let Reverse((.., happens)) = self.events.pop().unwrap();
                self.happen(happens);
            } else if let Some((_, instance)) = timer {
                self.lanes[instance].handle_timeout(self.now);
                self.drive(instance);
            }
        }
        self.now = end;
    }

    fn accepted(&self) -> usize {
        let accepted = |(_, outcome): &&(Now, Outcome)| matches!(outcome, Outcome::Accepted { .. });
        self.outcomes.values().filter(accepted).count()
    }

    fn last(&self) -> Duration {
        let last = self.outcomes.values().map(|(at, _)| at.since(Now::ZERO));
        last.max().unwrap()
    }
}

#[test]
fn eight_new_instances_lose_nothing_on_a_connection_that_takes_one_at_first() {
    for turns in [false, true] {
        let mut world = World::new();
        for _ in 0..8 {
            let instance = world.instance(turns);
            world.submit(instance, 25, secs(10));
        }
        world.advance(secs(10));
        assert_eq!(world.outcomes.len(), 200);
        // Without it the client loses what it sends before it knows better.
        let lost = if turns { 0 } else { 7 };
        assert_eq!((200 - world.accepted(), world.refused), (lost, lost));
        assert_eq!(world.connects, 1);
        assert!(
            world.last() < Duration::from_millis(400),
            "{:?}",
            world.last()
        );
    }
}

#[test]
fn after_an_idle_while_one_goes_first_again() {
    let mut world = World::new();
    let instances: Vec<usize> = (0..8).map(|_| world.instance(true)).collect();
    for pause in [29, 31, 89, 90, 91, 3_600, 1] {
        for instance in &instances {
            world.submit(*instance, 25, secs(10));
        }
        world.advance(secs(pause));
    }
    assert_eq!((world.accepted(), world.refused), (world.jobs, 0));
    assert_eq!(world.connects, 3, "the first, and after more than 90 s");
}

#[test]
fn instances_that_come_and_go_send_at_once_on_a_connection_that_works() {
    let mut world = World::new();
    for n in 0..300_usize {
        let began = world.now;
        let instance = world.instance(true);
        world.submit(instance, 1, secs(10));
        world.advance(Duration::from_millis(20));
        let is_warm = world.outcomes.keys().any(|(one, _)| *one == instance);
        assert!(is_warm || n < 8, "{n} waited, from {began:?}");
        if is_warm {
            world.dead.insert(instance);
        }
    }
    world.advance(secs(1));
    assert_eq!((world.accepted(), world.refused), (300, 0));
}

#[test]
fn a_leader_that_dies_holds_the_others_up_for_its_lease_and_no_longer() {
    let mut world = World::new();
    let leader = world.instance(true);
    world.submit(leader, 1, secs(10));
    // The record is made, and then it leads.
    world.advance(Duration::from_millis(70));
    world.dead.insert(leader);
    (world.connection, world.is_opening) = (None, false);
    world.events.clear();
    world.waiting.clear();
    for _ in 0..8 {
        let instance = world.instance(true);
        world.submit(instance, 25, secs(10));
    }
    world.advance(secs(10));
    assert_eq!((world.accepted(), world.refused), (200, 0));
    let most = LEASE + Duration::from_millis(500);
    assert!(world.last() < most, "{:?}", world.last());
}

#[test]
fn nobody_waits_past_its_own_deadline_for_one_that_hangs() {
    let mut world = World::new();
    world.is_mute = true;
    let leader = world.instance(true);
    world.submit(leader, 1, secs(60));
    world.advance(Duration::from_millis(200));
    let other = world.instance(true);
    world.submit(other, 1, Duration::from_millis(800));
    world.advance(Duration::from_millis(700));
    assert!(world.outcomes.is_empty());
    world.advance(Duration::from_millis(200));
    let ended: Vec<&Outcome> = world
        .outcomes
        .values()
        .map(|(_, outcome)| outcome)
        .collect();
    // It was given to the client, and not kept until it was too late.
    assert_eq!(ended, [&Outcome::unanswered(Why::TimedOut)]);
}

#[test]
fn an_outage_is_met_by_one_after_the_other_and_found_to_be_over() {
    let mut world = World::new();
    world.is_down = true;
    for _ in 0..8 {
        let instance = world.instance(true);
        world.submit(instance, 25, secs(60));
    }
    world.advance(secs(10));
    assert!(world.outcomes.is_empty());
    assert!((10..80).contains(&world.connects), "{}", world.connects);
    world.is_down = false;
    world.advance(secs(50));
    assert_eq!((world.accepted(), world.refused), (200, 0));
}

#[test]
fn a_store_that_fails_holds_nobody_up() {
    let mut world = World::new();
    world.store_fails = true;
    for _ in 0..8 {
        let instance = world.instance(true);
        world.submit(instance, 25, secs(10));
    }
    world.advance(secs(10));
    assert_eq!((world.outcomes.len(), world.accepted()), (200, 193));
}

#[test]
fn the_record_is_looked_at_once_a_second_and_written_less() {
    let mut world = World::new();
    let instance = world.instance(true);
    for _ in 0..1_000 {
        world.submit(instance, 10, secs(10));
        world.advance(Duration::from_millis(10));
    }
    world.advance(secs(1));
    assert_eq!(world.accepted(), 10_000);
    assert!(world.looks <= 15, "{} in ten seconds", world.looks);
}

/// Where nothing is shared the driver is asked for nothing.
#[test]
fn a_lane_that_shares_nothing_asks_for_no_turn() {
    let mut world = World::new();
    let instance = world.instance(false);
    world.submit(instance, 25, secs(10));
    world.advance(secs(10));
    assert_eq!((world.accepted(), world.looks, world.record), (25, 0, None));
}

/// A server that is not trusted: TLS fails, and the platform cannot say when.
#[test]
fn tls_that_fails_before_there_ever_was_an_answer_is_a_failed_connect() {
    let mut world = World::new();
    let instance = world.instance(false);
    world.submit(instance, 2, secs(5));
    world.events.clear();
    let first = world.waiting.pop().unwrap();
    world.fail(first, ExchangeFailure::Tls);
    assert!(world.outcomes.is_empty(), "nothing was sent");
    (world.connection, world.is_opening) = (None, false);
    world.advance(secs(5));
    assert_eq!(world.accepted(), 2);
    // After an answer it may have been sent.
    world.submit(instance, 1, secs(5));
    let Reverse((_, _, Happens::Answered(request))) = world.events.pop().unwrap() else {
        panic!("not on a connection");
    };
    world.fail(request, ExchangeFailure::Tls);
    let lost = Outcome::unanswered(Why::ConnectionLost);
    assert!(world.outcomes.values().any(|(_, outcome)| *outcome == lost));
}
