//! DATA, HEADERS and CONTINUATION: the frames a request or response consists of.
//!
//! Source: RFC 9113, 6.1, 6.2, 6.10.
//!
//! ```text
//! DATA / HEADERS payload
//! +-----------------+----------------------+-------------------+-------------+
//! | pad length (8)? | priority (40)?       | data / block      | padding ... |
//! +-----------------+----------------------+-------------------+-------------+
//!   if PADDED         HEADERS if PRIORITY                        pad length
//!
//! CONTINUATION payload: block only, no padding
//! ```
//!
//! We never pad and never send priority (Apple asks for the latter). A header block of ours that
//! does not fit the peer's `SETTINGS_MAX_FRAME_SIZE` is cut into CONTINUATION frames after it was
//! encoded in place, so the normal case copies nothing.

use super::check::require_stream;
use super::head::{Flags, FrameType, Head};
use super::received::Frame;
use crate::http2::error::ConnectionError;
use crate::http2::limits::FRAME_HEAD_LEN;
use crate::http2::stream_id::StreamId;

/// Octets of the pad length in DATA and HEADERS.
const PAD_LENGTH_LEN: usize = 1;

/// Octets of the deprecated priority fields in HEADERS.
const PRIORITY_LEN: usize = 5;

pub fn parse_data<'a>(head: Head, payload: &'a [u8]) -> Result<Frame<'a>, ConnectionError> {
    Ok(Frame::Data {
        stream: require_stream(head)?,
        data: strip_padding(head, payload)?,
        counted: head.length,
        end_stream: head.flags.contains(Flags::END_STREAM),
    })
}

pub fn parse_headers<'a>(head: Head, payload: &'a [u8]) -> Result<Frame<'a>, ConnectionError> {
    Ok(Frame::Headers {
        stream: require_stream(head)?,
        block: strip_padding(head, payload)?,
        end_headers: head.flags.contains(Flags::END_HEADERS),
        end_stream: head.flags.contains(Flags::END_STREAM),
    })
}

pub fn parse_continuation<'a>(head: Head, payload: &'a [u8]) -> Result<Frame<'a>, ConnectionError> {
    Ok(Frame::Continuation {
        stream: require_stream(head)?,
        block: payload,
        end_headers: head.flags.contains(Flags::END_HEADERS),
    })
}

/// What is left of DATA or HEADERS without the fields in front of it and the padding behind it.
///
/// A frame that is too small for the fields that its flags promise is a FRAME_SIZE_ERROR (4.2).
/// Padding may take what these leave and no more: "If the length of the padding is the length of
/// the frame payload or greater, the recipient MUST treat this as a connection error of type
/// PROTOCOL_ERROR" (6.1), and of HEADERS the same for padding "that exceeds the size remaining for
/// the field block fragment" (6.2), which priority fields are no part of.
fn strip_padding(head: Head, payload: &[u8]) -> Result<&[u8], ConnectionError> {
    let is_padded = head.flags.contains(Flags::PADDED);
    let has_priority = head.kind == FrameType::HEADERS && head.flags.contains(Flags::PRIORITY);
    let (fields, expected) = match (is_padded, has_priority) {
        (false, false) => return Ok(payload),
        (true, false) => (PAD_LENGTH_LEN, "at least a pad length, 1"),
        (false, true) => (PRIORITY_LEN, "at least the priority fields, 5"),
        (true, true) => (
            PAD_LENGTH_LEN + PRIORITY_LEN,
            "at least a pad length and the priority fields, 6",
        ),
    };
    let Some(rest) = payload.get(fields..) else {
        return Err(ConnectionError::FrameLength {
            kind: head.kind,
            expected,
            got: payload.len(),
        });
    };
    let padding = payload.first().filter(|_| is_padded);
    let padding = padding.copied().map_or(0, usize::from);
    rest.len()
        .checked_sub(padding)
        .and_then(|end| rest.get(..end))
        .ok_or(ConnectionError::Padding {
            kind: head.kind,
            length: payload.len(),
            got: padding,
        })
}

/// Appends the head of a HEADERS frame whose block is still to be written; [`finish_headers`]
/// fills it in. Returns where the frame begins.
pub fn begin_headers(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD_LEN]);
    start
}

/// Completes the frame that [`begin_headers`] began at `start`: everything after its head is the
/// block. Adds CONTINUATION frames where the block is longer than `max_frame_size`, which is at
/// least 16,384 and at most 2^24-1.
pub fn finish_headers(
    out: &mut Vec<u8>,
    start: usize,
    stream: StreamId,
    end_stream: bool,
    max_frame_size: usize,
) {
    let block_start = start + FRAME_HEAD_LEN;
    let block_len = out.len().saturating_sub(block_start);
    let first_len = block_len.min(max_frame_size);
    let rest = out.split_off(block_start + first_len);
    let flags = Flags::END_STREAM
        .when(end_stream)
        .with(Flags::END_HEADERS.when(rest.is_empty()));
    let head = Head {
        length: first_len as u32,
        kind: FrameType::HEADERS,
        flags,
        stream,
    };
    if let Some(place) = out.get_mut(start..block_start) {
        place.copy_from_slice(&head.encode());
    }
    let mut chunks = rest.chunks(max_frame_size).peekable();
    while let Some(chunk) = chunks.next() {
        let flags = Flags::END_HEADERS.when(chunks.peek().is_none());
        let head = Head {
            length: chunk.len() as u32,
            kind: FrameType::CONTINUATION,
            flags,
            stream,
        };
        out.extend_from_slice(&head.encode());
        out.extend_from_slice(chunk);
    }
}

