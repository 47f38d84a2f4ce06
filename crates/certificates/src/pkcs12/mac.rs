//! The MAC of a PKCS #12 file: whether it fits a passphrase.
//!
//! Source: RFC 7292 4 and appendix A. The newer PBMAC1 (RFC 9579) is not read.

use der::Tag;
use der::asn1::ObjectIdentifier;
use ring::digest;
use ring::hmac;

use crate::encryption::{Failure, Passphrase, iterations};
use crate::fields::Fields;

use super::kdf::{Purpose, derive};

pub(super) struct Mac<'a> {
    hmac: hmac::Algorithm,
    hash: &'static digest::Algorithm,
    value: &'a [u8],
    salt: &'a [u8],
    iterations: u32,
}

impl<'a> Mac<'a> {
    /// From the fields of `MacData`; `None` for a hash that is not known here.
    pub(super) fn parse(mut data: Fields<'a>) -> Result<Option<Self>, Failure> {
        let mut info = data.sequence()?;
        let number = info.sequence()?.oid()?;
        let Some((_, hmac, hash)) = HASHES.iter().find(|(known, ..)| *known == number) else {
            return Ok(None);
        };
        let value = info.take(Tag::OctetString)?;
        let salt = data.take(Tag::OctetString)?;
        let iterations = match data.clone().next()? {
            None => 1,
            Some(_) => iterations(&mut data)?.get(),
        };
        Ok(Some(Self {
            hmac: *hmac,
            hash,
            value,
            salt,
            iterations,
        }))
    }

    pub(super) fn fits(&self, content: &[u8], passphrase: &Passphrase) -> bool {
        let key = derive(
            self.hash,
            passphrase.utf16(),
            self.salt,
            Purpose::Mac,
            self.iterations,
            self.hash.output_len(),
        );
        let key = hmac::Key::new(self.hmac, &key);
        hmac::verify(&key, content, self.value).is_ok()
    }
}

type Hash = (
    ObjectIdentifier,
    hmac::Algorithm,
    &'static digest::Algorithm,
);

const HASHES: [Hash; 4] = [
    (
        ObjectIdentifier::new_unwrap("1.3.14.3.2.26"),
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"),
        hmac::HMAC_SHA256,
        &digest::SHA256,
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"),
        hmac::HMAC_SHA384,
        &digest::SHA384,
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"),
        hmac::HMAC_SHA512,
        &digest::SHA512,
    ),
];
