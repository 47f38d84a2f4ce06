//! Bodies and replies of the device calls.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Problem, Reply, body};
use crate::environment::Environment;
use crate::notification::{DeviceToken, Topic};
use crate::registry::{Alias, DeviceRecord, Registered, Registration, Tag};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    environment: Option<Environment>,
    #[serde(borrow)]
    alias: Option<Cow<'a, str>>,
    tags: Option<Vec<String>>,
}

/// The body of `PUT /v1/devices/{token}`.
///
/// # Errors
/// 400 with the path of the field.
pub fn parse_registration(token: DeviceToken, bytes: &[u8]) -> Result<Registration, Problem> {
    let raw: Body<'_> = body::parse(bytes)?;
    let invalid = |error| Problem::invalid(&error);
    let topic = Topic::parse(&raw.topic).map_err(invalid)?;
    let alias = raw
        .alias
        .as_deref()
        .map(Alias::parse)
        .transpose()
        .map_err(invalid)?;
    let tags = raw.tags.as_deref().map(parse_tags).transpose()?;
    Ok(Registration {
        topic,
        token,
        environment: raw.environment,
        alias,
        tags,
    })
}

fn parse_tags(raw: &[String]) -> Result<Vec<Tag>, Problem> {
    if raw.len() > crate::registry::MAX_TAGS {
        let (expected, got) = (format!("at most {}", crate::registry::MAX_TAGS), raw.len());
        return Err(Problem::field(
            "too-many-tags",
            "tags",
            expected,
            got.to_string(),
        ));
    }
    let parse = |(index, text): (usize, &String)| {
        Tag::parse(text).map_err(|error| Problem::invalid(&error.at(format!("tags[{index}]"))))
    };
    raw.iter().enumerate().map(parse).collect()
}

/// The `topic` of a query string.
///
/// # Errors
/// 400 if it is missing or no topic.
pub fn parse_topic_query(query: Option<&str>) -> Result<Topic, Problem> {
    let missing = || Problem::field("missing-field", "?topic=", "a topic", "none");
    let value = query
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("topic="))
        .ok_or_else(missing)?;
    Topic::parse(value).map_err(|error| Problem::invalid(&error.at("?topic=")))
}

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
        }
    }
}

/// The record: 200.
pub fn device_reply(record: &DeviceRecord) -> Reply {
    Reply::json(200, &Record::from(record))
}

impl Registered {
    /// The record: 201 if it is new, 200 if it was known.
    pub fn reply(&self) -> Reply {
        Reply::json(
            if self.new { 201 } else { 200 },
            &Record::from(&self.record),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixTime;

    fn token() -> DeviceToken {
        DeviceToken::parse_hex("a1b2c3d4").unwrap()
    }

    #[test]
    fn a_registration_is_read_and_replied() {
        let body = br#"{"topic":"com.example.app","environment":"sandbox","alias":"anna",
                        "tags":["news"]}"#;
        let registration = parse_registration(token(), body).unwrap();
        assert_eq!(registration.environment, Some(Environment::Development));
        let registered = DeviceRecord::register(None, &registration, UnixTime::from_secs(5));
        let reply = registered.reply();
        assert_eq!(reply.status, 201);
        let record: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(record["token"], "a1b2c3d4");
        assert_eq!(record["environment"], "development");
        assert_eq!(record["alias"], "anna");
        assert_eq!(record["registered_at"], 5);
    }

    #[test]
    fn wrong_fields_are_named() {
        let rule = |body: &str| {
            parse_registration(token(), body.as_bytes())
                .unwrap_err()
                .rule()
                .to_owned()
        };
        assert_eq!(rule(r#"{}"#), "missing-field");
        assert_eq!(rule(r#"{"topic":""}"#), "topic-empty");
        assert_eq!(rule(r#"{"topic":"a.b","alias":""}"#), "alias-empty");
        assert_eq!(rule(r#"{"topic":"a.b","tags":[""]}"#), "tag-length");
        assert_eq!(
            rule(r#"{"topic":"a.b","environment":"staging"}"#),
            "wrong-type"
        );
        let many = format!(r#"{{"topic":"a.b","tags":{:?}}}"#, vec!["t"; 65]);
        assert_eq!(rule(&many), "too-many-tags");
    }

    #[test]
    fn the_topic_of_a_query() {
        assert_eq!(
            parse_topic_query(Some("x=1&topic=a.b")).unwrap().as_str(),
            "a.b"
        );
        assert_eq!(parse_topic_query(None).unwrap_err().rule(), "missing-field");
        assert_eq!(
            parse_topic_query(Some("topic=")).unwrap_err().rule(),
            "topic-empty"
        );
    }
}
