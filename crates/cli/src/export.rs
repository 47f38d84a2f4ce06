//! `dunlin devices export`: all devices of an app, as `dunlin devices import` takes them.
//!
//! ```text
//!   GET /v1/devices?topic=… page by page ─► DeviceWriter ─► standard output
//!                                                        └► FILE.part ─► FILE, when it is whole
//! ```
//!
//! Each device is there once. One that registers or goes away meanwhile is there or not. Bound: one
//! page is held.

mod target;
mod writer;

use std::io::{self, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dunlin::environment::Environment;
use dunlin::terminal::{Exit, ReplyTo, render, visible};
use serde::Deserialize;

use crate::client::Answer;
use crate::commands::{Answerer, Call, ServiceAccess};
use crate::import::FileFormat;
use crate::progress::{Done, ProgressBar, clock, grouped};
use crate::serve::INTERRUPTED;
use crate::waits::{GrowingWaits, StopRequest};
use crate::{Error, output};
use target::Target;
use writer::{DeviceWriter, ExportedDevice};

/// Devices of a page: the most that the service gives.
const PAGE: &str = "1000";

/// The least status that is the service's fault, and the one that says to ask later.
const SERVERS_FAULT: u16 = 500;
const LATER: u16 = 429;

/// What an export is told.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The app.
    pub topic: String,
    /// Only devices of this environment.
    pub environment: Option<String>,
    /// How devices are written; otherwise the file's name says so, or NDJSON.
    pub format: Option<FileFormat>,
    /// Where to, if not to the standard output.
    pub output: Option<PathBuf>,
    /// Longest wait for a service that is away.
    pub patience: Duration,
}

#[derive(Deserialize)]
struct ExportedPage {
    devices: Vec<ExportedDevice>,
    cursor: Option<String>,
}

/// Exports the devices of an app.
///
/// # Errors
/// If the service cannot be asked or refuses, or the output cannot be written; of a file nothing is
/// left then.
pub async fn export(options: ExportOptions, access: &ServiceAccess) -> Result<Exit, Error> {
    let usage = |why: String| Error::with(Exit::Usage, why);
    let stop = StopRequest::listen()?;
    let named = options.environment.as_deref();
    let environment = named.map(|name| {
        let words = Environment::WORDS.join(", ");
        let expected = format!("--environment: expected one of {words}, got {name:?}");
        Environment::parse(name).ok_or_else(|| usage(expected))
    });
    let environment = environment.transpose()?;
    let path = options
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    let by_name = || path.and_then(FileFormat::of_name);
    let format = match (options.format.or_else(by_name), path) {
        (Some(format), _) => format,
        (None, None) => FileFormat::Ndjson,
        (None, Some(path)) => {
            let expected = "expected --format ndjson or csv, or a file that ends so; got";
            return Err(usage(format!("{expected} {}", path.display())));
        }
    };
    access.place()?;
    let answerer = Answerer::open(access).await?;
    let target = Target::open(path).map_err(|(path, error)| usage(format!("{path}: {error}")))?;
    let mut export = Export {
        answerer,
        environment,
        out: DeviceWriter {
            out: BufWriter::new(target),
            format,
        },
        devices: 0,
        waits: GrowingWaits::new(options.patience),
        bar: ProgressBar::begin(Done::default(), None),
        stop,
    };
    let written = export.pages(&options.topic).await;
    export.bar.clear();
    export.finish(written).await
}

struct Export {
    answerer: Answerer,
    environment: Option<Environment>,
    out: DeviceWriter<Target>,
    devices: u64,
    waits: GrowingWaits,
    bar: ProgressBar,
    stop: StopRequest,
}

/// Why there are no more pages.
enum LastPage {
    /// It was the last.
    Whole,
    /// Nobody reads them any more.
    NoReader,
    Interrupted,
}

