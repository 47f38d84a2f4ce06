//! What happened, as numbers: [`Counters`], kept by the function, added up by its host.
//!
//! ```text
//!   function: add ─► take ─► "push.rejected.BadDeviceToken=2,connect-failed=1"
//!   host:     add_taken ─► write
//! ```
//!
//! An instance of the function comes and goes, so that what it hands over are increments, each
//! once. The host hands its sum out in Prometheus's exposition format (version 0.0.4), every series
//! from the start, zeros included: a rate over one that appears with its first event would miss
//! that.
//!
//! Bound: the series are those of `Series::of` for each family, about a hundred. What is not one of
//! them is dropped on reading, a reason that is not in the table is `other`.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use crate::provider::{Outcome, Reason, Why};

/// Longest text of increments that is read, in bytes: all series there are, with room to spare.
const TAKEN_MAX_BYTES: usize = 16 * 1024;

/// Something that is counted.
#[derive(Clone, Copy, Debug)]
pub enum Count<'a> {
    /// A push to a device came to its end.
    Push(&'a Outcome),
    /// A broadcast did.
    Broadcast(&'a Outcome),
    /// APNs refused a credential, a certificate, or a topic for one.
    Refused(&'a Reason),
    /// A server ended a connection by a TLS alert: it takes no certificate of ours.
    RefusedByTls,
    /// Server errors have stopped a lane.
    BreakerOpened,
    /// Refusals of one topic's devices are not believed any more.
    GuardTripped,
    /// A connection could not be opened, or ended before anything was answered.
    ConnectFailed,
    /// A lane took a push or a broadcast no more.
    QueueFull,
}

/// One number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    family: Family,
    /// `accepted`, `rejected` or `unanswered`, where the family has outcomes.
    outcome: &'static str,
    /// Empty where there is none.
    reason: &'static str,
}

/// A metric with its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Push,
    Broadcast,
    Refused,
    BreakerOpened,
    GuardTripped,
    ConnectFailed,
    QueueFull,
}

/// Each with its name in increments, its name as a metric, and what it is.
const FAMILIES: [(Family, &str, &str, &str); 7] = [
    (
        Family::Push,
        "push",
        "dunlin_pushes_total",
        "Pushes to devices that came to their end, by outcome and reason.",
    ),
    (
        Family::Broadcast,
        "broadcast",
        "dunlin_broadcasts_total",
        "Broadcasts that came to their end, by outcome.",
    ),
    (
        Family::Refused,
        "refused",
        "dunlin_credential_refusals_total",
        "Answers of APNs that refuse a key, a certificate, or a topic for it.",
    ),
    (
        Family::BreakerOpened,
        "breaker-opened",
        "dunlin_breaker_opens_total",
        "Times that errors of APNs made a lane wait.",
    ),
    (
        Family::GuardTripped,
        "guard-tripped",
        "dunlin_guard_trips_total",
        "Times that refusals of a topic's devices were not believed any more.",
    ),
    (
        Family::ConnectFailed,
        "connect-failed",
        "dunlin_connects_failed_total",
        "Connections to APNs that could not be opened, or that ended before anything was answered.",
    ),
    (
        Family::QueueFull,
        "queue-full",
        "dunlin_queue_full_total",
        "Pushes and broadcasts that found the queue of their lane full.",
    ),
];

const ACCEPTED: &str = "accepted";
const REJECTED: &str = "rejected";
const UNANSWERED: &str = "unanswered";

/// A reason that is not in the table.
const OTHER: &str = "other";

/// A refusal by TLS.
const TLS_ALERT: &str = "tls-alert";

impl Count<'_> {
    fn series(self) -> Series {
        let plain = |family| Series::new(family, "", "");
        match self {
            Self::Push(outcome) => {
                let (outcome, reason) = labels(outcome);
                Series::new(Family::Push, outcome, reason)
            }
            Self::Broadcast(outcome) => Series::new(Family::Broadcast, labels(outcome).0, ""),
            Self::Refused(reason) => Series::new(Family::Refused, "", name(reason)),
            Self::RefusedByTls => Series::new(Family::Refused, "", TLS_ALERT),
            Self::BreakerOpened => plain(Family::BreakerOpened),
            Self::GuardTripped => plain(Family::GuardTripped),
            Self::ConnectFailed => plain(Family::ConnectFailed),
            Self::QueueFull => plain(Family::QueueFull),
        }
    }
}

