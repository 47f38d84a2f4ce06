//! Turns a key pair into the simulator's certificate authority, and that into the TLS identities of
//! its servers and of their clients.
//!
//! Source: RFC 5280 4.2.1 (extensions), RFC 7301 (ALPN), `docs/protocols.md` 1.1 (client
//! certificates) and 3.1 (TLS 1.2 or later).
//!
//! ```text
//! CertificateAuthority (kept between runs if the caller stores its two PEM texts)
//!   ├─ server certificates, new at every start, for Config::names
//!   └─ client certificates, as many as are asked for, each for one topic
//! ```
//!
//! Invariant: a server certificate verifies against the authority's certificate as it was stored,
//! because its issuer is rebuilt from the same name and the same key.
//!
//! Left to others: where the PEM texts are kept.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientCertVerifierBuilder, WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};

use crate::topic::{USER_ID_ARCS, is_topic};

/// A certificate authority that signs the certificates of the simulator and of its clients.
///
/// Its private key is a secret of the machine that trusts it: store [`key_pem`](Self::key_pem)
/// readable by the owner only.
#[derive(Clone)]
pub struct CertificateAuthority {
    certificate_pem: String,
    key_pem: String,
}

impl CertificateAuthority {
    /// Makes a new key and a self-signed certificate for it.
    pub fn generate() -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = authority_params()
            .self_signed(&key)
            .map_err(io::Error::other)?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// Takes back what [`certificate_pem`](Self::certificate_pem) and [`key_pem`](Self::key_pem)
    /// gave. Fails if the certificate is not for the key.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> io::Result<Self> {
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|error| invalid(format!("expected a PEM CERTIFICATE, got: {error}")))?;
        let key = KeyPair::from_pem(key_pem)
            .map_err(|error| invalid(format!("expected a PEM PRIVATE KEY, got: {error}")))?;
        let public = key.subject_public_key_info();
        if !der.windows(public.len()).any(|window| window == public) {
            return Err(invalid(
                "expected the certificate of this private key, got another's".into(),
            ));
        }
        Ok(Self {
            certificate_pem: certificate_pem.to_owned(),
            key_pem: key_pem.to_owned(),
        })
    }

    /// The certificate clients have to trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key (PKCS#8).
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Makes a client certificate for one topic, good for all services.
    /// Like Apple's it says the topic in the subject's `UID`.
    ///
    /// Fails if `topic` cannot be one: 1 to 255 letters, digits, `-` and `_`, with single dots
    /// between.
    pub fn issue_client(&self, topic: &str) -> io::Result<ClientCertificate> {
        if !is_topic(topic) {
            return Err(invalid(format!(
                "expected a topic such as com.example.app, got {} other characters",
                topic.chars().count()
            )));
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let subject = &mut params.distinguished_name;
        subject.push(DnType::CustomDnType(USER_ID_ARCS.to_vec()), topic);
        subject.push(DnType::CommonName, format!("Apple Push Services: {topic}"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (certificate, key) = self.sign(params).map_err(io::Error::other)?;
        Ok(ClientCertificate {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// A TLS server configuration with a new certificate for `names`, speaking only `protocol`. A
    /// client may show a certificate of this authority, or none.
    pub(crate) fn server_config(
        &self,
        names: &[String],
        protocol: &[u8],
    ) -> io::Result<Arc<ServerConfig>> {
        let verifier = self.client_verifier()?.allow_unauthenticated();
        let verifier = verifier.build().map_err(io::Error::other)?;
        let mut config = self.finish(names, builder()?.with_client_cert_verifier(verifier))?;
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Arc::new(config))
    }

    /// The same for clients that have to show a certificate of this authority, without ALPN.
    pub(crate) fn mutual_config(&self, names: &[String]) -> io::Result<Arc<ServerConfig>> {
        let verifier = self.client_verifier()?.build().map_err(io::Error::other)?;
        let builder = builder()?.with_client_cert_verifier(verifier);
        Ok(Arc::new(self.finish(names, builder)?))
    }

    fn client_verifier(&self) -> io::Result<ClientCertVerifierBuilder> {
        let own = CertificateDer::from_pem_slice(self.certificate_pem.as_bytes())
            .map_err(io::Error::other)?;
        let mut roots = RootCertStore::empty();
        roots.add(own).map_err(io::Error::other)?;
        let roots = Arc::new(roots);
        Ok(WebPkiClientVerifier::builder_with_provider(
            roots,
            crypto_provider(),
        ))
    }

    fn finish(
        &self,
        names: &[String],
        builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    ) -> io::Result<ServerConfig> {
        let mut params = CertificateParams::new(names.to_vec()).map_err(io::Error::other)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Dunlin simulator");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (certificate, key) = self.sign(params).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(io::Error::other)
    }

    /// A certificate at the end of the chain, good from yesterday on, and its new key.
    fn sign(&self, mut params: CertificateParams) -> Result<(Certificate, KeyPair), rcgen::Error> {
        let issuer = Issuer::new(authority_params(), KeyPair::from_pem(&self.key_pem)?);
        let key = KeyPair::generate()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = date_time_ymd(1970, 1, 1) + since_1970;
        params.not_before = now - DAY;
        params.not_after = now + LEAF_LIFETIME;
        Ok((params.signed_by(&key, &issuer)?, key))
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateAuthority(key redacted)")
    }
}

/// What a client of the binary gateway and of the feedback service shows of itself, and one of the
/// provider API may show in the place of provider tokens.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key (PKCS#8): a secret.
    pub key_pem: String,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(key redacted)")
    }
}

fn builder() -> io::Result<ConfigBuilder<ServerConfig, WantsVerifier>> {
    ServerConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])
        .map_err(io::Error::other)
}

fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The same for every authority, so that one stored earlier is still the issuer's name.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Dunlin simulator authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

const DAY: Duration = Duration::from_secs(86_400);

/// Some systems refuse a server certificate that lives longer than 825 days.
const LEAF_LIFETIME: Duration = Duration::from_secs(800 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_survives_its_pem_texts() {
        let authority = CertificateAuthority::generate().unwrap();
        let again =
            CertificateAuthority::from_pem(authority.certificate_pem(), authority.key_pem())
                .unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        assert_eq!(
            again.server_config(&names, b"h2").unwrap().alpn_protocols,
            [b"h2".to_vec()]
        );
    }

    #[test]
    fn a_certificate_of_another_key_is_refused() {
        let one = CertificateAuthority::generate().unwrap();
        let other = CertificateAuthority::generate().unwrap();
        let error = CertificateAuthority::from_pem(one.certificate_pem(), other.key_pem());
        assert!(error.unwrap_err().to_string().starts_with("expected"));
        assert!(CertificateAuthority::from_pem("", one.key_pem()).is_err());
        assert!(CertificateAuthority::from_pem(one.certificate_pem(), "").is_err());
    }

    #[test]
    fn the_key_is_not_printed() {
        let authority = CertificateAuthority::generate().unwrap();
        assert_eq!(
            format!("{authority:?}"),
            "CertificateAuthority(key redacted)"
        );
        let client = authority.issue_client("com.example.app").unwrap();
        assert_eq!(format!("{client:?}"), "ClientCertificate(key redacted)");
    }

    #[test]
    fn a_client_certificate_is_for_its_topic() {
        let authority = CertificateAuthority::generate().unwrap();
        let client = authority.issue_client("com.example.app").unwrap();
        let der = CertificateDer::from_pem_slice(client.certificate_pem.as_bytes()).unwrap();
        let topic = crate::topic::of_certificate(&der);
        assert_eq!(topic.as_deref(), Some("com.example.app"));
        for bad in ["", "com..example", "com.example app", "ä"] {
            let error = authority.issue_client(bad).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bad}");
        }
    }
}
