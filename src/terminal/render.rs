//! A reply of the HTTP interface as a text for people.

use core::fmt::Write as _;
use std::borrow::Cow;

use serde_json::Value;

use super::{Exit, visible, visible_json};
use crate::json;

/// What to show of a reply, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// What was asked for, for the standard output: lines without the last one's end; perhaps none.
    pub data: String,
    /// What is said about it, for the standard error: a sum, warnings, what went wrong. In the same
    /// form.
    pub notes: String,
    /// How the command ended.
    pub exit: Exit,
}

/// What a reply is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyTo {
    /// A push.
    Push,
    /// A list of devices.
    Devices,
    /// The run of a task.
    Task,
}

/// How many pushes ended how, and how many entries nothing was sent for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the fields of the reply to a push, by their names"
)]
pub struct Tally {
    pub accepted: u64,
    pub rejected: u64,
    pub unanswered: u64,
    pub skipped: u64,
}

impl core::fmt::Display for Tally {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            accepted,
            rejected,
            unanswered,
            skipped,
        } = self;
        write!(
            f,
            "{accepted} accepted, {rejected} rejected, {unanswered} unanswered"
        )?;
        match skipped {
            0 => Ok(()),
            skipped => write!(f, ", {skipped} skipped"),
        }
    }
}

impl core::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.unanswered += other.unanswered;
        self.skipped += other.skipped;
    }
}

impl Tally {
    fn of(document: &Value) -> Self {
        Self {
            accepted: count(document, "accepted"),
            rejected: count(document, "rejected"),
            unanswered: count(document, "unanswered"),
            skipped: count(document, "skipped"),
        }
    }
}

/// Shows a reply: as it is with `json`, otherwise a line for each result.
pub fn render(reply_to: ReplyTo, status: u16, body: &[u8], json: bool) -> Rendered {
    let document: Value = json::read(body).unwrap_or_default();
    let entry = |index: u64| format!("entry {index}");
    render_document(reply_to, (status, &document), body, json, &entry)
}

/// The same of a push to some lines of a list, whose numbers these are; and what it adds up to,
/// which the notes then do not say, unless it is no answer to a push.
pub fn render_batch(
    status: u16,
    body: &[u8],
    json: bool,
    lines: &[u64],
) -> (Rendered, Option<Tally>) {
    let document: Value = json::read(body).unwrap_or_default();
    let line = |index: u64| {
        let line = usize::try_from(index).ok();
        let line = line.and_then(|index| lines.get(index));
        line.map_or_else(|| format!("entry {index}"), |line| format!("line {line}"))
    };
    let mut rendered = render_document(ReplyTo::Push, (status, &document), body, json, &line);
    if !is_answer(status, &document) {
        return (rendered, None);
    }
    let tally = Tally::of(&document);
    if let Some(notes) = rendered.notes.strip_suffix(&tally.to_string()) {
        rendered.notes = notes.trim_end().to_owned();
    }
    (rendered, Some(tally))
}

/// Whether it was done, and Dunlin says so.
fn is_answer(status: u16, document: &Value) -> bool {
    (200..300).contains(&status) && document.is_object()
}

/// What the entry of an index is called.
type NameOfEntry<'a> = &'a dyn Fn(u64) -> String;

fn render_document(
    reply_to: ReplyTo,
    (status, document): (u16, &Value),
    body: &[u8],
    json: bool,
    entry: NameOfEntry<'_>,
) -> Rendered {
    let is_ok = is_answer(status, document);
    let exit = match (is_ok, reply_to) {
        (false, _) => exit_of_problem(reply_to, status, document),
        (true, ReplyTo::Push) => exit_of_push(document),
        (true, ReplyTo::Task) if failures(document).next().is_some() => Exit::Failed,
        (true, _) => Exit::Done,
    };
    let as_it_is = || visible_json(String::from_utf8_lossy(body).trim_end()).into_owned();
    let (data, notes) = match (json, is_ok, reply_to) {
        (true, true, _) => (as_it_is(), String::new()),
        (true, false, _) if document.is_object() => (String::new(), as_it_is()),
        (_, false, _) => (String::new(), problem(status, document)),
        (_, _, ReplyTo::Push) => push(document, entry),
        (_, _, ReplyTo::Devices) => devices(document),
        (_, _, ReplyTo::Task) => {
            let failed: Vec<_> = failures(document).collect();
            (counts(document), failed.join("\n"))
        }
    };
    Rendered { data, notes, exit }
}

/// The worst of what became of each device's push.
fn exit_of_push(document: &Value) -> Exit {
    let of_result = |result: &Value| match &*text(result, "outcome") {
        "rejected" => Exit::Rejected,
        "unanswered" if result.get("may_resend") == Some(&Value::Bool(true)) => Exit::MayResend,
        "unanswered" => Exit::Unanswered,
        // What was named twice, or has no device, is said, and nothing has failed.
        "skipped" => match &*text(result, "rule") {
            "duplicate" | "unknown-alias" => Exit::Done,
            _ => Exit::Refused,
        },
        _ => Exit::Done,
    };
    let results = list(document, "results").iter().map(of_result);
    results.max().unwrap_or(Exit::Done)
}

