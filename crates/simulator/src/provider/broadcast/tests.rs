//! One row for every rule of broadcasts, each the base request with one thing changed; then the
//! order.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::MAX_PAYLOAD;
use crate::channels::{Channel, StoragePolicy};
use crate::config::{Config, Environment};
use crate::journal::Call;
use crate::provider::authorization::Authorization;
use crate::provider::effect::Effect;
use crate::provider::request::Request;
use crate::reason::Reason;
use crate::state::State;

/// `{"alg":"ES256","kid":"K"}` and `{"iss":"T","iat":0}`, with a signature nobody looks at.
const TOKEN: &str = "bearer eyJhbGciOiJFUzI1NiIsImtpZCI6IksifQ.eyJpc3MiOiJUIiwiaWF0IjowfQ.AA";
const PATH: &str = "/4/broadcasts/apps/com.example.app";

/// A channel that stores no message, and one that does.
const LIVE: &str = "YQ==";
const STORING: &str = "Yg==";

struct Case {
    method: Method,
    path: &'static str,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn base() -> Case {
    let headers = HeaderMap::new();
    let (method, path, body) = (Method::POST, PATH, b"{}".to_vec());
    let case = Case {
        method,
        path,
        headers,
        body,
    };
    case.with("authorization", TOKEN)
        .with("apns-channel-id", LIVE)
        .with("apns-expiration", "0")
        .with("apns-priority", "10")
        .with("apns-push-type", "liveactivity")
}

impl Case {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    fn also(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { body, ..self }
    }

    fn check_in(&self, state: &State) -> Result<(), Reason> {
        let request = Request {
            call: Call::Broadcast,
            environment: Environment::Development,
            method: &self.method,
            path: self.path,
            headers: &self.headers,
            body: &self.body,
            length: self.body.len(),
        };
        let effect = request
            .check(state, &mut Authorization::default(), &mut false)
            .map_err(|rejection| rejection.reason)?;
        let channel_id = request.channel();
        let bundle_id = "com.example.app";
        let expected = Effect::Broadcast {
            bundle_id,
            channel_id,
        };
        assert_eq!(effect, expected);
        Ok(())
    }

    fn check(&self) -> Result<(), Reason> {
        self.check_in(&state(Config::default()))
    }
}

fn state(config: Config) -> State {
    let clock = crate::Clock::new(|| 0);
    let state = State::of_a_test(Config {
        accept_any_key: true,
        clock,
        ..config
    });
    for (id, policy) in [
        (LIVE, StoragePolicy::NoMessage),
        (STORING, StoragePolicy::MostRecentMessage),
    ] {
        let channel = Channel::new("com.example.app", policy).with_id(id);
        state.add_channel(channel).unwrap();
    }
    state
}

#[test]
fn the_base_request_is_accepted() {
    assert_eq!(base().check(), Ok(()));
}

#[test]
fn only_post_to_an_app_is_taken() {
    for (path, reason) in [
        ("/4/broadcasts/apps/", Reason::BadPath),
        ("/4/broadcasts/apps/com.example.app/x", Reason::BadPath),
        ("/4/broadcasts/apps/com.example.app?x=1", Reason::BadPath),
        ("/4/broadcasts/apps/no%20topic", Reason::TopicDisallowed),
    ] {
        assert_eq!(Case { path, ..base() }.check(), Err(reason), "{path}");
    }
    let method = Method::GET;
    assert_eq!(
        Case { method, ..base() }.check(),
        Err(Reason::MethodNotAllowed)
    );
}

#[test]
fn a_topic_suffix_is_disallowed() {
    let path = "/4/broadcasts/apps/com.example.app.push-type.liveactivity";
    let answer = Case { path, ..base() }.check();
    assert_eq!(answer, Err(Reason::TopicDisallowed));
}

#[test]
fn an_app_without_the_feature_cannot_broadcast() {
    let only = |app: &str| {
        state(Config {
            broadcast_apps: Some(vec![app.to_owned()]),
            ..Config::default()
        })
    };
    assert_eq!(base().check_in(&only("com.example.app")), Ok(()));
    let answer = base().check_in(&only("com.example.other"));
    assert_eq!(answer, Err(Reason::FeatureNotEnabled));
}

