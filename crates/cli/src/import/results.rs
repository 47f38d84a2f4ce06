//! The answer to a request of registration lines, read as it comes: what became of each.
//!
//! Bounds: of a line of the answer so much is held as [`RESULT_BYTES`], and of what is doubtful
//! [`MOST_WARNINGS`] sentences.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dunlin::terminal::visible;
use serde::Deserialize;

use super::refused::LineRefusal;

/// Longest line of an answer: what a line echoes, written as JSON, with room to spare.
const RESULT_BYTES: usize = 1024 * 1024;

/// Different warnings that are kept.
pub const MOST_WARNINGS: usize = 8;

/// What begins a rule's name.
const URN: &str = "urn:dunlin:";

/// The least status that is the service's fault, and the one that says to ask later: such a line
/// may be carried out another time.
const SERVERS_FAULT: u16 = 500;
const LATER: u16 = 429;

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineOutcome {
    /// A device that was not known.
    New,
    /// One that was.
    Known,
    /// It was not carried out, and never will be.
    Refused(LineRefusal),
}

/// Sentences about devices that were registered, and how often each was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    said: BTreeMap<String, u64>,
    /// Of those that are not kept.
    pub others: u64,
}

impl Warnings {
    fn add(&mut self, text: &str) {
        if let Some(count) = self.said.get_mut(text) {
            *count += 1;
        } else if self.said.len() < MOST_WARNINGS {
            self.said.insert(text.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }

    /// Each with how often it was said, fit for a terminal.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, u64)> {
        let said = self.said.iter();
        said.map(|(text, count)| (visible(text), *count))
    }
}

#[derive(Deserialize)]
struct ResultLine<'a> {
    line: Option<u64>,
    #[serde(borrow)]
    outcome: Option<Cow<'a, str>>,
    status: Option<u16>,
    #[serde(borrow, rename = "type")]
    rule: Option<Cow<'a, str>>,
    field: Option<String>,
    expected: Option<String>,
    got: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    summary: Option<Summary>,
}

#[derive(Deserialize)]
struct Summary {
    stopped: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct BatchResults<'w> {
    /// The first line of the request that is no line of defaults.
    first: u64,
    outcomes: Vec<Option<LineOutcome>>,
    answered: u64,
    /// The beginning of a line.
    rest: Vec<u8>,
    is_whole: bool,
    /// Why lines have no result, as far as that was said.
    trouble: Option<String>,
    /// What is wrong with the defaults.
    bad_defaults: Option<LineRefusal>,
    warnings: &'w mut Warnings,
}

impl<'w> BatchResults<'w> {
    /// To a request of so many lines, with one of defaults before them or not.
    pub fn new(lines: usize, has_defaults: bool, warnings: &'w mut Warnings) -> Self {
        Self {
            first: 1 + u64::from(has_defaults),
            outcomes: vec![None; lines],
            answered: 0,
            rest: Vec::new(),
            is_whole: false,
            trouble: None,
            bad_defaults: None,
            warnings,
        }
    }

