//! `dunlin push`, `devices`, `feedback` and `sweep`: the function's own commands, run here, or
//! asked of a service that is running.
//!
//! ```text
//!   options ─► Call ─┬─ --url ────────────────► the service there
//!                    ├─ the store is free ────► wasi:cli/run of the function, here
//!                    └─ a service has it ─────► that one, where the configuration has it listen
//!                                   reply ─► dunlin::terminal::render ─► output, exit code
//! ```

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dunlin::terminal::{self, Command, Content, Exit, PushCommand};
use dunlin_host::engine::Words;
use dunlin_host::metrics::Status;
use dunlin_host::store::{Store, StoreError};

use crate::Error;
use crate::client::{Answer, ServiceUrl, ask};
use crate::config::Config;
use crate::output;
use crate::serve;
use crate::status;

/// Longest wait for a running service.
const PATIENCE: Duration = Duration::from_secs(120);

/// Largest payload or request that is read, in bytes; what the HTTP interface takes.
const MAX_CONTENT: u64 = 1024 * 1024;

/// Where what is needed is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The configuration file.
    pub config: PathBuf,
    /// A service to ask, whatever the configuration says.
    pub url: Option<ServiceUrl>,
    /// Who we are to a running service.
    pub api_key: Option<String>,
    /// Another component than the embedded one.
    pub component: Option<PathBuf>,
}

/// Carries out a command and shows what became of it.
///
/// # Errors
/// If the options are no command, or the configuration, the store, the component or the service
/// cannot be used.
pub async fn run(command: Command, place: &Place, json: bool) -> Result<Exit, Error> {
    let (command, call) = Call::of(command)?;
    let Answer { status, body } = answer(&command, call, place).await?;
    let rendered = terminal::render(&command, status, body.as_bytes(), json);
    let written = output::data(&rendered.data);
    output::note(&rendered.notes);
    match rendered.exit {
        Exit::Done => written.map(|()| Exit::Done),
        exit => Ok(exit),
    }
}

async fn answer(command: &Command, call: Call, place: &Place) -> Result<Answer, Error> {
    let key = place.api_key.as_deref();
    if let Some(url) = &place.url {
        let key = key.ok_or_else(|| {
            let expected =
                "expected --api-key or DUNLIN_API_KEY with a service to ask, got neither";
            Error::with(Exit::Usage, expected)
        })?;
        return call.ask(url.clone(), key).await;
    }
    let config = Config::load(&place.config)?;
    match (serve::open(&config.store), key) {
        (Ok(store), _) => here(command, &call.words(), place, &config, store).await,
        (Err(error), Some(key)) if error.is_in_use() => {
            let service = ServiceUrl::from(config.host.listen);
            // The service may have been started with another configuration, and somebody else be
            // there: the key is for Dunlin alone.
            status::metrics(&service, status::PATIENCE).await?;
            call.ask(service, key).await
        }
        (Err(error), None) if error.is_in_use() => Err(Error::with(
            Exit::Usage,
            format!(
                "{error}; a running service can be asked instead, with --api-key or DUNLIN_API_KEY"
            ),
        )),
        (Err(error), _) => Err(error),
    }
}

async fn here(
    command: &Command,
    words: &Words,
    place: &Place,
    config: &Config,
    store: Store,
) -> Result<Answer, Error> {
    let component = place.component.as_deref();
    let status = Status::default();
    let engine = serve::load(&place.config, component, config, &store, &status)?;
    let ran = engine.run_command(words).await;
    drop(engine);
    close(store).await?;
    // A push may have been under way.
    let stopped = match command {
        Command::Push(_) => Exit::Unanswered,
        _ => Exit::Failed,
    };
    let said = ran.map_err(|error| Error::with(stopped, format!("{error:#}")))?;
    reply(&said).ok_or_else(|| {
        // It has said on the standard error why there is none.
        Error::new("expected a reply of the component, got none")
    })
}

/// Closes the store, having waited until all that was written is on disk.
async fn close(store: Store) -> Result<(), Error> {
    let durable: Result<(), StoreError> = store.durable(store.written()).await;
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    durable?;
    closed.map_err(|error| Error::new(format!("the store could not be closed: {error}")))
}

/// What `--reply` says: the status in a line, then the body.
fn reply(said: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(said);
    let (status, body) = text.split_once('\n')?;
    Some(Answer {
        status: status.parse().ok()?,
        body: body.to_owned(),
    })
}

/// A command as the call that it stands for.
enum Call {
    Push(Vec<u8>),
    Devices(String),
    Task(&'static str),
}

impl Call {
    /// Also the command again, to show the reply by.
    fn of(command: Command) -> Result<(Command, Self), Error> {
        Ok(match command {
            Command::Push(push) => {
                let content = read(&push.content())?;
                let body = push.body(content);
                let body = body.map_err(|usage| Error::with(Exit::Usage, usage.0))?;
                let shown = Command::Push(Box::<PushCommand>::default());
                (shown, Self::Push(body))
            }
            Command::Devices(query) => (Command::Devices(query.clone()), Self::Devices(query)),
            Command::Task(task) => (Command::Task(task), Self::Task(task.as_str())),
            Command::Help(text) => (Command::Help(text), Self::Task("help")),
        })
    }

    /// The words that make the function do it. A file is beyond its reach, so it gets a push on its
    /// standard input.
    fn words(self) -> Words {
        let (mut arguments, input) = match self {
            Self::Push(body) => (vec!["push".into(), "--request".into(), "-".into()], body),
            Self::Devices(query) => {
                let pairs = form_urlencoded::parse(query.as_bytes());
                let options =
                    pairs.flat_map(|(name, value)| [format!("--{name}"), value.into_owned()]);
                let words = std::iter::once("devices".to_owned()).chain(options);
                (words.collect(), Vec::new())
            }
            Self::Task(name) => (vec![name.to_owned()], Vec::new()),
        };
        arguments.push("--reply".into());
        Words { arguments, input }
    }

    async fn ask(self, service: ServiceUrl, key: &str) -> Result<Answer, Error> {
        let (method, path, body) = match self {
            Self::Push(body) => ("POST", "/v1/push".to_owned(), body),
            Self::Devices(query) => ("GET", format!("/v1/devices?{query}"), Vec::new()),
            Self::Task(name) => ("POST", format!("/v1/tasks/{name}"), Vec::new()),
        };
        ask(service, method, &path, Some(key), body, PATIENCE).await
    }
}

fn read(content: &Content) -> Result<Vec<u8>, Error> {
    let path = match content {
        Content::Options => return Ok(Vec::new()),
        Content::Payload(path) | Content::Request(path) => path,
    };
    let failed = |why: &dyn std::fmt::Display| {
        Error::with(Exit::Usage, format!("{}: {why}", path.display()))
    };
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .take(MAX_CONTENT + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_CONTENT + 1).read_to_end(&mut bytes))
    };
    let length = read.map_err(|error| failed(&error))?;
    match u64::try_from(length) {
        Ok(length) if length <= MAX_CONTENT => Ok(bytes),
        _ => Err(failed(&format_args!(
            "expected at most {MAX_CONTENT} bytes"
        ))),
    }
}
