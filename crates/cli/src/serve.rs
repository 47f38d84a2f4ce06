//! `dunlin serve`: a configuration file becomes a running service.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use dunlin_certificates::{Finding, Level};
use dunlin_host::config::StoreSettings;
use dunlin_host::engine::{Engine, Grants};
use dunlin_host::host::{Host, HostParts, load as load_component};
use dunlin_host::metrics::Status;
use dunlin_host::store::{Store, StoreError};
use dunlin_host::wasi::http_client::HttpClient;
use dunlin_host::wasi::tls::{Identity, Provider, TrustError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing::warn;

use crate::Error;
use crate::certificate_expiry::ExpiryWatch;
use crate::certificate_uses::{self, Use};
use crate::config::Config;
use crate::hangup;

/// A service that is listening but not yet answering; [`Server::run`] does that.
#[derive(Debug)]
pub struct Server {
    host: Host,
    expiry: ExpiryWatch,
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
        let identities = identities(&config)?;
        let status = Arc::new(Status::default());
        let certificates = identities
            .iter()
            .map(|(name, identity)| (name.to_string(), identity.info().clone()));
        let expiry = ExpiryWatch::start(certificates.collect(), &status);
        let engine = load_with(config_file, component, &config, identities, &store, &status)?;
        let host = Host::start(HostParts {
            listener,
            engine,
            store,
            status,
            tasks: &config.tasks,
            keys: config.keys().cloned(),
            own_connections: config.own_connections(),
            settings: config.host,
        })?;
        Ok(Self { host, expiry })
    }

    /// Where it listens; of interest when the port was 0.
    pub fn address(&self) -> SocketAddr {
        self.host.address()
    }

    /// Serves until `stop` resolves, finishes what is in flight and closes the store.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        self.host.run(Box::pin(stop)).await;
        drop(self.expiry);
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

/// The client certificates of a configuration, by their names. Each is for what the credentials
/// want of it.
fn identities(config: &Config) -> Result<Vec<(&str, Identity)>, Error> {
    let uses = certificate_uses::by_credentials(&config.settings);
    let files = config.tls.identities.iter();
    let read = files.map(|(name, files)| {
        let identity = Identity::read(files);
        let identity = identity.map_err(|found| TrustError::of_identity(name, &found))?;
        check_uses(&uses, name, &identity)?;
        Ok((name.as_str(), identity))
    });
    read.collect()
}

/// A certificate that is not for what a credential says would have every push refused that goes by
/// it, so that is an error now.
fn check_uses(uses: &[Use], name: &str, identity: &Identity) -> Result<(), Error> {
    for Use { place, wanted, .. } in uses.iter().filter(|it| it.identity == name) {
        for found in identity.coverage(wanted) {
            let Finding {
                level,
                what,
                advice,
            } = &found;
            match level {
                Level::Error => {
                    let why = format!("{place}, tls.identities.{name}: {what}. {advice}");
                    return Err(Error::new(why));
                }
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
    let http_client = config.http_client_hosts();
    let grants = Grants {
        config_file: config_file.to_owned(),
        store: store.clone(),
        http_client: http_client
            .map(|hosts| HttpClient::new(&hosts, config.addresses(), tls.clone())),
        tls,
        allowed_hosts: config.allowed_hosts(),
        addresses: config.addresses(),
        variable: config.function_variable()?.map(str::to_owned),
        operator: Arc::clone(status.operator()),
        instances: config.host.instance_count(),
        memory_bytes: config.host.memory_mib.saturating_mul(1024 * 1024),
        stall_timeout: config.host.stall_timeout(),
    };
    Ok(load_component(component, &config.host, grants)?)
}

/// What a process that SIGINT has ended exits with, as shells have it.
pub(crate) const INTERRUPTED: i32 = 130;

/// Resolves at SIGINT or SIGTERM, also at one from before it is waited for. A SIGINT after that
/// ends the process at once, as somebody at a terminal means it: the store survives that like any
/// other crash. SIGHUP is a line in the log.
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
