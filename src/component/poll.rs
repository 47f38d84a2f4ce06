//! The feedback poll of one app: lease, read, keep, close, apply.
//!
//! ```text
//!   take the lease ─► connect ─► read ─► pages into the store ─► all on disk ─► close
//!        │ busy: somebody else does it                                            │
//!        └► (done)          release the lease ◄─ apply page by page, oldest first ◄┘
//! ```
//!
//! What an earlier poll has left over is applied too, also when the service cannot be reached.

use std::time::Duration;

use wit_bindgen::{StreamReader, StreamResult};

use super::app::App;
use super::platform;
use super::signal::{First, first};
use super::store::{ChangeError, StoreError};
use super::transport::{self, Transport};
use crate::api::{AppFeedback, FeedbackCounts};
use crate::config::BinaryApp;
use crate::feedback::{
    Bounds, Busy, CorruptSpool, Holder, Intake, Opened, Page, Run, Spool, Stopped, page_key,
    spool_key, tuples,
};
use crate::limits::STORE_UNAVAILABLE;
use crate::registry::{Ahead, Burials, Death, DeviceRef, Failure, Located};
use crate::service::{Deaths, Turns};
use crate::time::Now;

/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;

/// How often the lease is renewed at most; well below its length.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// How long to go on when the store refuses, as it does while the disk is behind.
const STORE_PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before the store is tried again.
const STORE_PAUSE: Duration = Duration::from_millis(20);

/// Devices whose deaths are dealt with between two turns of the other tasks of the instance.
const BATCH: usize = 200;

/// One poll of one app.
struct Poll<'a> {
    app: &'a App,
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

/// Pages applied together: their devices leave the indexes together, which costs one write for each
/// part of an index and not for each device. At most 192,000 devices, and 60 MB for as long.
const PAGES_AT_ONCE: usize = 96;

/// Somebody else has taken the lease over.
const LOST: &str = "another host has taken the poll over";

/// Polls the feedback service of one app, if it has one.
pub(super) async fn poll(app: &App, binary: &BinaryApp) -> Option<AppFeedback> {
    binary.feedback.as_ref()?;
    let mut poll = Poll {
        app,
        binary,
        holder: platform::holder(),
        key: spool_key(&binary.topic, binary.environment),
        renewed: platform::now(),
        counts: FeedbackCounts::default(),
        stopped: None,
        unreadable: 0,
    };
    let mut report = AppFeedback {
        topic: binary.topic.as_str().to_owned(),
        environment: binary.environment,
        counts: FeedbackCounts::default(),
        busy: false,
        stopped: None,
        error: None,
    };
    match poll.take_lease().await {
        Ok(Ok(())) => {
            let read = poll.read_list().await;
            let applied = poll.apply_all().await;
            let released = poll.change(|spool, holder| spool.release(holder)).await;
            let whole = match poll.unreadable {
                0 => Ok(()),
                count => Err(format!("{count} records in the store could not be read")),
            };
            report.error = read.and(applied).and(released).and(whole).err();
        }
        Ok(Err(Busy { .. })) => report.busy = true,
        Err(error) => report.error = Some(error),
    }
    report.counts = poll.counts;
    report.stopped = poll.stopped;
    Some(report)
}

