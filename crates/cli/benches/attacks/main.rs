//! Attacks the service as it is shipped, and says what a client with a key notices of it.
//!
//! ```sh
//! cargo bench --package dunlin-cli --bench attacks -- --bench --seconds 60
//! ```
//!
//! Everything runs on this machine over loopback: a simulator that accepts all, `dunlin serve` in
//! front of it, and clients that misbehave. One client with a key pushes to a token a hundred times
//! a second, and a probe asks `/livez` on a connection of its own ten times a second. A line for
//! each attack says what the two have seen, and what memory the service had before, at most, and
//! half a minute later. Each attack has a service of its own.
//!
//! - `--seconds N`: how long each attack lasts; 10 by default.
//! - `--only NAME`: one attack.
//! - `--wrap COMMAND`: what the service is started by, such as
//!   `systemd-run --user --scope -p MemoryMax=256M -p MemorySwapMax=0`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measuring program may stop at the first surprise"
)]

mod clients;
mod service;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clients::Attack;
use service::Service;

/// The bound on a push's p99, in milliseconds.
const AIM: f64 = 50.0;

/// How long the memory has to return.
const AFTER: Duration = Duration::from_secs(30);

struct Options {
    seconds: u64,
    only: Option<String>,
    wrap: Vec<String>,
}

impl Options {
    fn read() -> Self {
        let words: Vec<String> = std::env::args().collect();
        let value = |name: &str| {
            let at = words.iter().position(|word| word == name)?;
            words.get(at + 1).cloned()
        };
        Self {
            seconds: value("--seconds").map_or(10, |text| text.parse().unwrap()),
            only: value("--only"),
            wrap: value("--wrap")
                .map(|text| text.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
        }
    }
}

fn main() {
    // `cargo test --benches` runs this with another argument; measuring is for `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let options = Options::read();
    // As many clients as there are descriptors for.
    dunlin_host::descriptors::prepare(0, 8_192).unwrap();
    println!(
        "| attack | pushes | failed | p50 | p99 | probes failed | memory before | most | after |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let nothing = [("nothing", Attack::NONE)];
    for (name, attack) in nothing.into_iter().chain(clients::ATTACKS) {
        if options.only.as_deref().is_none_or(|only| only == name) {
            measure(name, attack, &options);
        }
    }
    println!("\nThe aim is a p99 below {AIM} ms, no failure, and memory that returns.");
}

/// Runs one attack on a service of its own, and prints its line.
fn measure(name: &str, attack: Attack, options: &Options) {
    let service = Service::start(&options.wrap);
    let attacking = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    attacking.block_on(clients::register_devices(service.address));
    let before = service.resident_mib();
    let stop = Arc::new(AtomicBool::new(false));
    let until = Instant::now() + Duration::from_secs(options.seconds);
    // Neither waits for the attackers to have had their turn.
    let address = service.address;
    let pushing = apart(move || pushes(address, until));
    let probing = apart(move || probes(address, until));
    // The client is connected before the others come.
    std::thread::sleep(Duration::from_millis(200));
    let attackers = attacking.block_on(async { attack.start(address, &stop) });
    let mut most = 0;
    while Instant::now() < until {
        most = most.max(service.resident_mib());
        std::thread::sleep(Duration::from_millis(100));
    }
    stop.store(true, Ordering::Relaxed);
    attackers.abort();
    let (mut times, failed) = pushing.join().unwrap();
    let probes_failed = probing.join().unwrap();
    drop(attacking);
    std::thread::sleep(AFTER.min(Duration::from_secs(options.seconds)));
    for line in service.complaints() {
        eprintln!("{line}");
    }
    times.sort_unstable();
    let percentile = |part: usize| {
        let at = (times.len() * part / 100).min(times.len().saturating_sub(1));
        times
            .get(at)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    println!(
        "| {name} | {} | {failed} | {:.1} ms | {:.1} ms | {probes_failed} | {before} MiB | \
         {most} MiB | {} MiB |",
        times.len(),
        percentile(50),
        percentile(99),
        service.resident_mib(),
    );
}

/// Runs what is made on a thread with a runtime of its own.
fn apart<F, T>(make: impl FnOnce() -> F + Send + 'static) -> std::thread::JoinHandle<T>
where
    F: Future<Output = T>,
    T: Send + 'static,
{
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(make())
    })
}

/// Pushes a hundred times a second on one connection; how long each took, and how many failed. A
/// connection that was closed is opened again.
async fn pushes(address: SocketAddr, until: Instant) -> (Vec<Duration>, usize) {
    let (mut client, mut times, mut failed) = (None, Vec::new(), 0);
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while Instant::now() < until {
        ticks.tick().await;
        let asked = Instant::now();
        match clients::push(address, &mut client).await {
            Ok(()) => times.push(asked.elapsed()),
            Err(why) => {
                failed += 1;
                client = None;
                if failed <= 3 {
                    eprintln!("a push failed: {why}");
                }
            }
        }
    }
    (times, failed)
}

/// Asks for liveness as a kubelet does; how often it had no 200 within a second.
async fn probes(address: SocketAddr, until: Instant) -> usize {
    let mut failed = 0;
    while Instant::now() < until {
        let probe = clients::probe(address, "/livez");
        let answered = tokio::time::timeout(Duration::from_secs(1), probe).await;
        failed += usize::from(!matches!(answered, Ok(Ok(200))));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    failed
}
