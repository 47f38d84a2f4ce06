//! A PKCS #12 file (`.p12`, `.pfx`) turned into the certificates and keys in it.
//!
//! Source: RFC 7292.
//!
//! ```text
//! PFX ::= SEQUENCE { INTEGER 3, ContentInfo, MacData OPTIONAL }
//!   ContentInfo ::= SEQUENCE { OID data, [0] OCTET STRING }
//!     SEQUENCE OF ContentInfo                          "authenticated safe"; the MAC is over this
//!       data                                           as it is, or
//!       encryptedData: SEQUENCE { INTEGER, SEQUENCE { OID, algorithm, [0] bytes } }
//!         SEQUENCE OF bag ::= SEQUENCE { OID, [0] value, SET of attributes }
//!           certificate: SEQUENCE { OID, [0] OCTET STRING }
//!           key: PKCS #8, or encrypted once more
//! MacData ::= SEQUENCE { SEQUENCE { SEQUENCE { OID of hash }, OCTET STRING mac },
//!                        OCTET STRING salt, INTEGER iterations DEFAULT 1 }
//! ```
//!
//! Keychain Access encrypts the certificates by RC2 with 40 bits and the keys by 3DES, with a MAC
//! by SHA-1. OpenSSL 3 reads that only with `-legacy`, and itself writes AES-256 with SHA-256.
//!
//! # Which passphrase
//!
//! An empty passphrase is encoded as a terminating zero by some writers and as nothing by others.
//! Both are tried where none, or an empty one, was given. The MAC says which is right; a wrong one
//! and a damaged file make it fail alike, so if something can be decrypted all the same, the file
//! is damaged. A MAC of an unknown kind is left aside, since what is at stake is a better message,
//! not trust: the file is our own.
//!
//! Limits: [`PARTS_MAX`], [`KEYS_MAX`], [`CERTIFICATES_MAX`]. Bags in bags, and protection by
//! public keys instead of a passphrase, are not read. The standard allows BER, which OpenSSL and
//! Bouncy Castle make use of: each layer becomes DER before it is read ([`ber`]). The MAC is over
//! the bytes as they came.

pub(crate) mod kdf;
mod mac;

use std::borrow::Cow;

use der::Tag;
use der::asn1::ObjectIdentifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use zeroize::Zeroizing;

use crate::ber;
use crate::encryption::{Failure, Passphrase, decrypt, decrypt_key};
use crate::fields::{Fields, context};
use crate::keys::Key;
use crate::limits::{CERTIFICATES_MAX, KEYS_MAX, PARTS_MAX};
use crate::oid;
use crate::read_error::{Cause, ReadError};

use mac::Mac;

/// What is in the file, in its order. Which certificate is whose is not said.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) keys: Vec<Key>,
}

/// Reads the file with the passphrase that was given, if one was.
pub(crate) fn read(file: &[u8], passphrase: Option<&str>) -> Result<Contents, ReadError> {
    let candidates = match passphrase {
        Some(text) if !text.is_empty() => vec![Passphrase::of(text)],
        _ => vec![Passphrase::of(""), Passphrase::absent()],
    };
    let damaged = || error(Failure::Damaged, passphrase);
    let file = ber::to_der(file).ok_or_else(damaged)?;
    let (signed, mac) = outer(&file).map_err(|failure| error(failure, passphrase))?;
    let safe = ber::to_der(signed).ok_or_else(damaged)?;
    let Some(mac) = mac else {
        return first_that_opens(&safe, &candidates).map_err(|failure| error(failure, passphrase));
    };
    match candidates
        .iter()
        .find(|candidate| mac.fits(signed, candidate))
    {
        Some(candidate) => open(&safe, candidate).map_err(|failure| match failure {
            // The MAC has said that the passphrase is right.
            Failure::Passphrase => error(Failure::Damaged, passphrase),
            failure => error(failure, passphrase),
        }),
        None if candidates.iter().any(|it| opens_somewhere(&safe, it)) => {
            Err(error(Failure::Damaged, passphrase))
        }
        None => Err(error(Failure::Passphrase, passphrase)),
    }
}

fn first_that_opens(safe: &[u8], candidates: &[Passphrase]) -> Result<Contents, Failure> {
    let mut failure = Failure::Passphrase;
    for candidate in candidates {
        match open(safe, candidate) {
            Ok(contents) => return Ok(contents),
            Err(other) => failure = other,
        }
    }
    Err(failure)
}

fn error(failure: Failure, passphrase: Option<&str>) -> ReadError {
    match failure {
        Failure::Damaged => ReadError::damaged("a PKCS #12 file (.p12)"),
        Failure::Unsupported(what) => ReadError::new(
            Cause::Unsupported,
            "a PKCS #12 file protected by a passphrase, with RC2, 3DES or AES",
            what,
            "Export it again from Keychain Access, or by `openssl pkcs12 -export` without further \
            options.",
        ),
        Failure::Passphrase => {
            crate::read_error::passphrase("the passphrase of the PKCS #12 file", passphrase)
        }
    }
}

/// The authenticated safe, and the MAC over it if there is one of a known kind.
fn outer(file: &[u8]) -> Result<(&[u8], Option<Mac<'_>>), Failure> {
    let mut pfx = Fields::of_file(file)?;
    pfx.number()?;
    let mut info = pfx.sequence()?;
    let kind = info.oid()?;
    if kind == SIGNED_DATA {
        let what = "one that is signed by a certificate instead";
        return Err(Failure::Unsupported(what.to_owned()));
    }
    if kind != DATA {
        return Err(Failure::Damaged);
    }
    let safe = info.explicit(0)?.take(Tag::OctetString)?;
    let mac = match pfx.take_if(Tag::Sequence)? {
        None => None,
        Some(mac) => Mac::parse(Fields::of(mac)?)?,
    };
    Ok((safe, mac))
}

