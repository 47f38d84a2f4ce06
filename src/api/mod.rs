//! The HTTP interface, version 1: requests in, replies and problem documents out.
//!
//! ```text
//!   method, path ──► Route          (or a 404 / 405 problem)
//!   Authorization ─► Caller         (or 401 / 403)
//!   Content-Type, Content-Encoding ─► BodyKind   (or 415)
//!   query ─────────► Topic, DeviceQuery   (or 400 with the name of the field)
//!   body ──────────► PushRequest, BroadcastRequest, Registration   (or 400 with the field's path)
//!   results ───────► Reply
//! ```
//!
//! Nothing here does anything: which store is asked and how a push is delivered is the caller's.

pub mod aside;
mod auth;
mod body;
mod broadcast;
mod channels;
mod device;
mod form;
mod idempotency;
mod lines;
mod media;
mod problem;
mod push;
mod query;
mod receipt;
mod registration;
mod route;
mod task;

pub use auth::{Caller, admit, authenticate};
pub use broadcast::BroadcastRequest;
pub use channels::{ChannelsOf, channel_reply, parse_channel_query, parse_new_channel};
pub use device::{device_page_reply, device_reply};
pub use idempotency::{idempotency_header, refuse_idempotency_key};
pub use lines::{
    Defaults, LINES_TYPE, LineRead, LineResult, Reference, are_lines, check_lines, write_summary,
};
pub use media::BodyKind;
pub use problem::Problem;
pub use push::{
    PushCounts, PushLine, PushRequest, PushResult, PushTemplate, Recipients, Skipped, SkippedEntry,
    Via, push_defaults, read_push_line, read_short_line,
};
pub use query::{DeviceQuery, parse_device_query, parse_topic, parse_topic_query};
pub use receipt::{receipt_key, receipt_reply, repeated_reply};
pub use registration::{
    RegistrationCounts, parse_posted_registration, parse_registration, read_registration_line,
    registration_defaults,
};
pub use route::Route;
pub use task::{AppFeedback, FeedbackCounts, FeedbackReport, SweepReport, Task};

/// A reply: a status, what the body is, and the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Of the body; also tells a problem from an answer. Empty with 204, which has no body: then
    /// neither this nor a length is sent (RFC 9110, section 8.6).
    pub content_type: &'static str,
    /// Headers beside it, lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Bytes.
    pub body: Vec<u8>,
}

/// Without the body, which names devices and aliases.
impl core::fmt::Debug for Reply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}

impl Reply {
    /// 204: done, and nothing to say.
    pub const fn no_content() -> Self {
        Self {
            status: 204,
            content_type: "",
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// JSON that was written before.
    pub(crate) fn raw_json(status: u16, body: &str) -> Self {
        Self {
            status,
            content_type: "application/json",
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    /// The same with a header, its name in lower case.
    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// A JSON body.
    pub fn json(status: u16, body: &impl serde::Serialize) -> Self {
        // Our reply types hold strings, numbers and lists of them: they always serialise.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self {
            status,
            content_type: "application/json",
            headers: Vec::new(),
            body,
        }
    }
}

#[cfg(test)]
mod tests;
