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

mod feed;
mod instance;
mod streamed;
mod threads;

use std::borrow::Cow;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use bytes::Bytes;
use dunlin::api::Route;
use dunlin::api::aside::UNWRITABLE_HEADER;
use dunlin::limits::STORE_UNAVAILABLE;
use futures_channel::oneshot;
use http::{HeaderMap, HeaderValue};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::{debug, warn};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::ExpirationError;

use crate::clock;
use crate::engine::Engine;
use crate::room::Room;
use crate::store::Store;
use instance::Worker;
pub use streamed::StreamedRequest;
pub use threads::Home;
use threads::InstanceThread;

/// Largest answer that takes no room: what may wait of these is bounded by the requests that may
/// wait.
const SMALL: usize = 4 * 1024;

/// How long an answer to what has been done waits for room among the others.
const ROOM_TIME: Duration = Duration::from_secs(5);

/// Largest body of an answer that is complete before the answer begins, in bytes; larger ones are
/// passed on as they come.
const MAX_HELD: usize = 1024 * 1024;

/// The alarm of queues that take no more requests.
const QUEUES_FULL: &str = "requests-refused";

/// What it is about.
const QUEUES: &str = "queues of all instances";

/// Whether the answer to a request may be a large one.
fn reads_much(request: &WholeRequest) -> bool {
    let route = Route::parse(request.method().as_str(), request.uri().path());
    route.is_ok_and(|route| route.may_answer_at_length())
}

/// How many more requests the instance of a connection's own thread may have than the least loaded
/// one, before its requests go there: a wake-up of another thread costs as much as some of them.
const SPREAD: usize = 16;

/// Such reads that an instance works on at once: each may take it some milliseconds, for which a
/// push waits.
const READS: usize = 2;

/// A request with its whole body.
pub type WholeRequest = http::Request<Bytes>;

/// An answer, its body perhaps still to come.
pub type Response = http::Response<Body>;

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// It comes from the function.
    Function(WasiBody),
}

/// What the function has answered.
#[derive(Debug)]
struct Finished {
    response: Response,
    /// It holds whatever becomes of the records.
    is_at_once: bool,
}

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
    /// As many requests are streamed as may be.
    TooManyStreams,
    /// There is no room for the answer. What was asked for has been done.
    NoRoom,
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
    request: WholeRequest,
    answer: oneshot::Sender<Asked>,
}

/// What an instance says to a request.
type Asked = Result<Finished, wasmtime::Error>;

type Answered = oneshot::Receiver<Asked>;

struct InstanceQueue {
    jobs: mpsc::Sender<Job>,
    /// Of requests that are streamed.
    entry: streamed::Entry,
    load: Arc<AtomicUsize>,
}

/// Hands requests to instances. Dropping it, or [`Dispatcher::shut_down`], ends them.
pub struct Dispatcher {
    /// Empty once shutting down.
    queues: RwLock<Vec<InstanceQueue>>,
    engine: Arc<Engine>,
    store: Store,
    limits: Limits,
    /// Instances that are up.
    ready: Arc<AtomicUsize>,
    /// A request found every queue full, and none has been half empty since.
    is_full: AtomicBool,
    /// One repeated request at a time.
    quarantine: Mutex<()>,
    /// Reads with large answers, in all instances.
    reads: Semaphore,
    workers: std::sync::Mutex<Option<JoinSet<()>>>,
    threads: Vec<InstanceThread>,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Counts a request against its queue for as long as it lives.
struct Loaded(Arc<AtomicUsize>);

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Dispatcher {
    /// Starts the instances; they come up beside each other.
    pub fn start(engine: Arc<Engine>, store: Store, limits: Limits) -> Self {
        let mut workers = JoinSet::new();
        let ready = Arc::<AtomicUsize>::default();
        let threads: Vec<_> = (0..limits.instances).map(InstanceThread::start).collect();
        let queues: Vec<_> = threads
            .iter()
            .enumerate()
            .map(|(number, thread)| {
                let (sender, receiver) = mpsc::channel(limits.queue + limits.concurrency);
                let worker = Worker::new(number, Arc::clone(&engine), limits, &ready);
                let (entry, uploads) = streamed::Entry::new(limits.concurrency);
                workers.spawn_on(worker.run(receiver, uploads), thread.handle());
                InstanceQueue {
                    jobs: sender,
                    entry,
                    load: Arc::default(),
                }
            })
            .collect();
        Self {
            queues: RwLock::new(queues),
            engine,
            store,
            limits,
            ready,
            is_full: AtomicBool::new(false),
            quarantine: Mutex::default(),
            reads: Semaphore::new(READS * limits.instances),
            workers: std::sync::Mutex::new(Some(workers)),
            threads,
        }
    }

    /// Where a connection is to live, as long as what is returned.
    pub fn home(&self) -> Home {
        Home::among(&self.threads).unwrap_or_else(Home::here)
    }

    /// Why no work is taken, in a few words each, for people; empty if it is. Every reason that
    /// `/readyz` gives is here.
    pub fn unready(&self) -> Vec<Cow<'static, str>> {
        let mut reasons = Vec::new();
        if self.ready.load(Ordering::Relaxed) == 0 {
            reasons.push("no instance is ready".into());
        }
        if self.is_full() {
            reasons.push("every queue is full".into());
        }
        if let Some(why) = self.store.trouble() {
            reasons.push(format!("{STORE_UNAVAILABLE}: {why}").into());
        }
        reasons
    }

