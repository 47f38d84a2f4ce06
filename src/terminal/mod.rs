//! A command line becomes one of the calls of the HTTP interface, and its reply a text for people.
//!
//! ```text
//!   push --token a1b2… --topic com.example.app --alert hello   ──► POST /v1/push, its body
//!   devices --alias anna                                       ──► GET /v1/devices, its query
//!   feedback, sweep                                            ──► POST /v1/tasks/{task}
//! ```
//!
//! The words are those of `wasi:cli/run`, on any platform. The binary `dunlin` reads a command line
//! of its own with the same commands, and what both share is here: what a push says, what a reply
//! means, and the [`Exit`] it is told by; it hands on the request that has come of its own options
//! with `request METHOD TARGET`, which is in no help. `wasi:cli/run` itself can only say whether
//! all went well. Whatever comes from others is made visible before it is printed: aliases, reasons
//! of APNs, texts of errors.

mod exit;
mod push;
mod render;
mod rest;
mod usage;
mod visible;

use std::ffi::OsString;

use lexopt::{Arg, Parser, ValueExt as _};

pub use exit::{EXIT_CODES, Exit};
pub use push::{BatchedPush, Content, PushCommand, PushOptions};
pub use render::{Rendered, ReplyTo, Tally, render, render_batch};
pub use rest::parse_number;
use rest::{Next, Rest, unknown};
use usage::{DEVICES_USAGE, FEEDBACK_USAGE, PUSH_USAGE, SWEEP_USAGE};
pub use usage::{USAGE, Usage};
pub use visible::{is_hidden, visible, visible_json, visible_lines};

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
    /// Answer a request of the HTTP interface, whose body is on the standard input: the status in
    /// a line, then the body. It is no failure, whatever the reply says. Registrations are lines.
    Request {
        /// `GET` or `POST`.
        method: String,
        /// The path, and the query if there is one.
        target: String,
    },
    /// Say this text, which tells what the commands or the options of one are.
    Help(&'static str),
}

/// A command, and how it is to be carried out.
#[derive(Debug)]
pub struct Invocation {
    /// What is to be done.
    pub command: Command,
    /// Whether the reply is shown as it is, JSON, and not as a text for people.
    pub json: bool,
}

/// Reads a command line without the program's name.
///
/// # Errors
/// [`Usage`], which says what was wrong in one line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Usage> {
    let mut parser = Parser::from_args(arguments);
    let name = match parser.next()? {
        None | Some(Arg::Short('h') | Arg::Long("help")) => return Ok(help(USAGE)),
        Some(Arg::Value(name)) => name.string()?,
        Some(other) => return Err(other.unexpected().into()),
    };
    let mut rest = Rest::new(parser);
    let command = match name.as_str() {
        "push" => push::parse(&mut rest)?.map(|push| Command::Push(Box::new(push))),
        "devices" => devices(&mut rest)?.map(Command::Devices),
        "request" => Some(request(&mut rest)?),
        "help" => return Ok(help(USAGE)),
        _ => match Task::parse(&name) {
            Some(task) => task_command(&mut rest, task)?,
            None => return Err(Usage(format!("there is no command {name:?}"))),
        },
    };
    Ok(match command {
        Some(command) => Invocation {
            command,
            json: rest.json,
        },
        None => help(usage_of(&name)),
    })
}

fn help(text: &'static str) -> Invocation {
    Invocation {
        command: Command::Help(text),
        json: false,
    }
}

fn usage_of(command: &str) -> &'static str {
    match command {
        "push" => PUSH_USAGE,
        "devices" => DEVICES_USAGE,
        "feedback" => FEEDBACK_USAGE,
        "sweep" => SWEEP_USAGE,
        _ => USAGE,
    }
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

fn request(rest: &mut Rest) -> Result<Command, Usage> {
    let mut word = || match rest.parser.next()? {
        Some(Arg::Value(word)) => Ok(word.string()?),
        _ => Err(Usage("expected request METHOD TARGET".to_owned())),
    };
    let (method, target) = (word()?, word()?);
    Ok(Command::Request { method, target })
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
