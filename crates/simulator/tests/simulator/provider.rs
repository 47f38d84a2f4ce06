//! The provider API over a real connection: every answer it gives by itself, what the journal
//! keeps, and what a connection may do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dunlin_simulator::{
    CertificateAuthority, Clock, Config, Device, DeviceState, Environment, Simulator, Validation,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::legacy::until;
use crate::support::{
    Client, Key, NOW_S, PAYLOAD, Push, TOKEN, TOPIC, config, raw, start, tls, within,
};

const ID: &str = "eabeae54-14a8-11e5-b60b-1697f925ec7b";

#[tokio::test]
async fn a_push_is_accepted_and_journalled_byte_for_byte() {
    let (simulator, key) = start().await;
    let client = Client::connect(&simulator).await;
    let bearer = key.bearer(NOW_S);
    let push = Push::new(&bearer)
        .with("apns-id", ID)
        .with("apns-expiration", "0");
    let answer = client.push(push.clone()).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.headers["apns-id"], ID);
    assert_eq!(answer.headers["apns-unique-id"].len(), 36);

    let journal = simulator.journal();
    let [record] = journal.as_slice() else {
        panic!("expected one record, got {}", journal.len())
    };
    assert_eq!(
        (record.sequence, record.connection, record.stream),
        (1, 1, 1)
    );
    assert_eq!(
        (record.time_ms, record.status, &record.reason),
        (NOW_S * 1000, Some(200), &None)
    );
    assert_eq!(
        (&*record.method, &*record.token, &*record.path),
        ("POST", TOKEN, &*push.path)
    );
    assert_eq!(record.headers, push.headers);
    assert_eq!(
        (&record.payload[..], record.payload_length),
        (PAYLOAD.as_bytes(), PAYLOAD.len())
    );
    assert_eq!(
        (&*record.apns_id, &record.fault, &record.warnings),
        (ID, &None, &vec![])
    );
    simulator.shutdown().await;
}

#[tokio::test]
async fn production_makes_ids_but_no_unique_ids() {
    let key = Key::new("KEY1", "TEAM1");
    let config = Config {
        environment: Environment::Production,
        ..config(&key)
    };
    let simulator = Simulator::start(config).await.unwrap();
    let client = Client::connect(&simulator).await;
    let answer = client.push(Push::new(&key.bearer(NOW_S))).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["apns-id"], simulator.journal()[0].apns_id);
    assert!(!answer.headers.contains_key("apns-unique-id"));
}

