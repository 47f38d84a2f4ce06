//! The compiled function and what one instance of it is given.
//!
//! An [`Engine`] is compiled once (and found compiled at the next start); [`Engine::instance`]
//! makes a store with its own memory, sockets and clocks, bounded in memory and in how long it may
//! run without yielding.

mod command;

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dunlin::api::aside;
use ring::rand::{SecureRandom as _, SystemRandom};
use tracing::warn;
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::error::Context as _;
use wasmtime::{
    Cache, CacheConfig, Config as EngineConfig, Engine as WasmEngine, InstanceAllocationStrategy,
    PoolingAllocationConfig, Store as WasmStore, StoreLimits, StoreLimitsBuilder, UpdateDeadline,
};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::p3::bindings::CommandPre;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::Proxy;
use wasmtime_wasi_http::p3::bindings::ServiceIndices;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_tls::{WasiTlsCtx, WasiTlsCtxBuilder, WasiTlsCtxView, WasiTlsView};

use crate::operator::Operator;
pub use crate::stall_watch::StallWatch;
use crate::stall_watch::{Running, TICK};
use crate::store::Store;
use crate::wasi::http_client::{Hooks, HttpClient};
use crate::wasi::sockets::{self, Addresses, AllowedHost, Network, NetworkHost, NetworkView};
use crate::wasi::stderr::Stderr;
use crate::wasi::store::{self, StoreHost};
use crate::wasi::tls::Provider;
use bindings::TasksPre;
pub use command::{MAX_OUTPUT, Words};

/// The component that this host was built with.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/dunlin.wasm"));

/// The bytes of the component that this host was built with.
pub fn embedded() -> &'static [u8] {
    EMBEDDED
}

/// Bindings of how requests are handed in many at a time.
mod feeding {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package dunlin:host-feed;
            world feeding {
                export dunlin:push/feed@0.1.0;
            }
        ",
    });
}

pub(crate) use feeding::exports::dunlin::push::feed;

/// Bindings of what the schedule calls.
mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package dunlin:host-scheduled;
            world tasks {
                export dunlin:push/scheduled@0.1.0;
            }
        ",
    });
}

/// Everything an instance is made with.
#[derive(Clone, Debug)]
pub struct Grants {
    /// The configuration file; its folder is what the function can read.
    pub config_file: PathBuf,
    /// The registry.
    pub store: Store,
    /// Trust by server name.
    pub tls: Provider,
    /// Where it may connect.
    pub allowed_hosts: Arc<[AllowedHost]>,
    /// Addresses of names that are not looked up.
    pub addresses: Arc<Addresses>,
    /// Its HTTP client, where the configuration has a use for one.
    pub http_client: Option<HttpClient>,
    /// The environment variable that it may read: the one with the password of its proxy.
    pub variable: Option<String>,
    /// What it tells its operator goes there; that of a command goes to our standard error.
    pub operator: Arc<Operator>,
    /// Instances that serve at once; those of tasks and of repeated requests come on top.
    pub instances: usize,
    /// Linear memory, in bytes.
    pub memory_bytes: usize,
    /// Longest run without yielding.
    pub stall_timeout: Duration,
}

/// The function, compiled and linked, ready to be instantiated.
pub struct Engine {
    engine: WasmEngine,
    pre: InstancePre<Instance>,
    service: ServiceIndices,
    /// Absent from a component that takes requests one by one.
    feed: Option<feeding::FeedingIndices>,
    /// Absent from a component that has no tasks.
    tasks: Option<TasksPre<Instance>>,
    /// Absent from a component that has no commands.
    command: Option<CommandPre<Instance>>,
    grants: Grants,
    /// Tells this process from others that have had the store.
    boot: String,
    ticking: Arc<AtomicBool>,
}

/// The ways into an instance.
pub struct Entries {
    /// One request at a time.
    pub(crate) proxy: Proxy,
    feed: Option<feeding::Feeding>,
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").finish_non_exhaustive()
    }
}

