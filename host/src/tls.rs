//! TLS for the function: `wasi:tls` on rustls, with ALPN and trust chosen by server name.
//!
//! The function says which server it wants; everything else (which roots, which protocols) comes
//! from the host's configuration, so no certificate key ever enters the component.
//!
//! Two things the glue between `wasi:tls` and a TLS stream leaves to us:
//! - it never flushes, so bytes that a short write left inside the TLS session would stay there and
//!   the connection would stall. [`Flushing`] drives the flush itself, at every read and write.
//! - it has no way to say which protocol was negotiated, so a server that does not speak the one we
//!   offer must fail the handshake: a connection without it is closed here.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as RustlsStream;
use wasmtime_wasi_tls::{Error, TlsProvider, TlsStream, TlsTransport};

type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn TlsStream>, Error>> + Send>>;

/// The protocol of the provider API.
const ALPN_H2: &[u8] = b"h2";

/// Client configurations by server name; names without one get the public roots.
#[derive(Clone, Debug)]
pub struct Provider {
    public: Arc<ClientConfig>,
    by_name: Arc<BTreeMap<String, Arc<ClientConfig>>>,
}

/// Why trust could not be set up.
#[derive(Debug)]
pub struct TrustError(String);

impl std::fmt::Display for TrustError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TrustError {}

impl Provider {
    /// Trusts the roots in the PEM file given for a name instead of the public ones.
    ///
    /// # Errors
    /// If a file cannot be read or holds no certificate.
    pub fn new<'a>(
        trust: impl IntoIterator<Item = (&'a str, &'a Path)>,
    ) -> Result<Self, TrustError> {
        let public = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let by_name = trust
            .into_iter()
            .map(|(name, path)| Ok((name.to_ascii_lowercase(), client_config(roots_from(path)?)?)))
            .collect::<Result<_, TrustError>>()?;
        Ok(Self {
            public: client_config(public)?,
            by_name: Arc::new(by_name),
        })
    }

    fn config_for(&self, name: &str) -> Arc<ClientConfig> {
        let chosen = self
            .by_name
            .get(&name.to_ascii_lowercase())
            .unwrap_or(&self.public);
        Arc::clone(chosen)
    }
}

fn roots_from(path: &Path) -> Result<RootCertStore, TrustError> {
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

fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    Ok(Arc::new(config))
}

impl TlsProvider for Provider {
    fn connect(&self, server_name: String, transport: Box<dyn TlsTransport>) -> Connecting {
        let config = self.config_for(&server_name);
        Box::pin(async move {
            let name = ServerName::try_from(server_name.clone())
                .map_err(|_| Error::msg("expected a DNS name or an IP address"))?;
            let stream = TlsConnector::from(config).connect(name, transport).await?;
            match stream.get_ref().1.alpn_protocol() {
                Some(ALPN_H2) => Ok(Box::new(Flushing {
                    stream,
                    dirty: false,
                }) as _),
                got => Err(Error::msg(format!(
                    "{server_name}: expected the server to speak h2, got {}",
                    got.map_or("nothing".into(), String::from_utf8_lossy),
                ))),
            }
        })
    }
}

/// A TLS stream that gets its buffered bytes out without being asked to.
struct Flushing {
    stream: RustlsStream<Box<dyn TlsTransport>>,
    /// Something was written since the last complete flush.
    dirty: bool,
}

impl TlsStream for Flushing {}

impl Flushing {
    /// Pushes what is buffered as far as the transport takes it.
    fn drive_flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.dirty
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            flushed?;
            self.dirty = false;
        }
        Ok(())
    }
}

impl AsyncRead for Flushing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.drive_flush(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Flushing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if matches!(written, Poll::Ready(Ok(_))) {
            self.dirty = true;
            self.drive_flush(cx)?;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