impl Export {
    async fn pages(&mut self, topic: &str) -> Result<LastPage, Error> {
        self.out.head().map_err(|error| self.unwritable(&error))?;
        let mut cursor: Option<String> = None;
        loop {
            let Some(page) = self.page(topic, cursor.as_deref()).await? else {
                return Ok(LastPage::Interrupted);
            };
            for device in &page.devices {
                let wanted = self.environment;
                if wanted.is_some_and(|wanted| device.environment != Some(wanted)) {
                    continue;
                }
                match self.out.device(device) {
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                        return Ok(LastPage::NoReader);
                    }
                    written => written.map_err(|error| self.unwritable(&error))?,
                }
                self.devices += 1;
            }
            let done = Done {
                part: 0,
                items: self.devices,
            };
            self.bar
                .show(done, || format!("{} devices", grouped(done.items)));
            match page.cursor {
                // One that is asked for again would have no end.
                Some(next) if cursor.as_deref() != Some(&next) => cursor = Some(next),
                _ => return Ok(LastPage::Whole),
            }
        }
    }

    /// A page, asked for again while the service is away; `None` if the export is to end.
    async fn page(
        &mut self,
        topic: &str,
        cursor: Option<&str>,
    ) -> Result<Option<ExportedPage>, Error> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("topic", topic).append_pair("limit", PAGE);
        if let Some(cursor) = cursor {
            query.append_pair("cursor", cursor);
        }
        let query = query.finish();
        while !self.stop.is_asked() {
            let error = match self.answerer.answer(Call::devices(&query)).await {
                Ok(answer) if answer.status == 200 => {
                    self.waits.reset();
                    return page_of(&answer).map(Some);
                }
                Ok(answer) => refused(&answer)?,
                Err(error) if matches!(error.exit(), Exit::NotReached | Exit::Unanswered) => error,
                Err(error) => return Err(error),
            };
            self.wait(error).await?;
        }
        Ok(None)
    }

    async fn wait(&mut self, error: Error) -> Result<(), Error> {
        let is_first = self.waits.is_new();
        let Some(wait) = self.waits.next_wait() else {
            return Err(error);
        };
        let why = visible(&error.to_string()).into_owned();
        if is_first {
            self.bar.clear();
            let patience = self.waits.bound().as_secs();
            output::note(&format!("{why}; trying again for up to {patience} s"));
        }
        self.bar.say(&format!("waiting: {why}"));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stop.asked() => {}
        }
        Ok(())
    }

    fn unwritable(&self, error: &io::Error) -> Error {
        Error::new(format!("{}: {error}", self.out.out.get_ref().name()))
    }

    async fn finish(self, written: Result<LastPage, Error>) -> Result<Exit, Error> {
        let (devices, elapsed) = (self.devices, self.bar.elapsed());
        let closed = self.answerer.close().await;
        let written = closed.and(written)?;
        let name = self.out.out.get_ref().name();
        match written {
            LastPage::Interrupted => {
                drop(self.out);
                output::note("dunlin: interrupted; the export is not whole");
                std::process::exit(INTERRUPTED);
            }
            LastPage::NoReader => return Ok(Exit::Done),
            LastPage::Whole => {}
        }
        let target = self
            .out
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error);
        let kept = target.and_then(Target::keep);
        match kept {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            kept => kept.map_err(|error| Error::new(format!("{name}: {error}")))?,
        }
        let devices = grouped(devices);
        output::note(&format!("{devices} devices; {}", clock(elapsed)));
        Ok(Exit::Done)
    }
}

fn page_of(answer: &Answer) -> Result<ExportedPage, Error> {
    serde_json::from_str(&answer.body).map_err(|_| {
        let expected = "expected a page of devices, got something else";
        Error::with(Exit::Refused, expected)
    })
}

/// Why there is no page: the error inside may pass, that outside does not.
fn refused(answer: &Answer) -> Result<Error, Error> {
    let said = render(
        ReplyTo::Devices,
        answer.status,
        answer.body.as_bytes(),
        false,
    );
    let error = Error::with(Exit::Refused, said.notes);
    match answer.status {
        status if status >= SERVERS_FAULT || status == LATER => Ok(error),
        _ => Err(error),
    }
}
