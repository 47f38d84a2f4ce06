//! `POST /v1/broadcasts`: one message for every device that follows a channel.

use super::platform::new_apns_id;
use super::state::LaneOf;
use super::{App, Count, Platform, Runtime};
use crate::api::{BroadcastRequest, Caller, Problem, Reply};
use crate::config::{ApnsService, Scope};
use crate::delivery::Delivered;
use crate::provider::Message;
use crate::receipt::IdempotencyKey;
use crate::time::UnixTime;

impl<R: Runtime> App<R> {
    /// `POST /v1/broadcasts`; `key` is the idempotency key in its header.
    pub(super) async fn broadcast(
        &self,
        caller: Caller<'_>,
        key: Option<&str>,
        body: &[u8],
    ) -> Result<Reply, Problem> {
        caller.require(Scope::Send)?;
        let now = self.platform.unix_time();
        let id = new_apns_id(&self.platform);
        let request = BroadcastRequest::parse_with_key(body, now, (caller.name(), key), id)?;
        caller.require_topic(request.broadcast.bundle_id().as_topic())?;
        match &request.idempotency_key {
            Some(key) if !request.dry_run => self.broadcast_once(&request, (key, body), now).await,
            _ => {
                let lane = self.lane_of_broadcast(&request).await?;
                match request.dry_run {
                    true => Ok(request.reply(None, None)),
                    false => self.carry_out_broadcast(&request, &lane).await,
                }
            }
        }
    }

    /// Carries out the broadcast of an idempotency key, unless that was done before.
    async fn broadcast_once(
        &self,
        request: &BroadcastRequest,
        (key, body): (&IdempotencyKey, &[u8]),
        now: UnixTime,
    ) -> Result<Reply, Problem> {
        let prepare = async || {
            let lane = self.lane_of_broadcast(request).await?;
            let channel = request.broadcast.channel();
            // Named by `parse`, by the caller, by the key or by us.
            let id = request.broadcast.id();
            let id = id.unwrap_or_else(|| new_apns_id(&self.platform));
            Ok((lane, self.receipt_of_broadcast(body, (channel, id), now)))
        };
        let carry_out = async |lane| self.carry_out_broadcast(request, &lane).await;
        self.once((key, body), now, prepare, carry_out).await
    }

    async fn lane_of_broadcast(&self, request: &BroadcastRequest) -> Result<LaneOf<R>, Problem> {
        let environment = request.environment;
        let environment = environment.unwrap_or(self.settings.delivery().default_environment);
        let bundle_id = request.broadcast.bundle_id();
        self.lane_of_app(bundle_id, environment, ApnsService::Broadcast)
            .await
    }

    /// Sends it; an error means that nothing was sent.
    async fn carry_out_broadcast(
        &self,
        request: &BroadcastRequest,
        lane: &LaneOf<R>,
    ) -> Result<Reply, Problem> {
        let message = Message::from(request.broadcast.clone());
        let Delivered { outcome, trouble } = self.deliver(lane, message).await?;
        let count = Count::Broadcast(&outcome);
        self.platform.operator(|operator| operator.count(count));
        Ok(request.reply(Some(&outcome), trouble.as_deref()))
    }
}
