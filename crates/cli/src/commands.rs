//! `dunlin push`, `devices`, `feedback` and `sweep`: the function's own commands, run here, or
//! asked of a service that is running.
//!
//! ```text
//!   options ─► Call ─┬─ --url ──────────► the service there
//!                    ├─ store is free ──► wasi:cli/run of the function, here
//!                    └─ otherwise ──────► the service where the configuration has it listen
//!                             reply ─► dunlin::terminal::render ─► output, exit code
//! ```

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dunlin::api::Task;
use dunlin::terminal::{self, Content, Exit, PushCommand, ReplyTo};
use dunlin_host::config::StoreSettings;
use dunlin_host::engine::{Engine, Words};
use dunlin_host::metrics::Status;
use dunlin_host::store::{Store, StoreError};

use crate::Error;
use crate::client::{Answer, LinesClient, ServiceUrl, TakeBytes, ask};
use crate::config::Config;
use crate::output;
use crate::progress;
use crate::serve;
use crate::status;

/// Longest wait for a running service.
const PATIENCE: Duration = Duration::from_secs(120);

/// Largest payload or request that is read, in bytes; what the HTTP interface takes.
const MAX_CONTENT: u64 = 1024 * 1024;

/// Where what is needed is.
#[derive(Clone, Debug)]
pub struct ServiceAccess {
    /// The configuration file.
    pub config: PathBuf,
    /// A service to ask, whatever the configuration says.
    pub url: Option<ServiceUrl>,
    /// Who we are to a running service.
    pub api_key: Option<String>,
    /// Another component than the embedded one.
    pub component: Option<PathBuf>,
}

impl ServiceAccess {
    /// Where devices are, as another run of the same command finds them: the service of the URL, or
    /// the store of the configuration, whoever has it.
    ///
    /// # Errors
    /// If the configuration cannot be used, or its store is in memory: nothing of this process
    /// stays in that.
    pub fn place(&self) -> Result<String, Error> {
        if let Some(url) = &self.url {
            return Ok(url.to_string());
        }
        match Config::load(&self.config)?.store {
            StoreSettings::File { path } => {
                let path = std::fs::canonicalize(&path).unwrap_or(path);
                Ok(path.display().to_string())
            }
            StoreSettings::Memory => Err(Error::with(
                Exit::Usage,
                "the store of this configuration is in the memory of the service: expected --url \
                 or DUNLIN_URL, got neither",
            )),
        }
    }
}

/// A call of the HTTP interface, which is what every command comes to.
#[derive(Clone, Debug)]
pub struct Call {
    reply_to: ReplyTo,
    method: &'static str,
    /// The path, and the query if there is one.
    target: String,
    body: Vec<u8>,
}

impl Call {
    /// A push. What its options name is read.
    ///
    /// # Errors
    /// [`Exit::Usage`], if a file cannot be read, or its payload is not JSON.
    pub fn push(push: PushCommand) -> Result<Self, Error> {
        let content = read(&push.content())?;
        let body = push.body(content);
        let body = body.map_err(|usage| Error::with(Exit::Usage, usage.0))?;
        Ok(Self::push_of(body))
    }

    /// A push with this body.
    pub fn push_of(body: Vec<u8>) -> Self {
        Self {
            reply_to: ReplyTo::Push,
            method: "POST",
            target: "/v1/push".to_owned(),
            body,
        }
    }

    /// A list of devices, by the query of `GET /v1/devices`.
    pub fn devices(query: &str) -> Self {
        Self {
            reply_to: ReplyTo::Devices,
            method: "GET",
            target: format!("/v1/devices?{query}"),
            body: Vec::new(),
        }
    }

    /// The run of a task.
    pub fn task(task: Task) -> Self {
        Self {
            reply_to: ReplyTo::Task,
            method: "POST",
            target: format!("/v1/tasks/{}", task.as_str()),
            body: Vec::new(),
        }
    }
}

/// Makes a call and shows what became of it, with `json` as it is.
///
/// # Errors
/// If the configuration, the store, the component or the service cannot be used.
pub async fn run(call: Call, access: &ServiceAccess, json: bool) -> Result<Exit, Error> {
    let reply_to = call.reply_to;
    let answerer = Answerer::open(access).await?;
    let answered = match reply_to {
        // It may be to ten thousand devices, and is answered once for all of them.
        ReplyTo::Push => progress::waiting("sending", answerer.answer(call)).await,
        ReplyTo::Devices | ReplyTo::Task => answerer.answer(call).await,
    };
    // What was written has to be on disk before it counts as done.
    answerer.close().await?;
    let Answer { status, body } = answered?;
    let rendered = terminal::render(reply_to, status, body.as_bytes(), json);
    let written = output::data(&rendered.data);
    output::note(&rendered.notes);
    match rendered.exit {
        Exit::Done => written.map(|()| Exit::Done),
        exit => Ok(exit),
    }
}

/// What answers calls: a service that is running, or the function in this process.
pub struct Answerer(AnswerBy);

enum AnswerBy {
    There {
        service: ServiceUrl,
        key: String,
        lines: LinesClient,
    },
    Here {
        engine: Box<Engine>,
        store: Store,
    },
}

impl std::fmt::Debug for Answerer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            AnswerBy::There { service, .. } => write!(f, "Answerer({service})"),
            AnswerBy::Here { .. } => f.write_str("Answerer(here)"),
        }
    }
}

