//! Requests into an instance by `dunlin:push/feed`: all that wait in one crossing, and their
//! answers as they come.
//!
//! ```text
//!   queue ─► Messages ─► (the function) ─► Replies ─► those who wait
//!               └────── Feed: who waits ──────┘
//! ```
//!
//! Bounds: as many requests at once as an instance may work on; [`MESSAGES_AT_ONCE`] and about
//! [`BYTES_AT_ONCE`] in one crossing, so that connections to servers are looked at in between. The
//! queue stays outside: what waits in it outlives an instance that is stopped.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dunlin::api::aside::UNWRITABLE_HEADER;
use futures_channel::oneshot;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::sync::mpsc;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult,
    VecBuffer,
};
use wasmtime_wasi_http::handler::ExpirationError;

use super::{Asked, Body, Finished, Job, WholeRequest};
use crate::clock;
use crate::engine::Instance;
use crate::engine::feed::{Call, Guest, Header, Message, Reply};
use crate::operator::Operator;

/// Messages handed in at a time.
const MESSAGES_AT_ONCE: usize = 16;

/// Bytes of bodies after which no more messages are handed in at that time.
const BYTES_AT_ONCE: usize = 256 * 1024;

/// How often it is looked for requests whose time is over.
const SWEEP: Duration = Duration::from_secs(1);

/// What can end the feeding of an instance without a trap.
const NO_ANSWER: &str = "the function's replies broke off";

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A queue that outlives the instances that are fed from it.
pub(super) type Jobs = Arc<Mutex<mpsc::Receiver<Job>>>;

pub(super) fn lock(jobs: &Jobs) -> MutexGuard<'_, mpsc::Receiver<Job>> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Feeds an instance until its queue is closed and everything taken from it is answered. A trap
/// ends the whole store, and this with it.
pub(super) async fn run(
    accessor: &Accessor<Instance>,
    guest: &Guest,
    jobs: &Jobs,
    (concurrency, timeout): (usize, Duration),
    operator: &Arc<Operator>,
) -> wasmtime::Result<()> {
    let feed = Arc::new(Feed {
        jobs: Arc::clone(jobs),
        state: Mutex::default(),
        concurrency,
        operator: Arc::clone(operator),
    });
    let messages = Messages(Arc::clone(&feed));
    let messages = accessor.with(|store| StreamReader::new(store, messages))?;
    let replies = guest.call_serve(accessor, messages).await?;
    let consumer = Replies(Arc::clone(&feed));
    accessor.with(|store| replies.pipe(store, consumer))?;
    loop {
        if let Ok(ended) = clock::timeout(SWEEP, feed.drained()).await {
            return ended;
        }
        feed.expire(timeout);
    }
}

/// What the two directions of one instance share.
struct Feed {
    jobs: Jobs,
    state: Mutex<State>,
    /// Most requests at once.
    concurrency: usize,
    operator: Arc<Operator>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    under_way: HashMap<u64, UnderWay>,
    /// Requests that the function is to be told to drop.
    cancelled: Vec<u64>,
    /// There will be no more requests.
    is_closed: bool,
    /// There will be no more replies.
    has_broken_off: bool,
    /// Who hands messages in, if it waits for a place or for something to cancel.
    producer: Option<Waker>,
    /// Who waits for the end.
    driver: Option<Waker>,
}

/// A request that the function works on.
struct UnderWay {
    answer: oneshot::Sender<Asked>,
    since: Instant,
}

impl State {
    fn wake_producer(&mut self) {
        if let Some(producer) = self.producer.take() {
            producer.wake();
        }
    }

    fn is_drained(&self) -> bool {
        self.is_closed && self.under_way.is_empty()
    }

    /// The message that takes a job in.
    fn begin(&mut self, job: Job) -> Message {
        let id = self.next_id;
        self.next_id += 1;
        let Job { request, answer } = job;
        let since = Instant::now();
        self.under_way.insert(id, UnderWay { answer, since });
        Message::Call(call(id, request))
    }
}

