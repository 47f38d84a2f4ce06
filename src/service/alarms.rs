//! Trouble that only an operator can mend, turned into few lines: [`Alarms`].
//!
//! ```text
//!   note ─► nothing known: a line at once ─► noted again: counted, a line after a minute with the
//!           count ─► … ─► good: one line that it is over
//! ```
//!
//! A line as it is written, and read again by a host that gathers those of several instances:
//!
//! ```text
//!   dunlin: ERROR credential-refused [key ABC123DEFG …: InvalidProviderToken] 17 times: APNs …
//!   dunlin: INFO credential-refused [key ABC123DEFG …: InvalidProviderToken] 3 more: over after …
//! ```
//!
//! Invariants:
//! - a subject has at most one ERROR a minute, also when it comes and goes;
//! - each INFO follows an ERROR of the same trouble, and there is one at most.
//!
//! Bounds: [`MAX_SUBJECTS`] subjects. Beyond it what is over is forgotten, then whatever was last
//! noted an hour ago; if nothing is, the rest of its kind shares one more, named `others`. Subjects
//! and texts are cut at [`SUBJECT_MAX_CHARS`] and [`TEXT_MAX_CHARS`].

use core::fmt;
use core::time::Duration;

use crate::time::Now;

/// How often a trouble that lasts is told.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// Most subjects that are told apart. **Ours**: 64 lines a minute at worst.
const MAX_SUBJECTS: usize = 64;

/// Kinds of trouble that may have one for `others` beyond that. **Ours**.
const MAX_KINDS: usize = 16;

/// Longest subject, in characters. **Ours**: a key, an environment, a topic and a reason.
const SUBJECT_MAX_CHARS: usize = 480;

/// Longest text, in characters. **Ours**.
const TEXT_MAX_CHARS: usize = 800;

/// After which time a trouble makes room for another, and is not listed any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// The same for the list: whoever has not met it for a day has no use for it.
const LISTED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The subject of whatever found no place of its own.
const OTHERS: &str = "others";

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

/// A trouble that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// As in [`AlarmLine`].
    pub alarm: String,
    /// As in [`AlarmLine`].
    pub subject: String,
    /// How long it has been there.
    pub lasts: Duration,
    /// How often it was noted.
    pub times: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Alarms {
    interval: Duration,
    entries: Vec<AlarmEntry>,
}

#[derive(Debug)]
struct AlarmEntry {
    alarm: Box<str>,
    subject: Box<str>,
    /// The newest.
    text: Box<str>,
    /// Since when; `None` if it is over.
    since: Option<Now>,
    /// Noted since then.
    times: u64,
    /// Noted since the last ERROR.
    untold: u64,
    told_at: Option<Now>,
    /// An ERROR was written since it began, so that its end is to be told.
    owes_end: bool,
    noted_at: Now,
}

impl Default for Alarms {
    fn default() -> Self {
        Self::new(INTERVAL)
    }
}

