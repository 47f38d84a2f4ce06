//! What a lane tells of itself: each trouble when it begins and when it is over, and nothing else.

use super::support::{LONG, Rig, World, config, secs};
use super::wire;
use crate::delivery::action::News;
use crate::delivery::exchange::ExchangeFailure;
use crate::delivery::provider::lane::ProviderConfig;
use crate::delivery::provider::medium::Transport;
use crate::provider::Reason;

fn news(rig: &mut Rig) -> Vec<News> {
    core::iter::from_fn(|| rig.lane.poll_news()).collect()
}

fn failed(why: &str) -> News {
    News::ConnectFailed(why.to_owned())
}

#[test]
fn a_connection_that_cannot_be_opened_is_told_each_time_and_bounded() {
    let mut rig = Rig::new();
    rig.submit(LONG);
    rig.refuse();
    assert_eq!(news(&mut rig), [failed("refused")]);
    rig.world = World::Refuses;
    rig.advance(secs(3_600));
    assert!(rig.connects.len() > News::MAX);
    assert_eq!(news(&mut rig), vec![failed("refused"); News::MAX]);
}

#[test]
fn a_connection_that_ends_before_anything_is_answered_is_a_failed_one() {
    let closed = failed("the connection was closed by the peer");
    let mut rig = Rig::new();
    rig.submit(LONG);
    let connection = rig.open_silently();
    rig.cut(connection);
    assert_eq!(news(&mut rig), core::slice::from_ref(&closed));
    rig.advance(secs(10));
    rig.submit(LONG);
    let connection = rig.open(1_000);
    rig.send(connection, &wire::go_away(0, 0, b""));
    assert_eq!(news(&mut rig), [closed]);
}

#[test]
fn a_connection_that_has_answered_or_was_not_needed_is_no_news() {
    for answer in [200, 400, 403, 410, 500] {
        let (mut rig, connection) = Rig::flying(1_000, 1);
        match answer {
            200 => rig.accept(connection, 1),
            status => rig.reject(connection, 1, status, "InternalServerError"),
        }
        rig.cut(connection);
        assert_eq!(news(&mut rig), [], "{answer}");
    }
    // One more than is needed goes when it has been idle.
    let mut rig = Rig::configured(config(2));
    rig.pongs = true;
    rig.submit_all(3, LONG);
    let connection = rig.open(1);
    rig.accept(connection, 1);
    rig.advance(secs(1));
    let second = rig.open(1);
    rig.accept(connection, 3);
    while let Some(stream) = rig.open_streams(connection).first() {
        rig.accept(connection, *stream);
    }
    for stream in rig.open_streams(second) {
        rig.accept(second, stream);
    }
    rig.advance(secs(3_600));
    assert_eq!(rig.closed, [second]);
    assert_eq!(news(&mut rig), []);
}

#[test]
fn a_goodbye_that_refuses_the_credential_is_that_and_no_failed_connection() {
    for reason in ["InvalidProviderToken", "BadCertificate"] {
        let mut rig = Rig::new();
        rig.submit(LONG);
        let connection = rig.open(1_000);
        let debug = format!("{{\"reason\":\"{reason}\"}}");
        rig.send(connection, &wire::go_away(0, 0, debug.as_bytes()));
        assert_eq!(
            news(&mut rig),
            [News::CredentialRefused(Reason::parse(reason))]
        );
    }
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.send(
        connection,
        &wire::go_away(0, 0, br#"{"reason":"Shutdown"}"#),
    );
    assert!(
        news(&mut rig)
            .iter()
            .all(|it| matches!(it, News::ConnectFailed(_)))
    );
}

#[test]
fn a_breaker_is_told_each_time_it_opens_and_once_when_it_has_closed() {
    let (mut rig, connection) = Rig::flying(1_000, 1);
    rig.pongs = true;
    rig.accept(connection, 1);
    rig.submit_all(5, LONG);
    for stream in rig.open_streams(connection) {
        rig.reject(connection, stream, 503, "ServiceUnavailable");
    }
    assert_eq!(news(&mut rig), [News::BreakerOpened]);
    for _ in 0..2 {
        rig.submit(LONG);
        while rig.open_streams(connection).is_empty() {
            rig.advance(secs(1));
        }
        let probe = rig.only_stream(connection);
        rig.reject(connection, probe, 503, "ServiceUnavailable");
        assert_eq!(news(&mut rig), [News::BreakerOpened]);
    }
    rig.submit(LONG);
    while rig.open_streams(connection).is_empty() {
        rig.advance(secs(1));
    }
    let probe = rig.only_stream(connection);
    rig.accept(connection, probe);
    assert_eq!(news(&mut rig), [News::BreakerClosed]);
}

#[test]
fn on_the_platforms_client_what_never_answered_is_told_too() {
    for failure in [
        ExchangeFailure::NotSent,
        ExchangeFailure::NotProcessed,
        ExchangeFailure::Unanswered,
    ] {
        let mut rig = Rig::configured(ProviderConfig {
            transport: Transport::Platform,
            ..config(1)
        });
        rig.submit(LONG);
        let exchange = *rig.exchanges.keys().next().unwrap();
        rig.exchanges.remove(&exchange);
        let why = "no route".to_owned();
        rig.lane
            .handle_exchange_failed(rig.now, exchange, failure, why);
        rig.drive();
        assert_eq!(news(&mut rig), [failed("no route")], "{failure:?}");
    }
}
