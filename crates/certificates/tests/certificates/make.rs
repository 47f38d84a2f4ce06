//! Makes what the tests read: certificates by rcgen, PKCS #12 without encryption by hand, and the
//! files in `tests/data`, which openssl has made.

use dunlin_certificates::{Identity, ReadError};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, Issuer, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A file of `tests/data`.
macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../data/", $name)).as_slice()
    };
}
pub(crate) use data;

/// The passphrase of the files in `tests/data`.
pub(crate) const PASSPHRASE: Option<&str> = Some("secret");

pub(crate) const DEVELOPMENT: &[u64] = &[1, 2, 840, 113_635, 100, 6, 3, 1];
pub(crate) const PRODUCTION: &[u64] = &[1, 2, 840, 113_635, 100, 6, 3, 2];
pub(crate) const NULL: &[u8] = &[5, 0];

/// What is asked of a certificate; the rest is as always.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) name: &'a str,
    pub(crate) user_id: &'a str,
    pub(crate) extensions: &'a [(&'a [u64], &'a [u8])],
    /// Years; 2020 to 2040 if both are zero.
    pub(crate) years: (i32, i32),
    pub(crate) code_signing: bool,
}

/// A certificate with its key.
pub(crate) struct Pair {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: KeyPair,
}

impl Pair {
    /// Signed by itself.
    pub(crate) fn new(asked: &Asked<'_>) -> Self {
        let key = KeyPair::generate().unwrap();
        Self::with_key(asked, key)
    }

    pub(crate) fn with_key(asked: &Asked<'_>, key: KeyPair) -> Self {
        let certificate = params(asked).self_signed(&key).unwrap().der().clone();
        Self { certificate, key }
    }

    /// Signed by the issuer of this name.
    pub(crate) fn issued(asked: &Asked<'_>, issuer: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let above = params(&Asked {
            name: issuer,
            ..Asked::default()
        });
        let issuer = Issuer::new(above, KeyPair::generate().unwrap());
        let certificate = params(asked).signed_by(&key, &issuer).unwrap();
        let certificate = certificate.der().clone();
        Self { certificate, key }
    }

    /// As PEM, certificate first.
    pub(crate) fn pem(&self) -> String {
        pem(&[&self.certificate], &self.key)
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::read(self.pem().as_bytes(), None, None).unwrap()
    }
}

fn params(asked: &Asked<'_>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if !asked.user_id.is_empty() {
        let kind = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]);
        params.distinguished_name.push(kind, asked.user_id);
    }
    if !asked.name.is_empty() {
        params
            .distinguished_name
            .push(DnType::CommonName, asked.name);
    }
    let (from, to) = match asked.years {
        (0, 0) => (2020, 2040),
        years => years,
    };
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    if asked.code_signing {
        params
            .extended_key_usages
            .push(rcgen::ExtendedKeyUsagePurpose::CodeSigning);
    }
    params.custom_extensions = asked
        .extensions
        .iter()
        .map(|(oid, content)| CustomExtension::from_oid_content(oid, content.to_vec()))
        .collect();
    params
}

/// Certificates and a key as PEM.
pub(crate) fn pem(chain: &[&CertificateDer<'_>], key: &KeyPair) -> String {
    let mut text: String = chain.iter().map(|der| block("CERTIFICATE", der)).collect();
    text.push_str(&key.serialize_pem());
    text
}

pub(crate) fn block(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// A DER value: a tag, a length and what is in it.
pub(crate) fn field(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match contents.len() {
        short @ 0..128 => [&[tag, u8::try_from(short).unwrap()], contents].concat(),
        _ => {
            let count = u8::try_from(length.len()).unwrap();
            [&[tag, 0x80 | count], length, contents].concat()
        }
    }
}

pub(crate) fn sequence(fields: &[&[u8]]) -> Vec<u8> {
    field(0x30, &fields.concat())
}

/// `1.2.840.113549.1.` and what follows: the numbers of PKCS.
fn pkcs(rest: &[u8]) -> Vec<u8> {
    field(
        6,
        &[b"\x2a\x86\x48\x86\xf7\x0d\x01".as_slice(), rest].concat(),
    )
}

fn bag(kind: u8, value: &[u8]) -> Vec<u8> {
    sequence(&[&pkcs(&[12, 10, 1, kind]), &field(0xa0, value)])
}

pub(crate) fn certificate_bag(der: &[u8]) -> Vec<u8> {
    bag(
        3,
        &sequence(&[&pkcs(&[9, 22, 1]), &field(0xa0, &field(4, der))]),
    )
}

pub(crate) fn key_bag(key: &KeyPair) -> Vec<u8> {
    bag(1, &key.serialize_der())
}

/// A key bag encrypted by 3DES with as many rounds of the key derivation; what is in it is noise.
pub(crate) fn encrypted_key_bag(rounds: &[u8]) -> Vec<u8> {
    let parameters = sequence(&[&field(4, &[1; 8]), &field(2, rounds)]);
    let algorithm = sequence(&[&pkcs(&[12, 1, 3]), &parameters]);
    bag(2, &sequence(&[&algorithm, &field(4, &[7; 64])]))
}

/// A PKCS #12 file without encryption and MAC; each slice of bags is a part of its own.
pub(crate) fn pfx(parts: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let data = |contents: &[u8]| sequence(&[&pkcs(&[7, 1]), &field(0xa0, &field(4, contents))]);
    let parts: Vec<u8> = parts
        .iter()
        .flat_map(|bags| data(&field(0x30, &bags.concat())))
        .collect();
    sequence(&[&field(2, &[3]), &data(&field(0x30, &parts))])
}

pub(crate) fn pkcs8(identity: &Identity) -> &[u8] {
    match identity.key() {
        PrivateKeyDer::Pkcs8(key) => key.secret_pkcs8_der(),
        other => panic!("{other:?}"),
    }
}

/// The key in `tests/data`.
pub(crate) fn the_key() -> Vec<u8> {
    use rustls::pki_types::pem::PemObject as _;
    let key = PrivatePkcs8KeyDer::from_pem_slice(data!("key.pkcs8.pem")).unwrap();
    key.secret_pkcs8_der().to_vec()
}

/// The error, which has to be one; identities are not printed.
pub(crate) fn refused(result: Result<Identity, ReadError>) -> ReadError {
    let error = result
        .map(|identity| identity.info().name.clone())
        .unwrap_err();
    assert!(error.advice().ends_with('.'), "{}", error.advice());
    error
}