impl Alarms {
    /// Knows of no trouble; `interval` is between two ERRORs of one subject.
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            entries: Vec::new(),
        }
    }

    /// Whether there is no trouble, so that [`Self::good`] need not be called.
    pub fn is_quiet(&self) -> bool {
        self.entries.iter().all(|entry| entry.since.is_none())
    }

    /// Whether there is trouble of a kind, so that [`Self::good`] has to be asked.
    pub fn stands(&self, alarm: &str) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.since.is_some() && *entry.alarm == *alarm)
    }

    /// Something went wrong `times` times. The text is made only where it is needed.
    pub fn note(
        &mut self,
        now: Now,
        (alarm, subject): (&str, &str),
        times: u64,
        text: impl FnOnce() -> String,
    ) -> Option<AlarmLine> {
        let index = self.place(now, alarm, &subject_of(subject))?;
        let interval = self.interval;
        let entry = self.entries.get_mut(index)?;
        if entry.since.is_none() {
            entry.since = Some(now);
            (entry.times, entry.untold, entry.owes_end) = (0, 0, false);
        }
        entry.times = entry.times.saturating_add(times);
        entry.untold = entry.untold.saturating_add(times);
        entry.noted_at = now;
        let is_due = entry.due(interval).is_none_or(|at| at <= now);
        if is_due || entry.text.is_empty() {
            entry.text = clean(&text(), TEXT_MAX_CHARS).into();
        }
        is_due.then(|| entry.tell(now))
    }

    /// The same, where another has counted: it was noted `more` times that were not told.
    pub fn good_after(
        &mut self,
        now: Now,
        (alarm, subject): (&str, &str),
        more: u64,
    ) -> Vec<AlarmLine> {
        if let Some(index) = self.find(alarm, &subject_of(subject))
            && let Some(entry) = self.entries.get_mut(index)
        {
            entry.times = entry.times.saturating_add(more);
            entry.untold = entry.untold.saturating_add(more);
        }
        self.good(now, (alarm, subject))
    }

    /// What this subject suffered from is over, also what is said of it in particular, as
    /// `subject: reason`.
    pub fn good(&mut self, now: Now, (alarm, subject): (&str, &str)) -> Vec<AlarmLine> {
        let subject = subject_of(subject);
        let is_of = |entry: &AlarmEntry| {
            let rest = entry.subject.strip_prefix(subject.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
        };
        let of_alarm = |entry: &&mut AlarmEntry| *entry.alarm == *alarm && entry.since.is_some();
        let mut entries = self.entries.iter_mut().filter(of_alarm);
        let mut lines: Vec<AlarmLine> = entries
            .by_ref()
            .filter(|entry| is_of(entry))
            .filter_map(|entry| entry.end(now))
            .collect();
        // Who has no place of its own is one of the others.
        if !self
            .entries
            .iter()
            .any(|it| *it.alarm == *alarm && is_of(it))
        {
            let mut others = self.entries.iter_mut().filter(of_alarm);
            let others = others.find(|entry| *entry.subject == *OTHERS);
            lines.extend(others.and_then(|entry| entry.end(now)));
        }
        lines
    }

    /// When [`Self::handle_timeout`] has something to tell.
    pub fn poll_timeout(&self) -> Option<Now> {
        let pending = self.entries.iter().filter(|entry| entry.is_pending());
        pending.filter_map(|entry| entry.due(self.interval)).min()
    }

    /// What was noted and has waited for its minute.
    pub fn handle_timeout(&mut self, now: Now) -> Vec<AlarmLine> {
        let interval = self.interval;
        let pending = self.entries.iter_mut().filter(|entry| entry.is_pending());
        pending
            .filter(|entry| entry.due(interval).is_none_or(|at| at <= now))
            .map(|entry| entry.tell(now))
            .collect()
    }

    /// Every trouble that is there and was noted within a day.
    pub fn standing(&self, now: Now) -> Vec<Standing> {
        let recent = |entry: &&AlarmEntry| now.since(entry.noted_at) < LISTED_FOR;
        let standing = |entry: &AlarmEntry| {
            Some(Standing {
                alarm: entry.alarm.to_string(),
                subject: entry.subject.to_string(),
                lasts: now.since(entry.since?),
                times: entry.times,
            })
        };
        let entries = self.entries.iter().filter(recent);
        entries.filter_map(standing).collect()
    }

    /// Where a subject is, or will be; `None` if there is no room even among the others.
    fn place(&mut self, now: Now, alarm: &str, subject: &str) -> Option<usize> {
        if let Some(index) = self.find(alarm, subject) {
            return Some(index);
        }
        if self.entries.len() >= MAX_SUBJECTS {
            self.make_room(now);
        }
        let subject = match self.entries.len() < MAX_SUBJECTS {
            true => subject,
            false => OTHERS,
        };
        if let Some(index) = self.find(alarm, subject) {
            return Some(index);
        }
        if self.entries.len() >= MAX_SUBJECTS + MAX_KINDS {
            return None;
        }
        self.entries.push(AlarmEntry {
            alarm: alarm.into(),
            subject: subject.into(),
            text: Box::default(),
            since: None,
            times: 0,
            untold: 0,
            told_at: None,
            owes_end: false,
            noted_at: now,
        });
        Some(self.entries.len() - 1)
    }

    fn find(&self, alarm: &str, subject: &str) -> Option<usize> {
        let is_it = |entry: &AlarmEntry| *entry.alarm == *alarm && *entry.subject == *subject;
        self.entries.iter().position(is_it)
    }

    fn make_room(&mut self, now: Now) {
        let interval = self.interval;
        self.entries.retain(|entry| match entry.since {
            None => entry.due(interval).is_some_and(|at| at > now),
            Some(_) => now.since(entry.noted_at) < FORGOTTEN_AFTER,
        });
    }
}

