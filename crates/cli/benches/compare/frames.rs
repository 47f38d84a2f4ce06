//! HTTP/2 frames as the server and the clients of this benchmark need them: cut out of bytes, and
//! appended to bytes. Nothing in them is decoded.
//!
//! Source: RFC 9113, section 4.1. Shares no code with `src/http2`, which is what is measured.

use std::io;

/// The client's first bytes (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

/// Of SETTINGS and PING.
pub const ACK: u8 = 1;
/// Of DATA and HEADERS.
pub const END_STREAM: u8 = 1;
/// Of HEADERS.
pub const END_HEADERS: u8 = 4;
/// Of DATA.
pub const PADDED: u8 = 8;

pub const HEADER_TABLE_SIZE: u16 = 1;
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// What connections and streams may hold before anything was said about it, in bytes.
pub const FIRST_WINDOW: u32 = 65_535;

/// The longest frame, in bytes: neither side allows longer ones.
const LONGEST: usize = 16_384;

const HEAD: usize = 9;

/// One frame in the bytes that it came in.
pub struct Frame<'a> {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame that `bytes` begin with, and its whole length; `None` if it is not all there.
    pub fn first(bytes: &'a [u8]) -> io::Result<Option<(Self, usize)>> {
        let Some(&[a, b, c, kind, flags, d, e, f, g]) = bytes.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length > LONGEST {
            let why = format!("expected a frame of at most {LONGEST} bytes, got {length}");
            return Err(io::Error::other(why));
        }
        let end = HEAD + length;
        let frame = bytes.get(HEAD..end).map(|payload| Self {
            kind,
            flags,
            stream: u32::from_be_bytes([d & 0x7f, e, f, g]),
            payload,
        });
        Ok(frame.map(|frame| (frame, end)))
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether it is the last of its stream.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.has(END_STREAM)
    }

    /// Four bytes as a number; 0 if there are fewer.
    pub fn number(&self) -> u32 {
        let bytes = self.payload.first_chunk::<4>();
        bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }

    /// The payload of DATA without its padding.
    pub fn data(&self) -> &'a [u8] {
        if !self.has(PADDED) {
            return self.payload;
        }
        let (padding, rest) = self.payload.split_first().unwrap_or((&0, &[]));
        let end = rest.len().saturating_sub(usize::from(*padding));
        rest.get(..end).unwrap_or_default()
    }
}

/// Appends a frame.
pub fn append(out: &mut Vec<u8>, (kind, flags): (u8, u8), stream: u32, payload: &[u8]) {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    out.extend([a, b, c, kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

/// Appends SETTINGS.
pub fn append_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    append(out, (SETTINGS, 0), 0, &payload);
}

/// Appends a WINDOW_UPDATE of the connection.
pub fn append_window(out: &mut Vec<u8>, by: u32) {
    append(out, (WINDOW_UPDATE, 0), 0, &by.to_be_bytes());
}
