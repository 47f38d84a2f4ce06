//! HEADERS, CONTINUATION and DATA of the server into response events.
//!
//! Source: RFC 9113, 5.1, 6.1, 6.2, 6.10, 8.1.
//!
//! ```text
//!            HEADERS 1xx          DATA                 (head, DATA or trailers with END_STREAM)
//!            +------+            +------+
//!            |      v            |      v
//!          Awaited ---HEADERS---> Body ---HEADERS + END_STREAM---> ended
//!            |                     |
//!            +--- DATA             +--- HEADERS without END_STREAM
//!                  \_ Malformed _/
//! ```
//!
//! Frames for a stream that has ended are decompressed or counted against the connection's window
//! and otherwise ignored: after a reset of ours they are legal, and nothing is kept of ended
//! streams to tell these from others. They cost of the budget instead.
//!
//! Limits: a header block that comes in pieces is kept up to twice `max_header_list_size` octets
//! and 32 CONTINUATION frames.

use super::streams::Response;
use super::{Connection, OpenBlock};
use crate::http2::error::{ConnectionError, ErrorCode};
use crate::http2::event::Event;
use crate::http2::frame::{FrameType, control};
use crate::http2::header_list::HeaderList;
use crate::http2::hpack::decoder::Fit;
use crate::http2::limits::{HEADER_BLOCK_FACTOR, INTERIM_COST, MAX_CONTINUATIONS};
use crate::http2::response::{self, Malformed};
use crate::http2::stream_id::StreamId;

