//! What went over a connection, frame by frame: proof that a test met what it is about.
//!
//! Reads frame heads and SETTINGS on its own, with nothing of ours.

use std::collections::BTreeMap;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// The flag of SETTINGS and PING.
pub const ACK: u8 = 0x1;
/// The flag of DATA and HEADERS.
pub const PADDED: u8 = 0x8;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Counts the frames of one direction.
#[derive(Debug, Default)]
pub struct Tally {
    partial: Vec<u8>,
    frames: BTreeMap<(u8, u8), usize>,
    /// Every parameter of every SETTINGS, in order.
    pub settings: Vec<(u16, u32)>,
    /// Header blocks that begin with a change of the dynamic table's size (RFC 7541, 6.3).
    pub table_updates: usize,
    /// Header blocks that refer to the dynamic table (RFC 7541, 6.1).
    pub dynamic_references: usize,
    /// Largest payload, octets.
    pub largest: usize,
}

impl Tally {
    /// Takes what was read or written, split anywhere.
    pub fn take(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.partial);
        let mut rest = all.strip_prefix(PREFACE).unwrap_or(&all);
        while let [l0, l1, l2, kind, flags, _, _, _, _, after @ ..] = rest {
            let length = u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
            let Some((payload, next)) = after.split_at_checked(length) else {
                break;
            };
            self.frame(*kind, *flags, payload);
            rest = next;
        }
        self.partial = rest.to_vec();
    }

    /// Frames of a kind.
    pub fn count(&self, kind: u8) -> usize {
        self.with(kind, 0)
    }

    /// Frames of a kind with a flag.
    pub fn with(&self, kind: u8, flag: u8) -> usize {
        let wanted = |(known, flags): &(u8, u8)| *known == kind && flags & flag == flag;
        self.frames
            .iter()
            .filter(|(key, _)| wanted(key))
            .map(|(_, count)| count)
            .sum()
    }

    fn frame(&mut self, kind: u8, flags: u8, payload: &[u8]) {
        *self.frames.entry((kind, flags)).or_default() += 1;
        self.largest = self.largest.max(payload.len());
        match kind {
            HEADERS => self.header_block(flags, payload),
            SETTINGS => self
                .settings
                .extend(payload.chunks_exact(6).map(|parameter| {
                    let id = u16::from_be_bytes([parameter[0], parameter[1]]);
                    (id, u32::from_be_bytes(parameter[2..6].try_into().unwrap()))
                })),
            _ => {}
        }
    }

    fn header_block(&mut self, flags: u8, payload: &[u8]) {
        let before = usize::from(flags & PADDED != 0) + if flags & 0x20 != 0 { 5 } else { 0 };
        let block = &payload[before..];
        self.table_updates += usize::from(block.first().is_some_and(|first| first >> 5 == 1));
        // Only whole-field references at the beginning are looked at: enough to see that there
        // are any.
        let leading = block.iter().take_while(|octet| **octet & 0x80 != 0);
        self.dynamic_references += usize::from(leading.into_iter().any(|octet| *octet > 0x80 + 61));
    }
}