#[tokio::test]
async fn every_broken_rule_gets_its_status_and_reason() {
    let (simulator, key) = start().await;
    let state = |token: &str, state| Device::new(token).with_state(state, Some(1_458_114_061_260));
    simulator
        .add_device(state("aa01", DeviceState::Unregistered))
        .unwrap();
    simulator
        .add_device(state("aa02", DeviceState::Expired))
        .unwrap();
    simulator
        .add_device(state("aa03", DeviceState::OtherEnvironment))
        .unwrap();
    simulator
        .add_device(Device::new("aa04").with_topic("com.example.other"))
        .unwrap();
    let client = Client::connect(&simulator).await;
    let bearer = key.bearer(NOW_S);
    let good = || Push::new(&bearer);
    let path = |path: &str| Push {
        path: path.into(),
        ..good()
    };
    let rows = [
        (
            Push {
                method: "GET",
                ..good()
            },
            405,
            "MethodNotAllowed",
        ),
        (path("/3/devices/ab"), 404, "BadPath"),
        (path("/3/device/"), 400, "MissingDeviceToken"),
        (good().to("xyz"), 400, "BadDeviceToken"),
        (good().to(&"ab".repeat(513)), 400, "BadDeviceToken"),
        (good().also("apns-topic", TOPIC), 400, "DuplicateHeaders"),
        (
            good().with("apns-id", "This is not a valid UUID."),
            400,
            "BadMessageId",
        ),
        (good().without("authorization"), 403, "MissingProviderToken"),
        (
            good().with("authorization", "bearer no"),
            403,
            "InvalidProviderToken",
        ),
        (good().without("apns-topic"), 400, "MissingTopic"),
        (good().with("apns-topic", "no topic"), 400, "BadTopic"),
        (good().to("aa04"), 400, "DeviceTokenNotForTopic"),
        (
            good().with("apns-push-type", "Alert"),
            400,
            "InvalidPushType",
        ),
        (
            good().with("apns-expiration", "soon"),
            400,
            "BadExpirationDate",
        ),
        (good().with("apns-priority", "9000"), 400, "BadPriority"),
        (
            good().with("apns-collapse-id", &"1234567890".repeat(7)),
            400,
            "BadCollapseId",
        ),
        (good().body(""), 400, "PayloadEmpty"),
        (good().body(vec![b' '; 4097]), 413, "PayloadTooLarge"),
        (good().body(vec![b' '; 200_000]), 413, "PayloadTooLarge"),
        (good().to("aa01"), 410, "Unregistered"),
        (good().to("AA02"), 410, "ExpiredToken"),
        (good().to("aa03"), 400, "BadDeviceToken"),
    ];
    let count = rows.len();
    for (push, status, reason) in rows {
        let answer = client.push(push).await.unwrap();
        assert_eq!(answer.reason(), (status, reason.to_owned()));
        assert_eq!(answer.headers["apns-id"].len(), 36);
        let timestamp = status == 410;
        assert_eq!(
            String::from_utf8_lossy(&answer.body).contains("1458114061260"),
            timestamp
        );
    }
    let journal = simulator.journal();
    assert_eq!(journal.len(), count);
    assert!(
        journal
            .iter()
            .all(|record| record.reason.is_some() && !record.is_accepted())
    );
    assert!(journal.iter().all(|record| record.payload.len() <= 8192));
    assert_eq!(simulator.connections_accepted(), 1);
}

#[tokio::test]
async fn provider_tokens_age_and_are_not_changed_too_often() {
    let now_s = Arc::new(AtomicU64::new(NOW_S));
    let clock = Arc::clone(&now_s);
    let (one, two) = (Key::new("KEY1", "TEAM1"), Key::new("KEY2", "TEAM1"));
    let other_team = Key::new("KEY3", "TEAM2");
    let simulator = Simulator::start(Config {
        keys: vec![one.trusted(), two.trusted(), other_team.trusted()],
        clock: Clock::new(move || clock.load(Ordering::Relaxed) * 1000),
        ..Config::default()
    })
    .await
    .unwrap();
    let client = Client::connect(&simulator).await;
    let ask = async |bearer: &str| client.push(Push::new(bearer)).await.unwrap().reason();
    let refused = |status: u16, reason: &str| (status, reason.to_owned());

    let first = one.bearer(NOW_S);
    assert_eq!(
        ask(&one.bearer(NOW_S - 3601)).await,
        refused(403, "ExpiredProviderToken")
    );
    assert_eq!(ask(&first).await.0, 200);
    assert_eq!(
        ask(&two.bearer(NOW_S)).await,
        refused(403, "UnrelatedKeyIdInToken")
    );
    assert_eq!(
        ask(&other_team.bearer(NOW_S)).await,
        refused(403, "InvalidProviderToken")
    );
    assert_eq!(
        ask(&one.bearer(NOW_S + 1)).await,
        refused(429, "TooManyProviderTokenUpdates")
    );
    now_s.store(NOW_S + 3000, Ordering::Relaxed);
    assert_eq!(ask(&one.bearer(NOW_S + 3000)).await.0, 200);
    now_s.store(NOW_S + 7000, Ordering::Relaxed);
    assert_eq!(
        ask(&one.bearer(NOW_S + 3000)).await,
        refused(403, "ExpiredProviderToken")
    );
}

