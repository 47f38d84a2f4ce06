//! A server name becomes two byte streams: lookup, TCP, perhaps a tunnel through a proxy, TLS.
//!
//! ```text
//!   clear text ─► connector.send ─► TCP ─► … ─► TCP ─► connector.receive ─► clear text
//! ```
//!
//! The lookup is made anew for each connection, as Apple asks; which address is tried when is decided by
//! [`Race`], and all of it ends after [`CONNECT_TIMEOUT`]. Behind a proxy only the proxy is looked up; TLS
//! is with the server.

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
use super::signal::{First, Signal, first};
use crate::config::Endpoint;
use crate::dial::{Authority, Credentials, HEAD_MAX_BYTES, Progress, Race, Tunnel};
use crate::tls_name::TlsName;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

/// Longest time from the lookup to the end of the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Longest time for the last bytes and the end of TLS to get out.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time after the end of the input until TCP has ended, too.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes passed on at a time where a connection can be cut off.
const PASS_BYTES: usize = 16 * 1024;

/// Where a connection goes.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// Looked up, and connected to.
    pub(super) endpoint: Endpoint,
    /// What the TLS provider is told.
    pub(super) tls_name: TlsName,
    /// Looked up and connected to in its place, if there is one.
    pub(super) proxy: Option<Rc<Proxy>>,
}

/// Who is asked for a tunnel.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) endpoint: Endpoint,
    pub(super) credentials: Option<Credentials>,
}

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
    pub(super) receiving: Receiving,
}

/// How the server's direction of a connection ends.
pub(super) struct Receiving(FutureReader<Result<(), TlsError>>);

impl Receiving {
    /// After the end of the input: whether the server has said that this is the end, and not somebody
    /// who cut the connection (RFC 8446, section 6.1, on truncation).
    pub(super) async fn ended_well(self) -> Result<(), String> {
        // Without a word of the server's, input ends with TCP, and so does this. As long as TCP goes on
        // it may wait for us to close, and then the word has come.
        match first(
            self.0.into_future(),
            platform::sleep_until(platform::now() + END_TIMEOUT),
        )
        .await
        {
            First::A(Ok(())) | First::B(()) => Ok(()),
            First::A(Err(error)) => Err(error.to_debug_string()),
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
    let until = platform::now() + CONNECT_TIMEOUT;
    let step = Cell::new(Step::Lookup);
    let opening = open(destination, cut, &step);
    let why = match first(opening, platform::sleep_until(until)).await {
        First::A(Ok(transport)) => return Ok(transport),
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
    cut: Option<Rc<Signal>>,
    step: &Cell<Step>,
) -> Result<Transport, String> {
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
    let passage = (proxy.is_some() || cut.is_some()).then(|| {
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
    Ok(Transport {
        input,
        output,
        sending,
        receiving: Receiving(received),
    })
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
async fn pass_on(mut from: StreamReader<u8>, mut to: StreamWriter<u8>, cut: Option<Rc<Signal>>) {
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
    match cut {
        Some(cut) => {
            first(all, cut.wait()).await;
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
    let mut race = Race::new(addresses);
    // At most as many as the race has.
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut last = "the name has no addresses".to_owned();
    loop {
        while let Some(address) = race.poll_attempt(platform::now()) {
            attempts.push((address, Box::pin(dial_one(address, port))));
        }
        if race.is_lost() {
            return Err(last);
        }
        let next = first_ended(&mut attempts);
        let next = match race.poll_timeout() {
            None => First::A(next.await),
            Some(at) => first(next, platform::sleep_until(at)).await,
        };
        match next {
            First::A((_, Ok(socket))) => return Ok(socket),
            First::A((address, Err(why))) => {
                race.handle_failed(platform::now(), address);
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
