//! What is encrypted by a passphrase, and the passphrase, turned into the bytes inside.
//!
//! Source: RFC 8018 (PBES2), RFC 7292 appendix C (what PKCS #12 had before), RFC 8018 appendix C
//! (the numbers).
//!
//! ```text
//! EncryptedPrivateKeyInfo ::= SEQUENCE { algorithm, OCTET STRING encrypted }
//! algorithm, PKCS #12: SEQUENCE { OID of hash, cipher and size,
//!                                 SEQUENCE { OCTET STRING salt, INTEGER iterations } }
//! algorithm, PBES2:    SEQUENCE { OID, SEQUENCE {
//!                        SEQUENCE { OID PBKDF2, SEQUENCE {
//!                            OCTET STRING salt, INTEGER iterations,
//!                            INTEGER length OPTIONAL, SEQUENCE { OID of HMAC } DEFAULT SHA-1 } },
//!                        SEQUENCE { OID of cipher, OCTET STRING initial vector } } }
//! ```
//!
//! Every cipher is in CBC mode with PKCS #7 padding. RC2 with 40 bits is broken and 3DES is weak;
//! they are read because Keychain Access writes them, and are never written here.

use std::num::NonZeroU32;

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockCipherDecrypt, BlockModeDecrypt as _, InnerIvInit as _, KeyInit};
use der::asn1::ObjectIdentifier;
use der::{Tag, Tagged as _};
use ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
use ring::pbkdf2::{
    self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512,
};
use zeroize::Zeroizing;

use crate::ber;
use crate::fields::Fields;
use crate::limits::ITERATIONS_MAX;
use crate::oid;
use crate::pkcs12::kdf::{Purpose, derive};

/// Why something stayed encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What came out is not what was put in: another passphrase, or damage.
    Passphrase,
    /// Damaged around the encryption.
    Damaged,
    /// An algorithm that is not known here, by its name or number.
    Unsupported(String),
}

impl From<der::Error> for Failure {
    fn from(_: der::Error) -> Self {
        Self::Damaged
    }
}

/// A passphrase in the two encodings that there are.
pub(crate) struct Passphrase {
    /// PBES2 takes it as UTF-8.
    utf8: Zeroizing<Vec<u8>>,
    /// PKCS #12 takes it as UTF-16, big-endian, with a terminating zero.
    utf16: Zeroizing<Vec<u8>>,
}

impl Passphrase {
    /// A passphrase that was given; it may be empty.
    pub(crate) fn of(text: &str) -> Self {
        let mut utf16 = Zeroizing::new(Vec::with_capacity(2 * text.len() + 2));
        for unit in text.encode_utf16().chain([0]) {
            utf16.extend_from_slice(&unit.to_be_bytes());
        }
        Self {
            utf8: Zeroizing::new(text.as_bytes().to_vec()),
            utf16,
        }
    }

    /// None at all. To PKCS #12 that is no bytes, where an empty passphrase is its terminating
    /// zero.
    pub(crate) fn absent() -> Self {
        Self {
            utf8: Zeroizing::default(),
            utf16: Zeroizing::default(),
        }
    }

    /// In the encoding of PKCS #12.
    pub(crate) fn utf16(&self) -> &[u8] {
        &self.utf16
    }
}

/// Decrypts a whole `EncryptedPrivateKeyInfo` to the DER of a PKCS #8 key.
pub(crate) fn decrypt_key(
    encrypted: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut info = Fields::of_file(encrypted)?;
    let algorithm = info.sequence()?;
    decrypt(algorithm, info.take(Tag::OctetString)?, passphrase)
}

