//! What all calls of an instance share: settings, the store, credentials and the lanes to APNs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::driver::Driver;
use super::durable::Gathering;
use super::platform;
use super::store::{ChangeError, Store, StoreError};
use super::transport::{Destination, Proxy};
use crate::api::Problem;
use crate::auth::{Freshness, ProviderToken, SigningKey, freshness, may_renew, may_sign_again};
use crate::config::{Credential, Endpoint, Service, Settings};
use crate::delivery::{GatewayConfig, GatewayLane, Lane, LaneConfig};
use crate::environment::Environment;
use crate::limits::{PRIVATE_KEY_FILE_MAX_BYTES, PROVIDER_PORT};
use crate::registry::Guard;
use crate::time::{Now, UnixTime};
use crate::tls_name::{Protocol, TlsName};

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
    signers: Vec<Signer>,
    /// At most six for each credential: three services in two environments.
    lanes: RefCell<BTreeMap<(usize, Environment, Service), Rc<Driver>>>,
    /// At most one for each app on the binary protocols.
    gateways: RefCell<BTreeMap<usize, Rc<Driver>>>,
    /// Keeps a wrong credential from looking like dead devices.
    pub(super) guard: RefCell<Guard>,
    gathering: Gathering,
}

/// A credential with its key, and the provider token in use.
struct Signer {
    credential: Credential,
    key: SigningKey,
    token: RefCell<Option<ProviderToken>>,
    last_signed: Cell<Option<Now>>,
}

impl App {
    /// The instance's own; made at the first call, and again at the next if that failed.
    pub(super) fn get() -> Result<Rc<Self>, Problem> {
        APP.with_borrow_mut(|app| match app {
            Some(app) => Ok(Rc::clone(app)),
            None => {
                let made = Rc::new(Self::load().map_err(|why| {
                    eprintln!("dunlin: {why}");
                    Problem::misconfigured()
                })?);
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
            .map(|credential| Signer::load(folder, credential))
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

    /// The way from a credential to an environment, with a provider token that is good.
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
        let signer = self
            .signers
            .get(credential)
            .ok_or_else(Problem::misconfigured)?;
        let lane = Rc::clone(
            self.lanes
                .borrow_mut()
                .entry((credential, environment, service))
                .or_insert_with(|| {
                    let endpoint = self.settings.service(environment, service);
                    self.provider_api(endpoint, credential)
                }),
        );
        lane.set_token(signer.token(&self.store, platform::now(), platform::unix_time())?);
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
            Driver::new(destination, lane, Box::new(|_| None))
        });
        Some(Rc::clone(gateway))
    }

    /// Another provider token of a credential than the one issued then, if there may be one.
    fn renewed(credential: usize, refused: UnixTime) -> Option<ProviderToken> {
        let app = Self::get().ok()?;
        let (now, time) = (platform::now(), platform::unix_time());
        let signer = app.signers.get(credential)?;
        signer.fetch(&app.store, now, time, Some(refused)).ok()
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
    fn provider_api(&self, endpoint: &Endpoint, credential: usize) -> Rc<Driver> {
        // A literal IPv6 address stands in brackets (RFC 3986, section 3.2.2).
        let host = match endpoint.host.contains(':') {
            true => format!("[{}]", endpoint.host),
            false => endpoint.host.clone(),
        };
        let authority = match endpoint.port {
            PROVIDER_PORT => host,
            port => format!("{host}:{port}"),
        };
        let delivery = self.settings.delivery();
        let lane = Lane::new(LaneConfig {
            queue: delivery.queue,
            connections: delivery.connections,
            server_error_wait: delivery.server_error_wait,
            ..LaneConfig::new(authority, platform::random_u64())
        });
        let tls_name = TlsName {
            protocol: Protocol::Http2,
            identity: None,
            host: endpoint.host.clone(),
        };
        let renew = Box::new(move |refused| Self::renewed(credential, refused));
        Driver::new(self.destination(endpoint, tls_name), Box::new(lane), renew)
    }
}

impl Signer {
    fn load(folder: &Path, credential: &Credential) -> Result<Self, String> {
        let path = folder.join(&credential.key_file);
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
        let text = std::fs::read_to_string(&path).map_err(|error| failed(&error))?;
        let key = SigningKey::from_pem(&text).map_err(|error| failed(&error))?;
        let credential = credential.clone();
        Ok(Self {
            credential,
            key,
            token: RefCell::default(),
            last_signed: Cell::default(),
        })
    }

    /// A token for now: the one in hand, the one in the store, or a new one that goes there.
    fn token(&self, store: &Store, now: Now, time: UnixTime) -> Result<ProviderToken, Problem> {
        self.fetch(store, now, time, None)
    }

    /// The same; but one that was issued at `refused` is of no more use than one that is due.
    fn fetch(
        &self,
        store: &Store,
        now: Now,
        time: UnixTime,
        refused: Option<UnixTime>,
    ) -> Result<ProviderToken, Problem> {
        if let Some(token) = &*self.token.borrow()
            && freshness(token.issued_at(), time) == Freshness::Fresh
            && Some(token.issued_at()) != refused
        {
            return Ok(token.clone());
        }
        let may_sign = may_sign_again(self.last_signed.get(), now);
        let shared = store.change(&self.store_key(), |stored| {
            Ok::<_, Problem>(match self.usable(stored, time, may_sign, refused) {
                Some(token) => (None, (token, false)),
                None => {
                    let token = self.sign(time);
                    (Some(token.as_jwt().as_bytes().to_vec()), (token, true))
                }
            })
        });
        let (token, signed) = shared.map_err(|error| match error {
            ChangeError::Store(error) => Problem::store(&error.0),
            ChangeError::Refused(problem) => problem,
        })?;
        if signed {
            self.last_signed.set(Some(now));
        }
        *self.token.borrow_mut() = Some(token.clone());
        Ok(token)
    }

    /// The stored token, if it is to be used rather than replaced.
    fn usable(
        &self,
        stored: Option<&[u8]>,
        time: UnixTime,
        may_sign: bool,
        refused: Option<UnixTime>,
    ) -> Option<ProviderToken> {
        let token = ProviderToken::parse(core::str::from_utf8(stored?).ok()?).ok()?;
        // Signatures need no randomness, so ours of that moment is this one, unless the key file
        // was another then.
        let ours = self.sign(token.issued_at()) == token;
        let keep = match freshness(token.issued_at(), time) {
            Freshness::Fresh if Some(token.issued_at()) != refused => true,
            Freshness::Fresh | Freshness::Due => !(may_sign && may_renew(token.issued_at(), time)),
            // The monotonic clock may have slept with the machine; this one is of no use.
            Freshness::Expired => false,
        };
        (ours && keep).then_some(token)
    }

    fn sign(&self, time: UnixTime) -> ProviderToken {
        let Credential {
            key_id, team_id, ..
        } = &self.credential;
        ProviderToken::sign(&self.key, *key_id, *team_id, time)
    }

    /// Team and key, because a key belongs to one team but two configurations may disagree on which.
    fn store_key(&self) -> String {
        let Credential {
            key_id, team_id, ..
        } = &self.credential;
        format!("t/{}/{}", team_id.as_str(), key_id.as_str())
    }
}
