//! A push that is a line among others, and its result.
//!
//! ```text
//!   defaults with topic and payload ─► PushTemplate: what does not change from device to device
//!   {"to":{"token":"a1…"},"ref":…} ─► the token alone: nothing else is read or checked again
//!   any other line, with the defaults below it ─► PushRequest
//! ```

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::read::{BODY, LINE_FIELDS};
use super::recipients::To;
use super::{PushBody, PushRequest, PushResult, Recipients};
use crate::api::lines::{Defaults, LineKind, LineRead, LineResult, Reference};
use crate::api::receipt::REPEATED;
use crate::api::{Problem, Reply};
use crate::notification::{ApnsId, DeviceToken, Notification};
use crate::provider::Outcome;
use crate::registry::DeviceRef;
use crate::time::UnixTime;

static KIND: LineKind = LineKind {
    fields: &LINE_FIELDS,
    takes: BODY,
    own: &["to", "id", "idempotency_key", "ref"],
    either: &[
        &["expiration", "ttl_s"],
        &["collapse_id", "collapse_by_key"],
    ],
};

/// A line.
#[derive(Debug)]
pub struct PushLine {
    /// What it asks for.
    pub request: PushRequest,
    /// It names one token, and not a list: its result is that of the token.
    pub names_one_token: bool,
}

/// Reads a first line that has defaults; `None` if it has not.
///
/// # Errors
/// 400 if there is something beside them or among them that cannot be one. Whether their values are
/// good is seen with each line, which may have others.
pub fn push_defaults(line: &[u8]) -> Result<Option<Defaults>, Problem> {
    KIND.defaults(line)
}

/// Reads a line; `now` and `caller` are as for [`PushRequest::parse`].
pub fn read_push_line(
    line: &[u8],
    defaults: Option<&Defaults>,
    now: UnixTime,
    caller: &str,
) -> LineRead<PushLine> {
    KIND.read(line, defaults, |members| {
        let body = PushBody::of(members)?;
        let names_one_token = matches!(body.0, To::Token(_));
        Ok(PushLine {
            request: PushRequest::of(body, now, caller, None)?,
            names_one_token,
        })
    })
}

/// The push of a line that has nothing of its own but a token.
#[derive(Debug)]
pub struct PushTemplate {
    /// What the defaults ask for.
    pub request: PushRequest,
    /// To a device that is none.
    notification: Arc<Notification>,
}

impl PushTemplate {
    /// Of defaults that say everything but who it is for; `now` and `caller` are as for
    /// [`PushRequest::parse`]. `None` if they do not, or if something about them is wrong, which is
    /// then said to each line.
    pub fn new(defaults: &Defaults, now: UnixTime, caller: &str) -> Option<Self> {
        let members = KIND.members(defaults).ok()?;
        let body = PushBody::rest(&members).ok()?;
        let to = To::Token("00".into());
        let request = PushRequest::of((to, body), now, caller, None).ok()?;
        let (Some(topic), Recipients::Tokens(tokens)) = (&request.topic, &request.to) else {
            return None;
        };
        let device = DeviceRef {
            topic: topic.clone(),
            token: tokens.first()?.clone(),
        };
        let notification = request
            .notification(&device, ApnsId::from_random([0; 16]))
            .ok()?;
        Some(Self {
            request,
            notification,
        })
    }

    /// The notification for a device.
    pub fn to_device(&self, token: DeviceToken, id: ApnsId) -> Arc<Notification> {
        Arc::new(self.notification.to_device(token, Some(id)))
    }
}

/// Reads a line that has a token and perhaps a reference, and nothing else, both as plain as they
/// mostly are. What it does not read may still be such a line.
pub fn read_short_line(line: &[u8]) -> Option<(DeviceToken, Option<Reference>)> {
    let mut rest = line;
    let (mut token, mut reference) = (None, None);
    let mut next = b'{';
    loop {
        symbol(&mut rest, next)?;
        match text(&mut rest)? {
            "\"to\"" if token.is_none() => {
                symbol(&mut rest, b':')?;
                symbol(&mut rest, b'{')?;
                (text(&mut rest)? == "\"token\"").then_some(())?;
                symbol(&mut rest, b':')?;
                let digits = text(&mut rest)?.trim_matches('"');
                token = Some(DeviceToken::parse_hex(digits).ok()?);
                symbol(&mut rest, b'}')?;
            }
            "\"ref\"" if reference.is_none() => {
                symbol(&mut rest, b':')?;
                reference = Some(Reference::of_plain(text(&mut rest)?)?);
            }
            _ => return None,
        }
        match rest.trim_ascii_start() {
            [b'}', end @ ..] if end.trim_ascii().is_empty() => break,
            _ => next = b',',
        }
    }
    Some((token?, reference))
}

