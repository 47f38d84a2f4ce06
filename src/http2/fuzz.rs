//! Arbitrary octets as a script for a connection, with the module's invariants asserted.
//!
//! ```text
//! data:  operation, its arguments, operation, its arguments, ...
//!
//! operation   raw input | frame with a valid head | response | WINDOW_UPDATE | SETTINGS | GOAWAY
//!             | request | reset | ping | time passes | close | end of transport
//! ```
//!
//! [`exercise`] is the whole body of a fuzz target and also runs as a unit test over seeded
//! pseudo-random scripts. A failing assertion is always a bug here, never bad input:
//!
//! - nothing panics;
//! - every stream that was opened ends in exactly one event, unless the script reset it, and no
//!   event follows its end;
//! - the table of streams, the pending bodies and the kept input stay within their bounds;
//! - what is written is the preface and whole frames within the peer's limits.

use core::time::Duration;
use std::collections::BTreeMap;

use super::frame::{self, FrameType, Head, control, head};
use super::{Config, Connection, ErrorCode, Event, Header, Indexing, Request, SendError, StreamId};
use crate::time::Now;

/// What the script may have open at once.
const MAX_OPEN: u32 = 8;
const MAX_PENDING: usize = 4_096;
const MAX_BODY: usize = 20_000;
const MAX_HEADER_LIST: u32 = 1_024;

/// Runs `data` as a script; where a connection ends before it, the rest goes to another one.
///
/// # Panics
///
/// If an invariant does not hold.
pub fn exercise(data: &[u8]) {
    let mut script = data;
    while !script.is_empty() {
        let mut run = Run::new(script);
        // A few steps on a connection that is over, to see that nothing wakes it.
        let mut after_end = 0;
        while after_end < 4 {
            let Some(operation) = run.octet() else { break };
            run.step(operation);
            run.check();
            after_end += u32::from(run.connection.is_closed());
        }
        script = run.script;
        run.finish();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Reset,
    Ended,
}

struct Run<'a> {
    script: &'a [u8],
    /// Our windows and tables are small, so that their ends are met.
    small: bool,
    connection: Connection,
    now: Now,
    out: Vec<u8>,
    fates: BTreeMap<StreamId, Fate>,
}

