//! Turns a control request into a reply, reading or changing the world.
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
use crate::topic::is_topic;
use crate::world::World;

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
pub(super) fn answer(world: &World, asked: &Asked<'_>) -> Reply {
    let routed = match (asked.method, asked.path) {
        ("GET", "/") => Ok(page()),
        ("GET", "/notifications") => notifications(world, asked.query),
        ("DELETE", "/notifications") => {
            world.journal().clear();
            Ok(done())
        }
        ("GET", "/devices") => Ok(Reply::json(
            200,
            &json!({ "devices": world.devices().list() }),
        )),
        ("POST", "/devices") => add_devices(world, asked.body),
        ("DELETE", "/devices") => {
            world.devices().clear();
            Ok(done())
        }
        ("GET", "/channels") => Ok(Reply::json(
            200,
            &json!({ "channels": world.all_channels() }),
        )),
        ("POST", "/channels") => add_channels(world, asked.body),
        ("DELETE", "/channels") => {
            world.clear_channels();
            Ok(done())
        }
        ("GET", "/faults") => Ok(faults(world)),
        ("POST", "/faults") => add_faults(world, asked.body),
        ("DELETE", "/faults") => {
            world.faults().clear();
            Ok(done())
        }
        ("GET", "/feedback") => Ok(feedback(world)),
        ("POST", "/feedback") => add_feedback(world, asked.body),
        ("DELETE", "/feedback") => {
            world.feedback().clear();
            Ok(done())
        }
        ("GET", "/stats") => Ok(stats(world)),
        ("GET", "/ca.pem") => Ok(Reply::pem(world.authority.certificate_pem().to_owned())),
        ("POST", "/certificates") => certificate(world, asked.query),
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

fn notifications(world: &World, query: &str) -> Result<Reply, String> {
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
        let journal = world.journal();
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

fn add_devices(world: &World, body: &[u8]) -> Result<Reply, String> {
    let now_ms = world.now_ms();
    let mut devices = world.devices();
    for device in one_or_many::<Device>(body)? {
        devices
            .declare(device, now_ms)
            .map_err(|error| error.to_string())?;
    }
    Ok(done())
}

fn add_channels(world: &World, body: &[u8]) -> Result<Reply, String> {
    let mut ids = Vec::new();
    for channel in one_or_many::<Channel>(body)? {
        let id = world.add_channel(channel);
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

fn set_random(world: &World, asked: RandomJson) -> Result<Reply, String> {
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
    world
        .faults()
        .set_random(mix)
        .map_err(|error| error.to_string())?;
    Ok(reply)
}

fn add_faults(world: &World, body: &[u8]) -> Result<Reply, String> {
    if body.trim_ascii_start().starts_with(b"{")
        && let Ok(asked) = serde_json::from_slice::<RandomJson>(body)
    {
        return set_random(world, asked);
    }
    let parsed = one_or_many::<FaultJson>(body)?
        .into_iter()
        .map(FaultJson::into_fault);
    let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
    let mut faults = world.faults();
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

fn add_feedback(world: &World, body: &[u8]) -> Result<Reply, String> {
    let now_s = u32::try_from(world.now_ms() / 1000).unwrap_or(u32::MAX);
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
    let mut lists = world.feedback();
    for (topic, token, since_s) in parsed {
        lists
            .add(&topic, &token, since_s)
            .map_err(|error| error.to_string())?;
    }
    Ok(done())
}

fn feedback(world: &World) -> Reply {
    let by_topic: BTreeMap<String, FeedbackStats> = world
        .feedback()
        .all()
        .map(|(topic, stats)| (topic.to_owned(), stats))
        .collect();
    Reply::json(200, &json!({ "feedback": by_topic }))
}

fn faults(world: &World) -> Reply {
    let faults = world.faults();
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
fn certificate(world: &World, query: &str) -> Result<Reply, String> {
    let topic = query
        .strip_prefix("topic=")
        .ok_or_else(|| format!("expected topic=, got {query:?}"))?;
    let client = world
        .authority
        .issue_client(topic)
        .map_err(|error| error.to_string())?;
    Ok(Reply::pem(client.certificate_pem + &client.key_pem))
}

fn stats(world: &World) -> Reply {
    let mut stats = json!(world.stats());
    if let Some(stats) = stats.as_object_mut() {
        let environments = world.environments();
        let channels = |environment: &Environment| world.channels_in(*environment).count();
        let known: usize = environments.iter().map(channels).sum();
        stats.insert("environment".into(), json!(world.config.environment));
        stats.insert("environments".into(), json!(environments));
        stats.insert("channels_known".into(), json!(known));
        stats.insert("validation".into(), json!(world.config.validation));
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
