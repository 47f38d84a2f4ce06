//! Turns a script ("the next two requests get 429") into what happens to one request, one
//! notification of the gateway, or one connection.
//!
//! Source: the misbehaviour seen in the field, `docs/protocols.md` 3.1 (GOAWAY with a JSON reason,
//! the stream limit that changes), 3.5 and 1.5; RFC 9113 section 7 (error codes).
//!
//! The first fault of the script that fits a request is the one it gets; if none does, the mix of
//! `random` may have one. The request was judged before that, so a valid provider token counts as
//! seen even if the answer is another. The same goes for the notifications of the gateway. What
//! sets a fault off follows from its action, and for the calls about channels from [`Fault::call`].
//!
//! Limit: [`MAX_FAULTS`] in the script; one more is refused with an error.

mod action;
mod random;

use std::collections::BTreeMap;
use std::fmt;

pub use self::action::{Action, FeedbackAction, GatewayAction};
use self::random::Random;
pub use self::random::{MAX_STREAM_LIMITS, RandomFaults};
use crate::journal::Call;
use crate::stats::Service;

/// One line of the script: what happens, to which requests, how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub action: Action,
    /// How often at most; `None` means for ever.
    pub times: Option<u32>,
    /// Only to requests whose device token, or whose channel, begins with this (case does not
    /// matter). Means nothing to connections.
    pub token_prefix: Option<String>,
    /// Only to pushes, to broadcasts, or to calls about channels; `None` means any. For
    /// connections, [`Call::Channels`] means those to the management of channels, and anything else
    /// those to the provider API. Means nothing to the binary protocols.
    pub call: Option<Call>,
    /// Not to the first so many of the requests that fit otherwise and that no earlier fault of the
    /// script took.
    pub skip: u32,
    /// Only to every n-th of the requests that fit otherwise, counted after `skip`. 0 and 1 mean
    /// each.
    pub every: Option<u32>,
    /// Milliseconds to wait first, at most [`MAX_DELAY_MS`].
    pub delay_ms: u64,
}

impl Fault {
    /// Happens to the next request.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            times: Some(1),
            token_prefix: None,
            call: None,
            skip: 0,
            every: None,
            delay_ms: 0,
        }
    }

    /// An answer with this status and reason to the next request.
    pub fn status(status: u16, reason: &str) -> Self {
        Self::new(Action::Status {
            status,
            reason: Some(reason.to_owned()),
            timestamp_ms: None,
            retry_after: None,
        })
    }

    /// The same, `times` times.
    pub fn times(self, times: u32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// The same, for ever.
    pub fn always(self) -> Self {
        Self {
            times: None,
            ..self
        }
    }

    /// The same, for tokens that begin with `prefix` only.
    pub fn for_tokens(self, prefix: impl Into<String>) -> Self {
        Self {
            token_prefix: Some(prefix.into()),
            ..self
        }
    }

    /// The same, for pushes, for broadcasts or for calls about channels only.
    pub fn for_calls(self, call: Call) -> Self {
        Self {
            call: Some(call),
            ..self
        }
    }

    /// The same, but not for the first `skip` requests.
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// The same, for every n-th request only.
    pub fn every(self, every: u32) -> Self {
        Self {
            every: Some(every),
            ..self
        }
    }

    /// The same, after a delay.
    pub fn after_ms(self, delay_ms: u64) -> Self {
        Self { delay_ms, ..self }
    }
}

/// Why a fault cannot be added.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultError {
    /// [`MAX_FAULTS`] are waiting already.
    Full,
    /// The delay is longer than [`MAX_DELAY_MS`].
    Delay {
        /// The delay asked for.
        delay_ms: u64,
    },
    /// More than [`MAX_STREAM_LIMITS`] stream limits to draw from.
    StreamLimits {
        /// How many.
        count: usize,
    },
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(f, "expected at most {MAX_FAULTS} faults, got one more"),
            Self::Delay { delay_ms } => {
                write!(
                    f,
                    "expected delay_ms of at most {MAX_DELAY_MS}, got {delay_ms}"
                )
            }
            Self::StreamLimits { count } => write!(
                f,
                "expected at most {MAX_STREAM_LIMITS} stream_limits, got {count}"
            ),
        }
    }
}

impl std::error::Error for FaultError {}

/// The script, in order, and the mix for what the script does not touch.
#[derive(Default)]
pub(crate) struct Faults {
    script: Vec<Waiting>,
    random: Option<Random>,
}

struct Waiting {
    fault: Fault,
    /// Requests that fitted so far, for `every`.
    seen: u64,
}

