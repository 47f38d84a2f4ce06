//! Pushes whose environments are learned, against two that know different tokens, with the records
//! of a store.

use super::*;
use crate::environment::Environment::{Development, Production};
use crate::provider::{Reason, Why};
use crate::registry::records::Invalidation;
use crate::registry::replay::{Memory, device as nth, ready};
use crate::registry::{self, Registration, RemovalReason};

/// Of a day on which there are push notifications.
const NOON: u64 = 1_700_000_000;

const ASKED: UnixTime = UnixTime::from_secs(NOON);

fn accepted() -> Outcome {
    Outcome::Accepted {
        apns_id: None,
        unique_id: None,
        answer: None,
    }
}

fn rejected(status: u16, reason: &str) -> Outcome {
    Outcome::Rejected {
        status,
        reason: Reason::parse(reason),
        invalid_since: (status == 410).then_some(UnixTime::from_secs(NOON - 100)),
        retry_after: None,
        apns_id: None,
    }
}

fn unknown() -> Outcome {
    rejected(400, "BadDeviceToken")
}

fn register(memory: &Memory, registration: &Registration, now: UnixTime) {
    ready(registry::register(memory, registration, now)).unwrap();
}

fn learn(memory: &Memory, n: u32, environment: Environment, sent_at: UnixTime) {
    let accepted = [(nth(n), environment)];
    let learned = ready(registry::learn_many(memory, &accepted, sent_at));
    assert!(learned.iter().all(Result::is_ok));
}

/// Where the token of a device is known to be good.
fn known(memory: &Memory, n: u32) -> Option<Environment> {
    let record = ready(registry::device(memory, &nth(n))).unwrap();
    record.unwrap().environment
}

fn invalidation(reason: RemovalReason, since: u64) -> Invalidation {
    let since = UnixTime::from_secs(since);
    Invalidation { reason, since }
}

/// A push to a device of the store, in a world where `home` has its token. Returns the outcome, and
/// where it was asked in which order.
fn push(
    memory: &Memory,
    named: Option<Environment>,
    home: Option<Environment>,
    secs: u64,
) -> (Outcome, Vec<Environment>) {
    let known = known(memory, 1);
    let mut probe = EnvironmentProbe::new(named, known, Production);
    let answer = |at: Environment| match home == Some(at) {
        true => accepted(),
        false => unknown(),
    };
    let mut asked = vec![probe.environment()];
    let mut outcome = answer(probe.environment());
    if let Some(other) = probe.elsewhere().filter(|_| probe.goes_on(&outcome)) {
        asked.push(other);
        let second = answer(other);
        if probe.tried_elsewhere(&second) {
            outcome = second;
        }
    }
    if let Some(environment) = probe.learned()
        && outcome == accepted()
    {
        learn(memory, 1, environment, UnixTime::from_secs(secs));
    }
    (outcome, asked)
}

fn registration(environment: Option<Environment>) -> Registration {
    let device = nth(1);
    Registration {
        topic: device.topic,
        token: device.token,
        environment,
        alias: None,
        tags: None,
        replaces: None,
    }
}

fn registers(memory: &Memory, environment: Option<Environment>, secs: u64) {
    let now = UnixTime::from_secs(secs);
    register(memory, &registration(environment), now);
}

fn recorded(memory: &Memory) -> Option<Environment> {
    known(memory, 1)
}

#[test]
fn what_is_recorded_is_asked_first_then_the_default() {
    for (named, known, first, other) in [
        (None, None, Production, Some(Development)),
        (None, Some(Development), Development, Some(Production)),
        (None, Some(Production), Production, Some(Development)),
        (Some(Development), None, Development, None),
        (Some(Development), Some(Production), Development, None),
    ] {
        let probe = EnvironmentProbe::new(named, known, Production);
        let got = (probe.environment(), probe.elsewhere());
        assert_eq!(got, (first, other), "{named:?} {known:?}");
    }
}

