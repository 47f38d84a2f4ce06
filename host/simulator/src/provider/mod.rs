//! Turns TLS connections into the provider API: ALPN `h2`, then the strict or the accept-all server.
//!
//! Source: Apple, *Sending notification requests to APNs* (`apns-facts.md` 3.1).
//!
//! ```text
//! ALPN h2? -> connection (strict) | fast (accept all)
//! ```

mod answer;
mod authorization;
mod connection;
mod exchange;
mod fast;
mod push_type;
mod rules;
mod warnings;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::config::Validation;
use crate::stats::Service;
use crate::world::World;

/// The protocol a client has to negotiate.
pub(crate) const ALPN: &[u8] = b"h2";

/// Serves a connection until it is over.
pub(crate) async fn serve(world: Arc<World>, tls: TlsStream<TcpStream>, number: u64) {
    if tls.get_ref().1.alpn_protocol() != Some(ALPN) {
        // Dropping the stream closes it: a client that does not speak HTTP/2 has nothing to say here.
        let failed = &world
            .counters
            .connections(Service::Provider)
            .handshakes_failed;
        failed.fetch_add(1, Relaxed);
        tracing::debug!(
            connection = number,
            "expected ALPN h2, got a client without"
        );
        return;
    }
    match world.config.validation {
        Validation::Strict => connection::serve(world, tls, number).await,
        Validation::AcceptAll => {
            if let Err(error) = fast::serve(world, tls).await {
                tracing::debug!(connection = number, %error, "the connection ended with an error");
            }
        }
    }
}