impl Entries {
    /// Many at a time, where the component has it.
    pub(crate) fn feed(&self) -> Option<&feed::Guest> {
        self.feed.as_ref().map(feeding::Feeding::dunlin_push_feed)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Compiles `component` (the embedded one if `None`), or finds it in the cache folder, and
    /// links it.
    ///
    /// # Errors
    /// If it is not a component, imports something this host does not supply, or does not export
    /// `wasi:http/handler@0.3.0`.
    pub fn load(
        component: Option<&Path>,
        cache: Option<&Path>,
        grants: Grants,
    ) -> wasmtime::Result<Self> {
        let engine = WasmEngine::new(&settings(cache, &grants))?;
        let component = match component {
            Some(path) => Component::from_file(&engine, path)
                .with_context(|| format!("the component {}", path.display()))?,
            None => Component::from_binary(&engine, EMBEDDED)?,
        };
        Self::link(engine, &component, grants)
    }

    fn link(engine: WasmEngine, component: &Component, grants: Grants) -> wasmtime::Result<Self> {
        let pre = linker(&engine)?.instantiate_pre(component)?;
        let tasks = TasksPre::new(pre.clone()).ok();
        let command = CommandPre::new(pre.clone()).ok();
        let service = ServiceIndices::new(&pre)?;
        let feed = feeding::FeedingIndices::new(&pre).ok();
        let ticking = Arc::new(AtomicBool::new(true));
        tick(engine.clone(), Arc::clone(&ticking));
        Ok(Self {
            engine,
            pre,
            service,
            feed,
            tasks,
            command,
            grants,
            boot: boot()?,
            ticking,
        })
    }

    /// A fresh instance that answers requests.
    ///
    /// # Errors
    /// If there is no memory for it, or its start-up code traps.
    pub async fn instance(&self) -> wasmtime::Result<(WasmStore<Instance>, Entries)> {
        let mut store = self.store(None)?;
        let instance = self.pre.instantiate_async(&mut store).await?;
        let proxy = Proxy::P3(self.service.load(&mut store, &instance)?);
        let feed = self.feed.as_ref();
        let feed = feed
            .map(|feed| feed.load(&mut store, &instance))
            .transpose()?;
        Ok((store, Entries { proxy, feed }))
    }

    /// Runs a task in an instance of its own, which ends with it. The inner error is the function's
    /// own word.
    ///
    /// # Errors
    /// If there is no instance, the function traps, or it has no tasks.
    pub async fn run_task(&self, name: &str) -> wasmtime::Result<Result<String, String>> {
        let tasks = self.tasks.as_ref();
        let tasks = tasks.ok_or_else(|| wasmtime::format_err!("the component has no tasks"))?;
        let mut store = self.store(None)?;
        let watch = Arc::clone(&store.data().watch);
        let instance = tasks.instantiate_async(&mut store).await?;
        let run = store.run_concurrent(async |accessor| {
            let scheduled = instance.dunlin_push_scheduled();
            let run = scheduled.call_run(accessor, name.to_owned());
            noting_turns(&watch, run).await
        });
        run.await?
    }

    /// What the function tells its operator, and the host of its own.
    pub(crate) fn operator(&self) -> &Arc<Operator> {
        &self.grants.operator
    }

    fn store(
        &self,
        words: Option<(&Words, &MemoryOutputPipe)>,
    ) -> wasmtime::Result<WasmStore<Instance>> {
        let watch = Arc::new(StallWatch::default());
        let instance = Instance::new(&self.grants, &self.boot, &watch, words)?;
        let mut store = WasmStore::new(&self.engine, instance);
        store.limiter(|instance| &mut instance.limits);
        store.set_epoch_deadline(1);
        let limit = self.grants.stall_timeout;
        let mut running = Running::default();
        store.epoch_deadline_callback(move |context| {
            if running.see(context.data().watch.look()) > limit {
                return Err(wasmtime::format_err!(
                    "ran longer than {limit:?} without yielding"
                ));
            }
            Ok(UpdateDeadline::Continue(1))
        });
        watch.turn();
        Ok(store)
    }
}

/// Differs with every start.
fn boot() -> wasmtime::Result<String> {
    let mut bytes = [0; 8];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| wasmtime::format_err!("the system has no randomness"))?;
    Ok(hex::encode(bytes))
}

/// Runs `work` as part of an instance's event loop, taking note of every turn.
pub(crate) async fn noting_turns<T>(watch: &StallWatch, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        watch.turn();
        work.as_mut().poll(cx)
    })
    .await
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.ticking.store(false, Ordering::Relaxed);
    }
}

/// Instances of tasks, of repeated requests, and those that are made while their predecessors are
/// still being taken down.
const SPARE_INSTANCES: usize = 32;

/// Core modules of a component: its own, and those that tie it to its imports.
const MODULES: usize = 8;

