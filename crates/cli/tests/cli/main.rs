//! The binary as a person meets it: `dunlin dev`, its curl lines, Ctrl-C, a crash, a wrong file;
//! and that nothing personal is in its logs.
#![cfg(test)]

mod dev;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use dunlin_test_support::running::{PATIENCE, Running};

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

const ALERT: &str = r#"{"aps":{"alert":"x"}}"#;

/// A running `dunlin dev`, killed when dropped.
struct Dev {
    running: Running,
    greeting: String,
}

impl Dev {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    fn start_with(folder: &Path, options: &[&str]) -> Self {
        let ports = ["--listen", "127.0.0.1:0", "--simulator", "127.0.0.1:0"];
        let mut command = Command::new(DUNLIN);
        command.arg("dev").args(ports).arg("--folder").arg(folder);
        command.args(options).env(
            "DUNLIN_LOG",
            "trace,wasmtime=warn,cranelift=warn,regalloc2=warn",
        );
        let log = File::create(folder.with_extension("log")).unwrap();
        let running = Running::start_logging_to(&mut command, log);
        running.line(|line| line.ends_with("/notifications").then_some(()));
        let greeting = running.text();
        Self { running, greeting }
    }

    /// What the greeting says of something.
    fn said_of(&self, label: &str) -> String {
        let (_, rest) = self.greeting.split_once(label).unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    }

