//! Compares what a push costs: our service as it is shipped, and the clients of others, against one
//! server that costs next to nothing.
//!
//! ```sh
//! cargo bench --package dunlin-cli --bench compare
//! ```
//!
//! Everything runs on this machine over loopback. Each round runs every row once, so that what the
//! machine does besides meets all of them; ratios are those within a round. What counts is the
//! processor time of the process that sends: those that ask our service, and the server, are others
//! and do not count. The server has counted and summed up what came, or a row fails.
//!
//! - `--rounds N`: 5 by default, and one before them that is not counted.
//! - `--only NAME,NAME`: the rows whose names have one of these in them.
//! - `--quick`: two rounds of a twentieth of the pushes, to see that everything runs.
//! - `--write`: writes `benches/README.md` and the plots also after `--only` and `--quick`; without
//!   these it always does.
//! - `--serve`: only the server, until it is stopped; for a client that is not here yet.
//!
//! The peers are `h2load` (Debian `nghttp2-client`), and the programs of `benches/peers`. What is
//! not installed is left out, and a line says why.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measuring program may stop at the first surprise"
)]

mod bench;
mod frames;
mod load;
mod machine;
mod plot;
mod report;
mod rows;
mod senders;
mod server;
mod service;
mod usage;

use std::path::Path;
use std::time::Duration;

use bench::Bench;
use report::{Figures, Report};
use rows::{QUICKLY, Row};
use server::Server;
use service::Service;

/// Most rounds: an hour's worth.
const MOST_ROUNDS: usize = 50;

struct Options {
    rounds: usize,
    only: Vec<String>,
    is_quick: bool,
    writes: bool,
    serves: bool,
}

impl Options {
    fn read() -> Self {
        let words: Vec<String> = std::env::args().collect();
        let has = |name: &str| words.iter().any(|word| word == name);
        let value = |name: &str| {
            let at = words.iter().position(|word| word == name)?;
            words.get(at + 1).cloned()
        };
        let only: Vec<String> = value("--only")
            .map(|names| names.split(',').map(str::to_owned).collect())
            .unwrap_or_default();
        let is_quick = has("--quick");
        let rounds = value("--rounds").map_or(if is_quick { 2 } else { 5 }, |text| {
            text.parse().expect("--rounds takes a number, such as 5")
        });
        Self {
            rounds: rounds.clamp(1, MOST_ROUNDS),
            writes: has("--write") || (only.is_empty() && !is_quick),
            only,
            is_quick,
            serves: has("--serve"),
        }
    }

    fn wants(&self, row: &Row) -> bool {
        self.only.is_empty()
            || self
                .only
                .iter()
                .any(|name| row.name.contains(name.as_str()))
    }
}

fn main() {
    // `cargo test --benches` runs this with another argument; measuring is for `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let options = Options::read();
    let server = Server::start().unwrap();
    if options.serves {
        println!("TLS on {}, cleartext on {}", server.tls, server.cleartext);
        println!("{}", server.authority);
        loop {
            std::thread::sleep(Duration::from_secs(10));
            println!("{:?}", server.received());
        }
    }
    let scratch = tempfile::tempdir().unwrap();
    let report = measure(&options, scratch.path(), &server);
    let page = report.page();
    println!("\n{page}");
    if options.writes {
        report
            .write(&page, Path::new(env!("CARGO_MANIFEST_DIR")))
            .unwrap();
    }
}

/// Runs all rounds, with a line for each row of each.
fn measure(options: &Options, folder: &Path, server: &Server) -> Report {
    let rows = rows::all().into_iter().filter(|row| options.wants(row));
    let mut figures: Vec<Figures> = rows.map(Figures::new).collect();
    let mut bench = Bench::new(folder, server);
    let mut first_push: Vec<Duration> = Vec::new();
    let load_before = machine::load();
    // Compiles the component, whose memory a service that does so keeps.
    if let Err(why) = Service::first_push(folder, server) {
        println!("no first push: {why}");
    }
    for round in 0..=options.rounds {
        let is_counted = round > 0;
        bench.divisor = if is_counted && !options.is_quick {
            1
        } else {
            QUICKLY
        };
        // There and back, so that what grows in a round meets all of them alike.
        let mut order: Vec<_> = figures.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for row in order.into_iter().filter(|row| row.skipped.is_none()) {
            match bench.round(&row.row) {
                Ok(sample) => {
                    let (name, us) = (row.row.name, sample.cpu_us);
                    println!(
                        "round {round}: {name}: {us:.2} us, {:.0} a second",
                        sample.per_second
                    );
                    if is_counted {
                        row.samples.insert(round, sample);
                    }
                }
                Err(why) => {
                    println!("skipped {}: {why}", row.row.name);
                    row.skipped = Some(why);
                }
            }
        }
        match Service::first_push(folder, server) {
            Ok(took) if is_counted => first_push.push(took),
            Ok(_) => {}
            Err(why) => println!("no first push: {why}"),
        }
    }
    let first_push = first_push.into_iter().min();
    Report::new(figures, &bench, (first_push, options.rounds), load_before)
}
