//! The wall clock, randomness and what the environment says: read here, passed in elsewhere.

use std::cell::RefCell;

use super::bindings::wasi::clocks::system_clock;
use super::bindings::wasi::random::random;
use super::clock::{now, sleep_until};
use super::operator;
use crate::service::{Operator, Platform, Process};
use crate::time::{Now, UnixTime};

/// Random bytes fetched at a time: crossing the sandbox wall for 16 of them costs as much.
const POOL: u64 = 1_024;

thread_local! {
    static RANDOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The platform that every instance has.
#[derive(Debug)]
pub(super) struct Wasi;

impl Platform for Wasi {
    fn now(&self) -> Now {
        now()
    }

    fn unix_time(&self) -> UnixTime {
        let instant = system_clock::now();
        let secs = u64::try_from(instant.seconds).unwrap_or(0);
        let millis = u64::from(instant.nanoseconds / 1_000_000);
        UnixTime::from_millis(secs.saturating_mul(1_000) + millis)
    }

    fn random(&self, bytes: &mut [u8]) {
        RANDOM.with_borrow_mut(|pool| {
            for byte in bytes {
                if pool.is_empty() {
                    *pool = random::get_random_bytes(POOL);
                }
                // The host always gives what it was asked for; were it less, zeros would only make
                // an identifier that APNs refuses as a duplicate.
                *byte = pool.pop().unwrap_or(0);
            }
        });
    }

    async fn turn(&self) {
        wit_bindgen::yield_async().await;
    }

    async fn wait_until(&self, at: Now) {
        sleep_until(at).await;
    }

    fn operator<T>(&self, what: impl FnOnce(&mut Operator) -> T) -> T {
        operator::with(what)
    }

    fn told(&self) {
        operator::told();
    }

    fn warn(&self, what: &str) {
        operator::warn(what);
    }
}

/// What the environment says of the process.
pub(super) fn process() -> Process {
    let says = |name, value| std::env::var(name).is_ok_and(|says| says == value);
    Process {
        boot: std::env::var("DUNLIN_BOOT").ok(),
        has_store_alone: says("DUNLIN_STORE", "exclusive"),
        // Our host's says so.
        http_client_obeys: says("DUNLIN_HTTP_CLIENT", "obeys-stream-limits"),
    }
}