impl Connection {
    pub(super) fn on_headers(
        &mut self,
        stream: StreamId,
        block: &[u8],
        end_headers: bool,
        end_stream: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectionError> {
        self.require_opened(FrameType::HEADERS, stream)?;
        self.check_block_len(block.len())?;
        if end_headers {
            return self.on_block(stream, block, end_stream, out);
        }
        let bytes = block.to_vec();
        self.open_block = Some(OpenBlock {
            stream,
            end_stream,
            bytes,
            continuations: 0,
        });
        Ok(())
    }

    /// `check_head` has made sure that this continues the open block.
    pub(super) fn on_continuation(
        &mut self,
        more: &[u8],
        end_headers: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectionError> {
        let Some(mut block) = self.open_block.take() else {
            return Ok(());
        };
        block.continuations += 1;
        if block.continuations > MAX_CONTINUATIONS {
            return Err(ConnectionError::TooManyContinuations {
                limit: MAX_CONTINUATIONS,
            });
        }
        if more.is_empty() {
            self.budget.charge(FrameType::CONTINUATION, 1)?;
        }
        self.check_block_len(block.bytes.len() + more.len())?;
        block.bytes.extend_from_slice(more);
        if end_headers {
            return self.on_block(block.stream, &block.bytes, block.end_stream, out);
        }
        self.open_block = Some(block);
        Ok(())
    }

    pub(super) fn on_data(
        &mut self,
        id: StreamId,
        data: &[u8],
        counted: u32,
        end_stream: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectionError> {
        self.require_opened(FrameType::DATA, id)?;
        let update =
            self.receive
                .receive(counted)
                .map_err(|exceeded| ConnectionError::WindowExceeded {
                    window: exceeded.window,
                    got: counted,
                })?;
        if let Some(increment) = update {
            control::write_window_update(out, StreamId::CONNECTION, increment);
        }
        let is_open = self.streams.contains(id);
        if !is_open || (data.is_empty() && !end_stream) {
            self.budget.charge(FrameType::DATA, 1)?;
        }
        if is_open && let Err(reason) = self.on_body(id, data, counted, end_stream, out) {
            self.reject(id, reason, out);
        }
        Ok(())
    }

    fn on_body(
        &mut self,
        id: StreamId,
        data: &[u8],
        counted: u32,
        end_stream: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let Some(stream) = self.streams.get_mut(id) else {
            return Ok(());
        };
        let update =
            stream
                .receive
                .receive(counted)
                .map_err(|exceeded| Malformed::WindowExceeded {
                    window: exceeded.window,
                    got: counted,
                })?;
        let Response::Body { left } = &mut stream.response else {
            return Err(Malformed::DataBeforeHead);
        };
        if let Some(left) = left {
            *left = left
                .checked_sub(data.len() as u64)
                .ok_or(Malformed::ContentLength)?;
            if end_stream && *left > 0 {
                return Err(Malformed::ContentLength);
            }
        }
        if end_stream {
            self.end_response(id, out);
        } else if let Some(increment) = update {
            control::write_window_update(out, id, increment);
        }
        if end_stream || !data.is_empty() {
            self.events.push(Event::Data {
                stream: id,
                bytes: data.to_vec(),
                end_stream,
            });
        }
        Ok(())
    }

    fn check_block_len(&self, got: usize) -> Result<(), ConnectionError> {
        let limit = self.config.max_header_list_size as usize;
        let limit = limit.saturating_mul(HEADER_BLOCK_FACTOR);
        if got > limit {
            return Err(ConnectionError::BlockTooLarge { limit, got });
        }
        Ok(())
    }

    /// A complete header block. It is decompressed whatever becomes of its stream.
    fn on_block(
        &mut self,
        id: StreamId,
        block: &[u8],
        end_stream: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectionError> {
        if self.on_short_head(id, block, end_stream, out) {
            return Ok(());
        }
        let mut fields = core::mem::take(&mut self.fields);
        fields.clear();
        let fit = self
            .decoder
            .decode(block, &mut fields)
            .map_err(ConnectionError::Compression)?;
        let result = match (self.streams.get_mut(id), fit) {
            (None, _) => {
                self.fields = fields;
                return self.budget.charge(FrameType::HEADERS, 1);
            }
            (Some(_), Fit::TooLarge { size }) => Err(Malformed::HeaderListTooLarge {
                limit: self.config.max_header_list_size,
                got: size,
            }),
            (Some(stream), Fit::Whole) => match stream.response {
                Response::Awaited { may_have_body } => {
                    self.on_head(id, &fields, may_have_body, end_stream, out)
                }
                Response::Body { left } => self.on_trailers(id, &fields, left, end_stream, out),
            },
        };
        self.fields = fields;
        match result {
            Ok(Kind::Useful) => self.budget.progress(),
            Ok(Kind::Interim) => self.budget.charge(FrameType::HEADERS, INTERIM_COST)?,
            Err(reason) => self.reject(id, reason, out),
        }
        Ok(())
    }

    /// Takes a head that is a status and a field, as nearly all are, and says whether it was one.
    /// For these it does what is done for any.
    fn on_short_head(
        &mut self,
        id: StreamId,
        block: &[u8],
        end_stream: bool,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(stream) = self.streams.get_mut(id) else {
            return false;
        };
        if !matches!(stream.response, Response::Awaited { .. }) {
            return false;
        }
        let decoded = self.decoder.decode_short(block, response::is_plain);
        let Some(headers) = decoded else {
            return false;
        };
        stream.is_begun = true;
        stream.response = Response::Body { left: None };
        if end_stream {
            self.end_response(id, out);
        }
        self.events.push(Event::Response {
            stream: id,
            status: 200,
            headers,
            end_stream,
        });
        self.budget.progress();
        true
    }

    fn on_head(
        &mut self,
        id: StreamId,
        fields: &HeaderList,
        may_have_body: bool,
        end_stream: bool,
        out: &mut Vec<u8>,
    ) -> Result<Kind, Malformed> {
        let head = response::head(fields)?;
        if let Some(stream) = self.streams.get_mut(id) {
            stream.is_begun = true;
        }
        if head.is_interim() {
            return if end_stream {
                Err(Malformed::InterimEnds)
            } else {
                Ok(Kind::Interim)
            };
        }
        let has_length = may_have_body && !head.forbids_body();
        let left = head.content_length.filter(|_| has_length);
        if end_stream {
            if left.is_some_and(|left| left > 0) {
                return Err(Malformed::ContentLength);
            }
            self.end_response(id, out);
        } else if let Some(stream) = self.streams.get_mut(id) {
            stream.response = Response::Body { left };
        }
        let headers = fields.after(1);
        self.events.push(Event::Response {
            stream: id,
            status: head.status,
            headers,
            end_stream,
        });
        Ok(Kind::Useful)
    }

    fn on_trailers(
        &mut self,
        id: StreamId,
        fields: &HeaderList,
        left: Option<u64>,
        end_stream: bool,
        out: &mut Vec<u8>,
    ) -> Result<Kind, Malformed> {
        if !end_stream {
            return Err(Malformed::SecondHead);
        }
        response::trailers(fields)?;
        if left.is_some_and(|left| left > 0) {
            return Err(Malformed::ContentLength);
        }
        self.end_response(id, out);
        self.events.push(Event::Trailers {
            stream: id,
            headers: fields.after(0),
        });
        Ok(Kind::Useful)
    }

    /// The response is complete. If the request is not, nobody wants the rest of it: the server
    /// need not say so by RST_STREAM with NO_ERROR (8.1), and the stream would stay open.
    fn end_response(&mut self, id: StreamId, out: &mut Vec<u8>) {
        if self
            .take_stream(id)
            .is_some_and(|stream| !stream.request_complete)
        {
            control::write_reset(out, id, ErrorCode::CANCEL);
        }
    }
}

/// What a well-formed header block was good for.
enum Kind {
    Useful,
    Interim,
}