impl Answerer {
    /// Finds it by what the caller said of it.
    ///
    /// # Errors
    /// If the configuration, the store, the component or the service cannot be used.
    pub async fn open(access: &ServiceAccess) -> Result<Self, Error> {
        let key = access.api_key.as_deref();
        if let Some(url) = &access.url {
            let key = key.ok_or_else(|| {
                let expected =
                    "expected --api-key or DUNLIN_API_KEY with a service to ask, got neither";
                Error::with(Exit::Usage, expected)
            })?;
            return Ok(Self::there(url.clone(), key));
        }
        let config = Config::load(&access.config)?;
        match (serve::open(&config.store), key) {
            (Ok(store), _) => Self::here(access, &config, store),
            (Err(error), Some(key)) if error.is_in_use() => {
                let service = ServiceUrl::from(config.host.listen);
                // The service may have been started with another configuration, and somebody else
                // be there: the key is for Dunlin alone.
                status::metrics(&service, status::PATIENCE).await?;
                Ok(Self::there(service, key))
            }
            (Err(error), None) if error.is_in_use() => Err(Error::with(
                Exit::Usage,
                format!(
                    "{error}; a running service can be asked instead, with --api-key or \
                     DUNLIN_API_KEY"
                ),
            )),
            (Err(error), _) => Err(error),
        }
    }

    fn there(service: ServiceUrl, key: &str) -> Self {
        let key = key.to_owned();
        let lines = LinesClient::new(service.clone(), key.clone());
        Self(AnswerBy::There {
            service,
            key,
            lines,
        })
    }

    fn here(access: &ServiceAccess, config: &Config, store: Store) -> Result<Self, Error> {
        let component = access.component.as_deref();
        let status = Status::default();
        let engine = serve::load(&access.config, component, config, &store, &status)?;
        let engine = Box::new(engine);
        Ok(Self(AnswerBy::Here { engine, store }))
    }

    /// Makes a call.
    ///
    /// # Errors
    /// If the service is not reached or does not answer, or the function fails.
    pub async fn answer(&self, call: Call) -> Result<Answer, Error> {
        match &self.0 {
            AnswerBy::There { service, key, .. } => {
                let (service, path) = (service.clone(), &call.target);
                ask(service, call.method, path, Some(key), call.body, PATIENCE).await
            }
            AnswerBy::Here { engine, .. } => answer_here(engine, call).await,
        }
    }

    /// Registers devices, one a line. What comes of an answer of lines is taken as it comes, and
    /// the one returned has none of it; any other is returned with its body.
    ///
    /// # Errors
    /// As [`Answerer::answer`]; of an answer that breaks off, what came before it was taken.
    pub async fn register(&mut self, lines: Vec<u8>, take: TakeBytes<'_>) -> Result<Answer, Error> {
        const PATH: &str = "/v1/devices";
        match &mut self.0 {
            AnswerBy::There { lines: client, .. } => client.post(PATH, lines, take).await,
            AnswerBy::Here { engine, .. } => {
                let words = Words {
                    arguments: vec!["request".into(), "POST".into(), PATH.into()],
                    input: lines,
                };
                let ran = engine.run_command(&words).await;
                let said = ran.map_err(|error| Error::new(format!("{error:#}")))?;
                let end = said.iter().position(|byte| *byte == b'\n');
                let (head, rest) = said.split_at(end.map_or(said.len(), |end| end + 1));
                let mut answer = reply(head).ok_or_else(no_reply)?;
                match answer.status {
                    200 => take(rest),
                    _ => answer.body = String::from_utf8_lossy(rest).into_owned(),
                }
                Ok(answer)
            }
        }
    }

    /// Gives it back; what was written in this process is on disk then.
    ///
    /// # Errors
    /// If it is not.
    pub async fn close(self) -> Result<(), Error> {
        match self.0 {
            AnswerBy::There { .. } => Ok(()),
            AnswerBy::Here { engine, store } => {
                drop(engine);
                close(store).await
            }
        }
    }
}

/// Has the function answer in this process.
async fn answer_here(engine: &Engine, call: Call) -> Result<Answer, Error> {
    // A push may have been under way.
    let stopped = match call.reply_to {
        ReplyTo::Push => Exit::Unanswered,
        ReplyTo::Devices | ReplyTo::Task => Exit::Failed,
    };
    let words = Words {
        arguments: vec!["request".into(), call.method.into(), call.target],
        input: call.body,
    };
    let ran = engine.run_command(&words).await;
    let said = ran.map_err(|error| Error::with(stopped, format!("{error:#}")))?;
    reply(&said).ok_or_else(no_reply)
}

/// It has said on the standard error why there is none.
fn no_reply() -> Error {
    Error::new("expected a reply of the component, got none")
}

/// Closes the store, having waited until all that was written is on disk.
async fn close(store: Store) -> Result<(), Error> {
    let durable: Result<(), StoreError> = store.durable(store.written()).await;
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    durable?;
    closed.map_err(|error| Error::new(format!("the store could not be closed: {error}")))
}

/// What a `request` says: the status in a line, then the body.
fn reply(said: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(said);
    let (status, body) = text.split_once('\n')?;
    Some(Answer {
        status: status.parse().ok()?,
        body: body.to_owned(),
    })
}

/// What a push names as its content.
///
/// # Errors
/// [`Exit::Usage`], if it cannot be read or is too large.
pub fn read(content: &Content) -> Result<Vec<u8>, Error> {
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
