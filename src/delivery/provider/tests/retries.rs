//! Refusals: what is sent again, when, how often, and what it does to connection and token.
//!
//! Source: the table of reasons (`provider`), RFC 9110, section 10.2.3.

use core::time::Duration;
use std::sync::Arc;

use super::support::{LONG, Rig, config, secs, token, token_of};
use super::wire;
use crate::auth::ProviderToken;
use crate::delivery::ids::ConnectionId;
use crate::delivery::policy::retry::MAX_ATTEMPTS;
use crate::delivery::provider::lane::ProviderConfig;
use crate::notification::{DeviceToken, Draft, Expiration, Notification, Payload, Topic};
use crate::provider::{ConnectionAction, Outcome, Reason, Retry, Why};
use crate::time::UnixTime;

/// What the wall clock shows when the tests begin, and when their token was issued.
const NOON: u64 = 784_111_777;

/// A lane with a token, and a connection that has answered something.
fn proven() -> (Rig, ConnectionId) {
    proven_with(config(1))
}

fn proven_with(config: ProviderConfig) -> (Rig, ConnectionId) {
    let mut rig = Rig::configured(config);
    rig.pongs = true;
    rig.lane.set_clock(rig.now, UnixTime::from_secs(NOON));
    rig.set_token(token(NOON));
    rig.submit(LONG);
    let connection = rig.open(1_000);
    rig.accept(connection, 1);
    (rig, connection)
}

