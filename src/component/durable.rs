//! Waiting for the disk, many at once.
//!
//! The store's interface can only say that everything is on disk by making the whole instance wait,
//! for milliseconds. So those who want to know gather while the others have their turn, and one of
//! them asks for all.

use std::cell::RefCell;

use futures_channel::oneshot;

use super::platform;
use super::store::{Store, StoreError};

/// Those who wait for the next answer; as many as there are calls in the instance, which the host
/// bounds.
#[derive(Default)]
pub(super) struct Gathering(RefCell<Vec<oneshot::Sender<Result<(), StoreError>>>>);

/// Of the first, who asks for all. If it is dropped before it has, nobody would: those who wait hear
/// that, and the next is the first again.
struct Turn<'a>(&'a Gathering);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.0.take();
    }
}

impl Gathering {
    /// Returns once everything written before the call survives a crash.
    pub(super) async fn flushed(&self, store: &Store) -> Result<(), StoreError> {
        let (sender, receiver) = oneshot::channel();
        let is_first = {
            let mut waiting = self.0.borrow_mut();
            waiting.push(sender);
            waiting.len() == 1
        };
        if is_first {
            let turn = Turn(self);
            platform::yield_now().await;
            let waiting = turn.0.0.take();
            let result = store.flush();
            for one in waiting {
                // It may have gone.
                let _ = one.send(result.clone());
            }
        }
        let gone = || StoreError("nobody asked the disk".to_owned());
        receiver.await.unwrap_or_else(|_| Err(gone()))
    }
}
