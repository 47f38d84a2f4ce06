//! A server name becomes two byte streams: lookup, TCP, perhaps a tunnel through a proxy, TLS.
//!
//! ```text
//!   clear text ─► connector.send ─► TCP ─► … ─► TCP ─► connector.receive ─► clear text
//! ```
//!
//! The platform carries bytes between TLS and TCP; we do, between two streams of our own, behind a
//! proxy and where a connection can be cut off.
//!
//! The lookup is made anew for each connection, as Apple asks; which address is tried when is
//! decided by [`HappyEyeballs`], and all of it ends after [`CONNECT_TIMEOUT`]. Behind a proxy only
//! the proxy is looked up; TLS is with the server.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
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
use crate::config::Endpoint;
use crate::dial::{Authority, HEAD_MAX_BYTES, HappyEyeballs, Progress, Tunnel};
use crate::service::{Destination, First, Proxy, Signal, first};
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

/// Longest time from the lookup to the end of the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Longest time for the last bytes and the end of TLS to get out.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time until TLS says how it has ended.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// The same where it is only good to know: TLS knows when the input has ended.
const END_PATIENCE: Duration = Duration::from_millis(20);

/// Bytes passed on at a time where a connection can be cut off.
const PASS_BYTES: usize = 64 * 1024;

/// How far a connection is, for whoever reads that it came no farther.
#[derive(Clone, Copy, Debug)]
enum Step {
    Lookup,
    Tcp,
    Connect,
    Tls,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lookup => "lookup",
            Self::Tcp => "TCP",
            Self::Connect => "CONNECT",
            Self::Tls => "TLS",
        })
    }
}

/// An open connection.
pub(super) struct Transport {
    pub(super) input: StreamReader<u8>,
    pub(super) output: StreamWriter<u8>,
    pub(super) sending: Sending,
}

/// How the server's direction of a connection ends.
pub(super) struct Receiving {
    tls: FutureReader<Result<(), TlsError>>,
    passing: Stop,
}

impl Receiving {
    /// After the end of the input: whether the server has said that this is the end, and not
    /// somebody on the way (RFC 8446, section 6.1, on truncation).
    pub(super) async fn ended_well(self) -> Result<(), String> {
        // A server may leave TCP open until we close, and a platform may tell only after the end of
        // TCP.
        drop(self.passing);
        let until = platform::now() + END_TIMEOUT;
        match first(self.tls.into_future(), platform::sleep_until(until)).await {
            First::A(Ok(())) => Ok(()),
            First::A(Err(error)) => Err(error.to_debug_string()),
            First::B(()) => Err("TLS does not say how it has ended".to_owned()),
        }
    }
}

/// How the server's direction ends, for whoever can do nothing about it.
pub(super) struct End(FutureReader<Result<(), TlsError>>);

