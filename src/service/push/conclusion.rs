//! What was learned by a push: the registry is told what it says of the devices, and the caller
//! what became of it.
//!
//! ```text
//!   outcomes, one after the other ─► guard ─┬─► accepted elsewhere ─► learn ──┐ 256 together
//!                                           ├─► dead ───────────────► remove ─┤
//!                                           └─► wrong credential ─────────────┴─► take back
//! ```
//!
//! The guard sees outcomes in their order, without a wait. What it lets pass is told to the
//! registry for many devices in one call of the store; when it trips, what it let pass is written
//! before that is taken back.

use std::collections::BTreeSet;

use super::sending::{Ended, Times};
use crate::api::{Problem, PushResult};
use crate::delivery::Delivered;
use crate::environment::Environment;
use crate::notification::{ApnsId, Topic};
use crate::provider::Outcome;
use crate::registry::{
    self, DeviceRef, Failure, Invalidation, Located, Removal, Removals, Ruling, TokenFate,
};
use crate::service::{App, Count, Platform, Runtime, StoreError, Turns};
use crate::time::Now;

/// What reading and writing a record counts for in [`Turns`].
const RECORD_UNITS: usize = 8;

/// Devices whose records are changed together.
const TOGETHER: usize = 256;

/// See the module.
pub(super) struct Conclusion<'a, R: Runtime> {
    app: &'a App<R>,
    times: Times,
    turns: Turns<'a, R::Platform>,
    /// Since others had their turn last: what is done in between takes no time.
    now: Now,
    /// The devices that are to be removed, and their places.
    dead: Vec<(usize, (Located, Invalidation))>,
    /// The devices whose environment was learned.
    learned: Vec<(DeviceRef, Environment)>,
    /// The places of devices that were removed.
    removed: BTreeSet<usize>,
}

impl<'a, R: Runtime> Conclusion<'a, R> {
    pub(super) fn new(app: &'a App<R>, times: Times) -> Self {
        Self {
            app,
            times,
            turns: Turns::new(&app.platform),
            now: app.platform.now(),
            dead: Vec::new(),
            learned: Vec::new(),
            removed: BTreeSet::new(),
        }
    }

    pub(super) async fn of_all(mut self, mut all: Vec<Ended>) -> Vec<PushResult> {
        for place in 0..all.len() {
            if let Some((before, [one, ..])) = all.split_at_checked(place) {
                self.judge(before, one).await;
            }
            if self.dead.len() + self.learned.len() >= TOGETHER {
                self.write().await;
            }
            self.worked(1).await;
        }
        self.write().await;
        let mut results = Vec::with_capacity(all.len());
        for (place, one) in all.iter_mut().enumerate() {
            let removed = self.removed.contains(&place).then_some(true);
            results.push(self.result(one, removed));
            self.turns.worked(1).await;
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

    /// What an outcome means for the device's record. `before` are those that have been looked at.
    async fn judge(&mut self, before: &[Ended], ended: &Ended) {
        let (target, probe) = (&ended.to.target, &ended.to.probe);
        let device = &target.device;
        let Some(Delivered { outcome, .. }) = &ended.delivered else {
            return;
        };
        if matches!(outcome, Outcome::Accepted { .. }) {
            self.app
                .guard
                .borrow_mut()
                .accepted(&device.topic, self.now);
            let learned = probe.learned().filter(|_| target.registered);
            self.learned
                .extend(learned.map(|environment| (device.clone(), environment)));
            self.is_trusted_again(&device.topic);
            return;
        }
        let invalidation = match probe.fate(outcome, self.times.asked_at) {
            None => return,
            Some(TokenFate::Invalid(invalidation)) => invalidation,
            Some(TokenFate::Suspected(invalidation)) => {
                if !target.registered || !self.is_believed(before, device).await {
                    return;
                }
                invalidation
            }
        };
        let dead = (Located::new(device.clone()), invalidation);
        self.dead.push((before.len(), dead));
    }

    /// Tells the registry what has gathered, and lets others have their turn.
    async fn write(&mut self) {
        let app = self.app;
        let records = self.learned.len() + self.dead.len();
        if !self.learned.is_empty() {
            let learned = core::mem::take(&mut self.learned);
            let told = registry::learn_many(&app.store, &learned, self.times.asked_at).await;
            told.into_iter().for_each(|told| self.noted(told.map(drop)));
        }
        if !self.dead.is_empty() {
            let dead = core::mem::take(&mut self.dead);
            let (places, dead): (Vec<_>, Vec<_>) = dead.into_iter().unzip();
            let now = app.platform.unix_time();
            let mut removals = Removals::default();
            let told = removals.remove_many(&app.store, &dead, now).await;
            for (place, told) in places.into_iter().zip(told) {
                if matches!(told, Ok(Some(Removal::Removed(_)))) {
                    self.removed.insert(place);
                }
                self.noted(told.map(drop));
            }
            loop {
                match removals.settle_some(&app.store).await {
                    Ok(true) => break,
                    Ok(false) => self.turns.rest().await,
                    // They stay in indexes, which does no harm.
                    Err(failure) => break self.noted(Err(failure)),
                }
            }
        }
        self.worked(RECORD_UNITS * records).await;
    }

    /// What APNs said is reported whatever the store does; the next push to the device learns it
    /// again.
    fn noted(&self, told: Result<(), Failure<StoreError>>) {
        let platform = &self.app.platform;
        match told {
            Ok(()) if self.is_quiet() => {}
            Ok(()) => platform.tell(|operator, now| operator.outcome_kept(now)),
            Err(failure) => {
                let problem = Problem::from(failure);
                platform.tell(|operator, now| operator.outcome_not_kept(now, problem.rule()));
            }
        }
    }

    /// Asks the guard whether this is a dead device or a wrong credential. The removals of those
    /// `before` that it does not believe in any more, at most ten, are taken back.
    async fn is_believed(&mut self, before: &[Ended], device: &DeviceRef) -> bool {
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
                true
            }
            Ruling::Keep => {
                holds(false);
                false
            }
            Ruling::Tripped { restore } => {
                holds(true);
                self.write().await;
                for device in &restore {
                    let now = app.platform.unix_time();
                    let told = registry::take_back(&app.store, device, now).await;
                    self.noted(told.map(drop));
                    let is_it = |one: &Ended| one.to.target.device == *device;
                    if let Some(place) = before.iter().position(is_it) {
                        self.removed.remove(&place);
                    }
                }
                self.rest().await;
                false
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
