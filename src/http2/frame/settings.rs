//! SETTINGS: pairs of identifier and value, both ways.
//!
//! Source: RFC 9113, 6.5.
//!
//! ```text
//! 0                2                                6
//! +----------------+--------------------------------+
//! | identifier     | value                          |   repeated, length a multiple of 6
//! +----------------+--------------------------------+
//! ```
//!
//! Values are applied in order and unknown identifiers are ignored (6.5.3), so a frame full of
//! contradicting values has the effect of the last one of each. [`Changes`] is that effect,
//! gathered in one pass: however long the frame, the connection touches its streams once.

use super::check::require_connection;
use super::head::{Flags, FrameType, Head};
use super::setting_id::SettingId;
use crate::http2::error::ConnectionError;
use crate::http2::limits::{MAX_MAX_FRAME_SIZE, MAX_WINDOW, MIN_MAX_FRAME_SIZE};
use crate::http2::stream_id::StreamId;

/// Octets of one setting.
const SETTING_LEN: usize = 6;

/// The payload of a SETTINGS frame; its length is a multiple of six.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingsPayload<'a>(&'a [u8]);

impl<'a> SettingsPayload<'a> {
    /// The settings in their order, unknown ones included.
    pub fn iter(self) -> impl Iterator<Item = (SettingId, u32)> + 'a {
        let (settings, _) = self.0.as_chunks::<SETTING_LEN>();
        settings.iter().map(|&[i0, i1, v0, v1, v2, v3]| {
            (
                SettingId::new(u16::from_be_bytes([i0, i1])),
                u32::from_be_bytes([v0, v1, v2, v3]),
            )
        })
    }

    /// Checks every value and gathers what remains of them.
    pub fn changes(self) -> Result<Changes, ConnectionError> {
        let mut changes = Changes::default();
        for (id, value) in self.iter() {
            changes.take(id, value)?;
        }
        Ok(changes)
    }
}

/// The effect of a server's SETTINGS frame; `None` where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The lowest and the last value: a table that shrinks in between loses its entries
    /// (RFC 7541, 4.2).
    pub header_table_size: Option<(u32, u32)>,
    pub max_concurrent_streams: Option<u32>,
    pub initial_window_size: Option<u32>,
    pub max_frame_size: Option<u32>,
    pub max_header_list_size: Option<u32>,
}

impl Changes {
    fn take(&mut self, id: SettingId, value: u32) -> Result<(), ConnectionError> {
        match id {
            SettingId::HEADER_TABLE_SIZE => {
                let lowest = self
                    .header_table_size
                    .map_or(value, |(lowest, _)| lowest.min(value));
                self.header_table_size = Some((lowest, value));
            }
            // "A client MUST treat receipt of a SETTINGS frame with SETTINGS_ENABLE_PUSH set to 1
            // as a connection error" (6.5.2).
            SettingId::ENABLE_PUSH if value != 0 => {
                return Err(ConnectionError::Setting { id, got: value });
            }
            SettingId::MAX_CONCURRENT_STREAMS => self.max_concurrent_streams = Some(value),
            SettingId::INITIAL_WINDOW_SIZE if value > MAX_WINDOW => {
                return Err(ConnectionError::Setting { id, got: value });
            }
            SettingId::INITIAL_WINDOW_SIZE => self.initial_window_size = Some(value),
            SettingId::MAX_FRAME_SIZE
                if !(MIN_MAX_FRAME_SIZE..=MAX_MAX_FRAME_SIZE).contains(&value) =>
            {
                return Err(ConnectionError::Setting { id, got: value });
            }
            SettingId::MAX_FRAME_SIZE => self.max_frame_size = Some(value),
            SettingId::MAX_HEADER_LIST_SIZE => self.max_header_list_size = Some(value),
            _ => {}
        }
        Ok(())
    }
}

/// The settings, or nothing if it is an acknowledgement.
pub fn parse(head: Head, payload: &[u8]) -> Result<Option<SettingsPayload<'_>>, ConnectionError> {
    require_connection(head)?;
    let (kind, got) = (head.kind, payload.len());
    if head.flags.contains(Flags::ACK) {
        if got != 0 {
            return Err(ConnectionError::FrameLength {
                kind,
                expected: "0 with ACK",
                got,
            });
        }
        return Ok(None);
    }
    if got % SETTING_LEN != 0 {
        return Err(ConnectionError::FrameLength {
            kind,
            expected: "a multiple of 6",
            got,
        });
    }
    Ok(Some(SettingsPayload(payload)))
}

