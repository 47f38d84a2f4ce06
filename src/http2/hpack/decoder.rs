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