    fn queues(&self) -> RwLockReadGuard<'_, Vec<InstanceQueue>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next request would be refused.
    fn is_full(&self) -> bool {
        let queues = self.queues();
        let most = self.limits.queue + self.limits.concurrency;
        let is_full = |queue: &InstanceQueue| queue.load.load(Ordering::Relaxed) >= most;
        !queues.is_empty() && queues.iter().all(is_full)
    }

    /// Runs one request to its answer. The answer to a request that may write is not given before
    /// what it reports is durable, unless the component says that it holds in any case.
    ///
    /// `room` is for the answer. A read that may have a large one has it before it is begun, so
    /// that only so many are rendered at once; an answer to what has been done waits for room.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub async fn call(
        &self,
        mut request: WholeRequest,
        room: &mut Room,
    ) -> Result<Response, DispatchError> {
        let may_write = !request.method().is_safe();
        let is_told = self.tell_of_store(request.headers_mut());
        let mut over = pin!(clock::sleep(self.limits.timeout));
        let asked = async {
            match reads_much(&request) {
                true => self.read(request, room).await,
                false => self.attempt(request, room).await,
            }
        };
        let answer = clock::before(&mut over, asked).await;
        let Finished {
            response,
            is_at_once,
        } = answer.unwrap_or(Err(DispatchError::TimedOut))?;
        if is_at_once || !may_write {
            return Ok(response);
        }
        if is_told && self.store.take_writes().is_err() {
            return Err(DispatchError::NotDurable);
        }
        let durable = self.store.durable(self.store.written());
        match clock::before(&mut over, durable).await {
            Ok(Ok(())) => Ok(response),
            failed => {
                // Once for all: the store says what is wrong with it.
                debug!(?failed, "an answer is withheld");
                Err(DispatchError::NotDurable)
            }
        }
    }

    /// Tells the component if the store takes no writes; whether it does not. What a client says of
    /// it counts for nothing.
    fn tell_of_store(&self, headers: &mut HeaderMap) -> bool {
        headers.remove(UNWRITABLE_HEADER);
        let is_unwritable = self.store.trouble().is_some();
        if is_unwritable {
            headers.insert(UNWRITABLE_HEADER, HeaderValue::from_static("1"));
        }
        is_unwritable
    }

    /// A read that may have a large answer.
    async fn read(
        &self,
        request: WholeRequest,
        room: &mut Room,
    ) -> Result<Finished, DispatchError> {
        if !room.fit_within(MAX_HELD, ROOM_TIME).await {
            return Err(DispatchError::Overloaded);
        }
        // It is never closed.
        let _turn = self.reads.acquire().await;
        self.attempt(request, room).await
    }

    async fn attempt(
        &self,
        request: WholeRequest,
        room: &mut Room,
    ) -> Result<Finished, DispatchError> {
        // Its effect is the same when it runs twice (RFC 9110, section 9.2.2).
        let repeatable = request.method().is_idempotent().then(|| request.clone());
        match (self.enqueue(request, room).await, repeatable) {
            (Err(DispatchError::Stopped), Some(request)) => {
                warn!("the function was stopped; repeating a request on its own");
                let _alone = self.quarantine.lock().await;
                instance::run_alone(&self.engine, request, room).await
            }
            (answer, _) => answer,
        }
    }

    async fn enqueue(
        &self,
        request: WholeRequest,
        room: &mut Room,
    ) -> Result<Finished, DispatchError> {
        let is_safe = request.method().is_safe();
        let (answered, _loaded) = self.hand_over(request)?;
        held(classify(answered.await.ok())?, is_safe, room).await
    }

    /// Puts the request into the queue of this thread, or into the shortest if that is much
    /// shorter; what is returned beside the receiver counts it.
    fn hand_over(&self, request: WholeRequest) -> Result<(Answered, Loaded), DispatchError> {
        let queues = self.queues();
        let load = |queue: &InstanceQueue| queue.load.load(Ordering::Relaxed);
        let shortest = queues
            .iter()
            .min_by_key(|queue| load(queue))
            .ok_or(DispatchError::ShuttingDown)?;
        let own = threads::current().and_then(|number| queues.get(number));
        let queue = own
            .filter(|own| load(own) < load(shortest) + SPREAD)
            .unwrap_or(shortest);
        let load = queue.load.fetch_add(1, Ordering::Relaxed);
        let loaded = Loaded(Arc::clone(&queue.load));
        let places = self.limits.queue + self.limits.concurrency;
        if load >= places {
            self.overflowed();
            return Err(DispatchError::Overloaded);
        }
        if load < places / 2 && self.is_full.swap(false, Ordering::Relaxed) {
            self.engine.operator().good(QUEUES_FULL, QUEUES);
        }
        let (answer, answered) = oneshot::channel();
        let job = Job { request, answer };
        queue.jobs.try_send(job).map_err(|error| match error {
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
                 answered 503. Send more slowly, or raise instances or queue under [host]; other \
                 alarms say whether the component waits for a server that does not answer."
            )
        };
        self.engine.operator().note(QUEUES_FULL, QUEUES, text);
    }

    /// Waits until every instance has finished what it is doing, at most `patience`.
    pub async fn shut_down(&self, patience: Duration) {
        self.queues
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
            if clock::timeout(patience, all).await.is_err() {
                warn!("instances were still busy when the shutdown time ran out");
            }
        }
    }
}

