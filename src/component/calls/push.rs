//! `POST /v1/push`.
//!
//! ```text
//!   resolve ─► prepare (all or nothing) ─► sent ─► outcome
//!                                           │        │ BadDeviceToken, environment not named:
//!                                           └────────┘ once more in the other environment
//!   outcome ─► registry: the environment that took it, the devices that are dead
//! ```
//!
//! What to try where, and what an outcome says of a device, is decided by [`Trial`](registry::Trial).

use std::collections::BTreeSet;
use std::rc::Rc;

use futures_channel::oneshot;

use super::super::app::App;
use super::super::driver::{Delivered, Driver};
use super::super::operator;
use super::super::platform;
use super::super::store::Store;
use super::receipts;
use super::targets::{Prepared, prepare};
use crate::api::{Caller, Problem, PushRequest, PushResult, Reply};
use crate::config::Scope;
use crate::delivery::{Order, QueueFull};
use crate::notification::{ApnsId, DeviceToken, Topic};
use crate::provider::{Outcome, Why};
use crate::receipt::IdempotencyKey;
use crate::registry::{self, Alias, Burial, Death, DeviceRef, Ruling, Verdict};
use crate::service::{Resolved, Turns, resolve};
use crate::time::{Now, UnixTime};

/// What reading and writing a record counts for in [`Turns`].
const RECORD_UNITS: usize = 8;

/// When a request began, and when its outcomes must be there.
#[derive(Clone, Copy)]
struct Times {
    asked_at: UnixTime,
    deadline: Now,
    confirm: bool,
}

/// A push to one device, on its way; `None` if it is a dry run.
struct Sent {
    prepared: Prepared,
    receiver: Option<oneshot::Receiver<Delivered>>,
}

/// A push to one device with its outcome.
struct Ended {
    prepared: Prepared,
    delivered: Option<Delivered>,
}

/// `POST /v1/push`; `key` is the idempotency key in its header.
pub(in super::super) async fn push(
    app: &App,
    caller: Caller<'_>,
    key: Option<&str>,
    body: &[u8],
) -> Result<Reply, Problem> {
    caller.require(Scope::Send)?;
    let asked_at = platform::unix_time();
    let request = PushRequest::parse_with_key(body, asked_at, caller.name(), key)?;
    if let Some(topic) = &request.topic {
        caller.require_topic(topic)?;
    }
    match &request.idempotency_key {
        Some(key) if !request.dry_run => once(app, caller, &request, (key, body), asked_at).await,
        _ => {
            let push = Push::prepare(app, caller, &request, asked_at).await?;
            let (results, unmatched) = push.carry_out(app).await?;
            Ok(request.reply(&results, &unmatched))
        }
    }
}

/// Carries out the push of an idempotency key, unless that was done before.
async fn once(
    app: &App,
    caller: Caller<'_>,
    request: &PushRequest,
    (key, body): (&IdempotencyKey, &[u8]),
    asked_at: UnixTime,
) -> Result<Reply, Problem> {
    // The devices of an alias may have changed since: what was sent is looked at first.
    if let Some(reply) = receipts::of_the_first(app, key, body, asked_at)? {
        return Ok(reply);
    }
    let push = Push::prepare(app, caller, request, asked_at).await?;
    let sending = push.prepared.iter().filter_map(|one| {
        let notification = &one.notification;
        Some((notification.token().clone(), notification.id()?))
    });
    let sending: Vec<_> = sending.collect();
    let receipt = receipts::of_devices(app, body, &sending, asked_at)?;
    let receipt = receipt.with_unmatched(&push.unmatched);
    let receipt = match receipts::begin(app, key, receipt, asked_at).await? {
        Ok(receipt) => receipt,
        Err(reply) => return Ok(reply),
    };
    let carried_out = push.carry_out(app).await;
    let done = carried_out.map(|(results, unmatched)| request.reply(&results, &unmatched));
    receipts::end(app, key, receipt, done).await
}

/// A push with the devices that it goes to.
struct Push {
    prepared: Vec<Prepared>,
    /// The aliases that have none.
    unmatched: Vec<Alias>,
    times: Times,
    dry_run: bool,
}

