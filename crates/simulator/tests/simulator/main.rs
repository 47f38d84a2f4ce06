//! The simulator as a client meets it: over real connections, through the public interface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code"
)]

mod apple;
mod control;
mod environments;
mod faults;
mod feedback;
mod gateway;
mod gateway_faults;
mod provider;
mod support;
