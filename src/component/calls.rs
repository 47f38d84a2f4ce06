//! What each call of the interface does: store reads and changes, and deliveries.

use futures_channel::oneshot;

use super::app::App;
use super::driver::{Delivered, Driver};
use super::platform;
use super::store::{ChangeError, StoreError};
use crate::api::{
    Caller, Problem, PushRequest, PushResult, Recipients, Reply, device_reply, parse_registration,
    push_reply,
};
use crate::config::Scope;
use crate::delivery::QueueFull;
use crate::environment::Environment;
use crate::notification::{ApnsId, DeviceToken, Notification, Topic};
use crate::provider::{Outcome, Why};
use crate::registry::{
    ALIAS_MAX_DEVICES, Alias, AliasFull, AliasIndex, CorruptRecord, DeviceRecord, DeviceRef,
    Registered, alias_key, device_key,
};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::store(&error.0)
    }
}

impl From<CorruptRecord> for Problem {
    fn from(error: CorruptRecord) -> Self {
        Self::store(&error.to_string())
    }
}

impl From<AliasFull> for Problem {
    fn from(_: AliasFull) -> Self {
        Self::alias_full(ALIAS_MAX_DEVICES)
    }
}

impl From<ChangeError<Problem>> for Problem {
    fn from(error: ChangeError<Problem>) -> Self {
        match error {
            ChangeError::Store(error) => error.into(),
            ChangeError::Refused(problem) => problem,
        }
    }
}

/// `PUT /v1/devices/{token}`. The order of the three writes is the registry's invariant.
pub(super) fn register(
    app: &App,
    caller: Caller<'_>,
    token: DeviceToken,
    body: &[u8],
) -> Result<Reply, Problem> {
    caller.require(Scope::Devices)?;
    let registration = parse_registration(token, body)?;
    caller.require_topic(&registration.topic)?;
    let device = DeviceRef {
        topic: registration.topic.clone(),
        token: registration.token.clone(),
    };
    if let Some(alias) = &registration.alias {
        change_index(app, alias, |index| Ok(index.add(device.clone())?))?;
    }
    let now = platform::unix_time();
    let key = device_key(&device.topic, &device.token);
    let registered = app.store.change(&key, |stored| {
        let before = stored.map(DeviceRecord::read).transpose()?;
        let registered = DeviceRecord::register(before, &registration, now);
        Ok::<_, Problem>((Some(registered.record.write()), registered))
    })?;
    settle_indexes(app, &device, &registered)?;
    Ok(registered.reply())
}

/// Brings the indexes in line with a record that has been written. Others may be registering the
/// same device under other aliases at this moment, and whoever leaves an alias takes its entry with
/// it; so each looks at the record again afterwards and puts back what the record says.
fn settle_indexes(app: &App, device: &DeviceRef, done: &Registered) -> Result<(), Problem> {
    if let Some(left) = &done.left {
        change_index(app, left, |index| Ok(index.remove(device)))?;
    }
    let now = record_of(app, &device.topic, &device.token)?;
    if let Some(alias) = now.and_then(|record| record.alias) {
        change_index(app, &alias, |index| Ok(index.add(device.clone())?))?;
    }
    Ok(())
}

/// Changes an alias's index; `change` says whether it did anything.
fn change_index(
    app: &App,
    alias: &Alias,
    change: impl Fn(&mut AliasIndex) -> Result<bool, Problem>,
) -> Result<(), Problem> {
    app.store.change(&alias_key(alias), |stored| {
        let mut index = AliasIndex::read(stored)?;
        let changed = change(&mut index)?;
        Ok::<_, Problem>((changed.then(|| index.write()), ()))
    })?;
    Ok(())
}

/// `GET /v1/devices/{token}`.
pub(super) fn device(
    app: &App,
    caller: Caller<'_>,
    token: &DeviceToken,
    topic: &Topic,
) -> Result<Reply, Problem> {
    caller.require(Scope::Devices)?;
    caller.require_topic(topic)?;
    let record = record_of(app, topic, token)?.ok_or_else(Problem::unknown_device)?;
    Ok(device_reply(&record))
}

fn record_of(
    app: &App,
    topic: &Topic,
    token: &DeviceToken,
) -> Result<Option<DeviceRecord>, Problem> {
    let stored = app.store.get(&device_key(topic, token))?;
    Ok(stored.as_deref().map(DeviceRecord::read).transpose()?)
}

/// Most devices of one push. Beyond it nothing is sent: the function would work through them without
/// a pause, and hold them all.
const MAX_TARGETS: usize = 10_000;

/// A device that a push goes to, and where it is good as far as is known.
struct Target {
    device: DeviceRef,
    environment: Option<Environment>,
}

/// A push to one device, on its way.
struct Sent {
    token: DeviceToken,
    apns_id: ApnsId,
    way: Option<(Rc<Driver>, oneshot::Receiver<Outcome>)>,
}

/// One notification and the way it takes.
struct Prepared {
    notification: Arc<Notification>,
    lane: Rc<Driver>,
}