impl Push {
    async fn prepare(
        app: &App,
        caller: Caller<'_>,
        request: &PushRequest,
        asked_at: UnixTime,
    ) -> Result<Self, Problem> {
        let dry_run = request.dry_run;
        let keyed = request.idempotency_key.is_some() && !dry_run;
        let covers = |topic: &Topic| caller.covers(topic);
        let topic = request.topic.as_ref();
        let resolved = resolve(&app.store, &request.to, topic, covers, keyed).await?;
        let Resolved { targets, unmatched } = resolved;
        let prepared = prepare(app, request, targets).await?;
        let times = Times {
            asked_at,
            deadline: platform::now() + app.settings.delivery().timeout,
            confirm: request.confirm,
        };
        Ok(Self {
            prepared,
            unmatched,
            times,
            dry_run,
        })
    }

    /// Sends it; an error means that nothing was sent.
    async fn carry_out(self, app: &App) -> Result<(Vec<PushResult>, Vec<Alias>), Problem> {
        let times = Times {
            deadline: platform::now() + app.settings.delivery().timeout,
            ..self.times
        };
        let sent = send(app, self.prepared, times, self.dry_run).await?;
        let ended = outcomes(app, sent).await;
        let ended = try_elsewhere(app, ended, times).await;
        let mut conclusion = Conclusion {
            app,
            times,
            turns: Turns::new(&app.store),
            taken_back: BTreeSet::new(),
        };
        Ok((conclusion.of_all(ended).await, self.unmatched))
    }
}

/// What tells a device from others.
type Place = (Topic, DeviceToken);

fn place(device: &DeviceRef) -> Place {
    (device.topic.clone(), device.token.clone())
}

async fn send(
    app: &App,
    prepared: Vec<Prepared>,
    times: Times,
    dry_run: bool,
) -> Result<Vec<Sent>, Problem> {
    let mut turns = Turns::new(&app.store);
    let mut sent = Vec::with_capacity(prepared.len());
    for prepared in prepared {
        let receiver = match dry_run {
            true => None,
            false => match submit(&prepared, &prepared.way, times) {
                Ok(receiver) => Some(receiver),
                Err(QueueFull) if sent.is_empty() => return Err(Problem::queue_full()),
                // Some are on their way: the rest is reported as not sent instead of refused.
                Err(QueueFull) => Some(not_sent()),
            },
        };
        sent.push(Sent { prepared, receiver });
        turns.worked(1).await;
    }
    Ok(sent)
}

fn submit(
    prepared: &Prepared,
    way: &Rc<Driver>,
    times: Times,
) -> Result<oneshot::Receiver<Delivered>, QueueFull> {
    way.submit(Order {
        message: std::sync::Arc::clone(&prepared.notification).into(),
        deadline: times.deadline,
        confirm: times.confirm,
    })
}

/// The outcome of what found no room in the queue.
fn not_sent() -> oneshot::Receiver<Delivered> {
    let (sender, receiver) = oneshot::channel();
    let unsent = Delivered {
        outcome: Outcome::unanswered(Why::NotSent),
        trouble: None,
    };
    // The receiver is right here.
    let _ = sender.send(unsent);
    receiver
}

async fn outcomes(app: &App, sent: Vec<Sent>) -> Vec<Ended> {
    // Those that are there already are taken without a pause.
    let mut turns = Turns::new(&app.store);
    let mut ended = Vec::with_capacity(sent.len());
    for Sent { prepared, receiver } in sent {
        let delivered = match receiver {
            Some(receiver) => Some(prepared.way.outcome(receiver).await),
            None => None,
        };
        ended.push(Ended {
            prepared,
            delivered,
        });
        turns.worked(1).await;
    }
    ended
}

/// Sends once more, in the other environment, what one environment did not know the token of.
async fn try_elsewhere(app: &App, mut ended: Vec<Ended>, times: Times) -> Vec<Ended> {
    let mut turns = Turns::new(&app.store);
    let mut again = Vec::new();
    for (
        index,
        Ended {
            prepared,
            delivered,
        },
    ) in ended.iter().enumerate()
    {
        if let (Some(delivered), Some(way)) = (delivered, &prepared.other)
            && prepared.trial.goes_on(&delivered.outcome)
            && let Ok(receiver) = submit(prepared, way, times)
        {
            again.push((index, Rc::clone(way), receiver));
            turns.worked(1).await;
        }
    }
    for (index, way, receiver) in again {
        let delivered = way.outcome(receiver).await;
        if let Some(one) = ended.get_mut(index)
            && one.prepared.trial.tried_elsewhere(&delivered.outcome)
        {
            one.delivered = Some(delivered);
        }
        turns.worked(1).await;
    }
    ended
}

