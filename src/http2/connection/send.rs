//! Requests into HEADERS and DATA frames, and bodies that have to wait.
//!
//! Source: RFC 9113, 5.1.2 (concurrency), 6.9 (flow control), 8.1.
//!
//! ```text
//! send_request -- HEADERS --------------------------------------------------> out
//!              -- body: min(stream's window, connection's window) -- DATA --> out
//!                 |
//!                 v the rest
//!       stream's window used up       connection's window used up
//!       waits in its stream           waits in its stream, which is in `ready`
//!                 |  WINDOW_UPDATE of the stream, INITIAL_WINDOW_SIZE    ^   |
//!                 +------------------------------------------------------+   v
//!                                       WINDOW_UPDATE of the connection: flush(), first come first
//! ```
//!
//! So an update costs work only for streams it lets go on. A stream is in `ready` at most once;
//! those that ended meanwhile are passed over, and cleared out once they are the majority, so
//! `ready` is never longer than twice the open streams and 32.

use super::flow::{ReceiveWindow, SendWindow};
use super::streams::{PendingBody, Response, Stream};
use super::{Connection, Life};
use crate::http2::error::SendError;
use crate::http2::frame::{control, message};
use crate::http2::limits::{DEFAULT_WINDOW, MAX_PINGS_IN_FLIGHT};
use crate::http2::request::Request;
use crate::http2::stream_id::StreamId;
use crate::http2::template::{Differing, Template};
use crate::time::Now;