    /// How many have their result so far.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Takes what comes next.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            match self.rest.is_empty() {
                true => self.line(line),
                false => {
                    let mut whole = std::mem::take(&mut self.rest);
                    whole.extend_from_slice(line);
                    self.line(&whole);
                }
            }
        }
        let room = RESULT_BYTES.saturating_sub(self.rest.len());
        self.rest.extend(bytes.iter().take(room));
    }

    fn line(&mut self, line: &[u8]) {
        let Ok(result) = serde_json::from_slice::<ResultLine<'_>>(line) else {
            self.trouble = Some("expected an answer of Dunlin, got something else".to_owned());
            return;
        };
        if let Some(summary) = result.summary {
            self.is_whole = summary.stopped.is_none();
            let why = summary
                .stopped
                .map(|why| format!("the service stopped: {why}"));
            self.trouble = why.or_else(|| self.trouble.take());
            return;
        }
        let index = result.line.and_then(|line| line.checked_sub(self.first));
        let outcome = match result.outcome.as_deref() {
            Some("new") => LineOutcome::New,
            Some("known") => LineOutcome::Known,
            _ => return self.failed(index, result),
        };
        for warning in &result.warnings {
            self.warnings.add(warning);
        }
        self.set(index, outcome);
    }

    fn failed(&mut self, index: Option<u64>, result: ResultLine<'_>) {
        let text = Option::unwrap_or_default;
        let rule = result.rule.unwrap_or_default();
        let why = LineRefusal {
            code: rule.strip_prefix(URN).unwrap_or(&rule).to_owned(),
            detail: match result.field {
                Some(_) => String::new(),
                None => text(result.detail.clone()),
            },
            field: text(result.field),
            expected: text(result.expected),
            got: text(result.got),
        };
        let status = result.status.unwrap_or(SERVERS_FAULT);
        match index {
            None => self.bad_defaults = Some(why),
            Some(_) if status >= SERVERS_FAULT || status == LATER => {
                self.trouble = Some(format!("{} ({status} {})", text(result.detail), why.code));
            }
            Some(_) => self.set(index, LineOutcome::Refused(why)),
        }
    }

    fn set(&mut self, index: Option<u64>, outcome: LineOutcome) {
        let index = index.and_then(|index| usize::try_from(index).ok());
        let place = index.and_then(|index| self.outcomes.get_mut(index));
        if let Some(place) = place
            && place.replace(outcome).is_none()
        {
            self.answered += 1;
        }
    }

    /// What became of each line, in their order; what is wrong with the defaults; and, of what has
    /// no result, why.
    pub fn finish(
        self,
    ) -> (
        Vec<Option<LineOutcome>>,
        Option<LineRefusal>,
        Option<String>,
    ) {
        let is_complete = self.outcomes.iter().all(Option::is_some);
        let trouble = match (self.trouble, is_complete) {
            (_, true) => None,
            (Some(why), _) => Some(why),
            (None, _) if self.is_whole => Some("lines have no result".to_owned()),
            (None, _) => Some("the answer broke off".to_owned()),
        };
        (self.outcomes, self.bad_defaults, trouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = concat!(
        r#"{"line":3,"outcome":"failed","type":"urn:dunlin:token-not-hex","status":400,"#,
        r#""field":"token","expected":"hex","got":"\"x\""}"#,
        r#"
{"line":2,"token":"a1","tags":["new"],"outcome":"new","warnings":["w"]}
{"line":4,"token":"c3","outcome":"known","warnings":["w"]}
{"summary":{"lines":3,"new":1,"known":1,"failed":1}}
"#
    );

    fn read(
        answer: &str,
        lines: usize,
        piece: usize,
    ) -> (Vec<Option<LineOutcome>>, Option<String>, Warnings) {
        let mut warnings = Warnings::default();
        let mut results = BatchResults::new(lines, true, &mut warnings);
        answer
            .as_bytes()
            .chunks(piece)
            .for_each(|some| results.take(some));
        let (outcomes, defaults, trouble) = results.finish();
        assert_eq!(defaults, None);
        (outcomes, trouble, warnings)
    }

    #[test]
    fn each_line_has_its_result_wherever_the_answer_is_split() {
        for piece in [1, 7, 100, 10_000] {
            let (outcomes, trouble, warnings) = read(ANSWER, 3, piece);
            let why = LineRefusal::of_field("token-not-hex", "token", "hex", "\"x\"");
            let expected = [
                LineOutcome::New,
                LineOutcome::Refused(why),
                LineOutcome::Known,
            ];
            assert_eq!(outcomes, expected.map(Some));
            assert_eq!(trouble, None);
            assert_eq!(warnings.iter().next().unwrap(), ("w".into(), 2));
        }
    }

    #[test]
    fn an_answer_that_breaks_off_leaves_lines_without_a_result() {
        let cut = ANSWER.find("{\"line\":4").unwrap();
        let (outcomes, trouble, _) = read(&ANSWER[..cut + 5], 3, 9);
        assert_eq!(outcomes[2], None);
        assert_eq!(trouble.unwrap(), "the answer broke off");
        let (_, trouble, _) = read(ANSWER, 4, 9);
        assert_eq!(trouble.unwrap(), "lines have no result");
        let stopped = "{\"summary\":{\"lines\":0,\"stopped\":\"shutting-down\"}}\n";
        let (_, trouble, _) = read(stopped, 1, 9);
        assert!(trouble.unwrap().contains("shutting-down"));
        let (_, trouble, _) = read("<html>\n", 1, 9);
        assert!(trouble.unwrap().contains("something else"));
    }

    #[test]
    fn what_is_the_services_fault_is_not_the_lines() {
        for status in [503, 500, 429] {
            let answer = format!(
                "{{\"line\":2,\"outcome\":\"failed\",\"type\":\"urn:dunlin:x\",\
                 \"status\":{status},\"detail\":\"later\"}}\n{{\"summary\":{{}}}}\n"
            );
            let (outcomes, trouble, _) = read(&answer, 1, 50);
            assert_eq!(outcomes, [None]);
            assert_eq!(trouble.unwrap(), format!("later ({status} x)"));
        }
    }

    #[test]
    fn what_others_say_is_bounded() {
        let mut warnings = Warnings::default();
        let mut results = BatchResults::new(100, false, &mut warnings);
        for n in 1..=100 {
            let line =
                format!("{{\"line\":{n},\"outcome\":\"new\",\"warnings\":[\"w{n}\u{1b}\"]}}");
            results.take(line.replace('\u{1b}', "\\u001b").as_bytes());
            results.take(b"\n");
        }
        assert_eq!(results.answered(), 100);
        results.take(&vec![b'x'; 3 * RESULT_BYTES]);
        assert_eq!(results.rest.len(), RESULT_BYTES);
        assert_eq!(warnings.iter().count(), MOST_WARNINGS);
        assert_eq!(warnings.others, 92);
        assert!(warnings.iter().all(|(text, _)| !text.contains('\u{1b}')));
    }

    #[test]
    fn defaults_that_cannot_be_used_are_told_from_lines() {
        let mut warnings = Warnings::default();
        let mut results = BatchResults::new(1, true, &mut warnings);
        results.take(
            b"{\"line\":1,\"outcome\":\"failed\",\"type\":\"urn:dunlin:unknown-field\",\
              \"status\":400,\"detail\":\"d\"}\n\
              {\"summary\":{\"lines\":0,\"stopped\":\"defaults\"}}\n",
        );
        let (_, defaults, _) = results.finish();
        assert_eq!(defaults.unwrap().code, "unknown-field");
    }
}
