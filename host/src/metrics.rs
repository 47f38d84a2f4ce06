//! What the host knows of itself, as `GET /metrics` shows it.
//!
//! The text is Prometheus's exposition format, version 0.0.4. Bound: one entry for each task of the
//! configuration or of the function, at most `MAX_TASKS`; one for each identity of the
//! configuration.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dunlin::time::UnixTime;
use serde_json::Value;

use crate::clock::now;
use crate::operator::{Operator, escaped};

/// Most tasks that are remembered; one more is not.
const MAX_TASKS: usize = 64;

/// What became of a task's last run.
#[derive(Clone, Debug, Default)]
struct TaskStatus {
    /// Since 1970.
    next: Option<Duration>,
    /// Since 1970.
    began: Option<Duration>,
    running: bool,
    runs: u64,
    failures: u64,
    took: Option<Duration>,
    succeeded: Option<bool>,
    /// The numbers of the last report.
    numbers: BTreeMap<String, u64>,
}

/// Counters and the last results of tasks.
#[derive(Debug, Default)]
pub struct Status {
    tasks: Mutex<BTreeMap<String, TaskStatus>>,
    /// The last second of each identity's certificate.
    certificates: Mutex<BTreeMap<String, UnixTime>>,
    requests: AtomicU64,
    refused: AtomicU64,
    operator: Arc<Operator>,
}

impl Status {
    /// What the function tells its operator.
    pub fn operator(&self) -> &Arc<Operator> {
        &self.operator
    }

