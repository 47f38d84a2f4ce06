//! What the callers of every call are told of bodies and queries that are wrong: the field, what
//! was expected, what came, and nothing of the language that this is written in.

mod mutations;
mod rows;

use super::*;
use crate::notification::{ApnsId, DeviceToken};
use crate::time::UnixTime;

/// A call with a body, or with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Push,
    Broadcast,
    Channel,
    Put,
    Post,
    Form,
    Logout,
    ChannelQuery,
    DeviceQuery,
    TopicQuery,
}

impl Call {
    /// By the name in the table.
    fn named(name: &str) -> Self {
        match name {
            "push" | "member" | "to" => Self::Push,
            "broadcast" => Self::Broadcast,
            "channel" => Self::Channel,
            "put" => Self::Put,
            "post" => Self::Post,
            "form" => Self::Form,
            "logout" => Self::Logout,
            "channels?" => Self::ChannelQuery,
            "devices?" => Self::DeviceQuery,
            "topic?" => Self::TopicQuery,
            other => panic!("no call is named {other}"),
        }
    }

    fn read(self, input: &[u8]) -> Result<(), Problem> {
        let now = UnixTime::from_secs(1_000);
        let query = String::from_utf8_lossy(input);
        let query = Some(query.as_ref());
        match self {
            Self::Push => PushRequest::parse(input, now, "server").map(drop),
            Self::Broadcast => {
                let id = ApnsId::from_random([0; 16]);
                BroadcastRequest::parse(input, now, "server", id).map(drop)
            }
            Self::Channel => parse_new_channel(input).map(drop),
            Self::Put => {
                let token = DeviceToken::from_bytes(&[1]).unwrap();
                parse_registration(token, input).map(drop)
            }
            Self::Post => parse_posted_registration(BodyKind::Json, input).map(drop),
            Self::Form => parse_posted_registration(BodyKind::Form, input).map(drop),
            Self::Logout => parse_topic(None, input).map(drop),
            Self::ChannelQuery => parse_channel_query(query).map(drop),
            Self::DeviceQuery => parse_device_query(query).map(drop),
            Self::TopicQuery => parse_topic_query(query).map(drop),
        }
    }
}

/// The problem document.
fn document(problem: Problem) -> serde_json::Value {
    let reply = problem.into_reply();
    assert_eq!(reply.content_type, "application/problem+json");
    serde_json::from_slice(&reply.body).unwrap()
}

fn string<'a>(document: &'a serde_json::Value, name: &str) -> &'a str {
    document[name].as_str().unwrap_or_default()
}
