//! A complete header block into a header list.
//!
//! Source: RFC 7541, 3 and 6; the size of a list RFC 9113, 10.5.1.
//!
//! ```text
//! block -> size updates -> fields -> list, and entries of the dynamic table
//! ```
//!
//! Limits: the list. A list larger than allowed is still decoded to its end, because the table
//! has to follow, but fields past the limit are only counted: an index that stands for four
//! kilobytes costs one octet on the wire and copies nothing here. So the memory one block can take
//! is `list_limit`, plus one literal field, which is no longer than 8/5 of the block.

use super::dynamic_table::DynamicTable;
use super::{HpackError, huffman, integer, static_table};
use crate::http2::header_list::HeaderList;
use crate::http2::limits::{DEFAULT_HEADER_TABLE_SIZE, FIELD_OVERHEAD};

/// `:status 200` in the static table, as an indexed field.
const STATUS_200: u8 = 0x88;

/// The size that it has in a list.
const STATUS_SIZE: usize = ":status200".len() + FIELD_OVERHEAD;

/// The receiving side's state.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// What the peer may set the table's size to.
    table_limit: usize,
    list_limit: usize,
}

/// Whether the whole list is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Whole,
    /// The list is larger than allowed; only its beginning was kept.
    TooLarge {
        /// Octets, as RFC 9113, 10.5.1 counts them.
        size: usize,
    },
}

/// A list being filled, and how large it would be in full.
struct Filling<'a> {
    list: &'a mut HeaderList,
    size: usize,
    limit: usize,
}

impl Decoder {
    /// `table_limit` is the `SETTINGS_HEADER_TABLE_SIZE` that will hold once the peer acknowledges
    /// it ([`settings_acknowledged`](Self::settings_acknowledged)); `list_limit` bounds a decoded
    /// list, octets.
    pub fn new(table_limit: u32, list_limit: usize) -> Self {
        let initial = DEFAULT_HEADER_TABLE_SIZE as usize;
        Self {
            table: DynamicTable::new(initial),
            // Until then the peer may still work with the initial value.
            table_limit: initial.max(table_limit as usize),
            list_limit,
        }
    }

    /// The peer has taken our settings: the next block has to begin with a size update if the
    /// table is larger than `table_limit`.
    pub fn settings_acknowledged(&mut self, table_limit: u32) {
        self.table_limit = table_limit as usize;
    }

    /// Appends the fields of `block` to `list`. After an error the table is no longer the peer's,
    /// and the connection is over.
    pub fn decode(&mut self, block: &[u8], list: &mut HeaderList) -> Result<Fit, HpackError> {
        let mut rest = self.size_updates(block)?;
        let mut filling = Filling {
            list,
            size: 0,
            limit: self.list_limit,
        };
        while let Some(&first) = rest.first() {
            rest = match first {
                0x80.. => self.indexed(rest, &mut filling)?,
                0x40.. => self.literal(rest, 6, true, &mut filling)?,
                0x20.. => return Err(HpackError::SizeUpdateLate),
                _ => self.literal(rest, 4, false, &mut filling)?,
            };
        }
        let Filling { size, limit, .. } = filling;
        Ok(if size <= limit {
            Fit::Whole
        } else {
            Fit::TooLarge { size }
        })
    }

