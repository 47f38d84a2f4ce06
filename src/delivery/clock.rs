//! What the wall clock shows at a monotonic moment, as the driver last told it.

use crate::time::{Now, UnixTime};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    now: Now,
    time: UnixTime,
}

impl Clock {
    pub(super) const fn new(now: Now, time: UnixTime) -> Self {
        Self { now, time }
    }

    pub(super) fn time(&self, now: Now) -> UnixTime {
        self.time + now.since(self.now)
    }

    /// When that is; the moment of the two clocks if it is before it.
    pub(super) fn now(&self, time: UnixTime) -> Now {
        self.now + time.since(self.time)
    }
}
