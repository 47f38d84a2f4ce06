//! What the recipients of a push come to: devices, and entries that nothing is sent for.

use std::collections::BTreeMap;

use crate::api::{Problem, Skipped, SkippedEntry};
use crate::environment::Environment;
use crate::notification::Topic;
use crate::receipt::MAX_DEVICES as MAX_TARGETS_OF_A_RECEIPT;
use crate::registry::{Alias, DeviceRef};

/// Most devices of one push. Beyond it nothing is sent: the function would hold them all.
pub const MAX_TARGETS: usize = 10_000;

/// A device that a push goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The place among the recipients of the one that it is there for; 0 if they are no list.
    pub entry: usize,
    /// The device.
    pub device: DeviceRef,
    /// Where its token is good, as far as its record says.
    pub known: Option<Environment>,
    /// Whether it has a record.
    pub registered: bool,
}

/// The recipients of a push as devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// In the order in which their aliases or tokens were first named, each once; those that are
    /// selected in no order.
    pub targets: Vec<Target>,
    /// The recipients that nothing is sent for, in their order: those that were named before, and
    /// those of `unmatched`.
    pub skipped: Vec<SkippedEntry>,
    /// The aliases without a device, each once, in that order.
    pub unmatched: Vec<Alias>,
}

/// Whose devices are meant, and how many they may be.
pub(super) struct Wanted<'a> {
    pub(super) topic: Option<&'a Topic>,
    pub(super) covers: &'a dyn Fn(&Topic) -> bool,
    /// The push has an idempotency key.
    pub(super) keyed: bool,
}

impl Wanted<'_> {
    pub(super) fn is(&self, topic: &Topic) -> bool {
        match self.topic {
            Some(wanted) => wanted == topic,
            None => (self.covers)(topic),
        }
    }

    /// # Errors
    /// 422: devices of aliases are too many.
    pub(super) fn check(&self, devices: usize) -> Result<(), Problem> {
        self.check_bounds(devices, Problem::too_many_devices)
    }

    /// # Errors
    /// 422: devices that were selected are too many.
    pub(super) fn check_selected(&self, devices: usize) -> Result<(), Problem> {
        self.check_bounds(devices, Problem::too_many_selected)
    }

    fn check_bounds(&self, devices: usize, problem: fn(usize) -> Problem) -> Result<(), Problem> {
        if self.keyed && devices > MAX_TARGETS_OF_A_RECEIPT {
            return Err(Problem::too_many_devices_of_a_receipt(
                MAX_TARGETS_OF_A_RECEIPT,
            ));
        }
        if devices > MAX_TARGETS {
            return Err(problem(MAX_TARGETS));
        }
        Ok(())
    }
}

impl Resolved {
    /// The same with the places that recipients have in a list of which they are not all entries.
    pub fn at(mut self, places: &[usize]) -> Self {
        let place = |entry: &mut usize| {
            if let Some(place) = places.get(*entry) {
                *entry = *place;
            }
        };
        for target in &mut self.targets {
            place(&mut target.entry);
        }
        for skipped in &mut self.skipped {
            place(&mut skipped.index);
            if let Skipped::Duplicate(of) = &mut skipped.why {
                place(of);
            }
        }
        self
    }
}

/// Where each of `all` is named first.
pub(super) struct FirstPlaces<'a, T> {
    all: &'a [T],
    /// Of each, in their order.
    first: Vec<usize>,
}

impl<'a, T: Ord> FirstPlaces<'a, T> {
    pub(super) fn of(all: &'a [T]) -> Self {
        let mut known = BTreeMap::new();
        let places = all.iter().enumerate();
        let first = places.map(|(place, one)| *known.entry(one).or_insert(place));
        let first = first.collect();
        Self { all, first }
    }

    /// Each of them once, with its place, in the order in which they are first named.
    pub(super) fn each_once(&self) -> impl Iterator<Item = (usize, &'a T)> {
        let all = self.all.iter().enumerate().zip(&self.first);
        let once = all.filter(|((place, _), first)| place == *first);
        once.map(|(one, _)| one)
    }

    /// Those that nothing is sent for: what was named before, and what `is_skipped` says of the
    /// first of a name.
    pub(super) fn skipped(&self, is_skipped: impl Fn(&T) -> Option<Skipped>) -> Vec<SkippedEntry> {
        let entry = |((index, one), first): ((usize, &T), &usize)| {
            let why = match *first == index {
                false => Skipped::Duplicate(*first),
                true => is_skipped(one)?,
            };
            Some(SkippedEntry { index, why })
        };
        let all = self.all.iter().enumerate().zip(&self.first);
        all.filter_map(entry).collect()
    }
}