/// What sets a fault off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// A TCP connection that came in.
    Arrival(Service),
    /// A connection that has its TLS.
    Connection(Service),
    /// A request to the provider API.
    Request,
    /// A notification to the gateway.
    Notification,
    /// A notification that the gateway would refuse.
    Refusal,
}

impl Waiting {
    fn fits(&self, triggers: &[Trigger], call: Option<Call>, token: &str) -> bool {
        let is_for_call = || self.fault.call.is_none() || call.is_none() || self.fault.call == call;
        let prefix = self.fault.token_prefix.as_deref().unwrap_or_default();
        let is_for_token = || {
            token
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        match self.trigger() {
            own @ (Trigger::Arrival(_) | Trigger::Connection(_)) => triggers.contains(&own),
            own => triggers.contains(&own) && is_for_call() && is_for_token(),
        }
    }

    /// A fault for calls about channels is for connections of theirs, too.
    fn trigger(&self) -> Trigger {
        match (self.fault.action.trigger(), self.fault.call) {
            (Trigger::Arrival(Service::Provider), Some(Call::Channels)) => {
                Trigger::Arrival(Service::Channels)
            }
            (Trigger::Connection(Service::Provider), Some(Call::Channels)) => {
                Trigger::Connection(Service::Channels)
            }
            (trigger, _) => trigger,
        }
    }

    fn is_its_turn(&mut self) -> bool {
        self.seen += 1;
        let every = u64::from(self.fault.every.unwrap_or(1).max(1));
        match self.seen.checked_sub(u64::from(self.fault.skip)) {
            None | Some(0) => false,
            Some(turn) => turn.is_multiple_of(every),
        }
    }
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> Result<(), FaultError> {
        if fault.delay_ms > MAX_DELAY_MS {
            return Err(FaultError::Delay {
                delay_ms: fault.delay_ms,
            });
        }
        if self.script.len() >= MAX_FAULTS {
            return Err(FaultError::Full);
        }
        if fault.times != Some(0) {
            self.script.push(Waiting { fault, seen: 0 });
        }
        Ok(())
    }

    /// The fault a request to `token`, or to a channel, gets, if any.
    pub(crate) fn for_request(&mut self, call: Call, token: &str) -> Option<Fault> {
        self.take(&[Trigger::Request], Some(call), token)
            .or_else(|| self.random.as_mut()?.for_request(token))
    }

    /// The fault a notification to `token` gets, if any.
    pub(crate) fn for_notification(&mut self, token: &str, is_refused: bool) -> Option<Fault> {
        let triggers = [Trigger::Notification, Trigger::Refusal];
        let fitting = if is_refused {
            &triggers[..]
        } else {
            &triggers[..1]
        };
        self.take(fitting, None, token)
    }

    /// The fault a connection that has its TLS gets, if any.
    pub(crate) fn for_connection(&mut self, service: Service) -> Option<Fault> {
        self.take(&[Trigger::Connection(service)], None, "")
            .or_else(|| {
                let random = self
                    .random
                    .as_mut()
                    .filter(|_| service == Service::Provider)?;
                random.for_connection()
            })
    }

    /// Whether the connection that just came in is to be refused.
    pub(crate) fn refuses_connection(&mut self, service: Service) -> bool {
        self.take(&[Trigger::Arrival(service)], None, "").is_some()
            || service == Service::Provider
                && self.random.as_mut().is_some_and(Random::refuses_connection)
    }

    fn take(&mut self, triggers: &[Trigger], call: Option<Call>, token: &str) -> Option<Fault> {
        let position = self
            .script
            .iter_mut()
            .position(|waiting| waiting.fits(triggers, call, token) && waiting.is_its_turn())?;
        self.fire(position)
    }

    /// Puts a mix in the place of the one there is.
    pub(crate) fn set_random(&mut self, mix: RandomFaults) -> Result<(), FaultError> {
        self.random = Some(Random::new(mix)?);
        Ok(())
    }

    /// The mix, and what it has drawn so far.
    pub(crate) fn random(&self) -> Option<(&RandomFaults, &BTreeMap<&'static str, u64>)> {
        self.random.as_ref().map(Random::report)
    }

    /// Forgets the script and the mix.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.script
            .iter()
            .map(|waiting| waiting.fault.clone())
            .collect()
    }

    fn fire(&mut self, position: usize) -> Option<Fault> {
        let waiting = self.script.get_mut(position)?;
        let fired = waiting.fault.clone();
        if let Some(left) = &mut waiting.fault.times {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.script.remove(position);
            }
        }
        Some(fired)
    }
}

/// Faults waiting at most.
pub const MAX_FAULTS: usize = 256;

/// The longest delay: ten minutes.
pub const MAX_DELAY_MS: u64 = 600_000;

#[cfg(test)]
mod tests;
