//! The registry's calls as sequences of reads and swaps. Any may be cut short at any point: the
//! registry is whole all the same, and the same call again does the rest.

use core::time::Duration;

use super::indexes::{
    Decision, Failure, Leaving, Round, Updated, Values, all, get, get_all, settle_all, settle_some,
    together, update, update_from, update_record,
};
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
pub async fn device<V: Values>(
    values: &V,
    device: &DeviceRef,
) -> Result<Option<DeviceRecord>, Failure<V::Error>> {
    let stored = get(values, &device_key(&device.topic, &device.token)).await?;
    Ok(DeviceRecord::read_stored(stored.as_deref())?)
}

/// Registers a device, and takes over from the one that it replaces, if it names one.
///
/// The new record is written before the old one is removed. A crash between the two leaves both
/// alive, which is a push too many until it is done again; the other order would leave none.
///
/// # Errors
/// As [`device`]; [`Failure::AliasFull`] and [`Failure::Contended`].
pub async fn register<V: Values>(
    values: &V,
    registration: &Registration,
    now: UnixTime,
) -> Result<Registered, Failure<V::Error>> {
    let new = Located::new(registration.device());
    let topic = &registration.topic;
    let old = registration.replaces.as_ref();
    let old = old.filter(|token| **token != registration.token);
    // No index is read yet: a device that is known and says nothing new, as most do, is in none
    // that it has to join.
    let keys = core::iter::once(new.key()).chain(old.map(|token| device_key(topic, token)));
    let mut stored = get_all(values, keys.collect()).await?.into_iter();
    let before = stored.next().flatten();
    let old = DeviceRecord::read_stored(stored.next().flatten().as_deref())?;
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
    let updated = update_from(values, &new, before, decide).await?;
    let ((mut registered, succession), revision) = updated;
    registered.record.revision = revision;
    if let (Some(old), Succession::Inherits { alias, .. }) = (old, succession) {
        let heir = &registered.record;
        let owner = retire(values, &old.device(), heir, now).await?;
        if alias.is_some() && owner != alias {
            disinherit(values, &mut registered).await?;
        }
    }
    Ok(registered)
}

/// Removes the device that `heir` replaces; whose it was at that moment.
async fn retire<V: Values>(
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
    })
    .await?;
    Ok(owner)
}

/// Takes back an alias that the old device had when it was read and had lost when it was removed:
/// its user logged out in between.
async fn disinherit<V: Values>(
    values: &V,
    registered: &mut Registered,
) -> Result<(), Failure<V::Error>> {
    let written = registered.record.revision;
    let (bare, revision) = update(values, &registered.record.device(), |before| {
        // Somebody who has written since knows better.
        let ours = before.filter(|before| before.revision == written);
        match ours.and_then(DeviceRecord::logged_out) {
            Some((record, _)) => Decision::Become(Box::new(record.clone()), Some(record)),
            None => Decision::Stay(None),
        }
    })
    .await?;
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
pub async fn logout<V: Values>(values: &V, device: &DeviceRef) -> Result<bool, Failure<V::Error>> {
    let (known, _) = update(values, device, |before| {
        match before.and_then(DeviceRecord::logged_out) {
            Some((record, _)) => Decision::Become(Box::new(record), true),
            None => Decision::Stay(before.is_some()),
        }
    })
    .await?;
    Ok(known)
}

/// Forgets a device; false if no such device is known. Nothing is left that could be restored.
///
/// # Errors
/// As [`device`]; [`Failure::Contended`].
pub async fn delete<V: Values>(values: &V, device: &DeviceRef) -> Result<bool, Failure<V::Error>> {
    let (known, _) = update(values, device, |before| match before {
        Some(_) => Decision::Vanish(true),
        None => Decision::Stay(false),
    })
    .await?;
    Ok(known)
}

/// Brings a removed device back at `now`; its record, or `None` if no such device is known. One
/// that is alive stays as it is.
///
/// # Errors
/// As [`device`]; [`Failure::AliasFull`] and [`Failure::Contended`].
pub async fn restore<V: Values>(
    values: &V,
    device: &DeviceRef,
    now: UnixTime,
) -> Result<Option<DeviceRecord>, Failure<V::Error>> {
    restore_if(values, device, now, |_| true).await
}

/// Takes back a removal that a [`Guard`](super::Guard) has let pass and no longer believes in.
///
/// # Errors
/// As [`restore`].
pub async fn take_back<V: Values>(
    values: &V,
    device: &DeviceRef,
    now: UnixTime,
) -> Result<Option<DeviceRecord>, Failure<V::Error>> {
    let doubtful = |record: &DeviceRecord| {
        record
            .removed
            .is_some_and(|tombstone| tombstone.reason.is_doubtful())
    };
    restore_if(values, device, now, doubtful).await
}

async fn restore_if<V: Values>(
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
    })
    .await?;
    Ok(record.map(|record| DeviceRecord { revision, ..record }))
}

