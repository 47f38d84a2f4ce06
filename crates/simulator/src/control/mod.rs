//! Serves the control API and the page over plain HTTP/1.1.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /` | | the page |
//! | `GET /notifications?token=&limit=` | | `{"notifications","total","dropped"}`: the newest |
//! | `GET /notifications?token=&limit=&after=` | | the first behind the number `after`: a page |
//! | `DELETE /notifications` | | 204 |
//! | `GET /devices` · `DELETE /devices` | | `{"devices"}` · 204 |
//! | `POST /devices` | a device or an array of them | 204 |
//! | `GET /channels` · `DELETE /channels` | | `{"channels"}` of all apps · 204 |
//! | `POST /channels` | one or an array; its `channel_id` may be left out | 200 `{"channel_ids"}` |
//! | `GET /faults` · `DELETE /faults` | | `{"faults","random"}`, with what is `drawn` · 204 |
//! | `POST /faults` | a fault or an array of them, see below | 204 |
//! | `POST /faults` | `{"random":{…}}`, a mix drawn from a seed | 200 with the mix |
//! | `GET /feedback` · `DELETE /feedback` | | `{"feedback"}`, an object by topic · 204 |
//! | `POST /feedback` | `{"topic","token","since"}` or an array of them; `since` in seconds | 204 |
//! | `GET /stats` · `GET /ca.pem` | | counters · what to trust |
//! | `POST /certificates?topic=` | | a client certificate for the topic and its key, one PEM text |
//!
//! Notifications are listed oldest first. Errors are `{"error":"expected …, got …"}`. `fault_json`
//! has the fields of the faults.
//!
//! There is no login. A page of another site open in the same browser must not get in, so a request
//! is refused if its `Host` is a name other than `localhost` (DNS rebinding) or its `Origin` is not
//! that host. Limits: [`MAX_CONNECTIONS`] connections, bodies of [`MAX_BODY`] bytes,
//! [`HEADER_TIMEOUT`].

mod fault_json;
mod guard;
mod routes;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use self::routes::{Asked, Reply};
use crate::accept;
use crate::state::State;

/// Takes connections until `stop` changes or its sender is gone, then drops them all.
pub(crate) async fn listen(listener: TcpListener, state: Arc<State>, stop: watch::Receiver<bool>) {
    let admits = |open| {
        let is_admitted = open < MAX_CONNECTIONS;
        if !is_admitted {
            tracing::warn!("a control connection was refused: too many are open");
        }
        is_admitted
    };
    accept::run(listener, stop, admits, |tcp| serve(tcp, Arc::clone(&state))).await;
}

async fn serve(tcp: TcpStream, state: Arc<State>) {
    let service = service_fn(|request| answer(request, Arc::clone(&state)));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(tcp), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a control connection ended with an error");
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    if let Err(message) = guard::check(&head.headers) {
        return Ok(Reply::error(403, &message).into_response());
    }
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            let message = format!("expected a whole body of at most {MAX_BODY} bytes");
            return Ok(Reply::error(413, &message).into_response());
        }
    };
    let asked = Asked {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        body: &body,
    };
    Ok(routes::answer(&state, &asked).into_response())
}

const MAX_CONNECTIONS: usize = 256;
const MAX_BODY: usize = 1 << 20;
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
