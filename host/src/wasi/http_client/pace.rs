//! How quickly connections to a server may follow each other: a few at once, then twenty in a
//! second.
//!
//! A server that says GOAWAY after every few requests is met with a connection for each few, and
//! nothing is lost of it; but opening and closing them without end looks like an attack to it.

use std::time::{Duration, Instant};

/// After which one more may be opened.
const INTERVAL: Duration = Duration::from_millis(50);

/// How many may be opened at once.
const BURST: u32 = 8;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnectPace {
    /// When as many may be opened at once as ever.
    whole_at: Option<Instant>,
}

impl ConnectPace {
    /// How long the next has to wait.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let left = self.whole_at.map(|at| at.saturating_duration_since(now));
        left.unwrap_or_default()
            .saturating_sub(INTERVAL * (BURST - 1))
    }

    /// One is opened.
    pub(super) fn opened(&mut self, now: Instant) {
        let from = self.whole_at.map_or(now, |at| at.max(now));
        self.whole_at = Some(from + INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_in_each_interval() {
        let began = Instant::now();
        let (mut pace, mut now) = (ConnectPace::default(), began);
        let mut at = Vec::new();
        for _ in 0..12 {
            now += pace.wait(now);
            at.push((now - began).as_millis());
            pace.opened(now);
        }
        assert_eq!(at, [0, 0, 0, 0, 0, 0, 0, 0, 50, 100, 150, 200]);
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.wait(later), Duration::ZERO);
    }
}
