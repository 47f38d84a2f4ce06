//! Calls about channels: what a query or a body asks, and the reply that APNs's answer becomes.
//!
//! | call | asks | reply |
//! |---|---|---|
//! | `POST /v1/channels` | `{"topic", "storage_policy", "environment"?}` | 201, the channel |
//! | `GET /v1/channels?topic=&environment=` | | 200, `{"topic", "environment", "channels": […]}` |
//! | `GET /v1/channels/{id}?topic=&environment=` | | 200, the channel |
//! | `DELETE /v1/channels/{id}?topic=&environment=` | | 204 |
//!
//! A channel is `{"channel", "topic", "environment", "storage_policy"}`. What APNs refuses, or
//! leaves unanswered, is a problem: it was asked for one thing, and that was not done.

use serde::Serialize;

use super::body::{Field, Members, takes};
use super::form::Fields;
use super::{Problem, Reply};
use crate::environment::Environment;
use crate::notification::{BundleId, ChannelId, InvalidNotification, StoragePolicy, Topic};
use crate::provider::{Answer, ChannelCall, Fault, Outcome, Reason, Why};

/// Whose channels a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelsOf {
    /// The app.
    pub bundle_id: BundleId,
    /// Where: environments share no channels. The configured one if the caller does not say.
    pub environment: Option<Environment>,
}

fn invalid(error: InvalidNotification) -> Problem {
    Problem::invalid(&error)
}

/// The query of the calls without a body: `topic`, `environment`.
///
/// # Errors
/// 400 with the name of the field.
pub fn parse_channel_query(query: Option<&str>) -> Result<ChannelsOf, Problem> {
    let fields = Fields::of_query(query, &QUERY)?;
    let (text, field) = fields.require("topic")?;
    let bundle_id = Topic::parse(text).and_then(BundleId::new);
    Ok(ChannelsOf {
        bundle_id: bundle_id.map_err(|error| invalid(error.at(field)))?,
        environment: fields.environment()?,
    })
}

const BODY: &str = "an object such as {\"topic\":\"com.example.app\",\"storage_policy\":\"none\"}";

static QUERY: [Field; 2] = [
    Field::open("topic", takes::TOPIC),
    Field::open("environment", takes::ENVIRONMENT),
];

static FIELDS: [Field; 3] = [
    Field::open("topic", takes::TOPIC),
    Field::open("environment", takes::ENVIRONMENT),
    Field::open("storage_policy", "none or most-recent"),
];

/// The body of `POST /v1/channels`. The policy has no default: it cannot be changed later.
///
/// # Errors
/// 400 with the path of the field.
pub fn parse_new_channel(bytes: &[u8]) -> Result<(ChannelsOf, StoragePolicy), Problem> {
    let body = Members::of_body(bytes, &FIELDS, BODY)?;
    let topic = Topic::parse(&body.required_text("topic")?).map_err(invalid)?;
    let of = ChannelsOf {
        bundle_id: BundleId::new(topic).map_err(invalid)?,
        environment: body.environment()?,
    };
    let policy = StoragePolicy::parse(&body.required_text("storage_policy")?);
    let policy = policy.map_err(invalid)?;
    Ok((of, policy))
}

#[derive(Serialize)]
struct ChannelDocument<'a> {
    channel: &'a str,
    topic: &'a str,
    environment: &'static str,
    storage_policy: &'static str,
}

#[derive(Serialize)]
struct ListDocument<'a> {
    topic: &'a str,
    environment: &'static str,
    channels: Vec<&'a str>,
}

