//! The tasks, however they are asked for: by HTTP or by a schedule.

use super::super::app::App;
use super::super::operator;
use super::super::poll;
use super::super::sweep;
use crate::api::{Caller, FeedbackReport, Problem, Reply, Task};
use crate::config::Scope;

/// `POST /v1/tasks/{task}`: the report, 200 also when something in it failed. Whoever is bound to
/// topics runs it for these alone.
pub(in super::super) async fn task(
    app: &App,
    caller: Caller<'_>,
    task: Task,
) -> Result<Reply, Problem> {
    caller.require(Scope::Admin)?;
    match task {
        Task::Feedback => Ok(Reply::json(200, &feedback(app, caller).await)),
        Task::Sweep => match sweep::sweep(app, caller).await {
            Ok(report) => Ok(Reply::json(200, &report)),
            Err(why) => Err(Problem::store(&why)),
        },
    }
}

/// The same for a schedule: the report as JSON, an error if anything failed.
pub(in super::super) async fn run_task(app: &App, task: Task) -> Result<String, String> {
    let caller = Caller::operator(&app.settings);
    match task {
        Task::Feedback => {
            let report = feedback(app, caller).await;
            let errors: Vec<_> = report.errors().collect();
            match errors.is_empty() {
                true => to_json(&report),
                false => Err(errors.join("; ")),
            }
        }
        Task::Sweep => to_json(&sweep::sweep(app, caller).await?),
    }
}

fn to_json(report: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string(report).map_err(|error| error.to_string())
}

/// Polls one app after the other, each that the caller covers: each has a list of its own.
async fn feedback(app: &App, caller: Caller<'_>) -> FeedbackReport {
    let mut report = FeedbackReport::default();
    let apps = app.settings.binary_apps().iter();
    for binary in apps.filter(|binary| caller.covers(&binary.topic)) {
        if let Some(of_app) = poll::poll(app, binary).await {
            report.push(of_app);
        }
    }
    for line in report.warnings().chain(report.errors()) {
        operator::warn(&format!("feedback: {line}"));
    }
    report
}
