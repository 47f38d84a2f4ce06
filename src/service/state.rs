//! What all calls of an instance share: settings, the store, credentials and the lanes to APNs.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::signer::Signer;
use super::{
    Destination, LaneName, LanePlan, LaneReport, Platform, Process, Proxy, Sender, Store,
    StoreError, random_u64,
};
use crate::api::Problem;
use crate::auth::{SharedTokens, SigningKey};
use crate::config::{self, ApnsService, CredentialKind, Endpoint, Settings};
use crate::delivery::{GatewayConfig, GatewayLane, ProviderConfig, ProviderLane, Transport};
use crate::dial::Credentials;
use crate::environment::Environment;
use crate::limits::PROVIDER_PORT;
use crate::registry::Guard;
use crate::time::UnixTime;
use crate::tls_name::TlsName;

/// Notifications on a connection to a gateway without an end: what a connection that closes without
/// a word leaves unanswered.
const GATEWAY_WINDOW: usize = 10_000;

/// What an instance stands on.
pub trait Runtime {
    /// Clocks, randomness, turns and the operator.
    type Platform: Platform;
    /// The store.
    type Store: Store;
    /// The lanes to APNs.
    type Sender: Sender;
}

/// A lane to APNs on such a platform.
pub(super) type LaneOf<R> = <<R as Runtime>::Sender as Sender>::Lane;

/// What an instance is configured by, apart from the settings themselves.
#[derive(Debug)]
pub struct Configured {
    /// The component's half of the file.
    pub settings: Settings,
    /// Of each credential, in their order; `None` for a certificate.
    pub keys: Vec<Option<SigningKey>>,
    /// Who we are to the proxy in the settings, if there is one and it asks for that.
    pub proxy: Option<Credentials>,
    /// Where it runs.
    pub process: Process,
}

/// The shared part of an instance.
pub struct App<R: Runtime> {
    pub(super) settings: Settings,
    pub(super) process: Process,
    pub(super) platform: R::Platform,
    pub(super) store: R::Store,
    pub(super) sender: R::Sender,
    /// The one in the settings.
    proxy: Option<Rc<Proxy>>,
    /// Of each credential, in their order; `None` for a certificate.
    signers: Vec<Option<Signer>>,
    /// At most six for each credential: three services in two environments.
    lanes: RefCell<BTreeMap<(usize, Environment, ApnsService), LaneOf<R>>>,
    /// At most one for each app on the binary protocols.
    gateways: RefCell<BTreeMap<usize, LaneOf<R>>>,
    /// Keeps a wrong credential from looking like dead devices.
    pub(super) guard: RefCell<Guard>,
}

impl<R: Runtime> core::fmt::Debug for App<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

impl<R: Runtime> App<R> {
    /// An instance that has no lane to APNs yet.
    pub fn new(
        configured: Configured,
        platform: R::Platform,
        store: R::Store,
        sender: R::Sender,
    ) -> Self {
        let Configured {
            settings,
            keys,
            proxy: credentials,
            process,
        } = configured;
        let signer = |(credential, key): (&config::Credential, Option<SigningKey>)| {
            let CredentialKind::Key(source) = credential.kind() else {
                return None;
            };
            Some(Signer::new(key?, source))
        };
        let signers = settings.credentials().iter().zip(keys);
        let signers = signers.map(signer).collect();
        let proxy = settings.proxy().map(|proxy| {
            let endpoint = proxy.endpoint.clone();
            Rc::new(Proxy {
                endpoint,
                credentials,
            })
        });
        Self {
            settings,
            process,
            platform,
            store,
            sender,
            proxy,
            signers,
            lanes: RefCell::default(),
            gateways: RefCell::default(),
            guard: RefCell::default(),
        }
    }

    /// What it is configured by.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns once everything written so far survives a crash.
    pub(super) async fn durable(&self) -> Result<(), StoreError> {
        self.store.durable().await
    }

