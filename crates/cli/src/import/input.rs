//! What is imported: a file or the standard input, as lines that are registrations.
//!
//! ```text
//!   bytes ─► what they begin with: a mark, gzip, UTF-16, a head, defaults
//!         ─► InputLine: its number, as it came, and what is sent for it
//! ```
//!
//! A line of NDJSON is sent as it came. Bound: one line is held, of [`LINE_BYTES`] at most; of a
//! longer one the beginning.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read as _};
use std::path::Path;

use dunlin::api::registration_defaults;

use super::refused::LineRefusal;
use super::table::{Columns, RecordReader};

/// Longest line that the service takes.
pub const LINE_BYTES: usize = 64 * 1024;

/// What may be looked at before the first line is understood.
const HEAD_BYTES: u64 = LINE_BYTES as u64;

const MARK: &[u8] = b"\xef\xbb\xbf";
const GZIP: &[u8] = b"\x1f\x8b";
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// How devices are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FileFormat {
    /// A JSON object in each line.
    Ndjson,
    /// A head, and a record for each.
    Csv,
}

impl FileFormat {
    /// By what a file is called.
    pub fn of_name(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "csv" | "tsv" => Some(Self::Csv),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }
}

/// One line, or one record.
#[derive(Debug, PartialEq, Eq)]
pub struct InputLine {
    /// Its number, or that of its first line, from 1.
    pub number: u64,
    /// Bytes of the input up to its end.
    pub end: u64,
    /// Without what ends it; of one that is too long, the beginning.
    pub raw: Vec<u8>,
    /// What is sent for it.
    pub content: LineContent,
}

/// What is sent for a line.
#[derive(Debug, PartialEq, Eq)]
pub enum LineContent {
    /// The line.
    AsItCame,
    /// Another one.
    Made(String),
    /// Nothing.
    Refused(LineRefusal),
}

impl InputLine {
    /// What is sent for it, or what is wrong with it.
    ///
    /// # Errors
    /// See above.
    pub fn sent(&self) -> Result<&[u8], &LineRefusal> {
        match &self.content {
            LineContent::AsItCame => Ok(&self.raw),
            LineContent::Made(line) => Ok(line.as_bytes()),
            LineContent::Refused(why) => Err(why),
        }
    }
}

type Bytes = Chain<Cursor<Vec<u8>>, Box<dyn BufRead + Send>>;

/// What is being read.
pub struct Input {
    lines: Lines,
    /// How many bytes it has, if that is known: then it is a file.
    pub length: Option<u64>,
    /// The object of defaults in its first line.
    pub defaults: Option<String>,
    /// Columns that are left out.
    pub left_out: Vec<String>,
    /// Held for as long as it is read: nobody else imports it meanwhile.
    _lock: Option<File>,
}

enum Lines {
    Ndjson {
        reader: LineReader<Bytes>,
        /// One that was looked at.
        next: Option<InputLine>,
    },
    Csv {
        reader: Box<RecordReader<Bytes>>,
        columns: Columns,
    },
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({:?} bytes)", self.length)
    }
}

impl Input {
    /// Opens a file, or with `-` the standard input, and reads its beginning. `columns` are fields
    /// with the names that their columns have instead.
    ///
    /// # Errors
    /// What was expected of it.
    pub fn open(
        path: &Path,
        format: FileFormat,
        columns: &[(String, String)],
    ) -> Result<Self, String> {
        let (input, lock) = opened(path)?;
        let length = lock.as_ref().map(|(_, length)| *length);
        let mut this = Self::of(input, format, columns)?;
        this.length = length;
        this._lock = lock.map(|(file, _)| file);
        Ok(this)
    }

    fn of(
        mut input: Box<dyn BufRead + Send>,
        format: FileFormat,
        columns: &[(String, String)],
    ) -> Result<Self, String> {
        let mut head = Vec::new();
        let read = input.by_ref().take(HEAD_BYTES).read_until(b'\n', &mut head);
        read.map_err(|error| error.to_string())?;
        check(&head)?;
        let mut bytes = 0;
        if head.starts_with(MARK) {
            head.drain(..MARK.len());
            bytes = MARK.len() as u64;
        }
        let whole = Cursor::new(head.clone()).chain(input);
        let (mut defaults, mut left_out) = (None, Vec::new());
        let lines = match format {
            FileFormat::Ndjson => {
                let mut reader = LineReader::new(whole, bytes);
                let mut next = reader.next().map_err(|error| error.to_string())?;
                defaults = next.as_ref().map(defaults_of).transpose()?.flatten();
                if defaults.is_some() {
                    next = None;
                }
                Lines::Ndjson { reader, next }
            }
            FileFormat::Csv => {
                let mut reader = Box::new(RecordReader::new(whole, &head, bytes));
                let head = reader.next().map_err(|error| error.to_string())?;
                let expected = "expected a head such as token,topic,alias; got an empty file";
                let head = head.ok_or(expected)?;
                let columns = Columns::of_head(&head, columns)?;
                left_out.clone_from(&columns.left_out);
                Lines::Csv { reader, columns }
            }
        };
        Ok(Self {
            lines,
            length: None,
            defaults,
            left_out,
            _lock: None,
        })
    }

