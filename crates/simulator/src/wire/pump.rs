//! Moves the bytes of one connection in both directions, frame by frame, and carries out
//! instructions.
//!
//! Source: RFC 9113 section 5.4.1 (ending a connection). After a close by us the client gets
//! [`LINGER`] to read what is under way: closing a socket that has unread bytes resets it, and a
//! GOAWAY on its way would be lost.

use std::io;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Instruction;
use super::frames::{self, Framer};
use super::state::WireState;

/// Runs until the connection is over, then drops both sides.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    tls: S,
    server: DuplexStream,
    instructions: mpsc::Receiver<Instruction>,
    state: Arc<Mutex<WireState>>,
    cut_received: Option<u64>,
) {
    let (client_read, client_write) = tokio::io::split(tls);
    let (server_read, server_write) = tokio::io::split(server);
    let mut inbound = pin!(inbound(client_read, server_write, &state, cut_received));
    let outbound = Outbound {
        client: client_write,
        cut_after: None,
        state: &state,
    };
    let mut outbound = pin!(outbound.run(server_read, instructions));
    let mut client_is_gone = false;
    let end = tokio::select! {
        biased;
        end = &mut outbound => end,
        end = &mut inbound => match end {
            PumpEnd::Closed => {
                client_is_gone = true;
                timeout(LINGER, outbound).await.unwrap_or(Ok(PumpEnd::Cut))
            }
            PumpEnd::Cut => Ok(PumpEnd::Cut),
        }
    };
    if matches!(end, Ok(PumpEnd::Closed)) && !client_is_gone {
        // Whether the client is done or the time is over: the connection ends now.
        let _ = timeout(LINGER, inbound).await;
    }
}

/// Client to server, until the client is done or `cut_received` bytes of it have come. Without a
/// server the bytes are thrown away.
async fn inbound<S: AsyncRead + AsyncWrite>(
    client: ReadHalf<S>,
    mut server: WriteHalf<DuplexStream>,
    state: &Mutex<WireState>,
    cut_received: Option<u64>,
) -> PumpEnd {
    let mut client = client.take(cut_received.unwrap_or(u64::MAX));
    let mut framer = Framer::of_client();
    let mut forward = BytesMut::new();
    let mut has_server = true;
    while let Ok(1..) = client.read_buf(framer.space()).await {
        while let Some(frame) = framer.next() {
            if lock(state).client_sent(&frame) {
                forward.extend_from_slice(&frame.bytes);
            }
        }
        has_server = has_server && server.write_all(&forward).await.is_ok();
        forward.clear();
    }
    if client.limit() == 0 {
        return PumpEnd::Cut;
    }
    // It fails only if the server is gone already.
    let _ = server.shutdown().await;
    PumpEnd::Closed
}

/// How a way ended.
enum PumpEnd {
    /// Everything was sent and the stream was closed.
    Closed,
    /// An instruction or a limit cut it.
    Cut,
}

/// Server to client.
struct Outbound<'a, S> {
    client: WriteHalf<S>,
    cut_after: Option<u64>,
    state: &'a Mutex<WireState>,
}

