//! A lane on the platform's client: the same outcomes, and no connections of its own.

mod random;

use core::time::Duration;

use super::super::growth::LEAST_ALLOWANCE;
use super::support::{LONG, Rig, config, notification, secs, token, token_of};
use crate::delivery::exchange::{ExchangeFailure, ExchangeResponse};
use crate::delivery::ids::{ExchangeId, JobId};
use crate::delivery::policy::retry::MAX_ATTEMPTS;
use crate::delivery::provider::lane::ProviderConfig;
use crate::delivery::provider::medium::{EXCHANGES_PER_CONNECTION, Transport};
use crate::delivery::submission::QueueFull;
use crate::provider::{Outcome, Why};
use crate::time::{Now, UnixTime};

/// What the wall clock shows when the tests begin, and when their token was issued.
const NOON: u64 = 784_111_777;

fn rig_of(config: ProviderConfig) -> Rig {
    let mut rig = Rig::configured(ProviderConfig {
        transport: Transport::Platform,
        ..config
    });
    rig.lane.set_clock(rig.now, UnixTime::from_secs(NOON));
    rig.set_token(token(NOON));
    rig
}

fn rig() -> Rig {
    rig_of(config(4))
}

fn response(status: u16, reason: &str) -> ExchangeResponse {
    let body = match reason {
        "" => String::new(),
        reason => format!("{{\"reason\":\"{reason}\"}}"),
    };
    ExchangeResponse {
        status,
        headers: Vec::new(),
        body: body.into_bytes(),
    }
}

impl Rig {
    fn out(&self) -> Vec<ExchangeId> {
        self.exchanges.keys().copied().collect()
    }

    fn only_exchange(&self) -> ExchangeId {
        let out = self.out();
        assert_eq!(out.len(), 1, "{out:?}");
        out[0]
    }

    fn respond(&mut self, id: ExchangeId, response: &ExchangeResponse) {
        self.exchanges.remove(&id).expect("not out");
        self.lane.handle_response(self.now, id, response);
        self.drive();
    }

    fn fail(&mut self, id: ExchangeId, failure: ExchangeFailure) {
        self.exchanges.remove(&id).expect("not out");
        let why = "the platform says no".to_owned();
        self.lane.handle_exchange_failed(self.now, id, failure, why);
        self.drive();
    }

    fn accept_exchanges(&mut self) {
        while let Some(id) = self.out().first() {
            self.respond(*id, &response(200, ""));
        }
    }

    fn device(&self, id: ExchangeId) -> u64 {
        let device = self.exchanges[&id].path.strip_prefix("/3/device/");
        u64::from_str_radix(device.unwrap(), 16).unwrap()
    }
}

fn roomy() -> ProviderConfig {
    ProviderConfig {
        queue: 10_000,
        ..config(4)
    }
}

/// With an answer, so that as many go out as there is room for.
fn proven(config: ProviderConfig) -> Rig {
    let mut rig = rig_of(config);
    rig.submit(LONG);
    rig.accept_exchanges();
    rig
}

