//! Up to which line everything is answered, in a file: what an import that has ended goes on by.
//!
//! It is replaced as a whole, so that it is never half written. What it says of the input is how
//! long that is, and a digest of the lines that are answered; of where it went and how it was read
//! it keeps enough to tell another import by.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use dunlin_host::files::read_at_most;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// What the file begins with.
const VERSION: u32 = 1;

/// Longest such file, in bytes: room for the longest path of a store.
const MAX_BYTES: usize = 16 * 1024;

/// How many lines ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Devices that were not known.
    pub new: u64,
    /// Devices that were.
    pub known: u64,
    /// Lines that were refused.
    pub refused: u64,
}

impl ImportCounts {
    /// All of them.
    pub fn lines(&self) -> u64 {
        self.new + self.known + self.refused
    }
}

/// How far an import is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportState {
    dunlin_import: u32,
    /// Where the devices go.
    pub service: String,
    /// Digest of how the lines are read.
    pub options: String,
    /// Length of the input.
    pub input_bytes: u64,
    /// Every line up to this one is answered.
    pub line: u64,
    /// Where in the input that is.
    pub offset: u64,
    /// Digest of the lines up to there.
    pub digest: String,
    /// Bytes of the file of refused lines.
    pub refused_bytes: u64,
    /// What became of the lines.
    pub counts: ImportCounts,
}

impl ImportState {
    /// At the beginning.
    pub fn begin(service: String, options: String, input_bytes: u64) -> Self {
        Self {
            dunlin_import: VERSION,
            service,
            options,
            input_bytes,
            line: 0,
            offset: 0,
            digest: LinesDigest::default().text(),
            refused_bytes: 0,
            counts: ImportCounts::default(),
        }
    }

    /// Whether an import that begins like this can go on from here; the error says what is another.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self, beginning: &Self) -> Result<(), String> {
        let Self {
            service,
            options,
            input_bytes,
            ..
        } = beginning;
        if *service != self.service {
            return Err(format!(
                "went to {}, and this one to {service}",
                self.service
            ));
        }
        if *options != self.options {
            return Err("read the file by other options".to_owned());
        }
        if *input_bytes != self.input_bytes {
            let before = self.input_bytes;
            return Err(format!(
                "had a file of {before} bytes, which now has {input_bytes}"
            ));
        }
        Ok(())
    }
}

/// Digest of lines, one after the other.
#[derive(Clone)]
pub struct LinesDigest(Context);

impl Default for LinesDigest {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl std::fmt::Debug for LinesDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinesDigest({})", self.text())
    }
}

impl LinesDigest {
    /// Adds a line.
    pub fn add(&mut self, line: &[u8]) {
        self.0.update(line);
        self.0.update(b"\n");
    }

    /// Of what was added so far.
    pub fn text(&self) -> String {
        hex::encode(self.0.clone().finish())
    }
}

/// The file.
#[derive(Clone, Debug)]
pub struct ImportJournal {
    path: PathBuf,
}

impl ImportJournal {
    /// In this file, which need not be there.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is not the journal of an import.
    pub fn read(&self) -> io::Result<Option<ImportState>> {
        let bytes = match read_at_most(&self.path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let state = serde_json::from_slice::<ImportState>(&bytes).ok();
        match state.filter(|state| state.dunlin_import == VERSION) {
            Some(state) => Ok(Some(state)),
            None => Err(io::Error::new(
                ErrorKind::InvalidData,
                "expected the journal of an import, got something else; remove it, or name \
                 another with --journal",
            )),
        }
    }

    /// Replaces it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, state: &ImportState) -> io::Result<()> {
        let beside = self.beside();
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(state)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)
    }

    /// Removes it.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn beside(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".new");
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> ImportState {
        ImportState::begin("http://127.0.0.1:1".into(), "o".into(), 100)
    }

    #[test]
    fn a_journal_says_what_was_written_and_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let journal = ImportJournal::at(folder.path().join("a.journal"));
        assert_eq!(journal.read().unwrap(), None);
        let mut state = state();
        journal.write(&state).unwrap();
        state.line = 7;
        state.counts.new = 6;
        state.counts.refused = 1;
        journal.write(&state).unwrap();
        assert_eq!(journal.read().unwrap(), Some(state.clone()));
        assert_eq!(state.counts.lines(), 7);
        let names = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1, "nothing is left beside it");
        journal.remove().unwrap();
        journal.remove().unwrap();
        assert_eq!(journal.read().unwrap(), None);
    }

    #[test]
    fn what_is_no_journal_is_never_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let journal = ImportJournal::at(folder.path().join("a.journal"));
        let long = "x".repeat(MAX_BYTES + 1);
        let newer = serde_json::to_string(&state()).unwrap();
        let newer = newer.replace("\"dunlin_import\":1", "\"dunlin_import\":2");
        for text in ["", "{}", "token\na1\n", &long, &newer] {
            std::fs::write(journal.path(), text).unwrap();
            assert!(journal.read().is_err(), "{text:.40}");
        }
    }

    #[test]
    fn another_import_is_told_by_where_it_goes_what_it_reads_and_how() {
        let before = ImportState { line: 7, ..state() };
        assert_eq!(before.check(&state()), Ok(()));
        for (other, said) in [
            (
                ImportState {
                    service: "x".into(),
                    ..state()
                },
                "went to",
            ),
            (
                ImportState {
                    options: "x".into(),
                    ..state()
                },
                "other options",
            ),
            (
                ImportState {
                    input_bytes: 101,
                    ..state()
                },
                "100 bytes, which now has 101",
            ),
        ] {
            let why = before.check(&other).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn a_digest_is_of_lines_and_not_of_their_bytes_alone() {
        let of = |lines: &[&str]| {
            let mut digest = LinesDigest::default();
            lines.iter().for_each(|line| digest.add(line.as_bytes()));
            digest.text()
        };
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["ab"]), of(&["a", "b"]));
        assert_eq!(of(&[]), state().digest);
    }
}
