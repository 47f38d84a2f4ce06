//! What the function tells its operator, gathered from all instances: lines for the log, counts for
//! `/metrics`, and the alarms that stand.
//!
//! ```text
//!   standard error of an instance ─► Intake: lines ─┬─ ERROR, INFO of an alarm ─► Alarms ─► log
//!                                                   ├─ COUNT ──────────────────► Counters
//!                                                   └─ anything else ──────────► log, WARN
//!   dunlin-count of an answer ─► taken off ───────────────────────────────────► Counters
//! ```
//!
//! Instances do not know of each other, and each says for itself that a key is refused. Here that
//! is one alarm: told once a minute, with what all of them have counted, and over when one of them
//! says so.
//!
//! Bounds: those of [`Alarms`] and [`Counters`]; lines are cut as `intake` says.

mod intake;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dunlin::api::aside;
use dunlin::service::{AlarmLine, Alarms, Counters, INTERVAL, Level};
use dunlin::time::Now;
use http::HeaderMap;
use tracing::{error, info, warn};

pub(crate) use intake::Intake;

/// An instance tells a minute after it told; the clocks are read at different moments.
const SLACK: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub struct Operator {
    began: Instant,
    told: Mutex<OperatorState>,
}

#[derive(Debug)]
struct OperatorState {
    alarms: Alarms,
    counters: Counters,
    timer_runs: bool,
}

impl Default for Operator {
    fn default() -> Self {
        Self::telling_every(INTERVAL.saturating_sub(SLACK))
    }
}

impl Operator {
    fn telling_every(interval: Duration) -> Self {
        let told = OperatorState {
            alarms: Alarms::new(interval),
            counters: Counters::default(),
            timer_runs: false,
        };
        Self {
            began: Instant::now(),
            told: Mutex::new(told),
        }
    }

    fn now(&self) -> Now {
        Now::ZERO + self.began.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, OperatorState> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something of the host's own went wrong; the text says what and what to do.
    pub fn note(self: &Arc<Self>, alarm: &str, subject: &str, text: impl FnOnce() -> String) {
        self.note_times((alarm, subject), 1, text);
    }

    /// It is over, if it was ever there.
    pub fn good(&self, alarm: &str, subject: &str) {
        self.good_after((alarm, subject), 0);
    }

    /// The same, `more` having happened that nobody was told.
    fn good_after(&self, subject: (&str, &str), more: u64) {
        let lines = {
            let mut told = self.lock();
            match told.alarms.is_quiet() {
                true => Vec::new(),
                false => told.alarms.good_after(self.now(), subject, more),
            }
        };
        lines.iter().for_each(log);
    }

    fn note_times(
        self: &Arc<Self>,
        (alarm, subject): (&str, &str),
        times: u64,
        text: impl FnOnce() -> String,
    ) {
        let (line, starts) = {
            let mut told = self.lock();
            let line = told.alarms.note(self.now(), (alarm, subject), times, text);
            let waits = told.alarms.poll_timeout().is_some();
            (
                line,
                waits && !std::mem::replace(&mut told.timer_runs, waits),
            )
        };
        line.iter().for_each(log);
        if starts {
            self.start_timer();
        }
    }

    /// Tells what waits for its minute, and ends when nothing does.
    fn start_timer(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // Told with whatever comes next.
            self.lock().timer_runs = false;
            return;
        };
        let weak = Arc::downgrade(self);
        runtime.spawn(async move {
            while let Some(operator) = weak.upgrade() {
                let (lines, next) = {
                    let mut told = operator.lock();
                    let lines = told.alarms.handle_timeout(operator.now());
                    let next = told.alarms.poll_timeout();
                    told.timer_runs = next.is_some();
                    (lines, next.map(|at| at.since(operator.now())))
                };
                drop(operator);
                lines.iter().for_each(log);
                let Some(wait) = next else { return };
                tokio::time::sleep(wait).await;
            }
        });
    }

    /// A line of the function's standard error.
    fn line(self: &Arc<Self>, line: &str) {
        if let Some(counts) = line.strip_prefix("dunlin: COUNT: ") {
            self.add_counts(counts);
            return;
        }
        match AlarmLine::parse(line) {
            Some(AlarmLine {
                level: Level::Error,
                alarm,
                subject,
                times,
                text,
            }) => self.note_times((&alarm, &subject), times, || text),
            Some(AlarmLine {
                alarm,
                subject,
                times,
                ..
            }) => self.good_after((&alarm, &subject), times),
            None => {
                let text = line.strip_prefix("dunlin: ").unwrap_or(line);
                let text = text.strip_prefix("WARN: ").unwrap_or(text);
                warn!("{}", text.replace(char::is_control, "\u{fffd}"));
            }
        }
    }

    /// Takes the function's counts off an answer.
    pub(crate) fn take_counts(&self, headers: &mut HeaderMap) {
        if let Some(counts) = headers.remove(aside::COUNT_HEADER)
            && let Ok(counts) = counts.to_str()
        {
            self.add_counts(counts);
        }
    }

    /// Adds what the function has counted, in its words.
    pub fn add_counts(&self, counts: &str) {
        self.lock().counters.add_taken(counts);
    }

    /// Appends all of it in Prometheus's exposition format.
    pub(crate) fn write_metrics(&self, text: &mut String) {
        let told = self.lock();
        told.counters.write(text);
        let name = "dunlin_alarm_lasts_seconds";
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            text,
            "# HELP {name} How long an alarm has stood; absent when it does not.\n\
             # TYPE {name} gauge"
        );
        for standing in told.alarms.standing(self.now()) {
            let (alarm, subject) = (&standing.alarm, escaped(&standing.subject));
            let lasts = standing.lasts.as_secs();
            let _ = writeln!(
                text,
                "{name}{{alarm=\"{alarm}\",subject=\"{subject}\"}} {lasts}"
            );
        }
    }

    /// Where an instance writes its standard error.
    pub(crate) fn intake(self: &Arc<Self>) -> Intake {
        Intake::new(Arc::clone(self))
    }
}

