//! A list of device tokens, one a line, as batches of what one request takes.
//!
//! ```text
//!   # devices of the beta      nothing, like a line that is blank
//!   740f4707bebcf74f…          a token
//!   "a1b2c3…",anna,2024-01-05  CSV: the first column; a first line that says token names columns
//! ```
//!
//! Bounds: a line is kept to 2 KB, more than the longest token has; a batch has 1,000 tokens, or as
//! many as are in 640 KB.

use std::io::{self, BufRead};

/// Most tokens of one request.
pub const BATCH_TOKENS: usize = 1_000;

/// Most bytes of the tokens of one request, which may be 1 MiB whole.
const BATCH_BYTES: usize = 640 * 1024;

/// Longest line that is kept, in bytes. What is longer has no token, and is told to be too long.
const LINE_BYTES: usize = 2 * 1024;

/// What a first line may say that is the head of a table.
const HEADS: [&str; 3] = ["token", "device_token", "devicetoken"];

/// Some tokens, each with the number of its line, from 1.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// What stands there, in the order of the list.
    pub tokens: Vec<String>,
    /// The line of each.
    pub lines: Vec<u64>,
}

/// A list that is being read.
#[derive(Debug)]
pub struct TokenList<R> {
    input: R,
    line: u64,
    bytes: u64,
}

impl<R: BufRead> TokenList<R> {
    /// From its beginning.
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: 0,
            bytes: 0,
        }
    }

    /// How many bytes of it were read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next tokens; `None` if there are no more.
    ///
    /// # Errors
    /// The input's.
    pub fn next_batch(&mut self) -> io::Result<Option<Batch>> {
        let (mut batch, mut bytes) = (Batch::default(), 0);
        while batch.tokens.len() < BATCH_TOKENS && bytes + LINE_BYTES <= BATCH_BYTES {
            let Some(line) = self.next_line()? else {
                break;
            };
            let Some(token) = token_of(&line, self.line == 1) else {
                continue;
            };
            bytes += token.len();
            batch.tokens.push(token);
            batch.lines.push(self.line);
        }
        Ok((!batch.tokens.is_empty()).then_some(batch))
    }

    /// A line, cut where it is too long; `None` at the end.
    fn next_line(&mut self) -> io::Result<Option<String>> {
        let mut kept = Vec::new();
        let mut any = false;
        loop {
            let some = self.input.fill_buf()?;
            if some.is_empty() {
                break;
            }
            any = true;
            let end = some.iter().position(|byte| *byte == b'\n');
            let part = some.get(..end.unwrap_or(some.len())).unwrap_or(some);
            let room = LINE_BYTES.saturating_sub(kept.len());
            kept.extend(part.iter().take(room));
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            self.bytes += used as u64;
            if end.is_some() {
                break;
            }
        }
        self.line += u64::from(any);
        Ok(any.then(|| String::from_utf8_lossy(&kept).into_owned()))
    }
}

/// The token in a line; `None` if there is none, and none was meant.
fn token_of(line: &str, is_first: bool) -> Option<String> {
    let line = if is_first {
        // Editors on Windows begin a file with a byte order mark.
        line.strip_prefix('\u{feff}').unwrap_or(line)
    } else {
        line
    };
    if line.trim_start().starts_with('#') {
        return None;
    }
    let first = line.split(',').next().unwrap_or_default().trim();
    let bare = first
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let token = bare.unwrap_or(first).trim();
    let is_head = is_first && HEADS.iter().any(|head| token.eq_ignore_ascii_case(head));
    // A row whose first column is empty has no token where one belongs.
    let is_blank = line.trim().is_empty();
    (!is_blank && !is_head).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(text: &[u8]) -> Vec<Batch> {
        let mut list = TokenList::new(io::BufReader::with_capacity(7, text));
        let mut batches = Vec::new();
        while let Some(batch) = list.next_batch().unwrap() {
            batches.push(batch);
        }
        assert_eq!(list.bytes(), text.len() as u64);
        batches
    }

    fn all(text: &str) -> Vec<(u64, String)> {
        let batches = batches(text.as_bytes()).into_iter();
        batches
            .flat_map(|batch| batch.lines.into_iter().zip(batch.tokens))
            .collect()
    }

    #[test]
    fn a_line_has_a_token_and_blank_ones_and_comments_have_none() {
        let text = "\u{feff}# of the beta\r\n\r\na1b2\r\n  # another\n\n <c3d4 e5f6> \n \t\nlast";
        let expected = [(3, "a1b2"), (6, "<c3d4 e5f6>"), (8, "last")];
        assert_eq!(
            all(text),
            expected.map(|(line, token)| (line, token.to_owned()))
        );
        assert_eq!(all(""), []);
        assert_eq!(all("#\n\n"), []);
    }

    #[test]
    fn the_first_column_of_a_table_counts_and_its_head_does_not() {
        let text = "Token,name\n\"a1\",\"anna, b\"\nb2,x,y\n,nobody\ntoken,z\n";
        let expected = [(2, "a1"), (3, "b2"), (4, ""), (5, "token")];
        assert_eq!(
            all(text),
            expected.map(|(line, token)| (line, token.to_owned()))
        );
        assert_eq!(all("\u{feff}device_token\na1\n"), [(2, "a1".to_owned())]);
    }

    #[test]
    fn a_batch_is_what_one_request_takes() {
        let text: String = (0..2_001).map(|n| format!("{n:08}\n\n")).collect();
        let sizes = batches(text.as_bytes());
        let sizes: Vec<_> = sizes.iter().map(|batch| batch.tokens.len()).collect();
        assert_eq!(sizes, [1_000, 1_000, 1]);
        let long = format!("{}\n", "a".repeat(1_024)).repeat(1_000);
        let batches = batches(long.as_bytes());
        assert_eq!(batches.len(), 2);
        for batch in &batches {
            let bytes: usize = batch.tokens.iter().map(String::len).sum();
            assert!(bytes <= BATCH_BYTES, "{bytes}");
        }
        assert_eq!(batches[1].lines.last(), Some(&1_000));
    }

    #[test]
    fn a_line_without_end_and_what_is_no_text_are_entries_that_are_no_tokens() {
        let endless = vec![b'a'; 10 * 1024 * 1024];
        let found = batches(&endless);
        assert_eq!((found.len(), found[0].tokens[0].len()), (1, LINE_BYTES));
        let binary = batches(b"\xff\xfe\x00\na1\n");
        assert_eq!(binary[0].tokens.len(), 2);
        assert_eq!(binary[0].tokens[1], "a1");
    }
}
