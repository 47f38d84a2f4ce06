//! Flow-control windows: how much may be sent, and how much the peer may still send.
//!
//! Source: RFC 9113, 5.2 and 6.9.
//!
//! ```text
//! SendWindow       DATA of ours          -> shrinks
//!                  WINDOW_UPDATE         -> grows, never past 2^31-1
//!                  INITIAL_WINDOW_SIZE   -> shifts every stream's, also below zero
//!
//! ReceiveWindow    DATA of the peer      -> shrinks, never below zero
//!                  half of it is used up -> WINDOW_UPDATE gives all of that back
//! ```
//!
//! Received octets count as read at once: they become events, and the backlog of events has a
//! bound of its own.

use crate::http2::limits::MAX_WINDOW;

/// What we may send on a stream or on the connection.
#[derive(Clone, Copy, Debug)]
pub struct SendWindow {
    /// -(2^31-1) ..= 2^31-1.
    left: i64,
}

/// A window would have become larger than 2^31-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl SendWindow {
    pub fn new(size: u32) -> Self {
        Self {
            left: i64::from(size),
        }
    }

    /// Octets that may be sent now.
    pub fn usable(self) -> usize {
        usize::try_from(self.left).unwrap_or(0)
    }

    /// `octets`, at most [`usable`](Self::usable), were sent.
    pub fn consume(&mut self, octets: usize) {
        self.left -= octets as i64;
    }

    /// WINDOW_UPDATE, or with a negative number a smaller INITIAL_WINDOW_SIZE.
    pub fn shift(&mut self, by: i64) -> Result<(), Overflow> {
        let left = self.left + by;
        if left > i64::from(MAX_WINDOW) {
            return Err(Overflow);
        }
        self.left = left;
        Ok(())
    }
}

/// What the peer may send on a stream or on the connection.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveWindow {
    size: u32,
    left: i64,
    /// Octets received that no WINDOW_UPDATE has given back.
    owed: u32,
}

/// The peer sent more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// What was left of the window, octets.
    pub window: u32,
}

impl ReceiveWindow {
    /// A window kept at `size`, of which the peer presently knows `known`.
    pub fn new(size: u32, known: u32) -> Self {
        Self {
            size,
            left: i64::from(known),
            owed: 0,
        }
    }

    /// The peer sent `octets`. Returns the increment to announce, when it is worth a frame.
    pub fn receive(&mut self, octets: u32) -> Result<Option<u32>, Exceeded> {
        let left = self.left - i64::from(octets);
        if left < 0 {
            return Err(Exceeded {
                window: u32::try_from(self.left).unwrap_or(0),
            });
        }
        self.left = left;
        self.owed += octets;
        if self.owed == 0 || self.owed < self.size.div_ceil(2) {
            return Ok(None);
        }
        let increment = self.owed;
        self.left += i64::from(increment);
        self.owed = 0;
        Ok(Some(increment))
    }

    /// The peer has learned that the window is smaller by `by` than it had assumed.
    pub fn shrink(&mut self, by: u32) {
        self.left -= i64::from(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_window_may_fall_below_zero_but_not_overflow() {
        let mut window = SendWindow::new(10);
        window.consume(10);
        assert_eq!(window.shift(-5), Ok(()));
        assert_eq!(window.usable(), 0);
        assert_eq!(window.shift(6), Ok(()));
        assert_eq!(window.usable(), 1);
        assert_eq!(window.shift(i64::from(MAX_WINDOW)), Err(Overflow));
        assert_eq!(window.shift(i64::from(MAX_WINDOW) - 1), Ok(()));
    }

    #[test]
    fn updates_come_at_half_the_window() {
        let mut window = ReceiveWindow::new(10, 10);
        assert_eq!(window.receive(0), Ok(None));
        assert_eq!(window.receive(4), Ok(None));
        assert_eq!(window.receive(1), Ok(Some(5)));
        assert_eq!(window.receive(11), Err(Exceeded { window: 10 }));
        assert_eq!(window.receive(10), Ok(Some(10)));
    }

    #[test]
    fn a_window_of_zero_takes_nothing() {
        let mut window = ReceiveWindow::new(0, 0);
        assert_eq!(window.receive(0), Ok(None));
        assert_eq!(window.receive(1), Err(Exceeded { window: 0 }));
    }
}
