//! What happens to a device, as a function from its record to the next one.
//!
//! ```text
//!                    register                     learned, logged out, stale
//!     no record ────────────────►   alive    ◄──┐
//!         ▲                        │  ▲   └─────┘
//!         │        invalidated,    │  │  register,
//!         │           replaced     ▼  │  restore
//!         └───────────────────── removed
//!           expired, or a DELETE
//! ```
//!
//! Source: `docs/protocols.md`, sections 2, 3.5 and 5; `ARCHITECTURE.md`, *Invariants*.
//!
//! Invariant: an invalidation never removes a device that was registered at its moment or after it,
//! in whatever order the two are told. The time of registration never goes back, so it does not
//! matter either which of two registrations comes first.

use core::time::Duration;

use crate::environment::Environment;
use crate::registry::records::{
    Alias, DeviceRecord, Invalidation, Registration, RemovalReason, Tombstone,
};
use crate::sorting::sort;
use crate::time::UnixTime;

/// What an invalidation did to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is removed: the record with its tombstone, alias and tags still in it. It is in no index
    /// any longer.
    Removed(Box<DeviceRecord>),
    /// It was registered after it died, or at that very moment: it stays.
    Kept,
    /// It had been removed before.
    AlreadyRemoved,
}

/// What a registration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The record to store.
    pub record: DeviceRecord,
    /// Whether there was none before. A removed one is one.
    pub new: bool,
    /// Who had the device before, if somebody else has it now.
    pub left: Option<Alias>,
}

/// What a registration that names an older token takes from that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Succession {
    /// There is nothing to take, or it is not this caller's: the registration stands as it is, and
    /// the older device stays as it is.
    None,
    /// The older device goes, and this registration has what was its.
    Inherits {
        /// With what the caller did not name.
        registration: Box<Registration>,
        /// The alias that only the older record knew.
        alias: Option<Alias>,
    },
}

impl Registration {
    /// What it takes from `old`, the record of the token that it replaces, `known` being the record
    /// of its own token.
    ///
    /// A record of another alias than the caller names is somebody else's. If the caller names
    /// none, the alias that the new token has already counts as named. What a replaced device had
    /// went to the token that replaced it: whoever names it again may be another user by now.
    pub fn succeeding(
        &self,
        old: Option<&DeviceRecord>,
        known: Option<&DeviceRecord>,
    ) -> Succession {
        let Some(old) = old.filter(|old| old.token != self.token && !old.is_replaced()) else {
            return Succession::None;
        };
        let named = self
            .alias
            .as_ref()
            .or_else(|| known.and_then(|known| known.alias.as_ref()));
        if let (Some(named), Some(had)) = (named, &old.alias)
            && named != had
        {
            return Succession::None;
        }
        let alias = old.alias.clone().filter(|_| named.is_none());
        let mut registration = Box::new(self.clone());
        if alias.is_some() {
            registration.alias.clone_from(&alias);
        }
        let has_tags = known.is_some_and(|known| !known.tags.is_empty());
        if registration.tags.is_none() && !has_tags {
            registration.tags = Some(old.tags.clone());
        }
        if known.is_none_or(|known| known.environment.is_none()) {
            registration.environment = registration.environment.or(old.environment);
        }
        Succession::Inherits {
            registration,
            alias,
        }
    }
}

impl DeviceRecord {
    /// What a registration at `now` makes of the record that was there, or of none. It clears a
    /// tombstone: the device is back as it was, with what the registration says.
    ///
    /// The time of registration never goes back: with two hosts whose clocks differ, the later one
    /// stands.
    pub fn register(
        before: Option<Self>,
        registration: &Registration,
        now: UnixTime,
    ) -> Registered {
        let new = before.is_none();
        let mut record = before.unwrap_or_else(|| Self {
            topic: registration.topic.clone(),
            token: registration.token.clone(),
            environment: None,
            alias: None,
            tags: Vec::new(),
            first_registered_at: now,
            registered_at: now,
            removed: None,
            stale: false,
            revision: 0,
        });
        record.seen(now);
        record.environment = registration.environment.or(record.environment);
        if let Some(tags) = &registration.tags {
            record.tags = tags.clone();
            sort(&mut record.tags, |one, other| one < other);
            record.tags.dedup();
        }
        let mut left = None;
        if let Some(alias) = &registration.alias {
            let previous = record.alias.replace(alias.clone());
            left = previous.filter(|previous| previous != alias);
        }
        Registered { record, new, left }
    }

