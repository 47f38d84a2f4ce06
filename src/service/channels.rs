//! `/v1/channels`: an app's channels in one environment, asked of APNs each time. Nothing is kept.

use super::platform::new_apns_id;
use super::state::LaneOf;
use super::{App, Inbox, Platform, Runtime, Sender};
use crate::api::{Caller, ChannelsOf, Problem, Reply, channel_reply, parse_new_channel};
use crate::config::{ApnsService, Scope};
use crate::delivery::{Delivered, Submission};
use crate::environment::Environment;
use crate::notification::BundleId;
use crate::provider::{ChannelCall, ChannelRequest, Message, Outcome, Why};

impl<R: Runtime> App<R> {
    /// `POST /v1/channels`.
    pub(super) async fn create_channel(
        &self,
        caller: Caller<'_>,
        body: &[u8],
    ) -> Result<Reply, Problem> {
        caller.require(Scope::Admin)?;
        let (of, policy) = parse_new_channel(body)?;
        let call = ChannelCall::Create(policy);
        self.call_channels(caller, of, call).await
    }

    /// Every call about channels: asks APNs, and passes on what it says.
    pub(super) async fn call_channels(
        &self,
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
        let environment = environment.unwrap_or(self.settings.delivery().default_environment);
        let lane = self.lane_of_app(&bundle_id, environment, ApnsService::Channels);
        let lane = lane.await?;
        let request = ChannelRequest {
            bundle_id: bundle_id.clone(),
            call: call.clone(),
            id: Some(new_apns_id(&self.platform)),
        };
        let Delivered { outcome, trouble } = self.deliver(&lane, Message::from(request)).await?;
        let outcome = (&outcome, trouble.as_deref());
        channel_reply(&bundle_id, environment, &call, outcome)
    }

    /// The lane to a service of an environment with the app's credential.
    pub(super) async fn lane_of_app(
        &self,
        bundle_id: &BundleId,
        environment: Environment,
        service: ApnsService,
    ) -> Result<LaneOf<R>, Problem> {
        let topic = bundle_id.as_topic();
        let credential = self.settings.credential_for(topic, environment);
        let credential = credential
            .ok_or_else(|| Problem::no_credential(bundle_id.as_str(), environment.as_str()))?;
        self.lane(credential, environment, service).await
    }

    /// Hands one message in and waits for what became of it.
    pub(super) async fn deliver(
        &self,
        lane: &LaneOf<R>,
        message: Message,
    ) -> Result<Delivered, Problem> {
        let submission = Submission {
            message,
            deadline: self.platform.now() + self.settings.delivery().timeout,
            // For the binary gateway alone, which this does not go to.
            confirm: true,
        };
        let inbox = Inbox::default();
        if self.sender.submit_many(lane, vec![(0, submission)], &inbox) == 0 {
            return Err(Problem::queue_full());
        }
        let delivered = inbox.next().await.pop().map(|(_, delivered)| delivered);
        // There is always one.
        Ok(delivered.unwrap_or_else(|| Delivered {
            outcome: Outcome::unanswered(Why::ConnectionLost),
            trouble: None,
        }))
    }
}
