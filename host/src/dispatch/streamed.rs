//! Requests whose bodies and answers have no end that is known: handed on at once, by
//! `wasi:http/handler`, and carried until one side has enough.
//!
//! ```text
//!   client ─► Upload ─► the instance with the fewest of them ─► an answer that goes on
//!                         (so many at once, and 503 beyond)      └─ whole, or cut off: never in
//!                                                                   between
//! ```
//!
//! An instance that is stopped takes with it what it was answering, and the runtime then ends the
//! body as if it were whole. So the component says with a trailer that it is, which goes no
//! further; without it the answer breaks off.
//!
//! The time that a request may take is for the head of the answer. Who is slow afterwards is dealt
//! with where the connection is.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dunlin::api::aside::{LINES_HEADER, WHOLE_TRAILER};
use futures_channel::oneshot;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use wasmtime::component::Accessor;
use wasmtime_wasi_http::handler::Proxy;
use wasmtime_wasi_http::{Error, WasiBody};

use super::instance::exchange;
use super::{
    Answered, Asked, Body, DispatchError, Dispatcher, Finished, Loaded, Response, classify,
};
use crate::clock;
use crate::engine::Instance;
use crate::operator::Operator;
use crate::room::Room;

/// A request, its body still to come.
pub type StreamedRequest = http::Request<WasiBody>;

/// Of the requests that an instance works on at once, these many may be streamed: one in so many.
const SHARE: usize = 8;

/// What an answer may take on its way, in bytes: a piece that the runtime has, one that waits, and
/// what the client's connection keeps of the body.
const ROOM: usize = 256 * 1024;

/// A streamed request on its way.
pub(super) struct Upload {
    request: StreamedRequest,
    answer: oneshot::Sender<Asked>,
}

/// Where an instance gets them.
pub(super) type Uploads = mpsc::Receiver<Upload>;

/// Where they are handed to an instance.
#[derive(Debug)]
pub(super) struct Entry {
    uploads: mpsc::Sender<Upload>,
    places: Arc<Semaphore>,
}

impl Entry {
    /// For an instance that works on so many requests at once.
    pub fn new(concurrency: usize) -> (Self, Uploads) {
        let most = (concurrency / SHARE).max(1);
        let (sender, receiver) = mpsc::channel(most);
        let entry = Self {
            uploads: sender,
            places: Arc::new(Semaphore::new(most)),
        };
        (entry, receiver)
    }
}

