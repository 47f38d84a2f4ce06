//! `wasi:http/handler`: a request becomes a call, its reply a response.

use core::pin::Pin;

use super::app::app;
use super::bindings::exports::wasi::http::handler::Guest;
use super::bindings::wasi::http::types::{ErrorCode, Fields, Method, Request, Response};
use super::bindings::{wit_future, wit_stream};
use super::{operator, upload};
use crate::api::{Problem, aside};
use crate::service::{self, Answered, BODY_MAX_BYTES, RequestHead, Upload, body_too_large};
use wit_bindgen::{StreamReader, StreamResult, spawn_local};

/// Room for a body of unknown length at first, in bytes.
const BODY_START: usize = 1_024;

/// The status that has no body (RFC 9110, section 15.3.5).
pub(super) const NO_CONTENT: u16 = 204;

/// The function.
pub(super) struct Function;

/// A body that is still to be read: one type for all of them, so that what answers calls is
/// compiled once.
pub(super) type BodyFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Problem>> + 'a>>;

impl Guest for Function {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let method = request.get_method();
        let target = request.get_path_with_query().unwrap_or_default();
        let headers = request.get_headers();
        let head = RequestHead {
            method: name(&method),
            target: &target,
            header: &|name| headers.get(name),
            is_unwritable: &|| operator::has_our_host() && headers.has(aside::UNWRITABLE_HEADER),
        };
        match Upload::begin(&head, app) {
            None => {
                let body: BodyFuture<'_> = Box::pin(body_of(request, &headers));
                respond(service::answer(head, app, body).await)
            }
            Some(Ok(upload)) => upload::respond(upload, request),
            Some(Err(reply)) => respond(Answered {
                reply,
                // Nothing was done.
                waits_for_disk: false,
            }),
        }
    }
}

fn name(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(other) => other,
    }
}

async fn body_of(request: Request, headers: &Fields) -> Result<Vec<u8>, Problem> {
    let length = headers.get("content-length").first().and_then(|value| {
        core::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse::<usize>().ok())
    });
    let (_, done) = wit_future::new(|| Ok(()));
    let (stream, _trailers) = Request::consume_body(request, done);
    read_all(stream, length.unwrap_or(BODY_START)).await
}

async fn read_all(mut stream: StreamReader<u8>, expected: usize) -> Result<Vec<u8>, Problem> {
    // One more than expected, so that the end is seen without growing.
    let mut body = Vec::with_capacity(expected.min(BODY_MAX_BYTES) + 1);
    loop {
        if body.len() == body.capacity() {
            body.reserve(body.len());
        }
        let (result, filled) = stream.read(body).await;
        body = filled;
        if body.len() > BODY_MAX_BYTES {
            return Err(body_too_large());
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return Ok(body);
        }
    }
}

fn respond(answered: Answered) -> Result<Response, ErrorCode> {
    let Answered {
        reply,
        waits_for_disk,
    } = answered;
    let mut headers = Vec::new();
    let has_body = reply.status != NO_CONTENT;
    if has_body {
        let length = reply.body.len().to_string();
        let kind = reply.content_type.as_bytes().to_vec();
        headers.push(("content-type".to_owned(), kind));
        headers.push(("content-length".to_owned(), length.into_bytes()));
    }
    for (name, value) in reply.headers {
        headers.push((name.to_owned(), value.into_bytes()));
    }
    if let Some(counts) = operator::take_counts() {
        headers.push((aside::COUNT_HEADER.to_owned(), counts.into_bytes()));
    }
    if !waits_for_disk && operator::has_our_host() {
        headers.push((aside::AT_ONCE_HEADER.to_owned(), b"1".to_vec()));
    }
    let headers = upload::fields(&headers)?;
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (mut body, stream) = wit_stream::new();
    let (response, _) = Response::new(headers, has_body.then_some(stream), trailers);
    // Every status of ours is one of HTTP's.
    let _ = response.set_status_code(reply.status);
    if !has_body {
        return Ok(response);
    }
    spawn_local(async move {
        // A client that has gone does not want the rest.
        let _ = body.write_all(reply.body).await;
    });
    Ok(response)
}