impl Poll<'_> {
    async fn take_lease(&mut self) -> Result<Result<(), Busy>, String> {
        let exclusive = platform::store_is_exclusive();
        let now = platform::unix_time();
        self.renewed = platform::now();
        self.change(|spool, holder| spool.take(holder, exclusive, now))
            .await
    }

    /// Says that we are alive, and finds out whether we are still the one.
    async fn renew_lease(&mut self) -> Result<(), String> {
        if platform::now().since(self.renewed) < RENEW_EVERY {
            return Ok(());
        }
        let taken = self.take_lease().await?;
        taken.map_err(|Busy { .. }| LOST.to_owned())
    }

    /// Changes the record by compare-and-swap.
    async fn change<T>(
        &self,
        mut change: impl FnMut(&mut Spool, &Holder) -> T,
    ) -> Result<T, String> {
        let store = &self.app.store;
        let changed = persistently(|| {
            store.change(&self.key, |stored| {
                let mut spool = Spool::read(stored)?;
                let output = change(&mut spool, &self.holder);
                Ok::<_, CorruptSpool>((Some(spool.write()), output))
            })
        });
        changed.await.map_err(|error| match error {
            ChangeError::Store(error) => error.0,
            ChangeError::Refused(corrupt) => corrupt.to_string(),
        })
    }

    // ---- reading

    async fn open_run(&self) -> Result<Option<Opened>, String> {
        let now = platform::unix_time();
        self.change(|spool, _| spool.open_run(now)).await
    }

    /// Reads the list and closes the connection once all of it is on disk.
    async fn read_list(&mut self) -> Result<(), String> {
        let Some(endpoint) = &self.binary.feedback else {
            return Ok(());
        };
        let mut opened = self.open_run().await?;
        if opened.is_none() {
            // Polls that were cut off hold room until what they have left is applied.
            self.apply_all().await?;
            opened = self.open_run().await?;
        }
        let Some(Opened { run, most_bytes }) = opened else {
            return Err("too much is left of earlier polls; nothing was read".to_owned());
        };
        let tls_name = self.binary.tls_name(endpoint);
        let destination = self.app.destination(endpoint, tls_name);
        // Whatever goes wrong from here on, the service is not to take the list for read.
        let (transport, receiving, cut) = transport::connect_to_cut(&destination).await?;
        let Transport {
            mut input,
            output,
            sending,
        } = transport;
        let mut intake = Intake::new(&self.key, run);
        let mut bounds = Bounds::new(platform::now(), most_bytes);
        let read = self.read_all(&mut input, &mut intake, &mut bounds).await;
        self.counts.count_invalid(intake.invalid());
        let (last, truncated) = intake.finish();
        if let Some(page) = last {
            self.keep(&page).await?;
        }
        let store = &self.app.store;
        persistently(|| store.flush())
            .await
            .map_err(|error| error.0)?;
        let bytes = bounds.bytes();
        let noted = self.change(|spool, _| spool.run_read(run, bytes)).await;
        read.and(noted)?;
        truncated.map_err(|error| error.to_string())?;
        receiving
            .ended_well()
            .await
            .map_err(|why| format!("the list may not be whole, so it is asked for again: {why}"))?;
        // The service may forget the list now.
        drop(output);
        sending.done().await;
        cut.disarm();
        Ok(())
    }

    /// Reads until the end of the input, or to a bound.
    async fn read_all(
        &mut self,
        input: &mut StreamReader<u8>,
        intake: &mut Intake,
        bounds: &mut Bounds,
    ) -> Result<(), String> {
        let mut buffer = Vec::with_capacity(READ_BYTES);
        loop {
            bounds.listens(platform::now());
            let next = first(input.read(buffer), overdue(bounds)).await;
            let (result, filled) = match next {
                First::A(read) => read,
                First::B(stopped) => return Err(self.stop(stopped)),
            };
            buffer = filled;
            intake.decode(&buffer);
            let tuples = intake.tuples() + intake.invalid();
            let went_on = bounds.took(platform::now(), buffer.len(), tuples);
            buffer.clear();
            while let Some(page) = intake.next_page() {
                self.keep(&page).await?;
            }
            if !matches!(result, StreamResult::Complete(_)) {
                return Ok(());
            }
            went_on.map_err(|stopped| self.stop(stopped))?;
            self.renew_lease().await?;
        }
    }

    fn stop(&mut self, stopped: Stopped) -> String {
        self.stopped = Some(stopped);
        stopped.to_string()
    }

    async fn keep(&self, page: &Page) -> Result<(), String> {
        let store = &self.app.store;
        let kept = persistently(|| store.put(&page.key, &page.bytes)).await;
        kept.map_err(|error| error.0)
    }

    // ---- applying

    async fn apply_all(&mut self) -> Result<(), String> {
        let runs = self.change(|spool, _| spool.runs().to_vec()).await?;
        for run in runs {
            self.apply(run).await?;
        }
        Ok(())
    }

    /// Applies the pages of a run, from the first that is not done to the one that is not there.
    async fn apply(&mut self, of: Run) -> Result<(), String> {
        let Run { run, applied, .. } = of;
        let mut first = applied;
        loop {
            let (pages, is_last) = self.pages(run, first).await?;
            let next = first.saturating_add(pages.len().try_into().unwrap_or(u32::MAX));
            self.apply_pages(&of, &pages).await?;
            let ours = self.change(|spool, holder| {
                spool.page_applied(run, next);
                spool.is_held_by(holder)
            });
            if !ours.await? {
                return Err(LOST.to_owned());
            }
            let store = &self.app.store;
            for page in first..next {
                let key = page_key(&self.key, run, page);
                let deleted = persistently(|| store.delete(&key)).await;
                deleted.map_err(|error| error.0)?;
            }
            if is_last {
                return self.change(|spool, _| spool.end_run(run)).await;
            }
            self.renew_lease().await?;
            first = next;
        }
    }

    /// The pages from one on, as many as are applied together, and whether they are the last.
    async fn pages(&self, run: u64, first: u32) -> Result<(Vec<Vec<u8>>, bool), String> {
        let store = &self.app.store;
        let mut pages = Vec::new();
        for page in (first..).take(PAGES_AT_ONCE) {
            let key = page_key(&self.key, run, page);
            let stored = persistently(|| store.get(&key)).await;
            match stored.map_err(|error| error.0)? {
                Some(bytes) => pages.push(bytes),
                None => return Ok((pages, true)),
            }
        }
        Ok((pages, false))
    }

    /// In the order of their keys, so that what the store keeps together is changed together.
    async fn apply_pages(&mut self, run: &Run, pages: &[Vec<u8>]) -> Result<(), String> {
        let now = platform::unix_time();
        let read_at = run.read_at(now);
        let store = &self.app.store;
        let mut turns = Turns::new(store);
        let mut dead = Deaths::default();
        for page in pages {
            for (token, since) in tuples(page) {
                let topic = self.binary.topic.clone();
                dead.add(Located::new(DeviceRef { topic, token }), since);
            }
            turns.rest().await;
        }
        let mut burials = Burials::default();
        for batch in dead.in_batches(BATCH) {
            let keys: Vec<_> = batch.iter().map(|(device, _)| device.key()).collect();
            let read = persistently(|| store.get_many(&keys)).await;
            let read = read.map_err(|error| error.0)?;
            let sizes = read
                .iter()
                .map(|(_, value)| value.as_ref().map_or(0, Vec::len));
            let size = sizes.sum::<usize>() / read.len().max(1);
            let ahead = Ahead::new(store, read);
            for (device, since) in &batch {
                let Some(death) = Death::of_feedback(*since, read_at) else {
                    self.counts.count_future();
                    continue;
                };
                let burial = persistently(|| burials.bury(&ahead, device, &death, now)).await;
                let burial = match burial {
                    // What is behind it is told of all the same.
                    Err(Failure::Corrupt(_)) => {
                        self.unreadable += 1;
                        None
                    }
                    burial => burial.map_err(|error| error.to_string())?,
                };
                self.counts.count(burial.as_ref());
                turns.read(4 * size).await;
            }
            turns.rest().await;
            self.renew_lease().await?;
            if burials.are_many() {
                self.settle(&mut burials).await?;
            }
        }
        self.settle(&mut burials).await
    }

    /// Takes all that is dead out of the indexes.
    async fn settle(&mut self, burials: &mut Burials) -> Result<(), String> {
        let store = &self.app.store;
        loop {
            let settled = persistently(|| burials.settle_some(store)).await;
            if settled.map_err(|error| error.to_string())? {
                return Ok(());
            }
            platform::yield_now().await;
            self.renew_lease().await?;
        }
    }
}

/// Ends at the first bound that is reached while nothing comes.
async fn overdue(bounds: &mut Bounds) -> Stopped {
    loop {
        platform::sleep_until(bounds.deadline()).await;
        if let Err(stopped) = bounds.check(platform::now()) {
            return stopped;
        }
    }
}

/// Does it again for a while when the store refuses: it may only be behind.
pub(super) async fn persistently<T, E: MayPass>(
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let until = platform::now() + STORE_PATIENCE;
    loop {
        match attempt() {
            Err(error) if error.may_pass() && platform::now() < until => {
                platform::sleep_until(platform::now() + STORE_PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Whether an error can be gone at the next try.
pub(super) trait MayPass {
    fn may_pass(&self) -> bool;
}

impl MayPass for StoreError {
    fn may_pass(&self) -> bool {
        !self.0.starts_with(STORE_UNAVAILABLE)
    }
}

impl<E> MayPass for ChangeError<E> {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Store(error) if error.may_pass())
    }
}

impl MayPass for Failure<StoreError> {
    fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) => error.may_pass(),
            Self::Contended => true,
            Self::Corrupt(_) | Self::AliasFull => false,
        }
    }
}
