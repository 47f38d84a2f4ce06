//! The body of an answer on its way to the client: in pieces, each of which is known to be held
//! until the socket has taken it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Response};
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::WasiBody;

use super::client_connection::{Lease, Piece};
use crate::dispatch;

/// Most bytes that are handed to the runtime at once: what it keeps of one stream, too.
pub(super) const PIECE: usize = 16 * 1024;

/// A body, and the place of its request.
pub struct AnswerBody {
    source: Source,
    /// What is left of the piece that came last from the source.
    rest: Bytes,
    lease: Option<Arc<Lease>>,
}

enum Source {
    /// All of it is in `rest`.
    Whole,
    /// It comes from the function.
    Function(WasiBody),
}

impl AnswerBody {
    fn whole(body: Bytes, lease: Option<Arc<Lease>>) -> Self {
        Self {
            source: Source::Whole,
            rest: body,
            lease,
        }
    }

    fn function(body: WasiBody, lease: Arc<Lease>) -> Self {
        Self {
            source: Source::Function(body),
            rest: Bytes::new(),
            lease: Some(lease),
        }
    }

    /// The next piece of what is there.
    fn piece(&mut self) -> Frame<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Frame::data(match &self.lease {
            Some(lease) => Piece::bytes(piece, lease),
            None => piece,
        })
    }
}

/// The answer of the host.
pub(super) fn whole(answer: Response<Bytes>, lease: Option<Lease>) -> Response<AnswerBody> {
    let lease = lease.map(Arc::new);
    answer.map(|body| AnswerBody::whole(body, lease))
}

/// The answer of the function.
pub(super) fn function(answer: dispatch::Response, lease: Lease) -> Response<AnswerBody> {
    let lease = Arc::new(lease);
    answer.map(|body| match body {
        dispatch::Body::Whole(body) => AnswerBody::whole(body, Some(lease)),
        dispatch::Body::Function(body) => AnswerBody::function(body, lease),
    })
}

/// Without a body if the request was HEAD (RFC 9110, section 9.3.2); its length stays.
pub(super) fn for_method(method: &Method, answer: Response<AnswerBody>) -> Response<AnswerBody> {
    if method != Method::HEAD {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact() {
        let length = http::HeaderValue::from(length);
        head.headers
            .entry(http::header::CONTENT_LENGTH)
            .or_insert(length);
    }
    Response::from_parts(head, AnswerBody::whole(Bytes::new(), None))
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = wasmtime_wasi_http::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if !this.rest.is_empty() {
            return Poll::Ready(Some(Ok(this.piece())));
        }
        let Source::Function(body) = &mut this.source else {
            return Poll::Ready(None);
        };
        let frame = match ready!(Pin::new(body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other),
        };
        match frame.into_data() {
            Ok(data) => {
                this.rest = data;
                Poll::Ready(Some(Ok(this.piece())))
            }
            Err(frame) => Poll::Ready(Some(Ok(frame))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
            && match &self.source {
                Source::Function(body) => body.is_end_stream(),
                Source::Whole => true,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        match &self.source {
            Source::Whole => SizeHint::with_exact(rest),
            Source::Function(body) => {
                let mut hint = body.size_hint();
                if let Some(upper) = hint.upper() {
                    hint.set_upper(upper.saturating_add(rest));
                }
                hint.set_lower(hint.lower().saturating_add(rest));
                hint
            }
        }
    }
}
