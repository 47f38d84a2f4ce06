//! How long a function has run without yielding.
//!
//! ```text
//!   event loop:  turn ── turn ───────────────────────────── turn
//!   function:            runs ┊    ┊ (stopped for 6 s) ┊    ┊ yields
//!   ticks:                   look look                look look
//!                            +50  +50                 +50  +50 ms at most, each
//! ```
//!
//! What counts is the processor time of the function's own thread, and at most a tick of it between
//! two looks. So neither a process that was suspended, nor a machine that slept, nor one that is so
//! busy that the function hardly gets its turn makes it look stalled.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How often a running function is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// The turns of an instance's event loop. A function that spins lets it make none.
#[derive(Debug, Default)]
pub struct StallWatch(AtomicU64);

impl StallWatch {
    /// The event loop is turning.
    pub fn turn(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The function as it is now, looked at from the thread that runs it.
    pub(crate) fn look(&self) -> Look {
        Look {
            turns: self.0.load(Ordering::Relaxed),
            thread: std::thread::current().id(),
            used: thread_time(),
        }
    }
}

/// What is seen of a function that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// The event loop's so far.
    turns: u64,
    /// The thread that runs the function; it is another only if the function has yielded.
    thread: ThreadId,
    /// The processor time of that thread.
    used: Duration,
}

/// The processor time that the current thread has used.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // It counts up from zero.
    let secs = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(secs, nanos)
}

/// Adds up how long a function has run since it last yielded.
#[derive(Debug, Default)]
pub(crate) struct Running {
    last: Option<Look>,
    ran: Duration,
}

impl Running {
    /// Takes a look, one for each tick at which the function was running; how long it has run.
    pub(crate) fn see(&mut self, look: Look) -> Duration {
        let same = |last: &Look| last.turns == look.turns && last.thread == look.thread;
        match self.last.filter(same) {
            Some(last) => self.ran += look.used.saturating_sub(last.used).min(TICK),
            None => self.ran = Duration::ZERO,
        }
        self.last = Some(look);
        self.ran
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The function after so many turns and so much processor time.
    fn look(turns: u64, used_ms: u64) -> Look {
        Look {
            turns,
            thread: std::thread::current().id(),
            used: Duration::from_millis(used_ms),
        }
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_function_that_spins_has_run_for_all_of_its_ticks() {
        let mut running = Running::default();
        let ran: Vec<_> = (0..5).map(|n| running.see(look(1, n * 50))).collect();
        assert_eq!(ran, [0, 50, 100, 150, 200].map(ms));
    }

    #[test]
    fn a_turn_of_the_event_loop_begins_anew() {
        let mut running = Running::default();
        running.see(look(1, 0));
        assert_eq!(running.see(look(1, 40)), ms(40));
        assert_eq!(running.see(look(2, 80)), ms(0));
        assert_eq!(running.see(look(2, 120)), ms(40));
    }

    /// A virtual machine that was paused may charge the pause to whoever ran; a process that was
    /// stopped is charged nothing.
    #[test]
    fn suspended_time_is_no_stall() {
        let mut running = Running::default();
        running.see(look(1, 0));
        assert_eq!(running.see(look(1, 50)), ms(50));
        assert_eq!(running.see(look(1, 6_550)), ms(100), "6.5 s at one tick");
        assert_eq!(running.see(look(1, 6_550)), ms(100), "nothing at the next");
    }

    #[test]
    fn a_busy_machine_is_no_stall() {
        let mut running = Running::default();
        // Six seconds of ticks, at each of which it has had a millisecond.
        let ran = (0..=120).map(|n| running.see(look(1, n))).last();
        assert_eq!(ran, Some(ms(120)));
    }

    #[test]
    fn another_thread_shows_that_it_has_yielded() {
        let mut running = Running::default();
        running.see(look(1, 0));
        running.see(look(1, 50));
        let elsewhere = std::thread::spawn(|| std::thread::current().id());
        let moved = Look {
            thread: elsewhere.join().unwrap(),
            ..look(1, 9_000)
        };
        assert_eq!(running.see(moved), ms(0));
    }

    #[test]
    fn the_processor_time_of_a_thread_is_its_own() {
        let turns = StallWatch::default();
        let before = turns.look();
        std::thread::spawn(|| {
            let own = StallWatch::default();
            let first = own.look().used;
            while own.look().used < first + ms(20) {}
        })
        .join()
        .unwrap();
        assert!(turns.look().used < before.used + ms(20));
    }
}
