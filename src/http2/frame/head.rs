//! The nine octets in front of every frame, and the frame types, both ways.
//!
//! Source: RFC 9113, 4.1 and 6.
//!
//! ```text
//! 0       3      4       5                         9
//! +-------+------+-------+-------------------------+---------------------
//! | length| type | flags | R| stream identifier    | payload (`length`)
//! +-------+------+-------+-------------------------+---------------------
//!   24      8      8      1  31 bits
//! ```
//!
//! Types and flags are kept as they are on the wire: unknown types are ignored by the connection,
//! unknown flags by everyone.

use core::fmt;

use crate::http2::limits::FRAME_HEAD_LEN;
use crate::http2::stream_id::StreamId;

/// The type octet of a frame; unknown ones are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameType(u8);

impl FrameType {
    /// Body octets.
    pub const DATA: Self = Self(0x00);
    /// Opens a stream, or carries a response head or trailers.
    pub const HEADERS: Self = Self(0x01);
    /// Deprecated; read over.
    pub const PRIORITY: Self = Self(0x02);
    /// Ends a stream at once.
    pub const RST_STREAM: Self = Self(0x03);
    /// Parameters of the connection, and their acknowledgement.
    pub const SETTINGS: Self = Self(0x04);
    /// Announces a pushed response; we forbid them.
    pub const PUSH_PROMISE: Self = Self(0x05);
    /// Are you there.
    pub const PING: Self = Self(0x06);
    /// No new streams.
    pub const GOAWAY: Self = Self(0x07);
    /// More octets may be sent.
    pub const WINDOW_UPDATE: Self = Self(0x08);
    /// The rest of a header block.
    pub const CONTINUATION: Self = Self(0x09);

    /// Any type, known or not.
    pub const fn new(value: u8) -> Self {
        Self(value)
    }

    /// The octet on the wire.
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl fmt::Display for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::DATA => "DATA",
            Self::HEADERS => "HEADERS",
            Self::PRIORITY => "PRIORITY",
            Self::RST_STREAM => "RST_STREAM",
            Self::SETTINGS => "SETTINGS",
            Self::PUSH_PROMISE => "PUSH_PROMISE",
            Self::PING => "PING",
            Self::GOAWAY => "GOAWAY",
            Self::WINDOW_UPDATE => "WINDOW_UPDATE",
            Self::CONTINUATION => "CONTINUATION",
            Self(other) => return write!(f, "0x{other:02x}"),
        })
    }
}

impl fmt::Debug for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameType({self})")
    }
}

/// The flags octet; what a bit means depends on the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// No flag set.
    pub const NONE: Self = Self(0x00);
    /// SETTINGS, PING: this answers one of yours.
    pub const ACK: Self = Self(0x01);
    /// DATA, HEADERS: the sender is done with the stream.
    pub const END_STREAM: Self = Self(0x01);
    /// HEADERS, CONTINUATION: the header block is complete.
    pub const END_HEADERS: Self = Self(0x04);
    /// DATA, HEADERS: a pad length comes first, padding last.
    pub const PADDED: Self = Self(0x08);
    /// HEADERS: five octets of (deprecated) priority come first.
    pub const PRIORITY: Self = Self(0x20);

    /// All bits as received.
    pub const fn new(value: u8) -> Self {
        Self(value)
    }

    /// Whether every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// `self` if `condition`, else nothing.
    pub const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

/// A frame head. `length` counts the payload and fits 24 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub length: u32,
    pub kind: FrameType,
    pub flags: Flags,
    pub stream: StreamId,
}

impl Head {
    /// Reads a head off the front of `bytes`; `None` means that fewer than nine octets are there.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes.first_chunk::<FRAME_HEAD_LEN>()?;
        Some(Self {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind: FrameType(kind),
            flags: Flags(flags),
            stream: StreamId::new(u32::from_be_bytes([s0, s1, s2, s3])),
        })
    }

    /// The nine octets. Bits of `length` above the 24th are lost; see the callers for why there
    /// are none.
    pub fn encode(self) -> [u8; FRAME_HEAD_LEN] {
        let [_, l0, l1, l2] = self.length.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.value().to_be_bytes();
        [l0, l1, l2, self.kind.0, self.flags.0, s0, s1, s2, s3]
    }
}

/// Splits one whole frame off the front of `bytes`: its head, its payload, and what follows.
/// `None`: need more. The caller checks the head, and so the length, before it waits for more.
#[inline]
pub fn split(bytes: &[u8]) -> Option<(Head, &[u8], &[u8])> {
    let head = Head::decode(bytes)?;
    let after_head = bytes.get(FRAME_HEAD_LEN..)?;
    let (payload, rest) = after_head.split_at_checked(head.length as usize)?;
    Some((head, payload, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_the_round_trip() {
        let bytes = [0x01, 0x02, 0x03, 0xfa, 0xff, 0x7f, 0x00, 0x00, 0x05];
        let head = Head::decode(&bytes).unwrap();
        assert_eq!(head.length, 0x0001_0203);
        assert_eq!(head.kind, FrameType::new(0xfa));
        assert_eq!(head.stream, StreamId::new(0x7f00_0005));
        assert_eq!(head.encode(), bytes);
    }

    #[test]
    fn every_prefix_of_a_head_needs_more() {
        for len in 0..FRAME_HEAD_LEN {
            assert_eq!(Head::decode(&[0; FRAME_HEAD_LEN][..len]), None);
        }
    }

    #[test]
    fn split_leaves_the_rest() {
        let bytes = [0, 0, 2, 6, 0, 0, 0, 0, 0, 0xaa, 0xbb, 0xcc];
        let (head, payload, rest) = split(&bytes).unwrap();
        assert_eq!(
            (head.kind, payload, rest),
            (FrameType::PING, &[0xaa, 0xbb][..], &[0xcc][..])
        );
        for len in 0..11 {
            assert_eq!(split(&bytes[..len]), None);
        }
    }

    #[test]
    fn unknown_types_print_in_hex() {
        assert_eq!(FrameType::new(0xfa).to_string(), "0xfa");
        assert_eq!(format!("{:?}", FrameType::GOAWAY), "FrameType(GOAWAY)");
    }
}
