//! A foreign client as a child process: lines of JSON in, lines of JSON out.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use dunlin_test_support::peers::{self, PATIENCE};
use serde_json::Value;

/// A client that runs and ends with this.
pub struct Client {
    child: Child,
    events: Receiver<Value>,
}

impl Client {
    /// Starts a client and tells it its options, which are its first line.
    pub fn start(mut command: Command, options: &Value) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (found, events) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("a JSON object a line");
                if found.send(event).is_err() {
                    return;
                }
            }
        });
        let mut client = Self { child, events };
        client.ask(options);
        client
    }

    pub fn ask(&mut self, asked: &Value) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{asked}").unwrap();
    }

    /// The next event that is one of `wanted`. Anything that is wrong with the connection itself
    /// fails.
    pub fn event(&self, wanted: &[&str]) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).expect("an event in time");
            assert_ne!(event["event"], "trouble", "{event}");
            if wanted.iter().any(|name| event["event"] == *name) {
                return event;
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `node` with the script of a folder, if its package is installed there.
///
/// # Panics
/// If something is missing and the environment says `DUNLIN_REQUIRE_PEERS=1`.
pub fn node(folder: &str, package: &str) -> Option<Command> {
    let program = peers::require("node")?;
    let path = path(folder);
    if !path.join("node_modules").join(package).is_dir() {
        return missing(package, &format!("npm ci --prefix tests/foreign/{folder}"));
    }
    let mut command = Command::new(program);
    command.arg(path.join("client.js"));
    Some(command)
}

/// The same with the Python of the folder's virtual environment.
///
/// # Panics
/// If something is missing and the environment says `DUNLIN_REQUIRE_PEERS=1`.
pub fn python(folder: &str, package: &str) -> Option<Command> {
    let path = path(folder);
    // A link to the Python it was made with, which may be gone.
    let program = path.join("venv/bin/python");
    if !program.is_file() || !has_python_package(&path.join("venv/lib"), package) {
        return missing(
            package,
            &format!("a venv in tests/foreign/{folder}, see CONTRIBUTING.md"),
        );
    }
    let mut command = Command::new(program);
    // No compiled copies beside the script.
    command.arg("-B").arg(path.join("client.py"));
    Some(command)
}

/// `lib/python<version>/site-packages/<package>`
fn has_python_package(lib: &Path, package: &str) -> bool {
    let versions = lib.read_dir().into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("site-packages").join(package))
        .any(|installed| installed.is_dir())
}

fn path(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("foreign")
        .join(folder)
}

fn missing(package: &str, how: &str) -> Option<Command> {
    dunlin_test_support::skip(&format!("{package} is not installed"), how);
    None
}