/// The reply to a call about channels. `trouble` is what the lane suffers from.
///
/// # Errors
/// 404 `unknown-channel`, 409 `too-many-channels`; 422, 429, 502 or 503 `apns-rejected`; 503 or 504
/// `apns-unanswered`.
pub fn channel_reply(
    bundle_id: &BundleId,
    environment: Environment,
    call: &ChannelCall,
    (outcome, trouble): (&Outcome, Option<&str>),
) -> Result<Reply, Problem> {
    let topic = bundle_id.as_str();
    let environment = environment.as_str();
    let document = |status, channel: &ChannelId, policy: StoragePolicy| {
        let document = ChannelDocument {
            channel: channel.as_str(),
            topic,
            environment,
            storage_policy: policy.as_str(),
        };
        Reply::json(status, &document)
    };
    let answer = match outcome {
        Outcome::Accepted { answer, .. } => answer.as_deref(),
        Outcome::Rejected { status, reason, .. } => return Err(refusal(call, *status, reason)),
        Outcome::Unanswered { may_resend, why } => {
            return Err(Problem::apns_unanswered(*may_resend, *why, trouble));
        }
    };
    match (call, answer) {
        (ChannelCall::Create(policy), Some(Answer::Created(id))) => Ok(document(201, id, *policy)),
        (ChannelCall::Read(id), Some(Answer::Channel(policy))) => Ok(document(200, id, *policy)),
        (ChannelCall::List, Some(Answer::Channels(ids))) => {
            let channels = ids.iter().map(ChannelId::as_str).collect();
            let list = ListDocument {
                topic,
                environment,
                channels,
            };
            Ok(Reply::json(200, &list))
        }
        (ChannelCall::Delete(_), _) => Ok(Reply::no_content()),
        // Whoever reads responses gives each call its own answer.
        (ChannelCall::Create(_) | ChannelCall::Read(_) | ChannelCall::List, _) => {
            Err(Problem::apns_unanswered(false, Why::Unreadable, trouble))
        }
    }
}

