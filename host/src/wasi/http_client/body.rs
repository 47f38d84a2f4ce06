//! The body of a request, and whether anything of it was asked for.
//!
//! HTTP/2 asks for a body when it has a stream for it. A request that never got so far, on a
//! connection that ended, has not been acted on, whatever became of its headers.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

/// Whether a body has begun.
#[derive(Clone, Debug, Default)]
pub(super) struct Begun(Arc<AtomicBool>);

impl Begun {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A body that tells when it begins.
pub(super) struct Watched {
    body: WasiBody,
    begun: Begun,
}

impl Watched {
    pub(super) fn wrap(request: http::Request<WasiBody>) -> (http::Request<Self>, Begun) {
        let begun = Begun::default();
        let watched = request.map(|body| Self {
            body,
            begun: begun.clone(),
        });
        (watched, begun)
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.begun.0.store(true, Ordering::Release);
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    #[tokio::test]
    async fn a_body_has_begun_when_it_is_asked_for() {
        let body = Full::new(Bytes::from_static(b"{}")).map_err(|never| match never {});
        let request = http::Request::post("/").body(body.boxed_unsync()).unwrap();
        let (request, begun) = Watched::wrap(request);
        let body = request.into_body();
        assert_eq!(body.size_hint().exact(), Some(2));
        assert!(!body.is_end_stream() && !begun.is_set());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "{}");
        assert!(begun.is_set());
    }
}
