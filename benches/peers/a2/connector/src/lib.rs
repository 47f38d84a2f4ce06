//! What a2 uses of hyper-rustls 0.26, for one server on this machine: TCP by the same
//! `HttpConnector`, TLS by the same rustls, the server's name as it was; but every connection goes
//! to [`ADDRESS`], and trusts [`AUTHORITY`] alone.

use std::env;
use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::client::WantsClientCert;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

/// The variable with the server's address, such as `127.0.0.1:4433`.
pub const ADDRESS: &str = "DRIVE_A2_ADDRESS";

/// The variable with the name of a file with the certificate authority, in PEM.
pub const AUTHORITY: &str = "DRIVE_A2_AUTHORITY";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connects to the server.
#[derive(Debug, Clone)]
pub struct HttpsConnector<T> {
    tcp: T,
    tls: Arc<ClientConfig>,
}

impl Service<Uri> for HttpsConnector<HttpConnector> {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, asked: Uri) -> Self::Future {
        let address = env::var(ADDRESS).unwrap_or_default();
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let mut tcp = self.tcp.clone();
        Box::pin(async move {
            let name = ServerName::try_from(asked.host().unwrap_or_default().to_owned())?;
            let tcp = tcp.call(format!("http://{address}/").parse()?).await?;
            let tls = connector.connect(name, tcp.into_inner()).await?;
            Ok(Stream(TokioIo::new(tls)))
        })
    }
}

/// A connection to the server.
#[derive(Debug)]
pub struct Stream(TokioIo<TlsStream<TcpStream>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().negotiated_h2()
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }
}

/// Makes a connector; its choices are made.
#[derive(Debug, Default)]
pub struct HttpsConnectorBuilder {
    tls: Option<ClientConfig>,
}

impl HttpsConnectorBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_webpki_roots(self) -> Self {
        self.with_tls_config(
            ClientConfig::builder()
                .with_webpki_roots()
                .with_no_client_auth(),
        )
    }

    pub fn with_tls_config(mut self, tls: ClientConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    pub fn https_only(self) -> Self {
        self
    }

    pub fn enable_http2(mut self) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.alpn_protocols = vec![b"h2".to_vec()];
        }
        self
    }

    pub fn build(self) -> HttpsConnector<HttpConnector> {
        HttpsConnector {
            tcp: HttpConnector::new(),
            tls: Arc::new(self.tls.expect("a2 has said what TLS to use")),
        }
    }
}

/// Roots of trust by the name that a2 knows.
pub trait ConfigBuilderExt {
    /// Trusts [`AUTHORITY`].
    fn with_webpki_roots(self) -> ConfigBuilder<ClientConfig, WantsClientCert>;
}

impl ConfigBuilderExt for ConfigBuilder<ClientConfig, WantsVerifier> {
    fn with_webpki_roots(self) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut roots = RootCertStore::empty();
        let pem = fs::read(env::var_os(AUTHORITY).unwrap_or_default()).unwrap_or_default();
        roots.add_parsable_certificates(rustls_pemfile::certs(&mut &pem[..]).flatten());
        self.with_root_certificates(roots)
    }
}
