//! Takes the TCP connections of a listener, each into a task of its own, until it is told to stop.
//!
//! ```text
//! accept -> admitted? --yes--> a task
//!                     --no---> dropped, which closes it
//! ```
//!
//! Limit: what `admits` says of the number of tasks. It is asked for every connection and does the
//! counting or logging of those it turns away.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Takes connections until `stop` changes or its sender is gone, then drops them all.
pub(crate) async fn run<F>(
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
    admits: impl Fn(usize) -> bool,
    serve: impl Fn(TcpStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    if admits(connections.len()) {
                        connections.spawn(serve(tcp));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    connections.shutdown().await;
}

/// After a failed accept (out of file descriptors, for one) the next one would fail as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn answers(mut tcp: TcpStream) {
        let _ = tcp.write_all(b"a").await;
        // Until the client is gone.
        let _ = tcp.read(&mut [0]).await;
    }

    #[tokio::test]
    async fn connections_are_taken_as_long_as_they_are_admitted_and_dropped_at_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(run(listener, stopped, |open| open < 1, answers));

        let mut first = TcpStream::connect(address).await.unwrap();
        assert_eq!(first.read_u8().await.unwrap(), b'a');
        let mut second = TcpStream::connect(address).await.unwrap();
        assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0);

        stop.send_replace(true);
        running.await.unwrap();
        assert_eq!(first.read(&mut [0]).await.unwrap_or(0), 0);
        assert!(TcpStream::connect(address).await.is_err());
    }
}
