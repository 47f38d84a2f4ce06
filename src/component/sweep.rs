//! The sweep: every key of the store is looked at once, which no request does.

use super::app::App;
use super::platform;
use super::poll::persistently;
use super::store::StoreError;
use crate::api::{Caller, SweepReport};
use crate::notification::Topic;
use crate::registry::{self, Wait};
use crate::service::{Sweep, Swept, Turns};

/// Bytes that a key counts for in [`Turns`], which does not see its value: a record with some tags.
const BYTES: usize = 1_024;

/// Marks what has not been seen for long, forgets what was removed long ago; of the caller's topics
/// alone, if it is bound to some. An error is for people; what was done until then stays done.
pub(super) async fn sweep(app: &App, caller: Caller<'_>) -> Result<SweepReport, String> {
    let settings = app.settings.registry();
    let covers: &dyn Fn(&Topic) -> bool = &|topic| caller.covers(topic);
    let sweep = Sweep {
        wait: Wait {
            stale: settings.stale_after,
            expired: settings.keep_removed,
        },
        keep_receipts: settings.keep_receipts,
        bound_to: caller.is_bound().then_some(covers),
    };
    let mut report = SweepReport::default();
    let mut turns = Turns::new(&app.store);
    let mut cursor = None;
    loop {
        let store = &app.store;
        let page = persistently(|| store.keys(cursor.as_deref())).await;
        let page = page.map_err(|error| error.0)?;
        for key in &page.keys {
            let now = platform::unix_time();
            let swept = persistently(|| {
                let swept = sweep.look(store, key, now)?;
                if matches!(swept, Swept::Receipt { expired: true, .. }) {
                    store.delete(key).map_err(registry::Failure::Store)?;
                }
                Ok::<_, registry::Failure<StoreError>>(swept)
            });
            let swept = swept.await.map_err(|error| error.to_string())?;
            report.add(swept);
            match swept {
                Swept::Device(registry::Swept::Nothing) | Swept::Other => {
                    turns.read(BYTES).await;
                }
                _ => turns.rest().await,
            }
        }
        turns.rest().await;
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(report),
        }
    }
}

impl SweepReport {
    fn add(&mut self, swept: Swept) {
        match swept {
            Swept::Other => {}
            Swept::Device(swept) => self.count(swept),
            Swept::Receipt { expired, part } => self.receipts += u64::from(expired && !part),
            Swept::Unreadable => self.unreadable += 1,
        }
    }
}