/// Tells the registry of an invalidation at `now`; `None` if no such device is known.
///
/// # Errors
/// As [`device`]; [`Failure::Contended`].
pub async fn remove<V: Values>(
    values: &V,
    device: &DeviceRef,
    invalidation: &Invalidation,
    now: UnixTime,
) -> Result<Option<Removal>, Failure<V::Error>> {
    let (mut removal, revision) =
        update(values, device, |before| removed(before, invalidation, now)).await?;
    set_revision(&mut removal, revision);
    Ok(removal)
}

/// What an invalidation makes of a record.
fn removed(
    before: Option<&DeviceRecord>,
    invalidation: &Invalidation,
    now: UnixTime,
) -> Decision<Option<Removal>> {
    match before.map(|before| before.invalidated(invalidation, now)) {
        Some(Removal::Removed(record)) => {
            Decision::Become(record.clone(), Some(Removal::Removed(record)))
        }
        other => Decision::Stay(other),
    }
}

fn set_revision(removal: &mut Option<Removal>, revision: u64) {
    if let Some(Removal::Removed(record)) = removal {
        record.revision = revision;
    }
}

/// Many invalidations. Those of different devices are told together, and their devices leave the
/// indexes together at the end, with one swap for each part of an index, which is what makes a
/// million of them bearable.
///
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
    /// As [`remove`] for each, but for the indexes: what became of each, in their order. Those of
    /// one device that follow each other are told one after the other. A call of the store is for
    /// as many as are named here.
    pub async fn remove_many<V: Values>(
        &mut self,
        values: &V,
        invalidations: &[(Located, Invalidation)],
        now: UnixTime,
    ) -> Vec<Result<Option<Removal>, Failure<V::Error>>> {
        let of_devices = invalidations.chunk_by(|one, other| one.0 == other.0);
        let told = together(values, async |round| {
            let told = of_devices.map(async |of_device| {
                let mut told = Vec::with_capacity(of_device.len());
                for (device, invalidation) in of_device {
                    told.push(remove_record(round, device, invalidation, now).await);
                }
                told
            });
            all(told).await
        });
        let told = told.await.into_iter().flatten();
        told.map(|updated| {
            let updated = updated?;
            let revision = updated.revision();
            let mut removal = self.leaving.add(updated);
            set_revision(&mut removal, revision);
            Ok(removal)
        })
        .collect()
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
    pub async fn settle_some<V: Values>(&mut self, values: &V) -> Result<bool, Failure<V::Error>> {
        let leaving = &mut self.leaving;
        let settled = together(values, async |round| settle_some(round, leaving).await).await;
        match settled {
            Err(Failure::Corrupt(_)) => {
                self.leaving.skip();
                Ok(false)
            }
            settled => settled,
        }
    }
}

async fn remove_record<V: Values>(
    values: &V,
    device: &Located,
    invalidation: &Invalidation,
    now: UnixTime,
) -> Result<Updated<Option<Removal>>, Failure<V::Error>> {
    let current = get(values, &device.key()).await?;
    update_record(values, device, current, |before| {
        removed(before, invalidation, now)
    })
    .await
}