/// Design, rule 3: learned, recorded, and relearned when the device's build changes.
#[test]
fn a_token_recorded_in_one_environment_and_unknown_there_moves_to_the_other() {
    let memory = Memory::default();
    registers(&memory, None, 1);
    let development = Some(Development);
    // Nobody knows yet: the default first, once; then where it was found.
    let pushed = push(&memory, None, development, 2);
    assert_eq!(pushed, (accepted(), vec![Production, Development]));
    assert_eq!(recorded(&memory), development);
    let pushed = push(&memory, None, development, 3);
    assert_eq!(pushed, (accepted(), vec![Development]));
    // The build from the App Store.
    let pushed = push(&memory, None, Some(Production), 4);
    assert_eq!(pushed, (accepted(), vec![Development, Production]));
    assert_eq!(recorded(&memory), Some(Production));
    let pushed = push(&memory, None, Some(Production), 5);
    assert_eq!(pushed, (accepted(), vec![Production]));
}

#[test]
fn a_registration_that_names_the_environment_is_the_last_word() {
    let memory = Memory::default();
    registers(&memory, None, 1);
    push(&memory, None, Some(Production), 2);
    registers(&memory, Some(Development), 3);
    assert_eq!(recorded(&memory), Some(Development));
    let pushed = push(&memory, None, Some(Development), 4);
    assert_eq!(pushed, (accepted(), vec![Development]));
    // One that names none leaves it.
    registers(&memory, None, 5);
    assert_eq!(recorded(&memory), Some(Development));
    // A push that began before the registration was of the build before.
    registers(&memory, Some(Production), 7);
    learn(&memory, 1, Development, UnixTime::from_secs(6));
    assert_eq!(recorded(&memory), Some(Production));
}

#[test]
fn an_environment_that_the_caller_names_is_the_only_one_asked_and_removes_nothing() {
    let memory = Memory::default();
    registers(&memory, None, 1);
    let pushed = push(&memory, Some(Development), Some(Production), 2);
    assert_eq!(pushed, (unknown(), vec![Development]));
    let probe = EnvironmentProbe::new(Some(Development), None, Production);
    assert_eq!(probe.fate(&unknown(), ASKED), None);
    assert_eq!(probe.only_here().fate(&unknown(), ASKED), None);
    // Where it was accepted is learned all the same.
    push(&memory, Some(Production), Some(Production), 3);
    assert_eq!(recorded(&memory), Some(Production));
}

#[test]
fn only_a_token_that_no_environment_knows_is_suspected() {
    let suspected = TokenFate::Suspected(invalidation(RemovalReason::BadDeviceToken, NOON));
    let mut probe = EnvironmentProbe::new(None, Some(Development), Production);
    assert_eq!(probe.fate(&unknown(), ASKED), None, "one was not asked");
    assert!(probe.tried_elsewhere(&unknown()));
    assert_eq!(probe.fate(&unknown(), ASKED), Some(suspected));
    assert!(!probe.goes_on(&unknown()), "once");
    // A credential that is not valid in the other environment: nothing is tried there.
    let alone = EnvironmentProbe::new(None, None, Production).only_here();
    assert!(!alone.goes_on(&unknown()));
    assert_eq!(alone.fate(&unknown(), ASKED), Some(suspected));
}

#[test]
fn what_the_other_environment_says_of_the_device_is_the_outcome() {
    let gone = TokenFate::Invalid(invalidation(RemovalReason::Unregistered, NOON - 100));
    let foreign = TokenFate::Suspected(invalidation(RemovalReason::DeviceTokenNotForTopic, NOON));
    for (outcome, fate) in [
        (accepted(), None),
        (rejected(410, "Unregistered"), Some(gone)),
        (rejected(400, "DeviceTokenNotForTopic"), Some(foreign)),
        // It may be good there: whoever asks again will know.
        (rejected(503, "ServiceUnavailable"), None),
        (rejected(429, "TooManyRequests"), None),
        (Outcome::unanswered(Why::TimedOut), None),
    ] {
        let mut probe = EnvironmentProbe::new(None, Some(Development), Production);
        assert!(probe.tried_elsewhere(&outcome), "{outcome}");
        assert_eq!(probe.environment(), Production);
        assert_eq!(probe.fate(&outcome, ASKED), fate, "{outcome}");
    }
}