    /// The next line that is not blank; `None` at the end.
    ///
    /// # Errors
    /// The input's, or that it cannot be read on.
    pub fn next(&mut self) -> io::Result<Option<InputLine>> {
        match &mut self.lines {
            Lines::Ndjson { reader, next } => match next.take() {
                Some(line) => Ok(Some(line)),
                None => reader.next(),
            },
            Lines::Csv { reader, columns } => {
                let Some(record) = reader.next()? else {
                    return Ok(None);
                };
                let content = match columns.line(&record) {
                    Ok(line) => LineContent::Made(line),
                    Err(why) => LineContent::Refused(why),
                };
                Ok(Some(InputLine {
                    number: record.number,
                    end: reader.bytes(),
                    raw: record.raw,
                    content,
                }))
            }
        }
    }
}

type Opened = (Box<dyn BufRead + Send>, Option<(File, u64)>);

/// What is read, and if it is a file, that and its length.
fn opened(path: &Path) -> Result<Opened, String> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("expected a file, got a folder".to_owned());
    }
    if !metadata.is_file() {
        return Ok((Box::new(BufReader::new(file)), None));
    }
    let lock = file.try_clone().map_err(|error| error.to_string())?;
    // Where files cannot be locked, nobody is told of the other.
    if let Err(TryLockError::WouldBlock) = lock.try_lock() {
        return Err("another import of this file is under way".to_owned());
    }
    let reader = BufReader::with_capacity(256 * 1024, file);
    Ok((Box::new(reader), Some((lock, metadata.len()))))
}

/// Whether it begins like a text of ours.
fn check(head: &[u8]) -> Result<(), String> {
    if head.starts_with(GZIP) {
        let remedy = "gzip -dc FILE | dunlin devices import - --format …";
        return Err(format!(
            "expected a text, got one that is compressed: {remedy}"
        ));
    }
    if UTF_16.iter().any(|mark| head.starts_with(mark)) {
        let remedy = "iconv -f UTF-16 -t UTF-8 FILE";
        return Err(format!("expected UTF-8, got UTF-16: {remedy}"));
    }
    Ok(())
}

/// The defaults in a first line, if it has them.
fn defaults_of(line: &InputLine) -> Result<Option<String>, String> {
    let Some(read) = registration_defaults(&line.raw).transpose() else {
        return Ok(None);
    };
    match read {
        Ok(defaults) => Ok(Some(defaults.text().to_owned())),
        Err(problem) => {
            let document: serde_json::Value =
                serde_json::from_slice(&problem.into_reply().body).unwrap_or_default();
            let detail = document.get("detail").and_then(serde_json::Value::as_str);
            Err(format!(
                "line {}: {}",
                line.number,
                detail.unwrap_or("no defaults")
            ))
        }
    }
}

/// Lines as they come.
struct LineReader<R> {
    input: R,
    number: u64,
    bytes: u64,
}

impl<R: BufRead> LineReader<R> {
    fn new(input: R, bytes: u64) -> Self {
        Self {
            input,
            number: 0,
            bytes,
        }
    }

    fn next(&mut self) -> io::Result<Option<InputLine>> {
        loop {
            let Some((mut raw, length)) = self.line()? else {
                return Ok(None);
            };
            if raw.trim_ascii_start().is_empty() && length <= LINE_BYTES {
                continue;
            }
            let content = match length > LINE_BYTES {
                false => LineContent::AsItCame,
                true => {
                    raw.truncate(LINE_BYTES);
                    let expected = format!("at most {LINE_BYTES} bytes");
                    let got = format!("{length} bytes");
                    let why = LineRefusal::of_field("line-too-long", "body", expected, got);
                    LineContent::Refused(why)
                }
            };
            return Ok(Some(InputLine {
                number: self.number,
                end: self.bytes,
                raw,
                content,
            }));
        }
    }

