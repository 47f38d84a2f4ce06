//! Measures the service as it is shipped and prints the table of `benches/README.md`.
//!
//! Everything runs on this machine over loopback: a simulator that accepts all, `dunlin serve` in
//! front of it, and `h2load` (Debian `nghttp2-client`) as the client. All three share the cores, so
//! the figures say what the machine does, not what the service alone could.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measuring program may stop at the first surprise"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dunlin_cli::config::Config;
use dunlin_host::engine::{self, Engine, Grants};
use dunlin_host::store::Store;
use dunlin_host::wasi::tls::Provider;
use dunlin_test_support::running::{Running, simulate};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

/// Single pushes of the load test.
const REQUESTS: &str = "100000";

/// Connections of the load test.
const CLIENTS: &str = "32";

/// Of the key `bench`.
const API_KEY: &str = "bench";

fn main() {
    // `cargo test --benches` runs this with another argument; measuring is for `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let (_simulator, port) = simulate(DUNLIN, folder);
    let config = configure(folder, port, "sockets");
    println!("| what | figure |\n|---|---|");
    row(
        "size of the component",
        format!("{} bytes", engine::embedded().len()),
    );
    row("instantiation, mean of 2,000", instantiation(&config));
    let cold = first_push(&config);
    let (started, service, address) = started(&config);
    row(
        "process start to first accepted push, code not cached",
        millis(cold),
    );
    row(
        "process start to first accepted push, best of 10",
        millis(started),
    );
    row(
        "memory of the idle host",
        format!("{} MiB", resident_mib(&service.child)),
    );
    if let Some(figures) = load(folder, address) {
        figures
            .iter()
            .for_each(|(what, figure)| row(what, figure.clone()));
        row(
            "memory of the host after the load",
            format!("{} MiB", resident_mib(&service.child)),
        );
    } else {
        println!("\nThere is no h2load; install Debian's nghttp2-client for the load figures.");
        return;
    }
    // The store is one process's.
    drop(service);
    let (_, _service, address) = serve(&configure(folder, port, "wasi-http"));
    push(address);
    for (what, figure) in load(folder, address).into_iter().flatten() {
        row(&format!("{what}, wasi-http"), figure);
    }
}

fn row(what: &str, figure: String) {
    println!("| {what} | {figure} |");
}

fn millis(duration: Duration) -> String {
    format!("{:.0} ms", duration.as_secs_f64() * 1e3)
}

fn configure(folder: &Path, port: u16, transport: &str) -> PathBuf {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .unwrap()
        .serialize_pem();
    let config = folder.join(transport);
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("key.p8"), key).unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, API_KEY.as_bytes());
    let hash: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let cache = folder.join("cache");
    let text = format!(
        "[host]\nlisten = \"127.0.0.1:0\"\ncache = \"{}\"\n\
         [apns.production]\nhost = \"localhost\"\nport = {port}\n\
         [[credentials]]\nkey_id = \"BENCHKEY01\"\nteam_id = \"BENCHTEAM1\"\n\
         key_file = \"key.p8\"\n[[api_keys]]\nname = \"bench\"\nsha256 = \"{hash}\"\n\
         scopes = [\"send\"]\n[store]\nkind = \"file\"\npath = \"../store.redb\"\n[tls.trust]\n\
         localhost = \"../ca.pem\"\n[delivery]\ntransport = \"{transport}\"\n",
        cache.display(),
    );
    let file = config.join("dunlin.toml");
    fs::write(&file, text).unwrap();
    file
}

/// Mean time to make a fresh instance, its memory included.
fn instantiation(config_file: &Path) -> String {
    let config = Config::load(config_file).unwrap();
    let grants = Grants {
        operator: Arc::default(),
        config_file: config_file.to_owned(),
        store: Store::memory(),
        tls: Provider::new([], []).unwrap(),
        allowed_hosts: config.allowed_hosts(),
        http_client: None,
        addresses: config.addresses(),
        variable: config.function_variable().unwrap().map(str::to_owned),
        instances: 1,
        memory_bytes: 64 << 20,
        stall_timeout: Duration::from_secs(5),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = Arc::new(Engine::load(None, None, grants).unwrap());
        for _ in 0..100 {
            engine.instance().await.unwrap();
        }
        let started = Instant::now();
        for _ in 0..2_000 {
            engine.instance().await.unwrap();
        }
        format!("{:.0} us", started.elapsed().as_secs_f64() * 1e6 / 2_000.0)
    })
}

fn serve(config: &Path) -> (Instant, Running, SocketAddr) {
    let started = Instant::now();
    let mut command = Command::new(DUNLIN);
    command.args(["--log-format", "json", "serve", "--config"]);
    let running = Running::start(command.arg(config));
    let address = running.address().expect("the service starts");
    (started, running, address)
}

/// From the start of a process to its first accepted push.
fn first_push(config: &Path) -> Duration {
    let (started, _service, address) = serve(config);
    push(address);
    started.elapsed()
}

/// The best of ten starts, and a service that stays.
fn started(config: &Path) -> (Duration, Running, SocketAddr) {
    let best = (0..10).map(|_| first_push(config)).min().unwrap();
    let (_, service, address) = serve(config);
    push(address);
    (best, service, address)
}

fn body() -> String {
    let token = "a1".repeat(32);
    format!(
        r#"{{"to":{{"token":"{token}"}},"topic":"com.example.app",
            "payload":{{"aps":{{"alert":"Hello"}}}}}}"#
    )
}

fn push(address: SocketAddr) {
    let body = body();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /v1/push HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {API_KEY}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"accepted\":1"), "{answer}");
}

fn resident_mib(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

/// Single pushes through the host, one to a request.
fn load(folder: &Path, address: SocketAddr) -> Option<Vec<(&'static str, String)>> {
    let (data, times) = (folder.join("push.json"), folder.join("times"));
    fs::write(&data, body()).unwrap();
    let output = Command::new("h2load")
        .args(["-n", REQUESTS, "-c", CLIENTS, "--h1", "-d"])
        .arg(&data)
        .arg(format!("--log-file={}", times.display()))
        .args(["-H", &format!("authorization: Bearer {API_KEY}")])
        .args(["-H", "content-type: application/json"])
        .arg(format!("http://{address}/v1/push"))
        .output()
        .ok()?;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |start: &str| {
        report
            .lines()
            .find(|line| line.starts_with(start))
            .unwrap()
            .to_owned()
    };
    // Microseconds from a request's start to its end are the third column.
    let mut times: Vec<u64> = fs::read_to_string(times)
        .unwrap()
        .lines()
        .map(|line| line.split('\t').nth(2).unwrap().parse().unwrap())
        .collect();
    times.sort_unstable();
    let percentile =
        |part: usize| format!("{:.1} ms", times[times.len() * part / 100] as f64 / 1e3);
    Some(vec![
        (
            "h2load, 100,000 single pushes, 32 clients",
            line("finished in"),
        ),
        (
            "requests",
            line("requests:")
                .trim_start_matches("requests: ")
                .to_owned(),
        ),
        ("p50", percentile(50)),
        ("p99", percentile(99)),
    ])
}
