//! TLS for the function: `wasi:tls` on rustls, with ALPN and trust chosen by server name.
//!
//! The function says which server it wants; everything else (which roots, which protocols) comes
//! from the host's configuration, so no certificate key ever enters the component.
//!
//! Two things the glue between `wasi:tls` and a TLS stream leaves to us:
//! - it never flushes, so bytes that a short write left inside the TLS session would stay there and
//!   the connection would stall. `Flushing` drives the flush itself: a write is done when it is out.
//! - it has no way to say which protocol was negotiated, so a server that does not speak the one we
//!   offer must fail the handshake: a connection without it is closed here.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

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
                Some(ALPN_H2) => Ok(Box::new(Flushing::new(stream)) as _),
                got => Err(Error::msg(format!(
                    "{server_name}: expected the server to speak h2, got {}",
                    got.map_or("nothing".into(), String::from_utf8_lossy),
                ))),
            }
        })
    }
}

/// A TLS stream that gets its buffered bytes out without being asked to.
///
/// A write is done when the transport has all of it. The session would take more at once, but
/// nobody would be left to flush it: the writer is asked again only when it has more to write, the
/// reader only when the peer answers, and the peer cannot answer half a record.
///
/// Reader and writer are different tasks, and the transport remembers one waker for room to write:
/// that of whoever asked last. When it was the reader, flushing, the writer would sleep on; so it
/// is woken here whenever a flush gets done.
struct Flushing<S> {
    stream: S,
    /// Something was written since the last complete flush.
    dirty: bool,
    /// What the session has taken of a write that is not done.
    taken: Option<usize>,
    /// Who waits for a write to be done.
    writer: Option<Waker>,
}

impl<S> Flushing<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            dirty: false,
            taken: None,
            writer: None,
        }
    }
}

impl TlsStream for Flushing<RustlsStream<Box<dyn TlsTransport>>> {}

impl<S: AsyncWrite + Unpin> Flushing<S> {
    /// Pushes what is buffered as far as the transport takes it.
    fn drive_flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.dirty
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            self.dirty = false;
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
            flushed?;
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Flushing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let flushed = self.drive_flush(cx);
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        // What the peer said before it stopped listening comes first.
        if buffer.filled().len() > before {
            return read;
        }
        flushed?;
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Flushing<S> {
    /// Asked again while pending, it must be with the same bytes, as the glue does.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer = Some(cx.waker().clone());
        let count = match self.taken {
            Some(count) => count,
            None => {
                let count = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
                self.dirty = true;
                self.taken = Some(count);
                count
            }
        };
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        (self.dirty, self.taken, self.writer) = (false, None, None);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A session in front of a pipe: takes a write whole, keeps what the pipe does not take.
    struct Session<P> {
        pipe: P,
        kept: Vec<u8>,
    }

    impl<P: AsyncWrite + Unpin> Session<P> {
        fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            while !self.kept.is_empty() {
                match Pin::new(&mut self.pipe).poll_write(cx, &self.kept) {
                    Poll::Ready(count) => drop(self.kept.drain(..count?)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    impl<P: AsyncWrite + Unpin> AsyncWrite for Session<P> {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.drain(cx).is_pending() {
                return Poll::Pending;
            }
            self.kept.extend_from_slice(bytes);
            let _ = self.drain(cx);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.drain(cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl<P: AsyncRead + Unpin> AsyncRead for Session<P> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.pipe).poll_read(cx, buffer)
        }
    }

    #[tokio::test]
    async fn a_writer_is_woken_when_the_reader_has_flushed_for_it() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut stream = Flushing::new(Session {
            pipe: near,
            kept: Vec::new(),
        });
        let (writer, reader) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (writing, reading) = (Waker::from(Arc::clone(&writer)), Waker::from(reader));
        let mut writes = Context::from_waker(&writing);
        let mut reads = Context::from_waker(&reading);
        let mut write =
            |stream: &mut Flushing<_>| Pin::new(stream).poll_write(&mut writes, &[1; 40]);
        assert!(
            write(&mut stream).is_pending(),
            "24 bytes are still in the session"
        );
        let mut space = [0; 8];
        let mut buffer = ReadBuf::new(&mut space);
        // The reader is polled last, so the pipe wakes the reader and not the writer.
        assert!(
            Pin::new(&mut stream)
                .poll_read(&mut reads, &mut buffer)
                .is_pending()
        );
        for _ in 0..2 {
            far.read_exact(&mut [0; 16]).await.unwrap();
            assert!(
                Pin::new(&mut stream)
                    .poll_read(&mut reads, &mut buffer)
                    .is_pending()
            );
        }
        assert_eq!(writer.0.load(Ordering::Relaxed), 1);
        assert!(
            matches!(write(&mut stream), Poll::Ready(Ok(40))),
            "and written once"
        );
        far.read_exact(&mut [0; 8]).await.unwrap();
        assert!(stream.stream.kept.is_empty());
    }
}
