//! `POST /v1/broadcasts`: one message for every device that follows a channel.

use std::rc::Rc;

use super::super::app::App;
use super::super::driver::{Delivered, Driver};
use super::super::operator;
use super::super::platform;
use super::channels::{deliver, way};
use super::receipts;
use crate::api::{BroadcastRequest, Caller, Problem, Reply};
use crate::config::{Scope, Service};
use crate::provider::Message;
use crate::receipt::IdempotencyKey;
use crate::service::Count;
use crate::time::UnixTime;

/// `POST /v1/broadcasts`; `key` is the idempotency key in its header.
pub(in super::super) async fn broadcast(
    app: &App,
    caller: Caller<'_>,
    key: Option<&str>,
    body: &[u8],
) -> Result<Reply, Problem> {
    caller.require(Scope::Send)?;
    let (now, id) = (platform::unix_time(), platform::new_apns_id());
    let request = BroadcastRequest::parse_with_key(body, now, (caller.name(), key), id)?;
    caller.require_topic(request.broadcast.bundle_id().as_topic())?;
    match &request.idempotency_key {
        Some(key) if !request.dry_run => once(app, &request, (key, body), now).await,
        _ => {
            let way = way_of(app, &request)?;
            match request.dry_run {
                true => Ok(request.reply(None, None)),
                false => carry_out(app, &request, &way).await,
            }
        }
    }
}

/// Carries out the broadcast of an idempotency key, unless that was done before.
async fn once(
    app: &App,
    request: &BroadcastRequest,
    (key, body): (&IdempotencyKey, &[u8]),
    now: UnixTime,
) -> Result<Reply, Problem> {
    if let Some(reply) = receipts::of_the_first(app, key, body, now)? {
        return Ok(reply);
    }
    let way = way_of(app, request)?;
    let channel = request.broadcast.channel();
    // Named by `parse`, by the caller, by the key or by us.
    let id = request.broadcast.id();
    let id = id.unwrap_or_else(platform::new_apns_id);
    let receipt = receipts::of_broadcast(app, body, (channel, id), now);
    let receipt = match receipts::begin(app, key, receipt, now).await? {
        Ok(receipt) => receipt,
        Err(reply) => return Ok(reply),
    };
    let done = carry_out(app, request, &way).await;
    receipts::end(app, key, receipt, done).await
}

fn way_of(app: &App, request: &BroadcastRequest) -> Result<Rc<Driver>, Problem> {
    let environment = request.environment;
    let environment = environment.unwrap_or(app.settings.delivery().default_environment);
    let bundle_id = request.broadcast.bundle_id();
    way(app, bundle_id, environment, Service::Broadcast)
}

/// Sends it; an error means that nothing was sent.
async fn carry_out(
    app: &App,
    request: &BroadcastRequest,
    way: &Rc<Driver>,
) -> Result<Reply, Problem> {
    let message = Message::from(request.broadcast.clone());
    let Delivered { outcome, trouble } = deliver(app, way, message).await?;
    operator::count(Count::Broadcast(&outcome));
    Ok(request.reply(Some(&outcome), trouble.as_deref()))
}