fn name(reason: &Reason) -> &'static str {
    reason.name().unwrap_or(OTHER)
}

fn labels(outcome: &Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Accepted { .. } => (ACCEPTED, ""),
        Outcome::Rejected { reason, .. } => (REJECTED, name(reason)),
        Outcome::Unanswered { why, .. } => (UNANSWERED, why.name()),
    }
}

impl Series {
    const fn new(family: Family, outcome: &'static str, reason: &'static str) -> Self {
        Self {
            family,
            outcome,
            reason,
        }
    }

    /// All that a family has, in the order they are written.
    fn of(family: Family) -> Vec<Self> {
        let series = |outcome, reason| Self::new(family, outcome, reason);
        let reasons = || Reason::names().chain([OTHER]);
        match family {
            Family::Push => [series(ACCEPTED, "")]
                .into_iter()
                .chain(reasons().map(|reason| series(REJECTED, reason)))
                .chain(Why::NAMES.map(|why| series(UNANSWERED, why)))
                .collect(),
            Family::Broadcast => [ACCEPTED, REJECTED, UNANSWERED]
                .map(|outcome| series(outcome, ""))
                .into(),
            Family::Refused => {
                let refuses = |reason: &&str| {
                    let reason = Reason::parse(reason);
                    let status = reason.usual_status().unwrap_or_default();
                    super::Refusal::of_reason(&reason, status).is_some()
                };
                let known = Reason::names().filter(refuses).chain([OTHER, TLS_ALERT]);
                known.map(|reason| series("", reason)).collect()
            }
            Family::BreakerOpened
            | Family::GuardTripped
            | Family::ConnectFailed
            | Family::QueueFull => vec![series("", "")],
        }
    }

    /// As increments name it.
    fn key(&self) -> String {
        let name = FAMILIES.iter().find(|(family, ..)| *family == self.family);
        let mut key = name.map_or("", |(_, name, ..)| name).to_owned();
        for label in [self.outcome, self.reason] {
            if !label.is_empty() {
                key.push('.');
                key.push_str(label);
            }
        }
        key
    }

    fn parse(key: &str) -> Option<Self> {
        let name = key.split('.').next()?;
        let (family, ..) = FAMILIES.iter().find(|(_, known, ..)| *known == name)?;
        Self::of(*family).into_iter().find(|it| it.key() == key)
    }

