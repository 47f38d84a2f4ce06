//! One row for every rule of `rules`, each the base request with one thing changed; then the order.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{MAX_PAYLOAD, MAX_VOIP_PAYLOAD, Rejection, Request};
use crate::config::{Config, Environment};
use crate::devices::{Device, DeviceState};
use crate::journal::Call;
use crate::provider::authorization::Authorization;
use crate::reason::Reason;
use crate::state::State;

/// `{"alg":"ES256","kid":"K"}` and `{"iss":"T","iat":0}`, with a signature nobody looks at.
const TOKEN: &str = "bearer eyJhbGciOiJFUzI1NiIsImtpZCI6IksifQ.eyJpc3MiOiJUIiwiaWF0IjowfQ.AA";

struct Case {
    method: Method,
    path: &'static str,
    headers: HeaderMap,
    length: usize,
}

fn base() -> Case {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static(TOKEN));
    headers.insert("apns-topic", HeaderValue::from_static("topic"));
    Case {
        method: Method::POST,
        path: "/3/device/1234567890abcdef",
        headers,
        length: 2,
    }
}

impl Case {
    fn with(mut self, name: &'static str, value: &[u8]) -> Self {
        self.headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value).unwrap(),
        );
        self
    }

    fn topic(mut self, topic: &'static str) -> Self {
        self.headers
            .insert("apns-topic", HeaderValue::from_static(topic));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    fn check_in(&self, state: &State) -> Result<(), Rejection> {
        let Self {
            method,
            path,
            headers,
            length,
        } = self;
        let request = Request {
            call: Call::Push,
            environment: Environment::Development,
            method,
            path,
            headers,
            body: &[],
            length: *length,
        };
        request.check_push(state, &mut Authorization::default(), &mut false)
    }

    fn check(&self) -> Result<(), Reason> {
        self.check_in(&state())
            .map_err(|rejection| rejection.reason)
    }
}

fn state() -> State {
    let clock = crate::Clock::new(|| 0);
    State::of_a_test(Config {
        accept_any_key: true,
        clock,
        ..Config::default()
    })
}

#[test]
fn the_base_request_is_accepted() {
    assert_eq!(base().check(), Ok(()));
}

#[test]
fn other_headers_are_ignored() {
    let own = base().with("x-own", b"1").with("apns-request-id", b"?");
    assert_eq!(own.with("apns-new", b"").check(), Ok(()));
}

