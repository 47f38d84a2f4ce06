//! The far end of a connection: takes requests, and answers each of them with 200.

use dunlin::http2::{Connection, Event};
use dunlin::time::Now;

/// Octets in front of a frame's payload.
const HEAD: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const END_STREAM: u8 = 0x1;

/// What every connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// SETTINGS with 1,000 streams at once, a window without an end, and the acknowledgement of theirs.
const HELLO: &[u8] = &[
    0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0x03, 0xe8, //
    0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xfe, 0, 0, //
    0, 0, 0, 4, 1, 0, 0, 0, 0,
];

/// `:status 200` by its index; `apns-id` with indexing by the index that the last one has, and a
/// value of 36 octets.
const BLOCK: &[u8] = b"\x88\x7e\x249f595474-356c-485e-b67f-000000000000";

/// The same by its name, which the first of a connection has.
const FIRST_BLOCK: &[u8] = b"\x88\x40\x07apns-id\x249f595474-356c-485e-b67f-000000000000";

/// The server of one connection.
#[derive(Default)]
pub struct FarEnd {
    answers: usize,
}

impl FarEnd {
    /// What it says first.
    pub const fn hello() -> &'static [u8] {
        HELLO
    }

    /// Answers the requests that were written, which are whole.
    pub fn answer(&mut self, written: &[u8], out: &mut Vec<u8>) {
        let mut rest = written.strip_prefix(PREFACE).unwrap_or(written);
        while let Some((head, after)) = rest.split_at_checked(HEAD) {
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8;
            let length = length | usize::from(head[2]);
            let ends = matches!(head[3], DATA | HEADERS) && head[4] & END_STREAM != 0;
            if ends {
                self.accept(&head[5..], out);
            }
            rest = &after[length..];
        }
    }

    fn accept(&mut self, stream: &[u8], out: &mut Vec<u8>) {
        let block = match self.answers {
            0 => FIRST_BLOCK,
            _ => BLOCK,
        };
        // END_HEADERS and END_STREAM.
        out.extend_from_slice(&[0, 0, block.len() as u8, HEADERS, 0x5]);
        out.extend_from_slice(stream);
        out.extend_from_slice(block);
        let end = out.len();
        let mut number = self.answers;
        for place in out[end - 12..].iter_mut().rev() {
            *place = b"0123456789abcdef"[number & 0xf];
            number >>= 4;
        }
        self.answers += 1;
    }
}

/// A connection whose server has said hello, and what was written on it.
pub fn connected() -> (Connection, FarEnd) {
    let mut written = Vec::new();
    let mut connection = Connection::new(Default::default(), Now::ZERO, &mut written);
    let hello = FarEnd::hello();
    connection
        .handle_input(Now::ZERO, hello, &mut written)
        .unwrap();
    while let Some(event) = connection.poll_event() {
        assert!(matches!(event, Event::MaxConcurrentStreams(1_000)));
    }
    (connection, FarEnd::default())
}
