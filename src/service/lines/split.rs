//! Bytes as they come, and the lines in them.
//!
//! ```text
//!   buffer:  lines that were handed on ┊ lines ┊ the beginning of one
//!                                      from    scanned
//! ```

use core::mem;
use core::ops::Range;

use crate::api::Problem;

/// Longest line, in bytes, without what ends it. **Ours**: a push to a token with the largest
/// payload takes 6 KiB, one to 300 tokens 21.
pub const LINE_MAX_BYTES: usize = 64 * 1024;

/// What editors on Windows begin a text with.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A line that is not blank.
#[derive(Debug)]
pub struct Line<'a> {
    /// Its number, from 1, blank ones counted.
    pub number: u64,
    /// Without what ends it; or why it cannot be looked at.
    pub content: Result<&'a [u8], Problem>,
}

/// The same by its place in the buffer.
pub struct Place {
    number: u64,
    content: Result<Range<usize>, LineFault>,
}

#[derive(Clone, Copy)]
enum LineFault {
    TooLong,
    /// The body broke off in it.
    Cut,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It goes on.
    None,
    /// It is whole: what follows the last line end is a line.
    Whole,
    /// It broke off: what follows the last line end may not be all of it.
    Broken,
}

/// See the module.
#[derive(Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    from: usize,
    /// Up to here there is no end of a line.
    scanned: usize,
    /// Lines so far.
    count: u64,
    /// The line that has begun is too long.
    is_skipping: bool,
}

