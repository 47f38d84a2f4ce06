//! What the operator is told of one lane to APNs.

use core::cell::{Cell, RefCell};

use super::{LaneName, Platform};
use crate::delivery::{Lane, News};
use crate::notification::Topic;
use crate::provider::Outcome;

/// Listens to a lane. Whoever drives it calls this after everything that the lane was told.
#[derive(Debug)]
pub struct LaneReport {
    name: LaneName,
    /// How many waited when the queue was full, until half of them are gone; 0 if it is not.
    full_at: Cell<usize>,
    /// How TLS says that the last connection ended, until the lane has told what it makes of it.
    last_end: RefCell<Option<String>>,
}

impl LaneReport {
    /// Of a lane that has told nothing yet.
    pub const fn new(name: LaneName) -> Self {
        Self {
            name,
            full_at: Cell::new(0),
            last_end: RefCell::new(None),
        }
    }

    /// What the lane is called.
    pub const fn name(&self) -> &LaneName {
        &self.name
    }

    /// A connection has ended, for which TLS gives this reason, if any.
    pub fn ended(&self, why: Option<String>) {
        self.last_end.replace(why);
    }

    /// The queue took no more.
    pub fn overflowed(&self, platform: &impl Platform, lane: &Lane) {
        let waiting = lane.status().waiting;
        self.full_at.set(waiting.max(1));
        platform.tell(|operator, now| operator.queue_full(now, &self.name, waiting));
    }

    /// Tells what the lane has to tell, and that the queue is not full any more.
    pub fn pass_on(&self, platform: &impl Platform, lane: &mut Lane) {
        while let Some(mut news) = lane.poll_news() {
            if let News::ConnectFailed(why) = &mut news
                && let Some(end) = self.last_end.take()
            {
                *why = format!("{why}: {end}");
            }
            platform.tell(|operator, now| operator.heard(now, &self.name, &news));
        }
        let full_at = self.full_at.get();
        if full_at > 0 && lane.status().waiting <= full_at / 2 {
            self.full_at.set(0);
            platform.tell(|operator, now| operator.queue_eased(now, &self.name));
        }
    }

    /// An outcome may be of interest to the operator, too.
    pub fn delivered(&self, platform: &impl Platform, topic: &Topic, outcome: &Outcome) {
        let is_news = matches!(outcome, Outcome::Rejected { .. });
        if is_news || !platform.operator(|operator| operator.is_quiet()) {
            let topic = Some(topic.as_str());
            platform.tell(|operator, now| operator.delivered(now, &self.name, topic, outcome));
        }
    }
}
