//! What was learned by a push: the registry is told what it says of the devices, and the caller
//! what became of it.

use super::sending::{Ended, Times};
use crate::api::{Problem, PushResult};
use crate::delivery::Delivered;
use crate::environment::Environment;
use crate::notification::{ApnsId, Topic};
use crate::provider::Outcome;
use crate::registry::{self, DeviceRef, Invalidation, Removal, Ruling, TokenFate};
use crate::service::{App, Count, Platform, Runtime, Store, Turns};
use crate::time::Now;

/// What reading and writing a record counts for in [`Turns`].
const RECORD_UNITS: usize = 8;

/// See the module.
pub(super) struct Conclusion<'a, R: Runtime> {
    app: &'a App<R>,
    times: Times,
    turns: Turns<'a, R::Platform>,
    /// Since others had their turn last: what is done in between takes no time.
    now: Now,
    /// The places of devices whose removal the guard does not believe in any more.
    taken_back: Vec<usize>,
}

impl<'a, R: Runtime> Conclusion<'a, R> {
    pub(super) fn new(app: &'a App<R>, times: Times) -> Self {
        Self {
            app,
            times,
            turns: Turns::new(&app.platform),
            now: app.platform.now(),
            taken_back: Vec::new(),
        }
    }

    pub(super) async fn of_all(mut self, mut all: Vec<Ended>) -> Vec<PushResult> {
        let mut results = Vec::with_capacity(all.len());
        for place in 0..all.len() {
            let removed = match all.split_at_checked(place) {
                Some((before, [one, ..])) => self.settle(before, one).await,
                _ => Ok(None),
            };
            let removed = removed.unwrap_or_else(|problem| {
                // What APNs said is reported all the same; the next push to the device learns it
                // again.
                let platform = &self.app.platform;
                platform.tell(|operator, now| operator.outcome_not_kept(now, problem.rule()));
                None
            });
            self.worked(1).await;
            results.extend(all.get_mut(place).map(|one| self.result(one, removed)));
        }
        for place in self.taken_back {
            if let Some(result) = results.get_mut(place) {
                result.removed = None;
            }
        }
        results
    }

    fn result(&self, ended: &mut Ended, removed: Option<bool>) -> PushResult {
        let notification = &ended.to.notification;
        let (outcome, detail) = match ended.delivered.take() {
            Some(Delivered { outcome, trouble }) => {
                let count = Count::Push(&outcome);
                self.app.platform.operator(|operator| operator.count(count));
                (Some(outcome), trouble)
            }
            None => (None, None),
        };
        PushResult {
            index: ended.to.target.entry,
            token: notification.token().clone(),
            // Named in `prepare`, by the caller or by us.
            apns_id: notification
                .id()
                .unwrap_or_else(|| ApnsId::from_random([0; 16])),
            outcome,
            detail,
            removed,
        }
    }

    /// What an outcome means for the device's record; whether it was removed for it. `before` are
    /// those that have been looked at.
    async fn settle(&mut self, before: &[Ended], ended: &Ended) -> Result<Option<bool>, Problem> {
        let (target, probe) = (&ended.to.target, &ended.to.probe);
        let device = &target.device;
        let Some(Delivered { outcome, .. }) = &ended.delivered else {
            return Ok(None);
        };
        if matches!(outcome, Outcome::Accepted { .. }) {
            let learned = probe.learned().filter(|_| target.registered);
            self.accepted(device, learned).await?;
            return Ok(None);
        }
        let invalidation = match probe.fate(outcome, self.times.asked_at) {
            None => return Ok(None),
            Some(TokenFate::Invalid(invalidation)) => invalidation,
            Some(TokenFate::Suspected(invalidation)) => {
                if !target.registered || !self.is_believed(before, device).await? {
                    return Ok(None);
                }
                invalidation
            }
        };
        self.remove(device, &invalidation).await
    }

    async fn accepted(
        &mut self,
        device: &DeviceRef,
        learned: Option<Environment>,
    ) -> Result<(), Problem> {
        let app = self.app;
        app.guard.borrow_mut().accepted(&device.topic, self.now);
        if let Some(environment) = learned {
            let asked_at = self.times.asked_at;
            registry::learn(app.store.values(), device, environment, asked_at)?;
            self.is_kept();
            self.worked(RECORD_UNITS).await;
        }
        self.is_trusted_again(&device.topic);
        Ok(())
    }

    async fn remove(
        &mut self,
        device: &DeviceRef,
        invalidation: &Invalidation,
    ) -> Result<Option<bool>, Problem> {
        let now = self.app.platform.unix_time();
        let removal = registry::remove(self.app.store.values(), device, invalidation, now)?;
        self.is_kept();
        if matches!(removal, Some(Removal::Removed(_))) {
            // It has left an index for each of its tags.
            self.rest().await;
            return Ok(Some(true));
        }
        self.worked(RECORD_UNITS).await;
        Ok(None)
    }

    /// Asks the guard whether this is a dead device or a wrong credential. The removals of those
    /// `before` that it does not believe in any more, at most ten, are taken back.
    async fn is_believed(&mut self, before: &[Ended], device: &DeviceRef) -> Result<bool, Problem> {
        let app = self.app;
        let ruling = app.guard.borrow_mut().refused(device, self.now);
        let holds = |is_new| {
            let topic = device.topic.as_str();
            app.platform
                .tell(|operator, now| operator.guard_holds(now, topic, is_new));
        };
        match ruling {
            Ruling::Remove => {
                self.is_trusted_again(&device.topic);
                Ok(true)
            }
            Ruling::Keep => {
                holds(false);
                Ok(false)
            }
            Ruling::Tripped { restore } => {
                holds(true);
                for device in &restore {
                    let now = app.platform.unix_time();
                    registry::take_back(app.store.values(), device, now)?;
                    let is_it = |one: &Ended| one.to.target.device == *device;
                    self.taken_back.extend(before.iter().position(is_it));
                    self.rest().await;
                }
                Ok(false)
            }
        }
    }

    async fn worked(&mut self, units: usize) {
        if self.turns.worked(units).await {
            self.now = self.app.platform.now();
        }
    }

    async fn rest(&mut self) {
        self.turns.rest().await;
        self.now = self.app.platform.now();
    }

    fn is_quiet(&self) -> bool {
        self.app.platform.operator(|operator| operator.is_quiet())
    }

    /// The store takes what outcomes say.
    fn is_kept(&self) {
        if !self.is_quiet() {
            let platform = &self.app.platform;
            platform.tell(|operator, now| operator.outcome_kept(now));
        }
    }

    /// A guard that has tripped for a topic may have calmed down.
    fn is_trusted_again(&self, topic: &Topic) {
        let app = self.app;
        if !self.is_quiet() {
            app.platform.tell(|operator, now| {
                if !app.guard.borrow().is_tripped(topic, now) {
                    operator.guard_is_calm(now, topic.as_str());
                }
            });
        }
    }
}
