//! The text of a `.p8` file turned into a [`SigningKey`].
//!
//! Source: Apple, *Establishing a token-based connection to APNs* (the file holds "a private key in
//! PKCS #8 form"); RFC 7468 (textual form), RFC 5958 (PKCS #8), RFC 5915 (SEC1, `EC PRIVATE KEY`,
//! what `openssl ec` writes), RFC 5480 (public keys).
//!
//! ```text
//! -----BEGIN PRIVATE KEY-----         PKCS #8 ─┐
//! -----BEGIN EC PRIVATE KEY-----      SEC1    ─┴─> a scalar of the curve P-256
//! ```
//!
//! Line breaks may stand anywhere or be missing, and may be the two characters `\n`, and all of the
//! file may be in base64 once more: these happen to keys that travel through environment variables.
//! Text around the block may be in any encoding. Limit: 8 KiB of text.

use crate::limits::PRIVATE_KEY_FILE_MAX_BYTES;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use p256::SecretKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey as EcdsaKey};
use p256::elliptic_curve::zeroize::Zeroizing;
use p256::pkcs8::PrivateKeyInfoRef;
use p256::pkcs8::spki::ObjectIdentifier;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const PKCS8: &str = "PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";

/// Bytes of a public key in uncompressed form: 4, then both coordinates.
const POINT_BYTES: usize = 65;
/// What RFC 5480 puts before the point: the algorithm `id-ecPublicKey` and the curve P-256.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// Algorithms and curves that people have keys of, to name them in errors.
const NAMES: [(&str, &str); 7] = [
    ("1.2.840.113549.1.1.1", "an RSA key"),
    ("1.3.101.112", "an Ed25519 key"),
    ("1.3.101.110", "an X25519 key"),
    ("1.3.132.0.33", "a key on the curve P-224"),
    ("1.3.132.0.34", "a key on the curve P-384"),
    ("1.3.132.0.35", "a key on the curve P-521"),
    ("1.3.132.0.10", "a key on the curve secp256k1"),
];

/// A file that is not a usable private key. Whoever wrote the configuration is at fault. Holds
/// nothing of the file but the label of its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidKey {
    expected: &'static str,
    got: String,
}

impl InvalidKey {
    fn new(expected: &'static str, got: impl Into<String>) -> Self {
        Self {
            expected,
            got: got.into(),
        }
    }
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "signing key: expected {}, got {}",
            self.expected, self.got
        )
    }
}

impl core::error::Error for InvalidKey {}

/// A private key on the curve P-256, for signatures of the kind ES256.
///
/// Wiped from memory when dropped; printed as `SigningKey(redacted)`.
#[derive(Clone)]
pub struct SigningKey(EcdsaKey);

impl SigningKey {
    /// From what is in a `.p8` file.
    ///
    /// # Errors
    /// [`InvalidKey`] says which it is: no PEM, a certificate or another label, an encrypted key,
    /// damaged base64 or DER, another algorithm or another curve.
    pub fn from_pem(file: impl AsRef<[u8]>) -> Result<Self, InvalidKey> {
        Self::from_file(file.as_ref())
    }

    fn from_file(file: &[u8]) -> Result<Self, InvalidKey> {
        if file.len() > PRIVATE_KEY_FILE_MAX_BYTES {
            let got = format!("{} bytes", file.len());
            return Err(InvalidKey::new("at most 8192 bytes of PEM", got));
        }
        let mut text = ascii(file);
        if !text.contains(BEGIN)
            && let Ok(inner) = decode(&text)
        {
            text = ascii(&inner);
        }
        let (label, body) = private_block(&text)?;
        if body.contains("Proc-Type:") {
            let got = "an encrypted one; decrypt it by `openssl ec -in OLD -out NEW`";
            return Err(InvalidKey::new("a key without a passphrase", got));
        }
        let der = decode(body)?;
        if describes_its_curve(&der) {
            let got = "one that describes its curve instead; convert it by \
                       `openssl pkey -in OLD -ec_param_enc named_curve -out NEW`";
            return Err(InvalidKey::new("a key that names the curve P-256", got));
        }
        let key = if label == SEC1 {
            from_sec1(&der)?
        } else {
            from_pkcs8(&der)?
        };
        Ok(Self(EcdsaKey::from(key)))
    }

    /// From the 32 bytes of the scalar, big-endian; for keys made in tests and by the simulator out
    /// of randomness that the caller supplies.
    ///
    /// # Errors
    /// [`InvalidKey`] for zero and for what is not below the order of the curve.
    pub fn from_scalar(scalar: &[u8; 32]) -> Result<Self, InvalidKey> {
        EcdsaKey::from_slice(scalar).map(Self).map_err(|_| {
            InvalidKey::new("a scalar of the curve P-256", "zero or too large a number")
        })
    }

    /// The public key in uncompressed form (SEC1): 4, then both coordinates, big-endian.
    pub fn public_key_sec1(&self) -> [u8; POINT_BYTES] {
        let point = self.0.verifying_key().to_sec1_point(false);
        let mut bytes = [0; POINT_BYTES];
        for (place, byte) in bytes.iter_mut().zip(point.as_bytes()) {
            *place = *byte;
        }
        bytes
    }

