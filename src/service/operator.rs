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

use std::collections::VecDeque;

use super::alarms::{AlarmLine, Alarms};
use super::counters::{Count, Counters};
use super::refusal::{Kind, Refusal};
use crate::delivery::News;
use crate::provider::{Outcome, Reason};
use crate::registry::GUARD_TRIPPED;
use crate::time::Now;

const FAILING: &str = "connections-failing";
const BREAKER: &str = "breaker-open";
const QUEUE: &str = "queue-full";
const GUARD: &str = "guard-tripped";
const MISCONFIGURED: &str = "misconfigured";
const NOT_KEPT: &str = "outcomes-not-kept";

/// What a lane is called in front of its operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneName {
    /// `key ABC123DEFG of team DEF123GHIJ` or `identity shop`.
    pub credential: String,
    /// `development` or `production`.
    pub environment: &'static str,
    /// `api.push.apple.com:443`.
    pub address: String,
    /// Whether it shows a client certificate.
    pub has_certificate: bool,
}

impl LaneName {
    /// Who, and where they are good.
    fn who(&self) -> String {
        format!("{}, {}", self.credential, self.environment)
    }

    /// Who, and whom they ask.
    fn full_name(&self) -> String {
        format!("{} to {}", self.who(), self.address)
    }

    /// Whom is asked, and with which certificate: that may be why there is no connection.
    fn place(&self) -> String {
        match self.has_certificate {
            true => format!("{} as {}", self.address, self.credential),
            false => self.address.clone(),
        }
    }
}

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
mod tests {
    use core::time::Duration;

    use super::super::alarms::Level;
    use super::super::tests::support::{accepted, rejected};
    use super::*;
    use crate::provider::Why;

    fn lane() -> LaneName {
        LaneName {
            credential: "key ABC123DEFG of team DEF123GHIJ".into(),
            environment: "production",
            address: "api.push.apple.com:443".into(),
            has_certificate: false,
        }
    }

    fn certificate() -> LaneName {
        LaneName {
            credential: "identity shop".into(),
            has_certificate: true,
            ..lane()
        }
    }

    fn at(secs: u64) -> Now {
        Now::ZERO + Duration::from_secs(secs)
    }

    fn lines(operator: &mut Operator) -> Vec<AlarmLine> {
        core::iter::from_fn(|| operator.poll_line()).collect()
    }

    /// The one line there is.
    fn line(operator: &mut Operator) -> AlarmLine {
        let [line] = lines(operator).try_into().unwrap();
        line
    }

    #[test]
    fn each_reason_that_refuses_a_credential_is_an_error_with_its_remedy() {
        for (status, reason, remedy) in [
            (403, "InvalidProviderToken", "the key is not revoked"),
            (403, "ExpiredProviderToken", "Set the clock"),
            (
                403,
                "MissingProviderToken",
                "takes the header authorization away",
            ),
            (
                403,
                "BadEnvironmentKeyIdInToken",
                "environments of its [[credentials]]",
            ),
            (403, "UnrelatedKeyIdInToken", "tokens of another key"),
            (429, "TooManyProviderTokenUpdates", "share one store"),
            (403, "SomethingNew", "Run dunlin doctor"),
        ] {
            let mut operator = Operator::default();
            let outcome = rejected(status, reason);
            operator.delivered(at(0), &lane(), Some("a.b"), &outcome);
            let told = line(&mut operator);
            let name = Reason::parse(reason).name().unwrap_or("other");
            assert_eq!(
                (told.level, told.alarm.as_str()),
                (Level::Error, "credential-refused")
            );
            let subject = "key ABC123DEFG of team DEF123GHIJ, production";
            assert_eq!(told.subject, format!("{subject}: {name}"));
            let text = &told.text;
            assert!(text.contains(reason) && text.contains(remedy), "{text}");
            assert!(
                text.starts_with("api.push.apple.com:443 answers "),
                "{text}"
            );
            operator.delivered(
                at(1),
                &lane(),
                Some("a.c"),
                &rejected(400, "BadDeviceToken"),
            );
            let over = line(&mut operator);
            assert_eq!((over.level, &over.subject), (Level::Info, &told.subject));
            let counts = operator.take_counts().unwrap();
            assert_eq!(counts, format!("refused.{name}=1"));
        }
    }

