//! `dunlin devices import`: a file of devices, some thousand registrations in each request.
//!
//! ```text
//!   file ─► Input ─► batch ─► POST /v1/devices, one after the other ─► a result for each line
//!     ▲                ▲ what has no result, after a wait                  │
//!     │                └───────────────────────────────────────────────────┤
//!     └─ goes on after the line of ◄─ ImportJournal ◄─ RefusedFile ◄───────┘
//! ```
//!
//! Lines are carried out in the order of the file, so of two about one device the later one counts.
//! What is answered is written down before more is sent: first the refused lines, then the journal.
//! An import that was killed has at most one batch that the journal does not know of, and sends it
//! again, which registers the same devices a second time and changes nothing but their time.
//!
//! Bound: one batch is held, of 5,000 lines or 1 MiB and a line.

mod input;
mod journal;
mod refused;
mod results;
mod session;
mod table;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dunlin::environment::Environment;
use dunlin::notification::Topic;
use dunlin::terminal::{Exit, visible, visible_lines};
use serde_json::{Map, Value, json};

use crate::commands::{Answerer, ServiceAccess};
use crate::progress::{a_second, clock, grouped};
use crate::serve::INTERRUPTED;
use crate::waits::{GrowingWaits, StopRequest};
use crate::{Error, output};
pub use input::FileFormat;
use input::Input;
use journal::{ImportJournal, ImportState, LinesDigest};
use refused::RefusedFile;
use session::{Ended, ImportSession, SessionParts};
pub(crate) use table::{FIELDS, GUARD, GUARDED};

/// What an import is told.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The file, or `-`.
    pub file: PathBuf,
    /// The app of lines that name none.
    pub topic: Option<String>,
    /// The environment of lines that name none.
    pub environment: Option<String>,
    /// How devices are written; otherwise the file's name says so.
    pub format: Option<FileFormat>,
    /// Fields with the names of their columns.
    pub columns: Vec<(String, String)>,
    /// Where refused lines go, if not beside the file.
    pub refused: Option<PathBuf>,
    /// Where it is kept how far it is, if not beside the file.
    pub journal: Option<PathBuf>,
    /// From the beginning, whatever the journal says.
    pub restarts: bool,
    /// Longest wait for a service that is away.
    pub patience: Duration,
    /// Whether the sum is JSON, on the standard output.
    pub json: bool,
}

fn usage(why: impl Into<String>) -> Error {
    Error::with(Exit::Usage, why)
}

/// Imports a file. Interrupted, it writes down how far it is and ends the process.
///
/// # Errors
/// If it cannot begin: see [`Exit::Usage`] and the others.
pub async fn import(options: ImportOptions, access: &ServiceAccess) -> Result<Exit, Error> {
    let stop = StopRequest::listen()?;
    let format = format_of(&options)?;
    let failed = |why: &str| usage(format!("{}: {why}", options.file.display()));
    let opened = Input::open(&options.file, format, &options.columns);
    let mut input = opened.map_err(|why| failed(&why))?;
    if !input.left_out.is_empty() {
        let names = input.left_out.join(", ");
        output::note(&format!("columns left out: {}", visible(&names)));
    }
    let defaults = defaults(&options, input.defaults.as_deref())?;
    let files = Files::of(&options, input.length.is_some());
    files.check(&options.file)?;
    let read_by = read_by(&options, format, defaults.as_deref());
    let beginning = ImportState::begin(access.place()?, read_by, input.length.unwrap_or(0));
    let (state, digest) = go_on(&options, &files, &mut input, beginning)?;
    let answerer = Answerer::open(access).await?;
    let refused = files.open(&state)?;
    let parts = SessionParts {
        input,
        defaults,
        answerer,
        journal: files.journal,
        refused,
        state,
        digest,
        waits: GrowingWaits::new(options.patience),
        stop,
    };
    let mut session = ImportSession::begin(parts);
    let ended = session.run().await;
    finish(session, ended, &options).await
}

fn format_of(options: &ImportOptions) -> Result<FileFormat, Error> {
    let by_name = || match options.file.as_path() {
        path if path == Path::new("-") => Some(FileFormat::Ndjson),
        path => FileFormat::of_name(path),
    };
    let format = options.format.or_else(by_name).ok_or_else(|| {
        let file = options.file.display();
        usage(format!(
            "expected --format ndjson or csv, or a file that ends so; got {file}"
        ))
    })?;
    for (field, column) in &options.columns {
        if format != FileFormat::Csv {
            return Err(usage(
                "--column is for CSV; the fields of NDJSON have their names",
            ));
        }
        if !FIELDS.contains(&field.as_str()) || column.is_empty() {
            let fields = FIELDS.join(", ");
            return Err(usage(format!(
                "--column: expected FIELD=NAME with one of {fields}, got {field:?}"
            )));
        }
    }
    Ok(format)
}

