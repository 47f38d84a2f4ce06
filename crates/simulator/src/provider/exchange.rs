//! Takes one request from its headers to its end: read, judge, journal, then answer or misbehave as
//! scripted.
//!
//! Source: `docs/protocols.md` 3.1 (GOAWAY: what is above last-stream-id was not processed), 3.2
//! and 3.4.
//!
//! ```text
//! headers, body -> rules -> verdict -> fault? -> journal -> delay -> orders to the wire -> answer
//! ```
//!
//! Invariant: judging and journalling one connection's requests happens one at a time, so that a
//! GOAWAY knows what was processed before it. Limit: a body is read up to [`MAX_BODY`] bytes; what
//! is longer is too large whatever follows.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason as Code, RecvStream};
use http::request::Parts;

use super::answer::Answer;
use super::authorization::Authorization;
use super::effect::{Accepted, Effect};
use super::request::{Rejection, Request, call_of};
use super::warnings;
use crate::config::{Config, Environment};
use crate::fault::{Action, Fault};
use crate::journal::{Call, MAX_KEPT_PAYLOAD, Protocol, Received};
use crate::state::State;
use crate::stats::{Open, Service};
use crate::wire::Wire;

/// What the requests of one connection share.
pub(super) struct Connection {
    pub(super) state: Arc<State>,
    /// What it listens for.
    pub(super) service: Service,
    /// The environment of the address it has come to.
    pub(super) environment: Environment,
    /// Its number in the journal.
    pub(super) number: u64,
    pub(super) wire: Wire,
    pub(super) session: Mutex<ExchangeState>,
}

/// What they change.
#[derive(Default)]
pub(super) struct ExchangeState {
    authorization: Authorization,
    /// Whether the stream limit was raised.
    raised: bool,
    /// The highest stream judged.
    highest: u32,
    /// After GOAWAY: the last stream that gets an answer.
    last_answered: Option<u32>,
}

/// What is to happen to a request.
struct Decision {
    answer: Answer,
    fault: Option<Fault>,
    /// Whether the client gets the answer.
    is_answered: bool,
    /// Its provider token is the first valid one here.
    raises: bool,
    /// For a GOAWAY.
    last_stream: u32,
}

/// A body, as far as it was read and kept.
struct Body {
    kept: Vec<u8>,
    length: usize,
}

/// Takes a request to its end. A request whose client is gone just ends.
pub(super) async fn run(
    connection: Arc<Connection>,
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let _open = Open::new(&connection.state.counters.streams_open);
    let (head, mut stream) = request.into_parts();
    let Ok(body) = Body::read(&mut stream).await else {
        return;
    };
    match connection.decide(respond.stream_id().as_u32(), &head, body) {
        Some(decision) => connection.carry_out(decision, respond).await,
        None => hold(&mut respond).await,
    }
}

impl Body {
    async fn read(stream: &mut RecvStream) -> Result<Self, h2::Error> {
        let mut body = Self {
            kept: Vec::new(),
            length: 0,
        };
        while let Some(chunk) = stream.data().await {
            let chunk = chunk?;
            stream.flow_control().release_capacity(chunk.len())?;
            body.length += chunk.len();
            let room = MAX_KEPT_PAYLOAD - body.kept.len();
            body.kept
                .extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if body.length > MAX_BODY {
                break;
            }
        }
        Ok(body)
    }
}

