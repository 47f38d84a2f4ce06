//! What the sweep does with one key of the store, and whose it is.
//!
//! Whoever is bound to topics sweeps the devices of these and nothing else: a receipt and a value
//! that cannot be read say nothing of a topic.

use core::time::Duration;

use crate::notification::Topic;
use crate::receipt;
use crate::registry::{self, DEVICE_KEYS, DeviceRecord, Failure, Values, Wait};
use crate::time::UnixTime;

/// A sweep, and whose it is.
#[derive(Clone, Copy)]
pub struct Sweep<'a> {
    /// How long devices are waited for.
    pub wait: Wait,
    /// How long receipts are kept.
    pub keep_receipts: Duration,
    /// The topics that it is bound to; `None` for all, and for what is of none.
    pub bound_to: Option<&'a dyn Fn(&Topic) -> bool>,
}

impl core::fmt::Debug for Sweep<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let bound = self.bound_to.is_some();
        f.debug_struct("Sweep")
            .field("bound", &bound)
            .finish_non_exhaustive()
    }
}

/// What was under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// A device.
    Device(registry::Swept),
    /// A receipt. One that has expired is to be deleted, with nothing in between.
    Receipt {
        /// Whether it has.
        expired: bool,
        /// Whether it is a part of a large one, which is counted by its first value alone.
        part: bool,
    },
    /// A value that could not be read, and stays as it is.
    Unreadable,
    /// Nothing that this sweep is for.
    Other,
}

impl Sweep<'_> {
    /// Looks at what is under `key`, and does what is due.
    ///
    /// # Errors
    /// The store's.
    pub fn look<V: Values>(
        &self,
        values: &V,
        key: &str,
        now: UnixTime,
    ) -> Result<Swept, Failure<V::Error>> {
        let swept = match self.bound_to {
            Some(covers) if !is_of(values, key, covers)? => Ok(Swept::Other),
            _ => self.look_at(values, key, now),
        };
        match swept {
            Err(Failure::Corrupt(_)) => Ok(Swept::Unreadable),
            swept => swept,
        }
    }

    fn look_at<V: Values>(
        &self,
        values: &V,
        key: &str,
        now: UnixTime,
    ) -> Result<Swept, Failure<V::Error>> {
        if let Some(expired) = receipt::is_expired(values, key, self.keep_receipts, now)? {
            let part = receipt::is_part(key);
            return Ok(Swept::Receipt { expired, part });
        }
        let swept = registry::sweep(values, key, self.wait, now)?;
        Ok(swept.map_or(Swept::Other, Swept::Device))
    }
}

/// Whether a device of such a topic is under a key.
fn is_of<V: Values>(
    values: &V,
    key: &str,
    covers: &dyn Fn(&Topic) -> bool,
) -> Result<bool, Failure<V::Error>> {
    if !key.starts_with(DEVICE_KEYS) {
        return Ok(false);
    }
    let stored = values.get(key).map_err(Failure::Store)?;
    let record = DeviceRecord::read_stored(stored.as_deref());
    Ok(record.is_ok_and(|record| record.is_some_and(|record| covers(&record.topic))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{ApnsId, DeviceToken};
    use crate::receipt::{IdempotencyKey, Receipt};
    use crate::registry::replay::Memory;
    use crate::registry::{Registration, device_key};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn topic(name: &str) -> Topic {
        Topic::parse(name).unwrap()
    }

    /// A device of an app that was registered long ago, and its key.
    fn put_device(memory: &Memory, app: &str) -> String {
        let registration = Registration {
            topic: topic(app),
            token: DeviceToken::from_bytes(&[7]).unwrap(),
            environment: None,
            alias: None,
            tags: None,
            replaces: None,
        };
        registry::register(memory, &registration, UnixTime::from_secs(1)).unwrap();
        device_key(&registration.topic, &registration.token)
    }

    fn put_receipt(memory: &Memory) -> String {
        let key = IdempotencyKey::parse("somebody", "order:1").unwrap();
        let sending = [(
            DeviceToken::from_bytes(&[7]).unwrap(),
            ApnsId::from_random([1; 16]),
        )];
        let receipt = Receipt::new(&[0; 32], sending, UnixTime::from_secs(1), HOUR);
        receipt::begin(memory, &key.receipt_key(), receipt).unwrap();
        key.receipt_key()
    }

    #[test]
    fn a_sweep_that_is_bound_to_topics_touches_and_counts_nothing_else() {
        let memory = Memory::default();
        let own = put_device(&memory, "com.example.app");
        let foreign = put_device(&memory, "com.other.app");
        let receipt = put_receipt(&memory);
        memory.put("d/broken", b"{");
        let late = UnixTime::from_secs(1) + 100 * HOUR;
        let covers = |app: &Topic| *app == topic("com.example.app");
        let sweep = |bound_to| Sweep {
            wait: Wait {
                stale: HOUR,
                expired: HOUR,
            },
            keep_receipts: HOUR,
            bound_to,
        };
        let look = |key: &str, bound| sweep(bound).look(&memory, key, late).unwrap();
        let bound: Option<&dyn Fn(&Topic) -> bool> = Some(&covers);
        for key in [&foreign, &receipt, "d/broken", "d/none", "g/x"] {
            assert_eq!(look(key, bound), Swept::Other, "{key}");
        }
        assert_eq!(look(&own, bound), Swept::Device(registry::Swept::Stale));
        assert_eq!(look(&foreign, None), Swept::Device(registry::Swept::Stale));
        let expired = Swept::Receipt {
            expired: true,
            part: false,
        };
        assert_eq!(look(&receipt, None), expired);
        assert_eq!(look("d/broken", None), Swept::Unreadable);
        assert_eq!(look("g/x", None), Swept::Other);
    }
}
