//! A service without APNs behind it, and `dunlin devices` beside it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use dunlin_cli::serve::Server;
use dunlin_test_support::running::PATIENCE;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");
pub const TOPIC: &str = "com.example.app";
const API_KEY: &str = "k";

/// SHA-256 of the API key.
const API_KEY_HASH: &str = "8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a";

/// A folder with a configuration, and a store that is made when it is first used.
pub struct Place {
    folder: tempfile::TempDir,
    port: u16,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// A service that runs until it is stopped.
pub struct Service {
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::fs::create_dir(folder.path().join("config")).unwrap();
        let text = format!(
            "[[api_keys]]\nname = \"tests\"\nsha256 = \"{API_KEY_HASH}\"\nscopes = [\"admin\"]\n\
             [store]\nkind = \"file\"\npath = \"../store.redb\"\n\
             [host]\nlisten = \"127.0.0.1:{port}\"\ninstances = 1\n"
        );
        std::fs::write(folder.path().join("config/dunlin.toml"), text).unwrap();
        Self { folder, port }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("config/dunlin.toml")
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Writes a file, and says what it is called.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub async fn serve(&self) -> Service {
        let server = Server::start(&self.config(), None).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            let _: Result<(), _> = stopped.await;
        }));
        Service { stop, running }
    }

    /// `dunlin devices` with these words.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(DUNLIN);
        command
            .arg("devices")
            .args(words)
            .env("DUNLIN_CONFIG", self.config())
            .env("DUNLIN_API_KEY", API_KEY)
            .env_remove("DUNLIN_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it, off the threads that serve it.
    pub async fn run(&self, words: &[&str]) -> Ran {
        ended(self.command(words)).await
    }

    /// All devices of an app, by their tokens, as an export has them.
    pub async fn devices(&self, topic: &str) -> BTreeMap<String, Value> {
        let ran = self.run(&["export", "--topic", topic]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let lines: Vec<Value> = json_lines(&ran.out);
        let count = lines.len();
        let token = |device: &Value| device["token"].as_str().unwrap().to_owned();
        let devices: BTreeMap<_, _> = lines
            .into_iter()
            .map(|device| (token(&device), device))
            .collect();
        assert_eq!(devices.len(), count, "none is there twice");
        devices
    }

    /// The line that the journal of a file has come to.
    pub fn line(&self, file: &str) -> u64 {
        let journal = std::fs::read(self.path(&format!("{file}.journal")));
        let journal = journal.map(|text| serde_json::from_slice::<Value>(&text).unwrap());
        journal.map_or(0, |journal| journal["line"].as_u64().unwrap())
    }

    /// Waits until it has come to some line.
    pub async fn until_begun(&self, file: &str) {
        let until = Instant::now() + PATIENCE;
        while self.line(file) == 0 {
            assert!(Instant::now() < until, "it does not get on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn refused(&self, file: &str) -> Vec<Value> {
        let path = self.path(&format!("{file}.refused.ndjson"));
        json_lines(&std::fs::read_to_string(path).unwrap_or_default())
    }
}

impl Service {
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
    }
}

pub async fn ended(mut command: Command) -> Ran {
    let run = move || command.output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    ran(&output)
}

pub fn ran(output: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

pub fn json_lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub fn token(n: u64) -> String {
    format!("{n:064x}")
}

/// The line of a registration.
pub fn line(n: u64) -> String {
    let token = token(n);
    format!("{{\"token\":\"{token}\",\"topic\":\"{TOPIC}\",\"alias\":\"user {n}\"}}\n")
}

/// So many lines, of which every thousandth has no token.
pub fn lines(count: u64) -> String {
    let line = |n: u64| match n % 1_000 {
        999 => format!("{{\"topic\":\"{TOPIC}\"}}\n"),
        _ => line(n),
    };
    (0..count).map(line).collect()
}

/// Has a service answered through a door that shuts, as often as is said, when so many bytes of
/// answers have come through.
pub async fn door(to: SocketAddr, shuts: usize, after: usize) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (client, _) = listener.accept().await.unwrap();
            let bytes = if number < shuts { after } else { usize::MAX };
            tokio::spawn(pass(client, to, bytes));
        }
    });
    address
}

async fn pass(client: TcpStream, to: SocketAddr, bytes: usize) {
    let Ok(service) = TcpStream::connect(to).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_service, mut to_service) = service.into_split();
    let up = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_service).await;
    });
    let (mut buffer, mut left) = (vec![0; 4_096], bytes);
    while left > 0 {
        let Ok(read @ 1..) = from_service.read(&mut buffer).await else {
            break;
        };
        let passed = read.min(left);
        left -= passed;
        if to_client.write_all(&buffer[..passed]).await.is_err() {
            break;
        }
    }
    up.abort();
}

/// Whether a folder has a file of this name.
pub fn has(place: &Place, name: &str) -> bool {
    Path::new(&place.path(name)).exists()
}
