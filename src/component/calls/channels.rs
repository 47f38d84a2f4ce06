//! `/v1/channels`: an app's channels in one environment, asked of APNs each time. Nothing is kept.

use std::rc::Rc;

use super::super::app::App;
use super::super::driver::{Delivered, Driver};
use super::super::platform;
use crate::api::{Caller, ChannelsOf, Problem, Reply, channel_reply, parse_new_channel};
use crate::config::{Scope, Service};
use crate::delivery::Order;
use crate::environment::Environment;
use crate::notification::BundleId;
use crate::provider::{ChannelCall, ChannelRequest, Message};

/// `POST /v1/channels`.
pub(in super::super) async fn create_channel(
    app: &App,
    caller: Caller<'_>,
    body: &[u8],
) -> Result<Reply, Problem> {
    caller.require(Scope::Admin)?;
    let (of, policy) = parse_new_channel(body)?;
    call_channels(app, caller, of, ChannelCall::Create(policy)).await
}

/// Every call about channels: asks APNs, and passes on what it says.
pub(in super::super) async fn call_channels(
    app: &App,
    caller: Caller<'_>,
    of: ChannelsOf,
    call: ChannelCall,
) -> Result<Reply, Problem> {
    caller.require(Scope::Admin)?;
    caller.require_topic(of.bundle_id.as_topic())?;
    let ChannelsOf {
        bundle_id,
        environment,
    } = of;
    let environment = environment.unwrap_or(app.settings.delivery().default_environment);
    let way = way(app, &bundle_id, environment, Service::Channels)?;
    let request = ChannelRequest {
        bundle_id: bundle_id.clone(),
        call: call.clone(),
        id: Some(platform::new_apns_id()),
    };
    let Delivered { outcome, trouble } = deliver(app, &way, Message::from(request)).await?;
    let outcome = (&outcome, trouble.as_deref());
    channel_reply(&bundle_id, environment, &call, outcome)
}

/// The way to a service of an environment with the app's credential.
pub(super) fn way(
    app: &App,
    bundle_id: &BundleId,
    environment: Environment,
    service: Service,
) -> Result<Rc<Driver>, Problem> {
    let credential = app
        .settings
        .credential_for(bundle_id.as_topic(), environment);
    let credential = credential
        .ok_or_else(|| Problem::no_credential(bundle_id.as_str(), environment.as_str()))?;
    app.lane_to(credential, environment, service)
}

/// Hands a message in and waits for what became of it.
pub(super) async fn deliver(
    app: &App,
    way: &Rc<Driver>,
    message: Message,
) -> Result<Delivered, Problem> {
    let order = Order {
        message,
        deadline: platform::now() + app.settings.delivery().timeout,
        // For the binary gateway alone, which this does not go to.
        confirm: true,
    };
    let receiver = way.submit(order).map_err(|_| Problem::queue_full())?;
    Ok(way.outcome(receiver).await)
}
