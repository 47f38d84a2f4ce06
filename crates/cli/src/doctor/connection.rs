//! Whether the servers of the configuration can be reached from here, and what they say the time
//! is.
//!
//! ```text
//! HTTP/2:   TCP ─► TLS, ALPN h2 ─► GET / ─► any answer; its `date` is for the clock
//!           the same with each certificate that goes there ─► any answer but 403
//! gateway:  TCP ─► TLS with our certificate ─► half a second of silence
//! feedback: TCP
//! ```
//!
//! TCP is `route.rs`: directly, or through the proxy. HTTP/2 is spoken by the provider API, by what
//! broadcasts go to where that is elsewhere, and by the management of channels. Only who has
//! channels needs the last, so there what is wrong is a warning.
//!
//! With TLS 1.3 a gateway refuses a certificate only after the handshake, hence the silence. A
//! feedback service forgets its list when a connection is closed well, so none is made to it here.
//!
//! Limits: the caller's patience for each server, [`AT_ONCE`] servers at a time.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dunlin::config::{ApnsService, Endpoint};
use dunlin::provider::Reason;
use dunlin::tls_name::{Protocol, TlsName};
use dunlin_host::wasi::tls::{ALPN_H2, Provider};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt as _, Collected, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::report::{Line, Severity};
use super::route::{Failure, Routes};

/// Most servers that are examined at once.
pub(super) const AT_ONCE: usize = 8;

/// Most bytes of an answer that are read for its reason. Ours.
const ANSWER_MAX_BYTES: usize = 4_096;

/// How long a gateway may take to refuse a certificate.
const SILENCE: Duration = Duration::from_millis(500);

/// What is at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerKind {
    /// One that speaks HTTP/2, and the identity that it is shown.
    Http2(ApnsService, Option<String>),
    /// A binary gateway, and the identity that it is shown.
    Gateway(Option<String>),
    /// A feedback service.
    Feedback,
}

/// A server of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) service: ServerKind,
    pub(super) endpoint: Endpoint,
    /// Whether it is reached through the proxy.
    pub(super) is_proxied: bool,
}

/// What was found, and the time that the server gave.
pub(super) struct Examined {
    pub(super) line: Line,
    pub(super) date: Option<Date>,
}

/// What a server says the time is, and what it was here when that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) host: String,
    pub(super) theirs: SystemTime,
    pub(super) ours: SystemTime,
}

/// Examines all of them; the answers are in the order of the targets.
pub(super) async fn examine(
    targets: Vec<Target>,
    provider: &Provider,
    routes: &Routes<'_>,
    patience: Duration,
) -> Vec<Examined> {
    stream::iter(targets)
        .map(|target| async move { target.examine(provider, routes, patience).await })
        .buffered(AT_ONCE)
        .collect()
        .await
}

/// What was found of a connection, and the time that the server gave.
type Reached = Result<(String, Option<Date>), Failure>;

impl Target {
    pub(super) fn subject(&self) -> String {
        let Endpoint { host, port } = &self.endpoint;
        match &self.service {
            ServerKind::Http2(service, identity) => {
                let name = match service {
                    ApnsService::Push => "connection",
                    ApnsService::Broadcast => "broadcast",
                    ApnsService::Channels => "channels",
                };
                let shown = identity.as_ref().map(|identity| format!(" as {identity}"));
                format!("{name} {host}:{port}{}", shown.unwrap_or_default())
            }
            ServerKind::Gateway(_) => format!("gateway {host}:{port}"),
            ServerKind::Feedback => format!("feedback {host}:{port}"),
        }
    }

