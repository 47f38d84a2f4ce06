//! Takes the notifications of one connection to their records, and says how the connection ends
//! when one of them ends it.
//!
//! Source: `docs/protocols.md` 1.5: nothing is said of what is taken; a refusal closes the
//! connection, and what follows on it is discarded. 1.2: a notification of command 0 is refused
//! without a packet.
//!
//! ```text
//!            taken                        refused, or a fault
//! [ reading ] ----> [ reading ]   [ reading ] ----> [ ended: the rest of the buffer is ignored ]
//! ```
//!
//! Invariant: records are in the order the notifications came.

use std::sync::Arc;

use bytes::BytesMut;

use super::frame::{self, MAX_TOKEN, Next, Notification};
use super::rules::{self, Verdict};
use super::status::StatusByte;
use crate::config::Validation;
use crate::fault::{Action, Fault, GatewayAction};
use crate::ids::hex;
use crate::journal::{BinaryFrame, Call, MAX_KEPT_PAYLOAD, Protocol, Received};
use crate::state::State;

/// One connection.
pub(super) struct Session {
    state: Arc<State>,
    /// Its number in the journal.
    number: u64,
    /// What the client's certificate says.
    topic: Option<String>,
    /// The identifier of the last notification taken; 0 if there is none.
    last_taken: u32,
}

/// How and when a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConnectionEnd {
    pub(super) delay_ms: u64,
    pub(super) ending: Ending,
}

/// How a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// TLS and TCP are closed in good order.
    Close,
    /// The same, after a packet.
    Packet {
        bytes: [u8; 6],
        /// Whether each byte is a TLS record of its own.
        split: bool,
    },
    /// Not at all: nothing is said and nothing is closed.
    Silence,
    /// TCP is reset.
    Reset,
}

/// What becomes of a notification.
struct Outcome {
    /// As it goes into the journal.
    status: Option<StatusByte>,
    /// What it does to its connection.
    ending: Option<Ending>,
}

impl Session {
    pub(super) fn new(state: Arc<State>, number: u64, topic: Option<String>) -> Self {
        Self {
            state,
            number,
            topic,
            last_taken: 0,
        }
    }