fn refusal(call: &ChannelCall, status: u16, reason: &Reason) -> Problem {
    let names_one = matches!(call, ChannelCall::Read(_) | ChannelCall::Delete(_));
    match reason {
        Reason::ChannelNotRegistered | Reason::BadChannelId => Problem::unknown_channel(),
        // What APNs has been seen to say of a channel that was deleted before.
        Reason::BadPath if names_one => Problem::unknown_channel(),
        Reason::CannotCreateChannelConfig => Problem::too_many_channels(),
        reason => {
            let as_ours = match reason.treatment(status).fault {
                Fault::Caller if status == 429 => 429,
                Fault::Caller => 422,
                Fault::Apns => 503,
                Fault::Device | Fault::Operator | Fault::Ours => 502,
            };
            Problem::apns_rejected(as_ours, status, reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ChannelId {
        ChannelId::parse(text).unwrap()
    }

    fn accepted(answer: Option<Answer>) -> Outcome {
        Outcome::Accepted {
            apns_id: None,
            unique_id: None,
            answer: answer.map(Box::new),
        }
    }

    fn rejected(status: u16, reason: &str) -> Outcome {
        Outcome::Rejected {
            status,
            reason: Reason::parse(reason),
            invalid_since: None,
            retry_after: None,
            apns_id: None,
        }
    }

    fn reply(call: &ChannelCall, outcome: &Outcome) -> (u16, serde_json::Value) {
        let bundle_id = BundleId::new(Topic::parse("a.b").unwrap()).unwrap();
        let reply = channel_reply(
            &bundle_id,
            Environment::Development,
            call,
            (outcome, Some("x")),
        );
        let reply = reply.unwrap_or_else(Problem::into_reply);
        let body = serde_json::from_slice(&reply.body).unwrap_or_default();
        (reply.status, body)
    }

    const CREATE: ChannelCall = ChannelCall::Create(StoragePolicy::NoMessage);

    #[test]
    fn what_is_asked() {
        let of = parse_channel_query(Some("topic=a.b&environment=sandbox")).unwrap();
        assert_eq!(of.bundle_id.as_str(), "a.b");
        assert_eq!(of.environment, Some(Environment::Development));
        let body = br#"{"topic":"a.b","storage_policy":"most-recent"}"#;
        let (of, policy) = parse_new_channel(body).unwrap();
        assert_eq!((of.environment, policy.as_number()), (None, 1));
    }

    #[test]
    fn what_cannot_be_asked() {
        for (query, rule) in [
            ("", "missing-field"),
            ("topic=", "missing-field"),
            ("topic=a%20b", "topic-character"),
            ("topic=a.b.push-type.liveactivity", "topic-suffix"),
            ("topic=a.b&cursor=x", "unknown-field"),
        ] {
            let problem = parse_channel_query(Some(query)).unwrap_err();
            assert_eq!((problem.status(), problem.rule()), (400, rule), "{query}");
        }
        for (body, rule) in [
            (r#"{"topic":"a.b"}"#, "missing-field"),
            (
                r#"{"topic":"a.b","storage_policy":"all"}"#,
                "storage-policy-unknown",
            ),
            (
                r#"{"topic":"a.b","storage_policy":"none","push_type":"x"}"#,
                "unknown-field",
            ),
        ] {
            let problem = parse_new_channel(body.as_bytes()).unwrap_err();
            assert_eq!((problem.status(), problem.rule()), (400, rule), "{body}");
        }
    }

    #[test]
    fn each_call_has_its_reply() {
        let channel = serde_json::json!({"channel": "YQ==", "topic": "a.b",
            "environment": "development", "storage_policy": "none"});
        let created = accepted(Some(Answer::Created(id("YQ=="))));
        assert_eq!(reply(&CREATE, &created), (201, channel.clone()));
        let read = accepted(Some(Answer::Channel(StoragePolicy::NoMessage)));
        let call = ChannelCall::Read(id("YQ=="));
        assert_eq!(reply(&call, &read), (200, channel));
        let list = accepted(Some(Answer::Channels(vec![id("YQ=="), id("b")])));
        let expected = serde_json::json!({"topic": "a.b", "environment": "development",
            "channels": ["YQ==", "b"]});
        assert_eq!(reply(&ChannelCall::List, &list), (200, expected));
        let deleted = reply(&ChannelCall::Delete(id("b")), &accepted(None));
        assert_eq!(deleted, (204, serde_json::Value::Null));
    }

    /// Who is at fault decides the status; the reason is always shown.
    #[test]
    fn refusals_are_problems() {
        let read = || ChannelCall::Read(id("a"));
        for (call, status, reason, expected, rule) in [
            (read(), 400, "ChannelNotRegistered", 404, "unknown-channel"),
            (read(), 400, "BadChannelId", 404, "unknown-channel"),
            (
                ChannelCall::Delete(id("a")),
                404,
                "BadPath",
                404,
                "unknown-channel",
            ),
            (CREATE, 404, "BadPath", 502, "apns-rejected"),
            (
                CREATE,
                400,
                "CannotCreateChannelConfig",
                409,
                "too-many-channels",
            ),
            (CREATE, 400, "FeatureNotEnabled", 502, "apns-rejected"),
            (CREATE, 403, "TopicMismatch", 502, "apns-rejected"),
            (CREATE, 429, "TooManyRequests", 429, "apns-rejected"),
            (CREATE, 503, "Service Unavailable", 503, "apns-rejected"),
            (CREATE, 400, "NewReason", 502, "apns-rejected"),
        ] {
            let (got, body) = reply(&call, &rejected(status, reason));
            let kind = format!("urn:dunlin:{rule}");
            assert_eq!((got, &body["type"]), (expected, &kind.into()), "{reason}");
            if rule == "apns-rejected" {
                assert_eq!(body["apns_status"], status);
                let shown = reason.replace(' ', "");
                assert_eq!(body["reason"], shown);
            }
        }
    }

    #[test]
    fn a_lost_answer_says_whether_it_may_have_been_done() {
        for (why, status, may_resend) in [
            (Why::NotSent, 503, true),
            (Why::ConnectionLost, 504, false),
            (Why::TimedOut, 504, false),
        ] {
            let (got, body) = reply(&CREATE, &Outcome::unanswered(why));
            assert_eq!((got, &body["may_resend"]), (status, &may_resend.into()));
            assert_eq!(body["type"], "urn:dunlin:apns-unanswered");
        }
    }
}
