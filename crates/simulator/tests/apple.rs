//! What Apple's documents and the tests of other libraries say of a server, over real connections.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at what it does not expect"
)]

#[path = "apple/broadcast.rs"]
mod broadcast;
#[path = "apple/certificates.rs"]
mod certificates;
#[path = "apple/reasons.rs"]
mod reasons;
mod support;
#[path = "apple/vectors.rs"]
mod vectors;