    /// Takes what is whole out of `buffer`, up to a notification that ends the connection.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Option<ConnectionEnd> {
        loop {
            let ended = match frame::next(buffer) {
                Next::More => return None,
                Next::Notification(notification) => self.settle(&notification, None),
                Next::Malformed(part, status) => self.settle(&part, Some(status)),
            };
            if ended.is_some() {
                return ended;
            }
        }
    }

    fn settle(
        &mut self,
        notification: &Notification,
        malformed: Option<StatusByte>,
    ) -> Option<ConnectionEnd> {
        let token = notification.token.get(..MAX_TOKEN);
        let token = hex(token.unwrap_or(&notification.token));
        let verdict = malformed.map_or_else(
            || rules::judge(notification, &token, self.topic.as_deref(), &self.state),
            Verdict::Refused,
        );
        let fault = self.fault(&token, verdict);
        let outcome = self.outcome(notification, verdict, fault.as_ref());
        if outcome.status == Some(StatusByte::NO_ERRORS) {
            self.last_taken = notification.identifier.unwrap_or(0);
            if let (Verdict::Gone { since_s }, Some(topic)) = (verdict, &self.topic) {
                self.give_feedback(topic, &notification.token, since_s);
            }
        }
        self.record(notification, token, outcome.status, fault.as_ref());
        let delay_ms = fault.map_or(0, |fault| fault.delay_ms);
        outcome
            .ending
            .map(|ending| ConnectionEnd { delay_ms, ending })
    }

    fn is_strict(&self) -> bool {
        self.state.config.validation == Validation::Strict
    }

    fn fault(&self, token: &str, verdict: Verdict) -> Option<Fault> {
        if !self.is_strict() {
            return None;
        }
        let is_refused = matches!(verdict, Verdict::Refused(_));
        self.state.faults().for_notification(token, is_refused)
    }

    fn outcome(
        &self,
        notification: &Notification,
        verdict: Verdict,
        fault: Option<&Fault>,
    ) -> Outcome {
        let judged = match verdict {
            Verdict::Accepted | Verdict::Gone { .. } => StatusByte::NO_ERRORS,
            Verdict::Refused(status) => status,
        };
        let is_good = judged == StatusByte::NO_ERRORS;
        let own = notification.identifier.unwrap_or(0);
        let answered = |status, identifier: Option<u32>, split| Outcome {
            status: Some(status),
            ending: Some(answer(
                notification.command,
                status.packet(identifier.unwrap_or(own)),
                split,
            )),
        };
        let closed = |accept: bool, ending| Outcome {
            status: (accept && is_good).then_some(StatusByte::NO_ERRORS),
            ending: Some(ending),
        };
        match fault.map(|fault| &fault.action) {
            Some(Action::Gateway(GatewayAction::Status {
                status,
                identifier,
                split,
            })) => answered(StatusByte(*status), *identifier, *split),
            Some(Action::Gateway(GatewayAction::Response { identifier, split })) => {
                answered(judged, *identifier, *split)
            }
            Some(Action::Gateway(GatewayAction::Silence)) => closed(false, Ending::Silence),
            Some(Action::Gateway(GatewayAction::Close { accept })) => {
                closed(*accept, Ending::Close)
            }
            Some(Action::Gateway(GatewayAction::Reset { accept })) => {
                closed(*accept, Ending::Reset)
            }
            Some(Action::Gateway(GatewayAction::Shutdown { accept })) => {
                let last = if *accept && is_good {
                    own
                } else {
                    self.last_taken
                };
                let packet = StatusByte::SHUTDOWN.packet(last);
                closed(*accept, answer(notification.command, packet, false))
            }
            // No other action is set off by a notification.
            _ if is_good => Outcome {
                status: Some(StatusByte::NO_ERRORS),
                ending: None,
            },
            _ => answered(judged, None, false),
        }
    }

    fn give_feedback(&self, topic: &str, token: &[u8], since_s: u32) {
        if let Err(error) = self.state.feedback().add(topic, token, since_s) {
            tracing::warn!(%error, "a token is not in the feedback list");
        }
    }

    fn record(
        &self,
        notification: &Notification,
        token: String,
        status: Option<StatusByte>,
        fault: Option<&Fault>,
    ) {
        self.state.counters.notified(status.map(|status| status.0));
        if !self.is_strict() {
            return;
        }
        let reason = status.filter(|status| *status != StatusByte::NO_ERRORS);
        let payload = notification.payload.get(..MAX_KEPT_PAYLOAD);
        let received = Received {
            sequence: 0,
            time_ms: self.state.now_ms(),
            protocol: Protocol::Binary(BinaryFrame {
                command: notification.command,
                identifier: notification.identifier,
                expiry: notification.expiry,
                priority: notification.priority,
            }),
            call: Call::Push,
            environment: self.state.config.environment,
            connection: self.number,
            stream: 0,
            method: String::new(),
            path: String::new(),
            topic: self.topic.clone().unwrap_or_default(),
            identity: self.topic.clone(),
            token,
            channel: String::new(),
            headers: Vec::new(),
            payload: payload.unwrap_or(&notification.payload).to_vec(),
            payload_length: notification.payload.len(),
            status: status.map(|status| u16::from(status.0)),
            reason: reason.and_then(StatusByte::meaning).map(str::to_owned),
            apns_id: String::new(),
            fault: fault.map(|fault| fault.action.name().to_owned()),
            why: None,
            warnings: Vec::new(),
        };
        self.state.journal().record(received);
    }
}

/// How a notification of this command is answered: command 0 gets no packet.
fn answer(command: u8, bytes: [u8; 6], split: bool) -> Ending {
    if command == 0 {
        Ending::Close
    } else {
        Ending::Packet { bytes, split }
    }
}
