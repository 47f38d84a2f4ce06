//! A thread for each instance, with a runtime of its own: the connections whose requests it works
//! on live there too, so that nothing on the way of a push wakes another thread.
//!
//! ```text
//!   thread 0: connections ─► instance 0 ─► its connections to servers
//!   thread 1: connections ─► instance 1 ─► …
//! ```
//!
//! A connection stays where it is. A request goes to the instance of its thread, unless another has
//! much less to do.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tracing::warn;

thread_local! {
    /// The number of the instance whose thread this is.
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The number of the instance on whose thread this is called, if it is one's.
pub(super) fn current() -> Option<usize> {
    NUMBER.get()
}

/// The thread of an instance. It ends when this is dropped, with everything that is on it.
#[derive(Debug)]
pub(super) struct InstanceThread {
    handle: Handle,
    connections: Arc<AtomicUsize>,
    /// Absent where there was no thread to be had, and the others have its work.
    _stop: Option<oneshot::Sender<()>>,
}

/// Where the connections of a listener live.
#[derive(Debug)]
pub struct Home {
    /// What is to run them.
    pub handle: Handle,
    _counted: Option<Counted>,
}

/// Counts a connection among those of a thread for as long as it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl InstanceThread {
    /// A thread for the instance of this number.
    pub(super) fn start(number: usize) -> Self {
        let (handle, stop) = match spawn(number) {
            Ok((handle, stop)) => (handle, Some(stop)),
            Err(error) => {
                warn!(instance = number, %error, "there is no thread of its own for an instance");
                (Handle::current(), None)
            }
        };
        Self {
            handle,
            connections: Arc::default(),
            _stop: stop,
        }
    }

    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }
}

fn spawn(number: usize) -> std::io::Result<(Handle, oneshot::Sender<()>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let run = move || {
        NUMBER.set(Some(number));
        // It is dropped, and never sent.
        let _ = runtime.block_on(stopped);
        // It is not to be waited for where nothing may block.
        runtime.shutdown_background();
    };
    let thread = std::thread::Builder::new().name(format!("instance {number}"));
    thread.spawn(run)?;
    Ok((handle, stop))
}

impl Home {
    /// The runtime of whoever calls.
    pub fn here() -> Self {
        Self {
            handle: Handle::current(),
            _counted: None,
        }
    }

    /// On the thread that has the fewest connections.
    pub(super) fn among(threads: &[InstanceThread]) -> Option<Self> {
        let count = |thread: &&InstanceThread| thread.connections.load(Ordering::Relaxed);
        let thread = threads.iter().min_by_key(count)?;
        thread.connections.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            handle: thread.handle.clone(),
            _counted: Some(Counted(Arc::clone(&thread.connections))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_spread_and_find_the_instance_of_their_thread() {
        let threads: Vec<_> = (0..2).map(InstanceThread::start).collect();
        let homes: Vec<_> = (0..4).filter_map(|_| Home::among(&threads)).collect();
        let mut numbers = Vec::new();
        for home in &homes {
            numbers.push(home.handle.spawn(async { current() }).await.unwrap());
        }
        assert_eq!(numbers, [Some(0), Some(1), Some(0), Some(1)]);
        let mut homes = homes.into_iter();
        drop((homes.next(), homes.nth(1)));
        for _ in 0..2 {
            let home = Home::among(&threads).unwrap();
            let number = home.handle.spawn(async { current() }).await.unwrap();
            assert_eq!(number, Some(0), "it has two fewer");
        }
        assert_eq!(current(), None);
    }

    #[tokio::test]
    async fn what_is_on_a_thread_ends_with_it() {
        let thread = InstanceThread::start(0);
        let forever = thread.handle().spawn(std::future::pending::<()>());
        drop(thread);
        assert!(forever.await.unwrap_err().is_cancelled());
    }
}
