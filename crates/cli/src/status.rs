//! `dunlin status`: the alarms, pushes and tasks of a running service, for people.

use std::cmp::Reverse;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dunlin::terminal::Exit;

use crate::Error;
use crate::client::{Answer, ServiceUrl, ask};
use crate::config::Config;
use crate::exposition::Exposition;

/// Longest wait for its metrics.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What stands with the running service, in lines for people: of the one at `url`, or of the one
/// that listens where the configuration says.
///
/// # Errors
/// If the configuration cannot be read, no service answers, or what answers is none.
pub async fn status(config_file: &Path, url: Option<&ServiceUrl>) -> Result<String, Error> {
    let service = match url {
        Some(url) => url.clone(),
        None => ServiceUrl::from(Config::load(config_file)?.host.listen),
    };
    let metrics = metrics(&service, PATIENCE).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs_f64();
    let alarms = alarms(&metrics);
    let standing = match alarms.lines().count() {
        0 => String::new(),
        1 => ", 1 alarm stands".to_owned(),
        count => format!(", {count} alarms stand"),
    };
    Ok(format!(
        "dunlin at {service} is up{standing}\n{alarms}{}{}",
        outcomes(&metrics),
        tasks(&metrics, now)
    ))
}

/// The metrics of a service, which need no key: who has them is Dunlin.
///
/// # Errors
/// If nobody answers, or who answers is not Dunlin.
pub(crate) async fn metrics(service: &ServiceUrl, patience: Duration) -> Result<Exposition, Error> {
    let body = Vec::new();
    let asked = ask(service.clone(), "GET", "/metrics", None, body, patience);
    let Answer { status, body } = asked.await?;
    let metrics = Exposition::parse(&body);
    if status == 200 && metrics.is_dunlins() {
        return Ok(metrics);
    }
    let why = format!("{service}/metrics: expected the metrics of Dunlin, got status {status}");
    Err(Error::with(Exit::Refused, why))
}

/// The alarms that stand, a line each.
fn alarms(metrics: &Exposition) -> String {
    let standing = metrics.of("dunlin_alarm_lasts_seconds");
    let lines = standing.map(|sample| {
        let (alarm, subject) = (sample.label("alarm"), sample.label("subject"));
        let subject = subject.replace('\n', " ");
        let lasts = span(sample.value);
        format!("ALARM      {alarm}, for {lasts}: {subject}\n")
    });
    lines.collect()
}

/// What became of pushes since the start, the most frequent reason first.
fn outcomes(metrics: &Exposition) -> String {
    let counted: Vec<_> = metrics.of("dunlin_pushes_total").collect();
    let of = |wanted: &str| {
        let mut reasons: Vec<(&str, u64)> = counted
            .iter()
            .filter(|sample| sample.label("outcome") == wanted && sample.value > 0.0)
            .map(|sample| (sample.label("reason"), sample.value as u64))
            .collect();
        reasons.sort_by_key(|(_, count)| Reverse(*count));
        let sum: u64 = reasons.iter().map(|(_, count)| count).sum();
        let named: Vec<String> = reasons
            .iter()
            .filter(|(reason, _)| !reason.is_empty())
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        match named.is_empty() {
            true => format!("{sum} {wanted}"),
            false => format!("{sum} {wanted} ({})", named.join(", ")),
        }
    };
    match counted.is_empty() {
        true => String::new(),
        false => format!(
            "pushes     {}\n",
            ["accepted", "rejected", "unanswered"].map(of).join(", ")
        ),
    }
}

/// What became of each task, a line each.
fn tasks(metrics: &Exposition, now: f64) -> String {
    let mut lines = String::new();
    for task in metrics.of("dunlin_task_runs_total") {
        let task = task.label("task");
        let value = |name: &str| metrics.value(name, "task", task);
        let began = value("dunlin_task_last_began_timestamp_seconds");
        let result = match value("dunlin_task_last_succeeded") {
            _ if value("dunlin_task_running") == Some(1.0) => "running".to_owned(),
            None => "not run since the start".to_owned(),
            Some(well) => {
                let ago =
                    began.map_or_else(String::new, |began| format!(" {} ago", span(now - began)));
                let word = if well == 1.0 { "succeeded" } else { "FAILED" };
                format!("{word}{ago}{}", report(metrics, task))
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
fn report(metrics: &Exposition, task: &str) -> String {
    let numbers: Vec<String> = metrics
        .of("dunlin_task_last_report")
        .filter(|sample| sample.label("task") == task)
        .map(|sample| format!("{} {}", sample.label("number"), sample.value))
        .collect();
    match numbers.is_empty() {
        true => String::new(),
        false => format!(" ({})", numbers.join(", ")),
    }
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
    use dunlin_host::metrics::Status;

    fn shown(status: &Status) -> Exposition {
        Exposition::parse(&status.metrics())
    }

    #[test]
    fn a_refused_key_and_its_pushes_are_told_to_people() {
        let status = Status::default();
        assert_eq!(alarms(&shown(&status)), "");
        let expected = "pushes     0 accepted, 0 rejected, 0 unanswered\n";
        assert_eq!(outcomes(&shown(&status)), expected);
        let operator = status.operator();
        operator.note("credential-refused", "key \"A\" \\: Bad", || "x".into());
        operator.add_counts(
            "push.accepted=7,push.rejected.InvalidProviderToken=3,push.rejected.BadDeviceToken=4,\
             push.unanswered.timed-out=1",
        );
        let text = shown(&status);
        let expected = "ALARM      credential-refused, for 0 s: key \"A\" \\: Bad\n";
        assert_eq!(alarms(&text), expected);
        let expected = "pushes     7 accepted, 7 rejected (BadDeviceToken 4, \
                        InvalidProviderToken 3), 1 unanswered (timed-out 1)\n";
        assert_eq!(outcomes(&text), expected);
        operator.good("credential-refused", "key \"A\" \\");
        assert_eq!(alarms(&shown(&status)), "");
    }

    #[test]
    fn what_the_metrics_say_is_told_to_people() {
        let status = Status::default();
        let secs = Duration::from_secs;
        status.task_due("sweep", secs(90_000));
        status.task_began("feedback", secs(10_000));
        let report = r#"{"tuples":5,"removed":3}"#.to_owned();
        status.task_ended("feedback", secs(1), &Ok(report));
        status.task_due("feedback", secs(53_200));
        let text = tasks(&shown(&status), 17_200.0);
        let expected = "feedback   succeeded 2 h ago (removed 3, tuples 5), next in 10 h\n\
                        sweep      not run since the start, next in 20 h\n";
        assert_eq!(text, expected);
        status.task_ended("feedback", secs(1), &Err("no".to_owned()));
        assert!(tasks(&shown(&status), 17_200.0).contains("FAILED"));
    }
}