/// Everything in the safe.
fn open(safe: &[u8], passphrase: &Passphrase) -> Result<Contents, Failure> {
    let mut contents = Contents::default();
    for part in parts(safe)? {
        match part {
            Part::Plain(bags) => collect(&bags, passphrase, &mut contents)?,
            Part::Encrypted { algorithm, data } => {
                let bags = decrypt(algorithm, &data, passphrase)?;
                collect(&bags, passphrase, &mut contents)?;
            }
        }
    }
    Ok(contents)
}

/// Whether the passphrase decrypts anything at all.
fn opens_somewhere(safe: &[u8], passphrase: &Passphrase) -> bool {
    let opens = |part| match part {
        Part::Encrypted { algorithm, data } => decrypt(algorithm, &data, passphrase).is_ok(),
        Part::Plain(bags) => {
            let encrypted = bags_of(&bags).unwrap_or_default();
            encrypted
                .iter()
                .filter(|bag| bag.kind == ENCRYPTED_KEY_BAG)
                .any(|bag| decrypt_key(bag.value, passphrase).is_ok())
        }
    };
    parts(safe).unwrap_or_default().into_iter().any(opens)
}

enum Part<'a> {
    /// DER of bags, as they are.
    Plain(Zeroizing<Vec<u8>>),
    /// The same, encrypted.
    Encrypted {
        algorithm: Fields<'a>,
        data: Cow<'a, [u8]>,
    },
}

fn parts(safe: &[u8]) -> Result<Vec<Part<'_>>, Failure> {
    let mut infos = Fields::of_file(safe)?;
    let mut parts = Vec::new();
    while let Some(info) = infos.take_if(Tag::Sequence)? {
        if parts.len() == PARTS_MAX {
            let what = format!("one with more than {PARTS_MAX} parts");
            return Err(Failure::Unsupported(what));
        }
        let mut info = Fields::of(info)?;
        let kind = info.oid()?;
        parts.push(match kind {
            DATA => {
                let bags = info.explicit(0)?.take(Tag::OctetString)?;
                Part::Plain(ber::to_der(bags).ok_or(Failure::Damaged)?)
            }
            ENCRYPTED_DATA => {
                let mut data = info.explicit(0)?.sequence()?;
                data.number()?;
                let mut encrypted = data.sequence()?;
                encrypted.oid()?;
                Part::Encrypted {
                    algorithm: encrypted.sequence()?,
                    data: encrypted_bytes(&mut encrypted)?,
                }
            }
            _ => {
                let what = format!("one with a part of the kind {kind}");
                return Err(Failure::Unsupported(what));
            }
        });
    }
    Ok(parts)
}

/// The OCTET STRING under the implicit tag `[0]`, in one piece or in several.
fn encrypted_bytes<'a>(fields: &mut Fields<'a>) -> Result<Cow<'a, [u8]>, Failure> {
    match fields.take_if(context(0, true))? {
        None => Ok(Cow::Borrowed(fields.take(context(0, false))?)),
        Some(pieces) => {
            let whole = ber::joined(pieces).ok_or(Failure::Damaged)?;
            // Encrypted bytes are no secret.
            Ok(Cow::Owned(whole.to_vec()))
        }
    }
}

struct Bag<'a> {
    kind: ObjectIdentifier,
    /// DER of the value.
    value: &'a [u8],
}

fn bags_of(bags: &[u8]) -> Result<Vec<Bag<'_>>, Failure> {
    let mut bags = Fields::of_file(bags)?;
    let mut found = Vec::new();
    while let Some(bag) = bags.take_if(Tag::Sequence)? {
        if found.len() == CERTIFICATES_MAX + KEYS_MAX {
            let what = format!("one with more than {CERTIFICATES_MAX} certificates");
            return Err(Failure::Unsupported(what));
        }
        let mut bag = Fields::of(bag)?;
        let kind = bag.oid()?;
        let value = bag.take(context(0, true))?;
        found.push(Bag { kind, value });
    }
    Ok(found)
}

/// Adds the certificates and keys among the bags; others (secrets, revocation lists) are left.
fn collect(bags: &[u8], passphrase: &Passphrase, contents: &mut Contents) -> Result<(), Failure> {
    for bag in bags_of(bags)? {
        let key = match bag.kind {
            CERTIFICATE_BAG => {
                let mut value = Fields::of_file(bag.value)?;
                if value.oid()? == X509 {
                    let der = value.explicit(0)?.take(Tag::OctetString)?;
                    contents.certificates.push(der.to_vec().into());
                }
                continue;
            }
            KEY_BAG => bag.value.to_vec(),
            ENCRYPTED_KEY_BAG => decrypt_key(bag.value, passphrase)?.to_vec(),
            _ => continue,
        };
        let key = PrivatePkcs8KeyDer::from(key);
        contents.keys.push(Key::new(PrivateKeyDer::Pkcs8(key)));
    }
    if contents.keys.len() > KEYS_MAX || contents.certificates.len() > CERTIFICATES_MAX {
        let what = format!("one with more than {KEYS_MAX} keys or {CERTIFICATES_MAX} certificates");
        return Err(Failure::Unsupported(what));
    }
    Ok(())
}

const DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.2");
const ENCRYPTED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = oid("1.2.840.113549.1.12.10.1.1");
const ENCRYPTED_KEY_BAG: ObjectIdentifier = oid("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier = oid("1.2.840.113549.1.12.10.1.3");
const X509: ObjectIdentifier = oid("1.2.840.113549.1.9.22.1");