    fn write_labels(&self, text: &mut String) {
        // Writing to a string cannot fail. The labels are our own, and need no escaping.
        let _ = match (self.family, self.outcome, self.reason) {
            (Family::Push, outcome, reason) => {
                write!(text, "{{outcome=\"{outcome}\",reason=\"{reason}\"}}")
            }
            (_, "", "") => Ok(()),
            (_, "", reason) => write!(text, "{{reason=\"{reason}\"}}"),
            (_, outcome, _) => write!(text, "{{outcome=\"{outcome}\"}}"),
        };
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Counters(BTreeMap<Series, u64>);

impl Counters {
    /// Something happened.
    pub fn add(&mut self, count: Count<'_>) {
        self.increase(count.series(), 1);
    }

    fn increase(&mut self, series: Series, by: u64) {
        let value = self.0.entry(series).or_default();
        *value = value.saturating_add(by);
    }

    /// What has happened since this was called last, for [`Self::add_taken`]; `None` if nothing
    /// has.
    pub fn take(&mut self) -> Option<String> {
        let counted = core::mem::take(&mut self.0);
        let increments = counted
            .iter()
            .map(|(series, by)| format!("{}={by}", series.key()));
        let increments: Vec<String> = increments.collect();
        (!increments.is_empty()).then(|| increments.join(","))
    }

    /// Adds what [`Self::take`] gave elsewhere. What is none of ours is dropped, so that no text
    /// can add a series.
    pub fn add_taken(&mut self, text: &str) {
        if text.len() > TAKEN_MAX_BYTES {
            return;
        }
        for increment in text.split(',') {
            let parsed = increment
                .split_once('=')
                .and_then(|(key, by)| Some((Series::parse(key)?, by.parse::<u32>().ok()?)));
            if let Some((series, by)) = parsed {
                self.increase(series, u64::from(by));
            }
        }
    }

    /// Appends all of it in Prometheus's format.
    pub fn write(&self, text: &mut String) {
        for (family, _, name, help) in FAMILIES {
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for series in Series::of(family) {
                text.push_str(name);
                series.write_labels(text);
                let value = self.0.get(&series).copied().unwrap_or_default();
                let _ = writeln!(text, " {value}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::support::{accepted, rejected};
    use super::*;

    fn lines(counters: &Counters) -> Vec<String> {
        let mut text = String::new();
        counters.write(&mut text);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn pushes_are_counted_by_outcome_and_reason() {
        let mut here = Counters::default();
        let unanswered = Outcome::unanswered(Why::StreamReset(7));
        here.add(Count::Push(&accepted()));
        here.add(Count::Push(&accepted()));
        for reason in ["BadDeviceToken", "New\"\n1", ""] {
            here.add(Count::Push(&rejected(400, reason)));
        }
        here.add(Count::Push(&unanswered));
        here.add(Count::Broadcast(&unanswered));
        here.add(Count::Refused(&Reason::InvalidProviderToken));
        here.add(Count::RefusedByTls);
        for count in [
            Count::BreakerOpened,
            Count::GuardTripped,
            Count::ConnectFailed,
            Count::QueueFull,
        ] {
            here.add(count);
        }
        let mut sum = Counters::default();
        sum.add_taken(&here.take().unwrap());
        assert_eq!(here.take(), None, "each increment is handed over once");
        let text = lines(&sum);
        for line in [
            "dunlin_pushes_total{outcome=\"accepted\",reason=\"\"} 2",
            "dunlin_pushes_total{outcome=\"rejected\",reason=\"BadDeviceToken\"} 1",
            "dunlin_pushes_total{outcome=\"rejected\",reason=\"other\"} 2",
            "dunlin_pushes_total{outcome=\"rejected\",reason=\"Unregistered\"} 0",
            "dunlin_pushes_total{outcome=\"unanswered\",reason=\"stream-reset\"} 1",
            "dunlin_broadcasts_total{outcome=\"unanswered\"} 1",
            "dunlin_credential_refusals_total{reason=\"InvalidProviderToken\"} 1",
            "dunlin_credential_refusals_total{reason=\"tls-alert\"} 1",
            "dunlin_breaker_opens_total 1",
            "dunlin_guard_trips_total 1",
            "dunlin_connects_failed_total 1",
            "dunlin_queue_full_total 1",
        ] {
            assert!(text.iter().any(|own| own == line), "{line} in\n{text:#?}");
        }
    }

    #[test]
    fn no_text_adds_a_series() {
        let mut counters = Counters::default();
        let before = lines(&counters);
        let long = "push.accepted=1,".repeat(2_000);
        for text in [
            "",
            "push",
            "push=1",
            "push.accepted",
            "push.accepted=",
            "push.accepted=-1",
            "push.accepted=1e3",
            "push.accepted=4294967296",
            "push.accepted.x=1",
            "push.rejected.New=1",
            "push.rejected.a\"} 1\nx=1",
            "evil=1",
            "queue-full.x=1",
            &long,
        ] {
            counters.add_taken(text);
            assert_eq!(lines(&counters), before, "{text}");
        }
        for n in 0..10_000 {
            counters.add(Count::Push(&rejected(400, &format!("New{n}"))));
        }
        assert_eq!(lines(&counters).len(), before.len());
    }

    #[test]
    fn every_series_is_read_as_it_was_written() {
        let mut counters = Counters::default();
        let mut count = 0;
        for (family, ..) in FAMILIES {
            for series in Series::of(family) {
                assert_eq!(Series::parse(&series.key()), Some(series));
                counters.increase(series, u64::from(u32::MAX));
                count += 1;
            }
        }
        assert!(count > 60);
        let taken = counters.take().unwrap();
        assert!(taken.len() < TAKEN_MAX_BYTES);
        counters.add_taken(&taken);
        assert!(
            counters
                .0
                .values()
                .all(|value| *value == u64::from(u32::MAX))
        );
        assert_eq!(counters.0.len(), count);
    }
}
