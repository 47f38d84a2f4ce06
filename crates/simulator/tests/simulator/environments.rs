//! Both environments at once: what a token and a channel of one are in the other.

use dunlin_simulator::{Config, Device, Environment, Fault, SecondEnvironment, Simulator};

use crate::support::{Client, Key, NOW_S, Push, config, control_json};

async fn start(change: impl FnOnce(Config) -> Config) -> (Simulator, Key) {
    let key = Key::new("KEY1", "TEAM1");
    let config = Config {
        second: Some(SecondEnvironment::default()),
        ..config(&key)
    };
    (Simulator::start(change(config)).await.unwrap(), key)
}

async fn both(simulator: &Simulator) -> [Client; 2] {
    let production = simulator.second_addr().unwrap().provider;
    let production = Client::try_connect(simulator, production).await.unwrap();
    [Client::connect(simulator).await, production]
}

const UNKNOWN: (u16, &str) = (400, "BadDeviceToken");

#[tokio::test]
async fn a_token_is_of_the_environment_that_pushed_to_it_first() {
    let (simulator, key) = start(|config| config).await;
    let bearer = key.bearer(NOW_S);
    let [development, production] = both(&simulator).await;
    let push = |token: &str| Push::new(&bearer).to(token);
    for (token, own, other) in [
        ("aa01", &development, &production),
        ("bb02", &production, &development),
    ] {
        for _ in 0..2 {
            assert_eq!(own.push(push(token)).await.unwrap().status, 200, "{token}");
            let refused = other.push(push(&token.to_uppercase())).await.unwrap();
            assert_eq!(
                refused.reason(),
                (UNKNOWN.0, UNKNOWN.1.to_owned()),
                "{token}"
            );
        }
    }
    let environments: Vec<_> = simulator
        .journal()
        .iter()
        .map(|record| (record.environment, record.status.unwrap()))
        .collect();
    let (one, two) = (Environment::Development, Environment::Production);
    let expected = [[(one, 200), (two, 400)], [(two, 200), (one, 400)]];
    let expected: Vec<_> = expected
        .into_iter()
        .flat_map(|pair| [pair, pair])
        .flatten()
        .collect();
    assert_eq!(environments, expected);
    // Only development says what it calls a notification.
    let answer = production.push(push("bb02")).await.unwrap();
    assert!(!answer.headers.contains_key("apns-unique-id"));
    let answer = development.push(push("aa01")).await.unwrap();
    assert!(answer.headers.contains_key("apns-unique-id"));
}

/// What the menu of the page arms: a service that tries the other environment gets no 200 there.
#[tokio::test]
async fn a_fault_does_not_hide_where_a_token_is_of() {
    let (simulator, key) = start(|config| config).await;
    let bearer = key.bearer(NOW_S);
    let [development, production] = both(&simulator).await;
    let push = || Push::new(&bearer).to("aa01");
    simulator
        .add_fault(Fault::status(400, "BadDeviceToken"))
        .unwrap();
    for client in [&development, &production] {
        let refused = client.push(push()).await.unwrap();
        assert_eq!(refused.reason(), (UNKNOWN.0, UNKNOWN.1.to_owned()));
    }
    assert_eq!(development.push(push()).await.unwrap().status, 200);
}

#[tokio::test]
async fn what_was_refused_for_another_reason_teaches_nothing() {
    let (simulator, key) = start(|config| config).await;
    let bearer = key.bearer(NOW_S);
    let [development, production] = both(&simulator).await;
    let push = || Push::new(&bearer).to("aa01");
    let refused = development
        .push(push().with("apns-priority", "7"))
        .await
        .unwrap();
    assert_eq!(refused.reason(), (400, "BadPriority".to_owned()));
    assert_eq!(production.push(push()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_declaration_says_where_a_token_is_of() {
    let (simulator, key) = start(|config| Config {
        only_declared_devices: true,
        ..config
    })
    .await;
    let bearer = key.bearer(NOW_S);
    let body = r#"{"token":"AA01","environment":"production"}"#;
    let (status, _) = control_json(&simulator, "POST", "/devices", body).await;
    assert_eq!(status, 204);
    let device = Device::new("bb02").with_environment(Environment::Development);
    simulator.add_device(device).unwrap();
    let [development, production] = both(&simulator).await;
    for (token, expected) in [
        ("aa01", [400, 200]),
        ("bb02", [200, 400]),
        ("cc03", [400, 400]),
    ] {
        let push = Push::new(&bearer).to(token);
        let one = development.push(push.clone()).await.unwrap().status;
        let two = production.push(push).await.unwrap().status;
        assert_eq!([one, two], expected, "{token}");
    }
    let (_, listed) = control_json(&simulator, "GET", "/devices", "").await;
    assert_eq!(listed["devices"][0]["environment"], "production");
}

#[tokio::test]
async fn environments_share_no_channels() {
    let (simulator, key) = start(|config| config).await;
    let second = simulator.second_addr().unwrap();
    let bearer = key.bearer(NOW_S);
    let development = Client::connect_for_channels(&simulator).await;
    let production = Client::try_connect(&simulator, second.channels)
        .await
        .unwrap();
    let create = Push::manage("POST", &bearer, "channels")
        .body(r#"{"message-storage-policy":1,"push-type":"LiveActivity"}"#);
    let made = development.push(create).await.unwrap();
    assert_eq!(made.status, 201);
    let id = &made.headers["apns-channel-id"];
    let read = Push::manage("GET", &bearer, "channels").also("apns-channel-id", id);
    assert_eq!(development.push(read.clone()).await.unwrap().status, 200);
    let unknown = production.push(read).await.unwrap();
    assert_eq!(unknown.reason().1, "ChannelNotRegistered");
    let channels = simulator.channels();
    assert_eq!(channels[0].environment, Some(Environment::Development));
}

#[tokio::test]
async fn an_app_that_is_not_there_is_not_pushed_to() {
    let (simulator, key) = start(|config| Config {
        topics: Some(vec!["com.example.app".into()]),
        ..config
    })
    .await;
    let bearer = key.bearer(NOW_S);
    let client = Client::connect(&simulator).await;
    let push = |topic: &str| Push::new(&bearer).with("apns-topic", topic);
    for (topic, push_type, expected) in [
        ("com.example.app", "alert", (200, "")),
        ("com.example.app.voip", "voip", (200, "")),
        ("com.example.other", "alert", (400, "TopicDisallowed")),
        ("com.example.application", "alert", (400, "TopicDisallowed")),
    ] {
        let answer = client
            .push(push(topic).with("apns-push-type", push_type))
            .await
            .unwrap();
        assert_eq!(
            answer.reason(),
            (expected.0, expected.1.to_owned()),
            "{topic}"
        );
    }
}
