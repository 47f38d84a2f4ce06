//! The sweep: every key of the store is looked at once, which no request does.

use core::time::Duration;

use super::app::App;
use super::platform;
use super::poll::persistently;
use super::store::{Store, StoreError};
use crate::api::SweepReport;
use crate::receipt;
use crate::registry::{self, Failure, Wait};
use crate::time::UnixTime;

/// Keys looked at between two turns of the other tasks of the instance.
const BATCH: usize = 100;

/// Marks what has not been seen for long, forgets what was removed long ago. An error is for
/// people; what was done until then stays done.
pub(super) async fn sweep(app: &App) -> Result<SweepReport, String> {
    let settings = app.settings.registry();
    let wait = Wait {
        stale: settings.stale_after,
        expired: settings.keep_removed,
    };
    let mut report = SweepReport::default();
    let mut cursor = None;
    loop {
        let store = &app.store;
        let page = persistently(|| store.keys(cursor.as_deref())).await;
        let page = page.map_err(|error| error.0)?;
        for batch in page.keys.chunks(BATCH) {
            for key in batch {
                let now = platform::unix_time();
                let keep = settings.keep_receipts;
                let one = persistently(|| sweep_one(store, key, (wait, keep), now)).await;
                match one {
                    Ok(Swept::Other) => {}
                    Ok(Swept::Device(swept)) => report.count(swept),
                    Ok(Swept::Receipt { expired }) => report.receipts += u64::from(expired),
                    // It stays, and keeps nothing behind it from being swept.
                    Err(Failure::Corrupt(_)) => report.unreadable += 1,
                    Err(error) => return Err(error.to_string()),
                }
            }
            platform::yield_now().await;
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(report),
        }
    }
}

/// What was under a key, and was swept.
enum Swept {
    Device(registry::Swept),
    Receipt { expired: bool },
    Other,
}

/// A receipt that is due is deleted with nothing between the look and the deed.
fn sweep_one(
    store: &Store,
    key: &str,
    (wait, keep): (Wait, Duration),
    now: UnixTime,
) -> Result<Swept, Failure<StoreError>> {
    if let Some(expired) = receipt::is_expired(store, key, keep, now)? {
        if expired {
            store.delete(key).map_err(Failure::Store)?;
        }
        return Ok(match receipt::is_part(key) {
            true => Swept::Other,
            false => Swept::Receipt { expired },
        });
    }
    let swept = registry::sweep(store, key, wait, now)?;
    Ok(swept.map_or(Swept::Other, Swept::Device))
}