/// The value of a label.
pub(crate) fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn log(line: &AlarmLine) {
    let AlarmLine {
        level,
        alarm,
        subject,
        times,
        text,
    } = line;
    match level {
        Level::Error => error!(alarm, times, "{subject}: {text}"),
        Level::Info => info!(alarm, "{subject}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use dunlin_test_support::Written;

    use super::intake::LINE_MAX_BYTES;
    use super::*;

    const REFUSED: &str = "dunlin: ERROR credential-refused [key A of team B, production: \
                           InvalidProviderToken] once: mend it.\n";

    /// What is logged by what is done here, as JSON.
    fn logged(work: impl FnOnce()) -> Vec<serde_json::Value> {
        use tracing_subscriber::layer::SubscriberExt as _;
        let written = Written::default();
        let writer = written.clone();
        let lines = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), work);
        let text = written.text();
        let parse = |line| serde_json::from_str(line).unwrap();
        text.lines().map(parse).collect()
    }

    #[test]
    fn what_every_instance_says_is_one_line() {
        let operator = Arc::new(Operator::default());
        let instances = [operator.intake(), operator.intake(), operator.intake()];
        let lines = logged(|| {
            for instance in &instances {
                // In pieces, as Rust writes them.
                let (start, end) = REFUSED.split_at(20);
                instance.take(start.as_bytes());
                instance.take(end.as_bytes());
            }
            let over = REFUSED
                .replace("ERROR", "INFO")
                .replace("once: mend it.", "3 more: over after 2 s, 4 in all");
            for instance in &instances {
                instance.take(over.as_bytes());
            }
        });
        let levels: Vec<&str> = lines
            .iter()
            .map(|it| it["level"].as_str().unwrap())
            .collect();
        assert_eq!(levels, ["ERROR", "INFO"], "{lines:#?}");
        let [told, over] = &lines[..] else { panic!() };
        let subject = "key A of team B, production: InvalidProviderToken";
        assert_eq!(told["message"], format!("{subject}: mend it."));
        assert_eq!(told["alarm"], "credential-refused");
        // With what all of them have counted.
        assert_eq!(
            over["message"],
            format!("{subject}: over after 0 s, 6 in all")
        );
    }

    #[test]
    fn an_alarm_stands_in_the_metrics_until_it_is_over() {
        let operator = Arc::new(Operator::default());
        let shown = |operator: &Operator| {
            let mut text = String::new();
            operator.write_metrics(&mut text);
            text.lines()
                .filter(|line| line.starts_with("dunlin_alarm_lasts_seconds{"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        logged(|| {
            operator.note("host-queue-full", "a \"b\" \\", || "x".into());
            let line = "dunlin_alarm_lasts_seconds{alarm=\"host-queue-full\",\
                        subject=\"a \\\"b\\\" \\\\\"} 0";
            assert_eq!(shown(&operator), [line]);
            operator.good("host-queue-full", "a \"b\" \\");
            assert_eq!(shown(&operator), [""; 0]);
        });
    }

    #[test]
    fn other_lines_are_warnings_of_one_line_each_and_bounded() {
        let operator = Arc::new(Operator::default());
        let intake = operator.intake();
        let lines = logged(|| {
            intake.take(b"dunlin: WARN: feedback: no\nplain\x1b[2J\n\n  \n");
            intake.take(&vec![b'x'; 10 * LINE_MAX_BYTES]);
            intake.take(&vec![b'x'; 10 * LINE_MAX_BYTES]);
            intake.take(b"\ncut off");
            drop(intake);
        });
        let of = |index: usize| lines[index]["message"].as_str().unwrap();
        assert!(
            lines.iter().all(|line| line["level"] == "WARN"),
            "{lines:?}"
        );
        assert_eq!(
            (of(0), of(1), of(3)),
            ("feedback: no", "plain\u{fffd}[2J", "cut off")
        );
        assert_eq!(of(2).len(), LINE_MAX_BYTES);
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn counts_come_by_header_or_line_and_the_header_goes_no_further() {
        let operator = Arc::new(Operator::default());
        let mut headers = HeaderMap::new();
        headers.insert(
            aside::COUNT_HEADER,
            "push.accepted=2,evil=3".parse().unwrap(),
        );
        operator.take_counts(&mut headers);
        assert!(headers.is_empty());
        operator.take_counts(&mut headers);
        let lines = logged(|| {
            operator
                .intake()
                .take(b"dunlin: COUNT: push.accepted=1,connect-failed=4\n");
        });
        assert!(lines.is_empty(), "{lines:?}");
        let mut text = String::new();
        operator.write_metrics(&mut text);
        for line in [
            "dunlin_pushes_total{outcome=\"accepted\",reason=\"\"} 3",
            "dunlin_connects_failed_total 4",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} in\n{text}");
        }
        assert!(!text.contains("evil"));
    }

    #[test]
    fn what_is_noted_again_is_told_when_its_time_has_passed() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let lines = logged(|| {
            runtime.block_on(async {
                let operator = Arc::new(Operator::telling_every(Duration::from_millis(20)));
                operator.note("x", "y", || "z".into());
                operator.note("x", "y", || "z".into());
                while operator.lock().timer_runs {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        });
        let levels: Vec<&str> = lines
            .iter()
            .map(|it| it["level"].as_str().unwrap())
            .collect();
        assert_eq!(levels, ["ERROR", "ERROR"], "{lines:#?}");
    }
}
