//! The body of `POST /v1/broadcasts`, and its reply.
//!
//! ```json
//! {"topic": "com.example.app", "channel": "dHN0LXNyY2gtY2hubA==", "environment": "production",
//!  "priority": 5, "ttl_s": 3600, "id": "0f3c…", "idempotency_key": "goal:3", "dry_run": false,
//!  "payload": {"aps": {…}}}
//! ```
//!
//! `topic`, `channel` and `payload` are required. The reply to one that was carried out is 200,
//! whatever became of it, in the words of a push's result.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::body::{Field, Members, takes};
use super::idempotency::idempotency_key;
use super::{Problem, Reply};
use crate::environment::Environment;
use crate::notification::{
    ApnsId, Broadcast, BundleId, ChannelId, Expiration, Findings, InvalidNotification, Payload,
    Priority, Topic,
};
use crate::provider::Outcome;
use crate::receipt::IdempotencyKey;
use crate::time::UnixTime;

/// A broadcast as it was asked for.
#[derive(Clone, Debug)]
pub struct BroadcastRequest {
    /// What to send.
    pub broadcast: Broadcast,
    /// Where; the configured environment if the caller does not say.
    pub environment: Option<Environment>,
    /// Check everything and send nothing.
    pub dry_run: bool,
    /// What the broadcast is known by, so that it is carried out once however often it is asked
    /// for.
    pub idempotency_key: Option<IdempotencyKey>,
    warnings: Vec<String>,
}

struct BroadcastBody<'a> {
    topic: Cow<'a, str>,
    channel: Cow<'a, str>,
    environment: Option<Environment>,
    priority: Option<i64>,
    expiration: Option<u64>,
    ttl_s: Option<u64>,
    strict: bool,
    id: Option<Cow<'a, str>>,
    payload: &'a RawValue,
    dry_run: bool,
    idempotency_key: Option<Cow<'a, str>>,
}

const BODY: &str =
    "an object such as {\"topic\":\"com.example.app\",\"channel\":\"…\",\"payload\":{\"aps\":{…}}}";

static FIELDS: [Field; 11] = [
    Field::open("topic", takes::TOPIC),
    Field::open("channel", takes::CHANNEL),
    Field::open("environment", takes::ENVIRONMENT),
    Field::open("priority", takes::PRIORITY),
    Field::open("expiration", takes::EXPIRATION),
    Field::open("ttl_s", takes::TTL),
    Field::open("strict", takes::FLAG),
    Field::open("id", takes::ID),
    Field::private(
        "payload",
        "an object such as {\"aps\":{\"event\":\"update\",…}}",
    ),
    Field::open("dry_run", takes::FLAG),
    Field::open("idempotency_key", takes::KEY),
];

fn invalid(error: InvalidNotification) -> Problem {
    Problem::invalid(&error)
}

impl BroadcastRequest {
    /// Reads the body; `now` is what `ttl_s` counts from, and `caller` whose idempotency keys are
    /// meant. `fallback_id` names the request unless the caller did, by an identifier or by an
    /// idempotency key. What the payload holds is checked as that of a push: `"strict": false`
    /// turns what is against Apple's documents into warnings in the reply.
    ///
    /// # Errors
    /// 400 with the path of the field.
    pub fn parse(
        bytes: &[u8],
        now: UnixTime,
        caller: &str,
        fallback_id: ApnsId,
    ) -> Result<Self, Problem> {
        Self::parse_with_key(bytes, now, (caller, None), fallback_id)
    }

