//! Octets of the server into frames, and frames to whoever handles them.
//!
//! Source: RFC 9113, 3.4 (first frame), 4.1, 4.2, 5.5, 6.10 (order of frames).
//!
//! ```text
//! bytes --+-- whole frames, straight out of the input --------+--> check_head --> on_frame
//!         |                                                   |
//!         +-- the beginning of a frame --> partial --> whole -+
//! ```
//!
//! A frame is "need more" until all of it is there. Its head is checked as soon as it is, so a
//! frame that would be too large is an error before any of its payload is buffered, and where
//! input is split makes no difference to what happens.

use super::{Connection, Life};
use crate::http2::error::ConnectionError;
use crate::http2::event::Event;
use crate::http2::frame::{self, Flags, Frame, FrameType, Head, control, head};
use crate::http2::limits::FRAME_HEAD_LEN;
use crate::http2::response::Malformed;
use crate::http2::stream_id::StreamId;
use crate::time::Now;

impl Connection {
    /// Takes what the server sent, split anywhere. Poll the events after every call.
    ///
    /// Appends answers (acknowledgements, window updates, resets, and bodies that may go on): in
    /// the order of tens of octets for each frame, beside the bodies.
    ///
    /// # Errors
    ///
    /// The connection is over; GOAWAY has been appended, and the events tell what became of each
    /// stream. Later calls give the same error. After [`close`](Self::close) or
    /// [`handle_eof`](Self::handle_eof) input is ignored.
    pub fn handle_input(
        &mut self,
        now: Now,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectionError> {
        match self.life {
            Life::Open => {}
            Life::Closed => return Ok(()),
            Life::Failed(error) => return Err(error),
        }
        self.budget.refill(now);
        self.read_frames(bytes, out)
            .map_err(|error| self.fail(error, out))
    }

    /// Takes note of the time.
    ///
    /// # Errors
    ///
    /// `SettingsTimeout` or `PingTimeout`: the connection is over, as above.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<u8>) -> Result<(), ConnectionError> {
        if self.is_closed() {
            return Ok(());
        }
        self.budget.refill(now);
        if self.timers.settings_ack.is_some_and(|due| due <= now) {
            return Err(self.fail(ConnectionError::SettingsTimeout, out));
        }
        if self
            .timers
            .pings
            .front()
            .is_some_and(|&(_, due)| due <= now)
        {
            return Err(self.fail(ConnectionError::PingTimeout, out));
        }
        Ok(())
    }

    fn read_frames(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ConnectionError> {
        if !self.partial.is_empty() {
            bytes = self.complete_partial(bytes, out)?;
        }
        while let Some(head) = Head::decode(bytes) {
            self.check_head(head, bytes)?;
            let Some((head, payload, rest)) = head::split(bytes) else {
                break;
            };
            self.on_frame(head, payload, out)?;
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds input to the frame that has begun, and handles it if that makes it whole. Returns the
    /// input that is left.
    fn complete_partial<'a>(
        &mut self,
        bytes: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<&'a [u8], ConnectionError> {
        let bytes = self.grow_partial(FRAME_HEAD_LEN, bytes);
        let Some(head) = Head::decode(&self.partial) else {
            return Ok(bytes);
        };
        self.check_head(head, &self.partial)?;
        let bytes = self.grow_partial(FRAME_HEAD_LEN + head.length as usize, bytes);
        let partial = core::mem::take(&mut self.partial);
        let Some((head, payload, _)) = head::split(&partial) else {
            self.partial = partial;
            return Ok(bytes);
        };
        self.on_frame(head, payload, out)?;
        self.partial = partial;
        self.partial.clear();
        Ok(bytes)
    }

    /// Moves input into `partial` until that has `len` octets. Returns the input that is left.
    fn grow_partial<'a>(&mut self, len: usize, bytes: &'a [u8]) -> &'a [u8] {
        let missing = len.saturating_sub(self.partial.len()).min(bytes.len());
        let (taken, left) = bytes.split_at_checked(missing).unwrap_or_default();
        self.partial.extend_from_slice(taken);
        left
    }

