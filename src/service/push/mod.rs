//! `POST /v1/push`.
//!
//! ```text
//!   resolve ─► prepare (all or nothing) ─► sent ─► outcome
//!                                           │        │ BadDeviceToken, environment not named:
//!                                           └────────┘ once more in the other environment
//!   outcome ─► registry: the environment that took it, the devices that are dead
//! ```
//!
//! What to try where, and what an outcome says of a device, is decided by
//! [`EnvironmentProbe`](crate::registry::EnvironmentProbe).

mod conclusion;
mod in_flight;
mod line_reader;
mod lines;
mod prepare;
mod sending;

use serde_json::value::RawValue;

use super::recipients::{Resolved, resolve};
use super::{App, Platform, Runtime};
use crate::api::{Caller, Problem, PushRequest, Recipients, Reply, SkippedEntry};
use crate::config::Scope;
use crate::notification::Topic;
use crate::receipt::IdempotencyKey;
use crate::registry::Alias;
use crate::time::UnixTime;

pub(super) use lines::PushLines;

use conclusion::Conclusion;
use prepare::{Prepared, prepare};
use sending::{Sending, Times};

/// A push with the devices that it goes to.
struct Push<R: Runtime> {
    prepared: Prepared<R>,
    /// The entries of the request that nothing is sent for.
    skipped: Vec<SkippedEntry>,
    /// The aliases that have none.
    unmatched: Vec<Alias>,
    asked_at: UnixTime,
}

impl<R: Runtime> Push<R> {
    /// The place in the request of what each device is there for.
    fn places(&self) -> Vec<usize> {
        let devices = self.prepared.devices.iter();
        devices.map(|one| one.target.entry).collect()
    }

    /// What is told of the entries that nothing is sent for.
    fn skipped_results(&self) -> Vec<(usize, Box<RawValue>)> {
        let results = self.skipped.iter();
        let result = |entry: &SkippedEntry| Some((entry.index, entry.document()?));
        results.filter_map(result).collect()
    }
}

impl<R: Runtime> App<R> {
    /// `POST /v1/push`; `key` is the idempotency key in its header.
    ///
    /// # Errors
    /// If nothing was sent.
    pub async fn push(
        &self,
        caller: Caller<'_>,
        key: Option<&str>,
        body: &[u8],
    ) -> Result<Reply, Problem> {
        caller.require(Scope::Send)?;
        let asked_at = self.platform.unix_time();
        let request = PushRequest::parse_with_key(body, asked_at, caller.name(), key)?;
        self.push_read(caller, &request, body, asked_at).await
    }

    /// The same of what has been read of `body`.
    async fn push_read(
        &self,
        caller: Caller<'_>,
        request: &PushRequest,
        body: &[u8],
        asked_at: UnixTime,
    ) -> Result<Reply, Problem> {
        if let Some(topic) = &request.topic {
            caller.require_topic(topic)?;
        }
        match &request.idempotency_key {
            Some(key) if !request.dry_run => {
                self.push_once(caller, request, (key, body), asked_at).await
            }
            _ => {
                let push = self.prepare_push(caller, request, asked_at).await?;
                self.carry_out_push(request, push).await
            }
        }
    }

    /// Carries out the push of an idempotency key, unless that was done before.
    async fn push_once(
        &self,
        caller: Caller<'_>,
        request: &PushRequest,
        (key, body): (&IdempotencyKey, &[u8]),
        asked_at: UnixTime,
    ) -> Result<Reply, Problem> {
        let prepare = async || {
            let push = self.prepare_push(caller, request, asked_at).await?;
            let sending = push.prepared.devices.iter().filter_map(|one| {
                let notification = &one.notification;
                Some((notification.token().clone(), notification.id()?))
            });
            let receipt = self.receipt_of_push(body, sending.collect(), asked_at)?;
            let receipt = receipt.with_unmatched(&push.unmatched);
            let receipt = receipt.with_entries(push.places(), push.skipped_results());
            Ok((push, receipt))
        };
        let carry_out = async |push| self.carry_out_push(request, push).await;
        self.once((key, body), asked_at, prepare, carry_out).await
    }

    async fn prepare_push(
        &self,
        caller: Caller<'_>,
        request: &PushRequest,
        asked_at: UnixTime,
    ) -> Result<Push<R>, Problem> {
        let keyed = request.idempotency_key.is_some() && !request.dry_run;
        let covers = |topic: &Topic| caller.covers(topic);
        let topic = request.topic.as_ref();
        let resolved = resolve(self, &request.to, topic, &covers, keyed).await?;
        let resolved = match request.places() {
            Some(places) => resolved.at(&places),
            None => resolved,
        };
        let Resolved {
            targets,
            skipped,
            unmatched,
        } = resolved;
        if targets.is_empty() && !request.skips {
            return Err(match request.to {
                Recipients::Selected(_) => Problem::no_devices(),
                _ => Problem::unknown_alias(),
            });
        }
        Ok(Push {
            prepared: prepare(self, request, targets).await?,
            skipped: request.skipped(skipped),
            unmatched,
            asked_at,
        })
    }

    /// Sends it; an error means that nothing was sent.
    async fn carry_out_push(&self, request: &PushRequest, push: Push<R>) -> Result<Reply, Problem> {
        let Push {
            prepared,
            skipped,
            unmatched,
            asked_at,
        } = push;
        let times = Times {
            asked_at,
            deadline: self.platform.now() + self.settings.delivery().timeout,
            confirm: request.confirm,
        };
        let mut sending = Sending::new(self, prepared, times);
        if !request.dry_run {
            sending.send().await?;
            sending.try_elsewhere().await;
        }
        let ended = sending.into_ended();
        let results = Conclusion::new(self, times).of_all(ended).await;
        Ok(request.reply(&results, &skipped, &unmatched))
    }
}