    /// The same, with the idempotency key in the header of the request beside the caller, as in
    /// [`PushRequest::parse_with_key`](super::PushRequest::parse_with_key).
    ///
    /// # Errors
    /// As [`Self::parse`]; also if field and header are not the same.
    pub fn parse_with_key(
        bytes: &[u8],
        now: UnixTime,
        (caller, header): (&str, Option<&str>),
        fallback_id: ApnsId,
    ) -> Result<Self, Problem> {
        let raw = BroadcastBody::read(bytes)?;
        let topic = Topic::parse(&raw.topic).map_err(invalid)?;
        let bundle_id = BundleId::new(topic).map_err(invalid)?;
        let channel = ChannelId::parse(&raw.channel).map_err(invalid)?;
        let (payload, mut findings) = raw.inspect()?;
        let field = raw.idempotency_key.as_deref();
        let idempotency_key = idempotency_key(caller, field, header)?;
        let stable = idempotency_key
            .as_ref()
            .map(|key| key.request_id(&bundle_id, &channel));
        let id = raw.id.as_deref().map(ApnsId::parse).transpose();
        let id = id.map_err(invalid)?.or(stable).unwrap_or(fallback_id);
        let broadcast = Broadcast::new(bundle_id, channel, payload).map_err(invalid)?;
        let mut broadcast = broadcast.with_id(id);
        if let Some(number) = raw.priority {
            let priority = Priority::from_number(number).map_err(invalid)?;
            broadcast = broadcast.with_priority(priority);
        }
        let expiration = raw.expiration(now)?.unwrap_or(Expiration::Once);
        if let Expiration::At(at) = expiration {
            broadcast = broadcast.expiring_at(at);
        }
        if let Some(remark) = Broadcast::PUSH_TYPE.remark_on_expiration(expiration, now) {
            let named = raw.ttl_s.map_or("expiration", |_| "ttl_s");
            findings.remark(remark.at(named));
        }
        let warnings = findings.as_slice().iter().map(ToString::to_string);
        let warnings = warnings.collect();
        Ok(Self {
            broadcast,
            environment: raw.environment,
            dry_run: raw.dry_run,
            idempotency_key,
            warnings,
        })
    }

    /// The reply to this broadcast once it was carried out, whatever became of it, or checked for a
    /// dry run, which has no `outcome`: 200. `trouble` is what the lane suffers from.
    pub fn reply(&self, outcome: Option<&Outcome>, trouble: Option<&str>) -> Reply {
        let broadcast = &self.broadcast;
        let common = BroadcastReply {
            channel: broadcast.channel().as_str(),
            request_id: broadcast.id().map(|id| id.to_string()),
            outcome: "valid",
            warnings: &self.warnings,
            detail: trouble,
            ..BroadcastReply::default()
        };
        let document = match outcome {
            None => common,
            Some(Outcome::Accepted { unique_id, .. }) => BroadcastReply {
                outcome: "accepted",
                status: Some(200),
                apns_unique_id: unique_id.as_deref(),
                ..common
            },
            Some(Outcome::Rejected { status, reason, .. }) => BroadcastReply {
                outcome: "rejected",
                status: Some(*status),
                reason: Some(reason.as_str()),
                ..common
            },
            Some(Outcome::Unanswered { may_resend, why }) => BroadcastReply {
                outcome: "unanswered",
                may_resend: Some(*may_resend),
                why: Some(why.to_string()),
                ..common
            },
        };
        Reply::json(200, &document)
    }
}

impl<'a> BroadcastBody<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Problem> {
        let body = Members::of_body(bytes, &FIELDS, BODY)?;
        Ok(Self {
            topic: body.required_text("topic")?,
            channel: body.required_text("channel")?,
            environment: body.environment()?,
            priority: body.integer("priority")?,
            expiration: body.integer("expiration")?,
            ttl_s: body.integer("ttl_s")?,
            strict: body.flag("strict", true)?,
            id: body.text("id")?,
            payload: body.required("payload")?,
            dry_run: body.flag("dry_run", false)?,
            idempotency_key: body.text("idempotency_key")?,
        })
    }

    fn inspect(&self) -> Result<(Payload, Findings), Problem> {
        let inspected = Payload::inspect_broadcast(self.payload.get().as_bytes());
        let inspected = inspected.map_err(invalid)?;
        let findings = inspected.findings;
        if self.strict
            && let Some(violation) = findings.violation()
        {
            return Err(Problem::invalid(violation));
        }
        Ok((inspected.payload, findings))
    }

    fn expiration(&self, now: UnixTime) -> Result<Option<Expiration>, Problem> {
        match (self.expiration, self.ttl_s) {
            (Some(_), Some(_)) => {
                let expected = "either expiration or ttl_s";
                let rule = "expiration-twice";
                Err(Problem::field(rule, "ttl_s", expected, "both"))
            }
            (Some(secs), None) => {
                let expiration = Expiration::named(secs).map_err(invalid)?;
                Ok(Some(expiration))
            }
            (None, Some(secs)) => {
                let expiration = Expiration::from_ttl(now, Duration::from_secs(secs));
                expiration.map(Some).map_err(invalid)
            }
            (None, None) => Ok(None),
        }
    }
}

