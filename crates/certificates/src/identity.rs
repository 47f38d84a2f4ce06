//! Files turned into a client identity: a certificate with the chain above it, and its private key.
//!
//! Source: RFC 7468 (PEM), RFC 5958 and RFC 8018 (encrypted keys), [`pkcs12`].
//!
//! ```text
//! .p12                          ─► the certificate of the key, then its issuers
//! .pem with certificate and key ─┐
//! .pem or .cer, and a .pem key  ─┴► certificates in the order of the file
//! ```
//!
//! A PKCS #12 file has no order, so the chain is put in order here. A PEM file has one, and TLS
//! libraries go by it; it is kept, and [`findings`](crate::findings()) says if it is wrong.
//!
//! Invariant: there is at least one certificate, and every one can be parsed. Whether the key
//! belongs to the first is for [`findings`](crate::findings()) to say: a pair that does not fit can
//! be shown.

use std::fmt;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::encryption::{Failure, Passphrase, decrypt_key};
use crate::form::Form;
use crate::info::{CertificateInfo, date, name_of};
use crate::keys::Key;
use crate::limits::FILE_MAX_BYTES;
use crate::pem::{self, Block};
use crate::pkcs12::{self, Contents};
use crate::read_error::{self, Cause, ReadError};
use crate::{Finding, Level};

/// Who we are to APNs. The key is wiped from memory when this is dropped, and never printed.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Key,
    info: CertificateInfo,
}

impl Identity {
    /// Reads whichever form it is: `certificate` is a PKCS #12 file, or a certificate as PEM or
    /// DER. `key` is the file with the private key, where it is not in the first one; PEM. Each of
    /// them may also be the base64 of all of that, as secrets travel through environments and
    /// manifests.
    ///
    /// # Errors
    /// [`ReadError`] says what was expected, what the file is, and what to do.
    pub fn read(
        certificate: &[u8],
        key: Option<&[u8]>,
        passphrase: Option<&str>,
    ) -> Result<Self, ReadError> {
        let certificate = File::unwrapped(certificate)?;
        if certificate.form != Form::Pkcs12 {
            return Self::of_pem(&certificate, key, passphrase);
        }
        if key.is_some() {
            return Err(ReadError::new(
                Cause::OtherKind,
                "no file with a key beside a PKCS #12 file, which has the key in it",
                "both",
                "Take the file with the key out of the configuration.",
            ));
        }
        Self::of_pkcs12(&certificate.bytes, passphrase)
    }

