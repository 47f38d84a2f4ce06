//! A platform whose clock is an [`Executor`]'s, and whose random numbers are counted.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Executor;
use super::executor::turn;
use crate::service::{Operator, Platform};
use crate::time::{Now, UnixTime};

/// What the wall clock shows when the monotonic one shows zero: 2023-11-14.
const START: u64 = 1_700_000_000;

#[derive(Clone, Default)]
pub(in crate::service) struct TestPlatform(Rc<Inner>);

#[derive(Default)]
struct Inner {
    executor: Executor,
    random: Cell<u64>,
    turns: Cell<usize>,
    operator: RefCell<Operator>,
    lines: RefCell<Vec<String>>,
}

impl TestPlatform {
    pub(in crate::service) fn executor(&self) -> &Executor {
        &self.0.executor
    }

    /// How often others had their turn.
    pub(in crate::service) fn turns(&self) -> usize {
        self.0.turns.get()
    }

    /// What the operator was told since this was asked last.
    pub(in crate::service) fn take_lines(&self) -> Vec<String> {
        self.0.lines.take()
    }

    /// What was counted since this was asked last.
    pub(in crate::service) fn take_counts(&self) -> String {
        self.operator(|operator| operator.take_counts())
            .unwrap_or_default()
    }
}

impl Platform for TestPlatform {
    fn now(&self) -> Now {
        self.0.executor.now()
    }

    fn unix_time(&self) -> UnixTime {
        UnixTime::from_secs(START) + self.now().since(Now::ZERO)
    }

    fn random(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let number = self.0.random.get() + 1;
            self.0.random.set(number);
            piece.copy_from_slice(&number.to_be_bytes()[8 - piece.len()..]);
        }
    }

    async fn turn(&self) {
        self.0.turns.set(self.0.turns.get() + 1);
        turn().await;
    }

    async fn wait_until(&self, at: Now) {
        self.0.executor.wait_until(at).await;
    }

    fn operator<T>(&self, what: impl FnOnce(&mut Operator) -> T) -> T {
        what(&mut self.0.operator.borrow_mut())
    }

    fn told(&self) {
        while let Some(line) = self.operator(Operator::poll_line) {
            self.0.lines.borrow_mut().push(line.to_string());
        }
    }

    fn warn(&self, what: &str) {
        self.0.lines.borrow_mut().push(format!("WARN: {what}"));
    }
}
