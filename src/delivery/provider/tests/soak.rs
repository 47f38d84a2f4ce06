//! 200,000 notifications against a server that goes wrong in every way there is, in virtual time.
//!
//! The server keeps a journal of what it took and what it refused. At the end every outcome is held
//! against it. All chance comes from one seed, which is printed; `DUNLIN_SEED` repeats a run:
//!
//! ```text
//! DUNLIN_SEED=7 cargo nextest run -p dunlin --lib soak
//! ```
//!
//! A second one is of a front end that works, and says GOAWAY after every 50 to 200 requests of a
//! connection: of that nothing is lost.

mod server;

use core::cmp::Reverse;
use core::ops::Range;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use super::super::growth::MAX_DRAINING;
use super::support::{config, secs, submission, token};
use super::wire::{self, Reader};
use crate::delivery::action::Action;
use crate::delivery::ids::{ConnectionId, JobId};
use crate::delivery::policy::jitter::Entropy;
use crate::delivery::policy::retry::MAX_ATTEMPTS;
use crate::delivery::provider::lane::{ProviderConfig, ProviderLane};
use crate::notification::{ApnsId, DeviceToken, Draft, Notification, Payload, Topic};
use crate::provider::{Outcome, Reason};
use crate::time::{Now, UnixTime};

const PUSHES: usize = 200_000;
const DEVICES: u64 = 20_000;
const QUEUE: usize = 4_000;
const CONNECTIONS: usize = 4;

/// A number below `bound`.
fn below(chance: &mut Entropy, bound: u64) -> u64 {
    (chance.next() >> 11) % bound
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What happens at a moment, beside what the lane wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Submits,
    Fault,
    Connect(ConnectionId),
    Answer(ConnectionId, u32),
}

/// The server's end of a connection.
struct Side {
    reader: Reader,
    /// Requests that it has seen the beginning of.
    seen: usize,
    /// Requests whose end it has not seen.
    incomplete: Vec<u32>,
    /// The largest stream it has acted on, and what it promised in GOAWAY.
    highest: u32,
    last: Option<u32>,
    /// It says GOAWAY when it has seen so many requests.
    goes_after: Option<usize>,
    /// Streams that it took without a word.
    mute: BTreeSet<u32>,
    silent: bool,
    limit: u32,
    answered: bool,
}

