//! Whom a push is for: the devices behind tokens and aliases, and the way to each.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use super::super::app::App;
use super::super::driver::Driver;
use super::super::platform;
use crate::api::{Caller, Problem, PushRequest, Recipients, Via};
use crate::binary::Frame;
use crate::environment::Environment;
use crate::notification::{Notification, Topic};
use crate::registry::{self, DeviceRecord, DeviceRef, Trial, device_key};

/// Most devices of one push. Beyond it nothing is sent: the function would work through them without
/// a pause, and hold them all.
const MAX_TARGETS: usize = 10_000;

/// A device that a push goes to.
pub(super) struct Target {
    pub(super) device: DeviceRef,
    /// Where its token is good, as far as its record says.
    known: Option<Environment>,
    /// Whether it has a record.
    pub(super) registered: bool,
}

impl Target {
    fn of(record: DeviceRecord) -> Self {
        let known = record.environment;
        let device = record.device();
        Self {
            device,
            known,
            registered: true,
        }
    }
}

/// One notification and the way it takes.
pub(super) struct Prepared {
    pub(super) target: Target,
    pub(super) notification: Arc<Notification>,
    /// In which environments, and what came of it.
    pub(super) trial: Trial,
    pub(super) way: Rc<Driver>,
    /// The way to [`Trial::elsewhere`].
    pub(super) other: Option<Rc<Driver>>,
}

/// Finds the way to a target. Everything is checked here, so that a request is carried out or
/// refused whole.
pub(super) fn prepare(
    app: &App,
    request: &PushRequest,
    target: Target,
) -> Result<Prepared, Problem> {
    let default = app.settings.delivery().default_environment;
    let trial = Trial::new(request.environment, target.known, default);
    let environment = trial.environment();
    let topic = &target.device.topic;
    let notification = request.notification(&target.device, platform::new_apns_id())?;
    let way = way(app, request.via, &notification, environment)?
        .ok_or_else(|| no_way(app, request.via, topic, environment))?;
    let other = match trial.elsewhere() {
        Some(elsewhere) => way_if_any(app, request.via, &notification, elsewhere)?,
        None => None,
    };
    let settings = &app.settings;
    let is_used = |elsewhere| {
        settings.credential_for(topic, elsewhere).is_some()
            || settings.binary_app(topic, elsewhere).is_some()
    };
    let trial = match (&other, trial.elsewhere()) {
        (None, Some(elsewhere)) if is_used(elsewhere) => trial.not_elsewhere(),
        (None, _) => trial.only_here(),
        (Some(_), _) => trial,
    };
    Ok(Prepared {
        target,
        notification,
        trial,
        way,
        other,
    })
}

/// The way that a notification takes in an environment; `None` if there is no credential for it.
fn way(
    app: &App,
    via: Option<Via>,
    notification: &Notification,
    environment: Environment,
) -> Result<Option<Rc<Driver>>, Problem> {
    let topic = notification.topic();
    let binary = app.settings.binary_app(topic, environment);
    let app_of = |index: usize| app.settings.binary_apps().get(index);
    let is_default = binary.and_then(app_of).is_some_and(|app| app.is_default);
    match (via, binary) {
        (Some(Via::Binary), None) => Ok(None),
        (Some(Via::Binary), Some(index)) => gateway(app, index, notification),
        (None, Some(index)) if is_default => gateway(app, index, notification),
        (None | Some(Via::Http2), _) => {
            let credential = app.settings.credential_for(topic, environment);
            credential
                .map(|index| app.lane(index, environment))
                .transpose()
        }
    }
}

/// Why there is none.
fn no_way(app: &App, via: Option<Via>, topic: &Topic, environment: Environment) -> Problem {
    let by_http2 = via != Some(Via::Binary);
    match by_http2 && app.settings.lacks_key_for(topic, environment) {
        true => Problem::provider_token_needed(topic.as_str(), environment.as_str()),
        false => Problem::no_credential(topic.as_str(), environment.as_str()),
    }
}

/// As [`way`]; what cannot be said there is no way either.
fn way_if_any(
    app: &App,
    via: Option<Via>,
    notification: &Notification,
    environment: Environment,
) -> Result<Option<Rc<Driver>>, Problem> {
    match way(app, via, notification, environment) {
        Err(problem) if problem.status() == 400 => Ok(None),
        way => way,
    }
}

fn gateway(
    app: &App,
    index: usize,
    notification: &Notification,
) -> Result<Option<Rc<Driver>>, Problem> {
    let Some(binary) = app.settings.binary_apps().get(index) else {
        return Ok(None);
    };
    Frame::new(notification)
        .check(binary.dialect)
        .map_err(|error| Problem::unsendable(&error))?;
    Ok(app.gateway(index))
}

/// The devices that a request means, each once.
pub(super) fn targets(
    app: &App,
    caller: Caller<'_>,
    request: &PushRequest,
) -> Result<Vec<Target>, Problem> {
    let mut seen = BTreeSet::new();
    let mut targets = Vec::new();
    let mut add = |target: Target| {
        if targets.len() >= MAX_TARGETS {
            return Err(Problem::too_many_devices(MAX_TARGETS));
        }
        if seen.insert(device_key(&target.device.topic, &target.device.token)) {
            targets.push(target);
        }
        Ok(())
    };
    match (&request.to, &request.topic) {
        (Recipients::Tokens(tokens), Some(topic)) => {
            for token in tokens {
                let (topic, token) = (topic.clone(), token.clone());
                let device = DeviceRef { topic, token };
                // One that was removed is tried all the same: the caller asked for it by name.
                let record = registry::device(&app.store, &device)?;
                add(Target {
                    known: record.as_ref().and_then(|record| record.environment),
                    registered: record.is_some(),
                    device,
                })?;
            }
        }
        (Recipients::Tokens(_), None) => {
            return Err(Problem::field("missing-field", "topic", "a topic", "none"));
        }
        (Recipients::Aliases(aliases), topic) => {
            for alias in aliases {
                let wanted = |device: &DeviceRef| match topic {
                    Some(topic) => *topic == device.topic,
                    None => caller.covers(&device.topic),
                };
                for record in registry::devices_of(&app.store, alias, wanted)? {
                    add(Target::of(record))?;
                }
            }
            if targets.is_empty() {
                return Err(Problem::unknown_alias());
            }
        }
    }
    Ok(targets)
}
