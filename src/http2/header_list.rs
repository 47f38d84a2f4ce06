//! A list of header fields in one buffer, as it comes out of decompression.
//!
//! Source: RFC 9113, 8.2 (what names and values are).
//!
//! ```text
//! 0                4                8
//! +----------------+----------------+--------+---------+--
//! | length of name | of value       | name   | value   |  next field ...
//! +----------------+----------------+--------+---------+--
//!   u32 BE           u32 BE
//! ```
//!
//! A response has few and short fields, so one allocation for all of them is most of what decoding
//! it costs. Bounded by [`Config::max_header_list_size`](super::Config::max_header_list_size): the
//! eight octets in front of a field are fewer than the 32 it is counted with.

use core::fmt;

const LENGTHS: usize = 8;

/// What an identifier of 36 octets takes, and its name.
const SHORT: usize = 64;

/// Header fields in the order they arrived. Names are lower-case ASCII; values are octets,
/// normally ASCII. Repeated names are allowed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderList {
    bytes: Vec<u8>,
}

impl HeaderList {
    /// An empty list; allocates nothing.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// An empty list with room for a short field or two.
    pub(super) fn with_room() -> Self {
        Self {
            bytes: Vec::with_capacity(SHORT),
        }
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many fields; walks the list.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The value of the first field of this (lower-case) name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find_map(|(known, value)| (known == name.as_bytes()).then_some(value))
    }

    /// The same, if the value is UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        core::str::from_utf8(self.get(name)?).ok()
    }

    /// Name and value of each field.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.bytes }
    }

    /// Octets on the heap.
    pub(super) fn heap_len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a field.
    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) {
        let lengths = ((name.len() as u64) << 32) | value.len() as u64;
        self.bytes.extend_from_slice(&lengths.to_be_bytes());
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
    }

    /// Removes all fields, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The fields after the first `count`, copied.
    pub(super) fn after(&self, count: usize) -> Self {
        let mut iter = self.iter();
        for _ in 0..count {
            iter.next();
        }
        Self {
            bytes: iter.rest.to_vec(),
        }
    }

    /// Begins a field whose name and value are appended to [`tail`](Self::tail), with
    /// [`end_name`](Self::end_name) between them and [`close`](Self::close) after them.
    pub(super) fn open(&mut self) -> Mark {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTHS]);
        Mark { start }
    }

    /// Where the octets of an open field go.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What was appended since [`open`](Self::open) is the name.
    pub(super) fn end_name(&mut self, mark: Mark) {
        let len = self.bytes.len().saturating_sub(mark.start + LENGTHS) as u32;
        self.write_length(mark.start, len);
    }

    /// What was appended since [`end_name`](Self::end_name) is the value. Returns the field.
    pub(super) fn close(&mut self, mark: Mark) -> (&[u8], &[u8]) {
        let name_len = self
            .field_at(mark.start)
            .map_or(0, |(name_len, _)| name_len);
        let value_start = mark.start + LENGTHS + name_len;
        let value_len = self.bytes.len().saturating_sub(value_start) as u32;
        self.write_length(mark.start + 4, value_len);
        let field = self.bytes.get(mark.start + LENGTHS..).unwrap_or_default();
        field.split_at_checked(name_len).unwrap_or_default()
    }

    /// Takes an open or closed field back.
    pub(super) fn undo(&mut self, mark: Mark) {
        self.bytes.truncate(mark.start);
    }

    fn write_length(&mut self, at: usize, len: u32) {
        if let Some(place) = self.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }

    fn field_at(&self, start: usize) -> Option<(usize, usize)> {
        lengths(self.bytes.get(start..)?).map(|(name, value, _)| (name, value))
    }
}

/// Where an open field begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    start: usize,
}

/// Iterates over name and value of each field.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name_len, value_len, rest) = lengths(self.rest)?;
        let (name, rest) = rest.split_at_checked(name_len)?;
        let (value, rest) = rest.split_at_checked(value_len)?;
        self.rest = rest;
        Some((name, value))
    }
}

impl<'a> IntoIterator for &'a HeaderList {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for HeaderList {
    /// Names and lengths of values: what is in them is the caller's to show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| {
                (
                    String::from_utf8_lossy(name),
                    format_args!("{} octets", value.len()).to_string(),
                )
            }))
            .finish()
    }
}

fn lengths(bytes: &[u8]) -> Option<(usize, usize, &[u8])> {
    let (&[n0, n1, n2, n3, v0, v1, v2, v3], rest) = bytes.split_first_chunk::<LENGTHS>()?;
    let name = u32::from_be_bytes([n0, n1, n2, n3]) as usize;
    let value = u32::from_be_bytes([v0, v1, v2, v3]) as usize;
    Some((name, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order() {
        let mut list = HeaderList::new();
        list.push(b"a", b"1");
        list.push(b"", b"");
        list.push(b"a", b"\xff");
        let fields: Vec<_> = list.iter().collect();
        assert_eq!(
            fields,
            [(&b"a"[..], &b"1"[..]), (b"", b""), (b"a", b"\xff")]
        );
        assert_eq!(
            (list.len(), list.get("a"), list.get("b")),
            (3, Some(&b"1"[..]), None)
        );
        assert_eq!(list.after(2).get_str("a"), None);
        assert_eq!(list.after(2).len(), 1);
        assert!(list.after(3).is_empty());
    }

    #[test]
    fn a_field_written_in_pieces_is_the_same() {
        let (mut whole, mut pieces) = (HeaderList::new(), HeaderList::new());
        whole.push(b"name", b"value");
        let mark = pieces.open();
        pieces.tail().extend_from_slice(b"name");
        pieces.end_name(mark);
        pieces.tail().extend_from_slice(b"value");
        assert_eq!(pieces.close(mark), (&b"name"[..], &b"value"[..]));
        assert_eq!(pieces, whole);
        pieces.undo(mark);
        assert!(pieces.is_empty());
    }

    #[test]
    fn values_are_not_printed() {
        let mut list = HeaderList::new();
        list.push(b"apns-id", b"secret");
        let text = format!("{list:?}");
        assert!(text.contains("apns-id") && text.contains("6 octets") && !text.contains("secret"));
    }
}
