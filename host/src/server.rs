//! `dunlin serve`: a configuration file becomes a running service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dunlin::config::Settings;
use dunlin_certificates::{Finding, Level};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::Error;
use crate::clock;
use crate::compile_cache;
use crate::config::{Config, HostSettings, StoreSettings};
use crate::descriptors;
use crate::dispatch::{Dispatcher, Limits};
use crate::engine::{Engine, Grants};
use crate::expiry::ExpiryWatch;
use crate::hangup;
use crate::http_server::{self, Limits as ListenerLimits};
use crate::metrics::Status;
use crate::schedule::Schedule;
use crate::store::{Store, StoreError};
use crate::wanted::Use;
use crate::wasi::http_client::HttpClient;
use crate::wasi::tls::{Identity, Provider, TrustError};

/// A service that is listening but not yet answering; [`Server::run`] does that.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    dispatcher: Arc<Dispatcher>,
    store: Store,
    status: Arc<Status>,
    schedule: Schedule,
    expiry: ExpiryWatch,
    settings: HostSettings,
    limits: ListenerLimits,
    /// The function's half of the configuration, if there are keys in it.
    keys: Option<Settings>,
}

impl Server {
    /// Binds the configured address, opens the store and compiles the function (or finds it
    /// compiled).
    ///
    /// # Errors
    /// If any of that fails; the error says which.
    pub async fn start(config_file: &Path, component: Option<&Path>) -> Result<Self, Error> {
        let config = Config::load(config_file)?;
        let listener = config.host.listen.bind().await?;
        let store = open(&config.store)?;
        Self::start_on(listener, config_file, config, store, component)
    }

    /// The same on a listener and a store that are there already.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_on(
        listener: TcpListener,
        config_file: &Path,
        config: Config,
        store: Store,
        component: Option<&Path>,
    ) -> Result<Self, Error> {
        let address = listener.local_addr()?;
        let identities = identities(&config)?;
        let status = Arc::new(Status::default());
        let certificates = identities
            .iter()
            .map(|(name, identity)| (name.to_string(), identity.info().clone()));
        let expiry = ExpiryWatch::start(certificates.collect(), &status);
        let engine = Arc::new(load_with(
            config_file,
            component,
            &config,
            identities,
            &store,
            &status,
        )?);
        let keys = config.keys().cloned();
        let own_connections = config.own_connections();
        let schedule = Schedule::start(&config.tasks, &engine, &store, &status);
        let settings = config.host;
        let descriptors = descriptors::prepare(own_connections, settings.connections)?;
        let limits = Limits {
            instances: settings.instance_count(),
            concurrency: settings.concurrency,
            queue: settings.queue,
            timeout: settings.request_timeout(),
        };
        let dispatcher = Dispatcher::start(engine, store.clone(), limits);
        Ok(Self {
            listener,
            address,
            dispatcher: Arc::new(dispatcher),
            store,
            status,
            schedule,
            expiry,
            limits: ListenerLimits {
                connections: descriptors.clients,
                spare_connections: descriptors.probes,
                ..ListenerLimits::default()
            }
            .with_bodies_of(settings.max_body_bytes),
            settings,
            keys,
        })
    }

    /// Where it listens; of interest when the port was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves, finishes what is in flight and closes the store.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let patience = self.settings.shutdown_timeout();
        info!(address = %self.address, "listening");
        let dispatcher = Arc::clone(&self.dispatcher);
        let mut server = http_server::Server::new(dispatcher, self.status, self.limits);
        if let Some(keys) = self.keys {
            server = server.with_keys(keys);
        }
        server.serve(self.listener, stop, patience).await;
        // A poll that is cut off goes on at the next start.
        drop(self.schedule);
        drop(self.expiry);
        // Requests are done; what instances still do after their answers gets a moment.
        self.dispatcher.shut_down(Duration::from_secs(1)).await;
        let store = self.store;
        let closing = tokio::task::spawn_blocking(move || store.close());
        if !matches!(clock::timeout(patience, closing).await, Ok(Ok(()))) {
            tracing::error!("the store could not be closed; its last writes may be lost");
        }
        info!("stopped");
    }
}

/// Opens the store of a configuration.
///
/// # Errors
/// As [`open_store`].
pub fn open(settings: &StoreSettings) -> Result<Store, Error> {
    match settings {
        StoreSettings::Memory => Ok(Store::memory()),
        StoreSettings::File { path } => open_store(path),
    }
}