    /// What can be refused before the payload is there. `bytes` begins with the head.
    fn check_head(&self, head: Head, bytes: &[u8]) -> Result<(), ConnectionError> {
        let Head {
            length,
            kind,
            flags,
            stream,
        } = head;
        let is_settings = kind == FrameType::SETTINGS && !flags.contains(Flags::ACK);
        if !self.peer.is_received && !is_settings {
            let head = bytes.first_chunk().copied().unwrap_or_default();
            return Err(ConnectionError::NotHttp2 { head });
        }
        if length > self.config.max_frame_size {
            let limit = self.config.max_frame_size;
            return Err(ConnectionError::FrameTooLarge {
                kind,
                limit,
                got: length,
            });
        }
        match &self.open_block {
            Some(block) if kind != FrameType::CONTINUATION || stream != block.stream => {
                let expected = block.stream;
                Err(ConnectionError::BlockInterrupted {
                    expected,
                    kind,
                    got: stream,
                })
            }
            None if kind == FrameType::CONTINUATION => {
                Err(ConnectionError::NothingToContinue { got: stream })
            }
            _ => Ok(()),
        }
    }

    fn on_frame(
        &mut self,
        head: Head,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectionError> {
        match frame::parse(head, payload)? {
            Frame::Headers {
                stream,
                block,
                end_headers,
                end_stream,
            } => {
                self.on_headers(stream, block, end_headers, end_stream, out)?;
            }
            Frame::Data {
                stream,
                data,
                counted,
                end_stream,
            } => {
                self.on_data(stream, data, counted, end_stream, out)?;
            }
            Frame::Continuation {
                block, end_headers, ..
            } => {
                self.on_continuation(block, end_headers, out)?;
            }
            Frame::WindowUpdate { stream, increment } => {
                self.on_window_update(stream, increment, out)?;
            }
            Frame::Reset { stream, code } => self.on_reset(stream, code)?,
            Frame::Settings(payload) => self.on_settings(payload, out)?,
            Frame::SettingsAck => self.on_settings_ack()?,
            Frame::Ping { payload, ack } => self.on_ping(payload, ack, out)?,
            Frame::GoAway {
                last_stream,
                code,
                debug,
            } => {
                self.on_go_away(last_stream, code, debug)?;
            }
            Frame::PushPromise => return Err(ConnectionError::PushPromise),
            Frame::Priority | Frame::Unknown => self.budget.charge(head.kind, 1)?,
        }
        self.events.check()
    }

    fn on_ping(
        &mut self,
        payload: [u8; 8],
        ack: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectionError> {
        if !ack {
            self.budget.charge(FrameType::PING, 1)?;
            control::write_ping(out, payload, true);
            return Ok(());
        }
        let Some(place) = self
            .timers
            .pings
            .iter()
            .position(|&(sent, _)| sent == payload)
        else {
            return self.budget.charge(FrameType::PING, 1);
        };
        self.timers.pings.remove(place);
        self.events.push(Event::Pong { payload });
        Ok(())
    }

    fn on_window_update(
        &mut self,
        stream: StreamId,
        increment: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectionError> {
        self.budget.charge(FrameType::WINDOW_UPDATE, 1)?;
        if stream != StreamId::CONNECTION {
            return self.on_stream_window_update(stream, increment, out);
        }
        if increment == 0 {
            return Err(ConnectionError::ZeroIncrement);
        }
        let overflow = ConnectionError::WindowOverflow { stream };
        self.send
            .shift(i64::from(increment))
            .map_err(|_| overflow)?;
        self.flush(out);
        Ok(())
    }

    fn on_stream_window_update(
        &mut self,
        id: StreamId,
        increment: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectionError> {
        self.require_opened(FrameType::WINDOW_UPDATE, id)?;
        let Some(stream) = self.streams.get_mut(id) else {
            return Ok(());
        };
        if increment == 0 {
            self.reject(id, Malformed::ZeroIncrement, out);
        } else if stream.send.shift(i64::from(increment)).is_err() {
            self.reject(id, Malformed::WindowOverflow, out);
        } else {
            self.make_ready(id);
            self.flush(out);
        }
        Ok(())
    }

    /// An error for streams that were never opened, by us or at all.
    pub(super) fn require_opened(
        &self,
        kind: FrameType,
        id: StreamId,
    ) -> Result<(), ConnectionError> {
        let is_opened = id.is_client() && self.next_stream.is_none_or(|next| id < next);
        if is_opened {
            Ok(())
        } else {
            Err(ConnectionError::IdleStream { kind, got: id })
        }
    }
}
