//! Everything that can go wrong for a caller, as a problem document (RFC 9457).
//!
//! ```json
//! {"type": "urn:dunlin:payload-too-large", "title": "Invalid request", "status": 400,
//!  "detail": "payload: expected at most 4096 bytes, got 5008 bytes",
//!  "field": "payload", "expected": "at most 4096 bytes", "got": "5008 bytes"}
//! ```
//!
//! Where entries of a list are at fault, these are about the first, and `errors` has each of them,
//! up to 100; `more_errors` says how many others there are.
//!
//! `type` names the rule that was broken; it is what a program should look at. `field` is the path
//! in the JSON body, `body` for the whole of it, `?topic=` for a value of the query, `path`, or the
//! name of a header in lower case. What was sent is repeated where it is no secret.

use core::fmt;

use serde::Serialize;

use super::{Reply, Task};
use crate::binary::Unsendable;
use crate::limits::CHANNELS_MAX;
use crate::names;
use crate::notification::InvalidNotification;
use crate::provider::{Reason, Why};
use crate::registry::{ALIAS_MAX_DEVICES, Failure};

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Box<ProblemParts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct ProblemParts {
    status: u16,
    rule: String,
    title: &'static str,
    detail: String,
    field: Option<Field>,
    errors: Vec<FieldError>,
    more_errors: usize,
    apns: Option<Apns>,
    headers: Vec<(&'static str, String)>,
}

/// Most entries of a list that one problem names.
const MAX_ERRORS: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Field {
    field: String,
    expected: String,
    got: String,
}

/// One of several fields at fault, and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct FieldError {
    field: String,
    rule: String,
    expected: String,
    got: String,
}

/// What APNs said, or what is known of its silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Apns {
    Rejected { apns_status: u16, reason: String },
    Unanswered { may_resend: bool, why: String },
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(flatten)]
    field: &'a Option<Field>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    more_errors: Option<usize>,
    #[serde(flatten)]
    apns: &'a Option<Apns>,
}

const OVERLOADED: &str = "overloaded";

impl Problem {
    fn new(status: u16, rule: &str, title: &'static str, detail: impl Into<String>) -> Self {
        let (rule, detail) = (rule.to_owned(), detail.into());
        let headers = Vec::new();
        Self(Box::new(ProblemParts {
            status,
            rule,
            title,
            detail,
            field: None,
            errors: Vec::new(),
            more_errors: 0,
            apns: None,
            headers,
        }))
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// 404: the path is none of ours.
    pub fn not_found() -> Self {
        Self::new(404, "no-such-call", "Not found", "there is no such call")
    }

    /// 405, with what the path takes.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("expected {allow}");
        Self::new(405, "method-not-allowed", "Method not allowed", detail).header("allow", allow)
    }

    /// 401: no API key, or one nobody knows.
    pub fn unauthorized(got: impl Into<String>) -> Self {
        let field = (
            "authorization",
            "Bearer and an API key, as in `Bearer 4f0c…`",
            got,
        );
        Self::about(401, "unauthorized", "Unauthorized", field)
            .header("www-authenticate", "Bearer realm=\"dunlin\"")
    }

    /// 403: the API key does not have the scope.
    pub fn scope_missing(scope: &str) -> Self {
        let detail = format!("this API key does not have the scope {scope}");
        Self::new(403, "scope-missing", "Forbidden", detail)
    }

    /// 403: the API key is bound to other topics.
    pub fn topic_not_allowed() -> Self {
        Self::new(
            403,
            "topic-not-allowed",
            "Forbidden",
            "this API key is bound to other topics",
        )
    }

    /// 400: a value broke a rule.
    pub fn invalid(error: &InvalidNotification) -> Self {
        Self::field(error.rule(), error.field(), error.expected(), error.got())
    }

    /// 400: a field broke a rule.
    pub fn field(
        rule: &str,
        field: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self::about(400, rule, "Invalid request", (field, expected, got))
    }

    /// The first of these, which names all of them, at most [`MAX_ERRORS`]; `None` of none.
    pub(super) fn of_all(problems: Vec<Self>) -> Option<Self> {
        let named = problems.iter().take(MAX_ERRORS);
        let errors: Vec<_> = named.filter_map(Self::field_error).collect();
        let more = problems.len().saturating_sub(MAX_ERRORS);
        let mut first = problems.into_iter().next()?;
        first.0.errors = errors;
        first.0.more_errors = more;
        Some(first)
    }

