//! The file of lines that were refused: each as it came, and why.
//!
//! ```text
//!   {"line":17,"code":"token-not-hex","field":"token","expected":"…","got":"…","input":"…"}
//! ```
//!
//! `input` is the line as it came, or `input_hex` where it is not UTF-8, by at most
//! [`SHOWN_BYTES`].

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Most bytes of a line that are kept with what is wrong with it; the longest line that is taken.
pub const SHOWN_BYTES: usize = 64 * 1024;

/// What is wrong with a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LineRefusal {
    /// The rule that it breaks.
    pub code: String,
    /// Where.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What was expected there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// What came.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub got: String,
    /// What there is to say where no field is at fault.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl LineRefusal {
    /// A field that is not what was expected.
    pub fn of_field(
        code: &str,
        field: &str,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self {
            code: code.to_owned(),
            field: field.to_owned(),
            expected: expected.into(),
            got: got.into(),
            detail: String::new(),
        }
    }
}

#[derive(Serialize)]
struct RefusedLine<'a> {
    line: u64,
    #[serde(flatten)]
    why: &'a LineRefusal,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_hex: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct RefusedFile {
    path: PathBuf,
    out: BufWriter<File>,
    /// Bytes that are in it, where it is a regular file.
    bytes: u64,
    is_regular: bool,
    is_changed: bool,
}

impl RefusedFile {
    /// Opens it with the first so many bytes of it, which an import before has written; without any
    /// if it was taken away.
    ///
    /// # Errors
    /// If it cannot be opened or cut, or has fewer bytes: somebody has written to it.
    pub fn open(path: &Path, bytes: u64) -> io::Result<Self> {
        let options = &mut File::options();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let metadata = file.metadata()?;
        let is_regular = metadata.is_file();
        let bytes = match metadata.len() {
            0 => 0,
            length if length < bytes && is_regular => {
                let why = format!(
                    "expected {bytes} bytes that the import before has written, got {length}; move \
                     it away"
                );
                return Err(io::Error::new(ErrorKind::InvalidData, why));
            }
            _ => bytes,
        };
        if is_regular {
            file.set_len(bytes)?;
            file.seek(SeekFrom::End(0))?;
        }
        Ok(Self {
            path: path.to_owned(),
            out: BufWriter::new(file),
            bytes,
            is_regular,
            is_changed: false,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes are in it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, line: u64, raw: &[u8], why: &LineRefusal) -> io::Result<()> {
        let shown = raw.get(..SHOWN_BYTES).unwrap_or(raw);
        let input = std::str::from_utf8(shown).ok();
        let line = RefusedLine {
            line,
            why,
            input,
            input_hex: input.is_none().then(|| hex::encode(shown)),
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        self.out.write_all(&text)?;
        self.bytes += text.len() as u64;
        self.is_changed = true;
        Ok(())
    }

    /// Has all of it on disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn sync(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.is_changed) {
            return Ok(());
        }
        self.out.flush()?;
        match self.is_regular {
            true => self.out.get_ref().sync_data(),
            false => Ok(()),
        }
    }

    /// Ends it: where nothing is in it, it is no more.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.sync()?;
        match (self.is_regular, self.bytes) {
            (true, 0) => std::fs::remove_file(&self.path),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_is_there_as_it_came_with_what_was_expected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused");
        let mut file = RefusedFile::open(&path, 0).unwrap();
        let why = LineRefusal::of_field("token-not-hex", "token", "hex", "\"x\"");
        file.add(3, "{\"token\":\"é\"}".as_bytes(), &why).unwrap();
        file.add(4, b"M\xfcller", &LineRefusal::default()).unwrap();
        file.add(5, &[b'a'; SHOWN_BYTES + 9], &why).unwrap();
        file.sync().unwrap();
        assert_eq!(file.bytes(), path.metadata().unwrap().len());
        let found = lines(&path);
        let expected = json!({"line": 3, "code": "token-not-hex", "field": "token",
            "expected": "hex", "got": "\"x\"", "input": "{\"token\":\"é\"}"});
        assert_eq!(found[0], expected);
        assert_eq!(found[1]["input_hex"], "4dfc6c6c6572");
        let cut = found[2]["input"].as_str().unwrap();
        assert_eq!(cut.len(), SHOWN_BYTES);
    }

    #[test]
    fn what_was_not_counted_any_more_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused");
        let add = |file: &mut RefusedFile, line| {
            file.add(line, b"x", &LineRefusal::default()).unwrap();
            file.sync().unwrap();
            file.bytes()
        };
        let mut file = RefusedFile::open(&path, 0).unwrap();
        let kept = add(&mut file, 1);
        add(&mut file, 2);
        let mut again = RefusedFile::open(&path, kept).unwrap();
        add(&mut again, 3);
        let numbers: Vec<_> = lines(&path)
            .iter()
            .map(|line| line["line"].clone())
            .collect();
        assert_eq!(numbers, [1, 3]);
        let why = RefusedFile::open(&path, 1_000_000).unwrap_err();
        assert!(why.to_string().contains("move it away"), "{why}");
        assert_eq!(lines(&path).len(), 2, "it is as it was");
        std::fs::remove_file(&path).unwrap();
        let anew = RefusedFile::open(&path, 1_000_000).unwrap();
        assert_eq!(anew.bytes(), 0);
        anew.finish().unwrap();
        assert!(!path.exists());
    }
}
