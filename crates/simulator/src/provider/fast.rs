//! Runs the accept-all provider API on one TLS connection: every request is answered 200, nothing
//! is looked at but `apns-id` and `apns-request-id`. It exists so that a benchmark measures the
//! client and not this.
//!
//! A request whose body has arrived is answered in place; only one that has to wait gets a task.
//! Limit: `max_concurrent_streams` tasks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderValue, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::builder;
use crate::state::State;

/// Serves a connection until it is over.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    state: Arc<State>,
    tls: S,
) -> Result<(), h2::Error> {
    let limit = state.config.max_concurrent_streams.max(1);
    let mut server = builder()
        .max_concurrent_streams(limit)
        .handshake(tls)
        .await?;
    while let Some(next) = server.accept().await {
        let (request, respond) = next?;
        let mut exchange = Box::pin(answer(Arc::clone(&state), request, respond));
        // Without a waker it is only tried; a task polls it again and is woken properly.
        if poll_once(exchange.as_mut()).is_pending() {
            tokio::spawn(exchange);
        }
    }
    Ok(())
}

/// Reads the body and answers; a client that is gone ends it.
async fn answer(state: Arc<State>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (mut head, mut body) = request.into_parts();
    while let Some(chunk) = body.data().await {
        let Ok(chunk) = chunk else { return };
        // It fails only for more than was received.
        let _ = body.flow_control().release_capacity(chunk.len());
    }
    let mut response = Response::new(());
    let is_broadcast = head.uri.path().starts_with("/4/");
    let name = if is_broadcast {
        "apns-request-id"
    } else {
        "apns-id"
    };
    let id = head.headers.remove(name);
    if let Some(id) = id.or_else(|| HeaderValue::try_from(state.ids.next()).ok()) {
        response.headers_mut().insert(name, id);
    }
    if respond.send_response(response, true).is_ok() {
        state.counters.accepted();
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