impl Splitter {
    /// Where bytes are to be appended. What was handed on is gone then.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.from);
        self.scanned -= self.from;
        self.from = 0;
        &mut self.buffer
    }

    /// The next lines, so many at most, and the bytes that they have.
    pub fn take(&mut self, most: usize, ending: Ending) -> Vec<Place> {
        let mut places = Vec::new();
        while places.len() < most {
            let Some(place) = self.next(ending) else {
                break;
            };
            places.push(place);
        }
        places
    }

    /// A line by its place, until more is read.
    pub fn line(&self, place: Place) -> Line<'_> {
        let content = match place.content {
            Ok(range) => Ok(self.buffer.get(range).unwrap_or_default()),
            Err(LineFault::TooLong) => {
                let expected = format!("at most {LINE_MAX_BYTES} bytes");
                Err(Problem::field("line-too-long", "body", expected, "more"))
            }
            Err(LineFault::Cut) => {
                let expected = "a whole line";
                let got = "the beginning of one, where the body broke off";
                Err(Problem::field("line-cut", "body", expected, got))
            }
        };
        Line {
            number: place.number,
            content,
        }
    }

    fn next(&mut self, ending: Ending) -> Option<Place> {
        loop {
            let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
            let content = match unseen.iter().position(|byte| *byte == b'\n') {
                Some(length) => {
                    let end = self.scanned + length;
                    self.finish(end, end + 1)
                }
                None => {
                    let end = self.buffer.len();
                    self.scanned = end;
                    if end - self.from > LINE_MAX_BYTES + 1 {
                        self.is_skipping = true;
                        self.from = end;
                    }
                    let is_begun = self.is_skipping || end > self.from;
                    if ending == Ending::None || !is_begun {
                        return None;
                    }
                    let content = self.finish(end, end);
                    let is_cut = ending == Ending::Broken && content.is_some();
                    if is_cut {
                        Some(Err(LineFault::Cut))
                    } else {
                        content
                    }
                }
            };
            if let Some(content) = content {
                let number = self.count;
                return Some(Place { number, content });
            }
        }
    }

    /// A line ends here, and the next one begins there; nothing if it is blank.
    fn finish(&mut self, end: usize, next: usize) -> Option<Result<Range<usize>, LineFault>> {
        let mut start = mem::replace(&mut self.from, next);
        self.scanned = next;
        self.count += 1;
        if mem::take(&mut self.is_skipping) {
            return Some(Err(LineFault::TooLong));
        }
        let mut line = self.buffer.get(start..end).unwrap_or_default();
        if let (1, Some(rest)) = (self.count, line.strip_prefix(MARK)) {
            start += MARK.len();
            line = rest;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > LINE_MAX_BYTES {
            return Some(Err(LineFault::TooLong));
        }
        let is_blank = line.trim_ascii_start().is_empty();
        (!is_blank).then(|| Ok(start..start + line.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a text that comes in pieces.
    fn lines(pieces: &[&[u8]], ending: Ending) -> Vec<(u64, String)> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            splitter.buffer().extend_from_slice(piece);
            let is_last = at + 1 == pieces.len();
            let ending = if is_last { ending } else { Ending::None };
            loop {
                let places = splitter.take(2, ending);
                if places.is_empty() {
                    break;
                }
                for place in places {
                    let line = splitter.line(place);
                    let content = line.content.map_or_else(
                        |problem| problem.rule().to_owned(),
                        |bytes| String::from_utf8_lossy(bytes).into_owned(),
                    );
                    lines.push((line.number, content));
                }
            }
        }
        lines
    }

    fn own(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
        let own = lines
            .iter()
            .map(|(number, text)| (*number, (*text).to_owned()));
        own.collect()
    }

    #[test]
    fn lines_are_the_same_wherever_the_bytes_are_split() {
        let text = b"\xef\xbb\xbfa\r\n\n  \r\nbc\n\xef\xbb\xbf\nd";
        let expected = own(&[(1, "a"), (4, "bc"), (5, "\u{feff}"), (6, "d")]);
        for at in 0..=text.len() {
            let (one, other) = text.split_at(at);
            assert_eq!(lines(&[one, other], Ending::Whole), expected, "{at}");
        }
        let bytes: Vec<_> = text.chunks(1).collect();
        assert_eq!(lines(&bytes, Ending::Whole), expected);
    }

    #[test]
    fn a_last_line_needs_no_end_unless_the_body_broke_off() {
        for (text, ending, expected) in [
            ("a\nb", Ending::Whole, &[(1, "a"), (2, "b")][..]),
            ("a\nb\n", Ending::Whole, &[(1, "a"), (2, "b")]),
            ("a\nb", Ending::Broken, &[(1, "a"), (2, "line-cut")]),
            ("a\nb\n", Ending::Broken, &[(1, "a"), (2, "b")]),
            ("a\n ", Ending::Broken, &[(1, "a")]),
            ("a\nb", Ending::None, &[(1, "a")]),
            ("", Ending::Whole, &[]),
            ("\n\n", Ending::Whole, &[]),
        ] {
            assert_eq!(lines(&[text.as_bytes()], ending), own(expected), "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end_and_never_held() {
        let most = "x".repeat(LINE_MAX_BYTES);
        for end in ["\n", "\r\n"] {
            let text = format!("{most}{end}y\n");
            let read = lines(&[text.as_bytes()], Ending::Whole);
            assert_eq!(read, own(&[(1, &most), (2, "y")]), "the longest");
            let text = format!("{most}x{end}y\n");
            let read = lines(&[text.as_bytes()], Ending::Whole);
            assert_eq!(read, own(&[(1, "line-too-long"), (2, "y")]));
        }
        let mut splitter = Splitter::default();
        let piece = vec![b'x'; 10_000];
        for _ in 0..1_000 {
            splitter.buffer().extend_from_slice(&piece);
            assert!(splitter.take(9, Ending::None).is_empty());
            assert!(splitter.buffer().len() <= LINE_MAX_BYTES + piece.len());
        }
        splitter.buffer().extend_from_slice(b"\nz");
        let places = splitter.take(9, Ending::Whole);
        let numbers = places
            .iter()
            .map(|place| (place.number, place.content.is_ok()));
        assert_eq!(numbers.collect::<Vec<_>>(), [(1, false), (2, true)]);
    }
}
