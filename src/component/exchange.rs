//! A request of a lane as one of the platform's HTTP client, and what came of it.
//!
//! ```text
//!   ExchangeRequest ─► wasi:http/client.send ─┬─ response: status, headers, body to its end
//!                                             └─ error-code: sent or not, as far as it tells
//! ```
//!
//! Limits: 1 MiB of a body, the rest is dropped; [`CONNECT_TIMEOUT`] for a connection, and seven
//! eighths of what is left until the deadline, where the platform has such an option. Everything
//! else is the deadline of the lane, which drops the exchange.

use std::time::Duration;

use super::bindings::wasi::http::client;
use super::bindings::wasi::http::types::{
    ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme,
};
use super::bindings::{wit_future, wit_stream};
use crate::delivery::{ExchangeFailure, ExchangeRequest, ExchangeResponse};
use wit_bindgen::{StreamReader, StreamResult, spawn_local};

/// Longest time for a connection, as over sockets.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Room for a body at first, in bytes: most refusals are shorter.
const BODY_START: usize = 256;

/// Why there is no answer.
pub(super) struct Failed {
    pub(super) failure: ExchangeFailure,
    /// For people.
    pub(super) why: String,
}

/// Sends a request and reads its answer. Whoever drops this gives the exchange up.
pub(super) async fn send(request: ExchangeRequest) -> Result<ExchangeResponse, Failed> {
    let authority = request.authority.clone();
    let named = |failure: ExchangeFailure, why: &dyn std::fmt::Display| Failed {
        failure,
        why: format!("{authority}: {why}"),
    };
    let request = build(request).map_err(|why| named(ExchangeFailure::NotSent, &why))?;
    let sent = client::send(request).await;
    let response = sent.map_err(|code| named(judged(&code), &format_args!("{code:?}")))?;
    let status = response.get_status_code();
    let headers = response.get_headers().copy_all();
    let (_, done) = wit_future::new(|| Ok(()));
    let (stream, trailers) = Response::consume_body(response, done);
    let (body, is_whole) = read(stream).await;
    // What follows the body also says whether it came to its end.
    if is_whole && let Err(code) = trailers.await {
        let why = format_args!("the answer broke off: {code:?}");
        return Err(named(ExchangeFailure::Unanswered, &why));
    }
    Ok(ExchangeResponse {
        status,
        headers,
        body,
    })
}

fn build(request: ExchangeRequest) -> Result<Request, String> {
    let ExchangeRequest {
        method,
        path,
        authority,
        headers,
        body,
        patience,
    } = request;
    let headers = headers.into_iter();
    let headers = headers.map(|(name, value)| (name.to_owned(), value.into_bytes()));
    let headers: Vec<(String, Vec<u8>)> = headers.collect();
    let headers = Fields::from_list(&headers).map_err(|error| format!("headers: {error:?}"))?;
    let contents = (!body.is_empty()).then(|| {
        let (mut writer, contents) = wit_stream::new();
        spawn_local(async move {
            // What the platform does not take it has a reason for, which `send` gives.
            let _ = writer.write_all(body).await;
        });
        contents
    });
    let (_, trailers) = wit_future::new(|| Ok(None));
    let options = RequestOptions::new();
    // Before the deadline, or a request that was never sent would end as one that may have been.
    let connect = CONNECT_TIMEOUT.min(patience - patience / 8);
    let nanos = u64::try_from(connect.as_nanos()).unwrap_or(u64::MAX);
    // Where the platform does not offer it, its own setting stands.
    let _ = options.set_connect_timeout(Some(nanos));
    let (request, _) = Request::new(headers, contents, trailers, Some(options));
    let refused = |what: &'static str| move |()| format!("the platform refuses the {what}");
    let method = match method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        _ => Method::Other(method),
    };
    request.set_method(&method).map_err(refused("method"))?;
    let scheme = request.set_scheme(Some(&Scheme::Https));
    scheme.map_err(refused("scheme"))?;
    let set = request.set_authority(Some(&authority));
    set.map_err(refused("authority"))?;
    let set = request.set_path_with_query(Some(&path));
    set.map_err(refused("path"))?;
    Ok(request)
}

/// The body, and whether that is all of it.
async fn read(mut stream: StreamReader<u8>) -> (Vec<u8>, bool) {
    let mut body = Vec::with_capacity(BODY_START);
    loop {
        if body.len() == body.capacity() {
            body.reserve(body.len());
        }
        let (result, filled) = stream.read(body).await;
        body = filled;
        if !matches!(result, StreamResult::Complete(_)) {
            return (body, true);
        }
        if body.len() > ExchangeResponse::BODY_MAX_BYTES {
            body.truncate(ExchangeResponse::BODY_MAX_BYTES);
            return (body, false);
        }
    }
}

/// What an error tells of the request. Sources: the meanings of the codes in IANA's *HTTP Proxy
/// Error Types* (RFC 9209, section 2.3), after which those of `wasi:http` are named.
///
/// TLS errors and alerts may come "either during the handshake or afterwards", so what they say is
/// for the lane to decide, which knows whether there ever was an answer. Only one about a
/// certificate says by itself that nothing was sent.
fn judged(code: &ErrorCode) -> ExchangeFailure {
    match code {
        // No connection was made, or the platform refused the request on its own.
        ErrorCode::DnsTimeout
        | ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::TlsCertificateError
        | ErrorCode::HttpRequestDenied
        | ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::ConfigurationError => ExchangeFailure::NotSent,
        // There are as many connections, or requests on one, as there may be. Our host says so of a
        // stream that the peer has not processed.
        ErrorCode::ConnectionLimitReached => ExchangeFailure::NotProcessed,
        ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => ExchangeFailure::Tls,
        // Everything that may come after the request is out, and what is not known.
        _ => ExchangeFailure::Unanswered,
    }
}
