//! A request of the HTTP interface becomes a call, whoever has taken it in.

use std::rc::Rc;

use super::{App, Runtime};
use crate::api::{
    BodyKind, Caller, Problem, Reply, Route, admit, idempotency_header, parse_channel_query,
    parse_device_query, parse_posted_registration, parse_registration, parse_topic,
    parse_topic_query, refuse_idempotency_key,
};
use crate::limits::STORE_UNAVAILABLE;
use crate::notification::DeviceToken;
use crate::provider::ChannelCall;
use crate::registry::{DeviceRef, Values as _};

/// Largest request body, in bytes. A push to a thousand tokens is 200 KB.
pub const BODY_MAX_BYTES: usize = 1024 * 1024;

/// The header with an idempotency key.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Read to see whether there is a store. Nothing is kept there.
const PROBE_KEY: &str = "probe";

/// What a probe is told where there is none.
const STORE_UNREADABLE: &str = "the store cannot be read";

/// What is known of a request before its body.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// In upper case.
    pub method: &'a str,
    /// The path, and the query if there is one.
    pub target: &'a str,
    /// The values of a header whose name is in lower case, one for each time that it is there.
    pub header: &'a dyn Fn(&str) -> Vec<Vec<u8>>,
    /// Whether the store takes no writes. Asked for what would have to be on disk before the reply
    /// alone, which then is not begun.
    pub is_unwritable: &'a dyn Fn() -> bool,
}

/// What became of a request.
#[derive(Debug)]
pub struct Answered {
    /// The reply.
    pub reply: Reply,
    /// Whether what it reports has to be on disk before it goes out.
    pub waits_for_disk: bool,
}

impl core::fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RequestHead({})", self.method)
    }
}

#[derive(serde::Serialize)]
struct Health {
    status: &'static str,
}

/// 400: the body is larger than [`BODY_MAX_BYTES`].
pub fn body_too_large() -> Problem {
    let expected = format!("at most {BODY_MAX_BYTES} bytes");
    Problem::field("body-too-large", "body", expected, "more")
}

/// Answers a request. `app` is asked for if the call needs it, and `body` is read if it has one and
/// the caller may make the call. What is wrong with any of them is the reply; so is a body of more
/// than [`BODY_MAX_BYTES`], whoever has taken it in.
pub async fn answer<R: Runtime>(
    head: RequestHead<'_>,
    app: impl FnOnce() -> Result<Rc<App<R>>, Problem>,
    body: impl Future<Output = Result<Vec<u8>, Problem>>,
) -> Answered {
    let (path, query) = match head.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (head.target, None),
    };
    let route = Route::parse(head.method, path);
    let waits_for_disk = route.as_ref().map_or(true, Route::waits_for_disk);
    let body = async {
        let body = body.await?;
        match body.len() <= BODY_MAX_BYTES {
            true => Ok(body),
            false => Err(body_too_large()),
        }
    };
    let done = match route {
        _ if waits_for_disk && (head.is_unwritable)() => Err(Problem::store(STORE_UNAVAILABLE)),
        Ok(route) => carry_out(&head, (route, query), app, body).await,
        Err(problem) => Err(problem),
    };
    Answered {
        reply: done.unwrap_or_else(Problem::into_reply),
        waits_for_disk,
    }
}

async fn carry_out<R: Runtime>(
    head: &RequestHead<'_>,
    (route, query): (Route, Option<&str>),
    app: impl FnOnce() -> Result<Rc<App<R>>, Problem>,
    body: impl Future<Output = Result<Vec<u8>, Problem>>,
) -> Result<Reply, Problem> {
    match route {
        Route::Health => return Ok(Reply::json(200, &Health { status: "ok" })),
        Route::Ready => {
            // The configuration can be read, and each key signs; then the store.
            let app = app().map_err(Problem::not_ready)?;
            let read = app.store.get_many(vec![PROBE_KEY.to_owned()]).await;
            read.map_err(|_| Problem::store(STORE_UNREADABLE))?;
            return Ok(Reply::json(200, &Health { status: "ready" }));
        }
        _ => {}
    }
    let app = app()?;
    let authorization = (head.header)("authorization");
    let caller = admit(&app.settings, &route, &authorization)?;
    app.call(caller, (route, query), head, body).await
}

impl RequestHead<'_> {
    fn body_kind(&self) -> Result<BodyKind, Problem> {
        let header = self.header;
        BodyKind::of(&header("content-type"), &header("content-encoding"))
    }

    /// The body of a call that takes JSON alone.
    async fn json(
        &self,
        body: impl Future<Output = Result<Vec<u8>, Problem>>,
    ) -> Result<Vec<u8>, Problem> {
        self.body_kind()?;
        body.await
    }

    fn idempotency_key(&self) -> Result<Option<String>, Problem> {
        idempotency_header(&(self.header)(IDEMPOTENCY_KEY))
    }
}

impl<R: Runtime> App<R> {
    async fn call(
        &self,
        caller: Caller<'_>,
        (route, query): (Route, Option<&str>),
        head: &RequestHead<'_>,
        body: impl Future<Output = Result<Vec<u8>, Problem>>,
    ) -> Result<Reply, Problem> {
        let named = |token: DeviceToken| {
            let topic = parse_topic_query(query)?;
            Ok::<_, Problem>(DeviceRef { topic, token })
        };
        let ask = async |call| {
            let of = parse_channel_query(query)?;
            self.call_channels(caller, of, call).await
        };
        match route {
            Route::Health | Route::Ready => Err(Problem::not_found()),
            Route::ListDevices => self.devices(caller, &parse_device_query(query)?).await,
            Route::GetDevice(token) => self.device(caller, &named(token)?).await,
            Route::DeleteDevice(token) => self.delete(caller, &named(token)?).await,
            Route::RegisterDevice(token) => {
                let registration = parse_registration(token, &head.json(body).await?)?;
                self.register(caller, &registration).await
            }
            Route::PostDevice => {
                let kind = head.body_kind()?;
                let registration = parse_posted_registration(kind, &body.await?)?;
                self.register(caller, &registration).await
            }
            Route::LogoutDevice(token) => {
                let topic = parse_topic(query, &head.json(body).await?)?;
                self.logout(caller, &DeviceRef { topic, token }).await
            }
            Route::RestoreDevice(token) => {
                let topic = parse_topic(query, &head.json(body).await?)?;
                self.restore(caller, &DeviceRef { topic, token }).await
            }
            Route::GetReceipt(key) => self.receipt(caller, &key).await,
            Route::CreateChannel => {
                refuse_idempotency_key(&(head.header)(IDEMPOTENCY_KEY))?;
                self.create_channel(caller, &head.json(body).await?).await
            }
            Route::ListChannels => ask(ChannelCall::List).await,
            Route::GetChannel(id) => ask(ChannelCall::Read(id)).await,
            Route::DeleteChannel(id) => ask(ChannelCall::Delete(id)).await,
            Route::Broadcast => {
                let key = head.idempotency_key()?;
                self.broadcast(caller, key.as_deref(), &head.json(body).await?)
                    .await
            }
            Route::RunTask(task) => self.task(caller, task).await,
            Route::Push => {
                let key = head.idempotency_key()?;
                self.push(caller, key.as_deref(), &head.json(body).await?)
                    .await
            }
        }
    }
}
