//! The registry's calls as sequences of reads and swaps. Any may be cut short at any point: the
//! registry is whole all the same, and the same call again does the rest.

use core::time::Duration;

use super::indexes::{Decision, Failure, Leaving, Values, get, settle_some, update, update_record};
use super::policy::{Registered, Removal, Succession};
use super::records::{
    Alias, DEVICE_KEYS, DeviceRecord, DeviceRef, Invalidation, Located, Registration, device_key,
};
use crate::environment::Environment;
use crate::time::UnixTime;

/// The record of a device, also of one that was removed.
///
/// # Errors
/// [`Failure::Store`] and [`Failure::Corrupt`], as of every call here.
pub fn device<V: Values>(
    values: &V,
    device: &DeviceRef,
) -> Result<Option<DeviceRecord>, Failure<V::Error>> {
    let stored = get(values, &device_key(&device.topic, &device.token))?;
    Ok(DeviceRecord::read_stored(stored.as_deref())?)
}

/// Registers a device, and takes over from the one that it replaces, if it names one.
///
/// The new record is written before the old one is removed. A crash between the two leaves both
/// alive, which is a push too many until it is done again; the other order would leave none.
///
/// # Errors
/// As [`device`]; [`Failure::AliasFull`] and [`Failure::Contended`].
pub fn register<V: Values>(
    values: &V,
    registration: &Registration,
    now: UnixTime,
) -> Result<Registered, Failure<V::Error>> {
    let old = match &registration.replaces {
        Some(token) if *token != registration.token => {
            let topic = registration.topic.clone();
            let token = token.clone();
            device(values, &DeviceRef { topic, token })?
        }
        _ => None,
    };
    let decide = |before: Option<&DeviceRecord>| {
        let succession = registration.succeeding(old.as_ref(), before);
        let registration = match &succession {
            Succession::Inherits { registration, .. } => registration,
            Succession::None => registration,
        };
        let registered = DeviceRecord::register(before.cloned(), registration, now);
        let record = Box::new(registered.record.clone());
        Decision::Become(record, (registered, succession))
    };
    let ((mut registered, succession), revision) = update(values, &registration.device(), decide)?;
    registered.record.revision = revision;
    if let (Some(old), Succession::Inherits { alias, .. }) = (old, succession) {
        let heir = &registered.record;
        let owner = retire(values, &old.device(), heir, now)?;
        if alias.is_some() && owner != alias {
            disinherit(values, &mut registered)?;
        }
    }
    Ok(registered)
}

/// Removes the device that `heir` replaces; whose it was at that moment.
fn retire<V: Values>(
    values: &V,
    old: &DeviceRef,
    heir: &DeviceRecord,
    now: UnixTime,
) -> Result<Option<Alias>, Failure<V::Error>> {
    let (owner, _) = update(values, old, |before| {
        let owner = before.and_then(|before| before.alias.clone());
        match before.map(|before| before.replaced(heir, now)) {
            Some(Removal::Removed(record)) => Decision::Become(record, owner),
            _ => Decision::Stay(owner),
        }
    })?;
    Ok(owner)
}

/// Takes back an alias that the old device had when it was read and had lost when it was removed:
/// its user logged out in between.
fn disinherit<V: Values>(values: &V, registered: &mut Registered) -> Result<(), Failure<V::Error>> {
    let written = registered.record.revision;
    let (bare, revision) = update(values, &registered.record.device(), |before| {
        // Somebody who has written since knows better.
        let ours = before.filter(|before| before.revision == written);
        match ours.and_then(DeviceRecord::logged_out) {
            Some((record, _)) => Decision::Become(Box::new(record.clone()), Some(record)),
            None => Decision::Stay(None),
        }
    })?;
    if let Some(record) = bare {
        registered.record = DeviceRecord { revision, ..record };
    }
    Ok(())
}

