//! Turns the JSON of a fault into a [`Fault`] and back.
//!
//! ```json
//! {"fault":"status","status":429,"reason":"TooManyRequests","timestamp_ms":1,"retry_after":10}
//! {"fault":"status","reason":"Shutdown"}                   a reason of Apple's has its status
//! {"fault":"body","status":503,"body":"<html>"}            or "body_base64"
//! {"fault":"goaway","reason":"Shutdown","error_code":"NO_ERROR","answer":true}
//! {"fault":"goaway_twice","reason":"Shutdown"}
//! {"fault":"reset","error_code":"REFUSED_STREAM"}
//! {"fault":"silence"}
//! {"fault":"close","after_bytes":20}                      of the server's, from now on
//! {"fault":"cut_received","after_bytes":2000}             of the client's, from its connect on
//! {"fault":"garbage","bytes_base64":"AAAA"}
//! {"fault":"settings","max_concurrent_streams":1}
//! {"fault":"delay","delay_ms":500}
//! {"fault":"refuse_connections","times":3}
//!
//! {"fault":"gateway_status","status":8,"identifier":0,"split":true}
//! {"fault":"gateway_response","identifier":0,"split":true}
//! {"fault":"gateway_silence"}
//! {"fault":"gateway_shutdown","accept":true}               and "gateway_close", "gateway_reset"
//! {"fault":"gateway_cut","after_bytes":20}
//! {"fault":"gateway_slow","after_bytes":20,"delay_ms":500}
//! {"fault":"gateway_refuse"}
//!
//! {"fault":"feedback_cut","after_bytes":20}                and "feedback_silence", "…_garbage"
//! {"fault":"feedback_dribble","bytes":1}                   and "feedback_truncate"
//! {"fault":"feedback_refuse"}                              and "feedback_linger"
//! ```
//!
//! Each may also say to what, when and how often it happens:
//!
//! | field | it happens |
//! |---|---|
//! | `token_prefix` | only to device tokens, or channels, that begin so |
//! | `call` | only to `"push"`, `"broadcast"` or `"channels"` |
//! | `after` | not to the first so many that fit |
//! | `every` | of the rest, only to every n-th |
//! | `times` | so often; without it once, or for ever with a `token_prefix`, `call` or `every` |
//! | `delay_ms` | so much later |
//!
//! Unknown fields, and fields of another fault, are errors. The stream limit that goes 1000, 1, 500
//! while a connection lives, and a hundred refused pushes after the first thousand:
//!
//! ```json
//! [{"fault":"settings","max_concurrent_streams":1,"after":100},
//!  {"fault":"settings","max_concurrent_streams":500,"after":200},
//!  {"fault":"status","reason":"TooManyRequests","after":1000,"times":100}]
//! ```
//!
//! A mix at random is one object, in the place of the mix there was; see
//! [`RandomFaults`](crate::RandomFaults) for its fields. Each kind has a number n and happens once
//! in n requests or connections. With none of them it is
//! [`RandomFaults::mix`](crate::RandomFaults::mix), without a `seed` one is chosen. The answer is
//! 200 with the mix, so that it can be repeated:
//!
//! ```json
//! {"random":{"seed":7,"goaway":500,"reset":100,"silence":1000}}
//! {"random":{}}
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::fault::{Action, Fault, FeedbackAction, GatewayAction};
use crate::journal::Call;
use crate::reason::status_of;

/// All fields of all faults.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultJson {
    fault: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<Call>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_code: Option<ErrorCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_concurrent_streams: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identifier: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    split: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accept: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
}

/// An error code of HTTP/2, by name or number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum ErrorCode {
    Number(u32),
    Name(String),
}

