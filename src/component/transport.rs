//! A server name becomes two byte streams: lookup, TCP, TLS.
//!
//! ```text
//!   clear text ─► connector.send ─► TCP ─► … ─► TCP ─► connector.receive ─► clear text
//! ```
//!
//! The lookup is made anew for each connection, as Apple asks; the addresses are tried one after
//! the other within [`CONNECT_TIMEOUT`].

use std::time::Duration;

use super::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use super::bindings::wasi::sockets::types::{
    IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
};
use super::bindings::wasi::tls::client::Connector;
use super::bindings::wit_stream;
use super::platform;
use super::signal::{First, first};
use crate::config::Endpoint;
use wit_bindgen::{StreamReader, StreamWriter};

/// Longest time from the lookup to the end of the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Longest time for one address.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);

/// An open connection.
pub(super) struct Transport {
    pub(super) input: StreamReader<u8>,
    pub(super) output: StreamWriter<u8>,
}

/// Opens a connection; an error is for people.
pub(super) async fn connect(endpoint: &Endpoint) -> Result<Transport, String> {
    let host = &endpoint.host;
    let until = platform::now() + CONNECT_TIMEOUT;
    match first(open(endpoint), platform::sleep_until(until)).await {
        First::A(result) => result.map_err(|why| format!("{host}: {why}")),
        First::B(()) => Err(format!("{host}: no connection within {CONNECT_TIMEOUT:?}")),
    }
}

async fn open(endpoint: &Endpoint) -> Result<Transport, String> {
    let addresses = resolve_addresses(endpoint.host.clone()).await;
    let addresses = addresses.map_err(|code| format!("lookup failed: {code:?}"))?;
    let socket = dial(&addresses, endpoint.port).await?;
    let (ciphertext_in, _) = socket.receive();
    let connector = Connector::new();
    let (output, clear_out) = wit_stream::new();
    let (ciphertext_out, _) = connector.send(clear_out);
    let (input, _) = connector.receive(ciphertext_in);
    let _ = socket.send(ciphertext_out);
    let shaken = Connector::connect(connector, endpoint.host.clone()).await;
    shaken.map_err(|error| format!("TLS: {}", error.to_debug_string()))?;
    Ok(Transport { input, output })
}

async fn dial(addresses: &[IpAddress], port: u16) -> Result<TcpSocket, String> {
    let mut last = "the name has no addresses".to_owned();
    for address in addresses {
        let until = platform::now() + ADDRESS_TIMEOUT;
        match first(dial_one(*address, port), platform::sleep_until(until)).await {
            First::A(Ok(socket)) => return Ok(socket),
            First::A(Err(why)) => last = why,
            First::B(()) => last = "TCP: no answer".to_owned(),
        }
    }
    Err(last)
}

async fn dial_one(address: IpAddress, port: u16) -> Result<TcpSocket, String> {
    let (family, remote) = match address {
        IpAddress::Ipv4(address) => {
            let remote = Ipv4SocketAddress { port, address };
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(remote))
        }
        IpAddress::Ipv6(address) => {
            let remote = Ipv6SocketAddress {
                port,
                flow_info: 0,
                address,
                scope_id: 0,
            };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(remote))
        }
    };
    let socket = TcpSocket::create(family).map_err(|code| format!("TCP: {code:?}"))?;
    // Where the platform does not offer it, its own setting stands.
    let _ = socket.set_keep_alive_enabled(true);
    socket
        .connect(remote)
        .await
        .map_err(|code| format!("TCP: {code:?}"))?;
    Ok(socket)
}
