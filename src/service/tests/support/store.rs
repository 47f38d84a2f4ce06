//! A store in memory that counts, refuses when it is told to, and says what of it is on disk.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::TestPlatform;
use super::executor::turn;
use crate::limits::STORE_UNAVAILABLE;
use crate::registry::{Swap, Swapped, Values};
use crate::service::{Keys, Store, StoreError};

/// Keys in a page.
const PAGE: usize = 10;

/// What it is asked for, and of which key.
pub(in crate::service) type Ask<'a> = (&'static str, &'a str);

/// Why it refuses something, if it does.
type Refuse = Box<dyn FnMut(Ask<'_>) -> Option<&'static str>>;

#[derive(Clone)]
pub(in crate::service) struct TestStore(Rc<Inner>);

struct Inner {
    platform: TestPlatform,
    values: RefCell<BTreeMap<String, Vec<u8>>>,
    /// What survives a crash.
    on_disk: RefCell<BTreeMap<String, Vec<u8>>>,
    refuse: RefCell<Option<Refuse>>,
    /// What asks for a key that begins like this is never answered.
    silent: RefCell<Option<&'static str>>,
    reads: RefCell<BTreeMap<String, usize>>,
    /// Bytes read since others had their turn, and when that was.
    since: Cell<(usize, usize)>,
    longest: Cell<usize>,
    flushes: Cell<usize>,
    /// Writes so far, and how many of them are on disk.
    writes: Cell<u64>,
    committed: Cell<u64>,
}

impl TestStore {
    pub(super) fn new(platform: TestPlatform) -> Self {
        Self(Rc::new(Inner {
            platform,
            values: RefCell::default(),
            on_disk: RefCell::default(),
            refuse: RefCell::default(),
            silent: RefCell::default(),
            reads: RefCell::default(),
            since: Cell::default(),
            longest: Cell::default(),
            flushes: Cell::default(),
            writes: Cell::default(),
            committed: Cell::default(),
        }))
    }

    /// From now on `refuse` says why something is refused, if it is.
    pub(in crate::service) fn refuse(
        &self,
        refuse: impl FnMut(Ask<'_>) -> Option<&'static str> + 'static,
    ) {
        *self.0.refuse.borrow_mut() = Some(Box::new(refuse));
    }

    /// From now on nobody who asks for a key that begins like this gets an answer.
    pub(in crate::service) fn fall_silent(&self, prefix: &'static str) {
        *self.0.silent.borrow_mut() = Some(prefix);
    }

    async fn wait_for<'a>(&self, mut keys: impl Iterator<Item = &'a String>) {
        turn().await;
        let silent = *self.0.silent.borrow();
        if silent.is_some_and(|prefix| keys.any(|key| key.starts_with(prefix))) {
            core::future::pending().await
        }
    }

    /// From now on nothing is refused.
    pub(in crate::service) fn recover(&self) {
        self.0.refuse.take();
    }

    /// Puts a value there, whatever was there.
    pub(in crate::service) fn put(&self, key: &str, value: &[u8]) {
        let mut values = self.0.values.borrow_mut();
        values.insert(key.to_owned(), value.to_vec());
        self.wrote();
    }

    fn wrote(&self) {
        self.0.writes.set(self.0.writes.get() + 1);
    }

    /// The value of a key, which nobody counts.
    pub(in crate::service) fn peek(&self, key: &str) -> Option<Vec<u8>> {
        self.0.values.borrow().get(key).cloned()
    }

    /// The keys that begin with something, of values that are there.
    pub(in crate::service) fn keys_of(&self, prefix: &str) -> Vec<String> {
        let values = self.0.values.borrow();
        let keys = values.iter().filter(|(_, value)| !value.is_empty());
        let keys = keys.map(|(key, _)| key.clone());
        keys.filter(|key| key.starts_with(prefix)).collect()
    }

    /// The same of what survives a crash.
    pub(in crate::service) fn keys_on_disk(&self, prefix: &str) -> Vec<String> {
        let keys = self.0.on_disk.borrow();
        let keys = keys.keys().filter(|key| key.starts_with(prefix));
        keys.cloned().collect()
    }

    /// How often something was taken to the disk.
    pub(in crate::service) fn flushes(&self) -> usize {
        self.0.flushes.get()
    }

    /// How often each key was read since this was asked last.
    pub(in crate::service) fn take_reads(&self) -> BTreeMap<String, usize> {
        self.0.reads.take()
    }

    /// The most bytes that were read between two turns of others.
    pub(in crate::service) fn longest(&self) -> usize {
        self.0.longest.get()
    }

    /// Forgets what was read, such as to fill the store.
    pub(in crate::service) fn forget(&self) {
        self.take_reads();
        self.0.since.set((0, self.0.platform.turns()));
        self.0.longest.set(0);
    }

    fn ask(&self, what: &'static str, key: &str) -> Result<(), StoreError> {
        let mut refuse = self.0.refuse.borrow_mut();
        let why = refuse.as_mut().and_then(|refuse| refuse((what, key)));
        match why {
            None => Ok(()),
            Some(why) if why.starts_with(STORE_UNAVAILABLE) => {
                Err(StoreError::Unavailable(why.to_owned()))
            }
            Some(why) => Err(StoreError::Other(why.to_owned())),
        }
    }

    fn count(&self, key: &str, value: Option<&[u8]>) {
        *self.0.reads.borrow_mut().entry(key.to_owned()).or_default() += 1;
        let turns = self.0.platform.turns();
        let (bytes, at) = self.0.since.get();
        let bytes = if at == turns { bytes } else { 0 } + value.map_or(0, <[u8]>::len);
        self.0.since.set((bytes, turns));
        self.0.longest.set(self.0.longest.get().max(bytes));
    }
}

/// Everything waits.
impl Values for TestStore {
    type Error = StoreError;

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.wait_for(keys.iter()).await;
        let found = keys.iter().map(|key| {
            self.ask("get", key)?;
            let value = self.0.values.borrow().get(key).cloned();
            self.count(key, value.as_deref());
            Ok(value)
        });
        found.collect()
    }

    async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, StoreError> {
        self.wait_for(swaps.iter().map(|swap| &swap.key)).await;
        let swapped = swaps.into_iter().map(|Swap { key, expected, new }| {
            self.ask("swap", &key)?;
            let mut values = self.0.values.borrow_mut();
            let value = values.get(&key);
            if value.map_or(&[][..], Vec::as_slice) != expected.as_deref().unwrap_or_default() {
                return Ok(Swapped::Lost(value.cloned()));
            }
            match new {
                Some(new) => drop(values.insert(key, new)),
                None => drop(values.remove(&key)),
            }
            self.wrote();
            Ok(Swapped::Done)
        });
        swapped.collect()
    }
}

