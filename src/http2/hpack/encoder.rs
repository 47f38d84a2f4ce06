//! Header fields into a header block, appended to the caller's buffer.
//!
//! Source: RFC 7541, 4.2 and 6.
//!
//! ```text
//! Incremental   in a table      -> index, one octet
//!               not in a table  -> literal with the name's index, added to the table
//! Without       -> literal with the name's index
//! Never         -> the same, marked so that intermediaries keep it out of their tables too
//! ```
//!
//! Choices that the RFC leaves open:
//!
//! - Strings that enter the table are Huffman coded when that is shorter, since they are sent
//!   once. Strings that are sent with every request (`:path`, `authorization`) are not: coding
//!   them costs more time than all the rest of the request.
//! - A field too large for the table is sent without indexing instead of emptying the table.
//! - The table never grows past 4,096 octets, whatever the peer allows; searching it is a walk
//!   over at most 128 entries that compares lengths first.

use super::dynamic_table::DynamicTable;
use super::static_table::{self, Found};
use super::{Indexing, huffman, integer};
use crate::http2::limits::{DEFAULT_HEADER_TABLE_SIZE, MAX_ENCODER_TABLE_SIZE};

/// Which strings are Huffman coded (always only where that is shorter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HuffmanUse {
    /// None.
    Off,
    /// Those of fields that enter the table.
    Indexed,
    /// All.
    All,
}

/// The sending side's state.
#[derive(Debug)]
pub struct Encoder {
    table: DynamicTable,
    huffman: HuffmanUse,
    /// The lowest size since the last block; it has to be announced in the next one.
    announce: Option<usize>,
    /// How often the table has changed.
    changes: u64,
}

impl Encoder {
    /// With the table size that holds until the peer's SETTINGS say otherwise.
    pub fn new(huffman: HuffmanUse) -> Self {
        let table = DynamicTable::new(DEFAULT_HEADER_TABLE_SIZE as usize);
        Self {
            table,
            huffman,
            announce: None,
            changes: 0,
        }
    }

    /// How often the table has changed: what was encoded before the last time may mean something
    /// else by now.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The peer's `SETTINGS_HEADER_TABLE_SIZE`: the lowest value of one frame and the last one.
    /// "This dynamic table size update MUST occur at the beginning of the first header block
    /// following the change" and, if it changed more than once, "the smallest maximum table size
    /// that occurs in that interval MUST be sent" (4.2).
    pub fn set_table_limit(&mut self, lowest: u32, last: u32) {
        let lowest = lowest.min(MAX_ENCODER_TABLE_SIZE) as usize;
        let last = last.min(MAX_ENCODER_TABLE_SIZE) as usize;
        if lowest == self.table.max_size() && last == lowest {
            return;
        }
        self.changes += 1;
        self.announce = Some(self.announce.unwrap_or(lowest).min(lowest));
        self.table.set_max_size(lowest);
        self.table.set_max_size(last);
    }

