//! Asking a service that is running: one HTTP/1.1 request to where the configuration says that it
//! listens, or to a URL; or lines, in as many as there are ([`LinesClient`]).

mod lines;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use dunlin::config::host_name;
use dunlin::terminal::Exit;
use dunlin::tls_name::{Protocol, TlsName};
use dunlin_host::listen::Listen;
use dunlin_host::wasi::tls::Provider;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Error;
pub use lines::{LinesClient, TakeBytes};

/// Largest answer, in bytes: the results of 10,000 devices with room to spare.
pub const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// As text; what is not UTF-8 is replaced.
    pub body: String,
}

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUrl {
    is_tls: bool,
    at: Authority,
    /// What goes in front of every path: empty, or `/` and more.
    prefix: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Authority {
    /// Where it listens.
    Listen(Listen),
    /// A host as hosts are compared, and a port.
    Host(String, u16),
}

/// Not where a service can be. Whoever wrote it is at fault; nothing of it is shown, since it may
/// hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUrl;

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected a URL such as http://127.0.0.1:8080 or https://push.example.com, without \
             user and query; got something else",
        )
    }
}

impl std::error::Error for InvalidUrl {}

impl FromStr for ServiceUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidUrl)?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(InvalidUrl),
        };
        let authority = uri.authority().ok_or(InvalidUrl)?;
        let after_host = authority.as_str().strip_prefix(authority.host());
        // Neither a user in front of the host, nor a port that is none behind it.
        let port = match (after_host, uri.port_u16()) {
            (Some(""), _) => {
                if is_tls {
                    443
                } else {
                    80
                }
            }
            (Some(_), Some(port)) if port > 0 => port,
            _ => return Err(InvalidUrl),
        };
        let host = host_name(authority.host()).ok_or(InvalidUrl)?;
        if uri.query().is_some() {
            return Err(InvalidUrl);
        }
        Ok(Self {
            is_tls,
            at: Authority::Host(host, port),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl From<Listen> for ServiceUrl {
    fn from(listen: Listen) -> Self {
        Self {
            is_tls: false,
            at: Authority::Listen(listen),
            prefix: String::new(),
        }
    }
}

impl From<SocketAddr> for ServiceUrl {
    fn from(address: SocketAddr) -> Self {
        Listen::from(address).into()
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

impl ServiceUrl {
    /// Host and port, as a `Host` field has them.
    fn authority(&self) -> String {
        match &self.at {
            Authority::Listen(listen) => match listen.literal() {
                Some(address) => reachable(address).to_string(),
                None => listen.to_string(),
            },
            Authority::Host(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            Authority::Host(host, port) => format!("{host}:{port}"),
        }
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        match &self.at {
            Authority::Listen(listen) => {
                let addresses = listen.addresses().await?;
                let addresses: Vec<_> = addresses.into_iter().map(reachable).collect();
                TcpStream::connect(addresses.as_slice()).await
            }
            Authority::Host(host, port) => TcpStream::connect((host.as_str(), *port)).await,
        }
    }

    /// Whether it is said well enough to be asked: a free port is not known beforehand.
    ///
    /// # Errors
    /// If the port is 0.
    fn check(&self) -> Result<(), Error> {
        match &self.at {
            Authority::Listen(listen) if listen.port() == 0 => Err(Error::with(
                Exit::Usage,
                "host.listen has port 0, so where the service listens is in its log alone; say it \
                 with --url or DUNLIN_URL",
            )),
            _ => Ok(()),
        }
    }
}

/// Sends a request and waits for the whole answer, at most `patience`.
///
/// # Errors
/// [`Exit::NotReached`] if nobody listens or TLS fails, [`Exit::Unanswered`] if there is no answer
/// in time or it breaks off; the error names the service.
pub async fn ask(
    service: impl Into<ServiceUrl>,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: Vec<u8>,
    patience: Duration,
) -> Result<Answer, Error> {
    let service = service.into();
    service.check()?;
    let request = request(&service, method, path, key, body)?;
    let late = |exit| {
        let why = format!("{service}: no answer within {} s", patience.as_secs());
        Error::with(exit, why)
    };
    let until = tokio::time::Instant::now() + patience;
    let reached = tokio::time::timeout_at(until, reach(&service)).await;
    let stream = reached.map_err(|_| late(Exit::NotReached))??;
    let answered = exchange(stream, request);
    match tokio::time::timeout_at(until, answered).await {
        Ok(answer) => {
            answer.map_err(|why| Error::with(Exit::Unanswered, format!("{service}: {why}")))
        }
        Err(_) => Err(late(Exit::Unanswered)),
    }
}

fn request(
    service: &ServiceUrl,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: Vec<u8>,
) -> Result<Request<Full<Bytes>>, Error> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", service.prefix))
        .header(header::HOST, service.authority());
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    // Of all that is put in, only the key may be what no field can hold.
    let expected = "the API key: expected letters, digits and punctuation, got something else";
    let request = request.body(Full::new(Bytes::from(body)));
    request.map_err(|_| Error::with(Exit::Usage, expected))
}

/// A connection, with TLS on it or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn reach(service: &ServiceUrl) -> Result<Box<dyn Stream>, Error> {
    let failed =
        |why: &dyn fmt::Display| Error::with(Exit::NotReached, format!("{service}: {why}"));
    let tcp = service.connect().await.map_err(|error| failed(&error))?;
    let Authority::Host(host, _) = &service.at else {
        return Ok(Box::new(tcp));
    };
    if !service.is_tls {
        return Ok(Box::new(tcp));
    }
    // The binary protocols are those for which no protocol is negotiated: HTTP/1.1 is spoken then.
    let name = TlsName {
        protocol: Protocol::Binary,
        identity: None,
        host: host.clone(),
    };
    let provider = Provider::new(std::iter::empty(), Vec::new())?;
    let config = provider.client_config(&name)?;
    let server = ServerName::try_from(host.clone()).map_err(|error| failed(&error))?;
    let tls = TlsConnector::from(config).connect(server, tcp).await;
    Ok(Box::new(tls.map_err(|error| failed(&error))?))
}

async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    Ok(Answer {
        status: head.status.as_u16(),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// Who listens everywhere is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_http_or_https_with_a_host_and_perhaps_a_path() {
        for (text, shown) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost/", "http://localhost:80"),
            ("https://push.example.com", "https://push.example.com:443"),
            (
                "https://push.example.com/a/b/",
                "https://push.example.com:443/a/b",
            ),
            ("http://[0:0::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(text.parse::<ServiceUrl>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "localhost:8080",
            "127.0.0.1:8080",
            "ftp://a.b",
            "http://",
            "http://a.b:0",
            "http://a.b:x",
            "http://a.b:65536",
            "http://anna:s3cret@a.b",
            "http://a.b?x=1",
            "//a.b",
        ] {
            let error = text
                .parse::<ServiceUrl>()
                .map(|url| url.to_string())
                .unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("http://127.0.0.1:8080") && !error.contains("s3cret"),
                "{text}"
            );
        }
    }

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listen, shown) in [
            (":8080", "http://[::1]:8080"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("localhost:8080", "http://localhost:8080"),
            ("192.0.2.1:8080", "http://192.0.2.1:8080"),
        ] {
            let listen: Listen = listen.parse().unwrap();
            assert_eq!(ServiceUrl::from(listen).to_string(), shown);
        }
    }

    async fn failure(service: impl Into<ServiceUrl>, key: Option<&str>) -> Error {
        let asked = ask(
            service,
            "GET",
            "/",
            key,
            Vec::new(),
            Duration::from_secs(20),
        );
        asked.await.unwrap_err()
    }

    #[tokio::test]
    async fn nobody_there_and_no_answer_are_told_apart() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent = tokio::spawn(async move {
            let _ = listener.accept().await.unwrap();
            listener
        });
        let error = failure(address, None).await;
        assert_eq!(error.exit(), Exit::Unanswered, "{error}");
        drop(silent.await.unwrap());
        let error = failure(address, None).await;
        assert_eq!(error.exit(), Exit::NotReached, "{error}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("http://{address}: ")),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_said_and_no_key_is_shown() {
        let nowhere: Listen = "127.0.0.1:0".parse().unwrap();
        let error = failure(nowhere, None).await;
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains("--url"), "{error}");
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let error = failure(address, Some("s3cret\n")).await;
        assert_eq!(error.exit(), Exit::Usage);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
