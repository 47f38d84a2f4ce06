//! `dunlin dev`: everything at once, on this machine, with keys made on the spot.
//!
//! ```text
//!   <folder>/config/dunlin.toml       what the function sees: its configuration …
//!   <folder>/config/AuthKey_….p8      … and its signing key
//!   <folder>/api-key                  what the curl lines show
//!   <folder>/ca.pem, ca-key.pem       the simulator's certificate authority
//!   <folder>/client.pem               a client certificate for the binary protocols
//!   <folder>/dunlin.redb              the registry
//! ```
//!
//! What is there from an earlier run is used again, so that devices, keys and trust survive. The
//! configuration is written anew each time, because ports change. It says where the service
//! listens, so that the other commands ask this one and nobody else.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dunlin_host::files::{make_private_folder, read_or_make, write_private};
use dunlin_host::http_server;
use dunlin_host::listen::Listen;
use dunlin_simulator::{PublicKey, SecondEnvironment, Simulator, TrustedKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::net::TcpListener;

use crate::Error;
use crate::client::{ServiceUrl, ask};
use crate::config::Config;
use crate::hangup;
use crate::output;
use crate::serve::{Server, open_store, stop_signal};
use crate::simulate::{self, Rules};

/// Identifiers of the generated key; any ten characters do.
const KEY_ID: &str = "DUNLINDEV0";
const TEAM_ID: &str = "DUNLINTEAM";

/// The app that the curl lines and the client certificate are for.
const TOPIC: &str = "com.example.app";

/// The registry's file.
const STORE: &str = "dunlin.redb";

/// Where the page and the journal are unless that port is taken.
const CONTROL: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8081);

/// Where the HTTP interface is unless that port is taken.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// What `dunlin dev` can be told.
#[derive(Debug)]
pub struct DevOptions {
    /// Where everything is kept.
    pub folder: PathBuf,
    /// Where to listen; port 8080, or a free one if it is taken, unless given.
    pub listen: Option<Listen>,
    /// Where the simulator's page is; port 8081, or a free one if it is taken, unless given.
    pub simulator: Option<Listen>,
    /// What the simulator knows.
    pub rules: Rules,
    /// A component to run instead of the embedded one.
    pub component: Option<PathBuf>,
}

/// A development setup that is up.
pub struct Dev {
    server: Server,
    simulator: Simulator,
    api_key: String,
    folder: PathBuf,
    /// Whether tokens have to be declared.
    is_strict: bool,
}

impl std::fmt::Debug for Dev {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dev")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Dev {
    /// Makes what is missing in the folder and starts simulator and service.
    ///
    /// # Errors
    /// If the folder cannot be written, a given address is taken, or the service does not start.
    pub async fn start(options: &DevOptions) -> Result<Self, Error> {
        options.rules.check()?;
        let folder = &options.folder;
        let config_folder = folder.join("config");
        make_private_folder(&config_folder)?;
        // Also what keeps a second run out of this folder before it changes anything there.
        let store = open_store(&folder.join(STORE))?;
        let key = signing_key(&config_folder)?;
        let api_key = api_key(folder)?;
        let simulator = start_simulator(folder, &key, options).await?;
        let listener = match &options.listen {
            Some(listen) => listen.bind().await?,
            None => bind_or_any(LISTEN)?,
        };
        let listen = listener.local_addr()?;
        let config_file = config_folder.join("dunlin.toml");
        let client = simulator.authority().issue_client(TOPIC)?;
        let identity = format!("{}{}", client.certificate_pem, client.key_pem);
        write_private(&folder.join("client.pem"), &identity)?;
        write_private(&config_file, &configuration(&simulator, listen, &api_key))?;
        let config = Config::load(&config_file)?;
        let server = Server::start_on(
            listener,
            &config_file,
            config,
            store,
            options.component.as_deref(),
        )?;
        Ok(Self {
            server,
            simulator,
            api_key,
            folder: folder.clone(),
            is_strict: options.rules.strict_devices,
        })
    }

    /// Where the HTTP interface is.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The key that the HTTP interface takes.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The simulator, for tests that look at it.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// What to paste, for a person in front of a terminal.
    pub fn greeting(&self) -> String {
        let (http, page) = (self.address(), self.simulator.control_addr());
        let (key, folder) = (&self.api_key, self.folder.display());
        let token = "a1".repeat(32);
        let http = ServiceUrl::from(http);
        let declare = match self.is_strict {
            true => format!("  curl http://{page}/devices -d '{{\"token\":\"{token}\"}}'\n\n"),
            false => String::new(),
        };
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "
Dunlin is up. Ctrl-C stops it.

  HTTP interface   {http}
  API key          {key}
  simulated APNs   http://{page}   (open it in a browser: every notification, as a phone shows it)
  files            {folder}

Register a device, push to it, see what arrived:

{declare}  curl -X PUT {http}/v1/devices/{token} \\
    -H 'Authorization: Bearer {key}' \\
    -d '{{\"topic\":\"{TOPIC}\",\"alias\":\"me\"}}'

  curl {http}/v1/push \\
    -H 'Authorization: Bearer {key}' \\
    -d '{{\"to\":{{\"alias\":\"me\"}},\"payload\":{{\"aps\":{{\"alert\":\"Hello from Dunlin\"}}}}}}'

  curl http://{page}/notifications

"
        );
        text
    }

    /// Serves until `stop` resolves, and calls `greet` with [`Dev::greeting`] as soon as the
    /// service answers.
    pub async fn run(self, stop: impl Future<Output = ()> + Send, greet: impl FnOnce(&str)) {
        let (address, greeting) = (self.address(), self.greeting());
        {
            let mut serving = std::pin::pin!(self.server.run(stop));
            tokio::select! {
                // Whether it was stopped before it was up.
                () = &mut serving => {}
                () = answers(address) => {
                    greet(&greeting);
                    serving.await;
                }
            }
        }
        self.simulator.shutdown().await;
    }
}

