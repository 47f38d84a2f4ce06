//! One row against what is observed, and every way to alter what it expects.

use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value};

use super::differences::{DIFFERENCES, Difference, Here};
use super::words::{self, WORDS};
use super::{Observe, READ, observers};

/// A row, and what is said of it in [`DIFFERENCES`].
#[derive(Clone)]
pub(super) struct Row {
    row: Value,
    differences: Vec<(Difference, Value)>,
}

/// A value somewhere in `expected`, and the names that lead to it. An array is one value.
type Leaf = (Vec<String>, Value);

impl Row {
    pub(super) fn new(row: Value) -> Self {
        let mut row = Self {
            row,
            differences: Vec::new(),
        };
        for difference in DIFFERENCES {
            let is_meant = |input: &&str| row.is(difference.kind, input);
            if difference.inputs.iter().any(is_meant) {
                row.differences.push((*difference, difference.observed()));
            }
        }
        row
    }

    pub(super) fn kind(&self) -> &str {
        self.row["kind"].as_str().unwrap()
    }

    /// Whether it is of this kind and has this text in its input, after which its source stands.
    pub(super) fn is(&self, kind: &str, text: &str) -> bool {
        let source = self.row["source"].as_str().unwrap_or_default();
        self.kind() == kind && format!("{} {source}", self.row["input"]).contains(text)
    }

    pub(super) fn has_source(&self) -> bool {
        self.row["source"].is_string()
    }

    /// Whether it expects this text somewhere.
    pub(super) fn says(&self, text: &str) -> bool {
        let leaves = leaves(&self.row["expected"]);
        leaves.iter().any(|(_, leaf)| *leaf == text)
    }

    /// What is wrong with it.
    pub(super) fn complaints(&self) -> Vec<String> {
        let observers = observers(self.kind());
        if observers.is_empty() {
            return vec![format!("{self}: no observer for the kind {}", self.kind())];
        }
        let all = observers.into_iter();
        all.flat_map(|observe| self.complaints_about(observe))
            .collect()
    }

    /// The same by one observer.
    pub(super) fn complaints_about(&self, observe: Observe) -> Vec<String> {
        let input = self.input();
        let Ok(observed) = catch_unwind(AssertUnwindSafe(|| observe(&input))) else {
            return vec![format!("{self}: the observer panicked")];
        };
        let mut complaints = Vec::new();
        for (path, leaf) in leaves(&self.row["expected"]) {
            let got = at(&observed, &path);
            let agrees = got.is_some_and(|got| agrees(&path, &leaf, got));
            let name = path.join("/");
            let complaint = match (self.difference_at(&path), agrees) {
                (None, false) => format!("expected {leaf}"),
                (Some(_), true) => "the difference is not needed".to_owned(),
                (Some(Here::JudgedBy(_)), _) if got.is_some() => "it is judged here".to_owned(),
                _ => continue,
            };
            complaints.push(format!("{self}: {name}: {complaint}; {observed}"));
        }
        for (difference, here) in &self.differences {
            complaints.extend(self.complaints_of(difference, here, &observed));
        }
        if self.row["expected"].as_object().is_none_or(Map::is_empty) {
            complaints.push(format!("{self}: it expects nothing"));
        }
        complaints
    }

    /// Whether what is said to happen here does, and what is not copied is expected at all.
    fn complaints_of(
        &self,
        difference: &Difference,
        here: &Value,
        observed: &Value,
    ) -> Vec<String> {
        let mut complaints = Vec::new();
        for (path, leaf) in leaves(here) {
            let got = at(observed, &path);
            if !got.is_some_and(|got| agrees(&path, &leaf, got)) {
                let name = path.join("/");
                complaints.push(format!("{self}: {name}: here it is {leaf}; {observed}"));
            }
        }
        let leaves = leaves(&self.row["expected"]);
        for key in difference.keys {
            if !leaves.iter().any(|(path, _)| is_below(path, key)) {
                complaints.push(format!("{self}: {key} is not expected, and not copied"));
            }
        }
        complaints
    }

    /// The input, with what the row has elsewhere of what the product reads.
    fn input(&self) -> Value {
        let mut input = self.row["input"].clone();
        for (_, key) in READ.iter().filter(|(kind, _)| *kind == self.kind()) {
            if let Some(value) = self.row["expected"].get(key) {
                input["read"] = value.clone();
            }
        }
        input
    }

    fn difference_at(&self, path: &[String]) -> Option<Here> {
        let mut all = self.differences.iter();
        let found = all.find(|(it, _)| it.keys.iter().any(|key| is_below(path, key)));
        found.map(|(difference, _)| difference.here)
    }

    /// Whether another crate's test judges all of it.
    pub(super) fn is_judged_elsewhere(&self) -> bool {
        let leaves = leaves(&self.row["expected"]);
        leaves
            .iter()
            .all(|(path, _)| matches!(self.difference_at(path), Some(Here::JudgedBy(_))))
    }

    /// Every row that differs from this one in one value that is judged, with what was altered.
    pub(super) fn altered(&self) -> Vec<(String, Self)> {
        let mut all = Vec::new();
        let leaves_of_row = leaves(&self.row["expected"]);
        for (path, leaf) in leaves_of_row {
            if self.difference_at(&path).is_some() {
                continue;
            }
            for value in alterations(path.last().map_or("", String::as_str), &leaf) {
                let mut row = self.clone();
                all.push((format!("{} as {value}", path.join("/")), {
                    *at_mut(&mut row.row["expected"], &path) = value;
                    row
                }));
            }
        }
        for (index, (_, here)) in self.differences.iter().enumerate() {
            for (path, leaf) in leaves(here) {
                for value in alterations(path.last().map_or("", String::as_str), &leaf) {
                    let mut row = self.clone();
                    all.push((format!("here {} as {value}", path.join("/")), {
                        *at_mut(&mut row.differences[index].1, &path) = value;
                        row
                    }));
                }
            }
        }
        all
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.row["input"])
    }
}

