//! The binary on a machine that is not kind to it: a full disk, a process that is stopped and goes
//! on, a terminal that hangs up, an umask that leaves everything open.
#![cfg(test)]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dunlin_cli::client::{Answer, ask};
use dunlin_test_support::running::{PATIENCE, Running};
use rustix::process::{Pid, Signal, kill_process};

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");
const TOPIC: &str = "com.example.app";
const ALERT: &str = r#"{"aps":{"alert":"hi"}}"#;

/// `dunlin dev` on free ports.
fn dev(command: &mut Command, folder: &Path) -> Running {
    let ports = ["--listen", "127.0.0.1:0", "--simulator", "127.0.0.1:0"];
    Running::start(command.arg("dev").args(ports).arg("--folder").arg(folder))
}

fn signal(running: &Running, signal: Signal) {
    kill_process(Pid::from_child(&running.child), signal).unwrap();
}

/// Where the service is, and its API key, from the greeting.
fn service(dev: &Running) -> Service {
    let after = |label: &str| {
        dev.line(|line| {
            let rest = line.trim().strip_prefix(label)?;
            Some(rest.trim().to_owned())
        })
    };
    let key = after("API key");
    let address = after("HTTP interface");
    let address = address.trim_start_matches("http://").parse().unwrap();
    Service { address, key }
}

struct Service {
    address: SocketAddr,
    key: String,
}

impl Service {
    async fn call(&self, method: &str, path: &str, body: String) -> (u16, String) {
        let patience = Duration::from_secs(60);
        let answer = ask(
            self.address,
            method,
            path,
            Some(&self.key),
            body.into_bytes(),
            patience,
        );
        let Answer { status, body } = answer.await.unwrap();
        (status, body)
    }

