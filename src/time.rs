//! Plain numbers for time, so that nothing here needs a clock and every test can start at zero.
//!
//! Two kinds that do not mix: [`Now`] is monotonic and only good for intervals and deadlines;
//! [`UnixTime`] is wall-clock time as Apple's documents use it. The component reads both clocks
//! at its edge and passes the values in.
//!
//! Units differ on the wire, which is why [`UnixTime`] has no constructor that takes a bare
//! number: provider tokens and feedback tuples carry **seconds**, the `timestamp` of a 410 answer
//! carries **milliseconds** (Apple, *Handling notification responses from APNs*).

use core::fmt;
use core::ops::Add;
use core::time::Duration;

/// A point on a monotonic clock, in nanoseconds since an origin that only the caller knows.
///
/// Never goes backwards between two calls on the same state machine; comparing values of two
/// different clocks means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now(u64);

impl Now {
    /// The origin of the clock; where tests start.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds since the clock's origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Now {
    type Output = Self;

    /// Saturates at the end of the clock (584 years).
    fn add(self, interval: Duration) -> Self {
        let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// A wall-clock time, kept in milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// 1970-01-01 UTC.
    pub const EPOCH: Self = Self(0);

    /// From milliseconds, as in the `timestamp` of a 410 answer.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From seconds, as in `iat`, `apns-expiration` and feedback tuples. Saturates.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000
    }

    /// How long after `earlier` this is; zero if it is not after it (clocks get set back).
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for UnixTime {
    type Output = Self;

    /// Saturates at the end of the range.
    fn add(self, interval: Duration) -> Self {
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_do_not_wrap() {
        let now = Now::ZERO + Duration::from_millis(3);
        assert_eq!(now.since(Now::ZERO), Duration::from_millis(3));
        assert_eq!(Now::ZERO.since(now), Duration::ZERO);
        assert_eq!(
            (Now::from_nanos(u64::MAX) + Duration::from_secs(1)).as_nanos(),
            u64::MAX
        );
    }

    #[test]
    fn seconds_and_milliseconds_agree() {
        assert_eq!(UnixTime::from_secs(7), UnixTime::from_millis(7_000));
        assert_eq!(UnixTime::from_millis(7_999).as_secs(), 7);
        assert_eq!(UnixTime::from_millis(7_049).to_string(), "7.049");
    }
}
