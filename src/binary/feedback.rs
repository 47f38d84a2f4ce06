//! Bytes from the feedback service turned into dead tokens.
//!
//! Source: Apple, *Binary Provider API*, "The Feedback Service" and table A-5. The service sends
//! tuples until it closes; nothing is written to it. It then forgets them, so they are stored
//! before the connection is dropped.
//!
//! ```text
//! ┌──────────────────────┬──────────────┬──────────────────┐
//! │ seconds since 1970: 4│ length n: 2  │ token: n bytes   │
//! └──────────────────────┴──────────────┴──────────────────┘
//! ```
//!
//! Time and length are unsigned; the length counts bytes and is honoured whatever it says. A token
//! of 0 bytes or of more than 100 is reported as invalid, once its last byte is there, and what
//! follows is read on.
//!
//! Tuples whole within the input are borrowed from it; only one that is cut is copied. Holds at
//! most 212 bytes, whatever lengths are announced: a token over 100 bytes is counted, not kept.

use super::limits::{FEEDBACK_HEAD_BYTES, TOKEN_MAX_BYTES};
use crate::notification::{DeviceToken, InvalidNotification};
use crate::time::UnixTime;
use core::fmt;

const HELD_MAX: usize = FEEDBACK_HEAD_BYTES + TOKEN_MAX_BYTES;

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedbackEntry<'a> {
    /// A dead token.
    Tuple(Tuple<'a>),
    /// A length that no token has: 0, or over 100.
    Invalid {
        /// The time that came with it.
        since: UnixTime,
        /// In bytes.
        length: u16,
    },
}

/// A token of 1 to 100 bytes and since when it has been dead. Prints the length only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tuple<'a> {
    secs: u32,
    token: &'a [u8],
}

impl<'a> Tuple<'a> {
    /// When APNs found that the app is gone from the device; whole seconds.
    pub fn since(self) -> UnixTime {
        UnixTime::from_secs(u64::from(self.secs))
    }

    /// The token's bytes, 1 to 100 of them.
    pub const fn token_bytes(self) -> &'a [u8] {
        self.token
    }

    /// The token, copied.
    ///
    /// # Errors
    /// Never for a tuple that [`Feedback`] gave out.
    pub fn token(self) -> Result<DeviceToken, InvalidNotification> {
        DeviceToken::from_bytes(self.token)
    }
}

impl fmt::Debug for Tuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.token.len();
        write!(f, "Tuple({length} bytes, since {})", self.since())
    }
}

/// Decoder of one connection to the feedback service.
#[derive(Clone, Default)]
pub struct Feedback {
    /// The tuple that the last input completed; what [`Self::decode`] lends out.
    done: Held,
    /// The beginning of the next.
    partial: Held,
}

impl Feedback {
    /// At the beginning of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in all of `input` and lists the tuples that are whole with it. What is left over is
    /// kept, so the list need not be walked to its end.
    pub fn decode<'a>(&'a mut self, mut input: &'a [u8]) -> Entries<'a> {
        let mut completed = false;
        if self.partial.length > 0 && self.partial.fill(&mut input) {
            core::mem::swap(&mut self.done, &mut self.partial);
            self.partial = Held::default();
            completed = true;
        }
        let (whole, mut tail) = split_whole(input);
        self.partial.fill(&mut tail);
        let first = if completed { self.done.entry() } else { None };
        Entries { first, whole }
    }

    /// Says that the stream has ended.
    ///
    /// # Errors
    /// [`Truncated`], if it ended inside a tuple. Those given out before are good nevertheless.
    pub fn finish(self) -> Result<(), Truncated> {
        let partial = &self.partial;
        if partial.length == 0 {
            return Ok(());
        }
        Err(Truncated {
            got: partial.length + partial.skipped,
            expected: partial.token_length().map(|n| FEEDBACK_HEAD_BYTES + n),
        })
    }
}

impl fmt::Debug for Feedback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feedback({} bytes held)", self.partial.length)
    }
}

