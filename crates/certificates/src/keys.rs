//! Private keys: wiped when dropped, and compared with certificates.
//!
//! Source: RFC 5958 (PKCS #8), RFC 8017 A.1 (PKCS #1), RFC 5915 (SEC1).
//!
//! ```text
//! PKCS #8: SEQUENCE { INTEGER 0 or 1, SEQUENCE { OID, parameters }, OCTET STRING key, … }
//!                                          rsaEncryption: key is ▼
//! PKCS #1: SEQUENCE { INTEGER 0, INTEGER modulus, INTEGER exponent, … }
//! in a certificate: SEQUENCE { INTEGER modulus, INTEGER exponent }
//! ```
//!
//! RSA keys are compared by modulus, so that one which the TLS library refuses as too short is
//! still told from the wrong one. Others are compared through the TLS library, which knows curves.

use std::fmt;

use der::asn1::ObjectIdentifier;
use der::{Decode as _, Tag};
use dunlin::auth::describes_its_curve;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use x509_cert::SubjectPublicKeyInfo;
use zeroize::Zeroize as _;

use crate::certificate::Certificate;
use crate::fields::Fields;
use crate::oid;

/// A private key that is wiped from memory when dropped, and printed as `Key(redacted)`.
pub(crate) struct Key(PrivateKeyDer<'static>);

impl Key {
    pub(crate) fn new(der: PrivateKeyDer<'static>) -> Self {
        Self(der)
    }

    pub(crate) fn der(&self) -> &PrivateKeyDer<'static> {
        &self.0
    }

    /// Whether the TLS library can sign with it.
    pub(crate) fn is_usable(&self) -> bool {
        any_supported_type(&self.0).is_ok()
    }

    /// Whether it describes its curve instead of naming it, which TLS libraries do not read.
    pub(crate) fn describes_its_curve(&self) -> bool {
        describes_its_curve(self.0.secret_der())
    }

    /// Whether it is the key of this certificate; `None` if it is of a kind that cannot be
    /// compared.
    pub(crate) fn belongs_to(&self, certificate: &Certificate) -> Option<bool> {
        let public = certificate.subject_public_key_info();
        if let Some(modulus) = self.modulus() {
            return Some(rsa_modulus(public) == Some(modulus));
        }
        let signing = any_supported_type(&self.0).ok()?;
        let own = SubjectPublicKeyInfo::from_der(&signing.public_key()?).ok()?;
        Some(own.subject_public_key == public.subject_public_key)
    }

    /// The modulus, if this is an RSA key.
    fn modulus(&self) -> Option<&[u8]> {
        let rsa = match &self.0 {
            PrivateKeyDer::Pkcs1(key) => key.secret_pkcs1_der(),
            PrivateKeyDer::Pkcs8(key) => {
                let mut info = Fields::of_file(key.secret_pkcs8_der()).ok()?;
                info.number().ok()?;
                let algorithm = info.sequence().ok()?.oid().ok()?;
                let key = info.take(Tag::OctetString).ok()?;
                (algorithm == RSA).then_some(key)?
            }
            _ => return None,
        };
        let mut key = Fields::of_file(rsa).ok()?;
        key.number().ok()?;
        key.take(Tag::Integer).ok().map(without_zeros)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(redacted)")
    }
}

/// What a public key is, for people: `an RSA key of 2048 bits`.
pub(crate) fn describe(key: &SubjectPublicKeyInfo) -> String {
    if let Some(modulus) = rsa_modulus(key) {
        let unused = modulus.first().map_or(0, |byte| byte.leading_zeros());
        return format!("an RSA key of {} bits", modulus.len() * 8 - unused as usize);
    }
    let decisive = curve_or_algorithm(key);
    let known = NAMES.iter().find(|(number, _)| *number == decisive);
    known.map_or_else(
        || format!("a key of an unknown kind ({decisive})"),
        |(_, name)| (*name).to_owned(),
    )
}

/// Whether TLS takes keys of this curve here, if they are whole.
pub(crate) fn is_of_a_usable_curve(key: &SubjectPublicKeyInfo) -> bool {
    USABLE_CURVES.contains(&curve_or_algorithm(key))
}

/// What tells kinds of keys apart: the curve if the algorithm has several, otherwise the algorithm.
fn curve_or_algorithm(key: &SubjectPublicKeyInfo) -> ObjectIdentifier {
    let algorithm = &key.algorithm;
    let curve = algorithm
        .parameters
        .as_ref()
        .filter(|_| algorithm.oid == EC);
    let curve = curve.and_then(|curve| curve.decode_as().ok());
    curve.unwrap_or(algorithm.oid)
}

fn rsa_modulus(key: &SubjectPublicKeyInfo) -> Option<&[u8]> {
    let bits = key.subject_public_key.raw_bytes();
    let mut fields = Fields::of_file(bits)
        .ok()
        .filter(|_| key.algorithm.oid == RSA)?;
    fields.take(Tag::Integer).ok().map(without_zeros)
}

/// An INTEGER begins with a zero byte if its first bit would be taken for a sign.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = oid("1.2.840.10045.2.1");

const USABLE_CURVES: [ObjectIdentifier; 3] = [
    oid("1.2.840.10045.3.1.7"),
    oid("1.3.132.0.34"),
    oid("1.3.101.112"),
];

const NAMES: [(ObjectIdentifier, &str); 9] = [
    (RSA, "an RSA key"),
    (oid("1.2.840.10040.4.1"), "a DSA key"),
    (oid("1.2.840.10045.3.1.7"), "a key on the curve P-256"),
    (oid("1.3.132.0.34"), "a key on the curve P-384"),
    (oid("1.3.132.0.35"), "a key on the curve P-521"),
    (oid("1.3.132.0.33"), "a key on the curve P-224"),
    (oid("1.3.132.0.10"), "a key on the curve secp256k1"),
    (oid("1.3.101.112"), "an Ed25519 key"),
    (oid("1.3.101.110"), "an X25519 key"),
];