impl FaultJson {
    /// The fault, or what was expected instead.
    pub(super) fn into_fault(mut self) -> Result<Fault, String> {
        let is_once = self.token_prefix.is_none() && self.every.is_none() && self.call.is_none();
        let fault = Fault {
            times: self.times.take().or(is_once.then_some(1)),
            token_prefix: self.token_prefix.take(),
            call: self.call.take(),
            skip: self.after.take().unwrap_or(0),
            every: self.every.take(),
            delay_ms: self.delay_ms.take().unwrap_or(0),
            action: self.take_action()?,
        };
        let left = Self {
            fault: self.fault.clone(),
            ..Self::default()
        };
        if self == left {
            return Ok(fault);
        }
        // Both are structs of the same plain fields, so they become objects.
        let extra = serde_json::to_value(&self).unwrap_or_default();
        let names = extra
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str());
        let names: Vec<&str> = names.filter(|name| *name != "fault").collect();
        Err(format!(
            "expected the fields of the fault {:?}, got also {names:?}",
            self.fault
        ))
    }

    /// Takes the fields the named fault has, and no others.
    fn take_action(&mut self) -> Result<Action, String> {
        Ok(match self.fault.as_str() {
            "status" => Action::Status {
                status: self.take_status()?,
                reason: self.reason.take(),
                timestamp_ms: self.timestamp_ms.take(),
                retry_after: self.retry_after.take(),
            },
            "body" => Action::Body {
                status: self.take_status()?,
                body: self.take_body()?,
            },
            "goaway" => Action::Goaway {
                reason: self.reason.take(),
                error_code: self.take_error_code("NO_ERROR")?,
                answer: self.answer.take().unwrap_or(false),
            },
            "goaway_twice" => Action::GoawayTwice {
                reason: self.reason.take(),
            },
            "reset" => Action::Reset {
                error_code: self.take_error_code("INTERNAL_ERROR")?,
            },
            "silence" => Action::Silence,
            "close" => Action::Close {
                after_bytes: self.after_bytes.take().unwrap_or(0),
            },
            "cut_received" => Action::CutReceived {
                after_bytes: self.after_bytes.take().unwrap_or(0),
            },
            "garbage" => {
                let text = needed("bytes_base64", self.bytes_base64.take())?;
                Action::Garbage {
                    bytes: decode("bytes_base64", text)?,
                }
            }
            "settings" => {
                let limit = needed("max_concurrent_streams", self.max_concurrent_streams.take())?;
                Action::MaxConcurrentStreams { limit }
            }
            "delay" => Action::Delay,
            "refuse_connections" => Action::RefuseConnections,
            _ => return self.take_legacy_action(),
        })
    }

    /// The same for the binary gateway and the feedback service.
    fn take_legacy_action(&mut self) -> Result<Action, String> {
        let gateway = match self.fault.as_str() {
            "gateway_status" => GatewayAction::Status {
                status: self.take_status_byte()?,
                identifier: self.identifier.take(),
                split: self.split.take().unwrap_or(false),
            },
            "gateway_response" => GatewayAction::Response {
                identifier: self.identifier.take(),
                split: self.split.take().unwrap_or(false),
            },
            "gateway_silence" => GatewayAction::Silence,
            "gateway_shutdown" => GatewayAction::Shutdown {
                accept: self.accept.take().unwrap_or(true),
            },
            "gateway_close" => GatewayAction::Close {
                accept: self.accept.take().unwrap_or(true),
            },
            "gateway_reset" => GatewayAction::Reset {
                accept: self.accept.take().unwrap_or(true),
            },
            "gateway_cut" => GatewayAction::Cut {
                after_bytes: self.after_bytes.take().unwrap_or(0),
            },
            "gateway_slow" => GatewayAction::Slow {
                after_bytes: self.after_bytes.take().unwrap_or(0),
            },
            "gateway_refuse" => GatewayAction::Refuse,
            _ => return self.take_feedback_action().map(Action::Feedback),
        };
        Ok(Action::Gateway(gateway))
    }

    fn take_feedback_action(&mut self) -> Result<FeedbackAction, String> {
        Ok(match self.fault.as_str() {
            "feedback_cut" => FeedbackAction::Cut {
                after_bytes: self.after_bytes.take().unwrap_or(0),
            },
            "feedback_silence" => FeedbackAction::Silence {
                after_bytes: self.after_bytes.take().unwrap_or(0),
            },
            "feedback_dribble" => FeedbackAction::Dribble {
                bytes: self.bytes.take().unwrap_or(1),
            },
            "feedback_truncate" => FeedbackAction::Truncate {
                bytes: needed("bytes", self.bytes.take())?,
            },
            "feedback_garbage" => FeedbackAction::Garbage {
                after_bytes: self.after_bytes.take().unwrap_or(0),
            },
            "feedback_linger" => FeedbackAction::Linger,
            "feedback_refuse" => FeedbackAction::Refuse,
            other => return Err(format!("expected a fault of {FAULTS:?}, got {other:?}")),
        })
    }

    fn take_status_byte(&mut self) -> Result<u8, String> {
        let status = needed("status", self.status.take())?;
        u8::try_from(status).map_err(|_| format!("expected a status from 0 to 255, got {status}"))
    }

    fn take_status(&mut self) -> Result<u16, String> {
        match self.status.take() {
            Some(status) if (200..600).contains(&status) => Ok(status),
            Some(status) => Err(format!("expected a status from 200 to 599, got {status}")),
            None => self.reason.as_deref().and_then(status_of).ok_or_else(|| {
                format!(
                    "expected a status, or a reason of Apple's tables, got a fault {:?} without",
                    self.fault
                )
            }),
        }
    }

    fn take_body(&mut self) -> Result<Vec<u8>, String> {
        match (self.body.take(), self.body_base64.take()) {
            (Some(text), None) => Ok(text.into_bytes()),
            (None, Some(text)) => decode("body_base64", text),
            (None, None) => Ok(Vec::new()),
            (Some(_), Some(_)) => Err("expected body or body_base64, got both".to_owned()),
        }
    }

    fn take_error_code(&mut self, default: &str) -> Result<u32, String> {
        let code = self
            .error_code
            .take()
            .unwrap_or_else(|| ErrorCode::Name(default.to_owned()));
        match code {
            ErrorCode::Number(number) => Ok(number),
            ErrorCode::Name(name) => (0..)
                .zip(ERROR_CODES)
                .find_map(|(number, known)| (known == name).then_some(number))
                .ok_or_else(|| {
                    format!("expected a number or one of {ERROR_CODES:?}, got {name:?}")
                }),
        }
    }
}

