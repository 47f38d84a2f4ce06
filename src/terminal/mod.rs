//! A command line becomes one of the calls of the HTTP interface, and its reply a text for people.
//!
//! ```text
//!   push --token a1b2… --topic com.example.app --alert hello   ──► POST /v1/push, its body
//!   devices --alias anna                                       ──► GET /v1/devices, its query
//!   feedback, sweep                                            ──► POST /v1/tasks/{task}
//! ```
//!
//! The same words work wherever the function runs: through `wasi:cli/run` on any platform, and
//! through the host's own command, which reads them here too.

mod push;
mod render;
mod usage;

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt as _};

pub use push::{Content, PushCommand};
pub use render::{Rendered, render};
pub use usage::{USAGE, Usage};

use crate::api::Task;

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Send a push.
    Push(Box<PushCommand>),
    /// List devices; the query of `GET /v1/devices`.
    Devices(String),
    /// Run a task.
    Task(Task),
    /// Say what the commands are.
    Help,
}

/// A command, and how it is to be carried out.
#[derive(Debug)]
pub struct Invocation {
    /// What is to be done.
    pub command: Command,
    /// Show the reply as it is, JSON.
    pub json: bool,
    /// What only a host can heed.
    pub place: Place,
}

/// Where a host finds what it needs; each is absent unless it was said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// Lets a service that is running do it.
    pub api_key: Option<String>,
    /// Another component than the embedded one.
    pub component: Option<PathBuf>,
}

/// Reads a command line without the program's name.
///
/// # Errors
/// [`Usage`], which says what was wrong in one line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Usage> {
    let mut parser = Parser::from_args(arguments);
    let name = match parser.next()? {
        None => return Ok(help()),
        Some(Arg::Short('h') | Arg::Long("help")) => return Ok(help()),
        Some(Arg::Value(name)) => name.string()?,
        Some(other) => return Err(other.unexpected().into()),
    };
    let mut rest = Rest {
        parser,
        json: false,
        place: Place::default(),
    };
    let command = match name.as_str() {
        "push" => push::parse(&mut rest)?.map(|push| Command::Push(Box::new(push))),
        "devices" => devices(&mut rest)?.map(Command::Devices),
        "help" => None,
        _ => match Task::parse(&name) {
            Some(task) => task_command(&mut rest, task)?,
            None => return Err(Usage(format!("there is no command {name:?}"))),
        },
    };
    Ok(Invocation {
        command: command.unwrap_or(Command::Help),
        json: rest.json,
        place: rest.place,
    })
}

fn help() -> Invocation {
    Invocation {
        command: Command::Help,
        json: false,
        place: Place::default(),
    }
}

/// What follows the command's name.
struct Rest {
    parser: Parser,
    json: bool,
    place: Place,
}

/// An option of a command's own, or the end.
enum Next {
    Option(String),
    Help,
    End,
}

impl Rest {
    /// The next option, those of every command aside.
    fn next(&mut self) -> Result<Next, Usage> {
        loop {
            let name = match self.parser.next()? {
                None => return Ok(Next::End),
                Some(Arg::Short('h')) => return Ok(Next::Help),
                Some(Arg::Long(name)) => name.to_owned(),
                Some(other) => return Err(other.unexpected().into()),
            };
            match name.as_str() {
                "help" => return Ok(Next::Help),
                "json" => self.json = true,
                "config" => self.place.config = Some(self.parser.value()?.into()),
                "component" => self.place.component = Some(self.parser.value()?.into()),
                "api-key" => self.place.api_key = Some(self.text()?),
                _ => return Ok(Next::Option(name)),
            }
        }
    }

    fn text(&mut self) -> Result<String, Usage> {
        Ok(self.parser.value()?.string()?)
    }

    fn number(&mut self) -> Result<u64, Usage> {
        let text = self.text()?;
        let wrong = || Usage(format!("expected a whole number such as 60, got {text:?}"));
        text.parse().map_err(|_| wrong())
    }
}

fn unknown(option: &str) -> Usage {
    Usage(format!("there is no option --{option} here"))
}

fn devices(rest: &mut Rest) -> Result<Option<String>, Usage> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    loop {
        match rest.next()? {
            Next::End => return Ok(Some(query.finish())),
            Next::Help => return Ok(None),
            Next::Option(name) => match name.as_str() {
                "alias" | "topic" | "tag" | "cursor" | "limit" => {
                    let value = rest.text()?;
                    query.append_pair(&name, &value);
                }
                _ => return Err(unknown(&name)),
            },
        }
    }
}

fn task_command(rest: &mut Rest, task: Task) -> Result<Option<Command>, Usage> {
    loop {
        match rest.next()? {
            Next::End => return Ok(Some(Command::Task(task))),
            Next::Help => return Ok(None),
            // There is no other way: what comes again belongs to a schedule.
            Next::Option(name) if name == "once" => {}
            Next::Option(name) => return Err(unknown(&name)),
        }
    }
}

#[cfg(test)]
mod tests;
