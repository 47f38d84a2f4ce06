//! Waits of a command that goes on for long: for a service that is away, and for whoever wants it
//! to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::serve::INTERRUPTED;

/// The first wait, and the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// Waits that grow while nothing gets on, up to a bound for all of them together.
#[derive(Clone, Copy, Debug)]
pub struct GrowingWaits {
    bound: Duration,
    next: Duration,
    since: Option<Instant>,
}

impl GrowingWaits {
    /// None so far.
    pub fn new(bound: Duration) -> Self {
        Self {
            bound,
            next: FIRST,
            since: None,
        }
    }

    /// Something got on.
    pub fn reset(&mut self) {
        *self = Self::new(self.bound);
    }

    /// Whether there was none since something got on.
    pub fn is_new(&self) -> bool {
        self.since.is_none()
    }

    /// What all of them together take at most.
    pub fn bound(&self) -> Duration {
        self.bound
    }

    /// How long to wait now; `None` if it has been for long enough.
    pub fn next_wait(&mut self) -> Option<Duration> {
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        let left = self.bound.checked_sub(waited)?;
        let wait = self.next.min(left);
        self.next = (self.next * 2).min(LONGEST);
        (!wait.is_zero()).then_some(wait)
    }
}

/// Whether somebody wants the command to end: SIGINT, SIGTERM, or a terminal that is gone. A second
/// of them ends the process at once.
#[derive(Clone, Debug)]
pub struct StopRequest {
    is_asked: Arc<AtomicBool>,
    asked: Arc<Notify>,
}

impl StopRequest {
    /// Listens from now on.
    ///
    /// # Errors
    /// If the signals cannot be listened to.
    pub fn listen() -> io::Result<Self> {
        let this = Self {
            is_asked: Arc::default(),
            asked: Arc::default(),
        };
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let told = this.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                if told.is_asked.swap(true, Ordering::Relaxed) {
                    std::process::exit(INTERRUPTED);
                }
                told.asked.notify_waiters();
            }
        });
        Ok(this)
    }

    /// Whether it is wanted.
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    /// Resolves when it is.
    pub async fn asked(&self) {
        let asked = self.asked.notified();
        if !self.is_asked() {
            asked.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_begin_anew_when_something_gets_on() {
        let mut waits = GrowingWaits::new(Duration::from_secs(3_600));
        let all: Vec<_> = (0..8).filter_map(|_| waits.next_wait()).collect();
        assert_eq!(all.len(), 8);
        assert!(all.is_sorted());
        assert_eq!((all[0], all[7]), (FIRST, LONGEST));
        waits.reset();
        assert_eq!(waits.next_wait(), Some(FIRST));
        let mut none = GrowingWaits::new(Duration::ZERO);
        assert_eq!(none.next_wait(), None);
    }
}