    #[test]
    fn a_refused_credential_is_told_once_a_minute_with_a_count_until_it_is_taken() {
        let mut operator = Operator::default();
        let outcome = rejected(403, "InvalidProviderToken");
        for millis in 0..65_000 {
            let now = Now::ZERO + Duration::from_millis(millis);
            operator.delivered(now, &lane(), Some("a.b"), &outcome);
        }
        let times: Vec<u64> = lines(&mut operator).iter().map(|line| line.times).collect();
        assert_eq!(times, [1, 60_000]);
        for nothing in [
            Outcome::unanswered(Why::TimedOut),
            rejected(500, "InternalServerError"),
            rejected(403, "ExpiredProviderToken"),
        ] {
            operator.delivered(at(66), &lane(), Some("a.b"), &nothing);
        }
        assert!(
            lines(&mut operator)
                .iter()
                .all(|line| line.level == Level::Error)
        );
        operator.delivered(at(67), &lane(), Some("a.b"), &accepted());
        let over = lines(&mut operator);
        assert_eq!(over.len(), 2, "{over:?}");
        assert!(over.iter().all(|line| line.level == Level::Info));
        assert!(over[0].text.ends_with("65000 in all"), "{over:?}");
    }

    #[test]
    fn another_credential_or_environment_is_another_matter() {
        let mut operator = Operator::default();
        let elsewhere = LaneName {
            environment: "development",
            ..lane()
        };
        operator.delivered(at(0), &lane(), None, &rejected(403, "InvalidProviderToken"));
        assert_eq!(lines(&mut operator).len(), 1);
        operator.delivered(at(1), &elsewhere, None, &accepted());
        operator.delivered(at(1), &certificate(), None, &accepted());
        assert_eq!(lines(&mut operator), []);
        operator.delivered(
            at(2),
            &elsewhere,
            None,
            &rejected(403, "InvalidProviderToken"),
        );
        assert_eq!(lines(&mut operator).len(), 1);
    }

    #[test]
    fn a_topic_that_is_refused_is_named_and_over_when_one_is_accepted() {
        let mut operator = Operator::default();
        for reason in ["TopicDisallowed", "Forbidden"] {
            operator.delivered(at(0), &lane(), Some("a.b"), &rejected(403, reason));
            let told = line(&mut operator);
            assert_eq!(told.alarm, "topic-refused");
            assert!(
                told.subject.starts_with("a.b for key ABC123DEFG"),
                "{told:?}"
            );
            assert!(told.text.contains("bundle identifier"), "{told:?}");
        }
        operator.delivered(at(1), &lane(), Some("a.c"), &accepted());
        operator.delivered(
            at(1),
            &lane(),
            Some("a.b"),
            &rejected(400, "BadDeviceToken"),
        );
        assert_eq!(lines(&mut operator), []);
        operator.delivered(at(2), &lane(), Some("a.b"), &accepted());
        assert_eq!(lines(&mut operator).len(), 2);
        assert!(operator.is_quiet());
    }

    #[test]
    fn a_certificate_is_refused_by_answer_goodbye_or_alert() {
        let alert = "api.push.apple.com: TLS: received fatal alert: CertificateRevoked";
        let refused = |operator: &mut Operator, how: usize| match how {
            0 => operator.delivered(
                at(0),
                &certificate(),
                None,
                &rejected(403, "BadCertificate"),
            ),
            1 => {
                let news = News::CredentialRefused(Reason::BadCertificateEnvironment);
                operator.heard(at(0), &certificate(), &news);
            }
            _ => {
                let news = News::ConnectFailed(alert.to_owned());
                operator.heard(at(0), &certificate(), &news);
            }
        };
        for how in 0..3 {
            let mut operator = Operator::default();
            refused(&mut operator, how);
            let told = line(&mut operator);
            assert_eq!(told.alarm, "certificate-refused");
            assert!(
                told.subject.starts_with("identity shop, production: "),
                "{told:?}"
            );
            operator.delivered(at(1), &certificate(), None, &accepted());
            assert_eq!(line(&mut operator).level, Level::Info);
        }
    }

