//! The host against a function that misbehaves (`guests/hostile`): what one request does to an
//! instance must never reach another request, and every queue and wait has an end. Each test runs
//! with a function that takes requests one by one, and with one that takes many at a time.
//!
//! One instance that works on two requests at once and lets two more wait makes every collision
//! certain. Tests know that a request has reached the instance because they ask it.
#![cfg(test)]

mod raw_http;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use dunlin_cli::serve::Server;
use raw_http::{Answer, open, read_answer, request};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const REQUEST_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Longer than any machine needs for what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(3_000);

/// `[host]` of every test; `memory_mib` and `concurrency` are what assertions below count on.
const SETTINGS: &str = "
listen = '127.0.0.1:0'
instances = 1
concurrency = 2
queue = 2
max_body_bytes = 1024
memory_mib = 16
request_timeout_ms = 60000
stall_timeout_ms = 300
shutdown_timeout_ms = 3000
";

/// A folder with a configuration file in it.
fn configured(settings: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    // The guest is compiled once for all tests.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let text = format!(
        "[delivery]\ntimeout_ms = 1000\n[store]\nkind = 'memory'\n[host]\ncache = '{}'\n{settings}",
        cache.display()
    );
    std::fs::write(folder.path().join("dunlin.toml"), text).unwrap();
    folder
}

async fn started(folder: &TempDir, component: &Path) -> Result<Server, dunlin_cli::Error> {
    Server::start(&folder.path().join("dunlin.toml"), Some(component)).await
}

struct Host {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    _folder: TempDir,
}

impl Host {
    async fn start(guest: &str, settings: &str) -> Self {
        let folder = configured(settings);
        let server = started(&folder, Path::new(guest)).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop,
            running,
            _folder: folder,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        request(self.address, "GET", path, b"").await
    }

    async fn post(&self, path: &str) -> Answer {
        request(self.address, "POST", path, b"").await
    }

    /// A request that goes on beside what the test does next; it has reached the instance.
    async fn beside(&self, method: &'static str, path: &'static str) -> JoinHandle<Answer> {
        let already = self.waiting().await;
        let address = self.address;
        let task = tokio::spawn(async move { request(address, method, path, b"").await });
        self.until_waiting(already + 1).await;
        task
    }

    async fn waiting(&self) -> u64 {
        self.get("/waiting").await.text().parse().unwrap()
    }

    async fn until_waiting(&self, count: u64) {
        while self.waiting().await != count {}
    }

    async fn count(&self) -> u64 {
        self.get("/count").await.text().parse().unwrap()
    }

    /// Sends one request with `send` and asserts that the instance lived through it.
    async fn survives(&self, send: impl Future<Output = ()>) {
        let before = self.count().await;
        send.await;
        assert!(self.count().await > before, "the instance was stopped");
    }
}

/// Ends a test that would hang.
async fn bounded(test: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(60), test)
        .await
        .expect("the test hangs");
}

