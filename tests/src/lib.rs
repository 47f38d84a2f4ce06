//! What the suites of this package share: the service with a simulator behind it ([`stack`]), on
//! the host or on the stock runtime ([`wasmtime_serve`]) with the [`plugs`]; a [`client`] of its
//! HTTP interface; what a component asks for and offers ([`interfaces`]).
//!
//! What knows nothing of Dunlin is in `dunlin-test-support`, which packages use whose tests do
//! without all of this.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is how a test fails"
)]

pub mod client;
pub mod interfaces;
pub mod plugs;
pub mod stack;
pub mod wasmtime_serve;
