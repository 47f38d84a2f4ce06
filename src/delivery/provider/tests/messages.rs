//! Broadcasts and requests about channels take the same way as notifications.

use super::support::{LONG, Rig, secs, submission};
use super::wire;
use crate::notification::{Broadcast, BundleId, ChannelId, Payload, StoragePolicy, Topic};
use crate::provider::{Answer, ChannelCall, ChannelRequest, Message, Outcome, Reason, Why};

const CHANNEL: &str = "dHN0LXNyY2gtY2hubA==";

fn bundle_id() -> BundleId {
    BundleId::new(Topic::parse("com.example.app").unwrap()).unwrap()
}

fn broadcast() -> Message {
    let payload = Payload::parse(br#"{"aps":{"event":"update"}}"#).unwrap();
    let channel = ChannelId::parse(CHANNEL).unwrap();
    Message::from(Broadcast::new(bundle_id(), channel, payload).unwrap())
}

fn about_channels(call: ChannelCall) -> Message {
    Message::from(ChannelRequest {
        bundle_id: bundle_id(),
        call,
        id: None,
    })
}

impl Rig {
    fn submit_message(&mut self, message: Message) -> crate::delivery::JobId {
        let submission = submission(message, self.now + LONG);
        let job = self.lane.submit(self.now, submission).unwrap();
        self.jobs.push(job);
        self.drive();
        job
    }
}

#[test]
fn a_broadcast_is_answered_beside_notifications() {
    let mut rig = Rig::new();
    let push = rig.submit(LONG);
    let sent = rig.submit_message(broadcast());
    let connection = rig.open(1_000);
    assert_eq!(rig.open_streams(connection), [1, 3]);
    assert_eq!(rig.peer(connection).devices, [0]);
    let asked = &rig.peer(connection).open[&3];
    assert_eq!(asked.header(":method"), Some("POST"));
    let path = "/4/broadcasts/apps/com.example.app";
    assert_eq!(asked.header(":path"), Some(path));
    assert_eq!(asked.header("apns-expiration"), Some("0"));
    assert_eq!(asked.body, br#"{"aps":{"event":"update"}}"#);
    let id = "9f595474-356c-485e-b67f-9870bae68702";
    let headers = [("apns-request-id", id), ("apns-unique-id", "u-1")];
    rig.send(connection, &wire::answer(3, "200", &headers, b""));
    let Some(Outcome::Accepted {
        apns_id, unique_id, ..
    }) = rig.outcome(sent)
    else {
        panic!("{:?}", rig.outcome(sent))
    };
    assert_eq!(apns_id.map(|id| id.to_string()).as_deref(), Some(id));
    assert_eq!(unique_id.as_deref(), Some("u-1"));
    assert_eq!(rig.outcome(push), None);
    rig.accept(connection, 1);
    assert!(rig.is_accepted(push));
}

#[test]
fn a_channel_is_made_and_listed() {
    let mut rig = Rig::new();
    let policy = StoragePolicy::MostRecentMessage;
    let made = rig.submit_message(about_channels(ChannelCall::Create(policy)));
    let listed = rig.submit_message(about_channels(ChannelCall::List));
    let connection = rig.open(1_000);
    let get = &rig.peer(connection).open[&3];
    assert_eq!(get.header(":method"), Some("GET"));
    assert!(get.complete && get.body.is_empty());
    let headers = [("apns-channel-id", CHANNEL)];
    rig.send(connection, &wire::answer(1, "201", &headers, b""));
    let body = br#"{"channels":["dHN0LXNyY2gtY2hubA==","YQ=="]}"#;
    rig.send(connection, &wire::answer(3, "200", &[], body));
    let id = |text| ChannelId::parse(text).unwrap();
    for (job, expected) in [
        (made, Answer::Created(id(CHANNEL))),
        (listed, Answer::Channels(vec![id(CHANNEL), id("YQ==")])),
    ] {
        let accepted = Outcome::Accepted {
            apns_id: None,
            unique_id: None,
            answer: Some(Box::new(expected)),
        };
        assert_eq!(rig.outcome(job), Some(&accepted));
    }
}

#[test]
fn a_refusal_of_a_channel_is_read() {
    let mut rig = Rig::new();
    let call = ChannelCall::Delete(ChannelId::parse(CHANNEL).unwrap());
    let job = rig.submit_message(about_channels(call));
    let connection = rig.open(1_000);
    let body = br#"{"reason":"ChannelNotRegistered"}"#;
    rig.send(connection, &wire::answer(1, "400", &[], body));
    let Some(Outcome::Rejected { reason, .. }) = rig.outcome(job) else {
        panic!("{:?}", rig.outcome(job))
    };
    assert_eq!(*reason, Reason::ChannelNotRegistered);
}

#[test]
fn a_channel_that_may_have_been_made_is_not_made_twice() {
    let mut rig = Rig::new();
    let policy = StoragePolicy::NoMessage;
    let lost = rig.submit_message(about_channels(ChannelCall::Create(policy)));
    let connection = rig.open(1_000);
    rig.cut(connection);
    rig.assert_unanswered(lost, Why::ConnectionLost);
    rig.advance(secs(60));
    assert_eq!(rig.connects.len(), 1);
}

#[test]
fn a_channel_that_got_too_many_is_left_alone_for_a_while_and_nobody_else_is() {
    let mut rig = Rig::new();
    let refused = rig.submit_message(broadcast());
    let connection = rig.open(1_000);
    let body = br#"{"reason":"TooManyRequests"}"#;
    rig.send(connection, &wire::answer(1, "429", &[], body));
    assert_eq!(rig.outcome(refused), None);
    let next = rig.submit_message(broadcast());
    let push = rig.submit(LONG);
    assert_eq!(rig.peer(connection).order, [1, 3], "the push alone");
    rig.accept(connection, 3);
    assert!(rig.is_accepted(push));
    rig.advance(secs(5));
    assert_eq!(rig.peer(connection).order, [1, 3, 5, 7]);
    rig.accept(connection, 5);
    rig.accept(connection, 7);
    assert!(rig.is_accepted(refused) && rig.is_accepted(next));
}