/// The beginning of a tuple, or a whole one.
#[derive(Clone)]
struct Held {
    bytes: [u8; HELD_MAX],
    length: usize,
    /// Bytes of a token over 100 that came and were not kept; `length` is 6 then.
    skipped: usize,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            bytes: [0; HELD_MAX],
            length: 0,
            skipped: 0,
        }
    }
}

impl Held {
    /// Takes bytes off the front of `input`; true once the tuple is whole.
    fn fill(&mut self, input: &mut &[u8]) -> bool {
        self.copy_up_to(FEEDBACK_HEAD_BYTES, input);
        let Some(length) = self.token_length() else {
            return false;
        };
        if length > TOKEN_MAX_BYTES {
            let count = input.len().min(length - self.skipped);
            *input = input.get(count..).unwrap_or_default();
            self.skipped += count;
            return self.skipped == length;
        }
        self.copy_up_to(FEEDBACK_HEAD_BYTES + length, input);
        self.length == FEEDBACK_HEAD_BYTES + length
    }

    fn copy_up_to(&mut self, length: usize, input: &mut &[u8]) {
        let count = length.saturating_sub(self.length).min(input.len());
        let place = self.bytes.get_mut(self.length..self.length + count);
        if let (Some(place), Some((taken, rest))) = (place, input.split_at_checked(count)) {
            place.copy_from_slice(taken);
            self.length += count;
            *input = rest;
        }
    }

    /// What the head says, once it is there.
    fn token_length(&self) -> Option<usize> {
        let held = self.bytes.get(..self.length)?;
        read_head(held).map(|(_, length, _)| usize::from(length))
    }

    fn entry(&self) -> Option<FeedbackEntry<'_>> {
        let (secs, length, token) = read_head(self.bytes.get(..self.length)?)?;
        Some(entry(secs, length, token))
    }
}

/// The tuples of one input. Allocates nothing.
#[derive(Clone)]
pub struct Entries<'a> {
    first: Option<FeedbackEntry<'a>>,
    whole: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = FeedbackEntry<'a>;

    fn next(&mut self) -> Option<FeedbackEntry<'a>> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let (secs, length, rest) = read_head(self.whole)?;
        let (token, rest) = rest.split_at_checked(usize::from(length))?;
        self.whole = rest;
        Some(entry(secs, length, token))
    }
}

impl core::iter::FusedIterator for Entries<'_> {}

impl fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, whole } = self;
        write!(f, "Entries({first:?}, then {} bytes)", whole.len())
    }
}

fn entry(secs: u32, length: u16, token: &[u8]) -> FeedbackEntry<'_> {
    if (1..=TOKEN_MAX_BYTES).contains(&usize::from(length)) {
        return FeedbackEntry::Tuple(Tuple { secs, token });
    }
    let since = UnixTime::from_secs(u64::from(secs));
    FeedbackEntry::Invalid { since, length }
}

/// Time, length of the token, and what follows; `None` if they are not all there.
fn read_head(bytes: &[u8]) -> Option<(u32, u16, &[u8])> {
    let (secs, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*secs), u16::from_be_bytes(*length), rest))
}

/// The whole tuples at the front, and the beginning of another behind them.
fn split_whole(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut tail = bytes;
    while let Some((_, length, rest)) = read_head(tail)
        && let Some(rest) = rest.get(usize::from(length)..)
    {
        tail = rest;
    }
    bytes
        .split_at_checked(bytes.len() - tail.len())
        .unwrap_or((&[], bytes))
}

/// The stream ended inside a tuple, which is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// How many bytes of it came.
    pub got: usize,
    /// How many it has; `None` if the stream ended before its length.
    pub expected: Option<usize>,
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let got = self.got;
        match self.expected {
            Some(expected) => write!(f, "feedback tuple: expected {expected} bytes, got {got}"),
            None => write!(
                f,
                "feedback tuple: expected its time and length, got {got} bytes"
            ),
        }
    }
}