impl Connection {
    /// Judges and journals a request; `None` if a GOAWAY has left it behind.
    fn decide(&self, stream: u32, head: &Parts, body: Body) -> Option<Decision> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if session.last_answered.is_some_and(|last| stream > last) {
            return None;
        }
        let path = head.uri.path_and_query().map_or("", |path| path.as_str());
        let request = Request {
            call: call_of(self.service, path),
            environment: self.environment,
            method: &head.method,
            path,
            headers: &head.headers,
            body: &body.kept,
            length: body.length,
        };
        let mut authorized = false;
        session.authorization.forget();
        let verdict = request.check(&self.state, &mut session.authorization, &mut authorized);
        let subject = match request.call {
            Call::Push => request.token(),
            Call::Broadcast | Call::Channels => request.channel(),
        };
        let fault = self.state.faults().for_request(request.call, subject);
        let is_unprocessed = session.goes_unprocessed(stream, fault.as_ref());
        let is_answered = !is_unprocessed && fault.as_ref().is_none_or(is_answered);
        let is_done = !is_unprocessed && fault.as_ref().is_none_or(is_done);
        let answer = self.answer(&request, verdict, fault.as_ref(), is_done);
        let last_stream = session.note(stream, is_unprocessed, fault.as_ref());
        let raises = authorized && !std::mem::replace(&mut session.raised, true);
        let said = (is_answered, fault.as_ref());
        self.record(stream, &request, &session.authorization, &answer, said);
        Some(Decision {
            answer,
            fault,
            is_answered,
            raises,
            last_stream,
        })
    }

    fn answer(
        &self,
        request: &Request<'_>,
        verdict: Result<Effect<'_>, Rejection>,
        fault: Option<&Fault>,
        is_done: bool,
    ) -> Answer {
        let id = request
            .id()
            .map_or_else(|| self.state.ids.next(), str::to_owned);
        let verdict = verdict.and_then(|effect| {
            if is_done {
                effect
                    .run(&self.state, self.environment)
                    .map_err(Rejection::from)
            } else {
                Ok(Accepted::new())
            }
        });
        let has_unique_id = match request.call {
            Call::Push => self.environment == Environment::Development,
            Call::Broadcast => true,
            Call::Channels => false,
        };
        let unique_id = (has_unique_id && verdict.is_ok()).then(|| self.state.ids.next());
        let mut answer = Answer::new(verdict, request.id_header(), id);
        answer.unique_id = unique_id;
        match fault {
            Some(fault) => answer.replaced(&fault.action),
            None => answer,
        }
    }

    fn record(
        &self,
        stream: u32,
        request: &Request<'_>,
        authorization: &Authorization,
        answer: &Answer,
        (is_answered, fault): (bool, Option<&Fault>),
    ) {
        let identity = authorization.default_topic();
        let status = is_answered.then_some(answer.status);
        let text = |name| {
            let value: &http::HeaderValue = request.headers.get(name)?;
            value.to_str().ok()
        };
        let topic = match request.call {
            Call::Push => text("apns-topic").or(identity).unwrap_or_default(),
            Call::Broadcast | Call::Channels => request.bundle_id(),
        };
        let is_accepted = status == Some(200);
        let mut warnings = match request.call {
            Call::Push if is_accepted => warnings::of(text("apns-push-type"), request.body),
            Call::Broadcast if is_accepted => warnings::of_broadcast(request.body),
            _ => Vec::new(),
        };
        warnings.extend(authorization.warnings());
        let channel = answer.channel_id.as_deref().unwrap_or(request.channel());
        let received = Received {
            sequence: 0,
            time_ms: self.state.now_ms(),
            protocol: Protocol::Http2,
            call: request.call,
            environment: self.environment,
            connection: self.number,
            stream,
            method: request.method.as_str().to_owned(),
            path: request.path.to_owned(),
            topic: topic.to_owned(),
            identity: identity.map(str::to_owned),
            token: request.token().to_owned(),
            channel: channel.to_owned(),
            headers: headers_in_order(request.headers),
            why: authorization.why().map(str::to_owned),
            warnings,
            payload: request.body.to_vec(),
            payload_length: request.length,
            status,
            reason: answer.reason.clone().filter(|_| is_answered),
            apns_id: answer.id.clone(),
            fault: fault.map(|fault| fault.action.name().to_owned()),
        };
        self.state.counters.answered(status);
        self.state.journal().record(received);
    }

    async fn carry_out(&self, decision: Decision, mut respond: SendResponse<Bytes>) {
        let Decision {
            answer,
            fault,
            is_answered,
            raises,
            last_stream,
        } = decision;
        if raises {
            let limit = stream_limit(&self.state.config);
            self.wire.set_stream_limit(limit).await;
        }
        if let Some(fault) = fault {
            if fault.delay_ms > 0 && !delay(fault.delay_ms, &mut respond).await {
                return;
            }
            self.misbehave(fault.action, last_stream, &mut respond)
                .await;
            if !is_answered {
                return hold(&mut respond).await;
            }
        }
        if let Err(error) = answer.send(&mut respond) {
            tracing::debug!(%error, "the client did not wait for its answer");
        }
    }

    /// Does what the fault says, but for the answer.
    async fn misbehave(&self, action: Action, last_stream: u32, respond: &mut SendResponse<Bytes>) {
        match action {
            Action::Goaway {
                reason, error_code, ..
            } => {
                self.wire
                    .goaway(last_stream, error_code, debug_data(reason).as_bytes())
                    .await;
            }
            Action::GoawayTwice { reason } => {
                self.wire
                    .goaway_twice(last_stream, debug_data(reason).as_bytes())
                    .await;
            }
            Action::Reset { error_code } => respond.send_reset(Code::from(error_code)),
            Action::Close { after_bytes } => self.wire.cut_after(after_bytes).await,
            Action::Garbage { bytes } => self.wire.send_raw(bytes).await,
            Action::MaxConcurrentStreams { limit } => {
                self.wire
                    .set_stream_limit(limit.min(HARD_STREAM_LIMIT))
                    .await;
            }
            Action::Silence
            | Action::Status { .. }
            | Action::Body { .. }
            | Action::Delay
            | Action::CutReceived { .. }
            | Action::RefuseConnections
            | Action::Gateway(_)
            | Action::Feedback(_) => {}
        }
    }
}

