//! When a refused notification is sent again: one policy for every reason.
//!
//! Source: Apple, *Handling notification responses from APNs*: 5xx "after 15 minutes", with
//! back-off; RFC 9110, section 10.2.3, for `retry-after`. The reasons and their kinds are in the
//! table of `provider`; here is how long each kind waits.
//!
//! | kind | first wait | longest | `retry-after` |
//! |---|---|---|---|
//! | `NewConnection` | none | | |
//! | `NewProviderToken` | until there is one; once | | |
//! | `OldProviderToken` | none with an older token, else a minute | 20 minutes | in its place |
//! | `DevicePause` | a second, for all of the device (`device_throttle.rs`) | a minute | if it is longer, up to 15 minutes |
//! | `Backoff` | 15 minutes, or as configured | 4 hours | in its place |
//!
//! A wait doubles with each attempt and has up to half of itself added at random, never taken off.
//! A notification that the wait would carry past its deadline or its expiration, or that has been
//! answered four times, ends with the rejection it has: nobody waits for what cannot help. What
//! came back without having been looked at does not count.

use core::time::Duration;

use super::jitter::jittered;
use crate::limits::PROVIDER_TOKEN_MIN_AGE;

/// How often a notification is put on a connection at most, but for the times that it came back
/// certainly unprocessed.
pub(in crate::delivery) const MAX_ATTEMPTS: u8 = 4;

/// The longest wait after a server's error.
const SERVER_ERROR_LONGEST: Duration = Duration::from_secs(4 * 60 * 60);

/// The longest that `retry-after` stops a lane or a device for: one server's wish must not stop an
/// app for a day.
pub(in crate::delivery) const LONGEST_ASKED: Duration = Duration::from_secs(15 * 60);

/// The first wait after `TooManyProviderTokenUpdates` where there is no older token.
const TOKEN_FIRST: Duration = Duration::from_secs(60);

/// The shortest wait: `retry-after: 0` is no invitation to a storm.
const LEAST: Duration = Duration::from_millis(500);

/// What a wait depends on beside its kind.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Attempt {
    /// How often it was put on a connection, the last one included.
    pub(in crate::delivery) count: u8,
    /// What `retry-after` asked for.
    pub(in crate::delivery) asked: Option<Duration>,
    pub(in crate::delivery) entropy: u64,
}

/// The wait after a server's error whose first one is `first`.
pub(in crate::delivery) fn after_server_error(first: Duration, attempt: Attempt) -> Duration {
    wait(first, SERVER_ERROR_LONGEST.max(first), attempt)
}

/// The wait after `TooManyProviderTokenUpdates`.
pub(in crate::delivery) fn after_token_update(attempt: Attempt) -> Duration {
    wait(TOKEN_FIRST, PROVIDER_TOKEN_MIN_AGE, attempt)
}

fn wait(first: Duration, longest: Duration, attempt: Attempt) -> Duration {
    let doublings = u32::from(attempt.count.saturating_sub(1).min(16));
    let own = first.saturating_mul(1 << doublings).min(longest);
    jittered(attempt.asked.unwrap_or(own).max(LEAST), attempt.entropy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SERVER_ERROR_RETRY_AFTER;

    fn attempt(count: u8, asked: Option<u64>) -> Attempt {
        Attempt {
            count,
            asked: asked.map(Duration::from_secs),
            entropy: 0,
        }
    }

    #[test]
    fn a_server_error_waits_15_minutes_and_twice_as_long_each_time_up_to_four_hours() {
        let first = SERVER_ERROR_RETRY_AFTER;
        let wait = |count| after_server_error(first, attempt(count, None)).as_secs() / 60;
        assert_eq!([1, 2, 3, 4].map(wait), [15, 30, 60, 120]);
        assert_eq!([5, 6, 200].map(wait), [240, 240, 240]);
    }

    #[test]
    fn what_the_server_asks_for_takes_the_place_of_our_own_wait() {
        let first = SERVER_ERROR_RETRY_AFTER;
        let wait = |asked| after_server_error(first, attempt(3, Some(asked)));
        assert_eq!(wait(2), Duration::from_secs(2));
        assert_eq!(wait(86_400), Duration::from_secs(86_400));
        assert_eq!(wait(0), LEAST, "and zero is not taken at its word");
    }

    #[test]
    fn jitter_is_only_ever_added() {
        for entropy in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
            let wait = jittered(Duration::from_secs(10), entropy);
            assert!((10_000..=15_000).contains(&wait.as_millis()), "{wait:?}");
        }
        assert_eq!(jittered(Duration::ZERO, u64::MAX), Duration::ZERO);
        assert!(jittered(Duration::MAX, 7) >= Duration::MAX / 2);
    }

    #[test]
    fn too_many_token_updates_without_an_older_token_wait_up_to_twenty_minutes() {
        let wait = |count| after_token_update(attempt(count, None)).as_secs();
        assert_eq!([1, 2, 3, 9].map(wait), [60, 120, 240, 1_200]);
    }
}
