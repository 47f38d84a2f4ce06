//! A TLS stream that flushes itself.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream as RustlsStream;
use wasmtime_wasi_tls::{TlsStream, TlsTransport};

/// A TLS stream that gets its buffered bytes out without being asked to.
///
/// A write is done when the transport has all of it. The session would take more at once, but
/// nobody would be left to flush it: the writer is asked again only when it has more to write, the
/// reader only when the peer answers, and the peer cannot answer half a record.
///
/// Reader and writer are different tasks, and the transport remembers one waker for room to write:
/// that of whoever asked last. When it was the reader, flushing, the writer would sleep on; so it
/// is woken here whenever a flush gets done.
pub(super) struct Flushing<S> {
    stream: S,
    /// Something was written since the last complete flush.
    dirty: bool,
    /// What the session has taken of a write that is not done.
    taken: Option<usize>,
    /// Who waits for a write to be done.
    writer: Option<Waker>,
}

impl<S> Flushing<S> {
    pub(super) fn new(stream: S) -> Self {
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
    use std::sync::Arc;
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
