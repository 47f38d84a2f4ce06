//! A connected TCP socket as the two byte streams of `wasi:sockets`.
//!
//! Bytes go between the socket and the function's memory without a copy in between. Both halves
//! report how they ended through a one-shot channel, which becomes the future that `send` and
//! `receive` return.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use wasmtime::component::{Destination, Source, StreamConsumer, StreamProducer, StreamResult};
use wasmtime::{AsContextMut as _, StoreContextMut};

use super::types::ErrorCode;

/// How much is read at once when the reader states no size, in bytes.
const READ_CAPACITY: usize = 64 * 1024;

pub(super) type EndSender = oneshot::Sender<Result<(), ErrorCode>>;

/// What an I/O error is called in `wasi:sockets`.
pub(super) fn error_code(error: &std::io::Error) -> ErrorCode {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::PermissionDenied => ErrorCode::AccessDenied,
        Kind::ConnectionRefused => ErrorCode::ConnectionRefused,
        Kind::ConnectionReset => ErrorCode::ConnectionReset,
        Kind::ConnectionAborted => ErrorCode::ConnectionAborted,
        Kind::BrokenPipe => ErrorCode::ConnectionBroken,
        Kind::TimedOut => ErrorCode::Timeout,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
            ErrorCode::RemoteUnreachable
        }
        Kind::InvalidInput => ErrorCode::InvalidArgument,
        Kind::OutOfMemory => ErrorCode::OutOfMemory,
        _ => ErrorCode::Other(Some(error.kind().to_string())),
    }
}

/// One direction of a connection, and whom to tell how it ended. Dropping it ends it well; of the
/// sending half, it also shuts the direction down.
pub(super) struct Half<H>(Option<(H, EndSender)>);

/// The receiving half: socket to function.
pub(super) type Receive = Half<OwnedReadHalf>;

/// The sending half: function to socket.
pub(super) type Send = Half<OwnedWriteHalf>;

impl<H> Half<H> {
    pub(super) fn new(half: H, end: EndSender) -> Self {
        Self(Some((half, end)))
    }

    fn close(&mut self, result: Result<(), ErrorCode>) {
        if let Some((_, end)) = self.0.take() {
            // Nobody waits for it when the function dropped the future.
            let _ = end.send(result);
        }
    }
}

impl<H> Drop for Half<H> {
    fn drop(&mut self) {
        self.close(Ok(()));
    }
}

impl<D> StreamProducer<D> for Receive {
    type Item = u8;
    type Buffer = BytesMut;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        dst: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((half, _)) = self.0.as_mut() else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        if dst.remaining(store.as_context_mut()) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut dst = dst.as_direct(store, READ_CAPACITY);
        let mut buffer = ReadBuf::new(dst.remaining());
        match Pin::new(half).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                self.close(Ok(()));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Ready(Ok(())) => {
                let count = buffer.filled().len();
                dst.mark_written(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => {
                self.close(Err(error_code(&error)));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<D> StreamConsumer<D> for Send {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<Self::Item>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((half, _)) = self.0.as_mut() else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        let mut source = source.as_direct(store);
        if source.remaining().is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match Pin::new(half).poll_write(cx, source.remaining()) {
            Poll::Ready(Ok(count)) => {
                source.mark_read(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => {
                self.close(Err(error_code(&error)));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