    /// Decodes a block that is `:status 200` by its index, and one field whose name is in a table
    /// and which `is_fit`: the list of that field. `None`, with nothing done, if it is anything
    /// else, or if anything is wrong with it. That is what nearly all answers of a server are.
    pub fn decode_short(
        &mut self,
        block: &[u8],
        is_fit: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Option<HeaderList> {
        let [STATUS_200, rest @ ..] = block else {
            return None;
        };
        if self.table.max_size() > self.table_limit {
            return None;
        }
        let (prefix, enters) = match rest.first()? {
            0x40..0x80 => (6, true),
            0x00..0x20 => (4, false),
            _ => return None,
        };
        let (index, rest) = integer::decode(rest, prefix).ok()?;
        let (name, _) = self.entry(index).ok()?;
        let mut list = HeaderList::with_room();
        let mark = list.open();
        list.tail().extend_from_slice(name);
        list.end_name(mark);
        let is_whole = string(rest, list.tail()).is_ok_and(<[u8]>::is_empty);
        let (name, value) = list.close(mark);
        let size = name.len() + value.len() + STATUS_SIZE + FIELD_OVERHEAD;
        if !is_whole || size > self.list_limit || !is_fit(name, value) {
            return None;
        }
        if enters {
            self.table.insert(name, value);
        }
        Some(list)
    }

    fn size_updates<'a>(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], HpackError> {
        while let Some(0x20..=0x3f) = rest.first() {
            let (got, tail) = integer::decode(rest, 5)?;
            if got as usize > self.table_limit {
                return Err(HpackError::SizeUpdateTooLarge {
                    limit: self.table_limit,
                    got,
                });
            }
            self.table.set_max_size(got as usize);
            rest = tail;
        }
        if self.table.max_size() > self.table_limit {
            return Err(HpackError::SizeUpdateMissing {
                limit: self.table_limit,
            });
        }
        Ok(rest)
    }

    fn indexed<'a>(
        &mut self,
        rest: &'a [u8],
        filling: &mut Filling<'_>,
    ) -> Result<&'a [u8], HpackError> {
        let (index, rest) = integer::decode(rest, 7)?;
        let (name, value) = self.entry(index)?;
        if filling.takes(name.len(), value.len()) {
            filling.list.push(name, value);
        }
        Ok(rest)
    }

    fn literal<'a>(
        &mut self,
        rest: &'a [u8],
        prefix: u32,
        add: bool,
        filling: &mut Filling<'_>,
    ) -> Result<&'a [u8], HpackError> {
        let (index, mut rest) = integer::decode(rest, prefix)?;
        let mark = filling.list.open();
        if index == 0 {
            rest = string(rest, filling.list.tail())?;
        } else {
            let (name, _) = self.entry(index)?;
            filling.list.tail().extend_from_slice(name);
        }
        filling.list.end_name(mark);
        rest = string(rest, filling.list.tail())?;
        let (name, value) = filling.list.close(mark);
        if add {
            self.table.insert(name, value);
        }
        let lens = (name.len(), value.len());
        if !filling.takes(lens.0, lens.1) {
            filling.list.undo(mark);
        }
        Ok(rest)
    }

    #[inline]
    fn entry(&self, index: u32) -> Result<(&[u8], &[u8]), HpackError> {
        let place = index as usize;
        match static_table::get(place) {
            Some((name, value)) => Some((name.as_bytes(), value.as_bytes())),
            None => place
                .checked_sub(static_table::LEN + 1)
                .and_then(|i| self.table.get(i)),
        }
        .ok_or(HpackError::Index {
            limit: static_table::LEN + self.table.len(),
            got: index,
        })
    }

    #[cfg(test)]
    pub fn table(&self) -> &DynamicTable {
        &self.table
    }

    #[cfg(test)]
    pub fn resize_table(&mut self, size: usize) {
        self.table.set_max_size(size);
    }

    #[cfg(test)]
    pub fn insert(&mut self, name: &[u8], value: &[u8]) {
        self.table.insert(name, value);
    }
}

impl Filling<'_> {
    /// Counts a field; whether it and all before it fit.
    fn takes(&mut self, name_len: usize, value_len: usize) -> bool {
        self.size = self
            .size
            .saturating_add(name_len + value_len + FIELD_OVERHEAD);
        self.size <= self.limit
    }
}

