//! `wasmtime serve` in this process: the same libraries, wired as the command of that version wires
//! them (`wasmtime-cli` 48, `src/commands/serve.rs` and `src/common.rs`).
//!
//! ```text
//! wasmtime serve -S cli,inherit-network,allow-ip-name-lookup[,keyvalue] --dir <folder>::/
//!     --env DUNLIN_CONFIG=/config/dunlin.toml <component>
//! ```
//!
//! As there, an instance takes 128 requests, 16 at a time, and is dropped where it stands.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::runtime::Runtime;
use tokio::time::Sleep;
use wasmtime::component::{Component, GuestTaskId, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store, StoreContextMut};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState,
    WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};
use wasmtime_wasi_keyvalue::{WasiKeyValue, WasiKeyValueCtx};

/// The command's defaults for WASI 0.3.
const REQUESTS_OF_AN_INSTANCE: usize = 128;
const REQUESTS_AT_A_TIME: usize = 16;
const IDLE_FOR: Duration = Duration::from_secs(1);

/// A server that runs until it is stopped.
pub struct Serve {
    /// Where it listens.
    pub address: SocketAddr,
    /// Instances made so far.
    instances: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

/// Stops everything where it stands, as a signal does.
impl Drop for Serve {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What an instance is given.
struct Host {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoOutgoingHttp,
    keyvalue: WasiKeyValueCtx,
}

impl Host {
    fn new(folder: &Path, arguments: &[&str]) -> Self {
        let mut wasi = WasiCtx::builder();
        // As the command does without -W timeout.
        wasi.allow_blocking_current_thread(true);
        wasi.inherit_stderr().args(arguments);
        wasi.inherit_network().allow_tcp(true).allow_udp(true);
        wasi.allow_ip_name_lookup(true);
        wasi.preopened_dir(folder, "/", FsPerms::ReadWrite).unwrap();
        wasi.env("DUNLIN_CONFIG", "/config/dunlin.toml");
        Self {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: NoOutgoingHttp,
            keyvalue: WasiKeyValueCtx::builder().build(),
        }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

/// The command has outgoing HTTP of version 1.1, which APNs does not speak.
struct NoOutgoingHttp;

type OutgoingBody = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, OutgoingBody), Error>;

impl WasiHttpHooks for NoOutgoingHttp {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: OutgoingBody,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// Compiles, or finds it compiled beside the component.
pub fn compile(component: &Path) -> (Engine, Component) {
    let mut cache = CacheConfig::new();
    cache.with_directory(component.parent().unwrap().join("compiled"));
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.cache(Some(Cache::new(cache).unwrap()));
    let engine = Engine::new(&config).unwrap();
    let component = Component::from_file(&engine, component).unwrap();
    (engine, component)
}

/// What `-S cli`, or with `keyvalue` also that, lets a component import.
fn linker(engine: &Engine, keyvalue: bool) -> Linker<Host> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    wasmtime_wasi::p3::add_to_linker(&mut linker).unwrap();
    wasmtime_wasi_http::p3::add_to_linker(&mut linker).unwrap();
    if keyvalue {
        wasmtime_wasi_keyvalue::add_to_linker(&mut linker, |host: &mut Host| {
            WasiKeyValue::new(&host.keyvalue, &mut host.table)
        })
        .unwrap();
    }
    linker
}

impl Serve {
    /// Serves `component` on a free port; `folder` is what it sees as `/`.
    pub fn start(component: &Path, folder: &Path, keyvalue: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let (engine, component) = compile(component);
        let pre = linker(&engine, keyvalue)
            .instantiate_pre(&component)
            .unwrap_or_else(|error| panic!("wasmtime does not offer what it imports: {error:?}"));
        let instances = Arc::new(AtomicUsize::new(0));
        let handler = ProxyHandler::new(State {
            engine,
            service: ProxyPre::P3(ServicePre::new(pre).unwrap()),
            folder: folder.to_owned(),
            instances: Arc::clone(&instances),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(answer(stream, handler.clone()));
            }
        });
        Self {
            address,
            instances,
            runtime: Some(runtime),
        }
    }

    /// How many instances were made so far.
    pub fn instances(&self) -> usize {
        self.instances.load(Ordering::Relaxed)
    }
}

async fn answer(stream: tokio::net::TcpStream, handler: ProxyHandler<State>) {
    let service = hyper::service::service_fn(move |request: http::Request<_>| {
        let handler = handler.clone();
        async move {
            let request =
                request.map(|body: hyper::body::Incoming| body.map_err(Error::from).boxed_unsync());
            Ok::<_, Infallible>(match handler.handle((), request).await {
                Ok(response) => response,
                Err(error) => {
                    eprintln!("wasmtime serve: {error:?}");
                    let body =
                        Full::new(Bytes::from_static(b"500")).map_err(|never| match never {});
                    let mut response = http::Response::new(body.boxed_unsync());
                    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                    response
                }
            })
        }
    });
    // A client that has gone wants no answer.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

struct State {
    engine: Engine,
    service: ProxyPre<Host>,
    folder: PathBuf,
    instances: Arc<AtomicUsize>,
}

impl HandlerState for State {
    type StoreData = Host;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Host, Expiration, Worker>> {
        self.instances.fetch_add(1, Ordering::Relaxed);
        let mut store = Store::new(&self.engine, Host::new(&self.folder, &[]));
        let proxy = self.service.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy,
            view: WasiHttpView::http,
            expiration: Expiration(Box::pin(tokio::time::sleep(Duration::from_hours(1)))),
            state: Worker,
        })
    }
}

/// An idle instance goes; one that still does something stays.
struct Expiration(Pin<Box<Sleep>>);

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        if !matches!(status, WorkerStatus::Idle) {
            return Poll::Pending;
        }
        self.0.as_mut().reset((since + IDLE_FOR).into());
        self.0.as_mut().poll(cx)
    }
}

struct Worker;

impl WorkerState for Worker {
    type StoreData = Host;
    type RequestData = ();

    fn should_accept_request(&self, at_a_time: usize, so_far: usize) -> ShouldAccept {
        if so_far >= REQUESTS_OF_AN_INSTANCE {
            ShouldAccept::Never
        } else if at_a_time >= REQUESTS_AT_A_TIME {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Host>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        Box::pin(std::future::pending())
    }

    fn drop(&self, store: Store<Host>, result: Result<(), wasmtime::Error>) {
        if let Err(error) = result {
            eprintln!("wasmtime serve: worker failed: {error}");
        }
        drop(store);
    }
}

/// `wasmtime run`, with the same options and `-S http`: whether the command ended well.
pub async fn run(component: &Path, folder: &Path, arguments: &[&str]) -> bool {
    let (engine, component) = compile(component);
    let mut store = Store::new(&engine, Host::new(folder, arguments));
    let linker = linker(&engine, false);
    let command =
        wasmtime_wasi::p3::bindings::Command::instantiate_async(&mut store, &component, &linker);
    let command = command.await.unwrap();
    let ended = store
        .run_concurrent(async |accessor| command.wasi_cli_run().call_run(accessor).await)
        .await;
    ended.unwrap().unwrap().is_ok()
}