    /// What APNs's word that its token is invalid does to it, told at `now`.
    ///
    /// Feedback carries whole seconds and a registration milliseconds; where they are equal the
    /// device stays, since nothing says which came first.
    pub fn invalidated(&self, invalidation: &Invalidation, now: UnixTime) -> Removal {
        if self.removed.is_some() {
            return Removal::AlreadyRemoved;
        }
        if self.registered_at >= invalidation.since {
            return Removal::Kept;
        }
        self.with_tombstone(invalidation.reason, invalidation.since, now)
    }

    /// What it does to it that its app has registered another token at `now`, whose record is
    /// `heir`. See [`Registration::succeeding`] for what that one has taken.
    ///
    /// It stays if it has become somebody else's meanwhile, or was registered later. One that was
    /// dead is marked as replaced too, so that it leaves its alias to one successor only.
    pub fn replaced(&self, heir: &Self, now: UnixTime) -> Removal {
        if self.is_replaced() {
            return Removal::AlreadyRemoved;
        }
        let owners = (&self.alias, &heir.alias);
        let foreign = matches!(owners, (Some(own), Some(other)) if own != other);
        if foreign || self.registered_at > now {
            return Removal::Kept;
        }
        self.with_tombstone(RemovalReason::Replaced, now, now)
    }

    /// The record of it brought back at `now`, which counts as a registration; `None` if it was not
    /// removed. It is its alias's again.
    pub fn restored(&self, now: UnixTime) -> Option<Self> {
        self.removed?;
        let mut record = self.clone();
        record.seen(now);
        Some(record)
    }

    /// The record of it when nobody is logged in, and who was; `None` if nobody was. A removed one
    /// loses its alias too, so that it does not come back as that one's.
    pub fn logged_out(&self) -> Option<(Self, Alias)> {
        let mut record = self.clone();
        let left = record.alias.take()?;
        Some((record, left))
    }

    /// The record of it once a push that was sent at `sent_at` has been accepted in an environment;
    /// `None` if that changes nothing.
    ///
    /// A registration that came after the push and names an environment is of another build of the
    /// app, of which the push says nothing.
    pub fn learned(&self, environment: Environment, sent_at: UnixTime) -> Option<Self> {
        let known = self.environment;
        if known == Some(environment) || (known.is_some() && self.registered_at > sent_at) {
            return None;
        }
        let mut record = self.clone();
        record.environment = Some(environment);
        Some(record)
    }

    /// The record of it marked as stale, if it is to be marked: it is alive, and has not been
    /// registered for longer than `unseen_for`.
    pub fn gone_stale(&self, now: UnixTime, unseen_for: Duration) -> Option<Self> {
        let unseen = now.since(self.registered_at) > unseen_for;
        if self.removed.is_some() || self.stale || !unseen {
            return None;
        }
        let mut record = self.clone();
        record.stale = true;
        Some(record)
    }

    /// Whether it was removed longer than `keep_for` ago, and need not be kept any longer.
    pub fn is_expired(&self, now: UnixTime, keep_for: Duration) -> bool {
        self.removed
            .is_some_and(|tombstone| now.since(tombstone.removed_at) > keep_for)
    }

    /// Whether another token has taken its place.
    pub fn is_replaced(&self) -> bool {
        self.removed
            .is_some_and(|tombstone| tombstone.reason == RemovalReason::Replaced)
    }

    fn seen(&mut self, now: UnixTime) {
        self.registered_at = self.registered_at.max(now);
        self.removed = None;
        self.stale = false;
    }

    fn with_tombstone(&self, reason: RemovalReason, since: UnixTime, now: UnixTime) -> Removal {
        let removed = Some(Tombstone {
            reason,
            since,
            removed_at: now,
        });
        Removal::Removed(Box::new(Self {
            removed,
            stale: false,
            ..self.clone()
        }))
    }
}

#[cfg(test)]
mod tests;
