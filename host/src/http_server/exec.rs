//! Where the streams of HTTP/2 run: what has its answer at once has it at once, and the rest is a
//! task.

use std::future::Future;
use std::task::{Context, Waker};

use hyper::rt::Executor;

/// Polls a stream as soon as it is there. Most of what is said to those without a key needs no
/// more, so a flood of it makes no queue of tasks in front of others.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtOnce;

impl<F> Executor<F> for AtOnce
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut stream = Box::pin(stream);
        // A task polls it again, and is then the one that is woken.
        let mut context = Context::from_waker(Waker::noop());
        if stream.as_mut().poll(&mut context).is_pending() {
            tokio::spawn(stream);
        }
    }
}