/// Runs `feeding` to its end; beside it, takes streamed requests as they come.
pub(super) async fn beside<T>(
    feeding: impl Future<Output = wasmtime::Result<T>>,
    accessor: &Accessor<Instance>,
    (uploads, proxy, timeout): (&mut Uploads, &Proxy, Duration),
    operator: &Operator,
) -> wasmtime::Result<T> {
    let mut feeding = pin!(feeding);
    let mut begun = FuturesUnordered::new();
    poll_fn(|cx| {
        if let Poll::Ready(ended) = feeding.as_mut().poll(cx) {
            return Poll::Ready(ended);
        }
        loop {
            while let Poll::Ready(Some(done)) = begun.poll_next_unpin(cx) {
                if let Err(error) = done {
                    return Poll::Ready(Err(error));
                }
            }
            match uploads.poll_recv(cx) {
                // Whoever asked has given up.
                Poll::Ready(Some(upload)) if upload.answer.is_canceled() => {}
                Poll::Ready(Some(Upload { request, answer })) => {
                    begun.push(exchange(
                        accessor,
                        proxy,
                        operator,
                        (request, answer),
                        timeout,
                    ));
                }
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

impl Dispatcher {
    /// Runs a request whose body is streamed until its answer has begun, which goes on as long as
    /// it is read. What it writes is on disk before it says so: the component sees to that.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub async fn call_streamed(
        &self,
        mut request: StreamedRequest,
        room: &mut Room,
    ) -> Result<Response, DispatchError> {
        if !room.try_fit(ROOM) {
            return Err(DispatchError::Overloaded);
        }
        self.tell_of_store(request.headers_mut());
        let (answered, held) = self.hand_over_streamed(request)?;
        let answer = clock::timeout(self.limits.timeout, answered).await;
        let answer = answer.map_err(|_| DispatchError::TimedOut)?;
        let Finished { mut response, .. } = classify(answer.ok())?;
        let is_of_lines = response.headers_mut().remove(LINES_HEADER).is_some();
        Ok(response.map(|body| match body {
            Body::Whole(_) => body,
            Body::Function(body) => {
                let body = Streamed {
                    body,
                    is_whole: !is_of_lines,
                    _held: held,
                };
                Body::Function(body.boxed_unsync())
            }
        }))
    }

    fn hand_over_streamed(
        &self,
        request: StreamedRequest,
    ) -> Result<(Answered, Held), DispatchError> {
        let queues = self.queues();
        if queues.is_empty() {
            return Err(DispatchError::ShuttingDown);
        }
        let queue = queues
            .iter()
            .max_by_key(|queue| queue.entry.places.available_permits())
            .ok_or(DispatchError::ShuttingDown)?;
        let place = Arc::clone(&queue.entry.places).try_acquire_owned();
        let place = place.map_err(|_| DispatchError::TooManyStreams)?;
        queue.load.fetch_add(1, Ordering::Relaxed);
        let loaded = Loaded(Arc::clone(&queue.load));
        let (answer, answered) = oneshot::channel();
        let handed_over = queue.entry.uploads.try_send(Upload { request, answer });
        handed_over.map_err(|_| DispatchError::TooManyStreams)?;
        Ok((answered, (loaded, place)))
    }
}

/// What a streamed request has for as long as it is answered.
type Held = (Loaded, OwnedSemaphorePermit);

/// The body of an answer. It ends well only if the component has said that it is whole.
struct Streamed {
    body: WasiBody,
    is_whole: bool,
    _held: Held,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                None if self.is_whole => return Poll::Ready(None),
                None => return Poll::Ready(Some(Err(Error::HttpResponseIncomplete))),
                failed => return Poll::Ready(failed),
            };
            match frame.trailers_ref() {
                Some(trailers) => self.is_whole |= trailers.contains_key(WHOLE_TRAILER),
                None => return Poll::Ready(Some(Ok(frame))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::AtomicUsize;

    use http_body_util::StreamBody;

    use super::*;

    async fn answer(frames: Vec<Frame<Bytes>>, is_whole: bool) -> (usize, bool) {
        let frames = frames.into_iter().map(Ok::<_, Infallible>);
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let places = Arc::new(Semaphore::new(1));
        let place = places.try_acquire_owned().unwrap();
        let loaded = Loaded(Arc::new(AtomicUsize::new(1)));
        let mut body = Streamed {
            body: body.map_err(Error::from).boxed_unsync(),
            is_whole,
            _held: (loaded, place),
        };
        let mut pieces = 0;
        loop {
            match body.frame().await {
                Some(Ok(frame)) => {
                    assert!(frame.is_data(), "trailers go no further");
                    pieces += 1;
                }
                Some(Err(_)) => return (pieces, false),
                None => return (pieces, true),
            }
        }
    }

    fn end(name: &'static str) -> Frame<Bytes> {
        let value = http::HeaderValue::from_static("1");
        let name = http::HeaderName::from_static(name);
        Frame::trailers(http::HeaderMap::from_iter([(name, value)]))
    }

    #[tokio::test]
    async fn an_answer_that_is_not_said_to_be_whole_breaks_off() {
        let data = || Frame::data(Bytes::from_static(b"x"));
        assert_eq!(answer(vec![data(), data()], false).await, (2, false));
        assert_eq!(answer(vec![data(), end("other")], false).await, (1, false));
        assert_eq!(
            answer(vec![data(), end(WHOLE_TRAILER)], false).await,
            (1, true)
        );
        assert_eq!(answer(vec![data()], true).await, (1, true), "a problem");
    }

    #[test]
    fn an_instance_has_a_part_of_its_requests_streamed() {
        for (concurrency, most) in [(1, 1), (8, 1), (100, 12), (1_000, 125)] {
            let (entry, _uploads) = Entry::new(concurrency);
            assert_eq!(entry.places.available_permits(), most);
        }
    }
}
