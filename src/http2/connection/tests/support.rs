//! A scripted server around a connection under test.
//!
//! Frames and header blocks of the server are written here octet by octet, not by the code under
//! test, so that a mistake there does not cancel itself out.

use crate::http2::hpack::Decoder;
use crate::http2::{
    Config, Connection, ConnectionError, Event, Header, HeaderList, Indexing, Request, StreamId,
};
use crate::time::Now;

pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const PRIORITY: u8 = 0x2;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PUSH_PROMISE: u8 = 0x5;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;
pub const CONTINUATION: u8 = 0x9;

pub const ACK: u8 = 0x1;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;

/// `:status: 200` from the static table.
pub const STATUS_200: &[u8] = &[0x88];

/// A frame that the connection wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub struct Peer {
    pub connection: Connection,
    pub now: Now,
    out: Vec<u8>,
    decoder: Decoder,
}

/// A frame with any octets.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, l0, l1, l2] = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![l0, l1, l2, kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

pub fn setting(id: u16, value: u32) -> Vec<u8> {
    let mut setting = id.to_be_bytes().to_vec();
    setting.extend_from_slice(&value.to_be_bytes());
    setting
}

pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values
        .iter()
        .flat_map(|&(id, value)| setting(id, value))
        .collect();
    frame(SETTINGS, 0, 0, &payload)
}

pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub fn go_away(last_stream: u32, code: u32, debug: &[u8]) -> Vec<u8> {
    let mut payload = last_stream.to_be_bytes().to_vec();
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(debug);
    frame(GOAWAY, 0, 0, &payload)
}

/// A header block of literals without indexing, plain strings below 127 octets.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0x00);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// HEADERS with a complete block.
pub fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, block)
}

pub fn data(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

/// A response of one frame.
pub fn ok(stream: u32) -> Vec<u8> {
    headers(stream, END_STREAM, STATUS_200)
}

pub fn request(body: &[u8]) -> Request<'_> {
    let (scheme, authority, path) = ("https", "example.com", "/a");
    Request {
        method: "POST",
        scheme,
        authority,
        path,
        headers: &[],
        body,
    }
}

pub fn header<'a>(name: &'static str, value: &'a str, indexing: Indexing) -> Header<'a> {
    Header {
        name,
        value,
        indexing,
    }
}

impl Peer {
    /// A connection on which the server has said nothing yet; what we sent is discarded.
    pub fn silent(config: Config) -> Self {
        let mut out = Vec::new();
        let connection = Connection::new(config, Now::ZERO, &mut out);
        out.clear();
        Self {
            connection,
            now: Now::ZERO,
            out,
            decoder: Decoder::new(4_096, 1 << 20),
        }
    }

    /// A connection on which both sides' SETTINGS were exchanged, the server's being `values`.
    pub fn settled(config: Config, values: &[(u16, u32)]) -> Self {
        let mut peer = Self::silent(config);
        peer.ok(&settings(values));
        peer.ok(&frame(SETTINGS, ACK, 0, &[]));
        peer.frames();
        peer.events();
        peer
    }

    /// The same with defaults, and no limit on streams.
    pub fn new() -> Self {
        Self::settled(Config::default(), &[])
    }

    /// The server sends octets.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        self.connection.handle_input(self.now, bytes, &mut self.out)
    }

    /// The server sends octets that are no error.
    pub fn ok(&mut self, bytes: &[u8]) {
        assert_eq!(self.send(bytes), Ok(()));
    }

    /// The server sends octets that end the connection; asserts that GOAWAY with the error's code
    /// goes out last, and returns that code.
    pub fn fatal(&mut self, bytes: &[u8]) -> (ConnectionError, u32) {
        let error = self.send(bytes).expect_err("the connection goes on");
        assert!(self.connection.is_closed());
        assert_eq!(
            self.send(&ok(1)),
            Err(error),
            "a failed connection stays failed"
        );
        let sent = self.frames();
        let last = sent.last().expect("GOAWAY");
        let code = error.code().value();
        assert_eq!((last.kind, last.stream, last.payload.len()), (GOAWAY, 0, 8));
        assert_eq!(last.payload[..4], [0; 4]);
        assert_eq!(last.payload[4..], code.to_be_bytes());
        assert_eq!(sent.iter().filter(|frame| frame.kind == GOAWAY).count(), 1);
        (error, code)
    }

    pub fn try_request(&mut self, request: &Request<'_>) -> Result<u32, crate::http2::SendError> {
        self.connection
            .send_request(self.now, request, &mut self.out)
            .map(StreamId::value)
    }

    pub fn request(&mut self, body: &[u8]) -> u32 {
        self.try_request(&request(body)).unwrap()
    }

    /// Opens `count` streams with a body of two octets, and discards what that wrote.
    pub fn open(&mut self, count: usize) -> Vec<u32> {
        let ids = (0..count).map(|_| self.request(b"{}")).collect();
        self.frames();
        ids
    }

    pub fn reset(&mut self, stream: u32) {
        let code = crate::http2::ErrorCode::CANCEL;
        self.connection
            .reset(StreamId::new(stream), code, &mut self.out);
    }

    pub fn ping(&mut self, payload: &[u8; 8]) -> Result<(), crate::http2::SendError> {
        self.connection.ping(self.now, *payload, &mut self.out)
    }

    pub fn close(&mut self) {
        self.connection
            .close(crate::http2::ErrorCode::NO_ERROR, &mut self.out);
    }

    pub fn timeout(&mut self) -> Result<(), ConnectionError> {
        self.connection.handle_timeout(self.now, &mut self.out)
    }

    /// The frames written since the last call.
    pub fn frames(&mut self) -> Vec<Sent> {
        let (frames, rest) = parse_frames(&self.out);
        assert_eq!(rest, 0, "half a frame was written");
        self.out.clear();
        frames
    }

    /// The events since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.connection.poll_event()).collect()
    }

    /// Decompresses a block that was written.
    pub fn decode(&mut self, block: &[u8]) -> Vec<(String, String)> {
        let mut list = HeaderList::new();
        self.decoder.decode(block, &mut list).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        list.iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }
}

/// Whole frames in `bytes`, and how many octets are left.
pub fn parse_frames(mut bytes: &[u8]) -> (Vec<Sent>, usize) {
    let mut frames = Vec::new();
    while bytes.len() >= 9 {
        let length =
            usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
        if bytes.len() < 9 + length {
            break;
        }
        let stream = u32::from_be_bytes(bytes[5..9].try_into().unwrap());
        let payload = bytes[9..9 + length].to_vec();
        frames.push(Sent {
            kind: bytes[3],
            flags: bytes[4],
            stream,
            payload,
        });
        bytes = &bytes[9 + length..];
    }
    (frames, bytes.len())
}

/// Kind, flags, stream and length of each frame: enough for most assertions.
pub fn summary(frames: &[Sent]) -> Vec<(u8, u8, u32, usize)> {
    frames
        .iter()
        .map(|f| (f.kind, f.flags, f.stream, f.payload.len()))
        .collect()
}

/// The streams that end in `events`, in that order.
pub fn ended(events: &[Event]) -> Vec<u32> {
    events
        .iter()
        .filter_map(Event::ends)
        .map(StreamId::value)
        .collect()
}
