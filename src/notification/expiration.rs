//! A time or a time to live turned into an [`Expiration`].
//!
//! Source: Apple, *Sending notification requests to APNs*, `apns-expiration`: seconds since 1970.
//! Absent and 0 differ: absent leaves it to APNs's storage policy, 0 means one attempt and no
//! storing. *Metrics and APNs*: nothing is stored for longer than 30 days.

use super::error::{InvalidNotification, rule};
use crate::limits::{EXPIRATION_MAX_SECS, EXPIRATION_MIN_SECS};
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
    /// From seconds since 1970 as a caller names them: 0 means [`Self::Once`]. A time that is past
    /// is not refused; APNs then tries once.
    ///
    /// # Errors
    /// [`rule::EXPIRATION_RANGE`] from 2^32 on, where milliseconds end up, and below 10^9, where
    /// durations do.
    pub fn named(secs: u64) -> Result<Self, InvalidNotification> {
        if (1..EXPIRATION_MIN_SECS).contains(&secs) {
            let expected = "0, or seconds since 1970 such as 1770000000 (for a duration: ttl_s)";
            let (rule, got) = (rule::EXPIRATION_RANGE, secs.to_string());
            return Err(InvalidNotification::new(FIELD, rule, expected, got));
        }
        Self::from_unix_secs(secs)
    }

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
    /// "once".
    ///
    /// # Errors
    /// [`rule::EXPIRATION_RANGE`] if it would end at 2^32 seconds since 1970 or later.
    pub fn from_ttl(now: UnixTime, ttl: Duration) -> Result<Self, InvalidNotification> {
        if ttl.is_zero() {
            return Ok(Self::Once);
        }
        let whole = if ttl.subsec_nanos() == 0 { 0 } else { 1 };
        let secs = now
            .as_secs()
            .saturating_add(ttl.as_secs())
            .saturating_add(whole);
        match u32::try_from(secs).ok().and_then(NonZeroU32::new) {
            Some(secs) => Ok(Self::At(ExpiresAt(secs))),
            None => {
                let most = EXPIRATION_MAX_SECS.saturating_sub(now.as_secs());
                let expected = format!("0 to {most} seconds from now");
                let (rule, got) = (rule::EXPIRATION_RANGE, ttl.as_secs().to_string());
                Err(InvalidNotification::new("ttl_s", rule, expected, got))
            }
        }
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
        let after = |ttl| Expiration::from_ttl(now, ttl).map(Expiration::header_secs);
        assert_eq!(after(Duration::ZERO), Ok(Some(0)));
        assert_eq!(after(Duration::from_secs(60)), Ok(Some(1_060)));
        assert_eq!(after(Duration::from_millis(1)), Ok(Some(1_001)));
    }

    #[test]
    fn a_time_to_live_beyond_the_range_is_refused_and_the_range_named() {
        let now = UnixTime::from_secs(1_000);
        let after = |secs| Expiration::from_ttl(now, Duration::from_secs(secs));
        let most = u64::from(u32::MAX) - 1_000;
        assert_eq!(after(most).unwrap().header_secs(), Some(u32::MAX));
        for secs in [most + 1, 1_764_000_000_000, u64::MAX] {
            let error = after(secs).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "ttl_s: expected 0 to 4294966295 seconds from now, got {secs} \
                     (expiration-range)"
                )
            );
        }
    }

    #[test]
    fn a_duration_is_no_date() {
        for secs in [1, 60, 3_600, 86_400, 2_592_000, 999_999_999] {
            let error = Expiration::named(secs).unwrap_err();
            assert_eq!(error.rule(), rule::EXPIRATION_RANGE);
            assert!(error.expected().contains("ttl_s"), "{error}");
        }
        assert_eq!(Expiration::named(0), Ok(Expiration::Once));
        for secs in [1_000_000_000, 1_770_000_000, u32::MAX] {
            let named = Expiration::named(u64::from(secs)).unwrap();
            assert_eq!(named.header_secs(), Some(secs));
        }
        assert!(Expiration::named(1_770_000_000_000).is_err());
    }
}
