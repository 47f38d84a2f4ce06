//! `POST /v1/push`.
//!
//! ```text
//!   targets ─► prepare (all or nothing) ─► sent ─► outcome
//!                                           │        │ BadDeviceToken, environment not named:
//!                                           └────────┘ once more in the other environment
//!   outcome ─► registry: the environment that took it, the devices that are dead
//! ```
//!
//! What to try where, and what an outcome says of a device, is decided by [`Trial`](registry::Trial).

use std::rc::Rc;

use futures_channel::oneshot;

use super::super::app::App;
use super::super::driver::{Delivered, Driver};
use super::super::platform;
use super::receipts;
use super::targets::{Prepared, prepare, targets};
use crate::api::{Caller, Problem, PushRequest, PushResult, Reply};
use crate::config::Scope;
use crate::delivery::{Order, QueueFull};
use crate::notification::{ApnsId, DeviceToken};
use crate::provider::{Outcome, Why};
use crate::receipt::IdempotencyKey;
use crate::registry::{self, Burial, Death, GUARD_TRIPPED, Ruling, Verdict};
use crate::time::{Now, UnixTime};

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

/// `POST /v1/push`.
pub(in super::super) async fn push(
    app: &App,
    caller: Caller<'_>,
    body: &[u8],
) -> Result<Reply, Problem> {
    caller.require(Scope::Send)?;
    let asked_at = platform::unix_time();
    let request = PushRequest::parse(body, asked_at, caller.name())?;
    if let Some(topic) = &request.topic {
        caller.require_topic(topic)?;
    }
    match &request.idempotency_key {
        Some(key) if !request.dry_run => once(app, caller, &request, (key, body), asked_at).await,
        _ => {
            let push = Push::prepare(app, caller, &request, asked_at)?;
            Ok(request.reply(&push.carry_out(app).await?))
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
    let push = Push::prepare(app, caller, request, asked_at)?;
    let sending = push.prepared.iter().filter_map(|one| {
        let notification = &one.notification;
        Some((notification.token().clone(), notification.id()?))
    });
    let sending: Vec<_> = sending.collect();
    let receipt = receipts::of_devices(app, body, &sending, asked_at)?;
    let receipt = match receipts::begin(app, key, receipt, asked_at).await? {
        Ok(receipt) => receipt,
        Err(reply) => return Ok(reply),
    };
    let results = push.carry_out(app).await;
    let done = results.map(|results| request.reply(&results));
    receipts::end(app, key, receipt, done).await
}

/// A push with the devices that it goes to.
struct Push {
    prepared: Vec<Prepared>,
    times: Times,
    dry_run: bool,
}

impl Push {
    fn prepare(
        app: &App,
        caller: Caller<'_>,
        request: &PushRequest,
        asked_at: UnixTime,
    ) -> Result<Self, Problem> {
        let prepared = targets(app, caller, request)?
            .into_iter()
            .map(|target| prepare(app, request, target))
            .collect::<Result<Vec<_>, _>>()?;
        let times = Times {
            asked_at,
            deadline: platform::now() + app.settings.delivery().timeout,
            confirm: request.confirm,
        };
        let dry_run = request.dry_run;
        Ok(Self {
            prepared,
            times,
            dry_run,
        })
    }

    /// Sends it; an error means that nothing was sent.
    async fn carry_out(self, app: &App) -> Result<Vec<PushResult>, Problem> {
        let times = Times {
            deadline: platform::now() + app.settings.delivery().timeout,
            ..self.times
        };
        let sent = send(self.prepared, times, self.dry_run)?;
        let ended = try_elsewhere(outcomes(sent).await, times).await;
        let mut taken_back = Vec::new();
        let mut results: Vec<_> = ended
            .into_iter()
            .map(|ended| conclude(app, ended, times, &mut taken_back))
            .collect();
        for result in &mut results {
            if taken_back.contains(&result.token) {
                result.removed = None;
            }
        }
        Ok(results)
    }
}

fn send(prepared: Vec<Prepared>, times: Times, dry_run: bool) -> Result<Vec<Sent>, Problem> {
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

async fn outcomes(sent: Vec<Sent>) -> Vec<Ended> {
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
    }
    ended
}

/// Sends once more, in the other environment, what one environment did not know the token of.
async fn try_elsewhere(mut ended: Vec<Ended>, times: Times) -> Vec<Ended> {
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
        }
    }
    for (index, way, receiver) in again {
        let delivered = way.outcome(receiver).await;
        if let Some(one) = ended.get_mut(index)
            && one.prepared.trial.tried_elsewhere(&delivered.outcome)
        {
            one.delivered = Some(delivered);
        }
    }
    ended
}

/// Tells the registry what was learned of the device, and the caller what became of the push.
fn conclude(
    app: &App,
    ended: Ended,
    times: Times,
    taken_back: &mut Vec<DeviceToken>,
) -> PushResult {
    let removed = settle(app, &ended, times, taken_back).unwrap_or_else(|problem| {
        // What APNs said is reported all the same; the next push to the device learns it again.
        eprintln!(
            "dunlin: the registry did not take an outcome: {}",
            problem.rule()
        );
        None
    });
    let notification = &ended.prepared.notification;
    let (outcome, detail) = match ended.delivered {
        Some(Delivered { outcome, trouble }) => (Some(outcome), trouble),
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
fn settle(
    app: &App,
    ended: &Ended,
    times: Times,
    taken_back: &mut Vec<DeviceToken>,
) -> Result<Option<bool>, Problem> {
    let Prepared { target, trial, .. } = &ended.prepared;
    let device = &target.device;
    let Some(Delivered { outcome, .. }) = &ended.delivered else {
        return Ok(None);
    };
    if matches!(outcome, Outcome::Accepted { .. }) {
        app.guard
            .borrow_mut()
            .accepted(&device.topic, platform::now());
        if let Some(environment) = trial.learned().filter(|_| target.registered) {
            registry::learn(&app.store, device, environment, times.asked_at)?;
        }
        return Ok(None);
    }
    let death = match trial.verdict(outcome, times.asked_at) {
        None => return Ok(None),
        Some(Verdict::Dead(death)) => death,
        Some(Verdict::Suspected(death)) => {
            if !target.registered || !is_believed(app, ended, taken_back)? {
                return Ok(None);
            }
            death
        }
    };
    bury(app, ended, &death)
}

fn bury(app: &App, ended: &Ended, death: &Death) -> Result<Option<bool>, Problem> {
    let device = &ended.prepared.target.device;
    let burial = registry::bury(&app.store, device, death, platform::unix_time())?;
    Ok(matches!(burial, Some(Burial::Removed(_))).then_some(true))
}

/// Asks the guard whether this is a dead device or a wrong credential. Devices whose removal it does
/// not believe in any more, at most ten, are added to `taken_back`.
fn is_believed(
    app: &App,
    ended: &Ended,
    taken_back: &mut Vec<DeviceToken>,
) -> Result<bool, Problem> {
    let device = &ended.prepared.target.device;
    let ruling = app.guard.borrow_mut().refused(device, platform::now());
    match ruling {
        Ruling::Remove => Ok(true),
        Ruling::Keep => Ok(false),
        Ruling::Tripped { restore } => {
            eprintln!("dunlin: {}: {GUARD_TRIPPED}", device.topic);
            for device in &restore {
                registry::take_back(&app.store, device, platform::unix_time())?;
                taken_back.push(device.token.clone());
            }
            Ok(false)
        }
    }
}