    /// The public key as DER of `SubjectPublicKeyInfo` (RFC 5480), 91 bytes.
    pub fn public_key_spki(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), &self.public_key_sec1()].concat()
    }

    /// Signs a message (ES256): the numbers R and S, 32 bytes each, big-endian.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.0.sign(message);
        signature.to_bytes().into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

/// The text of a file: what is not ASCII stands only around the block, and does not matter.
fn ascii(file: &[u8]) -> Zeroizing<String> {
    let shown = |byte: &u8| match byte.is_ascii() {
        true => char::from(*byte),
        false => char::REPLACEMENT_CHARACTER,
    };
    // Room for all of it, so that no copy of a part is left behind.
    let mut text = Zeroizing::new(String::with_capacity(
        char::REPLACEMENT_CHARACTER.len_utf8() * file.len(),
    ));
    text.extend(file.iter().map(shown));
    text
}

/// Whether a private key, as DER of any form, describes its curve instead of naming it (explicit
/// curve parameters), which neither this nor TLS libraries read.
pub fn describes_its_curve(der: &[u8]) -> bool {
    /// DER of `prime-field` (RFC 3279, 2.3.5), which is in no other key.
    const PRIME_FIELD: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x01, 0x01];
    der.windows(PRIME_FIELD.len()).any(|it| it == PRIME_FIELD)
}

/// Finds the block that holds a private key: its label and what stands between the markers.
fn private_block(text: &str) -> Result<(&str, &str), InvalidKey> {
    const EXPECTED: &str = "a PEM block labelled PRIVATE KEY, as in the .p8 file from Apple";
    let mut other = None;
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let Some((label, after)) = after.split_once(DASHES) else {
            break;
        };
        let Some((body, after)) = after.split_once(DASHES) else {
            return Err(InvalidKey::new(
                "a PEM block with an END line",
                "one without",
            ));
        };
        if label == PKCS8 || label == SEC1 {
            return Ok((label, body));
        }
        // `openssl ecparam -genkey` writes a block EC PARAMETERS before the key.
        other = other.or(Some(label));
        rest = after;
    }
    let got = match other {
        None if text.trim().is_empty() => "nothing".to_owned(),
        None => "no PEM at all (perhaps the name of the file instead of its text)".to_owned(),
        Some("ENCRYPTED PRIVATE KEY") => "an encrypted one; decrypt it first".to_owned(),
        Some(label) => format!("{:?}", label.chars().take(40).collect::<String>()),
    };
    Err(InvalidKey::new(EXPECTED, got))
}

/// Decodes the base64 between the markers, whatever its line breaks are.
fn decode(body: &str) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
    let body = Zeroizing::new(body.replace("\\r", "").replace("\\n", ""));
    let digits: Zeroizing<String> =
        Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    STANDARD
        .decode(digits.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| InvalidKey::new("base64 between the BEGIN and END lines", "something else"))
}

fn from_pkcs8(der: &[u8]) -> Result<SecretKey, InvalidKey> {
    let info = PrivateKeyInfoRef::try_from(der)
        .map_err(|_| InvalidKey::new("PKCS #8 in the PEM block", "other or damaged DER"))?;
    let curve = info.algorithm.parameters_oid().ok();
    if info.algorithm.oid != EC_PUBLIC_KEY || curve != Some(P_256) {
        let decisive = curve.filter(|_| info.algorithm.oid == EC_PUBLIC_KEY);
        let oid = decisive.unwrap_or(info.algorithm.oid).to_string();
        let known = NAMES.iter().find(|(number, _)| *number == oid);
        let got = known.map_or(format!("one of another kind ({oid})"), |(_, name)| {
            (*name).to_owned()
        });
        return Err(InvalidKey::new("a key on the curve P-256 (ES256)", got));
    }
    SecretKey::try_from(info)
        .map_err(|_| InvalidKey::new("a key on the curve P-256 (ES256)", "a damaged one"))
}

