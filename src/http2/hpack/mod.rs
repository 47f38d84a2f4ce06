//! HPACK: header lists to header blocks and back, with a state on each side that every block
//! changes.
//!
//! Source: RFC 7541.
//!
//! ```text
//! header block = representation *
//!
//! 1 index(7+)                          indexed: name and value from a table
//! 01 name(6+) value                    literal, added to the dynamic table
//! 001 size(5+)                         dynamic table size update, only in front
//! 0000 name(4+) value                  literal, not added
//! 0001 name(4+) value                  literal, never to be added by anyone
//!
//! name(n+)   index of a table entry, or 0 and then a string
//! n+         integer with an n-bit prefix          (integer.rs)
//! string     H(1) length(7+) octets                (Huffman if H, huffman.rs)
//!
//! index      1 ..= 61                 62 ...
//!            static_table.rs          dynamic_table.rs, newest first
//! ```
//!
//! Invariants:
//!
//! - Every block that arrives is decoded, also those of streams nobody waits for any more:
//!   otherwise the two tables drift apart. A decoding error ends the connection (RFC 9113, 4.3).
//! - A block is decoded only when it is complete, so running out of octets inside it is an error
//!   ([`HpackError::Truncated`]), not "need more"; the frame layer answers that.
//! - Both tables are bounded by 4,096 octets or what our configuration says, each entry counting
//!   32 more than its strings; the oldest entries go first.

pub mod decoder;
pub mod dynamic_table;
pub mod encoder;
pub mod huffman;
pub mod integer;
pub mod static_table;

#[cfg(test)]
mod tests;

pub use decoder::Decoder;
pub use encoder::{Encoder, HuffmanUse};

use core::fmt;

/// How a header field is represented, which decides what the peer remembers of it. RFC 7541, 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// Added to the table, so that the next time takes one octet: for values that repeat.
    Incremental,
    /// Not added: for values that do not repeat. Apple asks for this for `:path` and
    /// `authorization`.
    Without,
    /// Not added, and no intermediary may: for secrets that could be guessed piecemeal
    /// (RFC 7541, 7.1.3).
    Never,
}

/// Why a header block could not be decoded. The peer's fault; scope: the connection.
/// `got` is what came, `limit` the most that is allowed. Sections are those of RFC 7541.
#[expect(
    missing_docs,
    reason = "the fields follow one scheme, which is documented"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HpackError {
    /// The block ends inside a representation.
    Truncated,
    /// An integer above 2^32-1 or in more than six octets (5.1).
    IntegerOverflow,
    /// An index of 0, or past the newest `limit` entries of both tables (2.3.3).
    Index { limit: usize, got: u32 },
    /// A Huffman string padded with eight bits or more, or with anything but ones (5.2).
    HuffmanPadding,
    /// A Huffman string that contains the end-of-string symbol (5.2).
    HuffmanEos,
    /// A table size update above what our settings allow (6.3).
    SizeUpdateTooLarge { limit: usize, got: u32 },
    /// A table size update after the first field (4.2).
    SizeUpdateLate,
    /// Our settings made the table smaller, but the block does not begin with an update (4.2).
    SizeUpdateMissing { limit: usize },
}

impl fmt::Display for HpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("ends inside a field"),
            Self::IntegerOverflow => f.write_str("integer too large"),
            Self::Index { limit, got } => write!(f, "index {got}, the last is {limit}"),
            Self::HuffmanPadding => f.write_str("invalid Huffman padding"),
            Self::HuffmanEos => f.write_str("end-of-string symbol inside a string"),
            Self::SizeUpdateTooLarge { limit, got } => {
                write!(f, "table size {got}, limit {limit}")
            }
            Self::SizeUpdateLate => f.write_str("table size update after a field"),
            Self::SizeUpdateMissing { limit } => {
                write!(f, "no table size update after the limit fell to {limit}")
            }
        }
    }
}

impl std::error::Error for HpackError {}
