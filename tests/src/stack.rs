//! The whole thing in one process: a simulator, a configuration, and the service in front of it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dunlin_cli::serve::Server;
use dunlin_simulator::{Config, PublicKey, Simulator, TrustedKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Client, Reply};
use crate::wasmtime_serve::Serve;

const KEY_ID: &str = "TESTKEY001";
const TEAM_ID: &str = "TESTTEAM01";

/// The API key that the configuration knows, with every scope.
pub const API_KEY: &str = "an-api-key-of-the-tests";

/// An app.
pub const TOPIC: &str = "com.example.app";

/// What runs the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Ours.
    Host,
    /// `wasmtime serve`, with the plugs.
    Wasmtime,
    /// The same with its own store of the older interface, which forgets.
    WasmtimeKeyValue,
}

impl Platform {
    /// The host, unless `DUNLIN_TEST_PLATFORM=wasmtime`: the same suite with the plugs.
    fn of_the_suite() -> Self {
        match std::env::var("DUNLIN_TEST_PLATFORM").as_deref() {
            Ok("wasmtime") => Self::Wasmtime,
            _ => Self::Host,
        }
    }
}

/// How the stack differs from the usual.
#[derive(Debug)]
pub struct Options {
    /// What runs the component.
    pub platform: Platform,
    /// Of a push, from being handed in to its outcome.
    pub timeout: Duration,
    /// `transport` in `[delivery]`.
    pub transport: String,
    /// How often the schedule polls feedback.
    pub feedback_every: &'static str,
    /// Further lines of the credential that is a key; without them it is for all topics.
    pub key: String,
    /// Further lines of configuration.
    pub extra: String,
    /// Of the simulator.
    pub simulator: Config,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            platform: Platform::of_the_suite(),
            timeout: Duration::from_secs(5),
            transport: transport(),
            feedback_every: "never",
            key: String::new(),
            extra: String::new(),
            simulator: Config::default(),
        }
    }
}

/// The way to APNs that the tests are run over: `DUNLIN_TEST_TRANSPORT`, or sockets.
fn transport() -> String {
    std::env::var("DUNLIN_TEST_TRANSPORT").unwrap_or_else(|_| "sockets".to_owned())
}

/// Whether the tests are run over sockets.
pub fn over_sockets() -> bool {
    transport() == "sockets"
}

/// Whether a test is to be skipped, because the tests are run over something else and `what` needs
/// sockets; the reason is printed.
pub fn wants_sockets(what: &str) -> bool {
    if !over_sockets() {
        println!("skipped over {}: {what}", transport());
    }
    !over_sockets()
}

/// Whether the tests are run on the host.
pub fn on_the_host() -> bool {
    Platform::of_the_suite() == Platform::Host
}

/// Whether a test is to be skipped, because the tests are run on another platform and `what` is the
/// host's; the reason is printed.
pub fn wants_the_host(what: &str) -> bool {
    if !on_the_host() {
        println!("skipped on {:?}: {what}", Platform::of_the_suite());
    }
    !on_the_host()
}

/// A running stack. [`Stack::stop`] ends it and leaves its files, with which [`Stack::start`] goes
/// on.
pub struct Stack {
    /// APNs.
    pub simulator: Simulator,
    /// Where the service listens.
    pub address: SocketAddr,
    /// The configuration file of the service.
    pub config_file: PathBuf,
    folder: PathBuf,
    service: Service,
}

enum Service {
    Host {
        stop: oneshot::Sender<()>,
        ended: JoinHandle<()>,
    },
    Wasmtime(Serve),
}

impl Service {
    async fn start(platform: Platform, folder: &Path, config: &Path) -> (Self, SocketAddr) {
        if platform == Platform::Host {
            let server = Server::start(config, None).await.unwrap();
            let address = server.address();
            let (stop, stopped) = oneshot::channel();
            let ended = tokio::spawn(server.run(async {
                let _ = stopped.await;
            }));
            return (Self::Host { stop, ended }, address);
        }
        let folder = folder.to_owned();
        // A build waits, and so does the compiler.
        let serving = tokio::task::spawn_blocking(move || {
            let built = crate::plugs::built();
            match platform {
                Platform::WasmtimeKeyValue => Serve::start(&built.standalone_draft, &folder, true),
                _ => Serve::start(&built.standalone, &folder, false),
            }
        });
        let serve = serving.await.unwrap();
        let address = serve.address;
        (Self::Wasmtime(serve), address)
    }
}

