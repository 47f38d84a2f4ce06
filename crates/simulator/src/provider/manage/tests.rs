//! One row for every rule of the calls about channels, and what each good call does.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::channels::{Channel, StoragePolicy};
use crate::config::{Config, Environment};
use crate::journal::Call;
use crate::provider::authorization::Authorization;
use crate::provider::effect::Accepted;
use crate::provider::request::Request;
use crate::reason::Reason;
use crate::state::State;

/// `{"alg":"ES256","kid":"K"}` and `{"iss":"T","iat":0}`, with a signature nobody looks at.
const TOKEN: &str = "bearer eyJhbGciOiJFUzI1NiIsImtpZCI6IksifQ.eyJpc3MiOiJUIiwiaWF0IjowfQ.AA";
const CHANNELS: &str = "/1/apps/com.example.app/channels";
const ALL: &str = "/1/apps/com.example.app/all-channels";
const GOOD: &str = r#"{"message-storage-policy":1,"push-type":"LiveActivity"}"#;

fn state() -> State {
    let clock = crate::Clock::new(|| 0);
    State::of_a_test(Config {
        accept_any_key: true,
        max_channels_per_app: 2,
        clock,
        ..Config::default()
    })
}

fn ask_with(
    state: &State,
    (method, path): (&Method, &str),
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<Accepted, Reason> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        })
        .collect();
    let request = Request {
        call: Call::Channels,
        environment: Environment::Development,
        method,
        path,
        headers: &headers,
        body: body.as_bytes(),
        length: body.len(),
    };
    let effect = request.check(state, &mut Authorization::default(), &mut false);
    effect
        .map_err(|rejection| rejection.reason)?
        .run(state, Environment::Development)
}

fn ask(
    state: &State,
    call: (&Method, &str),
    channel: &str,
    body: &str,
) -> Result<Accepted, Reason> {
    let headers = [("authorization", TOKEN), ("apns-channel-id", channel)];
    let wanted = if channel.is_empty() { 1 } else { 2 };
    ask_with(state, call, &headers[..wanted], body)
}