macro_rules! test {
    ($(#[doc = $doc:literal])* async fn $name:ident($host:ident) $body:block) => {
        test! { $(#[doc = $doc])* async fn $name($host: SETTINGS) $body }
    };
    ($(#[doc = $doc:literal])* async fn $name:ident($host:ident: $settings:expr) $body:block) => {
        $(#[doc = $doc])*
        mod $name {
            use super::*;

            async fn run(guest: &str) {
                bounded(async {
                    let $host = Host::start(guest, $settings).await;
                    $body
                })
                .await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn one_by_one() {
                run(env!("GUEST_HOSTILE")).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn many_at_a_time() {
                run(env!("GUEST_HOSTILE_FEED")).await;
            }
        }
    };
}

test! {
    async fn one_instance_answers_request_after_request(host) {
        host.get("/ok").await.is_ok("ok");
        assert_eq!(host.count().await, 2);
        assert_eq!(host.count().await, 3);
        assert_eq!(host.get("/nowhere").await.status, 404);
    }
}

test! {
    async fn a_body_arrives_and_returns_whole(host) {
        let body = [b'x'; 1_024];
        let answer = request(host.address, "POST", "/echo", &body).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &body[..]));
    }
}

test! {
    async fn a_large_answer_streams_to_its_end(host) {
        let answer = host.get("/big").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body.len(), 10 * 1024 * 1024);
        for (piece, bytes) in answer.body.chunks(65_536).enumerate() {
            assert!(bytes.iter().all(|byte| usize::from(*byte) == piece));
        }
    }
}

test! {
    async fn a_trap_is_told_to_a_post_and_spares_the_next(host) {
        for path in ["/trap", "/panic", "/flaky"] {
            host.get("/ok").await.is_ok("ok");
            host.post(path).await.is_problem(503, "function-stopped");
        }
        assert_eq!(host.count().await, 1, "a fresh instance");
    }
}

test! {
    async fn a_request_that_traps_again_has_failed(host) {
        host.get("/trap").await.is_problem(500, "function-failed");
        request(host.address, "PUT", "/panic", b"").await.is_problem(500, "function-failed");
        host.get("/ok").await.is_ok("ok");
    }
}

test! {
    async fn a_repeated_request_succeeds_in_an_instance_of_its_own(host) {
        host.get("/ok").await.is_ok("ok");
        request(host.address, "PUT", "/flaky", b"").await.is_ok("fresh");
        host.get("/ok").await.is_ok("ok");
    }
}

test! {
    async fn an_error_code_fails_one_request_and_not_the_instance(host) {
        host.survives(async {
            host.get("/error").await.is_problem(500, "function-failed");
        })
        .await;
    }
}

test! {
    /// Longer than the stall timeout, which must not apply to a repeated request that waits.
    async fn a_get_beside_a_trap_is_repeated(host) {
        let slow = host.beside("GET", "/slow?ms=500").await;
        host.post("/trap").await.is_problem(503, "function-stopped");
        slow.await.unwrap().is_ok("slow");
    }
}

test! {
    async fn a_post_beside_a_trap_is_told_and_not_repeated(host) {
        let slow = host.beside("POST", "/slow?ms=500").await;
        host.get("/trap").await.is_problem(500, "function-failed");
        slow.await.unwrap().is_problem(503, "function-stopped");
    }
}

test! {
    async fn an_answer_whose_body_is_due_beside_a_trap_is_not_broken_off(host) {
        let late = host.beside("GET", "/late?ms=500").await;
        host.post("/trap").await.is_problem(503, "function-stopped");
        late.await.unwrap().is_ok("late");
    }
}

test! {
    async fn a_function_that_never_yields_is_stopped(host) {
        host.post("/spin").await.is_problem(503, "function-stopped");
        host.get("/ok").await.is_ok("ok");
        host.get("/spin").await.is_problem(500, "function-failed");
        host.get("/ok").await.is_ok("ok");
    }
}

test! {
    async fn waiting_is_not_stalling(host) {
        host.survives(async {
            host.get("/work?ms=600").await.is_ok("work");
        })
        .await;
    }
}

test! {
    async fn memory_ends_at_the_limit(host) {
        host.survives(async {
            let reserved: usize = host.get("/reserve").await.text().parse().unwrap();
            assert!((8..16).contains(&reserved), "{reserved} MiB of 16");
        })
        .await;
        let slow = host.beside("GET", "/slow?ms=300").await;
        host.post("/alloc").await.is_problem(503, "function-stopped");
        slow.await.unwrap().is_ok("slow");
        host.get("/alloc").await.is_problem(500, "function-failed");
    }
}

/// [`SETTINGS`] under which a request that is never answered ends soon.
fn impatient() -> String {
    let millis = REQUEST_TIMEOUT.as_millis();
    SETTINGS.replace(
        "request_timeout_ms = 60000",
        &format!("request_timeout_ms = {millis}"),
    )
}

test! {
    async fn a_request_that_is_never_answered_times_out_alone(host: &impatient()) {
        let asked = Instant::now();
        let never = host.beside("GET", "/never").await;
        host.get("/ok").await.is_ok("ok");
        never.await.unwrap().is_problem(504, "timeout");
        assert!(asked.elapsed() >= REQUEST_TIMEOUT);
        // Both places of the instance are free, and it is the same one.
        let (one, two) = tokio::join!(host.get("/slow?ms=10"), host.get("/slow?ms=10"));
        one.is_ok("slow");
        two.is_ok("slow");
        assert_eq!(host.waiting().await, 1);
    }
}

test! {
    async fn overload_is_refused_and_the_admitted_are_answered(host) {
        let asked = (0..8).map(|_| {
            let address = host.address;
            tokio::spawn(async move { request(address, "GET", "/slow?ms=500", b"").await })
        });
        let mut refused = 0;
        for answer in asked.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            if answer.status == 503 {
                answer.is_problem(503, "overloaded");
                assert_eq!(answer.header("retry-after"), Some("1"));
                refused += 1;
            } else {
                answer.is_ok("slow");
            }
        }
        assert_eq!(refused, 4, "two at work and two waiting are admitted");
        host.get("/ok").await.is_ok("ok");
    }
}

test! {
    async fn liveness_stays_and_readiness_goes_while_every_queue_is_full(host) {
        let held = (0..4).map(|_| {
            let address = host.address;
            tokio::spawn(async move { request(address, "GET", "/never", b"").await })
        });
        let held: Vec<_> = held.collect();
        // Until then an instance may not be ready yet.
        while host.get("/readyz").await.text() != "every queue is full\n" {}
        assert_eq!(host.get("/readyz").await.status, 503);
        for path in ["/livez", "/healthz"] {
            host.get(path).await.is_ok("{\"status\":\"ok\"}");
        }
        assert_eq!(host.get("/metrics").await.status, 200);
        host.get("/ok").await.is_problem(503, "overloaded");
        held.iter().for_each(JoinHandle::abort);
    }
}

test! {
    async fn a_body_over_the_limit_is_refused(host) {
        let body = [b'x'; 1_025];
        let answer = request(host.address, "POST", "/echo", &body).await;
        answer.is_problem(413, "body-too-large");
        let mut chunked = b"POST /echo HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
            transfer-encoding: chunked\r\n\r\n401\r\n".to_vec();
        chunked.extend_from_slice(&body);
        let stream = open(host.address, &chunked).await;
        read_answer(stream).await.is_problem(413, "body-too-large");
        assert_eq!(host.count().await, 1, "the function saw none of it");
    }
}

test! {
    async fn an_announcement_over_the_limit_is_refused_before_it_is_sent(host) {
        let head = b"POST /echo HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
            content-length: 999999999999\r\n\r\n";
        read_answer(open(host.address, head).await).await.is_problem(413, "body-too-large");
    }
}

test! {
    /// More of them than the instance works on and lets wait together.
    async fn slow_bodies_hold_no_place_in_the_instance(host) {
        let mut held = Vec::new();
        for _ in 0..10 {
            let head = b"POST /echo HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
                content-length: 4\r\n\r\nsl";
            held.push(open(host.address, head).await);
        }
        let (one, two) = tokio::join!(host.get("/slow?ms=10"), host.get("/slow?ms=10"));
        one.is_ok("slow");
        two.is_ok("slow");
        let mut last = held.pop().unwrap();
        last.write_all(b"ow").await.unwrap();
        read_answer(last).await.is_ok("slow");
    }
}

test! {
    async fn clients_that_leave_harm_nobody(host) {
        host.survives(async {
            let head = b"POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\nhalf";
            drop(open(host.address, head).await);
            drop(open(host.address, b"GET /ok HTT").await);
            let slow = b"GET /slow?ms=200 HTTP/1.1\r\nhost: test\r\n\r\n";
            let waits = open(host.address, slow).await;
            host.until_waiting(1).await;
            drop(waits);
            let mut reads = open(host.address, b"GET /big HTTP/1.1\r\nhost: test\r\n\r\n").await;
            let mut some = [0; 1_000];
            reads.read_exact(&mut some).await.unwrap();
            drop(reads);
            host.get("/slow?ms=250").await.is_ok("slow");
            host.until_waiting(0).await;
        })
        .await;
    }
}

test! {
    async fn stopping_finishes_what_is_in_flight_and_takes_nothing_new(host) {
        let slow = host.beside("GET", "/slow?ms=2000").await;
        // Neither a silent client nor an idle one is waited for.
        let silent = open(host.address, b"").await;
        let mut idle = open(host.address, b"GET /ok HTTP/1.1\r\nhost: test\r\n\r\n").await;
        idle.read_exact(&mut [0; 12]).await.unwrap();
        let asked = Instant::now();
        host.stop.send(()).unwrap();
        while TcpStream::connect(host.address).await.is_ok() {
            assert!(asked.elapsed() < PATIENCE, "still accepting");
        }
        assert!(!slow.is_finished(), "it was to be in flight");
        slow.await.unwrap().is_ok("slow");
        host.running.await.unwrap();
        drop((silent, idle));
    }
}

test! {
    /// A client that reads nothing of its answer keeps it in flight for ever.
    async fn stopping_has_an_end(host) {
        let stuck = open(host.address, b"GET /big HTTP/1.1\r\nhost: test\r\n\r\n").await;
        stuck.readable().await.unwrap();
        let asked = Instant::now();
        host.stop.send(()).unwrap();
        let stopped = tokio::time::timeout(PATIENCE, host.running).await;
        stopped.expect("it stops").unwrap();
        assert!(asked.elapsed() >= SHUTDOWN_TIMEOUT);
    }
}

/// A component that imports the function `tune` of the instance `acme:radio/tuner`, as bytes:
/// the type of the instance, then its import.
const WANTS_A_RADIO: &[u8] = b"\0asm\x0d\0\x01\0\
    \x07\x11\x01\x42\x02\x01\x40\0\x01\0\x04\0\x04tune\x01\0\
    \x0a\x15\x01\0\x10acme:radio/tuner\x05\0";

/// A component with nothing in it.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

/// A core module with nothing in it.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[tokio::test]
async fn what_cannot_be_served_fails_at_the_start_and_is_named() {
    let cases: [(&[u8], &str); 4] = [
        (WANTS_A_RADIO, "acme:radio/tuner"),
        (EMPTY, "wasi:http/handler"),
        (MODULE, "broken.wasm"),
        (b"hello", "broken.wasm"),
    ];
    for (bytes, named) in cases {
        let folder = configured(SETTINGS);
        let component = folder.path().join("broken.wasm");
        std::fs::write(&component, bytes).unwrap();
        let error = started(&folder, &component).await.unwrap_err().to_string();
        assert!(error.contains(named), "{named} is not in: {error}");
    }
    let folder = configured(SETTINGS);
    let missing = folder.path().join("missing.wasm");
    let error = started(&folder, &missing).await.unwrap_err().to_string();
    assert!(error.contains("missing.wasm"), "{error}");
}