/// Takes a symbol from the front, and blanks before it.
fn symbol(rest: &mut &[u8], symbol: u8) -> Option<()> {
    match rest.trim_ascii_start() {
        [first, behind @ ..] if *first == symbol => {
            *rest = behind;
            Some(())
        }
        _ => None,
    }
}

/// Takes a text in quotes from the front that has no escapes, and blanks before it.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let start = rest.trim_ascii_start();
    let inside = start.strip_prefix(b"\"")?;
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    let end = inside.iter().position(is_special)?;
    if inside.get(end) != Some(&b'"') {
        return None;
    }
    let (quoted, behind) = start.split_at_checked(end + 2)?;
    *rest = behind;
    core::str::from_utf8(quoted).ok()
}

/// What became of all lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PushCounts {
    /// Lines with a push, each of which has a result.
    pub lines: u64,
    /// Notifications that APNs took.
    pub accepted: u64,
    /// Notifications that APNs refused.
    pub rejected: u64,
    /// Notifications without an answer.
    pub unanswered: u64,
    /// Notifications of dry runs.
    pub valid: u64,
    /// Entries of lists that nothing was sent for.
    pub skipped: u64,
    /// Aliases without a device, of the lines that were carried out.
    pub unmatched: u64,
    /// Lines that were not carried out.
    pub failed: u64,
}

impl PushCounts {
    /// Writes and counts the result of a line to one device.
    pub fn one(&mut self, line: LineResult<'_>, result: &PushResult, warnings: &[String]) {
        let count = match &result.outcome {
            None => &mut self.valid,
            Some(Outcome::Accepted { .. }) => &mut self.accepted,
            Some(Outcome::Rejected { .. }) => &mut self.rejected,
            Some(Outcome::Unanswered { .. }) => &mut self.unanswered,
        };
        *count += 1;
        self.lines += 1;
        let mut document = Vec::new();
        result.write(&mut document);
        let line = line.members(alone(&document));
        match warnings {
            [] => line.end(),
            some => line.member("warnings", &some).end(),
        }
    }

    /// Writes and counts the result of a line by the reply that the same call has. If the line
    /// `names_one_token`, its result is that of the token.
    pub fn reply(&mut self, line: LineResult<'_>, reply: &Reply, names_one_token: bool) {
        let Ok(document) = serde_json::from_slice::<ReplyRead<'_>>(&reply.body) else {
            // Ours can be read.
            let problem = Problem::store("a receipt cannot be read");
            return self.failed(line, problem);
        };
        self.lines += 1;
        self.accepted += document.accepted;
        self.rejected += document.rejected;
        self.unanswered += document.unanswered;
        self.skipped += document.skipped;
        self.unmatched += count(document.unmatched.len());
        let valid = |result: &&&RawValue| result.get().contains("\"outcome\":\"valid\"");
        self.valid += count(document.results.iter().filter(valid).count());
        let is_repeated = reply.headers.iter().any(|(name, _)| *name == REPEATED);
        let line = match document.results.as_slice() {
            [one] if names_one_token => {
                let line = line.members(alone(one.get().as_bytes()));
                match document.warnings {
                    Some(warnings) => line.member("warnings", &warnings),
                    None => line,
                }
            }
            _ => line.object(&reply.body),
        };
        match is_repeated {
            true => line.member("repeated", &true).end(),
            false => line.end(),
        }
    }

    /// Writes and counts the result of a line that was not carried out.
    pub fn failed(&mut self, line: LineResult<'_>, problem: Problem) {
        self.lines += 1;
        self.failed += 1;
        line.failed(problem);
    }
}

/// The members of the result of the only token there is, without its place in a list.
fn alone(document: &[u8]) -> &[u8] {
    let inside = document.strip_prefix(b"{").unwrap_or_default();
    let inside = inside.strip_suffix(b"}").unwrap_or_default();
    inside.strip_prefix(b"\"index\":0,").unwrap_or(inside)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// What a reply of ours has.
#[derive(Deserialize)]
struct ReplyRead<'a> {
    accepted: u64,
    rejected: u64,
    unanswered: u64,
    #[serde(default)]
    skipped: u64,
    #[serde(borrow)]
    unmatched: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    warnings: Option<&'a RawValue>,
    #[serde(borrow)]
    results: Vec<&'a RawValue>,
}

#[cfg(test)]
mod tests;
