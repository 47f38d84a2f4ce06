//! HTTP/2 frames by hand (RFC 9113 4.1, RFC 7541 6), for what a well-behaved client cannot do.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt as _};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// HEADERS of a POST to `path`; the stream stays open for a body.
pub fn post(stream: u32, path: &str) -> Vec<u8> {
    // Static table: 3 is :method POST, 7 is :scheme https, 4 is the name :path, 1 is :authority.
    let text = |index: u8, value: &str| {
        let length = u8::try_from(value.len()).unwrap();
        assert!(length < 127);
        [&[index, length], value.as_bytes()].concat()
    };
    let block = [vec![0x83, 0x87], text(4, path), text(1, "localhost")].concat();
    frame(HEADERS, 0x4, stream, &block)
}

/// Frames out of bytes; what is left over at the end is not a frame.
pub fn frames(bytes: &[u8]) -> (VecDeque<Frame>, &[u8]) {
    let (mut found, mut rest) = (VecDeque::new(), bytes);
    while let Some((header, tail)) = rest.split_at_checked(9) {
        let length =
            usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        let Some((payload, next)) = tail.split_at_checked(length) else {
            break;
        };
        let stream = u32::from_be_bytes(header[5..9].try_into().unwrap());
        found.push_back(Frame {
            kind: header[3],
            flags: header[4],
            stream,
            payload: payload.to_vec(),
        });
        rest = next;
    }
    (found, rest)
}

/// Reads until a frame fits.
pub async fn read_until<S: AsyncRead + Unpin>(
    stream: &mut S,
    fits: impl Fn(&Frame) -> bool,
) -> Frame {
    let mut bytes = Vec::new();
    loop {
        if let Some(frame) = frames(&bytes).0.into_iter().find(&fits) {
            return frame;
        }
        let read = super::within(stream.read_buf(&mut bytes)).await.unwrap();
        assert!(read > 0, "the connection ended before the frame came");
    }
}
