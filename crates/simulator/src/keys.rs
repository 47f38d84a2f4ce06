//! Turns the several forms of an ES256 public key into the one that signatures are checked with.
//!
//! Source: RFC 5480 section 2 (SubjectPublicKeyInfo of an elliptic curve key), SEC 1 section 2.3.3
//! (uncompressed point), `docs/protocols.md` 3.6 (what a key may be limited to).
//!
//! ```text
//! SPKI of P-256:  30 59  30 13  06 07 id-ecPublicKey  06 08 prime256v1  03 42 00 | 04 X(32) Y(32)
//! ```

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
    KeyPair as _, UnparsedPublicKey,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use crate::config::Environment;

/// A signing key the simulator believes, as Apple's developer account would list it.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    /// The 10-character key id: `kid` of the provider token.
    pub key_id: String,
    /// The 10-character team id: `iss` of the provider token.
    pub team_id: String,
    /// What signatures are checked with.
    pub public_key: PublicKey,
    /// The bundle ids a topic-specific key may push to; `None` means every topic of the team. A
    /// bundle id covers its suffixed topics (`.voip` and so on).
    pub topics: Option<Vec<String>>,
    /// The environment a key is limited to; `None` means both.
    pub environment: Option<Environment>,
}

/// The public half of an ES256 (P-256) key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; POINT]);

impl PublicKey {
    /// Reads an uncompressed SEC1 point: 65 bytes beginning with 04.
    pub fn from_sec1(bytes: &[u8]) -> Result<Self, KeyError> {
        match <[u8; POINT]>::try_from(bytes) {
            Ok(point) if bytes.first() == Some(&0x04) => Ok(Self(point)),
            _ => Err(KeyError(format!(
                "expected an uncompressed P-256 point (65 bytes, the first 04), got {} bytes",
                bytes.len()
            ))),
        }
    }

    /// Reads a DER SubjectPublicKeyInfo.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        match der.strip_prefix(&SPKI_PREFIX) {
            Some(point) => Self::from_sec1(point),
            None => Err(KeyError(format!(
                "expected the SubjectPublicKeyInfo of a P-256 key, got {} other bytes",
                der.len()
            ))),
        }
    }

    /// Reads a PEM `PUBLIC KEY`, or a PEM `PRIVATE KEY` (Apple's `.p8` file), of which only the
    /// public half is kept.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if let Ok(public) = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()) {
            return Self::from_spki(public.as_ref());
        }
        let private = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
            KeyError(format!(
                "expected a PEM PUBLIC KEY or PRIVATE KEY, got neither: {error}"
            ))
        })?;
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            private.secret_pkcs8_der(),
            &SystemRandom::new(),
        )
        .map_err(|error| KeyError(format!("expected a P-256 private key, got: {error}")))?;
        Self::from_sec1(pair.public_key().as_ref())
    }

    /// Whether `signature` is this key's over `message`, as R||S (RFC 7518 3.4) or, as Apple's own
    /// command-line sample produces it, in DER.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        [&ECDSA_P256_SHA256_FIXED, &ECDSA_P256_SHA256_ASN1]
            .into_iter()
            .any(|algorithm| {
                UnparsedPublicKey::new(algorithm, &self.0)
                    .verify(message, signature)
                    .is_ok()
            })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(P-256)")
    }
}

/// Why bytes are not a P-256 public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError(String);

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}

const POINT: usize = 65;

const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_key_gives_the_same_public_half() {
        let pair = rcgen::KeyPair::generate().unwrap();
        let sec1 = PublicKey::from_sec1(pair.public_key_raw()).unwrap();
        assert_eq!(PublicKey::from_pem(&pair.public_key_pem()).unwrap(), sec1);
        assert_eq!(PublicKey::from_pem(&pair.serialize_pem()).unwrap(), sec1);
    }

    #[test]
    fn other_curves_and_other_bytes_are_refused() {
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert!(PublicKey::from_pem(&p384.public_key_pem()).is_err());
        assert!(PublicKey::from_pem(&p384.serialize_pem()).is_err());
        assert!(PublicKey::from_pem("hello").is_err());
        assert!(PublicKey::from_sec1(&[0x04; 64]).is_err());
        assert!(PublicKey::from_sec1(&[0x02; 65]).is_err());
        let error = PublicKey::from_spki(&[]).unwrap_err().to_string();
        assert!(
            error.contains("expected") && error.contains("got 0"),
            "{error}"
        );
    }
}
