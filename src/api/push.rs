//! The body of `POST /v1/push`, and its reply.

mod line;
mod read;
mod recipients;
mod result;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::body::takes;
use super::idempotency::idempotency_key;
use super::{Problem, Reply};
use crate::environment::Environment;
use crate::notification::{
    ApnsId, CollapseId, Draft, Expiration, InvalidNotification, Notification, Payload, Priority,
    PushType, Topic,
};
use crate::provider::Outcome;
use crate::receipt::IdempotencyKey;
use crate::registry::{Alias, DeviceRef};
use crate::time::UnixTime;

pub use line::{
    PushCounts, PushLine, PushTemplate, push_defaults, read_push_line, read_short_line,
};
pub use recipients::Recipients;
use recipients::{Checked, InvalidEntry, OnInvalid, To};
pub(in crate::api) use result::merged;
pub use result::{PushResult, Skipped, SkippedEntry};

/// A push as it was asked for, every value valid.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// Whom it is for.
    pub to: Recipients,
    /// The app; always there unless the recipients are aliases.
    pub topic: Option<Topic>,
    /// Where to send it, if the caller knows better than the registry.
    pub environment: Option<Environment>,
    /// Check everything and send nothing.
    pub dry_run: bool,
    /// Which way it is to take, if the caller says.
    pub via: Option<Via>,
    /// By the binary gateway, whether to find out what became of a push that it is silent about.
    pub confirm: bool,
    /// What the push is known by, so that it is carried out once however often it is asked for.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Entries of the recipients that are none were skipped, and so is what has no device: the
    /// answer says so of each.
    pub skips: bool,
    invalid: Vec<InvalidEntry>,
    options: PushOptions,
    payload: Payload,
    warnings: Vec<String>,
    /// There is nothing in the payload, which is for the passes of Wallet alone, and which topics
    /// will be meant is not known yet.
    empty_alert: bool,
}

/// A payload, and what was found about it.
struct Inspected {
    payload: Payload,
    warnings: Vec<String>,
    empty_alert: bool,
}

#[derive(Clone, Debug)]
struct PushOptions {
    push_type: Option<PushType>,
    priority: Option<Priority>,
    expiration: Option<Expiration>,
    collapse_id: Option<CollapseId>,
    id: Option<ApnsId>,
}

/// What a body says beside whom it is for.
struct PushBody<'a> {
    topic: Option<Cow<'a, str>>,
    environment: Option<Environment>,
    push_type: Option<Cow<'a, str>>,
    priority: Option<i64>,
    expiration: Option<u64>,
    ttl_s: Option<u64>,
    strict: bool,
    collapse_id: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    payload: &'a RawValue,
    dry_run: bool,
    via: Option<Via>,
    confirm: bool,
    idempotency_key: Option<Cow<'a, str>>,
    collapse_by_key: bool,
    on_invalid: OnInvalid,
}

/// What most results take, in bytes.
const RESULT_BYTES: usize = 180;

/// A way to APNs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// The provider API, by HTTP/2.
    Http2,
    /// The legacy binary gateway.
    Binary,
}

fn invalid(error: InvalidNotification) -> Problem {
    Problem::invalid(&error)
}

impl PushRequest {
    /// Reads the body; `now` is what `ttl_s` counts from, and `caller` whose idempotency keys are
    /// meant.
    ///
    /// What the payload holds is checked against what Apple documents for its push type. With
    /// `"strict": false` that refuses nothing and becomes [warnings](Self::warnings) instead; what
    /// APNs cannot be sent at all, such as a payload too large, is refused all the same.
    ///
    /// # Errors
    /// 400 with the path of the field.
    pub fn parse(bytes: &[u8], now: UnixTime, caller: &str) -> Result<Self, Problem> {
        Self::parse_with_key(bytes, now, caller, None)
    }

