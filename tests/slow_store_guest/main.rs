//! The whole service on a store each call of which takes a fifth of a second, or hangs
//! (`guests/slow-store`): nothing in an instance stands still meanwhile.
//!
//! One instance does everything, so whatever holds it up holds up every call of these tests.
#![cfg(test)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dunlin_cli::config::Config;
use dunlin_cli::serve::Server;
use dunlin_host::http_server;
use dunlin_host::store::Store;
use dunlin_tests::client::{Client, Reply};
use dunlin_tests::stack::{API_KEY, Options, Platform, Stack, TOPIC, push_body, token};
use futures_util::future::{join, join_all};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Of a call of the store.
const CALL: Duration = Duration::from_millis(200);

/// Longest run without yielding.
const STALL_TIMEOUT_MS: u64 = 500;

const REQUEST_TIMEOUT_MS: u64 = 10_000;

const PAYLOAD: &str = r#"{"aps":{"badge":1}}"#;

/// The function, joined to the slow store.
fn component() -> PathBuf {
    let store = std::fs::read(env!("GUEST_SLOW_STORE")).unwrap();
    let function = dunlin_host::engine::embedded();
    let joined = dunlin_plugs::join(function, &[("slow-store", &store)]).unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("function-on-slow-store.wasm");
    // Tests run side by side, and write the same.
    let beside = path.with_extension(std::process::id().to_string());
    std::fs::write(&beside, joined).unwrap();
    std::fs::rename(&beside, &path).unwrap();
    path
}

struct Service {
    stack: Stack,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    _folder: TempDir,
}

impl Service {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            platform: Platform::Host,
            transport: "sockets".to_owned(),
            ..Options::default()
        };
        let stack = Stack::start(folder.path(), options).await;
        let file = stack.config_file.clone();
        let server = tokio::task::spawn_blocking(move || {
            let mut config = Config::load(&file).unwrap();
            config.host.instances = 1;
            config.host.stall_timeout_ms = STALL_TIMEOUT_MS;
            config.host.request_timeout_ms = REQUEST_TIMEOUT_MS;
            config.host.cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"));
            let listener = http_server::bind(config.host.listen.literal().unwrap()).unwrap();
            // The component has another.
            let store = Store::memory();
            Server::start_on(listener, &file, config, store, Some(&component())).unwrap()
        });
        let server = server.await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let service = Self {
            stack,
            address,
            stop,
            running,
            _folder: folder,
        };
        // The provider token is in hand after this.
        service.push(0).await;
        service
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        let client = Client::new(self.address).key(API_KEY);
        client.call(method, path, body).await
    }

    /// A push that needs no store, which APNs takes.
    async fn push(&self, n: u32) {
        let body = push_body(&token(n), PAYLOAD);
        let reply = self.call("POST", "/v1/push", &body).await;
        assert_eq!(reply.json()["accepted"], 1, "{}", reply.text());
    }

    async fn register(&self, n: u32, alias: &str) -> Reply {
        let body = format!(r#"{{"topic":"{TOPIC}","alias":"{alias}"}}"#);
        let path = format!("/v1/devices/{}", token(n));
        self.call("PUT", &path, &body).await
    }

    async fn push_once(&self, n: u32) -> Reply {
        let body = push_body(&token(n), PAYLOAD);
        let client = Client::new(self.address).key(API_KEY);
        let client = client.header("idempotency-key", &format!("key-{n}"));
        client.call("POST", "/v1/push", &body).await
    }

    /// Over how many connections APNs was reached. An instance has one at this load, and one that
    /// takes its place has another.
    fn connections(&self) -> usize {
        let journal = self.stack.simulator.journal();
        let connections = journal.iter().map(|push| push.connection);
        connections.collect::<std::collections::BTreeSet<_>>().len()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
        self.stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_wait_for_a_slow_store_together_and_pushes_do_not_wait_at_all() {
    const EACH: u32 = 30;
    // Fewer: devices that come into an index of an app at the same time do so one after the other.
    const REGISTERED: u32 = 8;
    let service = Service::start().await;
    let began = Instant::now();
    let registrations = join_all((1..=REGISTERED).map(async |n| {
        let reply = service.register(n, &format!("user {n}")).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
    }));
    let once = join_all((1..=EACH).map(async |n| {
        let reply = service.push_once(n).await;
        assert_eq!(reply.json()["accepted"], 1, "{}", reply.text());
    }));
    let pushes = async {
        for n in 1..=EACH {
            service.push(n).await;
        }
        began.elapsed()
    };
    let (_, pushed_after) = join(join(registrations, once), pushes).await;
    let took = began.elapsed();
    // At least two calls for each, a read and a write.
    let in_a_row = CALL * 2 * (EACH + REGISTERED);
    println!("{took:?} in the place of {in_a_row:?} and more; pushes {pushed_after:?}");
    assert!(took >= CALL * 2, "the store was not slow: {took:?}");
    assert!(took < in_a_row / 2, "they waited for each other: {took:?}");
    assert!(pushed_after < in_a_row / 2, "{pushed_after:?}");
    for n in 1..=3 {
        let path = format!("/v1/devices/{}?topic={TOPIC}", token(n));
        let known = service.call("GET", &path, "").await.json();
        assert_eq!(known["alias"], format!("user {n}"), "{known}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_holds_up_its_own_call_alone_and_is_no_stall() {
    let service = Service::start().await;
    let before = service.connections();
    let hanging = service.register(1, "it hangs");
    let others = async {
        let began = Instant::now();
        let mut n = 1;
        // Several times as long as a function may run without yielding.
        while began.elapsed() < Duration::from_millis(4 * STALL_TIMEOUT_MS) {
            n += 1;
            service.push(n).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let reply = service.register(n, "somebody else").await;
        assert_eq!(reply.status, 201, "{}", reply.text());
    };
    let (hanging, ()) = join(hanging, others).await;
    assert_eq!(hanging.status, 504, "{}", hanging.text());
    service.push(1_000).await;
    assert_eq!(service.connections(), before, "the instance was stopped");
    service.stop().await;
}
