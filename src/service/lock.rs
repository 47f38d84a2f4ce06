//! One at a time, the others in the order in which they came.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::collections::BTreeMap;

/// A lock among the tasks of an instance. Whoever waits may go away, and whoever has it, too.
///
/// Bound: those who wait are calls of the instance, whose number the host bounds.
#[derive(Debug, Default)]
pub(super) struct Lock(RefCell<Places>);

/// Who has the lock, which is the first, and who waits for it.
#[derive(Debug, Default)]
struct Places {
    last: u64,
    all: BTreeMap<u64, Option<Waker>>,
}

/// A place among them; the first has the lock. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    lock: &'a Lock,
    number: u64,
}

impl Lock {
    /// Waits until everybody who came before has gone.
    pub(super) async fn lock(&self) -> Place<'_> {
        let number = {
            let mut places = self.0.borrow_mut();
            places.last += 1;
            let number = places.last;
            places.all.insert(number, None);
            number
        };
        let place = Place { lock: self, number };
        poll_fn(|cx| {
            let mut places = self.0.borrow_mut();
            let first = places.all.first_key_value();
            if first.is_some_and(|(first, _)| *first == number) {
                return Poll::Ready(());
            }
            places.all.insert(number, Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
        place
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.lock.0.borrow_mut();
        places.all.remove(&self.number);
        if let Some(mut next) = places.all.first_entry()
            && let Some(waker) = next.get_mut().take()
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use super::super::tests::support::{Executor, both, turn};
    use super::*;

    #[test]
    fn one_has_it_at_a_time_and_who_goes_away_gives_it_back() {
        let (executor, lock) = (Executor::default(), Lock::default());
        let inside = Cell::new(0);
        let work = async || {
            let _place = lock.lock().await;
            assert_eq!(inside.replace(1), 0, "nobody else");
            turn().await;
            turn().await;
            inside.set(0);
        };
        executor.run(both(work(), both(work(), work())));
        {
            let mut gone = pin!(work());
            assert!(executor.run_for(gone.as_mut(), 1).is_none());
            let mut waits = pin!(work());
            assert!(executor.run_for(waits.as_mut(), 1).is_none());
        }
        inside.set(0);
        executor.run(work());
        assert!(lock.0.borrow().all.is_empty());
    }
}
