//! An APNs to develop and test against: turns pushes into a journal you can read, and scripted
//! faults into the misbehaviour a client has to survive.
//!
//! Source: Apple's documents as collected in `docs/protocols.md`, sections 1 to 5. It shares no
//! code with the rest of the project, so that one cannot hide a mistake of the other: HTTP/2 is
//! hyperium's `h2`, TLS is rustls, signatures are checked with ring.
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
//! | `accept`, `tls` | a listener into TCP connections, and those into TLS connections |
//! | `provider` | TLS connections into the provider API: rules, tokens, answers; and channels |
//! | `channels` | creating, reading, deleting, broadcasting into the channels of apps |
//! | `wire` | instructions into bytes: stream limits, GOAWAY with a reason, cuts |
//! | `gateway` | TLS connections into the retired binary gateway: notifications, error responses |
//! | `feedback` | dead tokens into lists, and TLS connections into readers of them |
//! | `control` | HTTP/1.1 requests into reads and changes of the state; the page |
//! | `state` | what they share: `journal`, `devices`, `channels`, `feedback`, `fault`, `stats` |
//!
//! The gateway and the feedback service want a client certificate that
//! [`CertificateAuthority::issue_client`] has made; its topic is that of the connection. The
//! provider API takes one in the place of provider tokens.
//!
//! Broadcasts come to the address of the provider API, whichever of Apple's two host names a client
//! uses for them; channels are managed at an address of their own. Both of Apple's environments can
//! be played at once, each at addresses of its own ([`Config::second`]): they share everything but
//! device tokens and channels.

mod accept;
mod channels;
mod clock;
mod config;
mod control;
mod devices;
mod fault;
mod feedback;
mod gateway;
mod identity;
mod ids;
mod journal;
mod keys;
mod provider;
mod reason;
mod state;
mod stats;
mod tls;
mod tokens;
mod topic;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use crate::channels::{Channel, ChannelError, MAX_CHANNELS, StoragePolicy};
pub use crate::clock::Clock;
pub use crate::config::{
    Config, Environment, SecondEnvironment, TokenRules, UpdateScope, Validation,
};
pub use crate::devices::{Device, DeviceError, DeviceState, MAX_DEVICES};
pub use crate::fault::{
    Action, Fault, FaultError, FeedbackAction, GatewayAction, MAX_DELAY_MS, MAX_FAULTS,
    MAX_STREAM_LIMITS, RandomFaults,
};
pub use crate::feedback::{FeedbackError, FeedbackStats, MAX_FEEDBACK_BYTES, MAX_FEEDBACK_TOPICS};
pub use crate::identity::{CertificateAuthority, ClientCertificate};
pub use crate::journal::{BinaryFrame, Call, MAX_KEPT_PAYLOAD, Protocol, Received};
pub use crate::keys::{KeyError, PublicKey, TrustedKey};
pub use crate::reason::{BROADCAST_REASONS, PUSH_REASONS};
use crate::state::State;
use crate::stats::Service;
pub use crate::stats::{ConnectionStats, Stats};

/// A running simulator. Dropping it stops it in the background; [`shutdown`](Self::shutdown) waits.
pub struct Simulator {
    state: Arc<State>,
    addresses: Addresses,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
}

/// Where everything listens.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    provider: SocketAddr,
    channels: SocketAddr,
    /// Of the other environment, if it is played too.
    second: Option<SecondEnvironment>,
    gateway: SocketAddr,
    feedback: SocketAddr,
    control: SocketAddr,
}

