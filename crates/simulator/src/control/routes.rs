//! Turns a control request into a reply, reading or changing the state.
//!
//! Nothing here waits or touches a socket.

use std::collections::BTreeMap;
use std::str::FromStr;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fault_json::FaultJson;
use crate::channels::Channel;
use crate::config::Environment;
use crate::devices::Device;
use crate::fault::RandomFaults;
use crate::feedback::FeedbackStats;
use crate::ids;
use crate::journal::{Received, Selection};
use crate::state::State;
use crate::topic::is_topic;

/// A control request.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
}

/// What to send back.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    kind: &'static str,
    body: Bytes,
    /// Only the page has one: the policy it runs under.
    policy: Option<String>,
}

/// Answers a request.
pub(super) fn answer(state: &State, asked: &Asked<'_>) -> Reply {
    let routed = match (asked.method, asked.path) {
        ("GET", "/") => Ok(page()),
        ("GET", "/notifications") => notifications(state, asked.query),
        ("DELETE", "/notifications") => {
            state.journal().clear();
            Ok(done())
        }
        ("GET", "/devices") => Ok(Reply::json(
            200,
            &json!({ "devices": state.devices().list() }),
        )),
        ("POST", "/devices") => add_devices(state, asked.body),
        ("DELETE", "/devices") => {
            state.devices().clear();
            Ok(done())
        }
        ("GET", "/channels") => Ok(Reply::json(
            200,
            &json!({ "channels": state.all_channels() }),
        )),
        ("POST", "/channels") => add_channels(state, asked.body),
        ("DELETE", "/channels") => {
            state.clear_channels();
            Ok(done())
        }
        ("GET", "/faults") => Ok(faults(state)),
        ("POST", "/faults") => add_faults(state, asked.body),
        ("DELETE", "/faults") => {
            state.faults().clear();
            Ok(done())
        }
        ("GET", "/feedback") => Ok(feedback(state)),
        ("POST", "/feedback") => add_feedback(state, asked.body),
        ("DELETE", "/feedback") => {
            state.feedback().clear();
            Ok(done())
        }
        ("GET", "/stats") => Ok(stats(state)),
        ("GET", "/ca.pem") => Ok(Reply::pem(state.authority.certificate_pem().to_owned())),
        ("POST", "/certificates") => certificate(state, asked.query),
        (method, path) => return not_routed(method, path),
    };
    routed.unwrap_or_else(|message| Reply::error(400, &message))
}

impl Reply {
    /// A JSON error.
    pub(super) fn error(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "error": message }))
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static(self.kind));
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
        headers.insert(
            "x-content-type-options",
            HeaderValue::from_static("nosniff"),
        );
        if let Some(policy) = self
            .policy
            .and_then(|policy| HeaderValue::try_from(policy).ok())
        {
            headers.insert("content-security-policy", policy);
        }
        response
    }

    fn new(status: u16, kind: &'static str, body: Bytes) -> Self {
        Self {
            status,
            kind,
            body,
            policy: None,
        }
    }

    fn pem(text: String) -> Self {
        Self::new(200, "application/x-pem-file", text.into())
    }

    fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => Self::new(status, "application/json", text.into()),
            // Nothing here has keys that are no strings, the one thing JSON cannot say.
            Err(_) => Self::new(500, "application/json", Bytes::new()),
        }
    }
}

fn done() -> Reply {
    Reply::new(204, "application/json", Bytes::new())
}

fn not_routed(method: &str, path: &str) -> Reply {
    let known = [
        "/",
        "/notifications",
        "/devices",
        "/channels",
        "/faults",
        "/feedback",
        "/stats",
        "/ca.pem",
        "/certificates",
    ];
    if known.contains(&path) {
        return Reply::error(
            405,
            &format!("expected another method for {path}, got {method}"),
        );
    }
    Reply::error(404, &format!("expected a path of {known:?}, got {path:?}"))
}

/// The page with its script allowed by a number nobody can guess, and nothing else allowed.
fn page() -> Reply {
    let Ok(nonce) = ids::random_bytes().map(|bytes| ids::hex(&bytes)) else {
        return Reply::error(500, "expected random bytes from the system, got none");
    };
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let body = include_str!("page.html").replace("{{nonce}}", &nonce);
    Reply {
        policy: Some(policy),
        ..Reply::new(200, "text/html; charset=utf-8", body.into())
    }
}

fn notifications(state: &State, query: &str) -> Result<Reply, String> {
    let mut wanted = Selection::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("token", token)) => wanted.token = Some(token.to_owned()),
            Some(("limit", text)) => wanted.limit = Some(number("limit", text)?),
            Some(("after", text)) => wanted.after = Some(number("after", text)?),
            _ => return Err(format!("expected token=, limit= or after=, got {pair:?}")),
        }
    }
    let (records, total, dropped) = {
        let journal = state.journal();
        (journal.select(&wanted), journal.total(), journal.dropped())
    };
    let notifications = records.iter().map(AsRef::as_ref).collect();
    Ok(Reply::json(
        200,
        &Notifications {
            notifications,
            total,
            dropped,
        },
    ))
}

/// Written as it is, not by way of a [`Value`], which would sort the headers.
#[derive(Serialize)]
struct Notifications<'a> {
    notifications: Vec<&'a Received>,
    total: u64,
    dropped: u64,
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("expected a number for {name}, got {text:?}"))
}

