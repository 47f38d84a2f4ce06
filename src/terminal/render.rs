//! A reply of the HTTP interface as a text for people.

use core::fmt::Write as _;
use std::borrow::Cow;

use serde_json::Value;

use super::{Command, visible, visible_json};

/// What to show, and whether all went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Lines, without the last line's end.
    pub text: String,
    /// Whether everything that was asked for was done.
    pub well: bool,
}

/// Shows the reply to a command: as it is with `json`, otherwise a line for each result.
pub fn render(command: &Command, status: u16, body: &[u8], json: bool) -> Rendered {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let ok = (200..300).contains(&status);
    let well = ok
        && match command {
            Command::Push(_) => count(&document, "rejected") + count(&document, "unanswered") == 0,
            _ => true,
        };
    let text = match (json, ok, command) {
        (true, ..) => visible_json(&String::from_utf8_lossy(body)).into_owned(),
        (_, false, _) => problem(status, &document),
        (_, _, Command::Push(_)) => push(&document),
        (_, _, Command::Devices(_)) => devices(&document),
        (_, _, Command::Task(_)) => counts(&document),
        (_, _, Command::Help) => String::new(),
    };
    Rendered { text, well }
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
    format!("{} ({status} {rule})", text(document, "detail"))
}

/// A token is shown by its beginning: enough to tell devices apart, of no use to anybody else.
fn short(token: &str) -> String {
    let shown: String = token.chars().take(8).collect();
    match shown.len() < token.len() {
        true => format!("{shown}…"),
        false => shown,
    }
}

fn push(document: &Value) -> String {
    let mut lines = String::new();
    for result in list(document, "results") {
        let outcome = text(result, "outcome");
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
        let _ = writeln!(lines, "unmatched: {alias}  this alias has no devices");
    }
    for warning in list(document, "warnings").iter().filter_map(Value::as_str) {
        let _ = writeln!(lines, "warning: {}", visible(warning));
    }
    let [accepted, rejected, unanswered] =
        ["accepted", "rejected", "unanswered"].map(|name| count(document, name));
    let _ = write!(
        lines,
        "{accepted} accepted, {rejected} rejected, {unanswered} unanswered"
    );
    lines
}

fn devices(document: &Value) -> String {
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
    let _ = write!(lines, "{devices} devices");
    let cursor = text(document, "cursor");
    if !cursor.is_empty() {
        let _ = write!(lines, ", more with --cursor {cursor}");
    }
    lines
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
