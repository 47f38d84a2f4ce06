//! The one state all connections and the control API share: the journal, the devices, the feedback
//! lists, the channels, the script of faults, the counters, the certificate authority, and the
//! configuration they go by.
//!
//! Invariant: no lock is held while waiting, and none of these while taking another of these.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::channels::{self, Channel, ChannelError, Channels};
use crate::config::{Config, Environment};
use crate::devices::Devices;
use crate::fault::Faults;
use crate::feedback::Lists;
use crate::identity::CertificateAuthority;
use crate::ids::IdSource;
use crate::journal::Journal;
use crate::reason::Reason;
use crate::stats::{Counters, Stats};
use crate::tokens::TokenLog;

pub(crate) struct State {
    pub(crate) config: Config,
    /// What clients have to trust, and what signs for them.
    pub(crate) authority: CertificateAuthority,
    pub(crate) counters: Counters,
    pub(crate) ids: IdSource,
    /// The provider tokens seen.
    pub(crate) tokens: TokenLog,
    journal: Mutex<Journal>,
    devices: Mutex<Devices>,
    channels: Mutex<Channels>,
    /// Those of the second environment.
    second_channels: Mutex<Channels>,
    faults: Mutex<Faults>,
    feedback: Mutex<Lists>,
}

impl State {
    pub(crate) fn new(config: Config, authority: CertificateAuthority) -> io::Result<Self> {
        Ok(Self {
            journal: Mutex::new(Journal::new(config.journal_capacity)),
            config,
            authority,
            counters: Counters::default(),
            ids: IdSource::new()?,
            tokens: TokenLog::default(),
            devices: Mutex::default(),
            channels: Mutex::default(),
            second_channels: Mutex::default(),
            faults: Mutex::default(),
            feedback: Mutex::default(),
        })
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn devices(&self) -> MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn channels_in(&self, environment: Environment) -> MutexGuard<'_, Channels> {
        let channels = match environment == self.config.environment {
            true => &self.channels,
            false => &self.second_channels,
        };
        channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The environments that are played, the simulator's own first.
    pub(crate) fn environments(&self) -> Vec<Environment> {
        let own = self.config.environment;
        match self.config.second {
            None => vec![own],
            Some(_) => vec![own, own.other()],
        }
    }

    /// All channels; where there are two environments each says its own.
    pub(crate) fn all_channels(&self) -> Vec<Channel> {
        let environments = self.environments();
        let says_its_own = environments.len() > 1;
        let of = |environment: Environment| {
            let list = self.channels_in(environment).list().into_iter();
            list.map(move |channel| Channel {
                environment: says_its_own.then_some(environment),
                ..channel
            })
        };
        environments.into_iter().flat_map(of).collect()
    }

    pub(crate) fn clear_channels(&self) {
        for environment in self.environments() {
            self.channels_in(environment).clear();
        }
    }

    /// What stands in the way of a notification that has come to an environment and is good
    /// otherwise, with the time for a 410.
    pub(crate) fn obstacle(
        &self,
        token: &str,
        environment: Environment,
    ) -> Option<(Reason, Option<u64>)> {
        let Config {
            environment: home,
            second,
            only_declared_devices,
            ..
        } = self.config;
        let mut devices = self.devices();
        let obstacle = devices.obstacle(token, only_declared_devices);
        let is_unknown = only_declared_devices && !devices.is_declared(token);
        if second.is_none() || is_unknown {
            return obstacle;
        }
        if devices.environment_of(token, environment, home) != environment {
            return Some((Reason::BadDeviceToken, None));
        }
        // Of the states this one alone is said of an environment.
        obstacle.filter(|(reason, _)| *reason != Reason::BadDeviceToken)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn feedback(&self) -> MutexGuard<'_, Lists> {
        self.feedback.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a channel, with an identifier made for it if it has none.
    pub(crate) fn add_channel(&self, mut channel: Channel) -> Result<String, ChannelError> {
        if channel.channel_id.is_empty() {
            channel.channel_id = channels::channel_id(self.ids.next_bytes());
        }
        let channel_id = channel.channel_id.clone();
        let environment = channel.environment.take();
        self.channels_in(environment.unwrap_or(self.config.environment))
            .declare(channel, self.config.max_channels_per_app)?;
        Ok(channel_id)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.config.clock.now_ms()
    }

    pub(crate) fn stats(&self) -> Stats {
        let journal_dropped = self.journal().dropped();
        Stats {
            journal_dropped,
            provider_tokens: self.tokens.counts(),
            ..self.counters.snapshot()
        }
    }
}

#[cfg(test)]
impl State {
    /// A state with an authority of its own.
    pub(crate) fn of_a_test(config: Config) -> Self {
        Self::new(config, CertificateAuthority::generate().unwrap()).unwrap()
    }

    /// The channels of the simulator's own environment.
    pub(crate) fn channels(&self) -> MutexGuard<'_, Channels> {
        self.channels_in(self.config.environment)
    }
}
