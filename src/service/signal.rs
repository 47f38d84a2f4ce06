//! Waking a task of this instance from another one.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Poll, Waker};

/// A flag that one task waits for. Setting it twice before it is seen is setting it once.
#[derive(Debug, Default)]
pub struct Signal {
    set: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Signal {
    /// Sets the flag and wakes who waits.
    pub fn set(&self) {
        if !self.set.replace(true)
            && let Some(waker) = self.waiting.take()
        {
            waker.wake();
        }
    }

    /// Waits for the flag and takes it down.
    pub async fn wait(&self) {
        poll_fn(|cx| {
            if self.set.take() {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// Which of two futures was first.
#[derive(Debug)]
pub enum First<A, B> {
    /// The one that is named first, which also has the first turn.
    A(A),
    /// The other.
    B(B),
}

/// The first of two futures; the other is dropped.
pub async fn first<A: Future, B: Future>(a: A, b: B) -> First<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|cx| {
        if let Poll::Ready(output) = a.as_mut().poll(cx) {
            return Poll::Ready(First::A(output));
        }
        b.as_mut().poll(cx).map(First::B)
    })
    .await
}
