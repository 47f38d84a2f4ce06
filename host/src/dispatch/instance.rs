//! One instance and the loop that feeds it.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use dunlin::api::aside::AT_ONCE_HEADER;
use futures_channel::oneshot;
use futures_util::StreamExt as _;
use futures_util::future::Either;
use futures_util::stream::FuturesUnordered;
use http_body_util::{BodyExt as _, Full};
use tokio::sync::mpsc;
use tracing::{debug, error, warn};
use wasmtime::AsContextMut as _;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::handler::{Prepared, Proxy};
use wasmtime_wasi_http::{WasiBody, WasiHttpView as _};

use super::feed::{self, Jobs, lock};
use super::streamed::{self, Uploads};
use super::{
    Asked, Body, DispatchError, Finished, Job, Limits, MAX_HELD, WholeRequest, classify, length,
    make_room,
};
use crate::clock;
use crate::engine::{Engine, Entries, Instance, noting_turns};
use crate::operator::Operator;
use crate::room::Room;

/// How long to wait before an instance that could not be made is tried again.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// Keeps one instance running: makes it, feeds it, and makes it anew when it traps.
pub(super) struct Worker {
    number: usize,
    engine: Arc<Engine>,
    limits: Limits,
    /// Counts the instances that are up.
    ready: Arc<AtomicUsize>,
}

impl Worker {
    pub(super) fn new(
        number: usize,
        engine: Arc<Engine>,
        limits: Limits,
        ready: &Arc<AtomicUsize>,
    ) -> Self {
        Self {
            number,
            engine,
            limits,
            ready: Arc::clone(ready),
        }
    }

    pub(super) async fn run(self, jobs: mpsc::Receiver<Job>, mut uploads: Uploads) {
        let jobs = Arc::new(Mutex::new(jobs));
        loop {
            let made = self.engine.instance().await;
            let (mut store, entries) = match made {
                Ok(instance) => instance,
                Err(error) => {
                    error!(instance = self.number, %error, "no instance could be made");
                    if refuse_waiting(&jobs) {
                        return;
                    }
                    tokio::time::sleep(RESTART_PAUSE).await;
                    continue;
                }
            };
            debug!(instance = self.number, "instance ready");
            let watch = Arc::clone(&store.data().watch);
            let operator = self.engine.operator();
            self.ready.fetch_add(1, Ordering::Relaxed);
            let ended = store
                .run_concurrent(async |accessor| {
                    let feeding = match entries.feed() {
                        Some(guest) => {
                            let limits = (self.limits.concurrency, self.limits.timeout);
                            Either::Left(feed::run(accessor, guest, &jobs, limits, operator))
                        }
                        None => {
                            let one_by_one = OneByOne {
                                jobs: &jobs,
                                proxy: &entries.proxy,
                                operator,
                                limits: self.limits,
                            };
                            Either::Right(one_by_one.run(accessor))
                        }
                    };
                    let uploads = (&mut uploads, &entries.proxy, self.limits.timeout);
                    let both = streamed::beside(feeding, accessor, uploads, operator);
                    noting_turns(&watch, both).await
                })
                .await
                .and_then(|inner| inner);
            self.ready.fetch_sub(1, Ordering::Relaxed);
            match ended {
                Ok(()) => return,
                Err(error) => {
                    warn!(instance = self.number, error = ?error, "the function was stopped");
                }
            }
        }
    }
}

/// Drops what is waiting, so that callers hear at once; true if no more can come.
fn refuse_waiting(jobs: &Jobs) -> bool {
    loop {
        match lock(jobs).try_recv() {
            Ok(job) => {
                // The caller may have given up.
                let _ = job.answer.send(Err(wasmtime::format_err!("no instance")));
            }
            Err(mpsc::error::TryRecvError::Empty) => return false,
            Err(mpsc::error::TryRecvError::Disconnected) => return true,
        }
    }
}

/// Hands requests in by `wasi:http`, for components that have nothing else.
struct OneByOne<'a> {
    jobs: &'a Jobs,
    proxy: &'a Proxy,
    operator: &'a Operator,
    limits: Limits,
}