impl<'a> Run<'a> {
    fn new(mut script: &'a [u8]) -> Self {
        let kind = script.split_off_first().copied().unwrap_or(0);
        let small = kind & 1 == 1;
        let config = Config {
            initial_window: if small { 100 } else { 65_535 },
            header_table_size: if small { 64 } else { 4_096 },
            max_header_list_size: MAX_HEADER_LIST,
            max_open_streams: MAX_OPEN,
            max_body: MAX_BODY,
            max_pending_body: MAX_PENDING,
            max_event_bytes: 8_192,
            ..Config::default()
        };
        let (now, mut out) = (Now::ZERO, Vec::new());
        let mut connection = Connection::new(config, now, &mut out);
        assert!(out.starts_with(frame::PREFACE));
        out.drain(..frame::PREFACE.len());
        // Most scripts are of more use on a connection that has begun.
        if kind >= 0x10 {
            let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, kind];
            assert_eq!(connection.handle_input(now, &settings, &mut out), Ok(()));
        }
        if kind >= 0x20 {
            let acknowledged = [0, 0, 0, 4, 1, 0, 0, 0, 0];
            assert_eq!(
                connection.handle_input(now, &acknowledged, &mut out),
                Ok(())
            );
        }
        Self {
            script,
            small,
            connection,
            now,
            out,
            fates: BTreeMap::new(),
        }
    }

    fn octet(&mut self) -> Option<u8> {
        self.script.split_off_first().copied()
    }

    fn number(&mut self) -> u32 {
        let high = self.octet().unwrap_or(0);
        let low = self.octet().unwrap_or(0);
        u32::from(u16::from_be_bytes([high, low]))
    }

    fn octets(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self
            .script
            .split_at_checked(count)
            .unwrap_or((self.script, &[]));
        self.script = rest;
        taken
    }

    /// One of the streams opened last; seldom the next one or none of ours.
    fn stream(&mut self) -> StreamId {
        if self.fates.is_empty() {
            self.request();
        }
        let opened = self.fates.len() as u32;
        let recent = opened.clamp(1, 10);
        match self.octet().unwrap_or(0) {
            0xff => StreamId::new(2),
            0xfe => StreamId::new(2 * opened + 1),
            back => StreamId::new(2 * (opened.max(1) - u32::from(back) % recent) - 1),
        }
    }

    fn step(&mut self, operation: u8) {
        match operation % 32 {
            0 => {
                let count = usize::from(self.octet().unwrap_or(0)).saturating_sub(0xc0);
                let raw = self.octets(count);
                self.input(raw);
            }
            1 => self.any_frame(),
            2..=11 => self.response(),
            12..=14 => self.window_update(operation & 0x80 != 0),
            15 => self.settings(),
            16 => self.go_away(),
            17..=25 => self.request(),
            26 | 27 => self.reset(),
            28 => self.pass_time(),
            _ => self.seldom(),
        }
        // Events are left to pile up for a while now and then.
        if operation & 0x40 == 0 {
            self.drain();
        }
    }

    fn window_update(&mut self, on_connection: bool) {
        let stream = if on_connection {
            StreamId::CONNECTION
        } else {
            self.stream()
        };
        let mut bytes = Vec::new();
        control::write_window_update(&mut bytes, stream, self.number());
        self.input(&bytes);
    }

    fn go_away(&mut self) {
        let choice = self.octet().unwrap_or(0);
        let last = if choice < 0x40 {
            self.stream()
        } else {
            StreamId::MAX
        };
        if choice < 0x80 {
            let mut payload = last.value().to_be_bytes().to_vec();
            payload.extend_from_slice(&[0, 0, 0, choice]);
            self.frame(FrameType::GOAWAY, 0, StreamId::CONNECTION, &payload);
        }
    }

    fn input(&mut self, bytes: &[u8]) {
        // Two pieces, so that frames are completed from both sides.
        let cut = bytes.len() / 2;
        let (first, second) = bytes.split_at_checked(cut).unwrap_or_default();
        for piece in [first, second] {
            let result = self.connection.handle_input(self.now, piece, &mut self.out);
            assert!(result.is_ok() || self.connection.is_closed());
        }
    }

    fn frame(&mut self, kind: FrameType, flags: u8, stream: StreamId, payload: &[u8]) {
        let (length, flags) = (payload.len() as u32, frame::Flags::new(flags));
        let mut bytes = Head {
            length,
            kind,
            flags,
            stream,
        }
        .encode()
        .to_vec();
        bytes.extend_from_slice(payload);
        self.input(&bytes);
    }

    fn any_frame(&mut self) {
        let kind = FrameType::new(self.octet().unwrap_or(0) % 11);
        let flags = self.octet().unwrap_or(0);
        let on_connection = [FrameType::SETTINGS, FrameType::PING, FrameType::GOAWAY];
        let stream = self.stream();
        let stream = if on_connection.contains(&kind) {
            StreamId::CONNECTION
        } else {
            stream
        };
        let count = usize::from(self.octet().unwrap_or(0)) % 64;
        let payload = self.octets(count);
        self.frame(kind, flags, stream, payload);
    }

    /// A response that is nearly right, whole or in its parts.
    fn response(&mut self) {
        let stream = self.stream();
        let shape = self.octet().unwrap_or(0);
        let end = u8::from(shape & 1 == 0);
        // A table that our settings made smaller has to be confirmed.
        let update: &[u8] = if self.small { &[0x20] } else { &[] };
        match shape >> 1 & 7 {
            0..=2 => self.frame(
                FrameType::HEADERS,
                4 | end,
                stream,
                &[update, &[0x88]].concat(),
            ),
            3 => {
                self.frame(FrameType::HEADERS, end, stream, &[update, &[0x8c]].concat());
                self.frame(
                    FrameType::CONTINUATION,
                    4,
                    stream,
                    &[0x40, 1, b'a', 1, b'b'],
                );
            }
            4 | 5 => {
                let limit = if self.small { 60 } else { 3_000 };
                let body = vec![0; self.number() as usize % limit];
                self.frame(FrameType::DATA, end, stream, &body);
            }
            6 => {
                let trailers = [update, &[0x00, 1, b'a', 1, b'b']].concat();
                self.frame(FrameType::HEADERS, 5, stream, &trailers);
            }
            _ => self.frame(FrameType::RST_STREAM, 0, stream, &[0, 0, 0, shape >> 4]),
        }
    }

    fn settings(&mut self) {
        let choice = self.octet().unwrap_or(0);
        let id = choice % 8;
        let value = match id {
            2 => u32::from(choice == 2),
            5 => self.number() | 0x4000,
            _ => self.number(),
        };
        let [_, _, v2, v3] = value.to_be_bytes();
        self.frame(
            FrameType::SETTINGS,
            0,
            StreamId::CONNECTION,
            &[0, id, 0, 0, v2, v3],
        );
        if choice >= 0xc0 {
            self.frame(FrameType::SETTINGS, 1, StreamId::CONNECTION, &[]);
        }
    }

    fn request(&mut self) {
        // Mostly small, as the script's own octets go.
        let size = if self.octet().unwrap_or(0) < 0xc0 {
            300
        } else {
            MAX_BODY + 100
        };
        let body = vec![b'x'; self.number() as usize % size];
        let value = "v".repeat(usize::from(self.octet().unwrap_or(0)));
        let headers = [Header {
            name: "a",
            value: &value,
            indexing: Indexing::Incremental,
        }];
        let (scheme, authority) = ("https", "example.com");
        let request = Request {
            method: "POST",
            scheme,
            authority,
            path: "/",
            headers: &headers,
            body: &body,
        };
        let available = self.connection.available_streams();
        let before = self.out.len();
        match self
            .connection
            .send_request(self.now, &request, &mut self.out)
        {
            Ok(stream) => {
                assert!(available > 0);
                assert_eq!(self.fates.insert(stream, Fate::Open), None);
            }
            Err(SendError::BodyTooLarge { .. } | SendError::HeaderListTooLarge { .. }) => {
                assert_eq!(self.out.len(), before);
            }
            Err(_) => assert_eq!((available, self.out.len()), (0, before)),
        }
    }

    fn reset(&mut self) {
        let stream = self.stream();
        let before = self.connection.open_streams();
        self.connection
            .reset(stream, ErrorCode::CANCEL, &mut self.out);
        if self.connection.open_streams() < before {
            assert_eq!(self.fates.insert(stream, Fate::Reset), Some(Fate::Open));
        }
    }

    fn pass_time(&mut self) {
        let millis = u64::from(self.octet().unwrap_or(0));
        self.now = self.now + Duration::from_millis(millis * millis / 16);
        let is_due = self
            .connection
            .poll_timeout()
            .is_some_and(|due| due <= self.now);
        let result = self.connection.handle_timeout(self.now, &mut self.out);
        assert_eq!(result.is_err(), is_due);
    }

    fn seldom(&mut self) {
        match self.octet().unwrap_or(0) {
            0..=3 => self.connection.close(ErrorCode::NO_ERROR, &mut self.out),
            4..=7 => self.connection.handle_eof(),
            8..=31 => {
                let _ = self.connection.ping(self.now, *b"exercise", &mut self.out);
            }
            32..=63 => self.frame(FrameType::PING, 1, StreamId::CONNECTION, b"exercise"),
            64..=95 => self.frame(FrameType::PING, 0, StreamId::CONNECTION, b"exercise"),
            _ => self.drain(),
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            let stream = match event {
                Event::Response { stream, .. } | Event::Data { stream, .. } => Some(stream),
                _ => event.ends(),
            };
            let Some(stream) = stream else { continue };
            // Events may have been queued before the script reset the stream, but not its end.
            let fate = self.fates.get(&stream).copied();
            assert!(
                fate == Some(Fate::Open) || (fate == Some(Fate::Reset) && event.ends().is_none())
            );
            if event.ends().is_some() {
                self.fates.insert(stream, Fate::Ended);
            }
        }
        let open = self
            .fates
            .values()
            .filter(|&&fate| fate == Fate::Open)
            .count();
        assert_eq!(open, self.connection.open_streams());
    }

    fn check(&mut self) {
        assert!(self.connection.open_streams() <= MAX_OPEN as usize);
        assert!(self.connection.pending_body_bytes() <= MAX_PENDING + MAX_BODY);
        let bound = 16_384 + 9 + 2 * MAX_HEADER_LIST as usize;
        assert!(self.connection.buffered_bytes() <= bound);
        let mut rest = &self.out[..];
        while let Some((head, _, tail)) = head::split(rest) {
            assert!(head.length <= 0xffff && head.kind.value() <= 9);
            rest = tail;
        }
        assert!(rest.is_empty());
        self.out.clear();
    }

    fn finish(mut self) {
        self.connection.handle_eof();
        self.drain();
        assert!(self.fates.values().all(|&fate| fate != Fate::Open));
        assert_eq!(
            (
                self.connection.open_streams(),
                self.connection.available_streams()
            ),
            (0, 0)
        );
        assert_eq!(
            (
                self.connection.pending_body_bytes(),
                self.connection.buffered_bytes()
            ),
            (0, 0)
        );
        assert_eq!(self.connection.poll_timeout(), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Octets that look random and are the same every time (xorshift64).
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect()
    }

    #[test]
    fn seeded_scripts() {
        for seed in 0..2_000 {
            exercise(&noise(seed, 64 + (seed as usize * 7) % 1_500));
        }
    }

    #[test]
    fn every_prefix_of_a_script() {
        let script = noise(4_711, 400);
        for len in 0..script.len() {
            exercise(&script[..len]);
        }
    }
}
