//! The one state all connections and the control API share: the journal, the devices, the feedback
//! lists, the channels, the script of faults, the counters, the certificate authority, and the configuration they go by.
//!
//! Invariant: no lock is held while waiting, and none of these while taking another of these.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::channels::{self, Channel, ChannelError, Channels};
use crate::config::Config;
use crate::devices::Devices;
use crate::fault::Faults;
use crate::feedback::Lists;
use crate::identity::CertificateAuthority;
use crate::ids::IdSource;
use crate::journal::Journal;
use crate::stats::{Counters, Stats};
use crate::tokens::TokenLog;

pub(crate) struct World {
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
    faults: Mutex<Faults>,
    feedback: Mutex<Lists>,
}

impl World {
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

    pub(crate) fn channels(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.channels()
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
impl World {
    /// A world with an authority of its own.
    pub(crate) fn of_a_test(config: Config) -> Self {
        Self::new(config, CertificateAuthority::generate().unwrap()).unwrap()
    }
}