    /// A line without what ends it, as far as it is kept, and how long it is; `None` at the end.
    fn line(&mut self) -> io::Result<Option<(Vec<u8>, usize)>> {
        let (mut kept, mut length, mut any) = (Vec::new(), 0, false);
        loop {
            let some = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                some => some?,
            };
            if some.is_empty() {
                break;
            }
            any = true;
            let end = some.iter().position(|byte| *byte == b'\n');
            let part = some.get(..end.unwrap_or(some.len())).unwrap_or(some);
            length += part.len();
            // With room for the `\r` of the longest.
            let room = (LINE_BYTES + 1).saturating_sub(kept.len()).min(part.len());
            kept.extend_from_slice(part.get(..room).unwrap_or_default());
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            self.bytes += used as u64;
            if end.is_some() {
                break;
            }
        }
        self.number += u64::from(any);
        if kept.len() == length && kept.last() == Some(&b'\r') {
            kept.pop();
            length -= 1;
        }
        Ok(any.then_some((kept, length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &[u8], format: FileFormat) -> Result<Input, String> {
        let own = Cursor::new(text.to_vec());
        Input::of(Box::new(BufReader::with_capacity(5, own)), format, &[])
    }

    fn lines(text: &[u8], format: FileFormat) -> Vec<InputLine> {
        let mut input = open(text, format).unwrap();
        let mut lines = Vec::new();
        while let Some(line) = input.next().unwrap() {
            lines.push(line);
        }
        lines
    }

    fn shown(text: &str, format: FileFormat) -> Vec<(u64, u64, String)> {
        let lines = lines(text.as_bytes(), format).into_iter();
        let shown = |line: InputLine| {
            let sent = line.sent().map_or_else(
                |why| why.code.clone(),
                |sent| String::from_utf8_lossy(sent).into_owned(),
            );
            (line.number, line.end, sent)
        };
        lines.map(shown).collect()
    }

    #[test]
    fn lines_are_sent_as_they_came_and_blank_ones_are_none() {
        let text = "\u{feff}{\"token\":\"a1\"}\r\n\n  \n{\"token\":\"b2\"}";
        let found = shown(text, FileFormat::Ndjson);
        let expected = [
            (1, 19, "{\"token\":\"a1\"}".to_owned()),
            (4, text.len() as u64, "{\"token\":\"b2\"}".to_owned()),
        ];
        assert_eq!(found, expected);
        assert_eq!(shown("", FileFormat::Ndjson), []);
        assert_eq!(shown("\u{feff}\n\n", FileFormat::Ndjson), []);
    }

    #[test]
    fn the_longest_line_is_whole_and_of_a_longer_one_the_beginning_is_kept() {
        let longest = "x".repeat(LINE_BYTES);
        for end in ["\n", "\r\n", ""] {
            let found = shown(&format!("{longest}{end}"), FileFormat::Ndjson);
            assert_eq!(found[0].2.len(), LINE_BYTES);
        }
        let text = format!("{longest}x\r\ny\n");
        let found = lines(text.as_bytes(), FileFormat::Ndjson);
        assert_eq!(found[0].sent().unwrap_err().code, "line-too-long");
        assert_eq!(found[0].raw.len(), LINE_BYTES);
        assert_eq!((found[1].number, &found[1].raw[..]), (2, &b"y"[..]));
    }

    #[test]
    fn a_first_line_of_defaults_is_no_registration() {
        let text = "\n{\"defaults\":{\"topic\":\"a.b\"}}\n{\"token\":\"a1\"}\n";
        let mut input = open(text.as_bytes(), FileFormat::Ndjson).unwrap();
        assert_eq!(input.defaults.as_deref(), Some("{\"topic\":\"a.b\"}"));
        assert_eq!(input.next().unwrap().unwrap().number, 3);
        let wrong = open(b"{\"defaults\":{\"token\":\"a1\"}}", FileFormat::Ndjson);
        let why = wrong.unwrap_err();
        assert!(why.starts_with("line 1: defaults.token"), "{why}");
    }

    #[test]
    fn a_table_has_its_head_and_what_is_left_out_is_named() {
        let text = "\u{feff}id,token\n1,a1\n\n2\n";
        let found = shown(text, FileFormat::Csv);
        let expected = [
            (2, 17, "{\"token\":\"a1\"}".to_owned()),
            (4, 20, "column-count".to_owned()),
        ];
        assert_eq!(found, expected);
        let input = open(text.as_bytes(), FileFormat::Csv).unwrap();
        assert_eq!(input.left_out, ["id"]);
    }

    #[test]
    fn what_is_no_text_of_ours_is_told_at_once() {
        for (bytes, format, said) in [
            (&b"\x1f\x8b\x08"[..], FileFormat::Ndjson, "gzip -dc"),
            (b"\xff\xfet\x00", FileFormat::Csv, "iconv"),
            (b"", FileFormat::Csv, "an empty file"),
            (b"\xef\xbb\xbf\n", FileFormat::Csv, "an empty file"),
            (b"name\nx\n", FileFormat::Csv, "--column token=NAME"),
        ] {
            let why = open(bytes, format).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
        let folder = tempfile::tempdir().unwrap();
        let why = Input::open(folder.path(), FileFormat::Csv, &[]).unwrap_err();
        assert!(why.contains("got a folder"), "{why}");
    }

    #[test]
    fn a_file_is_imported_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "token\na1\n").unwrap();
        let first = Input::open(&path, FileFormat::Csv, &[]).unwrap();
        assert_eq!(first.length, Some(9));
        let why = Input::open(&path, FileFormat::Csv, &[]).unwrap_err();
        assert!(why.contains("under way"), "{why}");
        drop(first);
        assert!(Input::open(&path, FileFormat::Csv, &[]).is_ok());
    }

    #[test]
    fn a_format_goes_by_the_name() {
        let of = |name: &str| FileFormat::of_name(Path::new(name));
        assert_eq!(of("a.CSV"), Some(FileFormat::Csv));
        assert_eq!(of("a.b/c.jsonl"), Some(FileFormat::Ndjson));
        assert_eq!(of("a.txt"), None);
        assert_eq!(of("csv"), None);
    }
}