    /// Reads a PEM file with a certificate and the chain above it, in this order, and the private
    /// key from the same file or from a second one. The certificate alone may also be DER, as Apple
    /// hands it out (`.cer`). The key is PKCS #8, encrypted or not, PKCS #1 or SEC1.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn from_pem(
        certificate: &[u8],
        key: Option<&[u8]>,
        passphrase: Option<&str>,
    ) -> Result<Self, ReadError> {
        Self::of_pem(&File::unwrapped(certificate)?, key, passphrase)
    }

    fn of_pem(
        certificate: &File,
        key: Option<&[u8]>,
        passphrase: Option<&str>,
    ) -> Result<Self, ReadError> {
        let key = key.map(File::unwrapped).transpose()?;
        let chain = certificates(certificate)?;
        let key = private_key(key.as_ref().unwrap_or(certificate), passphrase)?;
        Self::checked(chain, key)
    }

    /// Reads a PKCS #12 file (`.p12`, `.pfx`). An absent passphrase and an empty one open the same
    /// files. The certificate is that of the key; the chain above it comes in order, and what does
    /// not belong to it is left out. Where no certificate is the key's, all of them come.
    ///
    /// # Errors
    /// [`ReadError`]; [`Cause::Ambiguous`] if there is more than one certificate with its key.
    pub fn from_pkcs12(file: &[u8], passphrase: Option<&str>) -> Result<Self, ReadError> {
        check_size(file)?;
        match Form::of(file) {
            Form::Pkcs12 => {}
            Form::Binary if file.first() == Some(&0x30) => {
                return Err(ReadError::damaged("a PKCS #12 file (.p12)"));
            }
            other => return Err(other_kind("a PKCS #12 file (.p12)", &other)),
        }
        Self::of_pkcs12(file, passphrase)
    }

    fn of_pkcs12(file: &[u8], passphrase: Option<&str>) -> Result<Self, ReadError> {
        let contents = pkcs12::read(file, passphrase)?;
        let (chain, key) = choose(contents)?;
        Self::checked(chain, key)
    }

    /// The certificate and the chain above it, as TLS sends them.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The private key. Copies of it are not wiped by this type.
    pub fn key(&self) -> &PrivateKeyDer<'static> {
        self.key.der()
    }

    /// What a TLS client shows with it, whatever version of X.509 the certificate has: the servers
    /// of private gateways take some that rustls, which looks into its own, would not show.
    ///
    /// # Errors
    /// As [`check_key`](crate::check_key).
    pub fn shown(&self, crypto: &CryptoProvider) -> Result<Arc<dyn ResolvesClientCert>, Finding> {
        crate::check_key(self)?;
        let key = crypto.key_provider.load_private_key(self.key().clone_key());
        let key = key.map_err(|error| {
            let advice = "Write the key anew by `openssl pkey -in OLD -out NEW`.";
            Finding::new(Level::Error, format!("key: {error}"), advice)
        })?;
        let certified = CertifiedKey::new(self.chain.clone(), key);
        Ok(Arc::new(SingleCertAndKey::from(certified)))
    }

    /// What the certificate says.
    pub fn info(&self) -> &CertificateInfo {
        &self.info
    }

    pub(crate) fn private_key(&self) -> &Key {
        &self.key
    }

    fn checked(chain: Vec<CertificateDer<'static>>, key: Key) -> Result<Self, ReadError> {
        for certificate in &chain {
            Certificate::parse(certificate).map_err(|_| damaged_certificate())?;
        }
        if key.describes_its_curve() {
            return Err(ReadError::new(
                Cause::Unsupported,
                "a private key that names its curve",
                "one that describes it (explicit curve parameters)",
                "Convert the key by `openssl pkey -in OLD -ec_param_enc named_curve -out NEW`.",
            ));
        }
        let first = chain.first().ok_or_else(no_certificate)?;
        let info = CertificateInfo::of(first)?;
        Ok(Self { chain, key, info })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("name", &self.info.name)
            .field("fingerprint", &self.info.fingerprint)
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// A file that was looked at: what it is goes with its bytes.
struct File {
    bytes: Zeroizing<Vec<u8>>,
    form: Form,
}

impl File {
    /// The file, or what base64 of a whole file that can be read stands for.
    fn unwrapped(file: &[u8]) -> Result<Self, ReadError> {
        check_size(file)?;
        let form = Form::of(file);
        if let Form::Base64(inner) = &form
            && let Form::Pem(_) | Form::Pkcs12 = **inner
            && let Some(bytes) = pem::decode(file)
        {
            let form = Form::clone(inner);
            return Ok(Self { bytes, form });
        }
        let bytes = Zeroizing::new(file.to_vec());
        Ok(Self { bytes, form })
    }
}

fn check_size(file: &[u8]) -> Result<(), ReadError> {
    if file.len() <= FILE_MAX_BYTES {
        return Ok(());
    }
    Err(ReadError::new(
        Cause::TooLarge,
        "a file of at most 1 MiB",
        format!("{} bytes", file.len()),
        "Name the file with the certificate; it has a few kilobytes.",
    ))
}

/// The certificates of a file, in its order.
fn certificates(file: &File) -> Result<Vec<CertificateDer<'static>>, ReadError> {
    const EXPECTED: &str = "a certificate with its key, as .p12 or PEM";
    let File { bytes, form } = file;
    match form {
        Form::Certificate => return Ok(vec![bytes.to_vec().into()]),
        Form::Pem(_) => {}
        Form::Binary if bytes.first() == Some(&0x30) => return Err(ReadError::damaged(EXPECTED)),
        other => return Err(other_kind(EXPECTED, other)),
    }
    let mut chain: Vec<CertificateDer<'static>> = Vec::new();
    for block in pem::blocks(bytes)? {
        if block.label == "CERTIFICATE" {
            chain.push(block.der.to_vec().into());
        }
    }
    if chain.is_empty() {
        return Err(ReadError::new(
            Cause::CertificateMissing,
            "a certificate in the PEM file",
            form.describe(),
            "Name the file with the certificate that Apple has issued for this key.",
        ));
    }
    Ok(chain)
}

/// The one private key of a file.
fn private_key(file: &File, passphrase: Option<&str>) -> Result<Key, ReadError> {
    let File { bytes, form } = file;
    if !matches!(form, Form::Pem(_)) {
        return Err(no_key(form));
    }
    let mut keys = pem::blocks(bytes)?;
    keys.retain(|block| block.label.ends_with("PRIVATE KEY"));
    match keys.as_slice() {
        [] => Err(no_key(form)),
        [key] => key_of(key, passphrase),
        keys => Err(ReadError::new(
            Cause::Ambiguous,
            "one private key in the PEM file",
            format!("{}", keys.len()),
            "Keep only the key that the certificate was requested with.",
        )),
    }
}

fn key_of(block: &Block, passphrase: Option<&str>) -> Result<Key, ReadError> {
    if block.encrypted {
        return Err(encrypted_otherwise(
            "the encryption of OpenSSL before PKCS #8 (Proc-Type)",
        ));
    }
    let der = block.der.to_vec();
    Ok(Key::new(match block.label.as_str() {
        "PRIVATE KEY" => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)),
        "RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der)),
        "EC PRIVATE KEY" => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der)),
        "ENCRYPTED PRIVATE KEY" => {
            let given = Passphrase::of(passphrase.unwrap_or_default());
            let plain = decrypt_key(&der, &given).map_err(|failure| match failure {
                Failure::Damaged => ReadError::damaged("an encrypted private key"),
                Failure::Passphrase => {
                    read_error::passphrase("the passphrase of the private key", passphrase)
                }
                Failure::Unsupported(what) => encrypted_otherwise(&what),
            })?;
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(plain.to_vec()))
        }
        _ => return Err(no_key(&Form::Pem(vec![block.label.clone()]))),
    }))
}