    /// Begins a block: appends the size updates that are due.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(lowest) = self.announce.take() {
            if lowest < self.table.max_size() {
                integer::encode(out, 0x20, 5, lowest);
            }
            integer::encode(out, 0x20, 5, self.table.max_size());
        }
    }

    /// Appends one field. `name` is lower case.
    pub fn field(&mut self, name: &[u8], value: &[u8], indexing: Indexing, out: &mut Vec<u8>) {
        let all = self.huffman == HuffmanUse::All;
        match indexing {
            Indexing::Incremental => self.incremental(name, value, out),
            Indexing::Without => literal(out, 0x00, 4, self.name_index(name), name, value, all),
            Indexing::Never => literal(out, 0x10, 4, self.name_index(name), name, value, all),
        }
    }

    /// Appends one field as [`Self::field`] would, if that leaves the table as it is and nothing is
    /// due in front of it; `None` if not.
    pub fn repeat(
        &self,
        name: &[u8],
        value: &[u8],
        indexing: Indexing,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        if self.announce.is_some() {
            return None;
        }
        if indexing != Indexing::Incremental {
            self.name(name, indexing, out);
            self.unindexed_value(value, out);
            return Some(());
        }
        match self.place(name, value) {
            TableIndex::Field(index) => integer::encode(out, 0x80, 7, index),
            TableIndex::Name(_) if self.table.fits(name.len(), value.len()) => return None,
            TableIndex::Name(name_index) => {
                let huffman = self.huffman != HuffmanUse::Off;
                literal(out, 0x00, 4, name_index, name, value, huffman);
            }
        }
        Some(())
    }

    /// Appends what comes before the value of a field that does not enter the table.
    pub fn name(&self, name: &[u8], indexing: Indexing, out: &mut Vec<u8>) {
        let pattern = if indexing == Indexing::Never { 0x10 } else { 0 };
        let name_index = self.name_index(name);
        integer::encode(out, pattern, 4, name_index);
        if name_index == 0 {
            string(out, name, self.huffman == HuffmanUse::All);
        }
    }

    /// Appends the value of such a field.
    #[inline]
    pub fn unindexed_value(&self, value: &[u8], out: &mut Vec<u8>) {
        string(out, value, self.huffman == HuffmanUse::All);
    }

    fn incremental(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let name_index = match self.place(name, value) {
            TableIndex::Field(index) => return integer::encode(out, 0x80, 7, index),
            TableIndex::Name(index) => index,
        };
        let fits = self.table.fits(name.len(), value.len());
        let (pattern, prefix) = if fits { (0x40, 6) } else { (0x00, 4) };
        let huffman = self.huffman != HuffmanUse::Off;
        literal(out, pattern, prefix, name_index, name, value, huffman);
        if fits {
            self.changes += 1;
            self.table.insert(name, value);
        }
    }

    fn place(&self, name: &[u8], value: &[u8]) -> TableIndex {
        let mut name_index = match static_table::find(name, value) {
            Found::Field(index) => return TableIndex::Field(index),
            Found::Name(index) => index,
            Found::Nothing => 0,
        };
        match self.table.find(name, value) {
            Found::Field(index) => return TableIndex::Field(dynamic(index)),
            Found::Name(index) if name_index == 0 => name_index = dynamic(index),
            _ => {}
        }
        TableIndex::Name(name_index)
    }

    /// The index of the name in one of the tables, or 0.
    fn name_index(&self, name: &[u8]) -> usize {
        static_table::find_name(name)
            .or_else(|| self.table.find_name(name).map(dynamic))
            .unwrap_or(0)
    }

    #[cfg(test)]
    pub fn table(&self) -> &DynamicTable {
        &self.table
    }

    #[cfg(test)]
    pub fn resize_table(&mut self, size: usize) {
        self.table.set_max_size(size);
    }
}

/// Where a field is in either table.
enum TableIndex {
    /// Name and value, at this index.
    Field(usize),
    /// The name alone; 0 if not even that.
    Name(usize),
}

/// Index of the dynamic table's entry in the space both tables share.
const fn dynamic(index: usize) -> usize {
    static_table::LEN + 1 + index
}

fn literal(
    out: &mut Vec<u8>,
    pattern: u8,
    prefix: u32,
    name_index: usize,
    name: &[u8],
    value: &[u8],
    huffman: bool,
) {
    integer::encode(out, pattern, prefix, name_index);
    if name_index == 0 {
        string(out, name, huffman);
    }
    string(out, value, huffman);
}

fn string(out: &mut Vec<u8>, text: &[u8], huffman: bool) {
    if huffman {
        let len = huffman::encoded_len(text);
        if len < text.len() {
            integer::encode(out, 0x80, 7, len);
            return huffman::encode(text, out);
        }
    }
    integer::encode(out, 0x00, 7, text.len());
    out.extend_from_slice(text);
}