/// Of a push that was under way when the answer was given up, it is not known whether it was sent.
fn exit_of_problem(reply_to: ReplyTo, status: u16, document: &Value) -> Exit {
    const BEFORE_SENDING: [&str; 4] = [
        "urn:dunlin:overloaded",
        "urn:dunlin:shutting-down",
        "urn:dunlin:store-unavailable",
        "urn:dunlin:misconfigured",
    ];
    let is_known = status < 500 || BEFORE_SENDING.contains(&&*text(document, "type"));
    match reply_to {
        ReplyTo::Push if !is_known || status < 300 => Exit::Unanswered,
        _ => Exit::Refused,
    }
}

/// What went wrong with an app's feedback service.
fn failures(document: &Value) -> impl Iterator<Item = String> {
    list(document, "apps").iter().filter_map(|app| {
        let error = app.get("error")?.as_str()?;
        let (topic, environment) = (text(app, "topic"), text(app, "environment"));
        Some(format!("{topic} {environment}: {}", visible(error)))
    })
}

fn count(document: &Value, name: &str) -> u64 {
    document.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// A value of somebody else's, in one line.
fn text<'a>(document: &'a Value, name: &str) -> Cow<'a, str> {
    visible(document.get(name).and_then(Value::as_str).unwrap_or(""))
}

fn list<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    let list = document.get(name).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn problem(status: u16, document: &Value) -> String {
    let rule = text(document, "type");
    let rule = rule.trim_start_matches("urn:dunlin:");
    match &*text(document, "detail") {
        "" => format!("expected an answer of Dunlin, got one with status {status}"),
        detail => format!("{detail} ({status} {rule})"),
    }
}

/// A token is shown by its beginning: enough to tell devices apart, of no use to anybody else.
fn short(token: &str) -> String {
    let shown: String = token.chars().take(8).collect();
    match shown.len() < token.len() {
        true => format!("{shown}…"),
        false => shown,
    }
}

/// What nothing was sent for, and why.
fn skipped(result: &Value, entry: NameOfEntry<'_>) -> String {
    let name = entry(count(result, "index"));
    let why = match &*text(result, "rule") {
        "duplicate" => format!("the same as {}", entry(count(result, "of"))),
        "unknown-alias" => format!("{}: this alias has no devices", text(result, "alias")),
        rule => {
            let [expected, got] = ["expected", "got"].map(|name| text(result, name));
            format!("{rule}: expected {expected}, got {got}")
        }
    };
    format!("skipped     {name:<9}  {why}")
}

fn push(document: &Value, entry: NameOfEntry<'_>) -> (String, String) {
    let (mut lines, mut notes) = (String::new(), String::new());
    for result in list(document, "results") {
        let outcome = text(result, "outcome");
        if outcome == "skipped" {
            lines.push_str(&skipped(result, entry));
            lines.push('\n');
            continue;
        }
        let token = short(&text(result, "token"));
        let mut line = format!("{outcome:<10}  {token:<9}  {}", text(result, "apns_id"));
        if let Some(status) = result.get("status").filter(|_| outcome == "rejected") {
            // Writing to a string does not fail.
            let _ = write!(line, "  {status} {}", text(result, "reason"));
        }
        for name in ["why", "detail"] {
            let said = text(result, name);
            if !said.is_empty() {
                let _ = write!(line, "  {said}");
            }
        }
        if result.get("removed") == Some(&Value::Bool(true)) {
            line.push_str("  removed from the registry");
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    for alias in list(document, "unmatched").iter().filter_map(Value::as_str) {
        let alias = visible(alias);
        let _ = writeln!(notes, "unmatched: {alias}  this alias has no devices");
    }
    for warning in list(document, "warnings").iter().filter_map(Value::as_str) {
        let _ = writeln!(notes, "warning: {}", visible(warning));
    }
    let _ = write!(notes, "{}", Tally::of(document));
    (without_end(lines), notes)
}

/// Lines without the end of the last one.
fn without_end(mut lines: String) -> String {
    if lines.ends_with('\n') {
        lines.pop();
    }
    lines
}

fn devices(document: &Value) -> (String, String) {
    let mut lines = String::new();
    for device in list(document, "devices") {
        let environment = match text(device, "environment") {
            unknown if unknown.is_empty() => "-".into(),
            known => known,
        };
        let token = text(device, "token");
        let mut line = format!("{token}  {}  {environment}", text(device, "topic"));
        let alias = text(device, "alias");
        if !alias.is_empty() {
            let _ = write!(line, "  {alias}");
        }
        for tag in list(device, "tags").iter().filter_map(Value::as_str) {
            let _ = write!(line, "  #{}", visible(tag));
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    let devices = list(document, "devices").len();
    let mut notes = match devices {
        1 => "1 device".to_owned(),
        devices => format!("{devices} devices"),
    };
    let cursor = text(document, "cursor");
    if !cursor.is_empty() {
        let _ = write!(notes, ", more with --cursor {cursor}");
    }
    (without_end(lines), notes)
}

/// The numbers of a task's report.
fn counts(document: &Value) -> String {
    let numbers = document.as_object().into_iter().flatten();
    let numbers = numbers.filter_map(|(name, value)| Some((name, value.as_u64()?)));
    let lines: Vec<_> = numbers
        .map(|(name, number)| format!("{number} {}", visible(&name.replace('_', " "))))
        .collect();
    lines.join(", ")
}
