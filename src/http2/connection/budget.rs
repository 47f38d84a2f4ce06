//! How many frames a peer may send that achieve nothing.
//!
//! Source: RFC 9113, 10.5 ("An endpoint that doesn't monitor use of these features exposes itself
//! to a risk of denial of service"); the numbers are ours, see `limits.rs`.
//!
//! ```text
//!      + 100 a second     + 8 for each request or response head     + 1 for 2 KiB of bodies
//!                   \                |                              /
//!                            [ 0 ..... 4,000 ]
//!                                    |
//!   - 1   PING, unknown, PRIORITY, WINDOW_UPDATE, GOAWAY, empty DATA or CONTINUATION, anything
//!         on a closed stream
//!   - 4   interim response       - 8   SETTINGS
//! ```
//!
//! Below zero the connection ends with ENHANCE_YOUR_CALM. What a response costs us in memory or
//! work beyond that is bounded elsewhere: by the header list, the windows, the event backlog.

use core::time::Duration;

use crate::http2::error::ConnectionError;
use crate::http2::frame::FrameType;
use crate::http2::limits::{
    BODY_OCTETS_PER_OVERHEAD, OVERHEAD_BURST, OVERHEAD_PER_PROGRESS, OVERHEAD_PER_SECOND,
};
use crate::time::Now;

#[derive(Debug)]
pub struct Budget {
    left: u32,
    refilled: Now,
}

impl Budget {
    pub fn new(now: Now) -> Self {
        Self {
            left: OVERHEAD_BURST,
            refilled: now,
        }
    }

    /// Adds what the time since the last refill is worth.
    pub fn refill(&mut self, now: Now) {
        let each = Duration::from_secs(1) / OVERHEAD_PER_SECOND;
        let earned = now.since(self.refilled).as_nanos() / each.as_nanos();
        if earned > 0 {
            // The remainder of an interval is given away with it: a refill is late, never early.
            self.refilled = now;
            self.add(u32::try_from(earned).unwrap_or(u32::MAX));
        }
    }

    /// A request was sent, or a response began or ended.
    pub fn progress(&mut self) {
        self.add(OVERHEAD_PER_PROGRESS);
    }

    /// Octets of a request body were sent, which the server will answer with WINDOW_UPDATEs.
    /// Octets and not frames, since the server decides how small our frames are.
    pub fn sent(&mut self, octets: usize) {
        self.add(u32::try_from(octets / BODY_OCTETS_PER_OVERHEAD).unwrap_or(u32::MAX));
    }

    /// A frame without use arrived.
    pub fn charge(&mut self, kind: FrameType, cost: u32) -> Result<(), ConnectionError> {
        self.left = self
            .left
            .checked_sub(cost)
            .ok_or(ConnectionError::Flood { kind })?;
        Ok(())
    }

    fn add(&mut self, earned: u32) {
        self.left = self.left.saturating_add(earned).min(OVERHEAD_BURST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_ends_and_time_pays() {
        let mut budget = Budget::new(Now::ZERO);
        for _ in 0..OVERHEAD_BURST {
            assert_eq!(budget.charge(FrameType::PING, 1), Ok(()));
        }
        let flood = Err(ConnectionError::Flood {
            kind: FrameType::PING,
        });
        assert_eq!(budget.charge(FrameType::PING, 1), flood);
        budget.refill(Now::ZERO + Duration::from_millis(9));
        assert_eq!(budget.charge(FrameType::PING, 1), flood);
        budget.refill(Now::ZERO + Duration::from_millis(10));
        assert_eq!(budget.charge(FrameType::PING, 1), Ok(()));
        assert_eq!(budget.charge(FrameType::PING, 1), flood);
        budget.sent(2 * BODY_OCTETS_PER_OVERHEAD - 1);
        assert_eq!(budget.charge(FrameType::PING, 1), Ok(()));
        assert_eq!(budget.charge(FrameType::PING, 1), flood);
        budget.progress();
        for _ in 0..OVERHEAD_PER_PROGRESS {
            assert_eq!(budget.charge(FrameType::PING, 1), Ok(()));
        }
        assert_eq!(budget.charge(FrameType::PING, 1), flood);
    }

    #[test]
    fn savings_are_bounded() {
        let mut budget = Budget::new(Now::ZERO);
        budget.refill(Now::from_nanos(u64::MAX));
        budget.progress();
        budget.sent(usize::MAX);
        assert_eq!(budget.left, OVERHEAD_BURST);
    }
}
