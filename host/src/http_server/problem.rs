//! What the host itself has to say (too large, overloaded, stopped), as problem documents (RFC
//! 9457) like everything else, so that a client needs one kind of error handling.

use bytes::Bytes;
use dunlin::api::Reply;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use super::limits::Limits;
use crate::dispatch::DispatchError;

const DOCUMENT: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A problem document of the host's own.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    rule: &'static str,
    title: &'static str,
    detail: String,
    retry_after: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, rule: &'static str, title: &'static str, detail: String) -> Self {
        Self {
            status,
            rule,
            title,
            detail,
            retry_after: None,
        }
    }

    fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    pub fn body_too_large(limit: usize) -> Self {
        let detail = format!("expected a body of at most {limit} bytes");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "Body too large",
            detail,
        )
    }

    pub fn body_timeout(limits: &Limits) -> Self {
        let detail = format!(
            "expected the body within {} s, and after {} s at {} bytes a second at least",
            limits.body_time.as_secs(),
            limits.body_grace.as_secs(),
            limits.body_rate,
        );
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-timeout",
            "Body timed out",
            detail,
        )
    }

    pub fn broken_body() -> Self {
        let detail = "the body ended before its announced length".to_owned();
        Self::new(
            StatusCode::BAD_REQUEST,
            "broken-body",
            "Broken body",
            detail,
        )
    }

    /// The body came in so many pieces that taking them is more work than what is in them.
    pub fn body_in_pieces(pieces: usize, bytes: usize) -> Self {
        let detail = format!(
            "expected pieces of 16 bytes or more on average, got {bytes} bytes in {pieces}"
        );
        Self::new(
            StatusCode::BAD_REQUEST,
            "body-in-pieces",
            "Body in too many pieces",
            detail,
        )
    }

    /// RFC 9112, section 3.2; RFC 9113, section 8.3.1.
    pub fn host(got: &str) -> Self {
        let detail = format!(
            "expected one Host, or :authority in HTTP/2, such as \"localhost:8080\", got {got}"
        );
        Self::new(StatusCode::BAD_REQUEST, "host", "No usable Host", detail)
    }

    pub fn too_many_fields(limit: usize, got: usize) -> Self {
        let detail = format!("expected at most {limit} header fields, got {got}");
        Self::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "too-many-fields",
            "Too many header fields",
            detail,
        )
    }

    /// There is no place for the connection but for a probe.
    pub fn no_place() -> Self {
        let detail = "every connection is at work; nothing was done".to_owned();
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "overloaded", "Overloaded", detail).retry_after(1)
    }

    pub fn into_response(self) -> Response<Bytes> {
        let document = serde_json::json!({
            "type": format!("urn:dunlin:{}", self.rule),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = Response::new(Bytes::from(document.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, DOCUMENT);
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<DispatchError> for Problem {
    fn from(error: DispatchError) -> Self {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let (status, rule, title, detail, retry_after) = match error {
            DispatchError::Overloaded => (
                unavailable,
                "overloaded",
                "Overloaded",
                "every queue is full",
                Some(1),
            ),
            DispatchError::TooManyStreams => (
                unavailable,
                "overloaded",
                "Overloaded",
                "as many bodies of lines are under way as may be; nothing was done",
                Some(1),
            ),
            DispatchError::ShuttingDown => (
                unavailable,
                "shutting-down",
                "Shutting down",
                "the host is stopping",
                Some(5),
            ),
            DispatchError::NotDurable => (
                unavailable,
                "store-unavailable",
                "Store unavailable",
                "what the request wrote is not known to be on disk; repeat it",
                Some(5),
            ),
            DispatchError::NoRoom => (
                unavailable,
                "answer-lost",
                "Answer lost",
                "clients do not take the answers that wait for them, and there is no room for this \
                 one; what was asked for has been done",
                None,
            ),
            DispatchError::TimedOut => (
                StatusCode::GATEWAY_TIMEOUT,
                "timeout",
                "Timed out",
                "the function did not answer in time; what it had done is not known",
                None,
            ),
            DispatchError::Stopped => (
                unavailable,
                "function-stopped",
                "Function stopped",
                "the function was stopped while it worked on this request; what it asked for may \
                 have been done",
                None,
            ),
            DispatchError::Failed => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "function-failed",
                "Function failed",
                "the function could not answer this request",
                None,
            ),
        };
        let problem = Self::new(status, rule, title, detail.to_owned());
        match retry_after {
            Some(seconds) => problem.retry_after(seconds),
            None => problem,
        }
    }
}

/// A reply in the words of the function's own interface.
pub(super) fn respond(reply: Reply) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(reply.body));
    // Every status there is one of HTTP's.
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overload_says_when_to_come_back() {
        let response = Problem::from(DispatchError::Overloaded).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = response.into_body();
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document["type"], "urn:dunlin:overloaded");
    }

    #[test]
    fn a_stopped_request_is_not_said_to_be_repeatable() {
        let response = Problem::from(DispatchError::Stopped).into_response();
        assert_eq!(response.status(), 503);
        assert!(!response.headers().contains_key(RETRY_AFTER));
    }
}
