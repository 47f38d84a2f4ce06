//! The simulator and the service, as processes of their own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use dunlin_test_support::running::{Running, simulate};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

/// With every scope.
pub const API_KEY: &str = "bench";

/// Both of them; they end with it.
pub struct Service {
    pub address: SocketAddr,
    service: Running,
    _simulator: Running,
    _folder: tempfile::TempDir,
}

impl Service {
    /// Starts both; the service by `wrap`, if that is a command.
    pub fn start(wrap: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (simulator, port) = simulate(DUNLIN, folder.path());
        let config = configure(folder.path(), port);
        let (service, address) = serve(wrap, &config);
        Self {
            address,
            service,
            _simulator: simulator,
            _folder: folder,
        }
    }

    /// What the service has said, but for what it says when all is well.
    pub fn complaints(&self) -> Vec<String> {
        let text = self.service.text();
        let lines = text.lines().filter(|line| !line.contains("\"INFO\""));
        lines.map(str::to_owned).collect()
    }

    /// What the service has of the machine's memory, that of all processes that `wrap` began.
    pub fn resident_mib(&self) -> u64 {
        let mut all = vec![self.service.child.id()];
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

fn configure(folder: &Path, port: u16) -> PathBuf {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let config = folder.join("config");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("key.p8"), key.serialize_pem()).unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, API_KEY.as_bytes());
    let hash = hex::encode(hash.as_ref());
    let text = format!(
        "[host]\nlisten = \"127.0.0.1:0\"\n[apns.production]\nhost = \"localhost\"\nport = {port}\n\
         [[credentials]]\nkey_id = \"BENCHKEY01\"\nteam_id = \"BENCHTEAM1\"\n\
         key_file = \"key.p8\"\n\
         [[api_keys]]\nname = \"bench\"\nsha256 = \"{hash}\"\nscopes = [\"admin\"]\n\
         [store]\nkind = \"file\"\npath = \"../store.redb\"\n\
         [tls.trust]\nlocalhost = \"../ca.pem\"\n"
    );
    let file = config.join("dunlin.toml");
    fs::write(&file, text).unwrap();
    file
}

fn serve(wrap: &[String], config: &Path) -> (Running, SocketAddr) {
    let words = wrap.iter().map(String::as_str).chain([DUNLIN]);
    let mut words = words.chain(["--log-format", "json", "serve", "--config"]);
    let mut command = Command::new(words.next().unwrap());
    let running = Running::start(command.args(words).arg(config));
    let address = running.address().expect("the service starts");
    (running, address)
}