    fn field_error(&self) -> Option<FieldError> {
        let Field {
            field,
            expected,
            got,
        } = self.0.field.clone()?;
        let rule = self.0.rule.clone();
        Some(FieldError {
            field,
            rule,
            expected,
            got,
        })
    }

    /// The field at fault, what was expected there, and what came; if a field is at fault.
    pub(super) fn at_fault(&self) -> Option<[&str; 3]> {
        let field = self.0.field.as_ref()?;
        Some([&field.field, &field.expected, &field.got])
    }

    /// With the field at fault, what was expected there, and what came.
    fn about(
        status: u16,
        rule: &str,
        title: &'static str,
        (field, expected, got): (impl Into<String>, impl Into<String>, impl Into<String>),
    ) -> Self {
        let (field, expected, got) = (field.into(), expected.into(), got.into());
        let detail = format!("{field}: expected {expected}, got {got}");
        let mut problem = Self::new(status, rule, title, detail);
        problem.0.field = Some(Field {
            field,
            expected,
            got,
        });
        problem
    }

    /// 415: the body is of a type that is not taken.
    pub(super) fn unsupported_type(expected: &'static str, got: String) -> Self {
        let (rule, title) = ("unsupported-media-type", "Unsupported media type");
        Self::about(415, rule, title, ("content-type", expected, got))
            // RFC 9110, section 15.5.16.
            .header("accept", "application/json")
    }

    /// 415: the body is compressed, as its header says or as it looks.
    pub(super) fn compressed(field: &'static str, got: &str) -> Self {
        let (rule, title) = (
            "unsupported-content-encoding",
            "Unsupported content encoding",
        );
        Self::about(
            415,
            rule,
            title,
            (field, "a body that is not compressed", got),
        )
        // RFC 9110, section 12.5.3.
        .header("accept-encoding", "identity")
    }

    /// 404: no device is registered so.
    pub fn unknown_device() -> Self {
        let detail = "this device is not registered for this topic";
        Self::new(404, "unknown-device", "Unknown device", detail)
    }

    /// 400: the binary gateway cannot be told this.
    pub fn unsendable(error: &Unsendable) -> Self {
        let (rule, title) = ("notification-unsendable", "Not for the binary gateway");
        let field = (error.field(), error.expected(), error.got());
        Self::about(400, rule, title, field)
    }

    /// 404: there is no such task.
    pub fn unknown_task(name: &str) -> Self {
        let expected = names::expected_of(name, &Task::ALL.map(Task::as_str));
        let field = ("path", expected, names::shown(name));
        Self::about(404, "unknown-task", "Unknown task", field)
    }

    /// 404: APNs knows no such channel of the app.
    pub fn unknown_channel() -> Self {
        let detail = "the app has no such channel in this environment";
        Self::new(404, "unknown-channel", "Unknown channel", detail)
    }

    /// 409: the app has all the channels it may have.
    pub fn too_many_channels() -> Self {
        let detail = format!("expected at most {CHANNELS_MAX} channels of an app");
        Self::new(409, "too-many-channels", "Too many channels", detail)
    }

    /// `status`: APNs refused what was asked, with a status and a reason of its own.
    pub fn apns_rejected(status: u16, apns_status: u16, reason: &Reason) -> Self {
        let detail = format!("APNs refused it: {apns_status} {reason}");
        let mut problem = Self::new(status, "apns-rejected", "Refused by APNs", detail);
        problem.0.apns = Some(Apns::Rejected {
            apns_status,
            reason: reason.as_str().to_owned(),
        });
        problem
    }

    /// 503 if APNs has certainly not acted on what was asked, 504 if it may have.
    pub fn apns_unanswered(may_resend: bool, why: Why, trouble: Option<&str>) -> Self {
        let trouble = trouble.map_or_else(String::new, |trouble| format!(" ({trouble})"));
        let (status, detail) = match may_resend {
            true => (503, format!("{why}{trouble}; APNs has not acted on it")),
            false => (504, format!("{why}{trouble}; APNs may have acted on it")),
        };
        let mut problem = Self::new(status, "apns-unanswered", "No answer from APNs", detail);
        let why = why.to_string();
        problem.0.apns = Some(Apns::Unanswered { may_resend, why });
        problem
    }

