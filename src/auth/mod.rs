//! A private key from Apple turned into the provider token that every request carries, and the rule
//! for when to make the next one.
//!
//! Source: Apple, *Establishing a token-based connection to APNs*; RFC 7519 (JWT), RFC 7518,
//! section 3.4 (ES256), RFC 6979 (a signature needs no randomness).
//!
//! Invariants:
//!
//! - Keys and tokens are never printed.
//! - A signature depends on key, message and nothing else: no randomness is asked for, and signing
//!   twice within one second gives the same token.
//! - Nothing here reads a clock; the age of a token is judged against the time passed in.
//!
//! Left to others: where the key file comes from, and the store through which a fleet shares one
//! token per key; what its value means is here ([`Issuer`]).

mod ids;
mod key;
mod renewal;
mod shared;
mod token;

pub use ids::{InvalidId, KeyId, TeamId};
pub use key::{InvalidKey, SigningKey, describes_its_curve};
pub use renewal::{Freshness, freshness, from_the_future, may_renew, may_sign_again};
pub use shared::{Choice, Issuer, SharedTokens};
pub use token::{InvalidProviderToken, ProviderToken};

/// Keys and tokens for tests elsewhere.
#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::key::tests::pkcs8_pem;
    pub(crate) use super::token::tests::{jwt, token_at};
}
