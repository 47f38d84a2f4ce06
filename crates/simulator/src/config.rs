//! What a simulator is told before it starts: where it listens, whom it believes, how strict it is.
//!
//! Source of the defaults: `docs/protocols.md` 1.1 and 1.3 (gateway), 3.1 (streams), 3.6 (keys) and
//! 3.7 (channels). Every limit says what it bounds and what happens there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::identity::CertificateAuthority;
use crate::keys::TrustedKey;

/// How to run a [`Simulator`](crate::Simulator). Start from `Config::default()` and change what
/// matters.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the provider API (HTTP/2 over TLS) listens. Default `127.0.0.1:0`: a free port.
    pub provider: SocketAddr,
    /// Where channels are managed (HTTP/2 over TLS), an address of its own as at Apple. Default
    /// `127.0.0.1:0`: a free port.
    pub channels: SocketAddr,
    /// Where the binary gateway (legacy, over TLS) listens. It wants a client certificate of the
    /// authority; the topic is the certificate's. Default `127.0.0.1:0`: a free port.
    pub gateway: SocketAddr,
    /// Where the feedback service (legacy, over TLS) listens, with the same certificates. Default
    /// `127.0.0.1:0`: a free port.
    pub feedback: SocketAddr,
    /// Where the control API and the page (plain HTTP/1.1) listen. Default `127.0.0.1:0`. There is
    /// no login: whoever reaches it reads every notification, so keep it on the loopback interface.
    pub control: SocketAddr,
    /// Which of Apple's two environments to play. Default development.
    pub environment: Environment,
    /// Where to play the other one, too: a device token is then of one environment, and unknown in
    /// the other. It is of the one it was declared for with [`Device::environment`](crate::Device),
    /// or else of the one that a push to it, good otherwise, came to first. Channels are of one
    /// environment, too; everything else is shared. Default none.
    pub second: Option<SecondEnvironment>,
    /// The keys whose provider tokens are valid. Default none.
    pub keys: Vec<TrustedKey>,
    /// Believe any key: provider tokens must still be well formed and fresh, but key id, team and
    /// signature are not looked up. Default `false`.
    pub accept_any_key: bool,
    /// How provider tokens age and how often a new one may come. Default Apple's hour and 20
    /// minutes.
    pub token_rules: TokenRules,
    /// Pairs of key ids that may follow each other on one connection, as Apple's related
    /// topic-specific keys may. Any other change of key is UnrelatedKeyIdInToken. Default none.
    pub related_keys: Vec<[String; 2]>,
    /// Check requests as Apple does, or not at all. Default strict.
    pub validation: Validation,
    /// Answer `BadDeviceToken` to a token nobody declared. Default `false`: an undeclared token is
    /// a valid device of any app.
    pub only_declared_devices: bool,
    /// The bundle ids of the apps there are: any other is TopicDisallowed, or TopicMismatch to
    /// broadcasts and calls about channels. Each is good with every suffix of a push type. Default
    /// `None`: any app is there.
    pub topics: Option<Vec<String>>,
    /// How many requests the journal keeps; the oldest makes way and is counted. Default 10,000.
    /// Each costs at most about 8 KiB of payload plus its headers (at most 16 KiB).
    pub journal_capacity: usize,
    /// What SETTINGS allow once a valid provider token was seen (before that it is 1), or with a
    /// client certificate from the beginning. Default 1000. From 1 to 10,000; what is outside
    /// becomes the nearer of the two.
    pub max_concurrent_streams: u32,
    /// The longest payload in commands 0 and 1 of the binary gateway, in bytes. Default 256, as
    /// Apple's early edition says; whether it became 2048 there too is not known. More than 2048 is
    /// 2048, which is the limit of command 2.
    pub simple_payload_limit: usize,
    /// The bundle ids that broadcasting is switched on for; any other gets FeatureNotEnabled.
    /// Default `None`: all of them.
    pub broadcast_apps: Option<Vec<String>>,
    /// How many channels an app may have; one more is CannotCreateChannelConfig. Default 10,000, as
    /// Apple says; more than [`MAX_CHANNELS`](crate::MAX_CHANNELS) is that.
    pub max_channels_per_app: usize,
    /// Open connections to each of provider API, channels, gateway and feedback service; one more
    /// is closed at once and counted. Default 4096.
    pub max_connections: usize,
    /// DNS names and IP addresses the server certificates are good for. Default `localhost`,
    /// Apple's hosts of all services, `127.0.0.1` and `::1`.
    pub names: Vec<String>,
    /// The certificate authority to use again, so that a client has to trust it only once. Default
    /// none: a new one for every start.
    pub authority: Option<CertificateAuthority>,
    /// What time it is. Default the system's clock.
    pub clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            provider: loopback,
            channels: loopback,
            gateway: loopback,
            feedback: loopback,
            control: loopback,
            environment: Environment::Development,
            second: None,
            keys: Vec::new(),
            accept_any_key: false,
            token_rules: TokenRules::default(),
            related_keys: Vec::new(),
            validation: Validation::Strict,
            only_declared_devices: false,
            topics: None,
            journal_capacity: 10_000,
            max_concurrent_streams: 1000,
            simple_payload_limit: 256,
            broadcast_apps: None,
            max_channels_per_app: 10_000,
            max_connections: 4096,
            names: DEFAULT_NAMES.map(str::to_owned).to_vec(),
            authority: None,
            clock: Clock::system(),
        }
    }
}

