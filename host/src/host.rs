//! A component as a running service: HTTP in front of its instances, a schedule beside them, and a
//! store that is closed last.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dunlin::config::Settings;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::Error;
use crate::clock;
use crate::compile_cache;
use crate::config::{HostSettings, TaskSettings};
use crate::descriptors;
use crate::dispatch::{Dispatcher, Limits};
use crate::engine::{Engine, Grants};
use crate::http_server::{self, Limits as ListenerLimits};
use crate::metrics::Status;
use crate::schedule::Schedule;
use crate::store::Store;

/// What a service is made of.
#[derive(Debug)]
pub struct HostParts<'a> {
    /// Where it listens.
    pub listener: TcpListener,
    /// The component.
    pub engine: Engine,
    /// The one that the component has; it is closed with the service.
    pub store: Store,
    /// What is counted so far.
    pub status: Arc<Status>,
    /// `[host]`
    pub settings: HostSettings,
    /// What the schedule calls.
    pub tasks: &'a [TaskSettings],
    /// Who has a key for what; `None` where the component has no calls that need one.
    pub keys: Option<Settings>,
    /// Most connections that are opened for the component.
    pub own_connections: u64,
}

/// A service that is listening but not yet answering; [`Host::run`] does that.
#[derive(Debug)]
pub struct Host {
    listener: TcpListener,
    address: SocketAddr,
    dispatcher: Arc<Dispatcher>,
    store: Store,
    status: Arc<Status>,
    schedule: Schedule,
    settings: HostSettings,
    limits: ListenerLimits,
    keys: Option<Settings>,
}

impl Host {
    /// Starts the instances and the schedule, on the current runtime.
    ///
    /// # Errors
    /// If the listener has no address, or there are too few file descriptors.
    pub fn start(parts: HostParts<'_>) -> Result<Self, Error> {
        let HostParts {
            listener,
            engine,
            store,
            status,
            settings,
            tasks,
            keys,
            own_connections,
        } = parts;
        let address = listener.local_addr()?;
        let engine = Arc::new(engine);
        let schedule = Schedule::start(tasks, &engine, &store, &status);
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
    ///
    /// Boxed, so that the server and the runtime are compiled with this library and not again with
    /// each program that calls it.
    pub fn run<'a>(
        self,
        stop: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(self.serve(stop))
    }

    async fn serve(self, stop: Pin<Box<dyn Future<Output = ()> + Send + '_>>) {
        let patience = self.settings.shutdown_timeout();
        info!(address = %self.address, "listening");
        let dispatcher = Arc::clone(&self.dispatcher);
        let mut server = http_server::Server::new(dispatcher, self.status, self.limits);
        if let Some(keys) = self.keys {
            server = server.with_keys(keys);
        }
        server.serve(self.listener, stop, patience).await;
        // A task that is cut off goes on at the next start.
        drop(self.schedule);
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

/// Compiles a component (the embedded one if `None`), or finds it compiled in the folder that the
/// settings have for that.
///
/// # Errors
/// If the component cannot be used; the error says why.
pub fn load(
    component: Option<&Path>,
    settings: &HostSettings,
    grants: Grants,
) -> Result<Engine, Error> {
    let cache = cache_folder(settings);
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
