//! Those who send without our service: `h2load`, and the libraries of others, each driven by a
//! small program of `benches/peers`.
//!
//! All of them send the same payload to the same thousand tokens in turn, on one connection with
//! TLS. A library's program lives through all rounds:
//!
//! ```text
//! in    {"port","ca","key","key_id","team_id","topic","alert","in_flight",
//!        "spawns"}                                     once, first
//!       a number: send so many pushes
//! out   ready                                          after the options, and one push
//!       {"accepted":number,"p50_us":number,"p99_us":number}                    for each number
//! ```

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use crate::server::{self, Server};
use crate::usage::{Processor, Watch};

/// What a push says: 189 bytes.
pub const PAYLOAD: &str = concat!(
    r#"{"aps":{"alert":"Your parcel has left the depot and is on its way. The driver expects to "#,
    r#"reach you between ten and eleven, and will ring the bell twice; see the app for a map of "#,
    r#"the way."}}"#
);

pub const TOPIC: &str = "com.example.app";

/// Tokens that are pushed to in turn.
pub const TOKENS: usize = 1_000;

/// Longest wait for anything that a sender says.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one round of a sender has cost.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Processor time of the sender for each push, in microseconds.
    pub cpu_us: f64,
    pub per_second: f64,
    /// Between asking and being answered, at half and at 99 of 100.
    pub waits: Option<(Duration, Duration)>,
    /// The most there was of the sender's resident memory.
    pub resident_kib: u64,
}

impl Sample {
    pub fn new(
        pushes: u64,
        (used, elapsed): (Duration, Duration),
        waits: Option<(Duration, Duration)>,
        resident_kib: u64,
    ) -> Self {
        Self {
            cpu_us: used.as_secs_f64() * 1e6 / pushes as f64,
            per_second: pushes as f64 / elapsed.as_secs_f64(),
            waits,
            resident_kib,
        }
    }
}

/// One of the thousand.
pub fn token(number: usize) -> String {
    format!("{:08x}", number % TOKENS).repeat(8)
}

/// Where a program is on `PATH`.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut files = env::split_paths(&path).map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}

/// `h2load`, which validates nothing. Its time is what bash's `time` says of it, so that starting
/// it is in it.
pub struct H2load {
    program: PathBuf,
    folder: PathBuf,
}

impl H2load {
    pub fn find(folder: &Path) -> Result<Self, String> {
        let program = program("h2load");
        Ok(Self {
            program: program.ok_or("h2load is not on PATH: apt-get install nghttp2-client")?,
            folder: folder.to_owned(),
        })
    }

    pub fn run(&self, server: &Server, with_tls: bool, pushes: u64) -> Result<Sample, String> {
        let (scheme, address) = match with_tls {
            true => ("https", server.tls),
            false => ("http", server.cleartext),
        };
        let (paths, data) = (self.folder.join("paths"), self.folder.join("payload"));
        let all = (0..TOKENS).map(|n| format!("{scheme}://{address}/3/device/{}\n", token(n)));
        fs::write(&paths, all.collect::<String>()).map_err(|error| error.to_string())?;
        fs::write(&data, PAYLOAD).map_err(|error| error.to_string())?;
        let mut command = Command::new("bash");
        command.args(["-c", "TIMEFORMAT='%U %S'; time \"$@\"", "bash"]);
        command.arg(&self.program);
        command.args(["-c", "1", "-t", "1", "-n", &pushes.to_string()]);
        command.args(["-m", &server::STREAMS.to_string()]);
        command.arg("-i").arg(paths).arg("-d").arg(data);
        // As long as a provider token is.
        let token = format!("authorization: bearer {}", "x".repeat(190));
        for header in [
            &token,
            &format!("apns-topic: {TOPIC}"),
            "apns-push-type: alert",
        ] {
            command.args(["-H", header]);
        }
        let before = server.received();
        let began = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("bash: {error}"))?;
        let watch = Watch::begin(child.id());
        let output = child
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        let (elapsed, resident) = (began.elapsed(), watch.end());
        server.received().check(before, pushes, PAYLOAD)?;
        let times = String::from_utf8_lossy(&output.stderr).into_owned();
        let times = times.lines().last().unwrap_or_default();
        let used: Option<f64> = times.split(' ').map(|time| time.parse::<f64>().ok()).sum();
        let used = used.ok_or_else(|| format!("expected two times, got {times}"))?;
        let spent = (Duration::from_secs_f64(used), elapsed);
        Ok(Sample::new(pushes, spent, None, resident))
    }
}

/// A library, by the program that drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// In one task on one thread, which is the cheapest.
    A2,
    /// In tasks of a runtime with a thread for each core, as it is mostly used.
    A2Tasks,
    NodeApn,
    Aioapns,
}

