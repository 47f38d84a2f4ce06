//! The way to each of the devices that a push is for.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::super::app::App;
use super::super::driver::Driver;
use super::super::platform;
use crate::api::{Problem, PushRequest, Via};
use crate::binary::Frame;
use crate::environment::Environment;
use crate::notification::{Notification, Topic};
use crate::registry::Trial;
use crate::service::{Target, Turns};

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

/// Finds the way to each target. Everything is checked here, so that a request is carried out or
/// refused whole.
pub(super) async fn prepare(
    app: &App,
    request: &PushRequest,
    targets: Vec<Target>,
) -> Result<Vec<Prepared>, Problem> {
    let mut ways = Ways {
        app,
        via: request.via,
        known: BTreeMap::new(),
    };
    let mut turns = Turns::new(&app.store);
    let mut prepared = Vec::with_capacity(targets.len());
    for target in targets {
        prepared.push(ways.prepare(request, target)?);
        turns.worked(1).await;
    }
    Ok(prepared)
}

/// Where notifications of a topic go in an environment.
#[derive(Clone)]
enum Way {
    Provider(Rc<Driver>),
    /// The index of the app.
    Gateway(usize),
    /// There is no credential for it.
    None,
}

/// The ways of a push, each looked up once: finding one renews its provider token.
struct Ways<'a> {
    app: &'a App,
    via: Option<Via>,
    known: BTreeMap<(Topic, Environment), Way>,
}

impl Ways<'_> {
    fn prepare(&mut self, request: &PushRequest, target: Target) -> Result<Prepared, Problem> {
        let settings = &self.app.settings;
        let default = settings.delivery().default_environment;
        let trial = Trial::new(request.environment, target.known, default);
        let environment = trial.environment();
        let topic = &target.device.topic;
        let notification = request.notification(&target.device, platform::new_apns_id())?;
        let way = self
            .way(&notification, environment)?
            .ok_or_else(|| no_way(self.app, self.via, topic, environment))?;
        let other = match trial.elsewhere() {
            Some(elsewhere) => self.way_if_any(&notification, elsewhere)?,
            None => None,
        };
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
        &mut self,
        notification: &Notification,
        environment: Environment,
    ) -> Result<Option<Rc<Driver>>, Problem> {
        let place = (notification.topic().clone(), environment);
        let way = match self.known.get(&place) {
            Some(way) => way.clone(),
            None => {
                let way = self.find(&place)?;
                self.known.insert(place, way.clone());
                way
            }
        };
        match way {
            Way::None => Ok(None),
            Way::Provider(way) => Ok(Some(way)),
            Way::Gateway(index) => gateway(self.app, index, notification),
        }
    }

    fn find(&self, (topic, environment): &(Topic, Environment)) -> Result<Way, Problem> {
        let (app, environment) = (self.app, *environment);
        let binary = app.settings.binary_app(topic, environment);
        let app_of = |index: usize| app.settings.binary_apps().get(index);
        let is_default = binary.and_then(app_of).is_some_and(|app| app.is_default);
        match (self.via, binary) {
            (Some(Via::Binary), None) => Ok(Way::None),
            (Some(Via::Binary), Some(index)) => Ok(Way::Gateway(index)),
            (None, Some(index)) if is_default => Ok(Way::Gateway(index)),
            (None | Some(Via::Http2), _) => {
                let credential = app.settings.credential_for(topic, environment);
                let way = credential.map(|index| app.lane(index, environment));
                Ok(way.transpose()?.map_or(Way::None, Way::Provider))
            }
        }
    }

    /// As [`Self::way`]; what cannot be said there is no way either.
    fn way_if_any(
        &mut self,
        notification: &Notification,
        environment: Environment,
    ) -> Result<Option<Rc<Driver>>, Problem> {
        match self.way(notification, environment) {
            Err(problem) if problem.status() == 400 => Ok(None),
            way => way,
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
