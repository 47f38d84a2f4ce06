//! Turns a script ("the next two requests get 429") into what happens to one request, one notification
//! of the gateway, or one connection.
//!
//! Source: the misbehaviour seen in the field, `apns-facts.md` 3.1 (GOAWAY with a JSON reason, the
//! stream limit that changes), 3.5 and 1.5; RFC 9113 section 7 (error codes).
//!
//! The first fault of the script that fits a request is the one it gets. The request was judged before
//! that, so a valid provider token counts as seen even if the answer is another. The same goes for the
//! notifications of the gateway. What sets a fault off follows from its action alone.
//!
//! Limit: [`MAX_FAULTS`] in the script; one more is refused with an error.

mod action;

use std::fmt;

pub use self::action::{Action, FeedbackAction, GatewayAction};
use crate::stats::Service;

/// One line of the script: what happens, to which requests, how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub action: Action,
    /// How often at most; `None` means for ever.
    pub times: Option<u32>,
    /// Only to requests whose device token begins with this (case does not matter). Means nothing to
    /// connections.
    pub token_prefix: Option<String>,
    /// Only to every n-th of the requests that fit otherwise. 0 and 1 mean each.
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
        }
    }
}

impl std::error::Error for FaultError {}

/// The script, in order.
#[derive(Default)]
pub(crate) struct Faults(Vec<Waiting>);

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

impl Trigger {
    fn has_token(self) -> bool {
        !matches!(self, Self::Arrival(_) | Self::Connection(_))
    }
}

