//! Everything through the public interface: files that openssl has made, certificates and PKCS #12
//! files made here, and bytes that are neither.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code"
)]

mod findings;
mod hostile;
mod info;
mod make;
mod p8;
mod pem;
mod pkcs12;