    async fn examine(
        self,
        provider: &Provider,
        routes: &Routes<'_>,
        patience: Duration,
    ) -> Examined {
        let began = Instant::now();
        let reached = self.reach(provider, routes, began + patience).await;
        let subject = self.subject();
        match reached {
            Ok((what, date)) => {
                let proxy = routes.proxy_of(&self).map(|proxy| format!("{proxy}, "));
                let proxy = proxy.unwrap_or_default();
                let what = format!("{proxy}{what}, {} ms", began.elapsed().as_millis());
                let line = Line::ok(&subject, what);
                Examined { line, date }
            }
            Err(Failure { what, advice }) => {
                let line = match self.service {
                    ServerKind::Http2(ApnsService::Channels, _) => {
                        let advice = format!("{advice} {CHANNELS}");
                        Line::new(Severity::Warning, &subject, what, &advice)
                    }
                    _ => Line::new(Severity::Error, &subject, what, advice),
                };
                Examined { line, date: None }
            }
        }
    }

    async fn reach(&self, provider: &Provider, routes: &Routes<'_>, until: Instant) -> Reached {
        let tcp = routes.connect(self, until).await?;
        let secure = |protocol, identity| self.secure(provider, protocol, identity, tcp, until);
        match &self.service {
            ServerKind::Feedback => Ok(("TCP".to_owned(), None)),
            ServerKind::Http2(_, identity) => {
                let stream = secure(Protocol::Http2, identity.clone()).await?;
                let asked = self.ask(stream, until).await;
                match identity {
                    Some(_) => with_certificate(asked),
                    None => Ok(without_certificate(asked)),
                }
            }
            ServerKind::Gateway(identity) => {
                listen(secure(Protocol::Binary, identity.clone()).await?).await?;
                Ok(("TCP, TLS".to_owned(), None))
            }
        }
    }

    pub(super) async fn secure(
        &self,
        provider: &Provider,
        protocol: Protocol,
        identity: Option<String>,
        tcp: TcpStream,
        until: Instant,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let host = self.endpoint.host.clone();
        let name = TlsName {
            protocol,
            identity,
            host: host.clone(),
        };
        let config = provider.client_config(&name);
        let config = config.map_err(|error| Failure::new(error.to_string(), OTHER))?;
        let name = ServerName::try_from(host).map_err(|_| {
            let what = "expected a DNS name or an IP address, got something else";
            Failure::new(what, OTHER)
        })?;
        let connecting = TlsConnector::from(Arc::clone(&config)).connect(name, tcp);
        let stream = match timeout_at(until, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(handshake(&error)),
            Err(_) => return Err(Failure::new("expected TLS, got no answer", NO_TLS)),
        };
        match (protocol, stream.get_ref().1.alpn_protocol()) {
            (Protocol::Http2, Some(ALPN_H2)) | (Protocol::Binary, _) => Ok(stream),
            (Protocol::Http2, _) => Err(Failure::new(
                "expected a server that speaks h2 (ALPN), got one that does not say so",
                NO_H2,
            )),
        }
    }

    /// One request, whose answer only has to be one. It asks for nothing that there is, and carries
    /// no token.
    async fn ask(
        &self,
        stream: TlsStream<TcpStream>,
        until: Instant,
    ) -> Result<ServerReply, String> {
        let asked = async {
            let io = TokioIo::new(stream);
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
            let (mut sender, connection) = handshake.await.map_err(|error| chain(&error))?;
            let running = tokio::spawn(connection);
            let uri = format!("https://{}/", self.endpoint.uri_host());
            let request = Request::get(uri).body(Empty::<Bytes>::new());
            let request = request.map_err(|error| chain(&error))?;
            let answered = match sender.send_request(request).await {
                Ok(response) => Ok(self.answer(response).await),
                Err(error) => Err(error),
            };
            drop(sender);
            match answered {
                Ok(answer) => {
                    running.abort();
                    Ok(answer)
                }
                // What ended the connection says more than what became of the request.
                Err(error) => match running.await {
                    Ok(Err(ended)) => Err(chain(&ended)),
                    _ => Err(chain(&error)),
                },
            }
        };
        let answered = timeout_at(until, asked).await;
        answered.unwrap_or_else(|_| Err("no answer".to_owned()))
    }

