//! Futures that wait for nobody, such as the service's calls on a store at hand.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// What such a future returns.
///
/// # Panics
/// If it waits for something.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for something"),
    }
}
