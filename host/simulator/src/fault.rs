//! Turns a script ("the next two requests get 429") into what happens to one request.
//!
//! Source: the misbehaviour seen in the field, `apns-facts.md` 3.1 (GOAWAY with a JSON reason, the
//! stream limit that changes) and 3.5; RFC 9113 section 7 (error codes).
//!
//! The first fault of the script that fits a request is the one it gets. The request was judged before
//! that, so a valid provider token counts as seen even if the answer is another.
//!
//! Limit: [`MAX_FAULTS`] in the script; one more is refused with an error.

use std::fmt;

/// One line of the script: what happens, to which requests, how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub action: Action,
    /// How often at most; `None` means for ever.
    pub times: Option<u32>,
    /// Only to requests whose device token begins with this (case does not matter).
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

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Answers with a status and Apple's JSON.
    Status {
        /// 200 to 599; anything else becomes 500.
        status: u16,
        /// `reason`; `None` leaves the body empty.
        reason: Option<String>,
        /// `timestamp`, in milliseconds.
        timestamp_ms: Option<u64>,
        /// A `retry-after` header, in seconds.
        retry_after: Option<u32>,
    },
    /// Answers with a status and these bytes, JSON or not.
    Body {
        /// 200 to 599; anything else becomes 500.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// Sends GOAWAY. Requests up to its last-stream-id are still answered, later ones never, and then
    /// the connection is closed.
    Goaway {
        /// The debug data is `{"reason":"…"}`, or empty.
        reason: Option<String>,
        /// The error code; 0 is NO_ERROR.
        error_code: u32,
        /// Whether the request that set this off is answered (last-stream-id is its own) or was not
        /// processed (last-stream-id is that of the last one that was).
        answer: bool,
    },
    /// Sends RST_STREAM.
    Reset {
        /// The error code; 7 is REFUSED_STREAM.
        error_code: u32,
    },
    /// Never answers.
    Silence,
    /// Cuts the TCP connection, without a TLS close, after so many more bytes of HTTP/2. The request
    /// is answered as usual; 0 bytes cuts before anything of it is sent.
    Close {
        /// Bytes still sent, those of answers to other requests under way included.
        after_bytes: u64,
    },
    /// Sends these bytes between two frames, then goes on as usual.
    Garbage {
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Sends SETTINGS with this stream limit, then goes on as usual. The lower limit is enforced once
    /// the client has acknowledged it.
    MaxConcurrentStreams {
        /// The limit; above 10,000 it is 10,000.
        limit: u32,
    },
    /// Answers as usual, after [`Fault::delay_ms`].
    Delay,
    /// Closes the next TCP connections instead of taking them. `token_prefix`, `every` and `delay_ms`
    /// mean nothing here.
    RefuseConnections,
}

impl Action {
    /// The name of the action in the control API and the journal.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Body { .. } => "body",
            Self::Goaway { .. } => "goaway",
            Self::Reset { .. } => "reset",
            Self::Silence => "silence",
            Self::Close { .. } => "close",
            Self::Garbage { .. } => "garbage",
            Self::MaxConcurrentStreams { .. } => "settings",
            Self::Delay => "delay",
            Self::RefuseConnections => "refuse_connections",
        }
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

impl Waiting {
    fn fits(&self, token: &str) -> bool {
        let prefix = self.fault.token_prefix.as_deref().unwrap_or_default();
        self.fault.action != Action::RefuseConnections
            && token
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
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
        let position = self
            .0
            .iter_mut()
            .position(|waiting| waiting.fits(token) && waiting.is_its_turn())?;
        self.fire(position)
    }

    /// Whether the connection that just came in is to be refused.
    pub(crate) fn refuses_connection(&mut self) -> bool {
        let position = self
            .0
            .iter()
            .position(|waiting| waiting.fault.action == Action::RefuseConnections);
        position.and_then(|position| self.fire(position)).is_some()
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
        assert!(faults.refuses_connection());
        assert!(!faults.refuses_connection());
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
