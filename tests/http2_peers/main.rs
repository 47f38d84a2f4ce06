//! Our HTTP/2 against codecs that are not ours: hyperium's h2, nghttp2's server, and Node's http2,
//! over loopback TCP without TLS. And our lanes on an HTTP client that is not ours.
//!
//! Each test checks from the frames themselves that it met what it is about, and that every
//! stream ended in exactly one event of the right kind.
#![cfg(test)]

mod cases;
mod driver;
mod h2_peer;
mod tally;

mod hyperium;
mod nghttpd;
mod node;
mod shared_client;
