//! A name becomes a TLS connection that speaks HTTP/2: lookup, TCP, TLS.
//!
//! Which address is tried when is for `HappyEyeballs` to say, as it is inside the function. A name
//! is looked up anew for each connection, as Apple asks.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use dunlin::dial::HappyEyeballs;
use dunlin::time::Now;
use dunlin::tls_name::{Protocol, TlsName};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::debug;

use super::Unreached;
use crate::wasi::sockets::{Addresses, dial, resolve};
use crate::wasi::tls::{ALPN_H2, Provider};

/// Opens a connection to a server.
pub(super) async fn connect(
    (host, port): (&str, u16),
    addresses: &Addresses,
    tls: &Provider,
) -> Result<TlsStream<TcpStream>, Unreached> {
    let found = resolve(addresses, host).await.map_err(|error| {
        debug!(%host, %error, "lookup failed");
        Unreached::Lookup
    })?;
    let tcp = first_connection(found, port).await.map_err(|why| {
        debug!(%host, %why, "no TCP connection");
        Unreached::Tcp
    })?;
    secure(host, tcp, tls).await
}

/// The first TCP connection to one of the addresses.
async fn first_connection(found: Vec<IpAddr>, port: u16) -> Result<TcpStream, String> {
    let began = Instant::now();
    let now = || Now::ZERO + began.elapsed();
    let mut eyeballs = HappyEyeballs::new(found);
    // At most as many as there are addresses.
    let mut attempts = FuturesUnordered::new();
    let mut last = "the name has no addresses".to_owned();
    loop {
        while let Some(address) = eyeballs.poll_attempt(now()) {
            let remote = SocketAddr::new(address, port);
            attempts.push(async move { (address, dial(remote).await) });
        }
        if eyeballs.has_failed() {
            return Err(last);
        }
        let next_at = eyeballs.poll_timeout();
        let next_attempt = async {
            match next_at {
                Some(at) => tokio::time::sleep(at.since(now())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some((address, dialled)) = attempts.next() => match dialled {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    last = format!("{address}: {error}");
                    eyeballs.handle_failed(now(), address);
                }
            },
            () = next_attempt => {}
        }
    }
}

async fn secure(
    host: &str,
    tcp: TcpStream,
    tls: &Provider,
) -> Result<TlsStream<TcpStream>, Unreached> {
    let wanted = TlsName {
        protocol: Protocol::Http2,
        identity: None,
        host: host.to_owned(),
    };
    let config = tls.client_config(&wanted);
    let config = config.map_err(|_| Unreached::Handshake)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Unreached::Handshake)?;
    let shaken = TlsConnector::from(Arc::clone(&config)).connect(name, tcp);
    let stream = shaken.await.map_err(|error| {
        debug!(%host, %error, "no TLS");
        let inner = error.get_ref();
        match inner.and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(_)) => Unreached::Certificate,
            _ => Unreached::Handshake,
        }
    })?;
    match stream.get_ref().1.alpn_protocol() {
        Some(ALPN_H2) => Ok(stream),
        _ => {
            debug!(%host, "expected the server to speak h2");
            Err(Unreached::Handshake)
        }
    }
}
