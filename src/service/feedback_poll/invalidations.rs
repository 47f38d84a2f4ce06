//! Many invalidations in the order of their devices' keys, so that what the store keeps together
//! is changed together; put into that order without a pause that others would notice.

use crate::registry::{Cursor, Located};
use crate::sorting::sort;
use crate::time::UnixTime;

/// Places are hashes, so each of these gets about as many: of 200,000 some 800, which are sorted in
/// less than a millisecond.
const BUCKETS: usize = 256;

/// Devices whose tokens are said to be invalid, and since when. Some 200 bytes for each.
pub struct Invalidations(Vec<Vec<(Located, UnixTime)>>);

impl core::fmt::Debug for Invalidations {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let count = self.0.iter().map(Vec::len).sum::<usize>();
        write!(f, "Invalidations({count})")
    }
}

impl Default for Invalidations {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| Vec::new()).collect())
    }
}

impl Invalidations {
    /// Adds one.
    pub fn add(&mut self, device: Located, since: UnixTime) {
        let bucket = usize::from(first_byte(device.place()));
        if let Some(bucket) = self.0.get_mut(bucket) {
            bucket.push((device, since));
        }
    }

    /// All of them by place and time, in batches of at most so many, which is not 0.
    pub fn in_batches(self, most: usize) -> impl Iterator<Item = Vec<(Located, UnixTime)>> {
        self.0.into_iter().flat_map(move |mut bucket| {
            let order = |one: &(Located, UnixTime)| (one.0.place(), one.1);
            sort(&mut bucket, |one, other| order(one) < order(other));
            let mut rest = bucket.into_iter();
            core::iter::from_fn(move || {
                let batch: Vec<_> = rest.by_ref().take(most).collect();
                (!batch.is_empty()).then_some(batch)
            })
        })
    }
}

/// The first byte of a place, of which each is as likely as any other.
fn first_byte(place: Cursor) -> u8 {
    (place.digit(0) << 4) | place.digit(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{DeviceToken, Topic};
    use crate::registry::DeviceRef;

    #[test]
    fn invalidations_come_in_the_order_of_their_places_and_times_and_none_is_lost() {
        let located = |n: u32| {
            Located::new(DeviceRef {
                topic: Topic::parse("com.example.app").unwrap(),
                token: DeviceToken::from_bytes(&n.to_be_bytes()).unwrap(),
            })
        };
        let mut invalidations = Invalidations::default();
        let mut expected = Vec::new();
        for n in 0..5_000 {
            // One in three is said twice, the later time first.
            for since in [2, 1].into_iter().skip(usize::from(n % 3 > 0)) {
                let since = UnixTime::from_secs(since);
                invalidations.add(located(n), since);
                expected.push((located(n), since));
            }
        }
        expected.sort_by_key(|(device, since)| (device.place(), *since));
        assert_eq!(
            format!("{invalidations:?}"),
            format!("Invalidations({})", expected.len())
        );
        let batches: Vec<_> = invalidations.in_batches(7).collect();
        assert!(batches.iter().all(|batch| (1..=7).contains(&batch.len())));
        assert_eq!(batches.concat(), expected);
    }
}
