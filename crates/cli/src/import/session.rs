//! An import under way: batches out, results in, what is answered written down.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use dunlin::terminal::{Exit, ReplyTo, render, visible};

use super::input::{Input, InputLine};
use super::journal::{ImportJournal, ImportState, LinesDigest};
use super::refused::{LineRefusal, RefusedFile};
use super::results::{BatchResults, LineOutcome, Warnings};
use crate::client::Answer;
use crate::commands::Answerer;
use crate::progress::{Done, ProgressBar, grouped};
use crate::waits::{GrowingWaits, StopRequest};
use crate::{Error, output};

/// Most lines of a request, and bytes, beyond which no line is added.
pub const BATCH_LINES: usize = 5_000;
pub const BATCH_BYTES: usize = 1024 * 1024;

/// How long what is under way is waited for once the import is to end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Refused lines that are shown; the others are in their file alone.
const SHOWN: u64 = 10;

/// The least status that is the service's fault, and those that say to ask later.
const SERVERS_FAULT: u16 = 500;
const LATER: [u16; 2] = [408, 429];

/// What an import is made of.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is named by its type")]
pub struct SessionParts {
    pub input: Input,
    /// The line of defaults that each request begins with.
    pub defaults: Option<String>,
    pub answerer: Answerer,
    pub journal: Option<ImportJournal>,
    pub refused: Option<RefusedFile>,
    pub state: ImportState,
    pub digest: LinesDigest,
    pub waits: GrowingWaits,
    pub stop: StopRequest,
}

/// How it ended.
#[derive(Debug)]
pub enum Ended {
    /// Every line is answered.
    Whole,
    /// It cannot go on.
    Failed(Error),
    /// Somebody wanted it to end.
    Interrupted,
}

/// Why lines have no result.
enum Trouble {
    /// It may pass.
    Passing(Error),
    /// It will not.
    Lasting(Error),
}

/// See the module.
#[derive(Debug)]
pub struct ImportSession {
    parts: SessionParts,
    /// Lines without a result.
    batch: VecDeque<InputLine>,
    /// Why nothing more can be read.
    unreadable: Option<io::Error>,
    warnings: Warnings,
    bar: ProgressBar,
    shown: u64,
    /// Lines that were answered before.
    first: u64,
}

impl ImportSession {
    /// Nothing is sent yet.
    pub fn begin(parts: SessionParts) -> Self {
        let first = parts.state.counts.lines();
        let before = Done {
            part: parts.state.offset,
            items: first,
        };
        Self {
            bar: ProgressBar::begin(before, parts.input.length),
            parts,
            batch: VecDeque::new(),
            unreadable: None,
            warnings: Warnings::default(),
            shown: 0,
            first,
        }
    }

    /// How far it is.
    pub fn state(&self) -> &ImportState {
        &self.parts.state
    }

    /// Lines that were answered before it began.
    pub fn first_lines(&self) -> u64 {
        self.first
    }