impl AlarmEntry {
    /// From when on the next ERROR may be written; `None` if there was none.
    fn due(&self, interval: Duration) -> Option<Now> {
        self.told_at.map(|at| at + interval)
    }

    fn is_pending(&self) -> bool {
        self.since.is_some() && self.untold > 0
    }

    fn line(&self, level: Level, times: u64, text: String) -> AlarmLine {
        AlarmLine {
            level,
            alarm: self.alarm.to_string(),
            subject: self.subject.to_string(),
            times,
            text,
        }
    }

    fn tell(&mut self, now: Now) -> AlarmLine {
        self.told_at = Some(now);
        self.owes_end = true;
        let times = core::mem::take(&mut self.untold);
        self.line(Level::Error, times, self.text.to_string())
    }

    fn end(&mut self, now: Now) -> Option<AlarmLine> {
        let since = self.since.take()?;
        let (lasted, times) = (Span(now.since(since)), self.times);
        let text = format!("over after {lasted}, {times} in all");
        let untold = core::mem::take(&mut self.untold);
        self.owes_end.then(|| self.line(Level::Info, untold, text))
    }
}

/// A length of time, roughly.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            secs @ 0..120 => write!(f, "{secs} s"),
            secs @ 120..7_200 => write!(f, "{} min", secs / 60),
            secs => write!(f, "{} h", secs / 3_600),
        }
    }
}

