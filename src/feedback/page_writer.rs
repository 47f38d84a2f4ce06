//! Bytes of the feedback service turned into pages to store, and a page back into tuples.
//!
//! Holds the beginning of one page and of one tuple, and the pages that the caller has not taken:
//! as many as one input fills, so take them after each.

use std::collections::VecDeque;

use crate::binary::{Feedback, FeedbackEntry, Truncated};
use crate::notification::DeviceToken;
use crate::time::UnixTime;

/// Largest page, in bytes. Stores take a megabyte and more; this is what a crash makes do again.
pub const PAGE_BYTES: usize = 64 * 1024;

/// Most tuples of a page. They can be of seven bytes, and what is applied together is held in
/// memory as devices. **Ours**: a full page of tuples of 32 bytes has fewer.
pub const PAGE_TUPLES: u32 = 2_000;

/// A page and where it is to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Page {
    /// Of the store.
    pub key: String,
    /// Whole tuples.
    pub bytes: Vec<u8>,
}

/// Without the tuples.
impl core::fmt::Debug for Page {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Page({} bytes)", self.bytes.len())
    }
}

/// One connection to the feedback service.
#[derive(Debug)]
pub struct PageWriter {
    decoder: Feedback,
    /// `f/<app>/<run>/`
    prefix: String,
    next: u32,
    filling: Vec<u8>,
    /// How many are in it.
    in_filling: u32,
    full: VecDeque<Page>,
    tuples: u64,
    invalid: u64,
}

impl PageWriter {
    /// For a run of the app whose record stands under `poll_key`.
    pub fn new(poll_key: &str, run: u64) -> Self {
        Self {
            decoder: Feedback::new(),
            prefix: format!("{poll_key}/{run}/"),
            next: 0,
            filling: Vec::new(),
            in_filling: 0,
            full: VecDeque::new(),
            tuples: 0,
            invalid: 0,
        }
    }

    /// Takes in what came.
    pub fn decode(&mut self, bytes: &[u8]) {
        for entry in self.decoder.decode(bytes) {
            let FeedbackEntry::Tuple(tuple) = entry else {
                self.invalid += 1;
                continue;
            };
            self.tuples += 1;
            let token = tuple.token_bytes();
            let is_full = self.filling.len() + 6 + token.len() > PAGE_BYTES;
            if is_full || self.in_filling >= PAGE_TUPLES {
                let page = core::mem::take(&mut self.filling);
                self.in_filling = 0;
                self.full
                    .push_back(page_of(&self.prefix, &mut self.next, page));
            }
            // What was decoded out of 4 and 2 bytes fits into them.
            let secs = u32::try_from(tuple.since().as_secs()).unwrap_or(u32::MAX);
            let length = u16::try_from(token.len()).unwrap_or(u16::MAX);
            self.filling.extend_from_slice(&secs.to_be_bytes());
            self.filling.extend_from_slice(&length.to_be_bytes());
            self.filling.extend_from_slice(token);
            self.in_filling += 1;
        }
    }

    /// A page that is full, to be stored before the next.
    pub fn next_page(&mut self) -> Option<Page> {
        self.full.pop_front()
    }

    /// Tuples so far, without the invalid ones.
    pub fn tuples(&self) -> u64 {
        self.tuples
    }

    /// Entries that have no token of 1 to 100 bytes.
    pub fn invalid(&self) -> u64 {
        self.invalid
    }

    /// The stream has ended: the page that was being filled, after those of
    /// [`next_page`](Self::next_page), and whether a tuple was cut off.
    pub fn finish(mut self) -> (Option<Page>, Result<(), Truncated>) {
        let last =
            (!self.filling.is_empty()).then(|| page_of(&self.prefix, &mut self.next, self.filling));
        (last, self.decoder.finish())
    }
}

fn page_of(prefix: &str, next: &mut u32, bytes: Vec<u8>) -> Page {
    let key = format!("{prefix}{next}");
    *next = next.wrapping_add(1);
    Page { key, bytes }
}

/// The key of a page.
pub fn page_key(poll_key: &str, run: u64, page: u32) -> String {
    format!("{poll_key}/{run}/{page}")
}

/// The dead tokens of a page, in order, each with since when.
pub fn tuples(page: &[u8]) -> Vec<(DeviceToken, UnixTime)> {
    let mut decoder = Feedback::new();
    let known = decoder.decode(page).filter_map(|entry| match entry {
        FeedbackEntry::Tuple(tuple) => Some((tuple.token().ok()?, tuple.since())),
        FeedbackEntry::Invalid { .. } => None,
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` tuples of 32 bytes, with their number in time and token.
    fn stream(count: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for n in 0..count {
            bytes.extend(n.to_be_bytes());
            bytes.extend([0, 32]);
            bytes.extend(n.to_be_bytes());
            bytes.extend([7; 28]);
        }
        bytes
    }

    fn pages(bytes: &[u8], chunk: usize) -> (Vec<Page>, Result<(), Truncated>) {
        let (mut writer, mut pages) = (PageWriter::new("f/x", 5), Vec::new());
        for chunk in bytes.chunks(chunk) {
            writer.decode(chunk);
            pages.extend(core::iter::from_fn(|| writer.next_page()));
        }
        let (last, end) = writer.finish();
        pages.extend(last);
        (pages, end)
    }

    #[test]
    fn every_tuple_is_on_one_page_and_no_page_is_too_large() {
        let bytes = stream(5_000);
        for chunk in [1, 37, 1_000, 65_536, bytes.len()] {
            let (pages, end) = pages(&bytes, chunk);
            assert_eq!(end, Ok(()));
            let mut seen = 0;
            for (number, page) in (0..).zip(&pages) {
                assert_eq!(page.key, page_key("f/x", 5, number));
                assert!(page.bytes.len() <= PAGE_BYTES);
                for (token, since) in tuples(&page.bytes) {
                    assert_eq!(since.as_secs(), seen);
                    assert_eq!(token.as_bytes().len(), 32);
                    seen += 1;
                }
            }
            assert_eq!((seen, pages.len()), (5_000, 3));
        }
    }

    #[test]
    fn short_tuples_do_not_crowd_a_page() {
        let bytes = [0, 0, 0, 1, 0, 1, 7].repeat(5_000);
        let (pages, _) = pages(&bytes, 1_000);
        let counts: Vec<_> = pages.iter().map(|page| tuples(&page.bytes).len()).collect();
        assert_eq!(counts, [2_000, 2_000, 1_000]);
    }

    #[test]
    fn a_cut_tuple_is_reported_and_the_whole_ones_are_kept() {
        let bytes = stream(3);
        let (pages, end) = pages(&bytes[..bytes.len() - 1], 10);
        assert_eq!(pages[0].bytes, &bytes[..2 * 38]);
        assert_eq!(end.unwrap_err().got, 37);
        assert_eq!(format!("{pages:?}"), "[Page(76 bytes)]");
    }

    #[test]
    fn nothing_makes_no_page() {
        assert_eq!(pages(b"", 1), (Vec::new(), Ok(())));
        let mut writer = PageWriter::new("f/x", 0);
        writer.decode(&[0, 0, 0, 1, 0, 0]);
        assert_eq!((writer.tuples(), writer.invalid()), (0, 1));
        assert_eq!(writer.finish().0, None);
    }
}
