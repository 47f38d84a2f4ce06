//! The feedback poll of one app: lease, read, keep, close, apply.
//!
//! ```text
//!   take the lease ─► connect ─► read ─► pages into the store ─► all on disk ─► close
//!        │ busy: somebody else does it                                            │
//!        └► (done)          release the lease ◄─ apply page by page, oldest first ◄┘
//! ```
//!
//! What an earlier poll has left over is applied too, also when the service cannot be reached.

mod applying;
mod invalidations;
mod reading;

use core::time::Duration;

use super::store::persistently;
use super::{App, Platform, Runtime, random_u64};
use crate::api::{AppFeedback, FeedbackCounts};
use crate::config::BinaryApp;
use crate::feedback::{Busy, Holder, PollState, Stopped, poll_key};
use crate::registry;
use crate::time::Now;

/// How often the lease is renewed at most; well below its length.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// Somebody else has taken the lease over.
const LOST: &str = "another host has taken the poll over";

/// One poll of one app.
struct Poll<'a, R: Runtime> {
    app: &'a App<R>,
    binary: &'a BinaryApp,
    holder: Holder,
    key: String,
    renewed: Now,
    counts: FeedbackCounts,
    /// The bound at which reading stopped.
    stopped: Option<Stopped>,
    /// Records that could not be read; their devices stay as they are.
    unreadable: u64,
}

impl<R: Runtime> App<R> {
    /// Polls the feedback service of one app, if it has one.
    pub(super) async fn poll(&self, binary: &BinaryApp) -> Option<AppFeedback> {
        binary.feedback.as_ref()?;
        let mut poll = Poll {
            app: self,
            binary,
            holder: self.holder(),
            key: poll_key(&binary.topic, binary.environment),
            renewed: self.platform.now(),
            counts: FeedbackCounts::default(),
            stopped: None,
            unreadable: 0,
        };
        let (busy, error) = match poll.take_lease().await {
            Ok(Ok(())) => (false, poll.read_and_apply().await.err()),
            Ok(Err(Busy { .. })) => (true, None),
            Err(error) => (false, Some(error)),
        };
        Some(AppFeedback {
            topic: binary.topic.as_str().to_owned(),
            environment: binary.environment,
            counts: poll.counts,
            busy,
            stopped: poll.stopped,
            error,
        })
    }

    /// Who we are when something is to be done by one alone: this process and this call of it.
    fn holder(&self) -> Holder {
        let call = format!("{:016x}", random_u64(&self.platform));
        // A platform that does not tell processes apart gives each call one of its own.
        let boot = self.process.boot.clone().unwrap_or_else(|| call.clone());
        Holder { boot, call }
    }
}

impl<R: Runtime> Poll<'_, R> {
    async fn read_and_apply(&mut self) -> Result<(), String> {
        let read = self.read_list().await;
        let applied = self.apply_all().await;
        let released = self.change(|state, holder| state.release(holder)).await;
        read.and(applied).and(released)?;
        match self.unreadable {
            0 => Ok(()),
            count => Err(format!("{count} records in the store could not be read")),
        }
    }

    async fn take_lease(&mut self) -> Result<Result<(), Busy>, String> {
        let exclusive = self.app.process.has_store_alone;
        let now = self.app.platform.unix_time();
        self.renewed = self.app.platform.now();
        self.change(|state, holder| state.take(holder, exclusive, now))
            .await
    }

    /// Says that we are alive, and finds out whether we are still the one.
    async fn renew_lease(&mut self) -> Result<(), String> {
        if self.app.platform.now().since(self.renewed) < RENEW_EVERY {
            return Ok(());
        }
        let taken = self.take_lease().await?;
        taken.map_err(|Busy { .. }| LOST.to_owned())
    }

    /// Changes the record by compare-and-swap.
    async fn change<T>(
        &self,
        mut make: impl FnMut(&mut PollState, &Holder) -> T,
    ) -> Result<T, String> {
        let App {
            platform, store, ..
        } = self.app;
        let changed = persistently(platform, async || {
            registry::change(store, &self.key, |stored| match PollState::read(stored) {
                Ok(mut state) => {
                    let output = make(&mut state, &self.holder);
                    (Some(state.write()), Ok(output))
                }
                Err(corrupt) => (None, Err(corrupt)),
            })
            .await
        });
        let changed = changed.await.map_err(|error| error.to_string())?;
        changed.map_err(|corrupt| corrupt.to_string())
    }
}
