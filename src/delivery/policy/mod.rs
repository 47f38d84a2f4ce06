//! How a lane treats a peer that fails or refuses: what waits how long.

pub(super) mod backoff;
pub(super) mod breaker;
pub(super) mod device_throttle;
pub(super) mod jitter;
pub(super) mod retry;
