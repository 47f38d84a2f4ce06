//! Turns a stream of bytes into whole HTTP/2 frames, and a few frames into bytes: as much of HTTP/2
//! as it takes to change a conversation between two real implementations.
//!
//! Source: RFC 9113 section 4.1 (frame header), 6.5 (SETTINGS), 6.8 (GOAWAY).
//!
//! ```text
//! +-----------------+--------+---------+---------------------+==========+
//! | length u24      | type 8 | flags 8 | R 1 | stream id u31 | payload  |
//! +-----------------+--------+---------+---------------------+==========+
//! ```
//!
//! Limit: a frame longer than [`MAX_FRAME`] is not collected; from there on the bytes pass as they
//! are, and the real implementation behind refuses them.

use bytes::{Buf, Bytes, BytesMut};

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;

const FLAG_ACK: u8 = 0x1;
const FLAG_END_STREAM: u8 = 0x1;

const HEADER: usize = 9;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// SETTINGS_MAX_FRAME_SIZE of both sides here: the initial value, which neither raises.
const MAX_FRAME: usize = 16_384;

/// A whole frame, header included, or bytes that are none.
pub(super) struct Frame {
    pub(super) bytes: BytesMut,
    /// `None` for bytes that pass as they are.
    pub(super) head: Option<FrameHead>,
}

/// What the first nine bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: u8,
    flags: u8,
    pub(super) stream: u32,
}

impl FrameHead {
    pub(super) fn ends_stream(self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & FLAG_END_STREAM != 0
    }

    pub(super) fn is_settings(self) -> bool {
        self.kind == SETTINGS && self.flags & FLAG_ACK == 0
    }

    pub(super) fn is_settings_ack(self) -> bool {
        self.kind == SETTINGS && self.flags & FLAG_ACK != 0
    }
}

/// Collects bytes until a frame is whole.
pub(super) struct Framer {
    buffer: BytesMut,
    preface: bool,
    raw: bool,
}

impl Framer {
    /// For the bytes of a client, which begin with the connection preface.
    pub(super) fn of_client() -> Self {
        Self {
            buffer: BytesMut::new(),
            preface: true,
            raw: false,
        }
    }

    /// For the bytes of a server.
    pub(super) fn of_server() -> Self {
        Self {
            preface: false,
            ..Self::of_client()
        }
    }

    /// Where the reader puts bytes; has room for some.
    pub(super) fn space(&mut self) -> &mut BytesMut {
        self.buffer.reserve(MAX_FRAME);
        &mut self.buffer
    }

    /// The next frame that is whole, or `None` if more bytes are needed.
    pub(super) fn next(&mut self) -> Option<Frame> {
        if self.preface {
            return self.take_preface();
        }
        if self.raw {
            let head = None;
            return (!self.buffer.is_empty()).then(|| Frame {
                bytes: self.buffer.split(),
                head,
            });
        }
        let mut header: &[u8] = self.buffer.get(..HEADER)?;
        let length = usize::try_from(header.get_uint(3)).unwrap_or(usize::MAX);
        let (kind, flags) = (header.get_u8(), header.get_u8());
        let head = FrameHead {
            kind,
            flags,
            stream: header.get_u32() & 0x7fff_ffff,
        };
        if length > MAX_FRAME {
            self.raw = true;
            return self.next();
        }
        let whole = HEADER + length;
        (self.buffer.len() >= whole).then(|| Frame {
            bytes: self.buffer.split_to(whole),
            head: Some(head),
        })
    }

    fn take_preface(&mut self) -> Option<Frame> {
        let seen = self.buffer.len().min(PREFACE.len());
        if self.buffer.get(..seen) != PREFACE.get(..seen) {
            (self.preface, self.raw) = (false, true);
            return self.next();
        }
        (seen == PREFACE.len()).then(|| {
            self.preface = false;
            Frame {
                bytes: self.buffer.split_to(seen),
                head: None,
            }
        })
    }
}

/// Puts `limit` in the place of the stream limit a SETTINGS frame has.
pub(super) fn rewrite_stream_limit(settings: &mut [u8], limit: u32) {
    let (entries, _) = settings
        .get_mut(HEADER..)
        .unwrap_or_default()
        .as_chunks_mut::<6>();
    for entry in entries {
        let [high, low, value @ ..] = entry;
        if u16::from_be_bytes([*high, *low]) == MAX_CONCURRENT_STREAMS {
            *value = limit.to_be_bytes();
        }
    }
}

