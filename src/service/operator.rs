//! Everything that happens on the lanes to APNs, turned into what the operator is told and what is
//! counted: [`Operator`], one for each instance.
//!
//! | alarm | about | begins | is over |
//! |---|---|---|---|
//! | those of `refusal.rs` | | an answer, a GOAWAY or a TLS alert says so | see there |
//! | `connections-failing` | an address | no connection, or it ends unanswered | any answer |
//! | `breaker-open` | a lane | five server errors in a row | the probe is answered |
//! | `queue-full` | a lane | it takes no more | half of what waited is gone |
//! | `guard-tripped` | a topic | [`GUARD_TRIPPED`] | refusals of its devices are believed again |
//! | `misconfigured` | the function | it cannot read its configuration | it can |
//! | `outcomes-not-kept` | the store | it does not take what outcomes say | it does |
//!
//! Invariant: lines have key, team and certificate names, hosts and topics in them; never a token,
//! an alias, a payload or a key.

mod lane_name;

use std::collections::VecDeque;

use super::alarms::{AlarmLine, Alarms};
use super::counters::{Count, Counters};
use super::refusal::{Kind, Refusal};
use crate::delivery::News;
use crate::provider::{Outcome, Reason};
use crate::registry::GUARD_TRIPPED;
use crate::time::Now;

pub use lane_name::LaneName;

const FAILING: &str = "connections-failing";
const BREAKER: &str = "breaker-open";
const QUEUE: &str = "queue-full";
const GUARD: &str = "guard-tripped";
const MISCONFIGURED: &str = "misconfigured";
const NOT_KEPT: &str = "outcomes-not-kept";

/// See the module.
#[derive(Debug, Default)]
pub struct Operator {
    alarms: Alarms,
    counters: Counters,
    lines: VecDeque<AlarmLine>,
}

impl Operator {
    // ---- what happens

    /// An outcome has come from a lane, for an app if it is about one.
    pub fn delivered(&mut self, now: Now, lane: &LaneName, topic: Option<&str>, outcome: &Outcome) {
        if let Outcome::Rejected { status, reason, .. } = outcome {
            self.refused(now, lane, topic, (reason, *status));
        }
        if self.alarms.is_quiet() {
            return;
        }
        if !matches!(outcome, Outcome::Unanswered { .. }) {
            self.good(now, FAILING, || lane.place());
        }
        if Refusal::vouches_for_credential(outcome) {
            self.good(now, Kind::Credential.alarm(), || lane.who());
            self.good(now, Kind::Certificate.alarm(), || lane.who());
        }
        if let Some(topic) = topic
            && Refusal::vouches_for_topic(outcome)
        {
            let subject = || format!("{topic} for {}", lane.who());
            self.good(now, Kind::Topic.alarm(), subject);
        }
    }

    fn refused(
        &mut self,
        now: Now,
        lane: &LaneName,
        topic: Option<&str>,
        (reason, status): (&Reason, u16),
    ) {
        let Some(Refusal { kind, remedy }) = Refusal::of_reason(reason, status) else {
            return;
        };
        self.counters.add(Count::Refused(reason));
        let (who, name) = (lane.who(), reason.name().unwrap_or("other"));
        let subject = match (kind, topic) {
            (Kind::Topic, Some(topic)) => format!("{topic} for {who}: {name}"),
            _ => format!("{who}: {name}"),
        };
        let address = &lane.address;
        let text = || format!("{address} answers {status} {reason}. {remedy}.");
        self.note(now, kind.alarm(), &subject, text);
    }

    /// A lane has something to tell.
    pub fn heard(&mut self, now: Now, lane: &LaneName, news: &News) {
        match news {
            News::Connected => self.good(now, FAILING, || lane.place()),
            News::ConnectFailed(why) => self.connect_failed(now, lane, why),
            News::CredentialRefused(reason) => {
                let status = reason.usual_status().unwrap_or_default();
                self.refused(now, lane, None, (reason, status));
            }
            News::BreakerOpened => {
                self.counters.add(Count::BreakerOpened);
                let text = || BREAKER_OPEN.to_owned();
                self.note(now, BREAKER, &lane.full_name(), text);
            }
            News::BreakerClosed => self.good(now, BREAKER, || lane.full_name()),
        }
    }

    fn connect_failed(&mut self, now: Now, lane: &LaneName, why: &str) {
        self.counters.add(Count::ConnectFailed);
        // As TLS libraries have it: "received fatal alert: CertificateRevoked".
        if lane.has_certificate && why.to_ascii_lowercase().contains("alert") {
            self.counters.add(Count::RefusedByTls);
            let refusal = Refusal::of_reason(&Reason::BadCertificate, 403);
            let remedy = refusal.map_or("", |refusal| refusal.remedy);
            let subject = format!("{}: tls-alert", lane.who());
            let text = || format!("no connection to {}: {why}. {remedy}.", lane.address);
            self.note(now, Kind::Certificate.alarm(), &subject, text);
            return;
        }
        let remedy = match lane.has_certificate {
            true => CERTIFICATE_OR_CONNECTION,
            false => CONNECTION,
        };
        let text = || format!("no connection: {why}. {remedy}.");
        self.note(now, FAILING, &lane.place(), text);
    }

