//! Every route, without a socket.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use super::{Asked, answer};
use crate::config::Config;
use crate::journal::Call;
use crate::journal::tests::example;
use crate::state::State;
use crate::topic;

fn state() -> State {
    let clock = crate::Clock::new(|| 1000);
    State::of_a_test(Config {
        clock,
        ..Config::default()
    })
}

fn ask(state: &State, method: &str, target: &str, body: &str) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let reply = answer(
        state,
        &Asked {
            method,
            path,
            query,
            body: body.as_bytes(),
        },
    );
    (
        reply.status,
        serde_json::from_slice(&reply.body).unwrap_or_default(),
    )
}

#[test]
fn notifications_are_selected_by_token_number_and_sequence() {
    let state = state();
    for token in ["aa", "bb", "aa"] {
        state.journal().record(example(token));
    }
    let sequences = |target| {
        let (status, body) = ask(&state, "GET", target, "");
        assert_eq!(
            (status, &body["total"], &body["dropped"]),
            (200, &json!(3), &json!(0))
        );
        let all = body["notifications"].as_array().unwrap().clone();
        all.iter()
            .map(|one| one["sequence"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(sequences("/notifications"), [1, 2, 3]);
    assert_eq!(sequences("/notifications?token=AA&limit=1"), [3]);
    assert_eq!(sequences("/notifications?after=1"), [2, 3]);
    assert_eq!(sequences("/notifications?after=0&limit=2"), [1, 2]);
    assert_eq!(sequences("/notifications?after=2&limit=2"), [3]);
    assert_eq!(sequences("/notifications?limit=2"), [2, 3]);
    assert_eq!(ask(&state, "DELETE", "/notifications", "").0, 204);
    assert!(sequences("/notifications").is_empty());
}

#[test]
fn headers_are_listed_in_the_order_they_came() {
    let state = state();
    state.journal().record(example("aa"));
    let asked = Asked {
        method: "GET",
        path: "/notifications",
        query: "",
        body: b"",
    };
    let reply = answer(&state, &asked);
    let text = std::str::from_utf8(&reply.body).unwrap();
    assert!(text.contains(r#""headers":{"b":"1","a":"2"}"#), "{text}");
}

#[test]
fn devices_are_declared_listed_and_forgotten() {
    let state = state();
    let body =
        r#"[{"token":"AB","state":"unregistered"},{"token":"cd","topic":"com.example.app"}]"#;
    assert_eq!(ask(&state, "POST", "/devices", body).0, 204);
    let expected = json!([
        {"token": "ab", "state": "unregistered", "since_ms": 1000},
        {"token": "cd", "topic": "com.example.app", "state": "valid"},
    ]);
    assert_eq!(ask(&state, "GET", "/devices", "").1["devices"], expected);
    assert_eq!(ask(&state, "DELETE", "/devices", "").0, 204);
    assert_eq!(ask(&state, "GET", "/devices", "").1["devices"], json!([]));
}

#[test]
fn faults_are_scripted_listed_and_forgotten() {
    let state = state();
    let body = r#"{"fault":"status","status":503,"reason":"Shutdown"}"#;
    assert_eq!(ask(&state, "POST", "/faults", body).0, 204);
    let listed = ask(&state, "GET", "/faults", "").1;
    assert_eq!(listed["faults"][0]["reason"], json!("Shutdown"));
    assert_eq!(ask(&state, "DELETE", "/faults", "").0, 204);
    assert!(state.faults().list().is_empty());
}

#[test]
fn channels_are_declared_listed_and_forgotten() {
    let state = state();
    let body = r#"[{"bundle_id":"com.example.app","channel_id":"YQ==","message_storage_policy":1},
                   {"bundle_id":"com.example.app"}]"#;
    let (status, made) = ask(&state, "POST", "/channels", body);
    assert_eq!((status, &made["channel_ids"][0]), (200, &json!("YQ==")));
    let listed = ask(&state, "GET", "/channels", "").1;
    let expected = json!({
        "bundle_id": "com.example.app", "channel_id": "YQ==",
        "message_storage_policy": 1, "broadcasts": 0,
    });
    let listed = listed["channels"].as_array().unwrap();
    assert!(listed.contains(&expected) && listed.len() == 2);
    assert_eq!(ask(&state, "DELETE", "/channels", "").0, 204);
    assert!(state.channels().list().is_empty());
}

#[test]
fn a_mix_at_random_is_answered_with_its_seed_and_can_be_repeated() {
    let state = state();
    let ask_for = |body: &str| ask(&state, "POST", "/faults", body);
    let (status, chosen) = ask_for(r#"{"random":{"token_prefix":"ab"}}"#);
    assert_eq!((status, &chosen["random"]["reset"]), (200, &json!(100)));
    assert_eq!(chosen["random"]["token_prefix"], json!("ab"));
    assert!(chosen["random"]["seed"].is_u64());
    let (_, again) = ask_for(&chosen.to_string());
    assert_eq!(chosen, again);

    let (_, own) = ask_for(r#"{"random":{"seed":7,"silence":1}}"#);
    assert_eq!(own["random"]["reset"], json!(0));
    state.faults().for_request(Call::Push, "ab").unwrap();
    let listed = ask(&state, "GET", "/faults", "").1;
    assert_eq!(listed["random"]["seed"], json!(7));
    assert_eq!(listed["random"]["drawn"], json!({"silence": 1}));
    assert_eq!(ask(&state, "DELETE", "/faults", "").0, 204);
    assert_eq!(ask(&state, "GET", "/faults", "").1["random"], json!(null));
}

#[test]
fn dead_tokens_are_listed_by_topic_and_forgotten() {
    let state = state();
    let body = r#"[{"topic":"com.example.app","token":"AB01","since":5},
                   {"topic":"com.example.app","token":"cd"}]"#;
    assert_eq!(ask(&state, "POST", "/feedback", body).0, 204);
    let pending = |state| {
        let (_, body) = ask(state, "GET", "/feedback", "");
        body["feedback"]["com.example.app"]["pending"].clone()
    };
    assert_eq!(pending(&state), json!(2));
    assert_eq!(ask(&state, "DELETE", "/feedback", "").0, 204);
    assert_eq!(pending(&state), json!(0));
}

#[test]
fn malformed_requests_are_400_and_say_what_was_expected() {
    let state = state();
    for (method, target, body) in [
        ("GET", "/notifications?limit=x", ""),
        ("GET", "/notifications?after=-1", ""),
        ("GET", "/notifications?colour=red", ""),
        ("POST", "/devices", ""),
        ("POST", "/devices", "{}"),
        ("POST", "/devices", r#"{"token":"xyz"}"#),
        ("POST", "/devices", r#"{"token":"ab","state":"lost"}"#),
        ("POST", "/devices", r#"{"token":"ab","unknown":1}"#),
        ("POST", "/faults", "[1]"),
        ("POST", "/faults", r#"{"fault":"flood"}"#),
        ("POST", "/faults", r#"{"fault":"delay","delay_ms":600001}"#),
        ("POST", "/faults", r#"{"random":{"flood":1}}"#),
        ("POST", "/faults", r#"{"random":{"max_delay_ms":600001}}"#),
        ("POST", "/faults", r#"{"random":{},"fault":"silence"}"#),
        ("POST", "/channels", r#"{"bundle_id":"a b"}"#),
        ("POST", "/channels", r#"{"bundle_id":"a","channel_id":"?"}"#),
        (
            "POST",
            "/channels",
            r#"{"bundle_id":"a","message_storage_policy":2}"#,
        ),
        ("POST", "/feedback", r#"{"topic":"a","token":"abc"}"#),
        ("POST", "/feedback", r#"{"topic":"a b","token":"ab"}"#),
        (
            "POST",
            "/feedback",
            r#"{"topic":"a","token":"ab","since":1700000000000}"#,
        ),
    ] {
        let (status, answer) = ask(&state, method, target, body);
        let error = answer["error"].as_str().unwrap();
        assert_eq!(status, 400, "{target} {body}");
        assert!(error.contains("expected"), "{error}");
    }
    assert!(state.faults().list().is_empty());
}

#[test]
fn other_paths_and_methods_are_named() {
    let state = state();
    assert_eq!(ask(&state, "GET", "/nothing", "").0, 404);
    assert_eq!(ask(&state, "PUT", "/devices", "").0, 405);
    assert_eq!(ask(&state, "POST", "/stats", "").0, 405);
}

#[test]
fn numbers_and_certificate_can_be_read() {
    let state = state();
    let (status, stats) = ask(&state, "GET", "/stats", "");
    assert_eq!((status, &stats["requests"]), (200, &json!(0)));
    assert_eq!(stats["environment"], json!("development"));
    let asked = Asked {
        method: "GET",
        path: "/ca.pem",
        query: "",
        body: b"",
    };
    assert_eq!(
        answer(&state, &asked).body,
        state.authority.certificate_pem()
    );
}

#[test]
fn a_client_certificate_and_its_key_come_in_one_text() {
    let state = state();
    let asked = Asked {
        method: "POST",
        path: "/certificates",
        query: "topic=com.example.app",
        body: b"",
    };
    let reply = answer(&state, &asked);
    let der = CertificateDer::from_pem_slice(&reply.body).unwrap();
    assert_eq!(
        topic::of_certificate(&der).as_deref(),
        Some("com.example.app")
    );
    assert!(PrivateKeyDer::from_pem_slice(&reply.body).is_ok());
    for query in ["", "topic=", "topic=a%20b", "name=com.example.app"] {
        let target = format!("/certificates?{query}");
        assert_eq!(ask(&state, "POST", &target, "").0, 400, "{query}");
    }
}

#[test]
fn the_page_brings_everything_it_needs() {
    let asked = Asked {
        method: "GET",
        path: "/",
        query: "",
        body: b"",
    };
    let reply = answer(&state(), &asked);
    let text = std::str::from_utf8(&reply.body).unwrap();
    assert!(!text.contains("{{nonce}}") && !text.contains("src=") && !text.contains("innerHTML"));
    assert!(!text.contains("http://") && !text.contains("https://"));
    assert!(reply.policy.unwrap().starts_with("default-src 'none'"));
}

/// By keyboard each arrow is a change of the menu.
#[test]
fn a_fault_is_armed_by_the_button_and_not_by_choosing_it() {
    let asked = Asked {
        method: "GET",
        path: "/",
        query: "",
        body: b"",
    };
    let reply = answer(&state(), &asked);
    let text = std::str::from_utf8(&reply.body).unwrap();
    assert!(text.contains(r#"<button id="arm" disabled>"#));
    let listener = |start: &str| {
        let (_, rest) = text.split_once(start).expect(start);
        rest.split("\nat(").next().unwrap().to_owned()
    };
    let of_choice = listener(r#"at("fault").addEventListener("change", "#);
    assert!(
        !of_choice.contains("ask(") && !of_choice.contains("=>"),
        "{of_choice}"
    );
    let of_button = listener(r#"at("arm").addEventListener("click", "#);
    assert!(
        of_button.contains(r#"ask("/faults", { method: "POST""#),
        "{of_button}"
    );
    let (_, chosen) = text.split_once("const chosen = ").unwrap();
    assert!(!chosen.lines().next().unwrap().contains("ask("));
}

#[test]
fn two_environments_share_no_channels_and_are_listed_together() {
    let state = State::of_a_test(Config {
        second: Some(crate::SecondEnvironment::default()),
        ..Config::default()
    });
    let body = r#"[{"bundle_id":"a.b","channel_id":"YQ=="},
                   {"bundle_id":"a.b","channel_id":"Yg==","environment":"production"}]"#;
    assert_eq!(ask(&state, "POST", "/channels", body).0, 200);
    let listed = ask(&state, "GET", "/channels", "").1;
    let listed: Vec<_> = listed["channels"].as_array().unwrap().clone();
    let of = |one: &Value| (one["channel_id"].clone(), one["environment"].clone());
    let expected = [
        (json!("YQ=="), json!("development")),
        (json!("Yg=="), json!("production")),
    ];
    assert_eq!(listed.iter().map(of).collect::<Vec<_>>(), expected);
    let stats = ask(&state, "GET", "/stats", "").1;
    assert_eq!(stats["channels_known"], json!(2));
    assert_eq!(stats["environments"], json!(["development", "production"]));
    assert_eq!(ask(&state, "DELETE", "/channels", "").0, 204);
    assert!(state.all_channels().is_empty());
}