fn add_devices(state: &State, body: &[u8]) -> Result<Reply, String> {
    let now_ms = state.now_ms();
    let mut devices = state.devices();
    for device in one_or_many::<Device>(body)? {
        devices
            .declare(device, now_ms)
            .map_err(|error| error.to_string())?;
    }
    Ok(done())
}

fn add_channels(state: &State, body: &[u8]) -> Result<Reply, String> {
    let mut ids = Vec::new();
    for channel in one_or_many::<Channel>(body)? {
        let id = state.add_channel(channel);
        ids.push(id.map_err(|error| error.to_string())?);
    }
    Ok(Reply::json(200, &json!({ "channel_ids": ids })))
}

/// A mix at random, which is alone in its body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RandomJson {
    random: Value,
}

fn set_random(state: &State, asked: RandomJson) -> Result<Reply, String> {
    let has_seed = asked.random.get("seed").is_some();
    let parsed = serde_json::from_value::<RandomFaults>(asked.random);
    let mut mix = parsed.map_err(|error| format!("expected a mix of faults, got: {error}"))?;
    if !has_seed {
        let [a, b, c, d, ..] = ids::random_bytes().map_err(|error| error.to_string())?;
        mix.seed = u64::from(u32::from_be_bytes([a, b, c, d]));
    }
    if mix.is_empty() {
        let everything = RandomFaults::mix(mix.seed);
        mix = RandomFaults {
            token_prefix: mix.token_prefix,
            max_cut_bytes: mix.max_cut_bytes,
            max_cut_received: mix.max_cut_received,
            max_delay_ms: mix.max_delay_ms,
            stream_limits: mix.stream_limits,
            ..everything
        };
    }
    let reply = Reply::json(200, &json!({ "random": mix }));
    state
        .faults()
        .set_random(mix)
        .map_err(|error| error.to_string())?;
    Ok(reply)
}

fn add_faults(state: &State, body: &[u8]) -> Result<Reply, String> {
    if body.trim_ascii_start().starts_with(b"{")
        && let Ok(asked) = serde_json::from_slice::<RandomJson>(body)
    {
        return set_random(state, asked);
    }
    let parsed = one_or_many::<FaultJson>(body)?
        .into_iter()
        .map(FaultJson::into_fault);
    let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
    let mut faults = state.faults();
    for fault in parsed {
        faults.add(fault).map_err(|error| error.to_string())?;
    }
    Ok(done())
}

/// A dead token, to be added to a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feedback {
    topic: String,
    /// Hexadecimal, case does not matter.
    token: String,
    /// Seconds since 1970; the present if there is none.
    since: Option<u32>,
}

fn add_feedback(state: &State, body: &[u8]) -> Result<Reply, String> {
    let now_s = u32::try_from(state.now_ms() / 1000).unwrap_or(u32::MAX);
    let parse = |one: Feedback| {
        let (topic, length) = (one.topic, one.token.len());
        if !is_topic(&topic) {
            return Err(format!("expected a topic, got {topic:?}"));
        }
        let token = ids::from_hex(&one.token)
            .ok_or_else(|| format!("expected a token in hexadecimal, got {length} characters"))?;
        Ok((topic, token, one.since.unwrap_or(now_s)))
    };
    let parsed = one_or_many::<Feedback>(body)?.into_iter().map(parse);
    let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
    let mut lists = state.feedback();
    for (topic, token, since_s) in parsed {
        lists
            .add(&topic, &token, since_s)
            .map_err(|error| error.to_string())?;
    }
    Ok(done())
}

fn feedback(state: &State) -> Reply {
    let by_topic: BTreeMap<String, FeedbackStats> = state
        .feedback()
        .all()
        .map(|(topic, stats)| (topic.to_owned(), stats))
        .collect();
    Reply::json(200, &json!({ "feedback": by_topic }))
}

fn faults(state: &State) -> Reply {
    let faults = state.faults();
    let list: Vec<FaultJson> = faults.list().into_iter().map(FaultJson::from).collect();
    let random = faults.random().map(|(mix, drawn)| {
        let mut mix = json!(mix);
        if let Some(mix) = mix.as_object_mut() {
            mix.insert("drawn".into(), json!(drawn));
        }
        mix
    });
    Reply::json(200, &json!({ "faults": list, "random": random }))
}

/// A client certificate and its key, for programs that want one file.
fn certificate(state: &State, query: &str) -> Result<Reply, String> {
    let topic = query
        .strip_prefix("topic=")
        .ok_or_else(|| format!("expected topic=, got {query:?}"))?;
    let client = state
        .authority
        .issue_client(topic)
        .map_err(|error| error.to_string())?;
    Ok(Reply::pem(client.certificate_pem + &client.key_pem))
}

fn stats(state: &State) -> Reply {
    let mut stats = json!(state.stats());
    if let Some(stats) = stats.as_object_mut() {
        let environments = state.environments();
        let channels = |environment: &Environment| state.channels_in(*environment).count();
        let known: usize = environments.iter().map(channels).sum();
        stats.insert("environment".into(), json!(state.config.environment));
        stats.insert("environments".into(), json!(environments));
        stats.insert("channels_known".into(), json!(known));
        stats.insert("validation".into(), json!(state.config.validation));
    }
    Reply::json(200, &stats)
}

/// A JSON value of the type, or an array of such.
fn one_or_many<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, String> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("expected JSON, got: {error}"))?;
    let values = match value {
        Value::Array(values) => values,
        single => vec![single],
    };
    let parse = |value| serde_json::from_value(value).map_err(|error| format!("expected {error}"));
    values.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests;