impl Simulator {
    /// Binds all addresses and begins to serve on the current tokio runtime.
    pub async fn start(config: Config) -> io::Result<Self> {
        let authority = match config.authority.clone() {
            Some(authority) => authority,
            None => CertificateAuthority::generate()?,
        };
        let http2 = TlsAcceptor::from(authority.server_config(&config.names, provider::ALPN)?);
        let binary = TlsAcceptor::from(authority.mutual_config(&config.names)?);
        let provider = TcpListener::bind(config.provider).await?;
        let channels = TcpListener::bind(config.channels).await?;
        let gateway = TcpListener::bind(config.gateway).await?;
        let feedback = TcpListener::bind(config.feedback).await?;
        let control = TcpListener::bind(config.control).await?;
        let second = match config.second {
            None => None,
            Some(SecondEnvironment { provider, channels }) => Some((
                TcpListener::bind(provider).await?,
                TcpListener::bind(channels).await?,
            )),
        };
        let second_at = match &second {
            None => None,
            Some((provider, channels)) => Some(SecondEnvironment {
                provider: provider.local_addr()?,
                channels: channels.local_addr()?,
            }),
        };
        let addresses = Addresses {
            provider: provider.local_addr()?,
            channels: channels.local_addr()?,
            second: second_at,
            gateway: gateway.local_addr()?,
            feedback: feedback.local_addr()?,
            control: control.local_addr()?,
        };
        let environment = config.environment;
        let state = Arc::new(State::new(config, authority)?);
        let (stop, stopped) = watch::channel(false);
        let services = Services {
            state: &state,
            stopped,
        };
        let mut listeners = services.spawn_http2(environment, (provider, channels), &http2);
        if let Some(second) = second {
            listeners.extend(services.spawn_http2(environment.other(), second, &http2));
        }
        listeners.extend([
            services.spawn(Service::Gateway, gateway, binary.clone(), gateway::serve),
            services.spawn(Service::Feedback, feedback, binary, feedback::serve),
            tokio::spawn(control::listen(
                control,
                Arc::clone(&state),
                services.stopped.clone(),
            )),
        ]);
        tracing::info!(?addresses, "the simulator listens");
        Ok(Self {
            state,
            addresses,
            stop,
            listeners,
        })
    }

    /// Where the provider API listens.
    pub fn provider_addr(&self) -> SocketAddr {
        self.addresses.provider
    }

    /// Where channels are managed.
    pub fn channels_addr(&self) -> SocketAddr {
        self.addresses.channels
    }

    /// Where the other environment listens, if it is played too.
    pub fn second_addr(&self) -> Option<SecondEnvironment> {
        self.addresses.second
    }

    /// Where the binary gateway listens.
    pub fn gateway_addr(&self) -> SocketAddr {
        self.addresses.gateway
    }

    /// Where the feedback service listens.
    pub fn feedback_addr(&self) -> SocketAddr {
        self.addresses.feedback
    }

    /// Where the control API and the page listen.
    pub fn control_addr(&self) -> SocketAddr {
        self.addresses.control
    }

    /// The certificate clients have to trust, in PEM.
    pub fn ca_pem(&self) -> &str {
        self.state.authority.certificate_pem()
    }

    /// The authority that signed the servers' certificates and signs those of clients; to be stored
    /// and given to the next [`Config`].
    pub fn authority(&self) -> &CertificateAuthority {
        &self.state.authority
    }

    /// The requests the journal still has, oldest first.
    pub fn journal(&self) -> Vec<Received> {
        let records = self.state.journal().select(&journal::Selection::default());
        records
            .iter()
            .map(|record| Received::clone(record))
            .collect()
    }

    /// Forgets the journal; sequence numbers and counters go on.
    pub fn clear_journal(&self) {
        self.state.journal().clear();
    }

    /// Waits until so many requests were journalled since the start; whether it came to that in
    /// time.
    pub async fn wait_for(&self, total: u64, at_most: Duration) -> bool {
        let mut seen = self.state.journal().watch();
        let reached = tokio::time::timeout(at_most, seen.wait_for(|now| *now >= total)).await;
        matches!(reached, Ok(Ok(_)))
    }

    /// Declares a device, or declares it anew.
    pub fn add_device(&self, device: Device) -> Result<(), DeviceError> {
        let now_ms = self.state.now_ms();
        self.state.devices().declare(device, now_ms)
    }

    /// Forgets every declared device.
    pub fn clear_devices(&self) {
        self.state.devices().clear();
    }

    /// Declares a channel, or declares it anew, and gives its identifier; one is made if it has
    /// none. Apple lets nobody choose one, so this is for tests that need to know it.
    pub fn add_channel(&self, channel: Channel) -> Result<String, ChannelError> {
        self.state.add_channel(channel)
    }

    /// The channels of all apps, by app and identifier.
    pub fn channels(&self) -> Vec<Channel> {
        self.state.all_channels()
    }