    /// The same, with an idempotency key that stands in the header of the request
    /// ([`idempotency_header`](super::idempotency_header)), and means what the field means.
    ///
    /// # Errors
    /// As [`Self::parse`]; also if field and header are not the same.
    pub fn parse_with_key(
        bytes: &[u8],
        now: UnixTime,
        caller: &str,
        header: Option<&str>,
    ) -> Result<Self, Problem> {
        Self::of(PushBody::read(bytes)?, now, caller, header)
    }

    /// What a body asks for whose values are of the right kinds.
    fn of(
        (to, raw): (To<'_>, PushBody<'_>),
        now: UnixTime,
        caller: &str,
        header: Option<&str>,
    ) -> Result<Self, Problem> {
        let skips = raw.on_invalid == OnInvalid::Skip && to.is_list();
        let Checked { to, skipped } = to.check(raw.on_invalid)?;
        let topic = raw
            .topic
            .as_deref()
            .map(Topic::parse)
            .transpose()
            .map_err(invalid)?;
        if topic.is_none() && !matches!(to, Recipients::Aliases(_)) {
            return Err(Problem::field(
                "missing-field",
                "topic",
                takes::TOPIC,
                "nothing",
            ));
        }
        let field = raw.idempotency_key.as_deref();
        let idempotency_key = idempotency_key(caller, field, header)?;
        let mut options = raw.options(now)?;
        if raw.collapse_by_key {
            options.collapse_id = Some(raw.collapse_by(idempotency_key.as_ref())?);
        }
        let is_one = |tokens: &[_]| tokens.len() + skipped.len() == 1;
        if options.id.is_some() && !matches!(&to, Recipients::Tokens(tokens) if is_one(tokens)) {
            let expected = "no identifier unless there is one token, each device has its own";
            return Err(Problem::field("id-of-many", "id", expected, "one"));
        }
        let Inspected {
            payload,
            warnings,
            empty_alert,
        } = raw.inspect(&options, topic.as_ref(), now)?;
        let (environment, dry_run) = (raw.environment, raw.dry_run);
        let (via, confirm) = (raw.via, raw.confirm);
        Ok(Self {
            to,
            topic,
            environment,
            dry_run,
            via,
            confirm,
            idempotency_key,
            skips,
            invalid: skipped,
            options,
            payload,
            warnings,
            empty_alert,
        })
    }

    /// The places of the recipients in the list of the request, in their order; `None` if they are
    /// all of its entries.
    pub fn places(&self) -> Option<Vec<usize>> {
        let last = self.invalid.last()?.index;
        let all = match &self.to {
            Recipients::Tokens(tokens) => tokens.len(),
            Recipients::Aliases(aliases) => aliases.len(),
            Recipients::Selected(_) => 0,
        };
        let mut invalid = self.invalid.iter().map(|entry| entry.index).peekable();
        let end = (all + self.invalid.len()).max(last + 1);
        let is_valid = |place: &usize| invalid.next_if_eq(place).is_none();
        Some((0..end).filter(is_valid).collect())
    }

    /// The entries that nothing is sent for: those that are no recipients, and `others`, both in
    /// the order of the request.
    pub fn skipped(&self, others: Vec<SkippedEntry>) -> Vec<SkippedEntry> {
        let invalid = self.invalid.iter().map(|entry| SkippedEntry {
            index: entry.index,
            why: Skipped::Invalid(entry.problem.clone()),
        });
        let by_index = |entry: SkippedEntry| (entry.index, entry);
        merged(others.into_iter().map(by_index), invalid.map(by_index))
    }