/// What an attempt's answer means; `None` is a sender that was dropped with its instance.
fn classify(answer: Option<Asked>) -> Result<Finished, DispatchError> {
    match answer {
        None => Err(DispatchError::Stopped),
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) if error.is::<ExpirationError>() => Err(DispatchError::TimedOut),
        Some(Err(error)) => {
            warn!(%error, "the function failed");
            Err(DispatchError::Failed)
        }
    }
}

/// Waits for the body of an answer that says it is small. An instance that is stopped meanwhile
/// takes the body with it, and only an answer that has not begun can be replaced by another.
async fn held(answer: Finished, is_safe: bool, room: &mut Room) -> Result<Finished, DispatchError> {
    let length = length(&answer.response);
    make_room(length.unwrap_or(MAX_HELD), is_safe, room).await?;
    if length.is_none_or(|length| length > MAX_HELD) {
        return Ok(answer);
    }
    let held = instance::collected(answer).await;
    held.map_err(|_| DispatchError::Stopped)
}

/// The length that an answer has, or says it has.
fn length(response: &Response) -> Option<usize> {
    if let Body::Whole(body) = response.body() {
        return Some(body.len());
    }
    let length = response.headers().get(http::header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Room for an answer of so many bytes, wherever they are held. One to a read can be asked for
/// again.
async fn make_room(bytes: usize, is_safe: bool, room: &mut Room) -> Result<(), DispatchError> {
    let needed = if bytes <= SMALL { 0 } else { bytes };
    if room.try_fit(needed) {
        return Ok(());
    }
    if is_safe {
        return Err(DispatchError::Overloaded);
    }
    match room.fit_or_wait(needed, ROOM_TIME).await {
        true => Ok(()),
        false => Err(DispatchError::NoRoom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::{Budget, Share};

    #[tokio::test]
    async fn where_there_is_no_room_a_read_is_refused_and_what_is_done_waits() {
        let budget = Budget::new(100_000);
        let share = Share::new(100_000);
        let mut held = budget.room(&share);
        assert!(held.try_fit(100_000));
        let mut room = budget.room(&share);
        // Small ones are counted as requests.
        assert_eq!(make_room(SMALL, true, &mut room).await, Ok(()));
        let refused = make_room(50_000, true, &mut room).await;
        assert_eq!(refused, Err(DispatchError::Overloaded));
        let waits = tokio::spawn(async move { make_room(50_000, false, &mut room).await });
        tokio::task::yield_now().await;
        drop(held);
        assert_eq!(waits.await.unwrap(), Ok(()));
    }
}
