//! The thread that takes what waits to the disk, and what it does when the disk takes nothing.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use dunlin::limits::STORE_UNAVAILABLE;
use tracing::{error, info};

use super::embedded::Embedded;
use super::overlay::Value;
use super::trouble::{Trouble, TroubleLine};
use super::{COMMIT_MARGIN, Progress, SharedStore, StoreState};

/// What is handed to the backend at once.
struct Batch {
    writes: Arc<BTreeMap<String, Value>>,
    /// The number of the newest of them.
    upto: u64,
    /// Whether the store is closed after it.
    is_last: bool,
}

impl StoreState {
    fn take_batch(&mut self) -> Batch {
        self.committing_bytes = self.pending.bytes();
        self.committing = Arc::new(self.pending.take());
        Batch {
            writes: Arc::clone(&self.committing),
            upto: self.written,
            is_last: self.closing,
        }
    }

    fn commit_ended(&mut self) {
        self.committing = Arc::default();
        self.committing_bytes = 0;
    }

    /// The backend has not taken a batch; how many writes wait now.
    fn put_back(&mut self, writes: Arc<BTreeMap<String, Value>>) -> usize {
        self.commit_ended();
        self.pending.put_back(Arc::unwrap_or_clone(writes));
        self.pending.len()
    }
}

/// Tells those who wait for the disk that the commit thread has ended.
pub(super) struct Gone<'a>(pub(super) &'a SharedStore);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let why: Arc<str> = "the store is closed".into();
        self.0.progress.send_modify(|now| now.trouble = Some(why));
    }
}

impl SharedStore {
    /// `why` the disk takes no writes from the start, if it does not.
    pub(super) fn commit_until_closed(&self, why: Option<&Arc<str>>) {
        let Some(backend) = &self.backend else { return };
        let mut trouble = Trouble::default();
        if let Some(why) = why {
            self.tell(trouble.failed(Instant::now(), why));
        }
        while let Some(Batch {
            writes,
            upto,
            is_last,
        }) = self.next_batch(&mut trouble)
        {
            let result = backend.commit(&writes);
            match result {
                Ok(()) => {
                    self.lock().commit_ended();
                    self.progress.send_replace(Progress {
                        durable: upto,
                        trouble: None,
                    });
                    self.tell(trouble.succeeded(Instant::now()));
                }
                Err(failure) => {
                    let why: Arc<str> = failure.into_why();
                    // Before the writes can be waited for again.
                    let told = Some(Arc::clone(&why));
                    self.progress.send_modify(|now| now.trouble = told);
                    let lost = self.lock().put_back(writes);
                    if is_last {
                        if lost > 0 {
                            error!("the store was closed and {lost} writes are lost: {why}");
                        }
                        return;
                    }
                    self.tell(trouble.failed(Instant::now(), &why));
                }
            }
        }
    }

    fn tell(&self, line: Option<TroubleLine>) {
        match line {
            None => {}
            Some(TroubleLine::Begun(why)) => error!(
                "{STORE_UNAVAILABLE}: {}: {why}. What needs no disk goes on; what has to be on it \
                 is refused with 503. Free space there, or mend the disk: it is tried again by \
                 itself",
                self.path.display(),
            ),
            Some(TroubleLine::Over(over)) => {
                let refused = self.refused.swap(0, Ordering::Relaxed);
                info!("the store is written again, {over}; {refused} requests were refused");
            }
        }
    }

    /// Waits for writes and takes all there are; in trouble, for when it is time to try again.
    /// `None` when closed and nothing is left to do.
    fn next_batch(&self, trouble: &mut Trouble) -> Option<Batch> {
        let mut state = self.lock();
        if trouble.is_there() {
            while !state.closing {
                let waited = self
                    .work
                    .wait_timeout_while(state, self.tick, |it| !it.closing);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                let needed = 2 * state.pending.bytes() as u64 + COMMIT_MARGIN;
                // A disk may take its time to say so, and a log to be written.
                drop(state);
                let free = self.backend.as_ref().and_then(Embedded::free);
                let has_room = free.map(|free| free >= needed);
                let (line, is_due) = trouble.tick(Instant::now(), has_room);
                self.tell(line);
                state = self.lock();
                if is_due {
                    break;
                }
            }
        }
        while state.pending.is_empty() && !trouble.is_there() {
            if state.closing {
                return None;
            }
            let waited = self.work.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Some(state.take_batch())
    }
}
