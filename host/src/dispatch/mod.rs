//! HTTP requests in, answers of the function out, with every queue bounded.
//!
//! ```text
//!                  ┌─► queue (bounded) ─► instance 0, up to `concurrency` requests at once
//!   call ─ least ──┤
//!         loaded   └─► queue (bounded) ─► instance 1 …
//! ```
//!
//! The number of instances is fixed, so that a burst meets warm APNs connections instead of opening
//! new ones. When an instance traps, everything it was working on ends with it; then
//! - requests that may be repeated (GET, PUT, DELETE) run again, one at a time, in an instance of
//!   their own, so that the one that trapped shows itself and takes no other with it a second time;
//! - a POST is not repeated, because a push it carried may have been sent: the caller is told so.

mod instance;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use http_body_util::{BodyExt as _, Full};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tracing::{debug, warn};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::ExpirationError;

use crate::awake;
use crate::function::Function;
use crate::store::Store;
use instance::Worker;

/// Largest body of an answer that is complete before the answer begins, in bytes; larger ones are
/// passed on as they come.
const MAX_HELD: usize = 1024 * 1024;

/// The calls whose answers do not wait for the disk: what has been sent, or done at APNs, is
/// reported, whatever becomes of the records.
const DONE_AT_APNS: [&str; 3] = ["/v1/push", "/v1/broadcasts", "/v1/channels"];

/// Whether a request changes something that has to be on disk before it is answered.
fn writes(method: &http::Method, path: &str) -> bool {
    let is_channel = path.starts_with("/v1/channels/");
    !method.is_safe() && !is_channel && !DONE_AT_APNS.contains(&path)
}

/// The alarm of queues that take no more requests.
const QUEUES_FULL: &str = "requests-refused";

/// What it is about.
const QUEUES: &str = "queues of all instances";

/// A request with its whole body.
pub type Request = http::Request<Bytes>;

/// An answer, its body still to come.
pub type Response = http::Response<WasiBody>;

/// Why there is no answer from the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatchError {
    /// Every queue is full.
    Overloaded,
    /// The host is shutting down.
    ShuttingDown,
    /// The request took longer than it may.
    TimedOut,
    /// The function was stopped while it worked on the request; what it had done is not known.
    Stopped,
    /// The function failed without being stopped.
    Failed,
    /// The answer could not be made durable.
    NotDurable,
}

/// Sizes and times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Instances.
    pub instances: usize,
    /// Requests an instance works on at once.
    pub concurrency: usize,
    /// Requests that wait for each instance.
    pub queue: usize,
    /// Longest time for one request, waiting included.
    pub timeout: Duration,
}

/// One request on its way.
struct Job {
    request: http::Request<WasiBody>,
    answer: oneshot::Sender<Result<Response, wasmtime::Error>>,
}

type Answered = oneshot::Receiver<Result<Response, wasmtime::Error>>;

struct Lane {
    jobs: mpsc::Sender<Job>,
    load: Arc<AtomicUsize>,
}

/// Hands requests to instances. Dropping it, or [`Dispatcher::shut_down`], ends them.
pub struct Dispatcher {
    /// Empty once shutting down.
    lanes: RwLock<Vec<Lane>>,
    function: Arc<Function>,
    store: Store,
    limits: Limits,
    /// Instances that are up.
    ready: Arc<AtomicUsize>,
    /// A request found every queue full, and none has been half empty since.
    is_full: AtomicBool,
    /// One repeated request at a time.
    quarantine: Mutex<()>,
    workers: std::sync::Mutex<Option<JoinSet<()>>>,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Counts a request against its lane for as long as it lives.
struct Loaded(Arc<AtomicUsize>);

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Dispatcher {
    /// Starts the instances; they come up beside each other.
    pub fn start(function: Arc<Function>, store: Store, limits: Limits) -> Self {
        let mut workers = JoinSet::new();
        let ready = Arc::<AtomicUsize>::default();
        let lanes: Vec<_> = (0..limits.instances)
            .map(|number| {
                let (sender, receiver) = mpsc::channel(limits.queue + limits.concurrency);
                let worker = Worker::new(number, Arc::clone(&function), limits, &ready);
                workers.spawn(worker.run(receiver));
                Lane {
                    jobs: sender,
                    load: Arc::default(),
                }
            })
            .collect();
        Self {
            lanes: RwLock::new(lanes),
            function,
            store,
            limits,
            ready,
            is_full: AtomicBool::new(false),
            quarantine: Mutex::default(),
            workers: std::sync::Mutex::new(Some(workers)),
        }
    }

    /// Whether an instance is there to take a request.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) > 0
    }

    /// Why the store takes no writes at present; for people.
    pub fn store_trouble(&self) -> Option<Arc<str>> {
        self.store.trouble()
    }

