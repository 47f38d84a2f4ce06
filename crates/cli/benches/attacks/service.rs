//! The simulator and the service, as processes of their own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

/// With every scope.
pub const API_KEY: &str = "bench";

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Both of them; they end with it.
pub struct Service {
    pub address: SocketAddr,
    service: Killed,
    _simulator: Killed,
    _folder: tempfile::TempDir,
}

impl Service {
    /// Starts both; the service by `wrap`, if that is a command.
    pub fn start(wrap: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (simulator, port) = simulate(folder.path());
        let config = configure(folder.path(), port);
        let (service, address) = serve(wrap, &config);
        Self {
            address,
            service,
            _simulator: simulator,
            _folder: folder,
        }
    }

    /// What the service has of the machine's memory, that of all processes that `wrap` began.
    pub fn resident_mib(&self) -> u64 {
        let mut all = vec![self.service.0.id()];
        let mut kib = 0;
        while let Some(process) = all.pop() {
            let children = format!("/proc/{process}/task/{process}/children");
            let children = fs::read_to_string(children).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|id| id.parse::<u32>().ok()),
            );
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("VmRSS:"));
            let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
            kib += value.unwrap_or_default();
        }
        kib / 1024
    }
}

/// Starts the simulator; the port of its provider API.
fn simulate(folder: &Path) -> (Killed, u16) {
    let mut child = Command::new(DUNLIN)
        .args(["simulate", "--accept-all", "--provider", "127.0.0.1:0"])
        .args(["--gateway", "127.0.0.1:0", "--feedback", "127.0.0.1:0"])
        .args(["--channels", "127.0.0.1:0", "--control", "127.0.0.1:0"])
        .arg("--folder")
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = output.lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("provider API")).unwrap();
    let port = line.split(':').nth(2).unwrap();
    let port = port.split(' ').next().unwrap().parse().unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    (Killed(child), port)
}

fn configure(folder: &Path, port: u16) -> PathBuf {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let config = folder.join("config");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("key.p8"), key.serialize_pem()).unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, API_KEY.as_bytes());
    let hash = hex::encode(hash.as_ref());
    let text = format!(
        "[host]\nlisten = \"127.0.0.1:0\"\n[apns.production]\nhost = \"localhost\"\nport = {port}\n\
         [[credentials]]\nkey_id = \"BENCHKEY01\"\nteam_id = \"BENCHTEAM1\"\nkey_file = \"key.p8\"\n\
         [[api_keys]]\nname = \"bench\"\nsha256 = \"{hash}\"\nscopes = [\"admin\"]\n\
         [store]\nkind = \"file\"\npath = \"../store.redb\"\n\
         [tls.trust]\nlocalhost = \"../ca.pem\"\n"
    );
    let file = config.join("dunlin.toml");
    fs::write(&file, text).unwrap();
    file
}

fn serve(wrap: &[String], config: &Path) -> (Killed, SocketAddr) {
    let words = wrap.iter().map(String::as_str).chain([DUNLIN]);
    let mut words = words.chain(["--log-format", "json", "serve", "--config"]);
    let mut child = Command::new(words.next().unwrap())
        .args(words)
        .arg(config)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let address = loop {
        let mut line = String::new();
        let read = log.read_line(&mut line).unwrap();
        assert!(read > 0, "the service did not start");
        // The wrapping command may say something too.
        let Ok(line) = serde_json::from_str::<serde_json::Value>(&line) else {
            continue;
        };
        if line["message"] == "listening" {
            break line["address"].as_str().unwrap().parse().unwrap();
        }
    };
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if !line.contains("\"INFO\"") {
                eprintln!("{line}");
            }
        }
    });
    (Killed(child), address)
}