#[derive(Default, Serialize)]
struct BroadcastReply<'a> {
    channel: &'a str,
    request_id: Option<String>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apns_unique_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    may_resend: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Reason, Why};

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    const END: &str = r#"{"aps": {"timestamp":1,"event":"end","content-state":{}}}"#;

    fn parse(body: &str) -> Result<BroadcastRequest, Problem> {
        BroadcastRequest::parse(body.as_bytes(), NOW, "server", ApnsId::from_random([0; 16]))
    }

    #[test]
    fn what_is_left_out_has_a_default_that_every_channel_takes() {
        let request = parse(&format!(
            r#"{{"topic":"a.b","channel":"YQ==","payload":{END}}}"#
        ))
        .unwrap();
        assert_eq!((request.environment, request.dry_run), (None, false));
        let broadcast = request.broadcast;
        assert_eq!(broadcast.expiration_secs(), 0);
        assert_eq!(broadcast.priority(), Priority::Immediate);
        assert_eq!(broadcast.id(), Some(ApnsId::from_random([0; 16])));
        assert_eq!(broadcast.payload().as_bytes(), END.as_bytes());
    }

    #[test]
    fn everything_can_be_said() {
        let id = "01234567-89ab-cdef-0123-456789abcdef";
        let request = parse(&format!(
            r#"{{"topic":"a.b","channel":"YQ==","environment":"sandbox","priority":5,
                "ttl_s":60,"id":"{id}","dry_run":true,"payload":{END}}}"#
        ))
        .unwrap();
        assert_eq!(request.environment, Some(Environment::Development));
        assert!(request.dry_run);
        let broadcast = request.broadcast;
        assert_eq!(broadcast.expiration_secs(), 1_000_060);
        assert_eq!(broadcast.priority(), Priority::PowerSaving);
        assert_eq!(broadcast.id(), Some(ApnsId::parse(id).unwrap()));
    }

    #[test]
    fn an_idempotency_key_names_the_request_unless_the_caller_does() {
        let id = |rest: &str| {
            let body = format!(r#"{{"topic":"a.b","channel":"YQ==",{rest}"payload":{END}}}"#);
            parse(&body).unwrap().broadcast.id().unwrap()
        };
        let key = r#""idempotency_key":"goal:3","#;
        assert_eq!(id(key), id(key));
        assert_ne!(id(key), id(r#""idempotency_key":"goal:4","#));
        assert_ne!(id(key), id(""));
        let own = "01234567-89ab-cdef-0123-456789abcdef";
        let both = format!(r#"{key}"id":"{own}","#);
        assert_eq!(id(&both), ApnsId::parse(own).unwrap());
    }

    #[test]
    fn an_idempotency_key_in_the_header_means_what_the_field_means() {
        let parse = |rest: &str, header| {
            let body = format!(r#"{{"topic":"a.b","channel":"YQ==",{rest}"payload":{END}}}"#);
            let id = ApnsId::from_random([0; 16]);
            BroadcastRequest::parse_with_key(body.as_bytes(), NOW, ("server", header), id)
        };
        let field = r#""idempotency_key":"goal:3","#;
        let by_field = parse(field, None).unwrap();
        for (rest, header) in [("", Some("goal:3")), (field, Some("goal:3"))] {
            let by_header = parse(rest, header).unwrap();
            assert_eq!(by_header.idempotency_key, by_field.idempotency_key);
            assert_eq!(by_header.broadcast.id(), by_field.broadcast.id());
        }
        let problem = parse(field, Some("goal:4")).unwrap_err();
        assert_eq!((problem.status(), problem.rule()), (400, "idempotency-key"));
    }

    #[test]
    fn an_expiration_that_was_not_meant_is_refused_or_a_warning() {
        let parse = |rest: &str| {
            let body = format!(r#"{{"topic":"a.b","channel":"YQ==",{rest},"payload":{END}}}"#);
            let now = UnixTime::from_secs(1_770_000_000);
            BroadcastRequest::parse(body.as_bytes(), now, "server", ApnsId::from_random([0; 16]))
        };
        for refused in [r#""expiration":86400"#, r#""ttl_s":4000000000"#] {
            let problem = parse(refused).unwrap_err();
            assert_eq!(
                (problem.status(), problem.rule()),
                (400, "expiration-range")
            );
        }
        let warnings = |rest| parse(rest).unwrap().warnings;
        assert_eq!(
            warnings(r#""expiration":1769999940"#),
            ["expiration: expected a time to come, or 0, got 60 seconds ago"]
        );
        assert_eq!(warnings(r#""ttl_s":2592001"#).len(), 1);
        assert!(warnings(r#""ttl_s":60"#).is_empty() && warnings(r#""expiration":0"#).is_empty());
    }

    #[test]
    fn mistakes_name_their_field() {
        let problem = |rest: &str| {
            let problem = parse(&format!(r#"{{"payload":{END},{rest}}}"#)).unwrap_err();
            let rule = problem.rule().to_owned();
            let body: serde_json::Value =
                serde_json::from_slice(&problem.into_reply().body).unwrap();
            format!("{} {rule}", body["field"].as_str().unwrap())
        };
        let to = r#""topic":"a.b","channel":"YQ==""#;
        for (rest, expected) in [
            (r#""topic":"a.b""#.to_owned(), "channel missing-field"),
            (
                r#""topic":"a.b","channel":"a b""#.to_owned(),
                "channel channel-id-character",
            ),
            (
                r#""topic":"a.b.voip-ptt","channel":"a""#.to_owned(),
                "topic topic-suffix",
            ),
            (format!(r#"{to},"priority":7"#), "priority priority-unknown"),
            (
                format!(r#"{to},"ttl_s":1,"expiration":1"#),
                "ttl_s expiration-twice",
            ),
            (
                format!(r#"{to},"expiration":1700000000000"#),
                "expiration expiration-range",
            ),
            (format!(r#"{to},"id":"x""#), "id id-malformed"),
            (
                format!(r#"{to},"idempotency_key":"a b""#),
                "idempotency_key idempotency-key",
            ),
            (
                format!(r#"{to},"push_type":"alert""#),
                "push_type unknown-field",
            ),
        ] {
            assert_eq!(problem(&rest), expected);
        }
    }

    #[test]
    fn the_reply_is_in_the_words_of_a_push() {
        let request = parse(&format!(
            r#"{{"topic":"a.b","channel":"YQ==","payload":{END}}}"#
        ))
        .unwrap();
        let reply = |outcome: Option<Outcome>| {
            let reply = request.reply(outcome.as_ref(), None);
            assert_eq!(reply.status, 200);
            serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap()
        };
        let id = "00000000-0000-4000-8000-000000000000";
        let expected = serde_json::json!({"channel":"YQ==","request_id":id,"outcome":"valid"});
        assert_eq!(reply(None), expected);
        let accepted = reply(Some(Outcome::Accepted {
            apns_id: None,
            unique_id: Some("u".into()),
            answer: None,
        }));
        assert_eq!(accepted["outcome"], "accepted");
        assert_eq!(accepted["apns_unique_id"], "u");
        let rejected = reply(Some(Outcome::Rejected {
            status: 400,
            reason: Reason::ChannelNotRegistered,
            invalid_since: None,
            retry_after: None,
            apns_id: None,
        }));
        assert_eq!(
            (&rejected["status"], &rejected["reason"]),
            (&400.into(), &"ChannelNotRegistered".into())
        );
        let lost = reply(Some(Outcome::unanswered(Why::ConnectionLost)));
        assert_eq!(lost["may_resend"], false);
    }

    #[test]
    fn a_broadcast_starts_nothing_unless_the_caller_insists() {
        let start = END.replace("\"end\"", "\"start\"");
        let body = |strict: bool| {
            format!(r#"{{"topic":"a.b","channel":"YQ==","strict":{strict},"payload":{start}}}"#)
        };
        let problem = parse(&body(true)).unwrap_err();
        assert_eq!((problem.status(), problem.rule()), (400, "broadcast-start"));
        let reply = parse(&body(false)).unwrap().reply(None, None);
        let reply: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let first = reply["warnings"][0].as_str().unwrap();
        assert!(
            first.starts_with("payload.aps.event: expected update or end"),
            "{first}"
        );
    }
}