    pub(super) async fn answer(&self, response: Response<Incoming>) -> ServerReply {
        let ours = SystemTime::now();
        let (head, body) = response.into_parts();
        let date = date_of(&head.headers).map(|theirs| Date {
            host: self.endpoint.host.clone(),
            theirs,
            ours,
        });
        let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await;
        let body = body.map(Collected::to_bytes).unwrap_or_default();
        ServerReply {
            status: head.status.as_u16(),
            reason: Reason::from_json(&body),
            date,
        }
    }
}

/// What a server answered.
pub(super) struct ServerReply {
    pub(super) status: u16,
    pub(super) reason: Reason,
    pub(super) date: Option<Date>,
}

/// An answer of whichever kind shows that the provider API is there; none, that somebody is.
fn without_certificate(asked: Result<ServerReply, String>) -> (String, Option<Date>) {
    let said = "TCP, TLS, ALPN h2,";
    match asked {
        Ok(ServerReply { status, date, .. }) => {
            let what = format!("{said} and a request without a token was answered {status}");
            (what, date)
        }
        Err(_) => {
            let what = format!("{said} but a request without a token was not answered");
            (what, None)
        }
    }
}

/// With TLS 1.3 a certificate is refused after the handshake, and APNs does it later still: by 403,
/// or by ending the connection with a reason.
fn with_certificate(asked: Result<ServerReply, String>) -> Reached {
    let failed = |got: String| {
        let what = format!("expected the server to take the certificate, got {got}");
        Err(Failure::new(what, CERTIFICATE))
    };
    match asked {
        Err(why) => failed(why),
        Ok(ServerReply {
            status: 403,
            reason,
            ..
        }) => failed(format!("403 {reason}")),
        Ok(ServerReply { status, date, .. }) => {
            let what = "TCP, TLS, ALPN h2, and a request with the certificate was answered";
            Ok((format!("{what} {status}"), date))
        }
    }
}

/// An error with what caused it.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn date_of(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok()
}

/// Waits for a refusal. Nothing is what a gateway says to somebody it knows.
async fn listen(mut stream: TlsStream<TcpStream>) -> Result<(), Failure> {
    let mut byte = [0];
    match timeout(SILENCE, stream.read(&mut byte)).await {
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => Err(Failure::new(
            "expected the gateway to wait for us, got a closed connection",
            CERTIFICATE,
        )),
        Ok(Err(error)) => Err(handshake(&error)),
    }
}

/// What a failed handshake means.
fn handshake(error: &io::Error) -> Failure {
    let what = format!("expected TLS, got: {error}");
    let inner = error.get_ref();
    let inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let advice = match inner {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            // The second is what an older authority of the same name makes of it.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => ROOTS,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => DATES,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                NAME
            }
            _ => OTHER,
        },
        Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => NO_H2,
        Some(rustls::Error::AlertReceived(_)) => CERTIFICATE,
        _ => NO_TLS,
    };
    Failure::new(what, advice)
}

/// What the clock is compared with: the first server that has given its time.
pub(super) fn clock(dates: &[Date]) -> Line {
    let subject = "clock";
    let Some(Date { host, theirs, ours }) = dates.first() else {
        return Line::new(
            Severity::Note,
            subject,
            "not checked: no server that was reached has said what the time is",
            "Compare `date -u` with a clock that is right.",
        );
    };
    let (off, which) = match ours.duration_since(*theirs) {
        Ok(off) => (off, "ahead"),
        Err(error) => (error.duration(), "behind"),
    };
    let what = format!(
        "expected the time of {host}, got one {} s {which}",
        off.as_secs()
    );
    let advice = "Set the clock of this machine, by NTP for example.";
    match off {
        off if off >= SKEW_ERROR => Line::new(Severity::Error, subject, what, advice),
        off if off >= SKEW_WARNING => Line::new(Severity::Warning, subject, what, advice),
        _ => Line::ok(
            subject,
            format!("within {} s of {host}", SKEW_WARNING.as_secs()),
        ),
    }
}

