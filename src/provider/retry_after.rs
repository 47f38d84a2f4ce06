//! The header `retry-after` turned into a wait: [`RetryAfter`].
//!
//! Source: RFC 9110, section 10.2.3: a number of seconds, or an HTTP-date (section 5.6.7) in one of
//! its three forms. A date is a time on the server's clock. Where the server says what that shows,
//! in `date`, the difference counts, and a clock of ours that is wrong does no harm.

use core::time::Duration;
use std::time::SystemTime;

use crate::time::UnixTime;

/// Longest text that is read as a date, in bytes. **Ours**: the longest form has 33.
const DATE_MAX_BYTES: usize = 64;

/// How long APNs wants to be left alone with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// So long; below 32 years.
    In(Duration),
    /// Until then, and the server did not say what its clock shows.
    At(UnixTime),
}

impl RetryAfter {
    /// Reads the header's value; `None` for what is neither seconds nor a date.
    pub fn read(value: &[u8]) -> Option<Self> {
        match decimal(value) {
            Some(secs) => Some(Self::In(Duration::from_secs(secs))),
            None => date(value).map(Self::At),
        }
    }

    /// How long that is; nothing if it is over. `None` if it is a date and no time is known.
    pub fn wait(self, time: Option<UnixTime>) -> Option<Duration> {
        match (self, time) {
            (Self::In(wait), _) => Some(wait),
            (Self::At(at), Some(time)) => Some(at.since(time)),
            (Self::At(_), None) => None,
        }
    }

    /// The same as an interval, by the server's clock if that is known.
    pub(super) fn by_clock(self, date: Option<UnixTime>) -> Self {
        self.wait(date).map_or(self, Self::In)
    }
}

/// An HTTP-date. Times before 1970 are none.
pub(super) fn date(value: &[u8]) -> Option<UnixTime> {
    if value.len() > DATE_MAX_BYTES {
        return None;
    }
    let text = core::str::from_utf8(value).ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(UnixTime::from_secs(since.as_secs()))
}

/// Up to nine decimal digits.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 9 {
        return None;
    }
    value.iter().try_fold(0, |sum: u64, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        Some(sum * 10 + u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Outcome, read_response};

    /// The example of RFC 9110, section 5.6.7, in its three forms.
    const DATES: [&str; 3] = [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ];
    const THEN: UnixTime = UnixTime::from_secs(784_111_777);

    #[test]
    fn seconds_and_all_three_forms_of_a_date_are_read() {
        let half_a_minute = Some(RetryAfter::In(Duration::from_secs(30)));
        assert_eq!(RetryAfter::read(b"30"), half_a_minute);
        for date in DATES {
            let at = Some(RetryAfter::At(THEN));
            assert_eq!(RetryAfter::read(date.as_bytes()), at, "{date}");
        }
    }

    #[test]
    fn what_is_neither_is_none() {
        let long = "9".repeat(100);
        for value in ["", "-1", "1.5", "soon", "1000000000", &long, "Sun, 06 Nov"] {
            assert_eq!(RetryAfter::read(value.as_bytes()), None, "{value}");
        }
        assert_eq!(RetryAfter::read(&[0xff; 29]), None);
    }

    #[test]
    fn a_date_counts_from_the_servers_clock() {
        let answer = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
            match read_response(503, headers, b"") {
                Outcome::Rejected { retry_after, .. } => retry_after,
                other => panic!("{other:?}"),
            }
        };
        let at = ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT");
        let wait = |secs| Some(RetryAfter::In(Duration::from_secs(secs)));
        assert_eq!(answer(&[("date", DATES[0]), at]), wait(30));
        // Whichever comes first; a date that is past asks for nothing.
        assert_eq!(answer(&[at, ("date", DATES[0])]), wait(30));
        assert_eq!(
            answer(&[("date", at.1), ("retry-after", DATES[0])]),
            wait(0)
        );
        let alone = RetryAfter::At(UnixTime::from_secs(784_111_807));
        assert_eq!(answer(&[at]), Some(alone));
        assert_eq!(alone.wait(None), None);
        assert_eq!(alone.wait(Some(THEN)), Some(Duration::from_secs(30)));
    }
}
