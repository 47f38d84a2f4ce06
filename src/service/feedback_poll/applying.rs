//! What a feedback service said of devices, told to the registry page by page.

use super::invalidations::Invalidations;
use super::{LOST, Poll};
use crate::feedback::{Run, page_key, tuples};
use crate::registry::{DeviceRef, Failure, Invalidation, Located, Removals, Values};
use crate::service::store::persistently;
use crate::service::{Platform, Runtime, Store, Turns};
use crate::time::UnixTime;

/// Devices whose invalidations are told between two turns of the other tasks of the instance.
const BATCH: usize = 200;

/// Pages applied together: their devices leave the indexes together, which costs one write for each
/// part of an index and not for each device. At most 192,000 devices, and 60 MB for as long.
const PAGES_AT_ONCE: u32 = 96;

/// Pages read in one call of the store; half a megabyte.
const PAGES_A_READ: u32 = 8;

/// When the service said it, and when the registry is told of it.
#[derive(Clone, Copy)]
struct ToldAt {
    read_at: UnixTime,
    now: UnixTime,
}

impl<R: Runtime> Poll<'_, R> {
    pub(super) async fn apply_all(&mut self) -> Result<(), String> {
        let runs = self.change(|state, _| state.runs().to_vec()).await?;
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
            let ours = self.change(|state, holder| {
                state.page_applied(run, next);
                state.is_held_by(holder)
            });
            if !ours.await? {
                return Err(LOST.to_owned());
            }
            let (platform, store) = (&self.app.platform, &self.app.store);
            let done: Vec<_> = (first..next)
                .map(|page| page_key(&self.key, run, page))
                .collect();
            let deleted = persistently(platform, async || store.delete_many(&done).await);
            deleted.await.map_err(|error| error.to_string())?;
            if is_last {
                return self.change(|state, _| state.end_run(run)).await;
            }
            self.renew_lease().await?;
            first = next;
        }
    }

    /// The pages from one on, as many as are applied together, and whether they are the last.
    async fn pages(&self, run: u64, first: u32) -> Result<(Vec<Vec<u8>>, bool), String> {
        let (platform, store) = (&self.app.platform, &self.app.store);
        let mut pages = Vec::new();
        for start in (0..PAGES_AT_ONCE).step_by(PAGES_A_READ as usize) {
            let numbers = (start..start + PAGES_A_READ).map(|number| first.saturating_add(number));
            let keys: Vec<_> = numbers.map(|page| page_key(&self.key, run, page)).collect();
            let found = persistently(platform, async || store.get_many(keys.clone()).await);
            for page in found.await.map_err(|error| error.to_string())? {
                match page {
                    Some(bytes) => pages.push(bytes),
                    None => return Ok((pages, true)),
                }
            }
        }
        Ok((pages, false))
    }

    /// In the order of their keys, so that what the store keeps together is changed together.
    async fn apply_pages(&mut self, run: &Run, pages: &[Vec<u8>]) -> Result<(), String> {
        let app = self.app;
        let now = app.platform.unix_time();
        let told = ToldAt {
            read_at: run.read_at(now),
            now,
        };
        let mut turns = Turns::new(&app.platform);
        let mut invalidations = Invalidations::default();
        for page in pages {
            for (token, since) in tuples(page) {
                let topic = self.binary.topic.clone();
                invalidations.add(Located::new(DeviceRef { topic, token }), since);
            }
            turns.rest().await;
        }
        let mut removals = Removals::default();
        for batch in invalidations.in_batches(BATCH) {
            self.remove(&mut removals, batch, told).await?;
            turns.rest().await;
            self.renew_lease().await?;
            if removals.are_many() {
                self.settle(&mut removals).await?;
            }
        }
        self.settle(&mut removals).await
    }

    /// Tells the registry of some invalidations, together.
    async fn remove(
        &mut self,
        removals: &mut Removals,
        batch: Vec<(Located, UnixTime)>,
        told: ToldAt,
    ) -> Result<(), String> {
        let (platform, store) = (&self.app.platform, &self.app.store);
        let ToldAt { read_at, now } = told;
        let mut left = Vec::with_capacity(batch.len());
        for (device, since) in batch {
            match Invalidation::of_feedback(since, read_at) {
                Some(invalidation) => left.push((device, invalidation)),
                None => self.counts.count_future(),
            }
        }
        let (counts, unreadable) = (&mut self.counts, &mut self.unreadable);
        let told = persistently(platform, async || {
            let told = removals.remove_many(store, &left, now).await;
            let mut failed = None;
            let mut told = told.into_iter();
            // What is behind one that fails is told of all the same.
            left.retain(|_| match told.next() {
                Some(Err(Failure::Corrupt(_))) => {
                    *unreadable += 1;
                    false
                }
                Some(Err(failure)) => {
                    failed = Some(failure);
                    true
                }
                Some(Ok(removal)) => {
                    counts.count(removal.as_ref());
                    false
                }
                None => true,
            });
            failed.map_or(Ok(()), Err)
        });
        told.await.map_err(|error| error.to_string())
    }

    /// Takes all that is dead out of the indexes.
    async fn settle(&mut self, removals: &mut Removals) -> Result<(), String> {
        let app = self.app;
        loop {
            let settled = persistently(&app.platform, async || {
                removals.settle_some(&app.store).await
            });
            if settled.await.map_err(|error| error.to_string())? {
                return Ok(());
            }
            app.platform.turn().await;
            self.renew_lease().await?;
        }
    }
}
