//! CSV (RFC 4180): a head that names columns, and records under it, each of which becomes the line
//! of a registration.
//!
//! ```text
//!   token,alias,tags           columns by the names of the fields, in any order and any case;
//!   a1b2…,anna,"news,sport"    tags with commas between them, or as a JSON array
//!   c3d4…,'+49 170 12,         what begins like a formula has an apostrophe before it
//! ```
//!
//! A field that is empty is not said. The separator is the one of comma, semicolon and tab that the
//! head has most of. What follows a column that is not known is left out, and named.
//!
//! Bounds: a record has 64 KiB and 1,024 columns at most, line breaks in quotes included. A longer
//! one ends the reading: most likely a quote is not closed, and what follows would not be what it
//! seems.

use std::borrow::Cow;
use std::io::{self, BufRead, ErrorKind};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde::Serialize;

use super::refused::LineRefusal;

/// Most bytes of a record, with quotes and separators.
pub const RECORD_BYTES: usize = 64 * 1024;

/// Most columns.
const MAX_COLUMNS: usize = 1_024;

/// What the columns may be called, by the fields that they become.
pub const FIELDS: [&str; 6] = ["token", "topic", "environment", "alias", "tags", "replaces"];

/// What stands before a field that a spreadsheet would take for a formula, and what such begin
/// with.
pub const GUARD: char = '\'';
pub const GUARDED: [char; 7] = ['=', '+', '-', '@', '\t', '\r', GUARD];

const TAGS: &str = "tags such as news,sport, or a JSON array of strings";

/// A record as it came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The line that it begins in.
    pub number: u64,
    /// Without the line break at its end.
    pub raw: Vec<u8>,
    /// The text of all fields, and where each of them ends in it.
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Record {
    /// Its fields.
    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let places = starts.zip(self.ends.iter().copied());
        places.map(|(start, end)| self.text.get(start..end).unwrap_or_default())
    }
}

/// Reads records.
pub struct RecordReader<R> {
    input: R,
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Line breaks before what comes next.
    breaks: u64,
    bytes: u64,
}

impl<R: BufRead> RecordReader<R> {
    /// `head` is the beginning of the input, which says what fields are separated by; `bytes` are
    /// before it.
    pub fn new(input: R, head: &[u8], bytes: u64) -> Self {
        Self {
            input,
            reader: ReaderBuilder::new().delimiter(separator(head)).build(),
            text: vec![0; RECORD_BYTES],
            ends: vec![0; MAX_COLUMNS],
            breaks: 0,
            bytes,
        }
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next record that is not blank; `None` at the end.
    ///
    /// # Errors
    /// The input's; [`ErrorKind::InvalidData`] if it is too long.
    pub fn next(&mut self) -> io::Result<Option<Record>> {
        let (mut raw, mut length, mut count) = (Vec::new(), 0, 0);
        loop {
            let input = match self.input.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                input => input?,
            };
            let text = self.text.get_mut(length..).unwrap_or_default();
            let ends = self.ends.get_mut(count..).unwrap_or_default();
            let (result, read, wrote, ended) = self.reader.read_record(input, text, ends);
            raw.extend_from_slice(input.get(..read).unwrap_or_default());
            self.input.consume(read);
            self.bytes += read as u64;
            (length, count) = (length + wrote, count + ended);
            self.breaks += skip_breaks(&mut raw);
            match result {
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record if raw.len() <= RECORD_BYTES => break,
                ReadRecordResult::InputEmpty if raw.len() <= RECORD_BYTES => {}
                ReadRecordResult::OutputEndsFull => {
                    return Err(self.invalid(&format!("at most {MAX_COLUMNS} columns")));
                }
                _ => {
                    let expected = format!(
                        "a record of at most {RECORD_BYTES} bytes; perhaps a quote is not closed"
                    );
                    return Err(self.invalid(&expected));
                }
            }
        }
        let number = self.breaks + 1;
        self.breaks += count_breaks(&raw);
        while let Some(b'\r' | b'\n') = raw.last() {
            raw.pop();
        }
        Ok(Some(Record {
            number,
            raw,
            text: self.text.get(..length).unwrap_or_default().to_vec(),
            ends: self.ends.get(..count).unwrap_or_default().to_vec(),
        }))
    }

    fn invalid(&self, expected: &str) -> io::Error {
        let why = format!("line {}: expected {expected}, got more", self.breaks + 1);
        io::Error::new(ErrorKind::InvalidData, why)
    }
}

