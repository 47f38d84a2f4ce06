//! Frames: octets of a payload into a [`Frame`] that borrows from them, and frames of ours
//! appended to the caller's buffer.
//!
//! Source: RFC 9113, 4 and 6.
//!
//! | file | frames |
//! |---|---|
//! | `head.rs` | the nine octets in front, types, flags |
//! | `message.rs` | DATA, HEADERS, CONTINUATION (padding, priority, splitting) |
//! | `settings.rs`, `setting_id.rs` | SETTINGS |
//! | `control.rs` | RST_STREAM, PING, GOAWAY, WINDOW_UPDATE, PRIORITY |
//!
//! `received.rs` has what they are turned into, `check.rs` what several of them have to be.
//!
//! A payload is always whole when it gets here: [`head::split`] answers "need more" before, so
//! [`parse`] has only two results. It checks what a frame can tell by itself, that is lengths,
//! padding and whether the stream may be 0; everything that depends on the connection's state is
//! the connection's. Every error here ends the connection: the few that RFC 9113 calls stream
//! errors (PRIORITY of a wrong size) may be treated so (5.4.1).

mod check;
pub mod control;
pub mod head;
pub mod message;
mod received;
mod setting_id;
pub mod settings;

pub use head::{Flags, FrameType, Head};
pub use received::Frame;
pub use setting_id::SettingId;

use super::error::ConnectionError;

/// What a client sends before its first frame. RFC 9113, 3.4.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Turns a head and its whole payload into a frame.
pub fn parse<'a>(head: Head, payload: &'a [u8]) -> Result<Frame<'a>, ConnectionError> {
    match head.kind {
        FrameType::DATA => message::parse_data(head, payload),
        FrameType::HEADERS => message::parse_headers(head, payload),
        FrameType::CONTINUATION => message::parse_continuation(head, payload),
        FrameType::PRIORITY => control::parse_priority(head, payload),
        FrameType::RST_STREAM => control::parse_reset(head, payload),
        FrameType::SETTINGS => Ok(match settings::parse(head, payload)? {
            Some(settings) => Frame::Settings(settings),
            None => Frame::SettingsAck,
        }),
        FrameType::PUSH_PROMISE => Ok(Frame::PushPromise),
        FrameType::PING => control::parse_ping(head, payload),
        FrameType::GOAWAY => control::parse_go_away(head, payload),
        FrameType::WINDOW_UPDATE => control::parse_window_update(head, payload),
        _ => Ok(Frame::Unknown),
    }
}
