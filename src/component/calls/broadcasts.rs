//! `POST /v1/broadcasts`: one message for every device that follows a channel.

use super::super::app::App;
use super::super::driver::Delivered;
use super::super::platform;
use super::channels::{deliver, way};
use crate::api::{BroadcastRequest, Caller, Problem, Reply};
use crate::config::{Scope, Service};
use crate::provider::Message;

/// `POST /v1/broadcasts`.
pub(in super::super) async fn broadcast(
    app: &App,
    caller: Caller<'_>,
    body: &[u8],
) -> Result<Reply, Problem> {
    caller.require(Scope::Send)?;
    let id = platform::new_apns_id();
    let request = BroadcastRequest::parse(body, platform::unix_time(), id)?;
    let broadcast = &request.broadcast;
    caller.require_topic(broadcast.bundle_id().as_topic())?;
    let environment = request.environment;
    let environment = environment.unwrap_or(app.settings.delivery().default_environment);
    let way = way(app, broadcast.bundle_id(), environment, Service::Broadcast)?;
    if request.dry_run {
        return Ok(request.reply(None, None));
    }
    let message = Message::from(broadcast.clone());
    let Delivered { outcome, trouble } = deliver(app, &way, message).await?;
    Ok(request.reply(Some(&outcome), trouble.as_deref()))
}
