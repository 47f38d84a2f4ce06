//! What all calls of an instance share: settings, the store, credentials and the lanes to APNs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::driver::Driver;
use super::durable::Gathering;
use super::operator;
use super::platform;
use super::store::{ChangeError, Store, StoreError};
use super::transport::{Destination, Proxy};
use crate::api::Problem;
use crate::auth::{Issuer, SharedTokens, SigningKey};
use crate::config::{self, Endpoint, Proof, Service, Settings, TokenKey};
use crate::delivery::{GatewayConfig, GatewayLane, Lane, LaneConfig, Transport};
use crate::environment::Environment;
use crate::limits::{PRIVATE_KEY_FILE_MAX_BYTES, PROVIDER_PORT};
use crate::registry::Guard;
use crate::service::WayName;
use crate::time::UnixTime;
use crate::tls_name::TlsName;

/// Names the configuration file.
const CONFIG_VARIABLE: &str = "DUNLIN_CONFIG";

/// Where it is otherwise.
const CONFIG_DEFAULT: &str = "dunlin.toml";

/// Notifications on a connection to a gateway without an end: what a connection that closes without a
/// word leaves unanswered.
const GATEWAY_WINDOW: usize = 10_000;

thread_local! {
    static APP: RefCell<Option<Rc<App>>> = const { RefCell::new(None) };
}

/// The shared part of an instance.
pub(super) struct App {
    pub(super) settings: Settings,
    pub(super) store: Store,
    /// The one in the settings.
    proxy: Option<Rc<Proxy>>,
    /// Of each credential, in their order; `None` for a certificate.
    signers: Vec<Option<Signer>>,
    /// At most six for each credential: three services in two environments.
    lanes: RefCell<BTreeMap<(usize, Environment, Service), Rc<Driver>>>,
    /// At most one for each app on the binary protocols.
    gateways: RefCell<BTreeMap<usize, Rc<Driver>>>,
    /// Keeps a wrong credential from looking like dead devices.
    pub(super) guard: RefCell<Guard>,
    gathering: Gathering,
}

/// A credential's key, with the provider tokens that it shares through the store.
struct Signer(RefCell<Issuer>);

impl App {
    /// The instance's own; made at the first call, and again at the next if that failed.
    pub(super) fn get() -> Result<Rc<Self>, Problem> {
        APP.with_borrow_mut(|app| match app {
            Some(app) => Ok(Rc::clone(app)),
            None => {
                let made = Rc::new(Self::load().map_err(|why| {
                    operator::tell(|operator, now| operator.misconfigured(now, &why));
                    Problem::misconfigured()
                })?);
                operator::tell(|operator, now| operator.configured(now));
                *app = Some(Rc::clone(&made));
                Ok(made)
            }
        })
    }