#[tokio::test]
async fn a_restricted_key_reaches_its_topics_and_environment_only() {
    let key = Key::new("KEY1", "TEAM1");
    let mut trusted = key.trusted();
    trusted.topics = Some(vec!["com.example.other".into()]);
    let config = Config {
        keys: vec![trusted.clone()],
        ..config(&key)
    };
    let simulator = Simulator::start(config.clone()).await.unwrap();
    let push = || Push::new(&key.bearer(NOW_S));
    let answer = Client::connect(&simulator)
        .await
        .push(push())
        .await
        .unwrap();
    assert_eq!(answer.reason(), (400, "TopicDisallowed".to_owned()));

    trusted.environment = Some(Environment::Production);
    let simulator = Simulator::start(Config {
        keys: vec![trusted],
        ..config
    })
    .await
    .unwrap();
    let answer = Client::connect(&simulator)
        .await
        .push(push())
        .await
        .unwrap();
    assert_eq!(
        answer.reason(),
        (403, "BadEnvironmentKeyIdInToken".to_owned())
    );
}

#[tokio::test]
async fn undeclared_devices_can_be_refused() {
    let key = Key::new("KEY1", "TEAM1");
    let config = Config {
        only_declared_devices: true,
        ..config(&key)
    };
    let simulator = Simulator::start(config).await.unwrap();
    let client = Client::connect(&simulator).await;
    let push = Push::new(&key.bearer(NOW_S));
    assert_eq!(
        client.push(push.clone()).await.unwrap().reason().1,
        "BadDeviceToken"
    );
    simulator.add_device(Device::new(TOKEN)).unwrap();
    assert_eq!(client.push(push).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_stream_limit_is_one_until_a_valid_token_was_seen() {
    let (simulator, key) = start().await;
    let client = Client::connect(&simulator).await;
    let refused = client.push(Push::new("bearer no")).await.unwrap();
    assert_eq!(refused.status, 403);
    assert_eq!(client.requests.current_max_send_streams(), 1);
    let push = Push::new(&key.bearer(NOW_S));
    assert_eq!(client.push(push.clone()).await.unwrap().status, 200);
    assert_eq!(client.requests.current_max_send_streams(), 1000);

    let mut waiting = Vec::new();
    for _ in 0..900 {
        waiting.push(client.begin(push.clone()).await.unwrap());
    }
    for answer in waiting {
        assert_eq!(within(answer).await.unwrap().status, 200);
    }
    assert_eq!(simulator.journal().len(), 902);
    assert_eq!(simulator.stats().streams_refused, 0);
}

#[tokio::test]
async fn a_second_stream_before_a_valid_token_is_refused() {
    let (simulator, _key) = start().await;
    let mut tls = tls(&simulator, simulator.ca_pem(), "localhost", &[b"h2"])
        .await
        .unwrap();
    let path = "/3/device/ab";
    let both = [
        raw::PREFACE,
        &raw::frame(raw::SETTINGS, 0, 0, &[]),
        &raw::post(1, path),
        &raw::post(3, path),
    ];
    tls.write_all(&both.concat()).await.unwrap();
    let reset = raw::read_until(&mut tls, |frame| frame.kind == raw::RST_STREAM).await;
    assert_eq!(
        (reset.stream, &reset.payload[..]),
        (3, &7_u32.to_be_bytes()[..])
    );

    // The first is unharmed, and when it is gone there is room for another, even in the same write.
    let next = [
        raw::frame(raw::RST_STREAM, 0, 1, &8_u32.to_be_bytes()),
        raw::post(5, path),
        raw::frame(raw::DATA, 1, 5, b"{}"),
    ];
    tls.write_all(&next.concat()).await.unwrap();
    let answer = raw::read_until(&mut tls, |frame| frame.kind == raw::HEADERS).await;
    assert_eq!(answer.stream, 5);
    assert_eq!(simulator.stats().streams_refused, 1);
}

#[tokio::test]
async fn a_client_that_offers_no_protocol_is_taken_to_speak_http2() {
    for validation in [Validation::Strict, Validation::AcceptAll] {
        let key = Key::new("KEY1", "TEAM1");
        let config = Config {
            validation,
            ..config(&key)
        };
        let simulator = Simulator::start(config).await.unwrap();
        let client = Client::connect_offering(&simulator, &[]).await;
        let answer = client.push(Push::new(&key.bearer(NOW_S))).await.unwrap();
        assert_eq!(answer.status, 200, "{validation:?}");
    }
}

#[tokio::test]
async fn a_client_that_offers_other_protocols_only_is_refused() {
    let (simulator, _key) = start().await;
    let ca = simulator.ca_pem().to_owned();
    assert!(
        tls(&simulator, &ca, "localhost", &[b"http/1.1"])
            .await
            .is_err()
    );
    until(|| simulator.stats().handshakes_failed == 1).await;
}

#[tokio::test]
async fn the_certificate_is_for_apples_names_and_this_machine_only() {
    let (simulator, _key) = start().await;
    let ca = simulator.ca_pem().to_owned();
    for name in [
        "localhost",
        "api.push.apple.com",
        "api.sandbox.push.apple.com",
        "api.development.push.apple.com",
        "127.0.0.1",
        "::1",
    ] {
        assert!(tls(&simulator, &ca, name, &[b"h2"]).await.is_ok(), "{name}");
    }
    assert!(tls(&simulator, &ca, "example.com", &[b"h2"]).await.is_err());
    let stranger = CertificateAuthority::generate().unwrap();
    let refused = tls(
        &simulator,
        stranger.certificate_pem(),
        "localhost",
        &[b"h2"],
    )
    .await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_kept_authority_is_trusted_again() {
    let kept = CertificateAuthority::generate().unwrap();
    let again = CertificateAuthority::from_pem(kept.certificate_pem(), kept.key_pem()).unwrap();
    let config = Config {
        authority: Some(again),
        ..Config::default()
    };
    let simulator = Simulator::start(config).await.unwrap();
    assert_eq!(simulator.ca_pem(), kept.certificate_pem());
    assert!(
        tls(&simulator, kept.certificate_pem(), "localhost", &[b"h2"])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn accept_all_answers_everything_and_only_counts() {
    let config = Config {
        validation: Validation::AcceptAll,
        ..Config::default()
    };
    let simulator = Simulator::start(config).await.unwrap();
    let client = Client::connect(&simulator).await;
    let push = Push {
        headers: Vec::new(),
        ..Push::new("")
    }
    .to("not a token".replace(' ', "-").as_str());
    let answer = client.push(push.clone().with("apns-id", ID)).await.unwrap();
    assert_eq!(
        (answer.status, answer.headers["apns-id"].as_str()),
        (200, ID)
    );
    let mut waiting = Vec::new();
    for _ in 0..2000 {
        waiting.push(
            client
                .begin(push.clone().body(Bytes::from_static(b"{}")))
                .await
                .unwrap(),
        );
    }
    for answer in waiting {
        let answer = within(answer).await.unwrap();
        assert_eq!((answer.status, answer.headers["apns-id"].len()), (200, 36));
    }
    let stats = simulator.stats();
    assert_eq!((stats.requests, stats.responses[&200]), (2001, 2001));
    assert!(simulator.journal().is_empty());
    simulator.shutdown().await;
}

#[tokio::test]
async fn too_many_connections_are_refused_and_shutdown_closes_the_rest() {
    let config = Config {
        max_connections: 1,
        ..Config::default()
    };
    let simulator = Simulator::start(config).await.unwrap();
    let client = Client::connect(&simulator).await;
    let ca = simulator.ca_pem().to_owned();
    assert!(tls(&simulator, &ca, "localhost", &[b"h2"]).await.is_err());
    let stats = simulator.stats();
    assert_eq!(
        (stats.connections_accepted, stats.connections_refused),
        (1, 1)
    );
    simulator.shutdown().await;
    // Whether it calls the cut an error is up to the client; it must end.
    let _ = within(client.end).await.unwrap();
}

#[tokio::test]
async fn what_is_not_http2_ends_the_connection_and_not_the_simulator() {
    let (simulator, key) = start().await;
    let garbage: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        &[raw::PREFACE, &[0xff; 64]].concat(),
        &[raw::PREFACE, &raw::frame(raw::DATA, 0, 0, b"x")].concat(),
    ];
    for bytes in garbage {
        let mut tls = tls(&simulator, simulator.ca_pem(), "localhost", &[b"h2"])
            .await
            .unwrap();
        tls.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = within(tls.read_to_end(&mut rest)).await;
    }
    let client = Client::connect(&simulator).await;
    assert_eq!(
        client
            .push(Push::new(&key.bearer(NOW_S)))
            .await
            .unwrap()
            .status,
        200
    );
}
