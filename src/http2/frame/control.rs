//! RST_STREAM, PING, GOAWAY, WINDOW_UPDATE and PRIORITY: small frames of fixed layout.
//!
//! Source: RFC 9113, 6.3, 6.4, 6.7 to 6.9.
//!
//! ```text
//! RST_STREAM      error code (32)
//! PING            opaque (64)
//! GOAWAY          R (1), last stream (31), error code (32), debug data ...
//! WINDOW_UPDATE   R (1), increment (31)
//! PRIORITY        5 octets, not looked at (deprecated)
//! ```

use super::check::{exactly, require_connection, require_stream};
use super::head::{Flags, FrameType, Head};
use super::received::Frame;
use crate::http2::error::{ConnectionError, ErrorCode};
use crate::http2::stream_id::StreamId;

pub fn parse_priority<'a>(head: Head, payload: &'a [u8]) -> Result<Frame<'a>, ConnectionError> {
    require_stream(head)?;
    exactly::<5>(head, payload, "5")?;
    Ok(Frame::Priority)
}

pub fn parse_reset<'a>(head: Head, payload: &'a [u8]) -> Result<Frame<'a>, ConnectionError> {
    let stream = require_stream(head)?;
    let code = ErrorCode::new(u32::from_be_bytes(exactly(head, payload, "4")?));
    Ok(Frame::Reset { stream, code })
}

pub fn parse_ping<'a>(head: Head, payload: &'a [u8]) -> Result<Frame<'a>, ConnectionError> {
    require_connection(head)?;
    let payload = exactly(head, payload, "8")?;
    Ok(Frame::Ping {
        payload,
        ack: head.flags.contains(Flags::ACK),
    })
}

pub fn parse_go_away<'a>(head: Head, payload: &'a [u8]) -> Result<Frame<'a>, ConnectionError> {
    require_connection(head)?;
    let Some((&[l0, l1, l2, l3, c0, c1, c2, c3], debug)) = payload.split_first_chunk::<8>() else {
        let (kind, got) = (head.kind, payload.len());
        return Err(ConnectionError::FrameLength {
            kind,
            expected: "at least 8",
            got,
        });
    };
    Ok(Frame::GoAway {
        last_stream: StreamId::new(u32::from_be_bytes([l0, l1, l2, l3])),
        code: ErrorCode::new(u32::from_be_bytes([c0, c1, c2, c3])),
        debug,
    })
}

pub fn parse_window_update<'a>(
    head: Head,
    payload: &'a [u8],
) -> Result<Frame<'a>, ConnectionError> {
    let increment = u32::from_be_bytes(exactly(head, payload, "4")?) & 0x7fff_ffff;
    Ok(Frame::WindowUpdate {
        stream: head.stream,
        increment,
    })
}

/// Appends RST_STREAM.
pub fn write_reset(out: &mut Vec<u8>, stream: StreamId, code: ErrorCode) {
    write(
        out,
        FrameType::RST_STREAM,
        Flags::NONE,
        stream,
        &code.value().to_be_bytes(),
    );
}

/// Appends PING, ours or the answer to the peer's.
pub fn write_ping(out: &mut Vec<u8>, payload: [u8; 8], ack: bool) {
    write(
        out,
        FrameType::PING,
        Flags::ACK.when(ack),
        StreamId::CONNECTION,
        &payload,
    );
}

/// Appends GOAWAY. The last stream is 0, since a server that may not push opens none.
pub fn write_go_away(out: &mut Vec<u8>, code: ErrorCode) {
    let [c0, c1, c2, c3] = code.value().to_be_bytes();
    let payload = [0, 0, 0, 0, c0, c1, c2, c3];
    write(
        out,
        FrameType::GOAWAY,
        Flags::NONE,
        StreamId::CONNECTION,
        &payload,
    );
}

/// Appends WINDOW_UPDATE; `increment` is 1 to 2^31-1.
pub fn write_window_update(out: &mut Vec<u8>, stream: StreamId, increment: u32) {
    write(
        out,
        FrameType::WINDOW_UPDATE,
        Flags::NONE,
        stream,
        &increment.to_be_bytes(),
    );
}

fn write(out: &mut Vec<u8>, kind: FrameType, flags: Flags, stream: StreamId, payload: &[u8]) {
    let length = payload.len() as u32;
    out.extend_from_slice(
        &Head {
            length,
            kind,
            flags,
            stream,
        }
        .encode(),
    );
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::frame::{head, parse};

    fn round_trip(out: &[u8]) -> Frame<'_> {
        for len in 0..out.len() {
            assert_eq!(
                head::split(&out[..len]),
                None,
                "{len} octets are not a frame yet"
            );
        }
        let (head, payload, rest) = head::split(out).unwrap();
        assert!(rest.is_empty());
        parse(head, payload).unwrap()
    }

    #[test]
    fn frames_survive_the_round_trip() {
        let (stream, code) = (StreamId::new(7), ErrorCode::new(0xdead));
        let mut out = Vec::new();
        write_reset(&mut out, stream, code);
        assert_eq!(round_trip(&out), Frame::Reset { stream, code });

        out.clear();
        write_ping(&mut out, *b"12345678", true);
        assert_eq!(
            round_trip(&out),
            Frame::Ping {
                payload: *b"12345678",
                ack: true
            }
        );

        out.clear();
        write_go_away(&mut out, code);
        let last_stream = StreamId::CONNECTION;
        assert_eq!(
            round_trip(&out),
            Frame::GoAway {
                last_stream,
                code,
                debug: &[]
            }
        );

        out.clear();
        write_window_update(&mut out, stream, 0x7fff_ffff);
        assert_eq!(
            round_trip(&out),
            Frame::WindowUpdate {
                stream,
                increment: 0x7fff_ffff
            }
        );
    }

    #[test]
    fn wrong_lengths_are_frame_size_errors() {
        for (kind, stream, right) in [
            (FrameType::PRIORITY, 1, 5),
            (FrameType::RST_STREAM, 1, 4),
            (FrameType::PING, 0, 8),
            (FrameType::WINDOW_UPDATE, 1, 4),
            (FrameType::GOAWAY, 0, 8),
        ] {
            for len in 0..16_usize {
                let payload = vec![1; len];
                let (flags, stream) = (Flags::NONE, StreamId::new(stream));
                let got = parse(
                    Head {
                        length: len as u32,
                        kind,
                        flags,
                        stream,
                    },
                    &payload,
                );
                if len == right || (kind == FrameType::GOAWAY && len > right) {
                    assert!(got.is_ok(), "{kind} {len}");
                } else {
                    assert_eq!(
                        got.unwrap_err().code(),
                        ErrorCode::FRAME_SIZE_ERROR,
                        "{kind} {len}"
                    );
                }
            }
        }
    }

    #[test]
    fn wrong_streams_are_protocol_errors() {
        for (kind, stream, len) in [
            (FrameType::DATA, 0, 0),
            (FrameType::HEADERS, 0, 0),
            (FrameType::CONTINUATION, 0, 0),
            (FrameType::PRIORITY, 0, 5),
            (FrameType::RST_STREAM, 0, 4),
            (FrameType::PING, 1, 8),
            (FrameType::GOAWAY, 1, 8),
        ] {
            let payload = vec![0; len];
            let (flags, stream) = (Flags::NONE, StreamId::new(stream));
            let got = parse(
                Head {
                    length: len as u32,
                    kind,
                    flags,
                    stream,
                },
                &payload,
            );
            assert_eq!(got.unwrap_err().code(), ErrorCode::PROTOCOL_ERROR, "{kind}");
        }
    }
}
