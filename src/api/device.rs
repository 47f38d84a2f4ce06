//! Replies of the device calls.

use serde::Serialize;

use super::Reply;
use crate::environment::Environment;
use crate::registry::{Alias, DevicePage, DeviceRecord, Registered, Tag, Tombstone};

#[derive(Serialize)]
struct Record<'a> {
    token: String,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<&'a str>,
    tags: Vec<&'a str>,
    first_registered_at: u64,
    registered_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Removed>,
}

/// A record, and what is doubtful about the registration that it is of.
#[derive(Serialize)]
struct DeviceReply<'a> {
    #[serde(flatten)]
    record: Record<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
}

/// Times in whole seconds, like those of the record.
#[derive(Serialize)]
struct Removed {
    reason: &'static str,
    since: u64,
    removed_at: u64,
}

impl From<Tombstone> for Removed {
    fn from(tombstone: Tombstone) -> Self {
        Self {
            reason: tombstone.reason.as_str(),
            since: tombstone.since.as_secs(),
            removed_at: tombstone.removed_at.as_secs(),
        }
    }
}

impl<'a> From<&'a DeviceRecord> for Record<'a> {
    fn from(record: &'a DeviceRecord) -> Self {
        Self {
            token: record.token.to_hex(),
            topic: record.topic.as_str(),
            environment: record.environment,
            alias: record.alias.as_ref().map(Alias::as_str),
            tags: record.tags.iter().map(Tag::as_str).collect(),
            first_registered_at: record.first_registered_at.as_secs(),
            registered_at: record.registered_at.as_secs(),
            stale: record.stale.then_some(true),
            removed: record.removed.map(Removed::from),
        }
    }
}

/// The record: 200.
pub fn device_reply(record: &DeviceRecord) -> Reply {
    Reply::json(200, &Record::from(record))
}

#[derive(Serialize)]
struct Page<'a> {
    devices: Vec<Record<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// A page of records, and the cursor of the next one if there is one: 200.
pub fn device_page_reply(page: &DevicePage) -> Reply {
    let page = Page {
        devices: page.devices.iter().map(Record::from).collect(),
        cursor: page.next.map(|next| next.to_string()),
    };
    Reply::json(200, &page)
}

impl Registered {
    /// The record: 201 if it is new, 200 if it was known; with what is doubtful about it.
    pub fn reply(&self, warnings: &[String]) -> Reply {
        let answer = DeviceReply {
            record: Record::from(&self.record),
            warnings,
        };
        Reply::json(if self.new { 201 } else { 200 }, &answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{DeviceToken, Topic};
    use crate::registry::{Cursor, RemovalReason};
    use crate::time::UnixTime;
    use serde_json::{Value, json};

    fn record() -> DeviceRecord {
        DeviceRecord {
            topic: Topic::parse("com.example.app").unwrap(),
            token: DeviceToken::parse_hex("a1b2c3d4").unwrap(),
            environment: Some(Environment::Development),
            alias: Some(Alias::parse("anna").unwrap()),
            tags: vec![Tag::parse("news").unwrap()],
            first_registered_at: UnixTime::from_millis(4_999),
            registered_at: UnixTime::from_secs(5),
            removed: None,
            stale: false,
            revision: 7,
        }
    }

    fn document(reply: &Reply) -> Value {
        serde_json::from_slice(&reply.body).unwrap()
    }

    #[test]
    fn a_record_is_replied_and_says_whether_it_is_new() {
        let registered = |new| Registered {
            record: record(),
            new,
            left: None,
        };
        let expected = json!({
            "token": "a1b2c3d4", "topic": "com.example.app", "environment": "development",
            "alias": "anna", "tags": ["news"], "first_registered_at": 4, "registered_at": 5,
        });
        assert_eq!(document(&device_reply(&record())), expected);
        for (new, status) in [(true, 201), (false, 200)] {
            let reply = registered(new).reply(&[]);
            assert_eq!((reply.status, document(&reply)), (status, expected.clone()));
        }
        let doubtful = registered(true).reply(&["topic: expected another".to_owned()]);
        let mut expected = expected;
        expected["warnings"] = json!(["topic: expected another"]);
        assert_eq!(document(&doubtful), expected);
    }

    #[test]
    fn a_removed_one_says_why_and_a_stale_one_that_it_is() {
        let mut record = record();
        record.stale = true;
        assert_eq!(document(&device_reply(&record))["stale"], true);
        record.removed = Some(Tombstone {
            reason: RemovalReason::Unregistered,
            since: UnixTime::from_millis(6_500),
            removed_at: UnixTime::from_secs(7),
        });
        assert_eq!(
            document(&device_reply(&record))["removed"],
            json!({"reason": "Unregistered", "since": 6, "removed_at": 7})
        );
    }

    #[test]
    fn a_page_has_a_cursor_unless_it_is_the_last() {
        let next = Cursor::of(&record().token);
        let page = |next| DevicePage {
            devices: vec![record()],
            next,
        };
        let first = document(&device_page_reply(&page(Some(next))));
        assert_eq!(first["devices"][0]["token"], "a1b2c3d4");
        assert_eq!(first["cursor"], next.to_string());
        assert!(
            document(&device_page_reply(&page(None)))
                .get("cursor")
                .is_none()
        );
    }

    #[test]
    fn nothing_to_say_has_no_type_either() {
        let reply = Reply::no_content();
        assert_eq!((reply.status, reply.content_type), (204, ""));
        assert!(reply.body.is_empty());
    }
}