impl Feed {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The messages that there are, at least one; [`Poll::Ready`] with none if there will be none.
    fn poll_messages(&self, cx: &mut Context<'_>, most: usize) -> Poll<Vec<Message>> {
        let mut state = self.state();
        let cancelled = state.cancelled.len().min(most);
        let mut messages: Vec<_> = state
            .cancelled
            .drain(..cancelled)
            .map(Message::Cancel)
            .collect();
        let mut jobs = lock(&self.jobs);
        let mut bytes = 0;
        while messages.len() < most
            && bytes < BYTES_AT_ONCE
            && state.under_way.len() < self.concurrency
        {
            match jobs.poll_recv(cx) {
                // Whoever asked has given up.
                Poll::Ready(Some(job)) if job.answer.is_canceled() => {}
                Poll::Ready(Some(job)) => {
                    bytes += job.request.body().len();
                    messages.push(state.begin(job));
                }
                Poll::Ready(None) => {
                    state.is_closed = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if messages.is_empty() && !state.is_drained() {
            state.producer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(messages)
    }

    /// Hands answers to those who wait for them.
    fn answer(&self, replies: Vec<Reply>) {
        let mut state = self.state();
        let was_full = state.under_way.len() >= self.concurrency;
        for reply in replies {
            if let Some(counts) = &reply.counts {
                self.operator.add_counts(counts);
            }
            if let Some(waiting) = state.under_way.remove(&reply.id) {
                // The caller may have given up.
                let _ = waiting.answer.send(answer(reply));
            }
        }
        if was_full || state.is_drained() {
            state.wake_producer();
        }
        if state.is_drained()
            && let Some(driver) = state.driver.take()
        {
            driver.wake();
        }
    }

    /// Waits until everything is answered and no more can come.
    async fn drained(&self) -> wasmtime::Result<()> {
        std::future::poll_fn(|cx| {
            let mut state = self.state();
            if state.is_drained() {
                return Poll::Ready(Ok(()));
            }
            if state.has_broken_off {
                return Poll::Ready(Err(wasmtime::format_err!("{NO_ANSWER}")));
            }
            state.driver = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Gives up what has been under way for longer than this, so that it takes nobody's place.
    fn expire(&self, timeout: Duration) {
        let mut state = self.state();
        let over = |waiting: &mut UnderWay| waiting.since.elapsed() > timeout;
        let expired: Vec<_> = state.under_way.extract_if(|_, it| over(it)).collect();
        if expired.is_empty() {
            return;
        }
        for (id, waiting) in expired {
            state.cancelled.push(id);
            let _ = waiting.answer.send(Err(ExpirationError.into()));
        }
        state.wake_producer();
    }
}

/// Who hands messages in.
struct Messages(Arc<Feed>);

impl StreamProducer<Instance> for Messages {
    type Item = Message;
    type Buffer = VecBuffer<Message>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, Instance>,
        mut destination: Destination<'a, Message, VecBuffer<Message>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let room = destination.remaining(&mut store);
        let room = room.unwrap_or(MESSAGES_AT_ONCE).min(MESSAGES_AT_ONCE);
        if room == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        Poll::Ready(Ok(match self.0.poll_messages(cx, room) {
            Poll::Pending if finish => StreamResult::Cancelled,
            Poll::Pending => return Poll::Pending,
            Poll::Ready(messages) if messages.is_empty() => StreamResult::Dropped,
            Poll::Ready(messages) => {
                destination.set_buffer(messages.into());
                StreamResult::Completed
            }
        }))
    }
}

/// Who takes replies.
struct Replies(Arc<Feed>);

impl StreamConsumer<Instance> for Replies {
    type Item = Reply;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, Instance>,
        mut source: Source<'_, Reply>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut replies = Vec::with_capacity(source.remaining(&mut store));
        source.read(&mut store, &mut replies)?;
        self.0.answer(replies);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.has_broken_off = true;
        if let Some(driver) = state.driver.take() {
            driver.wake();
        }
    }
}

fn call(id: u64, request: WholeRequest) -> Call {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query();
    Call {
        id,
        method: head.method.as_str().to_owned(),
        target: target.map_or("/", |target| target.as_str()).to_owned(),
        headers: headers(&head.headers),
        is_unwritable: head.headers.contains_key(UNWRITABLE_HEADER),
        body: body.into(),
    }
}

fn headers(all: &http::HeaderMap) -> Vec<Header> {
    type Make = fn(Vec<u8>) -> Header;
    let kinds: [(&HeaderName, Make); 4] = [
        (&AUTHORIZATION, Header::Authorization),
        (&CONTENT_TYPE, Header::ContentType),
        (&CONTENT_ENCODING, Header::ContentEncoding),
        (&IDEMPOTENCY_KEY, Header::IdempotencyKey),
    ];
    let mut headers = Vec::with_capacity(2);
    for (name, make) in kinds {
        let values = all.get_all(name).iter();
        headers.extend(values.map(|value| make(value.as_bytes().to_vec())));
    }
    headers
}

/// The answer that a reply is, or why it is none.
fn answer(reply: Reply) -> Asked {
    let is_at_once = !reply.waits_for_disk;
    let response = response(reply).map_err(|error| wasmtime::format_err!("{error}"))?;
    Ok(Finished {
        response,
        is_at_once,
    })
}

fn response(reply: Reply) -> Result<super::Response, http::Error> {
    let mut response = http::Response::new(Body::Whole(Bytes::new()));
    *response.status_mut() = StatusCode::from_u16(reply.status)?;
    let headers = response.headers_mut();
    if !reply.content_type.is_empty() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_maybe_shared(Bytes::from(reply.content_type))?,
        );
        *response.body_mut() = Body::Whole(reply.body.into());
    }
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        let value = HeaderValue::from_maybe_shared(Bytes::from(value))?;
        headers.append(HeaderName::from_bytes(name.as_bytes())?, value);
    }
    Ok(response)
}

#[cfg(test)]
mod tests;
