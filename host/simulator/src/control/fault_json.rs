//! Turns the JSON of a fault into a [`Fault`] and back.
//!
//! ```json
//! {"fault":"status","status":429,"reason":"TooManyRequests","timestamp_ms":1,"retry_after":10}
//! {"fault":"body","status":503,"body":"<html>"}            or "body_base64"
//! {"fault":"goaway","reason":"Shutdown","error_code":"NO_ERROR","answer":true}
//! {"fault":"reset","error_code":"REFUSED_STREAM"}
//! {"fault":"silence"}
//! {"fault":"close","after_bytes":20}
//! {"fault":"garbage","bytes_base64":"AAAA"}
//! {"fault":"settings","max_concurrent_streams":1}
//! {"fault":"delay","delay_ms":500}
//! {"fault":"refuse_connections","times":3}
//! ```
//!
//! Each may also have `times`, `token_prefix`, `every` and `delay_ms`. Without `times` it happens once,
//! or for ever if it has a `token_prefix` or `every`. Unknown fields, and fields of another fault, are
//! errors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::fault::{Action, Fault};

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
        let everyones = [self.token_prefix.is_some(), self.every.is_some()];
        let fault = Fault {
            times: self
                .times
                .take()
                .or((everyones == [false, false]).then_some(1)),
            token_prefix: self.token_prefix.take(),
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
            "reset" => Action::Reset {
                error_code: self.take_error_code("INTERNAL_ERROR")?,
            },
            "silence" => Action::Silence,
            "close" => Action::Close {
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
            other => return Err(format!("expected a fault of {FAULTS:?}, got {other:?}")),
        })
    }

    fn take_status(&mut self) -> Result<u16, String> {
        match self.status.take() {
            Some(status) if (200..600).contains(&status) => Ok(status),
            Some(status) => Err(format!("expected a status from 200 to 599, got {status}")),
            None => Err(format!(
                "expected a status, got a fault {:?} without",
                self.fault
            )),
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
            Action::Reset { error_code } => self.error_code = Some(ErrorCode::Number(error_code)),
            Action::Close { after_bytes } => self.after_bytes = Some(after_bytes),
            Action::Garbage { bytes } => self.bytes_base64 = Some(STANDARD.encode(bytes)),
            Action::MaxConcurrentStreams { limit } => self.max_concurrent_streams = Some(limit),
            Action::Silence | Action::Delay | Action::RefuseConnections => {}
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

const FAULTS: [&str; 10] = [
    "status",
    "body",
    "goaway",
    "reset",
    "silence",
    "close",
    "garbage",
    "settings",
    "delay",
    "refuse_connections",
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
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Fault, String> {
        let json: FaultJson = serde_json::from_str(json).map_err(|error| error.to_string())?;
        json.into_fault()
    }

    #[test]
    fn every_fault_survives_its_json() {
        for json in [
            r#"{"fault":"status","status":410,"reason":"Unregistered","timestamp_ms":5}"#,
            r#"{"fault":"status","status":429,"reason":"TooManyRequests","retry_after":9}"#,
            r#"{"fault":"body","status":503,"body":"<html>"}"#,
            r#"{"fault":"goaway"}"#,
            r#"{"fault":"goaway","reason":"Shutdown","error_code":"ENHANCE_YOUR_CALM","answer":true}"#,
            r#"{"fault":"reset","error_code":"REFUSED_STREAM","times":3}"#,
            r#"{"fault":"silence","token_prefix":"ab"}"#,
            r#"{"fault":"close","after_bytes":20,"every":7}"#,
            r#"{"fault":"garbage","bytes_base64":"AAEC"}"#,
            r#"{"fault":"settings","max_concurrent_streams":1}"#,
            r#"{"fault":"delay","delay_ms":500}"#,
            r#"{"fault":"refuse_connections","times":3}"#,
        ] {
            let fault = parse(json).unwrap();
            assert_eq!(
                FaultJson::from(fault.clone()).into_fault(),
                Ok(fault),
                "{json}"
            );
        }
    }

    #[test]
    fn names_of_error_codes_are_their_numbers() {
        let code = |json: &str| parse(json).unwrap().action;
        let refused = code(r#"{"fault":"reset","error_code":"REFUSED_STREAM"}"#);
        assert_eq!(refused, Action::Reset { error_code: 7 });
        assert_eq!(
            code(r#"{"fault":"reset","error_code":8}"#),
            Action::Reset { error_code: 8 }
        );
    }

    #[test]
    fn how_often_follows_from_the_rest_unless_said() {
        assert_eq!(parse(r#"{"fault":"silence"}"#).unwrap().times, Some(1));
        assert_eq!(
            parse(r#"{"fault":"silence","every":2}"#).unwrap().times,
            None
        );
        assert_eq!(
            parse(r#"{"fault":"silence","token_prefix":"a"}"#)
                .unwrap()
                .times,
            None
        );
        assert_eq!(
            parse(r#"{"fault":"silence","every":2,"times":4}"#)
                .unwrap()
                .times,
            Some(4)
        );
    }

    #[test]
    fn errors_say_what_was_expected_and_what_came() {
        for json in [
            r#"{"fault":"flood"}"#,
            r#"{"fault":"status"}"#,
            r#"{"fault":"status","status":99}"#,
            r#"{"fault":"silence","status":200}"#,
            r#"{"fault":"body","status":200,"body":"a","body_base64":"YQ=="}"#,
            r#"{"fault":"garbage"}"#,
            r#"{"fault":"garbage","bytes_base64":"?"}"#,
            r#"{"fault":"settings"}"#,
            r#"{"fault":"reset","error_code":"OOPS"}"#,
            r#"{"fault":"silence","unknown":1}"#,
        ] {
            let error = parse(json).unwrap_err();
            assert!(error.contains("expected"), "{json}: {error}");
        }
    }
}