/// Appends a SETTINGS frame.
pub fn write(out: &mut Vec<u8>, settings: &[(SettingId, u32)]) {
    let length = (settings.len() * SETTING_LEN) as u32;
    let (kind, flags, stream) = (FrameType::SETTINGS, Flags::NONE, StreamId::CONNECTION);
    out.extend_from_slice(
        &Head {
            length,
            kind,
            flags,
            stream,
        }
        .encode(),
    );
    for (id, value) in settings {
        out.extend_from_slice(&id.value().to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends the acknowledgement of the peer's SETTINGS.
pub fn write_ack(out: &mut Vec<u8>) {
    let (kind, flags, stream) = (FrameType::SETTINGS, Flags::ACK, StreamId::CONNECTION);
    out.extend_from_slice(
        &Head {
            length: 0,
            kind,
            flags,
            stream,
        }
        .encode(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::error::ErrorCode;
    use crate::http2::frame::{Frame, head, parse as parse_any};

    fn changes(settings: &[(SettingId, u32)]) -> Result<Changes, ConnectionError> {
        let mut out = Vec::new();
        write(&mut out, settings);
        let (head, payload, rest) = head::split(&out).unwrap();
        assert!(rest.is_empty());
        match parse_any(head, payload)? {
            Frame::Settings(payload) => {
                assert_eq!(payload.iter().collect::<Vec<_>>(), settings);
                payload.changes()
            }
            other => panic!("not settings: {other:?}"),
        }
    }

    #[test]
    fn the_last_value_counts_and_unknown_ones_are_ignored() {
        let got = changes(&[
            (SettingId::HEADER_TABLE_SIZE, 100),
            (SettingId::new(0xf000), 7),
            (SettingId::HEADER_TABLE_SIZE, 0),
            (SettingId::MAX_CONCURRENT_STREAMS, 1),
            (SettingId::MAX_CONCURRENT_STREAMS, 500),
            (SettingId::HEADER_TABLE_SIZE, 4_096),
            (SettingId::ENABLE_PUSH, 0),
        ])
        .unwrap();
        assert_eq!(got.header_table_size, Some((0, 4_096)));
        assert_eq!(got.max_concurrent_streams, Some(500));
        assert_eq!(got.max_frame_size, None);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (id, value, code) in [
            (SettingId::ENABLE_PUSH, 1, ErrorCode::PROTOCOL_ERROR),
            (SettingId::ENABLE_PUSH, 2, ErrorCode::PROTOCOL_ERROR),
            (
                SettingId::INITIAL_WINDOW_SIZE,
                0x8000_0000,
                ErrorCode::FLOW_CONTROL_ERROR,
            ),
            (SettingId::MAX_FRAME_SIZE, 0x3fff, ErrorCode::PROTOCOL_ERROR),
            (
                SettingId::MAX_FRAME_SIZE,
                0x0100_0000,
                ErrorCode::PROTOCOL_ERROR,
            ),
        ] {
            assert_eq!(
                changes(&[(id, value)]).unwrap_err().code(),
                code,
                "{id} {value}"
            );
        }
        assert!(changes(&[(SettingId::INITIAL_WINDOW_SIZE, 0x7fff_ffff)]).is_ok());
        assert!(changes(&[(SettingId::MAX_FRAME_SIZE, 0x00ff_ffff)]).is_ok());
    }

    #[test]
    fn lengths_and_streams_are_checked() {
        let kind = FrameType::SETTINGS;
        let head = |length, flags, stream| Head {
            length,
            kind,
            flags,
            stream: StreamId::new(stream),
        };
        let code = |head, payload| parse(head, payload).unwrap_err().code();
        assert_eq!(
            code(head(5, Flags::NONE, 0), &[0; 5]),
            ErrorCode::FRAME_SIZE_ERROR
        );
        assert_eq!(
            code(head(6, Flags::ACK, 0), &[0; 6]),
            ErrorCode::FRAME_SIZE_ERROR
        );
        assert_eq!(
            code(head(0, Flags::NONE, 1), &[]),
            ErrorCode::PROTOCOL_ERROR
        );
        assert_eq!(parse(head(0, Flags::ACK, 0), &[]), Ok(None));
    }
}
