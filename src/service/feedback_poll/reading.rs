//! The list of a feedback service, read to its end or to a bound, and kept page by page.

use core::pin::pin;

use super::Poll;
use crate::config::Endpoint;
use crate::feedback::{Bounds, Opened, Page, PageWriter, Stopped};
use crate::service::store::persistently;
use crate::service::{First, List, Platform, Runtime, Sender, Store, first};

/// Room for what is read at a time, in bytes.
const READ_BYTES: usize = 64 * 1024;

impl<R: Runtime> Poll<'_, R> {
    async fn open_run(&self) -> Result<Option<Opened>, String> {
        let now = self.app.platform.unix_time();
        self.change(|state, _| state.open_run(now)).await
    }

    /// Reads the list and closes the connection once all of it is on disk.
    pub(super) async fn read_list(&mut self) -> Result<(), String> {
        let Some(endpoint) = &self.binary.feedback else {
            return Ok(());
        };
        let mut opened = self.open_run().await?;
        if opened.is_none() {
            // Polls that were cut off hold room until what they have left is applied.
            self.apply_all().await?;
            opened = self.open_run().await?;
        }
        match opened {
            Some(opened) => self.read_run(endpoint, opened).await,
            None => Err("too much is left of earlier polls; nothing was read".to_owned()),
        }
    }

    async fn read_run(&mut self, endpoint: &Endpoint, opened: Opened) -> Result<(), String> {
        let Opened { run, most_bytes } = opened;
        let app = self.app;
        let tls_name = self.binary.tls_name(endpoint);
        let destination = app.destination(endpoint, tls_name);
        // Whatever goes wrong from here on, the service is not to take the list for read.
        let mut list = app.sender.open_list(&destination).await?;
        let mut writer = PageWriter::new(&self.key, run);
        let mut bounds = Bounds::new(app.platform.now(), most_bytes);
        let read = self.read_all(&mut list, &mut writer, &mut bounds).await;
        self.counts.count_invalid(writer.invalid());
        let (last, truncated) = writer.finish();
        if let Some(page) = last {
            self.keep(&page).await?;
        }
        let durable = persistently(&app.platform, async || app.durable().await);
        durable.await.map_err(|error| error.to_string())?;
        let bytes = bounds.bytes();
        let noted = self.change(|state, _| state.run_read(run, bytes)).await;
        read.and(noted)?;
        truncated.map_err(|error| error.to_string())?;
        list.close().await
    }

    /// Reads until the end of the list, or to a bound.
    async fn read_all(
        &mut self,
        list: &mut <R::Sender as Sender>::List,
        writer: &mut PageWriter,
        bounds: &mut Bounds,
    ) -> Result<(), String> {
        let platform = &self.app.platform;
        let mut buffer = Vec::with_capacity(READ_BYTES);
        loop {
            bounds.listens(platform.now());
            let read = unless_overdue(platform, list.read(&mut buffer), bounds).await;
            let goes_on = read.map_err(|stopped| self.stop(stopped))?;
            writer.decode(&buffer);
            let tuples = writer.tuples() + writer.invalid();
            let went_on = bounds.took(platform.now(), buffer.len(), tuples);
            buffer.clear();
            while let Some(page) = writer.next_page() {
                self.keep(&page).await?;
            }
            if !goes_on {
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
        let app = self.app;
        let page = [(page.key.as_str(), page.bytes.as_slice())];
        let kept = persistently(&app.platform, async || app.store.put_many(&page).await);
        kept.await.map_err(|error| error.to_string())
    }
}

/// What is read, or the first bound that is reached while nothing comes.
async fn unless_overdue(
    platform: &impl Platform,
    read: impl Future<Output = bool>,
    bounds: &mut Bounds,
) -> Result<bool, Stopped> {
    let mut read = pin!(read);
    loop {
        let deadline = platform.wait_until(bounds.deadline());
        match first(read.as_mut(), deadline).await {
            First::A(goes_on) => return Ok(goes_on),
            First::B(()) => bounds.check(platform.now())?,
        }
    }
}
