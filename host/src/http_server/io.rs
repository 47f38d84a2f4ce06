//! A socket that tells its [`ClientConnection`] what it takes and brings, and that does not take an
//! answer away with it when it is closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::client_connection::{ClientConnection, Instruction};

/// How long a closed socket is read from, and how many bytes. Closed with bytes in it that nobody
/// has read, it would be reset, and the client might lose the answer that said why (RFC 9112,
/// section 9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// What is read of a connection that has shown no key before the others have their turn, in bytes:
/// a head, or some of a flood of them.
const KEYLESS_TURN: usize = 256;

/// A socket and what is known of its connection.
pub(super) struct Watched {
    /// Absent after it could not be moved.
    stream: Option<TcpStream>,
    /// Whether the system tells of it where the connection's task is.
    has_moved: bool,
    /// The last turn of its task, and how many bytes were read in it.
    turn: u64,
    read: usize,
    client: Arc<ClientConnection>,
    lingering: Option<Pin<Box<Sleep>>>,
    lingered: usize,
}

impl Watched {
    pub fn new(stream: TcpStream, client: Arc<ClientConnection>) -> Self {
        Self {
            stream: Some(stream),
            has_moved: false,
            turn: 0,
            read: 0,
            client,
            lingering: None,
            lingered: 0,
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let stream = self.stream.as_mut().map(Pin::new);
        stream.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// From here on the system tells the threads of the connection's task of its socket, so that no
    /// other thread has to wake them for each request.
    fn move_in(&mut self, context: &Context<'_>) -> io::Result<()> {
        self.has_moved = true;
        if let Some(stream) = self.stream.take() {
            self.stream = Some(TcpStream::from_std(stream.into_std()?)?);
        }
        // Whatever waited for the socket asks again.
        context.waker().wake_by_ref();
        Ok(())
    }

    /// Reads a little, and lets others have their turn. By then, what could be written is written:
    /// a client that has not taken it has given no window for it, and is not worth another turn.
    fn poll_read_keyless(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let turn = self.client.turn();
        if turn != self.turn {
            (self.turn, self.read) = (turn, 0);
            if self.client.takes_too_little() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
        if self.read >= KEYLESS_TURN {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut bytes = [0; KEYLESS_TURN];
        let most = (KEYLESS_TURN - self.read).min(buffer.remaining());
        let mut piece = ReadBuf::new(bytes.get_mut(..most).unwrap_or_default());
        let result = self.stream()?.poll_read(context, &mut piece);
        buffer.put_slice(piece.filled());
        self.read += piece.filled().len();
        result
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.client.has_written(result.is_pending());
        result
    }

    /// Reads what still comes, until the client has closed its side too.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4_096];
        while self.lingered < LINGER_BYTES && self.client.instruction() == Instruction::None {
            let mut buffer = ReadBuf::new(&mut bytes);
            if self.stream()?.poll_read(context, &mut buffer).is_pending() {
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
        if !self.has_moved && self.client.has_moved() {
            self.move_in(context)?;
        }
        let before = buffer.filled().len();
        match self.client.is_keyed() {
            true => ready!(self.stream()?.poll_read(context, buffer))?,
            false => ready!(self.poll_read_keyless(context, buffer))?,
        }
        if buffer.filled().len() > before {
            self.client.has_read();
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
        let result = self.stream()?.poll_write(context, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream()?.poll_write_vectored(context, slices);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        // As every TCP socket.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() && self.lingered == 0 {
            ready!(self.stream()?.poll_shutdown(context))?;
        }
        self.poll_linger(context)
    }
}
