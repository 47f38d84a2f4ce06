//! `wasi:http/handler`: a request becomes a call, its reply a response.

use super::app::App;
use super::bindings::exports::wasi::http::handler::Guest;
use super::bindings::wasi::http::types::{ErrorCode, Fields, Method, Request, Response};
use super::bindings::{wit_future, wit_stream};
use super::calls;
use super::operator;
use crate::api::{
    BodyKind, Caller, Problem, Reply, Route, admit, aside, idempotency_header, parse_channel_query,
    parse_device_query, parse_posted_registration, parse_registration, parse_topic,
    parse_topic_query, refuse_idempotency_key,
};
use crate::limits::STORE_UNAVAILABLE;
use crate::notification::DeviceToken;
use crate::provider::ChannelCall;
use crate::registry::DeviceRef;
use wit_bindgen::{StreamReader, StreamResult, spawn_local};

/// Largest request body, in bytes. A push to a thousand tokens is 200 KB.
const MAX_BODY: usize = 1024 * 1024;

/// Room for a body of unknown length at first, in bytes.
const BODY_START: usize = 1_024;

/// The header with an idempotency key.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The status that has no body (RFC 9110, section 15.3.5).
const NO_CONTENT: u16 = 204;

/// The function.
pub(super) struct Function;

impl Guest for Function {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let waits = waits_for_disk(&request);
        let reply = match waits && is_unwritable(&request) {
            true => Err(Problem::store(STORE_UNAVAILABLE)),
            false => answer(request).await,
        };
        respond(reply.unwrap_or_else(Problem::into_reply), !waits)
    }
}

/// Whether what the reply reports has to be on disk first, as our host sees to.
fn waits_for_disk(request: &Request) -> bool {
    let target = request.get_path_with_query().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let route = Route::parse(method(&request.get_method()), path);
    route.map_or(true, |route| route.waits_for_disk())
}

/// Whether our host says that the store takes no writes.
fn is_unwritable(request: &Request) -> bool {
    operator::has_our_host() && request.get_headers().has(aside::UNWRITABLE_HEADER)
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
    if route == Route::Ready {
        // The configuration can be read, the store is open, and each key signs.
        App::get().map_err(Problem::not_ready)?;
        return Ok(Reply::json(200, &Health { status: "ready" }));
    }
    let app = App::get()?;
    let headers = request.get_headers();
    let caller = admit(&app.settings, &route, &headers.get("authorization"))?;
    let named = |token: DeviceToken| {
        let topic = parse_topic_query(query)?;
        Ok::<_, Problem>(DeviceRef { topic, token })
    };
    match route {
        Route::Health | Route::Ready => Err(Problem::not_found()),
        Route::ListDevices => calls::list_devices(&app, caller, &parse_device_query(query)?).await,
        Route::GetDevice(token) => calls::device(&app, caller, &named(token)?),
        Route::DeleteDevice(token) => calls::delete_device(&app, caller, &named(token)?),
        Route::RegisterDevice(token) => {
            let body = json_body(request, &headers).await?;
            calls::register(&app, caller, &parse_registration(token, &body)?)
        }
        Route::PostDevice => {
            let kind = body_kind(&headers)?;
            let body = body_of(request, &headers).await?;
            let registration = parse_posted_registration(kind, &body)?;
            calls::register(&app, caller, &registration)
        }
        Route::LogoutDevice(token) => {
            let topic = parse_topic(query, &json_body(request, &headers).await?)?;
            calls::logout_device(&app, caller, &DeviceRef { topic, token })
        }
        Route::RestoreDevice(token) => {
            let topic = parse_topic(query, &json_body(request, &headers).await?)?;
            calls::restore_device(&app, caller, &DeviceRef { topic, token })
        }
        Route::GetReceipt(key) => calls::receipt(&app, caller, &key),
        Route::CreateChannel => {
            refuse_idempotency_key(&headers.get(IDEMPOTENCY_KEY))?;
            let body = json_body(request, &headers).await?;
            calls::create_channel(&app, caller, &body).await
        }
        Route::ListChannels => about_channels(&app, caller, query, ChannelCall::List).await,
        Route::GetChannel(id) => about_channels(&app, caller, query, ChannelCall::Read(id)).await,
        Route::DeleteChannel(id) => {
            about_channels(&app, caller, query, ChannelCall::Delete(id)).await
        }
        Route::Broadcast => {
            let key = idempotency_header(&headers.get(IDEMPOTENCY_KEY))?;
            let body = json_body(request, &headers).await?;
            calls::broadcast(&app, caller, key.as_deref(), &body).await
        }
        Route::RunTask(task) => calls::task(&app, caller, task).await,
        Route::Push => {
            let key = idempotency_header(&headers.get(IDEMPOTENCY_KEY))?;
            let body = json_body(request, &headers).await?;
            calls::push(&app, caller, key.as_deref(), &body).await
        }
    }
}

/// The calls about channels that have no body.
async fn about_channels(
    app: &App,
    caller: Caller<'_>,
    query: Option<&str>,
    call: ChannelCall,
) -> Result<Reply, Problem> {
    calls::call_channels(app, caller, parse_channel_query(query)?, call).await
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

fn body_kind(headers: &Fields) -> Result<BodyKind, Problem> {
    BodyKind::of(
        &headers.get("content-type"),
        &headers.get("content-encoding"),
    )
}

/// The body of a call that takes JSON alone.
async fn json_body(request: Request, headers: &Fields) -> Result<Vec<u8>, Problem> {
    body_kind(headers)?;
    body_of(request, headers).await
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

fn respond(reply: Reply, is_at_once: bool) -> Result<Response, ErrorCode> {
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
    if is_at_once && operator::has_our_host() {
        headers.push((aside::AT_ONCE_HEADER.to_owned(), b"1".to_vec()));
    }
    // Names and values are our own and legal.
    let headers = Fields::from_list(&headers)
        .map_err(|error| ErrorCode::InternalError(Some(format!("headers: {error:?}"))))?;
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