#[test]
fn a_channel_is_needed_and_must_be_there() {
    let channel = |id: &str| base().with("apns-channel-id", id).check();
    assert_eq!(
        base().without("apns-channel-id").check(),
        Err(Reason::MissingChannelId)
    );
    for bad in ["", "io.apn.channel", "YQ"] {
        assert_eq!(channel(bad), Err(Reason::BadChannelId), "{bad}");
    }
    assert_eq!(channel("Yw=="), Err(Reason::ChannelNotRegistered));
}

#[test]
fn only_live_activities_are_broadcast_in_any_case_of_apples() {
    for good in ["liveactivity", "Liveactivity", "LiveActivity"] {
        assert_eq!(base().with("apns-push-type", good).check(), Ok(()));
    }
    for bad in ["alert", "", "live-activity"] {
        let answer = base().with("apns-push-type", bad).check();
        assert_eq!(answer, Err(Reason::InvalidPushType), "{bad}");
    }
    assert_eq!(
        base().without("apns-push-type").check(),
        Err(Reason::MissingPushType)
    );
}

#[test]
fn only_a_channel_that_stores_takes_an_expiration() {
    let expiration = |channel, value| {
        let case = base().with("apns-channel-id", channel);
        case.with("apns-expiration", value).check()
    };
    assert_eq!(expiration(STORING, "1700000000"), Ok(()));
    assert_eq!(expiration(STORING, "0"), Ok(()));
    for (channel, bad) in [(LIVE, "1700000000"), (LIVE, "-1"), (STORING, "soon")] {
        let answer = expiration(channel, bad);
        assert_eq!(answer, Err(Reason::BadExpirationDate), "{bad}");
    }
    let missing = base().without("apns-expiration").check();
    assert_eq!(missing, Err(Reason::BadExpirationDate));
}

#[test]
fn a_priority_is_needed_and_is_ten_five_or_one() {
    for good in ["10", "5", "1"] {
        assert_eq!(base().with("apns-priority", good).check(), Ok(()));
    }
    for bad in [
        base().with("apns-priority", "2"),
        base().without("apns-priority"),
    ] {
        assert_eq!(bad.check(), Err(Reason::BadPriority));
    }
}

#[test]
fn a_payload_is_json_of_at_most_5120_bytes() {
    let longest = format!("\"{}\"", "a".repeat(MAX_PAYLOAD - 2));
    assert_eq!(base().body(longest.clone()).check(), Ok(()));
    for (body, reason) in [
        (String::new(), Reason::PayloadEmpty),
        (longest + " ", Reason::PayloadTooLarge),
        ("{".to_owned(), Reason::BadRequestPayload),
    ] {
        assert_eq!(base().body(body).check(), Err(reason));
    }
}

#[test]
fn the_first_broken_rule_is_the_one_named() {
    let state = state(Config {
        broadcast_apps: Some(Vec::new()),
        ..Config::default()
    });
    let mut case = base()
        .without("authorization")
        .without("apns-channel-id")
        .with("apns-request-id", "x")
        .also("x", "1")
        .also("x", "2");
    assert_eq!(case.check_in(&state), Err(Reason::DuplicateHeaders));
    case = case.without("x");
    assert_eq!(case.check_in(&state), Err(Reason::BadMessageId));
    case = case.with("apns-request-id", "eabeae54-14a8-11e5-b60b-1697f925ec7b");
    assert_eq!(case.check_in(&state), Err(Reason::MissingProviderToken));
    case = case.with("authorization", TOKEN);
    assert_eq!(case.check_in(&state), Err(Reason::FeatureNotEnabled));
    let state = self::state(Config::default());
    for name in ["apns-push-type", "apns-expiration", "apns-priority"] {
        case = case.without(name);
    }
    case = case.body("");
    for (header, reason, good) in [
        ("apns-channel-id", Reason::MissingChannelId, LIVE),
        ("apns-push-type", Reason::MissingPushType, "liveactivity"),
        ("apns-expiration", Reason::BadExpirationDate, "0"),
        ("apns-priority", Reason::BadPriority, "5"),
    ] {
        assert_eq!(case.check_in(&state), Err(reason));
        case = case.with(header, good);
    }
    assert_eq!(case.check_in(&state), Err(Reason::PayloadEmpty));
}
