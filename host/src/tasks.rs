//! `dunlin status`: the tasks of a running service, for people.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dunlin::terminal::Exit;

use crate::Error;
use crate::ask::{Answer, ServiceUrl, ask};
use crate::config::Config;
use crate::store::{Store, StoreError};

/// Longest wait for its metrics.
const STATUS_PATIENCE: Duration = Duration::from_secs(10);

/// Closes the store, having waited until all that was written is on disk.
pub(crate) async fn close(store: Store) -> Result<(), Error> {
    let durable: Result<(), StoreError> = store.durable(store.written()).await;
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    durable?;
    closed.map_err(|error| Error::new(format!("the store could not be closed: {error}")))
}

/// The tasks of the running service, a line each, for people: of the one at `url`, or of the one
/// that listens where the configuration says.
///
/// # Errors
/// If the configuration cannot be read, no service answers, or what answers is none.
pub async fn status(config_file: &Path, url: Option<&ServiceUrl>) -> Result<String, Error> {
    let service = match url {
        Some(url) => url.clone(),
        None => ServiceUrl::from(Config::load(config_file)?.host.listen),
    };
    let body = metrics(&service).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs_f64();
    Ok(format!("dunlin at {service} is up\n{}", table(&body, now)))
}

/// The metrics of a service, which need no key: who has them is Dunlin.
///
/// # Errors
/// If nobody answers, or who answers is not Dunlin.
pub(crate) async fn metrics(service: &ServiceUrl) -> Result<String, Error> {
    let body = Vec::new();
    let asked = ask(
        service.clone(),
        "GET",
        "/metrics",
        None,
        body,
        STATUS_PATIENCE,
    );
    let Answer { status, body } = asked.await?;
    if status == 200 && body.contains("dunlin_requests_total") {
        return Ok(body);
    }
    let why = format!("{service}/metrics: expected the metrics of Dunlin, got status {status}");
    Err(Error::with(Exit::Refused, why))
}

/// The metrics of tasks as lines for people.
fn table(metrics: &str, now: f64) -> String {
    let mut lines = String::new();
    for task in labels(metrics, "dunlin_task_runs_total") {
        let value = |name: &str| value(metrics, name, &task);
        let began = value("dunlin_task_last_began_timestamp_seconds");
        let result = match value("dunlin_task_last_succeeded") {
            _ if value("dunlin_task_running") == Some(1.0) => "running".to_owned(),
            None => "not run since the start".to_owned(),
            Some(well) => {
                let ago =
                    began.map_or_else(String::new, |began| format!(" {} ago", span(now - began)));
                let word = if well == 1.0 { "succeeded" } else { "FAILED" };
                format!("{word}{ago}{}", report(metrics, &task))
            }
        };
        let next = value("dunlin_task_next_timestamp_seconds").filter(|next| *next > now);
        let next = next.map_or_else(String::new, |next| {
            format!(", next in {}", span(next - now))
        });
        lines.push_str(&format!("{task:<10} {result}{next}\n"));
    }
    lines
}

/// The numbers of the last report.
fn report(metrics: &str, task: &str) -> String {
    let prefix = format!("dunlin_task_last_report{{task=\"{task}\",number=\"");
    let numbers: Vec<String> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(&prefix)?.split_once("\"} "))
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    match numbers.is_empty() {
        true => String::new(),
        false => format!(" ({})", numbers.join(", ")),
    }
}

/// The tasks that a metric has lines for.
fn labels(metrics: &str, name: &str) -> Vec<String> {
    let prefix = format!("{name}{{task=\"");
    let task = |line: &str| Some(line.strip_prefix(&prefix)?.split('"').next()?.to_owned());
    metrics.lines().filter_map(task).collect()
}

fn value(metrics: &str, name: &str, task: &str) -> Option<f64> {
    let prefix = format!("{name}{{task=\"{task}\"}} ");
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(&prefix))?;
    line.parse().ok()
}

/// A length of time, roughly.
fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    #[test]
    fn what_the_metrics_say_is_told_to_people() {
        let status = Status::default();
        let secs = Duration::from_secs;
        status.task_due("sweep", secs(90_000));
        status.task_began("feedback", secs(10_000));
        let report = r#"{"tuples":5,"removed":3}"#.to_owned();
        status.task_ended("feedback", secs(1), &Ok(report));
        status.task_due("feedback", secs(53_200));
        let text = table(&status.metrics(), 17_200.0);
        let expected = "feedback   succeeded 2 h ago (removed 3, tuples 5), next in 10 h\n\
                        sweep      not run since the start, next in 20 h\n";
        assert_eq!(text, expected);
        status.task_ended("feedback", secs(1), &Err("no".to_owned()));
        assert!(table(&status.metrics(), 17_200.0).contains("FAILED"));
    }
}