/// Opens the registry's file, with an error that names it.
///
/// # Errors
/// If it cannot be opened, is no store, or another process has it.
pub fn open_store(path: &Path) -> Result<Store, Error> {
    Store::open(path).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        match error {
            StoreError::InUse => Error::in_use(message),
            _ => Error::new(message),
        }
    })
}

/// Compiles the function, or finds it compiled, and gives it what the configuration says.
///
/// # Errors
/// If trust, an identity or the component cannot be used; the error says which.
pub fn load(
    config_file: &Path,
    component: Option<&Path>,
    config: &Config,
    store: &Store,
    status: &Status,
) -> Result<Engine, Error> {
    let identities = identities(config)?;
    load_with(config_file, component, config, identities, store, status)
}

/// The client certificates of a configuration, by their names. Each is for what the credentials want
/// of it.
fn identities(config: &Config) -> Result<Vec<(&str, Identity)>, TrustError> {
    let files = config.tls.identities.iter();
    let read = files.map(|(name, files)| {
        let identity = Identity::read(files);
        let identity = identity.map_err(|found| TrustError::of_identity(name, &found))?;
        check_uses(config, name, &identity)?;
        Ok((name.as_str(), identity))
    });
    read.collect()
}

/// A certificate that is not for what a credential says would have every push refused that goes by
/// it, so that is an error now.
fn check_uses(config: &Config, name: &str, identity: &Identity) -> Result<(), TrustError> {
    let uses = config.certificate_uses().iter();
    for Use { place, wanted, .. } in uses.filter(|it| it.identity == name) {
        for found in identity.coverage(wanted) {
            let Finding {
                level,
                what,
                advice,
            } = &found;
            match level {
                Level::Error => return Err(TrustError::of_credential(place, name, &found)),
                Level::Warning => warn!(%place, identity = name, what, advice, "certificate"),
                Level::Note => {}
            }
        }
    }
    Ok(())
}

fn load_with(
    config_file: &Path,
    component: Option<&Path>,
    config: &Config,
    identities: Vec<(&str, Identity)>,
    store: &Store,
    status: &Status,
) -> Result<Engine, Error> {
    let trust = config
        .tls
        .trust
        .iter()
        .map(|(name, path)| (name.as_str(), path.as_path()));
    let tls = Provider::new(trust, identities)?;
    let outgoing = config.outgoing_hosts();
    let grants = Grants {
        config_file: config_file.to_owned(),
        store: store.clone(),
        outgoing: outgoing.map(|hosts| HttpClient::new(hosts, config.addresses(), tls.clone())),
        tls,
        allowed_hosts: config.allowed_hosts(),
        addresses: config.addresses(),
        variable: config.function_variable()?.map(str::to_owned),
        operator: Arc::clone(status.operator()),
        instances: config.host.instance_count(),
        memory_bytes: config.host.memory_mib.saturating_mul(1024 * 1024),
        stall_timeout: config.host.stall_timeout(),
    };
    let cache = cache_folder(&config.host);
    let engine = Engine::load(component, cache.as_deref(), grants)?;
    // The runtime has written there with the rights that the umask leaves.
    if let Some(Err(refusal)) = cache.as_deref().map(compile_cache::close_all) {
        warn!("compiled code may be read or changed by others: {refusal}");
    }
    Ok(engine)
}

/// The folder for compiled code; a service without one starts more slowly.
fn cache_folder(settings: &HostSettings) -> Option<PathBuf> {
    let folder = settings.cache.clone().or_else(default_cache)?;
    match compile_cache::prepare(&folder) {
        Ok(folder) => Some(folder),
        Err(refusal) => {
            warn!("compiled code is not kept between starts: {refusal}");
            None
        }
    }
}

/// The user's cache folder, as the XDG base directory specification has it.
fn default_cache() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("dunlin"))
}

/// What a process that SIGINT has ended exits with, as shells have it.
const INTERRUPTED: i32 = 130;

/// Resolves at SIGINT or SIGTERM, also at one from before it is waited for. A SIGINT after that ends the process at once, as somebody at a terminal
/// means it: the store survives that like any other crash. SIGHUP is a line in the log.
///
/// # Errors
/// If the signals cannot be listened to.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    hangup::ignore(hangup::NO_RELOAD)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, stopped) = oneshot::channel();
    // Whoever waits for this may still be starting.
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let _ = stop.send(());
        interrupt.recv().await;
        std::process::exit(INTERRUPTED);
    });
    Ok(async move {
        // It ends by this alone.
        let _ = stopped.await;
    })
}
