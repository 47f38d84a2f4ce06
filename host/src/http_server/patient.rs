//! The body of a request that is handed on as it comes: as long as it likes, and not as slowly.
//!
//! It ends with an error when the client has sent too little in the time that it was waited for, or
//! when the host is to stop. What is not asked for costs nothing: the time in which whoever reads
//! it has enough to do is nobody's fault.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

use super::limits::Limits;

/// See the module.
pub(super) struct Patient<B> {
    body: B,
    /// How long a client is waited for, and what it has to bring in that time, in bytes.
    time: Duration,
    least: usize,
    /// How long it was waited for, and since when it is now, while this many bytes came.
    waited: Duration,
    since: Option<Instant>,
    brought: usize,
    over: Pin<Box<Sleep>>,
    stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
    has_ended: bool,
}

impl<B> Patient<B> {
    pub fn new(
        body: B,
        limits: &Limits,
        stopping: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            body,
            time: limits.body_time,
            least: limits.lines_bytes,
            waited: Duration::ZERO,
            since: None,
            brought: 0,
            over: Box::pin(tokio::time::sleep(limits.body_time)),
            stopping: Box::pin(stopping),
            has_ended: false,
        }
    }

    /// This many bytes have come.
    fn brought(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.brought += bytes;
        if self.brought >= self.least {
            (self.brought, self.waited) = (0, Duration::ZERO);
        }
    }

    /// Nothing has come; whether it was waited for long enough.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            let left = self.time.saturating_sub(self.waited);
            self.over.as_mut().reset(now + left);
        }
        self.over.as_mut().poll(cx)
    }

    fn end(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.has_ended = true;
        Poll::Ready(Some(Err(error)))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Patient<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.has_ended {
            return Poll::Ready(None);
        }
        if this.stopping.as_mut().poll(cx).is_ready() {
            return this.end(Error::ConnectionTerminated);
        }
        loop {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing here.
                    if let Ok(data) = frame.into_data() {
                        this.brought(data.len());
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
                Poll::Ready(Some(Err(_))) => return this.end(Error::HttpProtocolError),
                Poll::Ready(None) => {
                    this.has_ended = true;
                    return Poll::Ready(None);
                }
                Poll::Pending if this.poll_over(cx).is_ready() => {
                    return this.end(Error::ConnectionReadTimeout);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    /// Takes a body of so many pieces of ten bytes, one every `pace`, in which `least` bytes have
    /// to come within 100 ms; how many there were, and how it ended.
    async fn taken(pieces: usize, pace: Duration, least: usize) -> (usize, String) {
        let limits = Limits {
            body_time: Duration::from_millis(100),
            lines_bytes: least,
            ..Limits::default()
        };
        let frames = stream::unfold(0, move |sent| async move {
            if sent == pieces {
                return pending().await;
            }
            tokio::time::sleep(pace).await;
            let frame = Frame::data(Bytes::from_static(b"0123456789"));
            Some((Ok::<_, Infallible>(frame), sent + 1))
        });
        let mut body = Patient::new(StreamBody::new(Box::pin(frames)), &limits, pending());
        let mut count = 0;
        loop {
            match body.frame().await {
                Some(Ok(_)) => count += 1,
                Some(Err(error)) => return (count, format!("{error:?}")),
                None => return (count, "end".to_owned()),
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_brings_enough_goes_on_for_ever_and_one_that_does_not_ends() {
        let pace = Duration::from_millis(10);
        let (count, how) = taken(40, pace, 10).await;
        assert_eq!((count, &*how), (40, "ConnectionReadTimeout"));
        let (count, how) = taken(40, pace, 1_000).await;
        assert!(count < 20, "{count}");
        assert_eq!(how, "ConnectionReadTimeout");
    }

    #[tokio::test]
    async fn time_in_which_nobody_asks_does_not_count() {
        let limits = Limits {
            body_time: Duration::from_millis(50),
            lines_bytes: 1_000,
            ..Limits::default()
        };
        let frames = (0..5).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))));
        let body = StreamBody::new(stream::iter(frames));
        let mut body = Patient::new(body, &limits, pending());
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert!(body.frame().await.unwrap().is_ok());
        }
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_host_that_stops_ends_it() {
        let frames = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let stopping = tokio::time::sleep(Duration::from_millis(10));
        let mut body = Patient::new(StreamBody::new(frames), &Limits::default(), stopping);
        let ended = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(ended, Error::ConnectionTerminated));
        assert!(body.frame().await.is_none());
    }
}
