//! What an instance of the service stands on: a clock that stands still, numbers in the place of
//! random ones, a store in memory, and lanes whose servers answer at once.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use dunlin::auth::SharedTokens;
use dunlin::delivery::{self, Action, ConnectionId, JobId, Submission};
use dunlin::notification::Topic;
use dunlin::registry::{Swap, Swapped, Values};
use dunlin::service::{
    Destination, Inbox, Keys, LanePlan, LaneReport, List, Operator, Platform, Runtime, Sender,
    Store, StoreError,
};
use dunlin::time::{Now, UnixTime};

use crate::TOPIC;
use crate::far_end::FarEnd;

/// What the wall clock shows: 2023-11-14.
const TIME: UnixTime = UnixTime::from_secs(1_700_000_000);

/// The whole of it.
pub struct OfCounts;

impl Runtime for OfCounts {
    type Platform = Still;
    type Store = InMemory;
    type Sender = Lines;
}

/// A platform on which no time passes.
#[derive(Clone, Default)]
pub struct Still(Rc<(Cell<u64>, RefCell<Operator>)>);

impl Platform for Still {
    fn now(&self) -> Now {
        Now::ZERO
    }

    fn unix_time(&self) -> UnixTime {
        TIME
    }

    fn random(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let number = self.0.0.get() + 1;
            self.0.0.set(number);
            piece.copy_from_slice(&number.to_be_bytes()[8 - piece.len()..]);
        }
    }

    async fn turn(&self) {}

    async fn wait_until(&self, _: Now) {
        panic!("nothing waits where no time passes");
    }

    fn operator<T>(&self, what: impl FnOnce(&mut Operator) -> T) -> T {
        what(&mut self.0.1.borrow_mut())
    }

    fn told(&self) {
        if let Some(line) = self.operator(Operator::poll_line) {
            panic!("{line}");
        }
    }

    fn warn(&self, what: &str) {
        panic!("{what}");
    }
}

/// A store that keeps what it is given.
#[derive(Clone, Default)]
pub struct InMemory(Rc<RefCell<BTreeMap<String, Vec<u8>>>>);

impl Values for InMemory {
    type Error = StoreError;

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let values = self.0.borrow();
        Ok(keys.iter().map(|key| values.get(key).cloned()).collect())
    }

    async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, StoreError> {
        let mut values = self.0.borrow_mut();
        let swapped = swaps.into_iter().map(|Swap { key, expected, new }| {
            let value = values.get(&key).map_or(&[][..], Vec::as_slice);
            if value != expected.as_deref().unwrap_or_default() {
                return Swapped::Lost(values.get(&key).cloned());
            }
            match new {
                Some(new) => drop(values.insert(key, new)),
                None => drop(values.remove(&key)),
            }
            Swapped::Done
        });
        Ok(swapped.collect())
    }
}

impl Store for InMemory {
    async fn put_many(&self, new: &[(&str, &[u8])]) -> Result<(), StoreError> {
        let mut values = self.0.borrow_mut();
        for (key, value) in new {
            values.insert((*key).to_owned(), value.to_vec());
        }
        Ok(())
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        let mut values = self.0.borrow_mut();
        keys.iter().for_each(|key| drop(values.remove(key)));
        Ok(())
    }

    async fn durable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn keys(&self, _: Option<&str>) -> Result<Keys, StoreError> {
        panic!("no call that is counted lists keys");
    }
}

/// Lanes whose connections are open as soon as they are asked for.
#[derive(Clone)]
pub struct Lines(pub Still);

/// A lane, its one connection, and the server of that.
pub struct Line {
    report: LaneReport,
    topic: Topic,
    lane: RefCell<delivery::Lane>,
    connection: Cell<Option<ConnectionId>>,
    far_end: RefCell<FarEnd>,
    waiting: RefCell<VecDeque<(JobId, Inbox, usize)>>,
    buffers: RefCell<(Vec<u8>, Vec<u8>)>,
}

/// A list of a feedback service, of which there is none.
pub struct NoList;

impl List for NoList {
    async fn read(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    async fn close(self) -> Result<(), String> {
        Ok(())
    }
}

impl Sender for Lines {
    type Lane = Rc<Line>;
    type List = NoList;

    fn open(&self, plan: LanePlan) -> Rc<Line> {
        Rc::new(Line {
            report: plan.report,
            topic: Topic::parse(TOPIC).unwrap(),
            lane: RefCell::new(plan.lane),
            connection: Cell::default(),
            far_end: RefCell::default(),
            waiting: RefCell::default(),
            buffers: RefCell::default(),
        })
    }

    fn refresh(&self, line: &Rc<Line>, tokens: Option<&SharedTokens>) {
        let mut lane = line.lane.borrow_mut();
        lane.set_clock(Now::ZERO, TIME);
        if let Some(tokens) = tokens {
            lane.set_token(Now::ZERO, tokens.newest().clone());
        }
    }

    fn submit_many(
        &self,
        line: &Rc<Line>,
        submissions: Vec<(usize, Submission)>,
        inbox: &Inbox,
    ) -> usize {
        let mut waiting = line.waiting.borrow_mut();
        let mut lane = line.lane.borrow_mut();
        let before = waiting.len();
        let mut submissions = submissions.into_iter();
        lane.submit_many(Now::ZERO, &mut submissions, |job, number| {
            waiting.push_back((job, inbox.clone(), number));
        });
        let taken = waiting.len() - before;
        drop((waiting, lane));
        self.carry(line);
        taken
    }

    async fn open_list(&self, _: &Destination) -> Result<NoList, String> {
        Err("there is none".to_owned())
    }
}

impl Lines {
    /// Carries bytes both ways until nothing is to be written.
    fn carry(&self, line: &Line) {
        let mut lane = line.lane.borrow_mut();
        let mut buffers = line.buffers.borrow_mut();
        let (written, answers) = &mut *buffers;
        loop {
            while let Some((job, delivered)) = lane.poll_delivered() {
                // They are answered in the order in which they were sent.
                let waiting = line.waiting.borrow_mut().pop_front();
                let (known, inbox, number) = waiting.unwrap();
                assert_eq!(known, job);
                line.report
                    .delivered(&self.0, &line.topic, &delivered.outcome);
                inbox.deliver(number, delivered);
            }
            while let Some(action) = lane.poll_action() {
                let Action::Connect(id) = action else {
                    panic!("{action:?}");
                };
                line.connection.set(Some(id));
                lane.handle_connected(Now::ZERO, id);
                lane.handle_input(Now::ZERO, id, FarEnd::hello());
            }
            line.report.pass_on(&self.0, &mut lane);
            let id = line.connection.get().unwrap();
            written.clear();
            answers.clear();
            lane.poll_transmit(Now::ZERO, id, written);
            if written.is_empty() {
                return;
            }
            line.far_end.borrow_mut().answer(written, answers);
            lane.handle_input(Now::ZERO, id, answers);
        }
    }
}

/// Runs a future that waits for nobody to its end.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
