//! A store in memory for tests, and callers that take turns at it, one store call at a time.
//!
//! A caller is a future that is polled by hand. It stops where it asks the store for something,
//! which is then carried out one key at a time, the keys of every other call from the last to the
//! first: nobody may rely on an order among them, nor on all of them. So any interleaving of any
//! callers can be had without a thread, and a caller that gets no further turn has crashed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{
    Alias, AliasIndex, AliasTopics, DEVICE_KEYS, DeviceRecord, DeviceRef, Failure, Group,
    GroupNode, Index, Swap, Swapped, Values, alias_key, alias_topics_key, group_key,
};
use crate::notification::{DeviceToken, Topic};

/// A store in memory.
#[derive(Default)]
pub(crate) struct Memory {
    values: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Keys that were read.
    pub(super) gets: Cell<usize>,
    /// Keys that were to be swapped.
    pub(super) swaps: Cell<usize>,
    /// How often it was asked for something.
    pub(super) calls: Cell<usize>,
}

/// Waits for nobody.
impl Values for Memory {
    type Error = Infallible;

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Infallible> {
        self.calls.set(self.calls.get() + 1);
        Ok(keys.iter().map(|key| self.get(key)).collect())
    }

    async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, Infallible> {
        self.calls.set(self.calls.get() + 1);
        Ok(swaps.into_iter().map(|swap| self.swap(swap)).collect())
    }
}

/// What a future returns that waits for nobody.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for something"),
    }
}

impl Memory {
    /// The value of a key, which counts.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.gets.set(self.gets.get() + 1);
        self.values.borrow().get(key).cloned()
    }

    fn swap(&self, swap: Swap) -> Swapped {
        let Swap { key, expected, new } = swap;
        self.swaps.set(self.swaps.get() + 1);
        let mut values = self.values.borrow_mut();
        let value = values.get(&key);
        if value.map_or(&[][..], Vec::as_slice) != expected.as_deref().unwrap_or_default() {
            return Swapped::Lost(value.cloned());
        }
        match new {
            Some(new) => drop(values.insert(key, new)),
            None => drop(values.remove(&key)),
        }
        Swapped::Done
    }

    /// Puts a value there, whatever was there.
    pub(crate) fn put(&self, key: &str, value: &[u8]) {
        self.values
            .borrow_mut()
            .insert(key.to_owned(), value.to_vec());
    }

    /// Every device there is a record of.
    pub(super) fn records(&self) -> Vec<DeviceRecord> {
        let values = self.values.borrow();
        let devices = values
            .iter()
            .filter(|(key, _)| key.starts_with(DEVICE_KEYS));
        devices
            .filter_map(|(_, value)| DeviceRecord::read_stored(Some(value)).unwrap())
            .collect()
    }

    /// The tokens that somebody who looks into a group finds.
    pub(super) fn group(&self, group: &Group) -> BTreeSet<DeviceToken> {
        let mut found = BTreeSet::new();
        let mut keys = vec![group_key(group)];
        while let Some(key) = keys.pop() {
            let value = self.values.borrow().get(&key).cloned();
            match GroupNode::read(value.as_deref()).unwrap() {
                GroupNode::Leaf(leaf) => {
                    found.extend(leaf.entries().iter().map(|entry| entry.token.clone()));
                }
                GroupNode::Branch => keys.extend((0..16).map(|digit| format!("{key}{digit:x}"))),
            }
        }
        found
    }

    /// The devices that somebody who looks for an alias finds.
    pub(super) fn alias(&self, alias: &Alias) -> Vec<DeviceRef> {
        let read = |key: String| self.values.borrow().get(&key).cloned();
        let topics = AliasTopics::read(read(alias_topics_key(alias)).as_deref()).unwrap();
        let mut found = Vec::new();
        for topic in topics.as_slice() {
            let index = AliasIndex::read(read(alias_key(alias, topic)).as_deref()).unwrap();
            found.extend(index.tokens().map(|token| DeviceRef {
                topic: topic.clone(),
                token: token.clone(),
            }));
        }
        found
    }

    /// Those of them in one app.
    fn in_app(&self, alias: &Alias, topic: &Topic) -> Vec<DeviceRef> {
        let mut found = self.alias(alias);
        found.retain(|device| device.topic == *topic);
        found
    }

    fn finds(&self, index: &Index, device: &DeviceRef) -> bool {
        match index {
            Index::Alias(alias, topic) => self.in_app(alias, topic).contains(device),
            Index::Group(group) => self.group(group).contains(&device.token),
        }
    }

    /// Asserts that these are the devices that an alias's index has, in any order.
    pub(super) fn assert_found(&self, index: &Index, devices: &[DeviceRef]) {
        for device in devices {
            assert!(self.finds(index, device), "{index:?} lacks {device:?}");
        }
        let Index::Alias(alias, topic) = index else {
            panic!("no alias")
        };
        assert_eq!(self.in_app(alias, topic).len(), devices.len(), "{index:?}");
    }

    /// Asserts that every index has all the devices that belong there.
    pub(super) fn assert_whole(&self, at: &dyn std::fmt::Debug) {
        for record in self.records() {
            for index in record.indexes() {
                let found = self.finds(&index, &record.device());
                assert!(found, "{index:?} lacks {record:?} at {at:?}");
            }
        }
    }

    /// Asserts that the indexes have none that does not belong there.
    pub(super) fn assert_tidy(&self, indexes: &[Index], at: &dyn std::fmt::Debug) {
        let records = self.records();
        for index in indexes {
            let found = match index {
                Index::Alias(alias, topic) => self.in_app(alias, topic).len(),
                Index::Group(group) => self.group(group).len(),
            };
            let belong = records
                .iter()
                .filter(|record| record.indexes().contains(index))
                .count();
            assert_eq!(found, belong, "{index:?} at {at:?}");
        }
    }
}

