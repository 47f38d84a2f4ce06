//! What calls need of the platform that they run on: clocks, randomness, turns, and somebody who
//! tells the operator.

use super::Operator;
use crate::notification::ApnsId;
use crate::time::{Now, UnixTime};

/// The platform of an instance. Everything runs on one thread, and other tasks have their turn only
/// where something waits.
pub trait Platform {
    /// The monotonic clock.
    fn now(&self) -> Now;

    /// The wall clock; times before 1970 are 1970.
    fn unix_time(&self) -> UnixTime;

    /// Fills `bytes` with random ones. Cheap for a few of them: a platform that has to ask somebody
    /// asks for many at once.
    fn random(&self, bytes: &mut [u8]);

    /// Lets the other tasks of the instance have their turn.
    fn turn(&self) -> impl Future<Output = ()>;

    /// Waits until the monotonic clock shows `at`.
    fn wait_until(&self, at: Now) -> impl Future<Output = ()>;

    /// What the operator is told goes through this one, from wherever it happens.
    fn operator<T>(&self, what: impl FnOnce(&mut Operator) -> T) -> T;

    /// The operator may have lines to write now, and a moment at which it wants to be looked at.
    fn told(&self);

    /// Writes a line at once: something went wrong and was dealt with.
    fn warn(&self, what: &str);

    /// Something happened that the operator may have to be told.
    fn tell(&self, what: impl FnOnce(&mut Operator, Now)) {
        let now = self.now();
        self.operator(|operator| what(operator, now));
        self.told();
    }
}

/// What tells this start of the process from others, and what the platform says of itself.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Differs with each start, where the platform tells processes apart.
    pub boot: Option<String>,
    /// No other process has the store.
    pub has_store_alone: bool,
    /// The platform's HTTP client never has more requests on a connection than the server has
    /// allowed, also while the server has said nothing yet.
    pub http_client_obeys: bool,
}

/// A random number.
pub fn random_u64(platform: &impl Platform) -> u64 {
    let mut bytes = [0; 8];
    platform.random(&mut bytes);
    u64::from_be_bytes(bytes)
}

/// A new identifier for one notification.
pub(super) fn new_apns_id(platform: &impl Platform) -> ApnsId {
    let mut bytes = [0; 16];
    platform.random(&mut bytes);
    ApnsId::from_random(bytes)
}
