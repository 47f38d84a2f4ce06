//! A thread for each instance, with a runtime of its own: the connections whose requests it works
//! on live there too, so that nothing on the way of a push wakes another thread.
//!
//! ```text
//!   thread 0: connections ─► instance 0 ─► its connections to servers
//!   thread 1: connections ─► instance 1 ─► …
//! ```
//!
//! A connection stays where it is; the first few are all on one thread. A request goes to the
//! instance of its thread, unless another has much less to do.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tracing::warn;

/// How many more connections a thread may have than any other before the next goes elsewhere: a few
/// clients share an instance, and with it its connections to servers and what it knows of them.
const TOGETHER: usize = 4;

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

    /// On the first thread that has hardly more connections than any other.
    pub(super) fn among(threads: &[InstanceThread]) -> Option<Self> {
        let count = |thread: &InstanceThread| thread.connections.load(Ordering::Relaxed);
        let fewest = threads.iter().map(count).min()?;
        let mut threads = threads.iter();
        let thread = threads.find(|thread| count(thread) <= fewest + TOGETHER)?;
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
    async fn a_few_connections_stay_together_and_many_are_spread() {
        let threads: Vec<_> = (0..2).map(InstanceThread::start).collect();
        let homes: Vec<_> = (0..9).filter_map(|_| Home::among(&threads)).collect();
        let mut numbers = Vec::new();
        for home in &homes {
            numbers.extend(home.handle.spawn(async { current() }).await.unwrap());
        }
        assert_eq!(numbers, [0, 0, 0, 0, 0, 1, 0, 1, 0]);
        // Places come back.
        drop(homes);
        let home = Home::among(&threads).unwrap();
        let number = home.handle.spawn(async { current() }).await.unwrap();
        assert_eq!((number, current()), (Some(0), None));
    }

    #[tokio::test]
    async fn what_is_on_a_thread_ends_with_it() {
        let thread = InstanceThread::start(0);
        let forever = thread.handle().spawn(std::future::pending::<()>());
        drop(thread);
        assert!(forever.await.unwrap_err().is_cancelled());
    }
}