/// Detaches a device from whoever it belongs to; false if no such device is known. Doing it twice
/// is doing it once.
///
/// # Errors
/// As [`device`]; [`Failure::Contended`].
pub fn logout<V: Values>(values: &V, device: &DeviceRef) -> Result<bool, Failure<V::Error>> {
    let (known, _) = update(values, device, |before| {
        match before.and_then(DeviceRecord::logged_out) {
            Some((record, _)) => Decision::Become(Box::new(record), true),
            None => Decision::Stay(before.is_some()),
        }
    })?;
    Ok(known)
}

/// Forgets a device; false if no such device is known. Nothing is left that could be restored.
///
/// # Errors
/// As [`device`]; [`Failure::Contended`].
pub fn delete<V: Values>(values: &V, device: &DeviceRef) -> Result<bool, Failure<V::Error>> {
    let (known, _) = update(values, device, |before| match before {
        Some(_) => Decision::Vanish(true),
        None => Decision::Stay(false),
    })?;
    Ok(known)
}

/// Brings a removed device back at `now`; its record, or `None` if no such device is known. One
/// that is alive stays as it is.
///
/// # Errors
/// As [`device`]; [`Failure::AliasFull`] and [`Failure::Contended`].
pub fn restore<V: Values>(
    values: &V,
    device: &DeviceRef,
    now: UnixTime,
) -> Result<Option<DeviceRecord>, Failure<V::Error>> {
    restore_if(values, device, now, |_| true)
}

/// Takes back a removal that a [`Guard`](super::Guard) has let pass and no longer believes in.
///
/// # Errors
/// As [`restore`].
pub fn take_back<V: Values>(
    values: &V,
    device: &DeviceRef,
    now: UnixTime,
) -> Result<Option<DeviceRecord>, Failure<V::Error>> {
    let doubtful = |record: &DeviceRecord| {
        record
            .removed
            .is_some_and(|tombstone| tombstone.reason.is_doubtful())
    };
    restore_if(values, device, now, doubtful)
}

fn restore_if<V: Values>(
    values: &V,
    device: &DeviceRef,
    now: UnixTime,
    condition: impl Fn(&DeviceRecord) -> bool,
) -> Result<Option<DeviceRecord>, Failure<V::Error>> {
    let (record, revision) = update(values, device, |before| {
        let restored = before
            .filter(|before| condition(before))
            .and_then(|before| before.restored(now));
        match restored {
            Some(record) => Decision::Become(Box::new(record.clone()), Some(record)),
            None => Decision::Stay(before.cloned()),
        }
    })?;
    Ok(record.map(|record| DeviceRecord { revision, ..record }))
}

/// Tells the registry of an invalidation at `now`; `None` if no such device is known.
///
/// # Errors
/// As [`device`]; [`Failure::Contended`].
pub fn remove<V: Values>(
    values: &V,
    device: &DeviceRef,
    invalidation: &Invalidation,
    now: UnixTime,
) -> Result<Option<Removal>, Failure<V::Error>> {
    let mut leaving = Leaving::default();
    let located = Located::new(device.clone());
    let removal = remove_record(values, &mut leaving, &located, invalidation, now)?;
    while !settle_some(values, &mut leaving)? {}
    Ok(removal)
}

/// Many invalidations, told one after the other. Their devices leave the indexes together at the
/// end, with one swap for each part of an index, which is what makes a million of them bearable.
/// Takes some 150 bytes for each index that a device leaves, one for each of its tags among them:
/// whoever tells of many looks at [`Self::are_many`].
///
/// Dropped before [`Self::settle_some`] has told of the last, it leaves surplus entries behind;
/// telling of the same invalidations again takes them out.
#[derive(Default)]
pub struct Removals {
    leaving: Leaving,
}

impl core::fmt::Debug for Removals {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Removals").finish_non_exhaustive()
    }
}

impl Removals {
    /// As [`remove`], but for the indexes.
    ///
    /// # Errors
    /// As [`remove`].
    pub fn remove<V: Values>(
        &mut self,
        values: &V,
        device: &Located,
        invalidation: &Invalidation,
        now: UnixTime,
    ) -> Result<Option<Removal>, Failure<V::Error>> {
        remove_record(values, &mut self.leaving, device, invalidation, now)
    }