/// The certificate that belongs to a key, with its issuers.
fn choose(contents: Contents) -> Result<(Vec<CertificateDer<'static>>, Key), ReadError> {
    let Contents {
        mut certificates,
        mut keys,
    } = contents;
    let mut seen = Vec::new();
    certificates.retain(|certificate| {
        let new = !seen.contains(certificate);
        seen.push(certificate.clone());
        new
    });
    if certificates.is_empty() {
        return Err(no_certificate());
    }
    let mut parsed = Vec::new();
    for certificate in &certificates {
        parsed.push(Certificate::parse(certificate).map_err(|_| damaged_certificate())?);
    }
    let mut pairs = Vec::new();
    for (leaf, certificate) in parsed.iter().enumerate() {
        let own = |key: &Key| key.belongs_to(certificate) == Some(true);
        pairs.extend(keys.iter().position(own).map(|which| (which, leaf)));
    }
    match (pairs.as_slice(), keys.len()) {
        (_, 0) => Err(no_key(&Form::Pkcs12)),
        ([(which, leaf)], _) => {
            let order = in_order(&parsed, *leaf);
            let chain = order.iter().filter_map(|at| certificates.get(*at).cloned());
            Ok((chain.collect(), keys.swap_remove(*which)))
        }
        ([], 1) => Ok((certificates, keys.swap_remove(0))),
        (pairs, count) => Err(several(pairs, count, &parsed)),
    }
}

/// The places of a certificate and of those above it, up to the first whose issuer is not there.
fn in_order(certificates: &[Certificate], leaf: usize) -> Vec<usize> {
    let mut order = vec![leaf];
    while let Some(last) = order.last().and_then(|at| certificates.get(*at)) {
        let above = (0..certificates.len()).find(|at| {
            let issues = |it: &Certificate| it.subject() == last.issuer();
            !order.contains(at) && certificates.get(*at).is_some_and(issues)
        });
        match above {
            Some(above) => order.push(above),
            None => break,
        }
    }
    order
}

fn several(pairs: &[(usize, usize)], keys: usize, parsed: &[Certificate]) -> ReadError {
    let names: Vec<String> = pairs
        .iter()
        .filter_map(|(_, leaf)| parsed.get(*leaf))
        .map(|it| format!("{} (until {})", name_of(it.subject()), date(it.not_after())))
        .collect();
    let got = if names.is_empty() {
        format!("{keys} keys, and none belongs to a certificate")
    } else {
        format!("{}: {}", names.len(), names.join(", "))
    };
    ReadError::new(
        Cause::Ambiguous,
        "one certificate with its key in the PKCS #12 file",
        got,
        "In Keychain Access select the one certificate that is wanted, and export it alone.",
    )
}

fn other_kind(expected: &'static str, form: &Form) -> ReadError {
    let advice = match form {
        Form::Utf16 => "Save the file as UTF-8 or ASCII.",
        Form::FileName => {
            "Give what is in the file, or use the setting that takes the name of a file."
        }
        Form::Base64(_) => "Decode the base64, or add the BEGIN and END lines.",
        Form::Request => "Send the request to Apple, and name the certificate that comes back.",
        _ => "Export the certificate together with its key from Keychain Access as .p12.",
    };
    ReadError::new(Cause::OtherKind, expected, form.describe(), advice)
}

fn no_key(form: &Form) -> ReadError {
    let advice = match form {
        Form::Pkcs12 | Form::Certificate => {
            "In Keychain Access, under My Certificates, export the certificate and the key below \
            it together as .p12."
        }
        _ => "Name the file with the key that the certificate was requested with.",
    };
    let got = match form {
        Form::Pkcs12 => "one without".into(),
        other => other.describe(),
    };
    ReadError::new(Cause::KeyMissing, "a file with a private key", got, advice)
}

fn no_certificate() -> ReadError {
    ReadError::new(
        Cause::CertificateMissing,
        "a PKCS #12 file with a certificate",
        "one without",
        "In Keychain Access, under My Certificates, export the certificate and not only the key \
        below it.",
    )
}

fn damaged_certificate() -> ReadError {
    ReadError::damaged("a certificate (X.509)")
}

fn encrypted_otherwise(what: &str) -> ReadError {
    ReadError::new(
        Cause::Unsupported,
        "a private key encrypted by PBES2 with AES or 3DES, or not encrypted",
        what,
        "Convert it by `openssl pkcs8 -topk8 -in OLD -out NEW`.",
    )
}
