//! The service as it is shipped, as a process of its own, with the benchmark's server as its APNs.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use dunlin_test_support::running::Running;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;

use crate::load::{Call, Clients, Load, Make, Protocol};
use crate::senders::{PAYLOAD, TOPIC, token};
use crate::server::Server;

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

/// With every scope.
pub const API_KEY: &str = "bench";

/// Aliases with a device each.
pub const ALIASES: u64 = 100;

/// Registered tokens begin here, apart from those that are pushed to unregistered.
const OTHERS: u64 = 1 << 32;

/// What is configured of the service besides where everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Setup {
    pub instances: usize,
    /// The most to APNs, of each instance.
    pub connections: usize,
}

impl Setup {
    /// On two cores, and by default.
    pub const SHIPPED: Self = Self {
        instances: 2,
        connections: 4,
    };
    /// One of everything.
    pub const ONE: Self = Self {
        instances: 1,
        connections: 1,
    };
}

/// Ends with this.
pub struct Service {
    pub address: SocketAddr,
    pub process: u32,
    /// Resident memory before anything was asked for, in KiB.
    pub idle_kib: u64,
    store: PathBuf,
    running: Running,
}

impl Service {
    /// Starts one with a store of its own, pushes once, and registers the aliases.
    pub fn start(folder: &Path, setup: Setup, server: &Server) -> Result<Self, String> {
        let name = format!("{}-{}", setup.instances, setup.connections);
        let service = Self::begin(folder, &name, setup, server)?;
        service.push()?;
        service.register(0..ALIASES, "user")?;
        Ok(service)
    }

    /// From the start of a process to its first accepted push.
    pub fn first_push(folder: &Path, server: &Server) -> Result<Duration, String> {
        let began = Instant::now();
        let service = Self::begin(folder, "first", Setup::SHIPPED, server)?;
        service.push()?;
        Ok(began.elapsed())
    }

    fn begin(folder: &Path, name: &str, setup: Setup, server: &Server) -> Result<Self, String> {
        let config = configure(folder, name, setup, server).map_err(|error| error.to_string())?;
        let mut command = Command::new(DUNLIN);
        command.args(["--log-format", "json", "serve", "--config"]);
        let running = Running::start(command.arg(&config));
        let address = running.address();
        let address = address.ok_or_else(|| format!("it does not start: {}", running.text()))?;
        let process = running.child.id();
        Ok(Self {
            address,
            process,
            idle_kib: crate::usage::resident_kib(process),
            store: config.with_file_name("store.redb"),
            running,
        })
    }

    fn push(&self) -> Result<(), String> {
        let call = Rc::new(push(&[token(0)]));
        self.ask(1, &move |_| Rc::clone(&call), "\"accepted\":1")
    }

    /// Registers a device for each of the numbers, by an alias of its own and with two tags.
    pub fn register(&self, numbers: std::ops::Range<u64>, name: &str) -> Result<(), String> {
        let first = numbers.start;
        let make = |n: u64| Rc::new(registration(first + n, name));
        self.ask(numbers.end - first, &make, "\"topic\"")
    }

    fn ask(&self, requests: u64, make: &Make<'_>, expects: &str) -> Result<(), String> {
        let clients = Clients {
            protocol: Protocol::Http1,
            connections: 1,
        };
        let load = Load {
            address: self.address,
            clients,
            requests,
            make,
            statuses: 200..300,
            expects,
        };
        let asked = load.run();
        asked
            .map(|_| ())
            .map_err(|why| format!("{why}\n{}", self.complaints()))
    }

    /// What it has on disk, in bytes.
    pub fn stored(&self) -> u64 {
        fs::metadata(&self.store).map_or(0, |file| file.len())
    }

    /// What it has said but for what it says when all is well.
    pub fn complaints(&self) -> String {
        let text = self.running.text();
        let lines = text.lines().filter(|line| !line.contains("\"INFO\""));
        lines.take(10).collect::<Vec<_>>().join("\n")
    }
}

/// A push of the payload to these tokens.
pub fn push(tokens: &[String]) -> Call {
    let to = match tokens {
        [token] => json!({"token": token}),
        tokens => json!({"tokens": tokens}),
    };
    push_to(&to)
}

/// A push of the payload to an alias of those that were registered at the start.
pub fn push_to_alias(number: u64) -> Call {
    push_to(&json!({"alias": format!("user-{number}")}))
}

fn push_to(to: &serde_json::Value) -> Call {
    let body = format!(r#"{{"to":{to},"topic":"{TOPIC}","payload":{PAYLOAD}}}"#);
    Call::new("/v1/push", API_KEY, body.into_bytes())
}

/// A registration with an alias and two tags.
pub fn registration(number: u64, name: &str) -> Call {
    let body = json!({
        "token": format!("{:016x}", number + OTHERS).repeat(4),
        "topic": TOPIC,
        "alias": format!("{name}-{number}"),
        "tags": ["news", "sport"],
    });
    Call::new("/v1/devices", API_KEY, body.to_string().into_bytes())
}

fn configure(folder: &Path, name: &str, setup: Setup, server: &Server) -> std::io::Result<PathBuf> {
    let config = folder.join(name);
    fs::create_dir_all(&config)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(std::io::Error::other)?;
    fs::write(config.join("key.p8"), key.serialize_pem())?;
    fs::write(config.join("ca.pem"), &server.authority)?;
    let hash = ring::digest::digest(&ring::digest::SHA256, API_KEY.as_bytes());
    let text = format!(
        "[host]\nlisten = \"127.0.0.1:0\"\ncache = \"{}\"\ninstances = {}\n\
         [apns.production]\nhost = \"localhost\"\nport = {}\n\
         [[credentials]]\nkey_id = \"BENCHKEY01\"\nteam_id = \"BENCHTEAM1\"\n\
         key_file = \"key.p8\"\n[[api_keys]]\nname = \"bench\"\nsha256 = \"{}\"\n\
         scopes = [\"admin\"]\n[store]\nkind = \"file\"\npath = \"store.redb\"\n\
         [tls.trust]\nlocalhost = \"ca.pem\"\n[delivery]\nconnections = {}\n",
        folder.join("cache").display(),
        setup.instances,
        server.tls.port(),
        hex::encode(hash.as_ref()),
        setup.connections,
    );
    let file = config.join("dunlin.toml");
    fs::write(&file, text)?;
    Ok(file)
}
