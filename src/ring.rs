//! Values by numbers that grow, in one piece of memory that is used again: [`Ring`].
//!
//! ```text
//!   number   41   42   43   44   45   46   47
//!   value    a    -    b    c    -    d    e        - has been taken
//!            ▲ front                       ▲ back: where nearly every value is added
//! ```
//!
//! Jobs, streams and what waits for them are numbered one after the other, and end nearly in that
//! order. So a number is its own place, counted from the front, and neither adding nor taking a
//! value allocates in the long run. Where values have ended out of order, their places stay empty
//! until those before them have ended, too, or until they are the majority; then they are cleared
//! out, and the places behind are found by bisection.
//!
//! Bound: twice the values and [`SLACK`] places, whatever the numbers are. What there was room for
//! is given back, but for [`KEPT`] places, when there is no value left.

use std::collections::VecDeque;

/// Places that may be empty in any case.
const SLACK: usize = 64;

/// Places that are kept without values in them.
const KEPT: usize = 2_048;

/// See the module.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    /// By rising numbers. The first has a value.
    places: VecDeque<(u64, Option<T>)>,
    count: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self {
            places: VecDeque::new(),
            count: 0,
        }
    }
}

impl<T> Ring<T> {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        let place = self.find(number).ok()?;
        self.places.get(place)?.1.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let place = self.find(number).ok()?;
        self.places.get_mut(place)?.1.as_mut()
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.get(number).is_some()
    }

    /// Adds a value, or replaces the one of the same number. It costs as much as there are values
    /// behind it if the number is not the largest so far.
    pub(crate) fn insert(&mut self, number: u64, value: T) {
        let place = match self.places.back() {
            Some((last, _)) if *last >= number => self.find(number),
            _ => Err(self.places.len()),
        };
        match place {
            Ok(place) => {
                if let Some((_, there)) = self.places.get_mut(place) {
                    self.count += usize::from(there.is_none());
                    *there = Some(value);
                }
            }
            Err(place) => {
                self.places.insert(place, (number, Some(value)));
                self.count += 1;
            }
        }
    }

    /// Takes a value out.
    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let place = self.find(number).ok()?;
        let value = self.places.get_mut(place)?.1.take()?;
        self.count -= 1;
        self.tidy();
        Some(value)
    }

    /// All of them, by rising numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let places = self.places.iter();
        places.filter_map(|(number, value)| Some((*number, value.as_ref()?)))
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut T)> {
        let places = self.places.iter_mut();
        places.filter_map(|(number, value)| Some((*number, value.as_mut()?)))
    }

    /// Where a number is, or would be.
    #[inline]
    fn find(&self, number: u64) -> Result<usize, usize> {
        let first = self.places.front().map_or(0, |(first, _)| *first);
        // Too far off, if it is below the first or above what there can be places for.
        let guess = usize::try_from(number.wrapping_sub(first)).unwrap_or(usize::MAX);
        match self.places.get(guess) {
            Some((there, _)) if *there == number => Ok(guess),
            _ => self.bisect(number),
        }
    }

    #[cold]
    fn bisect(&self, number: u64) -> Result<usize, usize> {
        // What has ended is mostly in front of all that is there.
        if self.places.front().is_none_or(|(first, _)| number < *first) {
            return Err(0);
        }
        self.places
            .binary_search_by_key(&number, |(there, _)| *there)
    }

    /// Clears out places without values.
    fn tidy(&mut self) {
        if self.count == 0 {
            self.places.clear();
            self.places.shrink_to(KEPT);
            return;
        }
        while self
            .places
            .front()
            .is_some_and(|(_, value)| value.is_none())
        {
            self.places.pop_front();
        }
        if self.places.len() > 2 * self.count + SLACK {
            self.places.retain(|(_, value)| value.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_does_what_a_map_does_within_its_bound() {
        let (mut ring, mut map) = (Ring::default(), BTreeMap::new());
        let (mut next, mut noise) = (0_u64, 7_u64);
        for step in 0..100_000_u64 {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let some = noise >> 33;
            match some % 8 {
                0..=2 => {
                    next += 1 + u64::from(some % 97 == 0) * 1_000;
                    ring.insert(next, step);
                    map.insert(next, step);
                }
                // One that was there, or may have been, or never was.
                3 => {
                    let number = next.saturating_sub(some % 200);
                    ring.insert(number, step);
                    map.insert(number, step);
                }
                4 if step % 1_000 < 500 => {
                    let oldest = map.keys().next().copied().unwrap_or(0);
                    assert_eq!(ring.remove(oldest), map.remove(&oldest));
                }
                _ => {
                    let number = next.saturating_sub(some % 300);
                    assert_eq!(ring.get(number), map.get(&number));
                    assert_eq!(ring.contains(number), map.contains_key(&number));
                    assert_eq!(ring.remove(number), map.remove(&number));
                }
            }
            assert_eq!((ring.len(), ring.is_empty()), (map.len(), map.is_empty()));
            assert!(ring.places.len() <= 2 * ring.count + SLACK);
        }
        let pairs: Vec<_> = ring
            .iter()
            .map(|(number, value)| (number, *value))
            .collect();
        assert_eq!(pairs, map.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn one_that_stays_does_not_keep_the_places_of_the_others() {
        let mut ring = Ring::default();
        ring.insert(0, 0);
        for number in 1..10_000 {
            ring.insert(number, number);
            assert_eq!(ring.remove(number), Some(number));
        }
        assert_eq!((ring.get(0), ring.len()), (Some(&0), 1));
        assert!(ring.places.len() <= 2 + SLACK);
        ring.remove(0);
        assert!(ring.is_empty() && ring.places.is_empty());
    }

    #[test]
    fn room_for_many_is_given_back() {
        let mut ring = Ring::default();
        (0..10_000).for_each(|number| ring.insert(number, number));
        (0..10_000).for_each(|number| assert_eq!(ring.remove(number), Some(number)));
        assert!(ring.places.capacity() < 10_000);
        ring.insert(3, 3);
        ring.insert(1, 1);
        ring.iter_mut().for_each(|(_, value)| *value += 1);
        assert_eq!(ring.iter().collect::<Vec<_>>(), [(1, &2), (3, &4)]);
    }
}
