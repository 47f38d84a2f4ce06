//! A TLS name becomes a client configuration: whose roots, which identity, which protocol.
//!
//! The same rules as the host's: roots by server name, the identity by the name before the `@`,
//! ALPN `h2` unless it is a binary protocol. A configuration is made when it is first asked for and
//! kept, so that sessions are resumed. Bound: as many as there are names, identities and two
//! protocols.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin::config::{IdentityFiles, TlsSettings};
use dunlin::tls_name::{Protocol, TlsName};
use dunlin_certificates::Identity;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CipherSuite, ClientConfig, RootCertStore};

use crate::TlsError;
use crate::settings::{passphrase, read};

/// Most servers that sessions are kept of, for each configuration; beyond it the oldest goes.
pub const SESSIONS_MAX: usize = 32;

/// The protocol of the provider API.
pub(crate) const ALPN_H2: &[u8] = b"h2";

/// The name whose roots are trusted (`None`: the public ones), an identity, a protocol.
type Recipe = (Option<String>, Option<String>, Protocol);

/// Client configurations by TLS name.
pub struct Provider {
    folder: PathBuf,
    trust: BTreeMap<String, PathBuf>,
    identities: BTreeMap<String, IdentityFiles>,
    crypto: Arc<CryptoProvider>,
    made: BTreeMap<Recipe, Arc<ClientConfig>>,
}

impl core::fmt::Debug for Provider {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Provider")
            .field("trust", &self.trust.keys())
            .field("identities", &self.identities.keys())
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// Reads its files when they are needed; their paths are relative to `folder`.
    pub fn new(settings: TlsSettings, folder: &Path) -> Self {
        let TlsSettings { trust, identities } = settings;
        let trust = trust
            .into_iter()
            .map(|(name, path)| (name.to_ascii_lowercase(), path));
        Self {
            folder: folder.to_owned(),
            trust: trust.collect(),
            identities,
            crypto: Arc::new(crypto()),
            made: BTreeMap::new(),
        }
    }

    /// How TLS is done with a server.
    ///
    /// # Errors
    /// If the name asks for an identity that is not there, or a file is not what it should be. It
    /// is read again when it is next asked for.
    pub fn config_for(&mut self, name: &TlsName) -> Result<Arc<ClientConfig>, TlsError> {
        let host = name.host.to_ascii_lowercase();
        let trusted = self.trust.contains_key(&host).then_some(host);
        let recipe = (trusted, name.identity.clone(), name.protocol);
        if let Some(config) = self.made.get(&recipe) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.make(&recipe)?);
        self.made.insert(recipe, Arc::clone(&config));
        Ok(config)
    }

    fn make(&self, (trusted, identity, protocol): &Recipe) -> Result<ClientConfig, TlsError> {
        let roots = match trusted.as_ref().and_then(|name| self.trust.get(name)) {
            Some(path) => roots_from(&self.folder.join(path))?,
            None => RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.crypto))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let named = |why: &dyn core::fmt::Display| {
                    TlsError::new(format!("tls.identities.{name}: {why}"))
                };
                let identity = self.identity(name).map_err(|error| named(&error))?;
                let shown = identity
                    .shown(&self.crypto)
                    .map_err(|found| named(&found))?;
                builder.with_client_cert_resolver(shown)
            }
        };
        if *protocol == Protocol::Http2 {
            config.alpn_protocols = vec![ALPN_H2.to_vec()];
        }
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Ok(config)
    }

    fn identity(&self, name: &str) -> Result<Identity, TlsError> {
        let missing = || TlsError::new("there is no such identity in the configuration");
        let files = self.identities.get(name).ok_or_else(missing)?;
        let certificate = read(&self.folder.join(&files.certificate))?;
        let key = match &files.key {
            Some(path) => Some(read(&self.folder.join(path))?),
            None => None,
        };
        let passphrase = passphrase(files, &self.folder)?;
        Identity::read(&certificate, key.as_deref(), passphrase.as_deref())
            .map_err(|error| TlsError::new(error.to_string()))
    }
}

/// ring's, with ChaCha20-Poly1305 first: a sandbox has no instructions for AES, and doing without
/// them takes several times as long.
fn crypto() -> CryptoProvider {
    let mut crypto = rustls::crypto::ring::default_provider();
    let is_fast = |suite: CipherSuite| {
        matches!(
            suite,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        )
    };
    // The sort is stable, so 1.3 stays before 1.2.
    crypto
        .cipher_suites
        .sort_by_key(|suite| !is_fast(suite.suite()));
    crypto
}

/// The trust roots in a PEM file.
fn roots_from(path: &Path) -> Result<RootCertStore, TlsError> {
    let failed = |why: &dyn core::fmt::Display| {
        TlsError::new(format!("trust roots in {}: {why}", path.display()))
    };
    let file = read(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&file) {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() {
        return Err(failed(&"expected at least one PEM certificate, got none"));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TlsName {
        TlsName::parse(text).unwrap()
    }

    fn provider(folder: &Path, settings: &str) -> Provider {
        Provider::new(crate::parse(settings).unwrap(), folder)
    }

    #[test]
    fn the_name_decides_protocol_and_configuration_is_kept() {
        let mut provider = provider(Path::new(""), "");
        let http2 = provider.config_for(&name("api.push.apple.com")).unwrap();
        assert_eq!(http2.alpn_protocols, [ALPN_H2.to_vec()]);
        let again = provider.config_for(&name("api.push.apple.com")).unwrap();
        assert!(Arc::ptr_eq(&http2, &again), "sessions are resumed");
        let binary = provider
            .config_for(&name("binary:@gateway.example"))
            .unwrap();
        assert!(binary.alpn_protocols.is_empty());
    }

    #[test]
    fn an_identity_that_is_not_there_is_refused_by_its_name() {
        let mut provider = provider(Path::new(""), "");
        let error = provider.config_for(&name("shop@host.example")).unwrap_err();
        assert!(
            error.to_string().starts_with("tls.identities.shop: "),
            "{error}"
        );
    }

    #[test]
    fn a_root_file_without_certificates_trusts_nobody() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), "nothing").unwrap();
        let mut provider = provider(folder.path(), "[tls.trust]\n\"Host.Example\" = 'ca.pem'");
        let error = provider.config_for(&name("HOST.example")).unwrap_err();
        assert!(
            error.to_string().contains("at least one PEM certificate"),
            "{error}"
        );
        assert!(
            provider.config_for(&name("other.example")).is_ok(),
            "by the public roots"
        );
    }

    #[test]
    fn chacha20_comes_first_and_nothing_is_left_out() {
        let ours = crypto().cipher_suites;
        let all = rustls::crypto::ring::default_provider().cipher_suites;
        assert_eq!(ours.len(), all.len());
        assert_eq!(
            ours.first().unwrap().suite(),
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
        );
    }
}
