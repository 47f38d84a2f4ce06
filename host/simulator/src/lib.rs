//! An APNs to develop and test against: turns pushes into a journal you can read, and scripted faults
//! into the misbehaviour a client has to survive.
//!
//! Source: Apple's documents as collected in `apns-facts.md`, sections 3 to 5. It shares no code with
//! the rest of the project, so that one cannot hide a mistake of the other: HTTP/2 is hyperium's `h2`,
//! TLS is rustls, signatures are checked with ring.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use dunlin_simulator::{Config, Device, DeviceState, Fault, Simulator};
//!
//! let config = Config { accept_any_key: true, ..Config::default() };
//! let simulator = Simulator::start(config).await?;
//! println!("push to {}, trusting {}", simulator.provider_addr(), simulator.ca_pem());
//! println!("look at http://{}/", simulator.control_addr());
//!
//! let gone = Device::new("abcd").with_state(DeviceState::Unregistered, None);
//! simulator.add_device(gone).map_err(std::io::Error::other)?;
//! let busy = Fault::status(429, "TooManyRequests").times(2);
//! simulator.add_fault(busy).map_err(std::io::Error::other)?;
//! // ... push ...
//! assert_eq!(simulator.journal()[0].status, Some(429));
//! simulator.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it turns into what |
//! |---|---|
//! | `provider` | TCP connections into the provider API: rules, provider tokens, answers |
//! | `wire` | orders into bytes: stream limits, GOAWAY with a reason, cuts |
//! | `control` | HTTP/1.1 requests into reads and changes of the state; the page |
//! | `world` | the state they share: `journal`, `devices`, `fault`, `stats` |
//!
//! Not here yet: channels and broadcast, the binary gateway, the feedback service, client certificates.
//! Each is a module beside `provider` with a listener of its own over the same `world`.

mod clock;
mod config;
mod control;
mod devices;
mod fault;
mod identity;
mod ids;
mod journal;
mod keys;
mod provider;
mod reason;
mod stats;
mod wire;
mod world;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub use crate::clock::Clock;
pub use crate::config::{Config, Environment, Validation};
pub use crate::devices::{Device, DeviceError, DeviceState, MAX_DEVICES};
pub use crate::fault::{Action, Fault, FaultError, MAX_DELAY_MS, MAX_FAULTS};
pub use crate::identity::CertificateAuthority;
pub use crate::journal::{MAX_KEPT_PAYLOAD, Received};
pub use crate::keys::{KeyError, PublicKey, TrustedKey};
pub use crate::stats::Stats;
use crate::world::World;

/// A running simulator. Dropping it stops it in the background; [`shutdown`](Self::shutdown) waits.
pub struct Simulator {
    world: Arc<World>,
    authority: CertificateAuthority,
    provider: SocketAddr,
    control: SocketAddr,
    stop: watch::Sender<bool>,
    listeners: [JoinHandle<()>; 2],
}

impl Simulator {
    /// Binds both addresses and begins to serve on the current tokio runtime.
    pub async fn start(config: Config) -> io::Result<Self> {
        let authority = match config.authority.clone() {
            Some(authority) => authority,
            None => CertificateAuthority::generate()?,
        };
        let acceptor = TlsAcceptor::from(authority.server_config(&config.names, provider::ALPN)?);
        let provider_listener = TcpListener::bind(config.provider).await?;
        let control_listener = TcpListener::bind(config.control).await?;
        let (provider, control) = (
            provider_listener.local_addr()?,
            control_listener.local_addr()?,
        );
        let world = Arc::new(World::new(config, authority.certificate_pem().to_owned())?);
        let (stop, stopped) = watch::channel(false);
        let listeners = [
            tokio::spawn(provider::listen(
                provider_listener,
                acceptor,
                Arc::clone(&world),
                stopped.clone(),
            )),
            tokio::spawn(control::listen(
                control_listener,
                Arc::clone(&world),
                stopped,
            )),
        ];
        tracing::info!(%provider, %control, "the simulator listens");
        Ok(Self {
            world,
            authority,
            provider,
            control,
            stop,
            listeners,
        })
    }

    /// Where the provider API listens.
    pub fn provider_addr(&self) -> SocketAddr {
        self.provider
    }

    /// Where the control API and the page listen.
    pub fn control_addr(&self) -> SocketAddr {
        self.control
    }

    /// The certificate clients have to trust, in PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.certificate_pem()
    }

    /// The authority that signed the server's certificate, to be stored and given to the next
    /// [`Config`].
    pub fn authority(&self) -> &CertificateAuthority {
        &self.authority
    }

    /// The requests the journal still has, oldest first.
    pub fn journal(&self) -> Vec<Received> {
        let records = self.world.journal().select(&journal::Selection::default());
        records
            .iter()
            .map(|record| Received::clone(record))
            .collect()
    }

    /// Forgets the journal; sequence numbers and counters go on.
    pub fn clear_journal(&self) {
        self.world.journal().clear();
    }

    /// Waits until so many requests were journalled since the start; whether it came to that in time.
    pub async fn wait_for(&self, total: u64, at_most: Duration) -> bool {
        let mut seen = self.world.journal().watch();
        let reached = tokio::time::timeout(at_most, seen.wait_for(|now| *now >= total)).await;
        matches!(reached, Ok(Ok(_)))
    }

    /// Declares a device, or declares it anew.
    pub fn add_device(&self, device: Device) -> Result<(), DeviceError> {
        let now_ms = self.world.now_ms();
        self.world.devices().declare(device, now_ms)
    }

    /// Forgets every declared device.
    pub fn clear_devices(&self) {
        self.world.devices().clear();
    }

    /// Adds a fault at the end of the script.
    pub fn add_fault(&self, fault: Fault) -> Result<(), FaultError> {
        self.world.faults().add(fault)
    }

    /// Forgets the script.
    pub fn clear_faults(&self) {
        self.world.faults().clear();
    }

    /// How many connections the provider API has taken since the start.
    pub fn connections_accepted(&self) -> u64 {
        self.stats().connections_accepted
    }

    /// Everything counted since the start.
    pub fn stats(&self) -> Stats {
        self.world.stats()
    }

    /// Closes every connection and both listeners, and waits until they are closed.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        for listener in self.listeners {
            if let Err(error) = listener.await {
                tracing::error!(%error, "a listener of the simulator did not end as it should");
            }
        }
    }
}