/// A SETTINGS frame with nothing but the stream limit.
pub(super) fn stream_limit(limit: u32) -> Bytes {
    let payload = [
        &MAX_CONCURRENT_STREAMS.to_be_bytes()[..],
        &limit.to_be_bytes(),
    ]
    .concat();
    frame(SETTINGS, &payload)
}

/// A GOAWAY frame; debug data longer than a frame is cut off.
pub(super) fn goaway(last_stream: u32, error_code: u32, debug: &[u8]) -> Bytes {
    let debug = debug.get(..MAX_FRAME - 8).unwrap_or(debug);
    frame(
        GOAWAY,
        &[
            &last_stream.to_be_bytes()[..],
            &error_code.to_be_bytes(),
            debug,
        ]
        .concat(),
    )
}

/// A frame of the whole connection, without flags. `payload` is at most [`MAX_FRAME`] long.
fn frame(kind: u8, payload: &[u8]) -> Bytes {
    let length = u32::try_from(payload.len())
        .unwrap_or_default()
        .to_be_bytes();
    let [_, length @ ..] = length;
    [&length[..], &[kind, 0, 0, 0, 0, 0], payload]
        .concat()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(framer: &mut Framer, bytes: &[u8]) -> Vec<Option<FrameHead>> {
        framer.buffer.extend_from_slice(bytes);
        std::iter::from_fn(|| framer.next())
            .map(|frame| frame.head)
            .collect()
    }

    #[test]
    fn goaway_is_the_frame_seen_on_the_wire_of_apns() {
        // sideshow/apns2 issue 117: frame length 46, last stream 0, NO_ERROR.
        let frame = goaway(0, 0, br#"{"reason":"BadCertificateEnvironment"}"#);
        let hex = crate::ids::hex(&frame);
        assert_eq!(
            hex,
            "00002e0700000000000000000000000000\
             7b22726561736f6e223a224261644365727469666963617465456e7669726f6e6d656e74227d"
        );
    }

    #[test]
    fn every_prefix_of_a_frame_needs_more() {
        let whole = stream_limit(500);
        assert_eq!(
            crate::ids::hex(&whole),
            "000006040000000000".to_owned() + "0003000001f4"
        );
        for cut in 0..whole.len() {
            assert!(
                all(&mut Framer::of_server(), &whole[..cut]).is_empty(),
                "{cut}"
            );
        }
        let heads = all(&mut Framer::of_server(), &whole);
        assert!(heads[0].unwrap().is_settings() && !heads[0].unwrap().is_settings_ack());
    }

    #[test]
    fn a_client_begins_with_the_preface() {
        let bytes = [PREFACE, &stream_limit(1)].concat();
        let mut framer = Framer::of_client();
        let heads: Vec<_> = bytes
            .iter()
            .flat_map(|byte| all(&mut framer, &[*byte]))
            .collect();
        assert_eq!(heads.len(), 2);
        assert_eq!(heads[0], None);
        assert_eq!(heads[1].unwrap().kind, SETTINGS);
    }

    #[test]
    fn what_is_not_http2_and_what_is_too_long_passes_as_it_is() {
        assert_eq!(all(&mut Framer::of_client(), b"GET / HTTP/1.1\r\n"), [None]);
        let mut framer = Framer::of_server();
        assert_eq!(
            all(&mut framer, &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 9, 9]),
            [None]
        );
        assert_eq!(all(&mut framer, &[9]), [None]);
        assert!(all(&mut framer, &[]).is_empty());
    }

    #[test]
    fn the_stream_limit_of_a_settings_frame_can_be_replaced() {
        let mut settings =
            BytesMut::from(&frame(SETTINGS, &[0, 4, 0, 0, 0, 9, 0, 3, 0, 0, 3, 0xe8])[..]);
        rewrite_stream_limit(&mut settings, 1);
        assert_eq!(settings[9..], [0, 4, 0, 0, 0, 9, 0, 3, 0, 0, 0, 1]);
        rewrite_stream_limit(&mut [], 1);
    }
}
