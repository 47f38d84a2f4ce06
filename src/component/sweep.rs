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
                let expired = persistently(|| forget_receipt(store, key, keep, now)).await;
                if let Some(expired) = expired.map_err(|error| error.to_string())? {
                    report.receipts += u64::from(expired);
                    continue;
                }
                let swept = persistently(|| registry::sweep(store, key, wait, now)).await;
                if let Some(swept) = swept.map_err(|error| error.to_string())? {
                    report.count(swept);
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

/// Deletes a receipt that is due, with nothing between the look and the deed; `None` if the key is
/// no receipt's.
fn forget_receipt(
    store: &Store,
    key: &str,
    keep: Duration,
    now: UnixTime,
) -> Result<Option<bool>, Failure<StoreError>> {
    let expired = receipt::is_expired(store, key, keep, now)?;
    if expired == Some(true) {
        store.delete(key).map_err(Failure::Store)?;
    }
    Ok(expired)
}