fn to_device(device: u64, expiration: Expiration) -> Arc<Notification> {
    let token = DeviceToken::from_bytes(&device.to_be_bytes()).unwrap();
    let topic = Topic::parse("com.example.app").unwrap();
    let payload = Payload::parse(br#"{"aps":{}}"#).unwrap();
    let draft = Draft::new(token, topic, payload).expiration(expiration);
    Arc::new(draft.build().unwrap())
}

/// Every reason that APNs has for a device, with its status.
pub const REASONS: &[(u16, &str)] = &[
    (400, "BadCollapseId"),
    (400, "BadDeviceToken"),
    (400, "BadExpirationDate"),
    (400, "BadMessageId"),
    (400, "BadPriority"),
    (400, "BadTopic"),
    (400, "DeviceTokenNotForTopic"),
    (400, "DuplicateHeaders"),
    (400, "IdleTimeout"),
    (400, "InvalidPushType"),
    (400, "MissingDeviceToken"),
    (400, "MissingTopic"),
    (400, "PayloadEmpty"),
    (400, "TopicDisallowed"),
    (403, "BadCertificate"),
    (403, "BadCertificateEnvironment"),
    (403, "ExpiredProviderToken"),
    (403, "Forbidden"),
    (403, "InvalidProviderToken"),
    (403, "MissingProviderToken"),
    (403, "UnrelatedKeyIdInToken"),
    (403, "BadEnvironmentKeyIdInToken"),
    (403, "BadEnvironmentKeyInToken"),
    (404, "BadPath"),
    (405, "MethodNotAllowed"),
    (410, "ExpiredToken"),
    (410, "Unregistered"),
    (413, "PayloadTooLarge"),
    (429, "TooManyProviderTokenUpdates"),
    (429, "TooManyRequests"),
    (500, "InternalServerError"),
    (503, "ServiceUnavailable"),
    (503, "Shutdown"),
    (418, "NewInTwentySeven"),
    (429, "NewInTwentyEight"),
    (599, "NewInTwentyNine"),
];

#[test]
fn every_reason_does_what_its_row_says() {
    for (status, name) in REASONS {
        let (mut rig, old) = proven();
        let job = rig.submit(LONG);
        rig.reject(old, 3, *status, name);
        let treatment = Reason::parse(name).treatment(*status);
        let stays = treatment.connection == ConnectionAction::Keep;
        assert_eq!(rig.closed.is_empty(), stays, "{name}");
        let (least, most) = match treatment.retry {
            Retry::Never | Retry::OtherEnvironment => {
                assert!(rig.reason(job).is_some(), "{name}");
                rig.advance(secs(86_400));
                let order = rig.peers.get(&old).map(|peer| peer.order.len());
                assert!(order.is_none_or(|sent| sent == 2), "{name}: sent again");
                continue;
            }
            Retry::NewProviderToken => {
                rig.set_token(token(NOON + 1_200));
                (0, 0)
            }
            Retry::NewConnection => (0, 0),
            Retry::OldProviderToken => (60_000, 90_000),
            Retry::DevicePause => (1_000, 1_500),
            Retry::Backoff => (900_000, 1_350_000),
        };
        assert_eq!(rig.outcome(job), None, "{name}");
        rig.advance(Duration::from_millis(u64::saturating_sub(least, 1)));
        let sent = |rig: &Rig| {
            rig.peers
                .values()
                .map(|peer| peer.open.len())
                .sum::<usize>()
        };
        assert_eq!(sent(&rig), 0, "{name}: too early");
        let latest = rig.now + Duration::from_millis(most - least + 1);
        while stays && sent(&rig) == 0 {
            assert!(rig.now < latest, "{name}: too late");
            rig.advance(secs(1));
        }
        let connection = if stays { old } else { rig.open(1_000) };
        let stream = rig.only_stream(connection);
        rig.accept(connection, stream);
        assert!(rig.is_accepted(job), "{name}");
    }
}

#[test]
fn a_refusal_that_cannot_be_waited_for_is_the_outcome_at_once() {
    for (status, reason) in [(503, "ServiceUnavailable"), (429, "TooManyRequests")] {
        let (mut rig, connection) = proven();
        let job = rig.submit(secs(1));
        rig.reject(connection, 3, status, reason);
        assert_eq!(rig.reason(job), Some(reason), "{reason}");
    }
}

#[test]
fn nothing_is_sent_again_after_its_expiration() {
    for (ttl, asked, held) in [(60, "30", true), (60, "60", false), (0, "30", true)] {
        let (mut rig, connection) = proven();
        let time = UnixTime::from_secs(NOON);
        let expiration = Expiration::from_ttl(time, secs(ttl)).unwrap();
        let job = rig.push(LONG, to_device(9, expiration));
        rig.answer(
            connection,
            3,
            503,
            &[("retry-after", asked)],
            "ServiceUnavailable",
        );
        assert_eq!(rig.outcome(job).is_none(), held, "{ttl} {asked}");
    }
}

#[test]
fn what_had_expired_when_it_was_handed_in_is_sent_again_as_one_without_storing_is() {
    let past = Expiration::from_unix_secs(NOON - 86_400).unwrap();
    for (status, reason) in [(503, "ServiceUnavailable"), (429, "TooManyRequests")] {
        for expiration in [Expiration::Once, past] {
            let (mut rig, connection) = proven();
            let job = rig.push(LONG, to_device(9, expiration));
            rig.answer(connection, 3, status, &[("retry-after", "5")], reason);
            assert_eq!(rig.outcome(job), None, "{reason}");
            rig.advance(secs(10));
            let stream = rig.only_stream(connection);
            rig.accept(connection, stream);
            assert!(rig.is_accepted(job), "{reason}");
        }
    }
}

#[test]
fn retry_after_is_obeyed_in_seconds_and_as_a_date() {
    let dated = ("date", "Fri, 01 Jan 2100 00:00:00 GMT");
    let cases: [&[(&str, &str)]; 3] = [
        &[("retry-after", "20")],
        &[("retry-after", "Fri, 01 Jan 2100 00:00:20 GMT"), dated],
        &[("retry-after", "Sun, 06 Nov 1994 08:49:57 GMT")],
    ];
    for (status, reason) in [(503, "ServiceUnavailable"), (429, "TooManyRequests")] {
        for headers in cases {
            let (mut rig, connection) = proven();
            let job = rig.submit(secs(40));
            rig.answer(connection, 3, status, headers, reason);
            rig.advance(Duration::from_millis(19_999));
            assert_eq!(rig.open_streams(connection), [0; 0], "{headers:?}");
            rig.advance(secs(11));
            rig.accept(connection, 5);
            assert!(rig.is_accepted(job));
        }
    }
}

#[test]
fn four_attempts_are_all_there_are_whatever_the_reason() {
    for (status, reason) in [(503, "ServiceUnavailable"), (429, "TooManyRequests")] {
        let (mut rig, connection) = proven();
        let job = rig.submit(LONG);
        for attempt in 1..=MAX_ATTEMPTS {
            assert_eq!(rig.outcome(job), None, "{reason} {attempt}");
            let stream = rig.only_stream(connection);
            rig.answer(connection, stream, status, &[("retry-after", "1")], reason);
            while rig.outcome(job).is_none() && rig.open_streams(connection).is_empty() {
                rig.advance(secs(1));
            }
        }
        assert_eq!(rig.reason(job), Some(reason));
        assert_eq!(
            rig.peer(connection).order.len(),
            1 + usize::from(MAX_ATTEMPTS)
        );
    }
}

#[test]
fn a_lost_answer_to_the_second_attempt_is_not_sent_a_third_time() {
    let (mut rig, connection) = proven();
    let job = rig.submit(LONG);
    rig.answer(
        connection,
        3,
        503,
        &[("retry-after", "1")],
        "ServiceUnavailable",
    );
    rig.advance(secs(2));
    rig.cut(connection);
    rig.assert_unanswered(job, Why::ConnectionLost);
}

#[test]
fn one_that_waits_again_at_its_deadline_shows_how_it_was_refused() {
    let (mut rig, connection) = proven();
    let job = rig.submit(secs(10));
    rig.answer(
        connection,
        3,
        503,
        &[("retry-after", "1")],
        "ServiceUnavailable",
    );
    rig.send(connection, &wire::streams(0));
    rig.advance(secs(10));
    assert_eq!(rig.reason(job), Some("ServiceUnavailable"));
}

#[test]
fn as_many_wait_to_be_sent_again_as_the_queue_holds_and_the_rest_ends_refused() {
    let (mut rig, connection) = proven_with(ProviderConfig {
        queue: 10,
        ..config(1)
    });
    let jobs = rig.submit_all(10, LONG);
    let more = rig.submit_all(5, LONG);
    for stream in rig.open_streams(connection) {
        rig.answer(connection, stream, 429, &[], "TooManyRequests");
    }
    assert_eq!(rig.lane.status().held, 10);
    assert!(jobs.iter().all(|job| rig.outcome(*job).is_none()));
    assert!(
        more.iter()
            .all(|job| rig.reason(*job) == Some("TooManyRequests"))
    );
    // They do not take the places of new ones.
    rig.submit_all(10, LONG);
}

// ---- one device too often

#[test]
fn a_device_that_had_too_many_gets_one_a_second_and_others_are_not_held_up() {
    let (mut rig, connection) = proven();
    let push = |rig: &mut Rig| rig.push(LONG, to_device(9, Expiration::StoragePolicy));
    let jobs: Vec<_> = (0..6).map(|_| push(&mut rig)).collect();
    for stream in rig.open_streams(connection) {
        rig.reject(connection, stream, 429, "TooManyRequests");
    }
    let other = rig.submit(LONG);
    let stream = rig.only_stream(connection);
    rig.accept(connection, stream);
    assert!(rig.is_accepted(other));
    let late = push(&mut rig);
    assert_eq!(
        rig.open_streams(connection),
        [0; 0],
        "it waits like those before it"
    );
    let mut times = Vec::new();
    for _ in 0..200 {
        rig.advance(Duration::from_millis(100));
        for stream in rig.open_streams(connection) {
            times.push(rig.now);
            rig.accept(connection, stream);
        }
    }
    assert_eq!(times.len(), 7);
    let gaps = times.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(gaps.into_iter().all(|gap| gap >= secs(1)), "{times:?}");
    assert!(rig.is_accepted(late) && jobs.iter().all(|job| rig.is_accepted(*job)));
}

#[test]
fn one_whose_device_may_not_have_it_before_its_deadline_is_not_sent() {
    let (mut rig, connection) = proven();
    let push = |rig: &mut Rig, timeout| {
        let notification = to_device(9, Expiration::StoragePolicy);
        rig.push(timeout, notification)
    };
    push(&mut rig, LONG);
    rig.answer(
        connection,
        3,
        429,
        &[("retry-after", "60")],
        "TooManyRequests",
    );
    let job = push(&mut rig, secs(10));
    rig.assert_unanswered(job, Why::Paused);
}

// ---- provider tokens

fn authorization(rig: &Rig, connection: ConnectionId) -> String {
    let stream = rig.only_stream(connection);
    let asked = &rig.peer(connection).open[&stream];
    asked.header("authorization").unwrap().to_owned()
}

fn carried(rig: &Rig, connection: ConnectionId, token: &ProviderToken) -> bool {
    authorization(rig, connection) == token.authorization()
}

#[test]
fn an_expired_token_is_renewed_once_for_all_that_carried_it() {
    let (mut rig, old) = proven();
    let jobs = rig.submit_all(50, LONG);
    for stream in rig.open_streams(old) {
        rig.reject(old, stream, 403, "ExpiredProviderToken");
    }
    assert_eq!(rig.renewals, [UnixTime::from_secs(NOON)]);
    assert!(jobs.iter().all(|job| rig.outcome(*job).is_none()));
    let newer = token(NOON + 1_200);
    rig.set_token(newer.clone());
    let connection = rig.open(1_000);
    assert!(connection != old && carried(&rig, connection, &newer));
    let first = rig.only_stream(connection);
    rig.accept(connection, first);
    // And only once: the second refusal is the outcome.
    for stream in rig.open_streams(connection) {
        rig.reject(connection, stream, 403, "ExpiredProviderToken");
    }
    let refused = |job: &&crate::delivery::JobId| rig.reason(**job).is_some();
    assert_eq!(jobs.iter().filter(refused).count(), 49);
    assert_eq!(
        rig.renewals.len(),
        1,
        "nobody is left who would use another"
    );
}

#[test]
fn without_another_token_an_expired_one_is_the_outcome_and_is_not_asked_about_again() {
    let (mut rig, old) = proven();
    let jobs = rig.submit_all(3, LONG);
    for stream in rig.open_streams(old) {
        rig.reject(old, stream, 403, "ExpiredProviderToken");
    }
    rig.set_token(token(NOON));
    for job in jobs {
        assert_eq!(rig.reason(job), Some("ExpiredProviderToken"));
    }
    let later = rig.submit(LONG);
    let connection = rig.open(1_000);
    rig.reject(connection, 1, 403, "ExpiredProviderToken");
    assert_eq!(rig.reason(later), Some("ExpiredProviderToken"));
    assert_eq!(rig.renewals.len(), 1);
}

#[test]
fn a_token_that_was_replaced_meanwhile_needs_no_other() {
    let (mut rig, old) = proven();
    let job = rig.submit(LONG);
    let newer = token(NOON + 2_400);
    rig.set_token(newer.clone());
    rig.reject(old, 3, 403, "ExpiredProviderToken");
    assert_eq!(rig.renewals, []);
    let connection = rig.open(1_000);
    assert!(carried(&rig, connection, &newer));
    rig.accept(connection, 1);
    assert!(rig.is_accepted(job));
}

#[test]
fn too_many_token_updates_fall_back_to_the_older_one_while_it_is_good() {
    let (mut rig, connection) = proven();
    let (older, newer) = (token(NOON), token(NOON + 2_400));
    rig.advance(secs(2_400));
    rig.set_token(newer.clone());
    let job = rig.submit(LONG);
    assert!(carried(&rig, connection, &newer));
    rig.reject(connection, 3, 429, "TooManyProviderTokenUpdates");
    assert!(carried(&rig, connection, &older), "at once");
    rig.accept(connection, 5);
    assert!(rig.is_accepted(job));
    // Whoever sets the newer one again does not bring it back into use.
    rig.set_token(newer.clone());
    rig.submit(LONG);
    assert!(carried(&rig, connection, &older));
    rig.accept(connection, 7);
    rig.advance(secs(1_140));
    rig.submit(LONG);
    assert!(
        carried(&rig, connection, &newer),
        "the older one is an hour old"
    );
    rig.accept(connection, 9);
}

#[test]
fn a_lane_that_has_just_started_falls_back_on_the_token_that_others_used() {
    let newer = token(NOON + 2_400);
    let recalled = [
        (token(NOON), true),
        (token(NOON + 2_400 - 3_600), false),
        // Of a host whose clock is fast, and of one whose clock is wrong.
        (token(NOON + 2_400 + 300), true),
        (token(NOON + 2_400 + 301), false),
        (newer.clone(), false),
        (token_of("2QBCDJ9RST", NOON), false),
    ];
    for (older, good) in recalled {
        let mut rig = Rig::new();
        let noon = UnixTime::from_secs(NOON + 2_400);
        rig.lane.set_clock(rig.now, noon);
        rig.lane.recall_token(older.clone());
        rig.set_token(newer.clone());
        rig.lane.recall_token(older.clone());
        let job = rig.submit(LONG);
        let connection = rig.open(1_000);
        assert!(carried(&rig, connection, &newer));
        rig.reject(connection, 1, 429, "TooManyProviderTokenUpdates");
        match good {
            true => assert!(carried(&rig, connection, &older)),
            false => assert_eq!(rig.open_streams(connection), [0; 0], "{older:?}"),
        }
        assert_eq!(rig.outcome(job), None);
    }
}

#[test]
fn an_older_token_that_is_refused_as_well_is_no_loop() {
    let (mut rig, connection) = proven();
    rig.advance(secs(2_400));
    rig.set_token(token(NOON + 2_400));
    let job = rig.submit(LONG);
    rig.reject(connection, 3, 429, "TooManyProviderTokenUpdates");
    rig.reject(connection, 5, 429, "TooManyProviderTokenUpdates");
    assert_eq!(
        (rig.open_streams(connection), rig.outcome(job)),
        (vec![], None)
    );
    rig.advance(secs(59));
    assert_eq!(rig.open_streams(connection), [0; 0]);
}

#[test]
fn a_token_that_is_not_valid_is_said_once_and_makes_no_storm() {
    for reason in ["InvalidProviderToken", "MissingProviderToken"] {
        let (mut rig, old) = proven();
        let job = rig.submit(LONG);
        rig.reject(old, 3, 403, reason);
        assert_eq!(rig.reason(job), Some(reason), "not sent again");
        assert_eq!(rig.closed, [old]);
        for _ in 0..300 {
            rig.submit(secs(10));
            rig.advance(secs(1));
            if !rig.pending.is_empty() {
                let connection = rig.open(1_000);
                rig.reject(connection, 1, 403, reason);
            }
        }
        assert!(rig.connects.len() < 25, "{}", rig.connects.len());
        assert!(rig.lane.trouble().unwrap().contains(reason));
        // A token of a new configuration is tried at once.
        rig.submit(LONG);
        let before = rig.connects.len();
        rig.set_token(token(NOON + 3_000));
        assert_eq!(rig.connects.len(), before + 1);
    }
}

#[test]
fn another_key_never_goes_on_the_same_connection() {
    let (mut rig, old) = proven();
    let first = rig.submit(LONG);
    rig.set_token(token_of("2QBCDJ9RST", NOON));
    let second = rig.submit(LONG);
    let new = rig.open(1_000);
    assert_eq!((rig.devices(old), rig.devices(new)), (vec![1], vec![2]));
    rig.accept(old, 3);
    rig.accept(new, 1);
    assert!(rig.is_accepted(first) && rig.is_accepted(second));
    assert_eq!(rig.closed, [old]);
}

#[test]
fn with_a_token_one_stream_goes_out_until_the_first_answer() {
    let mut rig = Rig::new();
    rig.set_token(token(NOON));
    rig.submit_all(10, LONG);
    let connection = rig.open(1_000);
    assert_eq!(rig.open_streams(connection), [1], "whatever SETTINGS say");
    rig.reject(connection, 1, 400, "BadDeviceToken");
    assert_eq!(rig.open_streams(connection).len(), 9);
}

#[test]
fn with_a_token_the_first_stream_that_is_given_up_makes_room_for_another() {
    let mut rig = Rig::new();
    rig.set_token(token(NOON));
    rig.submit(secs(1));
    rig.submit(LONG);
    let connection = rig.open(1_000);
    rig.advance(secs(1));
    assert_eq!(rig.open_streams(connection), [3]);
    assert!(matches!(
        rig.outcome(rig.jobs[0]),
        Some(Outcome::Unanswered { .. })
    ));
}