    /// Runs one request to its answer. The answer to a request that writes is not given before what
    /// it reports is durable; what was done at APNs is reported in any case.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub async fn call(&self, request: Request) -> Result<Response, DispatchError> {
        let writes = writes(request.method(), request.uri().path());
        if writes && self.store.take_writes().is_err() {
            return Err(DispatchError::NotDurable);
        }
        let mut over = pin!(awake::sleep(self.limits.timeout));
        let answer = awake::before(&mut over, self.attempt(request)).await;
        let response = answer.unwrap_or(Err(DispatchError::TimedOut))?;
        if !writes {
            return Ok(response);
        }
        let durable = self.store.durable(self.store.written());
        match awake::before(&mut over, durable).await {
            Ok(Ok(())) => Ok(response),
            failed => {
                // Once for all: the store says what is wrong with it.
                debug!(?failed, "an answer is withheld");
                Err(DispatchError::NotDurable)
            }
        }
    }

    async fn attempt(&self, request: Request) -> Result<Response, DispatchError> {
        // Its effect is the same when it runs twice (RFC 9110, section 9.2.2).
        let repeatable = request.method().is_idempotent().then(|| request.clone());
        match (self.enqueue(request).await, repeatable) {
            (Err(DispatchError::Stopped), Some(request)) => {
                warn!("the function was stopped; repeating a request on its own");
                let _alone = self.quarantine.lock().await;
                instance::run_alone(&self.function, into_wasi(request)).await
            }
            (answer, _) => answer,
        }
    }

    async fn enqueue(&self, request: Request) -> Result<Response, DispatchError> {
        let (answered, _loaded) = self.hand_over(request)?;
        held(classify(answered.await.ok())?).await
    }

    /// Puts the request into the shortest queue; what is returned beside the receiver counts it.
    fn hand_over(&self, request: Request) -> Result<(Answered, Loaded), DispatchError> {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes
            .iter()
            .min_by_key(|lane| lane.load.load(Ordering::Relaxed))
            .ok_or(DispatchError::ShuttingDown)?;
        let load = lane.load.fetch_add(1, Ordering::Relaxed);
        let loaded = Loaded(Arc::clone(&lane.load));
        let places = self.limits.queue + self.limits.concurrency;
        if load >= places {
            self.overflowed();
            return Err(DispatchError::Overloaded);
        }
        if load < places / 2 && self.is_full.swap(false, Ordering::Relaxed) {
            self.function.operator().good(QUEUES_FULL, QUEUES);
        }
        let (answer, answered) = oneshot::channel();
        let job = Job {
            request: into_wasi(request),
            answer,
        };
        lane.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => DispatchError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => DispatchError::ShuttingDown,
        })?;
        Ok((answered, loaded))
    }

    /// Every queue is full.
    fn overflowed(&self) {
        self.is_full.store(true, Ordering::Relaxed);
        let Limits {
            instances, queue, ..
        } = self.limits;
        let text = || {
            format!(
                "each of {instances} instances has {queue} requests waiting, and the next were \
                 answered 503. Send more slowly, or raise instances or queue under [host]; alarms \
                 of the ways to APNs say whether those are what everything waits for."
            )
        };
        self.function.operator().note(QUEUES_FULL, QUEUES, text);
    }

    /// Waits until every instance has finished what it is doing, at most `patience`.
    pub async fn shut_down(&self, patience: Duration) {
        self.lanes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let workers = self
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut workers) = workers {
            let all = async { while workers.join_next().await.is_some() {} };
            if awake::timeout(patience, all).await.is_err() {
                warn!("instances were still busy when the shutdown time ran out");
            }
        }
    }
}

/// What an attempt's answer means; `None` is a sender that was dropped with its instance.
fn classify(answer: Option<Result<Response, wasmtime::Error>>) -> Result<Response, DispatchError> {
    match answer {
        None => Err(DispatchError::Stopped),
        Some(Ok(response)) => Ok(response),
        Some(Err(error)) if error.is::<ExpirationError>() => Err(DispatchError::TimedOut),
        Some(Err(error)) => {
            warn!(%error, "the function failed");
            Err(DispatchError::Failed)
        }
    }
}

/// Waits for the body of an answer that says it is small. An instance that is stopped meanwhile
/// takes the body with it, and only an answer that has not begun can be replaced by another.
async fn held(response: Response) -> Result<Response, DispatchError> {
    let length = response.headers().get(http::header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_none_or(|length| length > MAX_HELD) {
        return Ok(response);
    }
    let held = instance::collected(response).await;
    held.map_err(|_| DispatchError::Stopped)
}

fn into_wasi(request: Request) -> http::Request<WasiBody> {
    request.map(|body| {
        Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[test]
    fn what_is_done_at_apns_does_not_wait_for_the_disk() {
        for (method, path, expected) in [
            (Method::POST, "/v1/push", false),
            (Method::POST, "/v1/broadcasts", false),
            (Method::POST, "/v1/channels", false),
            (Method::DELETE, "/v1/channels/YQ==", false),
            (Method::GET, "/v1/devices", false),
            (Method::POST, "/v1/devices", true),
            (Method::PUT, "/v1/devices/a1", true),
            (Method::DELETE, "/v1/devices/a1", true),
            (Method::POST, "/v1/tasks/feedback", true),
        ] {
            assert_eq!(writes(&method, path), expected, "{method} {path}");
        }
    }
}