/// Tells the registry that pushes sent at `sent_at` were accepted, each for a device in an
/// environment: of each, in their order, false if the registry knew, or knows better. A call of the
/// store is for as many as are named here.
///
/// # Errors
/// Of each, as [`device`]; [`Failure::Contended`].
pub async fn learn_many<V: Values>(
    values: &V,
    accepted: &[(DeviceRef, Environment)],
    sent_at: UnixTime,
) -> Vec<Result<bool, Failure<V::Error>>> {
    let learn = async |round: &Round<'_, V>, device: &DeviceRef, environment| {
        let located = Located::new(device.clone());
        let current = get(round, &located.key()).await?;
        update_record(round, &located, current, |before| {
            match before.and_then(|before| before.learned(environment, sent_at)) {
                Some(record) => Decision::Become(Box::new(record), true),
                None => Decision::Stay(false),
            }
        })
        .await
    };
    together(values, async |round| {
        let learned = accepted.iter();
        let learned =
            learned.map(async |(device, environment)| learn(round, device, *environment).await);
        settle_all(round, all(learned).await).await
    })
    .await
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

/// Sweeps what is under keys of the store, where `stored` was a moment ago: of each, in their
/// order, what was done, or `None` if that is not a device's. Removed devices are in no index, so
/// the sweep goes through the keys of the store, which no request does.
///
/// # Errors
/// Of each, as [`device`]; [`Failure::Contended`].
pub async fn sweep<V: Values>(
    values: &V,
    stored: &[(&str, Option<&[u8]>)],
    wait: Wait,
    now: UnixTime,
) -> Vec<Result<Option<Swept>, Failure<V::Error>>> {
    let due: Vec<_> = stored
        .iter()
        .map(|(key, stored)| is_due(key, *stored, wait, now))
        .collect();
    let decide = |before: Option<&DeviceRecord>| decide(before, wait, now);
    together(values, async |round| {
        let due_now = due.iter().zip(stored).filter_map(|(due, (_, stored))| {
            let device = due.as_ref().ok()?.as_ref().and_then(Due::device)?;
            Some((Located::new(device.clone()), stored.map(<[u8]>::to_vec)))
        });
        let swept = all(due_now
            .map(async |(located, current)| update_record(round, &located, current, decide).await));
        let mut swept = settle_all(round, swept.await).await.into_iter();
        let due = due.into_iter().map(|due| match due? {
            Some(Due::Now(_)) => swept.next().transpose(),
            Some(Due::Not) => Ok(Some(Swept::Nothing)),
            None => Ok(None),
        });
        due.collect()
    })
    .await
}

/// Whether there is something for the sweep to do with a device.
enum Due {
    Not,
    Now(Box<DeviceRef>),
}

impl Due {
    fn device(&self) -> Option<&DeviceRef> {
        match self {
            Self::Not => None,
            Self::Now(device) => Some(device),
        }
    }
}

/// Looks at what is under a key; `None` if that is not a device's. Most are left alone.
fn is_due<E>(
    key: &str,
    stored: Option<&[u8]>,
    wait: Wait,
    now: UnixTime,
) -> Result<Option<Due>, Failure<E>> {
    if !key.starts_with(DEVICE_KEYS) {
        return Ok(None);
    }
    let Some(record) = DeviceRecord::read_stored(stored)? else {
        return Ok(Some(Due::Not));
    };
    Ok(Some(match decide(Some(&record), wait, now) {
        Decision::Stay(_) => Due::Not,
        _ => Due::Now(Box::new(record.device())),
    }))
}

/// What the sweep makes of a record.
fn decide(before: Option<&DeviceRecord>, wait: Wait, now: UnixTime) -> Decision<Swept> {
    match before {
        Some(before) if before.is_expired(now, wait.expired) => Decision::Vanish(Swept::Expired),
        Some(before) => match before.gone_stale(now, wait.stale) {
            Some(record) => Decision::Become(Box::new(record), Swept::Stale),
            None => Decision::Stay(Swept::Nothing),
        },
        None => Decision::Stay(Swept::Nothing),
    }
}

#[cfg(test)]
mod tests;
