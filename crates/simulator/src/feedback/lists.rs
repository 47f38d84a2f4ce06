//! Keeps one list of dead tokens for each topic, as the bytes in which they are sent.
//!
//! Source: `docs/protocols.md`, section 2 (the tuple; a list for each topic; cleared after it is
//! read).
//!
//! ```text
//! tuple   | seconds since 1970 u32 BE | token length u16 BE | token |
//!
//! list    [ segment ][ segment ][ open segment: tuples are added here ]
//!           first     first + 1
//! begin   the open segment is closed; the connection gets the segments there are, which it shares
//! finish  the segments the connection got are dropped, unless they are gone already
//! ```
//!
//! Invariant: a tuple that is added while a connection reads is not in what it reads, and stays.
//! Limits: [`MAX_FEEDBACK_BYTES`] in all lists, [`MAX_FEEDBACK_TOPICS`]; what is more is refused
//! with an error. The connection of one topic too many finds an empty list and is not counted.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;

/// Every list, by topic.
#[derive(Default)]
pub(crate) struct Lists {
    topics: BTreeMap<String, List>,
    /// In all segments.
    bytes: usize,
}

#[derive(Default)]
struct List {
    closed: VecDeque<Segment<Bytes>>,
    /// The number of the first closed segment; the next has the next number.
    first: u64,
    open: Segment<BytesMut>,
    counts: FeedbackStats,
}

#[derive(Default)]
struct Segment<B> {
    bytes: B,
    tuples: usize,
}

/// What one connection is to send.
pub(super) struct Reading {
    pub(super) topic: String,
    pub(super) segments: Vec<Bytes>,
    /// The number of the segment after the last of them.
    end: u64,
}

/// One topic's list, and who has read it since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FeedbackStats {
    /// Tuples in the list.
    pub pending: usize,
    /// Connections that were given the list to read, empty or not.
    pub reads: u64,
    /// Of them, those that ended in good order, so that what they read was cleared.
    pub completed: u64,
    /// Connections reading now.
    pub open: u64,
    /// The most that were reading at the same time.
    pub most_open: u64,
}

/// Why a tuple cannot be added.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedbackError {
    /// The token is longer than its length can say.
    Token {
        /// How many bytes it has.
        length: usize,
    },
    /// The lists have [`MAX_FEEDBACK_BYTES`] already.
    Full,
    /// There are lists of [`MAX_FEEDBACK_TOPICS`] topics already.
    Topics,
}

impl fmt::Display for FeedbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { length } => {
                let most = u16::MAX;
                write!(f, "expected a token of at most {most} bytes, got {length}")
            }
            Self::Full => write!(
                f,
                "expected feedback of at most {MAX_FEEDBACK_BYTES} bytes, got more"
            ),
            Self::Topics => write!(
                f,
                "expected feedback for at most {MAX_FEEDBACK_TOPICS} topics, got one more"
            ),
        }
    }
}

impl std::error::Error for FeedbackError {}

impl Lists {
    /// Adds a tuple at the end of the topic's list.
    pub(crate) fn add(
        &mut self,
        topic: &str,
        token: &[u8],
        since_s: u32,
    ) -> Result<(), FeedbackError> {
        let length = u16::try_from(token.len()).map_err(|_| FeedbackError::Token {
            length: token.len(),
        })?;
        let size = TUPLE_HEADER + token.len();
        if self.bytes + size > MAX_FEEDBACK_BYTES {
            return Err(FeedbackError::Full);
        }
        let list = self.list(topic).ok_or(FeedbackError::Topics)?;
        list.open.bytes.put_u32(since_s);
        list.open.bytes.put_u16(length);
        list.open.bytes.put_slice(token);
        list.open.tuples += 1;
        list.counts.pending += 1;
        self.bytes += size;
        Ok(())
    }

    /// What a connection that just came for the topic is to send. [`finish`](Self::finish) has to
    /// follow.
    pub(super) fn begin(&mut self, topic: String) -> Reading {
        let Some(list) = self.list(&topic) else {
            return Reading {
                topic,
                segments: Vec::new(),
                end: 0,
            };
        };
        if list.open.tuples > 0 {
            let Segment { bytes, tuples } = std::mem::take(&mut list.open);
            list.closed.push_back(Segment {
                bytes: bytes.freeze(),
                tuples,
            });
        }
        list.counts.reads += 1;
        list.counts.open += 1;
        list.counts.most_open = list.counts.most_open.max(list.counts.open);
        let segments: Vec<Bytes> = list
            .closed
            .iter()
            .map(|segment| segment.bytes.clone())
            .collect();
        let end = list.first + u64::try_from(segments.len()).unwrap_or(u64::MAX);
        Reading {
            topic,
            segments,
            end,
        }
    }

    /// Ends what `begin` began, and clears what was read if the client has certainly got it.
    pub(super) fn finish(&mut self, reading: &Reading, is_read: bool) {
        let Some(list) = self.topics.get_mut(&reading.topic) else {
            return;
        };
        list.counts.open = list.counts.open.saturating_sub(1);
        if !is_read {
            return;
        }
        list.counts.completed += 1;
        while list.first < reading.end
            && let Some(segment) = list.closed.pop_front()
        {
            list.first += 1;
            list.counts.pending -= segment.tuples;
            self.bytes -= segment.bytes.len();
        }
    }

    /// Forgets every tuple; the counts of connections go on.
    pub(crate) fn clear(&mut self) {
        for list in self.topics.values_mut() {
            list.first += u64::try_from(list.closed.len()).unwrap_or(u64::MAX);
            list.closed.clear();
            list.open = Segment::default();
            list.counts.pending = 0;
        }
        self.bytes = 0;
    }

    /// One topic's list; all zero for a topic nobody has named yet.
    pub(crate) fn stats(&self, topic: &str) -> FeedbackStats {
        self.topics
            .get(topic)
            .map(|list| list.counts)
            .unwrap_or_default()
    }

    /// All of them, by topic.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, FeedbackStats)> {
        self.topics
            .iter()
            .map(|(topic, list)| (topic.as_str(), list.counts))
    }

    fn list(&mut self, topic: &str) -> Option<&mut List> {
        if !self.topics.contains_key(topic) {
            if self.topics.len() >= MAX_FEEDBACK_TOPICS {
                return None;
            }
            self.topics.insert(topic.to_owned(), List::default());
        }
        self.topics.get_mut(topic)
    }
}

/// Bytes of all feedback lists together: more than three million tuples with tokens of 32 bytes.
pub const MAX_FEEDBACK_BYTES: usize = 128 << 20;

/// Topics that have a feedback list at most.
pub const MAX_FEEDBACK_TOPICS: usize = 1000;

/// The time and the length.
const TUPLE_HEADER: usize = 4 + 2;

#[cfg(test)]
mod tests;