    /// Since it began.
    pub fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }

    /// What the service said of devices that it took.
    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// Whether it can go on another time.
    pub fn has_journal(&self) -> bool {
        self.parts.journal.is_some()
    }

    /// Where refused lines are.
    pub fn refused_path(&self) -> Option<PathBuf> {
        let refused = self.parts.refused.as_ref();
        refused.map(|file| file.path().to_owned())
    }

    /// Goes on until all is answered or it cannot.
    pub async fn run(&mut self) -> Ended {
        let ran = self.batches().await;
        self.bar.clear();
        match ran {
            Ok(true) => Ended::Whole,
            Ok(false) => Ended::Interrupted,
            Err(error) => Ended::Failed(error),
        }
    }

    /// Gives back what it has. Where all is answered, or nothing, the journal is of no more use.
    ///
    /// # Errors
    /// If something is not on disk.
    pub async fn close(self, is_whole: bool) -> Result<(), Error> {
        let parts = self.parts;
        let closed = parts.answerer.close().await;
        let is_over = is_whole || parts.state.counts.lines() == 0;
        if let Some(refused) = parts.refused.filter(|_| is_over) {
            refused.finish()?;
        }
        if let Some(journal) = parts.journal.filter(|_| is_over) {
            journal.remove()?;
        }
        closed
    }

    /// False: it was interrupted.
    async fn batches(&mut self) -> Result<bool, Error> {
        loop {
            if self.batch.is_empty() {
                tokio::task::block_in_place(|| self.fill())?;
            }
            if self.batch.is_empty() {
                return Ok(true);
            }
            if self.parts.stop.is_asked() {
                return Ok(false);
            }
            let (outcomes, trouble) = self.attempt().await;
            if tokio::task::block_in_place(|| self.commit(outcomes))? {
                self.parts.waits.reset();
            }
            match trouble {
                None => {}
                Some(Trouble::Lasting(error)) => return Err(error),
                Some(Trouble::Passing(error)) => self.wait(error).await?,
            }
        }
    }

    /// Reads the next batch; none is left at the end.
    fn fill(&mut self) -> Result<(), Error> {
        let mut bytes = 0;
        while self.unreadable.is_none() && self.batch.len() < BATCH_LINES && bytes < BATCH_BYTES {
            match self.parts.input.next() {
                Ok(Some(line)) => {
                    bytes += line.raw.len();
                    self.batch.push_back(line);
                }
                Ok(None) => break,
                // What was read before it is brought to its end first.
                Err(error) => self.unreadable = Some(error),
            }
        }
        match self.unreadable.take_if(|_| self.batch.is_empty()) {
            Some(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(Error::with(Exit::Usage, error.to_string()))
            }
            Some(error) => Err(Error::new(error.to_string())),
            None => Ok(()),
        }
    }

    /// Sends the batch; says what became of each of its lines, and why some have no result.
    async fn attempt(&mut self) -> (Vec<Option<LineOutcome>>, Option<Trouble>) {
        let (body, sent) = self.body();
        let state = &self.parts.state;
        let (lines, offset) = (state.counts.lines(), state.offset);
        let ahead = self.batch.back().map_or(0, |line| line.end - offset);
        let whole = self.batch.len() as u64;
        let has_defaults = self.parts.defaults.is_some();
        let mut results = BatchResults::new(sent, has_defaults, &mut self.warnings);
        let bar = &mut self.bar;
        let refused = self.parts.state.counts.refused;
        let mut take = |bytes: &[u8]| {
            results.take(bytes);
            let done = Done {
                part: offset + ahead * results.answered() / whole.max(1),
                items: lines + results.answered(),
            };
            bar.show(done, || counts(done.items, refused));
        };
        let stop = &self.parts.stop;
        let late = async {
            stop.asked().await;
            tokio::time::sleep(LAST_ANSWERS).await;
        };
        let trouble = match sent {
            0 => None,
            _ => tokio::select! {
                answer = self.parts.answerer.register(body, &mut take) => trouble_of(answer),
                () = late => Some(Trouble::Passing(Error::new("no answer so far"))),
            },
        };
        let (outcomes, bad_defaults, missing) = results.finish();
        let missing = missing.map(|why| Trouble::Passing(Error::with(Exit::Unanswered, why)));
        let lasting = bad_defaults.map(|why| {
            let why = format!("the defaults of all lines: {}", sentence(&why));
            Trouble::Lasting(Error::with(Exit::Refused, why))
        });
        (self.with_unsent(outcomes), lasting.or(trouble).or(missing))
    }

    /// The request, and how many lines are in it.
    fn body(&self) -> (Vec<u8>, usize) {
        let mut body = Vec::with_capacity(BATCH_BYTES);
        let lines = self.batch.iter().filter_map(|line| line.sent().ok());
        let defaults = self.parts.defaults.as_deref().map(str::as_bytes);
        let mut sent = 0;
        for line in defaults.into_iter().chain(lines) {
            body.extend_from_slice(line);
            body.push(b'\n');
            sent += 1;
        }
        (body, sent - usize::from(defaults.is_some()))
    }

    /// The outcomes of what was sent, and of what was not.
    fn with_unsent(&self, outcomes: Vec<Option<LineOutcome>>) -> Vec<Option<LineOutcome>> {
        let mut outcomes = outcomes.into_iter();
        let lines = self.batch.iter().map(|line| match line.sent() {
            Ok(_) => outcomes.next().flatten(),
            Err(why) => Some(LineOutcome::Refused(why.clone())),
        });
        lines.collect()
    }

    /// Writes down what is answered up to the first line that is not; whether that is any.
    fn commit(&mut self, outcomes: Vec<Option<LineOutcome>>) -> Result<bool, Error> {
        let parts = &mut self.parts;
        let (mut state, mut digest) = (parts.state.clone(), parts.digest.clone());
        let mut done = 0;
        for (line, outcome) in self
            .batch
            .iter()
            .zip(outcomes.into_iter().map_while(|it| it))
        {
            match outcome {
                LineOutcome::New => state.counts.new += 1,
                LineOutcome::Known => state.counts.known += 1,
                LineOutcome::Refused(why) => {
                    state.counts.refused += 1;
                    if self.shown < SHOWN {
                        self.shown += 1;
                        self.bar.clear();
                        let text = format!("line {}: {}", line.number, sentence(&why));
                        output::note(&visible(&text));
                    }
                    if let Some(refused) = &mut parts.refused {
                        refused.add(line.number, &line.raw, &why).map_err(|error| {
                            Error::new(format!("{}: {error}", refused.path().display()))
                        })?;
                    }
                }
            }
            digest.add(&line.raw);
            (state.line, state.offset) = (line.number, line.end);
            done += 1;
        }
        if done == 0 {
            return Ok(false);
        }
        if let Some(refused) = &mut parts.refused {
            let synced = refused.sync();
            let path = refused.path().display();
            synced.map_err(|error| Error::new(format!("{path}: {error}")))?;
            state.refused_bytes = refused.bytes();
        }
        state.digest = digest.text();
        if let Some(journal) = &parts.journal {
            let path = journal.path().display();
            let written = journal.write(&state);
            written.map_err(|error| Error::new(format!("{path}: {error}")))?;
        }
        (parts.state, parts.digest) = (state, digest);
        self.batch.drain(..done);
        let done = Done {
            part: self.parts.state.offset,
            items: self.parts.state.counts.lines(),
        };
        let refused = self.parts.state.counts.refused;
        self.bar.show(done, || counts(done.items, refused));
        Ok(true)
    }

    /// Waits before the rest is sent again, or until the import is to end.
    ///
    /// # Errors
    /// The one given, if it has been for long enough.
    async fn wait(&mut self, error: Error) -> Result<(), Error> {
        let (is_first, waits) = (self.parts.waits.is_new(), &mut self.parts.waits);
        if self.parts.stop.is_asked() {
            return Ok(());
        }
        let Some(wait) = waits.next_wait() else {
            return Err(error);
        };
        let why = visible(&error.to_string()).into_owned();
        if is_first {
            self.bar.clear();
            let patience = waits.bound().as_secs();
            output::note(&format!("{why}; trying again for up to {patience} s"));
        }
        self.bar.say(&format!("waiting: {why}"));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.parts.stop.asked() => {}
        }
        self.bar.clear();
        Ok(())
    }
}

fn counts(lines: u64, refused: u64) -> String {
    format!("{} lines, {} refused", grouped(lines), grouped(refused))
}

fn trouble_of(answer: Result<Answer, Error>) -> Option<Trouble> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let may_pass = matches!(error.exit(), Exit::NotReached | Exit::Unanswered);
            return Some(match may_pass {
                true => Trouble::Passing(error),
                false => Trouble::Lasting(error),
            });
        }
    };
    if answer.status == 200 {
        return None;
    }
    let said = render(
        ReplyTo::Devices,
        answer.status,
        answer.body.as_bytes(),
        false,
    );
    let error = Error::with(Exit::Refused, said.notes);
    Some(match answer.status {
        status if status >= SERVERS_FAULT || LATER.contains(&status) => Trouble::Passing(error),
        _ => Trouble::Lasting(error),
    })
}

/// What is wrong with a line, in one.
fn sentence(why: &LineRefusal) -> String {
    let LineRefusal {
        code,
        field,
        expected,
        got,
        detail,
    } = why;
    match field.is_empty() {
        true => format!("{code}: {detail}"),
        false => format!("{code}: {field}: expected {expected}, got {got}"),
    }
}