impl Connection {
    /// Opens a stream: appends HEADERS (with CONTINUATION where the block is longer than the peer
    /// takes in one frame) and as much of the body as flow control admits. The rest of the body
    /// is kept and goes out, first come first, with later calls of
    /// [`handle_input`](Self::handle_input).
    ///
    /// # Errors
    ///
    /// The request cannot be sent, on this connection or at all; see [`SendError`]. Nothing was
    /// written. With [`available_streams`](Self::available_streams) above 0 only the errors that
    /// concern the request itself remain.
    pub fn send_request(
        &mut self,
        now: Now,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Result<StreamId, SendError> {
        self.admit(request.body)?;
        let id = self.take_id(request.check()?)?;
        self.progress(now);
        let start = message::begin_headers(out);
        request.encode(&mut self.encoder, out);
        self.open(id, start, request.body, request.method != "HEAD", out);
        Ok(id)
    }

    /// What requests like this one have in common if they differ in their path and in the field of
    /// this name alone. `None` if this one would change the table: after
    /// [`send_request`](Self::send_request) of it there is mostly one.
    pub fn template(&self, request: &Request<'_>, differing: &str) -> Option<Template> {
        Template::of(request, differing, &self.encoder)
    }

    /// Whether a template of this connection can be used still.
    pub fn holds(&self, template: &Template) -> bool {
        template.changes == self.encoder.changes()
    }

    /// As [`send_request`](Self::send_request), of the request that a template and what differs
    /// make together; `None` if the template does not hold.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_like(
        &mut self,
        now: Now,
        template: &Template,
        differing: &Differing<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Result<StreamId, SendError>> {
        self.holds(template)
            .then(|| self.send_differing(now, template, differing, out))
    }

    fn send_differing(
        &mut self,
        now: Now,
        template: &Template,
        differing: &Differing<'_>,
        out: &mut Vec<u8>,
    ) -> Result<StreamId, SendError> {
        self.admit(differing.body)?;
        template.check(differing)?;
        let id = self.take_id(template.list_size(differing))?;
        self.progress(now);
        let start = message::begin_headers(out);
        template.encode(differing, &self.encoder, out);
        let may_have_body = template.may_have_response_body;
        self.open(id, start, differing.body, may_have_body, out);
        Ok(id)
    }

    fn progress(&mut self, now: Now) {
        self.budget.refill(now);
        self.budget.progress();
    }

    /// Opens a stream whose block has been appended from `start` on.
    fn open(
        &mut self,
        id: StreamId,
        start: usize,
        body: &[u8],
        may_have_body: bool,
        out: &mut Vec<u8>,
    ) {
        let max_frame_size = self.peer.max_frame_size;
        message::finish_headers(out, start, id, body.is_empty(), max_frame_size);
        let mut stream = self.new_stream(body.is_empty(), may_have_body);
        let sent = body.len().min(stream.send.usable()).min(self.send.usable());
        let (now_sent, rest) = body.split_at_checked(sent).unwrap_or_default();
        self.write_data(id, &mut stream, now_sent, rest.is_empty(), out);
        if !rest.is_empty() {
            stream.pending = PendingBody::new(rest);
            stream.is_queued = stream.send.usable() > 0;
            if stream.is_queued {
                self.ready.push_back(id);
            }
        }
        self.streams.insert(id, stream);
    }

    /// Asks whether the server is there. Its answer is [`Event::Pong`](crate::http2::Event::Pong);
    /// without one the connection fails after `ping_timeout`.
    ///
    /// # Errors
    ///
    /// `Closed`, or `TooManyPings` if eight wait for their answer.
    pub fn ping(&mut self, now: Now, payload: [u8; 8], out: &mut Vec<u8>) -> Result<(), SendError> {
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        if self.timers.pings.len() >= MAX_PINGS_IN_FLIGHT {
            return Err(SendError::TooManyPings {
                limit: MAX_PINGS_IN_FLIGHT,
            });
        }
        self.timers
            .pings
            .push_back((payload, now + self.config.ping_timeout));
        control::write_ping(out, payload, false);
        Ok(())
    }

    /// The streams that both the peer and we allow.
    pub fn stream_limit(&self) -> u32 {
        self.peer
            .max_concurrent_streams
            .min(self.config.max_open_streams)
    }

    /// Why no request whatever would be taken, apart from the number of streams.
    pub(super) fn refusal(&self) -> Option<SendError> {
        let (limit, pending) = (self.config.max_pending_body, self.streams.pending_bytes());
        if self.life != Life::Open {
            Some(SendError::Closed)
        } else if self.goaway.is_some() {
            Some(SendError::GoingAway)
        } else if self.next_stream.is_none() {
            Some(SendError::StreamIdsExhausted)
        } else if pending > 0 && pending >= limit {
            Some(SendError::BodyBacklog { limit, pending })
        } else {
            None
        }
    }

    fn admit(&self, body: &[u8]) -> Result<(), SendError> {
        if let Some(error) = self.refusal() {
            return Err(error);
        }
        let (limit, open) = (self.stream_limit(), self.streams.len());
        if open >= limit as usize {
            return Err(SendError::TooManyStreams { limit, open });
        }
        let (limit, got) = (self.config.max_body, body.len());
        if got > limit {
            return Err(SendError::BodyTooLarge { limit, got });
        }
        Ok(())
    }

    /// The number of the next stream, whose request has a header list of this size.
    fn take_id(&mut self, list_size: usize) -> Result<StreamId, SendError> {
        let (limit, got) = (self.peer.max_header_list_size, list_size);
        if got > limit as usize {
            return Err(SendError::HeaderListTooLarge { limit, got });
        }
        let id = self.next_stream.ok_or(SendError::StreamIdsExhausted)?;
        self.next_stream = id.next();
        Ok(id)
    }

    fn new_stream(&self, request_complete: bool, may_have_body: bool) -> Stream {
        let size = self.config.initial_window;
        // Until the peer acknowledges our SETTINGS it may still count with the initial value.
        let is_pending = self.timers.settings_ack.is_some();
        let known = if is_pending {
            size.max(DEFAULT_WINDOW)
        } else {
            size
        };
        Stream {
            send: SendWindow::new(self.peer.initial_window),
            receive: ReceiveWindow::new(size, known),
            response: Response::Awaited { may_have_body },
            is_begun: false,
            request_complete,
            is_queued: false,
            pending: PendingBody::default(),
        }
    }

    /// Puts a stream that got a window into the queue, if it has a body to send.
    pub(super) fn make_ready(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        if stream.pending.is_empty() || stream.is_queued || stream.send.usable() == 0 {
            return;
        }
        stream.is_queued = true;
        self.ready.push_back(id);
    }

    /// Sends bodies as far as the connection's window goes, first come first.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        while self.send.usable() > 0 {
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            // The stream is taken out while it is written, so that both can be borrowed.
            let Some(mut stream) = self.streams.remove(id) else {
                continue;
            };
            stream.is_queued = false;
            let pending = core::mem::take(&mut stream.pending);
            let count = pending
                .len()
                .min(stream.send.usable())
                .min(self.send.usable());
            let is_last = count == pending.len();
            self.write_data(id, &mut stream, pending.front(count), is_last, out);
            stream.pending = pending;
            stream.pending.advance(count);
            if !stream.pending.is_empty() && stream.send.usable() > 0 {
                stream.is_queued = true;
                self.ready.push_front(id);
            }
            self.streams.insert(id, stream);
        }
    }

    /// Forgets ended streams in `ready` once they are more than the open ones.
    pub(super) fn tidy_ready(&mut self) {
        if self.ready.len() > 2 * self.streams.len() + 32 {
            let streams = &self.streams;
            self.ready.retain(|&id| streams.contains(id));
        }
    }

    fn write_data(
        &mut self,
        id: StreamId,
        stream: &mut Stream,
        data: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
    ) {
        message::write_data(out, id, data, is_last, self.peer.max_frame_size);
        self.budget.sent(data.len());
        self.send.consume(data.len());
        stream.send.consume(data.len());
        stream.request_complete |= is_last;
    }
}