fn count_breaks(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Takes away the line breaks in front, and counts them.
fn skip_breaks(raw: &mut Vec<u8>) -> u64 {
    let blank = raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let breaks: Vec<_> = raw.drain(..blank.count()).collect();
    count_breaks(&breaks)
}

/// The one that the head has most of.
fn separator(head: &[u8]) -> u8 {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or(head);
    let count = |separator: &u8| line.iter().filter(|byte| *byte == separator).count();
    // Of several the last: a comma, where there is none at all.
    *b"\t;,"
        .iter()
        .max_by_key(|separator| count(separator))
        .unwrap_or(&b',')
}

/// Which column is which field.
#[derive(Debug, PartialEq, Eq)]
pub struct Columns {
    /// For each field its column.
    places: [Option<usize>; FIELDS.len()],
    count: usize,
    /// Names of columns that are no field.
    pub left_out: Vec<String>,
}

impl Columns {
    /// By the names in the head, and by `named`: fields with the names that their columns have
    /// instead.
    ///
    /// # Errors
    /// What was expected, where a column is missing or there twice.
    pub fn of_head(head: &Record, named: &[(String, String)]) -> Result<Self, String> {
        let names: Vec<_> = head
            .fields()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        let mut places = [None; FIELDS.len()];
        for (field, place) in FIELDS.iter().zip(&mut places) {
            let mapped = named.iter().find(|(name, _)| name == field);
            let wanted = mapped.map_or(*field, |(_, column)| column);
            let is_it = |name: &&String| name.eq_ignore_ascii_case(wanted);
            *place = names.iter().position(|name| is_it(&name));
            if names.iter().filter(is_it).count() > 1 {
                return Err(format!("expected one column {wanted:?}, got several"));
            }
            if place.is_none() && (mapped.is_some() || *field == "token") {
                let names = names.join(", ");
                let hint = match mapped {
                    Some(_) => "",
                    None => "; --column token=NAME says which column has the tokens",
                };
                return Err(format!("expected a column {wanted:?}, got {names:?}{hint}"));
            }
        }
        let rest = names.iter().enumerate();
        let rest = rest.filter(|(at, _)| !places.contains(&Some(*at)));
        Ok(Self {
            places,
            count: names.len(),
            left_out: rest.map(|(_, name)| name.clone()).collect(),
        })
    }

    /// The line of a registration that a record is.
    ///
    /// # Errors
    /// If it is none, by itself; whether its fields can be used is the service's to say.
    pub fn line(&self, record: &Record) -> Result<String, LineRefusal> {
        let fields: Vec<_> = record.fields().collect();
        if fields.len() != self.count {
            let expected = format!("{} columns, as the head has", self.count);
            let got = fields.len().to_string();
            return Err(LineRefusal::of_field(
                "column-count",
                "record",
                expected,
                got,
            ));
        }
        let mut texts = [None; FIELDS.len()];
        for ((name, place), text) in FIELDS.iter().zip(self.places).zip(&mut texts) {
            let field = place.and_then(|place| fields.get(place));
            let Some(field) = field.filter(|field| !field.is_empty()) else {
                continue;
            };
            let field = std::str::from_utf8(field).map_err(|_| {
                LineRefusal::of_field("not-utf8", name, "a text in UTF-8", "something else")
            })?;
            *text = Some(unguarded(field));
        }
        let [token, topic, environment, alias, tags, replaces] = texts;
        let line = Registration {
            token,
            topic,
            environment,
            alias,
            tags: tags.map(tags_of).transpose()?,
            replaces,
        };
        serde_json::to_string(&line).map_err(|error| LineRefusal {
            code: "json".to_owned(),
            detail: error.to_string(),
            ..LineRefusal::default()
        })
    }
}

#[derive(Serialize)]
struct Registration<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Cow<'a, str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<&'a str>,
}

/// A field without what was put in front of it for spreadsheets.
fn unguarded(field: &str) -> &str {
    match field.strip_prefix(GUARD) {
        Some(rest) if rest.starts_with(GUARDED) => rest,
        _ => field,
    }
}

fn tags_of(field: &str) -> Result<Vec<Cow<'_, str>>, LineRefusal> {
    if field.starts_with('[') {
        let tags = serde_json::from_str::<Vec<String>>(field);
        let tags = tags.map(|tags| tags.into_iter().map(Cow::Owned).collect());
        return tags.map_err(|_| {
            LineRefusal::of_field("wrong-type", "tags", TAGS, "something else in brackets")
        });
    }
    Ok(field
        .split(',')
        .map(|tag| Cow::Borrowed(tag.trim()))
        .collect())
}

#[cfg(test)]
mod tests;
