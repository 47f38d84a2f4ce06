//! The options of `push` become the body of `POST /v1/push`. What the values mean, and whether they
//! are valid, is decided where that is read.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::rest::{Next, Rest, unknown};
use super::usage::Usage;
use crate::json;

/// Where the content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The options alone.
    Options,
    /// The payload is in this file, or on the standard input if it is `-`.
    Payload(PathBuf),
    /// The whole request is.
    Request(PathBuf),
}

impl Content {
    /// Whether it is to be read from the standard input.
    pub fn is_on_standard_input(&self) -> bool {
        match self {
            Self::Options => false,
            Self::Payload(path) | Self::Request(path) => path.as_os_str() == "-",
        }
    }
}

/// What the options say; what is absent is left to the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of POST /v1/push, by their names")]
pub struct PushOptions {
    pub tokens: Vec<String>,
    pub aliases: Vec<String>,
    pub any_tags: Vec<String>,
    pub all_tags: Vec<String>,
    pub no_tags: Vec<String>,
    pub all: bool,
    /// The tokens come later, many at a time.
    pub has_batches: bool,
    pub topic: Option<String>,
    pub environment: Option<String>,
    pub push_type: Option<String>,
    pub priority: Option<u64>,
    pub ttl_s: Option<u64>,
    pub collapse_id: Option<String>,
    pub id: Option<String>,
    pub via: Option<String>,
    pub no_confirm: bool,
    pub no_strict: bool,
    pub idempotency_key: Option<String>,
    pub dry_run: bool,
    pub alert: Option<String>,
    pub title: Option<String>,
    pub badge: Option<u64>,
    pub sound: Option<String>,
    /// A file with the payload, or a whole request.
    pub content: Option<Content>,
}

/// A push as the options say it.
#[derive(Debug, Default)]
pub struct PushCommand {
    request: PushRequest,
    alert: Alert,
    content: Option<Content>,
    has_batches: bool,
}

/// A push whose tokens come many at a time, each of these a request of its own.
#[derive(Debug)]
pub struct BatchedPush {
    request: PushRequest,
    idempotency_key: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct PushRequest {
    to: To,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_invalid: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    push_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collapse_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
}

impl PushRequest {
    fn json(&self) -> Result<Vec<u8>, Usage> {
        serde_json::to_vec(self).map_err(|error| Usage(error.to_string()))
    }

