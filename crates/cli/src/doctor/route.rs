//! A server becomes a TCP connection to it: directly, or through the proxy of the configuration.
//!
//! ```text
//! directly: lookup ─► TCP
//! proxy:    lookup of the proxy ─► TCP to it ─► CONNECT ─► 2xx
//! ```
//!
//! Limits: the caller's deadline, and [`ATTEMPTS`] for the addresses that the function would try.
//! They are tried in its order, and one after the other, so that what is wrong can be told of each.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use dunlin::config::Endpoint;
use dunlin::dial::{
    Authority, Credentials, HEAD_MAX_BYTES, Progress, Tunnel, TunnelError, in_order,
};
use dunlin_host::wasi::sockets::{Addresses, resolve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::connection::Target;

/// Longest wait for all addresses together to take a connection; each has an equal share.
const ATTEMPTS: Duration = Duration::from_secs(6);

/// What went wrong with a connection, and what to do.
pub(super) struct Failure {
    pub(super) what: String,
    pub(super) advice: &'static str,
}

impl Failure {
    pub(super) fn new(what: impl Into<String>, advice: &'static str) -> Self {
        let what = what.into();
        Self { what, advice }
    }
}

/// Who is asked for tunnels.
pub(super) struct Proxy {
    pub(super) endpoint: Endpoint,
    pub(super) credentials: Option<Credentials>,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {}", self.endpoint)
    }
}

/// How servers are reached.
pub(super) struct Routes<'a> {
    /// Addresses that are not looked up.
    pub(super) addresses: &'a Addresses,
    /// For those targets that are behind it.
    pub(super) proxy: Option<Proxy>,
}

impl Routes<'_> {
    /// The proxy that a server is behind.
    pub(super) fn proxy_of(&self, target: &Target) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| target.is_proxied)
    }

    /// A connection to a server.
    pub(super) async fn connect(
        &self,
        target: &Target,
        until: Instant,
    ) -> Result<TcpStream, Failure> {
        let Endpoint { host, port } = &target.endpoint;
        let Some(proxy) = self.proxy_of(target) else {
            return self.tcp(host, *port, until).await;
        };
        let Endpoint { host, port } = &proxy.endpoint;
        let opened = match self.tcp(host, *port, until).await {
            Err(Failure { what, .. }) => Err(Failure::new(what, PROXY)),
            Ok(tcp) => {
                let silent = || Failure::new("expected a reply to CONNECT, got none", PROXY);
                let opened = timeout_at(until, proxy.tunnel(target, tcp)).await;
                opened.unwrap_or_else(|_| Err(silent()))
            }
        };
        opened.map_err(|Failure { what, advice }| Failure::new(format!("{proxy}: {what}"), advice))
    }

    /// TCP to the first address of a name that takes it.
    async fn tcp(&self, host: &str, port: u16, until: Instant) -> Result<TcpStream, Failure> {
        let found = timeout_at(until, resolve(self.addresses, host)).await;
        let failed = |why: String| Failure::new(format!("expected an address, got {why}"), DNS);
        let addresses = match found {
            Ok(Ok(found)) => in_order(found),
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed("no answer".to_owned())),
        };
        let mut last = failed("none".to_owned());
        let share = ATTEMPTS / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        for address in addresses {
            let address = SocketAddr::new(address, port);
            let attempt = until.min(Instant::now() + share);
            let (why, advice) = match timeout_at(attempt, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    ("connection refused".to_owned(), REFUSED)
                }
                Ok(Err(error)) => (error.to_string(), FIREWALL),
                Err(_) => ("no answer".to_owned(), FIREWALL),
            };
            let what = format!("expected {address} to take a TCP connection, got {why}");
            last = Failure::new(what, advice);
        }
        Err(last)
    }
}

impl Proxy {
    /// Has a tunnel to the server opened on a connection to the proxy.
    async fn tunnel(&self, target: &Target, mut tcp: TcpStream) -> Result<TcpStream, Failure> {
        let Endpoint { host, port } = &target.endpoint;
        let server = Authority::new(host, *port);
        let server = server.map_err(|error| Failure::new(error.to_string(), SERVER))?;
        let mut request = Vec::new();
        let mut tunnel = Tunnel::request(&server, self.credentials.as_ref(), &mut request);
        let lost = |error: io::Error| {
            Failure::new(format!("expected a reply to CONNECT, got {error}"), PROXY)
        };
        tcp.write_all(&request).await.map_err(lost)?;
        let mut buffer = Vec::with_capacity(HEAD_MAX_BYTES);
        loop {
            if tcp.read_buf(&mut buffer).await.map_err(lost)? == 0 {
                return Err(refused(&tunnel.handle_end()));
            }
            match tunnel.handle_input(&buffer) {
                Ok(Progress::Open) => return Ok(tcp),
                Ok(Progress::NeedMore) => buffer.clear(),
                Err(error) => return Err(refused(&error)),
            }
        }
    }
}

/// What a refusal of the proxy means.
fn refused(error: &TunnelError) -> Failure {
    let advice = match error {
        TunnelError::Refused { status: 407, .. } => LOGIN,
        TunnelError::Refused { .. } => FORBIDDEN,
        _ => PROXY,
    };
    Failure::new(format!("CONNECT: {error}"), advice)
}

const DNS: &str = "Check the name in the configuration, and that this machine can look names up.";
const REFUSED: &str = "\
    Check host and port in the configuration; if they are right, let this machine connect there, \
    or have APNs use its other port, 443 or 2197.";
const FIREWALL: &str = "\
    Let this machine make TCP connections to this address, or name a proxy under [proxy]; for \
    APNs port 2197 may do where 443 does not.";
const PROXY: &str = "\
    Check url under [proxy]: an HTTP proxy that takes CONNECT has to be there; name servers that \
    are reached without it under except.";
const LOGIN: &str = "\
    Set user and password in url under [proxy], or password_env; no other authentication than \
    Basic is spoken.";
const FORBIDDEN: &str = "\
    Have the proxy let CONNECT through to this server and port; for APNs port 443 may do where \
    another does not.";
const SERVER: &str = "Check host and port in the configuration.";
