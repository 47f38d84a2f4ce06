//! A connection to whichever of a server's addresses takes one first.

use core::future::poll_fn;
use core::net::IpAddr;
use core::pin::Pin;
use core::task::Poll;

use super::{First, Platform, first};
use crate::dial::HappyEyeballs;

/// The first connection to one of the addresses, which [`HappyEyeballs`] says when to try. The
/// other attempts are dropped, which ends them.
///
/// # Errors
/// What was wrong with the last attempt, for people; or that there was no address to try.
pub async fn first_connection<T, F: Future<Output = Result<T, String>>>(
    platform: &impl Platform,
    addresses: Vec<IpAddr>,
    connect: impl Fn(IpAddr) -> F,
) -> Result<T, String> {
    let mut eyeballs = HappyEyeballs::new(addresses);
    // At most as many as there are addresses.
    let mut attempts: Vec<(IpAddr, Pin<Box<F>>)> = Vec::new();
    let mut last = "the name has no addresses".to_owned();
    loop {
        while let Some(address) = eyeballs.poll_attempt(platform.now()) {
            attempts.push((address, Box::pin(connect(address))));
        }
        if eyeballs.has_failed() {
            return Err(last);
        }
        let next = first_ended(&mut attempts);
        let next = match eyeballs.poll_timeout() {
            None => First::A(next.await),
            Some(at) => first(next, platform.wait_until(at)).await,
        };
        match next {
            First::A((_, Ok(connection))) => return Ok(connection),
            First::A((address, Err(why))) => {
                eyeballs.handle_failed(platform.now(), address);
                last = why;
            }
            First::B(()) => {}
        }
    }
}

/// Waits for one of the attempts, and takes it out.
async fn first_ended<F: Future>(attempts: &mut Vec<(IpAddr, Pin<Box<F>>)>) -> (IpAddr, F::Output) {
    poll_fn(|cx| {
        for (index, (address, attempt)) in attempts.iter_mut().enumerate() {
            if let Poll::Ready(output) = attempt.as_mut().poll(cx) {
                let ended = (*address, output);
                drop(attempts.swap_remove(index));
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::cell::RefCell;

    use super::super::tests::support::TestPlatform;
    use super::*;
    use crate::dial::ATTEMPT_DELAY;
    use crate::time::Now;

    /// Dials addresses that end as given, by their last byte: after how long, and how. Returns what
    /// came of it, when that was, and which were tried.
    fn dialed(
        ends: &[(u8, Duration, Result<u8, &str>)],
    ) -> (Result<u8, String>, Duration, Vec<u8>) {
        let platform = TestPlatform::default();
        let tried = RefCell::new(Vec::new());
        let address = |last| IpAddr::from([192, 0, 2, last]);
        let addresses = ends.iter().map(|(last, ..)| address(*last)).collect();
        let connect = |to| {
            let end = ends.iter().find(|(last, ..)| address(*last) == to);
            let (last, takes, result) = end.copied().unwrap();
            tried.borrow_mut().push(last);
            let (platform, at) = (platform.clone(), platform.now() + takes);
            async move {
                platform.wait_until(at).await;
                result.map_err(str::to_owned)
            }
        };
        let dialing = first_connection(&platform, addresses, connect);
        let result = platform.executor().run(dialing);
        let took = platform.now().since(Now::ZERO);
        (result, took, tried.into_inner())
    }

    #[test]
    fn one_that_is_silent_is_overtaken_by_the_next() {
        let (long, short) = (Duration::from_secs(9), Duration::from_millis(10));
        let (result, took, tried) =
            dialed(&[(1, long, Ok(1)), (2, short, Ok(2)), (3, short, Ok(3))]);
        assert_eq!((result, took), (Ok(2), ATTEMPT_DELAY + short));
        assert_eq!(tried, [1, 2], "the third was not needed");
    }

    #[test]
    fn one_that_fails_is_followed_at_once_and_the_last_says_why() {
        let soon = Duration::from_millis(10);
        let (result, took, _) = dialed(&[(1, soon, Err("refused")), (2, soon, Ok(2))]);
        assert_eq!((result, took), (Ok(2), soon * 2));
        let (result, took, _) = dialed(&[(1, soon, Err("refused")), (2, soon, Err("no route"))]);
        assert_eq!((result, took), (Err("no route".to_owned()), soon * 2));
    }

    #[test]
    fn where_there_is_no_address_nothing_is_waited_for() {
        let (result, took, _) = dialed(&[]);
        let none = Err("the name has no addresses".to_owned());
        assert_eq!((result, took), (none, Duration::ZERO));
    }
}
