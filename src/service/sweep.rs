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
use crate::registry::{self, DEVICE_KEYS, DeviceRecord, Failure, Swap, Swapped, Values, Wait};
use crate::time::UnixTime;

/// Keys whose values are read in one call of the store, and changed in another where something is
/// due.
const KEYS_AT_ONCE: usize = 64;

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
            let page = page.await.map_err(|error| error.to_string())?;
            let now = self.platform.unix_time();
            for keys in page.keys.chunks(KEYS_AT_ONCE) {
                let swept = self.sweep_some(&sweep, keys, now, &mut turns).await;
                let swept = swept.map_err(|error| error.to_string())?;
                swept.into_iter().for_each(|swept| report.add(swept));
            }
            turns.rest().await;
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(report),
            }
        }
    }

    /// Sweeps some keys. Those that the store fails for are looked at again, for a while.
    async fn sweep_some(
        &self,
        sweep: &Sweep<'_>,
        keys: &[String],
        now: UnixTime,
        turns: &mut Turns<'_, R::Platform>,
    ) -> Result<Vec<Swept>, Failure<StoreError>> {
        let mut left: Vec<&String> = keys.iter().collect();
        let mut all = Vec::with_capacity(keys.len());
        persistently(&self.platform, async || {
            let keys = left.iter().map(|key| (*key).clone()).collect();
            let stored = self.store.get_many(keys).await.map_err(Failure::Store)?;
            let bytes = stored.iter().flatten().map(|value| 1 + value.len());
            let bytes = bytes.sum();
            let pairs: Vec<_> = left.iter().map(|key| key.as_str()).zip(stored).collect();
            let mut failed = None;
            let mut swept = sweep.carry_out(&self.store, &pairs, now).await.into_iter();
            left.retain(|_| match swept.next() {
                Some(Ok(swept)) => {
                    all.push(swept);
                    false
                }
                Some(Err(failure)) => {
                    failed = Some(failure);
                    true
                }
                None => true,
            });
            turns.read(bytes).await;
            failed.map_or(Ok(()), Err)
        })
        .await?;
        Ok(all)
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
    /// A receipt. One that had expired is gone.
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
    /// Looks at what is stored under keys, and does what is due; of each, in their order.
    pub(super) async fn carry_out<V: Values>(
        &self,
        values: &V,
        stored: &[(&str, Option<Vec<u8>>)],
        now: UnixTime,
    ) -> Vec<Result<Swept, Failure<V::Error>>> {
        let looked = stored.iter();
        let looked: Vec<_> = looked
            .map(|(key, stored)| self.look(key, stored.as_deref(), now))
            .collect();
        let of = |wanted: fn(&Swept) -> bool| {
            let pairs = stored.iter().zip(&looked);
            pairs.filter_map(move |(pair, looked)| wanted(looked).then_some(pair))
        };
        let devices = of(|swept| matches!(swept, Swept::Device(_)));
        let devices: Vec<_> = devices
            .map(|(key, stored)| (*key, stored.as_deref()))
            .collect();
        let receipts = of(|swept| matches!(swept, Swept::Receipt { expired: true, .. }));
        // Whoever gives one its reply at this moment keeps it.
        let forget = receipts.map(|(key, stored)| Swap {
            key: (*key).to_owned(),
            expected: stored.clone(),
            new: None,
        });
        let forget: Vec<_> = forget.collect();
        let mut devices = registry::sweep(values, &devices, self.wait, now)
            .await
            .into_iter();
        let mut forgotten = match forget.is_empty() {
            true => Ok(Vec::new()),
            false => values.swap_many(forget).await,
        }
        .map(Vec::into_iter);
        let done = looked.into_iter().map(|looked| match looked {
            Swept::Device(nothing) => match devices.next() {
                Some(Err(Failure::Corrupt(_))) => Ok(Swept::Unreadable),
                Some(swept) => swept.map(|swept| Swept::Device(swept.unwrap_or(nothing))),
                None => Ok(Swept::Device(nothing)),
            },
            Swept::Receipt {
                expired: true,
                part,
            } => match &mut forgotten {
                Ok(forgotten) => {
                    let expired = forgotten.next() == Some(Swapped::Done);
                    Ok(Swept::Receipt { expired, part })
                }
                Err(error) => Err(Failure::Store(error.clone())),
            },
            other => Ok(other),
        });
        done.collect()
    }

    /// What is stored under a key; of a device, that nothing is done yet.
    fn look(&self, key: &str, stored: Option<&[u8]>, now: UnixTime) -> Swept {
        if self
            .bound_to
            .is_some_and(|covers| !is_of(key, stored, covers))
        {
            return Swept::Other;
        }
        match receipt::is_expired(key, stored, self.keep_receipts, now) {
            Ok(Some(expired)) => {
                let part = receipt::is_part(key);
                Swept::Receipt { expired, part }
            }
            Ok(None) if key.starts_with(DEVICE_KEYS) => Swept::Device(registry::Swept::Nothing),
            Ok(None) => Swept::Other,
            Err(_) => Swept::Unreadable,
        }
    }
}

/// Whether a device of such a topic is under a key.
fn is_of(key: &str, stored: Option<&[u8]>, covers: &dyn Fn(&Topic) -> bool) -> bool {
    if !key.starts_with(DEVICE_KEYS) {
        return false;
    }
    let record = DeviceRecord::read_stored(stored);
    record.is_ok_and(|record| record.is_some_and(|record| covers(&record.topic)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{ApnsId, DeviceToken};
    use crate::receipt::{IdempotencyKey, Receipt};
    use crate::registry::replay::{Memory, ready};
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
        ready(registry::register(
            memory,
            &registration,
            UnixTime::from_secs(1),
        ))
        .unwrap();
        device_key(&registration.topic, &registration.token)
    }

    fn put_receipt(memory: &Memory) -> String {
        let key = IdempotencyKey::parse("somebody", "order:1").unwrap();
        let sending = [(
            DeviceToken::from_bytes(&[7]).unwrap(),
            ApnsId::from_random([1; 16]),
        )];
        let receipt = Receipt::new(&[0; 32], sending, UnixTime::from_secs(1), HOUR);
        ready(receipt::begin(memory, &key.receipt_key(), receipt)).unwrap();
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
        let look = |key: &str, bound| {
            let stored = [(key, memory.get(key))];
            let swept = ready(sweep(bound).carry_out(&memory, &stored, late));
            let [Ok(swept)] = swept[..] else {
                panic!("{key}: {swept:?}")
            };
            swept
        };
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
