//! `[[tasks]]`: what the schedule calls the component for, and how often.

use std::time::Duration;

use dunlin_host::config::TaskSettings;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTask {
    name: TaskName,
    every: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TaskName {
    Feedback,
    Sweep,
}

/// Shortest interval; a feedback service takes quick reconnects for an attack.
const SHORTEST_EVERY: Duration = Duration::from_secs(1);

/// Apple asks for the feedback to be polled daily.
const DEFAULT_TASKS: [(&str, Duration); 2] = [
    ("feedback", Duration::from_secs(12 * 60 * 60)),
    ("sweep", Duration::from_secs(24 * 60 * 60)),
];

/// Those that run where the file says nothing.
pub(super) fn default_tasks() -> Vec<TaskSettings> {
    let task = |(name, every): (&str, Duration)| TaskSettings {
        name: name.to_owned(),
        every: Some(every),
    };
    DEFAULT_TASKS.into_iter().map(task).collect()
}

/// Reads `[[tasks]]`; those left out have their own intervals.
///
/// # Errors
/// If a task is unknown, or an interval is none.
pub(super) fn tasks<'de, D: serde::Deserializer<'de>>(
    input: D,
) -> Result<Vec<TaskSettings>, D::Error> {
    use serde::de::Error as _;
    let mut tasks = default_tasks();
    for RawTask { name, every } in Vec::<RawTask>::deserialize(input)? {
        let name = match name {
            TaskName::Feedback => "feedback",
            TaskName::Sweep => "sweep",
        };
        let expected = "an interval like \"12h\" of a second or more, or \"never\"";
        let wrong =
            || D::Error::custom(format!("tasks: every: expected {expected}, got {every:?}"));
        let every = match every.as_str() {
            "never" => None,
            text => Some(humantime::parse_duration(text).map_err(|_| wrong())?),
        };
        if every.is_some_and(|every| every < SHORTEST_EVERY) {
            return Err(wrong());
        }
        for task in tasks.iter_mut().filter(|task| task.name == name) {
            task.every = every;
        }
    }
    Ok(tasks)
}