impl ExchangeState {
    /// Of a client whose certificate is for `topic`, or that has shown none.
    pub(super) fn new(topic: Option<String>, environment: Environment) -> Self {
        Self {
            raised: topic.is_some(),
            authorization: Authorization::new(topic, environment),
            ..Self::default()
        }
    }

    /// Whether the request is left behind by the GOAWAY that it sets off. That names the highest
    /// stream judged before; one below it is answered like every other that it names, whatever the
    /// fault says of the one that sets it off.
    fn goes_unprocessed(&self, stream: u32, fault: Option<&Fault>) -> bool {
        let action = fault.map(|fault| &fault.action);
        matches!(action, Some(Action::Goaway { answer: false, .. })) && stream > self.highest
    }

    /// Notes that the stream is judged; the last-stream-id of a GOAWAY it sets off.
    fn note(&mut self, stream: u32, is_unprocessed: bool, fault: Option<&Fault>) -> u32 {
        let before = self.highest;
        self.highest = before.max(stream);
        let last = match fault.map(|fault| &fault.action) {
            Some(Action::Goaway { .. }) if is_unprocessed => before,
            Some(Action::Goaway { .. } | Action::GoawayTwice { .. }) => self.highest,
            _ => return self.highest,
        };
        // What was said to be unprocessed stays so (RFC 9113, 6.8).
        let last = self.last_answered.map_or(last, |earlier| earlier.min(last));
        self.last_answered = Some(last);
        last
    }
}

/// What GOAWAY says of its reason.
fn debug_data(reason: Option<String>) -> String {
    let json = reason.map(|reason| serde_json::json!({ "reason": reason }).to_string());
    json.unwrap_or_default()
}

/// What SETTINGS allow a client that is known.
pub(super) fn stream_limit(config: &Config) -> u32 {
    config.max_concurrent_streams.clamp(1, HARD_STREAM_LIMIT)
}

/// Whether a request gets an answer in spite of the fault; of GOAWAY see
/// [`ExchangeState::goes_unprocessed`].
fn is_answered(fault: &Fault) -> bool {
    match &fault.action {
        Action::Close { after_bytes } => *after_bytes > 0,
        Action::Reset { .. } | Action::Silence => false,
        _ => true,
    }
}

/// Whether what a good request asks for is done in spite of the fault; likewise.
fn is_done(fault: &Fault) -> bool {
    !matches!(
        fault.action,
        Action::Status { .. } | Action::Body { .. } | Action::Reset { .. }
    )
}

/// Keeps a stream open without an answer until its client or its connection is gone.
async fn hold(respond: &mut SendResponse<Bytes>) {
    let _ = poll_fn(|context| respond.poll_reset(context)).await;
}

/// Waits; whether the client still does.
async fn delay(delay_ms: u64, respond: &mut SendResponse<Bytes>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(delay_ms)) => true,
        () = hold(respond) => false,
    }
}

fn headers_in_order(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

/// Bytes read of a body.
const MAX_BODY: usize = 64 * 1024;

/// Open streams a connection can have whatever SETTINGS say.
pub(super) const HARD_STREAM_LIMIT: u32 = 10_000;