/// Places for instances are made once and used again, which halves the time to make one.
fn pool(grants: &Grants) -> PoolingAllocationConfig {
    let count = |each: usize| {
        let count = (grants.instances + SPARE_INSTANCES).saturating_mul(each);
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count(1))
        .total_core_instances(count(MODULES))
        .total_memories(count(1))
        .total_tables(count(MODULES))
        .total_stacks(count(4))
        .max_memory_size(grants.memory_bytes);
    pool
}

/// What the function is compiled with and run by.
fn settings(cache: Option<&Path>, grants: &Grants) -> EngineConfig {
    let mut config = EngineConfig::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(grants)));
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    if let Some(folder) = cache {
        let mut settings = CacheConfig::new();
        settings.with_directory(folder);
        match Cache::new(settings) {
            Ok(cache) => {
                config.cache(Some(cache));
            }
            Err(error) => warn!("compiled code is not kept between starts: {error:#}"),
        }
    }
    config
}

/// A thread that moves the engine's epoch on, which is what makes a running function look at its
/// deadline.
fn tick(engine: WasmEngine, ticking: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        while ticking.load(Ordering::Relaxed) {
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    });
}

fn linker(engine: &WasmEngine) -> wasmtime::Result<Linker<Instance>> {
    let mut linker = Linker::new(engine);
    // 0.2 is what the Rust standard library inside the component imports.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::cli::add_to_linker(&mut linker)?;
    wasmtime_wasi::p3::clocks::add_to_linker(&mut linker)?;
    wasmtime_wasi::p3::filesystem::add_to_linker(&mut linker)?;
    wasmtime_wasi::p3::random::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_tls::p3::add_to_linker(&mut linker)?;
    sockets::add_to_linker(&mut linker)?;
    store::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// The data of one instance.
pub struct Instance {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    tls: WasiTlsCtx,
    network: Network,
    store: Store,
    limits: StoreLimits,
    /// Shared with whoever drives the instance.
    pub watch: Arc<StallWatch>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

impl Instance {
    fn new(
        grants: &Grants,
        boot: &str,
        watch: &Arc<StallWatch>,
        words: Option<(&Words, &MemoryOutputPipe)>,
    ) -> wasmtime::Result<Self> {
        let mut wasi = WasiCtx::builder();
        match words {
            Some((Words { arguments, input }, output)) => {
                wasi.stdout(output.clone()).stderr(Stderr);
                wasi.arg("dunlin").args(arguments);
                wasi.stdin(MemoryInputPipe::new(input.clone()));
            }
            None => {
                wasi.stderr(grants.operator.intake());
                wasi.env(aside::VARIABLE, "1");
            }
        }
        // A bare file name has an empty parent, which is no folder to open.
        let parent = grants
            .config_file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let folder = parent.unwrap_or(Path::new("."));
        wasi.preopened_dir(folder, "/", FsPerms::ReadOnly)?;
        if let Some(name) = grants.config_file.file_name() {
            wasi.env("DUNLIN_CONFIG", format!("/{}", name.to_string_lossy()));
        }
        wasi.env("DUNLIN_BOOT", boot);
        // Every store there is belongs to this process alone.
        wasi.env("DUNLIN_STORE", "exclusive");
        // `http_client` waits for the server's SETTINGS, and there is one connection for all
        // instances.
        wasi.env("DUNLIN_HTTP_CLIENT", "obeys-stream-limits");
        if let Some(name) = &grants.variable
            && let Ok(value) = std::env::var(name)
        {
            wasi.env(name, value);
        }
        Ok(Self {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: Hooks(grants.http_client.clone()),
            tls: WasiTlsCtxBuilder::new()
                .provider(Box::new(grants.tls.clone()))
                .build(),
            network: Network::new(
                Arc::clone(&grants.allowed_hosts),
                Arc::clone(&grants.addresses),
            ),
            store: grants.store.clone(),
            limits: StoreLimitsBuilder::new()
                .memory_size(grants.memory_bytes)
                .build(),
            watch: Arc::clone(watch),
        })
    }
}

impl WasiView for Instance {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Instance {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

impl WasiTlsView for Instance {
    fn tls(&mut self) -> WasiTlsCtxView<'_> {
        WasiTlsCtxView {
            ctx: &mut self.tls,
            table: &mut self.table,
        }
    }
}

impl NetworkHost for Instance {
    fn network(&mut self) -> NetworkView<'_> {
        NetworkView {
            table: &mut self.table,
            network: &mut self.network,
        }
    }
}

impl StoreHost for Instance {
    fn store(&mut self) -> &Store {
        &self.store
    }
}
