//! The tasks, however they are asked for: by HTTP or by a schedule.

use core::fmt::Display;

use super::{App, Platform, Runtime};
use crate::api::{Caller, FeedbackReport, Problem, Reply, Task};
use crate::config::Scope;

impl<R: Runtime> App<R> {
    /// `POST /v1/tasks/{task}`: the report, 200 also when something in it failed. Whoever is bound
    /// to topics runs it for these alone.
    ///
    /// # Errors
    /// 403, and 503 for a sweep that could not go on.
    pub async fn task(&self, caller: Caller<'_>, task: Task) -> Result<Reply, Problem> {
        caller.require(Scope::Admin)?;
        match task {
            Task::Feedback => {
                let report = self.poll_all(caller).await;
                // A schedule tells the operator of these itself: nobody is told twice.
                self.warn_of_feedback(report.errors());
                Ok(Reply::json(200, &report))
            }
            Task::Sweep => match self.sweep(caller).await {
                Ok(report) => Ok(Reply::json(200, &report)),
                Err(why) => Err(Problem::store(&why)),
            },
        }
    }

    /// The same for a schedule: the report as JSON.
    ///
    /// # Errors
    /// If anything in it failed; for people.
    pub async fn run_task(&self, task: Task) -> Result<String, String> {
        let caller = Caller::operator(&self.settings);
        match task {
            Task::Feedback => {
                let report = self.poll_all(caller).await;
                let errors: Vec<_> = report.errors().collect();
                match errors.is_empty() {
                    true => to_json(&report),
                    false => Err(errors.join("; ")),
                }
            }
            Task::Sweep => to_json(&self.sweep(caller).await?),
        }
    }

    /// Polls one app after the other, each that the caller covers: each has a list of its own.
    async fn poll_all(&self, caller: Caller<'_>) -> FeedbackReport {
        let mut report = FeedbackReport::default();
        let apps = self.settings.binary_apps().iter();
        for binary in apps.filter(|binary| caller.covers(&binary.topic)) {
            if let Some(of_app) = self.poll(binary).await {
                report.push(of_app);
            }
        }
        self.warn_of_feedback(report.warnings());
        report
    }

    fn warn_of_feedback(&self, lines: impl Iterator<Item = impl Display>) {
        for line in lines {
            self.platform.warn(&format!("feedback: {line}"));
        }
    }
}

fn to_json(report: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string(report).map_err(|error| error.to_string())
}
