//! `wasi:http/handler`: a request becomes a call, its reply a response.

use super::app::App;
use super::bindings::exports::wasi::http::handler::Guest;
use super::bindings::wasi::http::types::{ErrorCode, Fields, Method, Request, Response};
use super::bindings::{wit_future, wit_stream};
use super::calls;
use crate::api::{Problem, Reply, Route, authenticate, parse_topic_query};
use wit_bindgen::{StreamReader, StreamResult, spawn_local};

/// Largest request body, in bytes. A push to a thousand tokens is 200 KB.
const MAX_BODY: usize = 1024 * 1024;

/// Room for a body of unknown length at first, in bytes.
const BODY_START: usize = 1_024;

/// The function.
pub(super) struct Function;

impl Guest for Function {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let reply = answer(request).await.unwrap_or_else(Problem::into_reply);
        respond(reply)
    }
}

async fn answer(request: Request) -> Result<Reply, Problem> {
    let target = request.get_path_with_query().unwrap_or_default();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target.as_str(), None),
    };
    let route = Route::parse(method(&request.get_method()), path)?;
    if route == Route::Health {
        return Ok(Reply::json(200, &Health { status: "ok" }));
    }
    let app = App::get()?;
    let headers = request.get_headers();
    let authorization = headers.get("authorization");
    let caller = authenticate(&app.settings, authorization.first().map(Vec::as_slice))?;
    match route {
        Route::Health => Err(Problem::not_found()),
        Route::GetDevice(token) => calls::device(&app, caller, &token, &parse_topic_query(query)?),
        Route::RegisterDevice(token) => {
            let body = json_body(request, &headers).await?;
            calls::register(&app, caller, token, &body)
        }
        Route::Push => {
            let body = json_body(request, &headers).await?;
            calls::push(&app, caller, &body).await
        }
    }
}

#[derive(serde::Serialize)]
struct Health {
    status: &'static str,
}

fn method(method: &Method) -> &str {
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

/// The body of a request that says it is JSON, or says nothing.
async fn json_body(request: Request, headers: &Fields) -> Result<Vec<u8>, Problem> {
    if let Some(kind) = headers.get("content-type").first() {
        let kind = String::from_utf8_lossy(kind);
        let essence = kind.split(';').next().unwrap_or_default().trim();
        // curl's default for -d, and harmless: the body is parsed as JSON either way.
        let accepted = ["application/json", "application/x-www-form-urlencoded"];
        if !accepted
            .iter()
            .any(|known| essence.eq_ignore_ascii_case(known))
        {
            return Err(Problem::not_json_type(&kind));
        }
    }
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
    let mut body = Vec::with_capacity(expected.min(MAX_BODY) + 1);
    loop {
        if body.len() == body.capacity() {
            body.reserve(body.len());
        }
        let (result, filled) = stream.read(body).await;
        body = filled;
        if body.len() > MAX_BODY {
            let expected = format!("at most {MAX_BODY} bytes");
            return Err(Problem::field("body-too-large", "body", expected, "more"));
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return Ok(body);
        }
    }
}

fn respond(reply: Reply) -> Result<Response, ErrorCode> {
    let mut headers = vec![
        (
            "content-type".to_owned(),
            reply.content_type.as_bytes().to_vec(),
        ),
        (
            "content-length".to_owned(),
            reply.body.len().to_string().into_bytes(),
        ),
    ];
    for (name, value) in reply.headers {
        headers.push((name.to_owned(), value.into_bytes()));
    }
    // Names and values are our own and legal.
    let headers = Fields::from_list(&headers)
        .map_err(|error| ErrorCode::InternalError(Some(format!("headers: {error:?}"))))?;
    let (mut body, stream) = wit_stream::new();
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _) = Response::new(headers, Some(stream), trailers);
    // Every status of ours is one of HTTP's.
    let _ = response.set_status_code(reply.status);
    spawn_local(async move {
        // A client that has gone does not want the rest.
        let _ = body.write_all(reply.body).await;
    });
    Ok(response)
}
