//! Client certificates at the provider API, in the place of provider tokens.

use dunlin_simulator::{CertificateAuthority, Channel, StoragePolicy};

use crate::support::legacy::until;
use crate::support::{Client, Push, TOPIC, start};

#[tokio::test]
async fn a_certificate_pushes_to_its_topic_without_a_token() {
    let (simulator, _key) = start().await;
    let identity = simulator.authority().issue_client(TOPIC).unwrap();
    let client = Client::connect_as(&simulator, &identity).await.unwrap();
    let push = Push::new("bearer ignored");
    assert_eq!(client.push(push.clone()).await.unwrap().status, 200);
    // As many streams as there are, from the beginning and without another SETTINGS.
    assert_eq!(client.requests.current_max_send_streams(), 1000);
    let bare = push.clone().without("authorization").without("apns-topic");
    assert_eq!(client.push(bare).await.unwrap().status, 200);
    assert_eq!(simulator.journal().pop().unwrap().topic, TOPIC);
    let voip = push.clone().with("apns-topic", &format!("{TOPIC}.voip"));
    let voip = voip.with("apns-push-type", "voip");
    assert_eq!(client.push(voip).await.unwrap().status, 200);
    assert!(simulator.stats().provider_tokens.is_empty());
}

#[tokio::test]
async fn a_certificate_is_for_its_app_only_and_not_for_location() {
    let (simulator, _key) = start().await;
    let identity = simulator.authority().issue_client(TOPIC).unwrap();
    let client = Client::connect_as(&simulator, &identity).await.unwrap();
    let push = Push::new("").without("authorization");
    let other = push.clone().with("apns-topic", "com.example.other");
    let answer = client.push(other).await.unwrap();
    assert_eq!(answer.reason(), (400, "TopicDisallowed".to_owned()));
    let location = push.with("apns-topic", &format!("{TOPIC}.location-query"));
    let answer = client
        .push(location.with("apns-push-type", "location"))
        .await;
    let expected = (400, "InvalidPushType".to_owned());
    assert_eq!(answer.unwrap().reason(), expected);
}

#[tokio::test]
async fn a_certificate_broadcasts_for_its_app() {
    let (simulator, _key) = start().await;
    let channel = Channel::new(TOPIC, StoragePolicy::NoMessage);
    let channel = simulator.add_channel(channel).unwrap();
    for (topic, expected) in [(TOPIC, 200), ("com.example.other", 403)] {
        let identity = simulator.authority().issue_client(topic).unwrap();
        let client = Client::connect_as(&simulator, &identity).await.unwrap();
        let push = Push::broadcast("", &channel).without("authorization");
        assert_eq!(client.push(push).await.unwrap().status, expected, "{topic}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (simulator, _key) = start().await;
    let stranger = CertificateAuthority::generate().unwrap();
    let identity = stranger.issue_client(TOPIC).unwrap();
    let client = Client::connect_as(&simulator, &identity).await;
    // With TLS 1.3 the client learns of it after its handshake.
    if let Ok(client) = client {
        assert!(client.push(Push::new("")).await.is_err());
    }
    assert!(simulator.journal().is_empty());
    until(|| simulator.stats().handshakes_failed == 1).await;
}
