//! One test for each rule of the gateway.

use super::*;
use crate::config::Config;
use crate::devices::{Device, DeviceState};
use crate::ids::hex;

const TOPIC: Option<&str> = Some("com.example.app");

fn state() -> State {
    strict_or_not(Config::default())
}

fn strict_or_not(config: Config) -> State {
    let clock = crate::Clock::new(|| 1_700_000_000_000);
    State::of_a_test(Config { clock, ..config })
}

fn good() -> Notification {
    Notification {
        command: 2,
        token: vec![7; 32].into(),
        payload: br#"{"aps":{"alert":"hi"}}"#[..].into(),
        identifier: Some(9),
        expiry: None,
        priority: None,
    }
}

fn sized(command: u8, length: usize) -> Notification {
    let payload = format!(r#"{{"a":"{}"}}"#, "b".repeat(length - 8));
    assert_eq!(payload.len(), length);
    Notification {
        command,
        payload: payload.into(),
        ..good()
    }
}

fn judged(notification: &Notification, state: &State) -> Verdict {
    judge(notification, &hex(&notification.token), TOPIC, state)
}

fn verdict(notification: &Notification) -> Verdict {
    judged(notification, &state())
}

fn with_payload(payload: &'static str) -> Notification {
    Notification {
        payload: payload.into(),
        ..good()
    }
}

#[test]
fn a_good_notification_is_accepted_by_every_command() {
    for command in 0..=2 {
        let notification = Notification { command, ..good() };
        assert_eq!(verdict(&notification), Verdict::Accepted, "{command}");
    }
}

#[test]
fn a_certificate_has_to_say_a_topic() {
    let (state, token) = (state(), hex(&good().token));
    let refused = |topic| judge(&good(), &token, topic, &state);
    assert_eq!(refused(None), Verdict::Refused(StatusByte::MISSING_TOPIC));
    let long = "a".repeat(256);
    for topic in ["", "a b", &long] {
        assert_eq!(
            refused(Some(topic)),
            Verdict::Refused(StatusByte::INVALID_TOPIC_SIZE)
        );
    }
}

#[test]
fn tokens_are_eight_to_a_hundred_bytes_unless_declared() {
    let token = |length| Notification {
        token: vec![0; length].into(),
        ..good()
    };
    let invalid = Verdict::Refused(StatusByte::INVALID_TOKEN_SIZE);
    for (length, expected) in [
        (1, invalid),
        (7, invalid),
        (8, Verdict::Accepted),
        (100, Verdict::Accepted),
        (101, invalid),
    ] {
        assert_eq!(verdict(&token(length)), expected, "{length}");
    }
    let state = state();
    state.devices().declare(Device::new("00"), 0).unwrap();
    assert_eq!(judged(&token(1), &state), Verdict::Accepted);
    assert_eq!(judged(&token(2), &state), invalid);
}

#[test]
fn payloads_have_the_limit_of_their_command() {
    let invalid = Verdict::Refused(StatusByte::INVALID_PAYLOAD_SIZE);
    assert_eq!(verdict(&sized(2, 2048)), Verdict::Accepted);
    assert_eq!(verdict(&sized(2, 2049)), invalid);
    for command in [0, 1] {
        assert_eq!(verdict(&sized(command, 256)), Verdict::Accepted);
        assert_eq!(verdict(&sized(command, 257)), invalid);
        let state = strict_or_not(Config {
            simple_payload_limit: 10_000,
            ..Config::default()
        });
        assert_eq!(judged(&sized(command, 2048), &state), Verdict::Accepted);
        assert_eq!(judged(&sized(command, 2049), &state), invalid);
    }
}

#[test]
fn a_payload_is_a_json_object() {
    for payload in ["[]", "1", "", "{", "{}}", "\u{0}", "{}\u{0}"] {
        assert_eq!(
            verdict(&with_payload(payload)),
            Verdict::Refused(StatusByte::PROCESSING_ERROR),
            "{payload}"
        );
    }
    assert_eq!(verdict(&with_payload("{}")), Verdict::Accepted);
}

#[test]
fn priority_10_needs_something_to_show() {
    let priority = |payload, priority| Notification {
        priority,
        ..with_payload(payload)
    };
    let silent = r#"{"aps":{"content-available":1},"own":{"alert":"no"}}"#;
    assert_eq!(
        verdict(&priority(silent, Some(10))),
        Verdict::Refused(StatusByte::PROCESSING_ERROR)
    );
    for (payload, said) in [
        (silent, Some(5)),
        (silent, None),
        (r#"{"aps":{"content-available":1,"badge":0}}"#, Some(10)),
        (r#"{"aps":{"content-available":1,"alert":"a"}}"#, Some(10)),
        (r#"{"aps":{"content-available":1,"sound":"a"}}"#, Some(10)),
        ("{}", Some(10)),
    ] {
        assert_eq!(verdict(&priority(payload, said)), Verdict::Accepted);
    }
    for odd in [0, 1, 9, 11, 255] {
        assert_eq!(
            verdict(&priority("{}", Some(odd))),
            Verdict::Refused(StatusByte::PROTOCOL_ERROR)
        );
    }
}

#[test]
fn devices_are_what_they_were_declared() {
    let state = state();
    let token = hex(&good().token);
    let declared = |as_what, since_ms| {
        let device = Device::new(token.clone()).with_state(as_what, since_ms);
        state.devices().declare(device, 5_000).unwrap();
        judged(&good(), &state)
    };
    assert_eq!(declared(DeviceState::Valid, None), Verdict::Accepted);
    assert_eq!(
        declared(DeviceState::OtherEnvironment, None),
        Verdict::Refused(StatusByte::INVALID_TOKEN)
    );
    let gone = |since_s| Verdict::Gone { since_s };
    assert_eq!(declared(DeviceState::Unregistered, Some(7_999)), gone(7));
    assert_eq!(declared(DeviceState::Expired, None), gone(5));
    assert_eq!(
        declared(DeviceState::Unregistered, Some(u64::MAX)),
        gone(u32::MAX)
    );
    let other = Device::new(token.clone()).with_topic("com.example.other");
    state.devices().declare(other, 0).unwrap();
    assert_eq!(
        judged(&good(), &state),
        Verdict::Refused(StatusByte::INVALID_TOKEN)
    );
    let closed = strict_or_not(Config {
        only_declared_devices: true,
        ..Config::default()
    });
    assert_eq!(
        judged(&good(), &closed),
        Verdict::Refused(StatusByte::INVALID_TOKEN)
    );
}

#[test]
fn without_validation_only_lengths_count() {
    let state = strict_or_not(Config {
        validation: Validation::AcceptAll,
        only_declared_devices: true,
        ..Config::default()
    });
    assert_eq!(judged(&with_payload("[]"), &state), Verdict::Accepted);
    assert_eq!(
        judged(&sized(2, 2049), &state),
        Verdict::Refused(StatusByte::INVALID_PAYLOAD_SIZE)
    );
}
