//! What the operator is told of lanes, credentials and devices.

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