    fn says_nothing(&self) -> bool {
        let json = |request: &Self| serde_json::to_string(request).ok();
        json(self) == json(&Self::default())
    }
}

#[derive(Debug, Default, Serialize)]
struct To {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    #[serde(skip_serializing_if = "Tags::says_nothing")]
    tags: Tags,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    all: bool,
}

#[derive(Debug, Default, Serialize)]
struct Tags {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    any: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    all: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    none: Vec<String>,
}

impl Tags {
    fn says_nothing(&self) -> bool {
        [&self.any, &self.all, &self.none]
            .iter()
            .all(|tags| tags.is_empty())
    }
}

impl To {
    /// How many kinds of recipients are named.
    fn kinds(&self) -> usize {
        let kinds = [
            !self.tokens.is_empty(),
            !self.aliases.is_empty(),
            !self.tags.says_nothing(),
            self.all,
        ];
        kinds.iter().filter(|is_named| **is_named).count()
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Alert {
    title: Option<String>,
    body: Option<String>,
    badge: Option<u64>,
    sound: Option<String>,
}

/// `None` if help was asked for.
pub(super) fn parse(rest: &mut Rest) -> Result<Option<PushCommand>, Usage> {
    let mut options = PushOptions::default();
    loop {
        match rest.next()? {
            Next::End => return PushCommand::new(options).map(Some),
            Next::Help => return Ok(None),
            Next::Option(name) => options.take(&name, rest)?,
        }
    }
}

impl PushOptions {
    fn take(&mut self, name: &str, rest: &mut Rest) -> Result<(), Usage> {
        match name {
            "token" => self.tokens.push(rest.text()?),
            "alias" => self.aliases.push(rest.text()?),
            "tag" => self.any_tags.push(rest.text()?),
            "and-tag" => self.all_tags.push(rest.text()?),
            "not-tag" => self.no_tags.push(rest.text()?),
            "all" => self.all = true,
            "topic" => self.topic = Some(rest.text()?),
            "environment" => self.environment = Some(rest.text()?),
            "push-type" => self.push_type = Some(rest.text()?),
            "priority" => self.priority = Some(rest.number(name)?),
            "ttl" => self.ttl_s = Some(rest.number(name)?),
            "collapse-id" => self.collapse_id = Some(rest.text()?),
            "id" => self.id = Some(rest.text()?),
            "via" => self.via = Some(rest.text()?),
            "no-confirm" => self.no_confirm = true,
            "no-strict" => self.no_strict = true,
            "idempotency-key" => self.idempotency_key = Some(rest.text()?),
            "dry-run" => self.dry_run = true,
            "alert" => self.alert = Some(rest.text()?),
            "title" => self.title = Some(rest.text()?),
            "badge" => self.badge = Some(rest.number(name)?),
            "sound" => self.sound = Some(rest.text()?),
            "payload" | "request" if self.content.is_some() => {
                return Err(Usage("expected one --payload or --request".to_owned()));
            }
            "payload" => self.content = Some(Content::Payload(rest.parser.value()?.into())),
            "request" => self.content = Some(Content::Request(rest.parser.value()?.into())),
            _ => return Err(unknown(name)),
        }
        Ok(())
    }
}

impl PushCommand {
    /// Puts the options together.
    ///
    /// # Errors
    /// If they do not go together, or something is missing.
    pub fn new(options: PushOptions) -> Result<Self, Usage> {
        let to = To {
            tokens: options.tokens,
            aliases: options.aliases,
            tags: Tags {
                any: options.any_tags,
                all: options.all_tags,
                none: options.no_tags,
            },
            all: options.all,
        };
        let request = PushRequest {
            to,
            on_invalid: None,
            topic: options.topic,
            environment: options.environment,
            push_type: options.push_type,
            priority: options.priority,
            ttl_s: options.ttl_s,
            collapse_id: options.collapse_id,
            id: options.id,
            via: options.via,
            confirm: options.no_confirm.then_some(false),
            strict: options.no_strict.then_some(false),
            idempotency_key: options.idempotency_key,
            dry_run: options.dry_run.then_some(true),
            payload: None,
        };
        let alert = Alert {
            title: options.title,
            body: options.alert,
            badge: options.badge,
            sound: options.sound,
        };
        let content = options.content;
        let command = Self {
            request,
            alert,
            content,
            has_batches: options.has_batches,
        };
        command.check()
    }

    fn check(self) -> Result<Self, Usage> {
        let wrong = |why: &str| Err(Usage(why.to_owned()));
        let kinds = self.request.to.kinds() + usize::from(self.has_batches);
        let has_alert = self.alert != Alert::default();
        match &self.content {
            // What is beside it would be left out in silence, `--dry-run` for one.
            Some(Content::Request(_))
                if has_alert || self.has_batches || !self.request.says_nothing() =>
            {
                wrong("--request is the whole request; nothing goes beside it")
            }
            Some(Content::Request(_)) => Ok(self),
            _ if kinds != 1 => wrong(match self.has_batches {
                true => "expected --tokens-from, and no other recipients beside it",
                false => "expected --token or --alias, or tags, or --all, and not both",
            }),
            _ if self.has_batches && self.request.id.is_some() => {
                wrong("--id names a push to one token; with --tokens-from each has its own")
            }
            Some(Content::Payload(_)) if has_alert => {
                wrong("expected either --payload or --alert and its like")
            }
            None if !has_alert => wrong("expected --alert or --payload"),
            _ => Ok(self),
        }
    }

    /// What has to be read for it.
    pub fn content(&self) -> Content {
        self.content.clone().unwrap_or(Content::Options)
    }

    /// The body of the request, given what [`Self::content`] names; nothing is given for
    /// [`Content::Options`].
    ///
    /// # Errors
    /// If a payload is not JSON.
    pub fn body(self, content: Vec<u8>) -> Result<Vec<u8>, Usage> {
        match self.content() {
            Content::Request(_) => Ok(content),
            _ => self.with_payload(content)?.json(),
        }
    }

    /// The push whose tokens come many at a time, given what [`Self::content`] names.
    ///
    /// # Errors
    /// As [`Self::body`].
    pub fn batched(self, content: Vec<u8>) -> Result<BatchedPush, Usage> {
        let mut request = self.with_payload(content)?;
        request.on_invalid = Some("skip");
        Ok(BatchedPush {
            idempotency_key: request.idempotency_key.take(),
            request,
        })
    }

    fn with_payload(mut self, content: Vec<u8>) -> Result<PushRequest, Usage> {
        let payload = match self.content {
            Some(_) => payload_of(content)?,
            None => self.alert.payload()?,
        };
        self.request.payload = Some(payload);
        Ok(self.request)
    }
}

impl BatchedPush {
    /// The body of the request for these tokens, those of the batch of this number. An entry that
    /// is no token is passed over. The idempotency key of a batch is that of the push and its
    /// number, so that the same list again is sent once.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn body(&mut self, number: u64, tokens: Vec<String>) -> Result<Vec<u8>, Usage> {
        self.request.to.tokens = tokens;
        let key = self.idempotency_key.as_ref();
        self.request.idempotency_key = key.map(|key| format!("{key}:{number}"));
        self.request.json()
    }
}

/// The payload goes out as it is in the file, but for the white space and the byte order mark
/// around it.
fn payload_of(content: Vec<u8>) -> Result<Box<RawValue>, Usage> {
    let wrong = |got: String| Usage(format!("the payload is not JSON: got {got}"));
    let text = String::from_utf8(content).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        wrong(format!("no UTF-8 at byte {at}"))
    })?;
    // Editors on Windows begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
    let payload = RawValue::from_string(text.to_owned());
    payload.map_err(|error| wrong(json::fault(text, &error)))
}

#[derive(Serialize)]
struct Payload<'a> {
    aps: Aps<'a>,
}

#[derive(Serialize)]
struct Aps<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<AlertValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    badge: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sound: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AlertValue<'a> {
    Text(&'a str),
    Parts {
        title: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<&'a str>,
    },
}

impl Alert {
    fn payload(&self) -> Result<Box<RawValue>, Usage> {
        let body = self.body.as_deref();
        let alert = match &self.title {
            Some(title) => Some(AlertValue::Parts { title, body }),
            None => body.map(AlertValue::Text),
        };
        let aps = Aps {
            alert,
            badge: self.badge,
            sound: self.sound.as_deref(),
        };
        to_raw_value(&Payload { aps }).map_err(|error| Usage(error.to_string()))
    }
}