impl Waiting {
    fn fits(&self, triggers: &[Trigger], token: &str) -> bool {
        let own = self.fault.action.trigger();
        let prefix = self.fault.token_prefix.as_deref().unwrap_or_default();
        let is_for_token = || {
            token
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        triggers.contains(&own) && (!own.has_token() || is_for_token())
    }

    fn is_its_turn(&mut self) -> bool {
        self.seen += 1;
        self.seen
            .is_multiple_of(u64::from(self.fault.every.unwrap_or(1).max(1)))
    }
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> Result<(), FaultError> {
        if fault.delay_ms > MAX_DELAY_MS {
            return Err(FaultError::Delay {
                delay_ms: fault.delay_ms,
            });
        }
        if self.0.len() >= MAX_FAULTS {
            return Err(FaultError::Full);
        }
        if fault.times != Some(0) {
            self.0.push(Waiting { fault, seen: 0 });
        }
        Ok(())
    }

    /// The fault a request to `token` gets, if any.
    pub(crate) fn for_request(&mut self, token: &str) -> Option<Fault> {
        self.take(&[Trigger::Request], token)
    }

    /// The fault a notification to `token` gets, if any.
    pub(crate) fn for_notification(&mut self, token: &str, is_refused: bool) -> Option<Fault> {
        let triggers = [Trigger::Notification, Trigger::Refusal];
        let fitting = if is_refused {
            &triggers[..]
        } else {
            &triggers[..1]
        };
        self.take(fitting, token)
    }

    /// The fault a connection that has its TLS gets, if any.
    pub(crate) fn for_connection(&mut self, service: Service) -> Option<Fault> {
        self.take(&[Trigger::Connection(service)], "")
    }

    /// Whether the connection that just came in is to be refused.
    pub(crate) fn refuses_connection(&mut self, service: Service) -> bool {
        self.take(&[Trigger::Arrival(service)], "").is_some()
    }

    fn take(&mut self, triggers: &[Trigger], token: &str) -> Option<Fault> {
        let position = self
            .0
            .iter_mut()
            .position(|waiting| waiting.fits(triggers, token) && waiting.is_its_turn())?;
        self.fire(position)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.0.iter().map(|waiting| waiting.fault.clone()).collect()
    }

    fn fire(&mut self, position: usize) -> Option<Fault> {
        let waiting = self.0.get_mut(position)?;
        let fired = waiting.fault.clone();
        if let Some(left) = &mut waiting.fault.times {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.0.remove(position);
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
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_as_often_as_it_says_and_is_gone() {
        let mut faults = Faults::default();
        faults.add(Fault::new(Action::Silence).times(2)).unwrap();
        faults.add(Fault::status(503, "Shutdown")).unwrap();
        let actions: Vec<_> = (0..4)
            .map(|_| faults.for_request("ab").map(|f| f.action.name()))
            .collect();
        assert_eq!(
            actions,
            [Some("silence"), Some("silence"), Some("status"), None]
        );
        assert!(faults.list().is_empty());
    }

    #[test]
    fn a_prefix_picks_requests_whatever_the_case() {
        let mut faults = Faults::default();
        faults
            .add(Fault::new(Action::Silence).for_tokens("AB").always())
            .unwrap();
        assert!(faults.for_request("abcd").is_some());
        assert!(faults.for_request("cdab").is_none());
        assert!(faults.for_request("a").is_none());
        assert!(faults.for_request("é").is_none());
        assert!(faults.for_request("ab").is_some());
    }

    #[test]
    fn every_third_request_is_hit() {
        let mut faults = Faults::default();
        faults
            .add(Fault::new(Action::Silence).every(3).always())
            .unwrap();
        let hit: Vec<bool> = (0..7).map(|_| faults.for_request("ab").is_some()).collect();
        assert_eq!(hit, [false, false, true, false, false, true, false]);
    }

    #[test]
    fn refused_connections_are_not_a_fault_of_requests() {
        let mut faults = Faults::default();
        faults.add(Fault::new(Action::RefuseConnections)).unwrap();
        assert!(faults.for_request("ab").is_none());
        assert!(!faults.refuses_connection(Service::Gateway));
        assert!(faults.refuses_connection(Service::Provider));
        assert!(!faults.refuses_connection(Service::Provider));
    }

    #[test]
    fn each_service_gets_its_own_faults() {
        let mut faults = Faults::default();
        let silence = Action::Gateway(GatewayAction::Silence);
        faults.add(Fault::new(silence.clone())).unwrap();
        let close = Action::Gateway(GatewayAction::Close { accept: true });
        faults
            .add(Fault::new(close.clone()).for_tokens("ab"))
            .unwrap();
        let dribble = Action::Feedback(FeedbackAction::Dribble { bytes: 1 });
        faults.add(Fault::new(dribble.clone())).unwrap();

        assert_eq!(faults.for_request("ab"), None);
        assert_eq!(faults.for_connection(Service::Gateway), None);
        assert_eq!(faults.for_notification("cd", false), None);
        let fired = |fault: Option<Fault>| fault.map(|fault| fault.action);
        assert_eq!(fired(faults.for_notification("ab", false)), Some(close));
        assert_eq!(fired(faults.for_notification("cd", true)), Some(silence));
        assert_eq!(
            fired(faults.for_connection(Service::Feedback)),
            Some(dribble)
        );
        assert!(faults.list().is_empty());
    }

    #[test]
    fn every_second_connection_is_hit_whatever_the_prefix() {
        let mut faults = Faults::default();
        let cut = Action::Gateway(GatewayAction::Cut { after_bytes: 0 });
        let fault = Fault::new(cut).always().every(2).for_tokens("ab");
        faults.add(fault).unwrap();
        let hit: Vec<bool> = (0..4)
            .map(|_| faults.for_connection(Service::Gateway).is_some())
            .collect();
        assert_eq!(hit, [false, true, false, true]);
    }

    #[test]
    fn the_script_and_its_delays_are_bounded() {
        let mut faults = Faults::default();
        let slow = Fault::new(Action::Delay).after_ms(MAX_DELAY_MS + 1);
        assert_eq!(
            faults.add(slow),
            Err(FaultError::Delay {
                delay_ms: MAX_DELAY_MS + 1
            })
        );
        for _ in 0..MAX_FAULTS {
            faults.add(Fault::new(Action::Delay)).unwrap();
        }
        assert_eq!(faults.add(Fault::new(Action::Delay)), Err(FaultError::Full));
        faults.clear();
        assert_eq!(faults.add(Fault::new(Action::Delay)), Ok(()));
    }
}