    /// What is unusual about the push, for every device alike: sentences such as
    /// `payload.aps.badge: expected a number, got a string`, at most
    /// [`PAYLOAD_FINDINGS_MAX`](crate::limits::PAYLOAD_FINDINGS_MAX). They quote no text of the
    /// payload but names of keys.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The reply to this push once it was carried out, whatever became of it, or checked for a dry
    /// run: 200, with a result for each device and for each entry that nothing was sent for, in the
    /// order of the request; with the aliases that have no devices; and with the warnings, which
    /// are the same for every device, once.
    pub fn reply(
        &self,
        results: &[PushResult],
        skipped: &[SkippedEntry],
        unmatched: &[Alias],
    ) -> Reply {
        let count = |wanted: fn(&Outcome) -> bool| {
            results
                .iter()
                .filter(|result| result.outcome.as_ref().is_some_and(wanted))
                .count()
        };
        let head = PushReply {
            accepted: count(|outcome| matches!(outcome, Outcome::Accepted { .. })),
            rejected: count(|outcome| matches!(outcome, Outcome::Rejected { .. })),
            unanswered: count(|outcome| matches!(outcome, Outcome::Unanswered { .. })),
            skipped: skipped.len(),
            unmatched: unmatched.iter().map(Alias::as_str).collect(),
            warnings: &self.warnings,
        };
        let mut reply = Reply::json(200, &head);
        let sent = results.iter();
        let sent = sent.map(|result| (result.index, EntryResult::Sent(result)));
        let others = skipped.iter();
        let others = others.map(|entry| (entry.index, EntryResult::Skipped(entry)));
        write_results(&merged(sent, others), &mut reply.body);
        reply
    }

    /// The notification for one device. `fallback_id` names it unless the caller did, by an
    /// identifier or by an idempotency key.
    ///
    /// # Errors
    /// 400 if values that are valid alone do not go together.
    pub fn notification(
        &self,
        device: &DeviceRef,
        fallback_id: ApnsId,
    ) -> Result<Arc<Notification>, Problem> {
        self.notification_after(None, device, fallback_id)
    }

    /// The same, where one for another device is there already, `before`: if that is of the same
    /// topic, it goes to this device, too, and nothing is checked again.
    ///
    /// # Errors
    /// As there.
    pub fn notification_after(
        &self,
        before: Option<&Notification>,
        device: &DeviceRef,
        fallback_id: ApnsId,
    ) -> Result<Arc<Notification>, Problem> {
        let key = self.idempotency_key.as_ref();
        let stable = key.map(|key| key.apns_id(&device.topic, &device.token));
        let id = self.options.id.or(stable).unwrap_or(fallback_id);
        match before.filter(|before| *before.topic() == device.topic) {
            Some(before) => {
                let token = device.token.clone();
                Ok(Arc::new(before.to_device(token, Some(id))))
            }
            None => self.first_notification(device, id),
        }
    }

    fn first_notification(
        &self,
        device: &DeviceRef,
        id: ApnsId,
    ) -> Result<Arc<Notification>, Problem> {
        let (token, topic) = (device.token.clone(), device.topic.clone());
        if self.empty_alert && !topic.is_of_a_pass() {
            return Err(invalid(Payload::empty_alert()));
        }
        let mut draft = Draft::new(token, topic, self.payload.clone());
        let options = &self.options;
        if let Some(push_type) = options.push_type {
            draft = draft.push_type(push_type);
        }
        if let Some(priority) = options.priority {
            draft = draft.priority(priority);
        }
        if let Some(expiration) = options.expiration {
            draft = draft.expiration(expiration);
        }
        if let Some(collapse_id) = &options.collapse_id {
            draft = draft.collapse_id(collapse_id.clone());
        }
        let draft = draft.id(id);
        draft.build().map(Arc::new).map_err(invalid)
    }
}

