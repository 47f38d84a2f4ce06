//! TLS for the function: `wasi:tls` on rustls, with trust, identity and ALPN chosen by server name.
//!
//! The function says which server it wants, and by a prefix ([`dunlin::tls_name`]) which protocol
//! and which client certificate; everything else (which roots, whose key) comes from the host's
//! configuration, so no certificate key ever enters the component.
//!
//! Two things the glue between `wasi:tls` and a TLS stream leaves to us:
//! - it never flushes, so bytes that a short write left inside the TLS session would stay there and
//!   the connection would stall. `Flushing` drives the flush itself: a write is done when it is
//!   out.
//! - it has no way to say which protocol was negotiated, so a server that does not speak the one we
//!   offer must fail the handshake: a connection without it is closed here.

mod flushing;
mod identity;

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use dunlin::tls_name::{Protocol, TlsName};
use dunlin_certificates::Finding;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use wasmtime_wasi_tls::{Error, TlsProvider, TlsStream, TlsTransport};

use flushing::Flushing;
pub use identity::read_file;
pub use identity::{Identity, PASSPHRASE_MAX_BYTES};

type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn TlsStream>, Error>> + Send>>;

/// The protocol of the provider API.
pub const ALPN_H2: &[u8] = b"h2";

/// What a client configuration is made of: the name whose roots it trusts (`None`: the public
/// ones), an identity, a protocol.
type Recipe = (Option<String>, Option<String>, Protocol);

/// Trust by server name, and identities by their own names.
#[derive(Clone)]
pub struct Provider {
    shared: Arc<SharedTls>,
}

struct SharedTls {
    public: Arc<RootCertStore>,
    roots: BTreeMap<String, Arc<RootCertStore>>,
    identities: BTreeMap<String, Identity>,
    /// Made when first asked for, so that sessions are resumed. Bounded by what can be asked for:
    /// names and identities of the configuration, and two protocols.
    made: Mutex<BTreeMap<Recipe, Arc<ClientConfig>>>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider")
            .field("trust", &self.shared.roots.keys())
            .field("identities", &self.shared.identities.keys())
            .finish_non_exhaustive()
    }
}

/// Why trust or an identity could not be set up.
#[derive(Debug)]
pub struct TrustError(String);

impl TrustError {
    /// What is wrong with an identity, by its name in the configuration, and what to do.
    pub fn of_identity(name: &str, found: &Finding) -> Self {
        let Finding { what, advice, .. } = found;
        Self(format!("tls.identities.{name}: {what}. {advice}"))
    }
}

impl std::fmt::Display for TrustError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TrustError {}

impl Provider {
    /// Trusts the roots in the PEM file given for a name instead of the public ones, and shows
    /// the identities when the function asks for them.
    ///
    /// # Errors
    /// If a file cannot be read, holds no certificate, or an identity's key is not its
    /// certificate's.
    pub fn new<'a>(
        trust: impl IntoIterator<Item = (&'a str, &'a Path)>,
        identities: impl IntoIterator<Item = (&'a str, Identity)>,
    ) -> Result<Self, TrustError> {
        let public = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let roots = trust
            .into_iter()
            .map(|(name, path)| Ok((name.to_ascii_lowercase(), Arc::new(roots_from(path)?))))
            .collect::<Result<_, TrustError>>()?;
        let identities = identities
            .into_iter()
            .map(|(name, identity)| (name.to_owned(), identity))
            .collect();
        let shared = SharedTls {
            public: Arc::new(public),
            roots,
            identities,
            made: Mutex::default(),
        };
        // A key that does not fit shows now and not at the first push.
        for name in shared.identities.keys() {
            shared.make(&(None, Some(name.clone()), Protocol::Binary))?;
        }
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl Provider {
    /// How TLS is done with a server.
    ///
    /// # Errors
    /// If the name asks for an identity that is not there.
    pub fn client_config(&self, name: &TlsName) -> Result<Arc<ClientConfig>, TrustError> {
        self.shared.config_for(name)
    }
}

impl SharedTls {
    fn config_for(&self, name: &TlsName) -> Result<Arc<ClientConfig>, TrustError> {
        let host = name.host.to_ascii_lowercase();
        let trusted = self.roots.contains_key(&host).then_some(host);
        let recipe = (trusted, name.identity.clone(), name.protocol);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = made.get(&recipe) {
            return Ok(Arc::clone(config));
        }
        let config = self.make(&recipe)?;
        made.insert(recipe, Arc::clone(&config));
        Ok(config)
    }

    fn make(
        &self,
        (trusted, identity, protocol): &Recipe,
    ) -> Result<Arc<ClientConfig>, TrustError> {
        let roots = trusted
            .as_ref()
            .and_then(|name| self.roots.get(name))
            .unwrap_or(&self.public);
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let failed = |error: rustls::Error| TrustError(error.to_string());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&crypto))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_root_certificates(Arc::clone(roots));
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let identity = self
                    .identities
                    .get(name)
                    .ok_or_else(|| TrustError(format!("there is no [tls.identities.{name}]")))?;
                let shown = identity.shown(&crypto);
                let shown = shown.map_err(|found| TrustError::of_identity(name, &found))?;
                builder.with_client_cert_resolver(shown)
            }
        };
        if *protocol == Protocol::Http2 {
            config.alpn_protocols = vec![ALPN_H2.to_vec()];
        }
        Ok(Arc::new(config))
    }
}

/// The trust roots in a PEM file.
///
/// # Errors
/// If it cannot be read, or has none; the error names it.
pub fn roots_from(path: &Path) -> Result<RootCertStore, TrustError> {
    let failed = |why: &dyn std::fmt::Display| {
        TrustError(format!("trust roots in {}: {why}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))? {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() {
        return Err(failed(&"expected at least one PEM certificate, got none"));
    }
    Ok(roots)
}

impl TlsProvider for Provider {
    fn connect(&self, server_name: String, transport: Box<dyn TlsTransport>) -> Connecting {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let wanted =
                TlsName::parse(&server_name).map_err(|error| Error::msg(error.to_string()))?;
            let config = shared.config_for(&wanted);
            let config = config.map_err(|error| Error::msg(error.to_string()))?;
            let TlsName { host, protocol, .. } = wanted;
            let name = ServerName::try_from(host.clone())
                .map_err(|_| Error::msg("expected a DNS name or an IP address"))?;
            let stream = TlsConnector::from(config).connect(name, transport).await?;
            match (protocol, stream.get_ref().1.alpn_protocol()) {
                (Protocol::Http2, Some(ALPN_H2)) | (Protocol::Binary, None) => {
                    Ok(Box::new(Flushing::new(stream)) as _)
                }
                (protocol, got) => Err(Error::msg(format!(
                    "{host}: expected the server to speak {}, got {}",
                    match protocol {
                        Protocol::Http2 => "h2",
                        Protocol::Binary => "no protocol of ALPN",
                    },
                    got.map_or("nothing".into(), String::from_utf8_lossy),
                ))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Apple, *Establishing a connection to APNs*: its servers' certificates are of this root.
    #[test]
    fn the_public_roots_have_that_of_apples_servers() {
        let provider = Provider::new(std::iter::empty(), std::iter::empty()).unwrap();
        let name = b"USERTrust RSA Certification Authority";
        let mut roots = provider.shared.public.roots.iter();
        let has = |subject: &[u8]| subject.windows(name.len()).any(|part| part == name);
        assert!(roots.any(|root| has(&root.subject)));
    }
}