/// The caller asked whether the token is good, and hears that it is not, instead of what is wrong
/// with a credential for an environment that nobody named.
#[test]
fn a_credential_refused_in_the_other_environment_hides_nothing_and_removes_nothing() {
    for (status, reason) in [
        (403, "BadEnvironmentKeyIdInToken"),
        (403, "InvalidProviderToken"),
        (403, "BadCertificateEnvironment"),
        (403, "Forbidden"),
        (400, "TopicDisallowed"),
    ] {
        let mut probe = EnvironmentProbe::new(None, Some(Development), Production);
        let stands = probe.tried_elsewhere(&rejected(status, reason));
        assert!(!stands, "{reason}");
        assert_eq!(probe.environment(), Development, "{reason}");
        assert_eq!(probe.fate(&unknown(), ASKED), None, "{reason}");
    }
    // While such a credential is not tried, and while nothing can be sent at all.
    let mut probe = EnvironmentProbe::new(None, Some(Development), Production);
    assert!(!probe.tried_elsewhere(&Outcome::unanswered(Why::NotSent)));
    assert_eq!(probe.fate(&unknown(), ASKED), None);
}

#[test]
fn a_push_that_cannot_be_said_in_the_other_environment_removes_nothing() {
    let probe = EnvironmentProbe::new(None, None, Production).not_elsewhere();
    assert!(!probe.goes_on(&unknown()));
    assert_eq!(probe.fate(&unknown(), ASKED), None);
}

/// Nothing is shared between pushes that could send one to another's host, as in gorush #881.
#[test]
fn pushes_at_the_same_time_go_each_where_its_own_device_is() {
    let memory = Memory::default();
    let home = |n: u32| Environment::ALL[usize::from(n.is_multiple_of(3))];
    let now = UnixTime::from_secs(1);
    for n in 0..40 {
        let device = nth(n);
        let said = Registration {
            topic: device.topic,
            token: device.token,
            ..registration(None)
        };
        register(&memory, &said, now);
    }
    let answer = |n: u32, at: Environment| match home(n) == at {
        true => accepted(),
        false => unknown(),
    };
    // All begin before any has its answer, and the answers come in another order.
    let mut probes: Vec<_> = (0..40)
        .map(|n| (n, EnvironmentProbe::new(None, None, Production)))
        .collect();
    probes.reverse();
    for (n, probe) in &mut probes {
        let first = answer(*n, probe.environment());
        if let Some(other) = probe.elsewhere().filter(|_| probe.goes_on(&first)) {
            assert!(probe.tried_elsewhere(&answer(*n, other)));
        }
    }
    for (n, probe) in probes {
        assert_eq!(probe.environment(), home(n));
        learn(&memory, n, probe.learned().unwrap(), now);
    }
    for n in 0..40 {
        let known = known(&memory, n);
        assert_eq!(known, Some(home(n)), "{n}");
    }
}

#[test]
fn nothing_but_an_unknown_token_is_a_reason_to_try_elsewhere() {
    let probe = EnvironmentProbe::new(None, None, Production);
    for outcome in [
        accepted(),
        rejected(410, "Unregistered"),
        rejected(400, "DeviceTokenNotForTopic"),
        rejected(400, "BadTopic"),
        rejected(403, "InvalidProviderToken"),
        rejected(413, "PayloadTooLarge"),
        rejected(429, "TooManyRequests"),
        rejected(503, "ServiceUnavailable"),
        Outcome::unanswered(Why::TimedOut),
    ] {
        assert!(!probe.goes_on(&outcome), "{outcome}");
    }
    assert!(probe.goes_on(&unknown()));
}
