//! What a lane remembers of how many connections it had, and needed: see `growth.rs`.

use super::pace::Pace;
use crate::time::Now;

/// Since when there have been too few connections, or too many, and what the next one begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    pub(super) full_since: Option<Now>,
    pub(super) slack_since: Option<Now>,
    pub(super) pace: Pace,
    /// Requests at once that a new connection gets until it has answered some: as many as the last
    /// one took that gave others back. A peer that says GOAWAY after each hundred is not given a
    /// thousand.
    pub(super) allowance: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            full_since: None,
            slack_since: None,
            pace: Pace::default(),
            allowance: usize::MAX,
        }
    }
}