/// One line without what disturbs a terminal, cut.
fn clean(text: &str, max_chars: usize) -> String {
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
fn subject_of(text: &str) -> String {
    clean(text, SUBJECT_MAX_CHARS)
        .replace('[', "(")
        .replace(']', ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (&str, &str) = ("credential-refused", "key A, production: Bad");

    fn at(secs: u64) -> Now {
        Now::ZERO + Duration::from_secs(secs)
    }

    /// Notes once; how often the line says that it was, if there is one.
    fn noted(alarms: &mut Alarms, secs: u64) -> Option<u64> {
        let line = alarms.note(at(secs), KEY, 1, || "mend it".to_owned());
        line.map(|line| {
            assert_eq!((line.level, line.text.as_str()), (Level::Error, "mend it"));
            line.times
        })
    }

    #[test]
    fn a_trouble_is_told_at_once_then_once_a_minute_with_a_count_and_once_when_it_is_over() {
        let mut alarms = Alarms::default();
        let told: Vec<_> = (0..150)
            .filter_map(|secs| noted(&mut alarms, secs))
            .collect();
        assert_eq!(told, [1, 60, 60]);
        assert!(!alarms.is_quiet());
        let over = alarms.good(at(150), KEY);
        let [
            AlarmLine {
                level, times, text, ..
            },
        ] = over.as_slice()
        else {
            panic!("{over:?}");
        };
        assert_eq!((*level, *times), (Level::Info, 29));
        assert_eq!(text, "over after 2 min, 150 in all");
        assert_eq!(
            AlarmLine::parse(&over[0].to_string()).as_ref(),
            Some(&over[0])
        );
        assert!(alarms.is_quiet());
        assert_eq!(alarms.good(at(151), KEY), []);
    }

    #[test]
    fn what_is_not_noted_again_is_told_when_its_minute_has_passed() {
        let mut alarms = Alarms::default();
        for secs in 0..5 {
            noted(&mut alarms, secs);
        }
        assert_eq!(alarms.poll_timeout(), Some(at(60)));
        assert_eq!(alarms.handle_timeout(at(59)), []);
        let told = alarms.handle_timeout(at(60));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].times, 4);
        assert_eq!(alarms.poll_timeout(), None, "nothing happens any more");
        assert_eq!(alarms.standing(at(61)).len(), 1, "it is not over for that");
    }

    #[test]
    fn what_comes_and_goes_is_two_lines_a_minute() {
        let mut alarms = Alarms::default();
        let (mut errors, mut infos) = (0, 0);
        for secs in 0..120 {
            errors += noted(&mut alarms, secs).iter().count();
            infos += alarms.good(at(secs), KEY).len();
        }
        assert_eq!((errors, infos), (2, 2));
    }

    #[test]
    fn what_began_within_the_minute_and_stays_is_told_at_its_end() {
        let mut alarms = Alarms::default();
        assert_eq!(noted(&mut alarms, 0), Some(1));
        assert_eq!(alarms.good(at(1), KEY).len(), 1);
        assert_eq!(noted(&mut alarms, 2), None);
        assert_eq!(alarms.handle_timeout(at(60)).len(), 1);
        assert_eq!(alarms.good(at(61), KEY).len(), 1);
    }

    #[test]
    fn good_is_for_all_reasons_of_a_subject_and_no_other() {
        let mut alarms = Alarms::default();
        for subject in ["key A", "key A: Bad", "key A: Worse", "key AB: Bad"] {
            alarms.note(at(0), ("x", subject), 1, String::new);
        }
        alarms.note(at(0), ("y", "key A"), 1, String::new);
        let over = alarms.good(at(1), ("x", "key A"));
        assert_eq!(over.len(), 3, "{over:?}");
        let left: Vec<_> = alarms
            .standing(at(1))
            .into_iter()
            .map(|it| it.subject)
            .collect();
        assert_eq!(left, ["key AB: Bad", "key A"]);
    }

    #[test]
    fn subjects_are_bounded_and_so_are_lines() {
        let mut alarms = Alarms::default();
        let mut lines = 0;
        for n in 0..10_000 {
            let subject = format!("topic {n}");
            let line = alarms.note(at(n / 1_000), ("x", &subject), 1, String::new);
            lines += line.iter().count();
        }
        assert_eq!(lines, MAX_SUBJECTS + 1, "the others share one");
        assert_eq!(alarms.entries.len(), MAX_SUBJECTS + 1);
        for n in 0..100 {
            let alarm = format!("alarm-{}", "x".repeat(n));
            alarms.note(at(11), (&alarm, "s"), 1, String::new);
        }
        assert_eq!(alarms.entries.len(), MAX_SUBJECTS + MAX_KINDS);
        assert_eq!(
            alarms.good(at(12), ("x", "topic 9999")).len(),
            1,
            "of the others"
        );
        // An hour later there is room again.
        let line = alarms.note(at(4_000), ("x", "new"), 1, String::new);
        assert_eq!(line.unwrap().subject, "new");
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let mut alarms = Alarms::default();
        let line = alarms.note(at(0), ("guard-tripped", "a [b]\nc"), 3, || {
            "x: y [z]\u{1b}[2J\u{202e}".to_owned()
        });
        let line = line.unwrap();
        assert_eq!(line.subject, "a (b)\u{fffd}c");
        let written = line.to_string();
        assert!(!written.contains(char::is_control), "{written}");
        assert_eq!(AlarmLine::parse(&written), Some(line));
        for other in [
            "",
            "dunlin: the registry did not take it",
            "dunlin: ERROR",
            "dunlin: ERROR x [y] z times: t",
            "dunlin: ERROR X [y] 1 times: t",
            "dunlin: WARN x [y] 1 times: t",
            "dunlin: ERROR x [y 1 times: t",
        ] {
            assert_eq!(AlarmLine::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_was_not_seen_for_a_day_is_not_listed() {
        let mut alarms = Alarms::default();
        noted(&mut alarms, 0);
        let [standing] = alarms.standing(at(86_399)).try_into().unwrap();
        assert_eq!((standing.lasts.as_secs(), standing.times), (86_399, 1));
        assert_eq!(alarms.standing(at(86_400)), []);
    }
}
