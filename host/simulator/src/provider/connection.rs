//! Runs the strict provider API on one TLS connection.
//!
//! Source: `apns-facts.md` 3.1: with a provider token only one stream is allowed until a request with a
//! valid one was seen; RFC 9113 8.7 (REFUSED_STREAM: not processed, may be sent again).
//!
//! Limits: [`HARD_STREAM_LIMIT`] streams, headers of [`MAX_HEADERS`] bytes a request.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use h2::Reason as Code;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::task::JoinSet;

use super::exchange::{self, Connection, HARD_STREAM_LIMIT, Session};
use crate::wire::{self, Wire};
use crate::world::World;

/// Serves a connection until it is over.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    world: Arc<World>,
    tls: S,
    number: u64,
) {
    let (stream, wire, pump) = wire::attach(tls, LIMIT_WITHOUT_TOKEN);
    let ((), result) = tokio::join!(pump, drive(world, stream, wire, number));
    if let Err(error) = result {
        tracing::debug!(connection = number, %error, "the connection ended with an error");
    }
}

async fn drive(
    world: Arc<World>,
    stream: DuplexStream,
    wire: Wire,
    number: u64,
) -> Result<(), h2::Error> {
    let mut server = builder()
        .max_concurrent_streams(HARD_STREAM_LIMIT)
        .handshake(stream)
        .await?;
    let session = Mutex::new(Session::default());
    let connection = Arc::new(Connection {
        world,
        number,
        wire,
        session,
    });
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            next = server.accept() => {
                let Some(next) = next else { return Ok(()) };
                let (request, mut respond) = next?;
                if connection.wire.is_over_limit(respond.stream_id().as_u32()) {
                    connection.world.counters.streams_refused.fetch_add(1, Relaxed);
                    respond.send_reset(Code::REFUSED_STREAM);
                } else {
                    requests.spawn(exchange::run(Arc::clone(&connection), request, respond));
                }
            }
            Some(_) = requests.join_next() => {}
        }
    }
}

/// What the strict and the accept-all server have in common.
pub(super) fn builder() -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_header_list_size(MAX_HEADERS)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_reset_streams(RESET_STREAMS)
        // Payloads are small and come many at a time: the default takes about 160 of them at once for
        // an attack.
        .data_frame_budget(DATA_FRAME_BUDGET);
    builder
}

const LIMIT_WITHOUT_TOKEN: u32 = 1;
const MAX_HEADERS: u32 = 16 * 1024;
const CONNECTION_WINDOW: u32 = 4 << 20;
const RESET_STREAMS: usize = 1024;
const DATA_FRAME_BUDGET: usize = 16 << 20;
