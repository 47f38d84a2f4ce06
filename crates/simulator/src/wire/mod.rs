//! Stands between a TLS stream and an HTTP/2 server and turns instructions ("send GOAWAY with this
//! reason", "cut after 20 bytes") into bytes at the right place.
//!
//! Source: RFC 9113 section 5.1.2 (stream limit), 6.5.3 (acknowledging SETTINGS), 6.8 (GOAWAY). The
//! `h2` server can neither change its stream limit while it runs nor put debug data into GOAWAY;
//! both happen here.
//!
//! ```text
//! client == TLS ==> inbound  --(frames, without ACKs of our SETTINGS)--> h2 server
//!        <= TLS === outbound <-(frames; first SETTINGS rewritten)------- h2 server
//!                      ^ instructions, carried out between two frames
//! ```
//!
//! Invariants: bytes are forwarded in order and unchanged except as drawn; an instruction is
//! carried out between two frames of the server, never before its first SETTINGS. Limits: 64 KiB in
//! each direction between the two sides, [`MAX_INSTRUCTIONS`] instructions waiting.

mod frames;
mod pump;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::sync::mpsc;

use self::state::WireState;

/// The handle by which a connection's requests reach its wire.
#[derive(Clone)]
pub(crate) struct Wire {
    state: Arc<Mutex<WireState>>,
    instructions: mpsc::Sender<Instruction>,
}

/// Puts the two halves together: the stream to give to the HTTP/2 server, the handle, and the
/// future that moves the bytes and ends when the connection is over. `stream_limit` replaces the
/// server's own in its first SETTINGS; the connection is cut when `cut_received` bytes of the
/// client have come.
pub(crate) fn attach<S: AsyncRead + AsyncWrite + Unpin>(
    tls: S,
    stream_limit: u32,
    cut_received: Option<u64>,
) -> (DuplexStream, Wire, impl Future<Output = ()>) {
    let (server_side, our_side) = tokio::io::duplex(BUFFER);
    let (instructions, waiting) = mpsc::channel(MAX_INSTRUCTIONS);
    let state = Arc::new(Mutex::new(WireState::new(stream_limit)));
    let pump = pump::run(tls, our_side, waiting, Arc::clone(&state), cut_received);
    (
        server_side,
        Wire {
            state,
            instructions,
        },
        pump,
    )
}

/// Something to be done between two frames.
enum Instruction {
    /// Send these bytes.
    Bytes(Bytes),
    /// Send SETTINGS with this stream limit.
    StreamLimit(u32),
    /// Send these bytes, one GOAWAY or more; close once nothing up to the stream is open.
    Goaway(Bytes, u32),
    /// Cut the connection after so many more bytes.
    CutAfter(u64),
}

impl Wire {
    /// Whether the stream was opened above the limit and is to be refused.
    pub(crate) fn is_over_limit(&self, stream: u32) -> bool {
        self.lock().is_over_limit(stream)
    }

    /// Tells the client a new stream limit. A higher one is in force at once, a lower one when the
    /// client has acknowledged it.
    pub(crate) async fn set_stream_limit(&self, limit: u32) {
        self.instruct(Instruction::StreamLimit(limit)).await;
    }

    /// Sends GOAWAY and closes the connection when every stream up to `last_stream` is done.
    pub(crate) async fn goaway(&self, last_stream: u32, error_code: u32, debug: &[u8]) {
        let frame = frames::goaway(last_stream, error_code, debug);
        self.instruct(Instruction::Goaway(frame, last_stream)).await;
    }

    /// Sends GOAWAY with the highest last-stream-id there is and then another with the real one;
    /// RFC 9113 6.8 lets a server do so to lose no request. Closes as [`goaway`](Self::goaway)
    /// does.
    pub(crate) async fn goaway_twice(&self, last_stream: u32, debug: &[u8]) {
        let both = [
            frames::goaway(HIGHEST_STREAM, 0, &[]),
            frames::goaway(last_stream, 0, debug),
        ];
        self.instruct(Instruction::Goaway(both.concat().into(), last_stream))
            .await;
    }

    /// Sends bytes that need not be a frame.
    pub(crate) async fn send_raw(&self, bytes: Vec<u8>) {
        self.instruct(Instruction::Bytes(bytes.into())).await;
    }

    /// Cuts the connection after `bytes` more bytes.
    pub(crate) async fn cut_after(&self, bytes: u64) {
        self.instruct(Instruction::CutAfter(bytes)).await;
    }

    async fn instruct(&self, instruction: Instruction) {
        // It fails only if the connection is over, and then there is nobody to do it to.
        let _ = self.instructions.send(instruction).await;
    }

    fn lock(&self) -> MutexGuard<'_, WireState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const HIGHEST_STREAM: u32 = 0x7fff_ffff;
const BUFFER: usize = 64 * 1024;
const MAX_INSTRUCTIONS: usize = 64;
