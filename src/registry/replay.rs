//! A store in memory for tests, and callers that take turns at it, one store call at a time.
//!
//! A caller is a function of the answers it gets. To stop it in the middle, it is run from its
//! beginning with the answers it has had; at the first call without an answer it fails, that call
//! is carried out, and its answer is kept for the next run. So any interleaving of any callers can
//! be had without a thread, and a caller that gets no further turn has crashed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use super::{
    Alias, AliasIndex, AliasTopics, DEVICE_KEYS, DeviceRecord, DeviceRef, Failure, Group,
    GroupNode, Index, Swap, Values, alias_key, alias_topics_key, group_key, older_alias_key,
};
use crate::notification::{DeviceToken, Topic};

/// A store in memory.
#[derive(Default)]
pub(crate) struct Memory {
    values: RefCell<BTreeMap<String, Vec<u8>>>,
    pub(super) gets: Cell<usize>,
    pub(super) swaps: Cell<usize>,
}

impl Values for Memory {
    type Error = Infallible;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Infallible> {
        self.gets.set(self.gets.get() + 1);
        Ok(self.values.borrow().get(key).cloned())
    }

    fn swap(&self, key: &str, current: Option<&[u8]>, new: &[u8]) -> Result<Swap, Infallible> {
        self.swaps.set(self.swaps.get() + 1);
        let mut values = self.values.borrow_mut();
        let value = values.get(key);
        if value.map(Vec::as_slice) != current {
            return Ok(Swap::Lost(value.cloned()));
        }
        values.insert(key.to_owned(), new.to_vec());
        Ok(Swap::Done)
    }
}

impl Memory {
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
        let keys = topics
            .as_slice()
            .iter()
            .map(|topic| alias_key(alias, topic));
        let mut found = Vec::new();
        for key in keys.chain([older_alias_key(alias)]) {
            let index = AliasIndex::read(read(key).as_deref()).unwrap();
            for device in index.devices() {
                if !found.contains(device) {
                    found.push(device.clone());
                }
            }
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

enum StoreCall {
    Get(String),
    Swap(String, Option<Vec<u8>>, Vec<u8>),
}

#[derive(Clone)]
enum StoreAnswer {
    Got(Option<Vec<u8>>),
    Swapped(Swap),
}

/// It is somebody else's turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Paused;

/// The answers that a caller has had.
#[derive(Default)]
pub(super) struct Replay {
    answers: RefCell<Vec<StoreAnswer>>,
    given: Cell<usize>,
    asked: RefCell<Option<StoreCall>>,
}

impl Replay {
    fn answer(&self, call: StoreCall) -> Result<StoreAnswer, Paused> {
        // A caller that tidies up after a failure does not do so in a pause.
        if self.asked.borrow().is_some() {
            return Err(Paused);
        }
        let given = self.given.replace(self.given.get() + 1);
        let answer = self.answers.borrow().get(given).cloned();
        answer.ok_or_else(|| {
            *self.asked.borrow_mut() = Some(call);
            Paused
        })
    }
}

impl Values for Replay {
    type Error = Paused;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Paused> {
        match self.answer(StoreCall::Get(key.to_owned()))? {
            StoreAnswer::Got(value) => Ok(value),
            StoreAnswer::Swapped(_) => panic!("a caller has asked for something else than before"),
        }
    }

    fn swap(&self, key: &str, current: Option<&[u8]>, new: &[u8]) -> Result<Swap, Paused> {
        let call = StoreCall::Swap(key.to_owned(), current.map(<[u8]>::to_vec), new.to_vec());
        match self.answer(call)? {
            StoreAnswer::Swapped(swap) => Ok(swap),
            StoreAnswer::Got(_) => panic!("a caller has asked for something else than before"),
        }
    }
}

/// What a call of the registry that can be interrupted returns.
pub(super) type CallResult<T> = Result<T, Failure<Paused>>;

type RegistryCall<T> = dyn Fn(&Replay) -> CallResult<T>;

/// A call of the registry that is made bit by bit.
pub(super) struct Caller<T> {
    run: Box<RegistryCall<T>>,
    replay: Replay,
}

impl<T> Caller<T> {
    pub(super) fn new(run: impl Fn(&Replay) -> CallResult<T> + 'static) -> Self {
        Self {
            run: Box::new(run),
            replay: Replay::default(),
        }
    }

    /// Makes one store call; or returns what the call of the registry did, if no other is left.
    pub(super) fn step(&self, memory: &Memory) -> Option<CallResult<T>> {
        self.replay.given.set(0);
        match (self.run)(&self.replay) {
            Err(Failure::Store(Paused)) => {}
            done => return Some(done),
        }
        let answer = match self.replay.asked.take().unwrap() {
            StoreCall::Get(key) => StoreAnswer::Got(memory.get(&key).unwrap()),
            StoreCall::Swap(key, current, new) => {
                StoreAnswer::Swapped(memory.swap(&key, current.as_deref(), &new).unwrap())
            }
        };
        self.replay.answers.borrow_mut().push(answer);
        None
    }

    /// Makes all of its store calls at once.
    pub(super) fn finish(&self, memory: &Memory) -> CallResult<T> {
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
