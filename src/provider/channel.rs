//! What is asked about channels, and the answer in a response.
//!
//! Source: Apple, *Sending channel management requests to APNs*.
//!
//! | call | success | answer |
//! |---|---|---|
//! | create | 201, header `apns-channel-id` | [`Answer::Created`] |
//! | read | 200, `{"message-storage-policy":…,"push-type":…}` | [`Answer::Channel`] |
//! | list | 200, `{"channels":["…"]}` | [`Answer::Channels`] |
//! | delete | 204 | none |
//!
//! The page also says that a list has no body. It has: there would be nothing else to list in.
//!
//! Lenient as for notifications: every 2xx is a success, and other keys are passed over. An answer
//! that lacks what was asked for, or has a channel that is none, is unreadable as a whole.

use serde::Deserialize;
use std::borrow::Cow;

use crate::json;
use crate::limits::{CHANNELS_BODY_MAX_BYTES, RESPONSE_BODY_MAX_BYTES};
use crate::notification::{ApnsId, BundleId, ChannelId, StoragePolicy};

/// A request about an app's channels in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRequest {
    /// The app.
    pub bundle_id: BundleId,
    /// What is asked.
    pub call: ChannelCall,
    /// Names the request; without it APNs makes up an identifier.
    pub id: Option<ApnsId>,
}

/// What is asked about channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelCall {
    /// Make one.
    Create(StoragePolicy),
    /// What is this one like?
    Read(ChannelId),
    /// Remove this one, for good; what it has stored may still be delivered.
    Delete(ChannelId),
    /// Which ones are there?
    List,
}

/// What APNs says about channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This one was made.
    Created(ChannelId),
    /// It exists, and stores so much.
    Channel(StoragePolicy),
    /// These exist, in the order given.
    Channels(Vec<ChannelId>),
}

/// What the response to a message has to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Only whether it was accepted.
    #[default]
    Nothing,
    NewChannel,
    Policy,
    Channels,
}

/// A success without what was asked for. The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

#[derive(Deserialize)]
struct Channel {
    #[serde(rename = "message-storage-policy")]
    message_storage_policy: u64,
}

#[derive(Deserialize)]
struct Channels<'a> {
    #[serde(borrow)]
    channels: Vec<Cow<'a, str>>,
}

impl Wanted {
    /// How much of the body of a success is kept, in bytes.
    pub(super) const fn body_max(self) -> usize {
        match self {
            Self::Nothing | Self::NewChannel => 0,
            Self::Policy => RESPONSE_BODY_MAX_BYTES,
            Self::Channels => CHANNELS_BODY_MAX_BYTES,
        }
    }

    /// Finds it in a response that is a success: the header `apns-channel-id`, and the body.
    pub(super) fn read(
        self,
        channel: Option<ChannelId>,
        body: &[u8],
    ) -> Result<Option<Answer>, Unreadable> {
        let answer = match self {
            Self::Nothing => return Ok(None),
            Self::NewChannel => channel.map(Answer::Created),
            Self::Policy => policy(body).map(Answer::Channel),
            Self::Channels => channels(body).map(Answer::Channels),
        };
        answer.map(Some).ok_or(Unreadable)
    }
}

fn policy(body: &[u8]) -> Option<StoragePolicy> {
    let channel: Channel = json::read(body).ok()?;
    StoragePolicy::from_number(channel.message_storage_policy)
}

