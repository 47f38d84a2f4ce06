//! `wasi:http/client` for the function: requests out, over connections that outlive its instances.
//!
//! ```text
//!   instance ─┐                              ┌ connection to api.push.apple.com:443
//!   instance ─┼─► HttpClient ─► Server ────────┤   HTTP/2 over TLS, one for all instances
//!   instance ─┘   (allowed?)  (one by one)   └ …
//! ```
//!
//! There is one connection to a server. The first request opens it, whoever comes meanwhile waits
//! for the same attempt and shares its failure. APNs takes a thousand requests at once on one, and
//! asks for few connections that stay.
//!
//! Only servers of the configuration are reached, over `https`, by name and port, with their trust
//! and their addresses; the rest is refused before anything is looked up.
//!
//! What went wrong is told such that a request that was certainly not acted on can be known from
//! one that may have been:
//!
//! | error | the request |
//! |---|---|
//! | `http-request-denied` `dns-error` `connection-refused` | was on no connection |
//! | `connection-timeout` `tls-certificate-error` `destination-unavailable` | the same |
//! | `connection-limit-reached` | was refused by the server, or nothing of its body was asked for |
//! | `connection-terminated` `http-protocol-error` | may have been acted on |
//!
//! A server refuses by `REFUSED_STREAM`, or by a GOAWAY whose last stream is below the request's.
//! `hyper` says nothing of interim (1xx) answers, so a stream that is refused after one counts as
//! refused.
//!
//! Limits: 8 connections at once and then 20 in a second (`pace.rs`), 8 s for a connection, as in
//! the function; a body waits in the connection's windows for whoever reads it. An exchange has no
//! time limit: whoever drops it resets its stream.

mod body;
mod dial;
mod pace;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::debug;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use self::body::Watched;
use self::pace::ConnectPace;
use crate::wasi::sockets::{Addresses, AllowedHost};
use crate::wasi::tls::Provider;

/// Longest time for a connection: lookup, TCP, TLS and the first frames.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Silence while something is in flight, after which the server is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(4);

/// How long it may take over the answer to that; then the connection is over. A round trip on Earth
/// takes less, and whoever waits has seconds only.
const PONG_TIMEOUT: Duration = Duration::from_secs(3);

/// Requests given up one after the other, no answer having come between them, after which the
/// connection is replaced, as in the function: a server can answer PINGs and still be stuck.
const RETIRE_AFTER: u32 = 3;

/// How often a request is given to a connection that turns out to have ended before it took it.
const ATTEMPTS: usize = 3;

/// Requests at once before the server has said how many it takes: with a provider token APNs takes
/// one until it has seen that.
const STREAMS_AT_FIRST: usize = 1;

/// The client, for all instances. Clones share its connections.
#[derive(Clone)]
pub struct HttpClient(Arc<SharedClient>);

struct SharedClient {
    /// By host in lower case, and port.
    servers: BTreeMap<(String, u16), PooledServer>,
    addresses: Arc<Addresses>,
    tls: Provider,
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HttpClient")
            .field(&self.0.servers.keys())
            .finish()
    }
}

/// One server, and the connection to it.
#[derive(Default)]
struct PooledServer(Mutex<PooledConnection>);

#[derive(Default)]
struct PooledConnection {
    sender: Option<SendRequest<Watched>>,
    /// Requests on it that were given up since one was answered.
    given_up: Arc<AtomicU32>,
    /// Counts connections, so that one that has ended is put away once.
    number: u64,
    failed: Option<(Instant, Unreached)>,
    pace: ConnectPace,
}

/// A connection as those have it who send on it.
struct OpenConnection {
    number: u64,
    sender: SendRequest<Watched>,
    given_up: Arc<AtomicU32>,
}

impl PooledConnection {
    /// Sends no more by the connection of this number.
    fn put_away(&mut self, number: u64) {
        if self.number == number {
            self.sender = None;
        }
    }

    fn usable(&self) -> Option<OpenConnection> {
        let is_stuck = self.given_up.load(Ordering::Relaxed) >= RETIRE_AFTER;
        let sender = self.sender.as_ref();
        let sender = sender.filter(|sender| !sender.is_closed() && !is_stuck);
        sender.map(|sender| OpenConnection {
            number: self.number,
            sender: sender.clone(),
            given_up: Arc::clone(&self.given_up),
        })
    }
}

/// Counts a request as given up if whoever waits for its answer goes before it is there.
struct Waiting(Option<Arc<AtomicU32>>);

