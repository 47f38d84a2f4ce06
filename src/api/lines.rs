//! Bodies of lines (NDJSON): what a line may have beside what a call has, and its result.
//!
//! ```text
//!   {"defaults":{…}}                              ─► Defaults: the first line, if it is one
//!   {"to":{"token":"a1…"},"ref":"row-17", …}      ─► Reference, and the call's own
//!   {"line":2,"ref":"row-17","outcome":"accepted", …}   ◄─ LineResult
//! ```
//!
//! Source: *NDJSON* (ndjson.org, version 1.0.0): a line ends with `\n`, perhaps with `\r` before
//! it. What ends or stops the reading is the service's.
//!
//! Limits: a reference has 128 bytes at most, quotes and escapes included.

use core::fmt;

use serde::Serialize;

use super::body::{Field, Members, takes, without_mark};
use super::{BodyKind, Problem};

/// How answers of lines are called, and bodies of them.
pub const LINES_TYPE: &str = "application/x-ndjson";

/// What else such bodies are called.
const TYPES: [&str; 4] = [
    LINES_TYPE,
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
];

/// Longest reference, in bytes. **Ours**: room for three UUIDs.
const REFERENCE_MAX_BYTES: usize = 128;

const DEFAULTS: &str = "an object such as {\"topic\":\"com.example.app\"}";

/// The first line, where it is one of defaults.
static DEFAULTS_LINE: [Field; 1] = [Field::private("defaults", DEFAULTS)];

/// The field that a line has beside those of its call.
pub(super) const REFERENCE: Field = Field::private("ref", takes::REFERENCE);

/// Whether a body is one of lines, by the values of `Content-Type`.
pub fn are_lines(types: &[impl AsRef<[u8]>]) -> bool {
    let [value] = types else { return false };
    let essence = value.as_ref().split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    TYPES
        .iter()
        .any(|name| essence.eq_ignore_ascii_case(name.as_bytes()))
}

/// Whether a body of lines can be read, by the values of `Content-Type` and `Content-Encoding`.
///
/// # Errors
/// 415 if it is compressed, or in another charset than UTF-8.
pub fn check_lines(types: &[Vec<u8>], encodings: &[Vec<u8>]) -> Result<(), Problem> {
    BodyKind::check_encodings(encodings)?;
    types
        .iter()
        .try_for_each(|value| BodyKind::check_charset(value))
}

/// What all lines have that do not say something else: the text of an object.
#[derive(Clone)]
pub struct Defaults(String);

/// Without the text, which may be a payload.
impl fmt::Debug for Defaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Defaults({} bytes)", self.0.len())
    }
}

impl Defaults {
    /// Reads the first line; `None` if it is no line of defaults.
    ///
    /// # Errors
    /// 400 if there is something beside them.
    fn of_line(line: &[u8]) -> Result<Option<Self>, Problem> {
        let start = without_mark(line).trim_ascii_start().strip_prefix(b"{");
        let name = start.map(<[u8]>::trim_ascii_start);
        if !name.is_some_and(|name| name.starts_with(b"\"defaults\"")) {
            return Ok(None);
        }
        let members = Members::of_body(line, &DEFAULTS_LINE, DEFAULTS)?;
        let text = members.required("defaults")?.get();
        Ok(Some(Self(text.to_owned())))
    }

    /// Their JSON.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// What the lines of a call may have.
pub(super) struct LineKind {
    /// All of it; `ref` is among them.
    pub fields: &'static [Field],
    /// What a line is, as an error says it.
    pub takes: &'static str,
    /// What each line has for itself: no default can say it.
    pub own: &'static [&'static str],
    /// Groups of which a line's own replaces any other's default.
    pub either: &'static [&'static [&'static str]],
}

impl LineKind {
    /// Reads a first line that has defaults; `None` if it has not.
    ///
    /// # Errors
    /// 400 if there is something beside them or among them that cannot be one.
    pub fn defaults(&self, line: &[u8]) -> Result<Option<Defaults>, Problem> {
        let defaults = Defaults::of_line(line).and_then(|defaults| {
            if let Some(defaults) = &defaults {
                self.members(defaults)?;
            }
            Ok(defaults)
        });
        defaults.map_err(Problem::of_line)
    }