impl Stack {
    /// Starts everything in `folder`.
    pub async fn start(folder: &Path, options: Options) -> Self {
        let config_folder = folder.join("config");
        std::fs::create_dir_all(&config_folder).unwrap();
        let key = signing_key(&config_folder.join("key.p8"));
        let mut config = options.simulator.clone();
        config.keys = vec![TrustedKey {
            key_id: KEY_ID.into(),
            team_id: TEAM_ID.into(),
            public_key: PublicKey::from_sec1(key.public_key_raw()).unwrap(),
            topics: None,
            environment: None,
        }];
        let simulator = Simulator::start(config).await.unwrap();
        std::fs::write(folder.join("ca.pem"), simulator.ca_pem()).unwrap();
        let file = config_folder.join("dunlin.toml");
        let text = configuration(&simulator, &options);
        std::fs::write(&file, text).unwrap();
        let client = simulator.authority().issue_client(TOPIC).unwrap();
        let pem = format!("{}{}", client.certificate_pem, client.key_pem);
        std::fs::write(folder.join("client.pem"), pem).unwrap();
        let (service, address) = Service::start(options.platform, folder, &file).await;
        Self {
            simulator,
            address,
            config_file: file,
            folder: folder.to_owned(),
            service,
        }
    }

    /// Stops the service as SIGTERM does, and the simulator.
    pub async fn stop(self) -> PathBuf {
        match self.service {
            Service::Host { stop, ended } => {
                let _ = stop.send(());
                ended.await.unwrap();
            }
            Service::Wasmtime(serve) => drop(serve),
        }
        self.simulator.shutdown().await;
        self.folder
    }

    /// Instances made so far, where the platform makes them as it likes.
    pub fn instances(&self) -> usize {
        match &self.service {
            Service::Host { .. } => 0,
            Service::Wasmtime(serve) => serve.instances(),
        }
    }

    /// Sends a request with the API key.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        Client::new(self.address)
            .key(API_KEY)
            .call(method, path, body)
            .await
    }

    /// Pushes until APNs has taken one, where each has less time than a busy machine may need.
    pub async fn push_until_accepted(&self, token: &str, payload: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let result = self.push(token, payload).await;
            if result["outcome"] == "accepted" {
                return;
            }
            assert!(Instant::now() < until, "{result}");
        }
    }

    /// Pushes `payload` to a token and gives the one result.
    pub async fn push(&self, token: &str, payload: &str) -> serde_json::Value {
        let body = push_body(token, payload);
        let reply = self.call("POST", "/v1/push", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["results"][0].clone()
    }
}

/// The body of a push to one token.
pub fn push_body(token: &str, payload: &str) -> String {
    format!(r#"{{"to":{{"token":"{token}"}},"topic":"{TOPIC}","payload":{payload}}}"#)
}

/// A device token that differs with `n`.
pub fn token(n: u32) -> String {
    format!("{n:064x}")
}

fn signing_key(path: &Path) -> KeyPair {
    if let Ok(pem) = std::fs::read_to_string(path) {
        return KeyPair::from_pem(&pem).unwrap();
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    std::fs::write(path, key.serialize_pem()).unwrap();
    key
}

fn configuration(simulator: &Simulator, options: &Options) -> String {
    let Options {
        timeout,
        transport,
        feedback_every: every,
        key,
        extra,
        ..
    } = options;
    let mut hash = String::new();
    for byte in Sha256::digest(API_KEY) {
        write!(hash, "{byte:02x}").unwrap();
    }
    let timeout = timeout.as_millis();
    let port = simulator.provider_addr().port();
    let channels = simulator.channels_addr().port();
    let gateway = simulator.gateway_addr().port();
    let feedback = simulator.feedback_addr().port();
    format!(
        r#"
[apns.development]
host = "localhost"
port = {port}
channels = {{ host = "localhost", port = {channels} }}

[apns.production]
host = "localhost"
port = {port}
channels = {{ host = "localhost", port = {channels} }}

[[credentials]]
key_id = "{KEY_ID}"
team_id = "{TEAM_ID}"
key_file = "key.p8"
{key}

[[api_keys]]
name = "tests"
sha256 = "{hash}"
scopes = ["admin"]

[[api_keys]]
name = "send only, one topic"
sha256 = "{send_only}"
scopes = ["send"]
topics = ["com.example.other"]

[[binary]]
topic = "{TOPIC}"
environment = "development"
identity = "app"
gateway = {{ host = "localhost", port = {gateway} }}
feedback = {{ host = "localhost", port = {feedback} }}

[[tasks]]
name = "feedback"
every = "{every}"

[[tasks]]
name = "sweep"
every = "never"

[delivery]
timeout_ms = {timeout}
transport = "{transport}"
default_environment = "development"

[store]
kind = "file"
path = "../store.redb"

[tls.trust]
localhost = "../ca.pem"

[tls.identities.app]
certificate = "../client.pem"

[host]
listen = "127.0.0.1:0"
instances = 2
{extra}
"#,
        send_only = SEND_ONLY_HASH,
    )
}

/// SHA-256 of `send-only`.
const SEND_ONLY_HASH: &str = "e3175375aca59a85de2ecdbc356e1b89d751e70162fadaec9952819e33874ddf";