/// What the server did with a notification.
#[derive(Clone, Debug, Default)]
struct Entry {
    /// Whether it has seen it.
    seen: bool,
    /// How often it answered it, or may have acted on it.
    attempts: u8,
    taken: u8,
    /// The last refusal that left it whole.
    refused: Option<(u16, &'static str)>,
}

struct Soak {
    lane: ProviderLane,
    now: Now,
    chance: Entropy,
    events: BinaryHeap<Reverse<(Now, u64, Happens)>>,
    sequence: u64,
    sides: BTreeMap<ConnectionId, Side>,
    journal: Vec<Entry>,
    jobs: BTreeMap<JobId, usize>,
    outcomes: Vec<Option<Outcome>>,
    /// Until then the server answers 503 to everything, or takes no connections.
    errors_until: Now,
    closed_until: Now,
    /// Nothing goes wrong but that it says GOAWAY after so many requests of a connection.
    goes_after: Option<Range<u64>>,
    /// Half of what the server has to say is out, so it may not begin with something else.
    mid_send: bool,
    connects: usize,
    most_kept: usize,
    faults: BTreeMap<&'static str, usize>,
}

fn notification(number: usize, device: u64) -> Arc<Notification> {
    let token = DeviceToken::from_bytes(&device.to_be_bytes()).unwrap();
    let topic = Topic::parse("com.example.app").unwrap();
    let payload = Payload::parse(br#"{"aps":{"alert":"hello"}}"#).unwrap();
    let id = ApnsId::from_random((number as u128).to_be_bytes());
    Arc::new(Draft::new(token, topic, payload).id(id).build().unwrap())
}

/// The number that [`notification`] was made with: its last 48 bits.
fn number(asked: &wire::Asked) -> usize {
    let id = asked.header("apns-id").unwrap();
    usize::from_str_radix(id.rsplit('-').next().unwrap(), 16).unwrap()
}

impl Soak {
    fn new(seed: u64, goes_after: Option<Range<u64>>) -> Self {
        let mut lane = ProviderLane::new(ProviderConfig {
            queue: QUEUE,
            server_error_wait: secs(2),
            seed,
            ..config(CONNECTIONS)
        });
        lane.set_clock(Now::ZERO, UnixTime::from_secs(1_000_000));
        lane.set_token(Now::ZERO, token(1_000_000));
        Self {
            lane,
            now: Now::ZERO,
            chance: Entropy::new(seed ^ 0x736f_616b),
            events: BinaryHeap::new(),
            sequence: 0,
            sides: BTreeMap::new(),
            journal: Vec::new(),
            jobs: BTreeMap::new(),
            outcomes: Vec::new(),
            errors_until: Now::ZERO,
            closed_until: Now::ZERO,
            goes_after,
            mid_send: false,
            connects: 0,
            most_kept: 0,
            faults: BTreeMap::new(),
        }
    }

    fn at(&mut self, wait: Duration, happens: Happens) {
        self.sequence += 1;
        let event = (self.now + wait, self.sequence, happens);
        self.events.push(Reverse(event));
    }

    fn count(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
    }

    // ---- the driver

    fn run(&mut self) {
        self.at(Duration::ZERO, Happens::Submits);
        if self.goes_after.is_none() {
            self.at(millis(500), Happens::Fault);
        }
        loop {
            let event = self.events.peek().map(|Reverse((at, ..))| *at);
            let timer = self.lane.poll_timeout();
            let is_done = self.outcomes.len() == PUSHES && self.lane.is_idle();
            let Some(at) = event.into_iter().chain(timer).min().filter(|_| !is_done) else {
                return;
            };
            self.now = self.now.max(at);
            if event == Some(at) {
                let Reverse((.., happens)) = self.events.pop().unwrap();
                self.happen(happens);
            } else {
                self.lane.handle_timeout(self.now);
            }
            self.drive();
        }
    }

    fn happen(&mut self, happens: Happens) {
        match happens {
            Happens::Submits => self.submit(),
            Happens::Fault => self.fault(),
            Happens::Connect(connection) => self.connect(connection),
            Happens::Answer(connection, stream) => self.answer(connection, stream),
        }
    }

    /// Eight each four milliseconds, as long as there is room.
    fn submit(&mut self) {
        for _ in 0..8 {
            let number = self.outcomes.len();
            if number == PUSHES {
                return;
            }
            let notification = notification(number, below(&mut self.chance, DEVICES));
            let timeout = match self.goes_after {
                None => millis(500 + below(&mut self.chance, 20_000)),
                Some(_) => secs(30),
            };
            let submission = submission(notification, self.now + timeout);
            let Ok(job) = self.lane.submit(self.now, submission) else {
                break;
            };
            self.jobs.insert(job, number);
            self.outcomes.push(None);
            self.journal.push(Entry::default());
        }
        self.at(millis(4), Happens::Submits);
    }

    fn connect(&mut self, connection: ConnectionId) {
        let works = self.goes_after.is_some();
        if self.now < self.closed_until || !works && below(&mut self.chance, 20) == 0 {
            self.count("refused connects");
            let (entropy, why) = (self.chance.next(), "refused".to_owned());
            return self
                .lane
                .handle_connect_failed(self.now, connection, why, entropy);
        }
        let goes_after = self.goes_after.clone().map(|range| {
            let more = below(&mut self.chance, range.end - range.start);
            usize::try_from(range.start + more).unwrap()
        });
        let mut reader = Reader::default();
        reader.limit = Some(1);
        self.sides.insert(
            connection,
            Side {
                reader,
                seen: 0,
                incomplete: Vec::new(),
                highest: 0,
                last: None,
                goes_after,
                mute: BTreeSet::new(),
                silent: false,
                limit: 1_000,
                answered: false,
            },
        );
        self.lane.handle_connected(self.now, connection);
        self.drive();
        self.send(
            connection,
            &[wire::streams(1_000), wire::settings_ack()].concat(),
        );
    }

    /// What a driver does after every call.
    fn drive(&mut self) {
        self.drain();
        let connections: Vec<ConnectionId> = self.sides.keys().copied().collect();
        for connection in connections {
            self.transmit(connection);
        }
        self.drain();
        let status = self.lane.status();
        assert!(status.connections <= CONNECTIONS + MAX_DRAINING);
        assert!(status.held <= QUEUE && status.spaced_devices <= DEVICES as usize);
        let kept = status.waiting + status.held + status.in_flight;
        self.most_kept = self.most_kept.max(kept);
    }

    fn drain(&mut self) {
        loop {
            self.collect();
            match self.lane.poll_action() {
                None => break,
                Some(Action::Connect(connection)) => {
                    self.connects += 1;
                    self.at(millis(30), Happens::Connect(connection));
                }
                Some(Action::Close(connection)) => {
                    self.transmit(connection);
                    self.close(connection);
                }
                Some(Action::RenewToken(_)) => panic!("the token is good"),
                Some(Action::Abandon(_) | Action::TakeTurn | Action::TellTurn(_)) => {
                    panic!("there are no exchanges")
                }
            }
        }
    }

    fn collect(&mut self) {
        while let Some((job, outcome)) = self.lane.poll_outcome() {
            let number = self.jobs.remove(&job).expect("two outcomes for one job");
            self.outcomes[number] = Some(outcome);
        }
    }

    fn transmit(&mut self, connection: ConnectionId) {
        while self.sides.contains_key(&connection) && self.lane.wants_transmit(connection) {
            let mut bytes = Vec::new();
            self.lane.poll_transmit(self.now, connection, &mut bytes);
            self.collect();
            self.read(connection, &bytes);
        }
    }

    fn close(&mut self, connection: ConnectionId) {
        self.sides.remove(&connection);
        let entropy = self.chance.next();
        self.lane.handle_closed(self.now, connection, entropy);
    }

    // ---- the reckoning

    /// Every outcome against the journal. Returns how many were accepted and rejected, and how the
    /// others were lost.
    fn reckon(&self) -> ([usize; 2], BTreeMap<String, usize>) {
        let (mut counts, mut lost) = ([0; 2], BTreeMap::new());
        for (number, outcome) in self.outcomes.iter().enumerate() {
            let Entry {
                seen,
                attempts,
                taken,
                refused,
            } = &self.journal[number];
            let outcome = outcome.as_ref().expect("no outcome");
            let case = format!("{number}: {outcome}, {:?}", self.journal[number]);
            assert!(*attempts <= MAX_ATTEMPTS, "{case}");
            match outcome {
                Outcome::Accepted { .. } => {
                    assert_eq!(*taken, 1, "{case}");
                    counts[0] += 1;
                }
                Outcome::Rejected { status, reason, .. } => {
                    let (known, name) = refused.expect("never refused");
                    assert_eq!((*taken, *status, reason), (0, known, &Reason::parse(name)));
                    counts[1] += 1;
                }
                Outcome::Unanswered { may_resend, why } => {
                    let most = u8::from(!may_resend);
                    assert!(*taken <= most, "a duplicate nobody was told of: {case}");
                    assert!(*may_resend || *seen, "{case}");
                    *lost.entry(why.to_string()).or_default() += 1;
                }
            }
        }
        (counts, lost)
    }
}

fn seed() -> u64 {
    let seed = match std::env::var("DUNLIN_SEED") {
        Ok(text) => text.parse().expect("DUNLIN_SEED: expected a number"),
        Err(_) => 20_261_122,
    };
    println!("DUNLIN_SEED={seed}");
    seed
}

#[test]
fn soak_of_goaways_after_every_50_to_200_requests_loses_nothing() {
    let mut soak = Soak::new(seed(), Some(50..200));
    soak.run();
    let ([accepted, rejected], lost) = soak.reckon();
    let time = soak.now.since(Now::ZERO);
    println!(
        "{accepted} accepted in {time:?} of virtual time, {} connections",
        soak.connects
    );
    assert_eq!((accepted, rejected, lost), (PUSHES, 0, BTreeMap::new()));
    // One for each 125 requests, and no more than twenty in a second.
    assert!(soak.connects >= PUSHES / 200, "{}", soak.connects);
    let most = 20 * usize::try_from(time.as_secs() + 2).unwrap();
    assert!(soak.connects <= most, "{} in {time:?}", soak.connects);
}

#[test]
fn soak() {
    let mut soak = Soak::new(seed(), None);
    soak.run();
    let ([accepted, rejected], lost) = soak.reckon();
    let unanswered: usize = lost.values().sum();
    let summary = format!(
        "{accepted} accepted, {rejected} rejected, unanswered: {lost:?}, in {:?} of virtual time, \
         {} connections, at most {} kept, {:?}",
        soak.now.since(Now::ZERO),
        soak.connects,
        soak.most_kept,
        soak.faults
    );
    println!("{summary}");
    assert_eq!(accepted + rejected + unanswered, PUSHES, "{summary}");
    // Queue, as many that wait to be sent again, and what the streams of all connections hold.
    assert!(
        soak.most_kept <= 2 * QUEUE + CONNECTIONS * 1_000,
        "{summary}"
    );
    // Far less would say that most of what is meant to happen did not.
    assert!(
        accepted > PUSHES / 2 && rejected > PUSHES / 200,
        "{summary}"
    );
    assert_eq!(soak.faults.len(), 15, "{summary}");
    assert!(soak.faults.values().all(|count| *count >= 3), "{summary}");
}