    /// Defaults as members of a line.
    ///
    /// # Errors
    /// 400 with the name of what may not be there, or is no field at all.
    pub fn members<'a>(&self, defaults: &'a Defaults) -> Result<Members<'a>, Problem> {
        let members = Members::of_text(&defaults.0, self.fields, "defaults.", DEFAULTS)?;
        match members.names().iter().find(|name| self.own.contains(name)) {
            None => Ok(members),
            Some(name) => {
                let place = format!("defaults.{name}");
                let expected = "it in each line, which has its own";
                Err(Problem::field(
                    "not-a-default",
                    place,
                    expected,
                    "one for all",
                ))
            }
        }
    }

    /// Reads a line with the defaults below it.
    pub fn read<T>(
        &self,
        line: &[u8],
        defaults: Option<&Defaults>,
        read: impl FnOnce(&Members<'_>) -> Result<T, Problem>,
    ) -> LineRead<T> {
        let members = Members::of_body(line, self.fields, self.takes);
        let known = members.and_then(|members| Ok((Reference::of(&members)?, members)));
        let (reference, read) = match known {
            Err(problem) => (None, Err(problem)),
            Ok((reference, members)) => {
                let members = self.above(defaults, members);
                (reference, members.and_then(|members| read(&members)))
            }
        };
        let read = read.map_err(Problem::of_line);
        LineRead { reference, read }
    }

    /// Members with the defaults below them.
    fn above<'a>(
        &self,
        defaults: Option<&'a Defaults>,
        members: Members<'a>,
    ) -> Result<Members<'a>, Problem> {
        Ok(match defaults {
            Some(defaults) => members.or(&self.members(defaults)?, self.either),
            None => members,
        })
    }
}

/// What the caller knows a line by: the JSON of a string or a number, echoed as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Reference(Box<str>);

/// Without the text, which is the caller's.
impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({} bytes)", self.0.len())
    }
}

impl Reference {
    /// The field `ref`.
    ///
    /// # Errors
    /// 400 if it is too long, or neither a string nor a number.
    fn of(line: &Members<'_>) -> Result<Option<Self>, Problem> {
        let Some(value) = line.find_text("ref") else {
            return Ok(None);
        };
        let is_kind = |byte: u8| matches!(byte, b'"' | b'-' | b'0'..=b'9');
        let got = match value.as_bytes() {
            [first, ..] if is_kind(*first) && value.len() <= REFERENCE_MAX_BYTES => {
                return Ok(Some(Self::of_json(value)));
            }
            [first, ..] if is_kind(*first) => format!("{} bytes", value.len()),
            [b'{', ..] => "an object".to_owned(),
            [b'[', ..] => "an array".to_owned(),
            _ => value.to_owned(),
        };
        Err(Problem::field("ref", "ref", takes::REFERENCE, got))
    }

    fn of_json(json: &str) -> Self {
        Self(json.into())
    }

    /// A text in quotes and without escapes, which is JSON as it stands.
    pub(super) fn of_plain(quoted: &str) -> Option<Self> {
        (quoted.len() <= REFERENCE_MAX_BYTES).then(|| Self::of_json(quoted))
    }
}

/// What has been read of a line: what the caller knows it by, as far as that could be read, and the
/// rest.
#[derive(Debug)]
pub struct LineRead<T> {
    /// What the result says again.
    pub reference: Option<Reference>,
    /// What the line asks for.
    pub read: Result<T, Problem>,
}

/// Where results are written.
#[derive(Debug)]
pub struct LineResult<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> LineResult<'a> {
    /// Begins the result of a line, which is appended to `out`; lines count from 1.
    pub fn begin(out: &'a mut Vec<u8>, line: u64, reference: Option<&Reference>) -> Self {
        out.extend_from_slice(b"{\"line\":");
        decimal(out, line);
        if let Some(Reference(json)) = reference {
            out.extend_from_slice(b",\"ref\":");
            out.extend_from_slice(json.as_bytes());
        }
        Self { out }
    }

    /// Adds the members of an object, which has some.
    #[must_use]
    pub fn object(self, json: &[u8]) -> Self {
        let inside = json.strip_prefix(b"{");
        let inside = inside.and_then(|json| json.strip_suffix(b"}"));
        self.members(inside.unwrap_or_default())
    }

    /// The same of what stands between the braces of one.
    #[must_use]
    pub fn members(self, json: &[u8]) -> Self {
        if !json.is_empty() {
            self.out.push(b',');
            self.out.extend_from_slice(json);
        }
        self
    }

    /// Adds a member.
    #[must_use]
    pub fn member(self, name: &str, value: &impl Serialize) -> Self {
        // Values of ours always serialise.
        let value = serde_json::to_vec(value).unwrap_or_default();
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out.extend_from_slice(&value);
        self
    }

    /// Ends it.
    pub fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    /// Ends it with what is wrong with the line, of which nothing was done.
    pub fn failed(self, problem: Problem) {
        self.member("outcome", &"failed")
            .object(&problem.into_reply().body)
            .end();
    }
}

/// Appends a number.
pub(super) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut length = 0;
    for place in digits.iter_mut().rev() {
        // Below ten.
        *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
        length += 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

/// Appends the summary, the last line of an answer. `stopped` says why what was sent was not all
/// read, if that is so.
pub fn write_summary(out: &mut Vec<u8>, counts: &impl Serialize, stopped: Option<&str>) {
    #[derive(Serialize)]
    struct Document<'a, T> {
        #[serde(flatten)]
        counts: &'a T,
        #[serde(skip_serializing_if = "Option::is_none")]
        stopped: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Summary<'a, T> {
        summary: Document<'a, T>,
    }
    let summary = Summary {
        summary: Document { counts, stopped },
    };
    // Counts always serialise.
    out.extend(serde_json::to_vec(&summary).unwrap_or_default());
    out.push(b'\n');
}

#[cfg(test)]
mod tests;
