//! Pushes of lines that are on their way, each to one device.

use std::rc::Rc;
use std::sync::Arc;

use super::prepare::ToDevice;
use super::sending::{Ended, Times};
use crate::api::Reference;
use crate::delivery::{Delivered, Submission};
use crate::provider::{Outcome, Why};
use crate::service::Runtime;
use crate::service::state::LaneOf;

/// What its result says of a line.
pub(super) struct Named {
    pub(super) number: u64,
    pub(super) reference: Option<Reference>,
    /// What is unusual about the push.
    pub(super) warnings: Rc<[String]>,
    /// The line's length.
    pub(super) bytes: usize,
}

/// A push on its way.
pub(super) struct InFlight<R: Runtime> {
    pub(super) named: Named,
    pub(super) times: Times,
    pub(super) ended: Ended,
    /// The number of its lanes, and of its lane among them.
    place: (usize, usize),
    lane: LaneOf<R>,
    /// To the other environment, if there is one and it has not been tried.
    other: Option<LaneOf<R>>,
    /// It has been handed in there.
    is_elsewhere: bool,
}

/// What an outcome is for a push.
pub(super) enum Step {
    /// It is handed in once more, to the other environment.
    Elsewhere,
    /// It has its outcome.
    Over,
}

impl<R: Runtime> InFlight<R> {
    /// `lanes` are what `to` has numbers of; they have a number, too. `None` if there is no such
    /// lane.
    pub(super) fn new(
        named: Named,
        times: Times,
        to: ToDevice,
        (number, lanes): (usize, &[LaneOf<R>]),
    ) -> Option<Self> {
        let lane = lanes.get(to.lane)?.clone();
        let other = to.other.and_then(|other| lanes.get(other)).cloned();
        let delivered = None;
        Some(Self {
            named,
            times,
            place: (number, to.lane),
            ended: Ended { to, delivered },
            lane,
            other,
            is_elsewhere: false,
        })
    }

    /// Tells the lane that it takes first from others.
    pub(super) const fn place(&self) -> (usize, usize) {
        self.place
    }

    /// The lane that it takes now.
    pub(super) const fn lane(&self) -> &LaneOf<R> {
        &self.lane
    }

    /// What a lane is handed.
    pub(super) fn submission(&self) -> Submission {
        Submission {
            message: Arc::clone(&self.ended.to.notification).into(),
            deadline: self.times.deadline,
            confirm: self.times.confirm,
        }
    }

    /// Takes an outcome.
    pub(super) fn take(&mut self, delivered: Delivered) -> Step {
        let probe = &mut self.ended.to.probe;
        if self.is_elsewhere {
            if probe.tried_elsewhere(&delivered.outcome) {
                self.ended.delivered = Some(delivered);
            }
            return Step::Over;
        }
        let goes_on = probe.goes_on(&delivered.outcome);
        self.ended.delivered = Some(delivered);
        match self.other.take().filter(|_| goes_on) {
            Some(other) => {
                self.lane = other;
                self.is_elsewhere = true;
                Step::Elsewhere
            }
            None => Step::Over,
        }
    }

    /// It found no room until its time was over.
    pub(super) fn give_up(&mut self) {
        self.ended.delivered.get_or_insert_with(|| Delivered {
            outcome: Outcome::unanswered(Why::NotSent),
            trouble: None,
        });
    }
}

/// Those that are on their way, by numbers that are used again.
pub(super) struct Places<R: Runtime> {
    all: Vec<Option<InFlight<R>>>,
    free: Vec<usize>,
}

impl<R: Runtime> Default for Places<R> {
    fn default() -> Self {
        let (all, free) = (Vec::new(), Vec::new());
        Self { all, free }
    }
}

impl<R: Runtime> Places<R> {
    /// Keeps it; the number that it has from now on.
    pub(super) fn insert(&mut self, one: InFlight<R>) -> usize {
        if let Some(number) = self.free.pop()
            && let Some(place) = self.all.get_mut(number)
        {
            *place = Some(one);
            return number;
        }
        self.all.push(Some(one));
        self.all.len() - 1
    }

    pub(super) fn get(&self, number: usize) -> Option<&InFlight<R>> {
        self.all.get(number)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut InFlight<R>> {
        self.all.get_mut(number)?.as_mut()
    }

    /// Gives it back.
    pub(super) fn remove(&mut self, number: usize) -> Option<InFlight<R>> {
        let one = self.all.get_mut(number)?.take();
        if one.is_some() {
            self.free.push(number);
        }
        one
    }
}
