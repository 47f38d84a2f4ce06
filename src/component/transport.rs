//! A server name becomes two byte streams: lookup, TCP, TLS.
//!
//! ```text
//!   clear text ─► connector.send ─► TCP ─► … ─► TCP ─► connector.receive ─► clear text
//! ```
//!
//! The lookup is made anew for each connection, as Apple asks; the addresses are tried one after
//! the other within [`CONNECT_TIMEOUT`].

use std::rc::Rc;
use std::time::Duration;

use super::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use super::bindings::wasi::sockets::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
    TcpSocket,
};
use super::bindings::wasi::tls::client::Connector;
use super::bindings::wasi::tls::types::Error as TlsError;
use super::bindings::wit_stream;
use super::platform;
use super::signal::{First, Signal, first};
use crate::config::Endpoint;
use crate::tls_name::TlsName;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

/// Longest time from the lookup to the end of the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Longest time for one address.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest time for the last bytes and the end of TLS to get out.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes passed on at a time where a connection can be cut off.
const PASS_BYTES: usize = 16 * 1024;

/// Where a connection goes.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// Looked up, and connected to.
    pub(super) endpoint: Endpoint,
    /// What the TLS provider is told.
    pub(super) tls_name: TlsName,
}

/// An open connection.
pub(super) struct Transport {
    pub(super) input: StreamReader<u8>,
    pub(super) output: StreamWriter<u8>,
    pub(super) sending: Sending,
}

/// What is still on its way out of a connection.
pub(super) struct Sending {
    tls: FutureReader<Result<(), TlsError>>,
    tcp: FutureReader<Result<(), ErrorCode>>,
}

impl Sending {
    /// Waits until what was written, and the end of TLS behind it, has been handed to the network.
    /// For after the output is closed; whoever drops a connection without it may cut it off.
    pub(super) async fn done(self) {
        let all = async {
            // Who has gone needs no goodbye.
            let _ = self.tls.await;
            let _ = self.tcp.await;
        };
        first(all, platform::sleep_until(platform::now() + CLOSE_TIMEOUT)).await;
    }
}

/// Cuts a connection off when it is dropped: TCP ends and TLS does not, so that the peer knows that
/// something went wrong. Nothing else does that, because a stream that is dropped is closed well.
pub(super) struct Cut(Option<Rc<Signal>>);

impl Cut {
    /// All is well: the connection ends as any other.
    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if let Some(signal) = &self.0 {
            signal.set();
        }
    }
}

/// Opens a connection; an error is for people.
pub(super) async fn connect(destination: &Destination) -> Result<Transport, String> {
    within(destination, None).await
}

/// Opens a connection that can be cut off.
pub(super) async fn connect_to_cut(destination: &Destination) -> Result<(Transport, Cut), String> {
    let cut = Rc::new(Signal::default());
    let transport = within(destination, Some(Rc::clone(&cut))).await?;
    Ok((transport, Cut(Some(cut))))
}

async fn within(destination: &Destination, cut: Option<Rc<Signal>>) -> Result<Transport, String> {
    let host = &destination.endpoint.host;
    let until = platform::now() + CONNECT_TIMEOUT;
    match first(open(destination, cut), platform::sleep_until(until)).await {
        First::A(result) => result.map_err(|why| format!("{host}: {why}")),
        First::B(()) => Err(format!("{host}: no connection within {CONNECT_TIMEOUT:?}")),
    }
}

async fn open(destination: &Destination, cut: Option<Rc<Signal>>) -> Result<Transport, String> {
    let Destination { endpoint, tls_name } = destination;
    let addresses = resolve_addresses(endpoint.host.clone()).await;
    let addresses = addresses.map_err(|code| format!("lookup failed: {code:?}"))?;
    let socket = dial(&addresses, endpoint.port).await?;
    let (ciphertext_in, _) = socket.receive();
    let connector = Connector::new();
    let (output, clear_out) = wit_stream::new();
    let (ciphertext_out, tls) = connector.send(clear_out);
    let (input, _) = connector.receive(ciphertext_in);
    let tcp = socket.send(match cut {
        None => ciphertext_out,
        Some(cut) => {
            let (writer, reader) = wit_stream::new();
            spawn_local(pass_on(ciphertext_out, writer, cut));
            reader
        }
    });
    let shaken = Connector::connect(connector, tls_name.to_string()).await;
    shaken.map_err(|error| format!("TLS: {}", error.to_debug_string()))?;
    let sending = Sending { tls, tcp };
    Ok(Transport {
        input,
        output,
        sending,
    })
}

/// Passes bytes on until there are none left, or until the signal.
async fn pass_on(mut from: StreamReader<u8>, mut to: StreamWriter<u8>, cut: Rc<Signal>) {
    let all = async {
        let mut buffer = Vec::with_capacity(PASS_BYTES);
        loop {
            let (result, filled) = from.read(buffer).await;
            buffer = to.write_all(filled).await;
            // What is left was not taken: the peer has gone.
            if !buffer.is_empty() || !matches!(result, StreamResult::Complete(_)) {
                return;
            }
        }
    };
    first(all, cut.wait()).await;
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
