//! Our HTTP/2 against codecs that are not ours: hyperium's h2, nghttp2's server, and Node's http2,
//! over loopback TCP without TLS. And our lanes on an HTTP client that is not ours.
//!
//! Each test checks from the frames themselves that it met what it is about, and that every
//! stream ended in exactly one event of the right kind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code"
)]

#[path = "support/http2_cases.rs"]
mod cases;
#[path = "support/http2_driver.rs"]
mod driver;
#[path = "support/h2_peer.rs"]
mod h2_peer;
#[path = "support/peers.rs"]
mod peers;
#[path = "support/http2_tally.rs"]
mod tally;

#[path = "http2_peers/hyperium.rs"]
mod hyperium;
#[path = "http2_peers/nghttpd.rs"]
mod nghttpd;
#[path = "http2_peers/node.rs"]
mod node;
#[path = "http2_peers/shared_client.rs"]
mod shared_client;
