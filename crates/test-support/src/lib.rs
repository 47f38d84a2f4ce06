//! What the tests of every package share, and what knows nothing of Dunlin: a program that runs
//! ([`running`]), servers that are not ours ([`peers`]), a proxy ([`proxy`]), seeded inputs
//! ([`mutate`]), what a log writes ([`Written`]), futures that wait for nobody ([`ready()`]), and
//! saying that a test was skipped, and what would have it run.
//!
//! The runner hides what a passing test prints by `print!`, so a line is written to standard error
//! itself, and into a file for the test `summary`, which cargo runs last. What belongs to one run
//! is told by the process that has started the test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is how a test fails"
)]

pub mod mutate;
pub mod peers;
pub mod proxy;
mod ready;
pub mod running;
mod written;

pub use ready::ready;
pub use written::Written;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

/// Says that a test does nothing here: what it lacks, and how to have that.
///
/// # Panics
/// If the environment says `DUNLIN_REQUIRE_PEERS=1`, as CI does.
pub fn skip(lacks: &str, remedy: &str) {
    if std::env::var_os("DUNLIN_REQUIRE_PEERS").is_some_and(|value| value == "1") {
        panic!("DUNLIN_REQUIRE_PEERS=1, and {lacks}: {remedy}");
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    say(&format!("skipped {test}: {lacks}\n"));
    let Some(path) = record() else { return };
    let line = format!("{test}\t{remedy}\n");
    let added = OpenOptions::new().create(true).append(true).open(path);
    // One write, so that tests at the same time do not mix their lines.
    if let Err(error) = added.and_then(|mut file| file.write_all(line.as_bytes())) {
        say(&format!("the summary will lack this one: {error}\n"));
    }
}

/// The tests of this run that were skipped, each with what would have it run; they are forgotten.
pub fn take_skipped() -> Vec<(String, String)> {
    let Some(path) = record() else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    // There is none if nothing was skipped.
    let _ = std::fs::remove_file(path);
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    lines
        .map(|(test, remedy)| (test.to_owned(), remedy.to_owned()))
        .collect()
}

/// Writes past the capture of the test runner.
pub fn say(text: &str) {
    // Nobody to tell if standard error is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Where this run's lines are kept: in the target folder, by the process that runs the tests.
fn record() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let target = test
        .ancestors()
        .find(|folder| folder.join(".rustc_info.json").exists())?;
    let run = std::os::unix::process::parent_id();
    Some(target.join(format!("skipped-tests-{run}")))
}
