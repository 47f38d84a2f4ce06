//! The lane of a client certificate: one that is never given a provider token.
//!
//! Source: Apple, *Sending notification requests to APNs* (`authorization` with token
//! authentication; the one stream until the first answer "with a token"), *Handling notification
//! responses from APNs*.

use core::time::Duration;

use super::retries::REASONS;
use super::support::{LONG, Rig, config, secs, token};
use super::wire;
use crate::delivery::ids::ConnectionId;
use crate::provider::{ConnectionAction, Reason, Retry, Why};

/// Headers of a request, with the four that begin with a colon.
const HEADERS: usize = 7;

/// A connection that has answered something.
fn proven() -> (Rig, ConnectionId) {
    let mut rig = Rig::configured(config(1));
    rig.pongs = true;
    rig.submit(LONG);
    let connection = rig.open(1_000);
    rig.accept(connection, 1);
    (rig, connection)
}

#[test]
fn requests_have_no_authorization_and_many_go_at_once() {
    let (rig, connection) = Rig::flying(1_000, 300);
    let open = &rig.peer(connection).open;
    assert_eq!(open.len(), 300, "before the first answer");
    let is_bare = |asked: &wire::Asked| {
        asked.headers.len() == HEADERS && asked.header("authorization").is_none()
    };
    assert!(open.values().all(is_bare));
    // The same with a token, which has to prove itself first.
    let mut rig = Rig::new();
    rig.set_token(token(1));
    rig.submit_all(300, LONG);
    let connection = rig.open(1_000);
    assert_eq!(rig.open_streams(connection), [1]);
    let asked = &rig.peer(connection).open[&1];
    assert_eq!(asked.headers.len(), HEADERS + 1);
    assert!(asked.header("authorization").is_some());
}

#[test]
fn the_peers_settings_hold_from_the_first_request_on() {
    let (mut rig, connection) = Rig::flying(3, 10);
    assert_eq!(rig.open_streams(connection), [1, 3, 5]);
    rig.accept(connection, 3);
    assert_eq!(rig.open_streams(connection), [1, 5, 7]);
    rig.send(connection, &wire::streams(10));
    assert_eq!(rig.open_streams(connection).len(), 9);
}

#[test]
fn a_full_connection_is_not_joined_by_another_before_its_first_answer() {
    let mut rig = Rig::configured(config(4));
    rig.submit_all(20, LONG);
    let connection = rig.open(2);
    rig.advance(secs(1));
    assert_eq!(rig.connects.len(), 1);
    rig.accept(connection, 1);
    rig.advance(secs(1));
    assert_eq!(rig.connects.len(), 2);
}

/// Each row of the table does on a certificate's connection what it says, and none asks for a
/// token.
#[test]
fn every_reason_does_what_its_row_says_without_a_token() {
    for (status, name) in REASONS {
        let (mut rig, connection) = proven();
        let job = rig.submit(LONG);
        rig.reject(connection, 3, *status, name);
        let treatment = Reason::parse(name).treatment(*status);
        let stays = treatment.connection == ConnectionAction::Keep;
        assert_eq!(rig.closed.is_empty(), stays, "{name}");
        match treatment.retry {
            // There is no newer one to be had.
            Retry::Never | Retry::OtherEnvironment | Retry::NewProviderToken => {
                assert_eq!(rig.reason(job), Some(Reason::parse(name).as_str()));
            }
            Retry::NewConnection => {
                let other = rig.open(1_000);
                rig.accept(other, 1);
                assert!(rig.is_accepted(job), "{name}");
            }
            Retry::OldProviderToken | Retry::DevicePause | Retry::Backoff => {
                assert_eq!(rig.outcome(job), None, "{name}");
                let latest = rig.now + secs(1_400);
                while rig.open_streams(connection).is_empty() {
                    assert!(rig.now < latest, "{name}: too late");
                    rig.advance(secs(1));
                }
                let stream = rig.only_stream(connection);
                rig.accept(connection, stream);
                assert!(rig.is_accepted(job), "{name}");
            }
        }
        assert!(rig.renewals.is_empty(), "{name}");
    }
}

#[test]
fn a_topic_that_the_certificate_does_not_cover_costs_nobody_else_anything() {
    for (status, name) in [
        (400, "TopicDisallowed"),
        (400, "DeviceTokenNotForTopic"),
        (400, "MissingTopic"),
    ] {
        let (mut rig, connection) = proven();
        let (refused, other) = (rig.submit(LONG), rig.submit(LONG));
        rig.reject(connection, 3, status, name);
        rig.accept(connection, 5);
        assert_eq!(rig.reason(refused), Some(name));
        assert!(rig.is_accepted(other));
        assert!(rig.closed.is_empty() && rig.connects.len() == 1, "{name}");
        assert!(rig.lane.trouble().is_none(), "{name}");
    }
}

#[test]
fn a_refused_certificate_is_asked_less_and_less_and_is_told_of() {
    for name in ["BadCertificate", "BadCertificateEnvironment"] {
        for by_goaway in [false, true] {
            let mut rig = Rig::configured(config(4));
            for _ in 0..600 {
                rig.submit(secs(5));
                rig.advance(Duration::from_millis(500));
                while let Some(connection) = rig.pending.front().copied() {
                    rig.open(1_000);
                    refuse(&mut rig, connection, name, by_goaway);
                }
            }
            let connects = rig.connects.len();
            assert!((5..40).contains(&connects), "{name}: {connects} in 300 s");
            let trouble = rig.lane.trouble().unwrap();
            assert!(trouble.contains(name), "{trouble}");
            rig.advance(secs(10));
            assert_eq!(rig.outcomes.len(), 600, "each has its outcome");
            assert!(rig.renewals.is_empty());
        }
    }
}

/// As APNs was seen to do it: nothing was processed, and the debug data says why.
fn refuse(rig: &mut Rig, connection: ConnectionId, name: &str, by_goaway: bool) {
    if by_goaway {
        let debug = format!("{{\"reason\":\"{name}\"}}");
        rig.send(connection, &wire::go_away(0, 0, debug.as_bytes()));
        return;
    }
    while let Some(stream) = rig
        .peers
        .get(&connection)
        .and_then(|peer| peer.open.keys().next().copied())
    {
        rig.reject(connection, stream, 403, name);
    }
}

#[test]
fn what_a_refused_certificate_left_unprocessed_is_not_lost() {
    let (mut rig, connection) = Rig::flying(1_000, 5);
    let debug = br#"{"reason":"BadCertificateEnvironment"}"#;
    rig.send(connection, &wire::go_away(0, 0, debug));
    assert!(rig.outcomes.is_empty());
    rig.advance(secs(60));
    let next = rig.open(1_000);
    assert_eq!(rig.devices(next), [0, 1, 2, 3, 4]);
    let short = rig.submit(secs(2));
    rig.advance(secs(3));
    rig.assert_unanswered(short, Why::TimedOut);
}
