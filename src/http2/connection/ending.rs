//! Every way a stream or the connection ends before its time.
//!
//! Source: RFC 9113, 5.4, 6.4, 6.8, 8.7.
//!
//! ```text
//! who            what                    streams                             event
//! -------------  ----------------------  ----------------------------------  ---------------
//! caller         reset                   the one                             none
//! peer           RST_STREAM              the one                             Reset
//! we             malformed response      the one                             Malformed
//! peer           GOAWAY                  those above its last stream         Unprocessed
//! caller         close                   all                                 Lost
//! transport      handle_eof              all                                 Lost
//! we             ConnectionError         all                                 Lost
//! ```
//!
//! "All" are those that no GOAWAY had classed as unprocessed before. A stream whose answer had
//! begun, if only by an interim head, is never unprocessed: above a GOAWAY's last stream it ends as
//! `Lost`.

use super::streams::Stream;
use super::{Connection, Life};
use crate::http2::error::{ConnectionError, ErrorCode};
use crate::http2::event::{Event, Processed};
use crate::http2::frame::{FrameType, control};
use crate::http2::limits::MAX_GOAWAY_DEBUG;
use crate::http2::response::Malformed;
use crate::http2::stream_id::StreamId;

impl Connection {
    /// Gives up on a stream: appends RST_STREAM with `code` and forgets it. No event ends it;
    /// those that are queued already still come. What the server sends for it later is ignored.
    /// Does nothing if the stream is not open.
    pub fn reset(&mut self, stream: StreamId, code: ErrorCode, out: &mut Vec<u8>) {
        if self.take_stream(stream).is_some() {
            control::write_reset(out, stream, code);
            // Pays for the answer that is on its way.
            self.budget.progress();
        }
    }

    /// Ends the connection: appends GOAWAY with `code`, and every open stream is lost. To end
    /// without loss, stop sending and wait for `open_streams()` to become 0 first. Does nothing
    /// if the connection is over.
    pub fn close(&mut self, code: ErrorCode, out: &mut Vec<u8>) {
        if !self.is_closed() {
            control::write_go_away(out, code);
            self.end(Life::Closed);
        }
    }

    /// The transport has ended, orderly or not: every open stream is lost. Does nothing if the
    /// connection is over.
    pub fn handle_eof(&mut self) {
        if !self.is_closed() {
            self.end(Life::Closed);
        }
    }

    /// Ends the connection for `error`, tells the peer, and hands the error back.
    pub(super) fn fail(&mut self, error: ConnectionError, out: &mut Vec<u8>) -> ConnectionError {
        control::write_go_away(out, error.code());
        self.end(Life::Failed(error));
        error
    }

    /// Resets a stream on which the peer broke the protocol.
    pub(super) fn reject(&mut self, id: StreamId, reason: Malformed, out: &mut Vec<u8>) {
        if self.take_stream(id).is_some() {
            control::write_reset(out, id, reason.code());
            self.events.push(Event::Malformed { stream: id, reason });
        }
    }

    /// Takes a stream out of the table: it has ended.
    pub(super) fn take_stream(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.streams.remove(id)?;
        self.tidy_ready();
        Some(stream)
    }

    pub(super) fn on_reset(
        &mut self,
        id: StreamId,
        code: ErrorCode,
    ) -> Result<(), ConnectionError> {
        self.require_opened(FrameType::RST_STREAM, id)?;
        let Some(stream) = self.take_stream(id) else {
            return self.budget.charge(FrameType::RST_STREAM, 1);
        };
        // "REFUSED_STREAM ... indicate[s] that the stream is being closed prior to any processing
        // having occurred" (8.7), which a response head contradicts.
        let processed = if code == ErrorCode::REFUSED_STREAM && !stream.is_begun {
            Processed::No
        } else {
            Processed::Maybe
        };
        self.events.push(Event::Reset {
            stream: id,
            code,
            processed,
        });
        Ok(())
    }

    pub(super) fn on_go_away(
        &mut self,
        last_stream: StreamId,
        code: ErrorCode,
        debug: &[u8],
    ) -> Result<(), ConnectionError> {
        self.budget.charge(FrameType::GOAWAY, 1)?;
        if let Some(limit) = self.goaway.filter(|&limit| last_stream > limit) {
            return Err(ConnectionError::GoAwayRaised {
                limit,
                got: last_stream,
            });
        }
        self.goaway = Some(last_stream);
        let debug = debug.get(..MAX_GOAWAY_DEBUG).unwrap_or(debug).to_vec();
        self.events.push(Event::GoAway {
            last_stream,
            code,
            debug,
        });
        for stream in self.streams.select(|id, _| id > last_stream) {
            let is_begun = self.take_stream(stream).is_some_and(|it| it.is_begun);
            self.events.push(match is_begun {
                false => Event::Unprocessed { stream },
                true => Event::Lost {
                    stream,
                    request_complete: true,
                },
            });
        }
        Ok(())
    }

    fn end(&mut self, life: Life) {
        self.life = life;
        for id in self.streams.select(|_, _| true) {
            if let Some(stream) = self.streams.remove(id) {
                let request_complete = stream.request_complete || stream.is_begun;
                self.events.push(Event::Lost {
                    stream: id,
                    request_complete,
                });
            }
        }
        self.ready = Default::default();
        self.open_block = None;
        self.partial = Vec::new();
        self.timers.pings.clear();
    }
}