/// Decrypts to a SEQUENCE, which is all that is encrypted in the formats here, and hands it out as
/// DER. That it is one is what tells the right passphrase: padding alone fits by chance once
/// in 256.
pub(crate) fn decrypt(
    mut algorithm: Fields<'_>,
    data: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let number = algorithm.oid()?;
    let parameters = algorithm.sequence()?;
    let plain = if number == PBES2 {
        pbes2(parameters, data, passphrase)
    } else {
        pkcs12(number, parameters, data, passphrase)
    }?;
    let der = ber::to_der(&plain).ok_or(Failure::Passphrase)?;
    Fields::of_file(&der).map_err(|_| Failure::Passphrase)?;
    Ok(der)
}

fn pkcs12(
    number: ObjectIdentifier,
    mut parameters: Fields<'_>,
    data: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let known = PKCS12_CIPHERS.iter().find(|(known, _)| *known == number);
    let (_, cipher) = known.ok_or_else(|| unsupported(number))?;
    let salt = parameters.take(Tag::OctetString)?;
    let rounds = iterations(&mut parameters)?.get();
    let part = |purpose, length| {
        let hash = &SHA1_FOR_LEGACY_USE_ONLY;
        derive(hash, passphrase.utf16(), salt, purpose, rounds, length)
    };
    let key = part(Purpose::Key, cipher.key_bytes());
    cipher.decrypt(&key, &part(Purpose::InitialVector, 8), data)
}

fn pbes2(
    mut parameters: Fields<'_>,
    data: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut derivation = parameters.sequence()?;
    let function = derivation.oid()?;
    if function != PBKDF2 {
        return Err(unsupported(function));
    }
    let mut derivation = derivation.sequence()?;
    let salt = derivation.take(Tag::OctetString)?;
    let rounds = iterations(&mut derivation)?;
    derivation.take_if(Tag::Integer)?;
    let hash = match derivation.next()? {
        None => PBKDF2_HMAC_SHA1,
        Some(field) if field.tag() == Tag::Sequence => {
            let number = Fields::of(field.value())?.oid()?;
            let known = HASHES.iter().find(|(known, _)| *known == number);
            known.ok_or_else(|| unsupported(number))?.1
        }
        Some(_) => return Err(Failure::Damaged),
    };
    let mut encryption = parameters.sequence()?;
    let number = encryption.oid()?;
    let known = PBES2_CIPHERS.iter().find(|(known, _)| *known == number);
    let (_, cipher) = known.ok_or_else(|| unsupported(number))?;
    let vector = encryption.take(Tag::OctetString)?;
    let mut key = Zeroizing::new(vec![0; cipher.key_bytes()]);
    pbkdf2::derive(hash, rounds, salt, &passphrase.utf8, &mut key);
    cipher.decrypt(&key, vector, data)
}

/// How often a key derivation goes round: at least once, and not more than [`ITERATIONS_MAX`].
pub(crate) fn iterations(fields: &mut Fields<'_>) -> Result<NonZeroU32, Failure> {
    let iterations = fields.number()?;
    if iterations > ITERATIONS_MAX {
        let rounds = format!("a key derivation of {iterations} rounds");
        return Err(Failure::Unsupported(rounds));
    }
    NonZeroU32::new(iterations).ok_or(Failure::Damaged)
}

fn unsupported(number: ObjectIdentifier) -> Failure {
    let known = UNSUPPORTED.iter().find(|(known, _)| *known == number);
    Failure::Unsupported(known.map_or_else(
        || format!("an unknown algorithm ({number})"),
        |(_, name)| (*name).to_owned(),
    ))
}

#[derive(Clone, Copy, Debug)]
enum Cipher {
    Rc2With40Bits,
    Rc2With128Bits,
    TwoKeyTripleDes,
    TripleDes,
    Aes128,
    Aes192,
    Aes256,
}