    /// A lane took a message no more, `waiting` being before it.
    pub fn queue_full(&mut self, now: Now, lane: &LaneName, waiting: usize) {
        self.counters.add(Count::QueueFull);
        let text = || format!("{waiting} wait already, and the next were refused. {QUEUE_FULL}.");
        self.note(now, QUEUE, &lane.full_name(), text);
    }

    /// Half of what waited is gone.
    pub fn queue_eased(&mut self, now: Now, lane: &LaneName) {
        self.good(now, QUEUE, || lane.full_name());
    }

    /// A refusal of one of the topic's devices is not believed; `is_new` if those before it were.
    pub fn guard_holds(&mut self, now: Now, topic: &str, is_new: bool) {
        if is_new {
            self.counters.add(Count::GuardTripped);
        }
        let text = || format!("{GUARD_TRIPPED}. {GUARD_HOLDS}.");
        self.note(now, GUARD, topic, text);
    }

    /// Whether there is anything that [`Self::guard_is_calm`] could be about.
    pub fn is_quiet(&self) -> bool {
        self.alarms.is_quiet()
    }

    /// Refusals of the topic's devices are believed.
    pub fn guard_is_calm(&mut self, now: Now, topic: &str) {
        self.good(now, GUARD, || topic.to_owned());
    }

    /// The configuration cannot be used.
    pub fn misconfigured(&mut self, now: Now, why: &str) {
        let text =
            || format!("{why}. Every call is refused until it is mended: run dunlin doctor.");
        self.note(now, MISCONFIGURED, "configuration", text);
    }

    /// The configuration can be used.
    pub fn configured(&mut self, now: Now) {
        self.good(now, MISCONFIGURED, || "configuration".to_owned());
    }

    /// The store did not take what an outcome says of a device; `rule` is the problem's.
    pub fn outcome_not_kept(&mut self, now: Now, rule: &str) {
        let text = || {
            format!(
                "{rule}: what APNs said of devices was reported and not kept. Look at the store."
            )
        };
        self.note(now, NOT_KEPT, "store", text);
    }

    /// The store took it.
    pub fn outcome_kept(&mut self, now: Now) {
        self.good(now, NOT_KEPT, || "store".to_owned());
    }

    /// Counts something that is no alarm.
    pub fn count(&mut self, count: Count<'_>) {
        self.counters.add(count);
    }

    // ---- what comes of it

    /// The next line for the log.
    pub fn poll_line(&mut self) -> Option<AlarmLine> {
        self.lines.pop_front()
    }

    /// What was counted since this was called last; see [`Counters::take`].
    pub fn take_counts(&mut self) -> Option<String> {
        self.counters.take()
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub fn poll_timeout(&self) -> Option<Now> {
        self.alarms.poll_timeout()
    }

    /// A moment given by [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        let lines = self.alarms.handle_timeout(now);
        self.lines.extend(lines);
    }

    fn note(&mut self, now: Now, alarm: &str, subject: &str, text: impl FnOnce() -> String) {
        let line = self.alarms.note(now, (alarm, subject), 1, text);
        self.lines.extend(line);
    }

    /// The subject is made only where it is needed: this is asked of every outcome.
    fn good(&mut self, now: Now, alarm: &str, subject: impl FnOnce() -> String) {
        if self.alarms.stands(alarm) {
            let lines = self.alarms.good(now, (alarm, &subject()));
            self.lines.extend(lines);
        }
    }
}

const CONNECTION: &str = "\
    Run dunlin doctor, which says where the way to this server ends: name, firewall, proxy or \
    TLS";
const CERTIFICATE_OR_CONNECTION: &str = "\
    Run dunlin doctor, which says where the way to this server ends, and whether it takes the \
    certificate";
const BREAKER_OPEN: &str = "\
    APNs answers with server errors; one push at a time asks whether it works again, and the \
    rest waits until its deadline. See developer.apple.com/system-status; nothing has to be \
    changed here.";
const QUEUE_FULL: &str = "\
    Send more slowly, or see whether APNs answers slowly or not at all; queue under [delivery] \
    is how many may wait, connections how many carry them";
const GUARD_HOLDS: &str = "\
    Check that the credential for this topic is of its app and environment; ten minutes after \
    the refusals have stopped they are believed again";

#[cfg(test)]
mod tests;
