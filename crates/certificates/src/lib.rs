//! Bytes of files turned into a client identity for APNs, and that into what is wrong with it.
//!
//! Nothing here reads a file or a clock: bytes and the time are arguments.
//!
//! ```text
//! .p12, or PEM of certificate and key ─► Identity ─► CertificateInfo: topics, environments, dates
//!                                           └──────► findings: what to do about it
//! .p8 ─► examine_p8
//! ```
//!
//! - [`Identity`]: a certificate, the chain above it and its private key.
//! - [`CertificateInfo`]: what Apple has written into the certificate.
//! - [`findings()`]: everything that keeps it from working, or soon will, each with one sentence of
//!   advice; for `dunlin doctor`. [`expiry`] is the one of them that comes with time, [`coverage`]
//!   those about topics and environments.
//! - [`ReadError`]: why a file could not be read. It is a [`Finding`] too.
//!
//! Invariant: no key and no passphrase is in any error, finding or `Debug`. Names of certificates,
//! topics and dates are: they are what the reader has to tell one from another.
//!
//! Limits are in [`limits`]; a file past one of them is refused, never read in part. Left to
//! others: whether a certificate is really signed by Apple, or has been revoked. APNs decides that.

mod ber;
mod certificate;
mod encryption;
mod fields;
mod finding;
mod findings;
mod form;
mod identity;
mod info;
mod keys;
pub mod limits;
mod p8;
mod pem;
mod pkcs12;
mod read_error;

use der::asn1::ObjectIdentifier;

pub use finding::{Finding, Level};
pub use findings::{Wanted, check_key, coverage, expiry, findings};
pub use identity::Identity;
pub use info::{CertificateInfo, CertificateKind, Environments};
pub use p8::examine_p8;
pub use read_error::{Cause, ReadError};

/// An object identifier that is written here, so that a wrong one does not compile.
const fn oid(dotted: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(dotted)
}
