//! What a process has used, by `/proc`: processor time of all its threads, and resident memory.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often memory is looked at.
const PACE: Duration = Duration::from_millis(20);

/// Of `/proc/PID/stat`: the unit of its times, whatever the kernel's own clock is.
const TICK: Duration = Duration::from_millis(10);

/// More than the two sources may differ by where no thread has ended.
const DOUBT: Duration = Duration::from_millis(25);

/// Processor time, user and system, since the process began.
#[derive(Debug, Clone, Copy)]
pub struct Processor {
    /// Of the threads that are there, to the nanosecond.
    threads: Duration,
    /// Of all threads there have been, in [`TICK`]s.
    process: Duration,
}

impl Processor {
    pub fn of(process: u32) -> Self {
        let tasks = fs::read_dir(format!("/proc/{process}/task"));
        let times = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        let threads = Duration::from_nanos(times.sum());
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name before this may have spaces and parentheses in it.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: u32 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u32>().ok())
            .sum();
        Self {
            threads,
            process: TICK * ticks,
        }
    }

    /// What was used since then. Threads that have ended meanwhile took their own time with them;
    /// then that of the process counts.
    pub fn since(self, before: Self) -> Duration {
        let exact = self.threads.saturating_sub(before.threads);
        let all = self.process.saturating_sub(before.process);
        if exact.abs_diff(all) < DOUBT {
            exact
        } else {
            all
        }
    }
}

/// Resident memory in KiB; 0 of a process that has ended.
pub fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    value.unwrap_or_default()
}

/// Looks at the memory of a process until it is asked for the most.
pub struct Watch {
    stop: Arc<AtomicBool>,
    watching: JoinHandle<u64>,
}

impl Watch {
    /// Of a process, or of the youngest that it has begun where it is only what began it.
    pub fn begin(process: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watching = thread::spawn(move || {
            let mut most = 0;
            while !stopped.load(Ordering::Relaxed) {
                most = most.max(resident_kib(last_of(process)));
                thread::sleep(PACE);
            }
            most
        });
        Self { stop, watching }
    }

    /// The most there was, in KiB.
    pub fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.watching.join().unwrap_or_default()
    }
}

fn last_of(process: u32) -> u32 {
    let children = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(children).unwrap_or_default();
    let last = children.split_whitespace().last();
    last.and_then(|child| child.parse().ok()).unwrap_or(process)
}