    async fn push(&self, n: u32) -> (u16, String) {
        let token = format!("{n:064x}");
        let to = format!(r#""to":{{"token":"{token}"}}"#);
        let body = format!(r#"{{{to},"topic":"{TOPIC}","payload":{ALERT}}}"#);
        self.call("POST", "/v1/push", body).await
    }

    async fn register(&self, n: u32) -> (u16, String) {
        let path = format!("/v1/devices/{n:064x}");
        let body = format!(r#"{{"topic":"{TOPIC}","alias":"a{n}"}}"#);
        self.call("PUT", &path, body).await
    }

    async fn until_status(&self, path: &str, status: u16) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let (found, body) = self.call("GET", path, String::new()).await;
            if found == status {
                return body;
            }
            assert!(Instant::now() < until, "{found} {body}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A file or folder and all below it, with their rights.
fn modes(path: &Path, found: &mut Vec<(PathBuf, u32)>) {
    let metadata = path.symlink_metadata().unwrap();
    found.push((path.to_owned(), metadata.permissions().mode() & 0o7777));
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            modes(&entry.unwrap().path(), found);
        }
    }
}

/// The component is compiled anew for this.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_made_is_for_one_user_whatever_the_umask() {
    let top = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 000; exec \"$0\" \"$@\"", DUNLIN])
        .env("XDG_CACHE_HOME", top.path().join("xdg"));
    let dev = dev(&mut command, &top.path().join("dev"));
    let service = service(&dev);
    service.until_status("/readyz", 200).await;
    assert_eq!(service.register(1).await.0, 201);
    let mut found = Vec::new();
    for made in ["xdg", "dev"] {
        modes(&top.path().join(made), &mut found);
    }
    let has = |name: &str| found.iter().any(|(path, _)| path.ends_with(name));
    for name in ["xdg/dunlin/modules", "api-key", "ca-key.pem", "dunlin.redb"] {
        assert!(has(name), "{name} in {found:?}");
    }
    for (path, mode) in &found {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(*mode, expected, "{} {mode:o}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_is_a_line_in_the_log_and_nothing_else() {
    let top = tempfile::tempdir().unwrap();
    let dev = dev(&mut Command::new(DUNLIN), top.path());
    let service = &service(&dev);
    let pushes = (0..200).map(|n| async move { service.push(n).await });
    let pushes = futures_util::future::join_all(pushes);
    let hanging_up = async {
        for _ in 0..3 {
            signal(&dev, Signal::HUP);
            tokio::task::yield_now().await;
        }
    };
    let (pushes, ()) = futures_util::future::join(pushes, hanging_up).await;
    for (status, body) in pushes {
        assert_eq!(status, 200, "{body}");
        assert!(body.contains(r#""outcome":"accepted""#), "{body}");
    }
    // Signals of one kind are told together.
    dev.line(|line| line.contains("SIGHUP is ignored").then_some(()));
    assert!(dev.count("SIGHUP is ignored") <= 3);
    assert_eq!(service.push(1_000).await.0, 200);

    let mut simulate = Running::start(
        Command::new(DUNLIN)
            .args([
                "simulate",
                "--provider",
                "127.0.0.1:0",
                "--channels",
                "127.0.0.1:0",
            ])
            .args(["--gateway", "127.0.0.1:0", "--feedback", "127.0.0.1:0"])
            .args(["--control", "127.0.0.1:0", "--folder"])
            .arg(top.path().join("simulate")),
    );
    simulate.line(|line| line.contains("is up").then_some(()));
    signal(&simulate, Signal::HUP);
    simulate.line(|line| line.contains("SIGHUP is ignored").then_some(()));
    signal(&simulate, Signal::TERM);
    assert!(simulate.ended().success());
}

/// Half a second each time, where the function may run for 300 ms without yielding.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_stopped_and_goes_on_loses_no_push() {
    let top = tempfile::tempdir().unwrap();
    let first = dev(&mut Command::new(DUNLIN), top.path());
    let simulator = service(&first);
    // The service beside it: its own configuration, and the simulator of the other.
    let config = std::fs::read_to_string(top.path().join("config/dunlin.toml")).unwrap();
    let (before, after) = config.split_once("\nlisten = ").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    let host = "listen = \"127.0.0.1:0\"\ninstances = 1\nstall_timeout_ms = 300";
    let config = format!("{before}\n{host}\n{after}")
        .replace("path = \"../dunlin.redb\"", "path = \"../second.redb\"");
    let file = top.path().join("config/second.toml");
    std::fs::write(&file, config).unwrap();
    let second = Running::start(
        Command::new(DUNLIN)
            .args(["--log-format", "json", "serve", "--config"])
            .arg(&file),
    );
    let address = second.address().unwrap();
    let key = simulator.key.clone();
    let service = Arc::new(Service { address, key });
    service.until_status("/readyz", 200).await;
    let tokens: Vec<_> = (0..1_000).map(|n| format!("\"{n:064x}\"")).collect();
    let to = format!(r#""to":{{"tokens":[{}]}}"#, tokens.join(","));
    let body = format!(r#"{{{to},"topic":"{TOPIC}","payload":{ALERT},"dry_run":true}}"#);
    // It is busy all the time, and pushes go on.
    let (busy, stopped) = tokio::sync::watch::channel(());
    let work = (0..4).map(|n: u32| {
        let (service, body, stopped) = (Arc::clone(&service), body.clone(), stopped.clone());
        tokio::spawn(async move {
            let mut answers = Vec::new();
            while stopped.has_changed().is_ok() {
                answers.push(service.call("POST", "/v1/push", body.clone()).await);
                answers.push(service.push(n).await);
            }
            answers
        })
    });
    let work: Vec<_> = work.collect();
    for _ in 0..6 {
        signal(&second, Signal::STOP);
        tokio::time::sleep(Duration::from_millis(500)).await;
        signal(&second, Signal::CONT);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop((busy, stopped));
    for answers in futures_util::future::join_all(work).await {
        for (status, body) in answers.unwrap() {
            assert_eq!(status, 200, "{body}");
        }
    }
    assert_eq!(second.count("was stopped"), 0);
}

/// A small disk of its own; `None`, with a word about it, where only root may make one and we are
/// not.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs"])
            .arg(at)
            .output();
        let why = match mounted {
            Ok(output) if output.status.success() => return Some(Self(at.to_owned())),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        println!("skipped: a disk that is full wants root, to mount a small one: {why}");
        None
    }

    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 4_096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_nothing_that_needs_no_disk() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("dev");
    std::fs::create_dir(&folder).unwrap();
    let Some(disk) = Disk::mount(&folder) else {
        return;
    };
    let dev = dev(&mut Command::new(DUNLIN), &folder);
    let service = service(&dev);
    service.until_status("/readyz", 200).await;
    assert_eq!(service.register(1).await.0, 201);
    assert_eq!(service.push(1).await.0, 200);
    // Their first runs come of themselves, and one that the full disk stops is logged as well.
    for task in ["task=feedback", "task=sweep"] {
        let is_done = |line: &str| line.contains("task done") && line.contains(task);
        dev.line(|line| is_done(line).then_some(()));
    }
    disk.fill();
    // Some room may be left in the file.
    let until = Instant::now() + PATIENCE;
    let mut n = 1_000;
    while service.register(n).await.0 != 503 {
        n += 1;
        assert!(Instant::now() < until);
    }
    let unready = service.until_status("/readyz", 503).await;
    assert!(unready.contains("No space left on device"), "{unready}");
    for n in 0..100 {
        let began = Instant::now();
        let (status, body) = service.register(n).await;
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("urn:dunlin:store-unavailable"), "{body}");
        assert!(began.elapsed() < Duration::from_secs(5));
        let (status, body) = service.push(n).await;
        assert_eq!(status, 200, "{body}");
        assert!(body.contains(r#""accepted":1"#), "{body}");
        let path = format!("/v1/devices/{:064x}?topic={TOPIC}", 1);
        let (status, body) = service.call("GET", &path, String::new()).await;
        assert_eq!(status, 200, "{body}");
    }
    let (status, body) = service.call("POST", "/v1/tasks/sweep", String::new()).await;
    assert_eq!(status, 503, "{body}");
    let begun = dev.count("the store cannot be written");
    assert_eq!(begun, 1, "{}", dev.text());
    disk.free();
    service.until_status("/readyz", 200).await;
    assert_eq!(service.register(2).await.0, 201);
    dev.line(|line| line.contains("the store is written again").then_some(()));
    assert_eq!(dev.count("the store cannot be written"), 1);
    assert_eq!(dev.count("the store is written again"), 1);
    assert_eq!(dev.count("WARN"), 0, "{}", dev.text());
    drop(dev);
}
