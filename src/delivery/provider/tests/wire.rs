//! The peer's side of one connection, written and read octet by octet: nothing here is shared with
//! the code under test, so that a mistake there does not cancel itself out.
//!
//! Source: RFC 9113, sections 4 and 6; RFC 7541, section 6 and appendix A.

use std::collections::{BTreeMap, BTreeSet};

pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;

pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;

const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PRIORITY: u8 = 0x20;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, l0, l1, l2] = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![l0, l1, l2, kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in values {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

pub fn streams(limit: u32) -> Vec<u8> {
    settings(&[(MAX_CONCURRENT_STREAMS, limit)])
}

pub fn settings_ack() -> Vec<u8> {
    frame(SETTINGS, ACK, 0, &[])
}

pub fn pong(payload: &[u8]) -> Vec<u8> {
    frame(PING, ACK, 0, payload)
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

/// A response: literals without indexing, `:status` by its name's index.
pub fn answer(stream: u32, status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = head(stream, status, headers, body.is_empty());
    if !body.is_empty() {
        bytes.extend(frame(DATA, END_STREAM, stream, body));
    }
    bytes
}

/// The head of a response.
pub fn head(stream: u32, status: &str, headers: &[(&str, &str)], ends: bool) -> Vec<u8> {
    let mut block = vec![0x08, status.len() as u8];
    block.extend_from_slice(status.as_bytes());
    for (name, value) in headers {
        block.push(0x00);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    let flags = if ends {
        END_HEADERS | END_STREAM
    } else {
        END_HEADERS
    };
    frame(HEADERS, flags, stream, &block)
}

/// The APNs answer to a notification that was taken.
pub fn ok(stream: u32) -> Vec<u8> {
    answer(stream, "200", &[], b"")
}

/// What the client wrote on a stream.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// END_STREAM was seen.
    pub complete: bool,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The number of the device in the path, as `support::Rig::submit` wrote it.
    pub fn device(&self) -> u64 {
        let token = self
            .header(":path")
            .unwrap()
            .strip_prefix("/3/device/")
            .unwrap();
        u64::from_str_radix(token, 16).unwrap()
    }
}

/// Reads what the client writes.
#[derive(Debug, Default)]
pub struct Reader {
    partial: Vec<u8>,
    preface: bool,
    /// Dynamic table, newest first. Nothing here is long enough to be evicted.
    pub table: Vec<(String, String)>,
    /// The types of the frames that came.
    pub kinds: BTreeSet<u8>,
    /// Streams that neither side has reset and that have no answer.
    pub open: BTreeMap<u32, Asked>,
    /// Streams in the order they were opened.
    pub order: Vec<u32>,
    /// The devices of those that are for one.
    pub devices: Vec<u64>,
    /// By the client.
    pub resets: Vec<(u32, u32)>,
    /// Not acknowledgements.
    pub pings: Vec<Vec<u8>>,
    /// A GOAWAY was read.
    pub farewell: Option<u32>,
    /// The limit that the client knows of, if it is to be watched.
    pub limit: Option<u32>,
    /// Octets of DATA that no WINDOW_UPDATE has given back.
    pub consumed: u32,
}

impl Reader {
    pub fn read(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        if !self.preface {
            if self.partial.len() < PREFACE.len() {
                return;
            }
            assert!(self.partial.starts_with(PREFACE));
            self.partial.drain(..PREFACE.len());
            self.preface = true;
        }
        let bytes = std::mem::take(&mut self.partial);
        let mut rest = bytes.as_slice();
        while let Some(length) = whole(rest) {
            let stream = u32::from_be_bytes(rest[5..9].try_into().unwrap());
            self.frame(rest[3], rest[4], stream, &rest[9..length]);
            rest = &rest[length..];
        }
        self.partial = rest.to_vec();
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let ends = flags & END_STREAM != 0;
        self.kinds.insert(kind);
        match kind {
            HEADERS => {
                assert!(flags & PRIORITY == 0, "APNs ignores priorities");
                assert!(flags & END_HEADERS != 0, "a request needs no CONTINUATION");
                assert!(self.order.last().is_none_or(|last| *last < stream));
                let headers = self.block(payload);
                let asked = Asked {
                    headers,
                    body: Vec::new(),
                    complete: ends,
                };
                let path = asked.header(":path");
                if path.is_some_and(|path| path.starts_with("/3/device/")) {
                    self.devices.push(asked.device());
                }
                self.open.insert(stream, asked);
                if let Some(limit) = self.limit {
                    assert!(
                        self.open.len() <= limit as usize,
                        "above the limit of {limit}"
                    );
                }
                self.order.push(stream);
            }
            DATA => {
                self.consumed += payload.len() as u32;
                if let Some(asked) = self.open.get_mut(&stream) {
                    assert!(!asked.complete, "DATA after END_STREAM");
                    asked.body.extend_from_slice(payload);
                    asked.complete = ends;
                }
            }
            RST_STREAM => {
                self.open.remove(&stream);
                self.resets.push((stream, number(payload)));
            }
            PING if flags & ACK == 0 => self.pings.push(payload.to_vec()),
            GOAWAY => self.farewell = Some(number(&payload[4..])),
            SETTINGS | PING | WINDOW_UPDATE => {}
            _ => panic!("frame of type {kind}"),
        }
    }

    /// HPACK. Huffman coded strings, which only indexed fields have, are kept as they are.
    fn block(&mut self, mut bytes: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while let Some(&first) = bytes.first() {
            if first & 0x80 != 0 {
                let index = integer(&mut bytes, 7);
                fields.push(self.entry(index));
            } else if first & 0xe0 == 0x20 {
                integer(&mut bytes, 5);
            } else {
                let indexed = first & 0x40 != 0;
                let index = integer(&mut bytes, if indexed { 6 } else { 4 });
                let name = if index == 0 {
                    string(&mut bytes)
                } else {
                    self.entry(index).0
                };
                let field = (name, string(&mut bytes));
                if indexed {
                    self.table.insert(0, field.clone());
                }
                fields.push(field);
            }
        }
        fields
    }

    fn entry(&self, index: usize) -> (String, String) {
        let (name, value) = match index {
            1 => (":authority", ""),
            2 => (":method", "GET"),
            3 => (":method", "POST"),
            4 => (":path", "/"),
            7 => (":scheme", "https"),
            23 => ("authorization", ""),
            62.. => return self.table[index - 62].clone(),
            _ => panic!("static entry {index} in a request"),
        };
        (name.to_owned(), value.to_owned())
    }
}

/// The length of the frame that `bytes` begin with, if all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..9)?;
    let length = 9 + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    (bytes.len() >= length).then_some(length)
}

fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}

fn integer(bytes: &mut &[u8], prefix: u32) -> usize {
    let mask = (1 << prefix) - 1;
    let mut value = usize::from(bytes[0] & mask);
    *bytes = &bytes[1..];
    let mut shift = 0;
    while value >= usize::from(mask) {
        let octet = bytes[0];
        *bytes = &bytes[1..];
        value += usize::from(octet & 0x7f) << shift;
        shift += 7;
        if octet & 0x80 == 0 {
            break;
        }
    }
    value
}

fn string(bytes: &mut &[u8]) -> String {
    let is_coded = bytes[0] & 0x80 != 0;
    let length = integer(bytes, 7);
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    if is_coded {
        format!("huffman {text:02x?}")
    } else {
        String::from_utf8(text.to_vec()).unwrap()
    }
}
