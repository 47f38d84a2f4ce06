//! Runs the strict provider API, or the calls about channels, on one TLS connection.
//!
//! Source: `docs/protocols.md` 3.1: with a provider token only one stream is allowed until a
//! request with a valid one was seen, with a client certificate as many as there are from the
//! beginning; RFC 9113 8.7 (REFUSED_STREAM: not processed, may be sent again).
//!
//! Limits: [`HARD_STREAM_LIMIT`] streams, headers of [`MAX_HEADERS`] bytes a request.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use h2::Reason as Code;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

use super::exchange::{self, Connection, ExchangeState, HARD_STREAM_LIMIT};
use crate::config::Environment;
use crate::fault::Action;
use crate::state::State;
use crate::stats::Service;
use crate::tls;
use crate::wire;

/// Serves a connection of the provider API until it is over.
pub(super) async fn serve(
    state: Arc<State>,
    environment: Environment,
    tls: TlsStream<TcpStream>,
    number: u64,
) {
    run(state, (Service::Provider, environment), tls, number).await;
}

/// Serves a connection to the management of channels until it is over.
pub(super) async fn serve_channels(
    state: Arc<State>,
    environment: Environment,
    tls: TlsStream<TcpStream>,
    number: u64,
) {
    run(state, (Service::Channels, environment), tls, number).await;
}

async fn run(
    state: Arc<State>,
    (service, environment): (Service, Environment),
    tls: TlsStream<TcpStream>,
    number: u64,
) {
    let fault = state.faults().for_connection(service);
    let cut_received = fault.and_then(|fault| match fault.action {
        Action::CutReceived { after_bytes } => Some(after_bytes),
        _ => None,
    });
    let topic = tls::topic_of(&tls);
    let limit = match topic {
        Some(_) => exchange::stream_limit(&state.config),
        None => LIMIT_WITHOUT_TOKEN,
    };
    let (stream, wire, pump) = wire::attach(tls, limit, cut_received);
    let connection = Connection {
        state,
        service,
        environment,
        number,
        wire,
        session: Mutex::new(ExchangeState::new(topic, environment)),
    };
    let ((), result) = tokio::join!(pump, drive(connection, stream));
    if let Err(error) = result {
        tracing::debug!(connection = number, %error, "the connection ended with an error");
    }
}

async fn drive(connection: Connection, stream: DuplexStream) -> Result<(), h2::Error> {
    let mut server = builder()
        .max_concurrent_streams(HARD_STREAM_LIMIT)
        .handshake(stream)
        .await?;
    let connection = Arc::new(connection);
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            next = server.accept() => {
                let Some(next) = next else { return Ok(()) };
                let (request, mut respond) = next?;
                if connection.wire.is_over_limit(respond.stream_id().as_u32()) {
                    connection.state.counters.streams_refused.fetch_add(1, Relaxed);
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
        // Payloads are small and come many at a time: the default takes about 160 of them at once
        // for an attack.
        .data_frame_budget(DATA_FRAME_BUDGET);
    builder
}

const LIMIT_WITHOUT_TOKEN: u32 = 1;
const MAX_HEADERS: u32 = 16 * 1024;
const CONNECTION_WINDOW: u32 = 4 << 20;
const RESET_STREAMS: usize = 1024;
const DATA_FRAME_BUDGET: usize = 16 << 20;