#[test]
fn only_post_to_a_device_is_taken() {
    for (path, reason) in [
        ("/", Reason::BadPath),
        ("/3/devices/ab", Reason::BadPath),
        ("/2/device/ab", Reason::BadPath),
        ("/3/device/ab/cd", Reason::BadPath),
        ("/4/broadcast/apps/com.example.app", Reason::BadPath),
        ("/1/apps/com.example.app/channels", Reason::BadPath),
        ("/3/device", Reason::MissingDeviceToken),
        ("/3/device/", Reason::MissingDeviceToken),
        ("/3/device/xyz!", Reason::BadDeviceToken),
        ("/3/device/abc", Reason::BadDeviceToken),
        ("/3/device/ab?c=d", Reason::BadDeviceToken),
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
fn a_repeated_header_is_refused_unless_it_is_a_cookie() {
    assert_eq!(
        base().with("apns-topic", b"topic").check(),
        Err(Reason::DuplicateHeaders)
    );
    assert_eq!(
        base().with("x", b"1").with("x", b"1").check(),
        Err(Reason::DuplicateHeaders)
    );
    assert_eq!(
        base().with("cookie", b"a=1").with("cookie", b"b=1").check(),
        Ok(())
    );
}

#[test]
fn an_id_is_a_canonical_uuid() {
    let bad: [&[u8]; 3] = [
        b"This is not a valid UUID.",
        b"",
        b"EABEAE54-14A8-11E5-B60B-1697F925EC7B",
    ];
    for id in bad {
        assert_eq!(
            base().with("apns-id", id).check(),
            Err(Reason::BadMessageId)
        );
    }
    assert_eq!(
        base()
            .with("apns-id", b"eabeae54-14a8-11e5-b60b-1697f925ec7b")
            .check(),
        Ok(())
    );
}

#[test]
fn a_provider_token_is_needed() {
    assert_eq!(
        base().without("authorization").check(),
        Err(Reason::MissingProviderToken)
    );
}

#[test]
fn a_topic_is_needed_and_must_be_one() {
    assert_eq!(
        base().without("apns-topic").check(),
        Err(Reason::MissingTopic)
    );
    for topic in ["", "no topic", "com..example"] {
        assert_eq!(
            base().topic(topic).check(),
            Err(Reason::BadTopic),
            "{topic}"
        );
    }
    let bytes = base().without("apns-topic").with("apns-topic", &[0xe4]);
    assert_eq!(bytes.check(), Err(Reason::BadTopic));
}

#[test]
fn a_push_type_must_exist_and_fit_the_topic() {
    assert_eq!(base().with("apns-push-type", b"alert").check(), Ok(()));
    assert_eq!(
        base().with("apns-push-type", b"Alert").check(),
        Err(Reason::InvalidPushType)
    );
    let voip = base().topic("topic.voip");
    assert_eq!(
        voip.with("apns-push-type", b"alert").check(),
        Err(Reason::InvalidPushType)
    );
    let plain = base().with("apns-push-type", b"voip");
    assert_eq!(plain.check(), Err(Reason::DeviceTokenNotForTopic));
}

#[test]
fn an_expiration_is_a_number_of_seconds() {
    for good in ["0", "1000", "9223372036854775807"] {
        assert_eq!(
            base().with("apns-expiration", good.as_bytes()).check(),
            Ok(()),
            "{good}"
        );
    }
    for bad in ["", "-1", "+1", "soon", "1.5", "9223372036854775808"] {
        let answer = base().with("apns-expiration", bad.as_bytes()).check();
        assert_eq!(answer, Err(Reason::BadExpirationDate), "{bad}");
    }
}

#[test]
fn a_priority_is_ten_five_or_one() {
    for good in ["10", "5", "1"] {
        assert_eq!(
            base().with("apns-priority", good.as_bytes()).check(),
            Ok(()),
            "{good}"
        );
    }
    for bad in ["", "9000", "0", "2", "05", "high"] {
        let answer = base().with("apns-priority", bad.as_bytes()).check();
        assert_eq!(answer, Err(Reason::BadPriority), "{bad}");
    }
}

#[test]
fn a_background_push_must_not_be_immediate() {
    let background = || base().with("apns-push-type", b"background");
    assert_eq!(
        background().with("apns-priority", b"10").check(),
        Err(Reason::BadPriority)
    );
    assert_eq!(background().with("apns-priority", b"5").check(), Ok(()));
    assert_eq!(background().check(), Ok(()));
}

#[test]
fn a_collapse_id_has_at_most_64_bytes() {
    assert_eq!(base().with("apns-collapse-id", &[b'a'; 64]).check(), Ok(()));
    let answer = base().with("apns-collapse-id", &[b'a'; 65]).check();
    assert_eq!(answer, Err(Reason::BadCollapseId));
}

#[test]
fn a_payload_has_its_size() {
    let sized = |length| Case { length, ..base() };
    assert_eq!(sized(0).check(), Err(Reason::PayloadEmpty));
    assert_eq!(sized(MAX_PAYLOAD).check(), Ok(()));
    assert_eq!(sized(MAX_PAYLOAD + 1).check(), Err(Reason::PayloadTooLarge));
    let voip = |length| {
        sized(length)
            .topic("topic.voip")
            .with("apns-push-type", b"voip")
    };
    assert_eq!(voip(MAX_VOIP_PAYLOAD).check(), Ok(()));
    assert_eq!(
        voip(MAX_VOIP_PAYLOAD + 1).check(),
        Err(Reason::PayloadTooLarge)
    );
}

#[test]
fn a_device_answers_as_declared() {
    let state = state();
    let device =
        |declared| Device::new("1234567890ABCDEF").with_state(declared, Some(1_458_114_061_260));
    for (declared, reason, timestamp_ms) in [
        (
            DeviceState::Unregistered,
            Reason::Unregistered,
            Some(1_458_114_061_260),
        ),
        (
            DeviceState::Expired,
            Reason::ExpiredToken,
            Some(1_458_114_061_260),
        ),
        (DeviceState::OtherEnvironment, Reason::BadDeviceToken, None),
    ] {
        state.devices().declare(device(declared), 0).unwrap();
        assert_eq!(
            base().check_in(&state),
            Err(Rejection {
                reason,
                timestamp_ms
            })
        );
    }
    let elsewhere = Device::new("1234567890abcdef").with_topic("com.example.other");
    state.devices().declare(elsewhere, 0).unwrap();
    assert_eq!(
        base().check_in(&state),
        Err(Reason::DeviceTokenNotForTopic.into())
    );
}

#[test]
fn the_first_broken_rule_is_the_one_named() {
    let state = state();
    let gone = Device::new("1234567890abcdef").with_state(DeviceState::Unregistered, Some(1));
    state.devices().declare(gone, 0).unwrap();
    let mut case = base()
        .without("authorization")
        .topic("no topic")
        .with("apns-id", b"x")
        .with("apns-push-type", b"x")
        .with("apns-expiration", b"x")
        .with("apns-priority", b"x")
        .with("apns-collapse-id", &[b'x'; 65])
        .with("x", b"1")
        .with("x", b"2");
    (case.method, case.path, case.length) = (Method::GET, "/", 0);
    let reason = |case: &Case| case.check_in(&state).unwrap_err().reason;
    assert_eq!(reason(&case), Reason::MethodNotAllowed);
    case.method = Method::POST;
    assert_eq!(reason(&case), Reason::BadPath);
    case.path = "/3/device/1234567890abcdef";
    for (header, expected, good) in [
        ("x", Reason::DuplicateHeaders, "1"),
        (
            "apns-id",
            Reason::BadMessageId,
            "eabeae54-14a8-11e5-b60b-1697f925ec7b",
        ),
        ("authorization", Reason::MissingProviderToken, TOKEN),
        ("apns-topic", Reason::BadTopic, "topic"),
        ("apns-push-type", Reason::InvalidPushType, "alert"),
        ("apns-expiration", Reason::BadExpirationDate, "0"),
        ("apns-priority", Reason::BadPriority, "5"),
        ("apns-collapse-id", Reason::BadCollapseId, "x"),
    ] {
        assert_eq!(reason(&case), expected);
        case = case.without(header).with(header, good.as_bytes());
    }
    assert_eq!(reason(&case), Reason::PayloadEmpty);
    case.length = 2;
    assert_eq!(reason(&case), Reason::Unregistered);
}
