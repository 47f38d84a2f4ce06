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

/// What the options say; what is absent is left to the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of POST /v1/push, by their names")]
pub struct PushOptions {
    pub tokens: Vec<String>,
    pub aliases: Vec<String>,
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
}

#[derive(Debug, Default, Serialize)]
struct PushRequest {
    to: To,
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
        let PushOptions {
            tokens, aliases, ..
        } = options;
        let request = PushRequest {
            to: To { tokens, aliases },
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
        };
        command.check()
    }

    fn check(self) -> Result<Self, Usage> {
        let wrong = |why: &str| Err(Usage(why.to_owned()));
        let To { tokens, aliases } = &self.request.to;
        let has_alert = self.alert != Alert::default();
        match &self.content {
            // What is beside it would be left out in silence, `--dry-run` for one.
            Some(Content::Request(_)) if has_alert || !self.request.says_nothing() => {
                wrong("--request is the whole request; nothing goes beside it")
            }
            Some(Content::Request(_)) => Ok(self),
            _ if tokens.is_empty() == aliases.is_empty() => {
                wrong("expected --token or --alias, and not both")
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
    pub fn body(mut self, content: Vec<u8>) -> Result<Vec<u8>, Usage> {
        let payload = match self.content() {
            Content::Request(_) => return Ok(content),
            Content::Payload(_) => payload_of(content)?,
            Content::Options => self.alert.payload()?,
        };
        self.request.payload = Some(payload);
        serde_json::to_vec(&self.request).map_err(|error| Usage(error.to_string()))
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