/// Resolves when the service takes requests and has an instance to answer them: a first start
/// compiles the component and then makes instances, and whoever pastes a command before that is
/// refused.
async fn answers(address: SocketAddr) {
    let patience = Duration::from_secs(5);
    loop {
        let asked = ask(address, "GET", "/readyz", None, Vec::new(), patience).await;
        if asked.is_ok_and(|answer| answer.status == 200) {
            return;
        }
        tokio::time::sleep(READY_PAUSE).await;
    }
}

/// How long to wait before the service is asked again whether it is ready.
const READY_PAUSE: Duration = Duration::from_millis(50);

/// The command: starts, serves until a signal comes, and greets when it answers.
///
/// # Errors
/// As [`Dev::start`].
pub async fn run(options: &DevOptions) -> Result<(), Error> {
    let stop = hangup::or_lost_terminal(stop_signal()?)?;
    let dev = Dev::start(options).await?;
    // Standard output may be closed; the service is up all the same.
    dev.run(stop, |greeting| drop(output::data(greeting))).await;
    Ok(())
}

fn bind_or_any(preferred: SocketAddr) -> Result<TcpListener, Error> {
    match http_server::bind(preferred) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Ok(http_server::bind(SocketAddr::new(preferred.ip(), 0))?)
        }
        bound => Ok(bound?),
    }
}

fn signing_key(folder: &Path) -> Result<KeyPair, Error> {
    let path = folder.join(format!("AuthKey_{KEY_ID}.p8"));
    let pem = read_or_make(&path, || {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        Ok::<_, Error>(
            key.map_err(|error| Error::new(error.to_string()))?
                .serialize_pem(),
        )
    })?;
    KeyPair::from_pem(&pem).map_err(|error| Error::new(format!("{}: {error}", path.display())))
}

fn api_key(folder: &Path) -> Result<String, Error> {
    let text = read_or_make(&folder.join("api-key"), || {
        let mut bytes = [0; 24];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| Error::new("the system has no randomness"))?;
        Ok::<_, Error>(format!("dev-{}\n", hex::encode(bytes)))
    })?;
    Ok(text.trim().to_owned())
}

async fn start_simulator(
    folder: &Path,
    key: &KeyPair,
    options: &DevOptions,
) -> Result<Simulator, Error> {
    let control = match &options.simulator {
        Some(listen) => Some(listen.address().await?),
        None => None,
    };
    let authority = simulate::authority(folder)?;
    let public_key = PublicKey::from_sec1(key.public_key_raw())
        .map_err(|error| Error::new(error.to_string()))?;
    let trusted = TrustedKey {
        key_id: KEY_ID.into(),
        team_id: TEAM_ID.into(),
        public_key,
        topics: None,
        environment: None,
    };
    let config = dunlin_simulator::Config {
        control: control.unwrap_or(CONTROL),
        keys: vec![trusted],
        second: Some(SecondEnvironment::default()),
        authority: Some(authority),
        ..dunlin_simulator::Config::default()
    };
    let config = options.rules.apply(config);
    match Simulator::start(config.clone()).await {
        Err(error) if control.is_none() && error.kind() == std::io::ErrorKind::AddrInUse => {
            let control = SocketAddr::new(CONTROL.ip(), 0);
            Ok(Simulator::start(dunlin_simulator::Config { control, ..config }).await?)
        }
        started => Ok(started?),
    }
}

fn configuration(simulator: &Simulator, listen: SocketAddr, api_key: &str) -> String {
    let hash = hex::encode(digest::digest(&digest::SHA256, api_key.as_bytes()));
    let port = simulator.provider_addr().port();
    let channels = simulator.channels_addr().port();
    // It was started with both.
    let production = simulator.second_addr();
    let (production, production_channels) = production.map_or((port, channels), |second| {
        (second.provider.port(), second.channels.port())
    });
    let gateway = simulator.gateway_addr().port();
    let feedback = simulator.feedback_addr().port();
    format!(
        "# Written by `dunlin dev` at every start; changes are lost.

[host]
listen = \"{listen}\"

[apns.development]
host = \"localhost\"
port = {port}
channels = {{ host = \"localhost\", port = {channels} }}

[apns.production]
host = \"localhost\"
port = {production}
channels = {{ host = \"localhost\", port = {production_channels} }}

[[credentials]]
key_id = \"{KEY_ID}\"
team_id = \"{TEAM_ID}\"
key_file = \"AuthKey_{KEY_ID}.p8\"

# The binary protocols, which Apple retired in 2021: pushes go this way with \"via\":\"binary\".
[[binary]]
topic = \"{TOPIC}\"
environment = \"development\"
identity = \"dev\"
gateway = {{ host = \"localhost\", port = {gateway} }}
feedback = {{ host = \"localhost\", port = {feedback} }}

[[api_keys]]
name = \"dev\"
sha256 = \"{hash}\"
scopes = [\"send\", \"devices\", \"admin\"]

[delivery]
default_environment = \"development\"

[store]
kind = \"file\"
path = \"../{STORE}\"

[tls.trust]
localhost = \"../ca.pem\"

[tls.identities.dev]
certificate = \"../client.pem\"
"
    )
}
