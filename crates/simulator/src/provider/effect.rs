//! Turns a request that breaks no rule into what becomes of it: a change of the channels, and the
//! answer's status, header and body.
//!
//! Source: `docs/protocols.md` 3.4 and 3.7. Judging and doing are apart, because a fault that
//! answers in the place of APNs must not leave a channel behind.

use serde_json::{Value, json};

use super::authorization::Authorization;
use super::request::{Rejection, Request};
use crate::channels::{Channel, StoragePolicy};
use crate::config::Environment;
use crate::journal::Call;
use crate::reason::Reason;
use crate::state::State;

/// What a good request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect<'a> {
    Push,
    Broadcast {
        bundle_id: &'a str,
        channel_id: &'a str,
    },
    Create {
        bundle_id: &'a str,
        policy: StoragePolicy,
    },
    Read {
        bundle_id: &'a str,
        channel_id: &'a str,
    },
    Delete {
        bundle_id: &'a str,
        channel_id: &'a str,
    },
    List {
        bundle_id: &'a str,
    },
}

/// What an accepted request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) status: u16,
    /// `apns-channel-id`.
    pub(super) channel_id: Option<String>,
    pub(super) body: String,
}

impl Accepted {
    /// 200 and nothing else.
    pub(super) fn new() -> Self {
        Self {
            status: 200,
            channel_id: None,
            body: String::new(),
        }
    }

    fn with_body(self, body: &Value) -> Self {
        Self {
            body: body.to_string(),
            ..self
        }
    }
}

impl<'a> Request<'a> {
    /// Finds the first rule the request breaks. Whether the provider token was valid shows in
    /// `authorized`.
    pub(super) fn check(
        &self,
        state: &State,
        authorization: &mut Authorization,
        authorized: &mut bool,
    ) -> Result<Effect<'a>, Rejection> {
        match self.call {
            Call::Push => self
                .check_push(state, authorization, authorized)
                .map(|()| Effect::Push),
            Call::Broadcast => self.check_broadcast(state, authorization, authorized),
            Call::Channels => self.check_channels(state, authorization, authorized),
        }
    }
}

impl Effect<'_> {
    /// Does it.
    pub(super) fn run(self, state: &State, environment: Environment) -> Result<Accepted, Reason> {
        let channels = || state.channels_in(environment);
        let accepted = Accepted::new();
        Ok(match self {
            Self::Push => accepted,
            Self::Broadcast {
                bundle_id,
                channel_id,
            } => {
                channels().broadcast(bundle_id, channel_id);
                accepted
            }
            Self::Create { bundle_id, policy } => {
                let channel = Channel {
                    environment: Some(environment),
                    ..Channel::new(bundle_id, policy)
                };
                let made = state.add_channel(channel);
                let channel_id = made.map_err(|_| Reason::CannotCreateChannelConfig)?;
                Accepted {
                    status: 201,
                    channel_id: Some(channel_id),
                    ..accepted
                }
            }
            Self::Read {
                bundle_id,
                channel_id,
            } => {
                let policy = channels()
                    .read(bundle_id, channel_id)?
                    .message_storage_policy;
                accepted.with_body(
                    &json!({ "message-storage-policy": policy, "push-type": "LiveActivity" }),
                )
            }
            Self::Delete {
                bundle_id,
                channel_id,
            } => {
                channels().delete(bundle_id, channel_id)?;
                Accepted {
                    status: 204,
                    ..accepted
                }
            }
            Self::List { bundle_id } => {
                accepted.with_body(&json!({ "channels": channels().ids(bundle_id) }))
            }
        })
    }
}
