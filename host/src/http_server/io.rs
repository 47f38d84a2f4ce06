//! A socket that tells its [`Link`] what it takes and brings, and that does not take an answer away
//! with it when it is closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::link::{Link, Order};

/// How long a closed socket is read from, and how many bytes. Closed with bytes in it that nobody
/// has read, it would be reset, and the client might lose the answer that said why (RFC 9112,
/// section 9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// A socket and what is known of its connection.
pub(super) struct Watched {
    stream: TcpStream,
    link: Arc<Link>,
    lingering: Option<Pin<Box<Sleep>>>,
    lingered: usize,
}

impl Watched {
    pub fn new(stream: TcpStream, link: Arc<Link>) -> Self {
        Self {
            stream,
            link,
            lingering: None,
            lingered: 0,
        }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.link.has_written(result.is_pending());
        result
    }

    /// Reads what still comes, until the client has closed its side too.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4_096];
        while self.lingered < LINGER_BYTES && self.link.order() == Order::None {
            let mut buffer = ReadBuf::new(&mut bytes);
            if Pin::new(&mut self.stream)
                .poll_read(context, &mut buffer)
                .is_pending()
            {
                let sleep = self
                    .lingering
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
                return sleep.as_mut().poll(context).map(Ok);
            }
            let count = buffer.filled().len();
            if count == 0 {
                break;
            }
            self.lingered += count;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.link.has_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() && self.lingered == 0 {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        self.poll_linger(context)
    }
}
