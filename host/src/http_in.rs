//! HTTP/1.1 and h2c in: connections become requests with a whole body, answers go back as they come.
//!
//! What the host itself has to say (too large, overloaded, stopped) is said as problem documents
//! (RFC 9457) like everything else, so that a client needs one kind of error handling.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dunlin::limits::STORE_UNAVAILABLE;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};
use wasmtime_wasi_http::WasiBody;

use crate::dispatch::{DispatchError, Dispatcher};
use crate::status::Status;

/// How long a client may take over the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take over the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests a client may have open on one h2c connection.
const MAX_STREAMS: u32 = 250;

/// Connections held open at once; beyond it new ones wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 4_096;

/// Bytes of request bodies held at once, in KiB; a request beyond it is answered 503. A body of
/// unknown length counts as the largest allowed.
const MAX_BODIES_KIB: usize = 256 * 1024;

/// How often a quiet h2c client is asked whether it is there, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long to wait before accepting again after the system refused (no file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `listener` until `stop` resolves, then lets open requests finish, at most `patience`.
pub async fn serve(
    listener: TcpListener,
    dispatcher: Arc<Dispatcher>,
    status: Arc<Status>,
    max_body: usize,
    stop: impl Future<Output = ()>,
    patience: Duration,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let front = Arc::new(Front {
        dispatcher,
        status,
        max_body,
        bodies: Semaphore::new(MAX_BODIES_KIB),
    });
    let builder = connection_builder();
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        prepare(&stream);
        let front = Arc::clone(&front);
        let spoke = Arc::new(AtomicBool::new(false));
        let speaks = Arc::clone(&spoke);
        let service = service_fn(move |request| {
            speaks.store(true, Ordering::Relaxed);
            let front = Arc::clone(&front);
            async move { Ok::<_, Infallible>(front.answer(request).await) }
        });
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    debug!(%peer, %error, "connection ended");
                },
                () = silence(&spoke) => debug!(%peer, "connection closed: no request came"),
            }
            drop(place);
        });
    }
    drop(listener);
    info!("finishing open requests");
    if tokio::time::timeout(patience, graceful.shutdown())
        .await
        .is_err()
    {
        warn!("requests were still open when the shutdown time ran out");
    }
}

/// Resolves if no request has come in the time that its head may take. The runtime's own limit
/// begins only when it knows the version of HTTP, which takes a client's first bytes.
async fn silence(spoke: &AtomicBool) {
    tokio::time::sleep(HEADER_TIMEOUT).await;
    if spoke.load(Ordering::Relaxed) {
        std::future::pending().await
    }
}

fn connection_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "no TCP_NODELAY");
    }
}

/// Connections that the kernel holds for us until they are accepted. With the usual 128 a burst of
/// clients waits a second for their retransmitted SYN.
const BACKLOG: u32 = 4_096;

/// Binds, with an error that names the address.
///
/// # Errors
/// If the address cannot be bound.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restart must not wait for the connections of the last run to time out.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| {
        std::io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

/// What every connection shares.
struct Front {
    dispatcher: Arc<Dispatcher>,
    status: Arc<Status>,
    max_body: usize,
    /// In KiB.
    bodies: Semaphore,
}

impl Front {
    async fn answer(&self, request: Request<Incoming>) -> Response<WasiBody> {
        let answered = match self.own(&request) {
            Some(response) => Ok(response),
            None => self.function(request).await,
        };
        self.status.request(answered.is_err());
        answered.unwrap_or_else(Problem::into_response)
    }

    /// The answer to what is asked of the host and not of the function.
    fn own(&self, request: &Request<Incoming>) -> Option<Response<WasiBody>> {
        let reads = request.method().is_safe();
        match request.uri().path() {
            "/metrics" if reads => Some(text(StatusCode::OK, METRICS, self.status.metrics())),
            "/readyz" if reads => Some(self.readiness()),
            _ => None,
        }
    }

