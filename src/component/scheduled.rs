//! `dunlin:push/scheduled`: a schedule calls a task.

use super::app::app;
use super::bindings::exports::dunlin::push::scheduled::Guest;
use super::handler::Function;
use super::operator;
use crate::api::Task;

impl Guest for Function {
    async fn run(task: String) -> Result<String, String> {
        let task = Task::parse(&task).ok_or_else(|| format!("there is no task {task:?}"))?;
        let app = app().map_err(|problem| problem.rule().to_owned())?;
        let report = app.run_task(task).await;
        operator::write_counts();
        report
    }
}
