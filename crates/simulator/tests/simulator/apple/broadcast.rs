//! Channels and broadcasts over real connections.

use dunlin_simulator::{
    Action, Call, Channel, Config, Fault, Simulator, StoragePolicy, Validation,
};
use serde_json::{Value, json};

use crate::support::{
    BROADCAST, Client, Key, NEW_CHANNEL, NOW_S, Push, TOPIC, config, control_json, start, tls_to,
};

const ID: &str = "eabeae54-14a8-11e5-b60b-1697f925ec7b";

#[tokio::test]
async fn a_channel_lives_from_its_creation_to_its_deletion() {
    let (simulator, key) = start().await;
    let bearer = key.bearer(NOW_S);
    let client = Client::connect_for_channels(&simulator).await;
    let manage = |method, of| Push::manage(method, &bearer, of);

    let create = manage("POST", "channels").body(NEW_CHANNEL);
    let answer = client
        .push(create.with("apns-request-id", ID))
        .await
        .unwrap();
    assert_eq!((answer.status, answer.body.len()), (201, 0));
    assert_eq!(answer.headers["apns-request-id"], ID);
    assert!(!answer.headers.contains_key("apns-id"));
    let channel = answer.headers["apns-channel-id"].clone();

    let read = manage("GET", "channels").with("apns-channel-id", &channel);
    let answer = client.push(read.clone()).await.unwrap();
    assert_eq!(
        (answer.status, &*answer.body),
        (200, NEW_CHANNEL.as_bytes())
    );
    let answer = client.push(manage("GET", "all-channels")).await.unwrap();
    let listed: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (answer.status, listed),
        (200, json!({ "channels": [channel] }))
    );

    let delete = manage("DELETE", "channels").with("apns-channel-id", &channel);
    let answer = client.push(delete).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let answer = client.push(read).await.unwrap();
    assert_eq!(answer.reason(), (400, "ChannelNotRegistered".to_owned()));
    assert_eq!(answer.headers["apns-request-id"].len(), 36);
    assert!(simulator.channels().is_empty());
}

#[tokio::test]
async fn a_broadcast_is_accepted_and_journalled_with_its_channel() {
    let (simulator, key) = start().await;
    let channel = Channel::new(TOPIC, StoragePolicy::MostRecentMessage);
    let channel = simulator.add_channel(channel).unwrap();
    let client = Client::connect(&simulator).await;
    let push = Push::broadcast(&key.bearer(NOW_S), &channel)
        .with("apns-request-id", ID)
        .with("apns-expiration", "1700003600");
    let answer = client.push(push.clone()).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.headers["apns-request-id"], ID);
    assert_eq!(answer.headers["apns-unique-id"].len(), 36);

    let record = simulator.journal().pop().unwrap();
    assert_eq!((record.call, &record.channel), (Call::Broadcast, &channel));
    assert_eq!(
        (&*record.topic, &*record.token, &*record.apns_id),
        (TOPIC, "", ID)
    );
    assert_eq!(record.headers, push.headers);
    assert_eq!(record.payload, BROADCAST.as_bytes());
    assert!(record.is_accepted() && record.warnings.is_empty());
    assert_eq!(simulator.channels()[0].broadcasts, 1);

    let (_, body) = control_json(&simulator, "GET", "/notifications", "").await;
    let shown = &body["notifications"][0];
    assert_eq!(
        (&shown["call"], &shown["channel"]),
        (&json!("broadcast"), &json!(channel))
    );
    let (_, body) = control_json(&simulator, "GET", "/channels", "").await;
    assert_eq!(body["channels"][0]["broadcasts"], json!(1));
}