    /// 404: the alias has no devices.
    pub fn unknown_alias() -> Self {
        Self::new(
            404,
            "unknown-alias",
            "Unknown alias",
            "this alias has no devices",
        )
    }

    /// 422: one push would go to more devices than one push may.
    pub fn too_many_devices(limit: usize) -> Self {
        let detail = format!("expected at most {limit} devices of one push; nothing was sent");
        Self::new(422, "too-many-devices", "Too many devices", detail)
    }

    /// 422: more devices are selected than one push may go to.
    pub fn too_many_selected(limit: usize) -> Self {
        let detail = format!(
            "expected at most {limit} devices of one push, and more are selected; nothing was \
             sent; pushes to more of them will come as jobs, in a later version"
        );
        Self::new(422, "too-many-devices", "Too many devices", detail)
    }

    /// 422: what is selected is to be looked for among more devices than one push may look at.
    pub fn too_many_looked_at(limit: usize) -> Self {
        let detail = format!(
            "expected at most {limit} devices to look at for one push: those of the rarest tag in \
             all, or of those in any together; nothing was sent; pushes that look at more will \
             come as jobs, in a later version"
        );
        Self::new(422, "too-many-devices", "Too many devices", detail)
    }

    /// 404: no device of the app is selected.
    pub fn no_devices() -> Self {
        let detail = "no device of the app is selected; nothing was sent";
        Self::new(404, "no-devices", "No devices", detail)
    }

    /// 409: the alias has all the devices it may have.
    pub fn alias_full(limit: usize) -> Self {
        let detail = format!("expected at most {limit} devices of one alias");
        Self::new(409, "alias-full", "Alias full", detail)
    }

    /// 422: one push with an idempotency key would go to more devices than a receipt names.
    pub fn too_many_devices_of_a_receipt(limit: usize) -> Self {
        let detail = format!(
            "expected at most {limit} devices of a push with an idempotency key; nothing was sent"
        );
        Self::new(422, "too-many-devices", "Too many devices", detail)
    }

    /// 409: the push of this idempotency key is under way.
    pub fn under_way() -> Self {
        let detail =
            "a push with this idempotency key is under way; its receipt will say what became of it";
        Self::new(409, "push-under-way", "Push under way", detail).header("retry-after", "1")
    }

    /// 422: the idempotency key was used for another request.
    pub fn key_reused() -> Self {
        let detail = "this idempotency key was used for another request; nothing was sent";
        Self::new(
            422,
            "idempotency-key-reused",
            "Idempotency key reused",
            detail,
        )
    }

    /// 404: no push is known by this idempotency key.
    pub fn unknown_receipt() -> Self {
        let detail = "no push is known by this idempotency key, or it was long ago";
        Self::new(404, "unknown-receipt", "Unknown receipt", detail)
    }

    /// 422: no configured credential covers the topic there.
    pub fn no_credential(topic: &str, environment: &str) -> Self {
        let detail = format!("no credential is configured for {topic} in {environment}");
        Self::new(422, "no-credential", "No credential", detail)
    }

    /// 422: a certificate covers the topic there, and APNs takes none for its push type.
    pub fn provider_token_needed(topic: &str, environment: &str) -> Self {
        let detail = format!(
            "APNs takes {topic} with a provider token only; for it in {environment} there is a \
             certificate, and no key"
        );
        Self::new(
            422,
            "provider-token-needed",
            "Provider token needed",
            detail,
        )
    }

    /// 503: too many pushes wait.
    pub fn queue_full() -> Self {
        Self::new(
            503,
            OVERLOADED,
            "Overloaded",
            "too many pushes wait; nothing was sent",
        )
        .header("retry-after", "1")
    }

    /// Whether it is [`Self::queue_full`], after which nothing was sent.
    pub fn is_of_a_full_queue(&self) -> bool {
        self.0.rule == OVERLOADED
    }

    /// 503: the store does not answer as it should.
    pub fn store(why: &str) -> Self {
        Self::new(503, "store-unavailable", "Store unavailable", why).header("retry-after", "5")
    }

    /// 500: the function cannot work as it is configured. Why is for the operator, in the log.
    pub fn misconfigured() -> Self {
        let detail = "the function cannot work as it is configured; its log says why";
        Self::new(500, "misconfigured", "Misconfigured", detail)
    }

