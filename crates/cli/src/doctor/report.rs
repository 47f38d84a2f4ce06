//! What was found, as lines for people or as JSON.
//!
//! ```text
//! error    key ABC123DEFG: AuthKey_ABC123DEFG.p8: expected …, got …. Take the file ….
//! └ severity  └ subject   └ what is wrong                            └ what to do
//! ```
//!
//! Invariant: each finding is one line, whatever is in the names it tells of. No key, passphrase or
//! device token is in it.

use std::fmt::Write as _;

use dunlin::terminal::visible;
use dunlin_certificates::{Finding, Level};
use serde::Serialize;
use serde_json::json;

/// How bad it is. Sorts the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Looked at and all right.
    Ok,
    /// Worth knowing.
    Note,
    /// It works, and soon will not; or it does not do all that is asked for.
    Warning,
    /// It does not work.
    Error,
}

impl Severity {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warning => Self::Warning,
            Level::Note => Self::Note,
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at: `key ABC123DEFG`, `identity shop`, `clock`, …
    pub subject: String,
    /// What it is, or what is wrong with it.
    pub what: String,
    /// What to do: one sentence; empty if there is nothing to do.
    pub advice: String,
}

impl Line {
    /// Something that is all right.
    pub(super) fn ok(subject: &str, what: impl AsRef<str>) -> Self {
        Self::new(Severity::Ok, subject, what, "")
    }

    pub(super) fn new(
        severity: Severity,
        subject: &str,
        what: impl AsRef<str>,
        advice: &str,
    ) -> Self {
        Self {
            severity,
            subject: one_line(subject),
            what: one_line(what.as_ref()),
            advice: one_line(advice),
        }
    }

    pub(super) fn of(subject: &str, found: &Finding) -> Self {
        Self::new(found.level.into(), subject, &found.what, &found.advice)
    }
}

/// Everything that was looked at, in the order of the looking.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each.
    pub lines: Vec<Line>,
}

impl Report {
    /// Whether anything does not work.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    fn count(&self, severity: Severity) -> usize {
        let is_it = |line: &&Line| line.severity == severity;
        self.lines.iter().filter(is_it).count()
    }

    /// For people: a line each, and how many of them are bad.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let Line {
                severity,
                subject,
                what,
                advice,
            } = line;
            let severity = severity.as_str();
            // Writing to a string cannot fail, here and below.
            let _ = write!(text, "{severity:<8} {subject}: {what}");
            let _ = match advice.is_empty() {
                true => writeln!(text),
                false => writeln!(text, ". {advice}"),
            };
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let _ = writeln!(text, "{errors} errors, {warnings} warnings");
        text
    }

    /// For programs: `{"findings": [{"severity", "subject", "what", "advice"}], "errors",
    /// "warnings"}`.
    pub fn json(&self) -> String {
        json!({
            "findings": self.lines,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
        })
        .to_string()
    }
}

/// Line breaks become blanks, and what a terminal would act on is shown; the excerpt that an error
/// of TOML draws is left out.
fn one_line(text: &str) -> String {
    let is_drawn = |line: &&str| {
        let line = line.trim_start_matches(|it: char| it.is_ascii_digit() || it == ' ');
        !line.starts_with('|')
    };
    let lines: Vec<&str> = text.lines().filter(is_drawn).map(str::trim).collect();
    let line = lines.join(" ").replace(char::is_control, "\u{fffd}");
    visible(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let line = |severity, what| Line::new(severity, "key A", what, "Do it.");
        Report {
            lines: vec![
                Line::ok("configuration", "a.toml"),
                line(Severity::Error, "bad"),
                line(Severity::Warning, "two\nlines\x1b[2J"),
                line(Severity::Note, "a\u{202e}b\u{2066}c"),
            ],
        }
    }

    #[test]
    fn each_finding_is_one_line() {
        assert_eq!(
            report().text(),
            "ok       configuration: a.toml\n\
             error    key A: bad. Do it.\n\
             warning  key A: two lines\u{fffd}[2J. Do it.\n\
             note     key A: a\\u{202e}b\\u{2066}c. Do it.\n\
             1 errors, 1 warnings\n"
        );
    }

    #[test]
    fn programs_get_the_same() {
        let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        assert_eq!((&json["errors"], &json["warnings"]), (&1.into(), &1.into()));
        let ok = &json["findings"][0];
        assert_eq!((&ok["severity"], &ok["advice"]), (&"ok".into(), &"".into()));
        assert_eq!(json["findings"][1]["what"], "bad");
    }

    #[test]
    fn errors_of_toml_lose_their_drawing() {
        let error = toml::from_str::<toml::Table>("a = \nb = 1").unwrap_err();
        let line = one_line(&error.to_string());
        assert!(line.contains("line 1"), "{line}");
        assert!(!line.contains('|') && !line.contains('^'), "{line}");
    }

    #[test]
    fn only_errors_are_errors() {
        assert!(report().has_errors());
        let mut report = report();
        report.lines.remove(1);
        assert!(!report.has_errors());
    }
}