/// Where the provider API and the management of channels of the other environment listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondEnvironment {
    /// The provider API.
    pub provider: SocketAddr,
    /// The management of channels.
    pub channels: SocketAddr,
}

impl Default for SecondEnvironment {
    /// Free ports of the loopback interface.
    fn default() -> Self {
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            provider: loopback,
            channels: loopback,
        }
    }
}

/// One of Apple's two environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// `api.sandbox.push.apple.com`; answers carry `apns-unique-id`.
    Development,
    /// `api.push.apple.com`.
    Production,
}

impl Environment {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Development => Self::Production,
            Self::Production => Self::Development,
        }
    }
}

/// What is asked of provider tokens besides their signature. A test that cannot wait makes it
/// shorter, or chooses its own [`Config::clock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRules {
    /// Seconds after `iat` until ExpiredProviderToken. Default 3600.
    pub lifetime_s: u64,
    /// Seconds that `iat` may be ahead of the clock; beyond that it is ExpiredProviderToken too.
    /// Apple is silent. Default 300.
    pub future_s: u64,
    /// Seconds between the `iat` of two tokens of one key; less is TooManyProviderTokenUpdates.
    /// Default 1200; 0 allows any number of them.
    pub update_interval_s: u64,
    /// Where the interval holds.
    pub updates_per: UpdateScope,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            lifetime_s: 3600,
            future_s: 300,
            update_interval_s: 1200,
            updates_per: UpdateScope::Connection,
        }
    }
}

/// Where a new provider token counts as an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateScope {
    /// On its connection, as Apple has it.
    Connection,
    /// On all connections together: two hosts that do not share their token are found out.
    Key,
}

/// How much of a request is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validation {
    /// Every rule of Apple's documents that can be checked from outside.
    Strict,
    /// None: every push and broadcast is answered 200, and the gateway takes every notification
    /// whose lengths are right. For benchmarks: nothing is journalled but the count, the stream
    /// limit does not change, and of the faults only those of connections work. Calls about
    /// channels are still looked at.
    AcceptAll,
}

const DEFAULT_NAMES: [&str; 14] = [
    "localhost",
    "api.push.apple.com",
    "api.sandbox.push.apple.com",
    // The sandbox's older name, which clients still use.
    "api.development.push.apple.com",
    "api-broadcast.push.apple.com",
    "api-broadcast.sandbox.push.apple.com",
    "api-manage-broadcast.push.apple.com",
    "api-manage-broadcast.sandbox.push.apple.com",
    "gateway.push.apple.com",
    "gateway.sandbox.push.apple.com",
    "feedback.push.apple.com",
    "feedback.sandbox.push.apple.com",
    "127.0.0.1",
    "::1",
];