#[test]
fn a_request_has_all_that_apns_wants_and_nothing_of_connections() {
    let mut rig = rig();
    let job = rig.submit(LONG);
    let id = rig.only_exchange();
    let request = &rig.exchanges[&id];
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/3/device/0000000000000000");
    assert_eq!(request.authority, "api.push.apple.com");
    assert_eq!(request.body, br#"{"aps":{}}"#);
    let header = |name: &str| {
        let mut headers = request.headers.iter();
        let found = headers.find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    let bearer = format!("bearer {}", token(NOON).as_jwt());
    assert_eq!(header("authorization"), Some(bearer));
    assert_eq!(header("apns-topic").as_deref(), Some("com.example.app"));
    assert!(
        request
            .headers
            .iter()
            .all(|(name, _)| !name.starts_with(':'))
    );
    let text = format!("{request:?}");
    assert!(!text.contains("bearer") && !text.contains("0000"), "{text}");
    rig.respond(id, &response(200, ""));
    assert!(rig.is_accepted(job));
    assert!(rig.connects.is_empty() && rig.closed.is_empty());
}

#[test]
fn an_answer_is_read_as_on_a_connection() {
    let mut rig = rig();
    let gone = rig.submit(LONG);
    let mut answer = response(410, "");
    answer.body = br#"{"reason":"Unregistered","timestamp":1234567}"#.to_vec();
    answer.headers = vec![(
        "Apns-Id".to_owned(),
        b"00000000-0000-4000-8000-000000000000".to_vec(),
    )];
    rig.respond(rig.only_exchange(), &answer);
    match rig.outcome(gone) {
        Some(Outcome::Rejected {
            status: 410,
            invalid_since: Some(since),
            apns_id: Some(_),
            ..
        }) => assert_eq!(*since, UnixTime::from_millis(1_234_567)),
        other => panic!("{other:?}"),
    }
    let odd = rig.submit(LONG);
    rig.respond(rig.only_exchange(), &response(0, ""));
    rig.assert_unanswered(odd, Why::Unreadable);
}

/// TOKEN: APNs allows one stream until it has seen a valid token; and there is a bound after it.
#[test]
fn one_exchange_until_the_first_answer_and_then_up_to_the_bound() {
    let mut rig = rig_of(config(2));
    rig.submit_all(500, LONG);
    let first = rig.only_exchange();
    rig.respond(first, &response(400, "BadTopic"));
    assert_eq!(rig.out().len(), 2 * EXCHANGES_PER_CONNECTION);
    rig.advance(secs(10));
    assert_eq!(rig.lane.status().connections, 1, "there is one pool");
    rig.accept_exchanges();
    assert_eq!(rig.outcomes.len(), 500);
    assert!(rig.connects.is_empty());
}

#[test]
fn what_was_not_sent_waits_for_the_platform_and_has_its_whole_time() {
    let mut rig = rig();
    let (short, long) = (rig.submit(secs(10)), rig.submit(LONG));
    while rig.now < Now::ZERO + secs(20) {
        for id in rig.out() {
            rig.fail(id, ExchangeFailure::NotSent);
        }
        rig.advance(Duration::from_millis(50));
    }
    rig.assert_unanswered(short, Why::NotSent);
    assert_eq!(rig.lane.trouble(), Some("the platform says no"));
    assert_eq!(rig.outcome(long), None);
    // Far more often than a notification may be on a connection.
    assert!(rig.given.len() > usize::from(MAX_ATTEMPTS) + 2);
    rig.advance(secs(30));
    rig.accept_exchanges();
    assert!(rig.is_accepted(long));
    assert_eq!(rig.lane.trouble(), None);
}

#[test]
fn what_was_not_processed_is_sent_until_its_deadline_less_and_less_often() {
    let mut rig = proven(config(1));
    let job = rig.submit(secs(300));
    while rig.now < Now::ZERO + secs(300) {
        assert_eq!(rig.outcome(job), None);
        for id in rig.out() {
            rig.fail(id, ExchangeFailure::NotProcessed);
        }
        rig.advance(Duration::from_millis(10));
    }
    rig.assert_unanswered(job, Why::NotProcessed);
    let waits = rig.given.windows(2);
    let waits: Vec<_> = waits.map(|pair| pair[1].since(pair[0])).collect();
    assert!((12..30).contains(&waits.len()), "{waits:?}");
    assert!(
        waits[10..].iter().all(|wait| *wait >= secs(12)),
        "{waits:?}"
    );
    let told = rig.troubles[&job].as_deref().unwrap();
    assert!(
        told.contains("times and not processed") && told.ends_with("the platform says no"),
        "{told}"
    );
}

/// A front end that says GOAWAY after so many requests, behind a client that tells of each request.
#[test]
fn a_front_end_that_goes_away_every_few_requests_loses_nothing_there_either() {
    for each in [2, 7, 50, 200] {
        let mut rig = proven(roomy());
        rig.submit_all(2_000, secs(30));
        while rig.now < Now::ZERO + secs(30) && !rig.lane.is_idle() {
            for (place, id) in rig.out().into_iter().enumerate() {
                match place < each {
                    true => rig.respond(id, &response(200, "")),
                    false => rig.fail(id, ExchangeFailure::NotProcessed),
                }
            }
            rig.advance(Duration::from_millis(5));
        }
        let lost = rig.jobs.iter().filter(|job| !rig.is_accepted(**job));
        assert_eq!(lost.count(), 0, "every {each}");
        let given = rig.given.len();
        let most = 2_000 / each * (LEAST_ALLOWANCE + each) + 1_000;
        assert!(given <= most, "every {each}: {given}");
    }
}

#[test]
fn what_may_have_been_delivered_is_never_sent_again() {
    let mut rig = proven(config(1));
    let job = rig.submit(LONG);
    rig.fail(rig.only_exchange(), ExchangeFailure::Unanswered);
    rig.assert_unanswered(job, Why::ConnectionLost);
    assert!(!Why::ConnectionLost.may_resend());
    rig.advance(secs(100));
    assert!(rig.out().is_empty() && rig.lane.is_idle());
}

#[test]
fn one_that_has_no_answer_in_time_is_given_up_and_its_late_answer_dropped() {
    let mut rig = proven(config(1));
    let job = rig.submit(secs(5));
    let id = rig.only_exchange();
    rig.advance(secs(5));
    rig.assert_unanswered(job, Why::TimedOut);
    assert_eq!(rig.abandoned, [id]);
    rig.lane.handle_response(rig.now, id, &response(200, ""));
    let (failure, why) = (ExchangeFailure::NotSent, String::new());
    rig.lane.handle_exchange_failed(rig.now, id, failure, why);
    rig.drive();
    assert_eq!(rig.outcomes.len(), rig.jobs.len());
    assert_eq!(rig.lane.trouble(), None);
}

/// The platform asks whether the peer is there; we ask nobody, and doubt nobody for being slow.
#[test]
fn silence_is_the_platforms_business() {
    let mut rig = proven(config(1));
    let slow = rig.submit(secs(3_600));
    rig.advance(secs(1_800));
    rig.submit(LONG);
    assert_eq!(rig.out().len(), 2, "the connection is still good");
    rig.accept_exchanges();
    assert!(rig.is_accepted(slow));
    rig.advance(secs(100_000));
    rig.submit(LONG);
    assert_eq!(rig.out().len(), 1, "and needs no proof after a long pause");
}

#[test]
fn a_burst_that_fails_together_is_followed_by_one_at_a_time() {
    let mut rig = proven(config(4));
    let jobs = rig.submit_all(300, LONG);
    assert_eq!(rig.out().len(), 300);
    for id in rig.out() {
        rig.fail(id, ExchangeFailure::NotSent);
    }
    assert!(rig.out().is_empty(), "not before the back-off is over");
    for _ in 0..10 {
        rig.advance(secs(60));
        rig.fail(rig.only_exchange(), ExchangeFailure::NotSent);
    }
    rig.advance(secs(60));
    rig.accept_exchanges();
    assert!(jobs.iter().all(|job| rig.is_accepted(*job)));
}

#[test]
fn what_comes_back_in_any_order_goes_out_in_its_old_one() {
    let mut rig = proven(config(4));
    rig.submit_all(80, LONG);
    let mut out = rig.out();
    out.reverse();
    out.rotate_left(30);
    for id in out {
        rig.fail(id, ExchangeFailure::NotProcessed);
    }
    rig.submit_all(10, LONG);
    rig.advance(secs(1));
    // The one that came back first went out at once, on a connection that it is to prove.
    let first = rig.only_exchange();
    assert_eq!(rig.device(first), 50);
    rig.respond(first, &response(200, ""));
    let devices: Vec<u64> = rig.out().into_iter().map(|id| rig.device(id)).collect();
    let expected = (1..=90).filter(|device| *device != 50);
    assert_eq!(devices, expected.collect::<Vec<u64>>());
}

/// TOKEN, on revoked keys: the connection is to be closed. The platform's cannot be; it is asked
/// less and less often.
#[test]
fn a_refused_credential_is_asked_about_less_and_less_often() {
    let mut rig = proven(roomy());
    for _ in 0..3_000 {
        rig.submit(secs(600));
        rig.advance(Duration::from_millis(100));
        for id in rig.out() {
            rig.respond(id, &response(403, "InvalidProviderToken"));
        }
    }
    assert!((10..40).contains(&rig.given.len()), "{}", rig.given.len());
    rig.advance(secs(60));
    rig.accept_exchanges();
    assert_eq!(rig.lane.trouble(), None);
}

#[test]
fn an_expired_token_is_renewed_once_and_another_key_begins_anew() {
    let mut rig = proven(config(1));
    let job = rig.submit(LONG);
    rig.respond(rig.only_exchange(), &response(403, "ExpiredProviderToken"));
    assert_eq!(rig.renewals, [UnixTime::from_secs(NOON)]);
    assert!(rig.out().is_empty());
    rig.set_token(token(NOON + 3_000));
    rig.accept_exchanges();
    assert!(rig.is_accepted(job));
    rig.set_token(token_of("2QBCDJ9RST", NOON + 3_001));
    rig.submit_all(2, LONG);
    assert_eq!(rig.out().len(), 1, "the first of the key");
    rig.accept_exchanges();
    assert!(rig.lane.is_idle());
}

#[test]
fn five_server_errors_stop_everything_but_one_probe() {
    let mut rig = proven(config(1));
    rig.submit_all(50, LONG);
    for id in rig.out().into_iter().take(5) {
        rig.respond(id, &response(503, "ServiceUnavailable"));
    }
    assert!(rig.lane.status().breaker_open);
    rig.accept_exchanges();
    rig.submit_all(5, LONG);
    assert!(rig.out().is_empty());
    rig.advance(secs(1));
    rig.respond(rig.only_exchange(), &response(200, ""));
    assert_eq!(rig.out().len(), 4);
}

/// Five minutes of an outage with ten notifications a second, then it works again.
#[test]
fn five_minutes_without_apns_cost_few_requests_and_nothing_that_had_time() {
    for failure in [
        ExchangeFailure::NotSent,
        ExchangeFailure::NotProcessed,
        ExchangeFailure::Unanswered,
    ] {
        let mut rig = rig_of(roomy());
        let mut drive = |count: usize, fails: bool| {
            let before = rig.given.len();
            for _ in 0..count {
                rig.submit(secs(600));
                rig.advance(Duration::from_millis(100));
                match fails {
                    false => rig.accept_exchanges(),
                    true => rig.out().into_iter().for_each(|id| rig.fail(id, failure)),
                }
            }
            rig.given.len() - before
        };
        assert_eq!(drive(100, false), 100);
        let asked = drive(3_000, true);
        assert!((10..40).contains(&asked), "{failure:?}: {asked}");
        drive(1_000, false);
        assert_eq!(rig.outcomes.len(), rig.jobs.len());
        let lost = rig
            .jobs
            .iter()
            .filter(|job| !rig.is_accepted(**job))
            .count();
        let may_lose = match failure {
            ExchangeFailure::NotSent | ExchangeFailure::NotProcessed => 0,
            ExchangeFailure::Unanswered | ExchangeFailure::Tls => asked,
        };
        assert!(lost <= may_lose, "{failure:?}: {lost} of {asked}");
    }
}

/// A platform whose connection is a black hole, and that says nothing of it.
#[test]
fn a_platform_that_never_answers_is_given_no_more_than_its_bound() {
    let mut rig = proven(config(1));
    for _ in 0..3_000 {
        let submitted: Result<JobId, QueueFull> = rig.try_submit(secs(30), br#"{"aps":{}}"#);
        submitted.unwrap();
        rig.advance(Duration::from_millis(100));
        assert!(rig.out().len() <= EXCHANGES_PER_CONNECTION + 7);
    }
    rig.advance(secs(60));
    assert_eq!(rig.outcomes.len(), rig.jobs.len());
    assert!(rig.out().is_empty());
}

/// A push that must wait for its device longer than it may ends at once, though nothing goes out.
#[test]
fn what_is_too_late_for_its_device_ends_though_there_is_no_exchange() {
    let mut rig = rig();
    let to_one = || notification(1, br#"{"aps":{}}"#);
    let first = rig.push(LONG, to_one());
    let refused = rig.only_exchange();
    let mut answer = response(429, "TooManyRequests");
    answer
        .headers
        .push(("retry-after".to_owned(), b"60".to_vec()));
    rig.respond(refused, &answer);
    let second = rig.push(secs(10), to_one());
    assert!(rig.out().is_empty(), "the device has to wait");
    assert!(rig.outcome(second).is_some(), "and this one cannot");
    assert!(rig.outcome(first).is_none(), "the first one can");
}

/// What a platform's client is told of how long somebody waits.
#[test]
fn an_exchange_says_how_long_it_is_waited_for() {
    let mut rig = rig();
    rig.submit(secs(10));
    let id = rig.only_exchange();
    assert_eq!(rig.exchanges[&id].patience, secs(10));
}
