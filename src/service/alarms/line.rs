//! One line about a trouble: written by an instance, and read again by a host that gathers those of
//! several.
//!
//! ```text
//!   dunlin: ERROR credential-refused [key ABC123DEFG …: InvalidProviderToken] 17 times: APNs …
//!   dunlin: INFO credential-refused [key ABC123DEFG …: InvalidProviderToken] 3 more: over after …
//! ```

use core::fmt;

/// Longest subject, in characters. **Ours**: a key, an environment, a topic and a reason.
const SUBJECT_MAX_CHARS: usize = 480;

/// Longest text, in characters. **Ours**.
pub(super) const TEXT_MAX_CHARS: usize = 800;

/// What every line begins with.
const PREFIX: &str = "dunlin: ";

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It needs somebody now.
    Error,
    /// It is over.
    Info,
}

/// One line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmLine {
    /// How bad it is.
    pub level: Level,
    /// Which kind of trouble: lower-case letters and `-`.
    pub alarm: String,
    /// Whom or what it is about: no brackets, no line breaks.
    pub subject: String,
    /// How often it was noted since the last ERROR of this subject.
    pub times: u64,
    /// What is wrong and what to do, or how long it took. One line.
    pub text: String,
}

impl fmt::Display for AlarmLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            alarm,
            subject,
            times,
            text,
            ..
        } = self;
        let level = match self.level {
            Level::Error => "ERROR",
            Level::Info => "INFO",
        };
        write!(f, "{PREFIX}{level} {alarm} [{subject}] ")?;
        match (self.level, times) {
            (Level::Error, 1) => write!(f, "once: {text}"),
            (Level::Error, times) => write!(f, "{times} times: {text}"),
            (Level::Info, times) => write!(f, "{times} more: {text}"),
        }
    }
}

impl AlarmLine {
    /// Reads what `Display` wrote; `None` for anything else.
    pub fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix(PREFIX)?;
        let (level, rest) = match rest.strip_prefix("ERROR ") {
            Some(rest) => (Level::Error, rest),
            None => (Level::Info, rest.strip_prefix("INFO ")?),
        };
        let (alarm, rest) = rest.split_once(" [")?;
        let (subject, rest) = rest.split_once("] ")?;
        let (times, text) = rest.split_once(": ")?;
        let times = match (level, times) {
            (Level::Error, "once") => 1,
            (Level::Error, times) => times.strip_suffix(" times")?.parse().ok()?,
            (Level::Info, times) => times.strip_suffix(" more")?.parse().ok()?,
        };
        let is_alarm = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        if alarm.is_empty() || alarm.len() > 40 || !alarm.bytes().all(is_alarm) {
            return None;
        }
        Some(Self {
            level,
            alarm: alarm.to_owned(),
            subject: subject_of(subject),
            times,
            text: clean(text, TEXT_MAX_CHARS),
        })
    }
}

/// One line without what disturbs a terminal, cut.
pub(super) fn clean(text: &str, max_chars: usize) -> String {
    let disturbs = |char: char| {
        let turns = matches!(char, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
        let isolates = matches!(char, '\u{2066}'..='\u{2069}' | '\u{2028}'..='\u{2029}');
        char.is_control() || turns || isolates
    };
    let kept = |char: char| match disturbs(char) {
        true => char::REPLACEMENT_CHARACTER,
        false => char,
    };
    text.chars().take(max_chars).map(kept).collect()
}

/// The same without what ends a subject.
pub(super) fn subject_of(text: &str) -> String {
    clean(text, SUBJECT_MAX_CHARS)
        .replace('[', "(")
        .replace(']', ")")
}