/// What lines have that say nothing else, as the first line of a request: what the file says of it
/// goes before what the options say.
fn defaults(options: &ImportOptions, of_file: Option<&str>) -> Result<Option<String>, Error> {
    let mut defaults = Map::new();
    if let Some(topic) = &options.topic {
        Topic::parse(topic).map_err(|error| usage(format!("--topic: {error}")))?;
        defaults.insert("topic".to_owned(), json!(topic));
    }
    if let Some(environment) = &options.environment {
        Environment::parse(environment).ok_or_else(|| {
            let words = Environment::WORDS.join(", ");
            usage(format!(
                "--environment: expected one of {words}, got {environment:?}"
            ))
        })?;
        defaults.insert("environment".to_owned(), json!(environment));
    }
    if let Some(text) = of_file {
        let own = serde_json::from_str::<Map<String, Value>>(text);
        defaults.extend(own.map_err(|error| usage(error.to_string()))?);
    }
    let line = (!defaults.is_empty()).then(|| json!({ "defaults": defaults }).to_string());
    Ok(line)
}

/// A digest of how lines are read.
fn read_by(options: &ImportOptions, format: FileFormat, defaults: Option<&str>) -> String {
    let mut digest = LinesDigest::default();
    digest.add(format.as_str().as_bytes());
    digest.add(defaults.unwrap_or_default().as_bytes());
    for (field, column) in &options.columns {
        digest.add(field.as_bytes());
        digest.add(column.as_bytes());
    }
    digest.text()
}

/// What is kept beside the input.
struct Files {
    refused: Option<PathBuf>,
    journal: Option<ImportJournal>,
}

impl Files {
    fn of(options: &ImportOptions, is_file: bool) -> Self {
        let beside = |ending: &str| {
            is_file.then(|| {
                let mut name = options.file.as_os_str().to_owned();
                name.push(ending);
                PathBuf::from(name)
            })
        };
        let refused = options.refused.clone();
        let journal = options.journal.clone().filter(|_| is_file);
        Self {
            refused: refused.or_else(|| beside(".refused.ndjson")),
            journal: journal
                .or_else(|| beside(".journal"))
                .map(ImportJournal::at),
        }
    }

    /// Opens them where an import goes on, or begins.
    fn open(&self, state: &ImportState) -> Result<Option<RefusedFile>, Error> {
        let failed = |path: &Path, option: &str, why: &io::Error| {
            usage(format!("{}: {why}; see {option}", path.display()))
        };
        let refused = self.refused.as_deref().map(|path| {
            let opened = RefusedFile::open(path, state.refused_bytes);
            opened.map_err(|why| failed(path, "--refused", &why))
        });
        let refused = refused.transpose()?;
        let written = self.journal.as_ref().map(|journal| {
            let written = journal.write(state);
            written.map_err(|why| failed(journal.path(), "--journal", &why))
        });
        match (written, refused) {
            (Some(Err(error)), Some(refused)) => {
                // The error is about more than this.
                let _ = refused.finish();
                Err(error)
            }
            (Some(Err(error)), None) => Err(error),
            (_, refused) => Ok(refused),
        }
    }

    /// Sees that none of them is the input, or another.
    fn check(&self, input: &Path) -> Result<(), Error> {
        let own = |path: &Path| std::fs::canonicalize(path).ok();
        let journal = self.journal.as_ref().map(ImportJournal::path);
        let named = [Some(input), self.refused.as_deref(), journal];
        let mut seen = Vec::new();
        for path in named.into_iter().flatten().filter_map(own) {
            if seen.contains(&path) {
                let path = path.display();
                return Err(usage(format!("{path}: expected three different files")));
            }
            seen.push(path);
        }
        Ok(())
    }
}

/// Where it begins: where an import before has ended, of which the journal says enough to know that
/// it was the same; those of its lines are read, and passed over.
fn go_on(
    options: &ImportOptions,
    files: &Files,
    input: &mut Input,
    beginning: ImportState,
) -> Result<(ImportState, LinesDigest), Error> {
    let mut digest = LinesDigest::default();
    let Some(journal) = &files.journal else {
        return Ok((beginning, digest));
    };
    let failed = |why: &str| usage(format!("{}: {why}", journal.path().display()));
    let before = journal.read().map_err(|error| failed(&error.to_string()))?;
    let Some(before) = before.filter(|_| !options.restarts) else {
        return Ok((beginning, digest));
    };
    let another = |why: &str| {
        failed(&format!(
            "an import before this one {why}. --restart begins anew; lines that were registered \
             before are registered again, which changes nothing but their time"
        ))
    };
    before.check(&beginning).map_err(|why| another(&why))?;
    let read = pass_over(input, &mut digest, before.counts.lines());
    read.map_err(|error| failed(&error.to_string()))?;
    if digest.text() != before.digest {
        return Err(another("read other lines, so the file has changed"));
    }
    if before.line > 0 {
        let line = grouped(before.line);
        output::note(&format!(
            "going on after line {line}, where the import before has ended"
        ));
    }
    Ok((before, digest))
}

fn pass_over(input: &mut Input, digest: &mut LinesDigest, lines: u64) -> io::Result<()> {
    for _ in 0..lines {
        match input.next()? {
            Some(line) => digest.add(&line.raw),
            None => break,
        }
    }
    Ok(())
}

