//! The monotonic clock, read and waited for.

use super::bindings::wasi::clocks::monotonic_clock;
use crate::time::Now;

/// What it shows.
pub(super) fn now() -> Now {
    Now::from_nanos(monotonic_clock::now())
}

/// Waits until it shows `at`.
pub(super) async fn sleep_until(at: Now) {
    monotonic_clock::wait_until(at.as_nanos()).await;
}