impl From<Fault> for FaultJson {
    fn from(fault: Fault) -> Self {
        let mut json = Self {
            fault: fault.action.name().to_owned(),
            times: fault.times,
            token_prefix: fault.token_prefix,
            call: fault.call,
            after: (fault.skip > 0).then_some(fault.skip),
            every: fault.every,
            delay_ms: (fault.delay_ms > 0).then_some(fault.delay_ms),
            ..Self::default()
        };
        json.put(fault.action);
        json
    }
}

impl FaultJson {
    /// The other way of `take_action`.
    fn put(&mut self, action: Action) {
        match action {
            Action::Status {
                status,
                reason,
                timestamp_ms,
                retry_after,
            } => {
                self.status = Some(status);
                self.reason = reason;
                self.timestamp_ms = timestamp_ms;
                self.retry_after = retry_after;
            }
            Action::Body { status, body } => {
                self.status = Some(status);
                self.body_base64 = Some(STANDARD.encode(body));
            }
            Action::Goaway {
                reason,
                error_code,
                answer,
            } => {
                self.reason = reason;
                self.error_code = Some(ErrorCode::Number(error_code));
                self.answer = Some(answer);
            }
            Action::GoawayTwice { reason } => self.reason = reason,
            Action::Reset { error_code } => self.error_code = Some(ErrorCode::Number(error_code)),
            Action::Close { after_bytes } | Action::CutReceived { after_bytes } => {
                self.after_bytes = Some(after_bytes);
            }
            Action::Garbage { bytes } => self.bytes_base64 = Some(STANDARD.encode(bytes)),
            Action::MaxConcurrentStreams { limit } => self.max_concurrent_streams = Some(limit),
            Action::Gateway(action) => self.put_gateway(&action),
            Action::Feedback(
                FeedbackAction::Cut { after_bytes }
                | FeedbackAction::Silence { after_bytes }
                | FeedbackAction::Garbage { after_bytes },
            ) => self.after_bytes = Some(after_bytes),
            Action::Feedback(
                FeedbackAction::Dribble { bytes } | FeedbackAction::Truncate { bytes },
            ) => self.bytes = Some(bytes),
            Action::Silence
            | Action::Delay
            | Action::RefuseConnections
            | Action::Feedback(FeedbackAction::Linger | FeedbackAction::Refuse) => {}
        }
    }

    fn put_gateway(&mut self, action: &GatewayAction) {
        match *action {
            GatewayAction::Status {
                status,
                identifier,
                split,
            } => {
                self.status = Some(status.into());
                (self.identifier, self.split) = (identifier, Some(split));
            }
            GatewayAction::Response { identifier, split } => {
                (self.identifier, self.split) = (identifier, Some(split));
            }
            GatewayAction::Shutdown { accept }
            | GatewayAction::Close { accept }
            | GatewayAction::Reset { accept } => self.accept = Some(accept),
            GatewayAction::Cut { after_bytes } | GatewayAction::Slow { after_bytes } => {
                self.after_bytes = Some(after_bytes);
            }
            GatewayAction::Silence | GatewayAction::Refuse => {}
        }
    }
}

fn needed<T>(field: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("expected the field {field}, got a fault without"))
}

fn decode(field: &str, text: String) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(text)
        .map_err(|error| format!("expected base64 in {field}, got: {error}"))
}

const FAULTS: [&str; 28] = [
    "status",
    "body",
    "goaway",
    "goaway_twice",
    "reset",
    "silence",
    "close",
    "cut_received",
    "garbage",
    "settings",
    "delay",
    "refuse_connections",
    "gateway_status",
    "gateway_response",
    "gateway_silence",
    "gateway_shutdown",
    "gateway_close",
    "gateway_reset",
    "gateway_cut",
    "gateway_slow",
    "gateway_refuse",
    "feedback_cut",
    "feedback_silence",
    "feedback_dribble",
    "feedback_truncate",
    "feedback_garbage",
    "feedback_linger",
    "feedback_refuse",
];

/// RFC 9113 section 7, in the order of their numbers.
const ERROR_CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

#[cfg(test)]
mod tests;