    /// The lane from a credential to a service of an environment; if the credential is a key, with
    /// a provider token that is good.
    pub(super) async fn lane(
        &self,
        credential: usize,
        environment: Environment,
        service: ApnsService,
    ) -> Result<LaneOf<R>, Problem> {
        let (lane, signer) = self.opened(credential, environment, service)?;
        let tokens = match signer {
            Some(signer) => Some(signer.tokens(&self.platform, &self.store, None).await),
            None => None,
        };
        self.sender.refresh(&lane, tokens.as_ref());
        Ok(lane)
    }

    /// The lane from a credential to a service, opened if it is not, and what signs for it.
    fn opened(
        &self,
        credential: usize,
        environment: Environment,
        service: ApnsService,
    ) -> Result<(LaneOf<R>, Option<&Signer>), Problem> {
        let service = self.settings.carrier(environment, service);
        let of_index = (
            self.settings.credentials().get(credential),
            self.signers.get(credential),
        );
        let (Some(proven_by), Some(signer)) = of_index else {
            return Err(Problem::misconfigured());
        };
        let place = (credential, environment, service);
        let mut lanes = self.lanes.borrow_mut();
        let lane = lanes.entry(place).or_insert_with(|| {
            let endpoint = self.settings.service(environment, service);
            let name = LaneName {
                credential: proven_by.to_string(),
                environment: environment.as_str(),
                address: endpoint.to_string(),
                has_certificate: proven_by.identity().is_some(),
            };
            self.sender.open(LanePlan {
                destination: self.destination(endpoint, proven_by.tls_name(endpoint)),
                report: LaneReport::new(name),
                lane: self.provider_api(endpoint).into(),
                signer: signer.as_ref().map(|_| credential),
            })
        });
        Ok((lane.clone(), signer.as_ref()))
    }

    /// The lane to an app's binary gateway; `None` if it has none.
    pub(super) fn gateway(&self, index: usize) -> Option<LaneOf<R>> {
        let binary = self.settings.binary_apps().get(index)?;
        let endpoint = binary.gateway.as_ref()?;
        let mut gateways = self.gateways.borrow_mut();
        let gateway = gateways.entry(index).or_insert_with(|| {
            let config = GatewayConfig {
                dialect: binary.dialect,
                queue: self.settings.delivery().queue,
                window: GATEWAY_WINDOW,
            };
            let name = LaneName {
                credential: format!("identity {}", binary.identity().unwrap_or("none")),
                environment: binary.environment.as_str(),
                address: endpoint.to_string(),
                has_certificate: binary.identity().is_some(),
            };
            self.sender.open(LanePlan {
                destination: self.destination(endpoint, binary.tls_name(endpoint)),
                report: LaneReport::new(name),
                lane: GatewayLane::new(config).into(),
                signer: None,
            })
        });
        Some(gateway.clone())
    }

    /// Other provider tokens of a credential than the one issued at `refused`, which was refused as
    /// too old; the same if there may be no other yet, and none if it has none.
    pub async fn renewed(&self, credential: usize, refused: UnixTime) -> Option<SharedTokens> {
        let signer = self.signers.get(credential)?.as_ref()?;
        let tokens = signer.tokens(&self.platform, &self.store, Some(refused));
        Some(tokens.await)
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

    /// A lane to a service that speaks HTTP/2.
    fn provider_api(&self, endpoint: &Endpoint) -> ProviderLane {
        let authority = match endpoint.port {
            PROVIDER_PORT => endpoint.uri_host().into_owned(),
            _ => endpoint.to_string(),
        };
        let delivery = self.settings.delivery();
        let by_http_client = delivery.transport == config::Transport::WasiHttp;
        ProviderLane::new(ProviderConfig {
            queue: delivery.queue,
            transport: match by_http_client {
                false => Transport::Sockets,
                true => Transport::Platform,
            },
            connections: delivery.connections,
            turns: by_http_client && !self.process.http_client_obeys,
            server_error_wait: delivery.server_error_wait,
            ..ProviderConfig::new(authority, random_u64(&self.platform))
        })
    }
}
