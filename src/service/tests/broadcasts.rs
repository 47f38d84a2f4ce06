//! Broadcasts, and the channels that they go to.

use super::support::{APP, Answer, Desk, accepted};
use crate::notification::{ChannelId, StoragePolicy};
use crate::provider::{self, Message, Outcome};

const CHANNEL: &str = "dHN0LXNyY2gtY2hubA==";

fn broadcast() -> String {
    format!(
        r#"{{"channel":"{CHANNEL}","topic":"{APP}",
            "payload":{{"aps":{{"timestamp":1,"event":"update","content-state":{{}}}}}}}}"#
    )
}

fn told(answer: provider::Answer) -> Outcome {
    Outcome::Accepted {
        apns_id: None,
        unique_id: None,
        answer: Some(Box::new(answer)),
    }
}

#[test]
fn a_channel_is_made_read_listed_and_deleted_by_asking_apns() {
    let desk = Desk::new();
    let id = ChannelId::parse(CHANNEL).unwrap();
    let (made, policy) = (id.clone(), StoragePolicy::parse("none").unwrap());
    desk.sender.script(move |sent| {
        let Message::Channel(request) = &sent.message else {
            panic!("{:?}", sent.message)
        };
        Answer::AtOnce(match &request.call {
            provider::ChannelCall::Create(_) => told(provider::Answer::Created(made.clone())),
            provider::ChannelCall::Read(_) => told(provider::Answer::Channel(policy)),
            provider::ChannelCall::List => told(provider::Answer::Channels(vec![made.clone()])),
            provider::ChannelCall::Delete(_) => accepted(),
        })
    });
    let body = format!(r#"{{"topic":"{APP}","storage_policy":"none"}}"#);
    let (status, channel) = desk.call("POST /v1/channels", &body);
    assert_eq!((status, &channel["channel"]), (201, &CHANNEL.into()));
    let (status, listed) = desk.call(&format!("GET /v1/channels?topic={APP}"), "");
    assert_eq!(
        (status, listed["channels"].as_array().unwrap().len()),
        (200, 1)
    );
    let path = format!("/v1/channels/{CHANNEL}?topic={APP}");
    assert_eq!(desk.call(&format!("GET {path}"), "").0, 200);
    assert_eq!(desk.call(&format!("DELETE {path}"), "").0, 204);
    assert_eq!(desk.sender.take_sent().len(), 4);
}

#[test]
fn a_broadcast_is_sent_once_and_counted() {
    let desk = Desk::new();
    let (status, reply) = desk.call("POST /v1/broadcasts", &broadcast());
    assert_eq!(status, 200, "{reply}");
    let sent = desk.sender.take_sent();
    assert!(matches!(sent[..], [ref one] if matches!(one.message, Message::Broadcast(_))));
    assert_eq!(desk.platform.take_counts(), "broadcast.accepted=1");
}

#[test]
fn a_broadcast_that_finds_no_room_or_no_credential_is_refused() {
    let desk = Desk::new();
    desk.sender.set_room(0);
    assert_eq!(desk.call("POST /v1/broadcasts", &broadcast()).0, 503);
    let foreign = broadcast().replace(APP, "com.unknown.app");
    assert_eq!(desk.call("POST /v1/broadcasts", &foreign).0, 422);
    let dry = broadcast().replace("{\"channel\"", "{\"dry_run\":true,\"channel\"");
    assert_eq!(desk.call("POST /v1/broadcasts", &dry).0, 200);
    assert!(desk.sender.take_sent().is_empty());
}

#[test]
fn a_broadcast_under_an_idempotency_key_is_sent_once_and_its_reply_given_again() {
    let desk = Desk::new();
    let first = desk.call_once("POST /v1/broadcasts", "news:1", &broadcast());
    assert_eq!(first.0, 200, "{}", first.1);
    let sent = desk.sender.take_sent();
    assert_eq!((sent.len(), sent[0].receipts_on_disk), (1, 1));
    let again = desk.call_once("POST /v1/broadcasts", "news:1", &broadcast());
    assert_eq!(again, first);
    let other = broadcast().replace("\"timestamp\":1", "\"timestamp\":2");
    assert_eq!(
        desk.call_once("POST /v1/broadcasts", "news:1", &other).0,
        422
    );
    assert!(desk.sender.take_sent().is_empty());
}
