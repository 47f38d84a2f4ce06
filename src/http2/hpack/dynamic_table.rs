//! The dynamic table: fields in the order they were added, newest first, oldest evicted.
//!
//! Source: RFC 7541, 2.3.2 and 4.
//!
//! ```text
//! entries   newest ........................................ oldest   (ring of start and lengths)
//!             |                                               |
//! arena     [ dead octets | name value | name value | ... | name value ]
//!                           ^ oldest                         ^ newest
//! ```
//!
//! Strings of all entries lie in one buffer, so that adding a field (servers do it with every
//! response) allocates nothing in the long run. Evicted strings stay as dead octets in front until
//! the buffer would exceed twice the table's size; then the live ones move down.
//!
//! Invariants: `size` is the sum of name, value and 32 over all entries and never above
//! `max_size`; the arena is never longer than twice `max_size`.

use std::collections::VecDeque;

use super::static_table::Found;
use crate::http2::limits::FIELD_OVERHEAD;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Counted from the first octet ever added, so that it survives moves of the arena.
    start: u64,
    name_len: u32,
    value_len: u32,
}

/// One side's table. Bounded by the size given last.
#[derive(Debug)]
pub struct DynamicTable {
    entries: VecDeque<Entry>,
    arena: Vec<u8>,
    /// `start` of the arena's first octet.
    arena_start: u64,
    size: usize,
    max_size: usize,
}

impl DynamicTable {
    /// An empty table of at most `max_size` octets, counted as RFC 7541, 4.1 does.
    pub fn new(max_size: usize) -> Self {
        let (entries, arena) = (VecDeque::new(), Vec::new());
        Self {
            entries,
            arena,
            arena_start: 0,
            size: 0,
            max_size,
        }
    }

    /// Entries in the table.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The largest size it may grow to, octets.
    pub fn max_size(&self) -> usize {
        self.max_size
    }

    /// The present size, octets.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Changes the bound; evicts what exceeds it.
    pub fn set_max_size(&mut self, max_size: usize) {
        self.max_size = max_size;
        self.evict_to(max_size);
    }

    /// Name and value at `index`, 0 being the newest.
    pub fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        self.strings(self.entries.get(index)?)
    }

    /// Whether a field of these lengths would stay, or only empty the table (RFC 7541, 4.4).
    pub fn fits(&self, name_len: usize, value_len: usize) -> bool {
        name_len + value_len + FIELD_OVERHEAD <= self.max_size
    }

    /// Adds a field as the newest, evicting the oldest ones. "An attempt to add an entry larger
    /// than the maximum size causes the table to be emptied" (4.4).
    pub fn insert(&mut self, name: &[u8], value: &[u8]) {
        if !self.fits(name.len(), value.len()) {
            self.evict_to(0);
            return;
        }
        let size = name.len() + value.len() + FIELD_OVERHEAD;
        self.evict_to(self.max_size - size);
        if self.arena.len() + name.len() + value.len() > 2 * self.max_size {
            self.compact();
        }
        self.entries.push_front(Entry {
            start: self.arena_start + self.arena.len() as u64,
            // Both fit: `fits` compared them with a 32-bit setting.
            name_len: name.len() as u32,
            value_len: value.len() as u32,
        });
        self.arena.extend_from_slice(name);
        self.arena.extend_from_slice(value);
        self.size += size;
    }

    /// The newest index (from 0) of the field, or else of its name.
    pub fn find(&self, name: &[u8], value: &[u8]) -> Found {
        // The field first, since that is what a search is for nearly always.
        let is_field = |entry: &Entry| {
            entry.value_len as usize == value.len()
                && entry.name_len as usize == name.len()
                && self.strings(entry) == Some((name, value))
        };
        match self.entries.iter().position(is_field) {
            Some(index) => Found::Field(index),
            None => self.find_name(name).map_or(Found::Nothing, Found::Name),
        }
    }

    /// The newest index (from 0) of the name.
    pub fn find_name(&self, name: &[u8]) -> Option<usize> {
        self.entries.iter().position(|entry| {
            entry.name_len as usize == name.len()
                && self.strings(entry).is_some_and(|(known, _)| known == name)
        })
    }

    fn strings(&self, entry: &Entry) -> Option<(&[u8], &[u8])> {
        let start = (entry.start - self.arena_start) as usize;
        let (name, rest) = self
            .arena
            .get(start..)?
            .split_at_checked(entry.name_len as usize)?;
        Some((name, rest.get(..entry.value_len as usize)?))
    }

    fn evict_to(&mut self, size: usize) {
        while self.size > size {
            let Some(entry) = self.entries.pop_back() else {
                break;
            };
            self.size -= entry.name_len as usize + entry.value_len as usize + FIELD_OVERHEAD;
        }
        if self.entries.is_empty() {
            self.arena_start += self.arena.len() as u64;
            self.arena.clear();
        }
    }

    fn compact(&mut self) {
        let arena_end = self.arena_start + self.arena.len() as u64;
        let live = self.entries.back().map_or(arena_end, |oldest| oldest.start);
        self.arena.drain(..(live - self.arena_start) as usize);
        self.arena_start = live;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let mut table = DynamicTable::new(100);
        table.insert(b"a", b"1");
        table.insert(b"b", b"2");
        assert_eq!((table.len(), table.size()), (2, 68));
        table.insert(b"c", b"3");
        assert_eq!((table.len(), table.size()), (2, 68));
        assert_eq!(table.get(0), Some((&b"c"[..], &b"3"[..])));
        assert_eq!(table.get(1), Some((&b"b"[..], &b"2"[..])));
        assert_eq!(table.get(2), None);
        table.set_max_size(34);
        assert_eq!((table.len(), table.find(b"c", b"3")), (1, Found::Field(0)));
        table.set_max_size(0);
        assert_eq!((table.len(), table.size()), (0, 0));
    }

    #[test]
    fn a_field_larger_than_the_table_empties_it() {
        let mut table = DynamicTable::new(40);
        table.insert(b"a", b"1");
        table.insert(b"name", b"value");
        assert_eq!(table.len(), 0);
        assert!(!table.fits(4, 5));
    }

    #[test]
    fn the_arena_stays_below_twice_the_size() {
        let mut table = DynamicTable::new(200);
        for number in 0..1_000_u32 {
            let value = number.to_string().repeat(1 + number as usize % 20);
            table.insert(b"name", value.as_bytes());
            assert_eq!(table.get(0), Some((&b"name"[..], value.as_bytes())));
            assert!(table.arena.len() <= 400);
            assert!(table.size() <= 200);
        }
    }

    #[test]
    fn find_prefers_the_field_then_the_newest_name() {
        let mut table = DynamicTable::new(1_000);
        for value in ["1", "2", "3"] {
            table.insert(b"a", value.as_bytes());
        }
        assert_eq!(table.find(b"a", b"1"), Found::Field(2));
        assert_eq!(table.find(b"a", b"9"), Found::Name(0));
        assert_eq!(table.find(b"b", b"1"), Found::Nothing);
        assert_eq!(table.find_name(b"a"), Some(0));
        assert_eq!(table.find_name(b"b"), None);
    }
}
