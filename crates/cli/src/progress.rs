//! How far something long is, for a terminal: a bar where the end is known, counts, how many a
//! second, and about how much time is left.
//!
//! ```text
//!   [##########----------]  52 %  520,000 lines, 12 refused  19,830/s  0:25 left
//! ```

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crate::output;

/// Characters of the bar.
const WIDTH: u64 = 20;

/// How often it is drawn at most.
const EVERY: Duration = Duration::from_millis(100);

/// How often it is shown that something goes on of which no more is known.
const TICK: Duration = Duration::from_secs(1);

/// Before this has passed, nothing is said of the time that is left.
const FORESEEN: Duration = Duration::from_secs(2);

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Of the whole, in its unit.
    pub part: u64,
    /// Things that are counted by the second.
    pub items: u64,
}

/// See the module. It shows nothing unless the standard error is a terminal.
#[derive(Debug)]
pub struct ProgressBar {
    whole: Option<u64>,
    began: Instant,
    /// What was done before this began.
    before: Done,
    drawn: Option<Instant>,
    is_shown: bool,
}

impl ProgressBar {
    /// From a beginning at which so much was done, to the whole if that is known.
    pub fn begin(before: Done, whole: Option<u64>) -> Self {
        Self {
            whole: whole.filter(|whole| *whole > 0),
            began: Instant::now(),
            before,
            drawn: None,
            is_shown: std::io::stderr().is_terminal(),
        }
    }

    /// Shows how far it is, unless it was shown just now.
    pub fn show(&mut self, done: Done, counts: impl FnOnce() -> String) {
        let is_due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= EVERY);
        if self.is_shown && is_due {
            self.drawn = Some(Instant::now());
            output::progress(&self.text(done, self.began.elapsed(), &counts()));
        }
    }

    /// Shows a sentence in its place.
    pub fn say(&mut self, what: &str) {
        if self.is_shown {
            self.drawn = None;
            output::progress(what);
        }
    }

    /// Takes it away, so that lines can be written.
    pub fn clear(&mut self) {
        self.say("");
    }

    /// Since it began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn text(&self, done: Done, elapsed: Duration, counts: &str) -> String {
        let items = done.items.saturating_sub(self.before.items);
        let rate = format!("{}/s", grouped(a_second(items, elapsed)));
        let Some(whole) = self.whole else {
            return format!("{counts}  {rate}");
        };
        let part = done.part.min(whole);
        let filled = WIDTH * part / whole;
        let bar: String = (0..WIDTH)
            .map(|at| if at < filled { '#' } else { '-' })
            .collect();
        let share = 100 * part / whole;
        let passed = part.saturating_sub(self.before.part);
        let left = match left(whole - part, passed, elapsed) {
            Some(left) => format!("  {} left", clock(left)),
            None => String::new(),
        };
        format!("[{bar}] {share:>3} %  {counts}  {rate}{left}")
    }
}

/// Waits for something of which nothing is known until it is done, and shows on a terminal that it
/// goes on, and for how long it has.
pub async fn waiting<T>(what: &str, done: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let mut done = std::pin::pin!(done);
    loop {
        match tokio::time::timeout(TICK, &mut done).await {
            Ok(done) => {
                output::progress("");
                return done;
            }
            Err(_) => output::progress(&format!("{what}: {}", clock(began.elapsed()))),
        }
    }
}

/// How many a second that is.
pub fn a_second(items: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    items.saturating_mul(1_000) / millis.max(1)
}

/// What the rest takes if it goes on as it went.
fn left(rest: u64, passed: u64, elapsed: Duration) -> Option<Duration> {
    if elapsed < FORESEEN || passed == 0 {
        return None;
    }
    let millis = elapsed.as_millis() * u128::from(rest) / u128::from(passed);
    Some(Duration::from_millis(millis.try_into().ok()?))
}

/// As a clock has it: `0:25`, `1:02:05`.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// A number with a comma between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(before: Done, whole: Option<u64>) -> ProgressBar {
        ProgressBar::begin(before, whole)
    }

    #[test]
    fn a_bar_says_how_far_it_is_and_what_is_left() {
        let done = Done {
            part: 525,
            items: 4_000,
        };
        let half = Duration::from_secs(10);
        let text = bar(Done::default(), Some(1_000)).text(done, half, "4,000 lines");
        let expected = "[##########----------]  52 %  4,000 lines  400/s  0:09 left";
        assert_eq!(text, expected);
        let unknown = bar(Done::default(), None).text(done, half, "4,000 lines");
        assert_eq!(unknown, "4,000 lines  400/s");
        let empty = bar(Done::default(), Some(0)).text(done, half, "none");
        assert_eq!(empty, "none  400/s");
    }

    #[test]
    fn what_was_done_before_says_nothing_of_the_rate() {
        let (part, items) = (900, 9_000);
        let bar = bar(Done { part, items }, Some(1_000));
        let later = Done {
            part: 950,
            items: 9_500,
        };
        let text = bar.text(later, Duration::from_secs(5), "x");
        assert!(text.ends_with("  95 %  x  100/s  0:05 left"), "{text}");
        let at_once = bar.text(Done { part, items }, Duration::ZERO, "x");
        assert!(at_once.ends_with("  90 %  x  0/s"), "{at_once}");
        let more = Done {
            part: 2_000,
            items: 0,
        };
        assert!(bar.text(more, Duration::ZERO, "x").contains("100 %"));
    }

    #[test]
    fn numbers_and_times_are_for_people() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(12_345_678), "12,345,678");
        assert_eq!(clock(Duration::from_secs(65)), "1:05");
        assert_eq!(clock(Duration::from_secs(3_725)), "1:02:05");
    }
}