    #[test]
    fn failing_connections_are_told_with_host_and_reason_until_something_is_answered() {
        let mut operator = Operator::default();
        let failed = News::ConnectFailed("api.push.apple.com: TCP: connection refused".into());
        for secs in 0..10 {
            operator.heard(at(secs), &lane(), &failed);
        }
        let told = line(&mut operator);
        assert_eq!(told.alarm, "connections-failing");
        assert_eq!(told.subject, "api.push.apple.com:443");
        assert!(
            told.text.contains("connection refused. Run dunlin doctor"),
            "{told:?}"
        );
        assert_eq!(operator.poll_timeout(), Some(at(60)));
        operator.handle_timeout(at(60));
        assert_eq!(line(&mut operator).times, 9);
        operator.delivered(at(61), &lane(), None, &Outcome::unanswered(Why::NotSent));
        assert_eq!(lines(&mut operator), []);
        // A refusal is an answer.
        operator.delivered(
            at(62),
            &lane(),
            None,
            &rejected(403, "InvalidProviderToken"),
        );
        let [refused, over] = lines(&mut operator).try_into().unwrap();
        assert_eq!((refused.level, over.level), (Level::Error, Level::Info));
        assert_eq!(over.alarm, "connections-failing");
        operator.heard(at(200), &lane(), &failed);
        operator.heard(at(201), &lane(), &News::Connected);
        assert_eq!(lines(&mut operator).len(), 2);
        assert_eq!(
            operator.take_counts().unwrap(),
            "refused.InvalidProviderToken=1,connect-failed=11"
        );
    }

    #[test]
    fn a_breaker_a_queue_and_a_guard_begin_and_end() {
        let mut operator = Operator::default();
        let begin: [&dyn Fn(&mut Operator); 5] = [
            &|it| it.heard(at(0), &lane(), &News::BreakerOpened),
            &|it| it.queue_full(at(0), &lane(), 10),
            &|it| it.guard_holds(at(0), "a.b", true),
            &|it| it.misconfigured(at(0), "dunlin.toml: no such file"),
            &|it| it.outcome_not_kept(at(0), "store-unavailable"),
        ];
        let end: [&dyn Fn(&mut Operator); 5] = [
            &|it| it.heard(at(5), &lane(), &News::BreakerClosed),
            &|it| it.queue_eased(at(5), &lane()),
            &|it| it.guard_is_calm(at(5), "a.b"),
            &|it| it.configured(at(5)),
            &|it| it.outcome_kept(at(5)),
        ];
        let alarms = [BREAKER, QUEUE, GUARD, MISCONFIGURED, NOT_KEPT];
        for ((begin, end), alarm) in begin.into_iter().zip(end).zip(alarms) {
            begin(&mut operator);
            let told = line(&mut operator);
            assert_eq!((told.level, told.alarm.as_str()), (Level::Error, alarm));
            assert!(
                told.text.ends_with('.') && told.text.contains(". "),
                "{told:?}"
            );
            assert_eq!(AlarmLine::parse(&told.to_string()), Some(told.clone()));
            begin(&mut operator);
            assert_eq!(lines(&mut operator), [], "once a minute");
            end(&mut operator);
            let over = line(&mut operator);
            assert_eq!((over.level, &over.subject), (Level::Info, &told.subject));
            assert!(operator.is_quiet());
        }
        let counts = operator.take_counts().unwrap();
        assert_eq!(counts, "breaker-opened=2,guard-tripped=2,queue-full=2");
    }
}