impl core::error::Error for Truncated {}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an entry says: time, length, and the token if it is valid.
    type Said = (u64, usize, Vec<u8>);

    fn said(entry: FeedbackEntry<'_>) -> Said {
        match entry {
            FeedbackEntry::Tuple(tuple) => {
                assert_eq!(tuple.token().unwrap().as_bytes(), tuple.token_bytes());
                let token = tuple.token_bytes();
                (tuple.since().as_secs(), token.len(), token.to_vec())
            }
            FeedbackEntry::Invalid { since, length } => {
                (since.as_secs(), length.into(), Vec::new())
            }
        }
    }

    fn all(chunks: &[&[u8]]) -> (Vec<Said>, Result<(), Truncated>) {
        let (mut feedback, mut got) = (Feedback::new(), Vec::new());
        for chunk in chunks {
            got.extend(feedback.decode(chunk).map(said));
        }
        (got, feedback.finish())
    }

    fn write(secs: u32, length: usize, out: &mut Vec<u8>) {
        out.extend(secs.to_be_bytes());
        out.extend(u16::try_from(length).unwrap().to_be_bytes());
        out.extend((0..length).map(|i| (i % 251) as u8 ^ length as u8));
    }

    /// Tokens of each sort, the ends of the offsets where they end, and what they say.
    fn stream() -> (Vec<u8>, Vec<usize>, Vec<Said>) {
        let (mut bytes, mut ends, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (secs, length) in [(0, 3), (9, 0), (u32::MAX, 32), (7, 101), (7, 100), (8, 1)] {
            let start = bytes.len();
            write(secs, length, &mut bytes);
            let valid = (1..=100).contains(&length);
            let token = if valid {
                bytes[start + 6..].to_vec()
            } else {
                Vec::new()
            };
            expected.push((u64::from(secs), length, token));
            ends.push(bytes.len());
        }
        (bytes, ends, expected)
    }

    #[test]
    fn every_split_in_three_gives_the_same() {
        let (bytes, _, expected) = stream();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(all(&chunks), (expected.clone(), Ok(())));
            }
        }
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(all(&single), (expected, Ok(())));
    }

    #[test]
    fn a_prefix_gives_the_whole_ones_and_the_end_reports_the_rest() {
        let (bytes, ends, expected) = stream();
        for end in 0..=bytes.len() {
            let count = ends.iter().filter(|e| **e <= end).count();
            let start = count.checked_sub(1).map_or(0, |last| ends[last]);
            for chunk in [1, 7, 1_000] {
                let chunks: Vec<_> = bytes[..end].chunks(chunk).collect();
                let (got, finish) = all(&chunks);
                assert_eq!(got, expected[..count]);
                let tail = end - start;
                let whole = ends.get(count).map(|e| e - start).filter(|_| tail >= 6);
                let cut = Truncated {
                    got: tail,
                    expected: whole,
                };
                assert_eq!(finish, if tail == 0 { Ok(()) } else { Err(cut) });
            }
        }
    }

    #[test]
    fn the_longest_length_is_skipped_and_not_kept() {
        let mut bytes = Vec::new();
        write(5, 65_535, &mut bytes);
        write(6, 32, &mut bytes);
        for chunk in [1, 1_000, 100_000] {
            let chunks: Vec<_> = bytes.chunks(chunk).collect();
            let (got, finish) = all(&chunks);
            assert_eq!((got[0].0, got[0].1, got[1].0), (5, 65_535, 6));
            assert_eq!((got.len(), finish), (2, Ok(())));
        }
        assert!(size_of::<Feedback>() < 300);
    }

    #[test]
    fn a_list_not_walked_to_its_end_loses_no_framing() {
        let (bytes, _, expected) = stream();
        let mut feedback = Feedback::new();
        let _ = feedback.decode(&bytes[..20]).next();
        let got: Vec<_> = feedback.decode(&bytes[20..]).map(said).collect();
        assert_eq!(got, expected[2..]);
    }

    #[test]
    fn printing_does_not_reveal_a_token() {
        let mut feedback = Feedback::new();
        let text = format!("{:?}", feedback.decode(b"\0\0\0\x07\0\x03abc").next());
        assert_eq!(text, "Some(Tuple(Tuple(3 bytes, since 7.000)))");
        let text = format!("{:?}", feedback.decode(b"\0\0\0\x07\0\x03abc"));
        assert_eq!(text, "Entries(None, then 9 bytes)");
    }
}