    /// One request to an address, with the API key; the status and the body of the answer.
    fn ask(&self, address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.said_of("API key"),
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn http(&self) -> String {
        self.said_of("HTTP interface   http://")
    }

    fn page(&self) -> String {
        self.said_of("simulated APNs   http://")
    }

    /// Pushes to a token, with more fields if there are any; the result.
    fn push(&self, token: &str, more: &str) -> serde_json::Value {
        let body = format!(
            r#"{{"to":{{"token":"{token}"}},"topic":"com.example.app",{more}"payload":{ALERT}}}"#
        );
        let (status, body) = self.ask(&self.http(), "POST", "/v1/push", &body);
        assert_eq!(status, 200, "{body}");
        let reply: serde_json::Value = serde_json::from_str(&body).unwrap();
        reply["results"][0].clone()
    }

    /// The commands of the greeting, as pasted into a shell.
    fn commands(&self) -> [String; 3] {
        let mut commands: Vec<String> = Vec::new();
        for line in self.greeting.lines().map(str::trim) {
            if line.starts_with("curl") {
                commands.push(line.to_owned());
            } else if line.starts_with('-') {
                let last = commands.last_mut().unwrap();
                *last = format!("{} {line}", last.trim_end_matches('\\'));
            }
        }
        commands.try_into().expect("three commands")
    }

    fn signal(&self, name: &str) {
        // The shell's own, since not every machine has the program.
        let status = Command::new("sh")
            .args(["-c", &format!("kill {name} {}", self.running.child.id())])
            .status();
        assert!(status.unwrap().success());
    }
}

fn shell(command: &str) -> serde_json::Value {
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("{command} -sS -m 20"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    if !found {
        dunlin_test_support::skip("there is no curl", "apt-get install curl");
    }
    found
}

#[test]
fn the_greeting_works_when_pasted_and_the_device_survives_ctrl_c() {
    if !has_curl() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("dev");
    std::fs::create_dir(&folder).unwrap();
    let mut dev = Dev::start(&folder);
    let [register, push, look] = dev.commands();
    let registered = shell(&register);
    assert_eq!(registered["alias"], "me");
    let pushed = shell(&push);
    assert_eq!(pushed["accepted"], 1, "{pushed}");
    let seen = shell(&look);
    let received = &seen["notifications"][0];
    assert_eq!(received["token"], registered["token"]);
    assert_eq!(
        received["payload"],
        r#"{"aps":{"alert":"Hello from Dunlin"}}"#
    );
    assert_eq!(received["apns_id"], pushed["results"][0]["apns_id"]);
    let same = folder.to_str().unwrap();
    let second = [
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--simulator",
        "127.0.0.1:0",
        "--folder",
        same,
    ];
    fails_with(&second, "dunlin.redb");
    assert_eq!(
        shell(&push)["accepted"],
        1,
        "the first run is not disturbed"
    );
    dev.signal("-INT");
    assert!(dev.running.ended().success());

    let again = Dev::start(&folder);
    let [_, push, _] = again.commands();
    assert_eq!(shell(&push)["accepted"], 1, "the device is still there");
    again.signal("-KILL");
    drop(again);

    // What was confirmed before a crash is there after it.
    let crashed = Dev::start(&folder);
    let [register, ..] = crashed.commands();
    let other = register
        .replace("a1a1a1a1", "b2b2b2b2")
        .replace("\"me\"", "\"secret-alias\"");
    assert_eq!(shell(&other)["alias"], "secret-alias");
    crashed.signal("-KILL");
    drop(crashed);
    let last = Dev::start(&folder);
    let [_, push, _] = last.commands();
    let push = push.replace("\"me\"", "\"secret-alias\"");
    assert_eq!(
        shell(&push)["accepted"],
        1,
        "what was confirmed before SIGKILL is on disk"
    );
    drop(last);
    assert_log_is_clean(&folder);
}

/// Scans what the last run logged at TRACE.
fn assert_log_is_clean(folder: &Path) {
    let mut log = String::new();
    let mut file = File::open(folder.with_extension("log")).unwrap();
    file.read_to_string(&mut log).unwrap();
    assert!(log.lines().count() > 10, "trace logs something: {log}");
    let api_key = std::fs::read_to_string(folder.join("api-key")).unwrap();
    let token = "b2b2b2b2a1a1";
    for (what, secret) in [
        ("a device token", token),
        ("an alias", "secret-alias"),
        ("a payload", "Hello from Dunlin"),
        ("an API key", api_key.trim()),
        ("a provider token", "eyJhbGciOi"),
        ("a private key", "PRIVATE KEY"),
    ] {
        let found = log.lines().find(|line| line.contains(secret));
        assert!(found.is_none(), "{what} is in the log: {found:?}");
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_open_requests() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("dev");
    let mut dev = Dev::start(&at);
    let mut open = TcpStream::connect(dev.http()).unwrap();
    // The rest of its body never comes.
    write!(
        open,
        "POST /v1/push HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-length: 9\r\n\
        \r\n{{",
        dev.said_of("API key")
    )
    .unwrap();
    dev.signal("-INT");
    let until = Instant::now() + PATIENCE;
    let log = at.with_extension("log");
    while !std::fs::read_to_string(&log)
        .unwrap()
        .contains("finishing open requests")
    {
        assert!(Instant::now() < until, "it does not begin to stop");
        std::thread::yield_now();
    }
    dev.signal("-INT");
    assert_eq!(dev.running.ended().code(), Some(130));
}

fn fails_with(arguments: &[&str], expected: &str) {
    let output = Command::new(DUNLIN).args(arguments).output().unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        errors.contains(expected),
        "expected {expected:?} in {errors}"
    );
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn a_wrong_start_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dunlin.toml");
    let path = file.to_str().unwrap();
    fails_with(&["serve", "--config", path], "No such file");
    std::fs::write(&file, "[hosts]\n").unwrap();
    fails_with(&["serve", "--config", path], "hosts");
    std::fs::write(&file, "[host]\nlisten = \"nowhere\"\n").unwrap();
    fails_with(
        &["serve", "--config", path],
        "listen: expected an address and a port, such as \"127.0.0.1:8080\"",
    );
    std::fs::write(&file, "[apns.production]\nhost = \"[::1\"\n").unwrap();
    fails_with(
        &["serve", "--config", path],
        "apns.production.host: expected a host name or an IP address, such as",
    );
    let key = "[[credentials]]\nkey_id = \"AAAAAAAAAA\"\nteam_id = \"AAAAAAAAAA\"\n";
    std::fs::write(&file, format!("{key}key_file = \"none.p8\"\n")).unwrap();
    fails_with(&["serve", "--config", path], "none.p8");
    std::fs::write(&file, format!("{key}key_file = \"../none.p8\"\n")).unwrap();
    fails_with(
        &["serve", "--config", path],
        "expected a file in the folder of the configuration file",
    );
    std::fs::write(&file, "[host]\nqueue = 0\n").unwrap();
    fails_with(
        &["serve", "--config", path],
        "host.queue: expected 1 to 1000000, got 0",
    );
    std::fs::write(&file, "[host.addresses]\n\"a.b\" = []\n").unwrap();
    fails_with(
        &["serve", "--config", path],
        "host.addresses.a.b: expected 1 to 8 addresses, got 0",
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    std::fs::write(&file, format!("[host]\nlisten = \"{address}\"\n")).unwrap();
    fails_with(&["serve", "--config", path], "cannot listen on");
    std::fs::write(
        &file,
        "[host]\nlisten = \"127.0.0.1:0\"\n[store]\nkind = \"memory\"\n",
    )
    .unwrap();
    let text = folder.path().join("not.wasm");
    std::fs::write(&text, "hello").unwrap();
    let arguments = [
        "serve",
        "--config",
        path,
        "--component",
        text.to_str().unwrap(),
    ];
    fails_with(&arguments, "dunlin:");
    fails_with(&["simulate", "--key", "x"], "expected KEYID:TEAMID:FILE");
}