/// Says what became of it.
async fn finish(
    session: ImportSession,
    ended: Ended,
    options: &ImportOptions,
) -> Result<Exit, Error> {
    let elapsed = session.elapsed();
    let (state, first) = (session.state().clone(), session.first_lines());
    for (text, count) in session.warnings().iter() {
        output::note(&format!("warning: {text} ({} lines)", grouped(count)));
    }
    if session.warnings().others > 0 {
        let others = grouped(session.warnings().others);
        output::note(&format!("warning: {others} others that are not shown"));
    }
    let has_journal = session.has_journal();
    let refused = session.refused_path();
    let closed = session.close(matches!(ended, Ended::Whole)).await;
    let ended = match closed {
        Ok(()) => ended,
        Err(error) => Ended::Failed(error),
    };
    let counts = state.counts;
    let lines = counts.lines();
    let rate = grouped(a_second(lines - first, elapsed));
    let mut sum = format!(
        "{} lines: {} new, {} known, {} refused; {}, {rate} lines a second",
        grouped(lines),
        grouped(counts.new),
        grouped(counts.known),
        grouped(counts.refused),
        clock(elapsed),
    );
    if let Some(path) = refused.filter(|_| counts.refused > 0) {
        sum.push_str(&format!("; what was refused is in {}", path.display()));
    }
    output::note(&visible_lines(&sum));
    if options.json {
        let json = json!({"lines": lines, "new": counts.new, "known": counts.known,
            "refused": counts.refused, "line": state.line});
        output::data(&json.to_string())?;
    }
    let place = format!("everything up to line {} is answered", grouped(state.line));
    let remedy = match has_journal {
        true => "the same command goes on after it",
        false => "what is behind it has to come again",
    };
    match ended {
        Ended::Whole if counts.refused > 0 => Ok(Exit::Refused),
        Ended::Whole => Ok(Exit::Done),
        Ended::Failed(error) => {
            let why = format!("{error}; {place}, and {remedy}");
            Err(Error::with(error.exit(), why))
        }
        Ended::Interrupted => {
            output::note(&format!("dunlin: interrupted; {place}, and {remedy}"));
            std::process::exit(INTERRUPTED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ImportOptions {
        ImportOptions {
            file: "a.csv".into(),
            topic: None,
            environment: None,
            format: None,
            columns: Vec::new(),
            refused: None,
            journal: None,
            restarts: false,
            patience: Duration::ZERO,
            json: false,
        }
    }

    fn with(topic: Option<&str>, environment: Option<&str>) -> ImportOptions {
        ImportOptions {
            topic: topic.map(str::to_owned),
            environment: environment.map(str::to_owned),
            ..options()
        }
    }

    #[test]
    fn the_files_own_defaults_go_before_the_options() {
        assert_eq!(defaults(&options(), None).unwrap(), None);
        let both = with(Some("a.b"), Some("sandbox"));
        let line = defaults(&both, None).unwrap().unwrap();
        let expected = r#"{"defaults":{"environment":"sandbox","topic":"a.b"}}"#;
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(read(&line), read(expected));
        let of_file = Some(r#"{"topic":"c.d","tags":["x"]}"#);
        let line = defaults(&both, of_file).unwrap().unwrap();
        let found = read(&line);
        assert_eq!(found["defaults"]["topic"], "c.d");
        assert_eq!(found["defaults"]["environment"], "sandbox");
        for wrong in [with(Some("a b"), None), with(None, Some("staging"))] {
            assert_eq!(defaults(&wrong, None).unwrap_err().exit(), Exit::Usage);
        }
    }

    #[test]
    fn a_format_and_columns_are_checked_before_anything_is_read() {
        let of = |file: &str, columns: &[(&str, &str)]| {
            let own = |(field, name): &(&str, &str)| ((*field).to_owned(), (*name).to_owned());
            format_of(&ImportOptions {
                file: file.into(),
                columns: columns.iter().map(own).collect(),
                ..options()
            })
        };
        assert_eq!(of("a.csv", &[("token", "id")]).unwrap(), FileFormat::Csv);
        assert_eq!(of("-", &[]).unwrap(), FileFormat::Ndjson);
        for (file, columns) in [
            ("a.txt", &[][..]),
            ("a.ndjson", &[("token", "id")]),
            ("a.csv", &[("tokn", "id")]),
            ("a.csv", &[("token", "")]),
        ] {
            assert_eq!(of(file, columns).unwrap_err().exit(), Exit::Usage, "{file}");
        }
    }

    #[test]
    fn what_is_kept_is_beside_the_file_and_never_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        std::fs::write(&file, "token\n").unwrap();
        let own = ImportOptions {
            file: file.clone(),
            ..options()
        };
        let files = Files::of(&own, true);
        let journal = files.journal.as_ref().unwrap().path();
        assert_eq!(journal, folder.path().join("a.csv.journal"));
        files.check(&file).unwrap();
        let over_it = ImportOptions {
            refused: Some(folder.path().join("../").join(folder.path()).join("a.csv")),
            ..own.clone()
        };
        assert!(Files::of(&over_it, true).check(&file).is_err());
        let none = Files::of(&own, false);
        assert!(none.journal.is_none() && none.refused.is_none());
    }
}