#[tokio::test]
async fn the_two_addresses_have_their_own_paths() {
    let (simulator, key) = start().await;
    let bearer = key.bearer(NOW_S);
    let provider = Client::connect(&simulator).await;
    let list = Push::manage("GET", &bearer, "all-channels");
    let as_push = Push {
        method: "POST",
        ..list.clone()
    };
    for wrong in [as_push, Push::new(&bearer).to("")] {
        let answer = provider.push(wrong).await.unwrap();
        assert!(["BadPath", "MissingDeviceToken"].contains(&&*answer.reason().1));
    }
    let channels = Client::connect_for_channels(&simulator).await;
    for wrong in [Push::new(&bearer), Push::broadcast(&bearer, "YQ==")] {
        let answer = channels.push(wrong).await.unwrap();
        assert_eq!(answer.reason(), (404, "BadPath".to_owned()));
    }
    assert_eq!(channels.push(list).await.unwrap().status, 200);
    let stats = simulator.stats();
    assert_eq!(
        (stats.connections_accepted, stats.channels.accepted),
        (1, 1)
    );
    let name = "api-manage-broadcast.sandbox.push.apple.com";
    let address = simulator.channels_addr();
    assert!(
        tls_to(address, simulator.ca_pem(), name, &[b"h2"])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_key_of_other_apps_may_not_touch_the_channels_of_this_one() {
    let key = Key::new("KEY1", "TEAM1");
    let mut trusted = key.trusted();
    trusted.topics = Some(vec!["com.example.other".into()]);
    let simulator = Simulator::start(Config {
        keys: vec![trusted],
        ..config(&key)
    })
    .await
    .unwrap();
    let bearer = key.bearer(NOW_S);
    let channels = Client::connect_for_channels(&simulator).await;
    let answer = channels
        .push(Push::manage("GET", &bearer, "all-channels"))
        .await;
    assert_eq!(answer.unwrap().reason(), (403, "TopicMismatch".to_owned()));
    let provider = Client::connect(&simulator).await;
    let answer = provider
        .push(Push::broadcast(&bearer, "YQ=="))
        .await
        .unwrap();
    assert_eq!(answer.reason(), (403, "TopicMismatch".to_owned()));
}

#[tokio::test]
async fn a_fault_that_answers_leaves_no_channel_behind_and_silence_does() {
    let (simulator, key) = start().await;
    let bearer = key.bearer(NOW_S);
    let client = Client::connect_for_channels(&simulator).await;
    let create = Push::manage("POST", &bearer, "channels").body(NEW_CHANNEL);
    let busy = Fault::status(503, "Service Unavailable").times(1);
    simulator.add_fault(busy.for_calls(Call::Channels)).unwrap();
    let answer = client.push(create.clone()).await.unwrap();
    assert_eq!(answer.reason(), (503, "Service Unavailable".to_owned()));
    assert!(simulator.channels().is_empty());

    simulator.add_fault(Fault::new(Action::Silence)).unwrap();
    let _silent = client.begin(create).await.unwrap();
    assert!(simulator.wait_for(2, crate::support::PATIENCE).await);
    // The client cannot know, as it is with the real one.
    assert_eq!(simulator.channels().len(), 1);
    let record = simulator.journal().pop().unwrap();
    assert_eq!(record.channel, simulator.channels()[0].channel_id);
}

#[tokio::test]
async fn faults_pick_by_call_and_by_channel() {
    let (simulator, key) = start().await;
    let bearer = key.bearer(NOW_S);
    for id in ["YWFh", "YmJi"] {
        let channel = Channel::new(TOPIC, StoragePolicy::NoMessage).with_id(id);
        simulator.add_channel(channel).unwrap();
    }
    let broken = Fault::status(500, "InternalServerError").always();
    let for_channel = broken.for_calls(Call::Broadcast).for_tokens("ywf");
    simulator.add_fault(for_channel).unwrap();
    let client = Client::connect(&simulator).await;
    let mut statuses = Vec::new();
    for push in [
        Push::new(&bearer).to("ab"),
        Push::broadcast(&bearer, "YWFh"),
        Push::broadcast(&bearer, "YmJi"),
    ] {
        statuses.push(client.push(push).await.unwrap().status);
    }
    assert_eq!(statuses, [200, 500, 200]);

    let refuse = Fault::new(Action::RefuseConnections);
    simulator
        .add_fault(refuse.for_calls(Call::Channels))
        .unwrap();
    let _unharmed = Client::connect(&simulator).await;
    let refused = Client::try_connect(&simulator, simulator.channels_addr()).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn accept_all_takes_broadcasts_and_still_looks_at_calls_about_channels() {
    let simulator = Simulator::start(Config {
        validation: Validation::AcceptAll,
        ..Config::default()
    })
    .await
    .unwrap();
    let provider = Client::connect(&simulator).await;
    let answer = provider.push(Push::broadcast("", "?")).await.unwrap();
    assert_eq!(answer.status, 200);
    let channels = Client::connect_for_channels(&simulator).await;
    let list = Push::manage("GET", "bearer no", "all-channels");
    assert_eq!(channels.push(list).await.unwrap().status, 403);
}
