//! A push on its way: handed in many at once, and the outcomes as they come.

use std::sync::Arc;

use super::prepare::{Prepared, ToDevice};
use crate::api::Problem;
use crate::delivery::{Delivered, Submission};
use crate::provider::{Outcome, Why};
use crate::service::state::LaneOf;
use crate::service::{App, Inbox, Runtime, Sender, Turns};
use crate::time::{Now, UnixTime};

/// When a request began, and when its outcomes must be there.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) asked_at: UnixTime,
    pub(super) deadline: Now,
    pub(super) confirm: bool,
}

/// Messages handed in between two turns of others.
const AT_ONCE: usize = 256;

/// A push to one device with its outcome; `None` if it is a dry run.
pub(super) struct Ended {
    pub(super) to: ToDevice,
    pub(super) delivered: Option<Delivered>,
}

/// A push that is being sent. Its messages are known by their places among `all`.
pub(super) struct Sending<'a, R: Runtime> {
    app: &'a App<R>,
    all: Vec<Ended>,
    lanes: Vec<LaneOf<R>>,
    times: Times,
    inbox: Inbox,
    /// How many outcomes are still to come.
    under_way: usize,
}

/// Which environment is meant.
#[derive(Clone, Copy)]
enum Attempt {
    First,
    Elsewhere,
}

impl<'a, R: Runtime> Sending<'a, R> {
    pub(super) fn new(app: &'a App<R>, prepared: Prepared<R>, times: Times) -> Self {
        let Prepared { devices, lanes } = prepared;
        let all = devices.into_iter().map(|to| Ended {
            to,
            delivered: None,
        });
        Self {
            app,
            all: all.collect(),
            lanes,
            times,
            inbox: Inbox::default(),
            under_way: 0,
        }
    }

    /// Sends all, and waits for the outcomes. What finds no room when others are on their way is
    /// reported as not sent.
    ///
    /// # Errors
    /// 503 if the first of them finds no room: then nothing was sent.
    pub(super) async fn send(&mut self) -> Result<(), Problem> {
        let all: Vec<_> = (0..self.all.len()).collect();
        let mut turns = Turns::new(&self.app.platform);
        for some in all.chunks(AT_ONCE) {
            let refused = self.hand_in(some, Attempt::First);
            if self.under_way == 0 {
                return Err(Problem::queue_full());
            }
            for number in refused {
                if let Some(one) = self.all.get_mut(number) {
                    one.delivered = Some(Delivered {
                        outcome: Outcome::unanswered(Why::NotSent),
                        trouble: None,
                    });
                }
            }
            turns.worked(some.len()).await;
        }
        self.collect(Attempt::First).await;
        Ok(())
    }

    /// Sends once more, in the other environment, what one environment did not know the token of.
    pub(super) async fn try_elsewhere(&mut self) {
        let goes_on = |one: &Ended| {
            let outcome = one.delivered.as_ref().map(|delivered| &delivered.outcome);
            let has_lane = one.to.other.is_some();
            has_lane && outcome.is_some_and(|outcome| one.to.probe.goes_on(outcome))
        };
        let again = self.all.iter().enumerate().filter(|(_, one)| goes_on(one));
        let again: Vec<_> = again.map(|(number, _)| number).collect();
        let mut turns = Turns::new(&self.app.platform);
        for some in again.chunks(AT_ONCE) {
            // What finds no room has the outcome that it had.
            self.hand_in(some, Attempt::Elsewhere);
            turns.worked(some.len()).await;
        }
        self.collect(Attempt::Elsewhere).await;
    }

    /// What has become of it.
    pub(super) fn into_ended(self) -> Vec<Ended> {
        self.all
    }

    /// Hands messages in, those together that follow each other on one lane. Returns those that
    /// found no room. If the first of all finds none, nothing is handed in.
    fn hand_in(&mut self, numbers: &[usize], attempt: Attempt) -> Vec<usize> {
        let lane_of = |number: &usize| attempt.lane(&self.all.get(*number)?.to);
        let mut refused = Vec::new();
        for group in numbers.chunk_by(|a, b| lane_of(a) == lane_of(b)) {
            let lane = group.first().and_then(lane_of);
            let taken = lane
                .and_then(|lane| self.lanes.get(lane))
                .map_or(0, |lane| {
                    let submissions = group.iter().filter_map(|number| self.submission(*number));
                    let sender = &self.app.sender;
                    sender.submit_many(lane, submissions.collect(), &self.inbox)
                });
            self.under_way += taken;
            refused.extend(group.iter().skip(taken));
            if self.under_way == 0 && matches!(attempt, Attempt::First) {
                break;
            }
        }
        refused
    }

    fn submission(&self, number: usize) -> Option<(usize, Submission)> {
        let notification = &self.all.get(number)?.to.notification;
        let submission = Submission {
            message: Arc::clone(notification).into(),
            deadline: self.times.deadline,
            confirm: self.times.confirm,
        };
        Some((number, submission))
    }

    /// Waits for the outcomes of all that are under way.
    async fn collect(&mut self, attempt: Attempt) {
        // Those that are there already are taken without a pause.
        let mut turns = Turns::new(&self.app.platform);
        while self.under_way > 0 {
            let come = self.inbox.next().await;
            let count = come.len();
            self.under_way = self.under_way.saturating_sub(count);
            for (number, delivered) in come {
                if let Some(one) = self.all.get_mut(number)
                    && attempt.takes(&mut one.to, &delivered)
                {
                    one.delivered = Some(delivered);
                }
            }
            turns.worked(count).await;
        }
    }
}

impl Attempt {
    fn lane(self, to: &ToDevice) -> Option<usize> {
        match self {
            Self::First => Some(to.lane),
            Self::Elsewhere => to.other,
        }
    }

    /// Whether what was said there is the outcome of the push.
    fn takes(self, to: &mut ToDevice, delivered: &Delivered) -> bool {
        match self {
            Self::First => true,
            Self::Elsewhere => to.probe.tried_elsewhere(&delivered.outcome),
        }
    }
}