    /// 503: the same as what a probe is told, which is to keep requests away.
    pub fn not_ready(mut self) -> Self {
        self.0.status = 503;
        self
    }

    /// The same of a body that is a line: where in it a text is wrong is told without the number of
    /// the line, which its result has.
    #[must_use]
    pub(super) fn of_line(mut self) -> Self {
        let ProblemParts { detail, field, .. } = &mut *self.0;
        let got = field.as_mut().map(|field| &mut field.got);
        for text in [Some(detail), got].into_iter().flatten() {
            *text = text.replace(" at line 1, column ", " at column ");
        }
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The rule broken, the last part of `type`.
    pub fn rule(&self) -> &str {
        &self.0.rule
    }

    /// The document.
    pub fn into_reply(self) -> Reply {
        let ProblemParts {
            status,
            rule,
            title,
            detail,
            field,
            errors,
            more_errors,
            apns,
            headers,
        } = *self.0;
        let document = Document {
            r#type: format!("urn:dunlin:{rule}"),
            title,
            status,
            detail: &detail,
            field: &field,
            errors: &errors,
            more_errors: (more_errors > 0).then_some(more_errors),
            apns: &apns,
        };
        let reply = Reply::json(status, &document);
        Reply {
            content_type: "application/problem+json",
            headers,
            ..reply
        }
    }
}

impl<E: fmt::Display> From<Failure<E>> for Problem {
    fn from(failure: Failure<E>) -> Self {
        match failure {
            Failure::Store(error) => Self::store(&error.to_string()),
            Failure::Corrupt(error) => Self::store(&error.to_string()),
            Failure::AliasFull => Self::alias_full(ALIAS_MAX_DEVICES),
            Failure::Contended => Self::store("too many writers of one key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_registry_are_told_apart() {
        let of = |failure: Failure<&str>| {
            let problem = Problem::from(failure);
            (problem.status(), problem.rule().to_owned())
        };
        assert_eq!(of(Failure::Store("x")), (503, "store-unavailable".into()));
        assert_eq!(of(Failure::Contended), (503, "store-unavailable".into()));
        assert_eq!(of(Failure::AliasFull), (409, "alias-full".into()));
    }

    #[test]
    fn a_problem_names_rule_and_field() {
        let reply = Problem::field("payload-too-large", "payload", "at most 1", "2").into_reply();
        assert_eq!(
            (reply.status, reply.content_type),
            (400, "application/problem+json")
        );
        let document: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(document["type"], "urn:dunlin:payload-too-large");
        assert_eq!(document["field"], "payload");
        assert_eq!(document["detail"], "payload: expected at most 1, got 2");
    }

    #[test]
    fn a_problem_of_many_is_the_first_and_names_a_hundred() {
        let entry = |n: usize| Problem::field("rule", format!("to[{n}]"), "a", "b");
        let document = |problems: Vec<Problem>| {
            let reply = Problem::of_all(problems).unwrap().into_reply();
            serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap()
        };
        assert_eq!(Problem::of_all(Vec::new()), None);
        let all = document((0..100).map(entry).collect());
        assert_eq!(all["field"], "to[0]");
        assert_eq!(all["errors"].as_array().unwrap().len(), 100);
        let last = serde_json::json!(
            {"field": "to[99]", "rule": "rule", "expected": "a", "got": "b"}
        );
        assert_eq!(all["errors"][99], last);
        assert!(all.get("more_errors").is_none());
        let more = document((0..103).map(entry).collect());
        assert_eq!(more["errors"].as_array().unwrap().len(), 100);
        assert_eq!(more["more_errors"], 3);
    }

    #[test]
    fn a_topic_that_no_certificate_is_taken_for_is_told_from_one_without_a_credential() {
        let problem = Problem::provider_token_needed("a.b.location-query", "production");
        assert_eq!(
            (problem.status(), problem.rule()),
            (422, "provider-token-needed")
        );
        let document = String::from_utf8(problem.into_reply().body).unwrap();
        assert!(document.contains("a.b.location-query"), "{document}");
    }

    #[test]
    fn overload_says_when_to_come_back() {
        let reply = Problem::queue_full().into_reply();
        assert_eq!(reply.headers, [("retry-after", "1".to_owned())]);
        assert!(!String::from_utf8(reply.body).unwrap().contains("field"));
    }
}