impl Library {
    /// The program, or why there is none.
    fn command(self, folder: &Path, server: &Server) -> Result<Command, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let peers = root.join("benches/peers");
        match self {
            Self::A2 | Self::A2Tasks => {
                let mut command = Command::new(build(&peers.join("a2"))?);
                let authority = folder.join("authority.pem");
                fs::write(&authority, &server.authority).map_err(|error| error.to_string())?;
                command.env("DRIVE_A2_AUTHORITY", authority);
                command.env("DRIVE_A2_ADDRESS", server.tls.to_string());
                Ok(command)
            }
            Self::NodeApn => {
                let node = program("node").ok_or("node is not on PATH: apt-get install nodejs")?;
                let modules = root.join("tests/foreign/node-apn/node_modules");
                if !modules.join("@parse/node-apn").is_dir() {
                    return Err("not installed: npm ci --prefix tests/foreign/node-apn".to_owned());
                }
                let mut command = Command::new(node);
                command.arg(peers.join("node_apn.js"));
                command.env("NODE_PATH", modules);
                Ok(command)
            }
            Self::Aioapns => {
                let python = root.join("tests/foreign/aioapns/venv/bin/python");
                if !python.is_file() {
                    let how = "a venv in tests/foreign/aioapns, see CONTRIBUTING.md";
                    return Err(format!("not installed: {how}"));
                }
                let mut command = Command::new(python);
                command.arg("-B").arg(peers.join("drive_aioapns.py"));
                Ok(command)
            }
        }
    }

    /// What it makes of the alert.
    fn payload(self) -> String {
        match self {
            Self::A2 | Self::A2Tasks | Self::NodeApn => PAYLOAD.to_owned(),
            Self::Aioapns => PAYLOAD.replace("\":", "\": "),
        }
    }
}

/// Builds the program in a folder; says where it is.
fn build(folder: &Path) -> Result<PathBuf, String> {
    // What is built for this machine is kept where this program is.
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let target = this.ancestors().nth(3).unwrap_or(folder).join("peers");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--manifest-path",
    ]);
    command.arg(folder.join("Cargo.toml"));
    command.arg("--target-dir").arg(&target);
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("it cannot be built: {}", text.trim()));
    }
    Ok(target.join("release/drive-a2"))
}

/// A program that drives a library; it ends with this.
pub struct Driver {
    library: Library,
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Driver {
    pub fn start(library: Library, folder: &Path, server: &Server) -> Result<Self, String> {
        let mut command = library.command(folder, server)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let (found, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if found.send(line).is_err() {
                    return;
                }
            }
        });
        let mut driver = Self {
            library,
            child,
            lines,
        };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        let alert: Value = serde_json::from_str(PAYLOAD).map_err(|error| error.to_string())?;
        driver.tell(&json!({
            "port": server.tls.port(),
            "ca": server.authority,
            "key": key.map_err(|error| error.to_string())?.serialize_pem(),
            "key_id": "BENCHKEY01",
            "team_id": "BENCHTEAM1",
            "topic": TOPIC,
            "alert": alert.pointer("/aps/alert"),
            "in_flight": server::STREAMS,
            "spawns": library == Library::A2Tasks,
        }))?;
        match driver.line()?.as_str() {
            "ready" => Ok(driver),
            line => Err(format!("expected ready, got {line}")),
        }
    }

    fn tell(&mut self, line: &Value) -> Result<(), String> {
        let input = self.child.stdin.as_mut().ok_or("it has no input")?;
        writeln!(input, "{line}").map_err(|error| error.to_string())
    }

    fn line(&self) -> Result<String, String> {
        let line = self.lines.recv_timeout(PATIENCE);
        line.map_err(|_| "it has ended, or says nothing".to_owned())
    }

    pub fn run(&mut self, server: &Server, pushes: u64) -> Result<Sample, String> {
        let process = self.child.id();
        let (before, received) = (Processor::of(process), server.received());
        let watch = Watch::begin(process);
        let began = Instant::now();
        self.tell(&json!(pushes))?;
        let line = self.line();
        let (elapsed, resident) = (began.elapsed(), watch.end());
        let used = Processor::of(process).since(before);
        let line = line?;
        let said: Value = serde_json::from_str(&line).map_err(|_| format!("got {line}"))?;
        if said["accepted"] != json!(pushes) {
            return Err(format!("expected {pushes} to be accepted, got {line}"));
        }
        server
            .received()
            .check(received, pushes, &self.library.payload())?;
        let wait = |name: &str| {
            said[name]
                .as_f64()
                .map(|us| Duration::from_secs_f64(us / 1e6))
        };
        let waits = wait("p50_us").zip(wait("p99_us"));
        Ok(Sample::new(pushes, (used, elapsed), waits, resident))
    }
}
