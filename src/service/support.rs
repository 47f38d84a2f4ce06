//! For tests: a store in memory that counts, and what pushes come to.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{Found, Store};
use crate::provider::{Outcome, Reason};
use crate::registry::replay::Memory;
use crate::registry::{Swap, Values};

/// What a future comes to that waits for nobody.
pub(super) fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// APNs took it.
pub(super) fn accepted() -> Outcome {
    Outcome::Accepted {
        apns_id: None,
        unique_id: None,
        answer: None,
    }
}

/// APNs refused it with this status and this text of a reason.
pub(super) fn rejected(status: u16, reason: &str) -> Outcome {
    Outcome::Rejected {
        status,
        reason: Reason::parse(reason),
        invalid_since: None,
        retry_after: None,
        apns_id: None,
    }
}

/// A store that counts how often each key is read, and what is read between two turns.
#[derive(Default)]
pub(super) struct Counting {
    pub(super) memory: Memory,
    pub(super) turns: Cell<usize>,
    /// How often each key was read.
    pub(super) reads: RefCell<BTreeMap<String, usize>>,
    /// Bytes read since the last turn.
    since: Cell<usize>,
    /// The most bytes that were read between two turns.
    pub(super) longest: Cell<usize>,
}

impl Counting {
    fn count(&self, key: &str, value: Option<&[u8]>) {
        *self.reads.borrow_mut().entry(key.to_owned()).or_default() += 1;
        self.since
            .set(self.since.get() + value.map_or(0, <[u8]>::len));
        self.longest.set(self.longest.get().max(self.since.get()));
    }

    /// Forgets what was read, such as to fill the store.
    pub(super) fn forget(&self) {
        self.reads.borrow_mut().clear();
        self.turns.set(0);
        self.since.set(0);
        self.longest.set(0);
    }
}

impl Values for Counting {
    type Error = Infallible;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Infallible> {
        let value = self.memory.get(key)?;
        self.count(key, value.as_deref());
        Ok(value)
    }

    fn swap(&self, key: &str, current: Option<&[u8]>, new: &[u8]) -> Result<Swap, Infallible> {
        self.memory.swap(key, current, new)
    }
}

impl Store for Counting {
    /// In another order than they were asked for.
    fn get_many(&self, keys: &[String]) -> Result<Vec<Found>, Infallible> {
        let found = keys.iter().rev().map(|key| {
            let value = self.get(key)?;
            Ok((key.clone(), value))
        });
        found.collect()
    }

    async fn turn(&self) {
        self.turns.set(self.turns.get() + 1);
        self.since.set(0);
    }
}
