//! The sweep: every key of the store is looked at once, which no request does.
//!
//! Whoever is bound to topics sweeps the devices of these and nothing else: a receipt and a value
//! that cannot be read say nothing of a topic.

use core::time::Duration;

use super::store::persistently;
use super::{App, Platform, Runtime, Store, StoreError, Turns};
use crate::api::{Caller, SweepReport};
use crate::notification::Topic;
use crate::receipt;
use crate::registry::{self, DEVICE_KEYS, DeviceRecord, Failure, Values, Wait};
use crate::time::UnixTime;

/// Bytes that a key counts for in [`Turns`], which does not see its value: a record with some tags.
const BYTES: usize = 1_024;

impl<R: Runtime> App<R> {
    /// Marks what has not been seen for long, forgets what was removed long ago; of the caller's
    /// topics alone, if it is bound to some. An error is for people; what was done until then stays
    /// done.
    pub(super) async fn sweep(&self, caller: Caller<'_>) -> Result<SweepReport, String> {
        let settings = self.settings.registry();
        let covers: &dyn Fn(&Topic) -> bool = &|topic| caller.covers(topic);
        let sweep = Sweep {
            wait: Wait {
                stale: settings.stale_after,
                expired: settings.keep_removed,
            },
            keep_receipts: settings.keep_receipts,
            bound_to: caller.is_bound().then_some(covers),
        };
        let mut report = SweepReport::default();
        let mut turns = Turns::new(&self.platform);
        let mut cursor = None;
        loop {
            let page = persistently(&self.platform, async || {
                self.store.keys(cursor.as_deref()).await
            });
            let page = page.await.map_err(|error| error.0)?;
            let now = self.platform.unix_time();
            for key in &page.keys {
                let swept = self.sweep_key(&sweep, key, now).await;
                let swept = swept.map_err(|error| error.to_string())?;
                report.add(swept);
                match swept {
                    Swept::Device(registry::Swept::Nothing) | Swept::Other => {
                        turns.read(BYTES).await;
                    }
                    _ => turns.rest().await,
                }
            }
            turns.rest().await;
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(report),
            }
        }
    }

    async fn sweep_key(
        &self,
        sweep: &Sweep<'_>,
        key: &String,
        now: UnixTime,
    ) -> Result<Swept, Failure<StoreError>> {
        persistently(&self.platform, async || {
            let swept = sweep.look(self.store.values(), key, now)?;
            if matches!(swept, Swept::Receipt { expired: true, .. }) {
                let deleted = self.store.delete_many(core::slice::from_ref(key)).await;
                deleted.map_err(Failure::Store)?;
            }
            Ok(swept)
        })
        .await
    }
}

impl SweepReport {
    fn add(&mut self, swept: Swept) {
        match swept {
            Swept::Other => {}
            Swept::Device(swept) => self.count(swept),
            Swept::Receipt { expired, part } => self.receipts += u64::from(expired && !part),
            Swept::Unreadable => self.unreadable += 1,
        }
    }
}

/// A sweep, and whose it is.
#[derive(Clone, Copy)]
pub(super) struct Sweep<'a> {
    /// How long devices are waited for.
    pub(super) wait: Wait,
    /// How long receipts are kept.
    pub(super) keep_receipts: Duration,
    /// The topics that it is bound to; `None` for all, and for what is of none.
    pub(super) bound_to: Option<&'a dyn Fn(&Topic) -> bool>,
}

/// What was under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swept {
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
    pub(super) fn look<V: Values>(
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