fn channels(body: &[u8]) -> Option<Vec<ChannelId>> {
    let raw: Channels<'_> = json::read(body).ok()?;
    let parse = |text: &Cow<'_, str>| ChannelId::parse(text).ok();
    raw.channels.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::Topic;
    use crate::provider::Message;
    use crate::provider::{Outcome, ResponseReader, Why};

    /// What comes of a response, its body in pieces of 7 bytes.
    fn read(call: ChannelCall, status: &str, header: Option<&str>, body: &str) -> Outcome {
        let bundle_id = BundleId::new(Topic::parse("com.example.app").unwrap()).unwrap();
        let (id, call) = (None, call);
        let message = Message::from(ChannelRequest {
            bundle_id,
            call,
            id,
        });
        let mut reader = ResponseReader::to(&message);
        reader.header(b":status", status.as_bytes());
        if let Some(channel) = header {
            reader.header(b"apns-channel-id", channel.as_bytes());
        }
        for piece in body.as_bytes().chunks(7) {
            reader.body(piece);
        }
        reader.finish()
    }

    fn answer(outcome: Outcome) -> Option<Answer> {
        match outcome {
            Outcome::Accepted { answer, .. } => answer.map(|answer| *answer),
            other => panic!("{other:?}"),
        }
    }

    fn id(text: &str) -> ChannelId {
        ChannelId::parse(text).unwrap()
    }

    const CREATE: ChannelCall = ChannelCall::Create(StoragePolicy::NoMessage);

    #[test]
    fn each_call_has_its_answer() {
        let created = read(CREATE, "201", Some("YQ=="), "");
        assert_eq!(answer(created), Some(Answer::Created(id("YQ=="))));
        let body = r#"{"message-storage-policy":1,"push-type":"LiveActivity","new":[]}"#;
        let channel = read(ChannelCall::Read(id("YQ==")), "200", None, body);
        let expected = Answer::Channel(StoragePolicy::MostRecentMessage);
        assert_eq!(answer(channel), Some(expected));
        let channels = read(ChannelCall::List, "200", None, r#"{"channels":["a","b"]}"#);
        let expected = Answer::Channels(vec![id("a"), id("b")]);
        assert_eq!(answer(channels), Some(expected));
        let deleted = read(ChannelCall::Delete(id("a")), "204", Some("a"), "");
        assert_eq!(answer(deleted), None);
    }

    #[test]
    fn a_success_without_what_was_asked_for_is_unreadable() {
        let one = || ChannelCall::Read(id("a"));
        for (call, header, body) in [
            (CREATE, None, ""),
            (CREATE, Some("a b"), ""),
            (one(), None, ""),
            (one(), None, r#"{"message-storage-policy":2}"#),
            (one(), None, r#"{"message-storage-policy":"1"}"#),
            (ChannelCall::List, None, ""),
            (ChannelCall::List, None, r#"{"channels":["a",7]}"#),
            (ChannelCall::List, None, r#"{"channels":["a b"]}"#),
        ] {
            let outcome = read(call, "200", header, body);
            assert_eq!(outcome, Outcome::unanswered(Why::Unreadable), "{body}");
        }
    }

    #[test]
    fn a_refusal_is_read_as_of_a_notification() {
        let body = r#"{"reason":"ChannelNotRegistered"}"#;
        let outcome = read(ChannelCall::Read(id("a")), "400", Some("a"), body);
        let Outcome::Rejected { status, reason, .. } = outcome else {
            panic!()
        };
        assert_eq!((status, reason.usual_status()), (400, Some(400)));
    }

    /// `CHANNELS_MAX` identifiers as long as Apple's example fit; a body without end is cut.
    #[test]
    fn a_full_list_is_read_and_an_endless_one_is_not() {
        let list = |count: usize, name: &str| {
            let names = vec![format!("\"{name}\""); count];
            format!("{{\"channels\":[{}]}}", names.join(","))
        };
        let count = crate::limits::CHANNELS_MAX;
        let full = list(count, "dHN0LXNyY2gtY2hubA==");
        match answer(read(ChannelCall::List, "200", None, &full)) {
            Some(Answer::Channels(ids)) => assert_eq!(ids.len(), count),
            other => panic!("{other:?}"),
        }
        let endless = list(count, &"x".repeat(200));
        let outcome = read(ChannelCall::List, "200", None, &endless);
        assert_eq!(outcome, Outcome::unanswered(Why::Unreadable));
    }
}
