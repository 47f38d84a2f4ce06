//! Clocks and randomness, read here and passed in everywhere else.

use std::cell::RefCell;

use super::bindings::wasi::clocks::{monotonic_clock, system_clock};
use super::bindings::wasi::random::random;
use crate::feedback::Holder;
use crate::notification::ApnsId;
use crate::time::{Now, UnixTime};

/// Random bytes fetched at a time: crossing the sandbox wall for 16 of them costs as much.
const POOL: u64 = 1_024;

thread_local! {
    static RANDOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The monotonic clock.
pub(super) fn now() -> Now {
    Now::from_nanos(monotonic_clock::now())
}

/// The wall clock; times before 1970 are 1970.
pub(super) fn unix_time() -> UnixTime {
    let instant = system_clock::now();
    let secs = u64::try_from(instant.seconds).unwrap_or(0);
    UnixTime::from_millis(secs.saturating_mul(1_000) + u64::from(instant.nanoseconds / 1_000_000))
}

/// Waits until the monotonic clock shows `at`.
pub(super) async fn sleep_until(at: Now) {
    monotonic_clock::wait_until(at.as_nanos()).await;
}

fn random_bytes<const N: usize>() -> [u8; N] {
    RANDOM.with_borrow_mut(|pool| {
        if pool.len() < N {
            *pool = random::get_random_bytes(POOL);
        }
        let rest = pool.len().saturating_sub(N);
        let taken = pool.split_off(rest);
        // The host always gives what it was asked for; were it less, zeros would only make an
        // identifier that APNs refuses as a duplicate.
        taken.try_into().unwrap_or([0; N])
    })
}

/// A random number.
pub(super) fn random_u64() -> u64 {
    u64::from_be_bytes(random_bytes())
}

/// Lets the other tasks of the instance have their turn.
pub(super) async fn yield_now() {
    wit_bindgen::yield_async().await;
}

/// Who we are when something is to be done by one alone: this process and this call of it.
pub(super) fn holder() -> Holder {
    let call = random_u64();
    // A platform that does not tell processes apart gives each call one of its own.
    let boot = boot().unwrap_or_else(|| format!("{call:016x}"));
    Holder {
        boot,
        call: format!("{call:016x}"),
    }
}

/// This start of the process, where the platform tells processes apart.
pub(super) fn boot() -> Option<String> {
    std::env::var("DUNLIN_BOOT").ok()
}

/// Whether no other process has the store.
pub(super) fn store_is_exclusive() -> bool {
    std::env::var("DUNLIN_STORE").is_ok_and(|kind| kind == "exclusive")
}

/// Whether the platform's HTTP client never has more requests on a connection than the server has
/// allowed, also while the server has said nothing yet. Our host's says so.
pub(super) fn http_client_obeys() -> bool {
    std::env::var("DUNLIN_HTTP_CLIENT").is_ok_and(|kind| kind == "obeys-stream-limits")
}

/// A new identifier for a notification.
pub(super) fn new_apns_id() -> ApnsId {
    ApnsId::from_random(random_bytes())
}