impl OneByOne<'_> {
    /// Runs until the queue is closed and everything taken from it is answered. A trap ends the
    /// whole store, and this with it.
    async fn run(self, accessor: &Accessor<Instance>) -> wasmtime::Result<()> {
        let Self {
            jobs,
            proxy,
            operator,
            limits,
        } = self;
        let mut calls = FuturesUnordered::new();
        let mut open = true;
        poll_fn(|cx| {
            loop {
                while let Poll::Ready(Some(done)) = calls.poll_next_unpin(cx) {
                    if let Err(error) = done {
                        return Poll::Ready(Err(error));
                    }
                }
                if !open || calls.len() >= limits.concurrency {
                    break;
                }
                match lock(jobs).poll_recv(cx) {
                    // Whoever asked has given up.
                    Poll::Ready(Some(job)) if job.answer.is_canceled() => {}
                    Poll::Ready(Some(Job { request, answer })) => {
                        let asked = (into_wasi(request), answer);
                        calls.push(exchange(accessor, proxy, operator, asked, limits.timeout));
                    }
                    Poll::Ready(None) => open = false,
                    Poll::Pending => break,
                }
            }
            let idle = !open && calls.is_empty();
            if idle {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        })
        .await
    }
}

/// Hands one request in by `wasi:http` and runs it until its answer has begun. What the function
/// has counted is taken off the answer here, where it comes also when nobody waits for it any more.
pub(super) async fn exchange(
    accessor: &Accessor<Instance>,
    proxy: &Proxy,
    operator: &Operator,
    (request, asked): (http::Request<WasiBody>, oneshot::Sender<Asked>),
    timeout: Duration,
) -> wasmtime::Result<()> {
    let (answer, mut answered) = oneshot::channel();
    let prepared = accessor.with(|mut store| {
        let store = store.as_context_mut();
        Prepared::new(store, proxy, request, Instance::http, answer)
    })?;
    prepared.run(accessor, clock::sleep(timeout)).await?;
    // It has been sent by then; dropped, it says that there is none.
    if let Ok(Some(answer)) = answered.try_recv() {
        let answer = answer.map(|mut response| {
            let headers = response.headers_mut();
            operator.take_counts(headers);
            let is_at_once = headers.remove(AT_ONCE_HEADER).is_some();
            Finished {
                response: response.map(Body::Function),
                is_at_once,
            }
        });
        // The caller may have given up.
        let _ = asked.send(answer);
    }
    Ok(())
}

/// Runs one request in an instance of its own, which ends with it.
pub(super) async fn run_alone(
    engine: &Engine,
    request: WholeRequest,
    room: &mut Room,
) -> Result<Finished, DispatchError> {
    let (mut store, Entries { proxy, .. }) = engine.instance().await.map_err(|error| {
        warn!(%error, "no instance could be made");
        DispatchError::Failed
    })?;
    let watch = Arc::clone(&store.data().watch);
    let (answer, mut answered) = oneshot::channel();
    let asked = (into_wasi(request), answer);
    // The answer's body is produced by the instance, so it is collected before the instance goes.
    let running = store.run_concurrent(async |accessor| {
        noting_turns(&watch, async {
            exchange(accessor, &proxy, engine.operator(), asked, Duration::MAX).await?;
            wasmtime::error::Ok(match classify(answered.try_recv().ok().flatten()) {
                Ok(answer) => {
                    let length = length(&answer.response).unwrap_or(MAX_HELD);
                    match make_room(length, true, room).await {
                        Ok(()) => collected(answer).await,
                        Err(error) => Err(error),
                    }
                }
                Err(error) => Err(error),
            })
        })
        .await
    });
    match running.await.and_then(|inner| inner) {
        Ok(answer) => answer,
        Err(error) => {
            warn!(error = ?error, "the function was stopped again by the same request");
            Err(DispatchError::Failed)
        }
    }
}

/// The same answer with its body in memory.
pub(super) async fn collected(answer: Finished) -> Result<Finished, DispatchError> {
    let (head, body) = answer.response.into_parts();
    let body = match body {
        Body::Whole(body) => body,
        Body::Function(body) => {
            let collected = body.collect().await.map_err(|error| {
                warn!(%error, "the body of an answer broke off");
                DispatchError::Failed
            })?;
            collected.to_bytes()
        }
    };
    Ok(Finished {
        response: http::Response::from_parts(head, Body::Whole(body)),
        ..answer
    })
}

fn into_wasi(request: WholeRequest) -> http::Request<WasiBody> {
    request.map(|body| {
        Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync()
    })
}