/// A token is renewed when it is 40 minutes old and refused when it is an hour old, by APNs's
/// clock: what is left for clocks to differ.
const SKEW_ERROR: Duration = Duration::from_mins(20);

/// Whether a device died before or after it registered is decided by two clocks. **Ours.**
const SKEW_WARNING: Duration = Duration::from_secs(30);

const NO_TLS: &str = "\
    Check host and port in the configuration, and that no proxy or firewall takes TLS connections \
    apart.";
const NO_H2: &str =
    "Check host and port in the configuration, and that no proxy answers in place of APNs.";
const ROOTS: &str = "\
    If the server is meant to have a certificate of its own authority, name the authority's PEM \
    file under [tls.trust]; otherwise something answers in its place.";
const DATES: &str =
    "Check the date of this machine; if it is right, the server needs a new certificate.";
const NAME: &str =
    "Check host in the configuration: the server has a certificate for another name.";
const CERTIFICATE: &str =
    "Use an identity that this server knows, whose certificate has not expired or been revoked.";
const CHANNELS: &str = "Only calls about channels go there.";
const OTHER: &str = "Check host, port and [tls] in the configuration.";

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ours: u64) -> Line {
        let time = |secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        clock(&[Date {
            host: "apns".into(),
            theirs: time(100_000),
            ours: time(ours),
        }])
    }

    #[test]
    fn a_clock_may_be_half_a_minute_off() {
        for (ours, severity) in [
            (100_000, Severity::Ok),
            (100_029, Severity::Ok),
            (99_971, Severity::Ok),
            (100_030, Severity::Warning),
            (99_970, Severity::Warning),
            (101_199, Severity::Warning),
            (101_200, Severity::Error),
            (98_800, Severity::Error),
        ] {
            assert_eq!(at(ours).severity, severity, "{ours}");
        }
        assert!(at(101_200).what.ends_with("got one 1200 s ahead"));
        assert!(at(98_800).what.ends_with("got one 1200 s behind"));
    }

    #[test]
    fn a_clock_with_nothing_to_compare_it_with_is_not_checked() {
        let line = clock(&[]);
        assert_eq!(line.severity, Severity::Note);
        assert!(line.what.starts_with("not checked"));
    }

    #[test]
    fn a_date_is_that_of_http() {
        let mut headers = HeaderMap::new();
        assert_eq!(date_of(&headers), None);
        headers.insert(header::DATE, "soon".parse().unwrap());
        assert_eq!(date_of(&headers), None);
        let text = "Sun, 06 Nov 1994 08:49:37 GMT";
        headers.insert(header::DATE, text.parse().unwrap());
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(date_of(&headers), Some(expected));
    }

    #[test]
    fn a_failed_handshake_says_what_to_do() {
        let advice = |error: rustls::Error| handshake(&io::Error::other(error)).advice;
        let of_certificate = |why| advice(rustls::Error::InvalidCertificate(why));
        assert_eq!(of_certificate(CertificateError::UnknownIssuer), ROOTS);
        assert_eq!(of_certificate(CertificateError::BadSignature), ROOTS);
        assert_eq!(of_certificate(CertificateError::Expired), DATES);
        assert_eq!(of_certificate(CertificateError::NotValidForName), NAME);
        assert_eq!(of_certificate(CertificateError::BadEncoding), OTHER);
        let alert = |alert| advice(rustls::Error::AlertReceived(alert));
        assert_eq!(alert(AlertDescription::NoApplicationProtocol), NO_H2);
        assert_eq!(alert(AlertDescription::CertificateRevoked), CERTIFICATE);
        assert_eq!(advice(rustls::Error::DecryptError), NO_TLS);
        let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(handshake(&cut).advice, NO_TLS);
    }
}
