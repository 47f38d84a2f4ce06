//! Standard error of an instance as lines for the operator.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::Operator;

/// Longest line that is read; the rest of a longer one is dropped. Ours.
pub(super) const LINE_MAX_BYTES: usize = 4 * 1024;

/// Bytes that an instance may write at once.
const WRITE_BYTES: usize = 64 * 1024;

/// Standard error of one instance: bytes become lines. Rust writes a line in pieces, and each to a
/// stream of its own, so that they share what has come of it.
#[derive(Clone)]
pub(crate) struct Intake(Arc<Reader>);

impl Intake {
    pub(super) fn new(operator: Arc<Operator>) -> Self {
        let line = Mutex::default();
        Self(Arc::new(Reader { operator, line }))
    }

    pub(super) fn take(&self, bytes: &[u8]) {
        self.0.take(bytes);
    }
}

struct Reader {
    operator: Arc<Operator>,
    line: Mutex<Vec<u8>>,
}

impl Reader {
    fn take(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (part, is_whole) = match part.strip_suffix(b"\n") {
                Some(part) => (part, true),
                None => (part, false),
            };
            let room = LINE_MAX_BYTES.saturating_sub(line.len());
            line.extend(part.iter().take(room));
            if is_whole {
                let whole = std::mem::take(&mut *line);
                let whole = String::from_utf8_lossy(&whole);
                if !whole.trim().is_empty() {
                    self.operator.line(whole.trim_end());
                }
            }
        }
    }
}

impl Drop for Reader {
    /// What a trap has cut off is told all the same.
    fn drop(&mut self) {
        if !self
            .line
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
        {
            self.take(b"\n");
        }
    }
}

impl IsTerminal for Intake {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Intake {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Intake {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Intake {
    async fn ready(&mut self) {}
}

impl OutputStream for Intake {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}
