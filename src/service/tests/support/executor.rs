//! Runs futures one poll after the other, always in the same order, in time that passes only when
//! nobody has anything to do.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::time::Now;

/// What is due at some time.
enum Due {
    Wake(Waker),
    Act(Box<dyn FnOnce()>),
}

/// A clock, and what waits for it.
#[derive(Clone, Default)]
pub(in crate::service) struct Executor(Rc<Clock>);

#[derive(Default)]
struct Clock {
    now: Cell<Now>,
    due: RefCell<BTreeMap<(Now, u64), Due>>,
    count: Cell<u64>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Executor {
    pub(in crate::service) fn now(&self) -> Now {
        self.0.now.get()
    }

    fn add(&self, at: Now, due: Due) {
        let number = self.0.count.get();
        self.0.count.set(number + 1);
        self.0.due.borrow_mut().insert((at, number), due);
    }

    /// Does something at some time.
    pub(in crate::service) fn at(&self, at: Now, act: impl FnOnce() + 'static) {
        self.add(at, Due::Act(Box::new(act)));
    }

    /// Waits until the clock shows `at`.
    pub(in crate::service) async fn wait_until(&self, at: Now) {
        let mut asked = false;
        core::future::poll_fn(|cx| {
            if self.now() >= at {
                return Poll::Ready(());
            }
            if !core::mem::replace(&mut asked, true) {
                self.add(at, Due::Wake(cx.waker().clone()));
            }
            Poll::Pending
        })
        .await;
    }

    /// Goes on to the next moment at which something is due; false if there is none.
    fn advance(&self) -> bool {
        let Some(((at, _), due)) = self.0.due.borrow_mut().pop_first() else {
            return false;
        };
        self.0.now.set(self.now().max(at));
        match due {
            Due::Wake(waker) => waker.wake(),
            Due::Act(act) => act(),
        }
        true
    }

    /// Lets time pass in which nobody asks for anything.
    pub(in crate::service) fn pass(&self, time: core::time::Duration) {
        let until = self.now() + time;
        while self
            .0
            .due
            .borrow()
            .keys()
            .next()
            .is_some_and(|(at, _)| *at <= until)
        {
            self.advance();
        }
        self.0.now.set(until);
    }

    /// Runs a future to its end.
    pub(in crate::service) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let output = self.run_for(future.as_mut(), usize::MAX);
        output.expect("it waits for nothing that will ever come")
    }

    /// Runs a future for so many polls at most, or until nothing is due any more.
    pub(in crate::service) fn run_for<T>(
        &self,
        mut future: Pin<&mut impl Future<Output = T>>,
        polls: usize,
    ) -> Option<T> {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut polled = 0;
        while polled < polls {
            if flag.0.swap(false, Ordering::Relaxed) {
                polled += 1;
                let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                if let Poll::Ready(output) = polled {
                    return Some(output);
                }
            } else if !self.advance() {
                return None;
            }
        }
        None
    }
}

/// Lets others have their turn once.
pub(in crate::service) async fn turn() {
    let mut had = false;
    core::future::poll_fn(|cx| {
        if core::mem::replace(&mut had, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Two futures that take turns, the first one first.
pub(in crate::service) async fn both<A, B>(
    a: impl Future<Output = A>,
    b: impl Future<Output = B>,
) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut of_b) = (None, None);
    core::future::poll_fn(|cx| {
        if of_a.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(cx)
        {
            of_a = Some(output);
        }
        if of_b.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(cx)
        {
            of_b = Some(output);
        }
        match (of_a.take(), of_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (of_a, of_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}