impl Waiting {
    fn ended(mut self, is_answered: bool) {
        if let Some(given_up) = self.0.take()
            && is_answered
        {
            given_up.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(given_up) = &self.0 {
            given_up.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unreached {
    Lookup,
    Tcp,
    Certificate,
    /// TLS, or the first frames of HTTP/2.
    Handshake,
    Late,
}

impl From<Unreached> for Error {
    fn from(why: Unreached) -> Self {
        match why {
            Unreached::Lookup => Self::DnsError {
                rcode: None,
                info_code: None,
            },
            Unreached::Tcp => Self::ConnectionRefused,
            Unreached::Certificate => Self::TlsCertificateError,
            Unreached::Handshake => Self::DestinationUnavailable,
            Unreached::Late => Self::ConnectionTimeout,
        }
    }
}

impl HttpClient {
    /// To these servers and no others.
    pub fn new(servers: &[AllowedHost], addresses: Arc<Addresses>, tls: Provider) -> Self {
        let key = |host: &AllowedHost| (host.name.to_ascii_lowercase(), host.port);
        let servers = servers
            .iter()
            .map(|host| (key(host), PooledServer::default()));
        Self(Arc::new(SharedClient {
            servers: servers.collect(),
            addresses,
            tls,
        }))
    }

    async fn send(
        self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<http::Response<WasiBody>, Error> {
        // Without its body a POST says nothing; another may be complete with its headers.
        let is_post = request.method() == http::Method::POST;
        let (mut request, begun) = Watched::wrap(request);
        let asked = options.and_then(|options| options.connect_timeout);
        let patience = asked.unwrap_or(CONNECT_TIMEOUT);
        let (at, server) = self.server(request.uri()).ok_or_else(|| {
            debug!(host = ?request.uri().host(), "a request to a host that is not allowed");
            Error::HttpRequestDenied
        })?;
        for _ in 0..ATTEMPTS {
            let connected = timeout(patience, self.connection(at)).await;
            let OpenConnection {
                number,
                mut sender,
                given_up,
            } = connected.unwrap_or(Err(Unreached::Late))?;
            let waiting = Waiting(Some(given_up));
            let sent = sender.try_send_request(request);
            // See `SharedClient::forget`.
            drop(sender);
            let sent = sent.await;
            waiting.ended(sent.is_ok());
            let mut failed = match sent {
                Ok(response) => {
                    let broke_off = |error| {
                        debug!(%error, "an answer broke off");
                        Error::ConnectionTerminated
                    };
                    return Ok(response.map(|body| body.map_err(broke_off).boxed_unsync()));
                }
                Err(failed) => failed,
            };
            let message = failed.take_message();
            let error = failed.into_error();
            // It takes nothing more, also while it still has something to answer.
            if message.is_some() || is_goodbye(&error) {
                server.put_away(number);
            }
            match message {
                // The connection had ended before it took it.
                Some(message) => request = message,
                None if is_post && !begun.is_set() => return Err(Error::ConnectionLimitReached),
                None => return Err(unanswered(&error)),
            }
        }
        Err(Error::DestinationUnavailable)
    }

    /// The server that a request is for, if it is an allowed one.
    fn server(&self, uri: &http::Uri) -> Option<(&(String, u16), &PooledServer)> {
        if uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
            return None;
        }
        let host = uri.host()?;
        // A literal IPv6 address is in brackets there, and nowhere else.
        let literal = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let host = literal.unwrap_or(host).to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(443);
        self.0.servers.get_key_value(&(host, port))
    }

    /// The connection to a server: the one there is, or a new one. The attempt outlives whoever
    /// asks for it: others wait for it, too, and one that is slow would otherwise never come to its
    /// end.
    async fn connection(&self, at: &(String, u16)) -> Result<OpenConnection, Unreached> {
        let began = Instant::now();
        let (shared, at) = (Arc::clone(&self.0), at.clone());
        let attempt = tokio::spawn(async move { shared.connection(&at, began).await });
        attempt.await.unwrap_or(Err(Unreached::Late))
    }
}

impl SharedClient {
    async fn connection(
        self: &Arc<Self>,
        at: &(String, u16),
        began: Instant,
    ) -> Result<OpenConnection, Unreached> {
        let server = self.servers.get(at).ok_or(Unreached::Lookup)?;
        let mut connection = server.0.lock().await;
        if let Some(open) = connection.usable() {
            return Ok(open);
        }
        // Whoever has waited for an attempt need not make the same again.
        if let Some((_, why)) = connection.failed.filter(|(at, _)| *at >= began) {
            return Err(why);
        }
        // It takes nothing more.
        connection.sender = None;
        let (host, port) = at;
        tokio::time::sleep(connection.pace.wait(Instant::now())).await;
        connection.pace.opened(Instant::now());
        let opened = timeout(CONNECT_TIMEOUT, self.open(host, *port)).await;
        match opened.unwrap_or(Err(Unreached::Late)) {
            Ok((sender, ended)) => {
                connection.number += 1;
                let forgetting = Arc::clone(self).forget(at.clone(), connection.number, ended);
                tokio::spawn(forgetting);
                connection.sender = Some(sender.clone());
                connection.given_up = Arc::default();
                Ok(OpenConnection {
                    number: connection.number,
                    sender,
                    given_up: Arc::clone(&connection.given_up),
                })
            }
            Err(why) => {
                connection.failed = Some((Instant::now(), why));
                Err(why)
            }
        }
    }

    async fn open(&self, host: &str, port: u16) -> Result<Spoken, Unreached> {
        let stream = dial::connect((host, port), &self.addresses, &self.tls).await?;
        speak(host, stream, (PING_AFTER, PONG_TIMEOUT)).await
    }

    /// Puts a connection away when it has ended.
    ///
    /// A request that is handed to it at the moment of its end can remain in the queue between: it
    /// is given back when the last who could send by this connection has gone. So nobody who waits
    /// for an answer keeps it, and neither does this client.
    async fn forget(self: Arc<Self>, at: (String, u16), number: u64, ended: JoinHandle<()>) {
        let _ = ended.await;
        if let Some(server) = self.servers.get(&at) {
            server.0.lock().await.put_away(number);
        }
    }
}

/// What requests are sent by, and what ends with the connection.
type Spoken = (SendRequest<Watched>, JoinHandle<()>);

/// HTTP/2 on a connection to `host`, until it ends. `pings` says after how long a silence the
/// server is asked, and how long it may take over the answer.
async fn speak<S>(host: &str, stream: S, pings: (Duration, Duration)) -> Result<Spoken, Unreached>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(pings.0)
        .keep_alive_timeout(pings.1)
        .initial_max_send_streams(STREAMS_AT_FIRST);
    let shaken = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|error| {
        debug!(%host, %error, "no HTTP/2");
        Unreached::Handshake
    })?;
    let host = host.to_owned();
    let ended = tokio::spawn(async move {
        let ended = connection.await;
        debug!(%host, ?ended, "connection ended");
    });
    Ok((sender, ended))
}

impl PooledServer {
    /// The connection of this number has ended. Whoever is at it meanwhile replaces it, or the next
    /// request finds out.
    fn put_away(&self, number: u64) {
        if let Ok(mut connection) = self.0.try_lock() {
            connection.put_away(number);
        }
    }
}

/// What an error says of a request that was on a connection.
///
/// RFC 9113: a stream above the last one of a GOAWAY (6.8) and one that was refused (8.7) have not
/// been processed. `h2` ends a stream by the peer's GOAWAY in the first case only; those below it
/// end with the transport.
fn unanswered(error: &hyper::Error) -> Error {
    let cause = cause(error);
    debug!(%error, ?cause, "no answer");
    match cause {
        Some(cause) if is_unprocessed(cause) => Error::ConnectionLimitReached,
        Some(cause) if cause.is_reset() => Error::HttpProtocolError,
        _ => Error::ConnectionTerminated,
    }
}

fn cause(error: &hyper::Error) -> Option<&h2::Error> {
    error.source().and_then(|cause| cause.downcast_ref())
}

/// Whether the peer has said that the connection is to end.
fn is_goodbye(error: &hyper::Error) -> bool {
    cause(error).is_some_and(|cause| cause.is_remote() && cause.is_go_away())
}

fn is_unprocessed(cause: &h2::Error) -> bool {
    let is_refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
    cause.is_remote() && (is_refused || cause.is_go_away())
}

/// Outgoing HTTP of one instance: the client, or nothing where the configuration has no use for it.
#[derive(Debug)]
pub(crate) struct Hooks(pub(crate) Option<HttpClient>);

type Transmission = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Transmission), Error>;

impl WasiHttpHooks for Hooks {
    /// HTTP/2 has `:authority`.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Transmission,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let client = self.0.clone();
        Box::new(async move {
            let client = client.ok_or(Error::HttpRequestDenied)?;
            let response = client.send(request, options).await?;
            let transmission: Transmission = Box::new(async { Ok(()) });
            Ok((response, transmission))
        })
    }
}

#[cfg(test)]
mod tests;
