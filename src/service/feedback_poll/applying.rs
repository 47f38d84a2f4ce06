//! What a feedback service said of devices, told to the registry page by page.

use super::deaths::Deaths;
use super::{LOST, Poll};
use crate::feedback::{Run, page_key, tuples};
use crate::registry::{Ahead, Burials, Death, DeviceRef, Failure, Located};
use crate::service::store::persistently;
use crate::service::{Platform, Store, Turns, World};
use crate::time::UnixTime;

/// Devices whose deaths are dealt with between two turns of the other tasks of the instance.
const BATCH: usize = 200;

/// Pages applied together: their devices leave the indexes together, which costs one write for each
/// part of an index and not for each device. At most 192,000 devices, and 60 MB for as long.
const PAGES_AT_ONCE: u32 = 96;

/// Pages read in one call of the store; half a megabyte.
const PAGES_A_READ: u32 = 8;

/// When the service said it, and when the registry is told of it.
#[derive(Clone, Copy)]
struct Told {
    read_at: UnixTime,
    now: UnixTime,
}

impl<W: World> Poll<'_, W> {
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
            deleted.await.map_err(|error| error.0)?;
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
            let found = persistently(platform, async || store.get_many(&keys).await);
            let mut found = found.await.map_err(|error| error.0)?;
            for key in &keys {
                let place = found.iter().position(|(found, _)| found == key);
                let page = place.and_then(|place| found.swap_remove(place).1);
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
        let told = Told {
            read_at: run.read_at(now),
            now,
        };
        let mut turns = Turns::new(&app.platform);
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
            self.bury(&mut burials, &batch, told, &mut turns).await?;
            turns.rest().await;
            self.renew_lease().await?;
            if burials.are_many() {
                self.settle(&mut burials).await?;
            }
        }
        self.settle(&mut burials).await
    }

    /// Tells the registry of some deaths, whose records are read in one call.
    async fn bury(
        &mut self,
        burials: &mut Burials,
        batch: &[(Located, UnixTime)],
        told: Told,
        turns: &mut Turns<'_, W::Platform>,
    ) -> Result<(), String> {
        let (platform, store) = (&self.app.platform, &self.app.store);
        let Told { read_at, now } = told;
        let keys: Vec<_> = batch.iter().map(|(device, _)| device.key()).collect();
        let read = persistently(platform, async || store.get_many(&keys).await);
        let read = read.await.map_err(|error| error.0)?;
        let sizes = read
            .iter()
            .map(|(_, value)| value.as_ref().map_or(0, Vec::len));
        let size = sizes.sum::<usize>() / read.len().max(1);
        let ahead = Ahead::new(store.values(), read);
        for (device, since) in batch {
            let Some(death) = Death::of_feedback(*since, read_at) else {
                self.counts.count_future();
                continue;
            };
            let burial = persistently(platform, async || burials.bury(&ahead, device, &death, now));
            let burial = match burial.await {
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
        Ok(())
    }

    /// Takes all that is dead out of the indexes.
    async fn settle(&mut self, burials: &mut Burials) -> Result<(), String> {
        let app = self.app;
        loop {
            let values = app.store.values();
            let settled = persistently(&app.platform, async || burials.settle_some(values)).await;
            if settled.map_err(|error| error.to_string())? {
                return Ok(());
            }
            app.platform.turn().await;
            self.renew_lease().await?;
        }
    }
}