impl Store for TestStore {
    async fn put_many(&self, values: &[(&str, &[u8])]) -> Result<(), StoreError> {
        turn().await;
        for (key, value) in values {
            self.ask("put", key)?;
            self.put(key, value);
        }
        Ok(())
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        turn().await;
        for key in keys {
            self.ask("delete", key)?;
            self.0.values.borrow_mut().remove(key);
            self.wrote();
        }
        Ok(())
    }

    /// All who ask in one turn are told by one commit.
    async fn durable(&self) -> Result<(), StoreError> {
        let written = self.0.writes.get();
        turn().await;
        self.ask("durable", "")?;
        if self.0.committed.get() < written {
            self.0.flushes.set(self.0.flushes.get() + 1);
            self.0.committed.set(self.0.writes.get());
            let values = self.0.values.borrow().clone();
            *self.0.on_disk.borrow_mut() = values;
        }
        Ok(())
    }

    async fn keys(&self, cursor: Option<&str>) -> Result<Keys, StoreError> {
        turn().await;
        self.ask("keys", cursor.unwrap_or_default())?;
        let values = self.0.values.borrow();
        let after = |key: &&String| cursor.is_none_or(|cursor| key.as_str() > cursor);
        let keys: Vec<_> = values.keys().filter(after).take(PAGE).cloned().collect();
        let next = keys.last().filter(|_| keys.len() == PAGE).cloned();
        Ok(Keys { keys, next })
    }
}
