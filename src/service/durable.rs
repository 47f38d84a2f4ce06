//! Waiting for the disk, many at once.
//!
//! A store may make the whole instance wait when it is asked whether everything is on disk, for
//! milliseconds. So those who want to know gather while the others have their turn, and one of them
//! asks for all.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::rc::Rc;

use super::{Platform, Store, StoreError};

/// Those who wait for the next answer; as many as there are calls in the instance, which the host
/// bounds.
#[derive(Default)]
pub(super) struct Gathering(RefCell<Option<Rc<Question>>>);

/// What those who have gathered want to know.
#[derive(Default)]
struct Question {
    answer: RefCell<Option<Result<(), StoreError>>>,
    waiting: RefCell<Vec<Waker>>,
}

/// Of the first, who asks for all. If it is dropped before it has, nobody would: those who wait
/// hear that, and the next is the first again.
struct Turn<'a> {
    gathering: &'a Gathering,
    question: Rc<Question>,
}

impl Turn<'_> {
    /// From now on others ask by themselves: what they wrote may come too late for this one.
    fn close(&self) {
        let mut open = self.gathering.0.borrow_mut();
        if open
            .as_ref()
            .is_some_and(|open| Rc::ptr_eq(open, &self.question))
        {
            *open = None;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.close();
        self.question
            .set(|| Err(StoreError::Other("nobody asked the disk".to_owned())));
    }
}

impl Question {
    /// Answers it, unless it is answered.
    fn set(&self, answer: impl FnOnce() -> Result<(), StoreError>) {
        self.answer.borrow_mut().get_or_insert_with(answer);
        for one in self.waiting.take() {
            one.wake();
        }
    }

    async fn answered(&self) -> Result<(), StoreError> {
        poll_fn(|cx| match &*self.answer.borrow() {
            Some(answer) => Poll::Ready(answer.clone()),
            None => {
                self.waiting.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

impl Gathering {
    /// Returns once everything written before the call survives a crash.
    pub(super) async fn durable(
        &self,
        platform: &impl Platform,
        store: &impl Store,
    ) -> Result<(), StoreError> {
        let open = self.0.borrow().clone();
        if let Some(question) = open {
            return question.answered().await;
        }
        let question = Rc::<Question>::default();
        *self.0.borrow_mut() = Some(Rc::clone(&question));
        let turn = Turn {
            gathering: self,
            question,
        };
        platform.turn().await;
        turn.close();
        let answer = store.durable().await;
        turn.question.set(|| answer.clone());
        answer
    }
}
