//! `wasi:cli/run`: a command line becomes a call, its reply a text.
//!
//! Whoever can start the function with the configuration and the store may do everything. What was
//! asked for goes to the standard output and everything else to the standard error; a reader that
//! has gone is no failure.

use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::app::app;
use super::bindings::exports::wasi::cli::run::Guest;
use super::handler::Function;
use super::upload;
use crate::api::{Caller, Problem, Reply, Route, parse_device_query};
use crate::service::BODY_MAX_BYTES;
use crate::terminal::{self, Command, Content, Exit, Invocation, ReplyTo, Usage, visible};

/// Largest payload or request that is read, in bytes.
const MAX_CONTENT: u64 = BODY_MAX_BYTES as u64;

impl Guest for Function {
    async fn run() -> Result<(), ()> {
        match terminal::parse(std::env::args_os().skip(1)) {
            Ok(invocation) => carry_out(invocation).await,
            Err(usage) => {
                complain(&usage);
                Err(())
            }
        }
    }
}

fn complain(usage: &Usage) {
    let usage = usage.to_string();
    say(
        io::stderr(),
        &format!("dunlin: {}; see --help", visible(&usage)),
    );
}

/// Writes a text as lines, if there is anything in it.
fn say(mut out: impl io::Write, text: &str) {
    if !text.is_empty() {
        // The reader may have enough.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

async fn carry_out(Invocation { command, json }: Invocation) -> Result<(), ()> {
    let (reply_to, called) = match command {
        Command::Help(text) => {
            say(io::stdout(), text);
            return Ok(());
        }
        Command::Request { method, target } => return pass_on(&method, &target).await,
        Command::Push(push) => {
            let body = read(&push.content()).and_then(|content| push.body(content));
            let body = body.map_err(|usage| complain(&usage))?;
            (ReplyTo::Push, call(ServiceCall::Push(&body)).await)
        }
        Command::Devices(query) => (ReplyTo::Devices, call(ServiceCall::Devices(&query)).await),
        Command::Task(task) => (ReplyTo::Task, call(ServiceCall::Task(task)).await),
    };
    let Reply { status, body, .. } = called.unwrap_or_else(Problem::into_reply);
    let rendered = terminal::render(reply_to, status, &body, json);
    say(io::stdout(), &rendered.data);
    say(io::stderr(), &rendered.notes);
    match rendered.exit {
        Exit::Done => Ok(()),
        _ => Err(()),
    }
}

/// Answers a request of a program that has a command line of its own.
async fn pass_on(method: &str, target: &str) -> Result<(), ()> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let called = match Route::parse(method, path) {
        Ok(Route::Push) => {
            let body = read(&Content::Request("-".into())).map_err(|usage| complain(&usage))?;
            call(ServiceCall::Push(&body)).await
        }
        Ok(route @ Route::PostDevice) => match app() {
            Ok(app) => {
                say(io::stdout(), "200");
                upload::run_command(app, route).await;
                return Ok(());
            }
            Err(problem) => Err(problem),
        },
        Ok(Route::ListDevices) => call(ServiceCall::Devices(query)).await,
        Ok(Route::RunTask(task)) => call(ServiceCall::Task(task)).await,
        Ok(_) => Err(Problem::not_found()),
        Err(problem) => Err(problem),
    };
    let Reply { status, body, .. } = called.unwrap_or_else(Problem::into_reply);
    let mut out = io::stdout();
    let written = writeln!(out, "{status}").and_then(|()| out.write_all(&body));
    written.and_then(|()| out.flush()).map_err(drop)
}

enum ServiceCall<'a> {
    Push(&'a [u8]),
    Devices(&'a str),
    Task(crate::api::Task),
}

async fn call(call: ServiceCall<'_>) -> Result<Reply, Problem> {
    let app = app()?;
    let caller = Caller::operator(app.settings());
    match call {
        ServiceCall::Push(body) => app.push(caller, None, body).await,
        ServiceCall::Devices(query) => app.devices(caller, &parse_device_query(Some(query))?).await,
        ServiceCall::Task(task) => app.task(caller, task).await,
    }
}

fn read(content: &Content) -> Result<Vec<u8>, Usage> {
    let path = match content {
        Content::Options => return Ok(Vec::new()),
        Content::Payload(path) | Content::Request(path) => path,
    };
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().take(MAX_CONTENT + 1).read_to_end(&mut bytes)
    } else {
        let file = std::fs::File::open(path);
        file.and_then(|file| file.take(MAX_CONTENT + 1).read_to_end(&mut bytes))
    };
    let name = path.display();
    match read {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= MAX_CONTENT) => Ok(bytes),
        Ok(_) => Err(Usage(format!(
            "{name}: expected at most {MAX_CONTENT} bytes"
        ))),
        Err(error) => Err(Usage(format!("{name}: {error}"))),
    }
}
