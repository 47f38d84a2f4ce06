//! The lane for each of the devices that a push is for.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{Problem, PushRequest, Via};
use crate::binary::Frame;
use crate::config::ApnsService;
use crate::environment::Environment;
use crate::notification::{Notification, Topic};
use crate::registry::EnvironmentProbe;
use crate::service::platform::new_apns_id;
use crate::service::recipients::Target;
use crate::service::state::LaneOf;
use crate::service::{App, Runtime, Turns};

/// Notifications, and the lanes that they take.
pub(super) struct Prepared<R: Runtime> {
    pub(super) devices: Vec<ToDevice>,
    /// What [`ToDevice`] has numbers of.
    pub(super) lanes: Vec<LaneOf<R>>,
}

/// One notification and the lane that it takes.
pub(super) struct ToDevice {
    pub(super) target: Target,
    pub(super) notification: Arc<Notification>,
    /// In which environments, and what came of it.
    pub(super) probe: EnvironmentProbe,
    pub(super) lane: usize,
    /// The lane to [`EnvironmentProbe::elsewhere`].
    pub(super) other: Option<usize>,
}

/// Finds the lane for each target. Everything is checked here, so that a request is carried out or
/// refused whole.
pub(super) async fn prepare<R: Runtime>(
    app: &App<R>,
    request: &PushRequest,
    targets: Vec<Target>,
) -> Result<Prepared<R>, Problem> {
    let mut lanes = Lanes::new(app, request.via);
    let mut turns = Turns::new(&app.platform);
    let mut devices = Vec::<ToDevice>::with_capacity(targets.len());
    for target in targets {
        let before = devices.last().map(|before| &*before.notification);
        let id = new_apns_id(&app.platform);
        let notification = request.notification_after(before, &target.device, id)?;
        let prepared = lanes.prepare(request.environment, target, notification);
        devices.push(prepared.await?);
        turns.worked(1).await;
    }
    let lanes = lanes.open;
    Ok(Prepared { devices, lanes })
}

/// Where notifications of a topic go in an environment.
#[derive(Clone, Copy)]
enum Route {
    /// The number of the lane.
    Provider(usize),
    /// The index of the app.
    Gateway(usize),
    /// There is no credential for it.
    None,
}

/// The lanes of a push, each looked up once: finding one renews its provider token.
pub(super) struct Lanes<'a, R: Runtime> {
    app: &'a App<R>,
    via: Option<Via>,
    /// In each environment.
    known: BTreeMap<Topic, [Option<Route>; 2]>,
    pub(super) open: Vec<LaneOf<R>>,
    /// The number of the lane to each app's gateway, if it has one.
    gateways: BTreeMap<usize, Option<usize>>,
}

impl<'a, R: Runtime> Lanes<'a, R> {
    /// None yet.
    pub(super) const fn new(app: &'a App<R>, via: Option<Via>) -> Self {
        Self {
            app,
            via,
            known: BTreeMap::new(),
            open: Vec::new(),
            gateways: BTreeMap::new(),
        }
    }

    /// How many topics have been asked for.
    pub(super) fn topics(&self) -> usize {
        self.known.len()
    }

    pub(super) async fn prepare(
        &mut self,
        named: Option<Environment>,
        target: Target,
        notification: Arc<Notification>,
    ) -> Result<ToDevice, Problem> {
        let settings = &self.app.settings;
        let default = settings.delivery().default_environment;
        let probe = EnvironmentProbe::new(named, target.known, default);
        let environment = probe.environment();
        let topic = &target.device.topic;
        let lane = self
            .lane(&notification, environment)
            .await?
            .ok_or_else(|| self.no_lane(topic, environment))?;
        let other = match probe.elsewhere() {
            Some(elsewhere) => self.lane_if_any(&notification, elsewhere).await?,
            None => None,
        };
        let is_used = |elsewhere| {
            settings.credential_for(topic, elsewhere).is_some()
                || settings.binary_app(topic, elsewhere).is_some()
        };
        let probe = match (&other, probe.elsewhere()) {
            (None, Some(elsewhere)) if is_used(elsewhere) => probe.not_elsewhere(),
            (None, _) => probe.only_here(),
            (Some(_), _) => probe,
        };
        Ok(ToDevice {
            target,
            notification,
            probe,
            lane,
            other,
        })
    }

    /// The lane that a notification takes in an environment; `None` if there is no credential for
    /// it.
    async fn lane(
        &mut self,
        notification: &Notification,
        environment: Environment,
    ) -> Result<Option<usize>, Problem> {
        match self.route(notification.topic(), environment).await? {
            Route::None => Ok(None),
            Route::Provider(lane) => Ok(Some(lane)),
            Route::Gateway(index) => self.gateway(index, notification),
        }
    }

    async fn route(&mut self, topic: &Topic, environment: Environment) -> Result<Route, Problem> {
        let place = usize::from(environment == Environment::Production);
        let known = self.known.get(topic).and_then(|known| *known.get(place)?);
        if let Some(route) = known {
            return Ok(route);
        }
        let route = self.find(topic, environment).await?;
        let known = self.known.entry(topic.clone()).or_default();
        if let Some(known) = known.get_mut(place) {
            *known = Some(route);
        }
        Ok(route)
    }

    async fn find(&mut self, topic: &Topic, environment: Environment) -> Result<Route, Problem> {
        let app = self.app;
        let binary = app.settings.binary_app(topic, environment);
        let app_of = |index: usize| app.settings.binary_apps().get(index);
        let is_default = binary.and_then(app_of).is_some_and(|app| app.is_default);
        match (self.via, binary) {
            (Some(Via::Binary), None) => Ok(Route::None),
            (Some(Via::Binary), Some(index)) => Ok(Route::Gateway(index)),
            (None, Some(index)) if is_default => Ok(Route::Gateway(index)),
            (None | Some(Via::Http2), _) => {
                let Some(credential) = app.settings.credential_for(topic, environment) else {
                    return Ok(Route::None);
                };
                let lane = app.lane(credential, environment, ApnsService::Push);
                self.open.push(lane.await?);
                Ok(Route::Provider(self.open.len() - 1))
            }
        }
    }

    /// As [`Self::lane`]; what cannot be said there is no lane for either.
    async fn lane_if_any(
        &mut self,
        notification: &Notification,
        environment: Environment,
    ) -> Result<Option<usize>, Problem> {
        match self.lane(notification, environment).await {
            Err(problem) if problem.status() == 400 => Ok(None),
            lane => lane,
        }
    }

    fn gateway(
        &mut self,
        index: usize,
        notification: &Notification,
    ) -> Result<Option<usize>, Problem> {
        let Some(binary) = self.app.settings.binary_apps().get(index) else {
            return Ok(None);
        };
        Frame::new(notification)
            .check(binary.dialect)
            .map_err(|error| Problem::unsendable(&error))?;
        let (app, open) = (self.app, &mut self.open);
        let number = self.gateways.entry(index).or_insert_with(|| {
            open.push(app.gateway(index)?);
            Some(open.len() - 1)
        });
        Ok(*number)
    }

    /// Why there is none.
    fn no_lane(&self, topic: &Topic, environment: Environment) -> Problem {
        let by_http2 = self.via != Some(Via::Binary);
        match by_http2 && self.app.settings.lacks_key_for(topic, environment) {
            true => Problem::provider_token_needed(topic.as_str(), environment.as_str()),
            false => Problem::no_credential(topic.as_str(), environment.as_str()),
        }
    }
}
