//! `dunlin push --tokens-from`: a list of device tokens, some thousand at most in each request.
//!
//! ```text
//!   file, standard input ─► TokenList ─► batch ─► POST /v1/push, one after the other ─► lines
//!                                                   └─ refused: it ends, and says at which line
//! ```
//!
//! Lines that are no tokens are passed over and told. One batch is held at a time, whatever the
//! length of the list.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use dunlin::terminal::{
    BatchedPush, Exit, PushCommand, Rendered, Tally, render_batch, visible_lines,
};

use crate::Error;
use crate::client::Answer;
use crate::commands::{Answerer, Call, ServiceAccess, read};
use crate::output;
use crate::progress::{Done, ProgressBar};
use crate::tokens::{Batch, TokenList};

/// How often a batch is asked for that finds no room, and how long it waits in between.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// A list, and how long it is if that is known.
struct TokenSource {
    list: TokenList<Box<dyn BufRead + Send>>,
    length: Option<u64>,
}

/// What was done so far.
struct BulkProgress {
    tally: Tally,
    exit: Option<Exit>,
    /// The last line of which is known what became of it.
    line: u64,
    bar: ProgressBar,
}

/// Sends a push to the tokens of a list, and shows what became of each; with `json` each reply as
/// it is, in a line.
///
/// # Errors
/// If the list, the configuration, the store, the component or the service cannot be used, and
/// nothing was sent.
pub async fn push(
    command: PushCommand,
    from: &Path,
    access: &ServiceAccess,
    json: bool,
) -> Result<Exit, Error> {
    let usage = |why: String| Error::with(Exit::Usage, why);
    if command.content().is_on_standard_input() && from == Path::new("-") {
        let why = "expected the payload or the tokens on the standard input, got both";
        return Err(usage(why.to_owned()));
    }
    let content = read(&command.content())?;
    let mut push = command.batched(content).map_err(|error| usage(error.0))?;
    let failed = |error: io::Error| usage(format!("{}: {error}", from.display()));
    let mut source = TokenSource::open(from).map_err(failed)?;
    let answerer = Answerer::open(access).await?;
    let mut progress = BulkProgress::begin(source.length);
    let sent = send(&mut push, &mut source, &answerer, &mut progress, json).await;
    progress.bar.clear();
    let closed = answerer.close().await;
    let sent = sent.and(closed);
    if progress.line == 0 && sent.is_err() {
        return sent.map(|()| Exit::Done);
    }
    output::note(&progress.tally.to_string());
    if let Err(error) = sent {
        progress.ends_with(error.exit());
        // What was sent is more than the error knows of.
        let error = visible_lines(&error.to_string()).into_owned();
        output::note(&format!(
            "dunlin: {error}; ended after line {}",
            progress.line
        ));
    }
    Ok(progress.exit.unwrap_or(Exit::Done))
}

async fn send(
    push: &mut BatchedPush,
    source: &mut TokenSource,
    answerer: &Answerer,
    progress: &mut BulkProgress,
    json: bool,
) -> Result<(), Error> {
    let mut number = 0;
    loop {
        let batch = tokio::task::block_in_place(|| source.list.next_batch());
        let batch = batch.map_err(|error| Error::with(Exit::Usage, error.to_string()))?;
        let Some(Batch { tokens, lines }) = batch else {
            return Ok(());
        };
        number += 1;
        let body = push.body(number, tokens);
        let body = body.map_err(|usage| Error::with(Exit::Usage, usage.0))?;
        let answer = ask(answerer, body).await?;
        let (rendered, tally) = render_batch(answer.status, answer.body.as_bytes(), json, &lines);
        progress.bar.clear();
        let Rendered { data, notes, exit } = rendered;
        let Some(tally) = tally else {
            return Err(Error::with(exit, notes));
        };
        progress.tally += tally;
        progress.ends_with(exit);
        progress.line = lines.last().copied().unwrap_or(progress.line);
        if number == 1 {
            // They are the same for each batch.
            output::note(&notes);
        }
        output::data(&data)?;
        progress.show(source.list.bytes());
    }
}

/// Asks for a batch, and again while there is no room for it: then nothing was sent.
async fn ask(answerer: &Answerer, body: Vec<u8>) -> Result<Answer, Error> {
    let mut tries = 1;
    loop {
        let answer = answerer.answer(Call::push_of(body.clone())).await?;
        let has_room = answer.status != 503 || !answer.body.contains("\"urn:dunlin:overloaded\"");
        if has_room || tries == TRIES {
            return Ok(answer);
        }
        tries += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

impl TokenSource {
    fn open(from: &Path) -> io::Result<Self> {
        if from == Path::new("-") {
            return Ok(Self {
                list: TokenList::new(Box::new(BufReader::new(io::stdin()))),
                length: None,
            });
        }
        let file = File::open(from)?;
        let metadata = file.metadata()?;
        let length = metadata.is_file().then_some(metadata.len());
        Ok(Self {
            list: TokenList::new(Box::new(BufReader::new(file))),
            length: length.filter(|length| *length > 0),
        })
    }
}

impl BulkProgress {
    fn begin(length: Option<u64>) -> Self {
        Self {
            tally: Tally::default(),
            exit: None,
            line: 0,
            bar: ProgressBar::begin(Done::default(), length),
        }
    }

    /// Shows how far it is, having read so much.
    fn show(&mut self, part: u64) {
        let tally = self.tally;
        let items = tally.accepted + tally.rejected + tally.unanswered;
        self.bar.show(Done { part, items }, || tally.to_string());
    }

    fn ends_with(&mut self, exit: Exit) {
        self.exit = self.exit.max(Some(exit));
    }
}
