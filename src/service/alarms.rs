//! Trouble that only an operator can mend, turned into few lines: [`Alarms`].
//!
//! ```text
//!   note ─► nothing known: a line at once ─► noted again: counted, a line after a minute with the
//!           count ─► … ─► good: one line that it is over
//! ```
//!
//! Invariants:
//! - a subject has at most one ERROR a minute, also when it comes and goes;
//! - each INFO follows an ERROR of the same trouble, and there is one at most.
//!
//! Bounds: [`MAX_SUBJECTS`] subjects. Beyond it what is over is forgotten, then whatever was last
//! noted an hour ago; if nothing is, the rest of its kind shares one more, named `others`. Subjects
//! and texts are cut as in `line`.

mod line;

use core::fmt;
use core::time::Duration;

use crate::time::Now;

pub use line::{AlarmLine, Level};
use line::{TEXT_MAX_CHARS, clean, subject_of};

/// How often a trouble that lasts is told.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// Most subjects that are told apart. **Ours**: 64 lines a minute at worst.
const MAX_SUBJECTS: usize = 64;

/// Kinds of trouble that may have one for `others` beyond that. **Ours**.
const MAX_KINDS: usize = 16;

/// After which time a trouble makes room for another, and is not listed any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// The same for the list: whoever has not met it for a day has no use for it.
const LISTED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The subject of whatever found no place of its own.
const OTHERS: &str = "others";

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

#[cfg(test)]
mod tests;