    fn load() -> Result<Self, String> {
        let path = std::env::var(CONFIG_VARIABLE).unwrap_or_else(|_| CONFIG_DEFAULT.to_owned());
        let path = PathBuf::from(path);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("configuration {}: {error}", path.display()))?;
        let settings = Settings::parse(&text)
            .map_err(|error| format!("configuration {}: {error}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let signers = settings
            .credentials()
            .iter()
            .map(|credential| match credential.proof() {
                Proof::Key(source) => Signer::load(folder, source).map(Some),
                Proof::Identity(_) => Ok(None),
            })
            .collect::<Result<_, _>>()?;
        let store = Store::open().map_err(|error| error.0)?;
        let proxy = settings.proxy().map(|proxy| {
            let credentials = proxy.credentials(|name| std::env::var(name).ok());
            let endpoint = proxy.endpoint.clone();
            credentials.map(|credentials| {
                Rc::new(Proxy {
                    endpoint,
                    credentials,
                })
            })
        });
        let proxy = proxy.transpose();
        let proxy = proxy.map_err(|error| format!("configuration {}: {error}", path.display()))?;
        Ok(Self {
            settings,
            store,
            proxy,
            signers,
            lanes: RefCell::default(),
            gateways: RefCell::default(),
            guard: RefCell::default(),
            gathering: Gathering::default(),
        })
    }

    /// Returns once everything written so far survives a crash.
    pub(super) async fn flushed(&self) -> Result<(), StoreError> {
        self.gathering.flushed(&self.store).await
    }

    /// The way from a credential to an environment; if that is a key, with a provider token that is
    /// good.
    pub(super) fn lane(
        &self,
        credential: usize,
        environment: Environment,
    ) -> Result<Rc<Driver>, Problem> {
        self.lane_to(credential, environment, Service::Push)
    }

    /// The same for any service of the environment.
    pub(super) fn lane_to(
        &self,
        credential: usize,
        environment: Environment,
        service: Service,
    ) -> Result<Rc<Driver>, Problem> {
        let service = self.settings.carrier(environment, service);
        let of_index = (
            self.settings.credentials().get(credential),
            self.signers.get(credential),
        );
        let (Some(proven_by), Some(signer)) = of_index else {
            return Err(Problem::misconfigured());
        };
        let lane = Rc::clone(
            self.lanes
                .borrow_mut()
                .entry((credential, environment, service))
                .or_insert_with(|| {
                    let endpoint = self.settings.service(environment, service);
                    let tls_name = proven_by.tls_name(endpoint);
                    let name = WayName {
                        credential: proven_by.to_string(),
                        environment: environment.as_str(),
                        address: endpoint.to_string(),
                        has_certificate: proven_by.identity().is_some(),
                    };
                    let destination = self.destination(endpoint, tls_name);
                    self.provider_api(destination, name, credential)
                }),
        );
        let tokens = signer
            .as_ref()
            .map(|signer| signer.tokens(&self.store, None))
            .transpose()?;
        lane.refresh(tokens.as_ref());
        Ok(lane)
    }

    /// The way to an app's binary gateway; `None` if it has none.
    pub(super) fn gateway(&self, index: usize) -> Option<Rc<Driver>> {
        let binary = self.settings.binary_apps().get(index)?;
        let endpoint = binary.gateway.as_ref()?;
        let mut gateways = self.gateways.borrow_mut();
        let gateway = gateways.entry(index).or_insert_with(|| {
            let config = GatewayConfig {
                dialect: binary.dialect,
                queue: self.settings.delivery().queue,
                window: GATEWAY_WINDOW,
            };
            let destination = self.destination(endpoint, binary.tls_name(endpoint));
            let lane = Box::new(GatewayLane::new(config));
            let name = WayName {
                credential: format!("identity {}", binary.identity().unwrap_or("none")),
                environment: binary.environment.as_str(),
                address: endpoint.to_string(),
                has_certificate: binary.identity().is_some(),
            };
            Driver::new(destination, name, lane, Box::new(|_| None))
        });
        Some(Rc::clone(gateway))
    }

    /// Other provider tokens of a credential than the one issued then, if there may be any.
    fn renewed(credential: usize, refused: UnixTime) -> Option<SharedTokens> {
        let app = Self::get().ok()?;
        let signer = app.signers.get(credential)?.as_ref()?;
        signer.tokens(&app.store, Some(refused)).ok()
    }

    /// How a server is reached.
    pub(super) fn destination(&self, endpoint: &Endpoint, tls_name: TlsName) -> Destination {
        let is_behind = self.settings.proxy_for(&endpoint.host).is_some();
        Destination {
            endpoint: endpoint.clone(),
            tls_name,
            proxy: self.proxy.clone().filter(|_| is_behind),
        }
    }

    /// The way to a service that speaks HTTP/2, for a credential.
    fn provider_api(
        &self,
        destination: Destination,
        name: WayName,
        credential: usize,
    ) -> Rc<Driver> {
        let endpoint = &destination.endpoint;
        let authority = match endpoint.port {
            PROVIDER_PORT => endpoint.uri_host().into_owned(),
            _ => endpoint.to_string(),
        };
        let delivery = self.settings.delivery();
        let lane = Lane::new(LaneConfig {
            queue: delivery.queue,
            transport: match delivery.transport {
                config::Transport::Sockets => Transport::Sockets,
                config::Transport::WasiHttp => Transport::Platform,
            },
            connections: delivery.connections,
            turns: delivery.transport == config::Transport::WasiHttp
                && !platform::http_client_obeys(),
            server_error_wait: delivery.server_error_wait,
            ..LaneConfig::new(authority, platform::random_u64())
        });
        let renew = Box::new(move |refused| Self::renewed(credential, refused));
        Driver::new(destination, name, Box::new(lane), renew)
    }
}

impl Signer {
    fn load(folder: &Path, source: &TokenKey) -> Result<Self, String> {
        let path = folder.join(&source.key_file);
        let failed = |why: &dyn std::fmt::Display| format!("key {}: {why}", path.display());
        let size = std::fs::metadata(&path)
            .map_err(|error| failed(&error))?
            .len();
        let limit = PRIVATE_KEY_FILE_MAX_BYTES;
        if usize::try_from(size).map_or(true, |size| size > limit) {
            return Err(failed(&format!(
                "expected at most {limit} bytes, got {size}"
            )));
        }
        let file = std::fs::read(&path).map_err(|error| failed(&error))?;
        let key = SigningKey::from_pem(&file).map_err(|error| failed(&error))?;
        let issuer = Issuer::new(key, source.key_id, source.team_id);
        Ok(Self(RefCell::new(issuer)))
    }

    /// Tokens for now: those in hand, those in the store, or new ones that go there. The one issued
    /// at `refused` is of no more use than one that is due. A store that fails stops no push.
    fn tokens(&self, store: &Store, refused: Option<UnixTime>) -> Result<SharedTokens, Problem> {
        let (now, time) = (platform::now(), platform::unix_time());
        if let Some(held) = self.0.borrow().held(now, time, refused) {
            return Ok(held.clone());
        }
        let store_key = self.0.borrow().store_key();
        let choice = store.change(&store_key, |stored| {
            let choice = self.0.borrow().choose(stored, now, time, refused);
            Ok::<_, Problem>((choice.to_store(), choice))
        });
        let mut issuer = self.0.borrow_mut();
        match choice {
            Ok(choice) => Ok(issuer.take(choice, now).clone()),
            Err(ChangeError::Store(_)) => Ok(issuer.without_store(now, time, refused).clone()),
            Err(ChangeError::Refused(problem)) => Err(problem),
        }
    }
}