/// `POST /v1/push`.
pub(super) async fn push(app: &App, caller: Caller<'_>, body: &[u8]) -> Result<Reply, Problem> {
    caller.require(Scope::Send)?;
    let request = PushRequest::parse(body, platform::unix_time())?;
    if let Some(topic) = &request.topic {
        caller.require_topic(topic)?;
    }
    // Everything is checked before anything is sent: a request is carried out or refused whole.
    let prepared = targets(app, caller, &request)?
        .iter()
        .map(|target| prepare(app, &request, target))
        .collect::<Result<Vec<_>, _>>()?;
    let timeout = app.settings.delivery().timeout;
    let mut sent = Vec::with_capacity(prepared.len());
    for Prepared { notification, lane } in prepared {
        let token = notification.token().clone();
        // Named in `prepare`, by the caller or by us.
        let apns_id = notification.id().unwrap_or_else(platform::new_apns_id);
        let way = if request.dry_run {
            None
        } else {
            match lane.submit(notification, timeout) {
                Ok(receiver) => Some((lane, receiver)),
                Err(QueueFull) if sent.is_empty() => return Err(Problem::queue_full()),
                // Some are on their way: the rest is reported as not sent instead of refused.
                Err(QueueFull) => Some((lane, not_sent())),
            }
        };
        sent.push(Sent {
            token,
            apns_id,
            way,
        });
    }
    Ok(push_reply(&answers(sent).await))
}

fn prepare(app: &App, request: &PushRequest, target: &Target) -> Result<Prepared, Problem> {
    let environment = request
        .environment
        .or(target.environment)
        .unwrap_or(app.settings.delivery().default_environment);
    let topic = &target.device.topic;
    let credential = app
        .settings
        .credential_for(topic, environment)
        .ok_or_else(|| Problem::no_credential(topic.as_str(), environment.as_str()))?;
    let notification = request.notification(&target.device, platform::new_apns_id())?;
    let lane = app.lane(credential, environment)?;
    Ok(Prepared { notification, lane })
}

/// The outcome of what found no room in the queue.
fn not_sent() -> oneshot::Receiver<Outcome> {
    let (sender, receiver) = oneshot::channel();
    // The receiver is right here.
    let _ = sender.send(Outcome::unanswered(Why::NotSent));
    receiver
}

async fn answers(sent: Vec<Sent>) -> Vec<PushResult> {
    let mut results = Vec::with_capacity(sent.len());
    for Sent {
        token,
        apns_id,
        way,
    } in sent
    {
        let (outcome, detail) = match way {
            Some((lane, receiver)) => {
                let Delivered { outcome, trouble } = lane.outcome(receiver).await;
                (Some(outcome), trouble)
            }
            None => (None, None),
        };
        results.push(PushResult {
            token,
            apns_id,
            outcome,
            detail,
        });
    }
    results
}

/// The devices that a request means, each once.
fn targets(app: &App, caller: Caller<'_>, request: &PushRequest) -> Result<Vec<Target>, Problem> {
    let mut seen = BTreeSet::new();
    let mut targets = Vec::new();
    let mut add = |device: DeviceRef, environment: Option<Environment>| {
        if targets.len() >= MAX_TARGETS {
            return Err(Problem::too_many_devices(MAX_TARGETS));
        }
        if seen.insert(device_key(&device.topic, &device.token)) {
            targets.push(Target {
                device,
                environment,
            });
        }
        Ok(())
    };
    match (&request.to, &request.topic) {
        (Recipients::Tokens(tokens), Some(topic)) => {
            for token in tokens {
                let known = match request.environment {
                    Some(environment) => Some(environment),
                    None => record_of(app, topic, token)?.and_then(|record| record.environment),
                };
                let (topic, token) = (topic.clone(), token.clone());
                add(DeviceRef { topic, token }, known)?;
            }
        }
        (Recipients::Tokens(_), None) => {
            return Err(Problem::field("missing-field", "topic", "a topic", "none"));
        }
        (Recipients::Aliases(aliases), topic) => {
            for alias in aliases {
                for record in devices_of(app, caller, alias, topic.as_ref())? {
                    let DeviceRecord {
                        topic,
                        token,
                        environment,
                        ..
                    } = record;
                    add(DeviceRef { topic, token }, environment)?;
                }
            }
            if targets.is_empty() {
                return Err(Problem::unknown_alias());
            }
        }
    }
    Ok(targets)
}

/// The devices of an alias, for one topic or for all that the caller may use. The index says where
/// to look, each record whether it is so.
fn devices_of(
    app: &App,
    caller: Caller<'_>,
    alias: &Alias,
    topic: Option<&Topic>,
) -> Result<Vec<DeviceRecord>, Problem> {
    let index = AliasIndex::read(app.store.get(&alias_key(alias))?.as_deref())?;
    let mut records = Vec::new();
    for DeviceRef {
        topic: app_of,
        token,
    } in index.devices()
    {
        let wanted = topic.map_or_else(|| caller.covers(app_of), |topic| topic == app_of);
        if wanted && let Some(record) = record_of(app, app_of, token)? {
            records.push(record);
        }
    }
    records.retain(|record| record.alias.as_ref() == Some(alias));
    Ok(records)
}
