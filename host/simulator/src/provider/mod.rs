//! Turns TCP connections into the provider API: TLS with ALPN `h2`, then the strict or the accept-all
//! server.
//!
//! Source: Apple, *Sending notification requests to APNs* (`apns-facts.md` 3.1).
//!
//! ```text
//! accept -> refused by a fault? too many? -> TLS -> ALPN h2? -> connection (strict) | fast (accept all)
//! ```
//!
//! Limits: [`Config::max_connections`](crate::Config::max_connections) at once, [`HANDSHAKE`] for TLS.

mod answer;
mod authorization;
mod connection;
mod exchange;
mod fast;
mod push_type;
mod rules;
mod warnings;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Validation;
use crate::stats::Open;
use crate::world::World;

/// The protocol a client has to negotiate.
pub(crate) const ALPN: &[u8] = b"h2";

/// Takes connections until `stop` changes or its sender is gone, then drops them all.
pub(crate) async fn listen(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    world: Arc<World>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) if admits(&world, connections.len()) => {
                    let number = world.counters.connections_accepted.fetch_add(1, Relaxed) + 1;
                    connections.spawn(serve(tcp, acceptor.clone(), Arc::clone(&world), number));
                }
                Ok(_) => {
                    world.counters.connections_refused.fetch_add(1, Relaxed);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    connections.shutdown().await;
}

fn admits(world: &World, open: usize) -> bool {
    open < world.config.max_connections && !world.faults().refuses_connection()
}

async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, world: Arc<World>, number: u64) {
    let _open = Open::new(&world.counters.connections_open);
    let tls = match handshake(tcp, acceptor).await {
        Ok(tls) => tls,
        Err(error) => {
            world.counters.handshakes_failed.fetch_add(1, Relaxed);
            tracing::debug!(connection = number, %error, "the TLS handshake failed");
            return;
        }
    };
    match world.config.validation {
        Validation::Strict => connection::serve(Arc::clone(&world), tls, number).await,
        Validation::AcceptAll => {
            if let Err(error) = fast::serve(Arc::clone(&world), tls).await {
                tracing::debug!(connection = number, %error, "the connection ended with an error");
            }
        }
    }
}

async fn handshake(tcp: TcpStream, acceptor: TlsAcceptor) -> io::Result<TlsStream<TcpStream>> {
    tcp.set_nodelay(true)?;
    let tls = timeout(HANDSHAKE, acceptor.accept(tcp))
        .await
        .map_err(|_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                "expected a TLS handshake, got none in time",
            )
        })??;
    if tls.get_ref().1.alpn_protocol() == Some(ALPN) {
        return Ok(tls);
    }
    // Dropping the stream closes it: a client that does not speak HTTP/2 has nothing to say here.
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "expected ALPN h2, got a client without",
    ))
}

const HANDSHAKE: Duration = Duration::from_secs(10);

/// After a failed accept (out of file descriptors, for one) the next one would fail as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
