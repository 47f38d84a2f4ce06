//! HTTP/2 without TLS. A block of headers is made once for each request, and of an answer only the
//! first byte is looked at, which is `:status: 200` in HPACK's static table or something else.

use std::collections::HashMap;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Course, lost};
use crate::frames::{self, Frame};

/// What is opened for answers, whenever as much was used.
const WINDOW: u32 = 1 << 29;

/// `:status: 200` (RFC 7541, appendix A).
const OK: u8 = 0x88;

/// The block of a request; all literals are without indexing.
pub fn headers(path: &str, key: &str, length: usize) -> Vec<u8> {
    // `:method` and `:scheme: http`.
    let mut block = vec![if length == 0 { 0x82 } else { 0x83 }, 0x86];
    let mut literal = |name: &[u8], value: &str| {
        block.extend(name);
        block.push(u8::try_from(value.len()).unwrap_or(126).min(126));
        block.extend(value.bytes().take(126));
    };
    literal(b"\x04", path);
    literal(b"\x01", "localhost");
    literal(b"\x0f\x08", &format!("Bearer {key}"));
    literal(b"\x0f\x10", "application/json");
    literal(b"\x0f\x0d", &length.to_string());
    block
}

/// A stream that was not answered yet.
struct Open {
    asked: Instant,
    status: u16,
    body: Vec<u8>,
}

/// Keeps so many streams open until there is nothing more to ask.
pub async fn ask(mut socket: TcpStream, streams: usize, course: &Course<'_>) -> Result<(), String> {
    let mut connection = Connection {
        open: HashMap::new(),
        next: 1,
        window: i64::from(frames::FIRST_WINDOW),
        used: 0,
        out: Vec::new(),
    };
    connection.begin();
    let mut came = Vec::with_capacity(64 << 10);
    let mut is_done = false;
    loop {
        // A request is less than what the connection begins with.
        while !is_done && connection.open.len() < streams && connection.window > 8_192 {
            match course.next() {
                Some(call) => connection.send(&call.headers, &call.body),
                None => is_done = true,
            }
        }
        socket.write_all(&connection.out).await.map_err(lost)?;
        connection.out.clear();
        if is_done && connection.open.is_empty() {
            return Ok(());
        }
        if socket.read_buf(&mut came).await.map_err(lost)? == 0 {
            return Err("the service has closed the connection".to_owned());
        }
        let mut at = 0;
        while let Some((frame, length)) =
            Frame::first(came.get(at..).unwrap_or_default()).map_err(lost)?
        {
            at += length;
            connection.take(&frame, course)?;
        }
        came.drain(..at);
    }
}

struct Connection {
    open: HashMap<u32, Open>,
    next: u32,
    /// What may be sent on all streams together.
    window: i64,
    /// Bytes of DATA since the service's window was opened last.
    used: u32,
    out: Vec<u8>,
}

impl Connection {
    fn begin(&mut self) {
        self.out.extend(frames::PREFACE);
        frames::append_settings(
            &mut self.out,
            &[
                (frames::HEADER_TABLE_SIZE, 0),
                (frames::INITIAL_WINDOW_SIZE, WINDOW),
            ],
        );
        frames::append_window(&mut self.out, 2 * WINDOW);
    }

    fn send(&mut self, headers: &[u8], body: &[u8]) {
        let stream = self.next;
        self.next += 2;
        let ends = if body.is_empty() {
            frames::END_STREAM
        } else {
            0
        };
        let kind = (frames::HEADERS, frames::END_HEADERS | ends);
        frames::append(&mut self.out, kind, stream, headers);
        if !body.is_empty() {
            let kind = (frames::DATA, frames::END_STREAM);
            frames::append(&mut self.out, kind, stream, body);
            self.window -= body.len() as i64;
        }
        let open = Open {
            asked: Instant::now(),
            status: 0,
            body: Vec::new(),
        };
        self.open.insert(stream, open);
    }

    fn take(&mut self, frame: &Frame<'_>, course: &Course<'_>) -> Result<(), String> {
        match (frame.kind, frame.flags) {
            (frames::HEADERS, _) => {
                if let Some(open) = self.open.get_mut(&frame.stream) {
                    // A size update of the table may be in front of the first one.
                    let block = frame.payload.iter();
                    let first = block.copied().find(|byte| byte & 0xe0 != 0x20);
                    open.status = if first == Some(OK) { 200 } else { 0 };
                }
            }
            (frames::DATA, _) => {
                self.used += frame.payload.len() as u32;
                if let Some(open) = self.open.get_mut(&frame.stream) {
                    open.body.extend_from_slice(frame.data());
                }
            }
            (frames::WINDOW_UPDATE, _) if frame.stream == 0 => {
                self.window += i64::from(frame.number());
            }
            (frames::SETTINGS, 0) => {
                frames::append(&mut self.out, (frames::SETTINGS, frames::ACK), 0, b"");
            }
            (frames::PING, 0) => {
                let kind = (frames::PING, frames::ACK);
                frames::append(&mut self.out, kind, 0, frame.payload);
            }
            (frames::RST_STREAM | frames::GOAWAY, _) => {
                return Err("the service has refused a request".to_owned());
            }
            _ => {}
        }
        if self.used >= WINDOW {
            frames::append_window(&mut self.out, self.used);
            self.used = 0;
        }
        if frame.ends_stream()
            && let Some(open) = self.open.remove(&frame.stream)
        {
            course.answered(open.asked, open.status, &open.body)?;
        }
        Ok(())
    }
}
