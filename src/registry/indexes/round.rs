//! Calls of the store that several make at the same time, gathered into one of each kind.
//!
//! ```text
//!   join an alias ───┐ get_many          get_many ┌──► …
//!   join a group ────┼─────────► Round ──────────►│ store
//!   join a group ────┘ (all wait)                 └──► …      and the same of swaps
//! ```
//!
//! Whoever writes two values in an order still does: the second is asked for when the first is
//! answered. What is asked for by several that do not wait for each other goes out together, and a
//! store far away is waited for once.
//!
//! Bound: what those hold who ask, at most one call each.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::collections::BTreeMap;

use super::values::{Swap, Swapped, Values};

/// A store as those see it who ask it together; see [`together`].
pub(in crate::registry) struct Round<'a, V: Values> {
    values: &'a V,
    reads: RefCell<Questions<String, Option<Vec<u8>>, V::Error>>,
    swaps: RefCell<Questions<Swap, Swapped, V::Error>>,
}

/// Calls of one kind, each with its number.
struct Questions<A, B, E> {
    asked: Vec<(usize, Vec<A>)>,
    answered: BTreeMap<usize, Result<Vec<B>, E>>,
    last: usize,
}

impl<A, B, E> Default for Questions<A, B, E> {
    fn default() -> Self {
        Self {
            asked: Vec::new(),
            answered: BTreeMap::new(),
            last: 0,
        }
    }
}

impl<A, B, E: Clone> Questions<A, B, E> {
    fn ask(&mut self, what: Vec<A>) -> usize {
        self.last += 1;
        self.asked.push((self.last, what));
        self.last
    }

    /// What was asked since this was last called: by whom, for how many each, and for what.
    fn take(&mut self) -> (Vec<(usize, usize)>, Vec<A>) {
        let mut all = Vec::new();
        let mut shares = Vec::with_capacity(self.asked.len());
        for (number, what) in self.asked.drain(..) {
            shares.push((number, what.len()));
            all.extend(what);
        }
        (shares, all)
    }

    fn answer(&mut self, shares: Vec<(usize, usize)>, answers: Result<Vec<B>, E>) {
        match answers {
            Ok(answers) => {
                let mut rest = answers.into_iter();
                for (number, count) in shares {
                    let share = rest.by_ref().take(count).collect();
                    self.answered.insert(number, Ok(share));
                }
            }
            Err(error) => {
                let told = shares
                    .into_iter()
                    .map(|(number, _)| (number, Err(error.clone())));
                self.answered.extend(told);
            }
        }
    }
}

/// Waits until a question is answered.
async fn answered<A, B, E: Clone>(
    questions: &RefCell<Questions<A, B, E>>,
    what: Vec<A>,
) -> Result<Vec<B>, E> {
    let number = questions.borrow_mut().ask(what);
    poll_fn(|_| match questions.borrow_mut().answered.remove(&number) {
        Some(answer) => Poll::Ready(answer),
        // Nobody has to be woken: all are polled again when something is answered.
        None => Poll::Pending,
    })
    .await
}

impl<V: Values> Values for Round<'_, V> {
    type Error = V::Error;

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, V::Error> {
        answered(&self.reads, keys).await
    }

    async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, V::Error> {
        answered(&self.swaps, swaps).await
    }
}

impl<V: Values> Round<'_, V> {
    fn is_asked(&self) -> bool {
        !self.reads.borrow().asked.is_empty() || !self.swaps.borrow().asked.is_empty()
    }

    async fn carry_out(&self) {
        let (shares, keys) = self.reads.borrow_mut().take();
        if !shares.is_empty() {
            let read = self.values.get_many(keys).await;
            self.reads.borrow_mut().answer(shares, read);
        }
        let (shares, swaps) = self.swaps.borrow_mut().take();
        if !shares.is_empty() {
            let swapped = self.values.swap_many(swaps).await;
            self.swaps.borrow_mut().answer(shares, swapped);
        }
    }
}

/// Does work that asks the store as [`all`] do it, in as few calls as that takes. It is to wait for
/// nothing but the store.
pub(in crate::registry) async fn together<V: Values, T>(
    values: &V,
    work: impl AsyncFnOnce(&Round<'_, V>) -> T,
) -> T {
    let round = Round {
        values,
        reads: RefCell::default(),
        swaps: RefCell::default(),
    };
    let mut work = pin!(work(&round));
    loop {
        let goes_on = poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Pending if !round.is_asked() => Poll::Pending,
            polled => Poll::Ready(polled),
        });
        if let Poll::Ready(output) = goes_on.await {
            return output;
        }
        round.carry_out().await;
    }
}

/// Does all of these at the same time, each to its end. What they return, in their order.
pub(in crate::registry) async fn all<F: Future>(
    works: impl IntoIterator<Item = F>,
) -> Vec<F::Output> {
    let mut works: Vec<_> = works
        .into_iter()
        .map(|work| Work::Under(Box::pin(work)))
        .collect();
    poll_fn(|cx| {
        let mut is_done = true;
        for work in &mut works {
            is_done &= work.go_on(cx);
        }
        if is_done {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
    works.into_iter().filter_map(Work::output).collect()
}

/// A work that is under way, or what it came to.
enum Work<F: Future> {
    Under(Pin<Box<F>>),
    Done(F::Output),
}

impl<F: Future> Work<F> {
    fn go_on(&mut self, cx: &mut Context<'_>) -> bool {
        if let Self::Under(work) = self
            && let Poll::Ready(output) = work.as_mut().poll(cx)
        {
            *self = Self::Done(output);
        }
        matches!(self, Self::Done(_))
    }

    fn output(self) -> Option<F::Output> {
        match self {
            Self::Under(_) => None,
            Self::Done(output) => Some(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::change;
    use crate::registry::replay::{Memory, ready};

    #[test]
    fn those_who_do_not_wait_for_each_other_ask_in_one_call() {
        let memory = Memory::default();
        let keys = ["a", "b", "c"];
        let lengths = ready(together(&memory, async |round| {
            all(keys.map(async |key| {
                let first = change(round, key, |_| (Some(b"1".to_vec()), ()));
                first.await.unwrap();
                let longer = |stored: Option<&[u8]>| {
                    let new = [stored.unwrap_or_default(), b"2"].concat();
                    let length = new.len();
                    (Some(new), length)
                };
                change(round, key, longer).await.unwrap()
            }))
            .await
        }));
        assert_eq!(lengths, [2, 2, 2]);
        assert_eq!((memory.gets.get(), memory.swaps.get()), (6, 6));
        assert_eq!(memory.calls.get(), 4, "two reads and two swaps");
    }

    #[test]
    fn an_error_is_told_to_all_and_to_nobody_else() {
        struct Broken;
        impl Values for Broken {
            type Error = &'static str;
            async fn get_many(&self, _: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, &'static str> {
                Err("broken")
            }
            async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, &'static str> {
                Ok(swaps.iter().map(|_| Swapped::Done).collect())
            }
        }
        let told = ready(together(&Broken, async |round| {
            all([true, false, true].map(async |reads| match reads {
                true => round.get_many(vec!["k".to_owned()]).await.map(drop),
                false => round.swap_many(Vec::new()).await.map(drop),
            }))
            .await
        }));
        assert_eq!(told, [Err("broken"), Ok(()), Err("broken")]);
    }
}
