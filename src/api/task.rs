//! Tasks, and what they say they have done.

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::feedback::Stopped;
use crate::registry::{Removal, Swept};

/// What a schedule, or `POST /v1/tasks/{task}`, can have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// Ask the feedback service for dead devices, and remove them.
    Feedback,
    /// Mark devices as stale, and forget those that were removed long ago.
    Sweep,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Feedback, Self::Sweep];

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.as_str() == name)
    }

    /// Its name in paths and schedules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Feedback => "feedback",
            Self::Sweep => "sweep",
        }
    }
}

/// What became of the tuples of the feedback service. `tuples` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackCounts {
    /// All that were read.
    pub tuples: u64,
    /// The device is removed.
    pub removed: u64,
    /// It was registered after it died, or at that moment.
    pub kept: u64,
    /// No such device is known.
    pub unknown: u64,
    /// It had been removed before.
    pub already_removed: u64,
    /// The tuple has no token, or one over 100 bytes.
    pub invalid: u64,
    /// Its time lies in the future, so it is no evidence, and the device stays as it is.
    #[serde(default)]
    pub future: u64,
}

impl FeedbackCounts {
    /// Counts a tuple by what the registry made of it.
    pub fn count(&mut self, removal: Option<&Removal>) {
        self.tuples += 1;
        *match removal {
            Some(Removal::Removed(_)) => &mut self.removed,
            Some(Removal::Kept) => &mut self.kept,
            Some(Removal::AlreadyRemoved) => &mut self.already_removed,
            None => &mut self.unknown,
        } += 1;
    }

    /// Counts tuples that name no device.
    pub const fn count_invalid(&mut self, tuples: u64) {
        self.tuples += tuples;
        self.invalid += tuples;
    }

    /// Counts a tuple that is dated in the future.
    pub const fn count_future(&mut self) {
        self.tuples += 1;
        self.future += 1;
    }

    /// Adds what another poll counted.
    pub const fn add(&mut self, other: &Self) {
        self.tuples += other.tuples;
        self.removed += other.removed;
        self.kept += other.kept;
        self.unknown += other.unknown;
        self.already_removed += other.already_removed;
        self.invalid += other.invalid;
        self.future += other.future;
    }
}

/// What the task [`Task::Feedback`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackReport {
    /// Of all apps.
    #[serde(flatten)]
    pub total: FeedbackCounts,
    /// Each app and environment that was asked.
    #[serde(default)]
    pub apps: Vec<AppFeedback>,
}

/// The part of one app in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFeedback {
    /// The app.
    pub topic: String,
    /// Whose service was asked.
    pub environment: Environment,
    /// What became of its tuples.
    #[serde(flatten)]
    pub counts: FeedbackCounts,
    /// Somebody else was polling this one, so nothing was done.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub busy: bool,
    /// The bound at which reading stopped, if the list did not end before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// Why not all of them could be read or applied; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl FeedbackReport {
    /// Adds an app's part, and counts it.
    pub fn push(&mut self, app: AppFeedback) {
        self.total.add(&app.counts);
        self.apps.push(app);
    }

    /// What is doubtful, and where.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let doubtful = self.apps.iter().filter(|app| app.counts.future > 0);
        doubtful.map(|app| {
            let count = app.counts.future;
            format!(
                "{} {}: {count} tuples are dated in the future, and no device is removed for them; \
                 is the clock of this host right, and that of the service?",
                app.topic, app.environment
            )
        })
    }

    /// What went wrong, and where.
    pub fn errors(&self) -> impl Iterator<Item = String> {
        self.apps.iter().filter_map(|app| {
            let error = app.error.as_ref()?;
            Some(format!("{} {}: {error}", app.topic, app.environment))
        })
    }
}

/// What the task [`Task::Sweep`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepReport {
    /// Device records that were looked at.
    pub examined: u64,
    /// Those marked as stale.
    pub stale: u64,
    /// Those that had been removed long ago, and are forgotten.
    pub expired: u64,
    /// Receipts that are forgotten.
    #[serde(default)]
    pub receipts: u64,
    /// Values that could not be read, and were left alone. A later version may have written them.
    #[serde(default)]
    pub unreadable: u64,
}

impl SweepReport {
    /// Counts a device.
    pub const fn count(&mut self, swept: Swept) {
        self.examined += 1;
        match swept {
            Swept::Nothing => {}
            Swept::Stale => self.stale += 1,
            Swept::Expired => self.expired += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_go_by_their_names() {
        for task in Task::ALL {
            assert_eq!(Task::parse(task.as_str()), Some(task));
        }
        assert_eq!(Task::parse("Sweep"), None);
    }

    #[test]
    fn a_report_adds_up_and_survives_json() {
        let mut counts = FeedbackCounts::default();
        counts.count(Some(&Removal::Kept));
        counts.count(Some(&Removal::AlreadyRemoved));
        counts.count(None);
        counts.count_invalid(1);
        counts.count_future();
        let app = |error: Option<&str>| AppFeedback {
            topic: "com.example.app".into(),
            environment: Environment::Production,
            counts,
            busy: false,
            stopped: error.map(|_| Stopped::Bytes),
            error: error.map(str::to_owned),
        };
        let mut report = FeedbackReport::default();
        report.push(app(None));
        report.push(app(Some("cut short")));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["tuples"], &json["future"]), (&10.into(), &2.into()));
        assert!(json["apps"][0].get("stopped").is_none());
        assert_eq!(json["apps"][1]["stopped"], "bytes");
        let warnings: Vec<_> = report.warnings().collect();
        assert!(warnings.len() == 2 && warnings[0].contains("production: 1 tuples are dated"));
        assert_eq!(json["removed"], 0);
        assert_eq!(json["unknown"], 2);
        assert_eq!(json["apps"][0]["already_removed"], 1);
        assert!(json["apps"][0].get("error").is_none());
        assert_eq!(json["apps"][1]["environment"], "production");
        assert_eq!(
            serde_json::from_value::<FeedbackReport>(json).unwrap(),
            report
        );
    }

    #[test]
    fn a_sweep_counts_what_it_did() {
        let mut report = SweepReport::default();
        for swept in [Swept::Nothing, Swept::Stale, Swept::Expired, Swept::Nothing] {
            report.count(swept);
        }
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(
            json,
            r#"{"examined":4,"stale":1,"expired":1,"receipts":0,"unreadable":0}"#
        );
    }
}