impl Cipher {
    const fn key_bytes(self) -> usize {
        match self {
            Self::Rc2With40Bits => 5,
            Self::Rc2With128Bits | Self::TwoKeyTripleDes | Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// The key has the length of [`key_bytes`](Self::key_bytes).
    fn decrypt(
        self,
        key: &[u8],
        vector: &[u8],
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        match self {
            Self::Rc2With40Bits => cbc(rc2::Rc2::new_with_eff_key_len(key, 40), vector, data),
            Self::Rc2With128Bits => cbc(rc2::Rc2::new_with_eff_key_len(key, 128), vector, data),
            Self::TwoKeyTripleDes => cbc(keyed::<des::TdesEde2>(key)?, vector, data),
            Self::TripleDes => cbc(keyed::<des::TdesEde3>(key)?, vector, data),
            Self::Aes128 => cbc(keyed::<aes::Aes128>(key)?, vector, data),
            Self::Aes192 => cbc(keyed::<aes::Aes192>(key)?, vector, data),
            Self::Aes256 => cbc(keyed::<aes::Aes256>(key)?, vector, data),
        }
    }
}

fn keyed<C: KeyInit>(key: &[u8]) -> Result<C, Failure> {
    C::new_from_slice(key).map_err(|_| Failure::Damaged)
}

fn cbc<C: BlockCipherDecrypt>(
    cipher: C,
    vector: &[u8],
    data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mode = cbc::Decryptor::inner_iv_slice_init(cipher, vector);
    let mode = mode.map_err(|_| Failure::Damaged)?;
    if data.is_empty() || !data.len().is_multiple_of(C::block_size()) {
        return Err(Failure::Damaged);
    }
    let mut plain = Zeroizing::new(data.to_vec());
    let unpadded = mode.decrypt_padded::<Pkcs7>(&mut plain);
    let kept = unpadded.map_err(|_| Failure::Passphrase)?.len();
    plain.truncate(kept);
    Ok(plain)
}

const PBES2: ObjectIdentifier = oid("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = oid("1.2.840.113549.1.5.12");

const PKCS12_CIPHERS: [(ObjectIdentifier, Cipher); 4] = [
    (oid("1.2.840.113549.1.12.1.3"), Cipher::TripleDes),
    (oid("1.2.840.113549.1.12.1.4"), Cipher::TwoKeyTripleDes),
    (oid("1.2.840.113549.1.12.1.5"), Cipher::Rc2With128Bits),
    (oid("1.2.840.113549.1.12.1.6"), Cipher::Rc2With40Bits),
];

const PBES2_CIPHERS: [(ObjectIdentifier, Cipher); 4] = [
    (oid("1.2.840.113549.3.7"), Cipher::TripleDes),
    (oid("2.16.840.1.101.3.4.1.2"), Cipher::Aes128),
    (oid("2.16.840.1.101.3.4.1.22"), Cipher::Aes192),
    (oid("2.16.840.1.101.3.4.1.42"), Cipher::Aes256),
];

const HASHES: [(ObjectIdentifier, pbkdf2::Algorithm); 4] = [
    (oid("1.2.840.113549.2.7"), PBKDF2_HMAC_SHA1),
    (oid("1.2.840.113549.2.9"), PBKDF2_HMAC_SHA256),
    (oid("1.2.840.113549.2.10"), PBKDF2_HMAC_SHA384),
    (oid("1.2.840.113549.2.11"), PBKDF2_HMAC_SHA512),
];

const UNSUPPORTED: [(ObjectIdentifier, &str); 8] = [
    (oid("1.2.840.113549.1.5.3"), "DES with MD5 (PKCS #5 v1.5)"),
    (oid("1.2.840.113549.1.5.6"), "RC2 with MD5 (PKCS #5 v1.5)"),
    (
        oid("1.2.840.113549.1.5.10"),
        "DES with SHA-1 (PKCS #5 v1.5)",
    ),
    (oid("1.2.840.113549.1.12.1.1"), "RC4 with 128 bits"),
    (oid("1.2.840.113549.1.12.1.2"), "RC4 with 40 bits"),
    (oid("1.2.840.113549.2.8"), "PBKDF2 with SHA-224"),
    (oid("1.2.840.113549.3.2"), "PBES2 with RC2"),
    (oid("1.3.6.1.4.1.11591.4.11"), "scrypt"),
];
