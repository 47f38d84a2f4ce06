//! The record about who goes first on a connection that the platform has for all instances: where
//! it is read and written. What is in it is decided in `delivery::turn`.

use super::app::app;
use super::platform::Wasi;
use crate::config::Endpoint;
use crate::delivery::turn::{self, Turn, TurnNews};
use crate::registry::change;
use crate::service::Platform;

/// Asks for a turn at a server. Where the store fails nobody waits for anybody.
pub(super) fn take(server: &Endpoint, who: u64) -> Turn {
    let now = Wasi.unix_time();
    let Ok(app) = app() else { return Turn::Go };
    let key = turn::turn_key(&server.to_string());
    let taken = change(app.store(), &key, |stored| turn::ask(stored, who, now));
    taken.unwrap_or(Turn::Go)
}

/// Tells what became of a request. If the store fails the others wait for the end of a lease.
pub(super) fn tell(server: &Endpoint, who: u64, news: TurnNews) {
    let now = Wasi.unix_time();
    let Ok(app) = app() else { return };
    let key = turn::turn_key(&server.to_string());
    let _ = change(app.store(), &key, |stored| {
        (turn::tell(stored, who, now, news), ())
    });
}