#[test]
fn a_channel_is_created_read_listed_and_deleted() {
    let state = state();
    let body = |accepted: Accepted| (accepted.status, accepted.body);
    let list = |state| body(ask(state, (&Method::GET, ALL), "", "").unwrap());
    assert_eq!(list(&state), (200, r#"{"channels":[]}"#.to_owned()));

    let made = ask(&state, (&Method::POST, CHANNELS), "", GOOD).unwrap();
    assert_eq!((made.status, &*made.body), (201, ""));
    let id = made.channel_id.unwrap();
    assert_eq!(list(&state), (200, format!(r#"{{"channels":["{id}"]}}"#)));
    let read = ask(&state, (&Method::GET, CHANNELS), &id, "").unwrap();
    assert_eq!(body(read), (200, GOOD.to_owned()));
    let gone = ask(&state, (&Method::DELETE, CHANNELS), &id, "").unwrap();
    assert_eq!(body(gone), (204, String::new()));
    for method in [Method::GET, Method::DELETE] {
        let answer = ask(&state, (&method, CHANNELS), &id, "");
        assert_eq!(answer, Err(Reason::ChannelNotRegistered));
    }
}

#[test]
fn an_app_has_a_limited_number_of_channels_and_no_others() {
    let state = state();
    let create = |path| ask(&state, (&Method::POST, path), "", GOOD);
    assert!(create(CHANNELS).is_ok() && create(CHANNELS).is_ok());
    assert_eq!(create(CHANNELS), Err(Reason::CannotCreateChannelConfig));
    assert!(create("/1/apps/com.example.other/channels").is_ok());
    let mine = state.channels().ids("com.example.app").join(" ");
    let own = mine.split(' ').next().unwrap();
    let elsewhere = (&Method::GET, "/1/apps/com.example.other/channels");
    let answer = ask(&state, elsewhere, own, "");
    assert_eq!(answer, Err(Reason::ChannelNotRegistered));
}

#[test]
fn paths_and_methods_are_apples() {
    let state = state();
    for (method, path, reason) in [
        (Method::GET, "/", Reason::BadPath),
        (Method::GET, "/1/apps/channels", Reason::BadPath),
        (Method::GET, "/1/apps//channels", Reason::BadPath),
        (
            Method::GET,
            "/1/apps/com.example.app/channel",
            Reason::BadPath,
        ),
        (
            Method::GET,
            "/2/apps/com.example.app/channels",
            Reason::BadPath,
        ),
        (
            Method::GET,
            "/1/apps/com.example.app/channels/",
            Reason::BadPath,
        ),
        (Method::POST, "/3/device/abcd", Reason::BadPath),
        (Method::PUT, CHANNELS, Reason::MethodNotAllowed),
        (Method::POST, ALL, Reason::MethodNotAllowed),
        (
            Method::GET,
            "/1/apps/com.example.app.voip/all-channels",
            Reason::TopicDisallowed,
        ),
    ] {
        let answer = ask(&state, (&method, path), "YQ==", GOOD);
        assert_eq!(answer, Err(reason), "{method} {path}");
    }
}

#[test]
fn a_channel_to_read_or_delete_must_be_named() {
    let state = state();
    for method in [Method::GET, Method::DELETE] {
        for (channel, reason) in [
            ("", Reason::MissingChannelId),
            ("io.apn.channel", Reason::BadChannelId),
            ("YQ==", Reason::ChannelNotRegistered),
        ] {
            let answer = ask(&state, (&method, CHANNELS), channel, "");
            assert_eq!(answer, Err(reason), "{method} {channel}");
        }
    }
}

#[test]
fn the_body_of_a_new_channel_has_two_attributes() {
    let state = state();
    for (body, reason) in [
        ("", Reason::PayloadEmpty),
        ("{", Reason::BadRequestPayload),
        ("[]", Reason::BadRequestPayload),
        (
            r#"{"message-storage-policy":0,"push-type":"LiveActivity","name":"x"}"#,
            Reason::BadRequestParams,
        ),
        (r#"{"push-type":"LiveActivity"}"#, Reason::BadRequestParams),
        (
            r#"{"message-storage-policy":2,"push-type":"LiveActivity"}"#,
            Reason::BadRequestParams,
        ),
        (
            r#"{"message-storage-policy":"0","push-type":"LiveActivity"}"#,
            Reason::BadRequestParams,
        ),
        (r#"{"message-storage-policy":0}"#, Reason::MissingPushType),
        (
            r#"{"message-storage-policy":0,"push-type":"alert"}"#,
            Reason::InvalidPushType,
        ),
        (
            r#"{"message-storage-policy":0,"push-type":1}"#,
            Reason::InvalidPushType,
        ),
    ] {
        let answer = ask(&state, (&Method::POST, CHANNELS), "", body);
        assert_eq!(answer, Err(reason), "{body}");
    }
    let long = format!("{GOOD}{}", " ".repeat(5120));
    let answer = ask(&state, (&Method::POST, CHANNELS), "", &long);
    assert_eq!(answer, Err(Reason::PayloadTooLarge));
    assert!(state.channels().list().is_empty());
}

#[test]
fn headers_and_the_provider_token_are_looked_at_as_for_pushes() {
    let state = state();
    let list = |headers: &[(&'static str, &str)]| {
        ask_with(&state, (&Method::GET, ALL), headers, "").map(|accepted| accepted.status)
    };
    let token = ("authorization", TOKEN);
    assert_eq!(list(&[token]), Ok(200));
    assert_eq!(list(&[]), Err(Reason::MissingProviderToken));
    let bad_id = [token, ("apns-request-id", "x")];
    assert_eq!(list(&bad_id), Err(Reason::BadMessageId));
    let invalid = [("authorization", "bearer x")];
    assert_eq!(list(&invalid), Err(Reason::InvalidProviderToken));
    let repeated = [token, ("x", "1"), ("x", "2")];
    assert_eq!(list(&repeated), Err(Reason::DuplicateHeaders));
}

#[test]
fn judging_a_call_changes_nothing() {
    let state = state();
    let headers = HeaderMap::from_iter([(
        HeaderName::from_static("authorization"),
        HeaderValue::from_static(TOKEN),
    )]);
    let request = Request {
        call: Call::Channels,
        environment: Environment::Development,
        method: &Method::POST,
        path: CHANNELS,
        headers: &headers,
        body: GOOD.as_bytes(),
        length: GOOD.len(),
    };
    let effect = request.check(&state, &mut Authorization::default(), &mut false);
    assert!(effect.is_ok() && state.channels().list().is_empty());
    let policy = StoragePolicy::MostRecentMessage;
    let made = effect
        .unwrap()
        .run(&state, Environment::Development)
        .unwrap()
        .channel_id
        .unwrap();
    let expected = Channel::new("com.example.app", policy).with_id(made);
    assert_eq!(state.channels().list(), [expected]);
}
