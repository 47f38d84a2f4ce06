//! The time of the machine, and waiting of which only the time counts that this process was
//! running.
//!
//! After a SIGSTOP, a pause of the virtual machine or a laptop's sleep every clock has gone on, and
//! every deadline would be over before anybody has looked at what came in the meantime. So a wait
//! is a row of short ones, and one that ends late counts no more than it was asked for.

use std::pin::{Pin, pin};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dunlin::time::UnixTime;
use futures_util::future::{Either, select};

/// Longest time that a suspension can take from a wait.
const STEP: Duration = Duration::from_secs(1);

/// The time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// The time of the machine; that of 1970 if its clock is before that.
pub fn now() -> UnixTime {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since_1970.unwrap_or_default().as_millis();
    UnixTime::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Waits for `time`.
pub async fn sleep(time: Duration) {
    sleep_by(time, tokio::time::sleep).await;
}

async fn sleep_by<S: Future>(time: Duration, step: impl Fn(Duration) -> S) {
    let mut left = time;
    while !left.is_zero() {
        let now = left.min(STEP);
        step(now).await;
        left -= now;
    }
}

/// What comes of `work`, if that is within `time`.
///
/// # Errors
/// [`Elapsed`]
pub async fn timeout<W: Future>(time: Duration, work: W) -> Result<W::Output, Elapsed> {
    let mut over = pin!(sleep(time));
    before(&mut over, work).await
}

/// What comes of `work`, if that is before `over`, which several pieces of work may share.
///
/// # Errors
/// [`Elapsed`]
pub async fn before<W: Future>(
    over: &mut Pin<&mut impl Future<Output = ()>>,
    work: W,
) -> Result<W::Output, Elapsed> {
    // The work is looked at first.
    match select(pin!(work), over).await {
        Either::Left((done, _)) => Ok(done),
        Either::Right(((), _)) => Err(Elapsed),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits for `time` on a clock that jumps by `jump` during the second step; what it shows then.
    async fn shown_after(time: Duration, jump: Duration) -> Duration {
        let (clock, steps) = (Cell::new(Duration::ZERO), Cell::new(0));
        sleep_by(time, |step| {
            steps.set(steps.get() + 1);
            let late = if steps.get() == 2 {
                jump
            } else {
                Duration::ZERO
            };
            clock.set(clock.get() + step.max(late));
            ready(())
        })
        .await;
        clock.get()
    }

    #[tokio::test]
    async fn suspended_time_does_not_count() {
        assert_eq!(shown_after(SECOND * 60, Duration::ZERO).await, SECOND * 60);
        let hour = SECOND * 3_600;
        assert_eq!(shown_after(SECOND * 60, hour).await, SECOND * 59 + hour);
        let short = Duration::from_millis(1_500);
        assert_eq!(shown_after(short, Duration::ZERO).await, short);
        assert_eq!(shown_after(short, hour).await, SECOND + hour);
    }

    #[tokio::test]
    async fn what_is_there_when_the_time_is_over_counts() {
        assert_eq!(timeout(Duration::ZERO, ready(1)).await, Ok(1));
        assert_eq!(timeout(Duration::ZERO, pending::<()>()).await, Err(Elapsed));
        let mut over = pin!(sleep(Duration::ZERO));
        assert_eq!(before(&mut over, ready(1)).await, Ok(1));
        assert_eq!(before(&mut over, pending::<()>()).await, Err(Elapsed));
    }
}
