//! The sweep: every key of the store is looked at once, which no request does.

use super::app::App;
use super::platform;
use super::poll::persistently;
use crate::api::SweepReport;
use crate::registry::{self, Wait};

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