/// Appends a string to `out`. Returns what follows it.
fn string<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], HpackError> {
    let is_huffman = rest.first().is_some_and(|first| first & 0x80 != 0);
    let (len, rest) = integer::decode(rest, 7)?;
    let (text, rest) = rest
        .split_at_checked(len as usize)
        .ok_or(HpackError::Truncated)?;
    if is_huffman {
        huffman::decode(text, out)?;
    } else {
        out.extend_from_slice(text);
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::hpack::{Encoder, HuffmanUse, Indexing};

    /// Holds a decoder that knows the short way against one that does not.
    struct Both {
        one: Decoder,
        other: Decoder,
        short: usize,
    }

    impl Both {
        fn new(list_limit: usize) -> Self {
            let decoder = || Decoder::new(4_096, list_limit);
            Self {
                one: decoder(),
                other: decoder(),
                short: 0,
            }
        }

        fn decode(&mut self, block: &[u8]) {
            let mut expected = HeaderList::new();
            let fit = self.other.decode(block, &mut expected);
            match self.one.decode_short(block, |name, _| name != b"odd") {
                Some(list) => {
                    assert_eq!((fit, list), (Ok(Fit::Whole), expected.after(1)));
                    assert_eq!(expected.get("odd"), None);
                    self.short += 1;
                }
                None => {
                    let mut list = HeaderList::new();
                    assert_eq!(self.one.decode(block, &mut list), fit);
                    assert_eq!(list, expected);
                }
            }
            let (one, other) = (self.one.table(), self.other.table());
            assert_eq!((one.len(), one.size()), (other.len(), other.size()));
            (0..one.len()).for_each(|index| assert_eq!(one.get(index), other.get(index)));
        }
    }

    #[test]
    fn the_short_way_comes_to_the_same() {
        for huffman in [HuffmanUse::Off, HuffmanUse::Indexed, HuffmanUse::All] {
            for indexing in [Indexing::Incremental, Indexing::Without, Indexing::Never] {
                let (mut both, mut encoder) = (Both::new(200), Encoder::new(huffman));
                for n in 0..500_usize {
                    let status = if n % 10 == 9 { "410" } else { "200" };
                    let name = ["apns-id", "date", "odd", "apns-unique-id"][n % 50 / 13];
                    // Empty, short, and too long for the list.
                    let value = format!("{n}").repeat(n % 70);
                    let mut block = Vec::new();
                    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
                    let mut fields = vec![field(":status", status), field(name, &value)];
                    if n % 7 == 6 {
                        fields.push(field("apns-id", "another"));
                    }
                    for (place, (name, value)) in fields.iter().enumerate() {
                        let indexing = if place == 0 {
                            Indexing::Incremental
                        } else {
                            indexing
                        };
                        let (name, value) = (name.as_bytes(), value.as_bytes());
                        encoder.field(name, value, indexing, &mut block);
                    }
                    both.decode(&block);
                }
                assert!(both.short > 20 || indexing != Indexing::Incremental);
            }
        }
    }

    #[test]
    fn blocks_that_end_too_early_or_go_on_are_not_short() {
        let whole = b"\x88\x5c\x03abc";
        let mut both = Both::new(200);
        both.decode(whole);
        assert_eq!(both.short, 1);
        for end in 0..whole.len() {
            let (mut one, mut other) = (Both::new(200).one, Both::new(200).other);
            assert!(one.decode_short(&whole[..end], |_, _| true).is_none());
            let mut lists = [HeaderList::new(), HeaderList::new()];
            let [first, second] = &mut lists;
            assert_eq!(
                one.decode(&whole[..end], first),
                other.decode(&whole[..end], second)
            );
        }
        for octet in 0..=255 {
            let mut both = Both::new(200);
            both.decode(&[0x88, 0x5c, 0x03, b'a', b'b', b'c', octet]);
            both.decode(&[0x88, octet, 0x03, b'a', b'b', b'c']);
            both.decode(&[octet, 0x5c, 0x03, b'a', b'b', b'c']);
        }
    }
}