/// Some device of some app.
pub(super) fn device(n: u32) -> DeviceRef {
    DeviceRef {
        topic: Topic::parse("com.example.app").unwrap(),
        token: DeviceToken::from_bytes(&n.to_be_bytes()).unwrap(),
    }
}

/// What a caller has asked for, and what of it is not carried out yet.
enum Asked {
    Read(Vec<(usize, String)>, Vec<Option<Vec<u8>>>),
    Swap(Vec<(usize, Swap)>, Vec<Swapped>),
}

impl Asked {
    /// Carries out what is last; false if there is nothing.
    fn carry_out(&mut self, memory: &Memory) -> bool {
        match self {
            Self::Read(left, answers) => left.pop().map(|(place, key)| {
                answers[place] = memory.get(&key);
            }),
            Self::Swap(left, answers) => left.pop().map(|(place, swap)| {
                answers[place] = memory.swap(swap);
            }),
        }
        .is_some()
    }

    fn is_answered(&self) -> bool {
        match self {
            Self::Read(left, _) => left.is_empty(),
            Self::Swap(left, _) => left.is_empty(),
        }
    }
}

/// A store that answers when it is the caller's turn.
#[derive(Clone, Default)]
pub(super) struct Replay(Rc<ReplayState>);

#[derive(Default)]
struct ReplayState {
    asked: RefCell<Option<Asked>>,
    /// Calls so far.
    calls: Cell<usize>,
}

impl Replay {
    /// What was asked for, in the order in which it is carried out from its end.
    fn ordered<A>(&self, what: Vec<A>) -> Vec<(usize, A)> {
        self.0.calls.set(self.0.calls.get() + 1);
        let mut all: Vec<_> = what.into_iter().enumerate().collect();
        if self.0.calls.get().is_multiple_of(2) {
            all.reverse();
        }
        all
    }

    async fn ask(&self, what: Asked) -> Asked {
        let before = self.0.asked.replace(Some(what));
        assert!(before.is_none(), "a caller asks for one thing at a time");
        poll_fn(|_| {
            let mut asked = self.0.asked.borrow_mut();
            match asked.take_if(|asked| asked.is_answered()) {
                Some(answered) => Poll::Ready(answered),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Values for Replay {
    type Error = Infallible;

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Infallible> {
        let answers = vec![None; keys.len()];
        match self.ask(Asked::Read(self.ordered(keys), answers)).await {
            Asked::Read(_, answers) => Ok(answers),
            Asked::Swap(..) => panic!("it was asked for something else"),
        }
    }

    async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, Infallible> {
        let answers = vec![Swapped::Done; swaps.len()];
        match self.ask(Asked::Swap(self.ordered(swaps), answers)).await {
            Asked::Swap(_, answers) => Ok(answers),
            Asked::Read(..) => panic!("it was asked for something else"),
        }
    }
}

/// What a call of the registry returns on a store that never fails.
pub(super) type CallResult<T> = Result<T, Failure<Infallible>>;

/// A call of the registry that is made bit by bit.
pub(super) struct Caller<T> {
    run: Pin<Box<dyn Future<Output = CallResult<T>>>>,
    replay: Replay,
}

impl<T: 'static> Caller<T> {
    pub(super) fn new(run: impl AsyncFnOnce(Replay) -> CallResult<T> + 'static) -> Self {
        let replay = Replay::default();
        let values = replay.clone();
        Self {
            run: Box::pin(async move { run(values).await }),
            replay,
        }
    }

    /// Has one key read or swapped; or returns what the call of the registry did, if there is
    /// nothing left.
    pub(super) fn step(&mut self, memory: &Memory) -> Option<CallResult<T>> {
        loop {
            if let Some(asked) = self.replay.0.asked.borrow_mut().as_mut()
                && asked.carry_out(memory)
            {
                return None;
            }
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(done) = self.run.as_mut().poll(&mut context) {
                return Some(done);
            }
        }
    }

    /// Has everything read and swapped at once.
    pub(super) fn finish(&mut self, memory: &Memory) -> CallResult<T> {
        loop {
            if let Some(done) = self.step(memory) {
                return done;
            }
        }
    }
}

/// Numbers that look random, the same for the same seed (SplitMix64).
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}
