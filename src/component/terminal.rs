//! `wasi:cli/run`: a command line becomes a call, its reply a text.
//!
//! Whoever can start the function with the configuration and the store may do everything.

use std::io::Read as _;
use std::path::Path;

use super::app::App;
use super::bindings::exports::wasi::cli::run::Guest;
use super::calls;
use super::handler::Function;
use super::platform;
use crate::api::{Caller, Problem, Reply, parse_device_query};
use crate::terminal::{self, Command, Content, Invocation, USAGE, Usage};

/// Largest payload or request that is read, in bytes; what the HTTP interface takes.
const MAX_CONTENT: u64 = 1024 * 1024;

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
    eprintln!("dunlin: {}; see help", visible(&usage.to_string()));
}

async fn carry_out(invocation: Invocation) -> Result<(), ()> {
    let Invocation {
        mut command, json, ..
    } = invocation;
    let called = match &mut command {
        Command::Help => {
            println!("{USAGE}");
            return Ok(());
        }
        Command::Push(push) => {
            let push = core::mem::take(&mut **push);
            let body = read(&push.content()).and_then(|content| push.body(content));
            let body = body.map_err(|usage| complain(&usage))?;
            call(Call::Push(&body)).await
        }
        Command::Devices(query) => call(Call::Devices(query)).await,
        Command::Task(task) => call(Call::Task(*task)).await,
    };
    let Reply { status, body, .. } = called.unwrap_or_else(Problem::into_reply);
    let rendered = terminal::render(&command, status, &body, json);
    println!("{}", rendered.text);
    if rendered.well { Ok(()) } else { Err(()) }
}

enum Call<'a> {
    Push(&'a [u8]),
    Devices(&'a str),
    Task(crate::api::Task),
}

async fn call(call: Call<'_>) -> Result<Reply, Problem> {
    let app = App::get()?;
    let caller = Caller::operator(&app.settings);
    match call {
        Call::Push(body) => calls::push(&app, caller, None, body).await,
        Call::Devices(query) => {
            calls::list_devices(&app, caller, &parse_device_query(Some(query))?).await
        }
        Call::Task(task) => calls::task(&app, caller, task).await,
    }
}

fn read(content: &Content) -> Result<Vec<u8>, Usage> {
    let path = match content {
        Content::Options => return Ok(Vec::new()),
        Content::Payload(path) | Content::Request(path) => path,
    };
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .take(MAX_CONTENT + 1)
            .read_to_end(&mut bytes)
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
