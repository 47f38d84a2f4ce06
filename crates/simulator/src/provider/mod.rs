//! Turns TLS connections into the provider API: the strict or the accept-all server.
//!
//! Source: Apple, *Sending notification requests to APNs* (`docs/protocols.md` 3.1).
//!
//! ```text
//! TLS -> connection (strict) | fast (accept all)
//! ```
//!
//! Decided here, where Apple is silent: a client that offers no protocol by ALPN is taken to speak
//! HTTP/2. RFC 9113 3.2 asks clients for ALPN, but aioapns and pushy send none, and APNs serves
//! them (jchambers/pushy issue 808). One that offers only others is refused by TLS.

mod answer;
mod authorization;
mod broadcast;
mod connection;
mod effect;
mod exchange;
mod fast;
mod manage;
mod push_type;
mod request;
mod rules;
mod warnings;

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::config::{Environment, Validation};
use crate::state::State;

/// The only protocol a client can negotiate.
pub(crate) const ALPN: &[u8] = b"h2";

/// Serves a connection to an environment until it is over.
pub(crate) async fn serve(
    state: Arc<State>,
    environment: Environment,
    tls: TlsStream<TcpStream>,
    number: u64,
) {
    match state.config.validation {
        Validation::Strict => connection::serve(state, environment, tls, number).await,
        Validation::AcceptAll => {
            if let Err(error) = fast::serve(state, tls).await {
                tracing::debug!(connection = number, %error, "the connection ended with an error");
            }
        }
    }
}

/// Serves a connection to the management of channels until it is over: the same HTTP/2, other
/// paths, and always strict. A client that offers no protocol by ALPN is taken to speak HTTP/2; TLS
/// refuses others.
pub(crate) async fn serve_channels(
    state: Arc<State>,
    environment: Environment,
    tls: TlsStream<TcpStream>,
    number: u64,
) {
    connection::serve_channels(state, environment, tls, number).await;
}
