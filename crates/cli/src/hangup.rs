//! SIGHUP, which ends a process that says nothing else, and everything under way with it.
//!
//! - `serve`: a line in the log. There is no reload yet.
//! - `dev` and `simulate`: the same. But if the terminal is gone that they were started from, they
//!   stop as at Ctrl-C, for nobody can see or stop them any more.
//! - `push`, `sweep` and `feedback`: a line. They carry out what they have begun.
//! - `devices import` and `export`: they end as at Ctrl-C ([`crate::waits::StopRequest`]).
//! - Other commands that only read end, as the system has it.

use std::io::{self, IsTerminal as _, stdin};
use std::pin::pin;

use futures_util::future::select;
use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

/// What a service says.
pub const NO_RELOAD: &str =
    "SIGHUP is ignored: there is no reload. To read the configuration again, restart";

/// What a command says that ends by itself.
pub const NOT_YET: &str = "SIGHUP is ignored until what was begun is done; Ctrl-C ends it at once";

/// From now on every SIGHUP is this line in the log, and nothing else.
///
/// # Errors
/// If the signal cannot be listened to.
pub fn ignore(line: &'static str) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            warn!("{line}");
        }
    });
    Ok(())
}

/// Resolves when `stop` does, or when a SIGHUP says that the terminal is gone that this process was
/// started from.
///
/// # Errors
/// If the signal cannot be listened to.
pub fn or_lost_terminal(stop: impl Future<Output = ()>) -> io::Result<impl Future<Output = ()>> {
    let mut hangups = signal(SignalKind::hangup())?;
    let had_terminal = stdin().is_terminal();
    let lost = async move {
        while hangups.recv().await.is_some() {
            // One that was hung up is none any more.
            if is_lost(had_terminal, stdin().is_terminal()) {
                warn!("the terminal is gone: stopping");
                return;
            }
        }
        std::future::pending().await
    };
    Ok(async move {
        select(pin!(stop), pin!(lost)).await;
    })
}

const fn is_lost(had_terminal: bool, has_terminal: bool) -> bool {
    had_terminal && !has_terminal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_that_was_there_can_be_lost() {
        assert!(is_lost(true, false));
        // As under systemd, nohup or in a container.
        assert!(!is_lost(false, false));
        // Somebody else has sent the signal.
        assert!(!is_lost(true, true));
    }
}
