//! What a line of pushes is: a push to one device, which goes with others, or a request of its own.

use std::rc::Rc;
use std::sync::Arc;

use crate::api::{
    Caller, Defaults, Problem, PushLine, PushRequest, PushTemplate, Recipients, Reference, Via,
    read_push_line, read_short_line,
};
use crate::environment::Environment;
use crate::notification::Notification;
use crate::registry::DeviceRef;
use crate::service::Platform;
use crate::service::platform::new_apns_id;
use crate::time::{Now, UnixTime};

/// What an alias counts for among requests, where a token counts for one: how many devices it has
/// is not known yet.
const OF_ALIAS: usize = 64;

/// The same of tags: as much as there may be at once.
const OF_TAGS: usize = 1_024;

/// When lines were taken.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) now: Now,
    pub(super) asked_at: UnixTime,
}

/// What a push says beside its notification.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) environment: Option<Environment>,
    pub(super) via: Option<Via>,
    pub(super) confirm: bool,
    pub(super) dry_run: bool,
    pub(super) warnings: Rc<[String]>,
}

/// A line to one device.
pub(super) struct One {
    pub(super) number: u64,
    pub(super) bytes: usize,
    pub(super) reference: Option<Reference>,
    pub(super) notification: Arc<Notification>,
    pub(super) options: Options,
}

/// A line that is to be carried out as a request of its own.
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) bytes: usize,
    pub(super) reference: Option<Reference>,
    pub(super) request: PushRequest,
    pub(super) names_one_token: bool,
    /// What it is known by to an idempotency key: without defaults the same as a request with this
    /// body.
    pub(super) body: Vec<u8>,
}

/// What a line is.
pub(super) enum Read {
    One(One),
    Call(Box<Call>),
}

/// Why a line is not carried out, and what it is known by.
type Refused = (Option<Reference>, Problem);

/// Reads lines of one caller.
pub(super) struct LineReader<'a> {
    caller: Caller<'a>,
    defaults: Option<Defaults>,
    template: Option<Template>,
}

struct Template {
    push: PushTemplate,
    options: Options,
    /// Why the caller may not push it.
    refusal: Option<Problem>,
}

impl<'a> LineReader<'a> {
    /// Without defaults.
    pub(super) const fn new(caller: Caller<'a>) -> Self {
        Self {
            caller,
            defaults: None,
            template: None,
        }
    }

    /// From now on lines have these.
    pub(super) fn set_defaults(&mut self, defaults: Defaults) {
        self.defaults = Some(defaults);
    }

    /// Reads the defaults again: what they say of time counts from `now`.
    pub(super) fn refresh(&mut self, now: UnixTime) {
        let defaults = self.defaults.as_ref();
        self.template = defaults.and_then(|defaults| {
            let push = PushTemplate::new(defaults, now, self.caller.name())?;
            let refusal = self
                .caller
                .require_topic(push.request.topic.as_ref()?)
                .err();
            let options = Options::of(&push.request);
            Some(Template {
                push,
                options,
                refusal,
            })
        });
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(
        &self,
        platform: &impl Platform,
        number: u64,
        content: &[u8],
        taken: Taken,
    ) -> Result<Read, Refused> {
        let bytes = content.len();
        if let Some(template) = &self.template
            && let Some((token, reference)) = read_short_line(content)
        {
            if let Some(problem) = &template.refusal {
                return Err((reference, problem.clone()));
            }
            return Ok(Read::One(One {
                number,
                bytes,
                reference,
                notification: template.push.to_device(token, new_apns_id(platform)),
                options: template.options.clone(),
            }));
        }
        let (defaults, caller) = (self.defaults.as_ref(), self.caller.name());
        let line = read_push_line(content, defaults, taken.asked_at, caller);
        let reference = line.reference;
        let PushLine {
            request,
            names_one_token,
        } = match line.read {
            Ok(line) => line,
            Err(problem) => return Err((reference, problem)),
        };
        let has_key = request.idempotency_key.is_some() && !request.dry_run;
        if !names_one_token || has_key {
            let body = self.body(content);
            return Ok(Read::Call(Box::new(Call {
                number,
                bytes,
                reference,
                request,
                names_one_token,
                body,
            })));
        }
        match self.notification(platform, &request) {
            Ok(notification) => Ok(Read::One(One {
                number,
                bytes,
                reference,
                notification,
                options: Options::of(&request),
            })),
            Err(problem) => Err((reference, problem)),
        }
    }

    fn notification(
        &self,
        platform: &impl Platform,
        request: &PushRequest,
    ) -> Result<Arc<Notification>, Problem> {
        let (Some(topic), Recipients::Tokens(tokens)) = (&request.topic, &request.to) else {
            // A push to a token has both.
            return Err(Problem::misconfigured());
        };
        self.caller.require_topic(topic)?;
        let device = tokens.first().map(|token| DeviceRef {
            topic: topic.clone(),
            token: token.clone(),
        });
        let device = device.ok_or_else(Problem::misconfigured)?;
        request.notification(&device, new_apns_id(platform))
    }

    fn body(&self, content: &[u8]) -> Vec<u8> {
        match &self.defaults {
            Some(defaults) => [defaults.text().as_bytes(), content].join(&b'\n'),
            None => content.to_vec(),
        }
    }
}

impl Options {
    fn of(request: &PushRequest) -> Self {
        Self {
            environment: request.environment,
            via: request.via,
            confirm: request.confirm,
            dry_run: request.dry_run,
            warnings: request.warnings().into(),
        }
    }
}

impl Call {
    /// How much it may be, in tokens.
    pub(super) fn weight(&self) -> usize {
        match &self.request.to {
            Recipients::Tokens(tokens) => tokens.len(),
            Recipients::Aliases(aliases) => aliases.len().saturating_mul(OF_ALIAS),
            Recipients::Selected(_) => OF_TAGS,
        }
    }
}