/// Tells the registry what was learned of the devices, and the caller what became of the pushes.
struct Conclusion<'a> {
    app: &'a App,
    times: Times,
    turns: Turns<'a, Store>,
    /// Devices whose removal the guard does not believe in any more.
    taken_back: BTreeSet<Place>,
}

impl Conclusion<'_> {
    async fn of_all(&mut self, all: Vec<Ended>) -> Vec<PushResult> {
        let mut results = Vec::with_capacity(all.len());
        for ended in all {
            let place = place(&ended.prepared.target.device);
            results.push((place, self.conclude(ended).await));
        }
        let results = results.into_iter().map(|(place, mut result)| {
            if self.taken_back.contains(&place) {
                result.removed = None;
            }
            result
        });
        results.collect()
    }

    async fn conclude(&mut self, ended: Ended) -> PushResult {
        let removed = self.settle(&ended).await.unwrap_or_else(|problem| {
            // What APNs said is reported all the same; the next push to the device learns it again.
            operator::tell(|operator, now| operator.outcome_not_kept(now, problem.rule()));
            None
        });
        self.turns.worked(1).await;
        let notification = &ended.prepared.notification;
        let (outcome, detail) = match ended.delivered {
            Some(Delivered { outcome, trouble }) => {
                operator::count_push(&outcome);
                (Some(outcome), trouble)
            }
            None => (None, None),
        };
        PushResult {
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

    /// What an outcome means for the device's record; whether it was removed for it.
    async fn settle(&mut self, ended: &Ended) -> Result<Option<bool>, Problem> {
        let app = self.app;
        let Prepared { target, trial, .. } = &ended.prepared;
        let device = &target.device;
        let Some(Delivered { outcome, .. }) = &ended.delivered else {
            return Ok(None);
        };
        let asked_at = self.times.asked_at;
        if matches!(outcome, Outcome::Accepted { .. }) {
            app.guard
                .borrow_mut()
                .accepted(&device.topic, platform::now());
            if let Some(environment) = trial.learned().filter(|_| target.registered) {
                registry::learn(&app.store, device, environment, asked_at)?;
                is_kept();
                self.turns.worked(RECORD_UNITS).await;
            }
            is_trusted_again(app, &device.topic);
            return Ok(None);
        }
        let death = match trial.verdict(outcome, asked_at) {
            None => return Ok(None),
            Some(Verdict::Dead(death)) => death,
            Some(Verdict::Suspected(death)) => {
                if !target.registered || !self.is_believed(device).await? {
                    return Ok(None);
                }
                death
            }
        };
        self.bury(device, &death).await
    }

    async fn bury(&mut self, device: &DeviceRef, death: &Death) -> Result<Option<bool>, Problem> {
        let burial = registry::bury(&self.app.store, device, death, platform::unix_time())?;
        is_kept();
        if matches!(burial, Some(Burial::Removed(_))) {
            // It has left an index for each of its tags.
            self.turns.rest().await;
            return Ok(Some(true));
        }
        self.turns.worked(RECORD_UNITS).await;
        Ok(None)
    }

    /// Asks the guard whether this is a dead device or a wrong credential. Devices whose removal it
    /// does not believe in any more, at most ten, are added to `taken_back`.
    async fn is_believed(&mut self, device: &DeviceRef) -> Result<bool, Problem> {
        let app = self.app;
        let ruling = app.guard.borrow_mut().refused(device, platform::now());
        let holds = |is_new| {
            let topic = device.topic.as_str();
            operator::tell(|operator, now| operator.guard_holds(now, topic, is_new));
        };
        match ruling {
            Ruling::Remove => {
                is_trusted_again(app, &device.topic);
                Ok(true)
            }
            Ruling::Keep => {
                holds(false);
                Ok(false)
            }
            Ruling::Tripped { restore } => {
                holds(true);
                for device in &restore {
                    registry::take_back(&app.store, device, platform::unix_time())?;
                    self.taken_back.insert(place(device));
                    self.turns.rest().await;
                }
                Ok(false)
            }
        }
    }
}

/// The store takes what outcomes say.
fn is_kept() {
    if !operator::is_quiet() {
        operator::tell(|operator, now| operator.outcome_kept(now));
    }
}

/// A guard that has tripped for a topic may have calmed down.
fn is_trusted_again(app: &App, topic: &Topic) {
    if !operator::is_quiet() {
        operator::tell(|operator, now| {
            if !app.guard.borrow().is_tripped(topic, now) {
                operator.guard_is_calm(now, topic.as_str());
            }
        });
    }
}