impl PushBody<'_> {
    /// The payload, and what is unusual about it. A strict caller, which is the default, has it
    /// refused where it is against what Apple documents.
    fn inspect(
        &self,
        options: &PushOptions,
        topic: Option<&Topic>,
        now: UnixTime,
    ) -> Result<Inspected, Problem> {
        let inspected = Payload::inspect(self.payload.get().as_bytes(), options.push_type);
        let mut inspected = inspected.map_err(invalid)?;
        // A push type that was forgotten shows best in the topic: every finding below follows from
        // it.
        if let Some(topic) = topic {
            inspected.push_type.check_topic(topic).map_err(invalid)?;
            inspected.check_topic(topic);
        } else if !self.strict {
            inspected.check_app();
        }
        let mut findings = inspected.findings;
        if self.strict
            && let Some(violation) = findings.violation()
        {
            return Err(Problem::invalid(violation));
        }
        let (push_type, priority) = (inspected.push_type, options.priority);
        if let Some(remark) = priority.and_then(|given| push_type.remark_on(given)) {
            findings.remark(remark);
        }
        let expiration = options.expiration;
        if let Some(remark) =
            expiration.and_then(|given| push_type.remark_on_expiration(given, now))
        {
            let named = self.ttl_s.map_or("expiration", |_| "ttl_s");
            findings.remark(remark.at(named));
        }
        let warnings = findings.as_slice().iter().map(ToString::to_string);
        Ok(Inspected {
            payload: inspected.payload,
            warnings: warnings.collect(),
            empty_alert: self.strict && topic.is_none() && inspected.is_empty_alert,
        })
    }

    fn collapse_by(&self, key: Option<&IdempotencyKey>) -> Result<CollapseId, Problem> {
        let wrong = |expected: &str, got: &str| {
            Problem::field("collapse-by-key", "collapse_by_key", expected, got)
        };
        if self.collapse_id.is_some() {
            return Err(wrong("no collapse_id beside it", "one"));
        }
        key.and_then(IdempotencyKey::collapse_id)
            .ok_or_else(|| wrong("an idempotency_key beside it", "none"))
    }

    fn options(&self, now: UnixTime) -> Result<PushOptions, Problem> {
        let expiration = match (self.expiration, self.ttl_s) {
            (Some(_), Some(_)) => {
                let expected = "either expiration or ttl_s";
                return Err(Problem::field(
                    "expiration-twice",
                    "ttl_s",
                    expected,
                    "both",
                ));
            }
            (Some(secs), None) => Some(Expiration::named(secs).map_err(invalid)?),
            (None, Some(secs)) => {
                let ttl = Duration::from_secs(secs);
                Some(Expiration::from_ttl(now, ttl).map_err(invalid)?)
            }
            (None, None) => None,
        };
        let push_type = self.push_type.as_deref().map(PushType::parse).transpose();
        let priority = self.priority.map(Priority::from_number).transpose();
        let collapse_id = self
            .collapse_id
            .as_deref()
            .map(CollapseId::parse)
            .transpose();
        let id = self.id.as_deref().map(ApnsId::parse).transpose();
        Ok(PushOptions {
            push_type: push_type.map_err(invalid)?,
            priority: priority.map_err(invalid)?,
            expiration,
            collapse_id: collapse_id.map_err(invalid)?,
            id: id.map_err(invalid)?,
        })
    }
}

/// A reply without its results.
#[derive(Serialize)]
struct PushReply<'a> {
    accepted: usize,
    rejected: usize,
    unanswered: usize,
    skipped: usize,
    unmatched: Vec<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
}

/// What became of an entry.
enum EntryResult<'a> {
    Sent(&'a PushResult),
    Skipped(&'a SkippedEntry),
}

/// Adds results as the last member of a reply, which has others.
fn write_results(results: &[EntryResult<'_>], reply: &mut Vec<u8>) {
    // The brace that closes it.
    reply.pop();
    reply.reserve(RESULT_BYTES * results.len());
    reply.extend_from_slice(b",\"results\":[");
    for (place, entry) in results.iter().enumerate() {
        if place > 0 {
            reply.push(b',');
        }
        match entry {
            EntryResult::Sent(result) => result.write(reply),
            EntryResult::Skipped(entry) => entry.write(reply),
        }
    }
    reply.extend_from_slice(b"]}");
}

#[cfg(test)]
mod tests;
