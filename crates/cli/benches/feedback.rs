//! Measures the feedback poll: a million tuples for a registry of a million devices, every one of
//! which is removed; and how fast a component decodes tuples.
//!
//! The service is `dunlin feedback --once` as it is shipped, with a fresh instance on a store that
//! was filled beforehand. The simulator runs beside it and shares the cores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measuring program may stop at the first surprise"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dunlin::notification::{DeviceToken, Topic};
use dunlin::registry::{self, Registration, Swap, Swapped, Values};
use dunlin::time::UnixTime;
use dunlin_host::store::{self, Store, StoreError};
use dunlin_simulator::{Config, Simulator};
use dunlin_test_support::ready;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store as WasmStore};
use wasmtime_wasi::p2::bindings::Command as WasiCommand;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");
const TOPIC: &str = "com.example.app";
const DEVICES: u32 = 1_000_000;
const REGISTERED: u32 = 1_700_000_000;

fn main() {
    // `cargo test --benches` runs this with another argument; measuring is for `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("| what | figure |\n|---|---|");
    let rate = runtime.block_on(decoding()) / 1e6;
    println!("| tuples decoded in a component | {rate:.1} million a second |");
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    fill(folder.path());
    let seconds = began.elapsed().as_secs_f64();
    let rate = f64::from(DEVICES) / seconds;
    println!("| devices registered in one store, by one writer | {rate:.0} a second |");
    let size = fs::metadata(folder.path().join("store.redb"))
        .unwrap()
        .len()
        >> 20;
    println!("| file of {DEVICES} devices | {size} MiB |");
    runtime.block_on(poll(folder.path()));
}

/// The host's store, without the host.
struct Offline(Store);

impl Offline {
    /// Does it again until the disk has caught up.
    fn patiently<T>(&self, attempt: impl Fn() -> Result<T, StoreError>) -> T {
        loop {
            match attempt() {
                Ok(done) => return done,
                Err(StoreError::Behind) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Values for Offline {
    type Error = StoreError;

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.0.get_many(&keys)
    }

    async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, StoreError> {
        let swapped = swaps.into_iter().map(|swap| {
            let new = swap.new.unwrap_or_default();
            let expected = swap.expected.as_deref();
            let swapped =
                self.patiently(|| self.0.compare_and_swap(&swap.key, expected, new.clone()));
            Ok(match swapped {
                store::Swap::Done => Swapped::Done,
                store::Swap::Changed(value) => Swapped::Lost(value),
            })
        });
        swapped.collect()
    }
}

fn token(n: u32) -> [u8; 32] {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn fill(folder: &Path) {
    let store = Offline(Store::open(&folder.join("store.redb")).unwrap());
    let topic = Topic::parse(TOPIC).unwrap();
    let now = UnixTime::from_secs(REGISTERED.into());
    for n in 0..DEVICES {
        let registration = Registration {
            topic: topic.clone(),
            token: DeviceToken::from_bytes(&token(n)).unwrap(),
            environment: None,
            alias: None,
            tags: None,
            replaces: None,
        };
        ready(registry::register(&store, &registration, now)).unwrap();
    }
    store.0.close();
}

async fn poll(folder: &Path) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let config = configure(folder, &simulator);
    // The code is compiled once after an installation, and found compiled from then on.
    let (_, _, report) = poll_once(&config).await;
    assert_eq!(report["tuples"], 0, "{report}");
    for n in 0..DEVICES {
        simulator
            .add_feedback(TOPIC, &token(n), REGISTERED + 10)
            .unwrap();
    }
    let (took, peak, report) = poll_once(&config).await;
    assert_eq!(report["removed"], DEVICES, "{report}");
    println!("| poll of {DEVICES} tuples, all removed, process start to end | {took:.1} s |");
    println!("| memory of it, at most | {peak} MiB |");
    simulator.shutdown().await;
}

/// The seconds, the most memory in MiB, and the report.
async fn poll_once(config: &Path) -> (f64, u64, serde_json::Value) {
    let began = Instant::now();
    let mut child = Command::new(DUNLIN)
        .args(["feedback", "--once", "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let peak = watch(&mut child).await;
    let took = began.elapsed().as_secs_f64();
    let output = child.wait_with_output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    (took, peak, serde_json::from_str(&report).unwrap())
}

/// The most memory that a process takes until it ends, in MiB.
async fn watch(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) / 1024);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    peak
}

fn configure(folder: &Path, simulator: &Simulator) -> PathBuf {
    fs::create_dir(folder.join("config")).unwrap();
    let client = simulator.authority().issue_client(TOPIC).unwrap();
    let identity = format!("{}{}", client.certificate_pem, client.key_pem);
    fs::write(folder.join("client.pem"), identity).unwrap();
    fs::write(folder.join("ca.pem"), simulator.ca_pem()).unwrap();
    let port = simulator.feedback_addr().port();
    let text = format!(
        "[[binary]]\ntopic = \"{TOPIC}\"\nidentity = \"app\"\n\
         feedback = {{ host = \"localhost\", port = {port} }}\n\
         [store]\nkind = \"file\"\npath = \"../store.redb\"\n\
         [tls.trust]\nlocalhost = \"../ca.pem\"\n\
         [tls.identities.app]\ncertificate = \"../client.pem\"\n"
    );
    let file = folder.join("config/dunlin.toml");
    fs::write(&file, text).unwrap();
    file
}

struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Tuples a second.
async fn decoding() -> f64 {
    let engine = Engine::default();
    let component = Component::from_file(&engine, build_decoder()).unwrap();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    let output = MemoryOutputPipe::new(1_024);
    let wasi = WasiCtx::builder().stdout(output.clone()).build();
    let table = ResourceTable::new();
    let mut store = WasmStore::new(&engine, Guest { table, wasi });
    let command = WasiCommand::instantiate_async(&mut store, &component, &linker);
    let command = command.await.unwrap();
    command
        .wasi_cli_run()
        .call_run(&mut store)
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8(output.contents().to_vec()).unwrap();
    text.trim().parse().unwrap()
}

fn build_decoder() -> PathBuf {
    const TARGET: &str = "wasm32-wasip2";
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let target = root.join("target/component");
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args([
            "build",
            "--package",
            "dunlin-bench-decode",
            "--profile",
            "component",
        ])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target)
        .status()
        .unwrap();
    assert!(status.success(), "the decoder does not build");
    target.join(TARGET).join("component/decode.wasm")
}