    /// Forgets every channel.
    pub fn clear_channels(&self) {
        self.state.clear_channels();
    }

    /// Adds a token to the feedback list of a topic, as gone since `since_s` (seconds since 1970).
    /// A token may be there more than once, and may have any length that fits its sixteen bits, 0
    /// included.
    pub fn add_feedback(
        &self,
        topic: &str,
        token: &[u8],
        since_s: u32,
    ) -> Result<(), FeedbackError> {
        self.state.feedback().add(topic, token, since_s)
    }

    /// Adds many tokens, each with its time, in order; stops at the first that cannot be added.
    pub fn add_feedback_all<T: AsRef<[u8]>>(
        &self,
        topic: &str,
        tuples: impl IntoIterator<Item = (T, u32)>,
    ) -> Result<(), FeedbackError> {
        let mut lists = self.state.feedback();
        tuples
            .into_iter()
            .try_for_each(|(token, since_s)| lists.add(topic, token.as_ref(), since_s))
    }

    /// How many tuples the feedback list of a topic has.
    pub fn feedback_pending(&self, topic: &str) -> usize {
        self.feedback_stats(topic).pending
    }

    /// How many connections were given the feedback list of a topic to read since the start.
    pub fn feedback_reads(&self, topic: &str) -> u64 {
        self.feedback_stats(topic).reads
    }

    /// The feedback list of a topic, and who has read it since the start.
    pub fn feedback_stats(&self, topic: &str) -> FeedbackStats {
        self.state.feedback().stats(topic)
    }

    /// Forgets every feedback list.
    pub fn clear_feedback(&self) {
        self.state.feedback().clear();
    }

    /// Adds a fault at the end of the script.
    pub fn add_fault(&self, fault: Fault) -> Result<(), FaultError> {
        self.state.faults().add(fault)
    }

    /// Puts a mix of faults at random in the place of the one there was. What the script says of a
    /// request goes first.
    pub fn set_random_faults(&self, mix: RandomFaults) -> Result<(), FaultError> {
        self.state.faults().set_random(mix)
    }

    /// How often each kind was drawn since [`set_random_faults`](Self::set_random_faults), by its
    /// name in the journal.
    pub fn random_faults_drawn(&self) -> BTreeMap<&'static str, u64> {
        let faults = self.state.faults();
        faults
            .random()
            .map(|(_, drawn)| drawn.clone())
            .unwrap_or_default()
    }

    /// Forgets the script and the mix.
    pub fn clear_faults(&self) {
        self.state.faults().clear();
    }

    /// How many connections the provider API has taken since the start.
    pub fn connections_accepted(&self) -> u64 {
        self.stats().connections_accepted
    }

    /// Everything counted since the start.
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// Closes every connection and all listeners, and waits until they are closed.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        for listener in self.listeners {
            if let Err(error) = listener.await {
                tracing::error!(%error, "a listener of the simulator did not end as it should");
            }
        }
    }
}

/// What the listeners with TLS have in common.
struct Services<'a> {
    state: &'a Arc<State>,
    stopped: watch::Receiver<bool>,
}

impl Services<'_> {
    /// The provider API and the management of channels of an environment.
    fn spawn_http2(
        &self,
        environment: Environment,
        (provider, channels): (TcpListener, TcpListener),
        acceptor: &TlsAcceptor,
    ) -> Vec<JoinHandle<()>> {
        let serve = move |state, tls, number| provider::serve(state, environment, tls, number);
        let manage =
            move |state, tls, number| provider::serve_channels(state, environment, tls, number);
        vec![
            self.spawn(Service::Provider, provider, acceptor.clone(), serve),
            self.spawn(Service::Channels, channels, acceptor.clone(), manage),
        ]
    }

    fn spawn<S, F>(
        &self,
        service: Service,
        listener: TcpListener,
        acceptor: TlsAcceptor,
        serve: S,
    ) -> JoinHandle<()>
    where
        S: Fn(Arc<State>, TlsStream<TcpStream>, u64) -> F + Copy + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (state, stopped) = (Arc::clone(self.state), self.stopped.clone());
        tokio::spawn(tls::listen(
            (listener, acceptor),
            service,
            state,
            stopped,
            serve,
        ))
    }
}