/// Appends `data` as DATA frames of at most `max_frame_size` octets each; the last one carries
/// END_STREAM if asked. No data makes no frame.
pub fn write_data(
    out: &mut Vec<u8>,
    stream: StreamId,
    data: &[u8],
    end_stream: bool,
    max_frame_size: usize,
) {
    let mut chunks = data.chunks(max_frame_size).peekable();
    while let Some(chunk) = chunks.next() {
        let flags = Flags::END_STREAM.when(end_stream && chunks.peek().is_none());
        let head = Head {
            length: chunk.len() as u32,
            kind: FrameType::DATA,
            flags,
            stream,
        };
        out.extend_from_slice(&head.encode());
        out.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::error::ErrorCode;
    use crate::http2::frame::{head, parse};

    fn frame(kind: FrameType, flags: u8, payload: &[u8]) -> Result<Frame<'_>, ConnectionError> {
        let (length, flags) = (payload.len() as u32, Flags::new(flags));
        parse(
            Head {
                length,
                kind,
                flags,
                stream: StreamId::FIRST,
            },
            payload,
        )
    }

    #[test]
    fn padding_is_stripped_and_counted() {
        let got = frame(FrameType::DATA, 0x09, &[2, b'a', b'b', b'c', 0, 0]);
        let (stream, data) = (StreamId::FIRST, &b"abc"[..]);
        assert_eq!(
            got,
            Ok(Frame::Data {
                stream,
                data,
                counted: 6,
                end_stream: true
            })
        );
    }

    #[test]
    fn padding_may_fill_the_payload_but_not_exceed_it() {
        assert!(matches!(
            frame(FrameType::DATA, 0x08, &[2, 0, 0]),
            Ok(Frame::Data { data: [], .. })
        ));
        let error = frame(FrameType::DATA, 0x08, &[3, 0, 0]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::PROTOCOL_ERROR);
        let error = frame(FrameType::HEADERS, 0x08, &[]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::FRAME_SIZE_ERROR);
    }

    /// RFC 9113, 6.2: the field block is what the priority fields leave.
    #[test]
    fn padding_may_not_reach_into_the_priority_fields() {
        for padding in [3, 4, 5, 8, 255] {
            let payload = [padding, 0, 0, 0, 0, 9, 0x88, 0];
            let error = frame(FrameType::HEADERS, 0x2c, &payload).unwrap_err();
            assert_eq!(error.code(), ErrorCode::PROTOCOL_ERROR, "{padding}");
        }
        let whole = frame(FrameType::HEADERS, 0x2c, &[2, 0, 0, 0, 0, 9, 0, 0]).unwrap();
        assert!(matches!(whole, Frame::Headers { block: [], .. }));
        // Without padding the same octets are too few for the fields.
        for payload in [&[0, 0, 0, 0, 9][..], &[0], &[]] {
            let error = frame(FrameType::HEADERS, 0x2c, payload).unwrap_err();
            assert_eq!(error.code(), ErrorCode::FRAME_SIZE_ERROR, "{payload:?}");
        }
    }

    /// RFC 9113, 6.1 and 6.10: DATA has no priority fields, and CONTINUATION no padding.
    #[test]
    fn other_frames_have_no_fields_for_the_flags_of_headers() {
        let data = frame(FrameType::DATA, 0x28, &[1, b'a', 0]).unwrap();
        assert!(matches!(data, Frame::Data { data: b"a", .. }));
        let more = frame(FrameType::CONTINUATION, 0x2c, &[9, 0x88]).unwrap();
        assert!(matches!(
            more,
            Frame::Continuation {
                block: [9, 0x88],
                ..
            }
        ));
        let promise = frame(FrameType::PUSH_PROMISE, 0x0c, &[9, 0, 0, 0, 2]).unwrap();
        assert_eq!(promise, Frame::PushPromise);
    }

    #[test]
    fn priority_is_stripped() {
        let got = frame(FrameType::HEADERS, 0x2c, &[1, 0, 0, 0, 0, 9, 0x88, 0]);
        assert!(matches!(
            got,
            Ok(Frame::Headers {
                block: [0x88],
                end_headers: true,
                ..
            })
        ));
        let error = frame(FrameType::HEADERS, 0x20, &[0, 0, 0, 0]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::FRAME_SIZE_ERROR);
    }

    #[test]
    fn a_long_block_is_cut_into_continuations() {
        for (len, frames) in [(0, 1), (10, 1), (11, 2), (20, 2), (21, 3)] {
            let block: Vec<u8> = (0..len).collect();
            let mut out = vec![0xee];
            let start = begin_headers(&mut out);
            out.extend_from_slice(&block);
            finish_headers(&mut out, start, StreamId::FIRST, true, 10);
            let (mut rest, mut joined, mut seen) = (&out[1..], Vec::new(), 0);
            while let Some((head, payload, tail)) = head::split(rest) {
                seen += 1;
                assert_eq!(head.flags.contains(Flags::END_HEADERS), seen == frames);
                assert_eq!(head.flags.contains(Flags::END_STREAM), seen == 1);
                joined.extend_from_slice(payload);
                rest = tail;
            }
            assert_eq!((seen, joined, rest), (frames, block, &[][..]));
        }
    }

    #[test]
    fn data_is_cut_to_the_frame_size() {
        let mut out = Vec::new();
        write_data(&mut out, StreamId::FIRST, b"abcde", true, 2);
        assert_eq!(out.len(), 3 * FRAME_HEAD_LEN + 5);
        assert_eq!(out[4], 0);
        assert_eq!(out[2 * (FRAME_HEAD_LEN + 2) + 4], 1);
        out.clear();
        write_data(&mut out, StreamId::FIRST, b"", true, 2);
        assert!(out.is_empty());
    }
}
