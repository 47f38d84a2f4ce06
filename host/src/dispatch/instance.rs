//! One instance and the loop that feeds it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tracing::{debug, error, warn};
use wasmtime::AsContextMut as _;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::handler::{Prepared, Proxy};

use super::{DispatchError, Job, Limits, MAX_HELD, Response, classify, length, make_room};
use crate::clock;
use crate::engine::{Engine, Instance, StallWatch, noting_turns};
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

/// Why a feeding loop ended by itself.
enum Ended {
    /// No more requests will come, and all are answered.
    Closed,
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

    pub(super) async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        loop {
            let made = self.engine.instance().await;
            let (mut store, proxy) = match made {
                Ok(instance) => instance,
                Err(error) => {
                    error!(instance = self.number, %error, "no instance could be made");
                    if refuse_waiting(&mut jobs) {
                        return;
                    }
                    tokio::time::sleep(RESTART_PAUSE).await;
                    continue;
                }
            };
            debug!(instance = self.number, "instance ready");
            let watch = Arc::clone(&store.data().watch);
            let feed = Feed {
                jobs: &mut jobs,
                proxy: &proxy,
                operator: self.engine.operator(),
                limits: self.limits,
                watch,
            };
            self.ready.fetch_add(1, Ordering::Relaxed);
            let ended = store
                .run_concurrent(async |accessor| feed.run(accessor).await)
                .await
                .and_then(|inner| inner);
            self.ready.fetch_sub(1, Ordering::Relaxed);
            match ended {
                Ok(Ended::Closed) => return,
                Err(error) => {
                    warn!(instance = self.number, error = ?error, "the function was stopped");
                }
            }
        }
    }
}

/// Drops what is waiting, so that callers hear at once; true if no more can come.
fn refuse_waiting(jobs: &mut mpsc::Receiver<Job>) -> bool {
    loop {
        match jobs.try_recv() {
            Ok(job) => {
                // The caller may have given up.
                let _ = job.answer.send(Err(wasmtime::format_err!("no instance")));
            }
            Err(mpsc::error::TryRecvError::Empty) => return false,
            Err(mpsc::error::TryRecvError::Disconnected) => return true,
        }
    }
}

struct Feed<'a> {
    jobs: &'a mut mpsc::Receiver<Job>,
    proxy: &'a Proxy,
    operator: &'a Operator,
    limits: Limits,
    watch: Arc<StallWatch>,
}

impl Feed<'_> {
    /// Runs until the queue is closed and everything taken from it is answered. A trap ends the
    /// whole store, and this with it.
    async fn run(self, accessor: &Accessor<Instance>) -> wasmtime::Result<Ended> {
        let Self {
            jobs,
            proxy,
            operator,
            limits,
            watch,
        } = self;
        let mut calls = FuturesUnordered::new();
        let mut open = true;
        poll_fn(|cx| {
            watch.turn();
            loop {
                while let Poll::Ready(Some(done)) = calls.poll_next_unpin(cx) {
                    if let Err(error) = done {
                        return Poll::Ready(Err(error));
                    }
                }
                if !open || calls.len() >= limits.concurrency {
                    break;
                }
                match jobs.poll_recv(cx) {
                    // Whoever asked has given up.
                    Poll::Ready(Some(job)) if job.answer.is_canceled() => {}
                    Poll::Ready(Some(job)) => {
                        let call = call(accessor, proxy, operator, job, limits.timeout);
                        calls.push(call);
                    }
                    Poll::Ready(None) => open = false,
                    Poll::Pending => break,
                }
            }
            let idle = !open && calls.is_empty();
            if idle {
                Poll::Ready(Ok(Ended::Closed))
            } else {
                Poll::Pending
            }
        })
        .await
    }
}

/// Runs one request. What the function has counted is taken off its answer here, where it comes
/// also when nobody waits for it any more.
async fn call(
    accessor: &Accessor<Instance>,
    proxy: &Proxy,
    operator: &Operator,
    job: Job,
    timeout: Duration,
) -> wasmtime::Result<()> {
    let (answer, mut answered) = oneshot::channel();
    let prepared = accessor.with(|mut store| {
        Prepared::new(
            store.as_context_mut(),
            proxy,
            job.request,
            Instance::http,
            answer,
        )
    })?;
    prepared.run(accessor, clock::sleep(timeout)).await?;
    // It has been sent by then; dropped, it says that there is none.
    if let Ok(Some(mut answer)) = answered.try_recv() {
        if let Ok(response) = &mut answer {
            operator.take_counts(response.headers_mut());
        }
        // The caller may have given up.
        let _ = job.answer.send(answer);
    }
    Ok(())
}

/// Runs one request in an instance of its own, which ends with it.
pub(super) async fn run_alone(
    engine: &Engine,
    request: http::Request<wasmtime_wasi_http::WasiBody>,
    room: &mut Room,
) -> Result<Response, DispatchError> {
    let (mut store, proxy) = engine.instance().await.map_err(|error| {
        warn!(%error, "no instance could be made");
        DispatchError::Failed
    })?;
    let watch = Arc::clone(&store.data().watch);
    let (answer, mut answered) = oneshot::channel();
    let job = Job { request, answer };
    // The answer's body is produced by the instance, so it is collected before the instance goes.
    let running = store.run_concurrent(async |accessor| {
        noting_turns(&watch, async {
            call(accessor, &proxy, engine.operator(), job, Duration::MAX).await?;
            wasmtime::error::Ok(match classify(answered.try_recv().ok().flatten()) {
                Ok(response) => {
                    let length = length(&response).unwrap_or(MAX_HELD);
                    match make_room(length, true, room).await {
                        Ok(()) => collected(response).await,
                        Err(error) => Err(error),
                    }
                }
                Err(error) => Err(error),
            })
        })
        .await
    });
    match running.await.and_then(|inner| inner) {
        Ok(response) => response,
        Err(error) => {
            warn!(error = ?error, "the function was stopped again by the same request");
            Err(DispatchError::Failed)
        }
    }
}

/// The same answer with its body in memory.
pub(super) async fn collected(response: Response) -> Result<Response, DispatchError> {
    use http_body_util::{BodyExt as _, Full};
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| {
        warn!(%error, "the body of an answer broke off");
        DispatchError::Failed
    })?;
    let body = Full::new(body.to_bytes())
        .map_err(|never| match never {})
        .boxed_unsync();
    Ok(http::Response::from_parts(head, body))
}
