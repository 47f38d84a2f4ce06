//! `dunlin doctor` and client certificates in the service, against servers made here, over
//! loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code"
)]

mod asking;
mod commands;
mod connections;
mod credentials;
mod proxies;
mod setup;
