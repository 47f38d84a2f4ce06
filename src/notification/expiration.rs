//! A time or a time to live turned into an [`Expiration`].
//!
//! Source: Apple, *Sending notification requests to APNs*, `apns-expiration`: seconds since 1970.
//! Absent and 0 differ: absent leaves it to APNs's storage policy, 0 means one attempt and no
//! storing. *Metrics and APNs*: nothing is stored for longer than 30 days.

use super::error::{InvalidNotification, rule};
use crate::limits::EXPIRATION_MAX_SECS;
use crate::time::UnixTime;
use core::num::NonZeroU32;
use core::time::Duration;

const FIELD: &str = "expiration";

/// Until when APNs keeps trying to deliver, sent as `apns-expiration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Expiration {
    /// No header: APNs decides.
    #[default]
    StoragePolicy,
    /// `0`: one attempt, nothing is stored.
    Once,
    /// Stored and tried until then.
    At(ExpiresAt),
}

/// A time at which a notification expires: whole seconds, after 1970 and before 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExpiresAt(NonZeroU32);

impl ExpiresAt {
    /// Seconds since 1970, never 0.
    pub const fn as_secs(self) -> u32 {
        self.0.get()
    }

    /// The same as a time.
    pub fn as_unix_time(self) -> UnixTime {
        UnixTime::from_secs(u64::from(self.0.get()))
    }
}

impl Expiration {
    /// From seconds since 1970, as in the header: 0 means [`Self::Once`]. A time that is past is
    /// not refused; APNs then tries once.
    ///
    /// # Errors
    /// [`rule::EXPIRATION_RANGE`] from 2^32 on, where milliseconds end up.
    pub fn from_unix_secs(secs: u64) -> Result<Self, InvalidNotification> {
        match u32::try_from(secs) {
            Ok(secs) => {
                Ok(NonZeroU32::new(secs).map_or(Self::Once, |secs| Self::At(ExpiresAt(secs))))
            }
            Err(_) => {
                let expected = format!("seconds since 1970, at most {EXPIRATION_MAX_SECS}");
                let got = secs.to_string();
                Err(InvalidNotification::new(
                    FIELD,
                    rule::EXPIRATION_RANGE,
                    expected,
                    got,
                ))
            }
        }
    }

    /// From a time; the fraction of a second is cut off.
    ///
    /// # Errors
    /// As [`Self::from_unix_secs`].
    pub fn at(time: UnixTime) -> Result<Self, InvalidNotification> {
        Self::from_unix_secs(time.as_secs())
    }

    /// From how long the notification is worth delivering, counted from `now`. Nothing means
    /// [`Self::Once`]; a fraction of a second counts as a whole one, so that it does not turn into
    /// "once"; what lies beyond the range is cut, since APNs stores for 30 days at most.
    pub fn from_ttl(now: UnixTime, ttl: Duration) -> Self {
        if ttl.is_zero() {
            return Self::Once;
        }
        let whole = if ttl.subsec_nanos() == 0 { 0 } else { 1 };
        let secs = now
            .as_secs()
            .saturating_add(ttl.as_secs())
            .saturating_add(whole);
        let secs = u32::try_from(secs).unwrap_or(u32::MAX);
        NonZeroU32::new(secs).map_or(Self::Once, |secs| Self::At(ExpiresAt(secs)))
    }

    /// The number in the header; `None` where there is no header.
    pub fn header_secs(self) -> Option<u32> {
        match self {
            Self::StoragePolicy => None,
            Self::Once => Some(0),
            Self::At(at) => Some(at.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_zero_differ() {
        assert_eq!(Expiration::default().header_secs(), None);
        assert_eq!(Expiration::from_unix_secs(0).unwrap(), Expiration::Once);
        assert_eq!(Expiration::Once.header_secs(), Some(0));
    }

    #[test]
    fn milliseconds_are_refused() {
        let error = Expiration::from_unix_secs(1_764_000_000_000).unwrap_err();
        assert_eq!(error.rule(), rule::EXPIRATION_RANGE);
        let at = Expiration::at(UnixTime::from_millis(1_764_000_000_999)).unwrap();
        assert_eq!(at.header_secs(), Some(1_764_000_000));
    }

    #[test]
    fn a_time_to_live_counts_from_now() {
        let now = UnixTime::from_secs(1_000);
        assert_eq!(Expiration::from_ttl(now, Duration::ZERO), Expiration::Once);
        assert_eq!(
            Expiration::from_ttl(now, Duration::from_secs(60)).header_secs(),
            Some(1_060)
        );
        assert_eq!(
            Expiration::from_ttl(now, Duration::from_millis(1)).header_secs(),
            Some(1_001)
        );
        assert_eq!(
            Expiration::from_ttl(now, Duration::MAX).header_secs(),
            Some(u32::MAX)
        );
    }
}