fn from_sec1(der: &[u8]) -> Result<SecretKey, InvalidKey> {
    // SEC1 names the curve in a field that may be missing, so the length is what there is to check.
    SecretKey::from_sec1_der(der)
        .map_err(|_| InvalidKey::new("a key on the curve P-256 (ES256)", "another or damaged key"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use p256::pkcs8::DecodePublicKey;

    /// What PKCS #8 puts before the 32 bytes of a scalar of P-256.
    const PKCS8_PREFIX: &[u8] = b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
        \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x27\x30\x25\x02\x01\x01\x04\x20";

    pub(crate) fn key() -> SigningKey {
        SigningKey::from_scalar(&[7; 32]).unwrap()
    }

    fn pem(label: &str, der: &[u8]) -> String {
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(|l| str::from_utf8(l).unwrap())
            .collect();
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----",
            lines.join("\n")
        )
    }

    fn pkcs8() -> Vec<u8> {
        [PKCS8_PREFIX, &[7; 32]].concat()
    }

    /// An unencrypted PKCS #8 key of any algorithm: the algorithm's DER and the key's bytes.
    pub(crate) fn pkcs8_pem(algorithm: &[u8], key: &[u8]) -> String {
        let field = |tag: u8, content: &[u8]| {
            let length = u8::try_from(content.len()).unwrap();
            assert!(length < 128);
            [&[tag, length], content].concat()
        };
        let content = [field(2, &[0]), field(0x30, algorithm), field(4, key)].concat();
        pem(PKCS8, &field(0x30, &content))
    }

    fn refused(text: &str) -> String {
        let error = SigningKey::from_pem(text).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_p8_file_is_read_whatever_became_of_its_lines() {
        let text = pem(PKCS8, &pkcs8());
        let expected = key().public_key_sec1();
        for form in [
            text.clone(),
            format!("\n  {text}\n\n"),
            text.replace('\n', "\r\n"),
            text.replace('\n', "\\n"),
            text.replace('\n', " "),
            text.replace('\n', ""),
            format!("Bag Attributes\n{text}"),
            STANDARD.encode(&text),
            format!(" {}\n", STANDARD.encode(&text).replace('L', "L\r\n")),
        ] {
            assert_eq!(
                SigningKey::from_pem(&form).unwrap().public_key_sec1(),
                expected
            );
        }
        let latin_1 = [b"friendlyName: M\xfcnchen\n", text.as_bytes(), b"\xff"].concat();
        let key = SigningKey::from_pem(latin_1).unwrap();
        assert_eq!(key.public_key_sec1(), expected);
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let text = pem(PKCS8, &pkcs8());
        let padded = |bytes: usize| text.clone() + &" ".repeat(bytes - text.len());
        assert!(SigningKey::from_pem(padded(PRIVATE_KEY_FILE_MAX_BYTES)).is_ok());
        let error = SigningKey::from_pem(padded(PRIVATE_KEY_FILE_MAX_BYTES + 1)).unwrap_err();
        assert!(error.to_string().contains("at most 8192 bytes"), "{error}");
    }

    #[test]
    fn a_sec1_file_is_read_past_its_parameters() {
        let sec1 = [
            b"\x30\x31\x02\x01\x01\x04\x20".as_slice(),
            &[7; 32],
            b"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
        ]
        .concat();
        let text = format!(
            "{}\n{}",
            pem("EC PARAMETERS", b"\x06\x00"),
            pem(SEC1, &sec1)
        );
        assert_eq!(
            SigningKey::from_pem(&text).unwrap().public_key_sec1(),
            key().public_key_sec1()
        );
        assert!(refused(&pem(SEC1, b"\x30\x00")).contains("another or damaged"));
    }

    #[test]
    fn errors_name_what_was_found() {
        assert!(refused(" \n").ends_with("got nothing"));
        assert!(refused("/etc/AuthKey.p8").contains("no PEM at all"));
        assert!(refused(&pem("CERTIFICATE", b"x")).ends_with("got \"CERTIFICATE\""));
        assert!(refused(&pem("ENCRYPTED PRIVATE KEY", b"x")).contains("encrypted"));
        assert!(refused("-----BEGIN PRIVATE KEY-----\nAAAA").contains("END line"));
        assert!(refused("-----BEGIN PRIVATE").contains("no PEM at all"));
        assert!(
            refused("-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----").contains("base64")
        );
        assert!(refused(&pem(PKCS8, b"\x30\x03")).contains("damaged DER"));
        assert!(
            refused(&pkcs8_pem(
                b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00",
                &[1; 30]
            ))
            .ends_with("an RSA key")
        );
        let p384 = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
        assert!(refused(&pkcs8_pem(p384, &[1; 64])).ends_with("a key on the curve P-384"));
        let described = pkcs8_pem(
            b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x01\x01",
            &[1; 32],
        );
        assert!(refused(&described).contains("got one that describes its curve"));
        assert!(refused(&described).contains("-ec_param_enc named_curve"));
        let encrypted = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                         DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
        assert!(refused(encrypted).contains("got an encrypted one; decrypt it by `openssl ec"));
        assert!(refused(&STANDARD.encode(encrypted)).contains("got an encrypted one"));
        assert!(refused(&"x".repeat(8_193)).contains("8193 bytes"));
    }

    #[test]
    fn damage_anywhere_is_an_error_and_not_a_panic() {
        let der = pkcs8();
        for cut in 0..der.len() {
            refused(&pem(PKCS8, &der[..cut]));
        }
        let zero = [PKCS8_PREFIX, &[0; 32]].concat();
        assert!(refused(&pem(PKCS8, &zero)).contains("a damaged one"));
        assert!(SigningKey::from_scalar(&[0xff; 32]).is_err());
    }

    #[test]
    fn the_public_key_is_exported_in_both_forms() {
        let spki = key().public_key_spki();
        let public = p256::PublicKey::from_public_key_der(&spki).unwrap();
        assert_eq!(
            p256::PublicKey::from_sec1_bytes(&key().public_key_sec1()).unwrap(),
            public
        );
    }

    #[test]
    fn printing_does_not_reveal_a_key() {
        assert_eq!(format!("{:?}", key()), "SigningKey(redacted)");
    }
}
