//! Turns the TCP connections of a service into TLS connections, numbered, counted and bounded.
//!
//! Source: `docs/protocols.md` 1.1 (client certificates at gateway and feedback) and 3.1 (TLS 1.2
//! or later).
//!
//! ```text
//! accept -> too many? refused by a fault? -> TLS -> serve
//! ```
//!
//! Limits: [`Config::max_connections`](crate::Config::max_connections) at once for each service,
//! [`HANDSHAKE`] for TLS.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::accept;
use crate::state::State;
use crate::stats::{Open, Service};
use crate::topic;

/// Hands every connection that gets through its handshake to `serve`, with its number; the first
/// is 1. Runs until `stop` changes or its sender is gone.
pub(crate) async fn listen<S, F>(
    (listener, acceptor): (TcpListener, TlsAcceptor),
    service: Service,
    state: Arc<State>,
    stop: watch::Receiver<bool>,
    serve: S,
) where
    S: Fn(Arc<State>, TlsStream<TcpStream>, u64) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let admits = |open| admits(&state, service, open);
    let begin = |tcp| {
        let accepted = &state.counters.connections(service).accepted;
        let number = accepted.fetch_add(1, Relaxed) + 1;
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        async move {
            let counters = state.counters.connections(service);
            let _open = Open::new(&counters.open);
            match handshake(tcp, acceptor).await {
                Ok(tls) => serve(Arc::clone(&state), tls, number).await,
                Err(error) => {
                    counters.handshakes_failed.fetch_add(1, Relaxed);
                    tracing::debug!(
                        ?service,
                        connection = number,
                        %error,
                        "the TLS handshake failed"
                    );
                }
            }
        }
    };
    accept::run(listener, stop, admits, begin).await;
}

fn admits(state: &State, service: Service, open: usize) -> bool {
    let is_admitted =
        open < state.config.max_connections && !state.faults().refuses_connection(service);
    if !is_admitted {
        let refused = &state.counters.connections(service).refused;
        refused.fetch_add(1, Relaxed);
    }
    is_admitted
}

async fn handshake(tcp: TcpStream, acceptor: TlsAcceptor) -> io::Result<TlsStream<TcpStream>> {
    tcp.set_nodelay(true)?;
    timeout(HANDSHAKE, acceptor.accept(tcp))
        .await
        .map_err(|_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                "expected a TLS handshake, got none in time",
            )
        })?
}

/// What the client's certificate says of its topic.
pub(crate) fn topic_of(tls: &TlsStream<TcpStream>) -> Option<String> {
    let certificates = tls.get_ref().1.peer_certificates()?;
    topic::of_certificate(certificates.first()?)
}

/// Reads and throws away until the client closes or is gone.
pub(crate) async fn discard(tls: &mut TlsStream<TcpStream>) {
    let mut scrap = [0; 4096];
    while let Ok(1..) = tls.read(&mut scrap).await {}
}

/// Resets the TCP connection instead of closing it.
pub(crate) fn reset(tls: TlsStream<TcpStream>) {
    if let Err(error) = tls.get_ref().0.set_zero_linger() {
        tracing::warn!(%error, "a connection is closed instead of reset");
    }
    drop(tls);
}

const HANDSHAKE: Duration = Duration::from_secs(10);