impl End {
    /// After the end of the input: what TLS says was wrong, for people. With TLS 1.3 a server
    /// refuses a certificate only now.
    pub(super) async fn why(self) -> Option<String> {
        let until = platform::now() + END_PATIENCE;
        match first(self.0.into_future(), platform::sleep_until(until)).await {
            First::A(Err(error)) => Some(error.to_debug_string()),
            First::A(Ok(())) | First::B(()) => None,
        }
    }
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

/// Ends the passing on of bytes in one direction when it is dropped.
struct Stop(Option<Rc<Signal>>);

impl Stop {
    fn new() -> (Self, Rc<Signal>) {
        let signal = Rc::new(Signal::default());
        (Self(Some(Rc::clone(&signal))), signal)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        if let Some(signal) = &self.0 {
            signal.set();
        }
    }
}

/// Cuts a connection off when it is dropped: TCP ends and TLS does not, so that the peer knows that
/// something went wrong. Nothing else does that, because a stream that is dropped is closed well.
pub(super) struct Cut(Stop);

impl Cut {
    /// All is well: the connection ends as any other.
    pub(super) fn disarm(mut self) {
        self.0.0 = None;
    }
}

/// What ends the passing on of bytes of a connection that can be cut off.
struct Ends {
    sending: Rc<Signal>,
    receiving: Rc<Signal>,
}

/// Opens a connection; an error is for people.
pub(super) async fn connect(destination: &Destination) -> Result<(Transport, End), String> {
    let (transport, tls) = within(destination, None).await?;
    Ok((transport, End(tls)))
}

/// Opens a connection that can be cut off, and whose end is told.
pub(super) async fn connect_to_cut(
    destination: &Destination,
) -> Result<(Transport, Receiving, Cut), String> {
    // Should there be no connection, they end what has begun.
    let (cut, sending) = Stop::new();
    let (passing, receiving) = Stop::new();
    let ends = Ends { sending, receiving };
    let (transport, tls) = within(destination, Some(ends)).await?;
    Ok((transport, Receiving { tls, passing }, Cut(cut)))
}

/// A connection, and how its input has ended.
type Opened = (Transport, FutureReader<Result<(), TlsError>>);

async fn within(destination: &Destination, ends: Option<Ends>) -> Result<Opened, String> {
    let until = platform::now() + CONNECT_TIMEOUT;
    let step = Cell::new(Step::Lookup);
    let opening = open(destination, ends, &step);
    let why = match first(opening, platform::sleep_until(until)).await {
        First::A(Ok(opened)) => return Ok(opened),
        First::A(Err(why)) => why,
        First::B(()) => format!("no answer within {CONNECT_TIMEOUT:?}"),
    };
    let (host, step) = (&destination.endpoint.host, step.get());
    Err(match &destination.proxy {
        None => format!("{host}: {step}: {why}"),
        Some(proxy) => format!("{host}: proxy {}: {step}: {why}", proxy.endpoint),
    })
}

async fn open(
    destination: &Destination,
    ends: Option<Ends>,
    step: &Cell<Step>,
) -> Result<Opened, String> {
    let Destination {
        endpoint,
        tls_name,
        proxy,
    } = destination;
    let nearest = proxy.as_ref().map_or(endpoint, |proxy| &proxy.endpoint);
    let addresses = look_up(&nearest.host).await?;
    step.set(Step::Tcp);
    let socket = dial(addresses, nearest.port).await?;
    let (mut ciphertext_in, _) = socket.receive();
    // Bytes that are not TLS's, and the power to stop, need a stream of our own in between.
    let passage = (proxy.is_some() || ends.is_some()).then(|| {
        let (writer, reader) = wit_stream::new();
        (writer, socket.send(reader))
    });
    let passage = match (passage, proxy) {
        (Some((mut writer, tcp)), Some(proxy)) => {
            step.set(Step::Connect);
            tunnel(proxy, endpoint, &mut writer, &mut ciphertext_in).await?;
            Some((writer, tcp))
        }
        (passage, _) => passage,
    };
    step.set(Step::Tls);
    let (cut, ciphertext_in) = match ends {
        None => (None, ciphertext_in),
        Some(Ends { sending, receiving }) => {
            let (writer, passed) = wit_stream::new();
            spawn_local(pass_on(ciphertext_in, writer, Some(receiving)));
            (Some(sending), passed)
        }
    };
    let connector = Connector::new();
    let (output, clear_out) = wit_stream::new();
    let (ciphertext_out, tls) = connector.send(clear_out);
    let (input, received) = connector.receive(ciphertext_in);
    let tcp = match passage {
        None => socket.send(ciphertext_out),
        Some((writer, tcp)) => {
            spawn_local(pass_on(ciphertext_out, writer, cut));
            tcp
        }
    };
    let shaken = Connector::connect(connector, tls_name.to_string()).await;
    shaken.map_err(|error| error.to_debug_string())?;
    let sending = Sending { tls, tcp };
    let transport = Transport {
        input,
        output,
        sending,
    };
    Ok((transport, received))
}

/// The addresses of a server. One that is an address is not looked up: not every platform lets the
/// function look names up.
async fn look_up(host: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let addresses = resolve_addresses(host.to_owned()).await;
    let addresses = addresses.map_err(|code| format!("{code:?}"))?;
    Ok(addresses.into_iter().map(from_wit).collect())
}

/// Has a proxy open a tunnel to a server.
async fn tunnel(
    proxy: &Proxy,
    server: &Endpoint,
    output: &mut StreamWriter<u8>,
    input: &mut StreamReader<u8>,
) -> Result<(), String> {
    let server = Authority::new(&server.host, server.port).map_err(|error| error.to_string())?;
    let mut request = Vec::new();
    let mut tunnel = Tunnel::request(&server, proxy.credentials.as_ref(), &mut request);
    // What it does not take it has a reason for, which is read below.
    output.write_all(request).await;
    let mut buffer = Vec::with_capacity(HEAD_MAX_BYTES);
    loop {
        let (result, filled) = input.read(buffer).await;
        buffer = filled;
        let progress = tunnel.handle_input(&buffer);
        match progress.map_err(|error| error.to_string())? {
            Progress::Open => return Ok(()),
            Progress::NeedMore => buffer.clear(),
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return Err(tunnel.handle_end().to_string());
        }
    }
}

/// Passes bytes on until there are none left, or until the signal.
async fn pass_on(mut from: StreamReader<u8>, mut to: StreamWriter<u8>, stop: Option<Rc<Signal>>) {
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
    match stop {
        Some(stop) => {
            first(all, stop.wait()).await;
        }
        None => all.await,
    }
}

/// A connection attempt, and whom it is at.
type Attempt = (
    IpAddr,
    Pin<Box<dyn Future<Output = Result<TcpSocket, String>>>>,
);

/// The first connection to one of the addresses. The other attempts are dropped, which ends them.
async fn dial(addresses: Vec<IpAddr>, port: u16) -> Result<TcpSocket, String> {
    let mut eyeballs = HappyEyeballs::new(addresses);
    // At most as many as there are addresses.
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut last = "the name has no addresses".to_owned();
    loop {
        while let Some(address) = eyeballs.poll_attempt(platform::now()) {
            attempts.push((address, Box::pin(dial_one(address, port))));
        }
        if eyeballs.has_failed() {
            return Err(last);
        }
        let next = first_ended(&mut attempts);
        let next = match eyeballs.poll_timeout() {
            None => First::A(next.await),
            Some(at) => first(next, platform::sleep_until(at)).await,
        };
        match next {
            First::A((_, Ok(socket))) => return Ok(socket),
            First::A((address, Err(why))) => {
                eyeballs.handle_failed(platform::now(), address);
                last = why;
            }
            First::B(()) => {}
        }
    }
}

/// Waits for one of the attempts, and takes it out.
async fn first_ended(attempts: &mut Vec<Attempt>) -> (IpAddr, Result<TcpSocket, String>) {
    poll_fn(|cx| {
        let mut attempted = attempts.iter_mut().enumerate();
        let ended =
            attempted.find_map(
                |(index, (address, attempt))| match attempt.as_mut().poll(cx) {
                    Poll::Ready(result) => Some((index, *address, result)),
                    Poll::Pending => None,
                },
            );
        let Some((index, address, result)) = ended else {
            return Poll::Pending;
        };
        drop(attempts.swap_remove(index));
        Poll::Ready((address, result))
    })
    .await
}

async fn dial_one(address: IpAddr, port: u16) -> Result<TcpSocket, String> {
    let (family, remote) = to_wit(address, port);
    let socket = TcpSocket::create(family).map_err(|code| format!("{code:?}"))?;
    // Where the platform does not offer it, its own setting stands.
    let _ = socket.set_keep_alive_enabled(true);
    let connected = socket.connect(remote).await;
    connected.map_err(|code| format!("{address}: {code:?}"))?;
    Ok(socket)
}

fn from_wit(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).into(),
    }
}

fn to_wit(address: IpAddr, port: u16) -> (IpAddressFamily, IpSocketAddress) {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            let address = (a, b, c, d);
            let remote = Ipv4SocketAddress { port, address };
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(remote))
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments();
            let remote = Ipv6SocketAddress {
                port,
                flow_info: 0,
                address: (a, b, c, d, e, f, g, h),
                scope_id: 0,
            };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(remote))
        }
    }
}
