//! The clock that calls the function: each task of `[[tasks]]` at its interval.
//!
//! ```text
//!   store: when it last began ─► due = then + every + jitter ─► an instance of its own ─► Status
//! ```
//!
//! - A task never runs twice at once here; against other hosts the function takes a lease.
//! - When a task began is in the store, so that a run that was missed while the host was down is
//!   made up for soon after the start. One run makes up for all that were missed.
//! - Jitter keeps many hosts with one configuration from asking at the same second.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::clock;
use crate::config::TaskSettings;
use crate::engine::Engine;
use crate::metrics::Status;
use crate::store::{Store, StoreError};

/// How long a task may take before it is given up. The feedback of a million devices takes seconds.
const TASK_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// How long after the start a missed run is made up for, at most.
const CATCH_UP: Duration = Duration::from_secs(10);

/// Largest jitter, as a part of the interval and in any case.
const JITTER_PART: u32 = 20;
const JITTER_MAX: Duration = Duration::from_secs(10 * 60);

/// The alarm of a task whose last run failed.
const FAILED: &str = "task-failed";

/// What the store keeps of a task.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// Seconds since 1970.
    began: u64,
}

/// Runs tasks by their intervals. Dropping it stops what is running, which the function can bear at
/// any moment.
#[derive(Debug)]
pub struct Schedule {
    _running: JoinSet<()>,
}

impl Schedule {
    /// Starts on the current runtime.
    pub fn start(
        tasks: &[TaskSettings],
        engine: &Arc<Engine>,
        store: &Store,
        status: &Arc<Status>,
    ) -> Self {
        let mut running = JoinSet::new();
        for task in tasks {
            let Some(every) = task.every else { continue };
            let clock = Clock {
                name: task.name.clone(),
                every,
                engine: Arc::clone(engine),
                store: store.clone(),
                status: Arc::clone(status),
            };
            running.spawn(clock.run());
        }
        Self { _running: running }
    }
}

/// One task and its interval.
struct Clock {
    name: String,
    every: Duration,
    engine: Arc<Engine>,
    store: Store,
    status: Arc<Status>,
}

impl Clock {
    async fn run(self) {
        loop {
            let wait = self.wait(now(), random());
            self.status.task_due(&self.name, now() + wait);
            tokio::time::sleep(wait).await;
            if let Err(error) = self.keep_began() {
                warn!(task = %self.name, %error, "when a task began could not be kept");
            }
            let report = run_once(&self.engine, &self.status, &self.name).await;
            let operator = self.status.operator();
            match report {
                Ok(report) => {
                    operator.good(FAILED, &self.name);
                    info!(task = %self.name, %report, "task done");
                }
                Err(error) => operator.note(FAILED, &self.name, || {
                    format!("{error}. Run dunlin doctor; the schedule tries it again.")
                }),
            }
        }
    }

    /// How long until the next run, at `now`; `random` is evenly spread over 0 to 1.
    fn wait(&self, now: Duration, random: f64) -> Duration {
        let last = self.last_began().unwrap_or_else(|error| {
            warn!(task = %self.name, %error, "when a task last began could not be read");
            None
        });
        wait(last, self.every, now, random)
    }

    fn key(&self) -> String {
        format!("h/task/{}", self.name)
    }

    fn last_began(&self) -> Result<Option<Duration>, StoreError> {
        let kept = self.store.get(&self.key())?;
        let kept = kept.and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        Ok(kept.map(|kept| Duration::from_secs(kept.began)))
    }

    fn keep_began(&self) -> Result<(), StoreError> {
        let began = now().as_secs();
        // A number always serialises.
        let bytes = serde_json::to_vec(&Kept { began }).unwrap_or_default();
        self.store.put(&self.key(), Some(bytes))
    }
}

/// Runs a task to its end and notes what became of it; the report is JSON.
///
/// # Errors
/// What the function says, or why it could not say anything; for people.
pub async fn run_once(engine: &Engine, status: &Status, name: &str) -> Result<String, String> {
    let began = now();
    status.task_began(name, began);
    let ran = clock::timeout(TASK_TIMEOUT, engine.run_task(name)).await;
    let report = match ran {
        Err(_) => Err(format!("not done within {} s", TASK_TIMEOUT.as_secs())),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Ok(Ok(report)) => report,
    };
    status.task_ended(name, now().saturating_sub(began), &report);
    report
}

fn wait(last: Option<Duration>, every: Duration, now: Duration, random: f64) -> Duration {
    let random = random.clamp(0.0, 1.0);
    let jitter = (every / JITTER_PART).min(JITTER_MAX).mul_f64(random);
    // A clock that was set back must not make a task wait for longer than its interval.
    let due = last.map_or(Duration::ZERO, |last| last.min(now) + every);
    match due.checked_sub(now) {
        Some(left) => left + jitter,
        None => CATCH_UP.min(every).mul_f64(random),
    }
}

/// Since 1970.
fn now() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

/// Evenly spread over 0 to 1; in the middle where the system has no randomness.
fn random() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_next_run_is_an_interval_after_the_last() {
        let now = HOUR * 1_000;
        assert_eq!(wait(Some(now - HOUR), HOUR * 12, now, 0.0), HOUR * 11);
        let latest = wait(Some(now - HOUR), HOUR * 12, now, 1.0);
        assert_eq!(latest, HOUR * 11 + JITTER_MAX, "half an hour is too much");
        assert_eq!(
            wait(Some(now), Duration::from_secs(20), now, 1.0).as_secs(),
            21
        );
    }

    #[test]
    fn a_missed_run_is_made_up_for_once_and_soon() {
        let now = HOUR * 1_000;
        assert_eq!(wait(None, HOUR, now, 1.0), CATCH_UP);
        assert_eq!(wait(Some(now - HOUR * 99), HOUR, now, 0.5), CATCH_UP / 2);
        assert_eq!(wait(Some(now), HOUR, now, 0.0), HOUR);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_the_schedule() {
        let now = HOUR * 1_000;
        assert_eq!(wait(Some(now + HOUR * 500), HOUR, now, 0.0), HOUR);
    }
}