    /// A request was answered; `refused` if the host itself refused it.
    pub fn request(&self, refused: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if refused {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Until when the certificate of an identity is valid, that second included.
    pub fn certificate(&self, identity: &str, not_after: UnixTime) {
        let mut certificates = lock(&self.certificates);
        certificates.insert(identity.to_owned(), not_after);
    }

    /// When a task runs next, since 1970.
    pub fn task_due(&self, name: &str, at: Duration) {
        self.with(name, |task| task.next = Some(at));
    }

    /// A task has begun, since 1970.
    pub fn task_began(&self, name: &str, at: Duration) {
        self.with(name, |task| {
            task.began = Some(at);
            task.running = true;
            task.runs += 1;
        });
    }

    /// A task has ended.
    pub fn task_ended(&self, name: &str, took: Duration, report: &Result<String, String>) {
        self.with(name, |task| {
            task.running = false;
            task.took = Some(took);
            task.succeeded = Some(report.is_ok());
            task.failures += u64::from(report.is_err());
            if let Ok(report) = report {
                task.numbers = numbers(report);
            }
        });
    }

    fn with(&self, name: &str, change: impl FnOnce(&mut TaskStatus)) {
        let mut tasks = lock(&self.tasks);
        if tasks.len() < MAX_TASKS || tasks.contains_key(name) {
            change(tasks.entry(name.to_owned()).or_default());
        }
    }

    /// The text of `GET /metrics`.
    pub fn metrics(&self) -> String {
        self.metrics_at(now())
    }

    fn metrics_at(&self, now: UnixTime) -> String {
        let mut text = String::new();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = [
            (
                "dunlin_requests_total",
                load(&self.requests),
                "Requests answered.",
            ),
            (
                "dunlin_requests_refused_total",
                load(&self.refused),
                "Requests that the host refused: full queues, timeouts, a stopped function.",
            ),
        ];
        for (name, value, help) in counters {
            head(&mut text, name, "counter", help);
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(text, "{name} {value}");
        }
        let tasks = lock(&self.tasks).clone();
        for family in FAMILIES {
            family.write(&tasks, &mut text);
        }
        write_certificates(&lock(&self.certificates), now, &mut text);
        self.operator.write_metrics(&mut text);
        text
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long each certificate lasts, from a time on.
fn write_certificates(certificates: &BTreeMap<String, UnixTime>, now: UnixTime, text: &mut String) {
    let name = "dunlin_certificate_expires_seconds";
    let help = "Seconds until the certificate of an identity expires; negative once it has.";
    head(text, name, "gauge", help);
    for (identity, not_after) in certificates {
        // Both are below 2^63, milliseconds having been divided.
        let left = not_after.as_secs().cast_signed() + 1 - now.as_secs().cast_signed();
        let _ = writeln!(text, "{name}{{identity=\"{}\"}} {left}", escaped(identity));
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Label and value of each line that a task has in a family.
type Lines = fn(&TaskStatus) -> Vec<(String, f64)>;

/// One metric of all tasks.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    lines: Lines,
}

/// A line without a further label, if there is a value.
fn line(value: Option<f64>) -> Vec<(String, f64)> {
    value
        .map(|value| (String::new(), value))
        .into_iter()
        .collect()
}

const FAMILIES: [Family; 8] = [
    Family {
        name: "dunlin_task_runs_total",
        kind: "counter",
        help: "Runs begun since the start of the host.",
        lines: |task| line(Some(task.runs as f64)),
    },
    Family {
        name: "dunlin_task_failures_total",
        kind: "counter",
        help: "Runs that failed.",
        lines: |task| line(Some(task.failures as f64)),
    },
    Family {
        name: "dunlin_task_running",
        kind: "gauge",
        help: "1 while the task runs.",
        lines: |task| line(Some(f64::from(u8::from(task.running)))),
    },
    Family {
        name: "dunlin_task_last_began_timestamp_seconds",
        kind: "gauge",
        help: "When the last run began.",
        lines: |task| line(task.began.map(|at| at.as_secs_f64())),
    },
    Family {
        name: "dunlin_task_next_timestamp_seconds",
        kind: "gauge",
        help: "When the schedule runs it next.",
        lines: |task| line(task.next.map(|at| at.as_secs_f64())),
    },
    Family {
        name: "dunlin_task_last_duration_seconds",
        kind: "gauge",
        help: "How long the last run took.",
        lines: |task| line(task.took.map(|took| took.as_secs_f64())),
    },
    Family {
        name: "dunlin_task_last_succeeded",
        kind: "gauge",
        help: "1 if the last run succeeded, 0 if it failed.",
        lines: |task| line(task.succeeded.map(|well| f64::from(u8::from(well)))),
    },
    Family {
        name: "dunlin_task_last_report",
        kind: "gauge",
        help: "The numbers of the last report, each by its name.",
        lines: |task| {
            let labelled =
                |(name, number): (&String, &u64)| (format!(",number=\"{name}\""), *number as f64);
            task.numbers.iter().map(labelled).collect()
        },
    },
];

impl Family {
    fn write(&self, tasks: &BTreeMap<String, TaskStatus>, text: &mut String) {
        head(text, self.name, self.kind, self.help);
        for (task, state) in tasks {
            for (label, value) in (self.lines)(state) {
                let _ = writeln!(text, "{}{{task=\"{task}\"{label}}} {value}", self.name);
            }
        }
    }
}

/// The numbers at the top of a JSON report. Names of the function's own: letters and `_`.
fn numbers(report: &str) -> BTreeMap<String, u64> {
    let Ok(Value::Object(fields)) = serde_json::from_str(report) else {
        return BTreeMap::new();
    };
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    fields
        .into_iter()
        .filter(|(name, _)| is_name(name))
        .filter_map(|(name, value)| Some((name, value.as_u64()?)))
        .take(MAX_TASKS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_result_of_a_task_is_shown() {
        let status = Status::default();
        let secs = Duration::from_secs;
        status.task_due("feedback", secs(100));
        status.task_began("feedback", secs(101));
        assert!(
            status
                .metrics()
                .contains("dunlin_task_running{task=\"feedback\"} 1\n")
        );
        let report = r#"{"tuples":5,"removed":3,"apps":[{"tuples":5}],"bad\"name":1}"#;
        status.task_ended("feedback", secs(2), &Ok(report.to_owned()));
        let text = status.metrics();
        for line in [
            "dunlin_task_runs_total{task=\"feedback\"} 1",
            "dunlin_task_running{task=\"feedback\"} 0",
            "dunlin_task_last_began_timestamp_seconds{task=\"feedback\"} 101",
            "dunlin_task_next_timestamp_seconds{task=\"feedback\"} 100",
            "dunlin_task_last_duration_seconds{task=\"feedback\"} 2",
            "dunlin_task_last_succeeded{task=\"feedback\"} 1",
            "dunlin_task_last_report{task=\"feedback\",number=\"removed\"} 3",
            "dunlin_task_last_report{task=\"feedback\",number=\"tuples\"} 5",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} in\n{text}");
        }
        assert!(!text.contains("bad"));
        status.task_ended("feedback", secs(2), &Err("no".into()));
        assert!(
            status
                .metrics()
                .contains("last_succeeded{task=\"feedback\"} 0\n")
        );
    }

    #[test]
    fn tasks_are_bounded() {
        let status = Status::default();
        for n in 0..MAX_TASKS + 10 {
            status.task_due(&format!("t{n}"), Duration::ZERO);
        }
        assert_eq!(lock(&status.tasks).len(), MAX_TASKS);
    }

    #[test]
    fn the_end_of_a_certificate_comes_nearer() {
        let status = Status::default();
        status.certificate("shop", UnixTime::from_secs(1_000));
        status.certificate("a\"b\\c\n", UnixTime::from_secs(2_000));
        for (now, left) in [(0, 1_001), (1_000, 1), (1_001, 0), (1_101, -100)] {
            let text = status.metrics_at(UnixTime::from_secs(now));
            let line = format!("dunlin_certificate_expires_seconds{{identity=\"shop\"}} {left}");
            assert!(text.lines().any(|own| own == line), "{line} in\n{text}");
        }
        let line = r#"dunlin_certificate_expires_seconds{identity="a\"b\\c\n"} "#;
        assert!(status.metrics().contains(line));
    }
}
