//! What is asked of the host and not of the function: whether it lives, whether it takes work, and
//! what it counts. None of it needs a key, waits in a queue, or reads a body.
//!
//! - `/livez`, `/healthz`: 200 for as long as this process answers, whatever waits.
//! - `/readyz`: 200 if work is taken, else 503 with the reasons, a line each.
//! - `/metrics`: Prometheus's exposition format. An answer that a client has not taken yet is given
//!   to the next one too, for a second: so what is asked often and taken slowly is in memory once.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dunlin::api::Problem;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};

use super::HostReply;
use super::problem::respond;
use crate::metrics::Status;

/// How long one text of the metrics serves those who come while others still read it, and how many
/// are rendered in that time at most.
const SHARED: Duration = Duration::from_secs(1);
const MOST: u32 = 50;

const PLAIN: &str = "text/plain; charset=utf-8";

/// Prometheus's exposition format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the function says of its health on platforms where it is asked itself.
const ALIVE: &str = "{\"status\":\"ok\"}";

/// One of the questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    Live,
    Ready,
    Metrics,
}

impl Probe {
    pub fn of(path: &str) -> Option<Self> {
        match path {
            "/livez" | "/healthz" => Some(Self::Live),
            "/readyz" => Some(Self::Ready),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }
}

/// The last text of the metrics.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<Option<Rendered>>);

#[derive(Debug)]
struct Rendered {
    text: Bytes,
    at: Instant,
    /// The second that is counted, and how many were rendered in it.
    second: Instant,
    count: u32,
}

impl Metrics {
    /// The text of now; or the last one, if it is younger than a second and somebody still has it,
    /// or many have been asked for.
    fn text(&self, status: &Status) -> Bytes {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let (mut second, mut count) = (now, 0);
        if let Some(last) = last.as_ref() {
            let is_young = now.duration_since(last.at) < SHARED;
            if is_young && (!last.text.is_unique() || last.count >= MOST) {
                return last.text.clone();
            }
            if now.duration_since(last.second) < SHARED {
                (second, count) = (last.second, last.count);
            }
        }
        let text = Bytes::from(status.metrics());
        *last = Some(Rendered {
            text: text.clone(),
            at: now,
            second,
            count: count + 1,
        });
        text
    }
}

/// The answer to a probe; `unready` are the reasons why no work is taken.
pub(super) fn answer(
    probe: Probe,
    method: &Method,
    status: &Status,
    metrics: &Metrics,
    unready: impl FnOnce() -> Vec<Cow<'static, str>>,
) -> HostReply {
    if method != Method::GET && method != Method::HEAD {
        return respond(Problem::method_not_allowed("GET, HEAD").into_reply());
    }
    match probe {
        Probe::Live => text(StatusCode::OK, "application/json", ALIVE.into()),
        Probe::Metrics => text(StatusCode::OK, METRICS, metrics.text(status)),
        Probe::Ready => match unready().as_slice() {
            [] => text(StatusCode::OK, PLAIN, "ready\n".into()),
            reasons => {
                let lines = reasons.join("\n") + "\n";
                text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, lines.into())
            }
        },
    }
}

fn text(status: StatusCode, kind: &'static str, body: Bytes) -> HostReply {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_that_nobody_has_taken_yet_are_rendered_once() {
        let (status, metrics) = (Status::default(), Metrics::default());
        let first = metrics.text(&status);
        let second = metrics.text(&status);
        assert_eq!(first.as_ptr(), second.as_ptr());
        drop((first, second));
        status.request(false);
        let text = metrics.text(&status);
        assert!(text.starts_with(b"# HELP"));
        let line = &b"dunlin_requests_total 1\n"[..];
        assert!(text.windows(line.len()).any(|own| own == line), "of now");
    }

    #[test]
    fn metrics_that_are_asked_for_all_the_time_are_not_rendered_all_the_time() {
        let (status, metrics) = (Status::default(), Metrics::default());
        let mut texts = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            status.request(false);
            texts.insert(metrics.text(&status).to_vec());
        }
        // Some seconds may have passed.
        assert!(texts.len() < 1_000, "{}", texts.len());
    }

    #[test]
    fn readiness_says_why_not() {
        let (status, metrics) = (Status::default(), Metrics::default());
        let ready = |reasons: Vec<&'static str>| {
            let unready = || reasons.into_iter().map(Cow::from).collect();
            answer(Probe::Ready, &Method::GET, &status, &metrics, unready)
        };
        assert_eq!(ready(vec![]).status(), 200);
        let not = ready(vec!["every queue is full", "the store is full"]);
        assert_eq!(not.status(), 503);
        assert_eq!(not.body(), "every queue is full\nthe store is full\n");
        let posted = answer(Probe::Ready, &Method::POST, &status, &metrics, Vec::new);
        assert_eq!(posted.status(), 405);
        assert_eq!(posted.headers()["allow"], "GET, HEAD");
    }
}