    fn readiness(&self) -> Response<WasiBody> {
        let unready = match self.dispatcher.store_trouble() {
            _ if !self.dispatcher.is_ready() => "no instance is ready\n".to_owned(),
            Some(why) => format!("{STORE_UNAVAILABLE}: {why}\n"),
            None => return text(StatusCode::OK, PLAIN, "ready\n".to_owned()),
        };
        text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, unready)
    }

    async fn function(&self, request: Request<Incoming>) -> Result<Response<WasiBody>, Problem> {
        let largest = u64::try_from(self.max_body).unwrap_or(u64::MAX);
        let size = request
            .body()
            .size_hint()
            .upper()
            .unwrap_or(largest)
            .min(largest);
        let kib = u32::try_from(size / 1024 + 1).unwrap_or(u32::MAX);
        // A request without a body takes no room: it can always be asked whether all is well.
        let wanted = if size == 0 { 0 } else { kib };
        let Ok(mut room) = self.bodies.try_acquire_many(wanted) else {
            return Err(Problem::from(DispatchError::Overloaded));
        };
        let request = whole(request, self.max_body).await?;
        let used = request.body().len().div_ceil(1024);
        drop(room.split(room.num_permits().saturating_sub(used)));
        Ok(self.dispatcher.call(request).await?)
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// Prometheus's exposition format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<WasiBody> {
    let body = Full::new(Bytes::from(body));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Collects the body, so that a slow client holds a buffer and not a place in an instance.
async fn whole(request: Request<Incoming>, max_body: usize) -> Result<Request<Bytes>, Problem> {
    let (mut head, body) = request.into_parts();
    // A body that announces too much need not be sent.
    if body.size_hint().lower() > max_body as u64 {
        return Err(Problem::body_too_large(max_body));
    }
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, max_body).collect());
    let bytes = match collected.await {
        Err(_) => return Err(Problem::body_timeout()),
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Problem::body_too_large(max_body));
        }
        Ok(Err(_)) => return Err(Problem::broken_body()),
    };
    // The body's length is known now, whatever framing it came with.
    head.headers.remove(http::header::TRANSFER_ENCODING);
    head.headers
        .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    Ok(Request::from_parts(head, bytes))
}

/// A problem document of the host's own.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    rule: &'static str,
    title: &'static str,
    detail: String,
    retry_after: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, rule: &'static str, title: &'static str, detail: String) -> Self {
        Self {
            status,
            rule,
            title,
            detail,
            retry_after: None,
        }
    }

    fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    fn body_too_large(limit: usize) -> Self {
        let detail = format!("expected a body of at most {limit} bytes");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "Body too large",
            detail,
        )
    }

    fn body_timeout() -> Self {
        let detail = format!(
            "the body did not arrive within {} s",
            BODY_TIMEOUT.as_secs()
        );
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-timeout",
            "Body timed out",
            detail,
        )
    }

    fn broken_body() -> Self {
        let detail = "the body ended before its announced length".to_owned();
        Self::new(
            StatusCode::BAD_REQUEST,
            "broken-body",
            "Broken body",
            detail,
        )
    }

    fn into_response(self) -> Response<WasiBody> {
        let document = serde_json::json!({
            "type": format!("urn:dunlin:{}", self.rule),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let body = Full::new(Bytes::from(document.to_string()));
        let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<DispatchError> for Problem {
    fn from(error: DispatchError) -> Self {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let (status, rule, title, detail, retry_after) = match error {
            DispatchError::Overloaded => (
                unavailable,
                "overloaded",
                "Overloaded",
                "every queue is full",
                Some(1),
            ),
            DispatchError::ShuttingDown => (
                unavailable,
                "shutting-down",
                "Shutting down",
                "the host is stopping",
                Some(5),
            ),
            DispatchError::NotDurable => (
                unavailable,
                "store-unavailable",
                "Store unavailable",
                "what the request wrote is not known to be on disk; repeat it",
                Some(5),
            ),
            DispatchError::TimedOut => (
                StatusCode::GATEWAY_TIMEOUT,
                "timeout",
                "Timed out",
                "the function did not answer in time; what it had done is not known",
                None,
            ),
            DispatchError::Stopped => (
                unavailable,
                "function-stopped",
                "Function stopped",
                "the function was stopped while it worked on this request; a push it carried may \
                 have been sent",
                None,
            ),
            DispatchError::Failed => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "function-failed",
                "Function failed",
                "the function could not answer this request",
                None,
            ),
        };
        let problem = Self::new(status, rule, title, detail.to_owned());
        match retry_after {
            Some(seconds) => problem.retry_after(seconds),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn overload_says_when_to_come_back() {
        let response = Problem::from(DispatchError::Overloaded).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document["type"], "urn:dunlin:overloaded");
    }

    #[test]
    fn a_stopped_push_is_not_said_to_be_repeatable() {
        let response = Problem::from(DispatchError::Stopped).into_response();
        assert_eq!(response.status(), 503);
        assert!(!response.headers().contains_key(RETRY_AFTER));
    }
}
