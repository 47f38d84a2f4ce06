//! `dunlin push` and `dunlin devices`: the function's own commands, run here, or asked of the service
//! that is running.
//!
//! ```text
//!   words ─► dunlin::terminal ─┬─ the store is free ─► wasi:cli/run of the function
//!                              └─ a service has it ──► the same call of its HTTP interface
//! ```

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dunlin::terminal::{self, Command, Content, Invocation, PushCommand, USAGE};

use crate::Error;
use crate::ask::{Answer, ask};
use crate::config::Config;
use crate::function::Words;
use crate::server;
use crate::status::Status;
use crate::store::Store;
use crate::tasks;

/// Longest wait for a running service.
const PATIENCE: Duration = Duration::from_secs(120);

/// Largest payload or request that is read, in bytes; what the HTTP interface takes.
const MAX_CONTENT: u64 = 1024 * 1024;

/// Carries out a command and shows what became of it; whether all went well.
///
/// # Errors
/// If the words are no command, or the configuration, the store or the component cannot be used.
pub async fn run(words: &[OsString]) -> Result<bool, Error> {
    let Invocation {
        command,
        json,
        place,
    } = terminal::parse(words.iter().cloned())
        .map_err(|usage| Error::new(format!("{usage}; see dunlin push --help")))?;
    if matches!(command, Command::Help) {
        println!("{USAGE}");
        return Ok(true);
    }
    let (command, call) = Call::of(command)?;
    let environment = |name| std::env::var_os(name);
    let config_file = place
        .config
        .or_else(|| environment("DUNLIN_CONFIG").map(PathBuf::from))
        .unwrap_or_else(|| "dunlin.toml".into());
    let config = Config::load(&config_file)?;
    let key = place
        .api_key
        .or_else(|| environment("DUNLIN_API_KEY").and_then(|key| key.into_string().ok()));
    match (server::open(&config.store), key) {
        (Ok(store), _) => {
            let words = call.words(json);
            here(
                &config_file,
                place.component.as_deref(),
                &config,
                store,
                &words,
            )
            .await
        }
        (Err(error), Some(key)) if error.is_in_use() => {
            let Answer { status, body } = call.ask(config.host.listen, &key).await?;
            let rendered = terminal::render(&command, status, body.as_bytes(), json);
            println!("{}", rendered.text);
            Ok(rendered.well)
        }
        (Err(error), None) if error.is_in_use() => Err(Error::new(format!(
            "{error}; a running service can be asked instead, with --api-key or DUNLIN_API_KEY"
        ))),
        (Err(error), _) => Err(error),
    }
}

async fn here(
    config_file: &Path,
    component: Option<&Path>,
    config: &Config,
    store: Store,
    words: &Words,
) -> Result<bool, Error> {
    let function = Arc::new(server::load(
        config_file,
        component,
        config,
        &store,
        &Status::default(),
    )?);
    let ran = function.run_command(words).await;
    drop(function);
    tasks::close(store).await?;
    ran.map_err(|error| Error::new(format!("{error:#}")))
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
                let body = push.body(content).map_err(|usage| Error::new(usage.0))?;
                (
                    Command::Push(Box::<PushCommand>::default()),
                    Self::Push(body),
                )
            }
            Command::Devices(query) => (Command::Devices(query.clone()), Self::Devices(query)),
            Command::Task(task) => (Command::Task(task), Self::Task(task.as_str())),
            Command::Help => (Command::Help, Self::Task("help")),
        })
    }

    /// The words that make the function do it. A file is beyond its reach, so it gets a push on its
    /// standard input.
    fn words(self, json: bool) -> Words {
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
        if json {
            arguments.push("--json".into());
        }
        Words { arguments, input }
    }

    async fn ask(self, address: std::net::SocketAddr, key: &str) -> Result<Answer, Error> {
        let (method, path, body) = match self {
            Self::Push(body) => ("POST", "/v1/push".to_owned(), body),
            Self::Devices(query) => ("GET", format!("/v1/devices?{query}"), Vec::new()),
            Self::Task(name) => ("POST", format!("/v1/tasks/{name}"), Vec::new()),
        };
        ask(address, method, &path, Some(key), body, PATIENCE).await
    }
}

fn read(content: &Content) -> Result<Vec<u8>, Error> {
    let path = match content {
        Content::Options => return Ok(Vec::new()),
        Content::Payload(path) | Content::Request(path) => path,
    };
    let failed = |why: &dyn std::fmt::Display| Error::new(format!("{}: {why}", path.display()));
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