    /// Whether those that are told are so many that their devices are better taken out of the
    /// indexes before others are told of.
    pub fn are_many(&self) -> bool {
        self.leaving.are_many()
    }

    /// Takes some of the devices out of the indexes, which takes milliseconds; whether those were
    /// the last. May be done again if it fails. An index that cannot be read is left alone: surplus
    /// entries do no harm.
    ///
    /// # Errors
    /// As [`remove`], but for [`Failure::Corrupt`].
    pub fn settle_some<V: Values>(&mut self, values: &V) -> Result<bool, Failure<V::Error>> {
        match settle_some(values, &mut self.leaving) {
            Err(Failure::Corrupt(_)) => {
                self.leaving.skip();
                Ok(false)
            }
            settled => settled,
        }
    }
}

fn remove_record<V: Values>(
    values: &V,
    leaving: &mut Leaving,
    device: &Located,
    invalidation: &Invalidation,
    now: UnixTime,
) -> Result<Option<Removal>, Failure<V::Error>> {
    let (mut removal, revision) = update_record(values, device, leaving, |before| {
        match before.map(|before| before.invalidated(invalidation, now)) {
            Some(Removal::Removed(record)) => {
                Decision::Become(record.clone(), Some(Removal::Removed(record)))
            }
            other => Decision::Stay(other),
        }
    })?;
    if let Some(Removal::Removed(record)) = &mut removal {
        record.revision = revision;
    }
    Ok(removal)
}

/// Tells the registry that a push sent at `sent_at` was accepted in an environment; false if it
/// knew, or knows better.
///
/// # Errors
/// As [`device`]; [`Failure::Contended`].
pub fn learn<V: Values>(
    values: &V,
    device: &DeviceRef,
    environment: Environment,
    sent_at: UnixTime,
) -> Result<bool, Failure<V::Error>> {
    let (learned, _) = update(values, device, |before| {
        match before.and_then(|before| before.learned(environment, sent_at)) {
            Some(record) => Decision::Become(Box::new(record), true),
            None => Decision::Stay(false),
        }
    })?;
    Ok(learned)
}

/// How long the sweep waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// A device that has not been registered for longer is stale.
    pub stale: Duration,
    /// A device that was removed longer ago is forgotten.
    pub expired: Duration,
}

/// What the sweep did to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// Nothing: there is no record, or nothing was due.
    Nothing,
    /// It was marked as stale.
    Stale,
    /// It had been removed long ago, and is forgotten.
    Expired,
}

/// Sweeps what is under a key of the store; `None` if that is not a device's. Removed devices are
/// in no index, so the sweep goes through the keys of the store, which no request does.
///
/// # Errors
/// As [`device`]; [`Failure::Contended`].
pub fn sweep<V: Values>(
    values: &V,
    key: &str,
    wait: Wait,
    now: UnixTime,
) -> Result<Option<Swept>, Failure<V::Error>> {
    if !key.starts_with(DEVICE_KEYS) {
        return Ok(None);
    }
    let stored = get(values, key)?;
    let Some(record) = DeviceRecord::read_stored(stored.as_deref())? else {
        return Ok(Some(Swept::Nothing));
    };
    let decide = |before: Option<&DeviceRecord>| match before {
        Some(before) if before.is_expired(now, wait.expired) => Decision::Vanish(Swept::Expired),
        Some(before) => match before.gone_stale(now, wait.stale) {
            Some(record) => Decision::Become(Box::new(record), Swept::Stale),
            None => Decision::Stay(Swept::Nothing),
        },
        None => Decision::Stay(Swept::Nothing),
    };
    // Most are neither, and are left alone with one read.
    if let Decision::Stay(nothing) = decide(Some(&record)) {
        return Ok(Some(nothing));
    }
    let (swept, _) = update(values, &record.device(), decide)?;
    Ok(Some(swept))
}

#[cfg(test)]
mod tests;
