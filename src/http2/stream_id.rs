//! The 31-bit number of a stream as a type, and who may open which.
//!
//! Source: RFC 9113, 5.1.1.
//!
//! ```text
//! 0      the connection itself
//! odd    opened by the client (us), each larger than the one before, never used twice
//! even   opened by the server; with push disabled there are none
//! ```

use core::fmt;

use super::limits::MAX_STREAM_ID;

/// Identifies a stream within one connection. 31 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// Stands for the connection in frames that concern no single stream.
    pub const CONNECTION: Self = Self(0);

    /// The first stream a client opens.
    pub const FIRST: Self = Self(1);

    /// The largest identifier. In a GOAWAY: "no stream is refused yet" (RFC 9113, 6.8).
    pub const MAX: Self = Self(MAX_STREAM_ID);

    /// Takes the low 31 bits; the reserved bit is ignored on receipt (RFC 9113, 4.1).
    pub const fn new(value: u32) -> Self {
        Self(value & MAX_STREAM_ID)
    }

    /// The number itself.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Whether a client opens streams of this number.
    pub const fn is_client(self) -> bool {
        self.0 % 2 == 1
    }

    /// How many a client has opened before this one, whose number is odd; of others, a number that
    /// none of those has.
    pub(crate) const fn rank(self) -> u64 {
        match self.is_client() {
            true => (self.0 >> 1) as u64,
            false => u64::MAX,
        }
    }

    /// The client stream of such a number.
    pub(crate) const fn of_rank(rank: u64) -> Self {
        // The low 31 bits are all there are of a number that `rank` gave for one.
        Self::new((rank as u32) << 1 | 1)
    }

    /// The client stream after this one; `None` once all 2^30 are used up.
    pub(crate) const fn next(self) -> Option<Self> {
        if self.0 + 2 > MAX_STREAM_ID {
            None
        } else {
            Some(Self(self.0 + 2))
        }
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({})", self.0)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_bit_is_ignored() {
        assert_eq!(StreamId::new(0x8000_0003), StreamId::new(3));
        assert_eq!(StreamId::new(u32::MAX), StreamId::MAX);
    }

    #[test]
    fn client_streams_end_at_31_bits() {
        assert_eq!(StreamId::FIRST.next(), Some(StreamId::new(3)));
        assert_eq!(StreamId::new(0x7fff_fffd).next(), Some(StreamId::MAX));
        assert_eq!(StreamId::MAX.next(), None);
    }
}