/// Whether a path is `key`, names joined by slashes, or leads to something in it.
fn is_below(path: &[String], key: &str) -> bool {
    let names: Vec<_> = key.split('/').collect();
    path.len() >= names.len() && path.iter().zip(names).all(|(own, name)| own == name)
}

fn leaves(value: &Value) -> Vec<Leaf> {
    let Value::Object(members) = value else {
        return vec![(Vec::new(), value.clone())];
    };
    let mut all = Vec::new();
    for (name, member) in members {
        for (mut path, leaf) in leaves(member) {
            path.insert(0, name.clone());
            all.push((path, leaf));
        }
    }
    all
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

fn at_mut<'a>(value: &'a mut Value, path: &[String]) -> &'a mut Value {
    path.iter()
        .fold(value, |value, name| &mut value[name.as_str()])
}

/// Whether what was observed is what a row expects under this name.
fn agrees(path: &[String], expected: &Value, got: &Value) -> bool {
    let name = path.last().map_or("", String::as_str);
    match (expected, got) {
        (Value::String(text), Value::String(got)) if name == "json" => {
            let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
            parse(got).is_some_and(|got| parse(text) == Some(got))
        }
        (Value::String(text), Value::String(got)) => {
            text == got || words::means(text, got) || (name == "error" && words::is_unknown(text))
        }
        // Any error, where a row does not say which.
        (Value::Bool(is_error), _) if name == "error" => *is_error != got.is_null(),
        (Value::String(text), Value::Number(got)) => {
            let got = got.as_u64();
            let bound = |sign: &str| text.strip_prefix(sign)?.parse::<u64>().ok();
            match (bound("> "), bound("< ")) {
                (Some(least), _) => got.is_some_and(|got| got > least),
                (_, Some(most)) => got.is_some_and(|got| got < most),
                _ => name == "utc" && got == words::parse_utc(text),
            }
        }
        // The values of headers are text, and some rows have them as numbers.
        (Value::Number(number), Value::String(got)) => number.to_string() == *got,
        (Value::Array(names), Value::Array(got)) if name == "absent" => {
            names.iter().all(|name| got.contains(name))
        }
        _ => expected == got,
    }
}

/// Values that are not `value`, of the same kind where there is one.
fn alterations(name: &str, value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![0.into()],
        Value::Bool(flag) => vec![(!flag).into()],
        Value::Number(number) => {
            let other = number.as_i64().map(|number| Value::from(number + 1));
            vec![other.unwrap_or_else(|| (number.as_f64().unwrap() + 1.0).into())]
        }
        Value::String(text) if name == "json" => {
            let parsed: Value = serde_json::from_str(text).unwrap();
            let all = alterations("", &parsed).into_iter();
            all.map(|value| value.to_string().into()).collect()
        }
        Value::String(text) => altered_text(name, text),
        Value::Array(items) => altered_items(name, items),
        Value::Object(members) => {
            let mut all = Vec::new();
            for (name, member) in members {
                for value in alterations(name, member) {
                    let mut members = members.clone();
                    members.insert(name.clone(), value);
                    all.push(members.into());
                }
            }
            let mut renamed = members.clone();
            if let Some(name) = members.keys().next() {
                let member = renamed.remove(name).unwrap_or_default();
                renamed.insert(format!("{name}x"), member);
            } else {
                renamed.insert("x".to_owned(), 0.into());
            }
            all.push(renamed.into());
            all
        }
    }
}

fn altered_text(name: &str, text: &str) -> Vec<Value> {
    if let Some(bound) = text.strip_prefix("> ") {
        return vec![format!("< {bound}").into()];
    }
    if let Some(bound) = text.strip_prefix("< ") {
        return vec![format!("> {bound}").into()];
    }
    if name == "error" && words::is_unknown(text) {
        return vec![Value::Null];
    }
    let meaning = |wanted: &str| WORDS.iter().find(|(theirs, _)| *theirs == wanted);
    if let Some((_, ours)) = meaning(text) {
        let other = WORDS.iter().find(|(_, other)| other != ours).unwrap();
        return vec![other.0.into(), Value::Null];
    }
    // The last digit, so that a number in whatever notation is still one.
    let mut characters: Vec<_> = text.chars().collect();
    match characters.last_mut() {
        Some(last) if last.is_ascii_hexdigit() => *last = if *last == '0' { '1' } else { '0' },
        _ => characters.push('x'),
    }
    vec![String::from_iter(characters).into()]
}

fn altered_items(name: &str, items: &[Value]) -> Vec<Value> {
    let mut all = Vec::new();
    for (index, item) in items.iter().enumerate() {
        for value in alterations("", item) {
            let mut items = items.to_vec();
            items[index] = value;
            all.push(items.into());
        }
    }
    match items.split_last() {
        // Absent is what is named, and perhaps more.
        Some(_) if name == "absent" => {}
        Some((_, fewer)) => all.push(fewer.into()),
        None => all.push(vec![Value::Null].into()),
    }
    all
}
