//! SETTINGS of the peer take effect; its acknowledgement makes ours do so.
//!
//! Source: RFC 9113, 6.5.3 and 6.9.2; RFC 7541, 4.2.
//!
//! ```text
//! peer's SETTINGS -> MAX_CONCURRENT_STREAMS   how many requests (event)
//!                    INITIAL_WINDOW_SIZE      every open stream's window shifts, maybe below zero
//!                    MAX_FRAME_SIZE           how frames of ours are cut
//!                    HEADER_TABLE_SIZE        our encoder, which announces it in the next block
//!                    MAX_HEADER_LIST_SIZE     which requests are refused
//!                 -> ACK
//!
//! our SETTINGS    -> until the ACK the peer may use the protocol's initial values, so the larger
//!                    of these and ours are tolerated; after it, ours
//! ```
//!
//! Ours are sent once and never change. An ACK nobody asked for is ignored, at a cost.

use super::Connection;
use super::flow::Overflow;
use super::streams::Stream;
use crate::http2::error::ConnectionError;
use crate::http2::event::Event;
use crate::http2::frame::FrameType;
use crate::http2::frame::settings::{self, SettingsPayload};
use crate::http2::limits::{DEFAULT_WINDOW, SETTINGS_COST};

impl Connection {
    pub(super) fn on_settings(
        &mut self,
        payload: SettingsPayload<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectionError> {
        self.budget.charge(FrameType::SETTINGS, SETTINGS_COST)?;
        let changes = payload.changes()?;
        if let Some((lowest, last)) = changes.header_table_size {
            self.encoder.set_table_limit(lowest, last);
        }
        if let Some(size) = changes.max_frame_size {
            self.peer.max_frame_size = size as usize;
        }
        if let Some(size) = changes.max_header_list_size {
            self.peer.max_header_list_size = size;
        }
        self.update_stream_limit(changes.max_concurrent_streams);
        settings::write_ack(out);
        if let Some(size) = changes.initial_window_size {
            self.update_initial_window(size)?;
            self.flush(out);
        }
        Ok(())
    }

    pub(super) fn on_settings_ack(&mut self) -> Result<(), ConnectionError> {
        if self.timers.settings_ack.take().is_none() {
            return self.budget.charge(FrameType::SETTINGS, SETTINGS_COST);
        }
        self.decoder
            .settings_acknowledged(self.config.header_table_size);
        let lost = DEFAULT_WINDOW.saturating_sub(self.config.initial_window);
        for (_, stream) in self.streams.iter_mut() {
            stream.receive.shrink(lost);
        }
        Ok(())
    }

    /// The first SETTINGS end the assumption, even if they do not mention the limit: "Initially,
    /// there is no limit to this value" (6.5.2).
    fn update_stream_limit(&mut self, limit: Option<u32>) {
        let unchanged = if self.peer.is_received {
            self.max_concurrent_streams()
        } else {
            u32::MAX
        };
        self.peer.is_received = true;
        let limit = limit.unwrap_or(unchanged);
        if limit != self.peer.max_concurrent_streams {
            self.peer.max_concurrent_streams = limit;
            self.events.push(Event::MaxConcurrentStreams(limit));
        }
    }

    /// "A receiver MUST adjust the size of all stream flow-control windows that it maintains by
    /// the difference between the new value and the old value" (6.9.2).
    fn update_initial_window(&mut self, size: u32) -> Result<(), ConnectionError> {
        let difference = i64::from(size) - i64::from(self.peer.initial_window);
        self.peer.initial_window = size;
        for (id, stream) in self.streams.iter_mut() {
            let overflow = ConnectionError::WindowOverflow { stream: id };
            stream.send.shift(difference).map_err(|Overflow| overflow)?;
        }
        if difference > 0 {
            let waiting = |_, stream: &Stream| !stream.pending.is_empty();
            for id in self.streams.select(waiting) {
                self.make_ready(id);
            }
        }
        Ok(())
    }
}