impl<S: AsyncRead + AsyncWrite> Outbound<'_, S> {
    async fn run(
        mut self,
        mut server: ReadHalf<DuplexStream>,
        mut instructions: mpsc::Receiver<Instruction>,
    ) -> io::Result<PumpEnd> {
        let mut framer = Framer::of_server();
        let mut batch = BytesMut::new();
        loop {
            tokio::select! {
                // Instructions first: one given before an answer was written goes before that
                // answer. But nothing goes before the server's first SETTINGS.
                biased;
                Some(instruction) = instructions.recv(), if lock(self.state).has_begun() => {
                    self.carry_out(instruction, &mut batch);
                }
                read = server.read_buf(framer.space()) => {
                    if read? == 0 {
                        break;
                    }
                    while let Some(mut frame) = framer.next() {
                        if lock(self.state).server_sent(&mut frame) {
                            batch.extend_from_slice(&frame.bytes);
                        }
                    }
                }
            }
            if self.send(&mut batch).await?.is_break() {
                return Ok(PumpEnd::Cut);
            }
            if lock(self.state).is_drained() {
                break;
            }
        }
        self.client.shutdown().await?;
        Ok(PumpEnd::Closed)
    }

    fn carry_out(&mut self, instruction: Instruction, batch: &mut BytesMut) {
        match instruction {
            Instruction::Bytes(bytes) => batch.extend_from_slice(&bytes),
            Instruction::StreamLimit(limit) => {
                lock(self.state).stream_limit_sent(limit);
                batch.extend_from_slice(&frames::stream_limit(limit));
            }
            Instruction::Goaway(frame, last_stream) => {
                lock(self.state).goaway_sent(last_stream);
                batch.extend_from_slice(&frame);
            }
            Instruction::CutAfter(bytes) => {
                self.cut_after = Some(self.cut_after.unwrap_or(u64::MAX).min(bytes));
            }
        }
    }

    /// Sends the batch, or as much of it as a cut leaves.
    async fn send(&mut self, batch: &mut BytesMut) -> io::Result<ControlFlow<()>> {
        let length = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let left = self.cut_after.map(|left| left.saturating_sub(length));
        if let Some(allowed) = self.cut_after.filter(|allowed| *allowed <= length) {
            batch.truncate(usize::try_from(allowed).unwrap_or(usize::MAX));
        }
        self.client.write_all(batch).await?;
        self.client.flush().await?;
        batch.clear();
        self.cut_after = left;
        Ok(if left == Some(0) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}

fn lock(state: &Mutex<WireState>) -> MutexGuard<'_, WireState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a side that is done waits for the other.
const LINGER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::super::{Wire, attach, frames};
    use super::*;

    /// The two outer ends of a pump that runs: the client's stream, the server's, and the handle.
    fn running(limit: u32) -> (DuplexStream, DuplexStream, Wire) {
        cut(limit, None)
    }

    fn cut(limit: u32, cut_received: Option<u64>) -> (DuplexStream, DuplexStream, Wire) {
        let (client, tls) = tokio::io::duplex(1 << 16);
        let (server, wire, pump) = attach(tls, limit, cut_received);
        tokio::spawn(pump);
        (client, server, wire)
    }

    async fn read(stream: &mut DuplexStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        timeout(Duration::from_secs(10), stream.read_exact(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        bytes
    }

    #[tokio::test]
    async fn nothing_goes_before_the_first_settings() {
        let (mut client, mut server, wire) = running(1);
        wire.set_stream_limit(500).await;
        tokio::task::yield_now().await;
        server.write_all(&frames::stream_limit(9)).await.unwrap();
        let both = [frames::stream_limit(1), frames::stream_limit(500)].concat();
        assert_eq!(read(&mut client, both.len()).await, both);
    }

    #[tokio::test]
    async fn bytes_pass_in_both_directions_until_one_side_ends() {
        let (mut client, mut server, _wire) = running(1);
        client
            .write_all(b"not HTTP/2 at all, which is for the server to say")
            .await
            .unwrap();
        assert_eq!(read(&mut server, 8).await, b"not HTTP");
        server.write_all(&frames::stream_limit(9)).await.unwrap();
        drop(server);
        let mut rest = Vec::new();
        timeout(Duration::from_secs(10), client.read_to_end(&mut rest))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(rest, frames::stream_limit(1));
    }

    #[tokio::test]
    async fn a_client_is_cut_off_in_the_middle_of_what_it_says() {
        let (mut client, mut server, _wire) = cut(1, Some(16));
        let mut heard = Vec::new();
        // The other end may be gone before everything is said.
        let _ = client.write_all(b"not HTTP/2 at all, which is cut").await;
        timeout(Duration::from_secs(10), server.read_to_end(&mut heard))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(heard, b"not HTTP/2 at al");
        let mut rest = Vec::new();
        timeout(Duration::from_secs(10), client.read_to_end(&mut rest))
            .await
            .unwrap()
            .unwrap();
        assert!(rest.is_empty());
    }

    #[tokio::test]
    async fn a_cut_leaves_exactly_so_many_bytes() {
        let (mut client, mut server, wire) = running(1);
        server.write_all(&frames::stream_limit(9)).await.unwrap();
        read(&mut client, 15).await;
        wire.cut_after(4).await;
        wire.send_raw(b"abcdefgh".to_vec()).await;
        let mut rest = Vec::new();
        timeout(Duration::from_secs(10), client.read_to_end(&mut rest))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(rest, b"abcd");
    }
}
