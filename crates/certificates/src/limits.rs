//! How much of a file is looked at. All numbers are **ours**: an identity from Keychain Access
//! takes about 3 KiB.

use std::time::Duration;

/// Longest file with certificates or a key, in bytes.
pub const FILE_MAX_BYTES: usize = 1 << 20;

/// Most certificates in one file.
pub const CERTIFICATES_MAX: usize = 64;

/// Most private keys in one PKCS #12 file; each encrypted one costs a run of the key derivation.
pub const KEYS_MAX: usize = 16;

/// Most parts of a PKCS #12 file that are encrypted on their own, for the same reason.
pub const PARTS_MAX: usize = 16;

/// Most rounds of a key derivation. OpenSSL makes 2,048, Java 10,000; a million take about a
/// second.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// How long before its end a certificate is a warning.
pub const EXPIRY_WARNING: Duration = Duration::from_hours(30 * 24);
