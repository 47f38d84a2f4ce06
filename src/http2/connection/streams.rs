//! The open streams and what waits to be sent on them.
//!
//! Source: RFC 9113, 5.1. A client whose server may not push sees this part of the diagram; what
//! is not in the table is idle (never opened) or closed.
//!
//! ```text
//!            send_request
//!   idle ------------------> open (in the table)
//!                              |  request:  body pending -> complete
//!                              |  response: awaited -> head seen -> (trailers)
//!                              |
//!                              |  END_STREAM received, RST_STREAM either way, GOAWAY below it,
//!                              v  end of the connection
//!                            closed (not in the table)
//! ```
//!
//! Bounds: as many streams as `send_request` admits; the bodies they hold are counted in
//! [`Streams::pending_bytes`], and a body that shrinks gives its memory back at every halving.

use super::flow::{ReceiveWindow, SendWindow};
use crate::http2::stream_id::StreamId;
use crate::ring::Ring;

/// One open stream.
#[derive(Debug)]
pub struct Stream {
    pub send: SendWindow,
    pub receive: ReceiveWindow,
    pub response: Response,
    /// Whether a head has come, be it an interim one: then the server has looked at the request,
    /// whatever it says later.
    pub is_begun: bool,
    /// Whether END_STREAM has been written.
    pub request_complete: bool,
    /// Whether the stream waits in the queue of those that only the connection's window holds up.
    pub is_queued: bool,
    pub pending: PendingBody,
}

/// How far the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// No final head yet. `may_have_body` is false for HEAD requests.
    Awaited { may_have_body: bool },
    /// DATA and trailers may follow; `left` is how much content-length still promises.
    Body { left: Option<u64> },
}

/// The part of a request body that flow control holds back.
#[derive(Default)]
pub struct PendingBody {
    bytes: Vec<u8>,
    sent: usize,
}

impl core::fmt::Debug for PendingBody {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PendingBody({} octets)", self.len())
    }
}

impl PendingBody {
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            sent: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `count` octets that wait, or all of them.
    pub fn front(&self, count: usize) -> &[u8] {
        let end = self.sent.saturating_add(count).min(self.bytes.len());
        self.bytes.get(self.sent..end).unwrap_or_default()
    }

    /// The first `count` octets, at most all, were sent.
    pub fn advance(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count).min(self.bytes.len());
        if self.is_empty() {
            *self = Self::default();
        } else if self.sent > self.bytes.len() / 2 {
            *self = Self::new(self.front(usize::MAX));
        }
    }
}

/// All open streams by number.
#[derive(Debug, Default)]
pub struct Streams {
    /// By their ranks.
    ring: Ring<Stream>,
    pending_bytes: usize,
}

impl Streams {
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Octets of all bodies that wait.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    #[inline]
    pub fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.ring.get_mut(id.rank())
    }

    pub fn insert(&mut self, id: StreamId, stream: Stream) {
        self.pending_bytes += stream.pending.len();
        self.ring.insert(id.rank(), stream);
    }

    /// Takes a stream out, and what it held back with it.
    pub fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.ring.remove(id.rank())?;
        self.pending_bytes -= stream.pending.len();
        Some(stream)
    }

    /// The streams for which `condition` holds, in the order they were opened.
    pub fn select(&self, condition: impl Fn(StreamId, &Stream) -> bool) -> Vec<StreamId> {
        let all = self
            .ring
            .iter()
            .map(|(rank, stream)| (StreamId::of_rank(rank), stream));
        let selected = all.filter(|&(id, stream)| condition(id, stream));
        selected.map(|(id, _)| id).collect()
    }

    /// All of them, in that order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (StreamId, &mut Stream)> {
        let all = self.ring.iter_mut();
        all.map(|(rank, stream)| (StreamId::of_rank(rank), stream))
    }

    pub fn contains(&self, id: StreamId) -> bool {
        self.ring.contains(id.rank())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_body_shrinks_with_what_is_left() {
        let mut body = PendingBody::new(&[7; 100]);
        assert_eq!(body.front(3), [7; 3]);
        for left in (0..100).rev() {
            body.advance(1);
            assert_eq!((body.len(), body.front(usize::MAX).len()), (left, left));
            assert!(body.bytes.len() <= 2 * left.max(1));
        }
        assert!(body.is_empty());
        body.advance(5);
        assert_eq!(body.len(), 0);
    }
}
